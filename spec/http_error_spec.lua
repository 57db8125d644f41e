-- SPDX-License-Identifier: MIT
local App = require "luaserve.app"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"

describe("an http error", function()
  it("has a status, a message, fields and headers", function()
    local err = http_error.new(409, "somebody was faster", { revision = 8 }, { ["retry-after"] = 5 })
    assert.equal(409, err.status)
    assert.equal("somebody was faster", err.message)
    assert.same({ revision = 8 }, err.fields)
    assert.same({ ["retry-after"] = 5 }, err.headers)
    assert.equal("409: somebody was faster", tostring(err))
    assert.equal("404", tostring(http_error.new(404)))
  end)

  it("is told from other errors", function()
    assert.is_true(http_error.is(http_error.new(404)))
    for _, value in ipairs { "404", 404, { status = 404 }, print, io.stdout } do
      assert.is_false(http_error.is(value))
    end
    assert.is_false(http_error.is(nil))
  end)

  it("raises where it was not meant so", function()
    for problem, arguments in pairs {
      ["the status must be an integer from 400 to 599, not 200"] = { 200 },
      ["the status must be an integer from 400 to 599, not no"] = { "no" },
      ["the message must be a string, not a table"] = { 400, {} },
      ["the fields must be a table, not a string"] = { 400, "x", "y" },
      ["the headers must be a table, not a number"] = { 400, "x", {}, 1 },
    } do
      local ok, message = pcall(function() return (http_error.new(table.unpack(arguments))) end)
      assert.is_false(ok)
      assert.matches("^spec/http_error_spec.lua:%d+: http_error.new: " .. problem, message)
    end
  end)

  it("is answered as the client likes", function()
    local app <close> = App.new()
    app:get("/:status", function(req)
      error(http_error.new(math.tointeger(tonumber(req.params.status)), req.query.message, { code = 7 }))
    end)
    local function ask(path, accept)
      local response = app:request { path = path, headers = { accept = accept } }
      return response.status, response.headers["content-type"], response.body
    end
    for _, accept in ipairs { "application/json", "application/problem+json, text/plain", "APPLICATION/JSON;q=0.9" } do
      local status, content_type, body = ask("/404?message=gone", accept)
      assert.same({ 404, "application/problem+json" }, { status, content_type })
      assert.same({ title = "Not Found", status = 404, detail = "gone", code = 7 }, json.decode(body))
    end
    for _, accept in ipairs { "text/html, application/json", "*/*", "", "text/plain" } do
      assert.same({ 404, "text/plain; charset=utf-8", "gone\n" }, { ask("/404?message=gone", accept) })
    end
    assert.same({ 404, "text/plain; charset=utf-8", "Not Found\n" }, { ask("/404") })
    local _, _, body = ask("/499", "application/json")
    assert.same({ status = 499, code = 7 }, json.decode(body))
  end)

  it("cannot put fields into a response", function()
    local app <close> = App.new()
    app:get("/", function() error(http_error.new(400, nil, nil, { ["x-a"] = "b\r\nx-c: d" })) end)
    assert.equal(500, app:request("/").status)
  end)

  it("can be answered by who has asked for it", function()
    local app <close> = App.new()
    app:on_error(function(err, req, res)
      res:set("x-mine", "1")
      return http_error.answer(err, req, res)
    end)
    app:get("/", function() error(http_error.new(402)) end)
    local response = app:request("/")
    assert.same({ 402, "1", "Payment Required\n" }, { response.status, response.headers["x-mine"], response.body })
  end)
end)
