-- SPDX-License-Identifier: MIT
--- luaserve.validate, and req:validate over real sockets.

local json = require "luaserve.json"
local validate = require "luaserve.validate"
local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"

--- What is wrong with value: "pointer: detail" of each, on lines.
local function faults(schema, value, options)
  local result, errors = schema(value, options)
  if not errors then return "" end
  assert.is_nil(result)
  local lines = {}
  for i, err in ipairs(errors) do lines[i] = err.pointer .. ": " .. err.detail end
  return table.concat(lines, "\n")
end

local function check_good(schema, values, options)
  for _, value in ipairs(values) do
    assert.equal("", faults(schema, value, options), tostring(value))
  end
end

local function check_bad(schema, values, options)
  for _, value in ipairs(values) do
    assert.not_equal("", faults(schema, value, options), tostring(value))
  end
end

describe("a schema of", function()
  it("string", function()
    local s = validate.string()
    check_good(s, { "", "x", "\xc3\xa4", "1" })
    check_bad(s, { 1, true, {}, json.null, "\xff", "\xed\xa0\x80" })
    assert.equal(": must be a string, not a number", faults(s, 1))
    assert.equal(": must be a string, not null", faults(s, json.null))
    assert.equal(": must be a string, not an array", faults(s, json.array()))
    assert.equal(": must be UTF-8", faults(s, "\xff"))
    assert.equal(": is missing", faults(s, nil))
    assert.equal("\xff", validate.string { bytes = true } "\xff")
  end)

  it("string of some length, in characters", function()
    local s = validate.string { min = 2, max = 3 }
    check_good(s, { "ab", "abc", "\xc3\xa4\xc3\xa4" })
    assert.equal(": must have at least 2 characters", faults(s, "\xc3\xa4"))
    assert.equal(": must have at most 3 characters", faults(s, "abcd"))
    assert.equal(": must have exactly 1 character", faults(validate.string { length = 1 }, ""))
    assert.equal(": must have at most 1 byte", faults(validate.string { max = 1, bytes = true }, "\xc3\xa4"))
    assert.equal("a b", validate.string { trim = true, max = 3 } " \t a b\n ")
    assert.equal("", validate.string { trim = true } "   ")
  end)

  it("string of some form", function()
    check_good(validate.string { pattern = "^%l+$" }, { "abc" })
    check_bad(validate.string { pattern = "^%l+$" }, { "", "aBc" })
    assert.has_error(function() validate.string { format = "emial" } end)
    local cases = {
      email = { { "a@b", "a.b+c@example.org", "a'b@x-y.z", ("a"):rep(64) .. "@b" },
        { "", "@", "a@", "@b", "a@b@c", "a b@c", "a@-b", "a@b-", "a@b..c", "a@b.", "\xc3\xa4@b", ("a"):rep(65) .. "@b",
          "a@" .. ("b"):rep(64), "a@b\n" } },
      uuid = { { "123e4567-e89b-12d3-a456-426614174000", "00000000-0000-0000-0000-00000000000F" },
        { "", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400",
        "123e456-7e89b-12d3-a456-4266141740000",
          "123e4567-e89b-12d3-a456-42661417400g", "{123e4567-e89b-12d3-a456-42661417400" } },
      date = { { "2026-02-28", "2024-02-29", "2000-02-29", "0001-12-31" },
        { "", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "2026-04-31", "26-01-01",
        "2026-1-1", "2026-01-01 " } },
      time = { { "00:00:00", "23:59:60", "12:00:00.5" }, { "", "24:00:00", "12:60:00", "12:00:61", "12:00",
        "12:00:00.", "12:00:00x" } },
      ["date-time"] = { { "2026-02-28T23:59:59Z", "2026-02-28t00:00:00.123+01:30", "2026-02-28T00:00:00-23:59" },
        { "", "2026-02-28", "2026-02-28T23:59:59", "2026-02-28 23:59:59Z", "2026-02-30T00:00:00Z",
        "2026-02-28T24:00:00Z",
          "2026-02-28T00:00:00+24:00", "2026-02-28T00:00:00ZZ", "T", "2026-02-28T" } },
      ipv4 = { { "127.0.0.1", "0.0.0.0", "255.255.255.255" }, { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
        "1..2.3", "1.2.3.", ".1.2.3",
        "0x7f.0.0.1" } },
      ipv6 = { { "::", "::1", "2001:db8::a", "::ffff:1.2.3.4" }, { "", "1.2.3.4", ":", "::1::", "[::1]", "::1%eth0",
        "g::", "::1]/[" } },
      hostname = { { "a", "a-b.example.org", "1.example" }, { "", "-a", "a-", "a..b", "a.", ".a", "a_b", ("a"):rep(64),
        ("a."):rep(126) .. "ab" } },
      url = { { "http://a", "https://example.org:8080/x?y#z" }, { "", "example.org", "ftp://a", "javascript:alert(1)",
        "http:a", "http://a b",
        "https://", " http://a", "http://a\n" } },
      uri = { { "http://a", "mailto:a@b", "urn:x:y" }, { "", "a", "/a", "a b:c" } },
    }
    for format, case in pairs(cases) do
      local schema = validate.string { format = format }
      check_good(schema, case[1])
      check_bad(schema, case[2])
      for i = 0, 255 do schema(string.char(i):rep(100000)) end -- in a time that grows no faster than the text
    end
    assert.equal(": must be an e-mail address", faults(validate.string { format = "email" }, "x"))
  end)

  it("integer and number", function()
    local i = validate.integer { min = -1, max = 10 }
    assert.equal("integer", math.type(i(5.0)))
    check_good(i, { -1, 0, 10, 10.0 })
    check_bad(i, { -2, 11, 1.5, "1", true, 0/0, 1/0, json.null, {} })
    assert.equal(": must be at least -1", faults(i, -2))
    assert.equal(": must be at most 10", faults(i, 11))
    assert.equal(": must be an integer", faults(i, 1.5))
    assert.equal(": must be an integer, not a string", faults(i, "1"))
    check_bad(validate.integer(), { 2^63, -2^64 })
    local n = validate.number { min = 0.5 }
    check_good(n, { 0.5, 1, 1e300 })
    check_bad(n, { 0.4, "1", 0/0, 1/0 })
    check_bad(validate.number(), { 0/0, 1/0, -1/0 })
  end)

  it("boolean, enum and any", function()
    assert.is_false(validate.boolean()(false))
    check_good(validate.boolean(), { true, false })
    check_bad(validate.boolean(), { 0, "true", json.null })
    local e = validate.enum { "a", 1, true }
    check_good(e, { "a", 1, true })
    assert.equal(': must be one of "a", 1, true', faults(e, "b"))
    check_bad(e, { "1", false, "A" })
    check_good(validate.any(), { 1, "x", {}, json.null, false })
    assert.equal(": is missing", faults(validate.any()))
  end)

  it("array", function()
    local a = validate.array(validate.integer(), { min = 1, max = 3, unique = true })
    check_good(a, { { 1 }, { 1, 2, 3 }, assert(json.decode "[1,2]") })
    assert.equal("/1: must be an integer, not a string\n/2: must be an integer, not null", faults(a, { 1, "x",
      json.null }))
    assert.equal("/2: is there twice", faults(a, { 1, 2, 1 }))
    assert.equal(": must have at least 1 item", faults(a, json.array()))
    assert.equal(": must have at most 3 items", faults(a, { 1, 2, 3, 4 }))
    check_bad(a, { "x", 1, { a = 1 }, json.null })
    assert.equal("[1,2]", json.encode(a { 1, 2 }))
    assert.equal("[]", json.encode(validate.array(validate.any()) {}))
  end)

  it("object", function()
    local o = validate.object { name = validate.string { min = 1 }, age = validate.integer { min = 0,
      optional = true } }
    assert.same({ name = "Ada", age = 36 }, o { name = "Ada", age = 36 })
    assert.same({ name = "Ada" }, o { name = "Ada" })
    assert.equal("/age: must be at least 0\n/name: is missing\n/admin: is not known\n/x: is not known",
      faults(o, { age = -1, admin = true, x = 1 }))
    assert.equal(": must be an object, not an array", faults(o, json.array()))
    assert.equal(": must be an object, not null", faults(o, json.null))
    assert.equal("/name: is missing\n/1: is not known", faults(o, { "Ada" }))
    check_bad(o, { "x", 1, true })
  end)

  it("object with other fields, refused, stripped or kept", function()
    local fields = { a = validate.integer() }
    local input = { a = 1, b = { 2 } }
    assert.equal("/b: is not known", faults(validate.object(fields), input))
    assert.equal("/b: is not known", faults(validate.object(fields, { unknown = "refuse" }), input))
    assert.same({ a = 1 }, validate.object(fields, { unknown = "strip" })(input))
    local kept = validate.object(fields, { unknown = "keep" })(input)
    assert.same(input, kept)
    assert.not_equal(input.b, kept.b)
    assert.has_error(function() validate.object(fields, { unknown = "ignore" }) end)
  end)

  it("objects in arrays in objects, with all errors and where they are", function()
    local o = validate.object { items = validate.array(validate.object { ["a/b~c"] = validate.integer(),
      n = validate.string() }) }
    assert.equal("/items/1/a~1b~0c: must be an integer, not a string\n/items/1/n: is missing\n" ..
      "/items/2: must be an object, not null",
      faults(o, assert(json.decode '{"items": [{"a/b~c": 1, "n": ""}, {"a/b~c": "x"}, null]}')))
  end)

  it("itself, up to a depth", function()
    local tree
    tree = validate.object { children = validate.array(validate.lazy(function() return tree end), { optional = true }) }
    assert.same({ children = { { children = {} }, {} } }, tree { children = { { children = {} }, {} } })
    local deep = {}
    for _ = 1, 100 do deep = { children = { deep } } end
    assert.matches("is nested too deeply$", faults(tree, deep))
    local loop
    loop = validate.lazy(function() return loop end)
    assert.equal(": is nested too deeply", faults(loop, 1))
    local ring = {}
    ring.a, ring.b = ring, ring
    assert.matches("is nested too deeply", faults(validate.any(), ring))
    assert.matches("is nested too deeply", faults(validate.object({}, { unknown = "keep" }), ring))
  end)
end)

