-- SPDX-License-Identifier: MIT
--- luaserve.cookie, and the methods of requests and responses that use it.

local cookie = require "luaserve.cookie"
local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"

local secret, old_secret = ("s"):rep(32), ("o"):rep(16)

describe("a value that is signed", function()
  it("is a string or a number, as one that is not signed", function()
    for _, value in ipairs { true, {}, print } do
      assert.error_matches(function() cookie.sign(value, secret) end, "cookie.sign: the value must be a string, not a ")
    end
    assert.error_matches(function() cookie.sign(nil, secret) end, "the value must be a string, not a nil")
    assert.equal("7", cookie.unsign(cookie.sign(7, secret), secret))
    local failure
    local _, address = http_servers.serve(nil, function(_, res)
      failure = select(2, pcall(res.set_cookie, res, "user", nil, { secret = secret }))
      res:send("")
    end)
    assert.is_nil(client.request(address, {}).headers["set-cookie"])
    assert.matches("the value of user must be a string, not a nil", failure)
    http_servers.clean_up()
  end)
end)

describe("cookie.parse", function()
  local function check(text, expected)
    assert.same(expected, cookie.parse(text))
  end

  it("RFC 6265 4.2.1: takes pairs apart", function()
    check("SID=31d4d96e407aad42; lang=en-US", { SID = "31d4d96e407aad42", lang = "en-US" })
    check("a=b", { a = "b" })
    check(nil, {})
    check("", {})
  end)

  it("RFC 6265 5.4: the first of a repeated name is of the most specific path", function()
    check("a=1; b=2; a=3", { a = "1", b = "2" })
  end)

  it("takes a value as it is, but for quotes around it", function()
    check('a="b"; b="; c=x"y; d=""; e="', { a = "b", b = '"', c = 'x"y', d = "", e = '"' })
    check("a=%20; b=c=d; e==", { a = "%20", b = "c=d", e = "=" })
    check("a=caf\xc3\xa9; b=\xff", { a = "caf\xc3\xa9", b = "\xff" })
  end)

  it("leaves out what is no pair, and goes on", function()
    check("a; b=1;; =x; ;c=2; ", { b = "1", c = "2" })
    check(" a = 1 ;\tb\t=\t2\t", { a = "1", b = "2" })
    check("a=1,b=2", { a = "1,b=2" })
    check("a=", { a = "" })
    check(";;;", {})
    check("=", {})
  end)

  it("tells names by case, and has no names of its own", function()
    check("A=1; a=2; __index=3", { A = "1", a = "2", __index = "3" })
  end)

  it("is linear in what a client sends", function()
    local pieces = { (" "):rep(200000), (";"):rep(200000), ("a"):rep(200000), ("="):rep(200000), ("a=1;"):rep(50000) }
    for _, text in ipairs(pieces) do
      cookie.parse(text)
      cookie.parse("a=" .. text .. "b")
    end
    assert.equal("b", cookie.parse("a=" .. (" "):rep(200000) .. "b").a)
  end)
end)

