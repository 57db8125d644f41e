-- SPDX-License-Identifier: MIT
--- The blocks of code in the documentation, and how those in Lua are run.

local assert = require "luassert"
local client = require "spec.support.client"
local process = require "spec.support.process"

local snippets = {}

--- The blocks of a file: { language =, line = of its first line, code =, fragment =, how =, file = }. A fragment, with
--- the line <!-- fragment --> before its fence, lacks something to run. After <!-- file: NAME --> it is "file", "NAME":
--- see walkthrough for this, and for other words in its place.
function snippets.read(path)
  local blocks, block, before = {}, nil, nil
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    local language = line:match("^```(%w*)$")
    if language and block then
      blocks[#blocks + 1] = block
      block = nil
    elseif language then
      local how, file = (before or ""):match("^<!%-%- ([%a ]+): (%S+) %-%->$")
      block = { language = language, line = number + 1, code = "", fragment = before == "<!-- fragment -->", how = how,
        file = file }
    elseif block then
      block.code = block.code .. line .. "\n"
    end
    before = line
  end
  assert(not block, path .. " ends inside a block")
  return blocks
end

--- Whether a block is a handler, or an app.
local function is_handler(code)
  return code:find("%f[%a]return function%([%w_]+, res%)") ~= nil or code:find("\nreturn app\n$") ~= nil
end

--- A program whose servers listen on free ports of 127.0.0.1, whatever it says, and print where.
local on_free_ports = [[
do
  local http, net = require "luaserve.http", require "luaserve.net"
  local function say(server, where)
    if type(where) == "number" or where.port then
      print("http://127.0.0.1:" .. server:address().port)
      io.stdout:flush()
    end
    return server
  end
  local function free(where)
    if type(where) == "table" and where.path then return where end
    return { host = "127.0.0.1", port = 0 }
  end
  local methods = debug.getmetatable(http.create_server(print)).__index
  local http_listen, net_listen = methods.listen, net.listen
  function methods.listen(server, where) return say(assert(http_listen(server, free(where))), where) end
  function net.listen(where, handler) return say(assert(net_listen(free(where), handler)), where) end
end ]]

--- Starts a block that serves: a handler that it returns, or what listens on a port. See process.serve.
function snippets.serve(code, options)
  if is_handler(code) then return process.serve_code(code, options) end
  return process.serve_code(on_free_ports:gsub("\n", " ") .. code, options)
end

--- Whether a block is a program that goes on serving.
function snippets.serves(code)
  return is_handler(code) or code:find("[.:]listen%(%d") ~= nil
end

--- Runs a block to its end, which must be a good one, and gives what it has printed. `--> text` in it says what a line
--- of that is.
function snippets.run(code, options)
  local result = process.script(code, options)
  assert.same({ 0, "" }, { result.status, result.err })
  local from = 1
  for text in code:gmatch("%-%->%s*([^\n]+)") do
    local first, last = ("\n" .. result.out):find("\n" .. text .. "\n", from, true)
    assert(first, ("no line '%s' where it should be in:\n%s"):format(text, result.out))
    from = last
  end
  return result.out
end

--- Runs a block that is a spec.
function snippets.run_spec(code)
  local path = process.temporary(code)
  os.rename(path, path .. "_spec.lua")
  local result = process.run { "test", "-o", "TAP", path .. "_spec.lua" }
  os.remove(path .. "_spec.lua")
  assert.same({ 0, "" }, { result.status, result.err }, result.out)
  assert.matches("^ok 1 ", result.out)
end

--- Serves a block, asks it something, and stops it: whatever it answers, it must live.
function snippets.try_server(code)
  local server = snippets.serve(code)
  if is_handler(code) or code:find("create_server", 1, true) then
    assert.is_number(server:request("/").status)
  else
    client.connect(server:address()):close()
  end
  local status, err = server:stop()
  err = err:gsub("^[%d.]+ %- %- %[[^\n]*\n", "") -- what middleware.access_log writes
  assert.equal("", (err:gsub("^Terminated\n", ""))) -- the shell's word for the end of what serves no requests
  assert.is_true(status == 0 or status == 128 + 15, "status " .. status)
end

return snippets
