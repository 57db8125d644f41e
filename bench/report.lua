-- SPDX-License-Identifier: MIT
-- Makes a page of what bench/run.lua has measured, and the table of bench/README.md:
--
--   ./luaserve bench/report.lua [build/bench/results.json [build/bench/report.html [bench/README.md]]]

local fs, template = require "luaserve.fs", require "luaserve.template"
local data, svg, tables = require "report.data", require "report.svg", require "report.tables"

local RESULTS, REPORT = "build/bench/results.json", "build/bench/report.html"

local function colours_of(servers)
  local colours, count = { luaserve = 0 }, 0
  for _, server in ipairs(servers) do
    if server.name ~= "luaserve" and not server.floor then
      count = count + 1
      colours[server.name] = count
    end
  end
  return colours
end

local function list_of(words)
  if #words < 2 then return words[1] or "" end
  return table.concat(words, ", ", 1, #words - 1) .. " and " .. words[#words]
end

--- Those that are better than luaserve at a work, as words; and whether the rounds of one of them, that answers by a
-- handler as well, were all better than all of luaserve's.
local function better(work)
  local words, clearly = {}, false
  for _, row in ipairs(work.rows) do
    if row == work.own then break end
    if not (row.server.floor or row.server.build) then
      local within = row.value.high >= work.own.value.low
      local remark = row.other or within and "within the spread"
      words[#words + 1] = row.server.label .. " " .. data.formats[work.figure](row.value.median)
        .. (remark and " (" .. remark .. ")" or "")
      clearly = clearly or not within and not row.other
    end
  end
  return words, clearly
end

--- What the plots say, in words: how many works luaserve does for less than all other handlers, and where it does not.
local function judge(read)
  local verdict, compared, won, behind = { ratios = {}, losses = {} }, 0, 0, 0
  for _, work in ipairs(read.works) do
    local best = work.own and not work.curve and data.best_other(work)
    if best then
      if work.figure == "total" then verdict.ratios[#verdict.ratios + 1] = work end
      local words, clearly = better(work)
      compared = compared + 1
      won = won + (work.own.value.median <= best.value.median and 1 or 0)
      behind = behind + (clearly and 1 or 0)
      if #words > 0 then
        verdict.losses[#verdict.losses + 1] = { title = work.title,
          text = list_of(words) .. "; luaserve " .. data.formats[work.figure](work.own.value.median) }
      end
    end
  end
  verdict.sentence = ("Of %d works luaserve has the best figure of all that answer by a handler in %d, a better one is "
    .. "within the spread of its rounds in %d, and it is clearly behind in %d."):format(
    compared, won, compared - won - behind, behind)
  return verdict
end

local function panel_of(work)
  local sub = data.figures[work.figure]
  if work.connections and not work.way then sub = sub .. ", " .. work.connections .. " connections" end
  local notes = {}
  for _, row in ipairs(work.rows) do
    if row.other then notes[#notes + 1] = "* " .. row.server.label .. ": " .. row.other .. "." end
    if row.broken > 0 then
      notes[#notes + 1] = ("%s: %d requests broke off."):format(row.server.label, row.broken)
    end
  end
  if #work.lacks > 0 then notes[#notes + 1] = "Left out: " .. table.concat(work.lacks, "; ") .. "." end
  return { title = work.title, sub = sub, plot = svg.bars(work, data.formats[work.figure]),
    note = table.concat(notes, " ") }
end

local function panels_of(read)
  local panels = {}
  for _, work in ipairs(read.works) do
    if not work.curve and #work.rows > 0 then panels[#panels + 1] = panel_of(work) end
  end
  local plain = read.by_name.plaintext
  if plain then
    panels[#panels + 1] = panel_of(data.by_size(plain, "rss_idle", "Memory after the first answer"))
    panels[#panels + 1] = panel_of(data.by_size(plain, "rss_peak", "The most memory, a line of text"))
  end
  return panels
end

local function curves_of(read, colours)
  local curves = {}
  local function add(name, also, title, sub)
    local points = data.curve(read, name, also)
    if #points > 1 then
      curves[#curves + 1] = { title = title, sub = sub, plot = svg.curve(points, name, colours) }
    end
  end
  add("connections", { many = 2000, plaintext = 64 }, "More connections",
    "A line of text. With thousands of connections the opening of them is part of it. Both axes are logarithmic.")
  add("routes", { routes = 100 }, "More routes", "Each route in turn, with two parameters. Both axes are logarithmic.")
  return curves
end

local results, report, readme = table.unpack(arg)
local read = data.read(results or RESULTS)
local colours, verdict = colours_of(read.servers), judge(read)
local views = template.new { root = "bench/report" }

assert(fs.write_file(report or REPORT, views:render("page.html", {
  style = assert(fs.read_file("bench/report/style.css")), read = read, colours = colours, verdict = verdict,
  ratios = svg.ratios(verdict.ratios, colours), panels = panels_of(read), curves = curves_of(read, colours),
  calls = tables.calls(read), rows = tables.rows(read), noisy = data.noise(read),
})))
print((report or REPORT) .. (#verdict.ratios > 0 and ": " .. verdict.sentence or ""))
if readme then tables.write_into(readme, read) end
