-- SPDX-License-Identifier: MIT
--- What pages that show an error are made of.
-- @module luaserve.core.error_page

local crypto = require "luaserve.crypto"
local html = require "luaserve.core.html"

local error_page = {}

local LINES_AROUND = 6
local SOURCE_MAX = 1 << 20 -- bytes of a file from which lines are shown
local PLACE_MAX = 1000     -- bytes of a text in which a place is looked for

--- Text for HTML, without control characters.
function error_page.escape(text)
  return (html.escape(tostring(text)):gsub("[\0-\8\11-\31\127]", "?"))
end

local escape = error_page.escape

local style = [[
body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1rem; margin-top: 2rem }
pre { background: #f5f5f5; overflow: auto; padding: 1rem; line-height: 1.4 } b { background: #fdd }
table { border-collapse: collapse } td { padding: 0.1rem 1rem 0.1rem 0; vertical-align: top; word-break: break-word }
]]

--- The Content-Security-Policy of such a page. The app's may not allow the style, and the page needs nothing else.
error_page.policy = "base-uri 'none'; default-src 'none'; form-action 'none'; frame-ancestors 'none'; "
  .. "style-src 'sha256-"
  .. crypto.hash("sha256", style, "base64") .. "'"

local head = [[<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>%s</style>
</head>
<body>
<h1>%s</h1>
]]

--- The beginning of a page, up to its heading.
function error_page.open(title)
  title = escape(title)
  return head:format(title, style, title)
end

--- The first place in a text that is in a file which can be read: the open file, its path, the line. Messages may hold
-- what a client has sent, so only their beginning is looked at, and no files but those of the pattern are opened.
local function place_in(text, pattern, find)
  for path, line in text:sub(1, PLACE_MAX):gmatch(pattern) do
    path = find and find(path) or path
    local file = io.open(path)
    if file then return file, path, tonumber(line) end
  end
  return nil
end

--- The lines around the place that the message, or else the traceback, names, as HTML; nil where none can be shown.
-- @param pattern optional: of a place, with captures of path and line; without it files of Lua are shown
-- @param find optional: a function that gives the path for one that a message names
-- @return string, path; or nil
function error_page.source_lines(message, traceback, pattern, find)
  pattern = pattern or "([^%s:'\"]+%.lua):(%d+):"
  local file, path, line = place_in(message, pattern, find)
  if not file then file, path, line = place_in(traceback, pattern, find) end
  if not file then return nil end
  local rows, number = {}, 0
  for text in (file:read(SOURCE_MAX) or ""):gmatch("([^\n]*)\n?") do
    number = number + 1
    if number > line + LINES_AROUND then break end
    if number >= line - LINES_AROUND then
      local row = ("%5d  %s"):format(number, escape(text))
      rows[#rows + 1] = number == line and "<b>" .. row .. "</b>" or row
    end
  end
  file:close()
  return ("<h2>%s:%d</h2>\n<pre>%s</pre>\n"):format(escape(path), line, table.concat(rows, "\n")), path
end

return error_page
