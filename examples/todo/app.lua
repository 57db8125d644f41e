-- SPDX-License-Identifier: MIT
--- A web app: whoever signs up has a list of todos. Pages from templates, forms that say what is wrong where it is
-- wrong, sessions, passwords, and a policy under which no script runs: the app does without.
--
--   ./luaserve examples/todo/app.lua [folder]       http://127.0.0.1:8080; keeps what it knows in todos/, unless given
--   ./luaserve --dev examples/todo/app.lua          templates are read again when they have changed, and errors shown
--
-- views/ has the templates, public/ what is sent as it is, store.lua the users and their todos, secret.lua the secret.

local App = require "luaserve.app"
local crypto = require "luaserve.crypto"
local http_error = require "luaserve.http_error"
local middleware = require "luaserve.middleware"
local process = require "luaserve.process"
local template = require "luaserve.template"
local validate = require "luaserve.validate"

local secret = require "secret"
local store = require "store"

local here = arg[0]:match "^(.*)/" or "."
local folder = ... or "todos"
local MOST = 200 -- todos of one user

local users = store.open(folder)

-- ---- pages ----

--- The path of a file in public/, with the hash of what is in it: so browsers may keep it for ever.
local function asset(name)
  local hash = assert(crypto.hash_file("sha256", here .. "/public/" .. name, "hex"))
  return ("/assets/%s?%s"):format(name, hash:sub(1, 12))
end

local views = template.new {
  root = here .. "/views",
  helpers = { style = asset "style.css", icon = asset "icon.svg" },
}
views:compile_all ".html" -- mistakes show now, and not to the first visitor

--- Answers with a page. Its values are also those that the layout wants: the user, a token for its forms, and what the
-- request before has left to be said.
local function show(req, res, status, name, values)
  local session = req.locals.session
  values.user, values.csrf_token, values.flash = req.locals.user, req.locals.csrf_token, session.flash
  session.flash = nil
  res:set("cache-control", "no-store") -- it is one user's, also when somebody else uses the browser's "back"
  return res:html(status, views:render(name, values))
end

--- Leads to a page, which says this once.
local function leave(req, res, path, flash)
  req.locals.session.flash = flash
  return res:redirect(303, path)
end

-- ---- accounts ----

local account = validate.object({
  name = validate.string { min = 2, max = 30, trim = true, check = function(name)
    return store.is_name(name), "may have letters from a to z, digits, - and _"
  end },
  password = validate.string { min = 10, max = 200 },
}, { unknown = "strip" })

-- Checked where there is no such user, so that the time does not tell whether there is.
local decoy = assert(crypto.password_hash(crypto.random_bytes(16)))

--- A new session, with nothing in it that was there before: whoever had a hand in that one has none in this.
local function begin_session(req, name)
  local session = req.locals.session
  session:destroy()
  session.user = name
end

--- Middleware: only for users, others are led to the door.
local function signed_in(req, res, next)
  local name = req.locals.session.user
  local user = name and users:find(name)
  if not user then return res:redirect(303, "/sign-in") end
  req.locals.user = user
  return next()
end

--- Middleware: the form, whose name is the same in small letters.
local function account_form(req, _, next)
  local form = assert(req:form())
  req.locals.form = { name = (form.name or ""):lower(), password = form.password or "" }
  return next()
end

local function show_form(page)
  return function(req, res) return show(req, res, 200, page, { name = "", errors = {} }) end
end

local function sign_up(req, res)
  local form = req.locals.form
  local valid, errors = account(form)
  if valid then
    if users:add(valid.name, assert(crypto.password_hash(valid.password))) then
      begin_session(req, valid.name)
      return leave(req, res, "/", "Welcome, " .. valid.name .. "!")
    end
    return show(req, res, 400, "sign_up.html", { name = form.name, errors = { name = "is taken: choose another one" } })
  end
  return show(req, res, 400, "sign_up.html", { name = form.name, errors = validate.by_name(errors) })
end

local function sign_in(req, res)
  local form = req.locals.form
  local user = store.is_name(form.name) and users:find(form.name) or nil
  local right = crypto.password_verify(form.password, user and user.password or decoy)
  if user and right then
    begin_session(req, user.name)
    return leave(req, res, "/")
  end
  return show(req, res, 403, "sign_in.html", { name = form.name, errors = { password = "does not fit the name" } })
end

local function sign_out(req, res)
  req.locals.session:destroy()
  return leave(req, res, "/sign-in", "You are signed out.")
end

-- ---- todos ----

local new_todo = validate.object({ text = validate.string { min = 1, max = 200, trim = true } }, { unknown = "strip" })
local tick = validate.object({ done = validate.boolean() }, { unknown = "strip" })

local filters = { all = true, open = true, done = true }

