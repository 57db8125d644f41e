-- SPDX-License-Identifier: MIT
-- The REPL on a pseudo terminal, which script(1) makes.

local process = require "spec.support.process"

local CTRL_C, CTRL_D, TAB, UP = "\3", "\4", "\t", "\27[A"

local Terminal = {}
Terminal.__index = Terminal

local opened, folder

local function shell(command)
  return process.shell(command).out:gsub("\n$", "")
end

--- A shell command on a terminal of its own, with folder as its home. What it prints is read with expect.
local function open_terminal(command)
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute("mkfifo " .. fifo))
  local pipe = assert(io.popen(("HOME=%s XDG_STATE_HOME= TERM=xterm LC_ALL=C.UTF-8 timeout -s KILL 60 " ..
    "script -qec %s /dev/null <%s 2>&1"):format(folder, process.quote(command), fifo)))
  opened = setmetatable({ pipe = pipe, keys = assert(io.open(fifo, "w")), text = "" }, Terminal)
  opened.keys:setvbuf("no")
  os.remove(fifo)
  return opened
end

--- Reads on until text, which is taken away with all before it.
-- @return what stood before it
function Terminal:expect(text)
  while true do
    local first, last = self.text:find(text, 1, true)
    if first then
      local before = self.text:sub(1, first - 1)
      self.text = self.text:sub(last + 1)
      return before
    end
    local more = self.pipe:read(1)
    if not more then error(("%q was expected before the end of %q"):format(text, self.text), 2) end
    self.text = self.text .. more
  end
end

function Terminal:type(keys)
  assert(self.keys:write(keys))
end

--- Types a line at the prompt; returns what is printed before the next prompt.
function Terminal:run(line)
  self:type(line .. "\n")
  return self:expect "\n> " .. "\n"
end

--- The end: the rest of what it printed, and its exit status.
function Terminal:wait()
  local text = self.text .. self.pipe:read("a")
  self.keys:close()
  local _, how, status = self.pipe:close()
  opened = nil
  return text, how == "signal" and 128 + status or status
end

local function open_repl()
  local repl = open_terminal("exec " .. process.quote(process.luaserve))
  local greeting = repl:expect "\n> "
  return repl, not greeting:find("no line editing", 1, true)
end

--- Ends with Ctrl-D at the prompt.
local function finish(repl)
  repl:type(CTRL_D)
  local text, status = repl:wait()
  assert.equal(0, status, text)
end

