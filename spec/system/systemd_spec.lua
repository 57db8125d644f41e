-- SPDX-License-Identifier: MIT
--- A restart with the sockets of systemd, by the command of docs/deployment/luaserve.service. A shell is systemd: it
-- holds the socket, and starts the program with it whenever that has ended.

local children = require "spec.support.children"
local client = require "spec.support.client"
local descriptors = require "spec.support.descriptors"
local fs = require "luaserve.fs"
local kept = require "spec.support.kept"
local luaserve = require "spec.support.process".luaserve
local net = require "luaserve.net"
local process = require "luaserve.process"
local task = require "luaserve.task"
local test = require "luaserve.test"
local waits = require "spec.support.waits"

--- What the unit starts, as words: the program under test in place of the installed one.
local function command_of_unit()
  local unit = assert(fs.read_file("docs/deployment/luaserve.service"))
  local program, arguments = unit:match("\nExecStart=(%S+) ([^\n]+)\n")
  assert.equal("/usr/local/bin/luaserve", program)
  return "'" .. luaserve .. "' " .. arguments
end

--- A socket that a shell holds, which goes on serving the folder's app on it: its address.
local function keep_serving(folder)
  local listener = kept.keep(assert(net.listen({ host = "127.0.0.1" }, error)))
  local place = listener:address()
  local once = "exec env LISTEN_PID=$$ LISTEN_FDS=1 " .. command_of_unit()
  children.spawn("sh", { "-c", 'exec 3<&0 </dev/null; while :; do sh -c "$1"; done', "sh", once },
    { stdin = descriptors.of(listener), stdout = "null", cwd = folder, group = true, grace = 1 })
  listener:close()
  return place
end

describe("the units of docs/deployment", function()
  it("are such as systemd takes", function()
    if not os.execute("command -v systemd-analyze >/dev/null") then return pending("systemd is not installed") end
    local folder = test.temporary_folder()
    for _, name in ipairs { "luaserve.service", "luaserve.socket" } do
      local text = assert(fs.read_file("docs/deployment/" .. name)):gsub("/usr/local/bin/luaserve", "/bin/true")
      assert(fs.write_file(folder .. "/" .. name, text))
    end
    local result = assert(process.run("systemd-analyze", { "verify", folder .. "/luaserve.service",
      folder .. "/luaserve.socket" }))
    assert.same({ 0, "" }, { result.status, result.stderr })
  end)
end)

describe("a restart with sockets of systemd", function()
  after_each(children.clean_up)

  it("refuses nobody, and lets finish who is under way", function()
    local folder = test.temporary_folder { ["app.lua"] = [[
      local fs, process, timer = require "luaserve.fs", require "luaserve.process", require "luaserve.timer"
      return function(req, res)
        if req.path == "/slow" then
          fs.write_file("begun", "")
          while not fs.stat("go") do timer.sleep(0.01) end
        end
        res:set("connection", "close"):send(process.pid)
      end
    ]] }
    local place = keep_serving(folder)

    local function ask(path)
      local connection <close> = client.connect(place)
      return tonumber(connection:request({ path = path }).body)
    end

    local first = ask("/")
    local slow = task.spawn(ask, "/slow")
    waits.eventually(function() return fs.stat(folder .. "/begun") end)
    assert(process.kill(first, "SIGTERM"))
    local meanwhile = {}
    for i = 1, 8 do meanwhile[i] = task.spawn(ask, "/") end
    assert(fs.write_file(folder .. "/go", ""))
    assert.equal(first, slow:join())
    for i = 1, 8 do assert.is_number(meanwhile[i]:join()) end
    children.wait_until_gone(first)
    assert.not_equal(first, ask("/"))
  end)
end)