describe("an option of every schema", function()
  it("is optional and default", function()
    assert.is_nil(validate.integer { optional = true }(nil))
    assert.is_nil(select(2, validate.integer { optional = true }(nil)))
    assert.equal(": must be an integer, not null", faults(validate.integer { optional = true }, json.null))
    assert.equal(8080, validate.integer { default = 8080 }(nil))
    assert.equal(1, validate.integer { default = 8080 }(1))
    local list = validate.array(validate.any(), { default = { 1 } })
    local first = list(nil)
    first[1] = 2
    assert.same({ 1 }, list(nil))
    assert.equal("[]", json.encode(validate.array(validate.any(), { default = {} })(nil)))
    local required = validate.integer()
    assert.is_nil((validate.optional(required)(nil)))
    assert.equal(": is missing", faults(required, nil))
  end)

  it("is nullable", function()
    assert.equal(json.null, validate.integer { nullable = true }(json.null))
    assert.equal(": is missing", faults(validate.integer { nullable = true }, nil))
  end)

  it("is check", function()
    local even = validate.integer { check = function(n) return n % 2 == 0, "must be even" end }
    assert.equal(2, even(2))
    assert.equal(": must be even", faults(even, 1))
    assert.equal(": must be an integer, not a string", faults(even, "x"))
    assert.equal(": is not valid", faults(validate.any { check = function() end }, 1))
    local span = validate.object({ from = validate.integer(), to = validate.integer() },
      { check = function(value) return value.from <= value.to, "100% wrong" end })
    assert.equal(": 100% wrong", faults(span, { from = 2, to = 1 }))
    assert.equal("/to: is missing", faults(span, { from = 2 }))
  end)

  it("is known, and of its type", function()
    assert.has_error(function() validate.integer { mim = 1 } end,
      "validate.integer: unknown option 'mim' (did you mean 'min'?)")
    assert.has_error(function() validate.integer { min = "1" } end, "validate.integer: min cannot be a string")
    for _, wrong in ipairs { function() validate.integer { optional = 1 } end,
      function() validate.string { pattern = 1 } end,
      function() validate.any { check = 1 } end, function() validate.object { a = 1 } end,
        function() validate.object() end,
      function() validate.object { validate.any() } end, function() validate.array() end,
        function() validate.array {} end,
      function() validate.enum {} end, function() validate.enum() end, function() validate.lazy() end,
      function() validate.optional {} end, function() validate.any()(1, { coerse = true }) end } do
      assert.has_error(wrong)
    end
    local _, message = pcall(function() local s = validate.string { mim = 1 } return s end)
    assert.matches("validate_spec.lua:" .. debug.getinfo(1, "l").currentline - 1 .. ": ", message)
  end)

  it("can be read: a schema is a table", function()
    local s = validate.object({ a = validate.string { min = 1, description = "a name" } })
    assert.equal("object", s.type)
    assert.same({ "string", 1, "a name" }, { s.fields.a.type, s.fields.a.min, s.fields.a.description })
    assert.is_true(validate.is(s))
    assert.is_false(validate.is {})
    assert.equal("schema: object", tostring(s))
  end)
end)

