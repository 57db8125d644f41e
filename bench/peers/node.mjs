// SPDX-License-Identifier: MIT
// What bench/apps/works.lua does, with Node's own http. It has no router, so no routes.
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import http from 'node:http';
import { argument, kind, page, rows, sleep, small, startPrimes } from './data.mjs';

const send = (res, type, body) => {
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
};
const text = (res, body) => send(res, 'text/plain; charset=utf-8', body);

const kinds = {
  plaintext: () => (req, res) => text(res, 'Hello, World!'),
  json: () => (req, res) => send(res, 'application/json', JSON.stringify(small())),
  rows: () => (req, res) => send(res, 'application/json', JSON.stringify(rows)),
  template: () => (req, res) => send(res, 'text/html; charset=utf-8', page()),
  echo: () => async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    text(res, Buffer.concat(chunks));
  },
  file: () => async (req, res) => text(res, await readFile(argument)),
  static: () => async (req, res) => {
    const path = argument + req.url.slice('/static'.length);
    const { size, mtime } = await stat(path);
    res.writeHead(200, {
      'Content-Type': 'application/octet-stream', 'Content-Length': size, 'Last-Modified': mtime.toUTCString(),
    });
    createReadStream(path).pipe(res);
  },
  sleep: () => async (req, res) => {
    await sleep(10);
    text(res, 'slept');
  },
  mixed: () => {
    const countPrimes = startPrimes();
    return async (req, res) => {
      text(res, req.url === '/primes' ? String(await countPrimes(Number(argument))) : 'Hello, World!');
    };
  },
};

const server = http.createServer(kinds[kind]());
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
