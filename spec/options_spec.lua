-- SPDX-License-Identifier: MIT
-- options of modules that are written in Lua: checked, and complained about, as those of modules in C.

local options = require "luaserve.core.options"

local function open(given)
  options.check(given, "open", { "strict", "timeout" })
end

local function failure(fn, ...)
  return select(2, pcall(fn, ...))
end

describe("luaserve.core.options", function()
  it("takes what is known, and nothing", function()
    open()
    open {}
    open { strict = false, timeout = 1 }
  end)

  it("names the unknown and the nearest known at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local function user() open { timout = 1 } end
    local place = debug.getinfo(1, "S").short_src .. ":" .. line
    assert.equal(place .. ": open: unknown option 'timout' (did you mean 'timeout'?)", failure(user))
    assert.matches("open: unknown option 'colour'$", failure(open, { colour = 1 }))
  end)

  it("takes nothing but names in a table", function()
    assert.matches("open: options have names, not a number", failure(open, { 1 }))
    assert.matches("open: options must be a table, not a string", failure(open, "strict"))
  end)

  it("tells which name of a list is near", function()
    assert.equal("timer", options.nearest("tmier", { "fs", "timer" }))
    assert.is_nil(options.nearest("nothing-like-it", { "fs", "timer" }))
    assert.is_nil(options.nearest("x", {}))
    assert.matches("names are strings", failure(options.nearest, "x", { 1 }))
  end)
end)
