// SPDX-License-Identifier: MIT
// What bench/apps/works.lua does, in Bun.
import { argument, kind, page, rows, sleep, small, startPrimes } from './data.mjs';

const html = { headers: { 'Content-Type': 'text/html; charset=utf-8' } };

const kinds = {
  plaintext: () => ({ fetch: () => new Response('Hello, World!') }),
  json: () => ({ fetch: () => Response.json(small()) }),
  rows: () => ({ fetch: () => Response.json(rows) }),
  template: () => ({ fetch: () => new Response(page(), html) }),
  routes: () => {
    const routes = {};
    for (let i = 1; i <= Number(argument); i++) {
      routes[`/section${i}/:user/notes/:note`] = (req) => new Response(`${req.params.user} ${req.params.note}`);
    }
    return { routes };
  },
  echo: () => ({ fetch: async (req) => new Response(await req.arrayBuffer()) }),
  file: () => ({ fetch: async () => new Response(await Bun.file(argument).bytes()) }),
  static: () => ({
    fetch: (req) => new Response(Bun.file(argument + new URL(req.url).pathname.slice('/static'.length))),
  }),
  sleep: () => ({
    fetch: async () => {
      await sleep(10);
      return new Response('slept');
    },
  }),
  mixed: () => {
    const countPrimes = startPrimes();
    return {
      fetch: async (req) => new Response(
        req.url.endsWith('/primes') ? String(await countPrimes(Number(argument))) : 'Hello, World!'),
    };
  },
};

const server = Bun.serve({ port: 0, hostname: '127.0.0.1', ...kinds[kind]() });
console.log(`http://127.0.0.1:${server.port}`);
