-- SPDX-License-Identifier: MIT
--- examples/hello.lua, asked in this process. That the program serves it is in spec/system/examples_spec.lua.

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
