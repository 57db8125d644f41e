-- SPDX-License-Identifier: MIT
--- A line for each request, when all of it is over, also where it failed, timed out or its client left; and for what
-- the server refused before it was anybody's.

local json = require "luaserve.json"
local line_writer = require "luaserve.core.line_writer"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"
local process = require "luaserve.process"

local WHAT = "middleware.access_log"
local KNOWN = { "format", "mode", "query", "queue", "skip", "to" }

local CLIENT_LEFT = 499 -- the status of a request whose client has left before there was an answer

local hrtime = process.hrtime
local byte, find, format, gsub = string.byte, string.find, string.format, string.gsub

-- ---- escaping ----

local function escape_byte(char) return format("\\x%02x", byte(char)) end

--- text for a field in quotes: nothing in it can end the field or the line, or command a terminal. "-": there is none.
local function quoted(text)
  if not text or text == "" then return '"-"' end
  if find(text, '[^\x20-\x7e]') or find(text, '[\\"]') then
    text = gsub(gsub(text, '[\\"]', "\\%0"), "[^\x20-\x7e]", escape_byte)
  end
  return '"' .. text .. '"'
end

--- text as one word.
local function word(text)
  if not text or text == "" then return "-" end
  return (gsub(text, '[%s%c"\\\x7f-\xff]', escape_byte))
end

--- text for JSON, which can say everything but bytes that are no UTF-8.
local function utf8_text(text)
  if text and not utf8.len(text) then text = gsub(text, "[\x80-\xff]", escape_byte) end
  return text
end

-- ---- formats ----

local stamp_second, stamp

local function common_time(now)
  if now ~= stamp_second then stamp_second, stamp = now, os.date("%d/%b/%Y:%H:%M:%S %z", now) end
  return stamp
end

local iso_second, iso

local function iso_time(now)
  if now ~= iso_second then iso_second, iso = now, os.date("!%Y-%m-%dT%H:%M:%SZ", now) end
  return iso
end

local formats = {}

--- The request line. Of a request that was refused it is what came of one.
local function line_of(entry)
  return entry.line or entry.method .. " " .. entry.url .. " HTTP/" .. entry.version
end

--- The combined log format of Apache, with the seconds it took and the request's name behind.
function formats.combined(entry)
  return format('%s - %s [%s] %s %d %d %s %s %.3f %s\n', word(entry.address), word(entry.user), common_time(entry.time),
    quoted(line_of(entry)), entry.status, entry.bytes,
    quoted(entry.referrer), quoted(entry.agent), entry.duration, quoted(entry.request_id))
end

local said_by_others = { "agent", "host", "line", "method", "referrer", "request_id", "url", "user" }
local sorted = { sort_keys = true }

--- One object of JSON a line.
function formats.json(entry)
  entry.time = iso_time(entry.time)
  for _, name in ipairs(said_by_others) do entry[name] = utf8_text(entry[name]) end
  return json.encode(entry, sorted) .. "\n"
end

-- ---- the middleware ----

local function name_of(user)
  if type(user) == "table" then user = user.name or user.id end
  return user ~= nil and tostring(user) or nil
end

local function without_query(url)
  return url:match "^[^?]*"
end

local function entry_of(req, res, start, with_query)
  local headers, locals, url = req.headers, req.locals, req.url
  return {
    address = req.remote_address,
    agent = headers["user-agent"],
    bytes = res.bytes_written,
    complete = res.finished,
    duration = (hrtime() - start) // 1000 / 1e6,
    host = req.host,
    method = req.method,
    referrer = headers.referer,
    request_id = locals.request_id,
    status = res.headers_sent and res.status or CLIENT_LEFT,
    time = os.time(),
    url = with_query and url or without_query(url),
    user = name_of(locals.user),
    version = req.version,
  }
end

--- The entry of a request that the server itself has answered. What is not known of it is an empty text.
local function entry_of_refusal(refusal, with_query)
  local line, url = refusal.line or "", refusal.url or ""
  return {
    address = refusal.remote_address,
    bytes = refusal.bytes_written,
    complete = true,
    duration = 0,
    line = with_query and line or line:gsub("%?[^ ]*", ""),
    method = refusal.method or "",
    refused = refusal.reason,
    status = refusal.status,
    time = refusal.time,
    url = with_query and url or without_query(url),
    version = refusal.version or "",
  }
end

--- A middleware that logs requests, and those that the server refuses. Put it first. It is an object that can be
-- called; its function on_refuse is the option of that name for http.create_server, which an app takes by itself.
-- @param options to: "stderr", "stdout", the path of a file, or a function (line, entry) that does what it likes with
-- them; format: "combined", "json", or a function (entry) that gives the line; query: true, or false: URLs are logged
-- without their queries, which may hold secrets; queue: lines that may wait (10000), those beyond are dropped and
-- counted; skip: a function (req, res) that says which requests are not logged; mode: permissions of a new file (0640)
-- @usage app:use(middleware.access_log { to = "/var/log/app/access.log" })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local to = option(options, WHAT, "to", "string|function", "stderr")
  local format_of = option(options, WHAT, "format", "string|function", "combined")
  local with_query = option(options, WHAT, "query", "boolean", true)
  local queue = option(options, WHAT, "queue", "count", 10000)
  local skip = option(options, WHAT, "skip", "function")
  local mode = option(options, WHAT, "mode", "size", tonumber("640", 8))
  if type(format_of) == "string" then
    format_of = formats[format_of] or
      error(("%s: there is no format '%s': there are combined, json and functions"):format(WHAT, format_of), 2)
  end
  local writer = type(to) == "string" and line_writer.new(to, queue, mode)

  local function write(entry)
    local line = format_of(entry)
    if writer then writer:put(line) else to(line, entry) end
  end

  --- Called by the server, or the app that it serves.
  local function on_refuse(refusal)
    if writer and refusal.missed > 0 then writer:miss(refusal.missed) end
    write(entry_of_refusal(refusal, with_query))
  end

  local function log(_, req, res, next)
    local start = hrtime()
    req:on_end(function()
      if not (skip and skip(req, res)) then write(entry_of(req, res, start, with_query)) end
    end)
    return next()
  end

  return setmetatable({ on_refuse = on_refuse }, { __call = log })
end
