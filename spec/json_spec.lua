-- SPDX-License-Identifier: MIT
-- json: what luaserve.json decodes, what it refuses and where, and round trips.

local json = require("luaserve.json")

-- {text, value}: documents that must decode, and to what. A function checks the value itself.
local ACCEPTED = {
  -- structure
  { "[]", {} },
  { "{}", {} },
  { "[[]]", { {} } },
  { '{"a":{}}', { a = {} } },
  { "[[[[[[]]]]]]", { { { { { {} } } } } } },
  { '{"a":[{"b":[]}]}', { a = { { b = {} } } } },
  { "[1,2,3]", { 1, 2, 3 } },
  { '[1,"a",true,false]', { 1, "a", true, false } },
  { '{"a":1,"b":2}', { a = 1, b = 2 } },
  { '{"":0}', { [""] = 0 } },
  { '{"a b":1,"c.d":2}', { ["a b"] = 1, ["c.d"] = 2 } },
  { '{"1":"x"}', { ["1"] = "x" } },
  { '{"a":1,"a":2}', { a = 2 } },
  { '{"a":1,"b":0,"a":[]}', { a = {}, b = 0 } },
  { '{"\\u0061":1,"a":2}', { a = 2 } },
  -- white space
  { " [ 1 , 2 ] ", { 1, 2 } },
  { "\t\n\r [\t1\n,\r2 ]\n\n", { 1, 2 } },
  { ' { "a" : 1 } ', { a = 1 } },
  { "{\n}", {} },
  { "[\n]", {} },
  -- lone values
  { "true", true },
  { "false", false },
  { '""', "" },
  { '"x"', "x" },
  { "42", 42 },
  { " 7 ", 7 },
  -- numbers
  { "0", 0 },
  { "-1", -1 },
  { "10", 10 },
  { "-12345678901", -12345678901 },
  { "9007199254740993", 9007199254740993 },
  { "999999999999999999", 999999999999999999 },
  { "9223372036854775807", math.maxinteger },
  { "-9223372036854775808", math.mininteger },
  { "9223372036854775808", 2.0 ^ 63 },
  { "-9223372036854775809", -2.0 ^ 63 },
  { "18446744073709551615", 2.0 ^ 64 },
  { "18446744073709551616", 2.0 ^ 64 },
  { "99999999999999999999", 1e20 },
  { "123456789012345678901234567890", 123456789012345678901234567890.0 },
  { "0.0", 0.0 },
  { "1.0", 1.0 },
  { "1.5", 1.5 },
  { "-0.25", -0.25 },
  { "0.1", 0.1 },
  { "3.14159", 3.14159 },
  { "0.30000000000000004", 0.1 + 0.2 },
  { "123456.789e-3", 123.456789 },
  { "1e0", 1.0 },
  { "1E2", 100.0 },
  { "1e+2", 100.0 },
  { "1e-2", 0.01 },
  { "1.5E+3", 1500.0 },
  { "0e5", 0.0 },
  { "0E+9", 0.0 },
  { "0e99999999999", 0.0 },
  { "1e-400", 0.0 },
  { "1e-99999999999999999999", 0.0 },
  { "123e-10000000", 0.0 },
  { "1.7976931348623157e308", 1.7976931348623157e308 },
  { "5e-324", 5e-324 },
  { "2.2250738585072014e-308", 2.2250738585072014e-308 },
  { "1e22", 1e22 },
  { "1e23", 1e23 },
  { "0.00000000000000000000000000000001", 1e-32 },
  { "1" .. ("0"):rep(400) .. "e-400", 1.0 },
  { "0." .. ("0"):rep(400) .. "1e401", 1.0 },
  { "1." .. ("0"):rep(1000), 1.0 },
  { "9007199254740993.0", 9007199254740992.0 },
  { "9007199254740993.00000000000000000000001", 9007199254740994.0 },
  -- strings
  { '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t' },
  { '"\\u0000"', "\0" },
  { '"a\\u0000b"', "a\0b" },
  { '"\\u0041\\u00e9\\u20AC"', "Aé€" },
  { '"\\uABCD\\uabcd"', "\u{ABCD}\u{ABCD}" },
  { '"\\u007f\\u0080\\u07ff\\u0800\\uffff"', "\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}" },
  { '"\\ud83d\\ude00"', "😀" },
  { '"\\uD800\\uDC00\\uDBFF\\uDFFF"', "\u{10000}\u{10FFFF}" },
  { '"é€😀"', "é€😀" },
  { '"\u{7F}"', "\u{7F}" },
  { '"\u{2028}\u{2029}\u{FEFF}"', "\u{2028}\u{2029}\u{FEFF}" },
  { '"\u{FFFE}\u{10FFFF}"', "\u{FFFE}\u{10FFFF}" },
  { '"a/b"', "a/b" },
  { '"eight by\\teight by"', "eight by\teight by" },
  { '["' .. ("x"):rep(200) .. '\\n"]', { ("x"):rep(200) .. "\n" } },
}

