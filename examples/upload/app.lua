-- SPDX-License-Identifier: MIT
--- Uploads of any size, streamed to the disk: a page with a form, a bar that the server moves while it counts what has
-- come, a hash of each file, limits of everything, and what a folder of strangers' files needs to be harmless.
--
--   ./luaserve examples/upload/app.lua [folder [most bytes of all files [most bytes of one]]]
--   curl -F file=@README.md -F file=@LICENSE http://127.0.0.1:8080/files
--   curl http://127.0.0.1:8080/files                                       the list, as JSON
--   curl -OJ http://127.0.0.1:8080/files/<sha256>/<name>
--   curl -X DELETE http://127.0.0.1:8080/files/<sha256>/<name>
--
-- The page works without JavaScript, then without the bar.

local App = require "luaserve.app"
local crypto = require "luaserve.crypto"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local middleware = require "luaserve.middleware"
local task = require "luaserve.task"
local template = require "luaserve.template"
local progress = require "progress"
local store = require "store"

local MEBIBYTE = 1 << 20
local UPLOADS_AT_ONCE = 8

local here = arg[0]:match("^(.*)/") or "."

local function bytes_argument(i, default)
  if not arg[i] then return default end
  return math.tointeger(tonumber(arg[i])) or error("bytes are an integer, not " .. arg[i], 0)
end

local limits = { max_files = 1000, max_bytes = bytes_argument(2, 1024 * MEBIBYTE) }
limits.max_file = bytes_argument(3, math.min(256 * MEBIBYTE, limits.max_bytes))

local files = store.open(arg[1] or "uploads", limits)
local running = task.semaphore(UPLOADS_AT_ONCE)

-- ---- pages ----

--- 1536 as "1.5 KiB".
local function size_text(n)
  local unit = 1
  while n >= 1024 and unit < 4 do n, unit = n / 1024, unit + 1 end
  return ("%.1f"):format(n):gsub("%.0$", "") .. " " .. ({ "bytes", "KiB", "MiB", "GiB" })[unit]
end

local function time_text(time)
  return os.date("!%Y-%m-%d %H:%M", time // 1 | 0)
end

local views = template.new { root = here .. "/views", helpers = { size_text = size_text, time_text = time_text } }

-- Each page that follows an upload holds a connection; who sends a byte a second is not to hold an upload for days.
local app = App.new { server = { max_connections = 500, min_body_rate = 1024 } }

--- All files, each with its url.
local function list_files()
  local list = json.array(files:list())
  for _, file in ipairs(list) do file.url = app:url_for("file", { hash = file.hash, name = file.name }) end
  return list
end

local function send_page(res, status, message)
  res:set("cache-control", "no-store")
  res:html(status, views:render("page.html", { files = list_files(), upload = crypto.uuid(), limits = limits,
    bytes = files.bytes, message = message or "" }))
end

--- Whether a browser asks, which shows pages.
local function wants_page(req)
  return req:accepts("json", "html") == "html"
end

-- ---- what comes in ----

--- Takes the files of a form in: a list of what has become of them.
local function receive(req)
  local upload <close> = progress.begin(req.query.upload or crypto.uuid(), tonumber(req.headers["content-length"]) or 0)
  local received = json.array()
  for part in req:multipart { max_parts = 100 } do
    if part.filename and part.filename ~= "" then
      received[#received + 1] = files:add(part.filename, part:chunks(), function(n) upload:add(n) end)
      upload:file(received[#received])
    end
  end
  if #received == 0 then error(http_error.new(422, "choose at least one file")) end
  return received
end

local function upload_files(req, res)
  if not running:try_acquire() then
    error(http_error.new(503, "too many uploads at once: try again soon", nil, { ["retry-after"] = 5 }))
  end
  task.defer(running.release, running)
  local received = receive(req)
  if wants_page(req) then return res:redirect(303, "/") end
  res:json(201, { files = received })
end

-- ---- what goes out ----

local no_such_file = http_error.new(404, "there is no such file")

local function send_list(_, res)
  res:json { files = list_files(), bytes = files.bytes, limits = limits }
end

--- A file, always to be saved, never shown: what strangers have sent is not to run as a page of this site.
local function send_file(req, res)
  local entry = files:entry(req.params.hash, req.params.name)
  if not entry then error(no_such_file) end
  local ok, message, code = res:send_file(entry, { root = files.folder, attachment = req.params.name,
    content_type = "application/octet-stream", etag = '"' .. req.params.hash .. '"' })
  if code == "ENOENT" then error(no_such_file) end
  assert(ok or code == "ECLOSED", message)
end

local function remove_file(req, res)
  if not files:remove(req.params.hash, req.params.name) then error(no_such_file) end
  if wants_page(req) then return res:redirect(303, "/") end
  res:send(204, nil)
end

-- ---- the app ----

--- Refuses what pages of other sites have a visitor's browser send, which could fill the disk from inside a network.
-- Browsers tell where a request comes from; what tells nothing is no browser, and nobody's page can make it do things.
-- (middleware.csrf asks for tokens as well, which a form with files cannot bring without a script.)
local function own_pages_only(req, _, next)
  local site, origin = req.headers["sec-fetch-site"], req.headers.origin
  local own = not site and not origin or site == "same-origin" or site == "none"
    or not site and origin == ("%s://%s"):format(req.scheme, req.host)
  if req.method ~= "GET" and req.method ~= "HEAD" and not own then
    error(http_error.new(403, "this request comes from another site"))
  end
  next()
end

app:use(middleware.security_headers(), own_pages_only)

app:on_error(function(err, req, res)
  if http_error.is(err) and wants_page(req) then send_page(res, err.status, err.message or "that went wrong") end
end)

app:get("/", function(_, res) send_page(res, 200) end)
app:static("/assets", here .. "/public", { max_age = 60 })
app:get("/progress/:upload(%x[%x-]*)", function(req, res) progress.follow(req.params.upload, req, res) end)
app:get("/files", send_list)
app:post("/files", upload_files, { body_limit = limits.max_bytes + MEBIBYTE })
app:get("/files/:hash(%x+)/:name", send_file, { name = "file" })
app:delete("/files/:hash(%x+)/:name", remove_file)
app:post("/files/:hash(%x+)/:name/remove", remove_file)

return app
