-- SPDX-License-Identifier: MIT
--- Four services to ask, for who has none at hand: a quick one, a slower one, one that takes a minute, one that fails.

local http = require "luaserve.http"
local timer = require "luaserve.timer"

local upstreams = {}

local function weather(_, res)
  res:json { place = "Tromsø", degrees = -7, sky = "clear" }
end

local function news(_, res)
  timer.sleep(0.2)
  res:json { "The bridge is open again", "Library gets a new wing" }
end

local function trains(_, res)
  timer.sleep(60)
  res:json { { to = "Narvik", at = "18:05" } }
end

local function shop(_, res)
  res:json(500, { error = "the till is jammed" })
end

--- Starts one on a free port of this machine. Who asks and leaves ends what it has begun for him.
local function start(name, handler)
  local server = http.create_server({ cancel_on_close = true }, handler)
  assert(server:listen { host = "127.0.0.1", port = 0 })
  return { name = name, url = ("http://127.0.0.1:%d/"):format(server:address().port) }
end

--- Starts all: a list of { name =, url = }.
function upstreams.start()
  return { start("weather", weather), start("news", news), start("trains", trains), start("shop", shop) }
end

return upstreams
