-- SPDX-License-Identifier: MIT
-- That spec/support/leaks.lua sees what a spec file leaves behind.

local process = require "spec.support.process"

--- Runs a file with one spec of this code as `luaserve test` runs those here.
local function run(code)
  local stem = process.temporary("")
  local path = stem .. "_spec.lua"
  local file = assert(io.open(path, "w"))
  assert(file:write("it('runs', function() ", code, " end)\n"))
  file:close()
  local result = process.run { "test", "-o", "TAP", path }
  os.remove(path)
  os.remove(stem)
  return result, path
end

describe("a spec file", function()
  it("that leaves something open is an error that names all of it", function()
    local result, path = run [[
      local net, task, timer = require "luaserve.net", require "luaserve.task", require "luaserve.timer"
      kept = { assert(io.open("/dev/zero")), assert(net.listen({ host = "127.0.0.1", port = 0 }, print)) }
      kept[3] = assert(net.connect(kept[2]:address()))
      task.background(function() timer.sleep(60) end)
      timer.sleep(60, print)
      timer.every(60, print)
    ]]
    local text = result.out .. result.err
    assert.equal(1, result.status)
    assert.matches(path .. " leaves ", text, 1, true)
    for _, what in ipairs {
      "1 more callback operations (1, not 0)", "1 more poll handles (1, not 0)", "more tcp handles",
      "1 more tasks (2, not 1)", "3 more timers (3, not 0)", "more descriptors", " /dev/zero",
    } do
      assert.matches(what, text, 1, true)
    end
  end)

  it("that leaves nothing succeeds, also when the last thing is closed by a collection", function()
    local result = run "kept = assert(require 'luaserve.net'.udp { host = '127.0.0.1', port = 0 }) kept = nil"
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)
end)
