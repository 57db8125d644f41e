-- SPDX-License-Identifier: MIT
--- luaserve.url: the URL standard, case by case, and queries.

local url = require "luaserve.url"

local function href(text, base)
  local parsed = url.parse(text, base)
  return parsed and tostring(parsed)
end

--- Each text is the URL behind it; false: none.
local function check(cases, base)
  for text, expected in pairs(cases) do
    local got = href(text, base)
    assert.equal(expected, got or false, ("%q against %s"):format(text, base))
    if got then assert.equal(got, href(got), "what was read once is read the same again") end
  end
end

describe("url.parse", function()
  it("takes a URL apart", function()
    local u = assert(url.parse "HTTPS://Us er:p%40s:s@Example.ORG:8080/a/../b c?d=e#f g")
    assert.same({ scheme = "https", username = "Us%20er", password = "p%40s%3As", host = "example.org", port = 8080,
      path = "/b%20c", query = "d=e", fragment = "f%20g" }, u)
    assert.equal("https://Us%20er:p%40s%3As@example.org:8080/b%20c?d=e#f%20g", tostring(u))
    assert.same({ scheme = "http", host = "x", path = "/" }, url.parse "http://x")
    assert.same({ scheme = "mailto", path = "a@b", opaque = true, query = "c" }, url.parse "mailto:a@b?c")
    assert.same({ scheme = "file", host = "", path = "/x" }, url.parse "file:///x")
    assert.same({ scheme = "http", host = "x", path = "/", query = "", fragment = "" }, url.parse "http://x?#")
  end)

  it("says what is wrong", function()
    assert.same({ nil, "EINVAL: 'x' has no scheme", "EINVAL" }, { url.parse "x" })
    assert.same({ nil, "EINVAL: 'a b' is no host", "EINVAL" }, { url.parse "http://a b/" })
    assert.same({ nil, "EINVAL: the port 65536 is over 65535", "EINVAL" }, { url.parse "http://a:65536/" })
    assert.equal("EINVAL", select(3, url.parse("x", "y")))
    assert.has_error(function() url.parse() end, "url.parse: a URL is a string, not a nil")
  end)

  it("takes away what surrounds a URL, and line ends in it", function()
    check { [" \0http://x/ \r\n"] = "http://x/", ["ht\ntp:\t//x\r/y"] = "http://x/y", [" "] = false, [""] = false }
  end)

  it("knows special schemes: slashes either way, ports of their own", function()
    check {
      ["http:x"] = "http://x/", ["http:/x"] = "http://x/", ["http:\\\\x\\y"] = "http://x/y",
      ["http:////x"] = "http://x/",
      ["ws://x:80/"] = "ws://x/", ["wss://x:443"] = "wss://x/", ["ftp://x:21/y"] = "ftp://x/y",
      ["http://x:443"] = "http://x:443/",
      ["https://x:0443/"] = "https://x/", ["http://x:/"] = "http://x/", ["http://x:0"] = "http://x:0/",
      ["http://x:8a/"] = false, ["http://x:-1/"] = false, ["http://x:99999999999999999999/"] = false,
      ["http://"] = false, ["http:///"] = false, ["http://:80/"] = false, ["http://u@/"] = false, ["https:"] = false,
    }
  end)

  it("knows credentials", function()
    check {
      ["http://u@x/"] = "http://u@x/", ["http://u:@x/"] = "http://u@x/", ["http://:p@x/"] = "http://:p@x/",
      ["http://@x/"] = "http://x/", ["http://:@x/"] = "http://x/", ["http://a@b@c/"] = "http://a%40b@c/",
      ["http://a:b:c@x/"] = "http://a:b%3Ac@x/", ["http://x/a@b"] = "http://x/a@b",
      ["http://a/b@c:d"] = "http://a/b@c:d",
      ["http://good.example\\@evil.example/"] = "http://good.example/@evil.example/",
      ["http://good.example#@evil.example/"] = "http://good.example/#@evil.example/",
      ["http://good.example?@evil.example/"] = "http://good.example/?@evil.example/",
    }
  end)

  it("resolves dots in every spelling", function()
    check {
      ["http://x/a/./b/../c"] = "http://x/a/c", ["http://x/.."] = "http://x/", ["http://x/a/%2e%2E/b"] = "http://x/b",
      ["http://x/a/.%2e"] = "http://x/", ["http://x/a/%2e"] = "http://x/a/", ["http://x/..."] = "http://x/...",
      ["http://x//../a"] = "http://x/a", ["http://x/a//b"] = "http://x/a//b",
      ["http://x/%2e%2e%2f"] = "http://x/%2e%2e%2f",
    }
  end)

  it("reads names: ASCII, in lower case, decoded once", function()
    check {
      ["http://EXAMPLE.org./"] = "http://example.org./", ["http://%65xample/"] = "http://example/",
      ["http://a_b/"] = "http://a_b/",
      ["http://xn--bcher-kva.example/"] = "http://xn--bcher-kva.example/", ["http://b\xc3\xbccher.example/"] = false,
      ["http://%C3%BC/"] = false, ["http://a%00b/"] = false, ["http://a%2525/"] = false, ["http://a%20b/"] = false,
      ["http://a<b/"] = false, ["http://a|b/"] = false, ["http://a^b/"] = false, ["http://a%2fb/"] = false,
      ["http://a%3ab/"] = false,
      ["http://!$&'()*+,-.;=_`{}~/"] = "http://!$&'()*+,-.;=_`{}~/", ["http://a%/"] = false, ["http://a[b/"] = false,
    }
    assert.matches("punycode", (select(2, url.parse "http://b\xc3\xbccher.example/")))
  end)

  it("reads IPv4 addresses in every spelling", function()
    check {
      ["http://127.0.0.1"] = "http://127.0.0.1/", ["http://0x7f.1"] = "http://127.0.0.1/",
      ["http://0177.0.0.01"] = "http://127.0.0.1/",
      ["http://2130706433"] = "http://127.0.0.1/", ["http://0x7F000001"] = "http://127.0.0.1/",
      ["http://1.2.3.4."] = "http://1.2.3.4/",
      ["http://1.256"] = "http://1.0.1.0/", ["http://1.2.65535"] = "http://1.2.255.255/",
      ["http://0x."] = "http://0.0.0.0/",
      ["http://%31%32%37.1"] = "http://127.0.0.1/", ["http://256.1.1.1"] = false, ["http://1.1.1.256"] = false,
      ["http://4294967296"] = false, ["http://4294967295"] = "http://255.255.255.255/", ["http://1.2.3.4.5"] = false,
      ["http://1..2"] = false,
      ["http://08"] = false, ["http://0xg"] = "http://0xg/", ["http://a.1"] = false, ["http://a.0x1"] = false,
      ["http://1.a"] = "http://1.a/",
      ["http://" .. ("9"):rep(300)] = false, ["http://x" .. ("0"):rep(60)] = "http://x" .. ("0"):rep(60) .. "/",
    }
  end)

  it("RFC 5952: writes IPv6 addresses in one form", function()
    check {
      ["http://[::1]"] = "http://[::1]/", ["http://[0:0:0:0:0:0:0:1]:8080"] = "http://[::1]:8080/",
      ["http://[::]"] = "http://[::]/",
      ["http://[1:0:0:2:0:0:0:3]"] = "http://[1:0:0:2::3]/", ["http://[1:0:2:3:4:5:6:7]"] = "http://[1:0:2:3:4:5:6:7]/",
      ["http://[2001:DB8::A]"] = "http://[2001:db8::a]/", ["http://[::ffff:1.2.3.4]"] = "http://[::ffff:102:304]/",
      ["http://[1:2:3:4:5:6:7::]"] = "http://[1:2:3:4:5:6:7:0]/",
      ["http://[1:2:3:4:5:6:7:8]"] = "http://[1:2:3:4:5:6:7:8]/",
      ["http://[1:2:3:4:5:6:1.2.3.4]"] = "http://[1:2:3:4:5:6:102:304]/", ["http://[1:2:3:4:5:6:7:8::]"] = false,
      ["http://[1:2:3:4:5:6:7]"] = false, ["http://[::1::]"] = false, ["http://[:::]"] = false,
      ["http://[:1]"] = false, ["http://[1:]"] = false,
      ["http://[12345::]"] = false, ["http://[g::]"] = false, ["http://[::1.2.3]"] = false,
      ["http://[::1.2.3.256]"] = false,
      ["http://[::01.2.3.4]"] = false, ["http://[1.2.3.4::]"] = false, ["http://[::1"] = false, ["http://::1]"] = false,
      ["http://[::1]x"] = false, ["http://[::1%25eth0]"] = false, ["http://[]"] = false,
      ["foo://[::1]/"] = "foo://[::1]/", ["foo://[x]/"] = false,
    }
  end)

  it("reads files", function()
    check {
      ["file:///a"] = "file:///a", ["file:/a"] = "file:///a", ["file:a"] = "file:///a", ["file:"] = "file:///",
      ["file://localhost/a"] = "file:///a",
      ["file://HOST/a"] = "file://host/a", ["file:///C|/x/../.."] = "file:///C:/", ["file:C:\\x"] = "file:///C:/x",
      ["file://C:/x"] = "file:///C:/x",
      ["file://h:80/"] = false, ["file://u@h/"] = false, ["file:////h/x"] = "file:////h/x",
      ["file:///a?b#c"] = "file:///a?b#c",
    }
    check({ ["b"] = "file:///C:/a/b", ["/b"] = "file:///C:/b", ["D|/b"] = "file:///D:/b", ["/D:/b"] = "file:///D:/b",
      ["//h/b"] = "file://h/b",
      [".."] = "file:///C:/", ["../.."] = "file:///C:/", ["?q"] = "file:///C:/a/x?q", ["#f"] = "file:///C:/a/x#f",
      ["file:y"] = "file:///C:/a/y",
    }, "file:///C:/a/x")
  end)

  it("reads other schemes", function()
    check {
      ["foo://Host/A b/../c"] = "foo://Host/c", ["foo://h"] = "foo://h", ["foo:///x"] = "foo:///x",
      ["foo:/x/../y"] = "foo:/y",
      ["foo:/..//x"] = "foo:/.//x", ["foo:/.//x"] = "foo:/.//x", ["foo://h:80/"] = "foo://h:80/",
      ["foo://u@/x"] = false, ["foo://:80"] = false,
      ["foo://a b/"] = false, ["foo://a\xc3\xa4/"] = "foo://a%C3%A4/", ["foo:x\\y"] = "foo:x\\y",
      ["foo://h\\x"] = false,
      ["data:text/plain,a b?c d#e f"] = "data:text/plain,a b?c%20d#e%20f", ["data:x  ?y"] = "data:x %20?y",
      ["javascript:a"] = "javascript:a",
      ["1a:x"] = false, ["a+-.1:x"] = "a+-.1:x", [":x"] = false, ["\xc3\xa4:x"] = false,
    }
  end)

  it("encodes what cannot stand where it is, and nothing else", function()
    local function encoded(front, behind, kept)
      for i = 33, 255 do
        local c = string.char(i)
        if not kept:find(c, 1, true) then
          assert.equal(front .. "x" .. (i < 127 and c or ("%%%02X"):format(i)) .. "x" .. behind,
            href(front .. "x" .. c .. "x" .. behind))
        end
      end
    end
    encoded("http://h/#", "", '"<>`')
    encoded("http://h/?", "", "\"#<>'")
    encoded("foo://h/?", "", '"#<>')
    encoded("http://h/", "/", '"#<>?^`{}\\')
    encoded("foo://h/", "/", '"#<>?^`{}')
    encoded("http://", "@h/", "\"#<>?^`{}/:;=@[\\]|")
    encoded("foo:", "", "#?")
    check {
      ["http://h/\"<>^`{}#\"<>`"] = "http://h/%22%3C%3E%5E%60%7B%7D#%22%3C%3E%60",
      ["http://h/?\"<>'"] = "http://h/?%22%3C%3E%27",
      ["foo://h/?\"<>'"] = "foo://h/?%22%3C%3E'", ["http://;=[]^|@h/"] = "http://%3B%3D%5B%5D%5E%7C@h/",
      ["http://h/%zz%4"] = "http://h/%zz%4",
    }
  end)

  it("takes a time that grows no faster than the text", function()
    local n = 50000
    for _, text in ipairs { "http://" .. ("@"):rep(n), "http://" .. (":"):rep(n), "http://h" .. ("/"):rep(n),
      "http://h" .. ("/.."):rep(n),
      "http://" .. ("."):rep(n), "http://" .. ("1."):rep(n), "http://[" .. ("1:"):rep(n) .. "]", (" "):rep(n) .. "x",
        "a:" .. (" "):rep(n) .. "b",
      ("a"):rep(n), "http://h/?" .. ("?"):rep(n), "http://h/#" .. ("#"):rep(n), "foo://h" .. ("/%2e"):rep(n),
        "http://" .. ("0"):rep(n),
      "http://h" .. ("/x"):rep(n) .. ("/.."):rep(n) } do
      url.parse(text)
      url.parse(text, "http://h/a/b")
    end
    for _, text in ipairs { ("a&"):rep(n), ("="):rep(n), ("&"):rep(n), ("%"):rep(n),
      ("a=+&"):rep(n) } do url.parse_query(text) end
  end)
end)

