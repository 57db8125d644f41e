-- SPDX-License-Identifier: MIT
--- The real server among clients that mean no good: very many that never finish a request, that hold connections,
-- that take nothing of what they asked for, that leave at the worst time. Others are served meanwhile.

local process = require "spec.support.process"
local fs, task, timer = require "luaserve.fs", require "luaserve.task", require "luaserve.timer"

-- Sanitizers keep freed memory and pad what is used: their builds tell nothing about sizes.
local sanitized = process.luaserve:find("build/[at]san/") ~= nil

--- How many descriptors this process may have.
local function descriptor_limit()
  return tonumber(assert(fs.read_file("/proc/self/limits")):match("Max open files%s+(%d+)"))
end

--- Of a process: a size of /proc/PID/status in bytes, such as VmRSS.
local function memory_of(pid, name)
  return tonumber(assert(fs.read_file(("/proc/%d/status"):format(pid))):match(name .. ":%s+(%d+) kB")) * 1024
end

local function close_all(connections)
  for _, connection in ipairs(connections) do connection:close() end
end

--- So many connections that have sent bytes; as many at a time as the kernel's backlog takes.
local function connect_many(server, count, bytes)
  local connections = {}
  for first = 1, count, 200 do
    local group = {}
    for i = first, math.min(first + 199, count) do
      group[#group + 1] = task.spawn(function()
        connections[i] = server:connect()
        if bytes then connections[i]:write(bytes) end
      end)
    end
    for _, t in ipairs(group) do t:join() end
  end
  return connections
end

after_each(function() process.clean_up() end)

