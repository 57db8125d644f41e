-- SPDX-License-Identifier: MIT
-- dns: names to addresses and back, as the system does it, and the name servers to ask.

local dns = require("luaserve.dns")
local task = require("luaserve.task")
local waits = require("spec.support.waits")

local called_back = waits.called_back

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

  it("takes hints", function()
    local mapped = { { address = "::ffff:127.0.0.1", family = "ipv6" } }
    assert.same(mapped, dns.lookup("127.0.0.1", { family = "ipv6", v4mapped = true }))
    assert.same(mapped, dns.lookup("127.0.0.1", { family = "ipv6", v4mapped = true, all = true, addrconfig = false }))
    local found, message, code = dns.lookup("localhost", { addrconfig = true })
    assert.is_true(found and #found >= 1 or code:find("^EAI_") ~= nil, message)
    assert.error_matches(function()
      dns.lookup("localhost", { v4mapped = true })
    end, "'v4mapped' needs family = 'ipv6'")
    assert.error_matches(function()
      dns.lookup("localhost", { family = "ipv6", all = true })
    end, "'all' needs v4mapped = true")
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

describe("dns.reverse", function()
  -- The names in the first line of this machine's hosts file that has the address.
  local function hosts_names(address)
    for line in io.lines("/etc/hosts") do
      local fields = {}
      for field in line:gsub("#.*", ""):gmatch("%S+") do
        fields[#fields + 1] = field
      end
      if table.remove(fields, 1) == address and #fields > 0 then
        return fields
      end
    end
  end

  it("finds the names of the hosts file", function()
    local names = assert(dns.reverse("127.0.0.1"))
    for i, name in ipairs(hosts_names("127.0.0.1") or {}) do
      assert.equal(name, names[i])
    end
    assert.is_string(names[1])
  end)

  it("calls back", function()
    local operation, failure, names = called_back(function(callback)
      return dns.reverse("127.0.0.1", callback)
    end)
    assert.is_userdata(operation)
    assert.is_nil(failure)
    assert.same(dns.reverse("127.0.0.1"), names)
  end)

  it("tells what is not an address", function()
    for _, address in ipairs({ "localhost", "", "127.0.0.1:80", "::g" }) do
      local names, message, code = dns.reverse(address)
      assert.is_nil(names)
      assert.equal("EINVAL", code)
      assert.equal("EINVAL: invalid argument: reverse '" .. address .. "'", message)
    end
    assert.has_error(dns.reverse)
    assert.has_error(function()
      dns.reverse("127.0.0.1\0")
    end)
  end)

  it("can be cancelled", function()
    local called = false
    local operation = dns.reverse("127.0.0.1", function()
      called = true
    end)
    assert.is_true(operation:cancel())
    assert(dns.reverse("127.0.0.1"))
    assert.is_false(called)
  end)
end)

describe("dns.set_servers and dns.get_servers", function()
  after_each(function()
    dns.set_servers()
  end)

  it("keep what they are given", function()
    local list = { "192.0.2.1", "127.0.0.1:5353", "::1", "[::1]:5353", "2001:db8::35" }
    assert.is_true(dns.set_servers(list))
    assert.same(list, dns.get_servers())
    assert.is_true(dns.set_servers({ "192.0.2.1:53", "[2001:DB8::1]", "[::1]:53" }))
    assert.same({ "192.0.2.1", "2001:db8::1", "::1" }, dns.get_servers())
  end)

  it("go back to those of the system", function()
    dns.set_servers()
    local before = assert(dns.get_servers())
    assert.is_true(#before >= 1)
    dns.set_servers({ "192.0.2.1" })
    assert.is_true(dns.set_servers(nil))
    assert.same(before, dns.get_servers())
  end)

  it("refuse what is not an address, and change nothing", function()
    dns.set_servers({ "192.0.2.1" })
    local bad = {
      "localhost", "", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:5x", "192.0.2.1: 5", "[::1", "[::1]x",
      "[::1]:", "[192.0.2.1]", "::1:", "1.2.3", ("1"):rep(100), 53, {},
    }
    for _, server in ipairs(bad) do
      assert.error_matches(function()
        dns.set_servers({ "192.0.2.2", server })
      end, "not an address")
    end
    local many = {}
    for i = 1, 17 do
      many[i] = "192.0.2." .. i
    end
    assert.has_error(function()
      dns.set_servers(many)
    end)
    assert.has_error(function()
      dns.set_servers({})
    end)
    assert.has_error(function()
      dns.set_servers("192.0.2.1")
    end)
    assert.same({ "192.0.2.1" }, dns.get_servers())
  end)
end)
