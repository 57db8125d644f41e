-- SPDX-License-Identifier: MIT
-- Middleware that lets some requests pass: basic_auth, bearer_auth, rate_limit.

local App = require "luaserve.app"
local middleware = require "spec.support.middleware"
local basic_auth = require "luaserve.middleware.basic_auth"
local bearer_auth = require "luaserve.middleware.bearer_auth"
local crypto = require "luaserve.crypto"
local csrf = require "luaserve.middleware.csrf"
local error_pages = require "luaserve.middleware.error_pages"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local rate_limit = require "luaserve.middleware.rate_limit"
local shared = require "luaserve.shared"
local timer = require "luaserve.timer"

local serve = middleware.serve

after_each(function() middleware.clean_up() end)

local function answer_user(req, res) res:send(tostring(req.locals.user)) end

describe("refusals in an app", function()
  local refusing = {
    basic_auth = { 401, "unauthorized", basic_auth { users = { ada = "secret" } } },
    bearer_auth = { 401, "unauthorized", bearer_auth { tokens = { [("x"):rep(16)] = "ada" } } },
    csrf = { 403, "this request was refused: it comes from another site", csrf { secret = ("x"):rep(32) } },
    rate_limit = { 429, "too many requests", rate_limit { limit = 1, key = function() return "all" end } },
  }

  --- The answer of an app with this middleware to a request that it refuses.
  local function ask(name, prepare, headers)
    local app <close> = App.new()
    prepare(app)
    app:use(refusing[name][3])
    app:post("/", answer_user)
    headers["sec-fetch-site"] = "cross-site"
    if name == "rate_limit" then app:request { method = "POST" } end
    return app:request { method = "POST", headers = headers }
  end

  for name, expected in pairs(refusing) do
    local status, message = expected[1], expected[2]

    it("of " .. name .. " are errors of it, for its handler and its pages", function()
      local seen
      local response = ask(name, function(app)
        app:on_error(function(err, _, res)
          seen = http_error.is(err) and { err.status, err.message }
          res:send(err.status, "as the app has it")
        end)
      end, {})
      assert.same({ status, "as the app has it" }, { response.status, response.body })
      assert.same({ status, message }, seen)
      response = ask(name, function(app) app:use(error_pages()) end, { accept = "text/html" })
      assert.equal(status, response.status)
      assert.matches("<p>" .. message .. "</p>", response.body, 1, true)
    end)

    it("of " .. name .. " tell the same without these", function()
      local response = ask(name, function() end, {})
      assert.same({ status, message .. "\n" }, { response.status, response.body })
      local challenged, limited = response.headers["www-authenticate"], response.headers["retry-after"]
      assert.equal(status == 401, challenged ~= nil)
      assert.equal(status == 429, limited ~= nil)
      local problem = ask(name, function() end, { accept = "application/json" })
      assert.equal("application/problem+json", problem.headers["content-type"])
      assert.equal(message, json.decode(problem.body).detail)
      assert.same({ challenged, limited }, { problem.headers["www-authenticate"], problem.headers["retry-after"] })
    end)
  end
end)

describe("basic_auth", function()
  local function with(text, scheme)
    return { headers = { authorization = (scheme or "Basic ") .. crypto.base64_encode(text) } }
  end

  it("challenges who says nothing", function()
    local response = serve(basic_auth { users = { ada = "secret" }, realm = 'the "lab" \\ 2' })()
    assert.equal(401, response.status)
    assert.equal('Basic realm="the \\"lab\\" \\\\ 2", charset="UTF-8"', response.headers["www-authenticate"])
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("unauthorized\n", response.body)
  end)

  it("lets those pass who are in the table", function()
    local ask = serve(basic_auth { users = { ada = "sec:ret", bob = "" } }, answer_user)
    assert.same({ 200, "ada" }, { ask(with "ada:sec:ret").status, ask(with "ada:sec:ret").body })
    assert.equal("ada", ask(with("ada:sec:ret", "bAsIc   ")).body)
    assert.equal("bob", ask(with "bob:").body)
    for _, text in ipairs { "ada:", "ada:secret", "Ada:sec:ret", "eve:sec:ret", ":", "ada", "", "ada:sec:ret\0",
      "\nada:x" } do
      assert.equal(401, ask(with(text)).status, text)
    end
  end)

  it("takes no other form", function()
    local ask = serve(basic_auth { users = { ada = "x" } }, answer_user)
    local good = crypto.base64_encode("ada:x")
    for _, field in ipairs { good, "Basic", "Basic ", "Basic " .. good .. "!", "Bearer " .. good, "Basic" .. good,
      "Basic " .. good .. ", Basic " .. good } do
      assert.equal(401, ask { headers = { authorization = field } }.status, field)
    end
  end)

  it("asks a function, which may wait, and keeps what it gives", function()
    local ask = serve(basic_auth { verify = function(name, password, req)
      timer.sleep(0.001)
      return password == "right" and req.path == "/" and { name = name } or nil
    end }, function(req, res) res:send(req.locals.user.name) end)
    assert.equal("ada", ask(with "ada:right").body)
    assert.equal(401, ask(with "ada:wrong").status)
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() basic_auth {} end, "one of 'verify' and 'users'")
    assert.error_matches(function() basic_auth { users = {}, verify = print } end, "one of 'verify' and 'users'")
    assert.error_matches(function() basic_auth { users = { ["a:b"] = "x" } } end, "no colon")
    assert.error_matches(function() basic_auth { users = {}, realm = "a\nb" } end, "'realm'")
  end)
