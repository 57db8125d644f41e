-- SPDX-License-Identifier: MIT
--- Lines to a file or a standard stream, written by the pool while others serve. What waits is bounded: lines beyond it
-- are dropped and counted. Whoever puts a line waits for nothing.
--
-- A file is opened for each batch of lines, so one that was renamed or removed is followed by a new one. SIGUSR1, by
-- which programs that rotate logs say so, is therefore only kept from ending the process.
-- @module luaserve.core.line_writer

local core = require "luaserve.core.task"
local fs = require "luaserve.fs"
local pool = require "luaserve.pool"
local process = require "luaserve.process"
local task = require "luaserve.task"
local worker = require "luaserve.worker"

local line_writer = {}

local LineWriter = {}
LineWriter.__index = LineWriter
LineWriter.__name = "luaserve.line_writer"

local BATCH_MAX = 1000        -- lines
local COMPLAINT_SECONDS = 10  -- at most one complaint on standard error in so long

local writers, in_use = setmetatable({}, { __mode = "k" }), 0
local signal_handler, exit_hook

-- ---- signal and end ----

local function ignore_signal() end

--- What the process still has to say when it ends; nothing can wait then. A batch that the pool has begun to write is
-- waited for by the end itself; one that it has not is taken back.
local function write_rest()
  for writer in pairs(writers) do
    local text = writer:take_batch(math.huge)
    if writer.batch and core.withdraw(writer.task) then text = writer.batch .. (text or "") end
    local file = text and (writer.stream and io[writer.stream] or io.open(writer.path, "a"))
    if file then file:write(text) end
    if file and writer.path then file:close() end
    if writer.unreported > 0 then io.stderr:write(writer:complaint()) end
  end
end

--- Handler and hook are there as long as a writer is. In a worker the first of them is the program's affair.
local function use()
  in_use = in_use + 1
  if in_use > 1 then return end
  signal_handler = not worker.parent and process.on("SIGUSR1", ignore_signal)
  exit_hook = process.on_exit(write_rest)
end

local function release()
  in_use = in_use - 1
  if in_use > 0 then return end
  if signal_handler then signal_handler:close() end
  exit_hook:close()
end

-- ---- writing ----

--- On a thread of the pool: nothing here is of the program's state.
local function write_stream(name, text)
  local stream = io[name]
  local ok, message = stream:write(text)
  if ok then ok, message = stream:flush() end
  return ok and true or nil, message
end

--- The waiting lines, up to max of them, as one text; nil: there is none.
function LineWriter:take_batch(max)
  local count = math.min(self.count, max)
  if count == 0 then return nil end
  local text = table.concat(self.lines, "", 1, count)
  if count == self.count then
    self.lines = {}
  else
    table.move(self.lines, count + 1, self.count, 1)
    for i = self.count - count + 1, self.count do self.lines[i] = nil end
  end
  self.count = self.count - count
  return text, count
end

function LineWriter:write_batch(text)
  if self.stream then return pool.run(write_stream, self.stream, text) end
  return fs.append_file(self.path, text, { mode = self.mode })
end

--- How many lines are missing, and why, as a line for standard error.
function LineWriter:complaint(message)
  return ("%s: %d lines of the log are missing: %s\n"):format(self.path or self.stream, self.unreported,
    message or "they came faster than they could be written")
end

--- Tells it, now and then. Only then it is told: a program that ends before does so itself.
function LineWriter:complain(message)
  local now = process.uptime()
  if self.unreported == 0 or now < self.next_complaint then return end
  self.next_complaint = now + COMPLAINT_SECONDS
  local count = self.unreported
  pool.run(write_stream, "stderr", self:complaint(message))
  self.unreported = self.unreported - count
end

--- Writes until nothing waits; then the task has ended, and with the next line there is another one.
function LineWriter:run()
  local _ <close> = self
  local text, count = self:take_batch(BATCH_MAX)
  while text do
    self.batch = text
    local ok, message = self:write_batch(text)
    self.batch = nil
    if ok then
      self.written = self.written + count
    else
      self:miss(count)
    end
    self:complain(message)
    text, count = self:take_batch(BATCH_MAX)
  end
end

--- The end of run, however it comes.
function LineWriter:__close()
  self.running = false
end

--- Counts lines that nobody could put.
function LineWriter:miss(count)
  self.dropped, self.unreported = self.dropped + count, self.unreported + count
end

--- Takes a line, with its end, to be written soon.
-- @return whether it was taken; false: too many wait
function LineWriter:put(line)
  if self.count >= self.limit then
    self:miss(1)
    return false
  end
  self.count = self.count + 1
  self.lines[self.count] = line
  if not self.running then
    self.running = true
    self.task = task.background(self.run, self)
  end
  return true
end

--- A writer.
-- @param to "stdout", "stderr", or the path of a file
-- @param limit lines that may wait
-- @param mode permissions of a file that is made
function line_writer.new(to, limit, mode)
  local is_stream = to == "stdout" or to == "stderr"
  local writer = setmetatable({ stream = is_stream and to or nil, path = not is_stream and to or nil, mode = mode,
    limit = limit, lines = {}, count = 0, written = 0, dropped = 0, unreported = 0, next_complaint = 0,
    running = false }, LineWriter)
  writers[writer] = true
  use()
  return writer
end

function LineWriter:__gc()
  release()
end

return line_writer
