-- SPDX-License-Identifier: MIT
--- A folder, to be looked at in a browser: breadcrumbs, sizes, times, order by column, pages of large folders, texts
-- and pictures shown, files sent in ranges or to be saved. It only reads, and only what is below its folder.
--
--   ./luaserve examples/browse/app.lua [folder] [all]       http://127.0.0.1:8080; all: also what begins with a dot
--   curl -r 0-99 http://127.0.0.1:8080/README.md            a range
--   curl -OJ 'http://127.0.0.1:8080/README.md?download=1'   under its name
--
-- A path is looked at twice: as it was asked for, and as what it leads to. So links may lead around below the folder,
-- not out of it, nor to what is hidden. (Who can change the folder while it is read can move things between the two
-- looks; res:send_file has the kernel look once more.)

local App = require "luaserve.app"
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local middleware = require "luaserve.middleware"
local template = require "luaserve.template"

local ROWS = 100            -- a page
local MOST_SORTED = 5000    -- entries; larger folders are ordered by name, which needs no look at each
local PREVIEW = 64 * 1024   -- bytes of a text

local with_hidden = arg[2] == "all"
local root = assert(fs.realpath(arg[1] or "."))
assert(fs.stat(root).type == "directory", root .. " is no folder")

local app = App.new()

-- ---- paths ----

