-- SPDX-License-Identifier: MIT
--- One request that asks several services at once, and answers with what has come in time: who is slow or broken is
-- missing from the answer, and delays nobody. When the client leaves, what was asked for it is given up.
--
--   ./luaserve examples/aggregate/app.lua             asks four services that it starts itself
--   curl http://127.0.0.1:8080/                       after a second: two answers, one failure, one that was too slow
--   curl 'http://127.0.0.1:8080/?timeout=0.1'         only the quickest
--   curl 'http://127.0.0.1:8080/?from=weather,news'   complete, after 0.2 seconds
--   ./luaserve examples/aggregate/app.lua a=http://127.0.0.1:9001/ b=http://127.0.0.1:9002/status     asks these
--
-- The requests go out together, each in a task of its own with a deadline of its own (fetch.lua); task.all waits for
-- all of them.

local App = require "luaserve.app"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local process = require "luaserve.process"
local task = require "luaserve.task"
local fetch = require "fetch"
local upstreams = require "upstreams"

local TIMEOUT, LONGEST = 1, 10 -- seconds for each service
local MAX_BYTES = 256 * 1024   -- of each answer

--- The services of the command line, "name=url".
local function read_arguments()
  local list = {}
  for i, text in ipairs(arg) do
    local name, url = text:match("^([%w_-]+)=(http://.+)$")
    list[i] = { name = name or error("a service is name=http://..., not " .. text, 0), url = url }
  end
  return list
end

local services = arg[1] and read_arguments() or upstreams.start()

--- Those that a request wants, "weather,news"; all of them, where it does not say.
local function wanted(names)
  if not names then return services end
  local by_name, list = {}, {}
  for _, service in ipairs(services) do by_name[service.name] = service end
  for name in names:gmatch("[^,]+") do
    list[#list + 1] = by_name[name] or error(http_error.new(404, "there is no such service"))
    by_name[name] = nil
  end
  if #list == 0 then error(http_error.new(400, "from: names of services, with commas between")) end
  return list
end

--- Asks one. Never raises for what the service does, so that it does not end the others.
-- @return { name =, value = } or { name =, error = { code =, message = } }
local function ask(service, timeout)
  local response, message, code = fetch.get(service.url, { timeout = timeout, max_bytes = MAX_BYTES })
  local value
  if response and response.status ~= 200 then
    message, code = "it answered " .. response.status, "ESTATUS"
  elseif response then
    value, message, code = json.decode(response.body)
  end
  if value ~= nil then return { name = service.name, value = value } end
  return { name = service.name, error = { code = code, message = message } }
end

local function seconds(text)
  local timeout = text == nil and TIMEOUT or tonumber(text)
  if not timeout or not (timeout > 0 and timeout <= LONGEST) then
    error(http_error.new(400, ("timeout: seconds, up to %d"):format(LONGEST)))
  end
  return timeout
end

local function aggregate(req, res)
  local timeout, start = seconds(req.query.timeout), process.hrtime()
  local jobs = {}
  for i, service in ipairs(wanted(req.query.from)) do
    jobs[i] = function() return ask(service, timeout) end
  end
  local answers, failures = json.object {}, json.object {}
  for _, result in ipairs(task.all(jobs)) do
    if result.error then failures[result.name] = result.error else answers[result.name] = result.value end
  end
  res:set("cache-control", "no-store")
  res:json(next(answers) and 200 or 502, { complete = next(failures) == nil, answers = answers, failures = failures,
    seconds = (process.hrtime() - start) // 1e6 / 1000 })
end

local app = App.new()
app:get("/", aggregate, { cancel_on_close = true })
return app
