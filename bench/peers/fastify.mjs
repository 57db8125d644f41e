// SPDX-License-Identifier: MIT
// What bench/apps/works.lua does, with Fastify on Node.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { argument, kind, page, rows, sleep, small, startPrimes } from './data.mjs';

const require = createRequire(resolve('build/bench/peers/index.js'));
const app = require('fastify')({ bodyLimit: 16 << 20 });

const kinds = {
  plaintext: () => app.get('/', (req, reply) => reply.send('Hello, World!')),
  json: () => app.get('/json', (req, reply) => reply.send(small())),
  rows: () => app.get('/rows', (req, reply) => reply.send(rows)),
  template: () => app.get('/template', (req, reply) => reply.type('text/html; charset=utf-8').send(page())),
  routes: () => {
    for (let i = 1; i <= Number(argument); i++) {
      app.get(`/section${i}/:user/notes/:note`, (req, reply) => reply.send(`${req.params.user} ${req.params.note}`));
    }
  },
  echo: () => {
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (req, body, done) => done(null, body));
    app.post('/echo', (req, reply) => reply.send(req.body));
  },
  file: () => app.get('/file', async () => readFile(argument)),
  static: () => app.register(require('@fastify/static'), { root: resolve(argument), prefix: '/static/' }),
  sleep: () => app.get('/sleep', async () => {
    await sleep(10);
    return 'slept';
  }),
  mixed: () => {
    const countPrimes = startPrimes();
    app.get('/', (req, reply) => reply.send('Hello, World!'));
    app.get('/primes', async () => String(await countPrimes(Number(argument))));
  },
};

kinds[kind]();
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
