-- SPDX-License-Identifier: MIT
-- Echoes what it gets: as it comes, or, for /whole, when all of it is there.
local http = require "luaserve.http"

local server = http.create_server({ max_body = 16 << 20, stream_body = { ["/stream"] = false } }, function(req, res)
  if req.path == "/whole" then return res:send(assert(req:body())) end
  res:set("content-length", req.headers["content-length"])
  for chunk in req:chunks() do
    if not res:write(chunk) then return end
  end
  res:finish()
end)

assert(server:listen { host = "127.0.0.1", port = 0 })
print("http://127.0.0.1:" .. server:address().port)
