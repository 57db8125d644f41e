-- SPDX-License-Identifier: MIT
-- No bytes that a client can send make a 500 of what a handler does with them.
local App = require "luaserve.app"
local http_error = require "luaserve.http_error"
local validate = require "luaserve.validate"

describe("bytes that are no UTF-8", function()
  local app
  before_each(function() app = App.new() end)
  after_each(function() app:close() end)

  local function ask(handler, request)
    app:all("/*rest", handler)
    return assert(app:request(request))
  end

  local function assert_replaced(expected, handler, request)
    local response = ask(handler, request)
    assert.same({ 200, expected }, { response.status, response.body })
  end

  local form = { ["content-type"] = "application/x-www-form-urlencoded" }

  it("are replaced in JSON: of a form", function()
    assert_replaced('{"a":"\u{FFFD}"}', function(req, res) res:json((req:form())) end,
      { method = "POST", body = "a=%FF", headers = form })
  end)

  it("of names in a form", function()
    assert_replaced('{"\u{FFFD}":"1"}', function(req, res) res:json((req:form())) end,
      { method = "POST", body = "%FF=1", headers = form })
  end)

  it("of a query", function()
    assert_replaced('{"a":"\u{FFFD}"}', function(req, res) res:json(req.query) end, "/?a=%FF")
  end)

  it("of a path", function()
    assert_replaced('{"rest":"\u{FFFD}"}', function(req, res) res:json(req.params) end, "/%FF")
  end)

  it("of cookies and header fields", function()
    assert_replaced('[{"a":"\u{FFFD}"},"\u{FFFD}"]',
      function(req, res) res:json { req:cookies(), req.headers["x-a"] } end,
      { headers = { cookie = "a=\xff", ["x-a"] = "\xff" } })
  end)

  it("of a form in parts", function()
    assert_replaced('{"\u{FFFD}":"\u{FFFD}"}', function(req, res) res:json((req:multipart_form())) end,
      { method = "POST", headers = { ["content-type"] = "multipart/form-data; boundary=b" },
        body = '--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n\xff\r\n--b--\r\n' })
  end)

  it("of what a schema has let through", function()
    local schema = validate.object({ a = validate.string { bytes = true } })
    assert_replaced('{"a":"\u{FFFD}"}', function(req, res) res:json(req:validate(schema)) end, "/?a=%FF")
  end)

  it("and in problems", function()
    local request = { path = "/?a=%FF", headers = { accept = "application/json" } }
    local response = ask(function(req) error(http_error.new(404, req.query.a)) end, request)
    assert.equal(404, response.status)
    assert.matches('"detail":"\u{FFFD}"', response.body, 1, true)
  end)

  it("and name no file", function()
    local response = ask(function(req, res)
      local ok, _, code = res:send_file(req.query.a, { root = "spec" })
      if not ok then res:send(404, code) end
    end, "/?a=%00")
    assert.same({ 404, "ENOENT" }, { response.status, response.body })
  end)
end)
