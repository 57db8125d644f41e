-- SPDX-License-Identifier: MIT
-- What is told of a request and its errors: access_log, error_pages.

local access_log = require "luaserve.middleware.access_log"
local client = require "spec.support.client"
local crypto = require "luaserve.crypto"
local error_pages = require "luaserve.middleware.error_pages"
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local middleware = require "spec.support.middleware"
local process = require "spec.support.process"
local request_id = require "luaserve.middleware.request_id"
local security_headers = require "luaserve.middleware.security_headers"
local timer = require "luaserve.timer"
local waits = require "spec.support.waits"

local eventually, serve = waits.eventually, middleware.serve

after_each(function()
  middleware.clean_up()
  process.clean_up()
end)

describe("access_log", function()
  --- The line, and the entry, of one request.
  local function line_of(request, handler, options, list)
    local line, entry
    options = options or {}
    options.to = function(...) line, entry = ... end
    list = list or {}
    table.insert(list, 1, access_log(options))
    serve(list, handler)(request)
    eventually(function() return line end)
    return line, entry
  end

  it("has the combined format, with time and name of the request behind", function()
    local request = { path = "/a?b=c", headers = { referer = "http://x/", ["user-agent"] = "Spec/1.0" } }
    local line = line_of(request, nil, nil, { request_id { generate = function() return "r1" end } })
    assert.matches('^127%.0%.0%.1 %- %- %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d [+-]%d%d%d%d%] "GET /a%?b=c HTTP/1.1" ' ..
      '200 5 "http://x/" "Spec/1.0" %d+%.%d%d%d "r1"\n$', line)
  end)

  it("has JSON lines", function()
    local line = line_of({ method = "POST", path = "/x", headers = { ["user-agent"] = 'a"b\\' } }, function(req, res)
      req.locals.user = { name = "ada" }
      res:json(201, { 1 })
    end, { format = "json" })
    assert.equal("\n", line:sub(-1))
    local entry = assert(json.decode(line))
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", entry.time)
    assert.is_true(entry.duration >= 0 and entry.duration < 60)
    entry.time, entry.duration = nil, nil
    assert.same({ address = "127.0.0.1", agent = 'a"b\\', bytes = 3, complete = true, host = "spec", method = "POST",
      status = 201, url = "/x", user = "ada", version = "1.1" }, entry)
  end)

  it("lets nobody forge a line", function()
    local nasty = 'x" 200 1\\ \xe2\x80\xa8\x85\t\xff'
    local request = { path = "/%c2%9b?%22%0a", headers = { ["user-agent"] = nasty, referer = nasty } }
    local line = line_of(request, function(req, res)
      req.locals.user, req.locals.request_id = 'a b\n127.0.0.1\27[2J"\\\xc2\x9b', 'i"\r\n\27[2J'
      res:send("x")
    end)
    assert.equal(1, select(2, line:gsub("\n", "")))
    assert.is_nil(line:sub(1, -2):find("[^\x20-\x7e]"))
    assert.equal(8, select(2, line:gsub('\\"', ""):gsub('"', "")))
    assert.matches("a\\x20b\\x0a127", line)
    line = line_of(request, function(req, res)
      req.locals.user = "\xff\n"
      res:send("x")
    end, { format = "json" })
    assert.is_nil(line:sub(1, -2):find("[%c\x7f]"))
    assert.is_table(json.decode(line))
  end)

  it("leaves the query out where it is told to", function()
    assert.matches('"GET /a HTTP/1.1"', line_of({ path = "/a?token=secret" }, nil, { query = false }))
  end)

  it("leaves out what it is told to skip", function()
    local lines = 0
    local ask = serve(access_log { to = function() lines = lines + 1 end,
      skip = function(req, res) return req.path == "/health" and res.status == 200 end })
    ask "/health"
    ask "/x"
    ask "/health"
    eventually(function() return lines == 1 end)
  end)

  it("tells the status of an error, and of a client that has left", function()
    assert.equal(500, select(2, line_of({}, function() error("an error of the spec") end)).status)
    local entry, waiting
    local _, address = serve(access_log { to = function(_, e) entry = e end }, function(req, res)
      local gone = false
      req:on_close(function() gone = true end)
      waiting = true
      eventually(function() return gone end)
      res:send("nobody")
    end)
    local connection = client.connect(address)
    connection:write(client.format {})
    eventually(function() return waiting end)
    connection.socket:reset()
    eventually(function() return entry end)
    assert.equal(499, entry.status)
  end)

  describe("to a file", function()
    local folder

    before_each(function() folder = assert(fs.mkdtemp("/tmp/luaserve-log-")) end)
    after_each(function() assert(fs.rm(folder, { recursive = true })) end)

    local function lines_in(name)
      local text = fs.read_file(folder .. "/" .. name) or ""
      return select(2, text:gsub("\n", "")), text
    end

    it("appends its lines, in order", function()
      local ask = serve(access_log { to = folder .. "/log" })
      for i = 1, 20 do ask("/" .. i) end
      eventually(function() return lines_in "log" == 20 end)
      local i = 0
      for n in select(2, lines_in "log"):gmatch('"GET /(%d+)') do
        i = i + 1
        assert.equal(i, tonumber(n))
      end
      assert.equal(tonumber("640", 8), assert(fs.stat(folder .. "/log")).mode & 511)
    end)

    it("follows a file that was renamed", function()
      local ask = serve(access_log { to = folder .. "/log" })
      ask "/1"
      eventually(function() return lines_in "log" == 1 end)
      assert(fs.rename(folder .. "/log", folder .. "/old"))
      ask "/2"
      eventually(function() return lines_in "log" == 1 end)
      assert.equal(1, (lines_in "old"))
    end)

    it("goes on after SIGUSR1, and writes what waits when the program ends", function()
      local server = process.serve_code(([[
        local log = require "luaserve.middleware.access_log" { to = %q }
        return function(req, res)
          return log(req, res, function() res:send("x") end)
        end]]):format(folder .. "/log"))
      server:request("/1")
      eventually(function() return lines_in "log" == 1 end)
      assert(fs.rename(folder .. "/log", folder .. "/old"))
      server:signal("USR1")
      for i = 2, 5 do server:request("/" .. i) end
      assert.same({ 0, "" }, { server:stop() })
      assert.same({ 1, 4 }, { (lines_in "old"), (lines_in "log") })
    end)

    it("loses no line of those that the pool has not come to when the program ends", function()
      os.execute("mkfifo " .. folder .. "/gate")
      local server = process.serve_code(([[
        local pool, process, task = require "luaserve.pool", require "luaserve.process", require "luaserve.task"
        local folder = %q
        process.on_exit(function() -- after that of the log
          io.stdout:write("ending\n")
          io.stdout:flush()
        end)
        local log = require "luaserve.middleware.access_log" { to = folder .. "/log" }
        task.background(pool.run, function(path) io.open(path):close() end, folder .. "/gate")
        return function(req, res)
          return log(req, res, function() res:send("x") end)
        end]]):format(folder), { env = "UV_THREADPOOL_SIZE=1" })
      for i = 1, 5 do server:request("/" .. i) end
      server:signal("TERM")
      repeat until server:read_line() == "ending"
      os.execute(": >" .. folder .. "/gate") -- lets the only thread of the pool go
      assert.equal(0, (server:wait()))
      assert.equal(5, (lines_in "log"))
    end)

    it("drops lines over its queue, and tells on standard error", function()
      local server = process.serve_code(([[
        local log = require "luaserve.middleware.access_log" { to = %q, queue = 2 }
        return function(req, res)
          for _ = 1, 3 do log(req, res, function() end) end -- three lines for a request, at once
          res:send("x")
        end]]):format(folder .. "/log"))
      server:request("/")
      eventually(function() return lines_in "log" >= 2 end)
      local status, err = server:stop()
      assert.equal(0, status)
      local missing = 3 - lines_in "log"
      if missing > 0 then
        assert.matches(("log: %d lines of the log are missing: they came faster"):format(missing), err)
      end
    end)

    it("tells when it cannot write", function()
      local server = process.serve_code(([[
        local log = require "luaserve.middleware.access_log" { to = %q }
        return function(req, res)
          return log(req, res, function() res:send("x") end)
        end]]):format(folder .. "/none/log"))
      server:request("/")
      eventually(function()
        return assert(fs.read_file(server.err_path)):find("1 lines of the log are missing: ENOENT", 1, true)
      end)
      assert.equal(0, (server:stop()))
    end)
  end)

  it("writes to standard output", function()
    local server = process.serve_code([[
      local log = require "luaserve.middleware.access_log" { to = "stdout" }
      return function(req, res)
        return log(req, res, function() res:send("x") end)
      end]])
    server:request("/hello")
    assert.matches('"GET /hello HTTP/1.1" 200 1', server:read_line())
    assert.equal(0, (server:stop()))
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() access_log { format = "common" } end, "there is no format 'common'")
    assert.error_matches(function() access_log { to = 7 } end, "'to' must be a string or a function")
    assert.error_matches(function() access_log { queu = 7 } end, "did you mean 'queue'")
  end)
