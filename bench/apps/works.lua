-- SPDX-License-Identifier: MIT
-- What `make bench` asks luaserve for: luaserve -p 0 bench/apps/works.lua KIND [argument]. The peers in bench/peers do
-- the same.

local App, fs = require "luaserve.app", require "luaserve.fs"
local pool, template, timer = require "luaserve.pool", require "luaserve.template", require "luaserve.timer"

local kind, argument = ...
local kinds = {}

function kinds.plaintext()
  return function(_, res)
    res:send("Hello, World!")
  end
end

function kinds.json()
  return function(_, res)
    res:json({ message = "Hello, World!", id = 42, tags = { "a", "b", "c" } })
  end
end

local function rows()
  local list = {}
  for i = 1, 100 do
    list[i] = { id = i, name = "User <" .. i .. "> & Co", email = "user" .. i .. "@example.com", active = i % 2 == 0 }
  end
  return list
end

function kinds.rows()
  local list = rows()
  return function(_, res)
    res:json(list)
  end
end

local page = template.compile [[
<!doctype html><title>Users</title><table>
{% for _, row in ipairs(rows) do %}
<tr><td>{{ row.id }}</td><td>{{ row.name }}</td><td>{{ row.email }}</td></tr>
{% end %}
</table>
]]

function kinds.template()
  local list = rows()
  return function(_, res)
    res:html(page { rows = list })
  end
end

function kinds.routes()
  local app = App.new()
  for i = 1, tonumber(argument) do
    app:get("/section" .. i .. "/:user/notes/:note", function(req, res)
      res:send(req.params.user .. " " .. req.params.note)
    end)
  end
  return app
end

function kinds.echo()
  return function(req, res)
    res:send(assert(req:body()))
  end
end

function kinds.file()
  return function(_, res)
    res:send(assert(fs.read_file(argument)))
  end
end

function kinds.static()
  return App.new():static("/static", argument)
end

function kinds.sleep()
  return function(_, res)
    timer.sleep(0.01)
    res:send("slept")
  end
end

local function count_primes(limit)
  local count = 0
  for n = 2, limit do
    local prime = true
    for i = 2, math.floor(n ^ 0.5) do
      if n % i == 0 then
        prime = false
        break
      end
    end
    if prime then count = count + 1 end
  end
  return count
end

function kinds.mixed()
  return function(req, res)
    if req.path == "/primes" then return res:send(pool.run(count_primes, tonumber(argument))) end
    res:send("Hello, World!")
  end
end

return kinds[kind]()
