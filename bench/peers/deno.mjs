// SPDX-License-Identifier: MIT
// What bench/apps/works.lua does, in Deno. It has no router of its own, so no routes.
import { argument, kind, page, rows, sleep, small, startPrimes } from './data.mjs';

const html = { headers: { 'Content-Type': 'text/html; charset=utf-8' } };

const kinds = {
  plaintext: () => () => new Response('Hello, World!'),
  json: () => () => Response.json(small()),
  rows: () => () => Response.json(rows),
  template: () => () => new Response(page(), html),
  echo: () => async (req) => new Response(await req.arrayBuffer()),
  file: () => async () => new Response(await Deno.readFile(argument)),
  static: () => async (req) => {
    const file = await Deno.open(argument + new URL(req.url).pathname.slice('/static'.length));
    const { size, mtime } = await file.stat();
    return new Response(file.readable, {
      headers: {
        'Content-Type': 'application/octet-stream', 'Content-Length': String(size),
        'Last-Modified': mtime.toUTCString(),
      },
    });
  },
  sleep: () => async () => {
    await sleep(10);
    return new Response('slept');
  },
  mixed: () => {
    const countPrimes = startPrimes();
    return async (req) => new Response(
      req.url.endsWith('/primes') ? String(await countPrimes(Number(argument))) : 'Hello, World!');
  },
};

Deno.serve({
  port: 0, hostname: '127.0.0.1', onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, kinds[kind]());
