-- SPDX-License-Identifier: MIT
--- The page that stands where a program could not be started. It loads itself again when a file has changed: it has a
-- stream of events open, which ends with this program, and by the time the browser asks again the next one serves.

local development = require "luaserve.core.development"
local error_page = require "luaserve.core.error_page"

-- Any file that is named with a line, also "...", with which Lua abbreviates long paths; templates too.
local PLACE = "([^%s:'\"`]+%.%w+):(%d+):"

local script = [[
<script>
const source = new EventSource("/");
source.onerror = () => {
  source.close();
  location.replace(location.pathname + location.search);
};
</script>
]]

--- Lua shows the end of a long path only: the file that is meant is one of those that were loaded.
local function find(path)
  local ending = path:match("^%.%.%.(.+)$")
  for _, source in ipairs(ending and development.sources() or {}) do
    if source:sub(-#ending) == ending then return source end
  end
end

local function page_of(message, traceback, lines)
  local parts = { error_page.open("The program could not be started"), "<pre>", error_page.escape(message), "</pre>\n",
    lines or "" }
  if traceback ~= "" then
    parts[#parts + 1] = "<h2>Traceback</h2>\n<pre>" .. error_page.escape(traceback) .. "</pre>\n"
  end
  parts[#parts + 1] = "<p>This page loads itself again when a file of the program has changed.</p>\n"
  parts[#parts + 1] = script
  parts[#parts + 1] = "</body>\n</html>\n"
  return table.concat(parts)
end

local function accepts(req, kind)
  return (req.headers.accept or ""):lower():find(kind, 1, true) ~= nil
end

--- The handler.
return function()
  local failure = development.failure()
  local message, traceback = failure:match("^(.-)\nstack traceback:\n(.*)$")
  message, traceback = message or failure, (traceback or ""):gsub("\t", "  ")
  local lines, path = error_page.source_lines(message, traceback, PLACE, find)
  if path then development.watch(path) end
  local page = page_of(message, traceback, lines)
  return function(req, res)
    res:set("cache-control", "no-store")
    if accepts(req, "text/event-stream") then
      res:later():events()
    elseif accepts(req, "text/html") then
      res:html(500, page)
    else
      res:send(500, failure .. "\n")
    end
  end
end