end)

describe("bearer_auth", function()
  local token = "0123456789abcdef._~+/-=="
  local function with(field) return { headers = { authorization = field } } end

  it("challenges who brings no token, without an error", function()
    local ask = serve(bearer_auth { tokens = { [token] = "ada" }, scope = "notes:read" })
    for _, request in ipairs { {}, with "Basic YTpi", with "Bearer" } do
      local response = ask(request)
      assert.same({ 401, 'Bearer realm="restricted", scope="notes:read"' },
        { response.status, response.headers["www-authenticate"] })
    end
  end)

  it("lets a token pass that is known", function()
    local ask = serve(bearer_auth { tokens = { [token] = "ada" } }, answer_user)
    assert.equal("ada", ask(with("Bearer " .. token)).body)
    assert.equal("ada", ask(with("bearer  " .. token)).body)
    local response = ask(with "Bearer 0123456789abcdef")
    assert.same({ 401, 'Bearer realm="restricted", error="invalid_token"' },
      { response.status, response.headers["www-authenticate"] })
  end)

  it("answers 400 to what is no token", function()
    local ask = serve(bearer_auth { tokens = { [token] = "ada" } })
    for _, bad in ipairs { "a b", "a=b", '"a"', "a, Bearer b", "=" } do
      local response = ask(with("Bearer " .. bad))
      assert.same({ 400, 'Bearer realm="restricted", error="invalid_request"' },
        { response.status, response.headers["www-authenticate"] })
    end
  end)

  it("asks a function, which may wait, and may want more scope", function()
    local ask = serve(bearer_auth { scope = "admin", verify = function(text)
      timer.sleep(0.001)
      if text == "good" then return { id = 7 } end
      return nil, text == "weak" and "insufficient_scope" or "EINVAL: expired"
    end }, function(req, res) res:json(req.locals.user) end)
    assert.equal('{"id":7}', ask(with "Bearer good").body)
    local response = ask(with "Bearer weak")
    assert.same({ 403, 'Bearer realm="restricted", scope="admin", error="insufficient_scope"' },
      { response.status, response.headers["www-authenticate"] })
    assert.equal(401, ask(with "Bearer old").status)
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() bearer_auth {} end, "one of 'verify' and 'tokens'")
    assert.error_matches(function() bearer_auth { tokens = { short = 1 } } end, "at least 16 characters")
    assert.error_matches(function() bearer_auth { tokens = {}, scopes = "x" } end, "did you mean 'scope'")
  end)
end)

