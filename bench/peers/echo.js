// SPDX-License-Identifier: MIT
// What bench/apps/echo.lua does, in Node.
const http = require('http');

const server = http.createServer(async (req, res) => {
  res.setHeader('content-length', req.headers['content-length']);
  if (req.url !== '/whole') return req.pipe(res);
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  res.end(Buffer.concat(chunks));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