describe("url.resolve", function()
  it("RFC 3986 5.4: the examples, as browsers read them", function()
    check({
      ["g:h"] = "g:h", ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/",
      ["/g"] = "http://a/g",
      ["//g"] = "http://g/", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
      ["#s"] = "http://a/b/c/d;p?q#s",
      ["g#s"] = "http://a/b/c/g#s", ["g?y#s"] = "http://a/b/c/g?y#s", [";x"] = "http://a/b/c/;x",
      ["g;x"] = "http://a/b/c/g;x",
      [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/", ["./"] = "http://a/b/c/", [".."] = "http://a/b/",
      ["../g"] = "http://a/b/g",
      ["../.."] = "http://a/", ["../../../g"] = "http://a/g", ["/./g"] = "http://a/g", ["g."] = "http://a/b/c/g.",
      ["..g"] = "http://a/b/c/..g",
      ["./g/."] = "http://a/b/c/g/", ["g/../h"] = "http://a/b/c/h", ["g;x=1/../y"] = "http://a/b/c/y",
      ["g?y/../x"] = "http://a/b/c/g?y/../x",
      ["g#s/../x"] = "http://a/b/c/g#s/../x", ["http:g"] = "http://a/b/c/g",
    }, "http://a/b/c/d;p?q")
  end)

  it("goes where a browser goes with backslashes and other schemes", function()
    check({ ["\\g"] = "http://a/g", ["\\\\g"] = "http://g/", ["/\\g"] = "http://g/", ["http:/g"] = "http://a/g",
      ["https:g"] = "https://g/",
      ["?"] = "http://a/b?", ["#"] = "http://a/b?q#", [" /x "] = "http://a/x", ["//"] = false,
      ["///x"] = "http://x/" }, "http://a/b?q#f")
    check({ ["\\g"] = "foo://h/a/\\g", ["/x"] = "foo://h/x", ["//y/z"] = "foo://y/z", [".."] = "foo://h/",
      ["?q"] = "foo://h/a/b?q" }, "foo://h/a/b")
    check({ ["x"] = false, ["#f"] = "mailto:a?b#f", ["?x"] = false, [""] = false, ["x#f"] = false,
      ["http://x"] = "http://x/" }, "mailto:a?b")
    check({ ["x"] = "http://u:p@h:81/x", ["//g"] = "http://g/" }, "http://u:p@h:81/")
  end)

  it("gives a string, or says what is wrong", function()
    assert.equal("http://a/c", url.resolve("http://a/b", "c"))
    assert.equal("http://a/c", url.resolve(url.parse "http://a/b", "c"))
    assert.equal("EINVAL", select(3, url.resolve("nothing", "c")))
    assert.equal("EINVAL", select(3, url.resolve("http://a", "http://b:x")))
  end)
end)

describe("url.build", function()
  it("makes a URL of its parts", function()
    assert.equal("https://example.org/", url.build { scheme = "https", host = "Example.org" })
    assert.equal("https://u%40:p%2F@h:8080/a%20b%3F?x=1&y=a+b#z%20z", url.build { scheme = "HTTPS", host = "h",
      port = 8080, username = "u@",
      password = "p/", path = "/a b?", query = { x = 1, y = "a b" }, fragment = "z z" })
    assert.equal("http://h/?a=%27%20b", url.build { scheme = "http", host = "h", query = "a=' b", port = 80 })
    assert.equal("file:///x", url.build { scheme = "file", path = "/x" })
    assert.equal("mailto:a@b%3Fc?subject=d", url.build { scheme = "mailto", path = "a@b?c", opaque = true,
      query = "subject=d" })
    assert.equal("http://h/a%5Cb", url.build { scheme = "http", host = "h", path = "/a\\b" })
    assert.equal("foo:/.//x", url.build { scheme = "foo", path = "//x" })
  end)

  it("reads back what parse gives", function()
    for _, text in ipairs { "https://u:p@h:8080/a%20b?c=d#e", "http://[::1]/", "mailto:a@b?c", "foo://h",
      "file:///C:/x", "foo:/.//x", "http://h/?" } do
      assert.equal(text, url.build(assert(url.parse(text))))
    end
  end)

  it("refuses what would be another URL than was meant", function()
    for _, parts in ipairs { {}, { scheme = "ht tp", host = "x" }, { scheme = "http" }, { scheme = "http",
      host = "a/b" }, { scheme = "http", host = "a@b" },
      { scheme = "http", host = "a", port = 70000 }, { scheme = "http", host = "a", port = "8a" }, { scheme = "http",
      host = "a", path = "b" },
      { scheme = "foo", path = "/x", opaque = true }, { scheme = "foo", host = "h", path = "x", opaque = true },
      { scheme = "foo", port = 80 },
      { scheme = "http", host = "a", path = 1 }, { scheme = "http", host = "a:80" }, { scheme = "javascript",
      path = "x" } } do
      assert.has_error(function() url.build(parts) end)
    end
    assert.has_error(function() url.build { scheme = "http", host = "x", hots = "y" } end,
      "url.build: unknown option 'hots' (did you mean 'host'?)")
  end)
end)

describe("queries", function()
  it("are read in order, the first of a name for who wants one", function()
    local values, list = url.parse_query "a=1&b=%20+%2B&a=2&&c&=d&e=f=g&%C3%A4=%FF&h=%4&"
    assert.same({ a = "1", b = "  +", c = "", [""] = "d", e = "f=g", ["\xc3\xa4"] = "\xff", h = "%4" }, values)
    assert.same({ "a", "2" }, list[3])
    assert.equal(8, #list)
    assert.same({ {}, {} }, { url.parse_query "" })
    assert.same({ {}, {} }, { url.parse_query() })
    assert.same({ ["a b"] = "" }, (url.parse_query "a+b="))
  end)

  it("are built of either form", function()
    assert.equal("a=1&b=x+y&b=true&c=%26%3D%2B%25", url.build_query { b = { "x y", true }, a = 1, c = "&=+%" })
    assert.equal("b=1&a=2&b=3", url.build_query { { "b", 1 }, { "a", 2 }, { "b", 3 } })
    assert.equal("*-._%7E%C3%A4=", url.build_query { ["*-._~\xc3\xa4"] = "" })
    assert.equal("", url.build_query {})
    assert.equal("", url.build_query { a = {} })
    local text = "a=1&b=++&a=2&c=&=d&%2520=%25"
    assert.equal(text, url.build_query(select(2, url.parse_query(text))))
    for _, bad in ipairs { { a = print }, { { "a" } }, { { nil, "b" } }, { [true] = "x" }, { a = { {} } }, { "a" } } do
      assert.has_error(function() url.build_query(bad) end)
    end
  end)
end)

describe("url.encode and decode", function()
  it("are each other's reverse, for all bytes", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    local bytes = table.concat(all)
    assert.equal(bytes, url.decode(url.encode(bytes)))
    assert.equal("aZ09-._~%20%2F%3F%25%2B%C3%A4", url.encode "aZ09-._~ /?%+\xc3\xa4")
    assert.equal("+ %4 %zz %", url.decode "+%20%4%20%zz%20%")
    assert.equal("/\0\xff", url.decode "%2f%00%Ff")
  end)
end)
