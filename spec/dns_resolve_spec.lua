-- SPDX-License-Identifier: MIT
-- dns.resolve: records, from a name server in this process.

local dns = require("luaserve.dns")
local dns_server = require("spec.support.dns_server")
local process = require("spec.support.process")
local task = require("luaserve.task")
local waits = require("spec.support.waits")

local answer, failure, record = dns_server.answer, dns_server.failure, dns_server.record
local called_back = waits.called_back

describe("dns.resolve", function()
  local servers = {} -- closed after each case

  local function start(handler)
    local server = dns_server.start(handler)
    servers[#servers + 1] = server
    return server
  end

  -- A server that is asked from now on, alone.
  local function ask(handler)
    local server = start(handler)
    dns.set_servers({ server.address })
    return server
  end

  -- One that gives these records, or what they are when they are a function.
  local function ask_records(...)
    local records = { ... }
    return ask(function(query)
      return answer(query, records)
    end)
  end

  local function without_ttl(records, message)
    assert(records, message)
    for _, each in ipairs(records) do
      assert.equal("integer", math.type(each.ttl))
      each.ttl = nil
    end
    return records
  end

  local function assert_failure(code, name, ...)
    local records, message, got = ...
    assert.is_nil(records)
    assert.equal(code, got)
    assert.matches("^" .. code .. ": .+: resolve %u+ '" .. name:gsub("%p", "%%%0") .. "'$", message)
  end

  after_each(function()
    for i = #servers, 1, -1 do
      servers[i]:close()
      servers[i] = nil
    end
    dns.set_servers()
  end)

  it("gives addresses with their time to live, in the order of the answer", function()
    local server = ask_records(record("A", "192.0.2.2"), record("A", "192.0.2.1"))
    assert.same({ { address = "192.0.2.2", ttl = 300 }, { address = "192.0.2.1", ttl = 300 } }, dns.resolve("two.test"))
    assert.equal("two.test", server.queries[1].name)
    assert.equal("A", server.queries[1].type)
    assert.equal("udp", server.queries[1].transport)
    ask_records(record("AAAA", "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\x01"))
    assert.same({ { address = "2001:db8::1", ttl = 300 } }, dns.resolve("six.test", "AAAA"))
  end)

  it("gives the records of every type", function()
    local cases = {
      MX = { { 10, "mail.test" }, { priority = 10, exchange = "mail.test" } },
      TXT = { { "v=spf1 ", "", "-all" }, { text = "v=spf1 -all" } },
      SRV = { { 1, 2, 8080, "node.test" }, { priority = 1, weight = 2, port = 8080, name = "node.test" } },
      NS = { { "ns.test" }, { name = "ns.test" } },
      CNAME = { { "real.test" }, { name = "real.test" } },
      PTR = { { "host.test" }, { name = "host.test" } },
      CAA = { { 128, "issue", "ca.test" }, { flags = 128, tag = "issue", value = "ca.test" } },
      SOA = {
        { "ns.test", "admin.test", 2024010101, 7200, 900, 1209600, 4294967295 },
        {
          primary = "ns.test",
          hostmaster = "admin.test",
          serial = 2024010101,
          refresh = 7200,
          retry = 900,
          expire = 1209600,
          minimum = 4294967295,
        },
      },
    }
    for type, case in pairs(cases) do
      local server = ask_records(record(type, table.unpack(case[1])))
      assert.same({ case[2] }, without_ttl(dns.resolve("all.test", type)), type)
      assert.equal(type, server.queries[1].type)
    end
  end)

  it("reads names as they are compressed and writes odd bytes as zone files do", function()
    ask(function(query)
      return answer(query, {
        dns_server.raw_record("\xc0\x0c", "MX", "\0\1\4mail\xc0\x0c"),
        dns_server.raw_record("\xc0\x0c", "MX", "\0\2\0"),
        dns_server.raw_record("\xc0\x0c", "MX", "\0\3\7a.b\\c \xff\3two\0"),
      })
    end)
    assert.same({
      { priority = 1, exchange = "mail.odd.test" },
      { priority = 2, exchange = "." },
      { priority = 3, exchange = "a\\.b\\\\c\\032\\255.two" },
    }, without_ttl(dns.resolve("odd.test", "MX")))
  end)

  it("follows aliases, and skips what was not asked for", function()
    ask_records(
      record("CNAME", "real.test"),
      dns_server.raw_record(dns_server.name("real.test"), "A", "\1\2\3\4", 7),
      dns_server.raw_record("\xc0\x0c", "A", "chaos", 7, 3)
    )
    assert.same({ { address = "1.2.3.4", ttl = 7 } }, dns.resolve("alias.test"))
    assert_failure("ENODATA", "alias.test", dns.resolve("alias.test", "AAAA"))
  end)

  it("asks again over TCP when the answer was truncated", function()
    local text = ("x"):rep(255)
    local server = ask(function(query)
      if query.transport == "udp" then
        return answer(query, {}, { truncated = true })
      end
      return answer(query, { record("TXT", text, text, text, text), record("TXT", "short") })
    end)
    assert.same({ { text = text:rep(4) }, { text = "short" } }, without_ttl(dns.resolve("long.test", "TXT")))
    assert.equal(2, #server.queries)
    assert.equal("tcp", server.queries[2].transport)
  end)

  it("tells what the server said", function()
    local codes = {
      NXDOMAIN = "ENOTFOUND",
      SERVFAIL = "ESERVFAIL",
      REFUSED = "EREFUSED",
      NOTIMP = "ENOTIMP",
      FORMERR = "EFORMERR",
      YXDOMAIN = "ESERVFAIL",
    }
    for rcode, code in pairs(codes) do
      local server = ask(function(query)
        return failure(query, rcode)
      end)
      assert_failure(code, "no.test", dns.resolve("no.test"))
      assert.equal(1, #server.queries, rcode)
    end
    ask_records()
    assert_failure("ENODATA", "no.test", dns.resolve("no.test", "MX"))
  end)

  it("passes over servers that cannot say", function()
    local function lame(query)
      return answer(query, {}, { recursive = false })
    end
    for _, rcode in ipairs({ "SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "lame" }) do
      local bad = start(function(query)
        return rcode == "lame" and lame(query) or failure(query, rcode)
      end)
      local worse = start(lame)
      local good = start(function(query)
        return answer(query, { record("A", "192.0.2.9") })
      end)
      dns.set_servers({ bad.address, worse.address, good.address })
      assert.equal("192.0.2.9", assert(dns.resolve("pass.test"))[1].address)
      assert.same({ 1, 1, 1 }, { #bad.queries, #worse.queries, #good.queries }, rcode)
    end
  end)

  it("tells the first failure when no server can say", function()
    local refusing = start(function(query)
      return failure(query, "REFUSED")
    end)
    local failing = start(function(query)
      return failure(query, "SERVFAIL")
    end)
    dns.set_servers({ refusing.address, failing.address })
    assert_failure("EREFUSED", "who.test", dns.resolve("who.test"))
    assert.equal(1, #failing.queries)
    dns.set_servers({ refusing.address })
    assert_failure("EREFUSED", "who.test", dns.resolve("who.test"))
    ask(function(query)
      return answer(query, {}, { recursive = false })
    end)
    assert_failure("ESERVFAIL", "lame.test", dns.resolve("lame.test"))
  end)

  it("believes a server that knows that there is nothing", function()
    local first = start(function(query)
      return answer(query, {}, { recursive = false, authoritative = true })
    end)
    local second = start(function(query)
      return answer(query, { record("A", "192.0.2.9") })
    end)
    dns.set_servers({ first.address, second.address })
    assert_failure("ENODATA", "empty.test", dns.resolve("empty.test"))
    assert.equal(0, #second.queries)
  end)

  it("goes on to the next server when nobody is there", function()
    local gone = start(function() end)
    gone:close()
    local server = start(function(query)
      return answer(query, { record("A", "192.0.2.9") })
    end)
    dns.set_servers({ gone.address, server.address })
    assert.equal("192.0.2.9", assert(dns.resolve("next.test"))[1].address)
    dns.set_servers({ gone.address })
    assert_failure("ECONNREFUSED", "next.test", dns.resolve("next.test"))
  end)

  it("tries again, and gives up", function()
    local asked = 0
    local server = ask(function(query)
      asked = asked + 1
      return asked >= 3 and answer(query, { record("A", "192.0.2.3") }) or nil
    end)
    assert.equal("192.0.2.3", assert(dns.resolve("slow.test", "A", { timeout = 0.02, tries = 9 }))[1].address)
    assert.is_true(#server.queries >= 3)
    server = ask(function(query)
      return query.name == "last.test" and answer(query, { record("A", "192.0.2.1") }) or nil
    end)
    assert_failure("ETIMEDOUT", "mute.test", dns.resolve("mute.test", "A", { timeout = 0.02, tries = 2 }))
    assert(dns.resolve("last.test")) -- by now the server has seen what came before it
    assert.same({ "mute.test", "mute.test", "last.test" }, {
      server.queries[1].name,
      server.queries[2].name,
      server.queries[3].name,
    })
  end)

  it("refuses malformed answers", function()
    local name = "\xc0\x0c"
    local raw = dns_server.raw_record
    local cases = {
      { "A", { raw(name, "A", "\1\2\3") } },
      { "A", { raw(name, "A", "\1\2\3\4\5") } },
      { "AAAA", { raw(name, "AAAA", "") } },
      { "A", { record("A", "192.0.2.1") }, 2 },
      { "A", { record("A", "192.0.2.1"):sub(1, -2) } },
      { "A", { raw("\xff\xff", "A", "\1\2\3\4") } },
      { "A", { raw("\x80", "A", "\1\2\3\4") } },
      { "MX", { raw(name, "MX", "\0") } },
      { "MX", { raw(name, "MX", "\0\1") } },
      { "MX", { raw(name, "MX", "\0\1\3ab\0") } },
      { "MX", { raw(name, "MX", "\0\1\1a") } },
      { "MX", { raw(name, "MX", "\0\1\1a\0x") } },
      { "NS", { raw(name, "NS", "\xc0\x27") } }, -- points to itself
      { "NS", { raw(name, "NS", "\xc0") } },
      { "NS", { raw(name, "NS", (("\63" .. ("n"):rep(63))):rep(4) .. "\0") } }, -- 257 bytes
      { "NS", { record("NS", "ns.test"), raw(name, "NS", "\1") } },
      { "TXT", { raw(name, "TXT", "\5abc") } },
      { "SRV", { raw(name, "SRV", "\0\1\0\2\0") } },
      { "CAA", { raw(name, "CAA", "\0") } },
      { "CAA", { raw(name, "CAA", "\0\0value") } },
      { "CAA", { raw(name, "CAA", "\0\9issue") } },
      { "SOA", { raw(name, "SOA", "\0\0\0\0\0\1") } },
    }
    for i, case in ipairs(cases) do
      ask(function(query)
        return answer(query, case[2], { count = case[3] })
      end)
      local records, message, code = dns.resolve("bad.test", case[1])
      assert.is_nil(records, i)
      assert.equal("EBADRESP", code, i)
      assert.matches("^EBADRESP: .+: resolve " .. case[1] .. " 'bad%.test'$", message)
    end
  end)

  it("does not take answers to other questions", function()
    local strangers = {
      function(query)
        return answer(query, { record("A", "192.0.2.66") }, { id = query.id ~ 1 })
      end,
      function(query)
        return answer(query, { record("A", "192.0.2.66") }, { question = dns_server.name("x.test") .. "\0\1\0\1" })
      end,
      function()
        return "short"
      end,
      function(query)
        return answer(query, {}):sub(1, 12)
      end,
    }
    for _, stranger in ipairs(strangers) do
      ask(stranger)
      local records, _, code = dns.resolve("mine.test", "A", { timeout = 0.02, tries = 1 })
      assert.is_nil(records)
      assert.is_true(code == "ETIMEDOUT" or code == "EBADRESP", code)
    end
  end)

  it("runs many at once", function()
    local server = ask(function(query)
      return answer(query, { record("TXT", query.name) })
    end)
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = task.spawn(dns.resolve, ("n%d.test"):format(i), "TXT")
    end
    for i, each in ipairs(tasks) do
      assert.equal(("n%d.test"):format(i), assert(each:join())[1].text)
    end
    assert.is_true(#server.queries >= 100)
  end)

  it("asks with more kinds of options than it keeps", function()
    ask_records(record("A", "192.0.2.1"))
    local tasks = {}
    for i = 1, 30 do
      tasks[i] = task.spawn(dns.resolve, "kinds.test", "A", { timeout = 5 + i, tries = i % 9 + 1 })
    end
    for i = 1, 30 do
      assert(tasks[i]:join())
      assert(dns.resolve("kinds.test", "A", { timeout = 50 + i }))
    end
  end)

  it("calls back, with type and options or without", function()
    local server = ask(function(query)
      return query.name == "no.test" and failure(query, "NXDOMAIN") or answer(query, { record("A", "192.0.2.1") })
    end)
    local expected = { { address = "192.0.2.1", ttl = 300 } }
    for _, arguments in ipairs({ {}, { "A" }, { "A", {} }, { nil, nil } }) do
      local operation, message, found = called_back(function(callback)
        arguments[#arguments + 1] = callback
        return dns.resolve("yes.test", table.unpack(arguments))
      end)
      assert.is_userdata(operation)
      assert.is_nil(message)
      assert.same(expected, found)
    end
    assert.equal(4, #server.queries)
    local _, message, code = called_back(function(callback)
      return dns.resolve("no.test", callback)
    end)
    assert.matches("^ENOTFOUND: ", message)
    assert.equal("ENOTFOUND", code)
  end)

  it("can be cancelled, alone and beside others", function()
    local held
    local server = ask(function(query)
      if query.name == "held.test" then
        held:cancel()
        return answer(query, { record("A", "192.0.2.1") })
      end
      return query.name == "kept.test" and answer(query, { record("A", "192.0.2.2") }) or nil
    end)
    held = task.spawn(dns.resolve, "held.test")
    local kept = task.spawn(dns.resolve, "kept.test")
    assert.equal("192.0.2.2", assert(kept:join())[1].address)
    assert.is_false(pcall(held.join, held))
    local called = false
    local operation = dns.resolve("mute.test", function()
      called = true
    end)
    assert.is_true(operation:cancel())
    assert.is_false(operation:cancel())
    assert(dns.resolve("kept.test"))
    assert.is_false(called)
    assert.is_true(#server.queries >= 3)
  end)

  it("does not ask for names that cannot be", function()
    local server = ask(function() end)
    for _, name in ipairs({ "a..b", (("x"):rep(64)) .. ".test", ("abcdefg."):rep(40) }) do
      assert_failure("EBADNAME", name, dns.resolve(name))
    end
    assert.equal(0, #server.queries)
  end)

  it("refuses what makes no sense", function()
    local cases = {
      { "no record type 'X'", "a.test", "X" },
      { "no record type 'a'", "a.test", "a" },
      { "did you mean 'timeout'", "a.test", "A", { timeuot = 1 } },
      { "'timeout' must be more than 0", "a.test", "A", { timeout = 0 } },
      { "'timeout' must be more than 0", "a.test", "A", { timeout = 3601 } },
      { "'tries' must be from 1 to 9", "a.test", "A", { tries = 0 } },
      { "no NUL", "a\0.test" },
      { "string expected" },
    }
    for _, case in ipairs(cases) do
      assert.error_matches(function()
        dns.resolve(table.unpack(case, 2, 4))
      end, case[1])
    end
  end)

  it("keeps the servers of queries that are under way", function()
    local first
    first = ask(function(query)
      dns.set_servers({ "127.0.0.1:1" })
      return answer(query, { record("A", "192.0.2.1") })
    end)
    assert.equal("192.0.2.1", assert(dns.resolve("under.test"))[1].address)
    assert.same({ "127.0.0.1:1" }, dns.get_servers())
    local second = ask_records(record("A", "192.0.2.2"))
    assert.equal("192.0.2.2", assert(dns.resolve("after.test"))[1].address)
    assert.equal(1, #first.queries)
    assert.equal(1, #second.queries)
  end)

  it("keeps the process alive for a query that is waited for, and for no other", function()
    local mute = start(function() end)
    local result = process.script(([[
      local dns = require("luaserve.dns")
      dns.set_servers({ "%s" })
      dns.resolve("a.test", "A", { timeout = 3600 }, error):cancel()
      dns.resolve("b.test", "A", { timeout = 0.05, tries = 1 }, print)
    ]]):format("127.0.0.1:" .. mute.port))
    assert.equal("", result.err)
    assert.equal(0, result.status)
    assert.matches("^ETIMEDOUT: .+\tETIMEDOUT\n$", result.out)
    result = process.script(([[
      local dns, task = require("luaserve.dns"), require("luaserve.task")
      dns.set_servers({ "%s" })
      dns.resolve("a.test", "A", { timeout = 3600 }, print)
      task.spawn(dns.resolve, "b.test", "TXT", { timeout = 3600 })
      task.spawn(os.exit, 3)
    ]]):format("127.0.0.1:" .. mute.port))
    assert.equal("", result.err .. result.out)
    assert.equal(3, result.status)
  end)
end)
