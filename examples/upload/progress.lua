-- SPDX-License-Identifier: MIT
--- How far uploads have come, told to the pages that sent them. A page follows under the name that its form has, before
-- it sends; what is known of a name is kept while somebody follows it or its upload goes on, and no longer.

local http_error = require "luaserve.http_error"
local process = require "luaserve.process"

local progress = {}

local PAUSE = 0.1 * 1e9 -- nanoseconds between two events: a page needs no more

local uploads = {} -- by name: { streams = set of events, running =, state = what was told last, told_at = }

local function find(name)
  uploads[name] = uploads[name] or { streams = {}, told_at = 0, state = { received = 0, total = 0, files = 0 } }
  return uploads[name]
end

local function forget(name)
  local upload = uploads[name]
  if upload and not upload.running and not next(upload.streams) then uploads[name] = nil end
end

--- Without waiting: the upload must not be as slow as who looks on. Who is behind misses steps of the way, not its end.
local function tell(upload, event)
  for events in pairs(upload.streams) do
    if event or not events.behind then
      events:send({ event = event or "progress", data = upload.state }, function() end)
    end
  end
end

--- Answers with a stream of what happens to the upload of this name, from now on.
function progress.follow(name, req, res)
  local events = res:later():events()
  if events.closed then return end -- HEAD
  local upload = find(name)
  upload.streams[events] = true
  req:on_close(function()
    upload.streams[events] = nil
    forget(name)
  end)
  events:send({ event = "progress", data = upload.state }, function() end)
end

local Upload = {}
Upload.__index = Upload

--- Begins to count.
-- @param total bytes that the client has promised; 0: unknown
-- @return an upload: `add` bytes as they come, and close it: <close> does
function progress.begin(name, total)
  local upload = find(name)
  upload.running, upload.state = true, { received = 0, total = total, files = 0 }
  return setmetatable({ name = name, upload = upload }, Upload)
end

--- Counts bytes.
function Upload:add(n)
  local upload, now = self.upload, process.hrtime()
  upload.state.received = upload.state.received + n
  if now - upload.told_at < PAUSE then return end
  upload.told_at = now
  tell(upload)
end

--- Counts a file that is complete.
function Upload:file(file)
  self.upload.state.files, self.upload.state.last = self.upload.state.files + 1, file.name
  tell(self.upload)
end

--- The end: all is here, or what comes in `err` has happened. Those who follow are told which, and let go.
function Upload:__close(err)
  local upload = self.upload
  upload.running = false
  if http_error.is(err) then upload.state.message = err.message end -- the answer may not reach who is still sending
  tell(upload, err == nil and "done" or "failed")
  for events in pairs(upload.streams) do events:close() end
  upload.streams = {}
  forget(self.name)
end

return progress