--- The path below the root of what an absolute one leads to: "" for the root itself; nil where it is not below it.
local function below_root(absolute)
  local prefix = root == "/" and root or root .. "/"
  if absolute == root then return "" end
  return absolute:sub(1, #prefix) == prefix and absolute:sub(#prefix + 1) or nil
end

local function absolute_of(path)
  return path == "" and root or (root == "/" and "" or root) .. "/" .. path
end

--- Whether all names of a path can be had: no way up, nothing hidden.
local function is_open(path)
  for name in path:gmatch("[^/]+") do
    if name == "." or name == ".." or not with_hidden and name:sub(1, 1) == "." then return false end
  end
  return not path:find("\0", 1, true)
end

--- What a path leads to: its path below the root, without links, and its attributes; nil: nothing that can be had.
local function resolve(path)
  local absolute = is_open(path) and fs.realpath(absolute_of(path))
  local real = absolute and below_root(absolute)
  local stat = real and is_open(real) and fs.stat(absolute)
  if stat and (stat.type == "file" or stat.type == "directory") then return real, stat end
end

-- ---- words ----

--- A name as a page can show it: what is no text, or would move the text around it, is a replacement character.
local function shown(name)
  if not utf8.len(name) then name = name:gsub("[\x80-\xff]", "\u{fffd}") end
  name = name:gsub("%c", "\u{fffd}"):gsub("\xc2[\x80-\x9f]", "\u{fffd}")
  return (name:gsub("\xe2\x80[\x8b-\x8f\xa8-\xae]", "\u{fffd}"):gsub("\xe2\x81[\xa6-\xa9]", "\u{fffd}"))
end

local function size_text(n)
  local unit = 1
  while n >= 1024 and unit < 5 do n, unit = n / 1024, unit + 1 end
  return ("%.1f"):format(n):gsub("%.0$", "") .. " " .. ({ "bytes", "KiB", "MiB", "GiB", "TiB" })[unit]
end

local function time_text(time)
  return os.date("!%Y-%m-%d %H:%M", time // 1 | 0)
end

local KINDS = {
  image = "avif gif ico jpeg jpg png svg webp",
  media = "avi flac m4a mkv mov mp3 mp4 ogg opus wav webm",
  archive = "7z bz2 deb gz jar rar tar tgz xz zip zst",
  document = "csv doc docx epub htm html md odt pdf ps rtf tex txt xls xlsx",
  code = "c cc cpp css go h hpp java js json lua mk py rb rs sh sql toml ts xml yaml yml",
}
local kind_of = {}
for kind, extensions in pairs(KINDS) do
  for extension in extensions:gmatch("%S+") do kind_of[extension] = kind end
end

--- The kind of a file, and the word that stands for it.
local function describe(name, type)
  if type == "directory" then return "folder", "dir" end
  local extension = name:match("^.+%.(%w+)$")
  extension = extension and #extension <= 4 and extension:lower() or "file"
  return kind_of[extension] or "other", extension
end

-- ---- pages ----

local views = template.new {
  root = (arg[0]:match("^(.*)/") or ".") .. "/views",
  helpers = { shown = shown, size_text = size_text, time_text = time_text },
}

local function url_of(path, query)
  return app:url_for("entry", { path = path }, query)
end

local function join(path, name)
  return path == "" and name or path .. "/" .. name
end

--- Answers with a page about a path.
local function send_page(req, res, view, path, values)
  local crumbs, at = { { name = root:match("[^/]+$") or "/", url = url_of "" } }, ""
  for name in path:gmatch("[^/]+") do
    at = join(at, name)
    crumbs[#crumbs + 1] = { name = name, url = url_of(at) }
  end
  values.crumbs, values.nonce = crumbs, req.locals.csp_nonce
  res:set("cache-control", "no-cache")
  res:html(views:render(view, values))
end

-- ---- folders ----

--- value, or the answer to what the system says instead.
local function must(value, message, code)
  if code == "EACCES" then error(http_error.new(403, "this cannot be read")) end
  return assert(value, message)
end

local wanted = { file = true, directory = true, link = true }

--- The entries of a folder that can be had, folders first, by name: as readdir has them.
local function entries_of(real)
  local folders, others = {}, {}
  for _, entry in ipairs(must(fs.readdir(absolute_of(real), { types = true }))) do
    local list = entry.type == "directory" and folders or others
    if wanted[entry.type] and is_open(entry.name) then list[#list + 1] = entry end
  end
  return table.move(others, 1, #others, #folders + 1, folders)
end

--- The attributes of what an entry is or leads to.
local function stat_of(real, entry)
  local path = join(real, entry.name)
  if entry.type == "link" then return select(2, resolve(path)) end
  return (fs.lstat(absolute_of(path)))
end

--- Adds size and time; drops what is gone, and links that lead nowhere.
local function look_at(entries, real, first, last)
  local found = {}
  for i = first, last do
    local entry = entries[i]
    local stat = stat_of(real, entry)
    if stat then
      entry.type, entry.time = stat.type, stat.modified
      entry.size = stat.type == "file" and stat.size or nil
      found[#found + 1] = entry
    end
  end
  return found
end

--- Orders by size or time; folders stay first.
local function sort(entries, key)
  table.sort(entries, function(a, b)
    local a_folder, b_folder = a.type == "directory", b.type == "directory"
    if a_folder ~= b_folder then return a_folder end
    local x, y = a[key] or 0, b[key] or 0
    if x == y then return a.name < b.name end
    return x < y
  end)
end

local function reverse(list)
  for i = 1, #list // 2 do list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i] end
end

local COLUMNS = { { key = "name", title = "Name", class = "" }, { key = "size", title = "Size", class = "number" },
  { key = "time", title = "Modified (UTC)", class = "time" } }

local function columns_of(path, key, descending)
  local columns = {}
  for i, column in ipairs(COLUMNS) do
    local sorted = column.key == key
    columns[i] = { title = column.title, class = column.class,
      sorted = sorted and (descending and "descending" or "ascending") or nil,
      url = url_of(path, { sort = column.key, order = sorted and not descending and "descending" or nil }) }
  end
  return columns
end

local function row_of(path, entry)
  local at = join(path, entry.name)
  local kind, word = describe(entry.name, entry.type)
  local is_file = entry.type == "file"
  return { name = entry.name, kind = kind, word = word, size = entry.size, time = entry.time,
    url = url_of(at, is_file and { view = "1" } or nil), save = is_file and url_of(at, { download = "1" }) or nil }
end

local function send_folder(req, res, path, real)
  local entries = entries_of(real)
  local key, descending, note = req.query.sort, req.query.order == "descending", ""
  if key ~= "size" and key ~= "time" then key = "name" end
  if key ~= "name" and #entries > MOST_SORTED then key, note = "name", ", too many to be ordered otherwise" end
  if key ~= "name" then
    entries = look_at(entries, real, 1, #entries)
    sort(entries, key)
  end
  if descending then reverse(entries) end

  local pages = math.max(1, (#entries + ROWS - 1) // ROWS)
  local page = math.tointeger(tonumber(req.query.page)) or 1
  page = math.max(1, math.min(page, pages))
  local first, last = (page - 1) * ROWS + 1, math.min(page * ROWS, #entries)
  local rows = key == "name" and look_at(entries, real, first, last) or table.move(entries, first, last, 1, {})
  for i, entry in ipairs(rows) do rows[i] = row_of(path, entry) end

  local function page_url(n)
    if n < 1 or n > pages then return nil end
    return url_of(path, { sort = key, order = descending and "descending" or nil, page = tostring(n) })
  end
  send_page(req, res, "folder.html", path, { columns = columns_of(path, key, descending), rows = rows, count = #entries,
    note = note, page = page, pages = pages, before = page_url(page - 1), after = page_url(page + 1),
    parent = path ~= "" and url_of(path:match("^(.*)/") or "") or nil })
end

-- ---- files ----

--- The beginning of a file, and whether there is more; nil: it is no text.
local function read_text(real)
  local file <close> = must(fs.open(absolute_of(real)))
  local text = file:read(PREVIEW + 1) or ""
  local cut = #text > PREVIEW
  text = text:sub(1, PREVIEW)
  local length, bad = utf8.len(text)
  if cut and not length and bad > #text - 3 then -- a character that was cut in two
    text, length = text:sub(1, bad - 1), true
  end
  if not length or text:find("[\0-\8\14-\26\28-\31]") then return nil end
  return text, cut
end

local function send_preview(req, res, path, real, stat)
  local picture = describe(real, "file") == "image"
  local text, cut
  if not picture then text, cut = read_text(real) end
  send_page(req, res, "file.html", path, { name = path:match("[^/]+$"), size = stat.size, time = stat.modified,
    text = text, cut = cut, picture = picture, raw = url_of(path), save = url_of(path, { download = "1" }) })
end

--- The file as it is. It may be a page, and is then not to do what pages of this site can: see all the other files.
local function send_file(req, res, real)
  res:set("content-security-policy", "sandbox; default-src 'self'; script-src 'none'")
  local ok, message, code = res:send_file(real, { root = root, attachment = req.query.download ~= nil, max_age = 0 })
  if not ok and code ~= "ECLOSED" then error(code == "EIO" and message or http_error.new(404)) end
end

-- ---- the app ----

app:use(middleware.security_headers { nonce = true }, middleware.error_pages())

app:get("/*path", function(req, res)
  local path = req.params.path:gsub("/+$", "")
  local real, stat = resolve(path)
  if not real then error(http_error.new(404, "there is nothing here")) end
  if stat.type == "directory" then return send_folder(req, res, path, real) end
  if req.query.view then return send_preview(req, res, path, real, stat) end
  send_file(req, res, real)
end, { name = "entry" })

return app
