-- SPDX-License-Identifier: MIT
-- The handlers of nginx.conf, in its LuaJIT. There is nothing that takes work off its loop, so what computes, and what
-- reads files, holds up the rest.

local cjson = require "cjson"
local ngx = ngx

local works = {}

--- Answers with the whole body, and its length.
local function send(body, content_type)
  if content_type then ngx.header.content_type = content_type end
  ngx.header.content_length = #body
  ngx.print(body)
end

function works.plaintext()
  send("Hello, World!")
end

function works.json()
  send(cjson.encode({ message = "Hello, World!", id = 42, tags = { "a", "b", "c" } }), "application/json")
end

local rows = {}
for i = 1, 100 do
  rows[i] = { id = i, name = "User <" .. i .. "> & Co", email = "user" .. i .. "@example.com", active = i % 2 == 0 }
end

function works.rows()
  send(cjson.encode(rows), "application/json")
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(value)
  return (tostring(value):gsub("[&<>\"']", entities))
end

function works.template()
  local parts = { "<!doctype html><title>Users</title><table>\n" }
  for i, row in ipairs(rows) do
    parts[i + 1] = "<tr><td>" .. escape(row.id) .. "</td><td>" .. escape(row.name) .. "</td><td>"
      .. escape(row.email) .. "</td></tr>\n"
  end
  parts[#parts + 1] = "</table>\n"
  send(table.concat(parts), "text/html; charset=utf-8")
end

--- For the location of one route.
function works.route()
  local user, note = ngx.var.uri:match("^/[^/]+/([^/]+)/notes/([^/]+)$")
  send(user .. " " .. note)
end

function works.echo()
  ngx.req.read_body()
  send(ngx.req.get_body_data())
end

function works.file(path)
  local file = assert(io.open(path, "rb"))
  local body = file:read("*a")
  file:close()
  send(body)
end

function works.sleep()
  ngx.sleep(0.01)
  send("slept")
end

function works.primes(limit)
  local count = 0
  for n = 2, tonumber(limit) do
    local prime = true
    for i = 2, math.floor(n ^ 0.5) do
      if n % i == 0 then
        prime = false
        break
      end
    end
    if prime then count = count + 1 end
  end
  send(tostring(count))
end

return works