end)

describe("error_pages", function()
  local html = { accept = "text/html,application/xhtml+xml,*/*;q=0.8" }
  local problem = { accept = "application/json" }

  local function fail() error("a secret of the spec <script>") end

  it("tells nothing in production but the status and the request's name", function()
    local ask = serve({ request_id { generate = function() return "r<1" end }, error_pages() }, fail)
    for _, headers in ipairs { html, problem, {} } do
      local response = ask { headers = headers }
      assert.equal(500, response.status)
      assert.equal("no-store", response.headers["cache-control"])
      assert.is_nil(response.body:find("secret", 1, true))
      assert.is_nil(response.body:find("spec/", 1, true))
    end
    local page = ask { headers = html }
    assert.equal("text/html; charset=utf-8", page.headers["content-type"])
    assert.matches("<h1>500 Internal Server Error</h1>", page.body)
    assert.matches("Request: <code>r&lt;1</code>", page.body)
    local decoded = ask { headers = problem }
    assert.equal("application/problem+json", decoded.headers["content-type"])
    assert.same({ status = 500, title = "Internal Server Error", request_id = "r<1" }, json.decode(decoded.body))
    assert.equal("500 Internal Server Error\nrequest: r<1\n", ask().body)
  end)

  it("tells all in development, escaped", function()
    local ask = serve(error_pages { development = true }, fail)
    local page = ask { path = "/x?<b>", headers = { accept = html.accept, authorization = "Basic secret-2",
      ["x-field"] = "<i>" } }
    assert.equal(500, page.status)
    assert.matches("a secret of the spec &lt;script&gt;", page.body)
    assert.matches("<h2>spec/middleware_log_spec.lua:%d+</h2>", page.body)
    assert.matches('<b> *%d+    local function fail%(%) error%(&quot;a secret', page.body)
    assert.matches("<h2>Traceback</h2>", page.body)
    assert.matches("in function &#39;error&#39;", page.body)
    assert.matches("/x%?&lt;b&gt;", page.body)
    assert.matches("&lt;i&gt;", page.body)
    assert.is_nil(page.body:find("secret-2", 1, true))
    assert.is_nil(page.body:find("<script", 1, true))
    local decoded = json.decode(ask { headers = problem }.body)
    assert.matches("a secret", decoded.detail)
    assert.matches("middleware_log_spec", decoded.traceback)
    assert.matches("^500 Internal Server Error\nspec/.*a secret", ask().body)
  end)

  it("says which style is its own, whatever the policy of the app, and allows nothing else", function()
    for _, options in ipairs { {}, { nonce = true }, { content_security_policy = false } } do
      for _, development in ipairs { false, true } do
        local ask = serve({ security_headers(options), error_pages { development = development } }, fail)
        local response = ask { headers = html }
        local style = response.body:match("<style>(.-)</style>")
        local hash = crypto.hash("sha256", style, "base64")
        assert.equal("base-uri 'none'; default-src 'none'; form-action 'none'; frame-ancestors 'none'; "
          .. "style-src 'sha256-" .. hash .. "'", response.headers["content-security-policy"])
      end
    end
  end)

  it("leaves the policy to the app where the page is the app's", function()
    local function page() return "mine" end
    local response = serve({ security_headers(), error_pages { page = page } }, fail) { headers = html }
    assert.equal("mine", response.body)
    assert.matches("default%-src 'self'", response.headers["content-security-policy"])
  end)

  for _, development in ipairs { false, true } do
    it("says what an http error says, development " .. tostring(development), function()
      local ask = serve(error_pages { development = development }, function()
        error(http_error.new(409, "somebody was <faster>", { revision = 8 }, { ["retry-after"] = "5" }))
      end)
      local page = ask { headers = html }
      assert.same({ 409, "5" }, { page.status, page.headers["retry-after"] })
      assert.matches("<p>somebody was &lt;faster&gt;</p>", page.body)
      assert.is_nil(page.body:find("Traceback", 1, true))
      assert.same({ status = 409, title = "Conflict", detail = "somebody was <faster>", revision = 8 },
        json.decode(ask { headers = problem }.body))
      assert.equal("409 Conflict\nsomebody was <faster>\n", ask().body)
    end)

    it("passes results and errors on, development " .. tostring(development), function()
      local results, failure
      local outer = function(_, res, next)
        results = table.pack(pcall(next))
        failure = not results[1] and results[2]
        if not res.headers_sent then res:send("outer") end
      end
      assert.equal("outer", serve({ outer, error_pages { development = development } }, function()
        return 1, nil, 3
      end)().body)
      assert.same({ true, 1, nil, 3 }, { table.unpack(results, 1, results.n) })
      serve({ outer, error_pages { development = development } }, function() error({ code = 7 }) end)()
      assert.same({ code = 7 }, failure)
    end)

    it("leaves an answer alone that has begun, development " .. tostring(development), function()
      local response = serve(error_pages { development = development }, function(_, res)
        res:send("sent")
        error("late")
      end)()
      assert.same({ 200, "sent" }, { response.status, response.body })
    end)

    it("leaves a cancelled request to who has cancelled it, development " .. tostring(development), function()
      local response = serve(error_pages { development = development }, function() timer.sleep(60) end,
        { handler_timeout = 0.02 })()
      assert.equal(504, response.status)
    end)
  end

  it("leaves a request that held the loop to who has stopped it", function()
    local server = process.serve_code([[
      local pages = require "luaserve.middleware.error_pages"()
      return function(req, res)
        return pages(req, res, function() while true do end end)
      end]], { options = { "--cpu-limit", "0.2" } })
    assert.equal(503, server:request("/").status)
    server:stop()
  end)

  it("answers a body that cannot be read with its status", function()
    local response = serve(error_pages(), function(req)
      local _, message = req:json()
      error(message)
    end) { method = "POST", headers = problem, body = "{" }
    assert.same({ 400, "Bad Request" }, { response.status, json.decode(response.body).title })
  end)

  it("takes a page of one's own", function()
    local response = serve(error_pages { page = function(what, req) return what.status .. " " .. req.path end }, fail) {
      path = "/x", headers = html }
    assert.equal("500 /x", response.body)
  end)

  it("drops what told of another content", function()
    local response = serve(error_pages(), function(_, res)
      res:set("content-type", "image/png"):set("etag", '"v1"'):set("x-mine", "kept")
      fail()
    end)()
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal("kept", response.headers["x-mine"])
    assert.is_nil(response.headers.etag)
  end)
end)
