-- SPDX-License-Identifier: MIT
--- Handlers and callbacks that hold the loop, in every way there is: they are stopped, and nobody else notices.

local process = require "spec.support.process"
local json, task, timer = require "luaserve.json", require "luaserve.task", require "luaserve.timer"

local attacks = {
  ["a loop"] = "while true do end",
  ["a loop of pcall"] = "while true do pcall(function() while true do pcall(error) end end) end",
  ["a loop in a handler of xpcall"] = "while true do xpcall(error, function() while true do end end) end",
  ["a loop in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
  ["a loop over coroutines"] = "while true do coroutine.wrap(function() end)() end",
  ["a metamethod"] = "return setmetatable({}, { __index = function() while true do end end }).x",
  ["a callback of gsub"] = [[return (("x"):gsub("x", function() while true do end end))]],
  ["a comparison of sort"] = "table.sort({ 1, 2, 3 }, function() while true do end end)",
  ["a timer of the request"] = [[timer.after(0, function() while true do end end) timer.sleep(3600)]],
  ["a tick of the request"] = [[timer.next_tick(function() while true do end end) timer.sleep(3600)]],
  ["an immediate of the request"] = [[timer.immediate(function() while true do end end) timer.sleep(3600)]],
  ["a task of the request"] = [[task.spawn(function() while true do end end):join()]],
  ["a shielded loop"] = [[task.shield(function() while true do end end)]],
  ["a loop in cleanup"] = [[
    local guard <close> = setmetatable({}, { __close = function() while true do end end })
    while true do end]],
  ["a module"] = [[package.preload.endless = function() while true do end end
    require "endless"]],
}

local STOPPED = "held the loop for [%d.]+ s without waiting, and was stopped"

local function serve(code, ...)
  return process.serve_code([[
    local fs, task, timer = require "luaserve.fs", require "luaserve.task", require "luaserve.timer"
    local routes = {}
    ]] .. code .. [[

    return function(req, res)
      local route = routes[req:decoded_path():sub(2)]
      if route then return route(req, res) end
      res:send("plain")
    end]], { options = { ... } })
end

local function escaped(name)
  return "/" .. name:gsub(" ", "%%20")
end

describe("the watchdog", function()
  after_each(process.clean_up)

  it("stops what holds the loop, with a 503 for its client", function()
    local code = {}
    for name, body in pairs(attacks) do
      code[#code + 1] = ("routes[%q] = function(req, res) %s\nend"):format(name, body)
    end
    local server = serve(table.concat(code, "\n"), "--cpu-limit", "0.05")
    local count = 0
    for name in pairs(attacks) do
      assert.equal(503, server:request(escaped(name)).status, name)
      assert.equal("plain", server:request("/").body, name)
      count = count + 1
    end
    local status, log = server:stop()
    assert.equal(0, status)
    local _, stopped = log:gsub("error: GET /[^\n]*:%d+: " .. STOPPED .. "\n", "")
    assert.equal(count, stopped, log)
    assert.is_truthy(log:find("stack traceback:", 1, true))
  end)

  it("stops what goes on after a module that it has stopped", function()
    local endless = process.temporary("while true do end")
    local folder, name = endless:match("^(.*/)([^/]+)$")
    local swallows = process.temporary(("pcall(require, %q) while true do end"):format(name))
    local server = serve(([[
      package.path = %q .. "?;" .. package.path
      function routes.module() require(%q) end
      function routes.cleanup()
        local guard <close> = setmetatable({}, { __close = function() while true do end end })
        require(%q)
      end]]):format(folder, swallows:match("[^/]+$"), name), "--cpu-limit", "0.2",
      "--hang-limit", "2", "--slow-limit", "0.1")
    for _, route in ipairs { "/module", "/cleanup" } do
      assert.equal(503, server:request(route).status)
      assert.equal("plain", server:request("/").body)
    end
    assert.equal(0, (server:stop()))
    os.remove(endless)
    os.remove(swallows)
  end)

  it("answers the others that wait meanwhile", function()
    local server = serve("function routes.attack() while true do end end", "--cpu-limit", "0.1")
    local attacks_under_way, plain = {}, {}
    for i = 1, 3 do attacks_under_way[i] = task.spawn(server.request, server, "/attack") end
    for i = 1, 5 do plain[i] = task.spawn(server.request, server, "/") end
    for _, request in ipairs(plain) do assert.equal("plain", request:join().body) end
    for _, request in ipairs(attacks_under_way) do assert.equal(503, request:join().status) end
    server:stop()
  end)

  it("lets cleanup run, and wait", function()
    local server = serve([[
      function routes.attack()
        local guard <close> = setmetatable({}, { __close = function()
          timer.sleep(0.001)
          print("closed")
        end })
        task.defer(function() print("deferred") end)
        pcall(function() while true do end end)
        print("never reached")
      end]], "--cpu-limit", "0.05")
    assert.equal(503, server:request("/attack").status)
    server:stop()
    assert.same({ "closed", "deferred" }, { server.output[#server.output - 1], server.output[#server.output] })
  end)

  it("resets an answer that has begun", function()
    local server = serve([[function routes.attack(req, res)
        res:write("some")
        timer.sleep(0.001)
        while true do end
      end]], "--cpu-limit", "0.05")
    local connection = server:connect()
    connection:write("GET /attack HTTP/1.1\r\nHost: x\r\n\r\n")
    local text = connection:read_all()
    assert.is_truthy(text:find("some", 1, true))
    assert.is_nil(text:find("\r\n0\r\n", 1, true))
    assert.equal("ECONNRESET", connection.reset)
    connection:close()
    server:stop()
  end)

  it("stops callbacks that belong to no request, and the server goes on", function()
    local server = serve([[
      timer.after(0.01, function() while true do end end)
      timer.after(0.02, function() print("later") end)]], "--cpu-limit", "0.05")
    repeat local line = server:read_line() until line == "later"
    assert.equal("plain", server:request("/").body)
    local _, log = server:stop()
    assert.matches("error in a task: [^\n]*: " .. STOPPED, log)
  end)

  it("stops finalizers, which run as tasks", function()
    local server = serve([[
      local log = {}
      local function drop(finalizer)
        setmetatable({}, { __gc = finalizer })
        collectgarbage()
      end
      function routes.endless(_, res)
        drop(function() while true do end end)
        res:send("dropped")
      end
      function routes.broken(_, res)
        drop(function() error("broken finalizer") end)
        res:send("dropped")
      end
      function routes.waiting(_, res)
        drop(function(object) timer.sleep(0.001) log[#log + 1] = type(object) end)
        timer.sleep(0.05)
        res:send(table.concat(log, " "))
      end
      function routes.explicit(_, res)
        local meta = { __gc = function(...) return select("#", ...), ... end }
        local object = setmetatable({}, meta)
        local count, first, second = meta.__gc(object, 2)
        res:json { count, first == object, second, getmetatable(object) == meta }
      end]], "--cpu-limit", "0.05")
    assert.equal("dropped", server:request("/endless").body)
    assert.equal("dropped", server:request("/broken").body)
    assert.equal("table", server:request("/waiting").body)
    assert.equal("[2,true,2,true]", server:request("/explicit").body)
    assert.equal("plain", server:request("/").body)
    local status, log = server:stop()
    assert.equal(0, status)
    assert.matches("error in a task: [^\n]*: " .. STOPPED, log)
    assert.matches("error in a task: [^\n]*: broken finalizer\nstack traceback:", log)
  end)

  it("raises the error in who joins the task", function()
    local server = serve([[
      function routes.join(req, res)
        local child
        task.background(function() child = task.spawn(function() while true do end end) end)
        timer.sleep(0.001)
        local done, message = pcall(child.join, child)
        res:send(tostring(done) .. " " .. message)
      end]], "--cpu-limit", "0.05")
    local answer = server:request("/join")
    assert.equal(200, answer.status)
    assert.matches("^false [^\n]*:%d+: " .. STOPPED .. "$", answer.body)
    server:stop()
  end)

  it("says who was slow, how long and where", function()
    local server = serve([[function routes.slow(req, res)
        local begun = os.clock()
        while os.clock() - begun < 0.25 do end
        res:send("slow")
      end
      function routes.blocking(req, res)
        os.execute("sleep 0.25")
        res:send("blocking")
      end]], "--slow-limit", "0.03")
    assert.equal("slow", server:request("/slow?secret=1").body)
    assert.equal("blocking", server:request("/blocking").body)
    local _, log = server:stop()
    assert.matches("warn: GET /slow: held the loop for %d+%.%d+ s, at [^\n]*:%d+: nothing else ran meanwhile\n", log)
  end)

  it("is counted", function()
    local code = [[function routes.attack() while true do end end
      function routes.slow(req, res)
        local begun = os.clock()
        while os.clock() - begun < 0.2 do end
        res:send("slow")
      end
      function routes.stats(req, res) res:json(require "luaserve.runtime".stats().watchdog) end]]
    local function counts(server) return json.decode(server:request("/stats").body) end
    local server = serve(code, "--slow-limit", "0.02", "--cpu-limit", "0")
    assert.equal(0, counts(server).stopped)
    server:request("/slow")
    server:request("/slow")
    assert.is_true(counts(server).slow >= 2)
    assert.equal(0, counts(server).stopped)
    server:stop()
    server = serve(code, "--slow-limit", "0", "--cpu-limit", "0.05")
    server:request("/attack")
    assert.same({ slow = 0, stopped = 1 }, counts(server))
    server:stop()
  end)

  it("says so at most once a second", function()
    local server = serve([[function routes.slow(req, res)
        local begun = os.clock()
        while os.clock() - begun < 0.2 do end
        res:send("slow")
      end]], "--slow-limit", "0.02")
    for _ = 1, 5 do server:request("/slow") end
    local _, log = server:stop()
    local _, lines = log:gsub("held the loop", "")
    assert.is_true(lines >= 1 and lines < 5, log)
  end)

  it("does not count the time that a handler waits", function()
    local server = serve([[function routes.patient(req, res)
        for _ = 1, 60 do
          local begun = os.clock()
          while os.clock() - begun < 0.02 do end
          timer.sleep(0.001)
        end
        res:send("done")
      end]], "--cpu-limit", "1", "--slow-limit", "0")
    assert.equal("done", server:request("/patient").body)
    local _, log = server:stop()
    assert.equal("", log)
  end)

  it("does not count the time in which the whole process was stopped", function()
    local server = serve([[function routes.busy(req, res)
        local begun = os.clock()
        while os.clock() - begun < 0.2 do end -- it has been seen by now
        print("begins")
        io.stdout:flush()
        while os.clock() - begun < 0.5 do end
        res:send("done")
      end]], "--cpu-limit", "2", "--hang-limit", "1", "--slow-limit", "0")
    local connection = server:connect()
    connection:write("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.equal("begins", server:read_line())
    server:signal("STOP")
    timer.sleep(3.5) -- longer than both limits
    server:signal("CONT")
    assert.equal("done", connection:response().body)
    connection:close()
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("aborts the process where nothing can be stopped", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local server = serve(("function routes.attack() io.open(%q) end"):format(fifo), "--cpu-limit", "0.05",
      "--hang-limit", "0.1")
    local connection = server:connect()
    connection:write("GET /attack HTTP/1.1\r\nHost: x\r\n\r\n")
    local status, log = server:wait()
    connection:close()
    os.remove(fifo)
    assert.equal(134, status) -- SIGABRT
    assert.matches("error: GET /attack: has held the loop for [%d.]+ s, at [^\n]*:%d+, in a C function or a finalizer, "
      .. "where it cannot be stopped: the process is aborted\n", log)
  end)

  it("leaves the main chunk alone, and everything where its limits are 0", function()
    local result = process.script([[
      local http = require "luaserve.http"
      local server = http.create_server(function() end)
      assert(server:listen { host = "127.0.0.1", port = 0 })
      local begun = os.clock()
      while os.clock() - begun < 0.2 do end
      server:close()
      print "done"]])
    assert.same({ 0, "done\n", "" }, { result.status, result.out, result.err })
    local server = serve([[function routes.slow(req, res)
        local begun = os.clock()
        while os.clock() - begun < 0.2 do end
        res:send("slow")
      end]], "--slow-limit", "0", "--cpu-limit", "0")
    assert.equal("slow", server:request("/slow").body)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("takes seconds", function()
    for _, name in ipairs { "--slow-limit", "--cpu-limit", "--hang-limit" } do
      for _, value in ipairs { "x", "-1", "", "1s", "nan", "inf", "86401" } do
        local result = process.run { name, value, "-e", "" }
        assert.equal(2, result.status)
        assert.equal(("luaserve: option '%s' wants seconds from 0 to 86400, not '%s'\n"):format(name, value),
          result.err:match("^[^\n]*\n"))
      end
    end
  end)
end)
