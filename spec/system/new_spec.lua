-- SPDX-License-Identifier: MIT
--- luaserve new: the app that it writes works as it is, and nothing is ever overwritten.

local fs = require "luaserve.fs"
local process = require "spec.support.process"

local FILES = { "app.lua", "views/layout.html", "views/home.html", "public/style.css", "spec/app_spec.lua", "README.md",
  ".gitignore", ".luarc.json" }

describe("luaserve new", function()
  local folder

  before_each(function() folder = assert(fs.mkdtemp("/tmp/luaserve-new-")) end)

  after_each(function()
    process.clean_up()
    fs.rm(folder, { recursive = true })
  end)

  local function run(arguments, cwd)
    return process.run(arguments, { cwd = cwd or folder })
  end

  local function create(name)
    local result = run { "new", name }
    assert.equal("", result.err)
    assert.equal(0, result.status)
    return result
  end

  --- A failure of this status, whose message has the text.
  local function assert_fails(status, text, ...)
    local result = run { "new", ... }
    assert.equal(status, result.status)
    assert.is_truthy(result.err:find(text, 1, true), result.err)
    assert.equal("", result.out)
  end

  it("writes an app, and says what it wrote and how to go on", function()
    local lines = {}
    for i, name in ipairs(FILES) do lines[i] = "shop/" .. name .. "\n" end
    assert.equal(table.concat(lines) .. "\n  cd shop\n  " .. process.luaserve .. " --dev app.lua\n", create("shop").out)
    for _, name in ipairs(FILES) do
      assert.is_nil(assert(fs.read_file(folder .. "/shop/" .. name)):find("NAME", 1, true), name)
    end
  end)

  it("says how luaserve is started from the new folder", function()
    local bin = folder .. "/a bin"
    assert(fs.mkdir(bin))
    assert(fs.symlink(process.luaserve, bin .. "/luaserve"))
    local function told(command, name)
      local result = process.shell(("PATH=%s:$PATH; cd %s; %s new %s"):format(process.quote(bin), process.quote(folder),
        command, name))
      assert.same({ 0, "" }, { result.status, result.err })
      return result.out:match("\n  cd " .. name .. "\n  ([^\n]*) %-%-dev app.lua\n$")
    end
    assert.equal("luaserve", told("luaserve", "one"))
    assert.equal("luaserve", told("'./a bin/luaserve'", "two"))
    assert(fs.rename(bin, folder .. "/b"))
    assert.equal("../b/luaserve", told("./b/luaserve", "three"))
    assert.equal("../b/luaserve", told("b/luaserve", "four"))
    assert(fs.rename(folder .. "/b", folder .. "/b c"))
    assert.equal("'" .. folder .. "/b c/luaserve'", told(process.quote(folder .. "/b c/luaserve"), "five"))
  end)

  it("writes what passes its own spec, the check and luacheck", function()
    create "shop"
    local shop = folder .. "/shop"
    local result = run({ "test" }, shop)
    assert.equal(0, result.status, result.out .. result.err)
    assert.matches("5 successes / 0 failures / 0 errors", result.out)
    assert.same({ status = 0, out = "", err = "" }, run({ "check", "app.lua" }, shop))
    result = process.shell("luacheck --no-color .", { cwd = shop })
    assert.equal(0, result.status, result.out)
  end)

  it("writes what can be served, and has a secret of its own", function()
    create "shop"
    create "other"
    local secrets = {}
    for i, name in ipairs { "shop", "other" } do
      local server = process.serve({ "--dev", "-p", "0", "app.lua" }, { cwd = folder .. "/" .. name })
      local page = server:request("/")
      assert.equal(200, page.status)
      assert.is_truthy(page.body:find("<title>" .. name .. "</title>", 1, true))
      server:stop()
      secrets[i] = assert(fs.read_file(folder .. "/" .. name .. "/secret"))
      assert.equal(32, #secrets[i])
      assert.equal(tonumber("600", 8), assert(fs.stat(folder .. "/" .. name .. "/secret")).mode)
    end
    assert.not_equal(secrets[1], secrets[2])
  end)

  it("takes a folder that is empty, and no other", function()
    assert(fs.mkdir(folder .. "/empty"))
    create "empty"
    local before = assert(fs.read_file(folder .. "/empty/app.lua"))
    assert(fs.write_file(folder .. "/empty/app.lua", "mine"))
    assert_fails(1, "the folder 'empty' exists and is not empty", "empty")
    assert.equal("mine", (assert(fs.read_file(folder .. "/empty/app.lua"))))
    assert.not_equal("mine", before)
    assert(fs.write_file(folder .. "/file", ""))
    assert_fails(1, "'file' exists and is no folder", "file")
  end)

  it("refuses what is no name", function()
    for _, name in ipairs { "", ".", "..", "a/b", "/tmp/x", "-x", ".hidden", "a b", "a\nb", ("a"):rep(101) } do
      assert_fails(2, "is no name for an app", name)
    end
    assert_fails(2, "new wants one name")
    assert_fails(2, "new wants one name", "a", "b")
    assert.same({}, (assert(fs.readdir(folder))))
  end)

  it("says where it cannot write", function()
    local result = run({ "new", "shop" }, "/proc")
    assert.equal(1, result.status)
    assert.matches("^luaserve: ENOENT: [^\n]*mkdir 'shop'\n$", result.err)
  end)

  it("says how far it came", function()
    -- A file may have 1536 bytes at most: the first has more.
    local command = "trap '' XFSZ; ulimit -f 3; exec " .. process.quote(process.luaserve) .. " new shop"
    local result = process.shell(command, { cwd = folder })
    assert.equal(1, result.status)
    assert.matches("EFBIG[^\n]*app%.lua'\nluaserve: 0 of 8 files were written to 'shop'\n$", result.err)
  end)

  it("has help", function()
    local result = run { "new", "--help" }
    assert.equal(0, result.status)
    assert.matches("^usage: luaserve new NAME\n", result.out)
  end)
end)
