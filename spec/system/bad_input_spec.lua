-- SPDX-License-Identifier: MIT
--- What people get wrong: each mistake is named, with file and line where there is one, and a server goes on.

local process = require "spec.support.process"

local function assert_has(text, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
  end
end

describe("an app file", function()
  local function assert_refused(result, ...)
    assert.equal(1, result.status)
    assert.equal("", result.out)
    assert.matches("^luaserve: ", result.err)
    assert_has(result.err, ...)
  end

  it("that is missing is named", function()
    local result = process.run { "no/such/app.lua" }
    assert_refused(result, "no/such/app.lua", "No such file or directory")
    assert.not_matches("stack traceback", result.err, 1, true) -- there is nothing to trace
  end)

  it("with an error of syntax is named, with the line", function()
    local result = process.script "local a = 1\nlocal function (\n"
    assert_refused(result, result.path .. ":2: <name> expected near '('")
  end)

  it("on standard input is called stdin", function()
    assert_refused(process.run({ "-" }, { input = "\nx =" }), "stdin:2: unexpected symbol near <eof>")
  end)

  it("given with -e is called the command line", function()
    assert_refused(process.run { "-e", "x =" }, "(command line):1:")
    assert_refused(process.run { "-e", "error('oh')" }, "(command line):1: oh")
  end)

  it("that is a folder is named", function()
    assert_refused(process.run { "examples" }, "examples", "directory")
  end)

  it("that cannot be read is named", function()
    local path = process.temporary("print 'read'")
    os.execute("chmod 000 " .. path)
    local result = process.run { path }
    os.remove(path)
    if result.status == 0 then return pending("root reads everything") end
    assert_refused(result, path, "Permission denied")
  end)

  it("that is binary rubbish is named", function()
    local result = process.script("\27Lua rubbish")
    assert_refused(result, result.path)
  end)

  it("with a module that is missing names the module and the line", function()
    local result = process.script "\nlocal m = require 'no.such.module'"
    assert_refused(result, result.path .. ":2: module 'no.such.module' not found")
  end)
end)

describe("a port", function()
  after_each(process.clean_up)

  it("in use is named, without a traceback", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local result = process.run { "-p", tostring(server.port), "examples/hello.lua" }
    assert.equal(1, result.status)
    assert.equal("", result.out)
    assert_has(result.err, "127.0.0.1", tostring(server.port), "address already in use")
    assert.not_matches("traceback", result.err)
    assert.equal(200, server:request("/").status)
    server:stop()
  end)

  it("in use is the second result of listen", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local result = process.script([[
      local server = require "luaserve.http".create_server(function() end)
      print(server:listen { host = "127.0.0.1", port = math.tointeger(tonumber(...)) })
    ]], { arguments = { tostring(server.port) } })
    assert.equal(0, result.status)
    assert.equal("", result.err)
    assert.matches("^nil\t.*127%.0%.0%.1.*\tEADDRINUSE\n$", result.out)
    server:stop()
  end)

  it("without permission is named", function()
    local file = io.open("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    local first = file and file:read("n") or 1024
    if file then file:close() end
    if first <= 1 or process.shell("id -u").out == "0\n" then return pending("every port is allowed here") end
    local result = process.run { "-p", "1", "examples/hello.lua" }
    assert.equal(1, result.status)
    assert_has(result.err, "127.0.0.1:1", "permission denied")
    assert.not_matches("traceback", result.err)
  end)

  it("that makes no sense is an error at the caller's line", function()
    for _, port in ipairs { "65536", "-1", "'http'", "1.5", "{ port = 'http' }", "{ port = 70000 }", "true" } do
      local result = process.script(("\nrequire 'luaserve.http'.create_server(function() end):listen(%s)"):format(port))
      assert.equal(1, result.status, port)
      assert_has(result.err, result.path .. ":2:", "stack traceback:")
    end
  end)

  it("with a function beside it, as Node has it, is an error", function()
    local result = process.script "require 'luaserve.http'.create_server(print):listen(0, print)"
    assert.equal(1, result.status)
    assert_has(result.err, result.path .. ":1: server:listen takes a port or options and nothing more")
  end)

  it("beside a path, or no place at all, is an error", function()
    local places = { "{ host = '127.0.0.1', path = '/tmp/x.sock' }", "{ port = 0, path = '/tmp/x.sock' }", "{}" }
    for _, where in ipairs(places) do
      for _, server in ipairs { "require 'luaserve.http'.create_server(print):listen(%s)",
        "require 'luaserve.net'.listen(%s, print)" } do
        local result = process.script(server:format(where))
        assert.equal(1, result.status)
        assert_has(result.err, "either path, or host and port", result.path .. ":1:")
      end
    end
  end)

  it("on an address that is not this machine's is named", function()
    local result = process.run { "--host", "203.0.113.1", "-p", "0", "examples/hello.lua" }
    assert.equal(1, result.status)
    assert_has(result.err, "203.0.113.1", "address not available")
  end)

  it("on a host that is no address is named", function()
    local result = process.run { "--host", "no address", "-p", "0", "examples/hello.lua" }
    assert.equal(1, result.status)
    assert_has(result.err, "no address")
  end)
end)

describe("create_server", function()
  local function create(arguments)
    return process.script(("\nrequire 'luaserve.http'.create_server(%s)"):format(arguments))
  end

  it("names an unknown option and the one probably meant", function()
    local result = create "{ max_bdoy = 1 }, print"
    assert.equal(1, result.status)
    assert_has(result.err, result.path .. ":2:", "unknown option 'max_bdoy'", "did you mean 'max_body'?")
    assert_has(create("{ nonsense = 1 }, print").err, "unknown option 'nonsense'")
  end)

  it("names an option with a bad value", function()
    for option, value in pairs {
      max_body = "'1M'", max_url = "-1", max_headers = "1.5", header_timeout = "'soon'", body_timeout = "-1",
      keep_alive_timeout = "0/0", write_timeout = "1e300", handler_timeout = "{}", cancel_on_close = "1",
      max_connections = "0x7fffffffffffffff", backlog = "'x'", max_requests = "{}",
    } do
      local result = create(("{ %s = %s }, print"):format(option, value))
      assert.equal(1, result.status, option .. " = " .. value)
      assert_has(result.err, result.path .. ":2:", "'" .. option .. "'")
    end
  end)

  it("wants a handler", function()
    for _, arguments in ipairs { "", "{}", "nil", "{}, {}", "'handler'" } do
      local result = create(arguments)
      assert.equal(1, result.status)
      assert_has(result.err, "create_server", "function expected")
    end
  end)
end)

describe("a handler", function()
  after_each(process.clean_up)

  --- Asks a server with this handler for /bad, which is to be answered with the status, and for /good after it.
  -- @param handler code of the handler's body for /bad, which is line 3 of the script
  -- @return the log, and the script's path
  local function log_of(handler, status)
    local server = process.serve_code(([[
      return function(req, res)
        if req.path == "/good" then return res:send("good") end
        %s
      end
    ]]):format(handler))
    local connection = server:connect()
    local response = connection:request { path = "/bad?secret=1" }
    assert.equal(status or 500, response.status)
    if (status or 500) == 500 then
      assert.not_matches("lua", response.body) -- what went wrong is not the client's business
    end
    assert.equal("good", server:request("/good").body)
    local ended, log = server:stop()
    assert.equal(0, ended)
    assert.not_matches("secret", log)
    return log, server.path
  end

  it("that raises is named in the log with a traceback", function()
    local log, path = log_of "error('out of order')"
    assert_has(log, "error: GET /bad: " .. path .. ":3: out of order", "stack traceback:")
  end)

  it("that makes a mistake of Lua's is named in the log", function()
    local log, path = log_of "local t; t.x = 1"
    assert_has(log, "GET /bad: " .. path .. ":3: attempt to index a nil value (local 't')")
  end)

  it("may raise what is no text", function()
    assert_has(log_of "error({})", "GET /bad: ", "table")
    assert_has(log_of "error()", "GET /bad: ", "nil")
    assert_has(log_of "error(42)", "GET /bad: 42")
    assert_has(log_of "error(setmetatable({}, { __tostring = function() return 'an object' end }))",
      "GET /bad: an object")
  end)

  it("may raise what cannot be made a text", function()
    assert_has(log_of "error(setmetatable({}, { __tostring = function() error('worse') end }))", "GET /bad: ")
    assert_has(log_of "error(setmetatable({}, { __tostring = function() return {} end }))", "GET /bad: ")
    assert_has(log_of "error(setmetatable({}, { __name = 'My.Error' }))", "GET /bad: ", "My.Error")
  end)

  it("may raise a text with bytes that are no text", function()
    local log = log_of "error('one\\ntwo\\0three\\27[31m\\255', 0)"
    assert_has(log, "GET /bad: one")
    assert.not_matches("\27", log)
    assert.not_matches("\0", log)
  end)

  it("may overflow its stack", function()
    assert_has(log_of "local function f() return 1 + f() end f()", "GET /bad: ", "stack overflow")
  end)

  it("that raises after a wait is named in the log", function()
    local log, path = log_of "require 'luaserve.timer'.sleep(0.001) error('late')"
    assert_has(log, "GET /bad: " .. path .. ":3: late", "stack traceback:")
  end)

  it("that does not answer is named with its line", function()
    local log, path = log_of "local _ = res"
    assert_has(log, ("error: GET /bad: the handler (%s:1) ended without answering"):format(path))
  end)

  it("that promises an answer and lets it come later is fine", function()
    local log = log_of("res:later() require 'luaserve.timer'.after(0.001, function() res:send(204, '') end)", 204)
    assert.equal("", log)
  end)

  it("that starts something which answers is fine", function()
    assert.equal("", log_of("require 'luaserve.task'.spawn(function() require 'luaserve.timer'.sleep(0.001) " ..
      "res:send(202, 'done') end)", 202))
  end)

  it("that starts something which does not answer is named with its line", function()
    local log, path = log_of "require 'luaserve.task'.spawn(function() require 'luaserve.timer'.sleep(0.001) end)"
    assert_has(log, ("GET /bad: the handler (%s:1) ended without answering"):format(path))
  end)

  it("that answers twice gets an error at its line", function()
    local log, path = log_of("res:send(201, 'first') res:send('second')", 201)
    assert_has(log, "GET /bad: " .. path .. ":3: the response has been sent already")
    log, path = log_of("res:send(201, 'first') res:json({})", 201)
    assert_has(log, "GET /bad: " .. path .. ":3: the response has been sent already")
    log, path = log_of("res:send(201, 'first') res:set('a', 'b')", 201)
    assert_has(log, "GET /bad: " .. path .. ":3: the headers have been sent already")
    log, path = log_of("res:send(201, 'first') res:finish()", 201)
    assert_has(log, "GET /bad: " .. path .. ":3: the response has been sent already")
    log, path = log_of("res:send(201, 'first') res:write('x')", 201)
    assert_has(log, "GET /bad: " .. path .. ":3: the response has been sent already")
  end)

  it("that keeps a request for too long gets an error", function()
    local server = process.serve_code [[
      local kept
      return function(req, res)
        if not kept then
          kept = { req = req, res = res }
          return res:send("first")
        end
        local ok, message = pcall(function() return kept.req.method end)
        local done, other = pcall(function() return kept.res:send("x") end)
        res:json { ok, message, done, other }
      end
    ]]
    assert.equal("first", server:request("/").body)
    local body = server:request("/").body
    assert_has(body, server.path .. ":7: the request has ended", server.path .. ":8: the request has ended")
    server:stop()
  end)

  it("that sets a header which breaks the framing gets an error with its name", function()
    local log, path = log_of "res:set('x-note', 'a\\r\\nset-cookie: b')"
    assert_has(log, "GET /bad: " .. path .. ":3: invalid value for header 'x-note'")
    log, path = log_of "res:set('x-note', 'a\\0b')"
    assert_has(log, "GET /bad: " .. path .. ":3: invalid value for header 'x-note'")
    log, path = log_of "res:add('x note', 'a')"
    assert_has(log, "GET /bad: " .. path .. ":3: invalid header name 'x note'")
    log, path = log_of "res:redirect('/a\\nb')"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "location")
    log, path = log_of "res:write_head(200, { ['x-note'] = 'a\\nb' })"
    assert_has(log, "GET /bad: " .. path .. ":3: invalid value for header 'x-note'")
  end)

  it("that sends more than a body is told of multiple returns", function()
    local log, path = log_of "res:send(('a'):gsub('a', 'b'))"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "status", "(string, number)", "several values", "Parentheses")
    log, path = log_of "res:json(({ 1 })[1] and 'x', 2)"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "status")
  end)

  it("that sends what is no text is told so", function()
    local log, path = log_of "res:send({ 1 })"
    assert_has(log, "GET /bad: " .. path .. ":3: res:send takes a string, not a table", "res:json")
    log, path = log_of "res:json({ f = print })"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "json", "function at $.f")
    log, path = log_of "local t = {} t.t = t res:json(t)"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "json", "contains itself at $.t")
  end)

  it("that gives a status which is none is told so", function()
    for _, code in ipairs { "res:send(99, '')", "res:send(600, '')", "res.status = 'ok'", "res.status = 1000",
      "res.status = 200.5", "res:write_head(0)" } do
      local log, path = log_of(code)
      assert_has(log, "GET /bad: " .. path .. ":3: ", "status")
    end
  end)

  it("that calls a method with a dot is told so", function()
    local log, path = log_of "res.send('hello')"
    assert_has(log, "GET /bad: " .. path .. ":3: ")
    assert.matches("send", log)
  end)

  it("that mistypes a member is told so", function()
    local log, path = log_of "res:sned('hello')"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "sned")
    log, path = log_of "res.stauts = 404"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "res.stauts cannot be set", "req.locals")
    log, path = log_of "req.user = 'me'"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "req.user cannot be set", "req.locals")
    log, path = log_of "req.headers.host = 'me'"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "headers of a request cannot be changed")
  end)

  it("that calls os.exit is told so", function()
    local log, path = log_of "os.exit(1)"
    assert_has(log, "GET /bad: " .. path .. ":3: os.exit in a request would end every request")
  end)

  it("that waits where it cannot is told which function is in the way", function()
    local log, path = log_of "table.sort({ 2, 1 }, function(a, b) require 'luaserve.timer'.sleep(0) return a < b end)"
    assert_has(log, "GET /bad: " .. path .. ":3: ", "timer.sleep cannot wait here", "sort")
  end)

  it("whose timer raises is a 500", function()
    local log, path = log_of "res:later() require 'luaserve.timer'.after(0.001, function() error('in a timer') end)"
    assert_has(log, path .. ":3: in a timer", "stack traceback:")
  end)

  it("whose task raises is a 500", function()
    local log, path = log_of "res:later() require 'luaserve.task'.spawn(function() error('in a task') end)"
    assert_has(log, path .. ":3: in a task", "stack traceback:")
  end)

  it("that passes on what req:json refused is a 400, since the fault is the client's", function()
    local server = process.serve_code [[
      return function(req, res) res:json(assert(req:json())) end
    ]]
    local connection = server:connect()
    local response = connection:request { method = "POST", path = "/", body = "{bad" }
    assert.equal(400, response.status)
    response = connection:request { method = "POST", path = "/", body = "[1]" }
    assert.equal("[1]", response.body)
    local ended, log = server:stop()
    assert.equal(0, ended)
    assert_has(log, "info: POST /: ", "EJSON")
  end)

  it("that a client makes fail for ever fills no log", function()
    local server = process.serve_code [[
      return function(req, res) res:json(assert(req:json())) end
    ]]
    local connection = server:connect()
    for _ = 1, 50 do
      assert.equal(400, connection:request({ method = "POST", path = "/", body = "{bad" }).status)
    end
    local text = { ["content-type"] = "text/plain" }
    assert.equal(415, connection:request({ method = "POST", path = "/", body = "x", headers = text }).status)
    local _, log = server:stop()
    assert.equal(10, select(2, log:gsub("EJSON", "")))
    assert.equal(1, select(2, log:gsub("EMEDIATYPE", "")))
  end)

  it("that raises for a reason of its own after req:json refused the body is a 500", function()
    local log, path = log_of "local value = req:json() error('own fault')"
    assert_has(log, path .. ":3: own fault")
  end)

  it("that misspells a field of req or res is told which one was probably meant", function()
    local log, path = log_of "res:send(req.querry.name)"
    assert_has(log, path .. ":3: req has no field 'querry' (did you mean 'query'?)")
    log = log_of "res:redirct('/x')"
    assert_has(log, "res has no field 'redirct' (did you mean 'redirect'?)")
    log = log_of "res:send(req.statusCode)"
    assert_has(log, "req has no field 'statusCode'")
  end)

  it("that begins an answer and does not finish it is told so", function()
    local log = log_of "res:write('half')"
    assert_has(log, "ended without finishing the answer it began: res:finish")
  end)

  it("that gives a status of the wrong type sees what it gave", function()
    assert_has(log_of "res.status = '404'", "the status must be an integer, not the string '404'")
    assert_has(log_of "res:redirect('/x', 301)", "res:redirect: the status comes first: res:redirect(301, ...)")
  end)

  it("that raises before its first chunk has left is a 500 all the same", function()
    local log, path = log_of "res:write('half') error('half-way')"
    assert_has(log, path .. ":3: half-way")
  end)

  it("that raises after the first chunk has left breaks the connection off", function()
    local server = process.serve_code [[
      local timer = require "luaserve.timer"
      return function(req, res)
        res:write("half")
        timer.sleep(0.001)
        error("half-way")
      end
    ]]
    local connection = server:connect()
    connection:write("GET / HTTP/1.1\r\nhost: spec\r\n\r\n")
    local bytes = connection:read_all() or ""
    assert.not_matches("0\r\n\r\n$", bytes)
    local ended, log = server:stop()
    assert.equal(0, ended)
    assert_has(log, server.path .. ":5: half-way")
  end)
