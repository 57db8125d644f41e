-- SPDX-License-Identifier: MIT
-- json: what luaserve.json encodes, and how it names what it cannot.

local json = require("luaserve.json")

local function decode(text)
  local value, message = json.decode(text)
  assert.is_nil(message)
  return value
end

local function raised(...)
  local ok, message = pcall(json.encode, ...)
  assert.is_false(ok)
  return message
end

describe("json.encode", function()
  it("writes values", function()
    assert.equal("null", json.encode(json.null))
    assert.equal("true", json.encode(true))
    assert.equal("false", json.encode(false))
    assert.equal("{}", json.encode({}))
    assert.equal("[1,2,3]", json.encode({ 1, 2, 3 }))
    assert.equal('[{"a":[]},"x"]', json.encode({ { a = json.array() }, "x" }))
    assert.equal('{"1":2}', json.encode({ ["1"] = 2 }))
    assert.equal("[true,null,false]", json.encode({ true, json.null, false }))
  end)

  it("writes integers exactly", function()
    local values = { 0, 1, -1, 9, 10, 99, 100, 101, 12345, -98765, 999999999999, math.maxinteger, math.mininteger }
    for _, value in ipairs(values) do
      assert.equal(("%d"):format(value), json.encode(value))
    end
    for shift = 0, 62 do
      for around = -1, 1 do
        local value = (1 << shift) + around
        assert.equal(("%d"):format(value), json.encode(value))
        assert.equal(("%d"):format(-value), json.encode(-value))
      end
    end
  end)

  it("writes floats so that they come back as the same float", function()
    local cases = {
      { 0.5, "0.5" }, { 0.1, "0.1" }, { -2.75, "-2.75" }, { 1.0, "1.0" }, { 100.0, "100.0" }, { 123.456, "123.456" },
      { 0.1 + 0.2, "0.30000000000000004" }, { 1 / 3, "0.3333333333333333" }, { 0.001, "0.001" }, { 19.99, "19.99" },
      { 1e22, "1e+22" }, { 2.0 ^ 53, "9007199254740992.0" }, { 1.7976931348623157e308, "1.7976931348623157e+308" },
      { 2251799813685249.5, "2251799813685249.5" }, { 0.0009765625, "0.0009765625" }, { 5e-300, "5e-300" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], json.encode(case[1]))
    end
    assert.equal("0.0", json.encode(0.0))
    assert.equal("-0.0", json.encode(-0.0))
    assert.equal(-math.huge, 1 / decode(json.encode(-0.0)))
  end)

  it("writes the fewest digits for random floats", function()
    math.randomseed(7)
    local function check(value)
      local text = json.encode(value)
      local back = decode(text)
      assert.equal(value, back)
      assert.equal("float", math.type(back))
      assert.equal(value, tonumber(text))
      local digits = 17
      for precision = 15, 16 do
        if tonumber(("%%.%dg"):format(precision):format(value)) == value then
          digits = precision
          break
        end
      end
      local shown = text:gsub("e.*", ""):gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", "")
      assert.is_true(#shown <= digits, text)
    end
    for _ = 1, 3000 do
      local bits = math.random(0)
      local value = string.unpack("d", string.pack("j", bits))
      if value == value and value ~= math.huge and value ~= -math.huge then
        check(value)
      end
      check(math.random() * 10.0 ^ math.random(-6, 18))
      check(math.random(1 << 53) / 1024.0)
      check(math.random(100000) / 100)
    end
    for exponent = -1074, 1023 do
      check(2.0 ^ exponent)
      check(2.0 ^ exponent * (2 - 2.0 ^ -52))
    end
  end)

  it("escapes what must be, and nothing else", function()
    assert.equal([["\"\\/\b\f\n\r\t"]], json.encode('"\\/\b\f\n\r\t'))
    assert.equal('"\\u0000\\u0001\\u001f\u{7F}"', json.encode("\0\1\31\u{7F}"))
    assert.equal('"é€😀\u{2028}"', json.encode("é€😀\u{2028}"))
    for byte = 0, 127 do
      local text = ("x"):rep(byte % 11) .. string.char(byte) .. ("y"):rep(byte % 7)
      assert.equal(text, decode(json.encode(text)))
      assert.equal(1, decode(json.encode({ [text] = 1 }))[text])
    end
  end)

  it("handles long strings", function()
    local plain = ("0123456789abcdef"):rep(65536)
    assert.equal('"' .. plain .. '"', json.encode(plain))
    assert.equal('"' .. ("\\u0001"):rep(1 << 20) .. '"', json.encode(("\1"):rep(1 << 20)))
    for n = 500, 530 do
      local text = ("a"):rep(n) .. "€" .. ("b"):rep(n)
      assert.equal('"' .. text .. '"', json.encode(text))
    end
    assert.equal('[1]', json.encode({ 1 }))
  end)

  -- After a long text the memory is given back, so that the next one begins with little.
  it("has room wherever the text has got to", function()
    local long, deep, text = ("x"):rep(70000), { -1.7976931348623157e308 }, "[-1.7976931348623157e+308]"
    for _ = 1, 100 do
      deep, text = { deep }, "[" .. text .. "]"
    end
    for n = 300, 1100 do
      local filler = ("y"):rep(n)
      json.encode(long)
      assert.equal(('["%s",true,%s]'):format(filler, text), json.encode { filler, true, deep })
      json.encode(long)
      assert.equal(('{"%s":{"k":false}}'):format(filler), json.encode { [filler] = { k = false } })
      json.encode(long)
      assert.equal(('["%s\\u0001€"]'):format(filler), json.encode { filler .. "\1€" })
    end
  end)

  it("writes keys that come again as the first time", function()
    local names = { 'say "hi"', "\n", "a\\b", "é", "a\0b", "\u{1F600}", "\u{7F}" }
    for n = 0, 60 do
      names[#names + 1] = ("k"):rep(n)
      names[#names + 1] = ("\n"):rep(n)
    end
    for _ = 1, 3 do
      for _, name in ipairs(names) do
        local value = { { [name] = 1 }, { [name] = { [name] = {} } }, { [name] = 2.5 } }
        local expected = ('[{%s:1},{%s:{%s:{}}},{%s:2.5}]'):gsub("%%s", function() return json.encode(name) end)
        assert.equal(expected, json.encode(value))
        assert.equal(expected, json.encode(value, { sort_keys = true }))
        assert.equal(expected, (json.encode(value, { indent = 1 }):gsub("\n *", ""):gsub(": ", ":")))
      end
    end
  end)

  it("tells many keys apart, however often each comes", function()
    local value, texts = {}, {}
    for i = 1, 2000 do
      value[i], texts[i] = { ["key" .. i % 700] = i }, ('{"key%d":%d}'):format(i % 700, i)
    end
    local expected = "[" .. table.concat(texts, ",") .. "]"
    for _ = 1, 10 do
      assert.equal(expected, json.encode(value))
    end
  end)

  -- A new string may get the address of one that has been collected.
  it("tells keys apart when older ones are gone", function()
    for round = 1, 200 do
      for i = 1, 50 do
        local name = ("%d in %d"):format(i, round)
        assert.equal('{"' .. name .. '":1}', json.encode { [name] = 1 })
      end
      collectgarbage()
    end
  end)

  it("sees what is no string among keys that have come before", function()
    for i = 1, 100 do
      local value = { ["a" .. i] = 1, b = 2, c = 3 }
      json.encode { value, value }
      value[({ 1, 1.5, true, json.null })[i % 4 + 1]] = 4
      assert.matches("cannot encode a table with ", raised { value })
    end
  end)

  it("tells arrays from objects", function()
    assert.equal("{}", json.encode({}))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("[]", json.encode(json.array({})))
    assert.equal("{}", json.encode(json.object()))
    assert.equal("[1]", json.encode(json.array({ 1 })))
    assert.equal('{"a":1}', json.encode(json.object({ a = 1 })))
    assert.equal("[]", json.encode(decode("[]")))
    assert.equal("{}", json.encode(decode("{}")))
    local list = {}
    for i = 9, 1, -1 do
      list[i] = i
    end
    assert.equal("[1,2,3,4,5,6,7,8,9]", json.encode(list))
    assert.equal("[[1,2,3]]", json.encode({ { [3] = 3, [1] = 1, [2] = 2 } }))
    assert.equal("[\n 1,\n 2,\n 3\n]", json.encode({ [3] = 3, [1] = 1, [2] = 2 }, { indent = 1 }))
  end)

  it("writes each table once, however its keys are stored", function()
    local value, text = {}, "{}"
    for _ = 1, 60 do
      value = { value, [3] = 3, [2] = 2, [4] = 4 }
      text = "[" .. text .. ",2,3,4]"
    end
    assert.equal(text, json.encode(value))
  end)

  it("marks only tables without a metatable of their own", function()
    local list = {}
    assert.equal(list, json.array(list))
    assert.equal(json.array_mt, getmetatable(list))
    assert.equal(list, json.array(list))
    assert.equal("{}", json.encode(json.object(list)))
    assert.equal("[]", json.encode(json.array(list)))
    assert.error_matches(function() json.array(setmetatable({}, {})) end, "metatable already")
    assert.has_error(function() json.array(1) end)
    assert.has_error(function() json.object("x") end)
  end)

  it("reads tables raw", function()
    local value = setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error, __tostring = error })
    assert.equal('{"a":1}', json.encode(value))
  end)

  it("takes the null of other libraries", function()
    local has_cjson, cjson = pcall(require, "cjson")
    if has_cjson then
      assert.equal("[null]", json.encode({ cjson.null }))
    end
    assert.error_matches(function() json.encode({ io.stdout }) end, "cannot encode a userdata at %$%[1%]")
  end)

  it("indents", function()
    local value = { { b = 1 }, {}, json.array(), "x" }
    assert.equal('[\n  {\n    "b": 1\n  },\n  {},\n  [],\n  "x"\n]', json.encode(value, { indent = true }))
    assert.equal('[\n {\n  "b": 1\n },\n {},\n [],\n "x"\n]', json.encode(value, { indent = 1 }))
    assert.equal('[{"b":1},{},[],"x"]', json.encode(value, { indent = 0 }))
    assert.equal('[{"b":1},{},[],"x"]', json.encode(value, { indent = false }))
    assert.equal("1", json.encode(1, { indent = 4 }))
  end)

  it("sorts keys by their bytes", function()
    local value = { b = 1, a = { z = 1, y = { 3, { d = 1, c = 2 } } }, B = 2, aa = 3, [""] = 4, ["é"] = 5, ["a\0"] = 6 }
    local expected = '{"":4,"B":2,"a":{"y":[3,{"c":2,"d":1}],"z":1},"a\\u0000":6,"aa":3,"b":1,"é":5}'
    assert.equal(expected, json.encode(value, { sort_keys = true }))
    assert.equal('{\n  "a": 1,\n  "b": 2\n}', json.encode({ b = 2, a = 1 }, { sort_keys = true, indent = 2 }))
    local many, texts = {}, {}
    for i = 1, 500 do
      many[("k%03d"):format(i)] = i
      texts[i] = ('"k%03d":%d'):format(i, i)
    end
    assert.equal("{" .. table.concat(texts, ",") .. "}", json.encode(many, { sort_keys = true }))
  end)

  it("names the path to what it cannot encode", function()
    assert.equal("cannot encode a function at $.users[2].on_click", raised({ users = { {}, { on_click = print } } }))
    assert.equal("cannot encode a thread at $[1]", raised({ coroutine.create(print) }))
    assert.equal("cannot encode nil at $: use json.null", raised(nil))
    assert.equal("cannot encode nan at $.x[1]: JSON has no such number", raised({ x = { 0 / 0 } }))
    assert.equal("cannot encode inf at $[1]: JSON has no such number", raised({ -math.huge }))
    assert.equal('cannot encode a function at $["on click"]', raised({ ["on click"] = print }))
    assert.equal('cannot encode a function at $["1st"].a_1', raised({ ["1st"] = { a_1 = print } }))
    assert.equal('cannot encode a string that is not valid UTF-8 at $.a[1]', raised({ a = { "x\xFF" } }))
    assert.equal('cannot encode a key that is not valid UTF-8 at $.a', raised({ a = { ["\xC0\x80"] = 1 } }))
    assert.equal('cannot encode a function at $["' .. ("k"):rep(40) .. '..."]', raised({ [("k"):rep(99)] = print }))
    assert.equal("cannot encode a function at $.a.b", raised({ a = { b = print } }, { sort_keys = true }))
    local deep = print
    for _ = 1, 40 do
      deep = { deep }
    end
    assert.equal("cannot encode a function at $" .. ("[1]"):rep(10) .. "..." .. ("[1]"):rep(10), raised(deep))
  end)

  it("names the key that makes a table neither array nor object", function()
    local hole = "hole: index 4 is set and 3 is not at %$%.list: fill holes with json.null"
    assert.matches(hole, raised({ list = { 1, 2, nil, 4 } }))
    assert.matches("index 5 is set and 1 is not at %$:", raised({ [5] = 1 }))
    assert.matches("both the key 'x' and the index 1 at %$%[1%]: use string keys only", raised({ { 1, x = 2 } }))
    assert.matches("a key 1.5 at %$:", raised({ [1.5] = 1 }))
    assert.matches("a key 0 at %$:", raised({ [0] = 1 }))
    assert.matches("a key %-1 at %$%.a:", raised({ a = { [-1] = 1, 1 } }))
    assert.matches("a boolean as a key at %$:", raised({ [true] = 1 }))
    assert.matches("a table as a key at %$:", raised({ 1, [{}] = 1 }))
    assert.matches("both the key 'x' and the index 7", raised({ x = 1, [7] = 1 }, { sort_keys = true }))
    assert.matches("key 'a' of a table marked as an array at %$", raised(json.array({ a = 1 })))
    assert.matches("key 'a' of a table marked as an array at %$", raised(json.array({ 1, a = 1 })))
    assert.matches("hole", raised(json.array({ nil, 2 })))
    assert.matches("key 1 of a table marked as an object at %$: make it a string", raised(json.object({ 1 })))
    for i = 1, 20 do -- whichever key comes first
      assert.matches("key 9 of a table marked as an object", raised(json.object { ["name" .. i] = 1, [9] = 1 }))
    end
  end)

  -- Constructors with explicit keys put them into the hash part, where lua_next gives others between them.
  it("names it wherever the table keeps its items", function()
    for i = 1, 100 do
      local name, hole = "k" .. i, 3 + i
      local mixed = load(("return { [1] = 1, %s = 1, [2] = 1 }"):format(name))()
      assert.matches("both the key '" .. name .. "' and the index 2", raised(mixed))
      assert.matches("both the key '" .. name .. "' and the index 2", raised(mixed, { sort_keys = true }))
      assert.matches("hole", raised(load(("return { [1] = 1, [%d] = 1, [2] = 1 }"):format(hole))()))
      assert.equal("[1,2,3]", json.encode(load("return { [3] = 3, [1] = 1, [2] = 2 }")()))
    end
  end)

  it("adds the caller's line to an error", function()
    local _, message = pcall(function() return json.encode(print) .. "" end)
    assert.matches("json_encode_spec.lua:%d+: cannot encode a function at %$$", message)
  end)

  it("bounds the depth and sees cycles", function()
    local function nested(depth)
      local value = {}
      for _ = 2, depth do
        value = { value }
      end
      return value
    end
    json.encode(nested(128))
    assert.matches("nested deeper than 128 at ", raised(nested(129)))
    json.encode(nested(1000), { max_depth = 1000 })
    assert.matches("nested deeper than 1000 at ", raised(nested(1001), { max_depth = 1000 }))
    json.encode({ {}, {} }, { max_depth = 2 })
    assert.matches("deeper than 1 at %$%[1%]", raised({ {} }, { max_depth = 1 }))
    local own = {}
    own.me = own
    assert.equal("cannot encode a table that contains itself at $.me", raised(own))
    local root = { list = { 1, {} } }
    root.list[2].back = root.list
    assert.equal("cannot encode a table that contains itself at $.list[2].back", raised(root))
    local shared = { 1 }
    assert.equal("[[1],[1]]", json.encode({ shared, shared }))
  end)

  it("works after an error", function()
    for _ = 1, 100 do
      raised({ ("x"):rep(1000), print })
      assert.equal("[1]", json.encode({ 1 }))
    end
  end)

  it("may be called by a finalizer in the middle of another encode", function()
    local value, inner = {}, {}
    for i = 1, 200 do
      value["key" .. i] = { a = i, b = { c = i } }
    end
    local expected = json.encode(value, { sort_keys = true })
    collectgarbage("generational")
    for _ = 1, 200 do
      setmetatable({}, {
        __gc = function()
          inner[#inner + 1] = json.encode({ b = {}, a = "x" }, { sort_keys = true })
        end,
      })
      assert.equal(expected, json.encode(value, { sort_keys = true }))
    end
    collectgarbage("incremental")
    collectgarbage()
    assert.equal(200, #inner)
    for _, text in ipairs(inner) do
      assert.equal('{"a":"x","b":{}}', text)
    end
  end)

  it("raises for a wrong argument or option", function()
    assert.has_error(function() json.encode() end)
    assert.error_matches(function() json.encode(1, 2) end, "table expected")
    assert.error_matches(function() json.encode(1, { indent = 17 }) end, "option 'indent' is an integer from 0 to 16")
    assert.error_matches(function() json.encode(1, { indent = "2" }) end, "indent")
    assert.error_matches(function() json.encode(1, { sort_keys = 1 }) end, "'sort_keys' is a boolean, not a number")
    assert.error_matches(function() json.encode(1, { sortkeys = true }) end, "unknown option 'sortkeys'")
    assert.error_matches(function() json.encode(1, { max_depth = 1001 }) end, "max_depth")
  end)
end)

describe("json.encode, told to replace what is no UTF-8,", function()
  local function encode(value) return json.encode(value, { replace_invalid = true }) end

  it("writes U+FFFD for each byte", function()
    assert.equal('"a\u{FFFD}b"', encode("a\xffb"))
    assert.equal('"\u{FFFD}\u{FFFD}"', encode("\xc0\x80"))
    assert.equal('"\u{FFFD}"', encode("\xe2"))
    assert.equal('{"\u{FFFD}":["\u{FFFD}"]}', encode { ["\xff"] = { "\xfe" } })
    assert.equal('"' .. ("\u{FFFD}"):rep(5000) .. '"', encode(("\xff"):rep(5000)))
  end)

  it("does not take a key for valid another time", function()
    for _ = 1, 20 do
      assert.equal('{"\u{FFFD}":1}', encode { ["\xff"] = 1 })
      assert.error_matches(function() json.encode { ["\xff"] = 1 } end, "a key that is not valid UTF%-8")
    end
  end)

  it("judges every byte at every place", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      local written = byte > 127 and '"\u{FFFD}"' or json.encode(char)
      for len = 1, 40 do
        for at = 1, len do
          local before, after = ("a"):rep(at - 1), ("z"):rep(len - at)
          local text = encode(before .. char .. after)
          if text ~= '"' .. before .. written:sub(2, -2) .. after .. '"' then
            error(("byte %d at %d of %d: %s"):format(byte, at, len, text))
          end
        end
      end
    end
  end)

  it("leaves what is UTF-8 as it is", function()
    assert.equal('"é\u{1F600}\\n"', encode("é\u{1F600}\n"))
    assert.equal(json.encode(("é"):rep(1000)), encode(("é"):rep(1000)))
  end)

  it("still raises for what JSON cannot hold", function()
    assert.error_matches(function() encode(print) end, "cannot encode a function")
    assert.error_matches(function() json.encode("\xff", { replace_invalid = 1 }) end, "is a boolean")
    assert.error_matches(function() json.encode("\xff") end, "not valid UTF%-8")
  end)
end)
