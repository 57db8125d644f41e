-- SPDX-License-Identifier: MIT
-- What bench/apps/works.lua does, with lua-http: lua5.2 bench/peers/lua-http.lua KIND [argument]. It has no router, so
-- no routes, and no threads: what computes holds up the rest.

local cjson, cqueues = require "cjson", require "cqueues"
local http_headers, http_server = require "http.headers", require "http.server"

local kind, argument = arg[1], arg[2]
local kinds = {}

local function send(stream, body, content_type)
  local headers = http_headers.new()
  headers:append(":status", "200")
  headers:append("content-type", content_type or "text/plain; charset=utf-8")
  headers:append("content-length", tostring(#body))
  assert(stream:write_headers(headers, false))
  assert(stream:write_chunk(body, true))
end

function kinds.plaintext()
  return function(stream)
    send(stream, "Hello, World!")
  end
end

function kinds.json()
  return function(stream)
    send(stream, cjson.encode({ message = "Hello, World!", id = 42, tags = { "a", "b", "c" } }), "application/json")
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
  return function(stream)
    send(stream, cjson.encode(list), "application/json")
  end
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(value)
  return (tostring(value):gsub("[&<>\"']", entities))
end

function kinds.template()
  local list = rows()
  return function(stream)
    local parts = { "<!doctype html><title>Users</title><table>\n" }
    for i, row in ipairs(list) do
      parts[i + 1] = "<tr><td>" .. escape(row.id) .. "</td><td>" .. escape(row.name) .. "</td><td>"
        .. escape(row.email) .. "</td></tr>\n"
    end
    parts[#parts + 1] = "</table>\n"
    send(stream, table.concat(parts), "text/html; charset=utf-8")
  end
end

function kinds.echo()
  return function(stream)
    send(stream, assert(stream:get_body_as_string()))
  end
end

function kinds.file()
  return function(stream)
    local file = assert(io.open(argument, "rb"))
    local body = file:read("*a")
    file:close()
    send(stream, body)
  end
end

function kinds.static()
  return function(stream, request)
    local file = assert(io.open(argument .. request:get(":path"):sub(#"/static" + 1), "rb"))
    local headers = http_headers.new()
    headers:append(":status", "200")
    headers:append("content-type", "application/octet-stream")
    headers:append("content-length", tostring(file:seek("end")))
    file:seek("set")
    assert(stream:write_headers(headers, false))
    assert(stream:write_body_from_file(file))
    file:close()
  end
end

function kinds.sleep()
  return function(stream)
    cqueues.sleep(0.01)
    send(stream, "slept")
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
  return function(stream, request)
    if request:get(":path") == "/primes" then return send(stream, tostring(count_primes(tonumber(argument)))) end
    send(stream, "Hello, World!")
  end
end

local handler = kinds[kind]()
local server = assert(http_server.listen {
  host = "127.0.0.1",
  port = 0,
  onstream = function(_, stream)
    local request = stream:get_headers()
    if request then handler(stream, request) end
  end,
  onerror = function() end, -- clients that have left
})
assert(server:listen())
print("http://127.0.0.1:" .. select(3, server:localname()))
io.stdout:flush()
assert(server:loop())
