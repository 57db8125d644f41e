-- SPDX-License-Identifier: MIT
-- The tables of the report, and the one of bench/README.md.

local fs = require "luaserve.fs"
local data = require "report.data"

local tables = {}

local BEGIN, FINISH = "<!-- figures: made by bench/report.lua -->\n", "<!-- end of figures -->"
local NAMES = 5 -- of system calls

local function class_of(row, first)
  local words = {}
  if first then words[#words + 1] = "first" end
  if row.server.name == "luaserve" then words[#words + 1] = "own" end
  return #words > 0 and ' class="' .. table.concat(words, " ") .. '"' or ""
end

local function median(summary, format)
  return summary and format(summary.median) or ""
end

--- Each work and server: CPU time (or what else counts), its spread, user time, requests, latencies, memory.
function tables.rows(read)
  local rows = {}
  for _, work in ipairs(read.works) do
    local format = data.formats[work.figure]
    for i, row in ipairs(work.rows) do
      rows[#rows + 1] = {
        title = i == 1 and work.title or "", class = class_of(row, i == 1),
        label = row.server.label .. (row.other and " *" or "")
          .. (row.broken > 0 and (" (%d broken)"):format(row.broken) or ""),
        median(row.value, format), format(row.value.low) .. " – " .. format(row.value.high),
        median(row.user, data.time), median(row.rate, data.rate),
        median(row.p50, data.time), median(row.p99, data.time), median(row.p999, data.time),
        data.bytes(row.rss and row.rss.median or row.rss_idle),
        row.with and data.bytes(row.with.median) or row.rss_peak and not row.took and data.bytes(row.rss_peak) or "",
      }
    end
  end
  return rows
end

local function names_of(calls)
  local names = {}
  for name, count in pairs(calls.names) do names[#names + 1] = { name = name, count = count } end
  table.sort(names, function(a, b) return a.count > b.count or a.count == b.count and a.name < b.name end)
  local shown = {}
  for i = 1, math.min(#names, NAMES) do shown[i] = ("%s %.2f"):format(names[i].name, names[i].count) end
  return table.concat(shown, ", ") .. (#names > NAMES and ", ..." or "")
end

function tables.calls(read)
  local rows = {}
  for _, work in ipairs(read.works) do
    local first = true
    for _, row in ipairs(work.rows) do
      if row.calls then
        rows[#rows + 1] = { title = first and work.title or "", class = class_of(row, first), label = row.server.label,
          all = ("%.2f"):format(row.calls.all), names = names_of(row.calls) }
        first = false
      end
    end
  end
  return rows
end

local function markdown(read)
  local header, rule = { "" }, { "---" }
  local servers = {}
  for _, server in ipairs(read.servers) do
    servers[#servers + 1] = server
    header[#header + 1], rule[#rule + 1] = server.label, "---"
  end
  local lines = { "| " .. table.concat(header, " | ") .. " |", "|" .. table.concat(rule, "|") .. "|" }
  for _, work in ipairs(read.works) do
    local cells, by_name = { work.title }, {}
    for _, row in ipairs(work.rows) do by_name[row.server.name] = row end
    for _, server in ipairs(servers) do
      local row = by_name[server.name]
      cells[#cells + 1] = row and data.formats[work.figure](row.value.median) .. (row.other and " *" or "") or ""
    end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Puts the table between the two marks of a Markdown file.
function tables.write_into(path, read)
  local text = assert(fs.read_file(path))
  local _, from = text:find(BEGIN, 1, true)
  local to = assert(from and text:find(FINISH, from, true), path .. " has no place for the figures")
  local about = ("%s, %s, %s; %s, %d rounds of %d s, medians. %s\n\n"):format(read.machine.cpu,
    read.machine.system, read.machine.kernel, read.date, read.rounds, read.duration, data.noise(read) or "")
  text = text:sub(1, from) .. "\n" .. about .. markdown(read) .. "\n" .. text:sub(to)
  assert(fs.write_file(path, text, { atomic = true }))
end

return tables
