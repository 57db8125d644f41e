-- SPDX-License-Identifier: MIT
--- What a client asks: a server in this process, a script in a process of its own, or what listens somewhere already.
-- Each is { address =, log =, close = function }.

local folder = require "luaserve.test.folder"
local fs = require "luaserve.fs"
local http = require "luaserve.http"
local log = require "luaserve.test.log"
local process = require "luaserve.process"
local task = require "luaserve.task"

local server = {}

local START_TIMEOUT = 10 -- seconds for a script to say where it listens

-- ---- in this process ----

local Server = {}
Server.__index = Server

function Server:close()
  if not self.http then return end
  if task.can_await() then self.http:close(0) end -- else the program ends, and the server with it
  self.http = nil
  if self.folder then folder.remove(self.folder) end
  self.log:close()
end

--- The server, which does not listen yet. What is wrong with its options is the mistake of who calls luaserve.test.
local function create(app, options)
  local made, served
  if options and options.server then
    made, served = pcall(http.create_server, options.server, app)
  else
    made, served = pcall(http.create_server, app)
  end
  if not made then error(served, 4) end
  return served
end

local function listen(served, options, place, own_folder)
  assert(served:listen(place))
  served:unref() -- where a spec waits for ever nothing else is alive, and the program says so
  local kept = options and options.log and log.none() or log.own()
  return setmetatable({ http = served, address = served:address(), folder = own_folder, log = kept }, Server)
end

--- On a unix socket in a folder that only this user can enter.
function server.private(app, options)
  local served = create(app, options)
  local own_folder = folder.make("/tmp") -- a path of a socket is short
  return listen(served, options, { path = own_folder .. "/socket" }, own_folder)
end

--- On a free port.
function server.public(app, options)
  local served = create(app, options)
  return listen(served, options, { host = "127.0.0.1", port = 0 })
end

-- ---- somewhere else ----

--- What listens there already; it is not closed.
function server.elsewhere(address)
  return { address = address, log = log.none(), close = function() end }
end

-- ---- a script ----

local Child = {}
Child.__index = Child

local function environment(more)
  local env = {}
  for name, value in pairs(process.env) do env[name] = value end
  for name, value in pairs(more or {}) do env[name] = value or nil end
  return env
end

--- Reads what the child writes to a stream until it ends, so that it never has to wait.
local function drain(stream, take)
  for chunk in function() return (stream:read()) end do take(chunk) end
end

--- Where a line says that something is served: an address, or nil.
local function address_in(line)
  local host, port = line:match("http://%[?([^%]/%s]-)%]?:(%d+)")
  if host then return { host = host, port = math.tointeger(port) } end
  local path = line:match("unix:(%S+)")
  return path and { path = path }
end

--- Reads its output up to the line with the address.
local function read_address(child)
  for line in function() return (child.stdout:read_until("\n")) end do
    local address = address_in(line)
    if address then return address end
  end
end

--- Runs luaserve with a script. The program itself is the one that runs here.
-- @return server; nil and a message when it says no address
function server.script(path, options)
  options = options or {}
  local arguments = { "--port", "0" }
  table.move(options.options or {}, 1, #(options.options or {}), #arguments + 1, arguments)
  arguments[#arguments + 1] = path
  table.move(options.arguments or {}, 1, #(options.arguments or {}), #arguments + 1, arguments)
  local program = assert(fs.readlink("/proc/self/exe"))
  local child = assert(process.spawn(program, arguments, { stdout = "pipe", stderr = "pipe", cwd = options.cwd,
    env = environment(options.env), group = true, grace = 1 }))
  local self = setmetatable({ child = child, log = options.log and log.none() or log.of_child() }, Child)
  self.errors = task.background(drain, child.stderr, function(text)
    if options.log then io.stderr:write(text) else self.log:add(text) end
  end)
  child.stdout:set_timeout(START_TIMEOUT)
  self.address = read_address(child)
  if not self.address then
    self:stop()
    local text = self.log:since(0)
    self.log:close()
    return nil, ("%s said no address that it serves:\n%s"):format(path, text)
  end
  child.stdout:set_timeout(nil)
  self.output = task.background(drain, child.stdout, function() end)
  return self
end

--- Ends it, if it still runs: SIGTERM, and SIGKILL where that does not help for a second.
function Child:stop()
  local child = self.child
  self.child = nil
  child:terminate()
  if not task.can_await() then return end
  child:wait()
  self.errors:join()
  if self.output then self.output:join() end
  child:close()
end

function Child:close()
  if not self.child then return end
  self:stop()
  self.log:close()
end

return server
