-- SPDX-License-Identifier: MIT
--- The documentation, as `make docs` has made it: a static site, compressed, with addresses without .html.
--
--   make docs && ./luaserve examples/docs.lua        http://127.0.0.1:8080
--   ./luaserve examples/docs.lua build/docs          another folder

local App = require "luaserve.app"
local fs = require "luaserve.fs"
local middleware = require "luaserve.middleware"

local root = arg[1] or "build/docs"

if not fs.stat(root .. "/index.html") then
  io.stderr:write(("there is no %s/index.html: 'make docs' makes it\n"):format(root))
  os.exit(1)
end

local app = App.new { server = { compress = true } }

app:use(middleware.security_headers { content_security_policy = { ["default-src"] = "'none'", ["img-src"] = "'self'",
  ["script-src"] = "'self'", ["style-src"] = "'self'" } })

--- What follows a path goes along where the client is sent on.
local function query_of(req)
  return req.url:match "%?.*" or ""
end

--- Pages have one address each: /tutorial and not /tutorial.html, / and not /index.html.
local function without_ending(req, res, next)
  local path = req.path:match "^(.*)%.html$"
  if not path then return next() end
  res:redirect_local(301, (path:gsub("/index$", "/")) .. query_of(req))
end

--- The file of such an address, unless the path says the name of a file itself.
local function page(req, res, next)
  local path = req:decoded_path():sub(2)
  if path == "" or path:find "/$" then return next() end
  if not res:send_file(path .. ".html", { root = root, max_age = 300 }) then next() end
end

local function not_found(_, res)
  res:send_file("404.html", { root = root, status = 404 })
end

app:get("/*path", without_ending, page, middleware.static { root = root, param = "path", max_age = 300 }, not_found)
app:not_found(not_found)

return app
