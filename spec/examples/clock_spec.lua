-- SPDX-License-Identifier: MIT
--- examples/clock.lua: what streams tell while the spec holds the clock, and the page in a browser.

local browser = require "spec.support.browser"
local json = require "luaserve.json"
local runtime = require "luaserve.runtime"
local test = require "luaserve.test"

local NOON = 1800014400 -- 2027-01-15 12:00:00 UTC

describe("examples/clock.lua", function()
  local clock = test.fixture(function() return test.clock(NOON) end)
  local client = test.fixture(function()
    clock() -- before the program looks at it
    return test.client(dofile "examples/clock.lua")
  end)

  local function watch(headers)
    return client():stream("/ticks", { headers = headers }):expect(200):events()
  end

  local function assert_tick(expected, event)
    assert.equal("tick", event.event)
    assert.same(expected, json.decode(event.data))
  end

  it("tells the time at once, and then each second", function()
    local events = watch()
    assert_tick({ time = "12:00:00", watchers = 1 }, events:next())
    for second = 1, 3 do
      clock():advance(1)
      assert_tick({ time = "12:00:0" .. second, watchers = 1 }, events:next())
    end
  end)

  it("has one timer for all, and none for nobody", function()
    local app = client()
    local before = runtime.stats().timers
    local streams = {}
    for i = 1, 3 do
      streams[i] = app:stream("/ticks"):expect(200)
      assert_tick({ time = "12:00:00", watchers = i }, streams[i]:events():next())
    end
    assert.equal(before + 1, runtime.stats().timers)
    for _, stream in ipairs(streams) do stream:abort() end
    clock():advance(1)
    assert.equal(before, runtime.stats().timers)
  end)

  it("counts who watches", function()
    local events, other = watch(), client():stream("/ticks"):expect(200)
    events:next()
    clock():advance(1)
    assert_tick({ time = "12:00:01", watchers = 2 }, events:next())
    other:abort()
    clock():advance(1)
    assert_tick({ time = "12:00:02", watchers = 1 }, events:next())
  end)

  it("does not count who asks for the head only", function()
    client():head("/ticks"):expect(200):expect_header("content-type", "text/event-stream")
    assert_tick({ time = "12:00:00", watchers = 1 }, watch():next())
  end)

  it("tells who comes back how much he has missed", function()
    local stream = client():stream("/ticks"):expect(200)
    local id = stream:events():next().id
    stream:abort()
    clock():advance(5)
    local events = watch { ["last-event-id"] = id }
    local back = events:next()
    assert.same({ "back", '{"missed":5}' }, { back.event, back.data })
    assert_tick({ time = "12:00:05", watchers = 1 }, events:next())
  end)

  it("takes no notice of ids that it cannot have given", function()
    for _, id in ipairs { "x", "1.5", "99999999999999", "nan", ("9"):rep(400) } do
      assert.equal("tick", watch({ ["last-event-id"] = id }):next().event, id)
    end
  end)

  it("goes in a browser, in two windows, and when the server has been away", function()
    local server = test.serve("examples/clock.lua")
    local page, other = browser.open(), browser.open()
    page:go(server)
    page:wait_text("#note", "^UTC, for you alone$")
    local shown = page:wait_text("#time", "^%d%d:%d%d:%d%d$")
    other:go(server)
    page:wait_text("#note", "^UTC, for 2 at once$")
    page:screenshot("clock")
    other:close()
    page:wait_text("#note", "^UTC, for you alone$")
    page:wait("return document.querySelector('#time').innerText !== arguments[0]", shown)

    local port = server.address.port
    server:close()
    page:wait_text("#note", "^the server has gone")
    test.serve("examples/clock.lua", { options = { "--port", tostring(port) } })
    page:wait_text("#note", "^UTC, for you alone$")
    for _, line in ipairs(page:console()) do
      assert.is_truthy(line:find("/ticks .*net::ERR_") or line:find("missed %d+ ticks"), line)
    end
    page:close()
  end)

  it("is readable in the dark", function()
    local page = browser.open { dark = true }
    page:go(test.serve("examples/clock.lua"))
    page:wait_text("#note", "^UTC")
    page:screenshot("clock-dark")
  end)
end)
