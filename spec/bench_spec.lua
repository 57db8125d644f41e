-- SPDX-License-Identifier: MIT
-- The measuring of bench/: what it reads of /proc, wrk and strace, what it makes of it, and a small real run.

local fs, json, process = require "luaserve.fs", require "luaserve.json", require "luaserve.process"
local waits = require "spec.support.waits"

package.path = "bench/?.lua;" .. package.path
local calls, proc, stats, wrk =
  require "driver.calls", require "driver.proc", require "driver.stats", require "driver.wrk"
local data, svg = require "report.data", require "report.svg"

local luaserve = os.getenv("LUASERVE") or "./luaserve"

describe("bench", function()
  describe("proc", function()
    it("reads the times of a process whose name has blanks and brackets", function()
      local user, system = proc.parse_stat("7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 31 5 6 20 0 4 0 100 1 2")
      assert.equal(250, user)
      assert.equal(31, system)
    end)

    it("reads what is resident, and the most that was", function()
      local rss, peak = proc.parse_status("Name:\tx\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\n")
      assert.equal(2048 * 1024, rss)
      assert.equal(4096 * 1024, peak)
    end)

    it("adds up a process and all that it has started", function()
      local child <close> = assert(process.spawn("sh", { "-c", "sleep 60 & sleep 60 & echo started; wait" },
        { stdout = "pipe", group = true }))
      assert.equal("started", child.stdout:read_until("\n"))
      local tree = proc.tree(child.pid)
      assert.equal(3, #tree)
      assert.equal(child.pid, tree[1])
      local one, all = proc.memory(tree[2]), proc.memory(child.pid)
      assert.is_true(one > 0 and all > one)
      child:kill_group("SIGKILL")
      child:wait()
      assert.equal(0, (proc.memory(child.pid)))
    end)

    it("sees the time that a process takes", function()
      local before = proc.cpu(process.pid)
      local finish = process.cpu().user + 0.05
      while process.cpu().user < finish do end -- luacheck: ignore
      assert.is_true(proc.cpu(process.pid) - before >= 0.03)
    end)
  end)

  it("takes the median, and of an even number the mean of the middle two", function()
    assert.same({ median = 3, low = 1, high = 5 }, stats.summary { 5, 1, 3 })
    assert.same({ median = 2.5, low = 1, high = 9 }, stats.summary { 9, 2, 3, 1 })
    assert.is_nil(stats.summary {})
    assert.same({ median = 7, low = 7, high = 7 }, stats.of({ { x = 7 }, { y = 1 } }, "x"))
    assert.equal(99, stats.quantile({ 1, 99, 100 }, 0.5))
    assert.equal(100, stats.quantile({ 1, 99, 100 }, 0.99))
  end)

  it("reads the figures that wrk's script prints, and nothing else", function()
    assert.same({ requests = 10, p50 = 1.5 }, wrk.parse('Running 1s test\nfigures {"requests":10,"p50":1.5}\nTransfer'))
    local figures, message = wrk.parse("unable to connect")
    assert.is_nil(figures)
    assert.equal("wrk gave no figures: unable to connect", message)
  end)

  it("reads the counts of strace, with and without errors", function()
    assert.same({ read = 200, write = 100, epoll_wait = 3 }, calls.parse [[
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           3       200       100 read
 40.00    0.000400           4       100           write
  0.00    0.000000           0         3           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           3       303       100 total
]])
  end)

  describe("a bar plot", function()
    local function row(name, value)
      return { server = { name = name, label = "<" .. name .. ">" },
        value = { median = value, low = value, high = value } }
    end

    it("escapes names, names the values, and cuts what would make the rest vanish", function()
      local own = row("luaserve", 2)
      local rows = { own, row("other", 4), row("slow", 2000) }
      local plot = svg.bars({ title = "a & b", own = own, rows = rows }, data.time)
      assert.truthy(plot:find("a &amp; b", 1, true))
      assert.truthy(plot:find("&lt;other&gt;", 1, true))
      assert.truthy(plot:find("2.00×", 1, true))
      assert.truthy(plot:find("2.00 ms", 1, true))
      assert.equal(1, select(2, plot:gsub('class="cut"', "")))
    end)
  end)

  describe("a run", function()
    local folder
    setup(function() folder = assert(fs.mkdtemp("/tmp/luaserve-bench-")) end)
    teardown(function() assert(fs.rm(folder, { recursive = true })) end)

    local function arguments(...)
      return { "bench/run.lua", "--servers", "luaserve", "--rounds", "1", "--out", folder .. "/results.json", ... }
    end

    it("measures luaserve, and a page comes of it", function()
      local words = arguments("--works", "json start", "--duration", "1")
      local run = assert(process.run(luaserve, words, { timeout = 60 }))
      assert.equal("", run.stderr)
      assert.equal(0, run.status)
      local results = json.decode(assert(fs.read_file(folder .. "/results.json")))
      local round = results.results.json.luaserve.rounds[1]
      assert.is_true(round.requests > 0 and round.p99 >= round.p50 and round.p50 > 0)
      assert.equal(0, round.wrong)
      assert.is_true(round.total > 0 and math.abs(round.user + round.system - round.total) < 1e-3 * round.total)
      assert.is_true(results.results.start.luaserve.rounds[3].took > 0)

      local page = folder .. "/report.html"
      assert.equal(0, assert(process.run(luaserve, { "bench/report.lua", folder .. "/results.json", page })).status)
      local html = assert(fs.read_file(page))
      assert.truthy(html:find("JSON: a small object", 1, true))
      assert.truthy(html:find(data.time(round.total), 1, true))
      assert.falsy(html:find("{{", 1, true))
    end)

    it("names what it does not know", function()
      local cases = {
        ["no work is called nosuch"] = { "--works", "nosuch" },
        ["unknown option --nosuch"] = { "--nosuch" },
        ["--duration is a whole number, not 0"] = { "--duration", "0" },
      }
      for message, words in pairs(cases) do
        local run = assert(process.run(luaserve, arguments(table.unpack(words))))
        assert.equal(1, run.status)
        assert.truthy(run.stderr:find(message, 1, true), run.stderr)
      end
    end)

    it("ends all that it has started when it is interrupted", function()
      local child <close> = assert(process.spawn(luaserve, arguments("--works", "json", "--duration", "60"),
        { stdout = "null", stderr = "null" }))
      local tree
      waits.eventually(function() -- the server and, once that has been checked, wrk
        tree = proc.tree(child.pid)
        return #tree == 3
      end)
      child:kill("SIGINT")
      assert.equal(130, (child:wait()))
      for _, pid in ipairs(tree) do
        waits.eventually(function() return not process.kill(pid, 0) end)
      end
    end)
  end)
end)
