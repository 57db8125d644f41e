-- SPDX-License-Identifier: MIT
--- A clock that everybody who looks at it shares: one timer, however many there are, which rests while there is nobody.
--
--   ./luaserve examples/clock.lua        http://127.0.0.1:8080, in several windows
--   curl -N http://127.0.0.1:8080/ticks
--   curl -N -H 'Last-Event-ID: 7' http://127.0.0.1:8080/ticks    as a browser that comes back: how much it has missed
--
-- Stop the server while a page is open, and start it again: the page comes back by itself. Nothing that was sent is
-- kept here; examples/board.lua shows how those who come back get what they have missed.

local App = require "luaserve.app"
local middleware = require "luaserve.middleware"
local template = require "luaserve.template"
local timer = require "luaserve.timer"

local page = template.compile([[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Clock</title>
<style nonce="{{ nonce }}">
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { min-height: 100vh; margin: 0; display: grid; place-content: center; justify-items: center; gap: 1rem;
  background: light-dark(#f6f7f9, #14161a); color: light-dark(#1c1f24, #e8eaed); }
time { font-size: clamp(3rem, 16vw, 9rem); font-weight: 300; font-variant-numeric: tabular-nums; line-height: 1; }
p { margin: 0; color: light-dark(#5a616b, #9aa3af); }
body.lost time { opacity: 0.35; }
</style>
<body class="lost">
<time id="time">--:--:--</time>
<p id="note" role="status">connecting</p>
<noscript><p>The clock needs JavaScript; <a href="/ticks">what it is sent</a> does not.</p></noscript>
<script nonce="{{ nonce }}">
const time = document.getElementById("time"), note = document.getElementById("note");
const source = new EventSource("/ticks");
source.addEventListener("tick", (event) => {
  const tick = JSON.parse(event.data);
  time.textContent = tick.time;
  time.dateTime = tick.time + "Z";
  const text = tick.watchers === 1 ? "UTC, for you alone" : `UTC, for ${tick.watchers} at once`;
  if (note.textContent !== text) note.textContent = text;
  document.body.className = "";
});
source.addEventListener("back", (event) => console.info(`missed ${JSON.parse(event.data).missed} ticks`));
source.onerror = () => { document.body.className = "lost"; note.textContent = "the server has gone; waiting for it"; };
</script>
]], "clock.html")

local watchers, count = {}, 0 -- streams, and how many they are
local tick = os.time() -- seconds since 1970, so that the count goes on where the program is started again
local beat             -- the timer, while somebody watches

--- Sends without waiting: who is too slow misses ticks, which are worth nothing a second later.
local function send(events, event)
  if not events.behind then events:send(event, function() end) end
end

local function tick_event()
  return { event = "tick", id = tick, data = { time = os.date("!%H:%M:%S", tick), watchers = count } }
end

local function leave(events)
  if not watchers[events] then return end
  watchers[events], count = nil, count - 1
  if count == 0 then
    beat:cancel()
    beat = nil
  end
end

local function tell_all()
  tick = math.max(tick + 1, os.time()) -- an id is used once, also where the clock of the machine is set back
  for events in pairs(watchers) do send(events, tick_event()) end
end

--- Adds a watcher. Its stream goes on after the handler; ticks are its heartbeat.
local function watch(req, res)
  local events = res:later():events { retry = 1, heartbeat = false }
  if events.closed then return end -- HEAD
  tick = math.max(tick, os.time()) -- nobody may have counted
  local seen = math.tointeger(tonumber(events.last_id))
  if seen and seen <= tick then send(events, { event = "back", data = { missed = tick - seen } }) end
  watchers[events], count = true, count + 1
  req:on_close(function() leave(events) end)
  if not beat then beat = timer.every(1, tell_all) end
  send(events, tick_event())
end

local app = App.new()
app:use(middleware.security_headers { nonce = true })
app:get("/", function(req, res) res:html(page { nonce = req.locals.csp_nonce }) end)
app:get("/ticks", watch)
return app
