-- SPDX-License-Identifier: MIT
-- Measures luaserve beside its peers: what `make bench` runs.
--
--   ./luaserve bench/run.lua [--works "plaintext json"] [--servers "luaserve node"] [--rounds 3] [--duration 3]
--                            [--quick] [--out build/bench/results.json]
--
-- All servers of a work are started, checked and warmed up, and then take turns: a round of each, again and again, so
-- that what the machine does besides hits all of them. The report is made of the file that this writes.

local fs, json, process = require "luaserve.fs", require "luaserve.json", require "luaserve.process"
local calls, machine, proc = require "driver.calls", require "driver.machine", require "driver.proc"
local server, stats, ways, wrk =
  require "driver.server", require "driver.stats", require "driver.ways", require "driver.wrk"
local all_servers, all_works = require "servers", require "works"

local FILES = { ["1k"] = 1 << 10, ["10k"] = 10 << 10, ["100k"] = 100 << 10, ["10m"] = 10 << 20 }
local SPARE = 500 -- descriptors beside those of connections

local function whole_number(text, name)
  local number = math.tointeger(tonumber(text))
  if not number or number < 1 then error("--" .. name .. " is a whole number, not " .. tostring(text), 0) end
  return number
end

--- An empty value is none: `make bench` passes its variables as they are.
local function parse_options(words)
  local options = { rounds = 3, duration = 3, out = "build/bench/results.json" }
  local at = 1
  while words[at] do
    local name = words[at]:match("^%-%-(%l+)$")
    if name == "quick" then
      options.quick = true
    elseif name == "works" or name == "servers" or name == "out" or name == "rounds" or name == "duration" then
      at = at + 1
      local value = words[at] ~= "" and words[at]
      if value and (name == "rounds" or name == "duration") then value = whole_number(value, name) end
      options[name] = value or options[name]
    else
      error("unknown option " .. words[at], 0)
    end
    at = at + 1
  end
  return options
end

