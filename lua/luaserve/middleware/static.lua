-- SPDX-License-Identifier: MIT
--- The files of a folder, below a prefix of the path.

local files = require "luaserve.core.files"
local http_error = require "luaserve.http_error"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.static"
local KNOWN = { "cache_control", "dotfiles", "fall_through", "index", "max_age", "param", "precompressed", "prefix",
  "root", "symlinks" }

-- What says that there is no such file for this client; other failures are the server's.
local missing = { ENOENT = true, ENOTDIR = true, EACCES = true, ELOOP = true, ENAMETOOLONG = true, EINVAL = true,
  EISDIR = true, EXDEV = true }

--- Where a folder is, with a slash behind; never on another host, as "//host" and "/\host" are.
local function folder_url(req)
  local path = req.path:gsub("^[/\\]+", ""):gsub("\\", "%%5C")
  return "/" .. path .. "/" .. (req.url:match("%?.*") or "")
end

--- What of the path is behind the prefix, beginning with a slash; nil: it is not below it.
local function below(path, prefix)
  if prefix == "" then return path end
  if path:sub(1, #prefix) ~= prefix then return nil end
  local rest = path:sub(#prefix + 1)
  return (rest == "" or rest:byte() == 47) and rest or nil
end

--- A middleware that answers GET and HEAD with files, and lets everything else go on.
-- @param options root (needed): the folder; prefix: of the paths, "/assets" (none); or param: the parameter of a route
-- that has the rest of the path, "path" of "/assets/*path"; index: the name of a file that stands for its folder
-- ("index.html"), a list of them, or false; dotfiles: false, or true: names that begin with a dot can be had;
-- fall_through: true, or false: 404 where there is no file; cache_control, max_age, precompressed, symlinks: those of
-- res:send_file
-- @usage app:use(middleware.static { root = "public", prefix = "/assets", max_age = 3600 })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local root = option(options, WHAT, "root", "string")
  if not root then error(WHAT .. ": option 'root' is needed: the folder", 2) end
  require "luaserve.core.folder".check(WHAT, root, 2)
  local param_name = option(options, WHAT, "param", "string")
  local prefix = option(options, WHAT, "prefix", "string", "")
  prefix = prefix:gsub("/+$", "")
  local index = option(options, WHAT, "index", "table|string|false", "index.html")
  if type(index) == "string" then index = { index } end
  local with_dotfiles = option(options, WHAT, "dotfiles", "boolean", false)
  local fall_through = option(options, WHAT, "fall_through", "boolean", true)
  local ok, file_options = pcall(files.prepare, {
    root = root,
    cache_control = option(options, WHAT, "cache_control", "header value"),
    max_age = option(options, WHAT, "max_age", "size"),
    precompressed = option(options, WHAT, "precompressed", "boolean", false),
    symlinks = option(options, WHAT, "symlinks", "boolean", false),
  })
  if not ok then error(WHAT .. ": " .. file_options:gsub("^res:send_file: ", ""), 2) end

  --- Whether the file was sent, or the client has left; else the code.
  local function send(res, path)
    local sent, message, code = res:send_file(path, file_options)
    if sent or code == "ECLOSED" then return true end
    if not missing[code] then error(message, 0) end
    return false, code
  end

  local function send_index(res, folder)
    for _, name in ipairs(index or {}) do
      if send(res, folder .. name) then return true end
    end
    return false
  end

  --- Whether it has been answered. Links in an index are relative to its folder, so only there it can be had.
  local function answer(req, res, path, is_folder)
    if is_folder then return send_index(res, path == "" and path or path:gsub("/*$", "/")) end
    local sent, code
    if path ~= "" then sent, code = send(res, path) end
    if sent or (path ~= "" and code ~= "EISDIR") or not index then return sent end
    res:redirect(301, folder_url(req))
    return true
  end

  return function(req, res, next)
    local method = req.method
    if method == "GET" or method == "HEAD" then
      local rest
      if param_name then rest = req.params[param_name] or "" else rest = below(req.path, prefix) end
      local path, is_folder
      if rest then path, is_folder = files.path(req, rest, not param_name, with_dotfiles) end
      if path and answer(req, res, path, is_folder) then return end
      if rest and not fall_through then error(http_error.new(404)) end
    end
    return next()
  end
end
