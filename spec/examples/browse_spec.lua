-- SPDX-License-Identifier: MIT
--- examples/browse/: what it lists, what it never shows, and its pages in a browser.

local browser = require "spec.support.browser"
local fs = require "luaserve.fs"
local test = require "luaserve.test"

local PIXEL = "GIF89a\1\0\1\0\128\0\0\0\0\0\255\255\255!\249\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"

describe("examples/browse", function()
  local folder = test.fixture(function()
    return test.temporary_folder { ["root/.secret"] = "secret", ["root/a.txt"] = "hello & <b>bye</b>\n",
      ["root/sub/deep.lua"] = "return 1\n", ["root/.hidden/x.txt"] = "secret", ["outside.txt"] = "secret" }
  end)

  local function at(name) return folder() .. "/root/" .. name end

  local function serve(...)
    return test.serve("examples/browse/app.lua", { arguments = { at "", ... } })
  end

  --- The names that a page lists, in their order.
  local function names(client, path)
    local list = {}
    local page = client:get(path):expect(200):expect_header("content-type", "^text/html").body
    for name in page:gmatch('<td class="name"><a href="[^"]*">([^<]*)</a>') do list[#list + 1] = name end
    return list
  end

  it("lists folders first, without what is hidden", function()
    assert(fs.write_file(at "B.bin", ("\0"):rep(2048)))
    local client = serve()
    assert.same({ "sub", "B.bin", "a.txt" }, names(client, "/"))
    assert.same({ "..", "deep.lua" }, names(client, "/sub"))
    assert.same({ "..", "deep.lua" }, names(client, "/sub/"))
    client:get("/"):expect_body(">2 KiB</td>")
    client:get("/nothing"):expect(404)
    client:post("/a.txt", { body = "" }):expect(405)
  end)

  it("lists what is hidden when it is told to", function()
    assert.same({ ".hidden", "sub", ".secret", "a.txt" }, names(serve("all"), "/"))
  end)

  it("orders by name, size and time, both ways", function()
    for i, name in ipairs { "x", "z", "y" } do
      assert(fs.write_file(at("sub/" .. name), ("x"):rep(100 - i)))
      assert(fs.utime(at("sub/" .. name), nil, 1000000 * (i % 3)))
    end
    assert(fs.unlink(at "sub/deep.lua"))
    assert(fs.symlink("y", at "sub/link")) -- as large and as old as what it leads to
    local client = serve()
    assert.same({ "..", "link", "x", "y", "z" }, names(client, "/sub?sort=name"))
    assert.same({ "..", "z", "y", "x", "link" }, names(client, "/sub?sort=name&order=descending"))
    assert.same({ "..", "link", "y", "z", "x" }, names(client, "/sub?sort=size"))
    assert.same({ "..", "z", "x", "y", "link" }, names(client, "/sub?sort=time&order=descending"))
    assert.same({ "..", "link", "x", "y", "z" }, names(client, "/sub?sort=%3Cb%3E&order=x&page=-1"))
    client:get("/sub?sort=size"):expect_body('aria%-sort="ascending"')
    local _, sizes = client:get("/sub?sort=size").body:gsub(">97 bytes</td>", "")
    assert.equal(2, sizes)
  end)

  it("shows large folders page by page", function()
    for i = 1, 250 do assert(fs.write_file(at(("sub/%03d"):format(i)), "")) end
    local client = serve()
    local seen = 0
    for page, wanted in ipairs { 100, 100, 51 } do
      local list = names(client, "/sub?page=" .. page)
      assert.equal(wanted, #list - 1)
      seen = seen + #list - 1
    end
    assert.equal(251, seen)
    assert.same(names(client, "/sub?page=3"), names(client, "/sub?page=99999"))
    assert.same(names(client, "/sub"), names(client, "/sub?page=x"))
    client:get("/sub?page=2"):expect_body('rel="prev"'):expect_body('rel="next"'):expect_body("251 entries")
  end)

  -- ---- files ----

  it("sends files as they are, in ranges, and to be saved", function()
    local client = serve()
    client:get("/a.txt"):expect(200):expect_header("content-type", "^text/plain"):expect_body("hello & <b>bye</b>\n")
    client:get("/a.txt", { headers = { range = "bytes=0-4" } }):expect(206):expect_body("hello")
    client:get("/a.txt?download=1"):expect_header("content-disposition", '^attachment; filename="a.txt"')
    client:head("/a.txt"):expect(200):expect_header("content-length", "19")
    local tag = client:get("/a.txt").headers.etag
    client:get("/a.txt", { headers = { ["if-none-match"] = tag } }):expect(304)
  end)

  it("keeps pages among the files from being pages of this site", function()
    assert(fs.write_file(at "page.html", "<script>alert(1)</script>"))
    serve():get("/page.html"):expect(200):expect_header("content-security-policy", "^sandbox;.*script%-src 'none'$")
  end)

  it("shows texts, the beginning of long ones, and says what is none", function()
    assert(fs.write_file(at "long", ("\u{e4}"):rep(40000) .. "end"))
    assert(fs.write_file(at "odd", "x" .. ("\u{e4}"):rep(40000) .. "end")) -- the limit cuts a character in two
    assert(fs.write_file(at "binary", "a\0b"))
    assert(fs.write_file(at "latin", "\xe4"))
    assert(fs.write_file(at "empty", ""))
    local client = serve()
    client:get("/a.txt?view=1"):expect_body("<pre tabindex=\"0\">hello &amp; &lt;b&gt;bye&lt;/b&gt;\n</pre>")
    for _, name in ipairs { "long", "odd" } do
      local page = client:get("/" .. name .. "?view=1"):expect(200):expect_body("This is the beginning").body
      assert.is_nil(page:find("end</pre>", 1, true))
      assert.is_truthy(utf8.len(page))
      assert.is_true(#page < 80000)
    end
    client:get("/binary?view=1"):expect_body("This is no text")
    client:get("/latin?view=1"):expect_body("This is no text")
    client:get("/empty?view=1"):expect_body("</pre>")
  end)

  -- ---- what it never shows ----

  it("does not leave its folder", function()
    local client = serve()
    for _, path in ipairs { "/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/sub/../../outside.txt",
      "/sub/..%2f..%2foutside.txt", "//etc/passwd", "/%2fetc%2fpasswd", "/.%2e/outside.txt", "/..%5coutside.txt",
      "/a.txt/..", "/sub/%2e", "/sub%00", "/%" } do
      for _, query in ipairs { "", "?view=1", "?download=1" } do
        local response = client:get(path .. query)
        assert.is_nil(response.body:find("secret", 1, true), path)
        assert.is_nil(response.body:find("root:", 1, true), path)
        assert.is_truthy(({ [200] = true, [400] = true, [404] = true })[response.status], path)
      end
    end
  end)

  it("does not follow links out, nor to what is hidden", function()
    assert(fs.symlink("../outside.txt", at "out.txt"))
    assert(fs.symlink("/etc", at "etc"))
    assert(fs.symlink("..", at "up"))
    assert(fs.symlink(".secret", at "open.txt"))
    assert(fs.symlink(".hidden", at "open"))
    assert(fs.symlink("loop", at "loop"))
    assert(fs.symlink("sub", at "alias"))
    local client = serve()
    assert.same({ "sub", "a.txt", "alias" }, names(client, "/"))
    for _, path in ipairs { "out.txt", "etc", "etc/passwd", "up", "up/outside.txt", "open.txt", "open/x.txt",
      "loop" } do
      for _, query in ipairs { "", "?view=1", "?download=1" } do client:get("/" .. path .. query):expect(404) end
    end
    client:get("/alias/deep.lua"):expect(200):expect_body("return 1\n")
    client:get("/.secret"):expect(404)
    client:get("/.hidden/x.txt"):expect(404)
  end)

  it("does not open what is neither file nor folder", function()
    assert(os.execute("mkfifo '" .. at "pipe" .. "'"))
    local client = serve()
    assert.same({ "sub", "a.txt" }, names(client, "/"))
    for _, query in ipairs { "", "?view=1" } do client:get("/pipe" .. query):expect(404) end
  end)

  it("shows any name as text, and gives what it names", function()
    local odd = { "<img src=x onerror=alert(1)>.txt", "a b&c?d#e%41.txt", "'\".txt", "\xff\xfe.txt", "line\nbreak.txt",
      "\u{202e}gpj.exe", "javascript:alert(1)", "\u{e9}t\u{e9}.txt", "a;b=c.txt", "back\\slash.txt" }
    for _, name in ipairs(odd) do assert(fs.write_file(at(name), "this: " .. name)) end
    local client = serve()
    local page = client:get("/"):expect(200).body
    assert.is_nil(page:find("<img", 1, true))
    assert.is_nil(page:find("\u{202e}", 1, true))
    assert.is_truthy(utf8.len(page))
    local found = 0
    for url in page:gmatch('href="(/[^"?]+)%?view=1"') do
      local body = client:get((url:gsub("&amp;", "&"):gsub("&#39;", "'"))):expect(200).body
      if body:find("^this: ") then found = found + 1 end
      client:get(url .. "?view=1"):expect(200)
    end
    assert.equal(#odd, found)
  end)

  it("does not start for what is no folder", function()
    local ok, message = pcall(test.serve, "examples/browse/app.lua", { arguments = { at "a.txt" } })
    assert.is_false(ok)
    assert.matches("a.txt is no folder", message)
  end)

  -- ---- in a browser ----

  --- A folder as people have them: names, and bytes of each.
  local function make_archive()
    local path = test.temporary_folder { ["Archive/Journey/Maps/x"] = "", ["Archive/Journey/Letters/x"] = "" }
    for i, entry in ipairs { { "Packing list.txt", 1843 }, { "Harbour at dawn.jpg", 3481600 }, { "budget.csv", 9216 },
      { "crossing.webm", 73400320 }, { "route.lua", 4312 }, { "Tickets.pdf", 183296 },
      { "originals.tar.gz", 1395864371 }, { "S\u{f8}ren's notes.md", 27648 }, { "LOGBOOK", 634 } } do
      local name = path .. "/Archive/Journey/" .. entry[1]
      local file <close> = assert(fs.open(name, "w"))
      assert(file:truncate(entry[2]))
      assert(file:utime(nil, 1790000000 + 250000 * i))
    end
    for i, name in ipairs { "Maps", "Letters" } do
      assert(fs.utime(path .. "/Archive/Journey/" .. name, nil, 1790000000 + 86400 * i))
    end
    return path .. "/Archive"
  end

  it("looks good in a browser, by day and by night", function()
    local client = test.serve("examples/browse/app.lua", { arguments = { make_archive() } })
    local page = browser.open { height = 660 }
    page:go(client, "/Journey")
    page:wait_text("td.name", "^LOGBOOK$")
    page:screenshot("browse")
    page:dark(true)
    page:screenshot("browse-dark")
  end)

  it("leads around in a browser", function()
    local page = browser.open()
    page:go(test.serve("examples/browse/app.lua", { arguments = { "." } }))
    page:wait_text("td.name", "^README.md$")
    page:click("a[href='/examples']")
    page:wait_text("td.name", "^hello.lua$")
    page:click("a[href='/examples/hello.lua?view=1']")
    page:wait_text("pre", "Hello from luaserve")
    assert.equal("hello.lua", page:text("[aria-current]"))
    page:click("nav a[href='/']")
    page:click("th.number a")
    page:wait_text("th[aria-sort=ascending]", "^Size")
    page:click("th.number a")
    page:wait_text("th[aria-sort=descending]", "^Size")
  end)

  it("shows pictures and errors in a browser, and lets no page among the files run", function()
    assert(fs.write_file(at "pixel.gif", PIXEL))
    assert(fs.write_file(at "page.html", "<!doctype html><h1>as it was</h1><script>document.body.remove()</script>"))
    local page = browser.open { dark = true }
    local client = serve()
    page:go(client, "/pixel.gif?view=1")
    page:wait("return document.querySelector('img').naturalWidth")
    page:go(client, "/page.html")
    page:wait_text("h1", "^as it was$")
    assert.matches("Blocked script execution", table.concat(page:console(), "\n"))
    page:go(client, "/nothing")
    page:wait_text("body", "there is nothing here")
    assert.matches("404", page:console()[1])
    page:go(client, "/a.txt?view=1")
    page:wait_text("pre", "^hello & <b>bye</b>")
  end)
end)
