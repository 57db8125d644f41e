-- SPDX-License-Identifier: MIT
--- Things that a spec needs and that are gone when it ends.

local cleanup = require "luaserve.test.cleanup"
local folder = require "luaserve.test.folder"
local fs = require "luaserve.fs"
local process = require "luaserve.process"

local fixtures = {}

-- ---- folders ----

--- A new folder, which is removed with all that is in it at the end of the `it`.
-- @param files optional: { ["a/b.txt"] = content }: what is to be in it
-- @return its path
function fixtures.temporary_folder(files)
  if files ~= nil and type(files) ~= "table" then
    error("bad argument #1 to 'temporary_folder' (table expected, got " .. type(files) .. ")", 2)
  end
  local path = folder.make()
  cleanup.add(folder.remove, path)
  for name, content in pairs(files or {}) do
    local parent = name:match("^(.*)/")
    if parent then assert(fs.mkdir(path .. "/" .. parent, { recursive = true })) end
    assert(fs.write_file(path .. "/" .. name, content))
  end
  return path
end

-- ---- the environment ----

local Env = {}
Env.__index = Env
Env.__name = "luaserve.test.env"

--- Sets variables of the environment until the end of the `it`, or of the block of a `<close>` variable.
-- @param variables { NAME = value }; false: there is none
function fixtures.env(variables)
  if type(variables) ~= "table" then
    error("bad argument #1 to 'env' (table expected, got " .. type(variables) .. ")", 2)
  end
  local before = {}
  for name in pairs(variables) do before[name] = process.env[name] or false end
  for name, value in pairs(variables) do process.env[name] = value or nil end
  local env = setmetatable({ before = before }, Env)
  cleanup.add(env.close, env)
  return env
end

--- Gives the variables back what they were.
function Env:close()
  for name, value in pairs(self.before) do process.env[name] = value or nil end
  self.before = {}
end

Env.__close = Env.close

-- ---- fixtures ----

--- What most things are put away with: their method, where they have one.
local function close(value)
  local found, method = pcall(function() return value.close end)
  if found and method and type(value) ~= "string" then method(value) end
end

--- A thing that specs share how to make, not the thing: the function that comes back makes it when an `it` first calls
-- it, gives the same one to further calls in that `it`, and puts it away at its end.
--   local database = test.fixture(function() return open(test.temporary_folder()) end)
--   it("is empty", function() assert.equal(0, database():count()) end)
-- @param make called without arguments; what it makes
-- @param clean optional: called with that at the end. Without it, what has a close method is closed
-- @return function
function fixtures.fixture(make, clean)
  if type(make) ~= "function" then
    error("bad argument #1 to 'fixture' (function expected, got " .. type(make) .. ")", 2)
  elseif clean ~= nil and type(clean) ~= "function" then
    error("bad argument #2 to 'fixture' (function expected, got " .. type(clean) .. ")", 2)
  end
  local scope, value
  return function()
    if scope ~= cleanup.scope() then
      scope, value = cleanup.scope(), make()
      cleanup.add(clean or close, value)
    end
    return value
  end
end

return fixtures
