-- SPDX-License-Identifier: MIT
-- The results of bench/run.lua as what is shown: medians and spreads for each work and server.

local fs, json = require "luaserve.fs", require "luaserve.json"
local stats = require "driver.stats"

local data = {}

local FIELDS = { "total", "user", "system", "rate", "p50", "p99", "p999", "took", "each", "rss", "with" }

--- Microseconds for people.
function data.time(us)
  if us < 10 then return ("%.2f µs"):format(us) end
  if us < 100 then return ("%.1f µs"):format(us) end
  if us < 1000 then return ("%.0f µs"):format(us) end
  if us < 10000 then return ("%.2f ms"):format(us / 1e3) end
  if us < 100000 then return ("%.1f ms"):format(us / 1e3) end
  return ("%.0f ms"):format(us / 1e3)
end

function data.bytes(n)
  if n < 10000 then return ("%.0f B"):format(n) end
  if n < 1 << 20 then return ("%.1f KiB"):format(n / 1024) end
  return ("%.1f MiB"):format(n / (1 << 20))
end

function data.rate(n)
  if n < 1000 then return ("%.0f"):format(n) end
  if n < 10000 then return ("%.1fk"):format(n / 1e3) end
  return ("%.0fk"):format(n / 1e3)
end

--- How a figure is shown, by its name.
data.formats = { total = data.time, p99 = data.time, took = data.time, each = data.bytes, rss_idle = data.bytes,
  rss_peak = data.bytes }
data.figures = { total = "CPU time of a request", p99 = "p99 of the other requests", took = "time",
  each = "resident memory of a connection", rss_idle = "resident memory", rss_peak = "resident memory" }

local function row_of(server, result)
  local row = { server = server, other = result.other, rss_idle = result.rss_idle, rss_peak = result.rss_peak,
    calls = type(result.calls) == "table" and result.calls or nil, broken = 0 }
  for _, field in ipairs(FIELDS) do row[field] = stats.of(result.rounds, field) end
  for _, round in ipairs(result.rounds) do
    row.broken = row.broken + (round.broken or 0) + (round.refused or 0) + (round.timeouts or 0)
  end
  return row
end

--- One work: rows of those who have it, the best first, and sentences on those who have not.
local function work_of(results, work)
  local shown = { name = work.name, title = work.title, figure = work.figure, curve = work.curve, at = work.at,
    connections = work.connections, way = work.way, rows = {}, lacks = {} }
  for _, server in ipairs(results.servers) do
    local result = results.results[work.name][server.name]
    if result and result.rounds and #result.rounds > 0 then
      local row = row_of(server, result)
      row.value = row[work.figure]
      if row.value then
        shown.rows[#shown.rows + 1] = row
        if server.name == "luaserve" then shown.own = row end
      end
    elseif result and not (server.floor or server.build) then
      shown.lacks[#shown.lacks + 1] = server.label .. ": " .. result.lacks
    end
  end
  table.sort(shown.rows, function(a, b) return a.value.median < b.value.median end)
  return shown
end

--- The same servers by one of their sizes in bytes, `rss_idle` or `rss_peak`, which has no spread.
function data.by_size(work, field, title)
  local shown = { title = title, figure = field, rows = {}, lacks = {} }
  for i, row in ipairs(work.rows) do
    local bytes = row[field]
    shown.rows[i] = { server = row.server, broken = 0, value = { median = bytes, low = bytes, high = bytes } }
    if row == work.own then shown.own = shown.rows[i] end
  end
  table.sort(shown.rows, function(a, b) return a.value.median < b.value.median end)
  return shown
end

--- The best of those that answer by a handler, as luaserve does, and are not luaserve.
function data.best_other(work)
  for _, row in ipairs(work.rows) do
    if row ~= work.own and not (row.server.floor or row.server.build or row.other) then return row end
  end
end

--- Reads the file: `servers`, `works` in order, `by_name`, and what the file says of the machine and the run.
function data.read(path)
  local results = assert(json.decode(assert(fs.read_file(path))))
  local read = { servers = results.servers, works = {}, by_name = {}, machine = results.machine, date = results.date,
    rounds = results.rounds, duration = results.duration }
  for i, work in ipairs(results.works) do
    read.works[i] = work_of(results, work)
    read.by_name[work.name] = read.works[i]
  end
  return read
end

--- What to say of a run that was short, or on a machine that did other things too: it must not look like a careful one.
function data.noise(read)
  if read.rounds >= 3 and read.duration >= 3 and (read.machine.load or 0) < 0.7 then return nil end
  return ("Not a careful run: %d rounds of %d s, and the load of the machine was %.1f when it began. The ratios "
    .. "are rough."):format(read.rounds, read.duration, read.machine.load or 0)
end

--- The works of one curve by what they vary, with the work that lies on it but has a row of its own.
function data.curve(read, name, also)
  local points = {}
  for _, work in ipairs(read.works) do
    local at = work.curve == name and work.at or also[work.name]
    if at then points[#points + 1] = { at = at, work = work } end
  end
  table.sort(points, function(a, b) return a.at < b.at end)
  return points
end

return data