describe("cookie.build", function()
  it("is safe unless it is told otherwise", function()
    assert.equal("a=1; Path=/; HttpOnly; SameSite=Lax", cookie.build("a", "1"))
    assert.equal("a=1; Path=/", cookie.build("a", 1, { http_only = false, same_site = false }))
    assert.equal("a=; Path=/; HttpOnly; SameSite=Lax", cookie.build("a", ""))
  end)

  it("knows every attribute", function()
    assert.equal("a=b; Path=/x; Domain=example.org; Max-Age=3; Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; " ..
      "Secure; SameSite=Strict; Partitioned", cookie.build("a", "b", { path = "/x", domain = "example.org", max_age = 3,
      expires = 784111777.9, http_only = true, secure = true, same_site = "Strict", partitioned = true }))
    assert.matches("Max%-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
      cookie.build("a", "", { max_age = 0, expires = 0 }))
    assert.matches("Max%-Age=%-1;", cookie.build("a", "", { max_age = -1 }))
    assert.matches("Max%-Age=60;", cookie.build("a", "", { max_age = 60.0 }))
  end)

  it("is secure where something else needs that", function()
    for _, attributes in ipairs { { same_site = "none" }, { partitioned = true } } do
      assert.matches("; Secure", cookie.build("a", "1", attributes))
      attributes.secure = false
      assert.has_error(function() cookie.build("a", "1", attributes) end)
    end
    assert.matches("; Secure", cookie.build("__Secure-a", "1"))
    assert.matches("; Secure", cookie.build("__Host-a", "1", { path = "/" }))
    assert.not_matches("; Secure", cookie.build("__Secured", "1"))
  end)

  local function failure(...)
    local ok, message = pcall(cookie.build, ...)
    assert.is_false(ok)
    return message
  end

  it("RFC 6265bis 4.1.3: holds prefixes to what they promise, in any case", function()
    assert.matches("prefix of __Secure%-a needs secure", failure("__Secure-a", "1", { secure = false }))
    assert.matches("prefix of __HOST%-a needs secure", failure("__HOST-a", "1", { secure = false }))
    assert.matches("prefix of __Host%-a allows no domain", failure("__Host-a", "1", { domain = "example.org" }))
    assert.matches("prefix of __host%-a needs the path /", failure("__host-a", "1", { path = "/x" }))
    assert.matches("prefix of __Http%-a needs http_only", failure("__Http-a", "1", { http_only = false }))
  end)

  it("RFC 6265 4.1.1: refuses every byte that a value cannot have", function()
    for i = 0, 255 do
      local c = string.char(i)
      local good = i > 0x20 and i < 0x7f and not c:find '[",;\\]'
      assert.equal(good, (pcall(cookie.build, "a", c)), i)
    end
    assert.matches("cannot have the byte 13", failure("a", "b\r\nSet-Cookie: c=d"))
    assert.matches("must be a string, not a table", failure("a", {}))
    assert.matches("must be a string, not a nil", failure("a"))
  end)

  it("refuses every byte that a name cannot have", function()
    for i = 0, 255 do
      local c = string.char(i)
      assert.equal(c:find "[%w!#$%%&'*+.^_`|~-]" ~= nil and i < 128, (pcall(cookie.build, c, "a")), i)
    end
    assert.matches("must be a token", failure("", "a"))
    assert.matches("must be a token", failure(nil, "a"))
  end)

  it("refuses attributes that would be read as something else", function()
    for _, attributes in ipairs { { path = "/;Domain=x" }, { path = "x" }, { path = "/\r\n" }, { path = 1 },
      { domain = "" }, { domain = "a;b" }, { domain = "a b" }, { max_age = 1.5 }, { max_age = "1" }, { max_age = 0/0 },
      { expires = "x" },      { expires = -1 }, { expires = 0/0 }, { expires = 1e300 }, { same_site = "laxx" },
      { same_site = true },
      { secure = 1 }, { http_only = "no" }, { partitioned = 0 }, { path = "/" .. ("x"):rep(1024) } } do
      assert.has_error(function() cookie.build("a", "1", attributes) end)
    end
    assert.matches("unknown option 'httponly' %(did you mean 'http_only'%?%)", failure("a", "1", { httponly = true }))
  end)

  it("RFC 6265bis 5.6: refuses what a user agent would ignore for its size", function()
    assert.equal(4096, #cookie.build("a", ("x"):rep(4095)):match("^[^;]*") - 1)
    assert.matches("too large", failure("a", ("x"):rep(4096)))
  end)

  it("complains at the line that calls it", function()
    local here = debug.getinfo(1, "S").short_src .. ":"
    local _, message = pcall(function() local text = cookie.build("a", "\n") return text end)
    assert.equal(here .. debug.getinfo(1, "l").currentline - 1, message:match("^.-:%d+"))
    _, message = pcall(function() local text = cookie.build("a", "b", { secure = 1 }) return text end)
    assert.equal(here .. debug.getinfo(1, "l").currentline - 1, message:match("^.-:%d+"))
    _, message = pcall(function() local text = cookie.build("a", "b", { x = 1 }) return text end)
    assert.equal(here .. debug.getinfo(1, "l").currentline - 1, message:match("^.-:%d+"))
    _, message = pcall(function() local text = cookie.sign("a", "b") return text end)
    assert.equal(here .. debug.getinfo(1, "l").currentline - 1, message:match("^.-:%d+"))
  end)
end)

describe("cookie.sign", function()
  it("makes what unsign takes, whatever the value", function()
    for _, value in ipairs { "", "7", "a.b.c", "\0\xff", (" "):rep(1000) } do
      assert.equal(value, cookie.unsign(cookie.sign(value, secret), secret))
      assert.equal(value, cookie.unsign(cookie.sign(value, secret, "n"), secret, "n"))
    end
  end)

  it("makes what a cookie can carry", function()
    assert.matches("^a=7%.[%w_-]+; Path=/", cookie.build("a", cookie.sign("7", secret)))
    assert.equal(45, #cookie.sign("7", secret))
  end)

  it("is refused in every other form", function()
    local signed = cookie.sign("value", secret, "n")
    for i = 1, #signed do
      local changed = signed:sub(1, i - 1) .. string.char(signed:byte(i) ~ 1) .. signed:sub(i + 1)
      assert.same({ nil, "EINVAL: the signature is missing or wrong", "EINVAL" },
        { cookie.unsign(changed, secret, "n") }, i)
      assert.is_nil((cookie.unsign(signed:sub(1, i - 1), secret, "n")))
    end
    for _, other in ipairs { signed .. "=", signed .. "x", "x" .. signed, "", "." } do
      assert.is_nil((cookie.unsign(other, secret, "n")))
    end
    assert.is_nil((cookie.unsign(nil, secret)))
    assert.is_nil((cookie.unsign(7, secret)))
  end)

  it("is for one name", function()
    local signed = cookie.sign("7", secret, "user")
    assert.is_nil((cookie.unsign(signed, secret, "admin")))
    assert.is_nil((cookie.unsign(signed, secret)))
    assert.is_nil((cookie.unsign(cookie.sign("7", secret), secret, "user")))
  end)

  it("signs with the first secret, and any of them may have signed", function()
    local old = cookie.sign("7", old_secret)
    assert.equal("7", cookie.unsign(old, { secret, old_secret }))
    assert.is_nil((cookie.unsign(old, { secret })))
    assert.equal("7", cookie.unsign(cookie.sign("7", { secret, old_secret }), secret))
  end)

  it("wants secrets that deserve the name", function()
    for _, bad in ipairs { "short", "", {}, { secret, "short" }, 1, { 1 } } do
      assert.has_error(function() cookie.sign("7", bad) end, "cookie.sign: a secret is a string of at least 16 bytes")
      assert.has_error(function() cookie.unsign("7", bad) end)
    end
    assert.has_error(function() cookie.unsign("7") end)
  end)
end)

describe("requests and responses", function()
  after_each(http_servers.clean_up)

  local function ask(handler, header)
    local failure
    local _, address = http_servers.serve({}, function(req, res)
      local ok, err = pcall(handler, req, res)
      failure = not ok and err or nil
      if not res.finished then res:send("done") end
    end)
    local response = client.request(address, { headers = { cookie = header } })
    assert.is_nil(failure)
    local set = {}
    for _, field in ipairs(response.list) do
      if field[1]:lower() == "set-cookie" then set[#set + 1] = field[2] end
    end
    return set, response
  end

  it("have what the client sent", function()
    ask(function(req)
      assert.equal("1", req:cookie("a"))
      assert.is_nil(req:cookie("c"))
      assert.same({ a = "1", b = "2" }, req:cookies())
    end, "a=1; b=2")
    ask(function(req)
      assert.is_nil(req:cookie("a"))
      assert.same({}, req:cookies())
    end)
  end)

  it("set and clear cookies beside each other", function()
    assert.same({ "a=1; Path=/; HttpOnly; SameSite=Lax", "b=2; Path=/x; HttpOnly; Secure; SameSite=None",
      "a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax" }, ask(function(_, res)
      assert.equal(res, res:set_cookie("a", 1):set_cookie("b", "2", { path = "/x", same_site = "none" }))
      assert.equal(res, res:clear_cookie("a"))
    end))
    assert.matches("^__Host%-s=; Path=/; Max%-Age=0;.*; Secure",
      ask(function(_, res) res:clear_cookie("__Host-s") end)[1])
    assert.matches("Path=/x; Domain=example.org; Max%-Age=0", ask(function(_, res)
      res:clear_cookie("a", { path = "/x", domain = "example.org", max_age = 7 })
    end)[1])
  end)

  it("sign them", function()
    local set = ask(function(_, res) res:set_cookie("user", 7, { secret = secret, max_age = 60 }) end)
    assert.matches("^user=7%.[%w_-]+; Path=/; Max%-Age=60;", set[1])
    local pair = set[1]:match("^[^;]*")
    ask(function(req)
      assert.equal("7", req:signed_cookie("user", secret))
      assert.equal("7", req:signed_cookie("user", { old_secret, secret }))
      assert.same({ nil, "EINVAL: the signature is missing or wrong", "EINVAL" },
        { req:signed_cookie("user", old_secret) })
      assert.is_nil(req:signed_cookie("other", secret))
    end, pair)
    ask(function(req) assert.is_nil((req:signed_cookie("admin", secret))) end, "admin=" .. pair:match("=(.*)"))
  end)

  it("complain at the line that is wrong", function()
    ask(function(_, res)
      local ok, message = pcall(function() res:set_cookie("a", true) end)
      assert.is_false(ok)
      assert.matches("cookie_spec.lua:" .. debug.getinfo(1, "l").currentline - 2 .. ": cookie: the value of a", message)
      assert.has_error(function() res:set_cookie("a", "b", { secret = "short" }) end)
    end)
  end)
end)

describe("a cookie of any bytes", function()
  it("comes back as it was set", function()
    local app <close> = require "luaserve.app".new()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    local values = { "two words", 'a"b', "a,b;c\\d", "100%", "%41", "é", '{"a":[1, 2]}', "a\r\nb: c", "",
      table.concat(all) }
    app:get("/set/:n", function(req, res)
      local value = values[tonumber(req.params.n)]
      res:set_cookie("plain", value):set_cookie("signed", value, { secret = secret }):send "set"
    end)
    app:get("/read/:n", function(req, res)
      local value = values[tonumber(req.params.n)]
      res:json { req:cookie "plain" == value, req:cookies().plain == value,
        req:signed_cookie("signed", secret) == value }
    end)
    for n in ipairs(values) do
      local pairs_of = {}
      for _, field in ipairs(app:request("/set/" .. n).header_list) do
        if field[1]:lower() == "set-cookie" then pairs_of[#pairs_of + 1] = field[2]:match "^[^;]*" end
      end
      local request = { path = "/read/" .. n, headers = { cookie = table.concat(pairs_of, "; ") } }
      assert.equal("[true,true,true]", app:request(request).body, n)
    end
  end)

  it("is decoded where it is an encoding, and else left", function()
    local app <close> = require "luaserve.app".new()
    app:get("/", function(req, res) res:send(req:cookie "a") end)
    for sent, got in pairs { ["a%20b"] = "a b", ["100%"] = "100%", ["%zz%4"] = "%zz%4", ["%25"] = "%" } do
      assert.equal(got, app:request({ headers = { cookie = "a=" .. sent } }).body)
    end
  end)
end)
