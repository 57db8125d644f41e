-- SPDX-License-Identifier: MIT
-- Which route a path finds, what it catches of it, and the way back: a path for a route.

local App = require "luaserve.app"
local client = require "spec.support.client"
local http = require "luaserve.http"
local router = require "luaserve.router"

--- An app whose routes answer with their pattern and what it caught.
local function app_of(patterns, options)
  local app = App.new(options)
  for _, pattern in ipairs(patterns) do
    app:get(pattern, function(req, res)
      local caught = {}
      for name, value in pairs(req.params) do caught[#caught + 1] = name .. "=" .. value end
      table.sort(caught)
      res:send(pattern .. " " .. table.concat(caught, " "))
    end)
  end
  return app
end

--- What the paths find: by path "pattern caught", or the status where it is not 200.
local function found(app, paths)
  local answers = {}
  for _, path in ipairs(paths) do
    local response = assert(app:request { path = path })
    answers[path] = response.status == 200 and response.body or response.status
  end
  return answers
end

local function check(patterns, expected, options)
  local paths = {}
  for path in pairs(expected) do paths[#paths + 1] = path end
  local app <close> = app_of(patterns, options)
  assert.same(expected, found(app, paths))
  local reversed = {}
  for i = #patterns, 1, -1 do reversed[#reversed + 1] = patterns[i] end
  local other <close> = app_of(reversed, options)
  assert.same(expected, found(other, paths))
end

describe("routes", function()
  it("find literal segments, parameters and the rest of a path", function()
    check({ "/", "/notes", "/notes/:id", "/notes/:id/pages/:page", "/files/*path" }, {
      ["/"] = "/ ",
      ["/notes"] = "/notes ",
      ["/notes?x=/y"] = "/notes ",
      ["/notes/7"] = "/notes/:id id=7",
      ["/notes/7/pages/8"] = "/notes/:id/pages/:page id=7 page=8",
      ["/notes/7/pages"] = 404,
      ["/files/a"] = "/files/*path path=a",
      ["/files/a/b.txt"] = "/files/*path path=a/b.txt",
      ["/files/a//b/"] = "/files/*path path=a//b/",
      ["/files"] = "/files/*path path=",
      ["/files/"] = "/files/*path path=",
      ["/filesystem"] = 404,
      ["/note"] = 404,
      ["/notesx"] = 404,
      ["//notes"] = 404,
      ["/notes//"] = 404,
    })
  end)

  it("try literals before constrained parameters, those before plain ones and before the rest", function()
    check({ "/:any", "/*all", "/:number(%d+)", "/me", "/:any/tail", "/:number(%d+)/other", "/me/own" }, {
      ["/me"] = "/me ",
      ["/12"] = "/:number(%d+) number=12",
      ["/12a"] = "/:any any=12a",
      ["/a/b"] = "/*all all=a/b",
      ["/me/tail"] = "/:any/tail any=me",
      ["/12/tail"] = "/:any/tail any=12",
      ["/12/other"] = "/:number(%d+)/other number=12",
      ["/x/other"] = "/*all all=x/other",
      ["/"] = "/*all all=",
    })
  end)

  it("have an order among constraints that does not depend on who came first", function()
    check({ "/:a(%d+)", "/:b(%x+)", "/:c([%w]+)" }, {
      ["/12"] = "/:c([%w]+) c=12",
      ["/xyz"] = "/:c([%w]+) c=xyz",
    })
  end)

  it("decode a segment once, and keep what was %2F inside it", function()
    check({ "/users/:name", "/café/:x", "/100%", "/:a/:b" }, {
      ["/users/a%2Fb"] = "/users/:name name=a/b",
      ["/users/a%252Fb"] = "/users/:name name=a%2Fb",
      ["/users/%41%20b+c"] = "/users/:name name=A b+c",
      ["/%75sers/x"] = "/users/:name name=x",
      ["/users%2Fx"] = 404,
      ["/caf%C3%A9/1"] = "/café/:x x=1",
      ["/100%25"] = "/100% ",
      ["/%2E%2e%2Fx/y"] = "/:a/:b a=../x b=y",
      ["/a/%2e%2e/users/b"] = "/users/:name name=b",
    })
  end)

  it("do not take a rest in which a slash is encoded, since it could not be told from the others", function()
    check({ "/files/*path" }, {
      ["/files/a%2Fb"] = 404,
      ["/files/a%2fb/c"] = 404,
      ["/files/a%20b/%C3%A9"] = "/files/*path path=a b/é",
    })
  end)

  it("answer malformed encodings with 400, and no handler sees them", function()
    check({ "/*all" }, { ["/%"] = 400, ["/%4"] = 400, ["/a%zzb"] = 400, ["/a%00b"] = 400 })
  end)

  it("may lack segments at their end", function()
    check({ "/a/:b?", "/list/:page(%d+)?/:size?", "/docs/index?" }, {
      ["/a"] = "/a/:b? ",
      ["/a/1"] = "/a/:b? b=1",
      ["/a/1/2"] = 404,
      ["/list"] = "/list/:page(%d+)?/:size? ",
      ["/list/2"] = "/list/:page(%d+)?/:size? page=2",
      ["/list/2/10"] = "/list/:page(%d+)?/:size? page=2 size=10",
      ["/list/x"] = 404,
      ["/docs"] = "/docs/index? ",
      ["/docs/index"] = "/docs/index? ",
    })
  end)

  it("ignore a slash at the end", function()
    check({ "/a", "/b/", "/c/:x" }, {
      ["/a/"] = "/a ", ["/b"] = "/b/ ", ["/b/"] = "/b/ ", ["/c/1/"] = "/c/:x x=1", ["/a//"] = 404,
    })
  end)

  it("tell a slash at the end with strict_slashes", function()
    check({ "/a", "/a/", "/b", "/c/", "/f/*path", "/" }, {
      ["/a"] = "/a ", ["/a/"] = "/a/ ", ["/b/"] = 404, ["/c"] = 404, ["/c/"] = "/c/ ", ["/f"] = 404,
      ["/f/"] = "/f/*path path=", ["/"] = "/ ",
    }, { strict_slashes = true })
  end)

  it("ignore the case of literals, where told to, and keep that of parameters", function()
    check({ "/Users/:name" }, { ["/uSERS/Ada"] = "/Users/:name name=Ada" }, { ignore_case = true })
    check({ "/Users/:name" }, { ["/users/Ada"] = 404 })
  end)

  it("find their way among a thousand", function()
    local patterns, expected = {}, {}
    for i = 1, 1000 do
      patterns[i] = "/section" .. i .. "/:id"
      if i % 100 == 1 then expected["/section" .. i .. "/x"] = patterns[i] .. " id=x" end
    end
    expected["/section1001/x"] = 404
    check(patterns, expected)
  end)
end)

describe("constraints", function()
  local function fits(constraint, texts)
    local app <close> = app_of { "/:x(" .. constraint .. ")" }
    for text, expected in pairs(texts) do
      local encoded = text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
      local status = assert(app:request { path = "/" .. encoded }).status
      assert.equal(expected and 200 or 404, status, constraint .. " " .. text)
      assert.equal(expected, text:find("^" .. constraint .. "$") ~= nil) -- as Lua has it
    end
  end

  it("fit what Lua patterns fit, as a whole", function()
    fits("%d+", { ["1"] = true, ["123"] = true, ["12a"] = false, ["a12"] = false })
    fits("%d?%a*-?z", { ["1abcz"] = true, z = true, ["1z"] = true, ["12z"] = false, zz = true })
    fits("[a-c]-[^%d_]", { abcx = true, x = true, abc1 = false, abc = true, axb = false })
    fits("[]%-x]+", { ["]"] = true, ["-x]"] = true, a = false })
    fits("%x%x%-%u", { ["af-X"] = true, ["ag-X"] = false, ["af-x"] = false })
    fits("[%w_.-]+%.html?", { ["a-b.html"] = true, ["x.htm"] = true, ["x.htmx"] = false })
    fits("..", { ab = true, ["é"] = true, a = false })
    fits("a.-b.-c", { abc = true, aXbYc = true, ab = false })
    fits("[a%]b]+", { ["a]b"] = true, c = false })
  end)

  it("take time that does not depend on how they could fit", function()
    local app <close> = app_of { "/:x(" .. (".-"):rep(28) .. "b)" }
    assert.same({ ["/" .. ("a"):rep(6000)] = 404 }, found(app, { "/" .. ("a"):rep(6000) }))
  end)

  it("can stand in the options", function()
    local app <close> = App.new()
    app:get("/:id", function(req, res) res:send(req.params.id) end, { constraints = { id = "%d+" } })
    assert.equal(200, app:request("/12").status)
    assert.equal(404, app:request("/ab").status)
  end)

  it("that are more than a regular language are refused", function()
    local app = App.new()
    for constraint, problem in pairs {
      ["%b()"] = "%%b, %%f, back", ["(%d)"] = "captures", ["%f[a]a"] = "%%b, %%f", ["[a"] = "has no end",
      [("a"):rep(64)] = "too long", [""] = "empty", ["%"] = "has no end", ["%q"] = "unknown classes",
    } do
      assert.error_matches(function() app:get("/:x(" .. constraint .. ")", print) end, problem)
    end
  end)
end)

--- The error that fn raises, with its place.
local function error_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("patterns", function()
  it("that make no sense are refused where they stand", function()
    local app = App.new()
    for pattern, problem in pairs {
      ["notes"] = "it must begin with /",
      [""] = "it must begin with /",
      ["/a//b"] = "it has an empty segment",
      ["/a/../b"] = "no path has a segment",
      ["/*rest/b"] = "%*rest must be the last segment",
      ["/:b?/*rest"] = "%*rest must be the last segment",
      ["/:b?/c"] = "what follows an optional segment must be optional too",
      ["/:a/:a"] = "the parameter 'a' is there twice",
      ["/user-:id"] = "a parameter is all of one",
      ["/:id.json"] = "a / is missing before '%.json'",
      ["/:"] = "a parameter is all of one",
      ["/:1"] = "a parameter is all of one",
    } do
      assert.matches("^spec/router_spec.lua:%d+: app:get: '.*' is no pattern: .*" .. problem,
        error_of(function() app:get(pattern, print) end))
    end
    assert.error_matches(function() app:get(7, print) end, "the pattern must be a string, not a number")
  end)

  it("of two routes that are the same are reported with both places", function()
    local app = App.new()
    local first = debug.getinfo(1, "l").currentline + 1
    app:get("/users/:id", print)
    assert.equal(("spec/router_spec.lua:%d: there is a route for GET /users/:name/ already: /users/:id at %s:%d")
      :format(first + 3, "spec/router_spec.lua", first),
      error_of(function() app:get("/users/:name/", print) end))
    app:get("/a/:b?", print)
    assert.error_matches(function() app:get("/a", print) end, "GET /a already: /a/:b%? at spec/router_spec.lua:")
    app:post("/a", print)
    app:all("/a", print)
    assert.error_matches(function() app:all("/a/", print) end, "all methods of /a/ already: /a at")
  end)
end)

describe("app:url_for", function()
  local app = App.new()
  app:get("/notes/:id(%d+)/:part?", print, { name = "note" })
  app:get("/files/*path", print, { name = "file" })
  app:get("/", print, { name = "home" })
  app:get("/caf\u{e9}/", print, { name = "cafe" })

  it("makes the path of a route", function()
    assert.equal("/notes/7", app:url_for("note", { id = 7 }))
    assert.equal("/notes/7/a%2Fb%20c%3F", app:url_for("note", { id = "7", part = "a/b c?" }))
    assert.equal("/files/a%20b/c%25", app:url_for("file", { path = "a b/c%" }))
    assert.equal("/", app:url_for("home"))
    assert.equal("/caf%C3%A9/", app:url_for("cafe"))
    assert.equal("/?a=1%20%26&b=2&b=3", app:url_for("home", nil, { b = { 2, 3 }, a = "1 &" }))
    assert.equal("/", app:url_for("home", nil, {}))
  end)

  it("makes paths that the route finds again", function()
    local other <close> = App.new()
    other:get("/x/:a/:b", function(req, res) res:json(req.params) end, { name = "x" })
    for _, text in ipairs { "a/b", "%2F", "é ü", "?#", "a+b", "..a", ";=&", "%00", "\u{7f}" } do
      local path = other:url_for("x", { a = text, b = "." .. text })
      local response = other:request(path)
      assert.equal(200, response.status, path)
      assert.same({ a = text, b = "." .. text }, require "luaserve.json".decode(response.body))
    end
  end)

  it("raises for parameters that do not fit", function()
    for problem, params in pairs {
      ["the parameter 'id' is missing"] = {},
      ["there is no parameter 'idd'"] = { id = 1, idd = 2 },
      ["'id' does not fit %%d%+: 'x'"] = { id = "x" },
      ["'id' must be a string or a number, not a table"] = { id = {} },
      ["'part' cannot be '%.%.' in a path"] = { id = 1, part = ".." },
    } do
      assert.matches("^spec/router_spec.lua:%d+: app:url_for 'note': .*" .. problem,
        error_of(function() app:url_for("note", params) end))
    end
    assert.error_matches(function() app:url_for("file", { path = "a/../b" }) end, "cannot have a segment '%.%.'")
    assert.error_matches(function() app:url_for("nope") end, "no route is named 'nope'")
    assert.error_matches(function() app:get("/again", print, { name = "home" }) end,
      "the name 'home' is taken: by / at spec/router_spec.lua")
  end)
end)

describe("router", function()
  it("says whether the paths of a pattern are under a prefix", function()
    local function under(pattern, prefix)
      return router.is_under(assert(router.parse(pattern)), assert(router.parse(prefix)), false)
    end
    assert.is_true(under("/admin/users", "/admin"))
    assert.is_true(under("/admin", "/admin"))
    assert.is_false(under("/administrators", "/admin"))
    assert.is_false(under("/", "/admin"))
    assert.equal("maybe", under("/:x/users", "/admin"))
    assert.equal("maybe", under("/*rest", "/admin"))
    assert.equal("maybe", under("/a/:b?", "/a/:x"))
    assert.is_true(under("/orgs/:org/admin/x", "/orgs/:o/admin"))
  end)
end)

describe("a connection", function()
  it("sees what a route says, with bytes as they are", function()
    local app = app_of { "/a/:b" }
    local server = http.create_server(app)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    local response = client.request(server:address(), { path = "/a/%ff" })
    server:close(0)
    assert.equal("/a/:b b=\255", response.body)
  end)
end)
