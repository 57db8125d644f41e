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

  it("is one also where the module was loaded twice, as busted does for each file", function()
    local loaded = package.loaded["luaserve.http_error"]
    package.loaded["luaserve.http_error"] = nil
    local again = require "luaserve.http_error"
    package.loaded["luaserve.http_error"] = loaded
    assert.is_false(again == http_error)
    assert.is_true(http_error.is(again.new(404)))
    for _, other in pairs { {}, setmetatable({}, {}), "404", 404, io.stdout, setmetatable({}, { __metatable = 1 }) } do
      assert.is_false(http_error.is(other))
    end
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

  it("is one also after the module was loaded again", function()
    local loaded = package.loaded["luaserve.http_error"]
    package.loaded["luaserve.http_error"] = nil
    local other = require "luaserve.http_error"
    package.loaded["luaserve.http_error"] = loaded
    assert.is_true(http_error.is(other.new(404)))
    assert.same({ false, false, false, false },
      { http_error.is(nil), http_error.is("404"), http_error.is({}), http_error.is(io.stdout) })
  end)

  it("says of a body what is wrong with it, without codes, to clients and to error handlers", function()
    local app, seen <close> = App.new(), App.new()
    app:post("/json", function(req, res) res:json(assert(req:json())) end)
    app:post("/form", function(req, res) res:json(assert(req:form())) end)
    app:post("/small", function(req, res) res:send((assert(req:body(2)))) end)
    app:post("/multipart", function(req) req:multipart_form() end)
    seen:mount("/", app)
    seen:on_error(function(err) seen.last = err end)
    local accept = { accept = "application/json", ["content-type"] = "application/json" }
    local function assert_says(path, body, kind, status, detail)
      accept["content-type"] = kind
      local response = assert(seen:request { method = "POST", path = path, body = body, headers = accept })
      local problem = json.decode(response.body)
      assert.same({ status, detail }, { response.status, problem.detail })
      assert.same({ status, detail }, { seen.last.status, seen.last.message })
      assert.is_true(http_error.is(seen.last))
    end
    assert_says("/json", "{", "application/json", 400,
      "the body is no JSON: unexpected end, expected a string as key at line 1, column 2 (byte 2)")
    assert_says("/json", "{}", "text/x\xff", 415, "the body is no JSON: its content-type is text/x?")
    assert_says("/form", "a=b", "text/plain", 415, "the body is no form: its content-type is text/plain")
    assert_says("/small", "123", "text/plain", 413, "the body is too large")
    assert_says("/multipart", "--b", "multipart/form-data; boundary=b", 400,
      "the body has no end: it was cut off, or the boundary is another one")
  end)
end)
