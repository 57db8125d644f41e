// SPDX-License-Identifier: MIT
// What bench/apps/plaintext.lua does, in Node.
const http = require('http');

const server = http.createServer((req, res) => {
  res.setHeader('content-type', 'text/plain; charset=utf-8');
  res.end('Hello, World!');
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