describe("a server", function()
  local hello = 'return function(_, res) res:send("hello") end'

  it("raises its limit of descriptors to what it may have", function()
    local result = process.shell(("ulimit -Sn 100; exec %s -e %s"):format(process.quote(process.luaserve),
      process.quote('io.write(io.open("/proc/self/limits"):read("a"):match("Max open files%s+(%d+)"))')))
    assert.equal(tostring(descriptor_limit()), result.out)
  end)

  it("serves others among 5,000 clients that never finish their heads", function()
    assert.is_true(descriptor_limit() > 5200, "the hard limit of open files is below 5,200")
    local server = process.serve_code(hello)
    local slow = connect_many(server, 5000, "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ")
    local good <close> = server:connect()
    for round = 1, 20 do
      for i = round, #slow, 20 do slow[i]:write("y") end -- each goes on with one more byte
      assert.equal("hello", good:request({}).body)
      assert.equal("hello", server:request("/").body)
    end
    close_all(slow)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("holds 10,000 idle connections in at most 1 KB each", function()
    assert.is_true(descriptor_limit() > 10100, "the hard limit of open files is below 10,100")
    local server = process.serve_code(hello)
    local request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    close_all(connect_many(server, 100, request)) -- what the first ones need
    local before = memory_of(server.pid, "VmRSS")
    local idle = connect_many(server, 10000, request)
    for _, connection in ipairs(idle) do assert.equal(200, connection:response().status) end
    local each = (memory_of(server.pid, "VmRSS") - before) / #idle
    if not sanitized then assert.is_true(each <= 1024, each .. " bytes") end
    close_all(idle)
    assert.equal("hello", server:request("/").body)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("echoes an upload far larger than the memory it takes", function()
    local server = process.serve_code([[
      local http = require "luaserve.http"
      local server = http.create_server({ stream_body = { ["/"] = false } }, function(req, res)
        for chunk in req:chunks() do
          if not res:write(chunk) then return end
        end
        res:finish()
      end)
      assert(server:listen { host = "127.0.0.1", port = 0 })
      print("http://127.0.0.1:" .. server:address().port)
    ]])
    local block, count = ("0123456789abcdef"):rep(16384), sanitized and 100 or 1000 -- of 256 KiB
    local connection <close> = server:connect()
    connection:write(("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"):format(
      #block * count))
    local writer = task.spawn(function()
      for _ = 1, count do assert(connection:write(block)) end
    end)
    local received, socket = 0, connection.socket
    for chunk in function() local chunk = socket:read() return chunk ~= "" and chunk or nil end do
      received = received + #chunk
    end
    writer:join()
    assert.is_true(received > #block * count, received)
    if not sanitized then
      local peak = memory_of(server.pid, "VmHWM")
      assert.is_true(peak < 12 << 20, peak)
    end
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("is not filled by clients that take nothing of large answers", function()
    local server = process.serve_code([[
      local piece = ("x"):rep(65536)
      return function(req, res)
        if req.path == "/" then return res:send("hello") end
        for _ = 1, 1000 do
          if not res:write(piece) then return end
        end
        res:finish()
      end
    ]])
    assert.equal("hello", server:request("/").body)
    local stuck = connect_many(server, 50, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
    for _ = 1, 20 do
      assert.equal("hello", server:request("/").body)
      timer.sleep(0)
    end
    -- 50 answers of 64 MB each: what is held is bounded by what one writer may have outstanding.
    if not sanitized then assert.is_true(memory_of(server.pid, "VmHWM") < 50 << 20) end
    close_all(stuck)
    assert.equal("hello", server:request("/").body)
    assert.same({ 0, "" }, { server:stop() })
  end)
end)

describe("a client that leaves", function()
  local code = [[
    local timer = require "luaserve.timer"
    local function note(what) print(what) io.stdout:flush() end
    return function(req, res)
      if req.path == "/hello" then return res:send("hello") end
      note("begun")
      req:on_close(function() note("gone") end)
      if req.path == "/await" then
        timer.sleep(0.3)
      elseif req.path == "/body" then
        local _, _, code = req:body()
        note(code)
      elseif req.path == "/write" then
        local piece = ("x"):rep(65536)
        local ok, message, code
        repeat ok, message, code = res:write(piece) until not ok
        note(message .. " " .. code)
        return
      elseif req.path == "/unread" then
        for _ = 1, 200 do
          if res.finished then break end
          timer.sleep(0.05)
        end
      end
      local ok, _, code = res:send("answer")
      note(ok and "answered" or code)
    end
  ]]

  --- Sends bytes, waits until the handler runs, then leaves in the way that leave says; the lines after that.
  local function lines_after(bytes, leave, count)
    local server = process.serve_code(code)
    local connection = server:connect()
    connection:write(bytes)
    assert.equal("begun", server:read_line())
    leave(connection)
    local lines = {}
    for i = 1, count do lines[i] = server:read_line() end
    connection:close()
    assert.equal("hello", server:request("/hello").body)
    server:stop()
    table.sort(lines)
    return lines
  end

  local function reset(connection) connection.socket:reset() end
  local function half_close(connection)
    connection.socket:shutdown()
    timer.sleep(0) -- the FIN leaves in this turn; read_line holds up the loop
  end
  local function get(path) return ("GET %s HTTP/1.1\r\nHost: h\r\n\r\n"):format(path) end
  local body = "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"

  it("by a reset while the handler awaits is told by on_close, and the answer goes nowhere", function()
    assert.same({ "ECLOSED", "gone" }, lines_after(get "/await", reset, 2))
  end)

  it("by a reset while its body is read ends the read", function()
    assert.same({ "ECLOSED", "ECLOSED", "gone" }, lines_after(body, reset, 3))
  end)

  it("by a reset while the answer is written ends the write", function()
    assert.same({ "closed ECLOSED", "gone" }, lines_after(get "/write", reset, 2))
  end)

  it("by a half-close is still answered, and is not gone", function()
    assert.same({ "answered" }, lines_after(get "/await", half_close, 1))
  end)

  it("by a half-close in its body has not sent it all", function()
    assert.same({ "ECLOSED", "answered" }, lines_after(body, half_close, 2))
  end)

  it("by a reset is seen also while nobody reads from it", function()
    -- More than is held of a body that no handler takes: reading has stopped by then.
    local bytes = "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" .. ("x"):rep(400000)
    local lines = lines_after(bytes, function(connection)
      timer.sleep(0)
      reset(connection)
    end, 1)
    assert.same({ "gone" }, lines)
  end)

  it("by a reset is over for who has req but no res only between two uses of req", function()
    local server = process.serve_code([[
      local task, timer = require "luaserve.task", require "luaserve.timer"
      return function(req, res)
        if req.path ~= "/later" then return res:send("plain") end
        res:later()
        task.background(function()
          repeat timer.sleep(0.001) until req.closed
          res = nil -- not before: collected while the client is there, it answers 500
          pcall(function()
            for _ = 1, 1000 do req:header_list() end -- in the middle of one of these res is collected
          end)
          print("over")
        end)
      end]])
    local fields = {}
    for i = 1, 95 do fields[i] = ("x-%d: %s\r\n"):format(i, ("v"):rep(60)) end
    for _ = 1, 25 do
      local connection = server:connect()
      connection:write("GET /later HTTP/1.1\r\nHost: x\r\n" .. table.concat(fields) .. "\r\n")
      assert.equal("plain", server:request("/").body)
      reset(connection)
      assert.equal("over", server:read_line())
    end
    assert.equal(0, (server:stop()))
  end)
end)
