-- SPDX-License-Identifier: MIT
-- What is said of mistakes that people make who are new here, or come from elsewhere.
local App = require "luaserve.app"
local middleware = require "luaserve.middleware"
local process = require "spec.support.process"
local test = require "luaserve.test"

--- What the log says of a handler that fails, from the message on.
local function logged(handler)
  local client = test.client(handler)
  client:get("/"):expect(500)
  return (client:log():gsub("^%S+ error: %S+ %S+: ", ""))
end

local function assert_raises(text, fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  assert.matches("^spec/mistakes_spec.lua:%d+: ", message)
  assert.equal(text, (message:gsub("^spec/mistakes_spec.lua:%d+: ", "")))
end

local function assert_logs(text, handler)
  local line = logged(handler)
  assert.is_truthy(line:find(text, 1, true), line)
end

describe("an app", function()
  local app
  before_each(function() app = App.new() end)

  it("is made with a dot", function()
    assert_raises("App.new is called with a dot: App.new()", function() App:new() end)
    assert_raises("an app is made with App.new()", function() App() end)
  end)

  it("does not listen, and says who does", function()
    local text = ": return the app from the script, or http.create_server(app):listen(8080)"
    assert_raises("an app has no 'listen'" .. text, function() app:listen(8080) end)
    assert_raises("an app has no 'run'" .. text, function() app:run() end)
    assert_raises("an app has no 'nothing'", function() app:nothing() end)
    assert_raises("an app has no 'onError' (did you mean 'on_error'?)", function() app:onError(print) end)
    assert_raises("an app has no 'moutn' (did you mean 'mount'?)", function() app:moutn("/x", app) end)
    assert_raises("an app has no 'del': app:delete", function() app:group("/a"):del("/", print) end)
  end)

  it("has methods, which are called with a colon", function()
    for _, name in ipairs { "get", "use", "group", "mount", "static", "on_error", "not_found", "url_for", "request" } do
      local text = ("'%s' is a method: app:%s(...), with a colon, not app.%s(...)"):format(name, name, name)
      assert_raises(text, function() app[name]("/x", print) end)
    end
  end)

  it("takes patterns in its own spelling only", function()
    for pattern, problem in pairs {
      ["/u/{id}"] = "'{id}' is spelt :id here",
      ["/u/{id:[0-9]+}/x"] = "'{id:[0-9]+}' is spelt :id(...) here",
      ["/u/{...rest}"] = "'{...rest}' is spelt *rest here",
      ["/u/<id>"] = "'<id>' is spelt :id here",
      ["/u/<int:id>"] = "'<int:id>' is spelt :id here",
      ["/u/[id]"] = "'[id]' is spelt :id here",
      ["/u/*"] = "'*' is spelt *name here",
      ["/u/(.*)"] = "'(.*)' is spelt :name, or *name for the rest here",
      ["/u/%d+"] = "'%d+' is spelt :name(%d+) here",
      ["/u/(\\d+)"] = "'(\\d+)' is spelt :name(%d+) here",
      ["/u/([0-9]+)"] = "'([0-9]+)' is spelt :name([...]+) here",
      ["/u/:id(\\d+)"] = "the constraint of :id is a Lua pattern, which says %d for \\d",
    } do
      local text = ("app:get: '%s' is no pattern: %s"):format(pattern, problem)
      assert_raises(text, function() app:get(pattern, print) end)
    end
  end)

  it("still has literals with such characters in them", function()
    for _, text in ipairs { "100%", "a$b", "(x)", "{}", "a[1]", "$metadata", "%discount" } do
      app:get("/" .. text, function(_, res) res:send("found") end)
    end
    assert.equal("found", app:request("/100%25").body)
    assert.equal("found", app:request("/(x)").body)
    assert.equal("found", app:request("/%7B%7D").body)
  end)

  it("uses nothing that is no middleware", function()
    assert_raises("app:use: middleware.session makes a middleware: app:use(middleware.session { ... })",
      function() app:use(middleware.session) end)
    assert_raises("app:use: middleware.etag makes a middleware: app:use(middleware.etag { ... })",
      function() app:group("/a"):use("/b", middleware.etag) end)
    assert_raises("app:use: middleware is a function of req, res and next; errors go to app:on_error(" ..
      "function(err, req, res)", function() app:use(function(_err, _req, _res, _next) end) end)
    app:use(middleware.etag(), function() end, function(...) return ... end)
  end)

  it("serves no folder that is not there", function()
    local text = "the folder cannot be opened: /nowhere/at/all: No such file or directory"
    assert_raises("app:static: middleware.static: " .. text, function() app:static("/a", "/nowhere/at/all") end)
    assert_raises("middleware.static: " .. text, function() middleware.static { root = "/nowhere/at/all" } end)
    assert_raises("middleware.static: the folder cannot be opened: Makefile: Not a directory",
      function() middleware.static { root = "Makefile" } end)
    assert_raises("app:static: the folder is missing: app:static('/assets', 'public')",
      function() app:static("public") end)
  end)
end)

describe("templates", function()
  local template = require "luaserve.template"

  it("are rendered with a colon", function()
    assert_raises("'render' is a method: views:render(...), with a colon, not views.render(...)",
      function() template.new({ root = "." }).render("x") end)
  end)

  it("have a folder that is there", function()
    assert_raises("template.new: the folder cannot be opened: /nowhere/at/all: No such file or directory",
      function() template.new { root = "/nowhere/at/all" } end)
  end)

  it("know the tags of others", function()
    local function assert_told(text, message)
      local ok, told = pcall(template.compile, text)
      assert.same({ false, "template:1: " .. message }, { ok, told })
    end
    assert_told("{% for _ = 1, 2 do %}x{% endfor %}", "'endfor' is no word of Lua: {% end %}")
    assert_told("{% if x then %}x{% endif %}", "'endif' is no word of Lua: {% end %}")
    assert_told("{% if x then %}x{% elif y then %}{% end %}", "Lua writes elif as {% elseif ... then %}")
    assert_told("{% extends 'x.html' %}", "a layout is named by {% layout \"x.html\" %}")
  end)
end)

describe("pages of errors, in development,", function()
  local pages = middleware.error_pages { development = true }

  it("show the line of the template", function()
    local template = require "luaserve.template"
    local root = test.temporary_folder()
    local file <close> = assert(io.open(root .. "/home.html", "w"))
    file:write("<p>first</p>\n{{ nobody.name }}\n<p>third</p>\n")
    file:close()
    local views = template.new { root = root }
    local app = App.new():use(pages):get("/", function(_, res) res:html(views:render("home.html")) end)
    local body = test.client(app):get("/", { headers = { accept = "text/html" } }):expect(500).body
    assert.is_truthy(body:find("<h2>" .. root .. "/home.html:2</h2>", 1, true), body)
    assert.is_truthy(body:find("<b>    2  {{ nobody.name }}</b>", 1, true), body)
    assert.is_truthy(body:find("    3  &lt;p&gt;third&lt;/p&gt;", 1, true), body)
  end)

  it("show no file that a message only names", function()
    local app = App.new():use(pages):get("/", function() error("Makefile:1: x", 0) end)
    local body = test.client(app):get("/", { headers = { accept = "text/html" } }):expect(500).body
    assert.is_nil(body:find("<h2>Makefile", 1, true))
  end)

  it("leave one line in the log of what a client did wrong", function()
    local server = process.serve_code [[
      local app = require "luaserve.app".new()
      app:use(require "luaserve.middleware".error_pages { development = true })
      return app:post("/", function(req, res) res:json(assert(req:json())) end)]]
    local response = server:request { method = "POST", path = "/", body = "{" }
    local _, err = server:stop()
    assert.equal(400, response.status)
    assert.matches("^%S+ info: POST /: [^\n]*:3: EJSON: [^\n]*\n$", err)
  end)
end)

describe("permission bits", function()
  local fs = require "luaserve.fs"

  it("are text, since Lua has no octal numbers", function()
    local path = test.temporary_folder() .. "/file"
    local hint = " is no octal number, since Lua has none: write it as text, "
    assert_raises("option 'mode': 600" .. hint .. '"600"', function() fs.write_file(path, "x", { mode = 600 }) end)
    assert.is_true(fs.write_file(path, "x", { mode = "600" }))
    assert.equal(tonumber("600", 8), fs.stat(path).mode)
    assert_raises("bad argument #2 to 'chmod' (755" .. hint .. '"755")', function() fs.chmod(path, 755) end)
    assert.is_true(fs.chmod(path, "0755"))
    assert.equal(tonumber("755", 8), fs.stat(path).mode)
    assert.is_true(fs.chmod(path, tonumber("1777", 8)))
    assert.equal(tonumber("1777", 8), fs.stat(path).mode)
    assert_raises("option 'mode': permission bits as text are octal digits, such as \"640\"",
      function() fs.mkdir(path, { mode = "rw" }) end)
    assert_raises("bad argument #2 to 'chmod' (permission bits as text are octal digits, such as \"640\")",
      function() fs.chmod(path, "680") end)
  end)
end)

describe("a module", function()
  local function assert_has_no(module, name, text)
    assert_raises(("luaserve.%s has no '%s'%s"):format(module, name, text), function()
      return require("luaserve." .. module)[name]
    end)
  end

  it("says which name was meant, at the line that read it", function()
    assert_has_no("fs", "readFile", " (did you mean 'read_file'?)")
    assert_has_no("fs", "readFileSync", " (did you mean 'read_file'?)")
    assert_has_no("crypto", "hash_fil", " (did you mean 'hash_file'?)")
    assert_has_no("http", "createServer", " (did you mean 'create_server'?)")
    assert_has_no("http", "nothing_near", "")
    assert_has_no("task", ("x"):rep(100), "")
  end)

  it("knows what others call it", function()
    assert_has_no("json", "stringify", ": json.encode(value)")
    assert_has_no("json", "parse", ": json.decode(text)")
    assert_has_no("crypto", "randomUUID", ": crypto.uuid()")
    assert_has_no("timer", "setTimeout", ": timer.after(seconds, f)")
    assert_has_no("validate", "str", ": validate.string()")
    assert_has_no("process", "argv", ": process.arguments")
    assert_has_no("app", "get", ": local app = App.new(), and app:get(...)")
  end)

  it("is asked without an error by rawget and pairs, and takes new fields", function()
    local url = require "luaserve.url"
    assert.is_nil(rawget(url, "no_such"))
    for name in pairs(url) do assert.is_not_nil(url[name]) end
    url.no_such = 1
    assert.equal(1, url.no_such)
    url.no_such = nil
    assert.is_nil(url[1])
    assert.is_nil(url.__call)
  end)
end)

describe("a spec", function()
  it("is told when its script returned no app", function()
    local text = "bad argument #1 to 'client' (a handler, an app or an address expected, got %s)"
    local hint = ": does app.lua end with 'return app'?"
    assert_raises(text:format "nil" .. hint, function() test.client(nil) end)
    assert_raises(text:format "boolean" .. hint, function() test.client(true) end)
    assert_raises(text:format "number", function() test.client(5) end)
    assert_raises("bad argument #1 to 'serve' (a handler, an app or a path expected, got nil)" .. hint,
      function() test.serve(nil) end)
  end)
end)

describe("the log", function()
  it("knows fields that were called", function()
    local text = "value (%s 'status'): res.status is a field: res.status = 404, or res:send(404, body)"
    assert_logs(text:format "field", function(_, res) res.status(404) end)
    assert_logs(text:format "method", function(_, res) res:status(404):send("x") end)
    assert_logs("req.query is a field: req.query.name, or req:query_all(name)", function(req) req.query("x") end)
  end)

  it("knows methods that were used as fields", function()
    local text = ": req:body() is a method, and waits for the body"
    assert_logs(text, function(req, res) res:send("got " .. req.body) end)
    assert_logs(text, function(req, res) res:send(tostring(#req.body)) end)
    assert_logs(text, function(req, res) res:send(req.body.name) end)
  end)

  it("knows names that others have", function()
    assert_logs("res has no field 'render': res:html(", function(_, res) res:render("x") end)
    assert_logs("res has no field 'end': res:finish() ends", function(_, res) res["end"](res) end)
    assert_logs("res has no field 'headers': res:set(name, value)", function(_, res) res.headers.a = "b" end)
    assert_logs("res.body cannot be set: res:send(body)", function(_, res) res.body = "x" end)
    assert_logs("res has no field 'setHeader': res:set(name, value)", function(_, res) res:setHeader("a", "b") end)
    assert_logs("res has no field 'sendStatus': res:send(404, body)", function(_, res) res:sendStatus(404) end)
    assert_logs("res has no field 'sendFile' (did you mean 'send_file'?)", function(_, res) res:sendFile("x") end)
    assert_logs("res.statusCode cannot be set: res.status = 404", function(_, res) res.statusCode = 404 end)
    assert_logs("req has no field 'ip': req.remote_address", function(req, res) res:send(req.ip) end)
  end)

  it("knows what lists and strings have elsewhere", function()
    local list, name = {}, "x"
    assert_logs("(field 'push'): Lua has no 'push': table.insert(list, value)", function() list.push(1) end)
    assert_logs("(method 'trim'): Lua has no 'trim': text:match(", function() name:trim() end)
    assert_logs("(field 'length'): Lua has no 'length': #value is the length", function() return list.length + 1 end)
    assert_logs("'number': strings are joined with ..", function() return name + 1 end)
    assert_logs("'session'): middleware.session sets req.locals.session: app:use(middleware.session { ... })",
      function(req) return req.locals.session.user end)
    assert_logs("(global 'parseInt'): Lua has no 'parseInt': math.tointeger(text)", load "return parseInt '1'")
  end)

  it("guesses no name that has nothing in common with what was written", function()
    local line = logged(function(req) return req.zip end)
    assert.is_truthy(line:find("req has no field 'zip'", 1, true), line)
    assert.is_nil(line:find("did you mean", 1, true))
  end)

  it("knows statuses that do not come first", function()
    assert_logs("res:send: the status comes first: res:send(404, ...)", function(_, res) res:send("x", 404) end)
    assert_logs("res:json: the status comes first: res:json(404, ...)", function(_, res) res:json({}, 404) end)
    assert_logs("res:redirect: the status comes first: res:redirect(301, ...)",
      function(_, res) res:redirect("/x", 301) end)
  end)

  it("knows methods that were called with a dot, at the handler's line", function()
    local text = "'%s' is a method: %s:%s(...), with a colon, not %s.%s(...)"
    local function assert_says(owner, name, handler)
      local line = logged(handler)
      assert.is_truthy(line:find(text:format(name, owner, name, owner, name), 1, true), line)
      assert.matches("^spec/mistakes_spec.lua:", line)
    end
    assert_says("res", "send", function(_, res) res.send("x") end)
    assert_says("res", "set_cookie", function(_, res) res.set_cookie("x", "y") end)
    assert_says("req", "body", function(req) req.body() end)
    assert_says("req", "cookie", function(req) req.cookie("x") end)
    assert_says("req", "validate", function(req) req.validate("x") end)
  end)

  it("knows handlers that return their answer", function()
    assert_logs("returned a string instead of answering: res:send sends it", function() return "hello" end)
    assert_logs("returned a table instead of answering: res:json sends it", function() return { a = 1 } end)
    local app = App.new():get("/", function() return "hello" end)
    assert_logs("returned a string instead of answering: res:send sends it", app)
    assert_logs("ended without answering", function() end)
  end)

  it("blames the middleware that ended before its handler was reached", function()
    local function guarded(guard)
      return App.new():use(guard):get("/", function(_, res) res:send("in") end)
    end
    local client = test.client(guarded(function() end))
    client:get("/"):expect(500)
    assert.matches("middleware %(spec/mistakes_spec.lua:%d+%) ended without calling next or answering", client:log())
    assert_logs(") returned a table instead of answering: res:json sends it", guarded(function() return {} end))
    assert_logs("the middleware (a callable table) ended", guarded(setmetatable({}, { __call = function() end })))
    assert_logs("the middleware (spec/mistakes_spec.lua:", App.new():use(function(_, _, next) next() end)
      :use(function(_, _, next) next() end):get("/", function() end, function(_, res) res:send("in") end))
    local silent = test.client(App.new():use(function(_, _, next) next() end):get("/", function() end))
    silent:get("/"):expect(500)
    assert.matches("the handler %(spec/mistakes_spec.lua:%d+%) ended without answering", silent:log())
  end)

  it("knows failures that nobody looked at", function()
    assert_logs(") ended without answering: res:send_file failed: ENOENT: no such file or directory: open '/nowhere'",
      function(_, res) res:send_file("/nowhere") end)
    local client = test.client(function(req, res)
      local body = req:json()
      res:send(body.name)
    end)
    client:post("/", { body = "{", headers = { ["content-type"] = "application/json" } }):expect(500)
    assert.matches("a nil value %(local 'body'%): the body was refused: EJSON: unexpected end", client:log())
  end)

  it("knows answers that were raised as what they are not", function()
    local text = "was raised: an error that is an answer is http_error.new(status, message)"
    assert_logs("404: a number " .. text, function() error(404) end)
    assert_logs("a table { status = 404, message = 'no such note', ... } " .. text,
      function() error({ status = 404, message = "no such note" }) end)
    assert_logs("a table { ... } " .. text, App.new():get("/", function() error({}) end))
  end)
end)
