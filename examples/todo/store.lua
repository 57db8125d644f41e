-- SPDX-License-Identifier: MIT
--- The users and their todos: a file of JSON for each user, <folder>/<name>.json, which is replaced as a whole, so that
-- it is never half a file. A user is { name =, password = its hash, last = the id that was given last, todos = {
-- { id =, text =, done = }, ... } }. For one process: it does not see what another one writes at the same moment.

local fs = require "luaserve.fs"
local json = require "luaserve.json"
local task = require "luaserve.task"

local store = {}

local PRIVATE = tonumber("600", 8)

local Store = {}
Store.__index = Store

--- The store in a folder, which is made where it is missing.
function store.open(folder)
  assert(fs.mkdir(folder, { recursive = true, mode = tonumber("700", 8) }))
  return setmetatable({ folder = folder, turn = task.semaphore(1) }, Store)
end

--- Whether this can be the name of a user, and so of a file.
function store.is_name(name)
  return #name <= 30 and name:find "^[a-z0-9_-]+$" ~= nil
end

local function path_of(self, name)
  assert(store.is_name(name), "that is no user's name")
  return self.folder .. "/" .. name .. ".json"
end

local function write(self, user)
  assert(fs.write_file(path_of(self, user.name), json.encode(user), { atomic = true, mode = PRIVATE }))
end

--- Calls fn when it is its turn, and to its end: what is read in it is still so when it writes.
local function alone(self, fn)
  return self.turn:with(task.shield, fn)
end

--- Async. The user of this name, or nil.
function Store:find(name)
  local text, message, code = fs.read_file(path_of(self, name))
  if code == "ENOENT" then return nil end
  return assert(json.decode(assert(text, message)))
end

--- Async. Adds a user: whether the name was free.
function Store:add(name, password_hash)
  return alone(self, function()
    if self:find(name) then return false end
    write(self, { name = name, password = password_hash, last = 0, todos = json.array() })
    return true
  end)
end

--- Async. Calls fn(user), which changes the user, and keeps what has come of it: what fn has returned. An error in fn
-- leaves all as it was.
function Store:change(name, fn)
  return alone(self, function()
    local user = assert(self:find(name))
    local result = fn(user)
    write(self, user)
    return result
  end)
end

return store