--- Which todos are looked at: a word of the query, which forms hand on, so that one comes back to where one was.
local function filter_of(req)
  return filters[req.query.show] and req.query.show or "all"
end

--- The user's todos, the newest first, as far as they are looked at, and how many are done.
local function select_todos(user, filter)
  local found, done = {}, 0
  for i = #user.todos, 1, -1 do
    local todo = user.todos[i]
    if todo.done then done = done + 1 end
    if filter == "all" or todo.done == (filter == "done") then found[#found + 1] = todo end
  end
  return found, done
end

local function show_todos(req, res, status, text, errors)
  local user, filter = req.locals.user, filter_of(req)
  local found, done = select_todos(user, filter)
  return show(req, res, status, "todos.html",
    { todos = found, total = #user.todos, done = done, filter = filter, text = text, errors = errors })
end

local function list(req, res) return show_todos(req, res, 200, "", {}) end

local function back(req, res, flash)
  local filter = filter_of(req)
  return leave(req, res, filter == "all" and "/" or "/?show=" .. filter, flash)
end

--- Calls fn(todos, user), which changes the user's todos.
local function change(req, fn)
  return users:change(req.locals.user.name, function(user) return fn(user.todos, user) end)
end

--- The place of the todo that the path names. Only the user's own are looked at.
local function find(todos, req)
  local id = tonumber(req.params.id)
  for i, todo in ipairs(todos) do
    if todo.id == id then return i end
  end
  error(http_error.new(404, "There is no such todo."))
end

local function add(req, res)
  local form = assert(req:form())
  local valid, errors = new_todo(form)
  if not valid then return show_todos(req, res, 400, form.text or "", validate.by_name(errors)) end
  local added = change(req, function(todos, user)
    if #todos >= MOST then return false end
    user.last = user.last + 1
    todos[#todos + 1] = { id = user.last, text = valid.text, done = false }
    return true
  end)
  if added then return back(req, res) end
  return show_todos(req, res, 400, form.text, { text = ("is one too many: %d are enough"):format(MOST) })
end

local function set_done(req, res)
  local form = req:validate(tick, "form")
  change(req, function(todos) todos[find(todos, req)].done = form.done end)
  return back(req, res)
end

local function delete(req, res)
  local text = change(req, function(todos) return table.remove(todos, find(todos, req)).text end)
  return back(req, res, "Deleted: " .. text)
end

local function clear(req, res)
  change(req, function(todos)
    for i = #todos, 1, -1 do
      if todos[i].done then table.remove(todos, i) end
    end
  end)
  return back(req, res)
end

-- ---- the app ----

-- A proxy on this machine tells who its clients are, and whether they came over TLS.
local app = App.new { server = { handler_timeout = 10, max_body = 16 * 1024, trust_proxy = "loopback" } }

app:use(middleware.access_log { to = "stdout" }, middleware.request_id())
app:use(middleware.error_pages {
  page = function(problem) return views:render("error.html", { problem = problem }) end,
})
app:use(middleware.security_headers {
  frame_options = "DENY",
  content_security_policy = {
    ["default-src"] = "'none'", ["style-src"] = "'self'", ["img-src"] = "'self'", ["frame-ancestors"] = "'none'",
  },
})

app:static("/assets", here .. "/public", {
  cache_control = process.development and "no-cache" or "public, max-age=31536000, immutable",
})

-- In the cookie, so that there is nothing to keep here; but who has copied one is in until it is over, also when its
-- user has signed out. Where that is too much, sessions belong in a store.
local session = middleware.session {
  secret = secret(folder .. "/secret"), persistent = true, idle_timeout = 7 * 86400, absolute_timeout = 30 * 86400,
}

local csrf = middleware.csrf { answer = function(_, _, reason)
  error(http_error.new(403, ("The form was refused: %s. Load its page again, please."):format(reason)))
end }

--- Middleware: so many requests a minute from one client.
local function limit(count)
  return middleware.rate_limit { limit = count, window = 60, answer = function(_, _, seconds)
    error(http_error.new(429, ("That was too often: please wait for %d seconds."):format(seconds)))
  end }
end

app:group("", limit(300), session, csrf, function(pages)
  local few = limit(10) -- signing up and in together: nobody guesses passwords for long
  pages:get("/sign-up", show_form "sign_up.html"):post("/sign-up", few, account_form, sign_up)
  pages:get("/sign-in", show_form "sign_in.html"):post("/sign-in", few, account_form, sign_in)
  pages:post("/sign-out", sign_out)

  pages:get("/", signed_in, list)
  pages:group("/todos", signed_in, function(todos)
    todos:post("", add):post("/clear", clear)
    todos:post("/:id(%d+)", set_done):post("/:id(%d+)/delete", delete)
  end)
end)

return app