--- Those of a list whose names are among the words; all of them without words.
local function choose(list, words, what)
  if not words then return list end
  local chosen, wanted = {}, {}
  for word in words:gmatch("%S+") do wanted[word] = true end
  for _, item in ipairs(list) do
    if wanted[item.name] or wanted[item.curve] then
      chosen[#chosen + 1] = item
      wanted[item.name] = nil
    end
  end
  for _, item in ipairs(chosen) do wanted[item.curve or item.name] = nil end
  assert(next(wanted) == nil, "no " .. what .. " is called " .. tostring(next(wanted)))
  return chosen
end

local function of_quick(list)
  local chosen = {}
  for _, work in ipairs(list) do
    if work.quick then chosen[#chosen + 1] = work end
  end
  return chosen
end

local function make_files()
  assert(fs.mkdir("build/bench/files", { recursive = true }))
  for name, size in pairs(FILES) do
    assert(fs.write_file("build/bench/files/" .. name, (("line of a file\n"):rep(size // 15 + 1)):sub(1, size)))
  end
end

local function have(servers)
  local found = {}
  for _, peer in ipairs(servers) do
    peer.told = peer.version and machine.version(peer) or peer.floor and fs.access(peer.command()[1], "x") and ""
    if peer.told then
      found[#found + 1] = peer
    else
      print(peer.label .. " is not there (make bench installs or builds it): left out")
    end
  end
  return found
end

--- With more connections longer: wrk needs seconds to open thousands of them.
local function seconds_of(work, options)
  return options.duration + work.connections // 1500
end

--- What a work takes for one server: seconds, roughly, for the plan.
local function cost(work, options)
  if work.way == "start" then return 0.6 + options.rounds * 3 * 0.2 end
  if work.way == "memory" then return 1 + options.rounds * 4 end
  local warm = (work.load or work.way == "mixed") and 1.3 or 0
  local counting = work.calls and not options.quick and 2.2 or 0
  return 0.5 + warm + options.rounds * (seconds_of(work, options) + 0.2) + counting
end

local function plan(works, servers, options)
  local jobs, total = {}, 0
  for _, work in ipairs(works) do
    local job = { work = work, servers = {}, lacks = {} }
    for _, peer in ipairs(servers) do
      local reason = peer.lacks[work.kind]
      if reason then job.lacks[peer.name] = reason else job.servers[#job.servers + 1] = peer end
    end
    job.cost = cost(work, options) * #job.servers
    total = total + job.cost
    jobs[#jobs + 1] = job
  end
  return jobs, total
end

local progress = { left = 0 }

local function show(work, peer, what)
  print(("%3d min %02d s left   %-18s %-26s %s"):format(
    progress.left // 60, progress.left % 60 // 1, work.name, peer.label, what))
end

--- One round of wrk: its figures, and the CPU time of a request in microseconds. nil and why where no answer came.
local function measure_load(running, work, seconds)
  local user, system = proc.cpu(running.pid)
  local figures = assert(wrk.run(running.url .. work.path, work.load, work.connections, seconds))
  local user_after, system_after = proc.cpu(running.pid)
  if figures.requests == 0 then return nil, "it answered nothing within " .. seconds .. " s" end
  assert(figures.wrong == 0, running.peer.label .. " gave " .. figures.wrong .. " wrong answers under load")
  if work.batched then figures.p50, figures.p99, figures.p999, figures.most = nil, nil, nil, nil end
  figures.user = (user_after - user) / figures.requests * 1e6
  figures.system = (system_after - system) / figures.requests * 1e6
  return figures
end

local function add_totals(figures, message)
  if figures and figures.user then
    figures.total = figures.user + figures.system
    figures.rate = figures.requests / figures.seconds
  end
  return figures, message
end

local function describe(figures)
  if figures.took then return ("%.1f ms"):format(figures.took / 1e3) end
  if figures.each then return ("%.0f bytes a connection"):format(figures.each) end
  local broken = figures.broken and figures.broken + figures.refused + figures.timeouts or 0
  local p99 = figures.p99 and (", p99 %.2f ms"):format(figures.p99 / 1e3) or ""
  return ("%8.2f us CPU (%.2f user), %7.0f requests/s%s%s"):format(
    figures.total, figures.user, figures.rate, p99, broken > 0 and (", %d broken"):format(broken) or "")
end

local function measure(running, work, options)
  if work.load then return add_totals(measure_load(running, work, seconds_of(work, options))) end
  return add_totals(ways[work.way](running, work, options.duration))
end

local function warm_up(running, work)
  if work.load then
    assert(wrk.run(running.url .. work.path, work.load, math.min(work.connections, 512), 1))
  elseif work.way == "mixed" then
    ways.mixed(running, work, 1)
  end
end

local function start(job, results)
  local started = {}
  for at, peer in ipairs(job.servers) do
    local running = server.start(peer, job.work.kind, job.work.argument)
    running:check(job.work)
    results[peer.name] = { rounds = json.array(), rss_idle = (proc.memory(running.pid)),
      other = peer.other[job.work.kind] }
    warm_up(running, job.work)
    started[at] = running
  end
  return started
end

--- One round of one server. One that has answered nothing gets no other.
local function measure_round(job, running, result, which, options)
  if result.lacks then return end
  local figures, message = measure(running, job.work, options)
  if figures then
    result.rounds[#result.rounds + 1] = figures
  else
    result.lacks = message
  end
  show(job.work, running.peer, which .. "  " .. (figures and describe(figures) or message))
end

local function measure_rounds(job, started, results, options)
  local rounds = options.rounds * (job.work.way == "start" and 3 or 1)
  local each = job.cost / #started / rounds
  for round = 1, rounds do
    for _, running in ipairs(started) do
      progress.left = math.max(0, progress.left - each)
      measure_round(job, running, results[running.peer.name], round .. "/" .. rounds, options)
    end
  end
end

local function run(job, options)
  local results = {}
  machine.pin(job.work.way == "start" and "0,1" or "1")
  local started = start(job, results)
  measure_rounds(job, started, results, options)
  for _, running in ipairs(started) do
    local result = results[running.peer.name]
    result.rss_peak = select(2, proc.memory(running.pid))
    if job.work.calls and not options.quick then result.calls = calls.count(running, job.work) end
    running:stop()
  end
  for name, reason in pairs(job.lacks) do results[name] = { lacks = reason } end
  return results
end

--- Six digits are more than anything here is good for.
local function rounded(value)
  if math.type(value) == "float" then return tonumber(("%.6g"):format(value)) end
  if type(value) == "table" then
    for key, inner in pairs(value) do value[key] = rounded(inner) end
  end
  return value
end

local function save(path, jobs, servers, options, machine_now)
  local out = { machine = machine_now, date = os.date("!%Y-%m-%d"), rounds = options.rounds,
    duration = options.duration, servers = json.array(), works = json.array(), results = json.object() }
  for i, peer in ipairs(servers) do
    out.servers[i] = { name = peer.name, label = peer.label, version = peer.told, floor = peer.floor or false,
      build = peer.build or false }
  end
  for _, job in ipairs(jobs) do
    local work = job.work
    if job.results then
      out.works[#out.works + 1] = { name = work.name, title = work.title, connections = work.connections,
        way = work.way, curve = work.curve, at = work.at, figure = work.figure or "total" }
      out.results[work.name] = rounded(job.results)
    end
  end
  assert(fs.write_file(path, json.encode(out, { indent = true, sort_keys = true }) .. "\n", { atomic = true }))
end

--- Where luaserve is not the best of those that somebody would use.
local function tell_losses(jobs)
  for _, job in ipairs(jobs) do
    local figure = job.work.figure or "total"
    local own = job.results.luaserve and stats.of(job.results.luaserve.rounds or {}, figure)
    for _, peer in ipairs(own and job.servers or {}) do
      local other = stats.of(job.results[peer.name].rounds, figure)
      if not (peer.floor or peer.build) and other and other.median < own.median then
        local remark = peer.other[job.work.kind]
        print(("%s: %s %.2f, luaserve %.2f%s"):format(
          job.work.title, peer.label, other.median, own.median, remark and " (" .. remark .. ")" or ""))
      end
    end
  end
end

local function main()
  local options = parse_options(table.pack(table.unpack(arg)))
  local works = choose(all_works, options.works, "work")
  if options.quick and not options.works then works = of_quick(works) end
  process.on_exit(server.end_all)
  make_files()
  local servers = have(choose(all_servers, options.servers, "server"))
  local room = machine.descriptors() - SPARE
  local jobs, total = plan(works, servers, options)
  local now = machine.describe()
  assert(now.cores >= 2, "one core for the server and one for the load are needed")
  progress.left = total
  print(("%d works, %d servers, %d rounds of %d s: about %d minutes"):format(
    #works, #servers, options.rounds, options.duration, math.ceil(total / 60)))
  for _, job in ipairs(jobs) do
    local needed = job.work.way == "memory" and 10000 or job.work.connections
    if needed <= room then
      local left = progress.left - job.cost
      job.results = run(job, options)
      progress.left = left
      save(options.out, jobs, servers, options, now)
    else
      print(("%s needs %d descriptors, and there may be %d (ulimit -n): left out"):format(job.work.name, needed, room))
      job.results, job.servers = {}, {}
    end
  end
  tell_losses(jobs)
end

main()