describe("the REPL", function()
  if not os.execute("command -v script >/dev/null") then return pending("script(1) is not installed") end

  before_each(function() folder = shell "mktemp -d" end)

  after_each(function()
    if opened then
      opened.keys:close()
      opened.pipe:close()
      opened = nil
    end
    os.execute("rm -r " .. folder)
  end)

  it("prints the values of expressions, and ends with Ctrl-D", function()
    local repl = open_repl()
    assert.matches("\n42\r\n", repl:run "6 * 7")
    assert.matches("\na b\tnil\ttrue\r\n", repl:run '"a " .. "b", nil, 1 < 2')
    assert.matches('\n{ 1, {}, x = "y" }\r\n', repl:run "{ 1, {}, x = 'y' }")
    finish(repl)
  end)

  it("keeps globals from line to line and prints nothing for statements", function()
    local repl = open_repl()
    assert.equal("count = 20\r\n", repl:run "count = 20":match("count = 20\r\n.*"))
    assert.matches("\n21\r\n", repl:run "count + 1")
    assert.matches("\n22\r\n", repl:run "_ + 1")
    assert.matches("\n20\r\n", repl:run "_G.count")
    finish(repl)
  end)

  it("reads on until a function has its end", function()
    local repl = open_repl()
    repl:type "function twice(x)\n"
    repl:expect ">> "
    repl:type "return x * 2\n"
    repl:expect ">> "
    repl:run "end"
    assert.matches("\n34\r\n", repl:run "twice(17)")
    finish(repl)
  end)

  it("shows errors and goes on", function()
    local repl = open_repl()
    local text = repl:run "error('went' .. 'wrong')"
    assert.matches("stdin:1: wentwrong\r\nstack traceback:\r\n", text)
    assert.not_matches("xpcall", text)
    assert.matches("stdin:1: unexpected symbol near '='", repl:run "x = = 1")
    assert.matches("%(error object is a table value%)", repl:run "error({})")
    assert.matches("module 'http' not found %(did you mean 'luaserve%.http'%?%)", repl:run "require 'http'")
    assert.matches("\n3\r\n", repl:run "1 + 2")
    finish(repl)
  end)

  it("waits for calls, and knows the modules by name", function()
    local repl = open_repl()
    assert.matches("\ntrue\r\n", repl:run "timer.sleep(0.01)")
    assert.matches("\nnil\tENOENT: [^\r]*'nowhere'\tENOENT\r\n", repl:run "fs.stat('nowhere')")
    assert.matches("\nnil\tnil\r\n", repl:run "rawget(_G, 'fs'), no_such_name")
    finish(repl)
  end)

  it("lets timers and servers go on while it waits for a line", function()
    local repl = open_repl()
    repl:run "ticker = timer.every(0.01, function() print('ti' .. 'ck') end)"
    repl:expect "tick\r\n"
    repl:expect "tick\r\n"
    repl:type "ticker:cancel()\n"
    repl:expect "true\r"
    repl:expect "\n> "
    repl:run "server = http.create_server(function(_, res) res:send('ser' .. 'ved') end)"
    repl:run "server:listen { host = '127.0.0.1', port = 0 }"
    repl:run "port = server:address().port"
    assert.matches("\nserved\r\n", repl:run [[
require("spec.support.client").request({ host = "127.0.0.1", port = port }, {}).body]])
    repl:type("half a line" .. CTRL_C)
    repl:expect "\n> "
    assert.matches("\n9\r\n", repl:run "4 + 5")
    finish(repl)
  end)

  it("cancels what waits at Ctrl-C", function()
    local repl = open_repl()
    repl:type "print('wai' .. 'ting') timer.sleep(1000)\n"
    repl:expect "waiting\r\n"
    repl:type(CTRL_C)
    repl:expect "interrupted\r"
    repl:expect "\n> "
    assert.matches("\n5\r\n", repl:run "2 + 3")
    finish(repl)
  end)

  it("gives up the line at Ctrl-C, also between the lines of a chunk", function()
    local repl = open_repl()
    repl:type "return (\n"
    repl:expect ">> "
    repl:type("1 +" .. CTRL_C)
    repl:expect "\n> "
    assert.matches("\n6\r\n", repl:run "2 * 3")
    finish(repl)
  end)

  it("gives the line to io.read", function()
    local repl = open_repl()
    repl:type "print('as' .. 'ked') print((io.read():upper()))\n"
    repl:expect "asked\r\n"
    repl:type "answer\n"
    repl:expect "ANSWER\r"
    repl:expect "\n> "
    finish(repl)
  end)

  it("remembers lines, also in the next session, in a file for the owner alone", function()
    local repl, edits = open_repl()
    repl:run "3 * 1111"
    repl:run "3 * 1111"
    finish(repl)
    local history = folder .. "/.luaserve_history"
    assert.equal("3 * 1111", shell("cat " .. history))
    assert.equal("600", shell("stat -c %a " .. history))
    if not edits then return end
    repl = open_repl()
    assert.matches("\n3333\r\n", repl:run(UP))
    finish(repl)
  end)

  it("edits lines and completes names", function()
    local repl, edits = open_repl()
    if not edits then
      finish(repl)
      return pending("libedit is not installed")
    end
    assert.matches("\n12\r\n", repl:run "2\0011")
    assert.matches("\nab\r\n", repl:run("string.low" .. TAB .. "('AB')"))
    assert.matches("\ntrue\r\n", repl:run("tim" .. TAB .. ".sle" .. TAB .. "(0.001)"))
    repl:type("string.f" .. TAB)
    repl:expect "\nfind  format\r\n"
    repl:type(CTRL_C)
    repl:expect "\n> "
    assert.matches("\näx€\r\n", repl:run "'ä€'\27[D\27[Dx")
    finish(repl)
  end)

  it("leaves the terminal as it was, also when the program ends by itself", function()
    for code, status in pairs {
      ["timer.after(0.01, os.exit, 3)"] = 3,
      ["timer.after(0.01, os.exit, 4, true)"] = 4,
      ["timer.after(0.01, process.kill, process.pid, 'SIGTERM')"] = 143,
    } do
      local repl = open_terminal(process.quote(process.luaserve) .. "; echo status $?; stty -a")
      repl:expect "\n> "
      repl:type(code .. "\n")
      repl:expect(("status %d\r\n"):format(status))
      local text = repl:wait()
      assert.matches(" icanon", text, 1, true)
      assert.matches(" echo ", text, 1, true)
    end
  end)

  it("reads lines without an editor where it prints to no terminal", function()
    local repl = open_terminal(process.quote(process.luaserve) .. " | cat")
    repl:expect "no line editing"
    repl:expect "\n> "
    assert.matches("\n10\r\n", repl:run "7 + 3")
    finish(repl)
  end)
end)

describe("luaserve without a script", function()
  it("runs what standard input has when that is no terminal", function()
    local result = process.run({}, { input = "print('piped')\nprint(1 + 1) error('end')" })
    assert.equal("piped\n2\n", result.out)
    assert.matches("stdin:2: end", result.err)
    assert.equal(1, result.status)
    assert.same({ status = 0, out = "", err = "" }, process.run { "-p", "0" })
  end)
end)
