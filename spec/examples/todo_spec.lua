-- SPDX-License-Identifier: MIT
--- examples/todo: as people use it in a browser, and as those do who mean it harm.

local browser = require "spec.support.browser"
local crypto = require "luaserve.crypto"
local fs = require "luaserve.fs"
local json = require "luaserve.json"
local test = require "luaserve.test"

local PASSWORD = "correct horse"

describe("examples/todo", function()
  local folder = test.fixture(test.temporary_folder)

  local function serve(env)
    return test.serve("examples/todo/app.lua", { arguments = { folder() .. "/data" }, env = env,
      headers = { accept = "text/html" } })
  end

  local app = test.fixture(serve)

  --- Sends a form as the page does that has it.
  local function send(client, page, path, form)
    form.csrf_token = client:get(page):expect(200).body:match('name="csrf_token" value="([^"]+)"')
    return client:post(path, { form = form })
  end

  local function sign_up(client, name)
    local account = { name = name, password = PASSWORD }
    send(client, "/sign-up", "/sign-up", account):expect(303):expect_header("location", "/")
    return client
  end

  local function sign_in(client, name, password)
    return send(client, "/sign-in", "/sign-in", { name = name, password = password })
  end

  local function add(client, text, query)
    return send(client, "/", "/todos" .. (query or ""), { text = text })
  end

  --- What is in the list: { { id =, text = as HTML, done = }, ... }
  local function todos(client, path)
    local list = {}
    for class, item in client:get(path or "/"):expect(200).body:gmatch('<li class="(%w+)">(.-)</li>') do
      list[#list + 1] = { id = tonumber(item:match('action="/todos/(%d+)')), done = class == "done",
        text = item:match('<span class="text">(.-)</span>') }
    end
    return list
  end

  local function texts(client, path)
    local list = todos(client, path)
    for i, todo in ipairs(list) do list[i] = todo.text end
    return list
  end

  describe("in a browser", function()
    local function fill(page, values)
      for _, name in ipairs { "name", "password" } do
        if values[name] then page:type("#" .. name, values[name]) end
      end
      page:click(".main")
    end

    it("is used from signing up to signing out, without scripts", function()
      local page = browser.open()
      page:go(app(), "/")
      page:wait_text("h1", "^Sign in$")
      page:click(".aside a")
      fill(page, { name = "Ada", password = "short" })
      page:wait_text("#password-note", "^Password must have at least 10 characters$")
      assert.equal("ada", page:script("return document.querySelector('#name').value"))
      assert.equal("password", page:script("return document.activeElement.id"))
      assert.matches("status of 400", page:console()[1]) -- and nothing else until the end
      fill(page, { password = PASSWORD })
      page:wait_text(".flash", "^Welcome, ada!$")
      page:wait_text(".empty", "Nothing to do")

      for _, text in ipairs { "buy milk", "call Grace" } do page:type("#text", text .. "\u{E007}") end
      page:wait_text("li .text", "^call Grace$")
      page:click("li:nth-child(2) .tick")
      page:wait_text(".done .text", "^buy milk$")
      page:wait_text(".count", "1 of 2 done")
      assert.equal("true", page:script("return document.querySelector('.done .tick').ariaPressed"))
      page:click("nav a:nth-child(2)")
      page:wait_text("nav [aria-current]", "^Open$")
      page:wait("return document.querySelectorAll('li').length == 1")
      page:click(".delete")
      page:wait_text(".flash", "^Deleted: call Grace$")
      page:click("header button")
      page:wait_text(".flash", "signed out")
      page:go(app(), "/")
      page:wait_text("h1", "^Sign in$")
    end)

    --- A user with some things to do.
    local function fill_list()
      local ada = sign_up(app(), "ada")
      for _, text in ipairs { "Buy milk and oats", "Return the library books",
        "Answer Grace’s letter about the compiler", "Water the plants", "Plan Saturday’s walk" } do
        add(ada, text):expect(303)
      end
      for id = 1, 2 do send(ada, "/", "/todos/" .. id, { done = "true" }):expect(303) end
      return ada
    end

    local function open_list(options)
      fill_list()
      local page = browser.open(options)
      page:go(app(), "/sign-in")
      fill(page, { name = "ada", password = PASSWORD })
      page:wait_text(".count", "2 of 5 done")
      page:script("document.activeElement.blur()") -- no caret that blinks
      return page
    end

    local function is_narrow(page)
      return page:script("return document.documentElement.scrollWidth <= innerWidth")
    end

    it("looks like something", function()
      local empty = browser.open { width = 900, height = 640 }
      local blank = empty:screenshot()
      local page = open_list { width = 900, height = 640 }
      local seen = page:screenshot "todo"
      assert.same({ 900, 640 }, { browser.size(seen) })
      assert.is_true(#seen > 2 * #blank)
      page:dark(true)
      local dark = page:screenshot "todo-dark"
      assert.not_equal(seen, dark)
    end)

    it("fits on a phone, also with a long word", function()
      local page = open_list { width = 320, height = 640 }
      assert.is_true(is_narrow(page))
      page:type("#text", ("long"):rep(50) .. "\u{E007}")
      page:wait_text("li .text", "^longlong")
      assert.is_true(is_narrow(page))
    end)

    -- WCAG 2.1, 1.4.3: what there is to be read against what is behind it.
    local CONTRASTS = [[
      const number = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 };
      const parse = (text) => text.match(/[\d.]+/g).map(Number);
      const light = ([r, g, b]) => 0.2126 * number(r) + 0.7152 * number(g) + 0.0722 * number(b);
      const behind = (e) => {
        for (; e; e = e.parentElement) {
          const color = parse(getComputedStyle(e).backgroundColor);
          if (color.length == 3 || color[3] > 0) return color;
        }
        return [255, 255, 255];
      };
      const poor = [];
      for (const e of document.querySelectorAll("body *")) {
        if (![...e.childNodes].some((n) => n.nodeType == 3 && n.textContent.trim())) continue;
        const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(e.className + ": " + ratio);
      }
      return poor;
    ]]

    it("can be read, in light and in dark", function()
      local page = open_list()
      for _, dark in ipairs { false, true } do
        page:dark(dark)
        page:go(app(), "/")
        assert.same({}, page:script(CONTRASTS))
      end
      page:go(app(), "/sign-up")
      assert.same({}, page:script(CONTRASTS))
    end)

    it("names every field and button", function()
      local page = open_list()
      local unnamed = [[return [...document.querySelectorAll("input:not([type=hidden]), button, progress")]
        .filter((e) => !(e.labels && e.labels.length) && !e.ariaLabel && !e.innerText.trim()).length]]
      assert.equal(0, page:script(unnamed))
      page:go(app(), "/sign-in")
      assert.equal(0, page:script(unnamed))
    end)
  end)

  describe("signing up", function()
    it("says what is wrong at the field, and keeps the name but not the password", function()
      local function expect_error(name, password, field, message)
        local account = { name = name, password = password }
        local page = send(app():another(), "/sign-up", "/sign-up", account):expect(400).body
        assert.is_truthy(page:find(('<p class="error" id="%s-note">%s</p>'):format(field, message), 1, true), page)
        return page
      end
      local page = expect_error("a\"><b>", "something secret", "name",
        "Name may have letters from a to z, digits, - and _")
      assert.is_truthy(page:find('value="a&quot;&gt;&lt;b&gt;"', 1, true))
      assert.is_nil(page:find("something secret", 1, true))
      expect_error("../ada", PASSWORD, "name", "Name may have letters from a to z, digits, - and _")
      expect_error("", PASSWORD, "name", "Name must have at least 2 characters")
      expect_error(("x"):rep(5000), PASSWORD, "name", "Name must have at most 30 characters")
      expect_error("ada", ("x"):rep(201), "password", "Password must have at most 200 characters")
      sign_up(app():another(), "ada")
      expect_error("ADA", PASSWORD, "name", "Name is taken: choose another one")
    end)

    it("keeps a hash of the password, in files that nobody else can read", function()
      sign_up(app(), "ada")
      local path = folder() .. "/data/ada.json"
      local user = json.decode(assert(fs.read_file(path)))
      assert.is_true(crypto.password_verify(PASSWORD, user.password))
      for _, file in ipairs { path, folder() .. "/data/secret" } do
        assert.equal(tonumber("600", 8), assert(fs.stat(file)).mode)
      end
    end)
  end)

  describe("signing in", function()
    it("lets in who has the password, and nobody else", function()
      sign_up(app():another(), "ada")
      local client = app():another()
      client:get("/"):expect(303):expect_header("location", "/sign-in")
      local wrong = sign_in(client, "ada", "incorrect horse"):expect(403).body
      local unknown = sign_in(client, "nobody", "incorrect horse"):expect(403).body
      local function plain(page) return (page:gsub('csrf_token" value="[^"]*"', ""):gsub('value="%l*"', "")) end
      assert.equal(plain(wrong), plain(unknown))
      sign_in(client, "../data/ada", PASSWORD):expect(403)
      client:get("/"):expect(303)
      sign_in(client, "Ada", PASSWORD):expect(303):expect_header("location", "/")
      client:get("/"):expect(200):expect_header("cache-control", "no-store")
    end)

    it("begins a session that has nothing of the one before", function()
      sign_up(app():another(), "ada")
      local client = app():another()
      local before = client:get("/sign-in").body:match('name="csrf_token" value="([^"]+)"')
      local cookie = client:cookie("session")
      sign_in(client, "ada", PASSWORD):expect(303)
      assert.not_equal(cookie, client:cookie("session"))
      client:post("/todos", { form = { text = "forged", csrf_token = before } }):expect(403)
      local planted = app():another()
      planted:set_cookie("session", cookie)
      planted:get("/"):expect(303)
    end)

    it("does not go on for ever", function()
      local client, status = app(), nil
      local token = client:get("/sign-in").body:match('name="csrf_token" value="([^"]+)"')
      for _ = 1, 11 do
        local response = client:post("/sign-in", { form = { name = "ada", password = "guess", csrf_token = token } })
        status = response:expect(403, 429).status
        if status == 429 then
          response:expect_header("retry-after"):expect_body("That was too often: please wait for %d+ seconds%.")
        end
      end
      assert.equal(429, status)
    end)

    it("is over when one signs out", function()
      local ada = sign_up(app(), "ada")
      send(ada, "/", "/sign-out", {}):expect(303)
      ada:get("/"):expect(303):expect_header("location", "/sign-in")
      ada:get("/sign-in"):expect_body("You are signed out%.")
      assert.is_nil(ada:get("/sign-in").body:find("signed out", 1, true)) -- said once
    end)

    it("outlives a restart, unless the secret is another one", function()
      local ada = sign_up(serve(), "ada")
      local cookie = ada:cookie("session")
      ada:close()
      local again = serve()
      again:set_cookie("session", cookie)
      again:get("/"):expect(200):expect_body("ada")
      again:close()
      local other = serve { SESSION_SECRET = ("another secret"):rep(3) }
      other:set_cookie("session", cookie)
      other:get("/"):expect(303)
    end)

    it("does not start with a secret that can be guessed", function()
      assert.matches("at least 32 bytes", select(2, pcall(serve, { SESSION_SECRET = "secret" })))
    end)
  end)

  describe("the list", function()
    it("shows what was added, the newest first, as text", function()
      local ada = sign_up(app(), "ada")
      add(ada, " one "):expect(303):expect_header("location", "/")
      add(ada, "<script>alert(1)</script>\" onclick=x"):expect(303)
      assert.same({ "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onclick=x", "one" }, texts(ada))
    end)

    it("says what is wrong with a todo, and keeps it", function()
      local ada = sign_up(app(), "ada")
      local long = ("<"):rep(201)
      local page = add(ada, long):expect(400).body
      assert.is_truthy(page:find("A todo must have at most 200 characters", 1, true))
      assert.is_truthy(page:find('value="' .. ("&lt;"):rep(201) .. '"', 1, true))
      add(ada, "  "):expect(400):expect_body("A todo must have at least 1 character<")
      add(ada, ("x"):rep(20000)):expect(413)
      add(ada, "\255"):expect(400):expect_body("A todo must be UTF%-8")
      assert.same({}, texts(ada))
    end)

    it("has room for 200", function()
      local ada = sign_up(app(), "ada")
      local path = folder() .. "/data/ada.json"
      local user = json.decode(assert(fs.read_file(path)))
      for id = 1, 200 do user.todos[id] = { id = id, text = "x", done = false } end
      assert(fs.write_file(path, json.encode(user), { atomic = true }))
      add(ada, "one more"):expect(400):expect_body("A todo is one too many: 200 are enough")
    end)

    it("ticks off, shows some, deletes, and comes back to where one was", function()
      local ada = sign_up(app(), "ada")
      for _, text in ipairs { "one", "two", "three" } do add(ada, text) end
      local tick = { done = "true" }
      send(ada, "/", "/todos/1?show=open", tick):expect(303):expect_header("location", "/?show=open")
      send(ada, "/", "/todos/1", tick):expect(303) -- said twice is done once
      assert.same({ "three", "two" }, texts(ada, "/?show=open"))
      assert.same({ "one" }, texts(ada, "/?show=done"))
      assert.same({ "three", "two", "one" }, texts(ada, "/?show=//evil.example"))
      send(ada, "/", "/todos/2/delete?show=//evil.example", {}):expect(303):expect_header("location", "/")
      send(ada, "/", "/todos/1", { done = "false" }):expect(303)
      assert.same({}, texts(ada, "/?show=done"))
      send(ada, "/", "/todos/3", tick):expect(303)
      send(ada, "/", "/todos/clear", {}):expect(303)
      assert.same({ "one" }, texts(ada))
      send(ada, "/", "/todos/1", { done = "perhaps" }):expect(400)
    end)

    it("is nobody else's", function()
      local ada, grace = sign_up(app(), "ada"), sign_up(app():another(), "grace")
      add(ada, "ada's")
      assert.same({}, texts(grace))
      send(grace, "/", "/todos/1", { done = "true" }):expect(404):expect_body("There is no such todo%.")
      send(grace, "/", "/todos/1/delete", {}):expect(404)
      assert.same({ { id = 1, text = "ada&#39;s", done = false } }, todos(ada))
    end)
  end)

  describe("requests from elsewhere", function()
    it("are refused, whatever they want to change", function()
      local ada, grace = sign_up(app(), "ada"), sign_up(app():another(), "grace")
      add(ada, "kept")
      local hers = grace:get("/").body:match('name="csrf_token" value="([^"]+)"')
      for _, path in ipairs { "/todos", "/todos/1", "/todos/1/delete", "/todos/clear", "/sign-out", "/sign-in",
        "/sign-up" } do
        local form = { text = "forged", done = "true", name = "eve", password = PASSWORD }
        ada:post(path, { form = form }):expect(403):expect_body("The form was refused")
        form.csrf_token = hers
        ada:post(path, { form = form }):expect(403)
        form.csrf_token = ada:get("/").body:match('name="csrf_token" value="([^"]+)"')
        ada:post(path, { form = form, headers = { origin = "https://evil.example" } }):expect(403)
      end
      assert.same({ { id = 1, text = "kept", done = false } }, todos(ada))
    end)

    it("cannot change anything with GET", function()
      local ada = sign_up(app(), "ada")
      for _, path in ipairs { "/todos", "/todos/1", "/todos/1/delete", "/sign-out" } do ada:get(path):expect(405) end
    end)
  end)

  describe("what browsers are told", function()
    it("is to run no script, and to show it in no frame", function()
      local policy = app():get("/sign-in"):expect(200):expect_header("x-frame-options", "DENY")
        :expect_header("x-content-type-options", "nosniff").headers["content-security-policy"]
      for _, directive in ipairs { "default-src 'none'", "style-src 'self'", "frame-ancestors 'none'",
        "form-action 'self'" } do
        assert.is_truthy(policy:find(directive, 1, true), directive)
      end
      assert.is_nil(policy:find("unsafe", 1, true))
    end)

    it("is to keep a session's cookie from scripts, and in TLS where it began there", function()
      local plain = app():get("/sign-in").cookies.session
      assert.same({ true, "lax" }, { plain.http_only, plain.same_site })
      local over_tls = { headers = { ["x-forwarded-proto"] = "https" } }
      assert.is_true(app():another():get("/sign-in", over_tls):expect(200).cookies.session.secure)
    end)

    it("is to keep files that have their hash in their address", function()
      local page = app():get("/sign-in").body
      for _, name in ipairs { "style%.css", "icon%.svg" } do
        local path = page:match('href="(/assets/' .. name .. '%?%x+)"')
        local tag = app():get(path):expect(200):expect_header("cache-control", "immutable")
          :expect_header("set-cookie", false).headers.etag
        app():get(path, { headers = { ["if-none-match"] = tag } }):expect(304)
      end
      app():get("/assets/../app.lua"):expect(404)
      app():get("/assets/..%2fapp.lua"):expect(404)
    end)
  end)

  it("has a page for what is not there", function()
    app():get("/nothing"):expect(404):expect_header("content-type", "text/html; charset=utf-8")
      :expect_body("There is nothing here")
    app():get("/nothing", { headers = { accept = "application/json" } }):expect(404)
      :expect_header("content-type", "application/problem+json")
  end)
end)
