-- SPDX-License-Identifier: MIT
-- Apps: what runs for a request, in which order, and what is answered when there is no route or something fails.

local App = require "luaserve.app"
local client = require "spec.support.client"
local fs = require "luaserve.fs"
local http = require "luaserve.http"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local middleware = require "luaserve.middleware"
local net = require "luaserve.net"
local process = require "spec.support.process"
local servers = require "spec.support.http_servers"
local task = require "luaserve.task"
local test = require "luaserve.test"
local timer = require "luaserve.timer"
local waits = require "spec.support.waits"

local function say(text)
  return function(_, res) res:send(text) end
end

--- A middleware that writes its name into the trace before and after what is behind it.
local function tracer(name)
  return function(req, res, next)
    local trace = req.locals.trace or {}
    req.locals.trace = trace
    trace[#trace + 1] = name
    next()
    trace[#trace + 1] = "/" .. name
    if #trace > 1 and trace[1] == name then res:send(table.concat(trace, " ")) end
  end
end

local function mark(text)
  return function(req)
    local trace = req.locals.trace
    trace[#trace + 1] = text or req.params.id
  end
end

describe("an app", function()
  local app

  local function request(wanted, method)
    if type(wanted) == "string" then wanted = { path = wanted, method = method } end
    local response, message = app:request(wanted)
    assert.is_table(response, message)
    return response
  end

  before_each(function() app = App.new() end)

  after_each(function()
    app:close()
    servers.clean_up()
    process.clean_up()
  end)

  describe("has middleware", function()
    it("that runs from the outside in, and goes on when what is behind it has run", function()
      app:get("/x/:id", tracer "route", tracer "second", mark())
      app:use(tracer "app")
      app:use("/x", tracer "prefix")
      app:use("/y", tracer "other")
      local group = app:group("/g"):use(tracer "group")
      group:get("/:id", tracer "route", mark())
      group:use(tracer "late")
      group:group("/deep", tracer "inner", function(deep) deep:get("", mark "here") end)
      assert.equal("app prefix route second 7 /second /route /prefix /app", request("/x/7").body)
      assert.equal("app group late route 8 /route /late /group /app", request("/g/8").body)
      assert.equal("app group late inner here /inner /late /group /app", request("/g/deep").body)
    end)

    it("that may wait before and after", function()
      app:use(function(_, res, next)
        timer.sleep(0.001)
        next()
        timer.sleep(0.001)
        res:finish("after")
      end)
      app:get("/", function(_, res)
        timer.sleep(0.001)
        res:write("handler ")
      end)
      assert.equal("handler after", request("/").body)
    end)

    it("that ends the chain where it does not call next", function()
      local reached = false
      app:use(function(req, res, next)
        if req.headers.authorization then return next() end
        res:send(401, "who are you?")
      end)
      app:get("/", function(_, res)
        reached = true
        res:send("in")
      end)
      assert.equal(401, request("/").status)
      assert.is_false(reached)
      assert.equal("in", request({ headers = { authorization = "x" } }).body)
    end)

    it("that can call next once", function()
      local failure
      app:use(function(_, _, next)
        next()
        failure = select(2, pcall(function() next() end))
      end)
      app:get("/", say "once")
      assert.equal("once", request("/").body)
      assert.matches("spec/app_spec.lua:%d+: next was called twice", failure)
    end)

    it("that gives next an argument fails, and lets nobody through", function()
      local reached, failure = false, nil
      app:use("/tail", function(_, _, next) return next("unauthorized") end)
      app:use("/plain", function(_, _, next)
        failure = select(2, pcall(next, false))
        next(404)
      end)
      app:get("/*path", function(_, res)
        reached = true
        res:send("in")
      end)
      local asker = test.client(app)
      asker:get("/tail"):expect(500)
      assert.matches("error: GET /tail: spec/app_spec.lua:%d+: next takes no argument: error%(", asker:log())
      asker:get("/plain"):expect(500)
      assert.matches("error: GET /plain: spec/app_spec.lua:%d+: next takes no argument: error%(", asker:log())
      assert.matches("next takes no argument", failure)
      assert.is_false(reached)
    end)

    it("that calls next where nothing can wait hears what is in the way", function()
      app:use("/wait", function(_, _, next) string.gsub("x", "x", function() next() end) end)
      app:use(function(_, _, next) next() end)
      app:get("/wait", function(_, res) timer.sleep(0) res:send("waited") end)
      local asker = test.client(app)
      asker:get("/wait"):expect(500)
      assert.matches("timer.sleep cannot wait here: it was called from inside string.gsub,", asker:log(), 1, true)
    end)

    it("of which there can be ninety, whether they wait or not", function()
      local count, waits_for = 0, {}
      for i = 1, 90 do
        app:use("/a", function(_, _, next)
          if waits_for[i] then timer.sleep(0) end
          next()
          count = count + 1
        end)
      end
      app:get("/*rest", say "through")
      assert.equal("through", request("/a/b").body)
      waits_for[30], waits_for[60], waits_for[90] = true, true, true
      assert.equal("through", request("/a/b").body)
      assert.equal(180, count)
    end)

    it("that sees an error pass, as any Lua code", function()
      local seen
      app:use(function(_, _, next)
        local ok, err = pcall(next)
        seen = err.status
        if not ok then error(err, 0) end
      end)
      app:get("/", function() error(http_error.new(418, "short and stout")) end)
      assert.equal(418, request("/").status)
      assert.equal(418, seen)
    end)

    it("that also runs where there is no route", function()
      app:use(function(_, res, next)
        res:set("x-app", "yes")
        next()
      end)
      app:post("/x", say "x")
      for path, status in pairs { ["/x"] = 405, ["/y"] = 404 } do
        local response = request(path)
        assert.same({ status, "yes" }, { response.status, response.headers["x-app"] })
      end
    end)

    it("that a prefix keeps nobody around, however the path is written", function()
      local function deny(_, res) res:send(403, "no") end
      app:use("/admin", deny)
      app:get("/:area/:page", say "page")
      app:get("/*path", say "rest")
      app:get("/admin/own", say "own")
      for _, path in ipairs { "/admin", "/admin/", "/admin/own", "/admin/x", "/%61dmin/x", "//admin/x", "/x/../admin/x",
        "/./admin/a/b/c", "/admin//x", "/admin%2Fx/../admin/x", "/admin/%2e/x" } do
        assert.equal(403, request(path).status, path)
      end
      for path, body in pairs { ["/x/admin"] = "page", ["/administrator"] = "rest", ["/admin/../x"] = "rest",
        ["/"] = "rest", ["/ADMIN/x"] = "page" } do
        assert.equal(body, request(path).body, path)
      end
    end)

    it("under a prefix with parameters, in groups and in mounted apps", function()
      app:group("/orgs/:org"):use("/admin", function(req, res) res:send(403, req.params.org or "-") end)
        :get("/:page/x", say "page")
      assert.equal("page", request("/orgs/a/b/x").body)
      assert.equal(403, request("/orgs/a/admin/x").status)
      assert.equal(404, request("/orgs/a/admin/y").status) -- a group has no say where it has no route
    end)

    it("added while it serves", function()
      app:get("/", say "in")
      assert.equal(200, request("/").status)
      app:use(function(_, res) res:send(503, "closed") end)
      assert.equal(503, request("/").status)
    end)

    it("that is refused where it is none", function()
      for problem, fn in pairs {
        ["app:use: the middleware must be a function, not a number"] = function() app:use("/x", 1) end,
        ["app:use: the middleware is missing"] = function() app:use("/x") end,
        ["app:use: an app is mounted: app:mount%(prefix, app%)"] = function() app:use("/x", App.new()) end,
        ["the prefix '/%*x' must have a fixed number of segments"] = function() app:use("/*x", print) end,
        ["app:get: the handler is missing"] = function() app:get("/x", { name = "x" }) end,
        ["app:get: the middleware must be a function, not a string"] = function() app:get("/x", "y", print) end,
        ["app:route: 'get' is no method"] = function() app:route("get", "/x", print) end,
        ["app:get: unknown option 'time_out' %(did you mean 'timeout'%?%)"] = function()
          app:get("/x", print, { time_out = 1 })
        end,
        ["timeout must be in seconds"] = function() app:get("/x", print, { timeout = "1" }) end,
        ["body_limit must be a size in bytes"] = function() app:get("/x", print, { body_limit = 1.5 }) end,
        ["app.new: unknown option 'strict_slash' %(did you mean"] = function() App.new { strict_slash = true } end,
        ["luaserve.middleware has no 'corss'; it has access_log, "] = function() return middleware.corss end,
      } do
        local ok, message = pcall(fn)
        assert.is_false(ok)
        assert.matches("^spec/app_spec.lua:%d+: .*" .. problem, message)
      end
    end)
  end)

  describe("answers methods", function()
    it("that a path does not have with 405, and says which it has", function()
      app:get("/x", say "get"):post("/x", say "post"):delete("/:any", say "delete")
      local response = request("/x", "PATCH")
      assert.equal(405, response.status)
      assert.equal("DELETE, GET, HEAD, OPTIONS, POST", response.headers.allow)
      assert.equal("delete", request("/x", "DELETE").body) -- the less specific one has it
      assert.equal("DELETE, OPTIONS", request("/y").headers.allow)
    end)

    it("HEAD where there is GET, without a body", function()
      app:get("/x", say "hello"):post("/y", say "y")
      local response = request("/x", "HEAD")
      assert.same({ 200, "5", "" }, { response.status, response.headers["content-length"], response.body })
      assert.equal(405, request("/y", "HEAD").status)
      app:head("/x", function(_, res) res:set("x-own", "1"):send("") end)
      assert.equal("1", request("/x", "HEAD").headers["x-own"])
    end)

    it("OPTIONS by itself, unless there is a route for it", function()
      app:get("/x", say "x"):put("/x", say "x")
      local response = request("/x", "OPTIONS")
      assert.same({ 204, "GET, HEAD, OPTIONS, PUT" }, { response.status, response.headers.allow })
      assert.equal(404, request("/y", "OPTIONS").status)
      app:options("/x", say "mine")
      assert.equal("mine", request("/x", "OPTIONS").body)
      response = request("*", "OPTIONS")
      assert.same({ 204, "GET, HEAD, OPTIONS, PUT" }, { response.status, response.headers.allow })
    end)

    it("OPTIONS and 405 inside the middleware that the path's routes have in common", function()
      local function set(name)
        return function(_, res, next)
          res:set(name, "1")
          next()
        end
      end
      app:group("/api", set "x-group", function(api)
        api:get("/notes", set "x-route", say "notes")
        api:group(""):use(set "x-inner"):post("/notes", say "notes")
      end)
      for _, method in ipairs { "OPTIONS", "DELETE" } do
        local headers = request("/api/notes", method).headers
        assert.same({ "1" }, { headers["x-group"], headers["x-route"], headers["x-inner"] })
      end
    end)

    it("that have no name of their own here", function()
      app:route({ "PROPFIND", "REPORT" }, "/dav", function(req, res) res:send(req.method) end)
      app:all("/all", function(req, res) res:send(req.method) end):post("/all", say "own")
      assert.equal("PROPFIND", request("/dav", "PROPFIND").body)
      assert.equal("REPORT", request("/dav", "REPORT").body)
      for method, body in pairs { GET = "GET", OPTIONS = "OPTIONS", MKCOL = "MKCOL", POST = "own" } do
        assert.equal(body, request("/all", method).body)
      end
    end)
  end)

  describe("answers paths without a route", function()
    it("with 404", function()
      local response = request("/nowhere")
      assert.same({ 404, "Not Found\n" }, { response.status, response.body })
    end)

    it("by app:not_found", function()
      app:not_found(function(req, res) res:send("no " .. req.path) end)
      local response = request("/nowhere")
      assert.same({ 404, "no /nowhere" }, { response.status, response.body })
    end)
  end)

  describe("mounts another", function()
    local inner

    before_each(function()
      inner = App.new()
      inner:get("/", say "home"):get("/notes/:id", function(req, res) res:json(req.params) end, { name = "note" })
    end)

    it("with all its routes, also those that it gets later", function()
      app:get("/own", say "own")
      app:mount("/inner", inner)
      inner:get("/late", say "late")
      assert.equal("home", request("/inner").body)
      assert.equal("late", request("/inner/late").body)
      assert.same({ id = "7" }, json.decode(request("/inner/notes/7").body))
      assert.equal(404, request("/notes/7").status)
      assert.equal("/inner/notes/7", app:url_for("note", { id = 7 }))
      assert.equal("/inner/notes/7", inner:url_for("note", { id = 7 }))
    end)

    it("whose parameters join those of the prefix", function()
      app:mount("/users/:user", inner)
      assert.same({ id = "7", user = "ada" }, json.decode(request("/users/ada/notes/7").body))
      assert.equal("/users/ada/notes/7", app:url_for("note", { id = 7, user = "ada" }))
    end)

    it("in another that is mounted, in either order", function()
      local middle = App.new()
      app:mount("/a", middle)
      middle:mount("/b", inner)
      assert.equal("home", request("/a/b").body)
      local outer <close> = App.new()
      outer:mount("/c", middle)
      assert.same({ id = "1" }, json.decode(outer:request("/c/b/notes/1").body))
    end)

    it("inside its own middleware, and inside that of the group where it is mounted", function()
      app:use(tracer "app")
      inner:use(tracer "inner"):use("/deep", tracer "deep")
      inner:get("/deep/:id", mark())
      app:group("/g"):use(tracer "group"):mount("/m", inner)
      assert.equal("app group inner deep 5 /deep /inner /group /app", request("/g/m/deep/5").body)
    end)

    it("and lets the inner one answer what is below it", function()
      inner:use(function(_, res, next)
        res:set("x-inner", "1")
        next()
      end)
      inner:not_found(function(_, res) res:send("inner has none") end)
      inner:on_error(function(err, _, res) res:send(500, "inner: " .. err) end)
      inner:get("/boom", function() error("boom", 0) end)
      app:on_error(function(err, _, res) res:send(err.status or 500, "outer") end)
      app:mount("/inner", inner)
      local response = request("/inner/nowhere/at/all")
      assert.same({ 404, "inner has none", "1" }, { response.status, response.body, response.headers["x-inner"] })
      response = request("/nowhere")
      assert.same({ 404, "outer", nil }, { response.status, response.body, response.headers["x-inner"] })
      assert.equal("inner: boom", request("/inner/boom").body)
    end)

    it("of several the one with the longest prefix answers", function()
      inner:not_found(say "inner")
      local root = App.new()
      root:not_found(say "root")
      app:mount("/", root):mount("/inner", inner)
      assert.equal("inner", request("/inner/none").body)
      assert.equal("root", request("/none").body)
    end)

    it("but not itself, and nothing that is taken", function()
      assert.error_matches(function() app:mount("/x", app) end, "an app cannot be mounted in itself")
      inner:mount("/app", app)
      assert.error_matches(function() app:mount("/x", inner) end, "an app cannot be mounted in itself")
      local other = App.new()
      other:get("/x/notes/:n", say "")
      assert.error_matches(function() other:mount("/x", inner) end,
        "there is a route for GET /x/notes/:id already: /x/notes/:n at spec/app_spec.lua:%d+")
      assert.error_matches(function() app:mount("/x", print) end, "an app is needed, not a function")
    end)
  end)

  describe("answers what its handlers raise", function()
    it("with the status of an http error, as text or as a problem", function()
      app:get("/", function()
        error(http_error.new(409, "somebody was faster", { revision = 8 }, { ["retry-after"] = "5" }))
      end)
      local response = request("/")
      assert.same({ 409, "somebody was faster\n", "text/plain; charset=utf-8", "5" },
        { response.status, response.body, response.headers["content-type"], response.headers["retry-after"] })
      response = request { headers = { accept = "application/json, text/plain" } }
      assert.same({ 409, "application/problem+json" }, { response.status, response.headers["content-type"] })
      assert.same({ title = "Conflict", status = 409, detail = "somebody was faster", revision = 8 },
        json.decode(response.body))
    end)

    it("and keeps what middleware has set, but not what told of another body", function()
      app:use(function(_, res, next)
        res:set("access-control-allow-origin", "*")
        next()
      end)
      app:get("/", function(_, res)
        res:set("content-type", "image/png"):set("content-length", "7"):set("etag", '"x"')
        res:set("cache-control", "public")
        error(http_error.new(503))
      end)
      local headers = request("/").headers
      assert.same({ "*", "text/plain; charset=utf-8", "20" },
        { headers["access-control-allow-origin"], headers["content-type"], headers["content-length"] })
      assert.same({}, { headers.etag, headers["cache-control"] })
    end)

    it("with 413 or 400 where the body was at fault", function()
      app:post("/size", function(req, res) res:send((assert(req:body(3)))) end)
      app:post("/json", function(req, res)
        local value, message = req:json()
        if not value then error(message) end
        res:json(value)
      end)
      local seen = {}
      app:on_error(function(err) seen[#seen + 1] = err.status end)
      assert.equal(413, request({ method = "POST", path = "/size", body = "1234" }).status)
      assert.equal("123", request({ method = "POST", path = "/size", body = "123" }).body)
      assert.equal(400, request({ method = "POST", path = "/json", body = "{" }).status)
      assert.same({ 413, 400 }, seen)
    end)

    it("with the fields of the error, also where app:on_error answers", function()
      app:get("/busy", function() error(http_error.new(503, "later", nil, { ["retry-after"] = "7" })) end)
      app:on_error(function(err, _, res)
        res:set("retry-after", res:get("retry-after") and "8" or "none")
        res:send(err.status, "mine")
      end)
      local response = request("/busy")
      assert.same({ 503, "mine", "8" }, { response.status, response.body, response.headers["retry-after"] })
      response = request { method = "PUT", path = "/busy" }
      assert.same({ 405, "mine", "GET, HEAD, OPTIONS" }, { response.status, response.body, response.headers.allow })
    end)

    it("by app:on_error, which is told what it was", function()
      app:on_error(function(err, req, res)
        if http_error.is(err) then return end -- the default answer
        res:send(500, ("%s: %s"):format(req.path, err.code or err))
      end)
      app:get("/object", function() error({ code = 42 }) end)
      app:get("/text", function() error("text", 0) end)
      app:get("/http", function() error(http_error.new(410)) end)
      assert.equal("/object: 42", request("/object").body)
      assert.equal("/text: text", request("/text").body)
      assert.equal("Gone\n", request("/http").body)
      assert.equal(404, request("/nowhere").status)
    end)

    it("logs bugs with where they were, and no client hears of them", function()
      local server = process.serve_code [[
        local App, http_error = require "luaserve.app", require "luaserve.http_error"
        local app = App.new()
        local function deep() error("a secret") end
        app:get("/bug", function() deep() return 1 end)
        app:get("/answer", function() error(http_error.new(404, "an answer")) end)
        app:get("/silent", function() end)
        app:get("/late", function(_, res) res:write("x") require "luaserve.timer".sleep(0.01) error("too late") end)
        local other = App.new()
        other:on_error(function() error("a bug in on_error") end)
        other:get("/bug", function() deep() return 1 end)
        app:mount("/other", other)
        return app]]
      assert.same({ 500, "Internal Server Error\n" },
        { server:request("/bug?token=1").status, server:request("/bug").body })
      assert.equal(404, server:request("/answer").status)
      assert.equal(500, server:request("/silent").status)
      assert.equal(500, server:request("/other/bug").status)
      local connection = server:connect()
      connection:write("GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
      connection:read_all()
      assert.equal("ECONNRESET", connection.reset)
      connection:close()
      local _, err = server:stop()
      assert.matches("GET /bug: [^\n]*:3: a secret\nstack traceback:\n.-in upvalue 'deep'", err)
      assert.not_matches("token=1", err)
      assert.not_matches("an answer", err)
      assert.matches("GET /silent: the handler %(/[^\n]*:6%) ended without answering", err)
      assert.matches("GET /late: [^\n]*:7: too late", err)
      assert.not_matches("finishing the answer", err)
      assert.matches("GET /other/bug: [^\n]*:9: a bug in on_error", err)
      assert.equal(3, select(2, err:gsub("a secret", "")))
    end)
  end)

  it("is asked by other tasks than that of the handler too", function()
    app:get("/bug", function() error("on purpose", 0) end)
    app:get("/gone", function() error(http_error.new(410)) end)
    local _, address = servers.serve({}, function(req, res)
      res:later()
      timer.after(0.001, function() app(req, res) end)
    end)
    for path, status in pairs { ["/bug"] = 500, ["/gone"] = 410, ["/nowhere"] = 404 } do
      assert.equal(status, client.request(address, { path = path }).status)
    end
  end)

  it("leaves to the server who has no memory left, and whom the watchdog has stopped", function()
    local code = [[
      local app = require "luaserve.app".new()
      app:on_error(function(_, _, res) res:send(500, "on_error") end)
      app:get("/memory", function()
        local list = {}
        while true do list[#list + 1] = ("x"):rep(1000) .. #list end
      end)
      app:get("/loop", function() while true do end end)
      return app]]
    local server = process.serve_code(code, { options = { "--request-memory", "1M" } })
    assert.equal("Internal Server Error", server:request("/memory").body)
    local _, err = server:stop()
    assert.matches("GET /memory: not enough memory: a request may hold 1 MiB", err)
    server = process.serve_code(code, { options = { "--cpu-limit", "0.2" } })
    assert.equal("Service Unavailable", server:request("/loop").body)
    _, err = server:stop()
    assert.matches("GET /loop: [^\n]*:7: held the loop", err)
  end)

  describe("has options for a route", function()
    it("timeout: the client gets a 504, and the handler is cancelled", function()
      local wait, done = waits.gate()
      app:get("/slow", function()
        local _ <close> = setmetatable({}, { __close = done })
        timer.sleep(60)
      end, { timeout = 0.02 })
      app:get("/quick", say "quick", { timeout = 5 })
      assert.equal(504, request("/slow").status)
      wait()
      assert.equal("quick", request("/quick").body)
    end)

    it("timeout: in place of the server's, also with none", function()
      local own <close> = App.new { server = { handler_timeout = 0.02 } }
      local function slow(_, res)
        timer.sleep(0.1)
        res:send("done")
      end
      own:get("/none", slow, { timeout = false }):get("/longer", slow, { timeout = 5 }):get("/server", slow)
      assert.equal("done", own:request("/none").body)
      assert.equal("done", own:request("/longer").body)
      assert.equal(504, own:request("/server").status)
    end)

    it("body_limit: more than the server's, or less", function()
      local function size(req, res)
        local body, _, code = req:body()
        res:send(body and tostring(#body) or code)
      end
      app:post("/large/:name", size, { body_limit = 3 << 20 })
      app:post("/any", size, { body_limit = false })
      app:post("/small", size, { body_limit = 10 })
      app:post("/default", size)
      local large = ("x"):rep(2 << 20)
      local function post(path, body) return request { method = "POST", path = path, body = body } end
      assert.equal("2097152", post("/large/x", large).body)
      assert.equal("2097152", post("/x/../%6Carge/a%2Fb", large).body)
      assert.equal(413, post("/large/x", large .. large).status)
      assert.equal("4194304", post("/any", large .. large).body)
      assert.equal(413, post("/default", large).status)
      assert.equal(413, post("/small", "12345678901").status)
      assert.equal("10", post("/small", "1234567890").body)
      local padding = ("/."):rep(1500)
      assert.equal(413, post(padding .. "/small", "12345678901").status)
    end)

    it("body_limit: of bodies whose length nobody knows", function()
      local function size(req, res)
        local body, _, code = req:body()
        res:send(body and tostring(#body) or code)
      end
      app:post("/large", size, { body_limit = 3 << 20 }):post("/small", size, { body_limit = 10 })
      local function post(path, bytes)
        local chunk = ("%x\r\n%s\r\n0\r\n\r\n"):format(#bytes, bytes)
        return request { method = "POST", path = path, headers = { ["transfer-encoding"] = "chunked" }, body = chunk }
      end
      assert.equal("2097152", post("/large", ("x"):rep(2 << 20)).body)
      assert.equal("10", post("/small", "1234567890").body)
      assert.equal("ETOOBIG", post("/small", "12345678901").body)
    end)

    it("body_limit: also through a handler of one's own", function()
      app:post("/small", function(req, res) res:send(req:body()) end, { body_limit = 3 })
      local _, address = servers.serve({}, function(req, res) app(req, res) end)
      assert.equal(413, client.request(address, { method = "POST", path = "/small", body = "1234" }).status)
      assert.equal("123", client.request(address, { method = "POST", path = "/small", body = "123" }).body)
    end)

    it("cancel_on_close: the handler ends with its client", function()
      local wait_begun, begun = waits.gate()
      local wait, done = waits.gate()
      app:get("/", function()
        local _ <close> = setmetatable({}, { __close = function() done("cancelled") end })
        begun()
        timer.sleep(60)
      end, { cancel_on_close = true })
      local _, address = servers.serve({}, app)
      local socket = net.connect(address)
      socket:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      wait_begun()
      socket:close()
      assert.equal("cancelled", wait())
    end)
  end)

  describe("has middleware for these", function()
    it("timeout", function()
      app:use("/slow", middleware.timeout(0.02))
      local function slow(_, res)
        timer.sleep(0.1)
        res:send("done")
      end
      app:get("/slow/x", slow):get("/slow/y", slow, { timeout = 5 }):get("/z", slow)
      assert.equal(504, request("/slow/x").status)
      assert.equal("done", request("/slow/y").body)
      assert.equal("done", request("/z").body)
      for _, value in ipairs { 0, -1, "1", 0 / 0, math.huge } do
        assert.error_matches(function() middleware.timeout(value) end, "middleware.timeout: the time must be")
      end
    end)

    it("body_limit", function()
      app:use("/a", middleware.body_limit(3))
      app:post("/a", function(req, res) res:send((assert(req:body()))) end)
      app:post("/b", function(req, res) res:send((assert(req:body()))) end)
      assert.equal(413, request({ method = "POST", path = "/a", body = "1234" }).status)
      assert.equal("123", request({ method = "POST", path = "/a", body = "123" }).body)
      assert.equal(413, request({ method = "POST", path = "/a", headers = { ["transfer-encoding"] = "chunked" },
        body = "4\r\n1234\r\n0\r\n\r\n" }).status)
      assert.equal("1234", request({ method = "POST", path = "/b", body = "1234" }).body)
      assert.error_matches(function() middleware.body_limit(1.5) end, "must be a size in bytes, not 1.5")
    end)
  end)

  describe("serves files", function()
    it("below a prefix", function()
      app:static("/docs", "docs/api", { max_age = 60 })
      app:static("/", "docs")
      app:not_found(function(_, res) res:send("none") end)
      local response = request("/docs/http.md")
      assert.same({ 200, "max-age=60" }, { response.status, response.headers["cache-control"] })
      assert.matches("^# luaserve.http", response.body)
      assert.equal(200, request("/repl.md").status)
      assert.same({ 404, "none" }, { request("/docs/nothing").status, request("/docs/nothing").body })
      assert.equal(404, request("/docs/..%2f..%2fREADME.md").status)
      assert.equal(405, request("/docs/http.md", "POST").status)
      assert.error_matches(function() app:static("/x", "y", { max_agee = 1 }) end, "unknown option 'max_agee'")
    end)
  end)

  describe("is served", function()
    it("by http.create_server, whose options come before the app's own", function()
      local own = App.new { server = { max_body = 5, handler_timeout = 7 } }
      own:post("/", function(req, res) res:send(req:body()) end)
      local _, address = servers.serve({ max_body = 3 }, own)
      assert.equal(413, client.request(address, { method = "POST", body = "1234" }).status)
      _, address = servers.serve({}, own)
      assert.equal("1234", client.request(address, { method = "POST", body = "1234" }).body)
      assert.equal(413, client.request(address, { method = "POST", body = "123456" }).status)
      local server = servers.keep(http.create_server(own))
      address = assert(server:listen { host = "127.0.0.1", port = 0 }):address()
      assert.equal(413, client.request(address, { method = "POST", body = "123456" }).status)
      local wrong = App.new { server = { max_boddy = 5 } }
      assert.error_matches(function() http.create_server(wrong) end, "unknown option 'max_boddy'")
    end)

    it("by the command line, with the limits of its routes", function()
      local server = process.serve_code [[
        local app = require "luaserve.app".new { server = { max_body = 2 } }
        app:post("/", function(req, res) res:send(req:body()) end)
        app:post("/more", function(req, res) res:send(req:body()) end, { body_limit = 4 })
        return app]]
      local function post(path, body) return server:request { method = "POST", path = path, body = body } end
      assert.same({ "12", 413, "1234", 413 },
        { post("/", "12").body, post("/", "123").status, post("/more", "1234").body, post("/more", "12345").status })
      server:stop()
    end)

    it("as a function of a handler", function()
      app:get("/x", say "x")
      local _, address = servers.serve({}, function(req, res) return app(req, res) end)
      assert.equal("x", client.request(address, { path = "/x" }).body)
      assert.equal("luaserve.app (1 routes)", tostring(app))
    end)
  end)

  describe("can be asked in process", function()
    it("for what a client would get", function()
      app:post("/echo", function(req, res)
        for _, value in ipairs(req:query_all("x")) do res:add("x-value", value) end
        res:send(201, req.headers["x-list"] .. " " .. req:body())
      end)
      local response = request { method = "POST", path = "/echo?x=1&x=2", headers = { ["x-list"] = { "a", "b" } },
        body = "text" }
      assert.equal(201, response.status)
      assert.equal("Created", response.reason)
      assert.equal("a, b text", response.body)
      assert.equal("1, 2", response.headers["x-value"])
      local values = {}
      for _, field in ipairs(response.header_list) do
        if field[1]:lower() == "x-value" then values[#values + 1] = field[2] end
      end
      assert.same({ "1", "2" }, values)
    end)

    it("for bodies in pieces, with trailers, and for those that end with the connection", function()
      app:get("/pieces", function(_, res)
        res:trailer("x-sum", "3"):write("one ")
        res:finish("two")
      end)
      app:get("/close", function(_, res) res:set("connection", "close"):send("last") end)
      local response = request("/pieces")
      assert.same({ "one two", "3" }, { response.body, response.trailers["x-sum"] })
      assert.equal("last", request("/close").body)
      assert.equal("one two", request("/pieces").body)
    end)

    it("for several things at a time, over connections that are kept", function()
      local waiting = {}
      app:get("/", function(_, res)
        waiting[#waiting + 1] = res:later()
        if #waiting == 3 then
          for i, other in ipairs(waiting) do other:send(tostring(i)) end
        end
      end)
      app:get("/ports", function(req, res) res:send(tostring(#req.headers)) end)
      local tasks, bodies = {}, {}
      for i = 1, 3 do tasks[i] = task.spawn(function() return app:request("/").body end) end
      for i = 1, 3 do bodies[i] = tasks[i]:join() end
      table.sort(bodies)
      assert.same({ "1", "2", "3" }, bodies)
    end)

    it("and says so when no answer comes", function()
      app:get("/reset", function(_, res)
        res:write("x")
        timer.sleep(0.001)
        error(http_error.new(500))
      end)
      assert.same({ nil, "EOF: the response has broken off", "EOF" }, { app:request("/reset") })
      local kept
      app:get("/never", function(_, res) kept = res:later() end)
      local _, _, code = app:request { path = "/never", timeout = 0.02 }
      assert.equal("ETIMEDOUT", code)
      kept:send("too late")
    end)

    it("but not for what is no request", function()
      for problem, wanted in pairs {
        ["the method must be a word in capitals"] = { method = "get it" },
        ["the path must begin with / and have no spaces"] = { path = "/a b" },
        ["the body must be a string, not a table"] = { body = {} },
        ["the header field 'x' cannot have this value"] = { headers = { x = "a\r\nb: c" } },
        ["'a b' is no name of a header field"] = { headers = { ["a b"] = "c" } },
        ["unknown option 'header' %(did you mean 'headers'%?%)"] = { header = {} },
      } do
        local ok, message = pcall(app.request, app, wanted)
        assert.is_false(ok)
        assert.matches("app:request: " .. problem, message)
      end
    end)

    it("by a program that ends without closing it, and leaves nothing behind", function()
      local folder = assert(fs.mkdtemp("/tmp/app-spec-XXXXXX"))
      local result = process.script([[
        local app = require "luaserve.app".new { server = { keep_alive_timeout = false } }
        app:get("/", function(_, res) res:send("x") end)
        print(app:request("/").body)]], { env = "TMPDIR=" .. folder })
      assert.same({ 0, "x\n", "" }, { result.status, result.out, result.err })
      assert.same({}, fs.readdir(folder))
      assert(fs.rm(folder, { recursive = true }))
    end)

    it("and is forgotten with all that it opened", function()
      local other = App.new()
      other:get("/", say "x")
      assert.equal("x", other:request("/").body)
      local weak = setmetatable({ other }, { __mode = "v" })
      other = nil
      collectgarbage()
      collectgarbage()
      assert.is_nil(other or weak[1])
    end)
  end)
end)