-- Texts that must be refused.
local REFUSED = {
  -- no value
  "", " ", "\n", "\0", "x", "[", "]", "{", "}", ",", ":", '"',
  -- arrays
  "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1;2]", "[1}", "[1]]", "[1],", "[[]", "[1:2]",
  '["a"', '["a",', "[\"a\":1]", "[x]", "[\0]", "[1]\0", "[-]", "[1\0]",
  -- objects
  '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{"a" 1}', '{"a":}', '{:1}', "{1:1}", "{a:1}", "{'a':1}",
  '{"a":1 "b":2}', '{"a":1,,"b":2}', '{"a"::1}', '{"a":1]', '{"a":1}}', '{"a","b"}', "{null:1}", "{[1]:1}",
  '{"a":1;"b":2}', '{,"a":1}', '{"a":1}#', '{"a":1}/**/', '{"a":/**/1}', '{"a":1,"b"}', "{{}}",
  -- words
  "nul", "nulll", "tru", "truee", "fals", "True", "NULL", "nil", "undefined", "[tru]", "t", "f", "n", "true false",
  "NaN", "nan", "Infinity", "-Infinity", "inf", "[NaN]", "tr\0e",
  -- numbers
  "01", "-01", "00", "-", "+1", "--1", "- 1", ".5", "-.5", "1.", "-1.", "1.e1", "1e", "1e+", "1E-", "1e1.5", "1ee1",
  "0x10", "0xA", "1_000", "1,000", "1a", "0b1", "1.2.3", "1.2e", "0.e1", "1 000", "[1.]", "[-a]", "１",
  "1e400", "-1e400", "1e99999999999", "[123.456e789]", "1" .. ("0"):rep(400),
  -- strings
  '"a', "'a'", '"a\\"', '"\\', '"\\x41"', '"\\a"', '"\\0"', '"\\\'"', '"\\U0041"', '"\\u"', '"\\u1"', '"\\u12"',
  '"\\u123"', '"\\u123g"', '"\\u 123"', '"\\u+123"', '"\\u00"', '"a"b', '"a" "b"', "\\u0022a\\u0022",
  '"a\nb"', '"a\tb"', '"a\rb"', '"a\0b"', '"\31"', '"' .. ("x"):rep(20) .. '\n"',
  -- surrogates
  '"\\ud800"', '"\\udc00"', '"\\ud800x"', '"\\ud800\\n"', '"\\ud800\\u"', '"\\ud800\\u0041"', '"\\ud800\\ud800"',
  '"\\udbff\\ue000"', '"\\ud83d\\\\ude00"', '"\\ud83d', '"\\ud83d\\ude0',
  -- encoding
  '"\x80"', '"\xBF"', '"\xC0\x80"', '"\xC1\xBF"', '"\xC3"', '"\xC3("', '"\xE2\x82"', '"\xE0\x80\x80"',
  '"\xED\xA0\x80"', '"\xED\xBF\xBF"', '"\xF0\x80\x80\x80"', '"\xF4\x90\x80\x80"', '"\xF5\x80\x80\x80"', '"\xFE"',
  '"\xFF"', '"\xF0\x9F\x98"', '"\xE9"', '{"\xFF":1}', "\xE2\x82\xAC", "[\xC2\xA0]", '"aaaaaaaa\xFFaaaaaaaa"',
  "\xEF\xBB\xBF{}", "\xEF\xBB\xBF", "\xFE\xFF\0[\0]", "[\0]\0",
  -- white space and comments
  "[\f]", "[\v1]", "\u{A0}1", "\u{2060}[]", "[1]//x", "/* x */ 1", "# x\n1", "[1 /* x */]",
}