describe("rate_limit", function()
  --- The statuses of n requests.
  local function statuses(ask, n, request)
    local list = {}
    for i = 1, n do list[i] = ask(request or {}).status end
    return list
  end

  it("lets a burst pass, and answers 429 to more", function()
    local ask = serve(rate_limit { limit = 3, window = 3600 })
    local first = ask()
    assert.same({ "3", "2", "1200" }, { first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"],
      first.headers["ratelimit-reset"] })
    assert.same({ 200, 200, 429 }, statuses(ask, 3))
    local refused = ask()
    assert.same({ 429, "too many requests\n", "0" },
      { refused.status, refused.body, refused.headers["ratelimit-remaining"] })
    local wait = tonumber(refused.headers["retry-after"])
    assert.is_true(wait > 1190 and wait <= 1200)
  end)

  it("fills the bucket again, evenly", function()
    local ask = serve(rate_limit { limit = 100, window = 1, burst = 1 })
    assert.equal(200, ask().status)
    local refused = 0
    for _ = 1, 1000 do
      if ask().status == 200 then break end
      refused = refused + 1
      timer.sleep(0.001)
    end
    assert.is_true(refused < 1000)
  end)

  it("has a bucket for each key, and none for nil", function()
    local ask = serve(rate_limit { limit = 1, headers = false, key = function(req) return req.headers["x-key"] end })
    local function keyed(key) return ask { headers = { ["x-key"] = key } } end
    assert.same({ 200, 429, 200, 200, 200 },
      { keyed "a".status, keyed "a".status, keyed "b".status, ask().status, ask().status })
    assert.is_nil(keyed "a".headers["ratelimit-limit"])
    assert.equal("60", keyed "a".headers["retry-after"])
  end)

  --- Whether two clients, as a trusted proxy tells of them, are one to the limit.
  local function is_same(a, b)
    local ask = serve(rate_limit { limit = 1, window = 3600 }, nil, { trust_proxy = "loopback" })
    local function from(address) return ask { headers = { ["x-forwarded-for"] = address } }.status end
    assert.equal(200, from(a))
    local status = from(b)
    middleware.clean_up()
    return status == 429
  end

  it("takes IPv4 addresses one by one", function()
    assert.is_true(is_same("192.0.2.1", "192.0.2.1"))
    assert.is_false(is_same("192.0.2.1", "192.0.2.2"))
    assert.is_true(is_same("192.0.2.1", "::ffff:192.0.2.1"))
    assert.is_false(is_same("::ffff:192.0.2.1", "::ffff:192.0.2.2"))
  end)

  it("takes IPv6 addresses by their first 64 bits", function()
    assert.is_true(is_same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"))
    assert.is_true(is_same("2001:db8::1", "2001:db8:0:0:1::"))
    assert.is_true(is_same("2001:db8::2:0:0:1", "2001:db8::7"))
    assert.is_false(is_same("2001:db8:1:2::1", "2001:db8:1:3::1"))
    assert.is_false(is_same("2001:db8::1", "2001:db8:0:1::1"))
    assert.is_false(is_same("2001:db8::3:4:5:6:7", "2001:db8::7"))
    assert.is_true(is_same("::1", "::2"))
    assert.is_false(is_same("1::", "::1"))
    assert.is_true(is_same("1:2:3:4::", "1:2:3:4:5:6:7:8"))
  end)

  it("makes one of all whose address nobody tells", function()
    assert.is_true(is_same("unknown", "unknown"))
  end)

  it("forgets old keys, so that it stays small", function()
    local key
    local limit = rate_limit { limit = 1, window = 3600, max_keys = 4, key = function() return key end,
      answer = function() return 429 end }
    local response = { set = function() end }
    local function ask(name)
      key = name
      return limit({}, response, function() return 200 end)
    end
    assert.same({ 200, 429 }, { ask "a", ask "a" })
    for i = 1, 3 do assert.equal(200, ask("x" .. i)) end
    assert.equal(429, ask "a") -- looked at, so it is young again
    for i = 4, 10 do assert.equal(200, ask("x" .. i)) end
    assert.equal(200, ask "a") -- forgotten
    collectgarbage()
    local before = collectgarbage("count")
    for i = 1, 100000 do ask("many" .. i) end
    collectgarbage()
    assert.is_true(collectgarbage("count") - before < 1000)
    for i = 1, 4 do ask(("long"):rep(250000) .. i) end
    key = nil
    collectgarbage()
    assert.is_true(collectgarbage("count") - before < 1000)
  end)

  it("shares a dictionary, by name or itself", function()
    local dict = shared.dict("spec.rate_limit")
    local one = serve(rate_limit { limit = 2, window = 3600, store = dict })
    local two = serve(rate_limit { limit = 2, window = 3600, store = "spec.rate_limit" })
    assert.same({ 200, 200, 429, 429 }, { one().status, two().status, one().status, two().status })
    local keys = dict:keys()
    assert.equal(1, #keys)
    assert.is_true(dict:ttl(keys[1]) <= 3602)
    dict:clear()
    assert.equal(200, one().status)
    dict:clear()
  end)

  it("lets somebody else answer", function()
    local function answer(_, res, seconds) res:json(429, { wait = seconds }) end
    local ask = serve(rate_limit { limit = 1, answer = answer })
    ask()
    assert.equal('{"wait":60}', ask().body)
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() rate_limit {} end, "'limit' is needed")
    assert.error_matches(function() rate_limit { limit = 0 } end, "'limit' must be an integer of at least 1")
    assert.error_matches(function() rate_limit { limit = 1, window = 0 } end, "'window'")
    assert.error_matches(function() rate_limit { limit = 1, store = 7 } end, "'store'")
  end)
end)
