-- SPDX-License-Identifier: MIT
-- A server under measurement: started on its core, checked, ended. What still runs when the driver ends is ended by
-- `server.end_all`.

local process, task, timer = require "luaserve.process", require "luaserve.task", require "luaserve.timer"
local client = require "driver.client"

local server = {}
server.__index = server

local running = {}

--- Reads what it prints, so that it never waits for that, and keeps the end of it for messages.
local function drain(self)
  for text in function() return self.child.stdout:read() end do
    self.output = (self.output .. text):sub(-4000)
  end
end

local function await_line(self)
  local socket = self.child.stdout
  socket:set_timeout(20)
  while not self.port do
    local line, message = socket:read_until("\n")
    if not line then error(self.peer.label .. " did not start: " .. (message or "it has ended\n") .. self.output) end
    self.output = self.output .. line .. "\n"
    self.port = tonumber(line:match("http://[%d.]+:(%d+)"))
  end
  socket:set_timeout(nil)
end

local function await_port(self)
  for _ = 1, 20000 do
    local socket = client.connect(self.port)
    if socket then return socket:close() end
    if self.child.status then error(self.peer.label .. " did not start:\n" .. (self.child.stdout:read_all() or "")) end
    timer.sleep(0.0005)
  end
  error(self.peer.label .. " does not listen")
end

--- Starts one of bench/servers.lua. `free`: on any core, as for the time that a start takes.
function server.start(peer, kind, argument, free)
  local port = peer.prepare and peer.prepare(kind, argument)
  local command = peer.command(kind, argument)
  if not free then command = table.move(command, 1, #command, 4, { "taskset", "-c", "0" }) end
  local name = table.remove(command, 1)
  local self = setmetatable({ peer = peer, output = "", began = process.hrtime() }, server)
  self.child = assert(process.spawn(name, command, { stdout = "pipe", stderr = "stdout", group = true }))
  running[self.child] = true
  self.pid, self.port = self.child.pid, port
  if port then await_port(self) else await_line(self) end
  self.url = "http://127.0.0.1:" .. self.port
  task.background(drain, self)
  return self
end

--- Asks once for what the work asks for; a wrong answer raises.
function server:check(work)
  local status, body = client.ask(self.port, work.method or "GET", work.path, work.body)
  local right = body == work.expected or type(work.expected) == "function" and work.expected(body)
  if status == 200 and right then return end
  error(("%s gives a wrong answer to %s (%s %s): %d\n%s\n%s"):format(
    self.peer.label, work.name, work.method or "GET", work.path, status, body:sub(1, 400), self.output))
end

function server:stop()
  running[self.child] = nil
  self.child:kill_group("SIGKILL")
  self.child:wait()
  self.child:close()
end

--- For the end of the driver, whatever the reason: waits for nothing.
function server.end_all()
  for child in pairs(running) do child:kill_group("SIGKILL") end
end

return server
