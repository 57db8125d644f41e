-- SPDX-License-Identifier: MIT
-- fs: files and folders, without holding up the loop.

local fs = require("luaserve.fs")
local process = require("spec.support.process")
local task = require("luaserve.task")
local timer = require("luaserve.timer")

local function octal(text)
  return tonumber(text, 8)
end

-- Blocking writes and reads, so that the tests do not rest on what they test.
local function put(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function get(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function shell(format, ...)
  assert(os.execute(string.format(format, ...)))
end

-- Starts fn(..., callback) and waits for the callback: gives what it got.
local function call_back(fn, ...)
  local arguments = table.pack(...)
  local results, returned
  local waiter
  arguments[arguments.n + 1] = function(...)
    assert(returned, "the callback was called before the call had returned")
    results = table.pack(...)
  end
  waiter = fn(table.unpack(arguments, 1, arguments.n + 1))
  returned = true
  assert.is_userdata(waiter)
  while not results do
    timer.sleep(0.001)
  end
  return table.unpack(results, 1, results.n)
end

-- Removes the page cache's copy, so that the inline path cannot have it.
local function drop_cache(path)
  shell("dd of='%s' oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null", path)
end

describe("fs", function()
  local folder

  before_each(function()
    folder = assert(fs.mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/luaserve-fs-"))
  end)

  after_each(function()
    shell("chmod -R u+rwx '%s' && rm -rf '%s'", folder, folder)
  end)

  local function at(name)
    return folder .. "/" .. name
  end

  local function names()
    return assert(fs.readdir(folder))
  end

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

  describe("write_file", function()
    it("makes and replaces files", function()
      for _, text in ipairs({ ("long"):rep(300000), "", "a\0b\r\n", "x" }) do
        assert.is_true(fs.write_file(at("x"), text))
        assert.is_true(get(at("x")) == text)
      end
      assert.are.same({ nil, true }, { call_back(fs.write_file, at("x"), "called") })
      assert.are.same({ nil, true }, { call_back(fs.write_file, at("y"), "called", { sync = true }) })
      assert.are.equal("calledcalled", get(at("x")) .. get(at("y")))
    end)

    it("keeps the data alive that nobody else does", function()
      local done = 0
      for i = 1, 8 do
        fs.write_file(at(i), string.char(64 + i):rep(1 << 20), function(message)
          assert(not message, message)
          done = done + 1
        end)
      end
      collectgarbage()
      while done < 8 do
        timer.sleep(0.001)
      end
      for i = 1, 8 do
        assert.is_true(get(at(i)) == string.char(64 + i):rep(1 << 20))
      end
    end)

    it("lets the data go", function()
      collectgarbage()
      local before = collectgarbage("count")
      for i = 1, 20 do
        fs.write_file(at("x"), tostring(i):rep(1 << 20))
      end
      collectgarbage()
      assert.is_true(collectgarbage("count") - before < 1024)
    end)

    it("sets the permission bits of a new file", function()
      fs.write_file(at("x"), "", { mode = octal("600") })
      assert.are.equal(octal("600"), fs.stat(at("x")).mode)
      fs.write_file(at("x"), "", { mode = octal("640") })
      assert.are.equal(octal("600"), fs.stat(at("x")).mode)
    end)

    it("can refuse to replace", function()
      assert.is_true(fs.write_file(at("x"), "1", { exclusive = true }))
      local done, message, code = fs.write_file(at("x"), "2", { exclusive = true })
      assert.is_nil(done)
      assert.are.equal("EEXIST", code)
      assert.are.equal("EEXIST: file already exists: open '" .. at("x") .. "'", message)
      assert.are.equal("EEXIST", select(3, fs.write_file(at("x"), "2", { exclusive = true, atomic = true })))
      assert.are.equal("1", get(at("x")))
      assert.is_true(fs.write_file(at("y"), "2", { exclusive = true, atomic = true }))
      assert.are.equal("2", get(at("y")))
      assert.are.same({ "x", "y" }, names())
    end)

    it("replaces atomically and keeps permissions", function()
      put(at("x"), "old")
      shell("chmod 640 '%s'", at("x"))
      local old = io.open(at("x"))
      assert.is_true(fs.write_file(at("x"), "new", { atomic = true }))
      assert.are.equal("new", get(at("x")))
      assert.are.equal("old", old:read("a"))
      old:close()
      assert.are.equal(octal("640"), fs.stat(at("x")).mode)
      assert.is_true(fs.write_file(at("x"), "new", { atomic = true, mode = octal("600") }))
      assert.are.equal(octal("600"), fs.stat(at("x")).mode)
      assert.is_true(fs.write_file(at(("n"):rep(255)), "long name", { atomic = true }))
      assert.are.same({ ("n"):rep(255), "x" }, names())
    end)

    it("leaves nothing behind when an atomic write fails", function()
      shell("mkdir '%s'", at("x"))
      local _, message, code = fs.write_file(at("x"), "data", { atomic = true })
      assert.are.equal("EISDIR", code)
      assert.are.equal("EISDIR: illegal operation on a directory: rename '" .. at("x") .. "'", message)
      assert.are.same({ "x" }, names())
      assert.are.equal("ENOENT", select(3, fs.write_file(at("none/x"), "data", { atomic = true })))
    end)

    it("says which step failed", function()
      assert.are.equal(
        "ENOENT: no such file or directory: open '" .. at("none/x") .. "'",
        (select(2, fs.write_file(at("none/x"), "data")))
      )
      local _, message, code = fs.write_file("/dev/full", "data")
      assert.are.same({ "ENOSPC: no space left on device: write '/dev/full'", "ENOSPC" }, { message, code })
    end)

    it("appends", function()
      assert.is_true(fs.append_file(at("x"), "one\n"))
      assert.is_true(fs.append_file(at("x"), "two\n", { sync = true }))
      assert.are.same({ nil, true }, { call_back(fs.append_file, at("x"), "three\n") })
      assert.are.equal("one\ntwo\nthree\n", get(at("x")))
    end)

    it("raises for what the programmer did wrong", function()
      assert.error_matches(function()
        fs.write_file("a\0b", "")
      end, "zero byte", 1, true)
      assert.error_matches(function()
        fs.write_file(at("x"))
      end, "bad argument #2 to 'write_file' (string expected", 1, true)
      assert.error_matches(function()
        fs.write_file(at("x"), "", { atomc = true })
      end, "did you mean 'atomic'", 1, true)
      assert.error_matches(function()
        fs.append_file(at("x"), "", { atomic = true })
      end, "unknown option 'atomic'", 1, true)
      assert.are.same({}, names())
    end)
  end)

  describe("stat and lstat", function()
    it("tell about files, folders, links, pipes", function()
      put(at("x"), "hello")
      shell("chmod 640 '%s' && ln -s x '%s' && mkfifo '%s'", at("x"), at("l"), at("p"))
      local st = assert(fs.stat(at("x")))
      assert.are.same({ "file", 5, octal("640"), 1 }, { st.type, st.size, st.mode, st.links })
      for _, field in ipairs({ "uid", "gid", "inode", "device", "blocks" }) do
        assert.are.equal("integer", math.type(st[field]))
      end
      for _, field in ipairs({ "modified", "accessed", "changed" }) do
        assert.are.equal("float", math.type(st[field]))
        assert.is_true(math.abs(st[field] - os.time()) < 3600)
      end
      assert.are.equal(st.inode, fs.stat(at("l")).inode)
      assert.are.equal("link", fs.lstat(at("l")).type)
      assert.are.equal("fifo", fs.stat(at("p")).type)
      assert.are.equal("directory", fs.stat(folder).type)
      assert.are.equal("char", fs.stat("/dev/null").type)
      assert.are.equal("directory", select(2, call_back(fs.stat, folder)).type)
    end)

    it("fail with the path", function()
      assert.are.equal(
        "ENOENT: no such file or directory: stat '" .. at("none") .. "'",
        (select(2, fs.stat(at("none"))))
      )
      assert.are.equal("ENOENT", (select(2, call_back(fs.lstat, at("none")))))
    end)
  end)

  describe("readdir", function()
    it("gives names sorted by bytes", function()
      assert.are.same({}, fs.readdir(folder))
      for _, name in ipairs({ "b", "a", "B", ".hidden", "\xc3\xa4", "a b" }) do
        put(at(name), "")
      end
      assert.are.same({ ".hidden", "B", "a", "a b", "b", "\xc3\xa4" }, fs.readdir(folder))
      assert.are.same({ ".hidden", "B", "a", "a b", "b", "\xc3\xa4" }, select(2, call_back(fs.readdir, folder)))
    end)

    it("gives types", function()
      shell("cd '%s' && mkdir d && touch f && ln -s f l && mkfifo p", folder)
      assert.are.same({
        { name = "d", type = "directory" },
        { name = "f", type = "file" },
        { name = "l", type = "link" },
        { name = "p", type = "fifo" },
      }, fs.readdir(folder, { types = true }))
    end)

    it("gives a thousand names", function()
      shell("cd '%s' && seq -f n%%04g 1000 | xargs touch", folder)
      local all = fs.readdir(folder)
      assert.are.same({ 1000, "n0001", "n0500", "n1000" }, { #all, all[1], all[500], all[1000] })
    end)

    it("fails with the path", function()
      put(at("x"), "")
      assert.are.equal("ENOTDIR: not a directory: readdir '" .. at("x") .. "'", (select(2, fs.readdir(at("x")))))
      assert.are.equal("ENOENT", select(3, fs.readdir(at("none"))))
    end)
  end)

  describe("mkdir and rm", function()
    it("make one folder", function()
      assert.is_true(fs.mkdir(at("d"), { mode = octal("700") }))
      assert.are.equal(octal("700"), fs.stat(at("d")).mode)
      assert.are.equal("EEXIST", select(3, fs.mkdir(at("d"))))
      assert.are.equal("ENOENT", select(3, fs.mkdir(at("a/b"))))
      assert.are.same({ nil, true }, { call_back(fs.mkdir, at("e")) })
    end)

    it("make folders above it", function()
      for _ = 1, 2 do
        assert.is_true(fs.mkdir(at("a/b//c/"), { recursive = true }))
        assert.are.equal("directory", fs.stat(at("a/b/c")).type)
      end
      put(at("x"), "")
      assert.are.equal("EEXIST", select(3, fs.mkdir(at("x"), { recursive = true })))
      assert.are.equal(
        "ENOTDIR: not a directory: mkdir '" .. at("x/y/z") .. "'",
        (select(2, fs.mkdir(at("x/y/z"), { recursive = true })))
      )
      assert.are.equal("ENOENT", select(3, fs.mkdir("", { recursive = true })))
    end)

    it("remove files and, where asked to, trees", function()
      shell("cd '%s' && mkdir -p d/e/f outside && touch d/x d/e/y outside/kept && ln -s ../outside d/l", folder)
      assert.are.equal("EISDIR", select(3, fs.rm(at("d"))))
      assert.is_true(fs.rm(at("d/x")))
      assert.is_true(fs.rm(at("d"), { recursive = true }))
      assert.are.same({ "outside" }, names())
      assert.are.same({ "kept" }, fs.readdir(at("outside")))
      assert.is_true(fs.rm(at("outside/kept"), { recursive = true }))
      assert.are.equal("ENOENT", select(3, fs.rm(at("none"))))
      assert.are.equal("ENOENT", select(3, fs.rm(at("none"), { recursive = true })))
      assert.is_true(fs.rm(at("none"), { force = true }))
      assert.is_true(fs.rm(at("none"), { force = true, recursive = true }))
    end)

    it("remove trees that are deeper than a process may have files", function()
      local name = ("d"):rep(8)
      shell("cd '%s' && for i in $(seq 400); do mkdir %s && cd -P %s && touch f; done", folder, name, name)
      local result = process.script([[
        local fs = require("luaserve.fs")
        print(fs.rm((...), { recursive = true }))
        print(fs.mkdir((...)))
      ]], { arguments = { at(name) }, env = "UV_THREADPOOL_SIZE=1" })
      assert.are.same({ "true\ntrue\n", 0 }, { result.out, result.status })
      shell("cd '%s' && rmdir '%s' && mkdir -p a/b/c a/e && touch a/b/c/f", folder, name)
      assert.is_true(fs.rm(at("a"), { recursive = true }))
      assert.are.same({}, names())
    end)

    it("unlink and rmdir", function()
      put(at("x"), "")
      shell("mkdir -p '%s'", at("d/e"))
      assert.are.equal("ENOTDIR", select(3, fs.rmdir(at("x"))))
      assert.are.equal("ENOTEMPTY", select(3, fs.rmdir(at("d"))))
      assert.is_true(fs.unlink(at("x")))
      assert.is_true(fs.rmdir(at("d/e")))
      assert.are.same({ "d" }, names())
    end)
  end)

  describe("copy_file", function()
    it("copies bytes and permission bits", function()
      for _, text in ipairs({ "", "small", ("large"):rep(200000) }) do
        put(at("x"), text)
        shell("chmod 640 '%s'", at("x"))
        assert.is_true(fs.copy_file(at("x"), at("y")))
        assert.is_true(get(at("y")) == text)
      end
      assert.are.equal(octal("640"), fs.stat(at("y")).mode)
      assert.is_true(fs.copy_file("/proc/self/status", at("y")))
      assert.matches("^Name:", get(at("y")))
    end)

    it("refuses what would lose something", function()
      put(at("x"), "kept")
      shell("ln '%s' '%s'", at("x"), at("same"))
      assert.are.equal("EINVAL", select(3, fs.copy_file(at("x"), at("same"))))
      assert.are.equal("EEXIST", select(3, fs.copy_file("/dev/null", at("x"), { exclusive = true })))
      assert.are.equal("kept", get(at("x")))
      assert.are.equal(
        "ENOENT: no such file or directory: copy_file '" .. at("none") .. "' -> '" .. at("y") .. "'",
        (select(2, fs.copy_file(at("none"), at("y"))))
      )
      assert.are.equal("EISDIR", select(3, fs.copy_file(folder, at("y"))))
    end)
  end)

  describe("names and attributes", function()
    it("rename and link", function()
      put(at("x"), "text")
      assert.is_true(fs.rename(at("x"), at("y")))
      assert.is_true(fs.link(at("y"), at("z")))
      assert.is_true(fs.symlink("y", at("l")))
      assert.are.equal("y", fs.readlink(at("l")))
      assert.are.equal(fs.realpath(folder) .. "/y", fs.realpath(at("../" .. folder:match("[^/]+$") .. "/./l")))
      assert.are.equal(2, fs.stat(at("y")).links)
      assert.are.same({ "l", "y", "z" }, names())
      assert.are.equal("EINVAL", select(3, fs.readlink(at("y"))))
      assert.are.equal("ENOENT", select(3, fs.realpath(at("none"))))
      assert.is_true(fs.symlink(("t"):rep(1000), at("long")))
      assert.are.equal(("t"):rep(1000), fs.readlink(at("long")))
      assert.error_matches(function()
        fs.rename(at("y"), "a\0b")
      end, "bad argument #2 to 'rename' (a path cannot have a zero byte in it)", 1, true)
    end)

    it("chmod, chown, utime, access", function()
      put(at("x"), "")
      assert.is_true(fs.chmod(at("x"), octal("4711")))
      assert.are.equal(octal("4711"), fs.stat(at("x")).mode)
      assert.is_true(fs.chown(at("x"), -1, -1))
      assert.is_true(fs.utime(at("x"), 1.25, -1.5))
      local st = fs.stat(at("x"))
      assert.are.same({ 1.25, -1.5 }, { st.accessed, st.modified })
      assert.is_true(fs.utime(at("x"), nil, 7))
      assert.is_true(fs.stat(at("x")).accessed > 1e9)
      assert.are.equal(7.0, fs.stat(at("x")).modified)
      assert.is_true(fs.access(at("x"), ""))
      assert.is_true(fs.access(at("x"), "rw"))
      assert.are.equal("ENOENT", select(3, fs.access(at("none"), "")))
      assert.is_true(fs.chmod(at("x"), octal("600")))
      assert.are.equal("EACCES", select(3, fs.access(at("x"), "x")))
      assert.has_error(function()
        fs.chmod(at("x"), octal("10000"))
      end)
      assert.has_error(function()
        fs.access(at("x"), "q")
      end)
      assert.has_error(function()
        fs.utime(at("x"), 0 / 0, 0)
      end)
    end)

    it("lchown and lutime take the link itself", function()
      put(at("x"), "")
      assert.is_true(fs.symlink("x", at("l")))
      assert.is_true(fs.lchown(at("l"), -1, -1))
      assert.is_true(fs.lutime(at("l"), 3, 4))
      assert.are.equal(4.0, fs.lstat(at("l")).modified)
      assert.are_not.equal(4.0, fs.stat(at("l")).modified)
      assert.are.equal("ENOENT", select(3, fs.lchown(at("none"), -1, -1)))
    end)

    it("statfs tells about the file system", function()
      local st = assert(fs.statfs(folder))
      for _, name in ipairs({ "type", "block_size", "blocks", "free", "available", "files", "files_free" }) do
        assert.are.equal("integer", math.type(st[name]))
      end
      assert.is_true(st.block_size > 0 and st.blocks >= st.free and st.free >= st.available)
      assert.are.equal("ENOENT", select(3, fs.statfs(at("none"))))
    end)

    it("mkstemp makes files of its own", function()
      local file, path = fs.mkstemp(at("t-"))
      assert.matches("/t%-......$", path)
      assert.is_true(file:write("x"))
      assert.are.equal("x", file:pread(10, 0))
      assert.are.equal(octal("600"), fs.stat(path).mode)
      assert.is_true(file:close())
      local _, other, other_path = call_back(fs.mkstemp, at("t-"))
      assert.are_not.equal(path, other_path)
      other:close()
      assert.are.equal("ENOENT", select(3, fs.mkstemp(at("none/t-"))))
    end)

    it("mkdtemp makes folders of its own", function()
      local one, other = assert(fs.mkdtemp(at("t-"))), select(2, call_back(fs.mkdtemp, at("t-")))
      assert.are_not.equal(one, other)
      assert.are.same({ "directory", octal("700") }, { fs.stat(one).type, fs.stat(one).mode })
      assert.are.equal("ENOENT", select(3, fs.mkdtemp(at("none/t-"))))
    end)
  end)

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

  it("starts nothing where nothing can wait", function()
    local message
    setmetatable({}, {
      __gc = function()
        message = select(2, pcall(fs.stat, "/"))
      end,
    })
    collectgarbage()
    assert.matches("fs.stat cannot wait here", message, 1, true)
  end)

  describe("at the end of the program", function()
    -- Runs text as a program with the folder as its argument; gives a pipe with all that it says.
    local function run(text)
      local program = os.getenv("LUASERVE")
      if not program then
        pending("LUASERVE does not name the program")
        return
      end
      put(at("app.lua"), text)
      return io.popen(string.format("UV_THREADPOOL_SIZE=4 '%s' '%s' '%s' 2>&1", program, at("app.lua"), folder))
    end

    it("lets go of what is under way", function()
      local pipe = run([[
        local fs, task, timer = require("luaserve.fs"), require("luaserve.task"), require("luaserve.timer")
        local folder = ...
        local file = fs.open(folder .. "/f", "w")
        local keep = setmetatable({}, {__gc = function() print(select(2, pcall(fs.stat, "/", print))) end})
        for i = 1, 20 do
          fs.write_file(folder .. "/w" .. i, ("x"):rep(1 << 20), {sync = true}, print)
          task.spawn(file.write, file, ("y"):rep(1 << 20))
          task.spawn(fs.open, folder .. "/f")
        end
        timer.sleep(0.001)
        os.exit(keep and 3, true)
      ]])
      local output = pipe:read("a")
      assert.are.same({ nil, "exit", 3 }, { pipe:close() })
      assert.matches("fs.stat cannot start: the program is ending", output, 1, true)
    end)

    it("keeps the data that a job still writes", function()
      shell("mkfifo '%s'", at("fifo"))
      local pipe = run([[
        local fs = require("luaserve.fs")
        local folder = ...
        local keep = setmetatable({}, {__gc = function() io.stderr:write("ending\n") end})
        fs.write_file(folder .. "/fifo", ("x"):rep(1 << 22), function() end)
        while not fs.stat(folder .. "/go") do end
        os.exit(keep and 3, true)
      ]])
      local reader = io.open(at("fifo"), "rb") -- the job is in its write now, and the pipe is too small for it
      local first = reader:read(1)
      put(at("go"), "")
      assert.are.equal("ending", pipe:read("l"))
      timer.sleep(0.02) -- would be enough to free the data
      assert.is_true(first .. reader:read("a") == ("x"):rep(1 << 22))
      reader:close()
      assert.are.same({ nil, "exit", 3 }, { pipe:close() })
    end)
  end)
end)