end)

describe("a running program", function()
  after_each(process.clean_up)

  it("logs an error in a timer or a task and goes on", function()
    for what, code in pairs {
      ["a timer"] = "timer.after(0.001, function() error('went wrong') end)",
      ["a tick"] = "timer.next_tick(function() error('went wrong') end)",
      ["an immediate"] = "timer.immediate(function() error('went wrong') end)",
      ["a task"] = "require 'luaserve.task'.spawn(function() error('went wrong') end)",
      ["a callback"] = "require 'luaserve.fs'.stat('.', function() error('went wrong') end)",
    } do
      local result = process.script(([[
        local timer = require "luaserve.timer"
        %s
        timer.after(0.02, function() print("still here") end)
      ]]):format(code))
      assert.same({ 0, "still here\n" }, { result.status, result.out }, what)
      assert_has(result.err, result.path .. ":2: went wrong", "stack traceback:", "error: ")
    end
  end)

  it("logs errors that are no text", function()
    local result = process.script [[
      local timer = require "luaserve.timer"
      timer.next_tick(error)
      timer.next_tick(error, {})
      timer.next_tick(error, setmetatable({}, { __tostring = function() error("worse") end }))
      timer.next_tick(error, setmetatable({}, { __tostring = function() return "an object" end }))
      timer.after(0.02, print, "still here")
    ]]
    assert.same({ 0, "still here\n" }, { result.status, result.out })
    assert_has(result.err, "nil", "table", "an object")
  end)

  it("goes on after an error between requests", function()
    local server = process.serve_code [[
      local timer = require "luaserve.timer"
      timer.every(0.001, function() error("again") end)
      return function(req, res) timer.sleep(0.005) res:send("fine") end
    ]]
    assert.equal("fine", server:request("/").body)
    local status, err = server:stop()
    assert.equal(0, status)
    assert_has(err, server.path .. ":2: again")
  end)

  it("names arguments that make no sense at the caller's line", function()
    for code, parts in pairs {
      ["require 'luaserve.timer'.sleep('x')"] = { "number expected" },
      ["require 'luaserve.timer'.sleep(-1)"] = { "seconds" },
      ["require 'luaserve.timer'.after(0/0, print)"] = { "seconds" },
      ["require 'luaserve.timer'.after(1)"] = { "function expected" },
      ["require 'luaserve.task'.spawn()"] = { "function expected" },
      ["require 'luaserve.fs'.read_file()"] = { "string expected" },
      ["require 'luaserve.fs'.read_file('a\\0b')"] = { "read_file" },
      ["require 'luaserve.fs'.write_file('x', 'y', { atomc = true })"] = { "unknown option 'atomc'", "'atomic'" },
      ["require 'luaserve.net'.connect('localhost', 'x')"] = { "connect" },
      ["require 'luaserve.dns'.lookup()"] = { "string expected" },
      ["require 'luaserve.json'.encode(print)"] = { "function" },
    } do
      local result = process.script("\n" .. code)
      assert.equal(1, result.status, code)
      assert_has(result.err, result.path .. ":2:", table.unpack(parts))
    end
  end)

  it("names a module of luaserve that is none", function()
    local result = process.script "local serve = require 'luaserve'\nprint(serve.htpp)"
    assert.equal(1, result.status)
    assert_has(result.err, "luaserve.htpp")
  end)

  it("says when a script returns something that cannot be served", function()
    for _, value in ipairs { "{}", "'app'", "42" } do
      local result = process.script("return " .. value)
      assert.equal(0, result.status, value) -- as the standalone interpreter
      assert.equal("", result.out)
    end
  end)
end)