describe("coercion", function()
  local coerce = { coerce = true }

  it("makes numbers and booleans of strings", function()
    local i, n, b = validate.integer(), validate.number(), validate.boolean()
    assert.same({ 7, -7, 7, 0 }, { i("7", coerce), i("-7", coerce), i("+07", coerce), i("0", coerce) })
    check_bad(i, { "", " 7", "7 ", "7.0", "0x7", "1e3", "9223372036854775808", "seven", ("1"):rep(1000) }, coerce)
    assert.equal(math.maxinteger, i("9223372036854775807", coerce))
    assert.same({ 1.5, 7, -0.25, 1000.0 }, { n("1.5", coerce), n("7", coerce), n("-0.25", coerce), n("1e3", coerce) })
    check_bad(n, { "", "nan", "inf", "0x1p4", " 1", "1e999", ".", "1,5", "--1" }, coerce)
    assert.same({ true, true, true, false, false, false }, { b("true", coerce), b("1", coerce), b("on", coerce),
      b("false", coerce),
      b("0", coerce), b("off", coerce) })
    check_bad(b, { "yes", "TRUE", "" }, coerce)
    assert.equal(1, validate.enum { "a", 1 }("1", coerce))
    check_bad(i, { "7" })
  end)

  it("makes a list of one value", function()
    assert.same({ 7 }, (validate.array(validate.integer())("7", coerce)))
  end)

  it("takes a field that was left empty for absent, where it is optional", function()
    local o = validate.object { a = validate.integer { optional = true }, b = validate.string { optional = true },
      c = validate.string { optional = true, min = 1 }, d = validate.integer { default = 5 },
        e = validate.string { optional = true, format = "email" } }
    assert.same({ b = "", d = 5 }, o({ a = "", b = "", c = "", d = "", e = "" }, coerce))
    assert.equal(": must be an integer, not a string", faults(validate.integer(), "", coerce))
  end)

  it("changes nothing about what is no string", function()
    check_bad(validate.string(), { 1, true }, coerce)
    check_bad(validate.integer(), { true }, coerce)
  end)
end)

