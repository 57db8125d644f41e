-- SPDX-License-Identifier: MIT
--- What a server has logged: of this process, or of a child on its standard error.
--
-- While a client in this process is open the log is kept instead of written. What no expectation has looked at goes to
-- standard error when the last client closes: nothing is lost, and errors that a spec expects make no noise.

local clock = require "luaserve.core.clock"
local core = require "luaserve.core.log"
local timer = require "luaserve.timer"

local log = {}

local Log = {}
Log.__index = Log

local function new(fields)
  fields.blocks = {} -- { text =, seen = }, in their order
  return setmetatable(fields, Log)
end

function Log:add(text)
  if text ~= "" then self.blocks[#self.blocks + 1] = { text = text, seen = false } end
end

--- A place in it: the end of what there is.
function Log:position()
  self:pull()
  return #self.blocks
end

--- What has been logged since a position, marked as seen.
-- @param expected true: there ought to be something, so it is worth to wait for it
function Log:since(position, expected)
  self:pull()
  if expected then self:await(position) end
  local texts = {}
  for i = position + 1, #self.blocks do
    self.blocks[i].seen = true
    texts[#texts + 1] = self.blocks[i].text
  end
  return table.concat(texts)
end

--- Writes what nobody has looked at.
function Log:write_unseen()
  self:pull()
  for _, block in ipairs(self.blocks) do
    if not block.seen then io.stderr:write(block.text) end
    block.seen = true
  end
end

local function nothing() end

-- ---- of this process ----

local shared = new { users = 0, await = nothing }

function shared:pull()
  if self.users > 0 then self:add(core.take()) end
end

function shared:close()
  if self.users == 1 then
    self:write_unseen()
    self.blocks = {}
    core.keep(false)
  end
  self.users = self.users - 1
end

--- The log of this process, for as long as somebody has it open.
function log.own()
  if shared.users == 0 then core.keep(true) end
  shared.users = shared.users + 1
  return shared
end

-- ---- of others ----

--- A child's answer may be here before what it wrote to its standard error.
local function await_child(self, position)
  for _ = 1, 20 do
    if #self.blocks > position or clock.is_held() then return end
    timer.sleep(0.01)
  end
end

--- What a child writes to a pipe, which add takes.
function log.of_child()
  return new { pull = nothing, await = await_child, close = Log.write_unseen }
end

--- None: it goes where it always goes.
function log.none()
  return new { pull = nothing, await = nothing, close = nothing }
end

return log
