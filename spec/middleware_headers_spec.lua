-- SPDX-License-Identifier: MIT
-- Middleware that sets header fields: request_id, security_headers, cors, etag, compress.

local middleware = require "spec.support.middleware"
local compress = require "luaserve.middleware.compress"
local cors = require "luaserve.middleware.cors"
local etag = require "luaserve.middleware.etag"
local request_id = require "luaserve.middleware.request_id"
local security_headers = require "luaserve.middleware.security_headers"

local fields, serve = middleware.fields, middleware.serve

after_each(function() middleware.clean_up() end)

describe("middleware", function()
  it("blames who gave it options that make no sense", function()
    for _, wrong in ipairs {
      function() request_id { acept = true } end,
      function() request_id { accept = 7 } end,
      function() security_headers { frame_options = 7 } end,
      function() security_headers { strict_transport_security = 7 } end,
      function() security_headers { strict_transport_security = { max_age = -1 } } end,
      function() security_headers { content_security_policy = 7 } end,
      function() security_headers { content_security_policy = { ["img-src"] = ";" } } end,
      function() security_headers { content_security_policy = { "img-src" } } end,
      function() cors { origins = 7 } end,
      function() cors { origins = { 7 } } end,
      function() cors { origins = "*", methods = 7 } end,
      function() cors { origins = "*", methods = { "a b" } } end,
      function() etag { weak = 7 } end,
      function() compress { level = "x" } end,
    } do
      local info = debug.getinfo(wrong, "S")
      local place = ("%s:%d: middleware."):format(info.short_src, info.linedefined)
      local message = select(2, pcall(wrong))
      assert.equal(place, message:sub(1, #place), message)
    end
  end)
end)

describe("request_id", function()
  local function answer_id(req, res) res:send(req.locals.request_id) end

  it("names each request anew, for the handler and the client", function()
    local ask = serve(request_id(), answer_id)
    local one, two = ask(), ask()
    assert.matches("^%x+%-%x+%-7%x+%-%x+%-%x+$", one.body)
    assert.equal(one.body, one.headers["x-request-id"])
    assert.not_equal(one.body, two.body)
  end)

  it("does not take what the client says", function()
    local response = serve(request_id(), answer_id) { headers = { ["x-request-id"] = "mine" } }
    assert.not_equal("mine", response.body)
  end)

  it("takes a sane one where it may", function()
    local ask = serve(request_id { accept = true, header = "X-Trace" }, answer_id)
    for _, id in ipairs { "a", "7f3:9-x_y.z=/+@~", ("x"):rep(128) } do
      local response = ask { headers = { ["x-trace"] = id } }
      assert.same({ id, id }, { response.body, response.headers["x-trace"] })
    end
    for _, id in ipairs { "", "a b", 'a"b', "a\xc3\xa4", "<b>", ("x"):rep(129) } do
      assert.not_equal(id, ask { headers = { ["x-trace"] = id } }.body)
    end
  end)

  it("takes a function that makes names", function()
    assert.equal("GET-1", serve(request_id { generate = function(req) return req.method .. "-1" end })().headers
      ["x-request-id"])
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() request_id { accepts = true } end,
      "^middleware.request_id: unknown option 'accepts' %(did you mean 'accept'%?%)")
    assert.error_matches(function() request_id { header = "a b" } end, "^middleware.request_id: option 'header'")
    assert.error_matches(function() request_id { accept = 1 } end, "must be true or false, not 1")
  end)
end)

describe("security_headers", function()
  it("has defaults that are strict, and no HSTS without TLS", function()
    local headers = serve(security_headers())().headers
    assert.equal("nosniff", headers["x-content-type-options"])
    assert.equal("strict-origin-when-cross-origin", headers["referrer-policy"])
    assert.equal("SAMEORIGIN", headers["x-frame-options"])
    assert.equal("same-origin", headers["cross-origin-opener-policy"])
    assert.equal("same-origin", headers["cross-origin-resource-policy"])
    assert.equal("base-uri 'self'; default-src 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
      headers["content-security-policy"])
    assert.is_nil(headers["strict-transport-security"])
    assert.is_nil(headers["permissions-policy"])
  end)

  it("says HSTS over TLS", function()
    local secure = { headers = { ["x-forwarded-proto"] = "https", ["x-forwarded-for"] = "192.0.2.1" } }
    local trust = { trust_proxy = "loopback" }
    assert.equal("max-age=31536000", serve(security_headers(), nil, trust)(secure).headers["strict-transport-security"])
    local own = security_headers { strict_transport_security = { max_age = 60, include_subdomains = true,
      preload = true } }
    assert.equal("max-age=60; includeSubDomains; preload", serve(own, nil, trust)(secure).headers
      ["strict-transport-security"])
    assert.is_nil(serve(security_headers { strict_transport_security = false }, nil, trust)(secure).headers
      ["strict-transport-security"])
  end)

  it("lets each be turned off or replaced", function()
    local headers = serve(security_headers { content_security_policy = false, frame_options = false,
      referrer_policy = "no-referrer", permissions_policy = "camera=()" })().headers
    assert.is_nil(headers["content-security-policy"])
    assert.is_nil(headers["x-frame-options"])
    assert.equal("no-referrer", headers["referrer-policy"])
    assert.equal("camera=()", headers["permissions-policy"])
  end)

  it("lets a handler say otherwise", function()
    local response = serve(security_headers(), function(_, res) res:set("x-frame-options", "DENY"):send("x") end)()
    assert.same({ "DENY" }, fields(response, "x-frame-options"))
  end)

  it("takes directives over the defaults, and a policy as a whole", function()
    local policy = security_headers { content_security_policy = { ["img-src"] = { "'self'", "data:" },
      ["base-uri"] = false, ["upgrade-insecure-requests"] = true } }
    assert.equal("default-src 'self'; form-action 'self'; frame-ancestors 'self'; img-src 'self' data:; " ..
      "object-src 'none'; upgrade-insecure-requests", serve(policy)().headers["content-security-policy"])
    policy = security_headers { content_security_policy = "default-src 'none'", report_only = true }
    local headers = serve(policy)().headers
    assert.equal("default-src 'none'", headers["content-security-policy-report-only"])
    assert.is_nil(headers["content-security-policy"])
  end)

  it("has a nonce for each request", function()
    local ask = serve(security_headers { nonce = true }, function(req, res) res:send(req.locals.csp_nonce) end)
    local one, two = ask(), ask()
    assert.not_equal(one.body, two.body)
    assert.matches("script%-src 'self' 'nonce%-" .. one.body:gsub("%-", "%%-") .. "'",
      one.headers["content-security-policy"])
    assert.matches("style%-src 'self' 'nonce%-", one.headers["content-security-policy"])
    local own = security_headers { nonce = true, content_security_policy = "script-src 'nonce-%NONCE%'" }
    assert.matches("^script%-src 'nonce%-[%w_-]+'$", serve(own)().headers["content-security-policy"])
  end)

  it("refuses what cannot be a policy", function()
    assert.error_matches(function() security_headers { content_security_policy = { ["img-src"] = "a; b" } } end,
      "'img%-src' cannot have these sources")
    assert.error_matches(function() security_headers { content_security_policy = "a\nb" } end, "middleware%.")
    assert.error_matches(function() security_headers { nonce = true, content_security_policy = "default-src *" } end,
      "says %%NONCE%%")
    assert.error_matches(function() security_headers { frame_option = false } end, "did you mean 'frame_options'")
    assert.error_matches(function() security_headers { strict_transport_security = { age = 1 } } end,
      "unknown option 'age'")
  end)
end)

describe("cors", function()
  local function preflight(origin, more)
    local headers = { origin = origin, ["access-control-request-method"] = "PUT" }
    for name, value in pairs(more or {}) do headers[name] = value end
    return { method = "OPTIONS", headers = headers }
  end

  it("lets everybody read, without credentials", function()
    local ask = serve(cors { origins = "*" })
    local response = ask { headers = { origin = "https://a.example" } }
    assert.equal("*", response.headers["access-control-allow-origin"])
    assert.is_nil(response.headers["access-control-allow-credentials"])
    assert.is_nil(response.headers.vary)
    assert.equal("hello", response.body)
    assert.is_nil(ask().headers["access-control-allow-origin"])
  end)

  it("refuses credentials for everybody", function()
    assert.error_matches(function() cors { origins = "*", credentials = true } end, "name the origins")
    assert.error_matches(function() cors {} end, "'origins' is needed")
    assert.error_matches(function() cors { origins = { "a.example" } } end, "scheme://host")
    assert.error_matches(function() cors { origins = { "https://a.example/" } } end, "scheme://host")
    assert.error_matches(function() cors { origins = "*", methods = { "GET\n" } } end, "list of names")
  end)

  it("names an origin of the list, and varies by it", function()
    local ask = serve(cors { origins = { "https://a.example", "https://b.example:8443" }, credentials = true,
      exposed = { "x-total", "etag" } })
    local response = ask { headers = { origin = "https://b.example:8443" } }
    assert.equal("https://b.example:8443", response.headers["access-control-allow-origin"])
    assert.equal("true", response.headers["access-control-allow-credentials"])
    assert.equal("x-total, etag", response.headers["access-control-expose-headers"])
    assert.equal("origin", response.headers.vary)
    for _, origin in ipairs { "https://c.example", "http://a.example", "https://a.example.evil", "null",
      "https://a.example:1" } do
      response = ask { headers = { origin = origin } }
      assert.is_nil(response.headers["access-control-allow-origin"])
      assert.same({ "origin", 200 }, { response.headers.vary, response.status })
    end
    assert.equal("origin", ask().headers.vary)
  end)

  it("asks a function", function()
    local ask = serve(cors { origins = function(origin, req)
      return req.path == "/open" and origin:find("^https://[%w-]+%.example$") ~= nil
    end })
    assert.equal("https://x.example", ask { path = "/open", headers = { origin = "https://x.example" } }.headers
      ["access-control-allow-origin"])
    assert.is_nil(ask { path = "/", headers = { origin = "https://x.example" } }.headers["access-control-allow-origin"])
  end)

  it("answers preflights itself", function()
    local calls = 0
    local ask = serve(cors { origins = { "https://a.example" }, max_age = 60 }, function(_, res)
      calls = calls + 1
      res:send("handler")
    end)
    local response = ask(preflight("https://a.example", { ["access-control-request-headers"] = "x-one, Content-Type" }))
    assert.same({ 204, "", 0 }, { response.status, response.body, calls })
    assert.equal("https://a.example", response.headers["access-control-allow-origin"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", response.headers["access-control-allow-methods"])
    assert.equal("x-one, Content-Type", response.headers["access-control-allow-headers"])
    assert.equal("60", response.headers["access-control-max-age"])
    assert.equal("origin, access-control-request-method, access-control-request-headers", response.headers.vary)
    response = ask(preflight("https://evil.example"))
    assert.same({ 204, 0 }, { response.status, calls })
    assert.is_nil(response.headers["access-control-allow-origin"])
    assert.is_nil(response.headers["access-control-allow-methods"])
  end)

  it("says which methods and fields, where it is told", function()
    local headers = serve(cors { origins = "*", methods = { "GET" }, headers = { "x-a", "x-b" }, max_age = false })(
      preflight("https://a.example", { ["access-control-request-headers"] = "x-c" })).headers
    assert.equal("GET", headers["access-control-allow-methods"])
    assert.equal("x-a, x-b", headers["access-control-allow-headers"])
    assert.is_nil(headers["access-control-max-age"])
    headers = serve(cors { origins = "*" })(preflight("https://a.example",
      { ["access-control-request-headers"] = "x<script>" })).headers
    assert.is_nil(headers["access-control-allow-headers"])
  end)

  it("lets other OPTIONS requests through", function()
    local ask = serve(cors { origins = "*" })
    assert.equal("hello", ask { method = "OPTIONS", headers = { origin = "https://a.example" } }.body)
  end)
end)

describe("etag", function()
  it("tags what is sent as a whole, and answers 304 to who has it", function()
    local ask = serve(etag())
    local first = ask()
    assert.matches('^"[%w_-]+"$', first.headers.etag)
    for _, known in ipairs { first.headers.etag, "W/" .. first.headers.etag, '"x", ' .. first.headers.etag, "*" } do
      local second = ask { headers = { ["if-none-match"] = known } }
      assert.same({ 304, "", first.headers.etag }, { second.status, second.body, second.headers.etag })
      assert.is_nil(second.headers["content-type"])
    end
    for _, other in ipairs { '"x"', "", first.headers.etag:sub(1, -2), '"x" ' .. first.headers.etag:sub(2) } do
      assert.equal(200, ask { headers = { ["if-none-match"] = other } }.status)
    end
    assert.equal(304, ask { method = "HEAD", headers = { ["if-none-match"] = first.headers.etag } }.status)
  end)

  it("tags other bodies otherwise, json too", function()
    local ask = serve(etag { weak = true }, function(req, res) res:json { path = req.path } end)
    local a, b = ask "/a", ask "/b"
    assert.matches('^W/"', a.headers.etag)
    assert.not_equal(a.headers.etag, b.headers.etag)
    assert.equal(304, ask { path = "/a", headers = { ["if-none-match"] = a.headers.etag } }.status)
  end)

  it("keeps the handler's own tag", function()
    local ask = serve(etag(), function(_, res) res:set("etag", '"v7"'):send("x") end)
    assert.equal('"v7"', ask().headers.etag)
    assert.equal(304, ask { headers = { ["if-none-match"] = 'W/"v7"' } }.status)
  end)

  it("leaves alone what it should", function()
    local ask = serve(etag { max_bytes = 10 }, function(req, res)
      local answers = {
        ["/pieces"] = function() res:write("a") res:finish("b") end,
        ["/large"] = function() res:send(("x"):rep(11)) end,
        ["/missing"] = function() res:send(404, "x") end,
        ["/secret"] = function() res:set("cache-control", "No-Store"):send("x") end,
        ["/post"] = function() res:send("x") end,
      }
      answers[req.path]()
    end)
    for _, path in ipairs { "/pieces", "/large", "/missing", "/secret" } do assert.is_nil(ask(path).headers.etag) end
    assert.is_nil(ask { path = "/post", method = "POST" }.headers.etag)
  end)
end)

describe("compress", function()
  local page = ("<p>hello, world</p>\n"):rep(200)
  local function answer(_, res) res:set("content-type", "text/html"):send(page) end
  local function ask_for(coding, ...)
    return serve(...) { headers = { ["accept-encoding"] = coding } }
  end

  it("codes where the server does not", function()
    local response = ask_for("gzip", compress(), answer)
    assert.equal("gzip", response.headers["content-encoding"])
    assert.is_true(#response.body < 1000)
    assert.is_nil(ask_for("gzip", {}, answer).headers["content-encoding"])
    assert.is_nil(ask_for("identity", compress(), answer).headers["content-encoding"])
  end)

  it("does not where the server would", function()
    local response = ask_for("gzip", compress(false), answer, { compress = true })
    assert.is_nil(response.headers["content-encoding"])
    assert.equal(page, response.body)
  end)

  it("has options of its own over the server's", function()
    local server = { compress = { encodings = { "gzip" }, level = 1 } }
    assert.equal("gzip", ask_for("br, gzip", {}, answer, server).headers["content-encoding"])
    assert.equal("gzip", ask_for("br, gzip", compress { level = 9 }, answer, server).headers["content-encoding"])
    assert.equal("br", ask_for("br", compress { encodings = { "br" } }, answer, server).headers["content-encoding"])
    assert.is_nil(ask_for("gzip", compress { min_size = 1 << 20 }, answer, server).headers["content-encoding"])
    assert.is_true(#ask_for("gzip", compress { level = 9 }, answer, server).body <
      #ask_for("gzip", {}, answer, server).body)
  end)

  it("keeps the encoders of the server apart from a response's own", function()
    local ask = serve({ function(req, res, next)
      if req.path == "/hard" then res:compress { level = 9 } end
      return next()
    end }, answer, { compress = { level = 1 } })
    local function size(path) return #ask { path = path, headers = { ["accept-encoding"] = "gzip" } }.body end
    local soft, hard = size "/soft", size "/hard"
    assert.is_true(hard < soft)
    for _ = 1, 3 do assert.same({ soft, hard }, { size "/soft", size "/hard" }) end
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() compress { levels = 1 } end, "did you mean 'level'")
    assert.error_matches(function() compress(7) end, "middleware%.")
    local failure
    serve({}, function(_, res)
      failure = select(2, pcall(res.compress, res, { level = 10 }))
      res:send("x")
    end)()
    assert.matches("'level'", failure)
  end)
end)
