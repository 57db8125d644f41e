-- SPDX-License-Identifier: MIT
-- dns: names to addresses.

local dns = require("luaserve.dns")
local task = require("luaserve.task")
local timer = require("luaserve.timer")

-- Runs start(callback) and waits for the callback: what start returned, and the callback's arguments.
local function called_back(start)
  local results
  local waiter = task.spawn(timer.sleep, 60)
  local operation = start(function(...)
    results = table.pack(...)
    waiter:cancel()
  end)
  pcall(waiter.join, waiter)
  assert(results, "waited in vain")
  return operation, table.unpack(results, 1, results.n)
end

describe("dns.lookup", function()
  it("finds localhost", function()
    local found = assert(dns.lookup("localhost"))
    assert.is_true(#found >= 1)
    for _, entry in ipairs(found) do
      local loopback = { ipv4 = "127.0.0.1", ipv6 = "::1" }
      assert.equal(loopback[entry.family], entry.address)
    end
  end)

  it("answers numeric addresses as they are", function()
    assert.same({ { address = "192.0.2.7", family = "ipv4" } }, dns.lookup("192.0.2.7"))
    assert.same({ { address = "2001:db8::1", family = "ipv6" } }, dns.lookup("2001:0db8:0::1"))
    assert.same({ { address = "fe80::1%lo", family = "ipv6" } }, dns.lookup("fe80::1%lo"))
  end)

  it("answers only with the family asked for", function()
    assert.same({ { address = "127.0.0.1", family = "ipv4" } }, dns.lookup("127.0.0.1", { family = "ipv4" }))
    for _, entry in ipairs(assert(dns.lookup("localhost", { family = "ipv4" }))) do
      assert.equal("ipv4", entry.family)
    end
    local found, message, code = dns.lookup("127.0.0.1", { family = "ipv6" })
    assert.is_nil(found)
    assert.matches("^" .. code .. ": .+: lookup '127%.0%.0%.1'$", message)
  end)

  it("tells an unknown name", function()
    local found, message, code = dns.lookup("nosuch.invalid")
    assert.is_nil(found)
    assert.is_true(code == "EAI_NONAME" or code == "EAI_AGAIN", code)
    assert.matches("^" .. code .. ": .+: lookup 'nosuch%.invalid'$", message)
  end)

  it("calls back", function()
    local operation, failure, found = called_back(function(callback)
      return dns.lookup("127.0.0.1", callback)
    end)
    assert.is_userdata(operation)
    assert.is_nil(failure)
    assert.equal("127.0.0.1", found[1].address)
    local _, message, code = called_back(function(callback)
      return dns.lookup("nosuch.invalid", { family = "ipv4" }, callback)
    end)
    assert.matches("^EAI_", message)
    assert.matches("^EAI_", code)
  end)

  it("runs many at once, in lanes", function()
    local lookups = {}
    for i = 1, 50 do
      lookups[i] = task.spawn(dns.lookup, i % 2 == 0 and "localhost" or "127.0.0." .. i)
    end
    for i, lookup in ipairs(lookups) do
      local found = assert(lookup:join())
      if i % 2 == 1 then
        assert.equal("127.0.0." .. i, found[1].address)
      end
    end
  end)

  it("can be cancelled, waiting in its lane or running", function()
    local lookups = {}
    for i = 1, 20 do
      lookups[i] = task.spawn(dns.lookup, "localhost")
    end
    local last = task.spawn(dns.lookup, "localhost")
    task.spawn(function() end):join() -- by now all of them have begun
    for _, lookup in ipairs(lookups) do
      lookup:cancel()
    end
    assert.is_table(last:join())
    local called = false
    local operation = dns.lookup("localhost", function()
      called = true
    end)
    assert.is_true(operation:cancel())
    assert.is_false(operation:cancel())
    assert(dns.lookup("localhost"))
    assert.is_false(called)
  end)

  it("refuses what makes no sense", function()
    assert.has_error(function()
      dns.lookup("a\0b")
    end)
    assert.error_matches(function()
      dns.lookup("localhost", { familly = "ipv4" })
    end, "did you mean 'family'")
    assert.error_matches(function()
      dns.lookup("localhost", { family = "ipv5" })
    end, "'ipv4' or 'ipv6', not 'ipv5'")
    assert.has_error(dns.lookup)
  end)
end)
