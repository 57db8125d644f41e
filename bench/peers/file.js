// SPDX-License-Identifier: MIT
// What bench/apps/file.lua does, in Node.
const fs = require('fs');
const http = require('http');

const server = http.createServer(async (req, res) => {
  res.end(await fs.promises.readFile(process.argv[2]));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
