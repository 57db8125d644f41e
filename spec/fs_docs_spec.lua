-- SPDX-License-Identifier: MIT
-- docs/api/fs.md and the types for editors say what there is.

local fs = require("luaserve.fs")
local process = require("spec.support.process")

local function get(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

describe("fs", function()
  local function sorted(set)
    local list = {}
    for name in pairs(set) do
      list[#list + 1] = name
    end
    table.sort(list)
    return list
  end

  it("has the functions that the types file names, and no others", function()
    local named = {}
    for name in get("lua/luaserve/types/fs.lua"):gmatch("\nfunction fs%.([%w_]+)") do
      named[name] = true
    end
    assert.are.same(sorted(fs), sorted(named))
  end)

  it("has handles with the methods that the types file names", function()
    local file <close> = assert(fs.open("/dev/null"))
    local watcher <close> = assert(fs.watch("/dev", function() end))
    local text, count = get("lua/luaserve/types/fs.lua"), 0
    for class, name in text:gmatch("\nfunction (%w+):([%w_]+)") do
      assert.is_function((class == "file" and file or watcher)[name], name)
      count = count + 1
    end
    assert.are.equal(17, count)
  end)

  it("is documented, function by function", function()
    local page = get("docs/api/fs.md")
    for _, name in ipairs(sorted(fs)) do
      assert.is_truthy(page:find("fs." .. name .. "(", 1, true), name)
    end
  end)

  it("has examples that run", function()
    local count = 0
    for code in get("docs/api/fs.md"):gmatch("```lua\n(.-)```") do
      count = count + 1
      local result = process.script(code)
      assert.are.equal(0, result.status, code .. result.err)
    end
    assert.is_true(count >= 5)
  end)
end)
