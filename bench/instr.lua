-- SPDX-License-Identifier: MIT
-- instr: instructions a request, counted by callgrind, beside the figures that are stored in bench/instr.tsv.
--
--   ./luaserve bench/instr.lua show|check [work ...]   make bench-instr, bench-instr-check: these works, or all
--   ./luaserve bench/instr.lua store                   make bench-instr-store
--   ./luaserve bench/instr.lua profile work            make bench-instr-profile WORK=...: where they are spent
--
-- The environment has INSTR_PROGRAM, the path of the luaserve to measure, INSTR_VERSIONS, "name=version ..." of what it
-- is made of, and INSTR_JOBS, how many servers run at once. bench/README.md tells how this works.

local process, task = require "luaserve.process", require "luaserve.task"
local figures = require "bench.instr.figures"
local measure = require "bench.instr.measure"
local profile = require "bench.instr.profile"
local works = require "bench.instr.works"

local TOLERANCE = 3 -- percent
local SEEDS = 5
local PATIENCE = 120 -- seconds for a server that takes two: where it waits for something that never comes

local env = process.env
local program, versions = env.INSTR_PROGRAM or "./luaserve", env.INSTR_VERSIONS or ""
local jobs = tonumber(env.INSTR_JOBS) or 2

local function find_works(names)
  if #names == 0 then return works end
  local by_name, found = {}, {}
  for _, work in ipairs(works) do by_name[work.name] = work end
  for i, name in ipairs(names) do found[i] = by_name[name] or error("no work is named " .. name, 0) end
  return found
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

--- Each work with each seed, some at once: others on the machine change when it is done, and not what is counted.
-- @return medians by name
local function count_all(list)
  local queue, counts, medians = {}, {}, {}
  for _, work in ipairs(list) do
    counts[work.name] = {}
    for seed = 1, SEEDS do queue[#queue + 1] = { work = work, seed = seed } end
  end
  local group <close> = task.group()
  for _ = 1, jobs do
    group:spawn(function()
      while #queue > 0 do
        local job = table.remove(queue)
        counts[job.work.name][job.seed] = assert(task.timeout(PATIENCE, measure.count, program, job.work, job.seed))
      end
    end)
  end
  group:wait()
  for name, values in pairs(counts) do medians[name] = median(values) end
  return medians
end

local function with_commas(number)
  local text = ("%.0f"):format(number):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return text
end

--- Prints the table.
-- @return the works that take more than they may: { name =, now =, stored =, more = percent }
local function compare(list, now, stored)
  local worse = {}
  print(("%-12s %10s %10s  %10s"):format("work", "now", "stored", "difference"))
  for _, work in ipairs(list) do
    local name, before = work.name, stored.counts[work.name]
    local more = before and (now[name] / before - 1) * 100
    print(("%-12s %10s %10s  %10s"):format(name, with_commas(now[name]), before and with_commas(before) or "none",
      more and ("%+.2f %%"):format(more) or ""))
    if more and more > TOLERANCE then
      worse[#worse + 1] = { name = name, now = now[name], stored = before, more = more }
    end
  end
  if stored.versions ~= versions then
    print("Not made of the same versions, so the difference decides nothing. Here:\n  " .. versions)
    print("stored:\n  " .. stored.versions)
  end
  return worse
end

local commands = {}

function commands.show(names)
  local list = find_works(names)
  compare(list, count_all(list), figures.read())
end

function commands.check(names)
  local list, stored = find_works(names), figures.read()
  local worse = compare(list, count_all(list), stored)
  if stored.versions ~= versions then return end
  for _, work in ipairs(worse) do
    print(("FAILED: %s takes %s instructions a request, %.1f %% more than the %s that are stored."):format(
      work.name, with_commas(work.now), work.more, with_commas(work.stored)))
  end
  if #worse == 0 then return end
  print(("'make bench-instr-profile WORK=%s' tells where. If it has to be so: 'make bench-instr-store'"):format(
    worse[1].name))
  process.exit(1)
end

--- All of them: figures of several versions in one file could not be compared.
function commands.store()
  local now = count_all(works)
  compare(works, now, figures.read())
  figures.write(works, now, versions)
  print("stored in " .. figures.path)
end

function commands.profile(names)
  local work = find_works { names[1] or error("which work?", 0) }[1]
  local count, path = measure.count(program, work, 1)
  print(("%s: %s instructions a request, of these in"):format(work.name, with_commas(count)))
  for i, entry in ipairs(profile.by_function(path)) do
    if i > 50 then break end
    print(("%10.1f  %-18s %s"):format(entry.count / work.requests, entry.object, entry.name))
  end
end

local command = commands[arg[1]] or error("show, check, store or profile?", 0)
measure.prepare()
command(table.move(arg, 2, #arg, 1, {}))
