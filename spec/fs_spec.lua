-- SPDX-License-Identifier: MIT
-- fs: names, attributes and folders, without holding up the loop.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local process = require("spec.support.process")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local at, get, names, octal, put, shell = files.at, files.get, files.names, files.octal, files.put, files.shell
local call_back = waits.call_back

describe("fs", function()
  local folder

  before_each(function() folder = files.make_folder() end)
  after_each(function() files.remove_folder() end)

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
