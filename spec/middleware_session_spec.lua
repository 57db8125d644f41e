-- SPDX-License-Identifier: MIT
-- What is remembered of a visitor: session, and csrf, which may stand on it.

local middleware = require "spec.support.middleware"
local crypto = require "luaserve.crypto"
local csrf = require "luaserve.middleware.csrf"
local session = require "luaserve.middleware.session"
local shared = require "luaserve.shared"
local task = require "luaserve.task"
local timer = require "luaserve.timer"

local cookie_of, fields, serve = middleware.cookie, middleware.fields, middleware.serve

local secret, old_secret = crypto.random_bytes(32), crypto.random_bytes(32)
local dict = shared.dict("spec.session")
local os_time = os.time

after_each(function()
  middleware.clean_up()
  dict:clear()
  os.time = os_time -- luacheck: ignore
end)

--- From now on it is so many seconds later.
local function pass(seconds)
  os.time = function(...) return os_time(...) + (... and 0 or seconds) end -- luacheck: ignore
end

--- A handler that sets ?name=value of the query, "" as nil, and answers with all of the session.
local function remember(req, res)
  local own = req.locals.session
  for name, value in pairs(req.query) do own[name] = value ~= "" and value or nil end
  if req.path == "/login" then own:regenerate() elseif req.path == "/logout" then own:destroy() end
  local list = {}
  for name, value in pairs(own) do list[#list + 1] = ("%s=%s"):format(name, tostring(value)) end
  table.sort(list)
  res:send(table.concat(list, ","))
end

local function with(cookie, path) return { path = path, headers = cookie and { cookie = cookie } } end

for _, kind in ipairs { "in a cookie", "in a store" } do
  local function options(more)
    local all = kind == "in a cookie" and { secret = secret } or { store = dict }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  describe("session " .. kind, function()
    it("is remembered from one request to the next", function()
      local ask = serve(session(options()), remember)
      local first = ask "/?user=7"
      assert.equal("user=7", first.body)
      local second = ask(with(cookie_of(first)))
      assert.equal("user=7", second.body)
      assert.equal("a=1,user=7", ask(with(cookie_of(first), "/?a=1")).body)
      assert.equal("", ask().body)
    end)

    it("sets no cookie where nothing is kept, or has changed", function()
      local ask = serve(session(options()), remember)
      assert.is_nil(cookie_of(ask()))
      local cookie = cookie_of(ask "/?user=7")
      assert.is_nil(cookie_of(ask(with(cookie))))
      assert.is_nil(cookie_of(ask(with(cookie, "/?user=7"))))
      assert.is_string(cookie_of(ask(with(cookie, "/?user=8"))))
    end)

    it("sees every kind of change, and none where there is none", function()
      local change
      local ask = serve(session(options()), function(req, res)
        change(req.locals.session)
        res:send("x")
      end)
      local function changes(start, fn)
        change = function(own) for name, value in pairs(start) do own[name] = value end end
        local cookie = cookie_of(ask())
        change = fn
        return cookie_of(ask(with(cookie))) ~= nil
      end
      for _, start in ipairs { { a = 1, b = "x", c = true }, { a = 1, b = "x", c = true, deep = { d = { 1 } } } } do
        assert.is_false(changes(start, function() end))
        assert.is_false(changes(start, function(own) own.b, own.a = own.b, 1 end))
        assert.is_false(changes(start, function(own) own.new = 1 own.new = nil end))
        assert.is_true(changes(start, function(own) own.a = 2 end))
        assert.is_true(changes(start, function(own) own.a = 1.0 end))
        assert.is_true(changes(start, function(own) own.a = "1" end))
        assert.is_true(changes(start, function(own) own.b = nil end))
        assert.is_true(changes(start, function(own) own.b, own.other = nil, "x" end))
        assert.is_true(changes(start, function(own) own.new = false end))
        assert.is_true(changes(start, function(own) own.c = { true } end))
        assert.is_true(changes(start, function(own) own.deep = start.deep and { d = { 2 } } or {} end))
      end
      assert.is_true(changes({ a = 0.0 }, function(own) own.a = -0.0 end))
      assert.is_false(changes({ a = -0.0 }, function(own) own.a = -0.0 end))
      assert.is_false(changes({ "x", "y" }, function() end))
      assert.is_true(changes({ "x", "y" }, function(own) own[1], own[2] = "y", "x" end))
      assert.is_true(changes({ "x", "y" }, function(own) own[3] = "z" end))
    end)

    it("keeps numbers, booleans, lists and tables", function()
      local values
      local ask = serve(session(options()), function(req, res)
        local own = req.locals.session
        if own.list then values = own else
          own.list, own.deep, own.yes, own.n = { 1, 2.5, "x" }, { a = { b = "c" } }, true, 9007199254740993
        end
        res:send("x")
      end)
      ask(with(cookie_of(ask())))
      assert.same({ 1, 2.5, "x" }, values.list)
      assert.same({ a = { b = "c" } }, values.deep)
      assert.same({ true, 9007199254740993 }, { values.yes, values.n })
    end)

    it("sees changes deep in it, and those after the handler has begun to answer with on_head", function()
      local ask = serve(session(options()), function(req, res)
        local own = req.locals.session
        own.cart = own.cart or {}
        table.insert(own.cart, req.path)
        res:send(table.concat(own.cart, " "))
      end)
      local cookie = cookie_of(ask "/a")
      local second = ask(with(cookie, "/b"))
      assert.equal("/a /b", second.body)
      assert.equal("/a /b /c", ask(with(cookie_of(second) or cookie, "/c")).body)
    end)

    it("has a cookie that scripts do not see and other sites do not send", function()
      local ask = serve(session(options()), remember, { trust_proxy = "loopback" })
      local field = ask "/?a=1".headers["set-cookie"]
      assert.matches("^session=[%w_-]+; Path=/; HttpOnly; SameSite=Lax$", field)
      local tls = { ["x-forwarded-proto"] = "https", ["x-forwarded-for"] = "192.0.2.1" }
      local response = ask { path = "/?a=1", headers = tls }
      assert.matches("; Secure", response.headers["set-cookie"])
      assert.equal("private, no-cache", response.headers["cache-control"])
      ask = serve(session(options { name = "__Host-s", secure = true, persistent = true, idle_timeout = 60,
        same_site = "strict" }), remember)
      assert.matches("^__Host%-s=[%w_-]+; Path=/; Max%-Age=60; HttpOnly; Secure; SameSite=Strict$",
        ask "/?a=1".headers["set-cookie"])
    end)

    it("is forgotten by destroy, and where nothing is left in it", function()
      local ask = serve(session(options()), remember)
      for _, path in ipairs { "/logout", "/?user=" } do
        local cookie = cookie_of(ask "/?user=7")
        local response = ask(with(cookie, path))
        assert.equal("", response.body)
        assert.matches("^session=; .*Max%-Age=0", response.headers["set-cookie"])
      end
      assert.equal(0, dict:stats().count)
    end)

    it("is over when nobody has come for idle_timeout, not before", function()
      local ask = serve(session(options { idle_timeout = 100 }), remember)
      local cookie = cookie_of(ask "/?user=7")
      pass(90)
      local response = ask(with(cookie))
      assert.equal("user=7", response.body)
      cookie = cookie_of(response) -- saved again, because it would have gone idle
      assert.is_string(cookie)
      pass(180)
      assert.equal("user=7", ask(with(cookie)).body)
      pass(400)
      assert.equal("", ask(with(cookie)).body)
    end)

    it("is over at absolute_timeout, however often it is used", function()
      local ask = serve(session(options { idle_timeout = 100, absolute_timeout = 150 }), remember)
      local cookie = cookie_of(ask "/?user=7")
      pass(80)
      cookie = cookie_of(ask(with(cookie))) or cookie
      pass(140)
      assert.equal("user=7", ask(with(cookie)).body)
      pass(151)
      assert.equal("", ask(with(cookie)).body)
    end)

    it("takes no cookie that it has not made", function()
      local ask = serve(session(options()), remember)
      local good = cookie_of(ask "/?user=7")
      for _, bad in ipairs { "session=", "session=x", "session=" .. ("A"):rep(43), "session=" .. ("A"):rep(3000),
        "session=%00", good:sub(1, -2), good .. "A", (good:gsub("=.", "=_", 1)), (good:gsub("session", "other")) } do
        if bad ~= good then assert.equal("", ask(with(bad)).body, bad) end
      end
      local response = ask(with("session=mine", "/?user=8")) -- and gives it a name of its own
      assert.not_equal("session=mine", cookie_of(response))
    end)

    it("is not saved where the handler fails and nobody answers", function()
      local ask = serve(session(options()), function(req)
        req.locals.session.user = 7
        error("an error of the spec")
      end)
      local response = ask()
      assert.equal(500, response.status)
      assert.is_nil(response.headers["set-cookie"])
    end)

    it("fails where somebody has put another table in its place", function()
      local failure
      serve(session(options()), function(req, res)
        req.locals.session = { user = 7 }
        failure = select(2, pcall(res.send, res, "x"))
        res:send("x")
      end)()
      assert.matches("another table stands in req.locals.session", failure)
    end)

    it("fails where it holds what JSON cannot", function()
      local failure
      serve(session(options()), function(req, res)
        req.locals.session.f = print
        failure = select(2, pcall(res.send, res, "x"))
        res:send("x")
      end)()
      assert.matches("middleware.session: the session cannot be kept", failure)
    end)
  end)
end

describe("session in a cookie", function()
  it("can be read by nobody else", function()
    local value = cookie_of(serve(session { secret = secret }, remember) "/?user=ada"):match("=(.*)")
    assert.is_nil(crypto.base64url_decode(value):find("ada", 1, true))
  end)

  it("is opened with an old secret, and sealed with the new one", function()
    local cookie = cookie_of(serve(session { secret = old_secret }, remember) "/?user=7")
    local response = serve(session { secret = { secret, old_secret } }, remember)(with(cookie))
    assert.equal("user=7", response.body)
    local new = cookie_of(response)
    assert.equal("user=7", serve(session { secret = secret }, remember)(with(new)).body)
    assert.equal("", serve(session { secret = secret }, remember)(with(cookie)).body)
  end)

  it("is for its own name only", function()
    local cookie = cookie_of(serve(session { secret = secret, name = "one" }, remember) "/?user=7")
    local ask = serve(session { secret = secret, name = "two" }, remember)
    assert.equal("", ask(with((cookie:gsub("^one", "two")))).body)
  end)

  it("cannot be larger than a cookie", function()
    local failure
    local ask = serve(session { secret = secret }, function(req, res)
      req.locals.session.text = ("x"):rep(tonumber(req.path:sub(2)))
      local ok, err = pcall(res.send, res, "x")
      if not ok then
        failure = err
        res:send(500, "too large")
      end
    end)
    assert.equal(200, ask "/2700".status)
    assert.equal(500, ask "/3000".status)
    assert.matches("are too many for a cookie: keep them in a store", failure)
  end)

  it("wants a secret that is long enough", function()
    assert.error_matches(function() session {} end, "'secret' is needed")
    assert.error_matches(function() session { secret = "short" } end, "at least 32 bytes")
    assert.error_matches(function() session { secret = { secret, "short" } } end, "at least 32 bytes")
    assert.error_matches(function() session { secret = secret, store = dict } end, "needs no secret")
    assert.error_matches(function() session { secret = secret, same_sites = "lax" } end, "did you mean 'same_site'")
    assert.error_matches(function() session { store = 7 } end, "'store'")
  end)
end)

describe("session in a store", function()
  it("has a name that cannot be guessed, and the store does not know it", function()
    local ask = serve(session { store = dict }, remember)
    local one, two = cookie_of(ask "/?user=7"), cookie_of(ask "/?user=7")
    assert.not_equal(one, two)
    assert.equal(43, #one:match("=(.*)"))
    for _, key in ipairs(dict:keys()) do assert.is_nil(key:find(one:match("=(.*)"), 1, true)) end
    assert.is_true(dict:ttl(dict:keys()[1]) <= 3600)
  end)

  it("gets a new name by regenerate, and the old one is worth nothing", function()
    local ask = serve(session { store = dict }, remember)
    local before = cookie_of(ask "/?cart=1")
    local after = cookie_of(ask(with(before, "/login?user=7")))
    assert.not_equal(before, after)
    assert.equal("", ask(with(before)).body)
    assert.equal("cart=1,user=7", ask(with(after)).body)
    assert.equal(1, dict:stats().count)
  end)

  it("does not come back when it was destroyed while another request went on", function()
    local begun, go_on = task.channel(), task.channel()
    local ask = serve(session { store = dict }, function(req, res)
      if req.path == "/slow" then
        begun:send(true)
        go_on:receive()
        req.locals.session.late = true
      elseif req.path == "/logout" then
        req.locals.session:destroy()
      else
        req.locals.session.user = 7
      end
      res:send("x")
    end)
    local cookie = cookie_of(ask "/login")
    local slow = task.spawn(ask, with(cookie, "/slow"))
    begun:receive()
    ask(with(cookie, "/logout"))
    go_on:send(true)
    assert.is_nil(cookie_of(slow:join()))
    assert.equal(0, dict:stats().count)
  end)

  it("may be an object of one's own, which may wait", function()
    local kept, ttl = {}, nil
    local store = {
      get = function(_, key) timer.sleep(0.001) return kept[key] end,
      set = function(_, key, value, options)
        timer.sleep(0.001)
        kept[key], ttl = value, options.ttl
        return true
      end,
      delete = function(_, key) timer.sleep(0.001) kept[key] = nil end,
    }
    local ask = serve(session { store = store }, remember)
    local cookie = cookie_of(ask "/?user=7")
    assert.equal("user=7", ask(with(cookie)).body)
    assert.equal(3600, ttl)
    ask(with(cookie, "/logout"))
    assert.is_nil(next(kept))
  end)

  it("fails where its store does", function()
    local failure
    local store = { get = function() return nil, "ECONNREFUSED: no store", "ECONNREFUSED" end,
      set = function() return nil, "ENOSPC: full", "ENOSPC" end, delete = function() end }
    local guard = function(_, res, next)
      local ok, err = pcall(next)
      if not ok then
        failure = err
        res:send(503, "no store")
      end
    end
    local ask = serve({ guard, session { store = store } }, remember)
    assert.equal(503, ask(with "session=abc").status)
    assert.equal("middleware.session: ECONNREFUSED: no store", failure)
    assert.equal(503, ask "/?user=7".status)
    assert.equal("middleware.session: it cannot be stored: ENOSPC: full", failure)
  end)
end)

describe("csrf", function()
  local function page(req, res)
    if req.method == "GET" and req.path == "/form" then return res:send(req.locals.csrf_token) end
    res:send("done")
  end

  --- POST with what a browser of the same site would send, and what more says instead.
  local function post(cookie, token, more)
    local request = { method = "POST", headers = { cookie = cookie, origin = "http://spec", host = "spec",
      ["content-type"] = "application/x-www-form-urlencoded" }, body = token and "a=1&csrf_token=" .. token or "a=1" }
    for name, value in pairs(more or {}) do request.headers[name] = value or nil end
    return request
  end

  local kinds = {
    ["on a session"] = function(more) return { session { secret = secret }, csrf(more) } end,
    ["on a cookie of its own"] = function(more)
      local options = { secret = secret }
      for name, value in pairs(more or {}) do options[name] = value end
      return { csrf(options) }
    end,
  }
  for kind, list in pairs(kinds) do
    describe(kind, function()
      it("lets a form with its token through, and one without not", function()
        local ask = serve(list(), page)
        local form = ask "/form"
        local cookie, token = cookie_of(form), form.body
        assert.is_string(cookie)
        assert.equal(65, #token)
        assert.same({ 200, "done" }, { ask(post(cookie, token)).status, ask(post(cookie, token)).body })
        for _, bad in ipairs { false, "", "x", token:sub(1, -2), token .. "A", ("A"):rep(65), token:reverse() } do
          local response = ask(post(cookie, bad or nil))
          assert.equal(403, response.status)
          assert.matches("its token is missing or too old", response.body)
        end
        assert.equal(403, ask(post(nil, token)).status)
      end)

      it("takes a token of the header, and has another one for each page", function()
        local ask = serve(list(), page)
        local form = ask "/form"
        local cookie = cookie_of(form)
        local again = ask(with(cookie, "/form"))
        assert.is_nil(cookie_of(again))
        assert.not_equal(form.body, again.body)
        for _, token in ipairs { form.body, again.body } do
          local request = post(cookie, nil, { ["x-csrf-token"] = token, ["content-type"] = "application/json" })
          assert.equal(200, ask(request).status)
        end
      end)

      it("takes no token of another visitor", function()
        local ask = serve(list(), page)
        local mine, other = ask "/form", ask "/form"
        assert.equal(403, ask(post(cookie_of(mine), other.body)).status)
        assert.equal(200, ask(post(cookie_of(mine), mine.body)).status)
      end)

      it("sets nothing for pages that do not use it", function()
        local response = serve(list(), page)()
        assert.same({ 200, {} }, { response.status, fields(response, "set-cookie") })
      end)

      it("looks at where the browser says the request comes from", function()
        local ask = serve(list { origins = { "https://friend.example" } }, page)
        local form = ask "/form"
        local function status(more) return ask(post(cookie_of(form), form.body, more)).status end
        assert.equal(200, status { origin = "http://SPEC" })
        assert.equal(200, status { origin = "https://spec" }) -- a proxy may have taken TLS away
        assert.equal(200, status { origin = "https://friend.example" })
        assert.equal(200, status { origin = false })
        assert.equal(200, status { origin = false, ["sec-fetch-site"] = "same-origin" })
        assert.equal(200, status { origin = "null", ["sec-fetch-site"] = "same-origin" })
        for _, origin in ipairs { "https://evil.example", "http://spec.evil.example", "http://spec:81", "null", "x" } do
          assert.equal(403, status { origin = origin }, origin)
        end
        assert.equal(403, status { origin = false, ["sec-fetch-site"] = "cross-site" })
        assert.equal(403, status { origin = false, ["sec-fetch-site"] = "same-site" })
        assert.equal(403, status { origin = "null", ["sec-fetch-site"] = "cross-site" })
      end)

      it("lets safe methods be, and what is exempt", function()
        local ask = serve(list { exempt = function(req) return req.path == "/hook" end }, page)
        for _, method in ipairs { "GET", "HEAD", "OPTIONS" } do
          assert.equal(200, ask { method = method, headers = { origin = "https://evil.example" } }.status)
        end
        assert.equal(200, ask { method = "POST", path = "/hook" }.status)
        for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
          assert.equal(403, ask { method = method }.status)
        end
      end)

      it("lets somebody else refuse", function()
        local ask = serve(list { answer = function(_, res, reason) res:problem(403, reason) end }, page)
        assert.matches('"detail":"its token is missing or too old"', ask { method = "POST" }.body, 1, true)
        local response = ask { method = "POST", headers = { origin = "https://evil.example" } }
        assert.matches('"detail":"it comes from another origin"', response.body, 1, true)
      end)
    end)
  end

  it("compares https where the request came over TLS", function()
    local ask = serve({ csrf { secret = secret } }, page, { trust_proxy = "loopback" })
    local tls = { ["x-forwarded-proto"] = "https", ["x-forwarded-for"] = "192.0.2.1" }
    local form = ask { path = "/form", headers = tls }
    local cookie = cookie_of(form)
    assert.matches("^__Host%-csrf=", cookie)
    local function status(origin)
      local request = post(cookie, form.body, tls)
      request.headers.origin = origin
      return ask(request).status
    end
    assert.same({ 200, 403 }, { status "https://spec", status "http://spec" })
  end)

  it("takes no cookie that it has not signed", function()
    local ask = serve({ csrf { secret = secret } }, page)
    local form = ask(with("csrf=" .. ("A"):rep(65), "/form"))
    assert.is_string(cookie_of(form))
    assert.not_equal("csrf=" .. ("A"):rep(65), cookie_of(form))
    local other = serve({ csrf { secret = old_secret } }, page) "/form"
    assert.equal(403, ask(post(cookie_of(other), other.body)).status)
  end)

  it("takes what surely comes from its own origin without a token, where it is told to", function()
    local form = ("--b\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n")
    local trusting = serve({ csrf { secret = secret, trust_origin = true, origins = { "https://other" } } }, page)
    local strict = serve({ csrf { secret = secret } }, page)
    local function status(ask, origin, site)
      return ask { method = "POST", body = form, headers = { host = "spec", origin = origin, ["sec-fetch-site"] = site,
        ["content-type"] = "multipart/form-data; boundary=b" } }.status
    end
    for _, own in ipairs { { "http://spec", "same-origin" }, { "http://spec" }, { nil, "same-origin" },
        { "null", "same-origin" }, { "https://other", "cross-site" } } do
      assert.equal(200, status(trusting, own[1], own[2]), own[1])
      assert.equal(403, status(strict, own[1], own[2]), own[1])
    end
    for _, other in ipairs { {}, { nil, "none" }, { nil, "same-site" }, { nil, "cross-site" }, { "null" },
        { "http://evil" }, { "http://evil", "same-origin" }, { "http://spec", "cross-site" }, { "http://spec:81" } } do
      assert.equal(403, status(trusting, other[1], other[2]), other[1])
    end
    local page_form = trusting "/form" -- who tells nothing may bring a token
    assert.equal(200, trusting(post(cookie_of(page_form), page_form.body, { origin = false })).status)
  end)

  it("says what is missing", function()
    local failure
    local guard = function(_, res, next)
      failure = select(2, pcall(next))
      res:send("x")
    end
    serve({ guard, csrf() }, page)()
    assert.matches("there is no session", failure)
    assert.error_matches(function() csrf { secret = "short" } end, "at least 32 bytes")
    assert.error_matches(function() csrf { fields = "x" } end, "did you mean 'field'")
  end)
end)
