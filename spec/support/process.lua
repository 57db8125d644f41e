-- SPDX-License-Identifier: MIT
--- Child processes of the specs: scripts that are run to their end, and servers that are talked to and stopped.

local process = {}

--- The luaserve under test.
process.luaserve = os.getenv("LUASERVE") or "./luaserve"

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

local function read_and_remove(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(path)
  return text
end

--- Runs luaserve with arguments to its end.
-- @param arguments list of strings
-- @param options input: text for its standard input; env: shell assignments in front, "A=1 B=2"
-- @return { status = exit status (128 + n for signal n), out =, err = }
function process.run(arguments, options)
  options = options or {}
  local out, err, input = os.tmpname(), os.tmpname(), os.tmpname()
  local file = assert(io.open(input, "wb"))
  file:write(options.input or "")
  file:close()
  local command = ("%s %s %s <%s >%s 2>%s"):format(options.env or "", process.quote(process.luaserve),
    words(arguments), input, out, err)
  local _, how, status = os.execute(command)
  os.remove(input)
  return {
    status = how == "signal" and 128 + status or status,
    out = read_and_remove(out),
    err = read_and_remove(err),
  }
end

--- Runs Lua code as a script; see run.
function process.script(code, options)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(code)
  file:close()
  local result = process.run({ path, table.unpack(options and options.arguments or {}) }, options)
  os.remove(path)
  result.path = path
  return result
end

local Server = {}
Server.__index = Server

--- Starts luaserve with arguments and reads its output up to the line with the address it serves.
-- @return a server: host, port, pid, output (the lines so far), err_path; or raises with what it printed
function process.serve(arguments)
  local err = os.tmpname()
  local pipe = assert(io.popen(("echo $$; exec %s %s 2>%s"):format(process.quote(process.luaserve), words(arguments),
    err)))
  local server = setmetatable({ pipe = pipe, pid = pipe:read("n", "l"), err_path = err, output = {} }, Server)
  for line in pipe:lines() do
    server.output[#server.output + 1] = line
    server.host, server.port = line:match("http://([^/%s]+):(%d+)")
    if server.port then
      server.port = math.tointeger(server.port)
      return server
    end
  end
  pipe:close()
  error("the server did not start: " .. table.concat(server.output, "\n") .. read_and_remove(err), 2)
end

--- Sends a signal ("TERM").
function Server:signal(name)
  os.execute(("kill -%s %d"):format(name, self.pid))
end

--- Reads the output to its end, that is until the process has ended.
-- @return exit status (128 + n for signal n), everything on standard error
function Server:wait()
  for line in self.pipe:lines() do
    self.output[#self.output + 1] = line
  end
  local _, how, status = self.pipe:close()
  return how == "signal" and 128 + status or status, read_and_remove(self.err_path)
end

--- Stops it with SIGTERM; see wait.
function Server:stop()
  self:signal("TERM")
  return self:wait()
end

return process
