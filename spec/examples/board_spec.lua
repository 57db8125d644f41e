-- SPDX-License-Identifier: MIT
--- examples/board.lua, served and asked over real sockets.

local process = require "spec.support.process"

describe("examples/board.lua", function()
  after_each(process.clean_up)

  local function post(server, text)
    return server:request { method = "POST", body = "text=" .. text,
      headers = { ["content-type"] = "application/x-www-form-urlencoded" } }
  end

  local function read_until(connection, text)
    while not connection.buffer:find(text, 1, true) do assert(connection:fill()) end
  end

  it("shows what was written, escaped", function()
    local server = process.serve { "-p", "0", "examples/board.lua" }
    local response = post(server, "%3Cb%3E+%26+more")
    assert.same({ 303, "/" }, { response.status, response.headers.location })
    response = server:request "/"
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    assert.is_truthy(response.body:find("\n<li>&lt;b&gt; &amp; more</li>\n</ol>", 1, true))
    assert.is_truthy(response.body:find('("/events?after=" + 1)', 1, true))
    assert.equal(422, post(server, "").status)
    assert.equal(404, server:request("/x").status)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("tells who follows, and who comes back, what he missed", function()
    local server = process.serve { "-p", "0", "examples/board.lua" }
    local follower <close> = server:connect()
    follower:write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    read_until(follower, "retry: 1000\n\n")
    post(server, "one")
    read_until(follower, 'id: 1\ndata: {"text":"one"}\n\n')
    post(server, "two")
    local other <close> = server:connect()
    other:write("GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n")
    read_until(other, 'id: 2\ndata: {"text":"two"}\n\n')
    assert.is_nil(other.buffer:find("one", 1, true))
    server:signal("TERM")
    assert.matches("\r\n0\r\n\r\n$", follower:read_all())
    follower:close()
    other:close()
    assert.same({ 0, "" }, { server:wait() })
  end)
end)
