-- SPDX-License-Identifier: MIT
-- fs.read_file: whole files, from memory or from the pool of threads.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local at, put, shell = files.at, files.put, files.shell
local call_back = waits.call_back

-- Removes the page cache's copy, so that the inline path cannot have it.
local function drop_cache(path)
  shell("dd of='%s' oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null", path)
end

describe("fs", function()
  local folder

  before_each(function() folder = files.make_folder() end)
  after_each(function() files.remove_folder() end)

  describe("read_file", function()
    it("gives the bytes, whatever they are", function()
      for _, text in ipairs({ "", "x", "a\0b\r\n\xff", ("0123456789"):rep(1000), ("x"):rep(300000) }) do
        put(at("x"), text)
        for _ = 1, 3 do
          assert.are.equal(#text, #assert(fs.read_file(at("x"))))
          assert.is_true(fs.read_file(at("x")) == text)
        end
      end
    end)

    it("reads a megabyte", function()
      local text = ("0123456789abcdef"):rep(65536)
      put(at("x"), text)
      assert.is_true(fs.read_file(at("x")) == text)
    end)

    it("reads what is no longer in memory", function()
      local text = ("y"):rep(200000)
      put(at("x"), text)
      assert.is_true(fs.read_file(at("x")) == text)
      drop_cache(at("x"))
      assert.is_true(fs.read_file(at("x")) == text)
      assert.is_true(fs.read_file(at("x")) == text)
    end)

    -- Whether other tasks run between the call and its return: only when it went to the pool.
    local function goes_to_the_pool(path)
      timer.sleep(0.001) -- a new turn of the loop
      local others_ran = false
      timer.next_tick(function()
        others_ran = true
      end)
      assert(fs.read_file(path))
      return others_ran
    end

    it("answers at once what is in memory, and leaves to the pool what is not", function()
      put(at("x"), ("y"):rep(100000))
      shell("sync '%s'", at("x")) -- what is not on the disk yet cannot be dropped
      fs.read_file(at("x")) -- learns that the file system is local
      local inline = false
      for _ = 1, 100 do -- a turn that was held up for long may not be used
        inline = inline or not goes_to_the_pool(at("x"))
      end
      if not inline then
        pending("no RWF_NOWAIT on this file system")
        return
      end
      for _ = 1, 10 do
        drop_cache(at("x"))
        assert.is_true(goes_to_the_pool(at("x")))
      end
    end)

    it("says what failed, with the path", function()
      assert.are.same({ nil, "ENOENT: no such file or directory: open '" .. at("none") .. "'", "ENOENT" }, {
        fs.read_file(at("none")),
      })
      local _, message, code = fs.read_file(folder)
      assert.are.equal("EISDIR", code)
      assert.are.equal("EISDIR: illegal operation on a directory: read '" .. folder .. "'", message)
      put(at("x"), "")
      assert.are.equal("ENOTDIR", select(3, fs.read_file(at("x/y"))))
      assert.are.equal("ENOENT", select(3, fs.read_file("")))
      assert.are.equal("ENAMETOOLONG", select(3, fs.read_file(at(("n"):rep(300)))))
    end)

    it("reads files that say they are empty", function()
      assert.matches("^Name:", assert(fs.read_file("/proc/self/status")))
    end)

    it("keeps to max_bytes", function()
      put(at("x"), ("x"):rep(100))
      for _ = 1, 3 do
        assert.are.equal(100, #fs.read_file(at("x"), { max_bytes = 100 }))
        local data, message, code = fs.read_file(at("x"), { max_bytes = 99 })
        assert.is_nil(data)
        assert.are.equal("ETOOBIG", code)
        assert.are.equal("ETOOBIG: larger than the limit: read '" .. at("x") .. "'", message)
      end
      assert.are.equal("ETOOBIG", select(3, fs.read_file("/proc/self/status", { max_bytes = 10 })))
    end)

    it("takes a callback, which runs after the call has returned", function()
      put(at("x"), "hello")
      for _ = 1, 3 do
        assert.are.same({ nil, "hello" }, { call_back(fs.read_file, at("x")) })
        assert.are.same({ nil, "hello" }, { call_back(fs.read_file, at("x"), { max_bytes = 5 }) })
      end
      drop_cache(at("x"))
      assert.are.same({ nil, "hello" }, { call_back(fs.read_file, at("x"), nil) })
      local message, code = call_back(fs.read_file, at("none"))
      assert.are.equal("ENOENT", code)
      assert.matches("open '", message, 1, true)
    end)

    it("does not call back when it was cancelled", function()
      put(at("x"), "hello")
      local called = false
      local function callback()
        called = true
      end
      local warm = fs.read_file(at("x"), callback)
      assert.is_true(warm:cancel())
      assert.is_false(warm:cancel())
      drop_cache(at("x"))
      assert.is_true(fs.read_file(at("x"), callback):cancel())
      assert.are.equal("hello", fs.read_file(at("x")))
      timer.sleep(0.01)
      assert.is_false(called)
    end)

    it("lets others run while it waits", function()
      shell("mkfifo '%s'", at("fifo"))
      local result
      local reader = task.spawn(function()
        result = fs.read_file(at("fifo"))
      end)
      timer.sleep(0.001)
      assert.is_nil(result)
      put(at("fifo"), "through") -- not by another job: there may be one thread only
      reader:join()
      assert.are.equal("through", result)
    end)

    it("can be cancelled in a task, while its job goes on", function()
      shell("mkfifo '%s'", at("fifo"))
      local closed = false
      local reader = task.spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            closed = true
          end,
        })
        fs.read_file(at("fifo"))
      end)
      timer.sleep(0.001)
      reader:cancel()
      assert.is_false((pcall(reader.join, reader)))
      assert.is_true(closed)
      local writer = io.open(at("fifo"), "r+b") -- does not wait for a reader
      writer:write("nobody wants this")
      writer:close() -- the job ends
      assert.are.equal("ENOENT", select(3, fs.read_file(at("none"))))
    end)

    it("reads many at a time", function()
      for i = 1, 20 do
        put(at(i), ("x"):rep(i * 1000))
      end
      local tasks = {}
      for i = 1, 200 do
        if i % 10 == 0 then
          drop_cache(at(i % 20 + 1))
        end
        tasks[i] = task.spawn(fs.read_file, at(i % 20 + 1))
      end
      for i = 1, 200 do
        assert.are.equal((i % 20 + 1) * 1000, #tasks[i]:join())
      end
    end)

    it("does not starve others in a loop over cached files", function()
      put(at("x"), "hello")
      local stop = false
      timer.after(0.005, function()
        stop = true
      end)
      repeat
        fs.read_file(at("x"))
      until stop
    end)

    it("raises for what the programmer did wrong", function()
      assert.has_error(function()
        fs.read_file("a\0b")
      end, "bad argument #1 to 'read_file' (a path cannot have a zero byte in it)")
      assert.has_error(function()
        fs.read_file()
      end, "bad argument #1 to 'read_file' (string expected, got no value)")
      assert.error_matches(function()
        fs.read_file("x", { max_byte = 1 })
      end, "unknown option 'max_byte' (did you mean 'max_bytes'?)", 1, true)
      assert.error_matches(function()
        fs.read_file("x", { max_bytes = 0 })
      end, "option 'max_bytes' must be from 1", 1, true)
      assert.error_matches(function()
        fs.read_file("x", nil, 1)
      end, "function expected", 1, true)
      assert.error_matches(function()
        table.sort({ 1, 2 }, function()
          fs.read_file("x")
        end)
      end, "fs.read_file cannot wait here", 1, true)
    end)
  end)
end)
