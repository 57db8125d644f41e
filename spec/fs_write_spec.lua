-- SPDX-License-Identifier: MIT
-- fs.write_file and fs.append_file: whole files.

local files = require("spec.support.files")
local fs = require("luaserve.fs")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local at, get, names, octal, put, shell = files.at, files.get, files.names, files.octal, files.put, files.shell
local call_back = waits.call_back

describe("fs", function()
  before_each(function() files.make_folder() end)
  after_each(function() files.remove_folder() end)

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
end)
