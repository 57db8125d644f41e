// SPDX-License-Identifier: MIT
// What bench/apps/echo.lua does, in Bun.
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(req) {
    if (new URL(req.url).pathname !== '/whole') return new Response(req.body);
    return new Response(await req.arrayBuffer());
  },
});
console.log(`http://127.0.0.1:${server.port}`);
