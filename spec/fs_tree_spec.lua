-- SPDX-License-Identifier: MIT
-- fs.walk and fs.copy: whole trees. And that large files are read in small pieces.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local process = require("spec.support.process")
local task = require("luaserve.task")

local at, get, octal, shell = files.at, files.get, files.octal, files.shell

describe("fs", function()
  local folder

  before_each(function() folder = files.make_folder() end)
  after_each(function() files.remove_folder() end)

  -- All that a walk gives, relative to the folder.
  local function walked(options, path)
    local list = {}
    for entry, type in fs.walk(path or folder, options) do
      assert.are.equal(folder .. "/", entry:sub(1, #folder + 1))
      list[#list + 1] = entry:sub(#folder + 2) .. ":" .. type
    end
    return list
  end

  describe("walk", function()
    it("goes depth first and sorted, a folder before what is in it", function()
      assert.are.same({}, walked())
      shell("cd '%s' && mkdir -p b/d/e a && touch b/x b/d/y B z && ln -s b a/l && mkfifo p", folder)
      local all = {
        "B:file", "a:directory", "a/l:link", "b:directory", "b/d:directory", "b/d/e:directory", "b/d/y:file",
        "b/x:file", "p:fifo", "z:file",
      }
      assert.are.same(all, walked())
      assert.are.same(all, walked({}, folder .. "/"))
      assert.are.same({ "b/d:directory", "b/d/e:directory", "b/d/y:file", "b/x:file" }, walked(nil, at("b")))
      assert.are.same({ "B:file", "a:directory", "b:directory", "p:fifo", "z:file" }, walked({ max_depth = 1 }))
      assert.are.equal(8, #walked({ max_depth = 2 }))
    end)

    it("follows links where it is asked to, and no circle", function()
      shell("cd '%s' && mkdir -p a/b real && touch real/x && ln -s ../.. a/b/up && ln -s ../real a/to", folder)
      shell("cd '%s' && ln -s none broken", folder)
      assert.are.same({
        "a:directory", "a/b:directory", "a/b/up:directory", "a/to:directory", "a/to/x:file", "broken:link",
        "real:directory", "real/x:file",
      }, walked({ follow = true }))
      assert.are.same({ "a/to/x:file" }, walked(nil, at("a/to")))
    end)

    it("leaves out what the filter does not want", function()
      shell("cd '%s' && mkdir -p .git/objects src && touch .git/objects/1 src/a.lua src/b.o", folder)
      local seen = {}
      assert.are.same({ "src:directory", "src/a.lua:file" }, walked({
        filter = function(path, type)
          seen[#seen + 1] = type
          return not path:find("%.git$") and not path:find("%.o$")
        end,
      }))
      assert.are.same({ "directory", "directory", "file", "file" }, seen)
      assert.error_matches(function()
        walked({
          filter = function(path)
            return fs.stat(path)
          end,
        })
      end, "fs.stat cannot wait here", 1, true)
    end)

    it("raises for a folder that cannot be read, or tells on_error", function()
      local function raises(path, code)
        local done, message = pcall(walked, nil, path)
        assert.is_false(done)
        assert.are.equal(code, message:match(": (%u+): "))
        assert.matches(": readdir '" .. path .. "'", message, 1, true)
      end
      raises(at("none"), "ENOENT")
      shell("touch '%s'", at("f"))
      raises(at("f"), "ENOTDIR")
      local errors = {}
      assert.are.same({}, walked({
        on_error = function(...)
          errors[#errors + 1] = { ... }
        end,
      }, at("none")))
      local message = "ENOENT: no such file or directory: readdir '" .. at("none") .. "'"
      assert.are.same({ { message, "ENOENT", at("none") } }, errors)
    end)

    it("does not mind what goes away meanwhile", function()
      shell("cd '%s' && mkdir -p a/x b c", folder)
      local list = {}
      for path in fs.walk(folder) do
        list[#list + 1] = path:sub(#folder + 2)
        fs.rm(path, { recursive = true })
      end
      assert.are.same({ "a", "b", "c" }, list)
    end)

    it("can be given up, used by hand, and lets others run", function()
      shell("cd '%s' && mkdir a b c", folder)
      local last
      for path in fs.walk(folder) do
        last = path
        if path == at("b") then
          break
        end
      end
      assert.are.equal(at("b"), last)
      local next_entry = fs.walk(folder)
      local first = task.spawn(next_entry)
      local second = task.spawn(pcall, next_entry)
      assert.are.equal(at("a"), (first:join()))
      local done, message = second:join()
      assert.is_false(done)
      assert.matches("another task waits", message, 1, true)
      assert.are.same({ at("b"), at("c") }, { (next_entry()), (next_entry()) })
      assert.is_nil((next_entry()))
      assert.is_nil((next_entry()))
    end)

    it("raises for wrong options", function()
      assert.error_matches(function()
        fs.walk(folder, { filter = 1 })
      end, "option 'filter' must be a function, not a number", 1, true)
      assert.error_matches(function()
        fs.walk(folder, { depth = 1 })
      end, "unknown option 'depth'", 1, true)
      assert.has_error(function()
        fs.walk(folder, { max_depth = 0 })
      end)
    end)
  end)

  describe("copy", function()
    local function listing(name)
      local pipe = io.popen(("cd '%s' && find . -printf '%%P %%y %%m %%l\\n' | LC_ALL=C sort"):format(at(name)))
      local text = pipe:read("a")
      pipe:close()
      return text
    end

    it("copies trees with links and permission bits", function()
      shell("cd '%s' && mkdir -p s/a/b/c s/e && ln -s ../x s/a/l && ln -s none s/broken", folder)
      assert.is_true(fs.write_file(at("s/a/b/c/f"), ("data"):rep(100000)))
      assert.is_true(fs.write_file(at("s/empty"), ""))
      shell("cd '%s/s' && chmod 666 empty && chmod 640 a/b/c/f && chmod 777 e && chmod 500 a/b", folder)
      assert.is_true(fs.copy(at("s"), at("t")))
      assert.are.equal(listing("s"), listing("t"))
      assert.is_true(get(at("t/a/b/c/f")) == ("data"):rep(100000))
    end)

    it("copies files and links", function()
      shell("cd '%s' && echo 1 > f && chmod 751 f && ln -s f l", folder)
      assert.is_true(fs.copy(at("f"), at("g")))
      assert.are.same({ "1\n", octal("751") }, { get(at("g")), fs.stat(at("g")).mode })
      assert.is_true(fs.copy(at("l"), at("m")))
      assert.are.equal("f", fs.readlink(at("m")))
    end)

    it("replaces only where it is asked to", function()
      shell("cd '%s' && mkdir -p s/d t/d && echo new > s/d/f && echo old > t/d/f && echo kept > t/d/g", folder)
      shell("cd '%s' && echo outside > o && ln -s ../../o t/d/x && echo inside > s/d/x", folder)
      local done, message, code = fs.copy(at("s"), at("t"))
      assert.is_nil(done)
      assert.are.equal("EEXIST", code)
      assert.are.equal("EEXIST: file already exists: copy '" .. at("s") .. "' -> '" .. at("t") .. "'", message)
      assert.are.equal("old\n", get(at("t/d/f")))
      assert.is_true(fs.copy(at("s"), at("t"), { overwrite = true }))
      assert.are.same({ "new\n", "kept\n", "inside\n", "outside\n" }, {
        get(at("t/d/f")), get(at("t/d/g")), get(at("t/d/x")), get(at("o")),
      })
      assert.are.equal("EEXIST", select(3, fs.copy(at("o"), at("t/d/f"))))
      shell("mkdir '%s'", at("t/d/dir"))
      assert.are.equal("EISDIR", select(3, fs.copy(at("o"), at("t/d/dir"), { overwrite = true })))
    end)

    it("does not copy a folder into itself", function()
      shell("mkdir -p '%s'", at("s/a/b"))
      for _, target in ipairs({ "s", "s/x", "s/a/b/x", "s/a/../../s" }) do
        assert.are.equal("EINVAL", select(3, fs.copy(at("s"), at(target), { overwrite = true })))
      end
      assert.are.same({ "s:directory", "s/a:directory", "s/a/b:directory" }, walked())
      assert.is_true(fs.copy(at("s"), at("s-not-inside")))
    end)

    it("says which file failed", function()
      shell("cd '%s' && mkdir -p s/d && mkfifo s/d/p", folder)
      local _, message = fs.copy(at("s"), at("t"))
      assert.are.equal("EINVAL: invalid argument: copy '" .. at("s/d/p") .. "' -> '" .. at("t") .. "'", message)
      assert.are.equal("ENOENT", select(3, fs.copy(at("none"), at("u"))))
      assert.are.equal("ENOENT", select(3, fs.copy(at("s"), at("none/u"))))
    end)
  end)

  it("ends a copy that is cancelled", function()
    local result = process.script([[
      local fs, timer = require("luaserve.fs"), require("luaserve.timer")
      local endless = fs.copy_file("/dev/zero", "/dev/null", print)
      timer.sleep(0.01)
      endless:cancel()
      print(fs.stat("/").type) -- the one thread is free again
    ]], { env = "UV_THREADPOOL_SIZE=1" })
    assert.are.same({ "directory\n", 0 }, { result.out, result.status })
  end)

  it("reads a gigabyte in chunks and holds little of it", function()
    -- Sanitizers keep freed memory for a while, so their builds grow whatever the program does; and gcc's
    -- ThreadSanitizer can only follow some thousand awaits of one task.
    local sanitized = process.luaserve:find("build/[at]san/") ~= nil
    local size = sanitized and 1 << 27 or 1 << 30
    local memory = process.script([[
      local fs = require("luaserve.fs")
      local function peak()
        return tonumber(fs.read_file("/proc/self/status"):match("VmHWM:%s*(%d+)"))
      end
      local file <close> = assert(fs.open((...), "w+"))
      assert(file:truncate(tonumber((select(2, ...)))))
      for chunk in file:chunks() do
        if #chunk > 0 then break end
      end
      local before, bytes = peak(), 65536
      for chunk in file:chunks() do
        bytes = bytes + #chunk
      end
      print(bytes, peak() - before)
    ]], { arguments = { at("big"), tostring(size) } })
    local bytes, grown = memory.out:match("^(%d+)\t(%d+)\n$")
    assert.are.equal(size, tonumber(bytes), memory.err)
    if not sanitized then
      assert.is_true(tonumber(grown) < 2048, "grew by " .. grown .. " KiB")
    end
  end)
end)
