-- SPDX-License-Identifier: MIT
-- template: luaserve.template beside other ways to make a page: a table of 100 rows with three escaped values each.
--
--   LUA_PATH="/path/to/peers/?.lua;;" ./luaserve bench/template.lua [rounds]
--
-- by hand: what one writes without a library, a table of pieces and gsub for the escaping. Peers take part where
-- require finds them: etlua, resty.template (lua-resty-template), lustache. All make the same page; they run in turns
-- within each round, and a line shows the median CPU time and how many times as long as luaserve.template's that is.

local template = require "luaserve.template"

local rounds = tonumber(arg and arg[1]) or 15
local slice = 0.02 -- seconds of CPU for one measurement

local items = {}
for i = 1, 100 do
  local name = i % 10 == 0 and "Tom & <Jerry> " .. i or "User number " .. i
  items[i] = { id = i, name = name, email = ("user%d@example.com"):format(i) }
end
local values = { title = "Users", items = items }

local function page(loop, value, finish)
  local row = ("<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n"):format(value "id", value "name", value "email")
  return ("<h1>%s</h1>\n<table>\n%s%s%s</table>\n"):format(value("title", true), loop, row, finish)
end

local ways = {}

local ours = template.compile(page("{% for _, item in ipairs(items) do %}\n",
  function(name, outer) return ("{{ %s%s }}"):format(outer and "" or "item.", name) end, "{% end %}\n"))
ways[1] = { "luaserve.template", function() return ours(values) end }

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local function escape(value) return (tostring(value):gsub("[&<>\"']", entities)) end

ways[2] = { "by hand", function()
  local out, n = { "<h1>", escape(values.title), "</h1>\n<table>\n" }, 3
  for _, item in ipairs(values.items) do
    out[n + 1], out[n + 2], out[n + 3] = "<tr><td>", escape(item.id), "</td><td>"
    out[n + 4], out[n + 5], out[n + 6] = escape(item.name), "</td><td>", escape(item.email)
    out[n + 7] = "</td></tr>\n"
    n = n + 7
  end
  out[n + 1] = "</table>\n"
  return table.concat(out)
end }

local function add_peer(name, make)
  local found, module = pcall(require, name)
  if found then ways[#ways + 1] = { name, make(module) } end
end

add_peer("etlua", function(etlua)
  local made = assert(etlua.compile(page("<% for _, item in ipairs(items) do -%>\n",
    function(name, outer) return ("<%%= %s%s %%>"):format(outer and "" or "item.", name) end, "<% end -%>\n")))
  return function() return made(values) end
end)

add_peer("resty.template", function(resty)
  local made = resty.compile(page("{% for _, item in ipairs(items) do %}\n",
    function(name, outer) return ("{{%s%s}}"):format(outer and "" or "item.", name) end, "{% end %}\n"), "bench", true)
  return function() return made(values) end
end)

add_peer("lustache", function(lustache)
  local text = page("{{#items}}\n", function(name) return ("{{%s}}"):format(name) end, "{{/items}}\n")
  return function() return lustache:render(text, values) end
end)

local function measure(fn, n)
  collectgarbage()
  local start = os.clock()
  for _ = 1, n do fn() end
  return (os.clock() - start) / n * 1e6
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function same(text) return (text:gsub("&#0?39;", "'"):gsub("&#x2F;", "/"):gsub("\n+", "\n")) end

local times = {}
for i, way in ipairs(ways) do
  assert(same(way[2]()) == same(ways[1][2]()), way[1] .. " makes another page")
  times[i] = {}
  way.n = math.max(1, math.ceil(slice / (measure(way[2], 10) / 1e6)))
end
for round = 1, rounds do
  for i, way in ipairs(ways) do times[i][round] = measure(way[2], way.n) end
end
local base = median(times[1])
print(("a table of 100 rows, %d bytes"):format(#ways[1][2]()))
for i, way in ipairs(ways) do
  print(("%-20s %9.2f us  %6.2f"):format(way[1], median(times[i]), median(times[i]) / base))
end
