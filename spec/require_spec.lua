-- SPDX-License-Identifier: MIT
-- require of modules whose main chunk waits. Each case writes its modules into a folder of its own.

local process = require "spec.support.process"
local fs, task, timer = require "luaserve.fs", require "luaserve.task", require "luaserve.timer"

describe("require", function()
  local folder, path

  local function module(name, code)
    assert(fs.write_file(folder .. "/" .. name .. ".lua", code))
  end

  before_each(function()
    folder = assert(fs.mkdtemp(os.tmpname() .. "_"))
    path = package.path
    package.path = folder .. "/?.lua"
    _G.loads = {}
  end)

  after_each(function()
    package.path = path
    for name in pairs(package.loaded) do
      if name:find("^m_") then package.loaded[name] = nil end
    end
    _G.loads = nil
    assert(fs.rm(folder, { recursive = true }))
  end)

  it("gives the value and the loader data", function()
    module("m_plain", "return { name = ..., file = select(2, ...) }")
    local value, data = require "m_plain"
    assert.same({ name = "m_plain", file = folder .. "/m_plain.lua" }, value)
    assert.equal(folder .. "/m_plain.lua", data)
    assert.equal(value, require "m_plain")
    assert.equal(1, select("#", require "m_plain"))
  end)

  it("gives true for a module without a value, and what it put into package.loaded", function()
    module("m_none", "")
    module("m_own", "package.loaded[...] = 'own'")
    module("m_false", "return false")
    assert.is_true((require "m_none"))
    assert.equal("own", (require "m_own"))
    assert.is_false((require "m_false"))
  end)

  it("does not suspend the caller for a module that does not wait", function()
    module("m_plain", "return 1")
    local ran = false
    task.spawn(function() ran = true end)
    require "m_plain"
    assert.is_false(ran)
  end)

  it("lets the module's main chunk wait", function()
    module("m_waits", [[
      require("luaserve.timer").sleep(0.002)
      return (require("luaserve.fs").read_file(select(2, ...)))]])
    assert.matches("luaserve.timer", (require "m_waits"), 1, true)
  end)

  it("loads once for two tasks that ask at the same time", function()
    module("m_waits", "loads[#loads + 1] = ... require('luaserve.timer').sleep(0.002) return {}")
    local first = task.spawn(function() return require "m_waits" end)
    local second = task.spawn(function() return require "m_waits" end)
    assert.equal((first:join()), (second:join()))
    assert.equal(1, #_G.loads)
  end)

  it("raises the module's error in everybody who waits, and the next caller tries again", function()
    module("m_fails", "loads[#loads + 1] = ... require('luaserve.timer').sleep(0.002) error('not yet')")
    local first = task.spawn(function() return pcall(require, "m_fails") end)
    local second = task.spawn(function() return pcall(require, "m_fails") end)
    for _, t in ipairs { first, second } do
      local ok, message = t:join()
      assert.is_false(ok)
      assert.matches("m_fails.lua:1: not yet", message, 1, true)
    end
    assert.equal(1, #_G.loads)
    module("m_fails", "return 'better'")
    assert.equal("better", (require "m_fails"))
  end)

  it("passes error values as they are", function()
    module("m_table", "error({ code = 7 })")
    local ok, value = pcall(require, "m_table")
    assert.is_false(ok)
    assert.same({ code = 7 }, value)
  end)

  it("says where it looked for a module that is not there, at the caller's line", function()
    local ok, message = pcall(function() require "m_missing" end)
    assert.is_false(ok)
    assert.matches("^spec/require_spec.lua:%d+: module 'm_missing' not found:\n", message)
    assert.matches("no field package.preload['m_missing']", message, 1, true)
    assert.matches("no file '" .. folder .. "/m_missing.lua'", message, 1, true)
  end)

  it("reports a syntax error with the module's file", function()
    module("m_broken", "local = 1")
    local ok, message = pcall(require, "m_broken")
    assert.is_false(ok)
    assert.matches("error loading module 'm_broken' from file '" .. folder .. "/m_broken.lua':", message, 1, true)
  end)

  it("names the modules of a ring", function()
    module("m_a", "return require 'm_b'")
    module("m_b", "return require 'm_a'")
    local ok, message = pcall(require, "m_a")
    assert.is_false(ok)
    assert.matches("modules require each other while they are loaded: m_a -> m_b -> m_a", message, 1, true)
    module("m_self", "return require 'm_self'")
    ok, message = pcall(require, "m_self")
    assert.is_false(ok)
    assert.matches("m_self -> m_self", message, 1, true)
  end)

  it("names the modules of a ring of loads that wait for each other", function()
    module("m_a", "require('luaserve.timer').sleep(0.002) return require 'm_b'")
    module("m_b", "require('luaserve.timer').sleep(0.002) return require 'm_a'")
    local first = task.spawn(function() return pcall(require, "m_a") end)
    local second = task.spawn(function() return pcall(require, "m_b") end)
    local ok_a, message_a = first:join()
    local ok_b, message_b = second:join()
    assert.is_false(ok_a)
    assert.is_false(ok_b)
    assert.matches("modules require each other", message_a, 1, true)
    assert.matches("modules require each other", message_b, 1, true)
  end)

  it("works where the caller cannot wait, unless the module does", function()
    module("m_plain", "return 'plain'")
    module("m_waits", "require('luaserve.timer').sleep(0.002) return 'waited'")
    assert.equal("plain", (("x"):gsub("x", function() return (require "m_plain") end)))
    local ok, message = pcall(string.gsub, "x", "x", function() return (require "m_waits") end)
    assert.is_false(ok)
    assert.matches("require of a module that waits cannot wait here", message, 1, true)
    timer.sleep(0.01)
    assert.equal("waited", (require "m_waits"))
  end)

  it("goes on for the others when one who waits is cancelled", function()
    module("m_waits", "require('luaserve.timer').sleep(0.005) return 'whole'")
    local starter = task.spawn(function() return require "m_waits" end)
    local other = task.spawn(function() return require "m_waits" end)
    timer.sleep(0.001)
    starter:cancel()
    assert.equal("whole", (other:join()))
    assert.equal("cancelled", starter:status())
  end)

  it("nests: modules that wait require modules that wait", function()
    for i = 1, 30 do
      local inner = i < 30 and ("require 'm_%d'"):format(i + 1) or "0"
      module("m_" .. i, ("require('luaserve.timer').sleep(0.001) return 1 + %s"):format(inner))
    end
    assert.equal(30, (require "m_1"))
  end)

  it("loads once in an exit hook, however long the list of where it looked", function()
    local result = process.script [[
      package.path = ("/nonexistent/" .. ("x"):rep(100) .. "/?.lua;"):rep(30)
      table.insert(package.searchers, function()
        return function(name) print("loads", name) return "value" end, "data"
      end)
      require("luaserve.process").on_exit(function() print(pcall(require, "late")) end)]]
    assert.equal("loads\tlate\ntrue\tvalue\tdata\n", result.out)
  end)

  it("passes on at once a cancellation that comes from the module", function()
    local starter
    package.preload.m_cancels = function()
      starter:cancel()
      timer.sleep(0.005)
      return "loaded"
    end
    starter = task.spawn(require, "m_cancels")
    pcall(starter.join, starter)
    assert.equal("cancelled", starter:status())
    assert.is_nil(package.loaded.m_cancels)
    assert.equal("loaded", (require "m_cancels"))
    package.preload.m_cancels = nil
  end)

  it("logs the error of a load that nobody waits for any more", function()
    local result = process.script [[
      local task, timer = require "luaserve.task", require "luaserve.timer"
      package.preload.m_fails = function() timer.sleep(0.002) error("in the load") end
      local starter = task.spawn(require, "m_fails")
      timer.sleep(0.001)
      starter:cancel()]]
    assert.matches("in the load", result.err, 1, true)
  end)

  it("ends the program where a module does so while it is loaded", function()
    local result = process.script [[
      package.preload.m_exits = function() os.exit(3, true) end
      local _ <close> = setmetatable({}, { __close = function() print("closed") end })
      require "m_exits"
      print("not reached")]]
    assert.equal("closed\n", result.out)
    assert.equal("", result.err)
    assert.equal(3, result.status)
  end)

  it("can be called from a user's coroutine", function()
    module("m_waits", "require('luaserve.timer').sleep(0.002) return 'there'")
    assert.equal("there", coroutine.wrap(function() return (require "m_waits") end)())
  end)
end)
