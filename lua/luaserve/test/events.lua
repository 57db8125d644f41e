-- SPDX-License-Identifier: MIT
--- Server-sent events, read as a browser reads them (HTML, 9.2.6).

local events = {}

local Events = {}
Events.__index = Events
Events.__name = "luaserve.test.events"

--- A reader over what read() gives: strings, then nil.
function events.new(read)
  return setmetatable({ read = read, buffer = "", comments = {}, last_id = "" }, Events)
end

--- The next line, which ends with CR LF, LF or CR; nil at the end: what is not ended there does not count.
local function read_line(self)
  while true do
    if self.after_cr and self.buffer ~= "" then
      self.buffer, self.after_cr = self.buffer:gsub("^\n", "", 1), false
    end
    local at = self.buffer:find("[\r\n]")
    if at then
      local line = self.buffer:sub(1, at - 1)
      self.after_cr = self.buffer:sub(at, at) == "\r"
      self.buffer = self.buffer:sub(at + 1)
      return line
    end
    local chunk = self.read()
    if not chunk then return nil end
    self.buffer = self.buffer .. chunk
  end
end

local fields = {}

function fields.event(event, value) event.event = value end
function fields.data(event, value) table.insert(event.lines, value) end
function fields.id(_, value, self) if not value:find("\0", 1, true) then self.last_id = value end end
function fields.retry(event, value) if value:find("^%d+$") then event.retry = tonumber(value) / 1000 end end

local function take_line(self, event, line)
  if line:sub(1, 1) == ":" then
    table.insert(self.comments, (line:gsub("^: ?", "")))
    return
  end
  local name, value = line:match("^([^:]*): ?(.*)$")
  local field = fields[name or line]
  if field then field(event, value or "", self) end
end

--- Async. The next event.
-- @return { event = its type, or "message", data =, id = the last id that was sent, or "", retry = in seconds };
-- nil at the end of the stream. Comments are in events.comments, in their order
function Events:next()
  local event = { lines = {} }
  for line in read_line, self do
    if not self.begun then
      self.begun = true
      line = line:gsub("^\xef\xbb\xbf", "")
    end
    if line ~= "" then
      take_line(self, event, line)
    elseif event.lines[1] then
      return { event = event.event or "message", data = table.concat(event.lines, "\n"), id = self.last_id,
        retry = event.retry }
    else
      event = { lines = {}, retry = event.retry }
    end
  end
  return nil
end

--- Iterates over them: `for event in events:each() do`.
function Events:each()
  return Events.next, self
end

return events
