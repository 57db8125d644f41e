-- SPDX-License-Identifier: MIT
-- process.exit and process.on_exit: the end of the program.

local child_of = require("spec.support.process") -- other luaserves
local process = require("luaserve.process")

after_each(function() child_of.clean_up() end)

describe("the end", function()
  local hooks = [[
    local process = require "luaserve.process"
    process.on_exit(function(status) print("first", status) end)
    process.on_exit(function(status) error("on purpose") end)
    local closed = process.on_exit(function(status) print("closed", status) end)
    process.on_exit(function(status) print("last", status) end)
    closed:close()
  ]]

  local function check(result, status)
    assert.equal(status, result.status)
    assert.equal(("last\t%d\nfirst\t%d\n"):format(status, status), result.out)
    assert.matches("error in an exit hook: .*on purpose", result.err)
  end

  it("calls the hooks, the last one first, and goes on past an error", function()
    check(child_of.script(hooks), 0)
    check(child_of.script(hooks .. "process.exit()"), 0)
    check(child_of.script(hooks .. "process.exit(7)"), 7)
    check(child_of.script(hooks .. "process.exit(false)"), 1)
    check(child_of.script(hooks .. "os.exit(5, true)"), 5)
    check(child_of.script(hooks .. "error('the script fails')"), 1)
    check(child_of.script(hooks .. "require('luaserve.timer').after(0.001, function() process.exit(9) end)"), 9)
    check(child_of.script(hooks .. "(('x'):gsub('x', function() process.exit(4) end))"), 4)
  end)

  it("calls the hooks at a signal, with and without a server", function()
    local server = child_of.serve_code(hooks .. "return function(_, res) res:send('ok') end")
    server:signal("TERM")
    assert.equal("last\t0", server:read_line())
    assert.equal("first\t0", server:read_line())
    assert.equal(0, (server:wait()))
    local alone = child_of.script(hooks .. [[
      process.kill(process.pid, "SIGTERM")
      require("luaserve.timer").sleep(60)
    ]])
    check(alone, 143)
  end)

  it("runs <close> variables and finalizers after process.exit", function()
    local result = child_of.script([[
      local process = require "luaserve.process"
      local a <close> = setmetatable({}, { __close = function() print("closed") end })
      b = setmetatable({}, { __gc = function() print("collected") end })
      process.exit(2)
      print("not reached")
    ]])
    assert.equal(2, result.status)
    assert.equal("closed\ncollected\n", result.out)
  end)

  it("tells finalizers of what is older than any module, which run last, that what they hold has ended", function()
    local result = child_of.script([[
      local held = setmetatable({}, { __gc = function(self)
        for _, use in ipairs(self) do print(pcall(use)) end
      end })
      local http, net = require "luaserve.http", require "luaserve.net"
      local server
      server = http.create_server(function(req, res)
        local headers = req.headers
        held[1] = function() res:send("x") end
        held[2] = function() return req.path end
        held[3] = function() return headers.host end
        held[4] = function() return tostring(res) end
        held[5] = function() server:address() end
        res:send("answered")
      end)
      server:listen { host = "127.0.0.1", port = 0 }
      local client = net.connect(server:address())
      client:write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
      client:read_all()
      server:close()
    ]])
    assert.same({ 0, "" }, { result.status, result.err })
    local path = result.path
    assert.equal(("false\t%s:8: the request has ended\n"):format(path) ..
      ("false\t%s:9: the request has ended\n"):format(path) ..
      ("false\t%s:10: the request has ended\n"):format(path) ..
      "true\tluaserve.response (ended)\n" ..
      ("false\t%s:12: the server was collected already\n"):format(path), result.out)
  end)

  it("lets a hook wait for nothing, start nothing, and not exit again", function()
    local result = child_of.script([[
      local process, timer = require "luaserve.process", require "luaserve.timer"
      process.on_exit(function()
        print(pcall(timer.sleep, 0.001))
        print(pcall(process.spawn, "true"))
        print(pcall(process.exit, 3))
        print(pcall(process.on_exit, print))
        print(pcall(process.on, "SIGHUP", print))
      end)
    ]])
    assert.same({ 0, "" }, { result.status, result.err })
    assert.equal("false\ttimer.sleep cannot start: the program is ending\n" ..
      "false\tprocess.spawn cannot start: the program is ending\n" ..
      "false\tprocess.exit: the program is ending already\n" ..
      "false\tprocess.on_exit: the program is ending\n" ..
      "false\tprocess.on: the program is ending\n", result.out)
  end)

  it("is refused to a request", function()
    local server = child_of.serve_code([[
      local process = require "luaserve.process"
      return function(_, res) res:send(select(2, pcall(process.exit))) end
    ]])
    assert.matches("process.exit in a request would end every request", server:request("/").body, 1, true)
    assert.equal(0, (server:stop()))
  end)

  it("wants a status that there can be", function()
    assert.has_error(function() process.exit(256) end)
    assert.has_error(function() process.exit(-1) end)
    assert.has_error(function() process.exit("x") end)
    assert.has_error(function() process.on_exit() end)
  end)
end)
