-- SPDX-License-Identifier: MIT
-- fs.open: files that stay open, and their lines and chunks.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local at, get, octal, put, shell = files.at, files.get, files.octal, files.put, files.shell
local call_back = waits.call_back

describe("fs", function()
  local folder

  before_each(function() folder = files.make_folder() end)
  after_each(function() files.remove_folder() end)

  describe("open", function()
    it("takes the modes of io.open", function()
      assert.are.equal("ENOENT", select(3, fs.open(at("x"))))
      assert.are.equal("ENOENT", select(3, fs.open(at("x"), "r+")))
      local function written(mode, text)
        local file = assert(fs.open(at("x"), mode))
        assert.is_true(file:write(text))
        assert.is_true(file:close())
        return get(at("x"))
      end
      assert.are.equal("hello", written("w", "hello"))
      assert.are.equal("HEllo", written("r+", "HE"))
      assert.are.equal("HEllo!", written("a", "!"))
      assert.are.equal("HEllo!?", written("a+b", "?"))
      assert.are.equal("new", written("w+", "new"))
      assert.are.equal("EEXIST", select(3, fs.open(at("x"), "wx")))
      assert.is_true(fs.unlink(at("x")))
      assert.are.equal("made", written("w+x", "made"))
      for _, mode in ipairs({ "", "x", "rx", "rw", "r++w", "W", "r+q" }) do
        assert.has_error(function()
          fs.open(at("x"), mode)
        end, "bad argument #2 to 'open' (a mode is r, w or a, then maybe + (and x after w))")
      end
      local _, file = call_back(fs.open, at("x"))
      assert.are.equal("made", file:read())
      file:close()
      _, file = call_back(fs.open, at("x"), "r+")
      file:close()
    end)

    it("reads pieces, then nil", function()
      put(at("x"), "0123456789")
      local file <close> = assert(fs.open(at("x")))
      assert.are.equal("0123", file:read(4))
      assert.are.equal("456789", file:read(100))
      assert.is_nil(file:read())
      assert.is_nil((file:read(1)))
      assert.are.equal("", file:read("a"))
      assert.are.same({ nil, nil }, { call_back(file.read, file) })
      local big <close> = assert(fs.open("/dev/zero"))
      assert.are.equal(65536, #big:read())
      assert.are.equal(3000000, #big:read(3000000))
      assert.has_error(function()
        file:read(0)
      end)
    end)

    it("reads all that is left", function()
      local text = ("0123456789abcdef"):rep(65536)
      put(at("x"), text)
      local file <close> = assert(fs.open(at("x")))
      assert.are.equal("0123456789", file:read(10))
      assert.is_true(file:read("a") == text:sub(11))
    end)

    it("reads and writes at offsets", function()
      local file <close> = assert(fs.open(at("x"), "w+"))
      assert.is_true(file:pwrite("world", 6))
      assert.is_true(file:pwrite("hello", 0))
      assert.are.equal("hello\0world", file:pread(100, 0))
      assert.are.equal("world", file:pread(5, 6))
      assert.are.equal("", file:pread(0, 0))
      assert.is_nil(file:pread(5, 11))
      assert.are.equal("hello\0world", file:read("a"))
      assert.are.equal(11, file:stat().size)
      assert.is_true(file:truncate(3))
      assert.is_true(file:sync())
      assert.are.equal("hel", file:pread(100, 0))
      assert.has_error(function()
        file:pread(1, -1)
      end, "bad argument #2 to 'pread' (must not be negative)")
      assert.are.same({ nil, "hel" }, { call_back(file.pread, file, 10, 0) })
    end)

    it("fails with the path", function()
      put(at("x"), "")
      local file <close> = assert(fs.open(at("x")))
      local _, message, code = file:write("data")
      assert.are.same({ "EBADF: bad file descriptor: write '" .. at("x") .. "'", "EBADF" }, { message, code })
      local here <close> = assert(fs.open(folder))
      assert.are.equal("EISDIR", select(3, here:read()))
      assert.error_matches(function()
        for _ in here:lines() do
          error("not reached")
        end
      end, "EISDIR: illegal operation on a directory: read '" .. folder .. "'", 1, true)
      assert.error_matches(function()
        for _ in here:chunks() do
          error("not reached")
        end
      end, "EISDIR", 1, true)
    end)

    it("changes the attributes of an open file", function()
      local file <close> = assert(fs.open(at("x"), "w"))
      assert.is_true(file:chmod(octal("640")))
      assert.is_true(file:chown(-1, -1))
      assert.is_true(file:utime(5, 7.5))
      assert.is_true(file:datasync())
      local st = file:stat()
      assert.are.same({ octal("640"), 5.0, 7.5 }, { st.mode, st.accessed, st.modified })
      assert.are.same({ nil, true }, { call_back(file.utime, file, nil, nil) })
      assert.is_true(file:stat().modified > 1e9)
    end)

    it("runs the operations of one handle in their order", function()
      local file = assert(fs.open(at("x"), "w"))
      local tasks = {}
      for i = 1, 50 do
        tasks[i] = task.spawn(file.write, file, i .. "\n")
      end
      timer.sleep(0.001)
      for i = 1, 50 do
        assert.is_true(tasks[i]:join())
      end
      local order = {}
      for i = 1, 5 do
        file:write("x", function()
          order[#order + 1] = i
        end)
      end
      assert.is_true(file:close())
      assert.are.same({ 1, 2, 3, 4, 5 }, order)
      local expected = {}
      for i = 1, 50 do
        expected[i] = i .. "\n"
      end
      assert.are.equal(table.concat(expected) .. "xxxxx", get(at("x")))
    end)

    it("starts none before the one before it has ended", function()
      shell("mkfifo '%s'", at("fifo"))
      local file = assert(fs.open(at("fifo"), "r+"))
      local reading = task.spawn(file.read, file)
      local writing = task.spawn(file.write, file, "second")
      timer.sleep(0.005)
      put(at("fifo"), "first")
      assert.are.equal("first", reading:join())
      assert.is_true(writing:join())
      assert.are.equal("second", file:read())
      file:close()
    end)

    it("goes on after a cancelled operation", function()
      shell("mkfifo '%s'", at("fifo"))
      local file = assert(fs.open(at("fifo"), "r+"))
      local first = task.spawn(file.read, file)
      local second = task.spawn(file.read, file)
      local found
      local third = task.spawn(function()
        found = file:read()
      end)
      timer.sleep(0.001)
      second:cancel() -- waits for the first
      first:cancel() -- is in the middle of it, and takes what comes next
      timer.sleep(0.001)
      put(at("fifo"), "lost")
      for _ = 1, 1000 do
        put(at("fifo"), "found")
        timer.sleep(0.001)
        if found then
          break
        end
      end
      third:join()
      assert.matches("found", found)
      file:close()
    end)

    it("closes once, and says so", function()
      put(at("x"), "")
      local file = assert(fs.open(at("x")))
      assert.are.equal("file '" .. at("x") .. "' (open)", tostring(file))
      assert.is_true(file:close())
      assert.are.equal("file '" .. at("x") .. "' (closed)", tostring(file))
      assert.is_true(file:close())
      for _, method in ipairs({ "read", "write", "stat", "lines", "chunks", "sync" }) do
        assert.has_error(function()
          file[method](file, method == "write" and "x" or nil)
        end, "the file '" .. at("x") .. "' is closed")
      end
    end)

    it("gives the descriptor back, however a handle ends", function()
      put(at("x"), ("line\n"):rep(10))
      local function count()
        local n = 0
        for _, entry in ipairs(fs.readdir("/proc/self/fd")) do
          if fs.readlink("/proc/self/fd/" .. entry) == fs.realpath(at("x")) then
            n = n + 1
          end
        end
        return n
      end
      local function await_none()
        for _ = 1, 1000 do
          if count() == 0 then
            return true
          end
          timer.sleep(0.001)
        end
      end
      do
        local file <close> = assert(fs.open(at("x")))
        assert.are.equal(1, count())
        assert.are.equal("line", file:lines()())
      end
      assert.is_true(await_none())
      for _ = 1, 10 do
        assert(fs.open(at("x")))
      end
      collectgarbage()
      collectgarbage()
      assert.is_true(await_none())
      for _ = 1, 20 do
        local opening = task.spawn(fs.open, at("x"))
        timer.next_tick(opening.cancel, opening)
        pcall(opening.join, opening)
        fs.open(at("x"), function() end):cancel()
      end
      collectgarbage()
      assert.is_true(await_none())
    end)
  end)

  describe("lines and chunks", function()
    local function lines_of(text)
      put(at("x"), text)
      local file <close> = assert(fs.open(at("x")))
      local lines = {}
      for line in file:lines() do
        lines[#lines + 1] = line
      end
      return lines
    end

    it("cut at newlines, wherever they are", function()
      assert.are.same({}, lines_of(""))
      assert.are.same({ "" }, lines_of("\n"))
      assert.are.same({ "", "" }, lines_of("\n\n"))
      assert.are.same({ "a" }, lines_of("a"))
      assert.are.same({ "a\r", "b\r", "\0c" }, lines_of("a\r\nb\r\n\0c"))
      local long = ("x"):rep(65535)
      assert.is_true(lines_of(long .. "\ny")[1] == long)
      assert.is_true(lines_of(long .. "x\ny\n")[1] == long .. "x")
      assert.are.same({ "y" }, { select(2, table.unpack(lines_of(long .. "x\ny\n"))) })
      local longest = ("z"):rep(300000)
      local lines = lines_of("first\n" .. longest .. "\nlast")
      assert.are.same({ 3, "first", "last" }, { #lines, lines[1], lines[3] })
      assert.is_true(lines[2] == longest)
    end)

    it("go over many lines", function()
      local expected = {}
      for i = 1, 50000 do
        expected[i] = "line number " .. i
      end
      local lines = lines_of(table.concat(expected, "\n"))
      assert.are.equal(50000, #lines)
      assert.is_true(table.concat(lines, "\n") == table.concat(expected, "\n"))
    end)

    it("leave the position where read and write find it", function()
      put(at("x"), "one\ntwo\nthree\nfour\n")
      local file <close> = assert(fs.open(at("x"), "r+"))
      local next_line = file:lines()
      assert.are.equal("one", next_line())
      assert.are.equal("two\n", file:read(4))
      assert.is_true(file:write("THREE"))
      assert.are.equal("\nfour\n", file:read("a"))
      assert.is_nil(next_line())
      assert.are.equal("one\ntwo\nTHREE\nfour\n", get(at("x")))
    end)

    it("wait for a pipe's next line", function()
      shell("mkfifo '%s'", at("fifo"))
      local got = {}
      local reader = task.spawn(function()
        local file <close> = assert(fs.open(at("fifo")))
        for line in file:lines() do
          got[#got + 1] = line
        end
      end)
      timer.sleep(0.001) -- the reader's open has a thread, which may be the only one: so this end is not a job
      local writer = assert(io.open(at("fifo"), "wb"))
      writer:setvbuf("no")
      for _, part in ipairs({ "on", "e\ntw", "o\n", "three" }) do
        assert(writer:write(part))
        timer.sleep(0.001)
      end
      writer:close()
      reader:join()
      assert.are.same({ "one", "two", "three" }, got)
    end)

    it("work inside a coroutine of the user's own", function()
      put(at("x"), "a\nb\n")
      local file <close> = assert(fs.open(at("x")))
      local generator = coroutine.wrap(function()
        for line in file:lines() do
          coroutine.yield(line:upper())
        end
      end)
      assert.are.same({ "A", "B" }, { generator(), generator() })
    end)

    it("refuse lines that are too long", function()
      put(at("x"), "1234\n12345\nlast")
      local file <close> = assert(fs.open(at("x")))
      local next_line = file:lines({ max_bytes = 4 })
      assert.are.equal("1234", next_line())
      for _ = 1, 2 do
        assert.has_error(next_line, "ETOOBIG: a line is longer than max_bytes (4): read '" .. at("x") .. "'")
      end
      assert.are.equal("12345", file:lines({ max_bytes = 5 })())
      put(at("y"), ("x"):rep((1 << 20) + 1))
      local long <close> = assert(fs.open(at("y")))
      assert.has_error(long:lines(), "ETOOBIG: a line is longer than max_bytes (1048576): read '" .. at("y") .. "'")
      assert.are.equal((1 << 20) + 1, #long:lines({ max_bytes = 1 << 21 })())
      assert.error_matches(function()
        file:lines({ max_byte = 1 })
      end, "did you mean 'max_bytes'", 1, true)
    end)

    it("give chunks of a size", function()
      put(at("x"), ("x"):rep(150000))
      local file <close> = assert(fs.open(at("x")))
      local sizes = {}
      for chunk in file:chunks(60000) do
        sizes[#sizes + 1] = #chunk
      end
      assert.are.same({ 60000, 60000, 30000 }, sizes)
      assert.has_error(function()
        file:chunks(0)
      end, "bad argument #1 to 'chunks' (a count of bytes is 1 or more)")
    end)
  end)
end)
