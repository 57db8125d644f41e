-- SPDX-License-Identifier: MIT
--- bounded: what string and table have in place of Lua's own functions does as the manual says (6.4, 6.6), and can be
--- stopped wherever code can.

local pool, task, worker = require "luaserve.pool", require "luaserve.task", require "luaserve.worker"
local process = require "spec.support.process"
local eventually = require "spec.support.waits".eventually

local function same(expected, ...)
  assert.same(expected, { n = select("#", ...), ... })
end

--- That fn raises exactly this, but for the place.
local function fails(text, fn, ...)
  local succeeded, message = pcall(fn, ...)
  assert.is_false(succeeded)
  assert.equal(text, (message:gsub("^[^:]+:%d+: ", "")))
end

--- A list that notes each access, in order.
local function watched(list)
  local log = {}
  return setmetatable({}, {
    __index = function(_, i)
      log[#log + 1] = "get " .. i
      return list[i]
    end,
    __newindex = function(_, i, value)
      log[#log + 1] = "set " .. i
      list[i] = value
    end,
    __len = function() return #list end,
  }), log
end

describe("string.find", function()
  it("finds plain text", function()
    same({ n = 2, 3, 4 }, ("hello"):find("ll"))
    same({ n = 2, 1, 0 }, ("hello"):find(""))
    same({ n = 2, 6, 5 }, ("hello"):find("", 6))
    same({ n = 1 }, ("hello"):find("", 7))
    same({ n = 2, 4, 4 }, ("hello"):find("l", -2))
    same({ n = 2, 2, 3 }, ("a.b+"):find(".b", 1, true))
    same({ n = 2, 3, 5 }, ("a\0b\0c"):find("b\0c"))
    same({ n = 1 }, ("ab"):find("abc"))
  end)

  it("finds text among many that begin as it does", function()
    local text = ("aaab"):rep(5000)
    same({ n = 2, 20001, 20005 }, (text .. "aaaaa"):find("aaaaa", 1, true))
    same({ n = 1 }, text:find("aaaaa", 1, true))
  end)

  it("gives the place and the captures", function()
    same({ n = 4, 5, 8, "k", "vv" }, ("and k=vv"):find("(%w+)=(%w+)"))
    same({ n = 3, 1, 0, 1 }, ("x"):find("()"))
    same({ n = 2, 1, 2 }, ("abab"):find("^ab"))
    same({ n = 1 }, ("abab"):find("^ab", 2))
  end)
end)

describe("string.match", function()
  for _, case in ipairs {
    { "  trim me  ", "^%s*(.-)%s*$", "trim me" },
    { "key = value", "(%w+)%s*=%s*(%w+)", "key", "value" },
    { "/usr/lib/x.so", "(.*)/(.*)%.", "/usr/lib", "x" },
    { "f(a(b)c)d", "%b()", "(a(b)c)" },
    { "THE (quick) fox", "%f[%l]%l+%f[%L]", "quick" },
    { "fox", "%f[%z]", "" },
    { [["it's"]], [[(["'])(.-)%1]], '"', "it's" },
    { "a]b", "[]]", "]" },
    { "a-b^c", "[%^-]", "-" },
    { "2024-11-25", "^(%d+)-(%d%d)-(%d%d)$", "2024", "11", "25" },
    { "-12.5", "^[+-]?%d+%.?%d*$", "-12.5" },
    { "aaab", "a-b", "aaab" },
    { "x\0y", "x%zy", "x\0y" },
    { "a$", "a$$", "a$" },
    { "abc", "()b()", 2, 3 },
    { "hello", "l+", "ll" },
    { "a,b", "[^,]*$", "b" },
    { ("a"):rep(300) .. "z", "[" .. ("abcdefgh"):rep(20) .. "]+z", ("a"):rep(300) .. "z" },
  } do
    it("takes " .. case[2]:sub(1, 40):gsub("%z", "\\0"), function()
      same({ n = #case - 2, table.unpack(case, 3) }, case[1]:match(case[2]))
    end)
  end

  it("has the limits of Lua's", function()
    assert.equal(32, select("#", ("x"):match(("()"):rep(32))))
    fails("too many captures", string.match, "x", ("()"):rep(33))
    assert.equal("b", ("b"):match(("b?"):rep(199)))
    fails("pattern too complex", string.match, ("b"):rep(300), ("b?"):rep(200))
  end)

  for pattern, text in pairs {
    ["a%"] = "malformed pattern (ends with '%')",
    ["a["] = "malformed pattern (missing ']')",
    ["[a%]"] = "malformed pattern (missing ']')",
    ["[^]"] = "malformed pattern (missing ']')",
    ["%bx"] = "malformed pattern (missing arguments to '%b')",
    ["%f"] = "missing '[' after '%f' in pattern",
    ["a)"] = "invalid pattern capture",
    ["(a"] = "unfinished capture",
    ["%1"] = "invalid capture index %1",
    ["(%1)"] = "invalid capture index %1",
    ["%0"] = "invalid capture index %0",
  } do
    it("refuses " .. pattern, function()
      fails(text, string.match, "a", pattern)
    end)
  end

  it("refuses only what it comes to", function()
    same({ n = 1 }, ("a"):match("b["))
  end)

  it("names a bad argument", function()
    assert.error_matches(function() string.match() end, "bad argument #1 to 'match' %(string expected, got no value%)")
    assert.error_matches(function() ("x"):match({}) end, "bad argument #1 to 'match' %(string expected, got table%)")
  end)
end)

describe("string.gmatch", function()
  local function all(...)
    local list = {}
    for a, b in string.gmatch(...) do list[#list + 1] = b and a .. b or a end
    return list
  end

  it("gives every match", function()
    assert.same({ "one", "two" }, all("one two", "%a+"))
    assert.same({ "a1", "b2" }, all("a=1&b=2", "(%w)=(%w)"))
    assert.same({ "a", "", "b", "" }, all("a,,b,", "([^,]*)"))
    assert.same({ 1, 2, 3 }, all("ab", "()"))
    assert.same({ "b" }, all("ab", "%a", 2))
    assert.same({}, all("ab", "%a", 9))
    assert.same({ "^a" }, all("a^a", "^a"))
  end)
end)

describe("string.gsub", function()
  it("replaces by a string, a table, a function", function()
    same({ n = 2, "hexxo", 2 }, ("hello"):gsub("l", "x"))
    same({ n = 2, "world hello", 1 }, ("hello world"):gsub("(%w+) (%w+)", "%2 %1"))
    same({ n = 2, "100%!", 1 }, ("100"):gsub("%d+", "%0%%!"))
    same({ n = 2, "x1 y 3", 3 }, ("a b 3"):gsub("%w", { a = "x1", b = "y" }))
    same({ n = 2, "3-2", 2 }, ("abc-de"):gsub("%w+", string.len))
    same({ n = 2, "-a-b-", 3 }, ("ab"):gsub("", "-"))
    same({ n = 2, "1a2b3", 3 }, ("ab"):gsub("()", "%1"))
    same({ n = 2, "xxa", 2 }, ("aaa"):gsub("a", "x", 2))
    same({ n = 2, "xaa", 1 }, ("aaa"):gsub("^a", "x"))
    same({ n = 2, "abc d", 2 }, ("abc d"):gsub("%w+", function() return false end))
    same({ n = 2, "7b", 1 }, ("ab"):gsub("a", 7))
  end)

  it("refuses what is no replacement", function()
    fails("invalid replacement value (a table)", string.gsub, "a", "a", function() return {} end)
    fails("invalid use of '%' in replacement string", string.gsub, "a", "a", "%a")
    fails("invalid capture index %2", string.gsub, "a", "a", "%2")
    assert.error_matches(function() string.gsub("a", "a") end,
      "bad argument #3 to 'gsub' %(string/function/table expected, got no value%)")
  end)
end)

describe("string.rep", function()
  it("repeats", function()
    assert.equal("ababab", ("ab"):rep(3))
    assert.equal("ab, ab", ("ab"):rep(2, ", "))
    assert.equal("ab", ("ab"):rep(1, ", "))
    assert.equal("", ("ab"):rep(0))
    assert.equal("", ("ab"):rep(-1))
    assert.equal(",,", (""):rep(3, ","))
    local long = ("abc"):rep(1000000, "-")
    assert.equal(3999999, #long)
    assert.equal("", (long:gsub("abc%-?", "")))
  end)

  it("returns nothing, however often, at once", function()
    assert.equal("", (""):rep(1 << 62))
    assert.equal("", (""):rep(math.maxinteger, ""))
  end)

  it("refuses what is too long", function()
    fails("resulting string too large", string.rep, "x", 1 << 31)
    fails("resulting string too large", string.rep, "x", 1 << 62, "yy")
  end)
end)

describe("table", function()
  it("inserts and removes, through metamethods in Lua's order", function()
    local list, log = watched { "a", "b" }
    table.insert(list, 2, "x")
    assert.same({ "get 2", "set 3", "set 2" }, log)
    list, log = watched { "a", "b", "c" }
    assert.equal("a", table.remove(list, 1))
    assert.same({ "get 1", "get 2", "set 1", "get 3", "set 2", "set 3" }, log)
    assert.is_nil(table.remove({}))
    fails("wrong number of arguments to 'insert'", table.insert, {})
    assert.error_matches(function() table.insert({}, 2, 1) end,
      "bad argument #2 to 'insert' %(position out of bounds%)")
    assert.error_matches(function() table.remove({}, 7) end, "bad argument #2 to 'remove' %(position out of bounds%)")
    assert.error_matches(function() table.insert(1, 1) end,
      "bad argument #1 to 'insert' %(table expected, got number%)")
  end)

  it("moves so that nothing is overwritten", function()
    assert.same({ 1, 1, 2, 3 }, table.move({ 1, 2, 3 }, 1, 3, 2))
    assert.same({ 2, 3, 3 }, table.move({ 1, 2, 3 }, 2, 3, 1))
    assert.same({ [5] = 1 }, table.move({ 1 }, 1, 1, 5, {}))
    assert.same({ [math.maxinteger] = 1 }, table.move({ 1 }, 1, 1, math.maxinteger, {}))
    assert.error_matches(function() table.move({}, 1, 2, math.maxinteger) end, "#4 .*destination wrap around")
    assert.error_matches(function() table.move({}, -1, math.maxinteger, 1) end, "#3 .*too many elements to move")
  end)

  it("concatenates", function()
    assert.equal("1, b, 2.5", table.concat({ 1, "b", 2.5 }, ", "))
    assert.equal("b", table.concat({ "a", "b" }, "-", 2))
    assert.equal("", table.concat({ "a" }, "-", 3))
    assert.equal("x", table.concat({ [math.maxinteger] = "x" }, "-", math.maxinteger, math.maxinteger))
    fails("invalid value (table) at index 2 in table for 'concat'", table.concat, { 1, {} })
  end)

  it("sorts", function()
    math.randomseed(1)
    local list = {}
    for i = 1, 5000 do list[i] = math.random(1000) end
    table.sort(list)
    for i = 2, #list do assert(list[i - 1] <= list[i]) end
    table.sort(list, function(a, b) return a > b end)
    for i = 2, #list do assert(list[i - 1] >= list[i]) end
    local words = { "pear", "fig", "apple" }
    table.sort(words)
    assert.same({ "apple", "fig", "pear" }, words)
  end)

  it("sorts through metamethods in Lua's order", function()
    local list, log = watched { 3, 2, 1 }
    table.sort(list)
    assert.same({ "get 1", "get 3", "set 1", "set 3", "get 2", "get 1", "get 3" }, log)
  end)

  it("refuses to sort without an order", function()
    local list = {}
    for i = 1, 100 do list[i] = i end
    fails("invalid order function for sorting", table.sort, list, function() return true end)
    assert.error_matches(function() table.sort({ 1, "x" }) end, "attempt to compare")
    assert.error_matches(function() table.sort({ 1, 2 }, function() error("mine") end) end, "mine")
    assert.error_matches(function() table.sort({ 1, 2 }, 1) end, "bad argument #2 to 'sort' %(function expected")
    assert.error_matches(function() table.sort(setmetatable({}, { __len = function() return 1 << 31 end })) end,
      "bad argument #1 to 'sort' %(array too big%)")
  end)
end)

-- Each would take more than a lifetime, and calls no function in Lua meanwhile.
local endless = {
  ["string.find"] = [[("a"):rep(20000):find((".-"):rep(8) .. "b")]],
  ["string.match"] = [[("a"):rep(64):match(("a?"):rep(64) .. ("a"):rep(64))]],
  ["string.gmatch"] = [[("x"):rep(20000):gmatch("x*x*x*x*x*x*[yz]")()]],
  ["string.gsub"] = [[("x"):rep(20000):gsub("(.-)(.-)(.-)(.-)(.-)%1y", "")]],
  ["table.concat"] = [[table.concat(setmetatable({}, { __len = function() return 1 << 60 end, __index = getmetatable,
    __metatable = "" }))]],
  ["table.insert"] = [[table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, "x")]],
  ["table.move"] = [[table.move({}, 1, 10 ^ 15 // 1 | 0, 2)]],
  ["table.remove"] = [[table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)]],
  ["table.sort"] = [[table.sort(setmetatable({}, { __len = function() return 2 ^ 31 - 2 | 0 end,
    __index = rawlen, __newindex = rawlen }))]],
}

describe("what takes for ever", function()
  after_each(process.clean_up)

  local function user() return pool.stats().lanes.user end

  for name, code in pairs(endless) do
    it("is cancelled in a job of the pool: " .. name, function()
      local begun = os.tmpname()
      os.remove(begun)
      local job = task.spawn(pool.run, load("io.open(..., 'w'):close() return " .. code), begun)
      eventually(function() return os.remove(begun) end)
      job:cancel()
      pcall(job.join, job)
      eventually(function() return user().running + user().queued == 0 end)
    end)

    it("is terminated in a worker: " .. name, function()
      local file = process.temporary([[require "luaserve.worker".parent:send("begun") return ]] .. code)
      local w = worker.start(file)
      w:receive()
      w:terminate()
      assert.is_truthy(select(2, pcall(w.join, w)):find("was terminated", 1, true))
      os.remove(file)
    end)
  end

  it("is stopped in a request", function()
    local routes = {}
    for name, code in pairs(endless) do
      routes[#routes + 1] = ("routes[%q] = function() return %s end"):format(name, code)
    end
    local server = process.serve_code(([[
      local routes = {}
      %s
      return function(req, res)
        local route = routes[req:decoded_path():sub(2)]
        if route then route() end
        res:send("plain")
      end]]):format(table.concat(routes, "\n")), { options = { "--cpu-limit", "0.05" } })
    for name in pairs(endless) do
      assert.equal(503, server:request("/" .. name).status, name)
      assert.equal("plain", server:request("/").body)
    end
    assert.equal(0, (server:stop()))
  end)
end)