describe("errors", function()
  it("are bounded", function()
    local list = {}
    for i = 1, 10000 do list[i] = "x" end
    assert.equal(100, #select(2, validate.array(validate.integer())(list)))
    local map = {}
    for i = 1, 10000 do map["k" .. i] = 1 end
    assert.equal(100, #select(2, validate.object {} (map)))
  end)

  it("can be had by the names of fields, the first of each", function()
    local schema = validate.object {
      name = validate.string { min = 2 }, tags = validate.array(validate.integer(), { unique = true }),
    }
    local _, errors = schema { name = "x", tags = { 1, "a", 1 }, more = true }
    assert.same({ name = "must have at least 2 characters", more = "is not known", ["tags/1"] =
      "must be an integer, not a string", ["tags/2"] = "is there twice" }, validate.by_name(errors))
    assert.same({ [""] = "must be an object, not a number" }, validate.by_name(select(2, schema(7))))
    assert.same({ name = "first" }, validate.by_name { { pointer = "/name", detail = "first" },
      { pointer = "/name", detail = "second" } })
  end)

  it("can be encoded as JSON, whatever the client sent", function()
    local _, list = validate.object {} { ["\xff\1a"] = 1, [("x"):rep(100000)] = 1 }
    assert.equal("/" .. ("x"):rep(200) .. "...", list[1].pointer)
    assert.equal("/??a", list[2].pointer)
    assert.is_string(json.encode(list))
  end)
end)

describe("req:validate", function()
  after_each(http_servers.clean_up)

  local schema = validate.object { name = validate.string { min = 1 }, age = validate.integer { optional = true,
    min = 0 },
    tags = validate.array(validate.string(), { optional = true }) }

  --- Asks; what the handler got, or the error that validate raised.
  local function ask(request, from)
    local got, err
    local _, address = http_servers.serve({}, function(req, res)
      local ok, value = pcall(req.validate, req, schema, from)
      if not ok then
        err = value
        error(value, 0)
      end
      got = value
      res:send "ok"
    end)
    local response = client.request(address, request)
    return response.status, got, err
  end

  local function post(type, body, from)
    return ask({ method = "POST", body = body, headers = { ["content-type"] = type } }, from)
  end

  it("reads JSON", function()
    local status, value = post("application/json", '{"name": "Ada", "age": 36, "tags": ["x"]}')
    assert.same({ 200, { name = "Ada", age = 36, tags = { "x" } } }, { status, value })
    local failed, _, err = post("application/json", '{"name": "", "age": "36", "x": 1}')
    assert.equal(400, failed)
    assert.same({ 400, "the request is not valid" }, { err.status, err.message })
    assert.same({ { pointer = "/age", detail = "must be an integer, not a string" }, { pointer = "/name",
      detail = "must have at least 1 character" }, { pointer = "/x", detail = "is not known" } }, err.fields.errors)
  end)

  it("reads forms, queries and parameters, whose text becomes what is wanted", function()
    local expected = { name = "Ada L", age = 36, tags = { "x", "y" } }
    local text = "name=Ada+L&age=36&tags=x&tags=y&name=Eve"
    assert.same({ 200, expected }, { post("application/x-www-form-urlencoded", text) })
    assert.same({ 200, expected }, { ask { path = "/?" .. text } })
    assert.same({ 200, expected }, { ask({ method = "POST", path = "/?" .. text, body = "x" }, "query") })
    local parts = {}
    for name, value in text:gmatch "(%w+)=([^&]+)" do
      parts[#parts + 1] = ('--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name,
        value:gsub("+", " "))
    end
    assert.same({ 200, expected }, { post("multipart/form-data; boundary=b", table.concat(parts) .. "--b--") })
    local _, address = http_servers.serve({}, function(req, res)
      req.params = { id = "7" }
      res:json(req:validate(validate.object { id = validate.integer() }, "params"))
    end)
    assert.equal('{"id":7}', client.request(address, {}).body)
  end)

  it("takes no object of JSON for an empty array", function()
    local list = validate.array(validate.integer())
    assert.same({}, list {})
    assert.same({}, list(json.decode "[]", { from_json = true }))
    local value, errors = list(json.decode "{}", { from_json = true })
    assert.same({ nil, "must be an array, not an object" }, { value, errors[1].detail })
    assert.is_nil((list(json.object())))
    local app <close> = require "luaserve.app".new()
    app:post("/", function(req, res) res:json(req:validate(list)) end)
    local function post_json(body)
      return app:request({ method = "POST", body = body, headers = { ["content-type"] = "application/json" } }).status
    end
    assert.same({ 200, 400, 200 }, { post_json "[]", post_json "{}", post_json "[1]" })
  end)

  it("is answered by what is wrong", function()
    assert.equal(400, (post("application/json", "{")))
    assert.matches("^the body is no JSON: .* at line 1, column 2", select(3, post("application/json", "{")).message)
    assert.equal(415, (post("text/plain", "{}")))
    assert.equal(415, (post("text/plain", "name=x", "form")))
    assert.equal(413, (post("application/json", (" "):rep(1 << 20) .. "{}")))
    assert.equal(400, (post("multipart/form-data; boundary=b", "--b")))
    assert.equal(400, (post("application/json", "null")))
    assert.equal(413, (post("application/x-www-form-urlencoded", ("a=1&"):rep(1001))))
    assert.equal(415, (post("text/\xff", "{}")))
    assert.matches("text/%?$", select(3, post("text/\xff", "{}")).message)
    assert.equal(400, (ask {}))
  end)

  it("wants a schema, and a source that there is", function()
    local _, address = http_servers.serve({}, function(req, res)
      assert.has_error(function() req:validate {} end, "req:validate: a schema of luaserve.validate is needed")
      assert.has_error(function() req:validate(schema, "cookies") end)
      res:send "ok"
    end)
    assert.equal("ok", client.request(address, {}).body)
  end)
end)
