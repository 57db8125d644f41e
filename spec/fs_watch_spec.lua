-- SPDX-License-Identifier: MIT
-- fs.watch: what changes in folders and files.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local process = require("spec.support.process")
local timer = require("luaserve.timer")

local at = files.at

describe("fs.watch", function()
  local folder, events, watcher

  before_each(function()
    folder = files.make_folder()
    events = {}
  end)

  after_each(function()
    if watcher then
      watcher:close()
    end
    watcher = nil
    files.remove_folder()
  end)

  local function text_of(event)
    local text = event.kind
    if event.name then
      text = text .. " " .. event.name .. (event.directory and "/" or "")
    end
    return event.from and text .. " < " .. event.from or text
  end

  local function note(event)
    events[#events + 1] = text_of(event)
  end

  local function has(text)
    for _, event in ipairs(events) do
      if event == text then
        return true
      end
    end
    return false
  end

  -- Waits for an event (without end: the runner has a limit), then gives all up to now and forgets them.
  local function until_event(text)
    while not has(text) do
      timer.sleep(0.001)
    end
    local all = events
    events = {}
    return all
  end

  local function watch(path, options)
    watcher = assert(fs.watch(path, options, note))
  end

  it("tells what happens to the entries of a folder", function()
    watch(folder)
    assert(fs.write_file(at("x"), "1"))
    assert.are.same({ "create x", "change x", "written x" }, until_event("written x"))
    assert(fs.append_file(at("x"), "2"))
    assert.are.same({ "change x", "written x" }, until_event("written x"))
    assert(fs.chmod(at("x"), 384))
    assert.are.same({ "attributes x" }, until_event("attributes x"))
    assert(fs.rename(at("x"), at("y")))
    assert.are.same({ "rename y < x" }, until_event("rename y < x"))
    assert(fs.mkdir(at("d")))
    assert.are.same({ "create d/" }, until_event("create d/"))
    assert(fs.write_file(at("d/not-seen"), ""))
    assert(fs.unlink(at("y")))
    assert.are.same({ "delete y" }, until_event("delete y"))
  end)

  it("tells of what leaves the folder and what comes into it", function()
    assert(fs.mkdir(at("in")))
    assert(fs.write_file(at("outside"), ""))
    watch(at("in"))
    assert(fs.rename(at("outside"), at("in/x")))
    assert.are.same({ "create x" }, until_event("create x"))
    assert(fs.rename(at("in/x"), at("outside")))
    assert.are.same({ "delete x" }, until_event("delete x"))
  end)

  it("sees a file that is replaced, and not its neighbours", function()
    assert(fs.write_file(at("config"), "1"))
    watch(at("config"))
    assert(fs.write_file(at("other"), "1"))
    assert(fs.write_file(at("config"), "2", { atomic = true }))
    while #events == 0 do
      timer.sleep(0.001)
    end
    assert.matches("^rename config < %.luaserve%-", events[1])
    events = {}
    assert(fs.write_file(at("config"), "3"))
    until_event("written config")
    assert(fs.unlink(at("config")))
    assert.are.same({ "delete config" }, until_event("delete config"))
    assert(fs.write_file(at("config"), ""))
    assert.are.same({ "create config", "written config" }, until_event("written config"))
  end)

  describe("recursive", function()
    it("goes into folders, also those that come later", function()
      assert(fs.mkdir(at("a/b"), { recursive = true }))
      watch(folder, { recursive = true })
      assert(fs.write_file(at("a/b/x"), ""))
      assert.are.same({ "create a/b/x", "written a/b/x" }, until_event("written a/b/x"))
      assert(fs.mkdir(at("c/d/e"), { recursive = true }))
      until_event("create c/d/e/")
      assert(fs.write_file(at("c/d/e/y"), ""))
      until_event("create c/d/e/y")
    end)

    it("follows folders that are renamed and leaves those that go", function()
      assert(fs.mkdir(at("in/a/b"), { recursive = true }))
      watch(at("in"), { recursive = true })
      assert(fs.rename(at("in/a"), at("in/c")))
      assert.are.same({ "rename c/ < a" }, until_event("rename c/ < a"))
      assert(fs.write_file(at("in/c/b/x"), ""))
      assert.are.same({ "create c/b/x", "written c/b/x" }, until_event("written c/b/x"))
      assert(fs.rename(at("in/c"), at("out")))
      assert.are.same({ "delete c/" }, until_event("delete c/"))
      assert(fs.write_file(at("out/b/y"), ""))
      assert(fs.rename(at("out"), at("in/back")))
      assert.are.same({ "create back/" }, { (until_event("create back/b/y"))[1] })
      assert(fs.rm(at("in/back/b"), { recursive = true }))
      local all = until_event("delete back/b/")
      assert.are.equal("delete back/b/", all[#all])
    end)
  end)

  it("ends when the folder goes", function()
    assert(fs.mkdir(at("d")))
    watch(at("d"))
    assert(fs.rmdir(at("d")))
    assert.are.same({ "gone" }, until_event("gone"))
    while tostring(watcher) ~= "watcher (closed)" do
      timer.sleep(0.001)
    end
    assert.is_false(watcher:close())
  end)

  it("calls one after the other, and goes on after an error", function()
    local inside, most, seen = 0, 0, 0
    watcher = assert(fs.watch(folder, function(event)
      inside = inside + 1
      most = math.max(most, inside)
      timer.sleep(0.001)
      inside = inside - 1
      seen = seen + 1
      if event.name == "last" then
        note(event)
      end
    end))
    for i = 1, 20 do
      assert(fs.mkdir(at(i)))
    end
    assert(fs.mkdir(at("last")))
    until_event("create last/")
    assert.are.same({ 1, 21 }, { most, seen })
    local result = process.script([[
      local fs, timer = require("luaserve.fs"), require("luaserve.timer")
      local folder = ...
      local watcher
      watcher = fs.watch(folder, function(event)
        print(event.name)
        if event.name == "2" then watcher:close() end
        error("oops")
      end)
      fs.mkdir(folder .. "/1")
      fs.mkdir(folder .. "/2")
      fs.mkdir(folder .. "/3")
    ]], { arguments = { folder .. "/last" } })
    assert.are.same({ "1\n2\n", 0 }, { result.out, result.status })
    assert.matches("oops.*oops", result.err)
  end)

  it("says when events were lost", function()
    watch(folder)
    local file = assert(io.open("/proc/sys/fs/inotify/max_queued_events"))
    local limit = file:read("n")
    file:close()
    if limit > 32768 then
      pending("the queue is too long to be filled")
      return
    end
    for i = 1, limit + 100 do -- holds the loop up, so nothing is read meanwhile
      assert(os.rename(at(i - 1), at(i)) or i == 1 and assert(io.open(at(1), "w")):close())
      if i % 2 == 0 and i > limit // 2 + 200 then
        break
      end
    end
    until_event("overflow")
    assert(fs.mkdir(at("after")))
    until_event("create after/")
  end)

  it("keeps the program alive until it is closed or unref'ed", function()
    local result = process.script([[
      local fs, timer = require("luaserve.fs"), require("luaserve.timer")
      local folder = ...
      local unrefed = fs.watch(folder, print):unref()
      fs.watch(folder, { recursive = true }, print)
      local kept <close> = fs.watch(folder, print)
      local watcher = fs.watch(folder, function(event) print(event.kind) os.exit(0, true) end)
      watcher:unref():ref()
      timer.next_tick(fs.mkdir, folder .. "/x")
      kept:close()
      print(kept:close(), tostring(kept), unrefed ~= nil)
    ]], { arguments = { folder } })
    assert.matches("^false\twatcher %(closed%)\ttrue\n", result.out)
    assert.matches("\ncreate\n", result.out)
    assert.are.equal(0, result.status, result.err)
  end)

  it("can be closed while it looks into a new folder, and left open at the end", function()
    for _ = 1, 20 do
      watch(folder, { recursive = true })
      assert(fs.mkdir(at("a/b/c"), { recursive = true }))
      if #events == 0 then
        timer.sleep(0.001)
      end
      watcher:close()
      assert(fs.rm(at("a"), { recursive = true }))
    end
    local result = process.script([[
      local fs = require("luaserve.fs")
      local folder = ...
      fs.watch(folder, { recursive = true }, function() end)
      fs.mkdir(folder .. "/a/b/c/d", { recursive = true })
      os.exit(3, true)
    ]], { arguments = { folder }, env = "UV_THREADPOOL_SIZE=4" }) -- fewer make a warning
    assert.are.same({ 3, "" }, { result.status, result.err })
  end)

  it("fails with the path, and raises for wrong arguments", function()
    assert.are.same({ nil, "ENOENT: no such file or directory: watch '" .. at("none") .. "'", "ENOENT" }, {
      fs.watch(at("none"), note),
    })
    assert.error_matches(function()
      fs.watch(folder)
    end, "function expected", 1, true)
    assert.error_matches(function()
      fs.watch(folder, { recursiv = true }, note)
    end, "did you mean 'recursive'", 1, true)
    assert.error_matches(function()
      table.sort({ 1, 2 }, function()
        fs.watch(folder, note)
      end)
    end, "fs.watch cannot wait here", 1, true)
  end)
end)