local function decode(text, options)
  local value, message = json.decode(text, options)
  assert.is_nil(message)
  return value
end

local function refused(text, options)
  local value, message, code = json.decode(text, options)
  assert.is_nil(value, "accepted " .. text:sub(1, 60))
  assert.equal("EJSON", code)
  return message
end

-- Equal, and of the same number subtype: 1 is not 1.0.
local function identical(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  for key, value in pairs(a) do
    if not identical(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return getmetatable(a) == getmetatable(b)
end

describe("json.decode", function()
  for _, case in ipairs(ACCEPTED) do
    it("accepts " .. case[1]:sub(1, 50), function()
      local value = decode(case[1])
      assert.same(case[2], value)
      assert.equal(math.type(case[2]), math.type(value))
    end)
  end

  for _, text in ipairs(REFUSED) do
    it(("refuses %q"):format(text:sub(1, 50)), function()
      assert.matches("^EJSON: .+ at line %d+, column %d+ %(byte %d+%)$", refused(text))
    end)
  end

  it("gives json.null for null", function()
    assert.equal(json.null, decode("null"))
    assert.equal(json.null, decode("[null]")[1])
    assert.equal(json.null, decode('{"a":null}').a)
    assert.equal("null", tostring(json.null))
  end)

  it("keeps the sign of a zero", function()
    for _, text in ipairs({ "-0", "-0.0", "-0e1", "-1e-400" }) do
      local value = decode(text)
      assert.equal("float", math.type(value))
      assert.equal(-math.huge, 1 / value)
    end
    assert.equal("integer", math.type(decode("0")))
  end)

  it("marks arrays and not objects", function()
    local value = decode('{"list":[[],{}]}')
    assert.is_nil(getmetatable(value))
    assert.equal(json.array_mt, getmetatable(value.list))
    assert.equal(json.array_mt, getmetatable(value.list[1]))
    assert.is_nil(getmetatable(value.list[2]))
  end)

  it("tells line, column in characters and byte of an error", function()
    local text = '{\n  "a": [1],\n  "b": 2 "c": 3\n}'
    assert.equal("EJSON: expected ',' or '}' at line 3, column 10 (byte 24)", refused(text))
    assert.equal("EJSON: expected a value at line 1, column 4 (byte 4)", refused("[1,]"))
    assert.equal("EJSON: expected ':' at line 1, column 6 (byte 8)", refused('{"éé",1}'))
    assert.equal("EJSON: unexpected end, expected ',' or ']' at line 2, column 3 (byte 6)", refused("[1\n,2"))
    assert.equal("EJSON: unfinished string at line 1, column 2 (byte 2)", refused('["abc'))
    assert.equal("EJSON: control character in a string at line 1, column 3 (byte 3)", refused('"a\n"'))
    assert.equal("EJSON: invalid escape at line 1, column 3 (byte 3)", refused('"a\\x"'))
    assert.equal("EJSON: invalid UTF-8 at line 1, column 3 (byte 3)", refused('"a\xFF"'))
    assert.equal("EJSON: surrogate without its other half at line 1, column 2 (byte 2)", refused('"\\ud800"'))
    assert.equal("EJSON: the text starts with a byte order mark at line 1, column 1 (byte 1)", refused("\xEF\xBB\xBF1"))
    assert.equal("EJSON: expected nothing after the value at line 1, column 3 (byte 3)", refused("1 2"))
    assert.equal("EJSON: number out of range at line 1, column 2 (byte 2)", refused("[1e999]"))
  end)

  it("bounds the depth", function()
    local function nested(depth)
      return ("["):rep(depth) .. ("]"):rep(depth)
    end
    decode(nested(128))
    assert.equal("EJSON: nesting deeper than 128 at line 1, column 129 (byte 129)", refused(nested(129)))
    decode(nested(2), { max_depth = 2 })
    refused(nested(3), { max_depth = 2 })
    decode("[[],{},[]]", { max_depth = 2 })
    decode(nested(1000), { max_depth = 1000 })
    refused(nested(1001), { max_depth = 1000 })
    refused(("["):rep(1000000), { max_depth = 1000 })
    refused(('{"a":'):rep(1000000), { max_depth = 1000 })
    refused(("[1,"):rep(200000))
    decode(("[1,2,3,"):rep(999) .. "[]" .. ("]"):rep(999), { max_depth = 1000 })
    decode(("[" .. ("1,"):rep(60)):rep(999) .. "[]" .. ("]"):rep(999), { max_depth = 1000 })
  end)

  it("handles tables of every size", function()
    for _, n in ipairs({ 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 20000 }) do
      local list, map = {}, {}
      for i = 1, n do
        list[i] = i
        map["key" .. i] = i
      end
      local list_text, map_text = json.encode(list), json.encode(map)
      assert.is_true(identical(json.array(list), decode(list_text)))
      assert.is_true(identical(map, decode(map_text)))
    end
  end)

  it("lets the last of many equal keys win", function()
    for _, n in ipairs({ 2, 31, 32, 33, 100 }) do
      local members = {}
      for i = 1, n do
        members[i] = '"k":' .. i
      end
      assert.same({ k = n }, decode("{" .. table.concat(members, ",") .. "}"))
    end
  end)

  it("reads keys that come again as the first time", function()
    local names = { "é", 'a"b', "a\nb", "\u{1F600}", "a\0b" }
    for n = 0, 60 do
      names[#names + 1] = ("k"):rep(n)
      names[#names + 1] = ("\u{20AC}"):rep(n)
    end
    for _ = 1, 20 do
      for i, name in ipairs(names) do
        local text = ('{%s:%d}'):format(json.encode(name), i)
        assert.same({ [name] = i }, json.decode(text))
        assert.same({ { [name] = i }, { [name] = { [name] = i } } },
          json.decode(("[%s , %s]"):format(text, text:gsub("%d+}", text .. "}"))))
      end
    end
  end)

  -- Of these many have the same first, middle and last character.
  it("tells many keys apart, however often each comes", function()
    for round = 1, 20 do
      for i = 1, 500 do
        local name = ("k%d%d%sk"):format(i % 7, i, ("x"):rep(i % 5))
        assert.same({ [name] = round }, json.decode(('{"%s":%d}'):format(name, round)))
      end
      collectgarbage()
    end
  end)

  it("handles long strings", function()
    local plain = ("0123456789abcdef"):rep(65536)
    assert.equal(plain, decode('"' .. plain .. '"'))
    assert.equal(("\n"):rep(1 << 20), decode('"' .. ("\\n"):rep(1 << 20) .. '"'))
    assert.equal(("é€"):rep(200000), decode('"' .. ("é€"):rep(200000) .. '"'))
    assert.equal(("é"):rep(200000), decode('"' .. ("\\u00e9"):rep(200000) .. '"'))
    refused('"' .. plain)
    refused('"' .. plain .. "\\")
  end)

  it("finds a special byte at every offset", function()
    for before = 0, 20 do
      for after = 0, 10 do
        local head, tail = ("a"):rep(before), ("b"):rep(after)
        assert.equal(head .. "\n" .. tail, decode('"' .. head .. "\\n" .. tail .. '"'))
        assert.equal(head .. "é" .. tail, decode('"' .. head .. "é" .. tail .. '"'))
        refused('"' .. head .. "\1" .. tail .. '"')
        refused('"' .. head .. "\x80" .. tail .. '"')
      end
    end
  end)

  it("refuses every truncation of a document", function()
    local text = '{"a":[1,-2.5e+3,"x\\u00e9\\ud83d\\ude00é\\n",true,false,null,{"b":{}}],"long key":"0123456789abcdef"}'
    decode(text)
    for n = 0, #text - 1 do
      refused(text:sub(1, n))
    end
  end)

  it("survives every change of one byte", function()
    local text = '{"a":[1,-2.5e+3,"x\\u00e9\\ud83d\\ude00é",true,null]}'
    for at = 1, #text do
      for byte = 0, 255 do
        local value, message, code = json.decode(text:sub(1, at - 1) .. string.char(byte) .. text:sub(at + 1))
        assert.is_true(value ~= nil or code == "EJSON", message)
      end
    end
  end)

  it("raises for a wrong argument or option", function()
    assert.has_error(function() json.decode() end)
    assert.has_error(function() json.decode(12) end)
    assert.has_error(function() json.decode({}) end)
    local range = "option 'max_depth' is an integer from 1 to 1000"
    assert.error_matches(function() json.decode("1", { max_depth = 0 }) end, range)
    assert.error_matches(function() json.decode("1", { max_depth = 1001 }) end, "max_depth")
    assert.error_matches(function() json.decode("1", { max_depth = "5" }) end, "max_depth")
    assert.error_matches(function() json.decode("1", { indent = 2 }) end, "unknown option 'indent'")
    assert.error_matches(function() json.decode("1", { 5 }) end, "unknown option")
  end)
end)

describe("json round trip", function()
  local generate

  local strings = {
    "", "a", "key", "é", "€uro", "😀", "\0", "\n", '"', "\\", "\127", ("long "):rep(30), "a/b", "\u{FFFF}",
  }

  local function random_string()
    local parts = {}
    for i = 1, math.random(0, 4) do
      parts[i] = strings[math.random(#strings)]
    end
    return table.concat(parts)
  end

  local function random_number()
    local kind = math.random(4)
    if kind == 1 then
      return math.random(-1000, 1000)
    elseif kind == 2 then
      return math.random(0)
    elseif kind == 3 then
      return math.random() * 1000
    end
    return math.random(-1000, 1000) / 8
  end

  local scalars = {
    random_string,
    random_number,
    function() return math.random(2) == 1 end,
    function() return json.null end,
  }

  function generate(depth)
    local kind = math.random(depth > 0 and 6 or 4)
    if kind <= 4 then
      return scalars[kind]()
    end
    local value = kind == 5 and json.array() or {}
    for i = 1, math.random(0, 6) do
      value[kind == 5 and i or random_string()] = generate(depth - 1)
    end
    return value
  end

  it("takes as UTF-8 what Lua does", function()
    local edges = { 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF }
    local function check(...)
      local text = string.char(...)
      local valid = utf8.len(text) ~= nil
      assert.equal(valid, (pcall(json.encode, text)), text)
      assert.equal(valid, json.decode('"' .. text .. '"') == text, text)
    end
    for first = 0x80, 0xFF do
      check(first)
      for second = 0x7E, 0xFF do
        check(first, second)
        check(0x41, first, second)
      end
      for _, second in ipairs(edges) do
        for _, third in ipairs(edges) do
          check(first, second, third)
          check(first, second, third, 0x80)
          check(first, second, third, 0xC0)
        end
      end
    end
  end)

  it("gives back what went in", function()
    for seed = 1, 1000 do
      math.randomseed(seed)
      local value = generate(6)
      local text = json.encode(value)
      assert.is_true(identical(value, decode(text)), "seed " .. seed)
      assert.is_true(identical(value, decode(json.encode(value, { indent = seed % 9 }))), "seed " .. seed)
      local sorted = json.encode(value, { sort_keys = true })
      assert.equal(sorted, json.encode(decode(text), { sort_keys = true }), "seed " .. seed)
    end
  end)
end)
