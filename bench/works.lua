-- SPDX-License-Identifier: MIT
-- What is measured, in the order of the report. For each work:
--
--   name, title    for the command line and for people
--   kind, argument what the servers are started with: see bench/apps/works.lua
--   load           what bench/load.lua sends, with its argument; without it another way of measuring: `way`
--   path, method, body   of the request that checks the answer, and `expected`, the body that has to come
--   connections    64 unless it says otherwise
--   batched        wrk cannot tell the latency of these
--   figure         what counts, if that is not the CPU time of a request: a field of a round
--   calls          whether system calls are counted, in a run of their own
--   curve, at      a point of a curve over `at` rather than a row of its own
--   quick          whether `make bench-quick` measures it

local json = require "luaserve.json"

local FILES = "build/bench/files"
local HELLO = "Hello, World!"
local PRIMES, BELOW = "11301", "120000"

local works = {}

local function add(work)
  work.connections = work.connections or 64
  work.path = work.path or "/"
  works[#works + 1] = work
end

local function rows()
  local list = {}
  for i = 1, 100 do
    list[i] = { id = i, name = "User <" .. i .. "> & Co", email = "user" .. i .. "@example.com", active = i % 2 == 0 }
  end
  return list
end

local function page()
  local parts = { "<!doctype html><title>Users</title><table>\n" }
  for i = 1, 100 do
    parts[i + 1] = "<tr><td>" .. i .. "</td><td>User &lt;" .. i .. "&gt; &amp; Co</td><td>user" .. i
      .. "@example.com</td></tr>\n"
  end
  parts[#parts + 1] = "</table>\n"
  return table.concat(parts)
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function is_json(value)
  return function(body) return same(json.decode(body), value) end
end

--- What a file of build/bench/files has in it.
local function is_file(name)
  return function(body)
    local file <close> = assert(io.open(FILES .. "/" .. name, "rb"))
    return body == file:read("a")
  end
end

local function plaintext(work)
  work.kind, work.expected = "plaintext", HELLO
  work.load = work.load or { "plain" }
  add(work)
end

plaintext { name = "plaintext", title = "A line of text", calls = true, quick = true }
plaintext { name = "browser", title = "A line of text, a browser's header fields", load = { "browser" } }
plaintext { name = "pipelined", title = "A line of text, pipelined by 16", load = { "pipelined", "16" }, calls = true,
  quick = true, batched = true }
plaintext { name = "close", title = "A line of text, a connection each", load = { "close" } }
plaintext { name = "many", title = "A line of text, 2,000 connections", connections = 2000 }

add { name = "json", title = "JSON: a small object", kind = "json", path = "/json", load = { "plain" }, quick = true,
  expected = is_json { message = HELLO, id = 42, tags = { "a", "b", "c" } } }
add { name = "rows", title = "JSON: 100 rows", kind = "rows", path = "/rows", load = { "plain" },
  expected = is_json(rows()) }
add { name = "template", title = "HTML: 100 rows from a template", kind = "template", path = "/template",
  load = { "plain" }, expected = page() }

local function routes(count, more)
  local work = { kind = "routes", argument = tostring(count), load = { "routes", tostring(count) },
    path = "/section1/ada/notes/7", expected = "ada 7" }
  for name, value in pairs(more) do work[name] = value end
  add(work)
end

routes(100, { name = "routes", title = "One of 100 routes, with two parameters", quick = true })

add { name = "echo", title = "POST of 1 KiB, echoed", kind = "echo", path = "/echo", method = "POST",
  body = ("0123456789abcdef"):rep(64), expected = ("0123456789abcdef"):rep(64), load = { "upload", "1024" } }
add { name = "upload", title = "POST of 1 MiB, echoed", kind = "echo", path = "/echo", method = "POST", connections = 8,
  body = ("0123456789abcdef"):rep(65536), expected = ("0123456789abcdef"):rep(65536), load = { "upload", "1048576" } }
add { name = "file", title = "A file of 10 KiB, read by the handler", kind = "file", path = "/file", load = { "plain" },
  argument = FILES .. "/10k", expected = is_file "10k", calls = true, quick = true }

local function static(name, title, connections)
  add { name = "static_" .. name, title = title, kind = "static", path = "/static/" .. name, load = { "plain" },
    argument = FILES, expected = is_file(name), connections = connections, calls = name == "100k" }
end

static("1k", "A static file of 1 KiB")
static("100k", "A static file of 100 KiB")
static("10m", "A static file of 10 MiB", 8)

add { name = "sleep", title = "512 requests that sleep 10 ms", kind = "sleep", path = "/sleep", expected = "slept",
  load = { "plain" }, connections = 512, quick = true }
add { name = "mixed", title = "Every 20th request counts primes", kind = "mixed", argument = BELOW, path = "/primes",
  expected = PRIMES, way = "mixed", figure = "p99", quick = true }
add { name = "start", title = "From the start to the first answer", kind = "plaintext", expected = HELLO, way = "start",
  figure = "took", quick = true }
add { name = "memory", title = "Memory of 10,000 idle connections", kind = "plaintext", expected = HELLO,
  way = "memory", figure = "each", quick = true }

for _, count in ipairs { 10, 100, 1000, 5000, 15000 } do
  plaintext { name = "connections_" .. count, title = count .. " connections", connections = count,
    curve = "connections", at = count }
end
for _, count in ipairs { 1, 10, 1000 } do
  routes(count, { name = "routes_" .. count, title = count .. " routes", curve = "routes", at = count })
end

return works
