-- SPDX-License-Identifier: MIT
--- examples/hello.lua, asked in this process, and served by the program.

local process = require "spec.support.process"
local test = require "luaserve.test"

describe("examples/hello.lua", function()
  local client = test.fixture(function() return test.client(dofile "examples/hello.lua") end)

  it("greets whoever it is, as text", function()
    client():get("/"):expect(200):expect_header("content-type", "text/plain; charset=utf-8")
      :expect_body("Hello from luaserve, whoever you are!\n")
  end)

  it("greets by name", function()
    client():get("/", { query = { name = "Ada & Grace" } }):expect_body("Hello from luaserve, Ada & Grace!\n")
    client():get("/?name=Ada&name=Grace"):expect_body("Hello from luaserve, Ada!\n")
    client():get("/?name="):expect_body("Hello from luaserve, !\n")
  end)

  it("greets on every path, and whatever it is sent", function()
    client():get("/a/b?name=x"):expect(200)
    client():post("/", { form = { name = "ignored" } }):expect(200):expect_body("whoever you are")
    client():head("/"):expect(200):expect_header("content-length", "38")
  end)
end)

describe("examples/hello.lua, by luaserve", function()
  after_each(process.clean_up)

  it("greets", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local response = server:request "/"
    assert.equal(200, response.status)
    assert.equal("Hello from luaserve, whoever you are!\n", response.body)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal("Hello from luaserve, Ada & Grace!\n", server:request("/?name=Ada+%26%20Grace").body)
    local head = server:request { method = "HEAD" }
    assert.equal(200, head.status)
    assert.equal("", head.body)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("greets two requests on one connection", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local connection = server:connect()
    for _, name in ipairs { "Ada", "Grace" } do
      assert.equal(("Hello from luaserve, %s!\n"):format(name), connection:request({ path = "/?name=" .. name }).body)
    end
    server:stop()
  end)
end)
