-- SPDX-License-Identifier: MIT
--- examples/native/server.lua, served and asked over real sockets.

local process = require "spec.support.process"

describe("examples/native/server.lua", function()
  after_each(process.clean_up)

  it("counts, and answers others meanwhile", function()
    local folder = process.luaserve:match("build/%a+") or "build/release"
    local server = process.serve { "-p", "0", "examples/native/server.lua", folder .. "/examples/native" }
    local slow, quick = server:connect(), server:connect()
    slow:write("GET /1000000000 HTTP/1.1\r\nHost: x\r\n\r\n") -- takes seconds, and is given up after one
    assert.equal(404, quick:request({ path = "/" }).status)
    assert.equal(503, slow:response().status)
    assert.equal("1229\n", quick:request({ path = "/10000" }).body)
    assert.same({ 0, "" }, { server:stop() })
  end)
end)
