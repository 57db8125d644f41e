-- SPDX-License-Identifier: MIT
--- The site of the documentation, as `make docs` makes it, and the program that serves it.

local fs = require "luaserve.fs"
local process = require "luaserve.process"
local test = require "luaserve.test"
local browser = require "spec.support.browser"

local ENTER, ESCAPE, DOWN = "\u{E007}", "\u{E00C}", "\u{E015}"

local luaserve = require "spec.support.process".luaserve

--- Makes the site in a new folder: all of it is there, whatever `make docs` has left elsewhere.
local function build()
  local folder = test.temporary_folder()
  local result = assert(process.run(luaserve, { "docs/site/build.lua", folder }, { timeout = 120 }))
  assert.same({ 0, "" }, { result.status, result.stderr })
  assert.matches("%d+ pages, .* %d+ sections to search\n$", result.stdout)
  return folder
end

local function files_of(folder)
  local list = {}
  for path, type in fs.walk(folder) do
    if type == "file" then list[#list + 1] = path end
  end
  return list
end

describe("the site of the documentation", function()
  local folder, client

  setup(function()
    folder = build()
    client = test.serve("examples/docs.lua", { arguments = { folder } })
  end)

  it("has a page for each text, and one for each module", function()
    for path, type in fs.walk "docs" do
      local name = type == "file" and path:match "^docs/(.*)%.md$"
      if name then
        local html = assert(fs.read_file(("%s/%s.html"):format(folder, (name:gsub("README$", "index")))))
        assert.matches("^<!doctype html>", html)
        assert.matches("<h1", html)
      end
    end
  end)

  it("needs nothing from elsewhere, and no style or script within a page", function()
    for _, path in ipairs(files_of(folder)) do
      local text = assert(fs.read_file(path))
      if path:find "%.html$" then
        assert.not_matches(' style="', text, path)
        assert.not_matches(' on%l+="', text, path)
        assert.not_matches(' src="%l+:', text, path)
        assert.not_matches("<link[^>]* href=\"%l+:", text, path)
        assert.not_matches("<style", text, path)
        assert.not_matches("<script>", text, path)
      end
    end
    assert.not_matches("url%(", assert(fs.read_file(folder .. "/style.css")))
  end)

  it("has links that lead to other pages of it", function()
    local count = 0
    for _, path in ipairs(files_of(folder)) do
      if path:find "%.html$" and not path:find "/404%.html$" then
        for link in assert(fs.read_file(path)):gmatch ' href="([^"#]+)[^"]*"' do
          if not link:find "^%l+:" then
            count = count + 1
            assert(fs.stat(path:match "^(.*/)" .. link), path .. ": " .. link)
          end
        end
      end
    end
    assert.is_true(count > 500)
  end)

  it("is served at addresses without .html", function()
    client:get("/"):expect(200):expect_header("content-type", "^text/html")
    client:get("/testing"):expect(200):expect_header("cache-control", "max%-age=%d+")
    client:get("/api/"):expect(200)
    client:get("/api"):expect(301):expect_header("location", "^/api/$")
    client:get("/testing.html?a=b"):expect(301):expect_header("location", "^/testing%?a=b$")
    client:get("/api/index.html"):expect(301):expect_header("location", "^/api/$")
    client:get("/style.css"):expect(200):expect_header("content-type", "^text/css")
  end)

  it("is sent compressed, and not again to who has it", function()
    local answer = client:get("/api/http", { headers = { ["accept-encoding"] = "gzip" } }):expect(200)
    answer:expect_header("content-encoding", "^gzip$")
    assert.is_true(#answer.body < (fs.stat(folder .. "/api/http.html")).size / 3)
    local tag = client:get("/api/http").headers.etag
    client:get("/api/http", { headers = { ["if-none-match"] = tag } }):expect(304)
  end)

  it("lets pages load what is theirs, and nothing else", function()
    local policy = client:get("/").headers["content-security-policy"]
    assert.matches("default%-src 'none'", policy)
    assert.matches("script%-src 'self'", policy)
    assert.not_matches("unsafe", policy)
  end)

  it("is searched with the keyboard alone", function()
    local page = browser.open { width = 800, height = 480 }
    page:go(client, "/api/app")
    page:script("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))")
    page:wait("return document.activeElement.id === 'query'")
    page:type("#query", "back-pressure nowhere")
    page:wait_text("#results", "Nothing has all")
    page:script("document.getElementById('query').value = ''")
    page:type("#query", "rate_limit")
    assert.matches("^rate_limit", page:wait_text("#results [aria-selected=true]", "rate_limit"))
    page:type("#query", DOWN)
    page:wait "return document.querySelector('#query').getAttribute('aria-activedescendant') === 'result1'"
    page:screenshot("docs")
    page:type("#query", ESCAPE)
    page:wait "return document.querySelector('#results').hidden"
    page:click("#query")
    page:type("#query", " bucket")
    page:wait_text("#results [aria-selected=true]", "middleware")
    page:type("#query", ENTER)
    page:wait "return location.pathname === '/api/middleware' && location.hash === '#rate_limit'"
  end)

  it("is searched from a disk, without a server", function()
    local page = browser.open()
    page:go("file://" .. folder .. "/index.html")
    page:type("#query", "mkdtemp")
    page:wait_text("#results [aria-selected=true]", "mkdtemp")
    page:type("#query", ENTER)
    page:wait_text("h1", "luaserve.fs")
  end)

  it("fits a phone, in the dark too, and needs no script to be read", function()
    local page = browser.open { width = 360, height = 640, dark = true }
    for _, path in ipairs { "/", "/api/http", "/guardrails" } do
      page:go(client, path)
      assert.is_true(page:script("return document.documentElement.scrollWidth <= innerWidth"), path)
    end
    page:click("header a.menu")
    page:wait("return document.getElementById('menu').getBoundingClientRect().top < innerHeight")
    local plain = browser.open { script = false }
    plain:go(client, "/api/http")
    assert.is_true(plain:script("return document.getElementById('search').hidden"))
  end)

  it("has a page for what is not there, also deep down", function()
    for _, path in ipairs { "/nothing", "/api/nothing/at/all", "/../Makefile", "/%2e%2e%2fMakefile", "/api/http.md" } do
      client:get(path):expect(404):expect_header("content-type", "^text/html")
    end
    client:get("/a/b"):expect_body('href="/style%.css"'):expect_body("No such page")
    client:post("/"):expect(405)
  end)
end)

describe("examples/docs.lua", function()
  it("says what to do where the site was not made", function()
    local result = assert(process.run(luaserve, { "examples/docs.lua", test.temporary_folder() }))
    assert.equal(1, result.status)
    assert.matches("'make docs' makes it\n$", result.stderr)
  end)
end)

describe("docs/site/build.lua", function()
  --- Builds the site of these texts: the result, and its folder.
  local function build_of(texts)
    local folder = test.temporary_folder(texts)
    assert(fs.copy("docs/site", folder .. "/docs/site"))
    return assert(process.run(luaserve, { "docs/site/build.lua", "out" }, { cwd = folder })), folder .. "/out"
  end

  it("makes a page of a manual page, and of a source file that a page links to", function()
    local result, out = build_of {
      ["README.md"] = "# Start\n\n[source](docs/one.lua)\n",
      ["docs/one.lua"] = "return 1 < 2\n",
      ["docs/luaserve.1"] = ".Dd May 1, 2026\n.Dt LUASERVE 1\n.Os\n.Sh NAME\n.Nm luaserve\n.Nd serves\n",
    }
    assert.same({ 0, "" }, { result.status, result.stderr })
    local manual = assert(fs.read_file(out .. "/luaserve.1.html"))
    assert.matches('<h2 id="name">NAME.*<strong>luaserve</strong> %- serves', manual)
    assert.matches('href="source/docs/one%.lua%.html"', assert(fs.read_file(out .. "/index.html")))
    assert.matches("&lt;", assert(fs.read_file(out .. "/source/docs/one.lua.html")))
  end)

  it("leaves a folder alone that has something else in it", function()
    local folder = test.temporary_folder { ["thesis.txt"] = "all of it" }
    local result = assert(process.run(luaserve, { "docs/site/build.lua", folder }))
    assert.equal(1, result.status)
    assert.equal("all of it", fs.read_file(folder .. "/thesis.txt"))
  end)

  it("fails for a link that leads nowhere, and says where it stands", function()
    local result = build_of {
      ["README.md"] = "# Start\n\n[away](docs/none.md) [deep](docs/one.md#none)\n",
      ["docs/one.md"] = "# One\n\n## There\n\n[good](#there) [back](../README.md#start)\n",
    }
    assert.equal(1, result.status)
    assert.equal("README.md: a link that leads nowhere: docs/none.md\nREADME.md: no such heading: docs/one.md#none\n",
      result.stderr)
  end)
end)
