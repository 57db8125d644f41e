-- SPDX-License-Identifier: MIT
--- The files of a new app, in the order in which they are written. NAME stands for its name.

local files = {}

local function add(path, text)
  files[#files + 1] = { path = path, text = text }
end

add("app.lua", [==[
--- NAME: a wall of notes. `luaserve --dev app.lua` serves it.

local App = require "luaserve.app"
local crypto = require "luaserve.crypto"
local fs = require "luaserve.fs"
local middleware = require "luaserve.middleware"
local process = require "luaserve.process"
local template = require "luaserve.template"
local validate = require "luaserve.validate"

local KEPT = 50 -- notes
local LONGEST = 200 -- characters of one

--- What the cookies of sessions are sealed with: SESSION_SECRET of the environment, or else 32 random bytes that the
--- first start writes into the file "secret", which only its owner can read and git does not see.
local function load_secret()
  local secret = process.env.SESSION_SECRET or fs.read_file("secret")
  if not secret then
    secret = crypto.random_bytes(32)
    assert(fs.write_file("secret", secret, { mode = "600", exclusive = true }))
  end
  return secret
end

local views = template.new { root = "views" }
local notes = {} -- the newest first; they are gone when the program ends

local new_note = validate.object({
  text = validate.string { trim = true, min = 1, max = LONGEST },
}, { unknown = "strip" })

--- The page. form: what was typed; wrong: a sentence about each field that is not right.
local function show(req, res, status, form, wrong)
  res:html(status, views:render("home.html", {
    form = form,
    wrong = wrong,
    notes = notes,
    written = req.locals.session.written or 0,
    longest = LONGEST,
    token = req.locals.csrf_token,
  }))
end

local app = App.new()
app:use(middleware.request_id(), middleware.error_pages(), middleware.security_headers())
app:static("/static", "public")
app:use(middleware.session { secret = load_secret() }, middleware.csrf())

app:get("/", function(req, res) show(req, res, 200, {}, {}) end)

app:post("/notes", function(req, res)
  local form = assert(req:form())
  local note, errors = new_note(form)
  if not note then return show(req, res, 422, form, validate.by_name(errors)) end
  table.insert(notes, 1, note.text)
  notes[KEPT + 1] = nil
  local session = req.locals.session
  session.written = (session.written or 0) + 1
  res:redirect(303, "/")
end)

return app
]==])

add("views/layout.html", [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}NAME{% endblock %}</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main>
{% content %}
</main>
</body>
</html>
]==])

add("views/home.html", [==[
{% layout "layout.html" %}
<h1>NAME</h1>
<form method="post" action="/notes">
<input type="hidden" name="csrf_token" value="{{ token }}">
<input name="text" value="{{ form.text or "" }}" maxlength="{{ longest }}" required autofocus aria-label="A note">
<button>Post</button>
</form>
{% if wrong.text then %}
<p class="wrong" role="alert">A note {{ wrong.text }}.</p>
{% end %}
<p>You have written {{ written }} of these.</p>
<ul>
{% for _, note in ipairs(notes) do %}
<li>{{ note }}</li>
{% end %}
</ul>
]==])

add("public/style.css", [==[
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 3rem auto; max-width: 40rem; padding: 0 1rem }
form { display: flex; gap: 0.5rem }
input { flex: 1; font: inherit; padding: 0.3rem 0.5rem }
button { font: inherit; padding: 0.3rem 1rem }
.wrong { color: #b00 }
]==])

add("spec/app_spec.lua", [==[
local test = require "luaserve.test"

describe("NAME", function()
  local client = test.fixture(function() return test.client(dofile "app.lua") end)

  local function token()
    return client():get("/"):expect(200).body:match('name="csrf_token" value="([^"]+)"')
  end

  local function post(text)
    return client():post("/notes", { form = { text = text, csrf_token = token() }, follow_redirects = true })
  end

  local function wrong_of(text)
    return post(text):expect(422).body:match('<p class="wrong".->(.-)</p>')
  end

  it("shows what was written, as text", function()
    post("<b>hello</b>"):expect(200):expect_body("<li>&lt;b&gt;hello&lt;/b&gt;</li>")
  end)

  it("remembers how many notes a visitor has written", function()
    post("one")
    post("two"):expect_body("You have written 2 of these")
    client():another():get("/"):expect_body("You have written 0 of these")
  end)

  it("shows the form again with what is wrong, and what was typed", function()
    assert.equal("A note must have at least 1 character.", wrong_of(" "))
    assert.equal("A note must have at most 200 characters.", wrong_of(("x"):rep(201)))
    post(('"x"'):rep(100)):expect_body('value="' .. ("&quot;x&quot;"):rep(100) .. '"')
  end)

  it("refuses forms of other sites", function()
    client():post("/notes", { form = { text = "spam" } }):expect(403)
  end)

  it("has a style", function()
    client():get("/static/style.css"):expect(200):expect_header("content-type", "^text/css")
  end)
end)
]==])

add("README.md", [==[
# NAME

    luaserve --dev app.lua     serves http://127.0.0.1:8080, and starts anew when a Lua file changes
    luaserve test              runs the specs in spec/ (needs busted: apt-get install lua-busted)
    luaserve check app.lua     finds calls that hold up all requests (needs luacheck: apt-get install lua-check)

Run these in this folder.

- `app.lua`: the routes, and what they do
- `views/`: templates; `public/`: files that are served as they are, below `/static`
- `spec/`: what the app promises

## Deploy

Copy the folder, without `secret`, which each machine makes for itself at its first start. Several machines that serve
the same visitors share one instead: at least 32 random bytes in the environment variable `SESSION_SECRET`. A unit for
systemd, `/etc/systemd/system/NAME.service`, behind a proxy that speaks TLS; the user NAME must own the folder:

    [Service]
    WorkingDirectory=/srv/NAME
    ExecStart=/usr/local/bin/luaserve --port 8080 app.lua
    User=NAME
    Restart=on-failure

    [Install]
    WantedBy=multi-user.target
]==])

add(".gitignore", "/secret\n")

add(".luarc.json", [==[
{
  "runtime.version": "Lua 5.4",
  "diagnostics.globals": ["describe", "it", "before_each", "after_each", "setup", "teardown"]
}
]==])

return files
