-- SPDX-License-Identifier: MIT
--- The works that `make bench-instr` counts. Each has
--
--   name      as in the table and in figures.tsv
--   handler   a function that makes the handler or app which the server serves
--   request   what the client sends each time, one write; or a function that makes it of the head of the first response
--   first     what the client sends before, where request is a function
--   each      how many requests one write is, where it is more than one
--   requests  how many are counted, after as many that are not: about a second's worth under valgrind

local FIREFOX = table.concat({
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Accept-Language: en-US,en;q=0.5",
  "Accept-Encoding: gzip, deflate, br",
  "Cookie: session=7b1c2f0f3f9a4a5e8d6c; theme=dark; consent=yes",
  "Upgrade-Insecure-Requests: 1",
  "Sec-Fetch-Dest: document",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-Site: none",
}, "\r\n") .. "\r\n"

local function get(path, fields)
  return ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n%s\r\n"):format(path, fields or "")
end

local function hello(_, res)
  res:send("Hello, World!")
end

local function rows()
  local list = {}
  for i = 1, 100 do
    local name = i % 10 == 0 and "Tom & <Jerry> " .. i or "User number " .. i
    list[i] = { id = i, name = name, email = ("user%d@example.com"):format(i), active = i % 3 ~= 0, score = i * 1.25 }
  end
  return list
end

--- A hundred routes of three shapes, the one that is asked for among them.
local function routes()
  local app = require "luaserve.app".new()
  app:get("/users/:user/notes/:note", function(req, res)
    res:send(req.params.user .. " " .. req.params.note)
  end)
  for i = 1, 33 do
    app:get("/static/page" .. i, hello)
    app:get("/users/:user/things" .. i .. "/:thing(%d+)", hello)
    app:get("/section" .. i .. "/:id/*rest", hello)
  end
  return app
end

local function chain()
  local app = require "luaserve.app".new()
  for _ = 1, 5 do
    app:use(function(_, _, next) next() end)
  end
  return app:get("/", hello)
end

local function echo(req, res)
  res:send(assert(req:body()))
end

local function page()
  local template = require "luaserve.template".compile [[
<h1>{{ title }}</h1>
<table>
{% for _, item in ipairs(items) do %}
<tr><td>{{ item.id }}</td><td>{{ item.name }}</td><td>{{ item.email }}</td></tr>
{% end %}
</table>
]]
  local values = { title = "Users", items = rows() }
  return function(_, res)
    res:html(template(values))
  end
end

local function session()
  local app, middleware = require "luaserve.app".new(), require "luaserve.middleware"
  app:use(middleware.session { secret = ("0123456789abcdef"):rep(2) })
  return app:get("/", function(req, res)
    local visitor = req.locals.session
    if not visitor.user then visitor.user = "ada" end
    res:send(visitor.user)
  end)
end

local function small_json()
  return function(_, res)
    res:json({ id = 42, name = "Ada Lovelace", admin = true, balance = 12.5, roles = { "a", "b" } })
  end
end

local function json_rows()
  local list = rows()
  return function(_, res) res:json(list) end
end

local function file()
  return function(_, res) res:send_file("build/instr/10k") end
end

local function static()
  return require "luaserve.app".new():static("/files", "build/instr")
end

local function with_cookie(head)
  return get("/", "Cookie: " .. head:match("[Ss]et%-[Cc]ookie: ([^;\r]*)") .. "\r\n")
end

local function same(handler)
  return function() return handler end
end

local KILOBYTE = "Content-Length: 1024\r\n\r\n" .. ("0123456789abcdef"):rep(64)

return {
  { name = "plaintext", requests = 2000, request = get("/"), handler = same(hello) },
  { name = "browser", requests = 2000, request = get("/", FIREFOX), handler = same(hello) },
  { name = "pipelined", requests = 3200, each = 16, request = get("/"):rep(16), handler = same(hello) },
  { name = "json", requests = 2000, request = get("/"), handler = small_json },
  { name = "json-rows", requests = 200, request = get("/"), handler = json_rows },
  { name = "routes", requests = 1600, request = get("/users/7/notes/12"), handler = routes },
  { name = "middleware", requests = 1600, request = get("/"), handler = chain },
  { name = "echo", requests = 1600, request = "POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n" .. KILOBYTE,
    handler = same(echo) },
  { name = "file", requests = 1000, request = get("/"), handler = file },
  { name = "static", requests = 1500, request = get("/files/10k"), handler = static },
  { name = "template", requests = 200, request = get("/"), handler = page },
  { name = "session", requests = 400, first = get("/"), request = with_cookie, handler = session },
}
