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

describe("a spec file that leaves", function()
  local leaks = {
    ["a server"] = { "assert(require 'luaserve.net'.listen({ host = '127.0.0.1', port = 0 }, print))", "1 more poll handles" },
    ["a socket"] = {
      "local net = require 'luaserve.net' " ..
        "local server = assert(net.listen({ host = '127.0.0.1', port = 0 }, function(s) s:read() end)) " ..
        "_G.socket = assert(net.connect(server:address())) server:close()",
      "more tcp handles",
    },
    ["an open file"] = { "_G.file = assert(io.open('/dev/zero'))", "1 more descriptors.*/dev/zero" },
    ["a task"] = {
      "require 'luaserve.task'.background(function() require 'luaserve.timer'.sleep(60) end)", "1 more tasks",
    },
    ["a callback"] = { "require 'luaserve.timer'.sleep(60, print)", "1 more callback operations" },
    ["a timer"] = { "require 'luaserve.timer'.every(60, print)", "1 more timers" },
  }
  for name, leak in pairs(leaks) do
    it(name .. " is an error that names it", function()
      local result, path = run(leak[1])
      assert.equal(1, result.status)
      assert.matches(path .. " leaves ", result.out .. result.err, 1, true)
      assert.matches(leak[2], result.out .. result.err)
    end)
  end

  it("nothing succeeds, also when it only forgot to close what a collection closes", function()
    local result = run "_G.socket = assert(require 'luaserve.net'.udp { host = '127.0.0.1', port = 0 }) _G.socket = nil"
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)
end)
