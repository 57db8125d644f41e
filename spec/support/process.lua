-- SPDX-License-Identifier: MIT
--- Child processes of the specs: scripts that are run to their end, and servers that are talked to and stopped. What
-- hangs is killed after a minute and has the status 137.

local client = require "spec.support.client"

local process = {}

--- The luaserve under test, as it is found from any folder.
process.luaserve = (os.getenv("LUASERVE") or "./luaserve"):gsub("^%./", require "luaserve.process".cwd() .. "/")

local running = {}

--- text as one word for the shell.
function process.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function words(list)
  local quoted = {}
  for i, word in ipairs(list) do
    quoted[i] = process.quote(word)
  end
  return table.concat(quoted, " ")
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function read_and_remove(path)
  local text = read_file(path)
  os.remove(path)
  return text
end

local function status_of(how, status)
  return how == "signal" and 128 + status or status
end

--- A new file with this text. The caller removes it.
function process.temporary(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return path
end

--- Runs a command of the shell to its end.
-- @param options input: text for its standard input; env: shell assignments in front, "A=1 B=2"; cwd: its folder
-- @return { status = exit status (128 + n for signal n), out =, err = }
function process.shell(command, options)
  options = options or {}
  local out, err, input = os.tmpname(), os.tmpname(), process.temporary(options.input or "")
  local line = ("%s %s timeout -s KILL 60 sh -c %s <%s >%s 2>%s"):format(
    options.cwd and "cd " .. process.quote(options.cwd) .. " &&" or "", options.env or "", process.quote(command),
    input, out, err)
  local _, how, status = os.execute(line)
  os.remove(input)
  return { status = status_of(how, status), out = read_and_remove(out), err = read_and_remove(err) }
end

--- Runs luaserve with arguments, a list of strings, to its end; see shell.
function process.run(arguments, options)
  return process.shell(("exec %s %s"):format(process.quote(process.luaserve), words(arguments)), options)
end

--- Runs Lua code as a script; see shell. options.arguments are the script's; the result has its path too.
function process.script(code, options)
  local path = process.temporary(code)
  local result = process.run({ path, table.unpack(options and options.arguments or {}) }, options)
  os.remove(path)
  result.path = path
  return result
end

local Server = {}
Server.__index = Server

--- Starts luaserve with arguments and reads its output up to the line with the address it serves.
-- @param options env, cwd: see shell; ready: a pattern of the line to wait for where no address is served
-- @return a server: host, port, pid, output (the lines so far), err_path; or raises with what it printed
function process.serve(arguments, options)
  options = options or {}
  local err = os.tmpname()
  local command = ("echo $$; exec %s %s"):format(process.quote(process.luaserve), words(arguments))
  local pipe = assert(io.popen(("%s %s timeout -s KILL 60 sh -c %s </dev/null 2>%s"):format(
    options.cwd and "cd " .. process.quote(options.cwd) .. " &&" or "", options.env or "", process.quote(command),
    err)))
  local server = setmetatable({ pipe = pipe, pid = pipe:read("n", "l"), err_path = err, output = {} }, Server)
  running[server] = true
  for line in pipe:lines() do
    server.output[#server.output + 1] = line
    server.host, server.port = line:match("http://([^/%s]+):(%d+)")
    server.port = math.tointeger(server.port)
    if server.port or options.ready and line:find(options.ready) then return server end
  end
  local _, text = server:wait()
  error("the server did not start: " .. table.concat(server.output, "\n") .. text, 2)
end

--- Serves the handler that the code returns, or what it prints the address of; see serve.
-- @param options options: list of command line options in front; arguments: list of the script's
function process.serve_code(code, options)
  options = options or {}
  local arguments = { "-p", "0", table.unpack(options.options or {}) }
  local path = process.temporary(code)
  arguments[#arguments + 1] = path
  table.move(options.arguments or {}, 1, #(options.arguments or {}), #arguments + 1, arguments)
  local server = process.serve(arguments, options)
  server.path = path
  return server
end

--- Where it listens, as net.connect takes it.
function Server:address()
  return { host = self.host, port = self.port }
end

--- A connection; see spec.support.client.
function Server:connect()
  return client.connect(self:address())
end

--- The answer to a request on a connection of its own: a table for client.request, or the path to get.
function Server:request(request)
  return client.request(self:address(), type(request) == "string" and { path = request } or request)
end

--- Sends a signal ("TERM").
function Server:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

--- Reads the next line of its output.
function Server:read_line()
  local line = self.pipe:read("l")
  self.output[#self.output + 1] = line
  return line
end

--- Reads the output to its end, that is until the process has ended.
-- @return exit status (128 + n for signal n), everything on standard error
function Server:wait()
  while self:read_line() do end
  running[self] = nil
  local _, how, status = self.pipe:close()
  if self.path then os.remove(self.path) end
  return status_of(how, status), read_and_remove(self.err_path)
end

--- Stops it with SIGTERM; see wait.
function Server:stop()
  self:signal("TERM")
  return self:wait()
end

--- Ends the servers that a failed spec has left.
function process.clean_up()
  for server in pairs(running) do
    server:signal("KILL")
    server:wait()
  end
end

return process
