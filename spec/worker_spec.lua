-- SPDX-License-Identifier: MIT
-- worker: Lua files on threads of their own: messages, outcomes, and every way in which they end.

local json, process, runtime, shared, task, timer, worker =
  require "luaserve.json", require "luaserve.process", require "luaserve.runtime", require "luaserve.shared",
  require "luaserve.task", require "luaserve.timer", require "luaserve.worker"
local client = require "spec.support.client"
local luaserves = require "spec.support.process"
local waits = require "spec.support.waits"

local eventually, waiting, call_back = waits.eventually, waits.waiting, waits.call_back

local files = {}

--- A worker that runs this code.
local function start(code, ...)
  return worker.start(files(code), ...)
end

--- At the end of the block it is terminated, and has ended.
local function ending(w)
  return setmetatable({}, { __close = function()
    w:terminate()
    pcall(w.join, w)
  end })
end

--- What its join raises.
local function failure(w)
  local succeeded, err = pcall(w.join, w)
  assert.is_false(succeeded)
  return err
end

--- The results of a main program with this code, which finds the worker's file as its first argument.
local function run(code, worker_code)
  return luaserves.run { "-e", code, files(worker_code) }
end

setmetatable(files, { __call = function(_, code)
  local path = luaserves.temporary('local worker = require "luaserve.worker"\n' .. code)
  files[#files + 1] = path
  return path
end })

local echo = [[
  while true do
    local message = table.pack(worker.parent:receive())
    if message[1] == "end" then return "ended" end
    worker.parent:send(table.unpack(message, 1, message.n))
  end]]

describe("luaserve.worker", function()
  teardown(function()
    for _, path in ipairs(files) do os.remove(path) end
  end)

  describe("start", function()
    it("runs a file on another thread with copies of the arguments, and join gives what it returns", function()
      local list = { 1, { two = 2 } }
      list.self = list
      local w = start([[
        local a, b, c = ...
        return io.open("/proc/thread-self/stat"):read("n"), a, b, c, select("#", ...)]], list, nil, 3)
      local thread, a, b, c, count = w:join()
      assert.not_equal(process.pid, thread)
      assert.equal(a, a.self)
      assert.not_equal(list, a)
      assert.same({ 2, nil, 3, 3 }, { a[2].two, b, c, count })
      assert.equal(thread, (w:join()))
      assert.equal("done", w:status())
    end)

    it("names by its path what cannot be copied", function()
      assert.error_matches(function() start("", { f = print }) end,
        "^worker%.start: cannot copy a function at args%[1%]%.f$")
      assert.error_matches(function() start("return { io.stdout }"):join() end,
        "cannot copy a userdata at results%[1%]%[1%]$")
    end)

    it("takes options, and refuses unknown ones", function()
      local w = worker.start({ name = "echo", memory_limit = 1 << 24, ref = true }, files(""))
      assert.equal("worker (echo, running)", tostring(w))
      w:join()
      assert.equal("worker (echo, done)", tostring(w))
      assert.error_matches(function() worker.start({ nam = "x" }, "x.lua") end, "did you mean 'name'")
      assert.error_matches(function() worker.start({ memory_limit = 1 }, "x.lua") end, "memory_limit")
      assert.error_matches(function() worker.start(print) end, "string expected")
      assert.error_matches(function() worker.start({}, 1) end, "string expected")
    end)

    it("looks for the file beside the script", function()
      local folder = os.tmpname()
      os.remove(folder)
      assert(os.execute("mkdir " .. folder))
      local function write(name, text)
        local file = assert(io.open(folder .. "/" .. name, "w"))
        file:write(text)
        file:close()
      end
      write("main.lua", 'print(require "luaserve.worker".start("part.lua"):join())')
      write("part.lua", 'return (require "extra")')
      write("extra.lua", 'return "found"')
      local result = luaserves.run({ folder .. "/main.lua" })
      assert.same({ 0, "found\n", "" }, { result.status, result.out, result.err })
      os.execute("rm -r " .. folder)
    end)

    it("has the whole API over there", function()
      local w = start([[
        local http, fs, pool = require "luaserve.http", require "luaserve.fs", require "luaserve.pool"
        local child = require "luaserve.process".run("echo", { "child" })
        local server = http.create_server(function(_, res) res:send("from the worker\n") end)
        assert(server:listen { host = "127.0.0.1", port = 0 })
        worker.parent:send(server:address(), fs.read_file((...)), pool.run(function() return 7 end), child.stdout)
        worker.parent:receive()
        server:close()
        return "closed"]], "README.md")
      local address, text, seven, child = w:receive()
      assert.same({ 7, "child\n" }, { seven, child })
      assert.is_truthy(text:find("luaserve", 1, true))
      assert.equal("from the worker\n", client.request(address, { headers = { connection = "close" } }).body)
      w:send()
      assert.equal("closed", w:join())
    end)

    it("shares dictionaries with it", function()
      start([[require "luaserve.shared".dict("worker spec"):set("k", 5)]]):join()
      assert.equal(5, shared.dict("worker spec"):get("k"))
    end)
  end)

  describe("messages", function()
    it("go there and back, in order, with all their values", function()
      local w = start(echo)
      local _ <close> = ending(w)
      assert.is_true(w:send(1, nil, { x = json.null }))
      local message = table.pack(w:receive())
      assert.equal(json.null, message[3].x)
      message[3] = nil
      assert.same({ 1, n = 3 }, message)
      assert.is_true(w:send())
      assert.equal(0, select("#", w:receive()))
      for i = 1, 50 do w:send(i) end
      for i = 1, 50 do assert.equal(i, (w:receive())) end
      w:send("end")
      assert.equal("ended", w:join())
    end)

    it("are received and sent in the callback form too", function()
      local w = start(echo)
      assert.same({ nil, true }, { call_back(w.send, w, "x") })
      assert.same({ nil, "x" }, { call_back(w.receive, w) })
      w:send("end")
      local message, code = call_back(w.receive, w)
      assert.equal("ECLOSED", code)
      assert.is_string(message)
      assert.same({ nil, "ended" }, { call_back(w.join, w) })
    end)

    it("wait while too many wait over there", function()
      local w = start([[
        worker.parent:receive()
        local count = 1
        while worker.parent:receive() ~= "end" do count = count + 1 end
        return count]])
      local sent = 0
      local sender = waiting(function()
        for _ = 1, 3000 do
          w:send("x")
          sent = sent + 1
        end
      end)
      sender:join()
      w:send("end")
      assert.equal(3000, w:join())
      local large = start([[
        worker.parent:send("ready")
        require "luaserve.shared".dict("worker spec gate"):set("open", false)
        local gate, timer = require "luaserve.shared".dict("worker spec gate"), require "luaserve.timer"
        while not gate:get("open") do timer.sleep(0.001) end
        local size = 0
        for _ = 1, 4 do size = size + #worker.parent:receive() end
        return size]])
      large:receive()
      local count = 0
      sender = task.spawn(function()
        for _ = 1, 4 do
          large:send(("x"):rep(12 << 20))
          count = count + 1
        end
      end)
      eventually(function() return count == 1 end)
      timer.sleep(0)
      assert.same({ 1, "waiting" }, { count, sender:status() })
      shared.dict("worker spec gate"):set("open", true)
      sender:join()
      assert.equal(48 << 20, large:join())
    end)

    it("keep their order when a receive is cancelled", function()
      local w = start(echo)
      local _ <close> = ending(w)
      local first = waiting(w.receive, w)
      local second = waiting(w.receive, w)
      first:cancel()
      w:send("a")
      w:send("b")
      assert.equal("a", second:join())
      assert.equal("b", (w:receive()))
      assert.equal("ETIMEDOUT", select(3, task.timeout(0.001, w.receive, w)))
      w:send("c")
      assert.equal("c", (w:receive()))
    end)

    it("can still be received when the worker has ended, and then no more", function()
      local w = start [[worker.parent:send(1) worker.parent:send(2)]]
      w:join()
      assert.same({ 1, 2 }, { (w:receive()), (w:receive()) })
      assert.equal("ECLOSED", select(3, w:receive()))
      assert.equal("ECLOSED", select(3, w:send(1)))
    end)

    it("say what cannot be copied", function()
      local w = start(echo)
      local _ <close> = ending(w)
      assert.error_matches(function() w:send(1, { print }) end, "cannot copy a function at values%[2%]%[1%]$")
    end)

    it("have no parent in the main program", function()
      assert.is_nil(worker.parent)
    end)
  end)

  describe("an error", function()
    it("is raised by join with the worker's traceback", function()
      local err = failure(start "local function inner() error('broken') end\ninner()")
      assert.is_truthy(err:find(":2: broken\nstack traceback:", 1, true))
      assert.is_truthy(err:find("'inner'", 1, true))
    end)

    it("keeps its value", function()
      assert.same({ code = 5 }, failure(start "error { code = 5 }"))
      assert.is_truthy(failure(start "error(print)"):find("^function: "))
    end)

    it("is one of the file too", function()
      assert.is_truthy(failure(worker.start("/nowhere.lua")):find("cannot open /nowhere.lua", 1, true))
      assert.is_truthy(failure(start "x ="):find("unexpected symbol", 1, true))
    end)

    it("is logged when nobody joins", function()
      local result = run([[
        local w = require "luaserve.worker".start({ name = "w" }, (...))
        while w:status() == "running" do require "luaserve.timer".sleep(0.001) end]], "error 'broken'")
      assert.equal(0, result.status)
      assert.is_truthy(result.err:find("error in the worker 'w': .*broken\nstack traceback:"))
    end)

    it("of memory over the limit is one, and the program lives", function()
      local w = worker.start({ memory_limit = 4 << 20 }, files [[
        local list = {}
        for i = 1, math.huge do list[i] = ("x"):rep(1000) .. i end]])
      assert.equal("not enough memory", failure(w))
      assert.equal("failed", w:status())
      assert.equal("ended", (worker.start({ memory_limit = 4 << 20 }, files [[
        assert(not pcall(string.rep, "x", 8 << 20))
        for _ = 1, 1000 do local _ = ("x"):rep(1 << 16) end
        return "ended"]]):join()))
    end)

    it("says where a worker waits for ever", function()
      local err = failure(start [[require "luaserve.task".spawn(function() end):join()
        local channel = require "luaserve.core.mailbox"()
        channel:take()]])
      assert.is_truthy(err:find("the worker waits for something that can no longer happen\nstack traceback:", 1, true))
    end)
  end)

  describe("terminate", function()
    local guarded = [[
      local dict = require "luaserve.shared".dict("worker spec closed")
      local key = ...
      local guard <close> = setmetatable({}, { __close = function() dict:set(key, true) end })
      worker.parent:send("ready")
    ]]
    for name, code in pairs {
      ["an endless loop"] = "while true do end",
      ["a loop of pcall"] = [[
        local function loop() while true do end end
        while true do pcall(function() while true do pcall(loop) end end) end]],
      ["a loop in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
      ["a loop in a handler of errors"] = "while true do xpcall(error, function() while true do end end) end",
      ["a loop in a task"] = [[require "luaserve.task".spawn(function() while true do end end):join()]],
      ["a wait"] = [[require "luaserve.timer".sleep(3600)]],
      ["a loop of waits in pcall"] = [[while true do pcall(require "luaserve.timer".sleep, 3600) end]],
      ["a wait for a message"] = "worker.parent:receive()",
    } do
      it("ends " .. name, function()
        local w = start(guarded .. code, name)
        w:receive()
        assert.is_true(w:terminate())
        assert.is_truthy(failure(w):find("was terminated", 1, true))
        assert.equal("terminated", w:status())
        assert.is_true(shared.dict("worker spec closed"):get(name))
        assert.is_false(w:terminate())
      end)
    end

    it("ends cleanup that has no end", function()
      local w = start [[
        local forever = { __close = function() while true do end end }
        local a <close> = setmetatable({}, forever)
        local b <close> = setmetatable({}, forever)
        require "luaserve.process".on_exit(function() while true do end end)
        worker.parent:send("ready")
        require "luaserve.timer".sleep(3600)]]
      w:receive()
      w:terminate()
      assert.is_truthy(failure(w):find("was terminated", 1, true))
    end)

    it("keeps what the file has returned", function()
      local w = start [[
        require "luaserve.timer".every(3600, print)
        require "luaserve.timer".after(0, function() worker.parent:send("running on") end)
        return "result"]]
      w:receive()
      w:terminate()
      assert.equal("result", w:join())
    end)

    it("comes before the worker has begun, or at any time", function()
      for _ = 1, 20 do
        local w = start "while true do end"
        w:terminate()
        assert.is_truthy(failure(w):find("was terminated", 1, true))
      end
    end)

    it("comes with the end of a block and with collection", function()
      local kept
      do
        local w <close> = start "while true do end"
        kept = w
      end
      failure(kept)
      local dict, before = shared.dict("worker spec closed"), runtime.stats().handles.types.async or 0
      task.spawn(function()
        start([[
          local guard <close> = setmetatable({}, { __close = function()
            require "luaserve.shared".dict("worker spec closed"):set("collected", true)
          end })
          worker.parent:send("ready")
          require "luaserve.timer".sleep(3600)]]):unref():receive()
      end):join()
      eventually(function()
        collectgarbage()
        return dict:get("collected") and (runtime.stats().handles.types.async or 0) == before
      end)
    end)
  end)

  describe("the end", function()
    it("waits for workers", function()
      local result = run([[require "luaserve.worker".start((...))]],
        [[require "luaserve.timer".sleep(0.01) print("worker")]])
      assert.same({ 0, "worker\n", "" }, { result.status, result.out, result.err })
    end)

    it("does not wait for those that are unref'd, nor in process.exit", function()
      for _, last in ipairs { "w:unref()", "process.exit(3)", "os.exit(3, true)", "os.exit(3)", "error 'e'" } do
        local result = run([[
          local process, worker = require "luaserve.process", require "luaserve.worker"
          local w = worker.start((...))
          w:receive()
          ]] .. last, [[worker.parent:send("ready") while true do end]])
        assert.equal(last:find("3") and 3 or last:find("error") and 1 or 0, result.status)
      end
    end)

    it("comes though a worker hangs in C", function()
      local fifo = os.tmpname()
      os.remove(fifo)
      assert(os.execute("mkfifo " .. fifo))
      local result = luaserves.run { "-e", [[
        local file, fifo = ...
        local w = require "luaserve.worker".start(file, fifo)
        w:receive()
        require "luaserve.process".exit(4)]], files [[worker.parent:send("ready") io.open((...)):read()]], fifo }
      os.remove(fifo)
      assert.equal(4, result.status)
    end)

    it("of a worker closes the connection whose request has ended it", function()
      local sent = shared.dict("worker spec sent")
      local w = start [[
        local function exit() require "luaserve.process".exit() end
        local server = require "luaserve.http".create_server(function() require "luaserve.task".background(exit) end)
        assert(server:listen { host = "127.0.0.1" })
        worker.parent:send(server:address())
        local sent = require "luaserve.shared".dict("worker spec sent")
        while not sent:get("all") do end]]
      local connection = client.connect(w:receive())
      connection:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      sent:set("all", true)
      assert.equal("", connection:read_all())
    end)

    it("of a worker is its own", function()
      for _, code in ipairs {
        "require 'luaserve.process'.exit()", "os.exit()", "os.exit(true, true)",
        "(('x'):gsub('x', function() os.exit() while true do end end))",
      } do
        assert.equal(0, select("#", start(code):join()))
      end
      assert.matches("has exited with the status 7", failure(start "require 'luaserve.process'.exit(7)"))
    end)

    it("calls the worker's exit hooks and finalizers", function()
      local dict = shared.dict("worker spec closed")
      failure(start [[
        local dict = require "luaserve.shared".dict("worker spec closed")
        require "luaserve.process".on_exit(function(status) dict:set("hook", status) end)
        finalized = setmetatable({}, { __gc = function() dict:set("finalizer", true) end })
        require "luaserve.process".exit(9)]])
      assert.same({ 9, true }, { dict:get("hook"), dict:get("finalizer") })
    end)
  end)

  it("leaves to the main program what is the whole process's", function()
    for code, name in pairs {
      [ [[require "luaserve.process".on("SIGUSR1", print)]] ] = "process.on",
      [ [[require "luaserve.process".chdir("/")]] ] = "process.chdir",
      [ [[require "luaserve.process".env.X = "1"]] ] = "process.env",
      [ [[os.setlocale("C")]] ] = "os.setlocale",
      [ [[worker.start("x.lua")]] ] = "worker.start",
      [ [[require "luaserve.terminal"]] ] = "luaserve.terminal",
    } do
      assert.is_truthy(failure(start(code)):find(name .. ".* worker"), name)
    end
    assert.equal(os.getenv("PATH"), (start [[return require "luaserve.process".env.PATH]]:join()))
  end)
end)
