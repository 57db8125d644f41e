-- SPDX-License-Identifier: MIT
--- What a server has logged: of this process, or of a child on its standard error.
--
-- While a client in this process is open the log is kept instead of written. What no expectation has looked at goes to
-- standard error when the last client closes: nothing is lost, and errors that a spec expects make no noise.

local core = require "luaserve.core.log"

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
function Log:since(position)
  self:pull()
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
  end
  self.blocks = {}
end

-- ---- of this process ----

local shared = new { users = 0 }

function shared:pull()
  if self.users > 0 then self:add(core.take()) end
end

function shared:close()
  if self.users == 1 then
    self:write_unseen()
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

--- What a child writes to a pipe.
function log.of_child()
  return new { pull = function() end, close = Log.write_unseen }
end

--- None: it goes where it always goes.
function log.none()
  return new { pull = function() end, close = function() end }
end

return log
