-- SPDX-License-Identifier: MIT
--- What RFC 9110 and RFC 9112 ask of a server, as bytes in and bytes out. Every case is sent whole, byte by byte, and
-- in two parts split at every offset; the answer must be the same bytes each time.

local client = require "spec.support.client"
local http, task, timer = require "luaserve.http", require "luaserve.task", require "luaserve.timer"

--- Tells what it has understood, as the last line of which the body stands in brackets.
local function tell(req, res)
  local body, _, code = req:body()
  res:send(("%s %s %s\n[%s]"):format(req.method, req.path, tostring(req.host), body or code))
end

local routes = {
  ["/stream"] = function(_, res) res:write("ab") res:finish("c") end,
  ["/204"] = function(_, res) res:send(204, "none") end,
  ["/205"] = function(_, res) res:send(205, "none") end,
  ["/304"] = function(_, res) res:set("content-length", 7) res:send(304, "none") end,
  ["/103"] = function(_, res) res:write_head(103, { link = "</a>" }) res:send("x") end,
  ["/trailer"] = function(_, res)
    res:set("trailer", "x-sum")
    res:write("ab")
    res:trailer("x-sum", "6"):trailer("X-Sum", "7"):finish("c")
  end,
  ["/close"] = function(_, res) res:set("connection", "close") res:send("x") end,
  ["/early"] = function(_, res) res:send("early") end,
  ["/slow"] = function(_, res) timer.sleep(0.002) res:send("slow") end,
  ["/chunks"] = function(req, res)
    local parts = {}
    for chunk in req:chunks() do parts[#parts + 1] = chunk end
    res:send(table.concat(parts))
  end,
  ["/assert"] = function(req, res) res:send(assert(req:body())) end,
}

local server, address

local function start()
  server = http.create_server({ max_url = 100, max_header_bytes = 300, max_headers = 8, max_body = 20 },
    function(req, res) return (routes[req.path] or tell)(req, res) end)
  assert(server:listen { host = "127.0.0.1", port = 0 })
  address = server:address()
end

--- Sends the parts, each in a turn of its own, then FIN; what comes back without the Date fields, and RESET at its end
-- where the connection broke.
local function exchange(parts)
  local connection <close> = client.connect(address)
  for i, part in ipairs(parts) do
    if i > 1 then timer.sleep(0) end
    if not connection:write(part) then break end -- the server has closed already
  end
  connection.socket:shutdown()
  local bytes = connection:read_all():gsub("Date: [^\r]*GMT\r\n", "")
  return bytes .. (connection.reset and "RESET" or "")
end

local function each_byte(bytes)
  local parts = {}
  for i = 1, #bytes do parts[i] = bytes:sub(i, i) end
  return parts
end

--- The answers to all ways of delivery: a list of { name, bytes }, the first of which is the whole. by_byte: the task
-- that delivers it byte by byte, which takes longest.
local function deliver(bytes, by_byte)
  local tasks, names = {}, {}
  local function add(name, parts)
    names[#names + 1] = name
    tasks[#tasks + 1] = task.spawn(exchange, parts)
  end
  add("whole", { bytes })
  for i = 1, #bytes - 1 do
    add("split at " .. i, { bytes:sub(1, i), bytes:sub(i + 1) })
  end
  local answers = {}
  for i, t in ipairs(tasks) do answers[i] = { names[i], t:join() } end
  answers[#answers + 1] = { "byte by byte", by_byte:join() }
  return answers
end

--- The statuses, in their order, and the bodies' brackets.
local function statuses(bytes)
  local list = {}
  for status in bytes:gmatch("HTTP/1%.1 (%d%d%d) ") do list[#list + 1] = status end
  return table.concat(list, " ")
end

local H = "Host: h\r\n"

local function get(fields) return "GET / HTTP/1.1\r\n" .. H .. (fields or "") .. "\r\n" end
local function post(fields, body) return "POST / HTTP/1.1\r\n" .. H .. fields .. "\r\n" .. (body or "") end
local function chunked(body) return post("Transfer-Encoding: chunked\r\n", body) end
local function line(text) return text .. "\r\n" .. H .. "\r\n" end

--- What stands behind a request that must not be kept alive: it is never answered.
local NEXT = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

-- { name, bytes, statuses, what the answer has, what it has not }. Where the statuses are one over 399, NEXT is sent
-- behind it too.
local cases = {
  { "RFC 9112 2.1: a request with all of its parts", post("Content-Length: 3\r\n", "abc"), "200", "POST / h\n[abc]" },
  { "RFC 9112 2.2: an empty line in front is ignored", "\r\n" .. get(), "200" },
  { "RFC 9112 2.2: several empty lines in front", "\r\n\r\n\r\n" .. get(), "200" },
  { "RFC 9112 2.2: an empty line between requests", get() .. "\r\n" .. get(), "200 200" },
  { "RFC 9112 2.2: a bare CR in front", "\r" .. get(), "400" },
  { "RFC 9112 2.2: a bare LF in front", "\n" .. get(), "400" },
  { "RFC 9112 2.2: a bare CR behind an empty line", "\r\n\r" .. get(), "400" },
  { "RFC 9112 2.2: a bare LF between requests", get() .. "\n" .. get(), "200 400" },
  { "RFC 9112 2.2: bare LF ends no line", "GET / HTTP/1.1\nHost: h\n\n", "400" },
  { "RFC 9112 2.2: bare LF ends no field", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", "400" },
  { "RFC 9112 2.2: bare LF ends no head", "GET / HTTP/1.1\r\nHost: h\r\n\n", "400" },
  { "RFC 9112 2.2: bare CR in a field is refused", get "X: a\rb\r\n", "400" },
  { "RFC 9112 2.2: bare CR ends no head", "GET / HTTP/1.1\r\nHost: h\r\n\r" .. NEXT, "400" },
  { "RFC 9112 2.2: white space before the first field", "GET / HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n", "400" },
  { "RFC 9110 5.5: NUL in a field", get "X: a\0b\r\n", "400" },
  { "RFC 9110 5.5: a control character in a field", get "X: a\1b\r\n", "400" },
  { "RFC 9110 5.5: DEL in a field", get "X: a\127b\r\n", "400" },
  { "RFC 9110 5.5: obs-text in a field", get "X: \xe4\r\n", "200" },
  { "RFC 9110 5.1: a name that is no token", get "X(): y\r\n", "400" },
  { "RFC 9110 5.1: an empty name", get ": y\r\n", "400" },
  { "RFC 9110 5.1: a byte over 127 in a name", get "\xc3\xa4: y\r\n", "400" },
  { "RFC 9112 5: a field without a colon", get "X\r\n", "400" },
  { "RFC 9112 5: an empty value", get "X:\r\n", "200" },
  { "RFC 9112 5.1: white space before the colon", get "X : y\r\n", "400" },
  { "RFC 9112 5.1: a tab before the colon", get "X\t: y\r\n", "400" },
  { "RFC 9112 5.2: obs-fold with a space", get "X: y\r\n z\r\n", "400" },
  { "RFC 9112 5.2: obs-fold with a tab", get "X: y\r\n\tz\r\n", "400" },
  { "RFC 9112 5.2: obs-fold of an empty value", get "X:\r\n z\r\n", "400" },
  { "RFC 9112 5.2: obs-fold at the end", get "X: y\r\n \r\n", "400" },

  { "RFC 9112 3: two spaces behind the method", line "GET  / HTTP/1.1", "400" },
  { "RFC 9112 3: two spaces before the version", line "GET /  HTTP/1.1", "400" },
  { "RFC 9112 3: a space behind the version", line "GET / HTTP/1.1 ", "400" },
  { "RFC 9112 3: tabs for spaces", line "GET\t/\tHTTP/1.1", "400" },
  { "RFC 9112 3: a space in front", line " GET / HTTP/1.1", "400" },
  { "RFC 9112 3: no target", line "GET HTTP/1.1", "400" },
  { "RFC 9112 3: a space in the target", line "GET /a b HTTP/1.1", "400" },
  { "RFC 9112 3.1: a method nobody knows", line "BREW / HTTP/1.1", "501" },
  { "RFC 9112 3.1: methods are case-sensitive", line "get / HTTP/1.1", "501" },
  { "RFC 9112 3.1: a method that is no token", line "G@T / HTTP/1.1", "400" },
  { "RFC 9112 3: a target over max_url", line("GET /" .. ("a"):rep(100) .. " HTTP/1.1"), "414" },
  { "RFC 6585 5: fields over max_header_bytes", get("X: " .. ("a"):rep(300) .. "\r\n"), "431" },
  { "RFC 6585 5: more fields than max_headers", get(("X: y\r\n"):rep(8)), "431" },
  { "RFC 9112 3.2: an empty query", line "GET /? HTTP/1.1", "200", "GET / h" },
  { "RFC 9112 3.2: a fragment in the target", line "GET /#a HTTP/1.1", "400" },
  { "RFC 9112 3.2: a byte over 127 in the target", line "GET /\xe4 HTTP/1.1", "400" },
  { "RFC 9112 3.2: NUL in the target", line "GET /\0 HTTP/1.1", "400" },
  { "RFC 3986 2.1: a broken percent-encoding in the path", line "GET /%zz HTTP/1.1", "400" },
  { "RFC 3986 2.1: a percent-encoded NUL in the path", line "GET /%00 HTTP/1.1", "400" },
  { "RFC 3986 5.2.4: dot segments do not lead above the root",
    line "GET /../%2e%2e/a/../b HTTP/1.1", "200", "GET /b h" },
  { "RFC 9112 3.2.2: absolute-form, whose host counts",
    line "GET http://other:81/p HTTP/1.1", "200", "GET /p other:81" },
  { "RFC 9112 3.2.2: absolute-form without a path", line "GET http://other HTTP/1.1", "200", "GET / other" },
  { "RFC 9112 3.2.2: absolute-form without Host", "GET http://other/ HTTP/1.1\r\n\r\n", "400" },
  { "RFC 9112 3.2.2: absolute-form without an authority", line "GET http:/p HTTP/1.1", "400" },
  { "RFC 9110 4.2.1: absolute-form with an empty host", line "GET http:///p HTTP/1.1", "400" },
  { "RFC 9110 4.2.4: absolute-form with userinfo", line "GET http://user@other/ HTTP/1.1", "400" },
  { "RFC 9110 4.2.1: absolute-form with a malformed host", line "GET http://a<b/ HTTP/1.1", "400" },
  { "RFC 9112 3.2.3: authority-form but for CONNECT", line "GET other:80 HTTP/1.1", "400" },
  { "RFC 9110 9.3.6: CONNECT", line "CONNECT other:80 HTTP/1.1", "501" },
  { "RFC 9112 3.2.4: asterisk-form", line "OPTIONS * HTTP/1.1", "200", "OPTIONS * h" },
  { "RFC 9112 3.2.4: asterisk-form but for OPTIONS", line "GET * HTTP/1.1", "400" },
  { "RFC 9110 9.3.8: TRACE, whose echo could tell scripts what they must not know", line "TRACE / HTTP/1.1", "501" },
  { "RFC 9112 3.2: no Host", "GET / HTTP/1.1\r\n\r\n", "400" },
  { "RFC 9112 3.2: an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "200" },
  { "RFC 9112 3.2: more than one Host", get "Host: h\r\n", "400" },
  { "RFC 9112 3.2: a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400" },
  { "RFC 9112 3.2: a Host with userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400" },
  { "RFC 9112 3.2: a Host with white space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400" },
  { "RFC 9112 3.2: a Host with a port that is none", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400" },
  { "RFC 9112 3.2: a Host with an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "200", "GET / [::1]:80" },
  { "RFC 9112 3.2: HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "200", "Connection: close\r\n" },

  { "RFC 9112 2.3: HTTP/1.2", line "GET / HTTP/1.2", "505" },
  { "RFC 9112 2.3: HTTP/2.0", line "GET / HTTP/2.0", "505" },
  { "RFC 9112 2.3: HTTP/0.9 by number", line "GET / HTTP/0.9", "505" },
  { "RFC 9112 2.3: HTTP/0.9 as it was", "GET /\r\n", "400" },
  { "RFC 9112 2.3: HTTP/1.10", line "GET / HTTP/1.10", "400" },
  { "RFC 9112 2.3: http/1.1", line "GET / http/1.1", "400" },
  { "RFC 9112 2.3: another protocol", line "GET / RTSP/1.1", "400" },
  { "RFC 9113 3.4: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505" },

  { "RFC 9112 6.3: an equal Content-Length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), "400" },
  { "RFC 9112 6.3: Content-Lengths that differ", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), "400" },
  { "RFC 9112 6.3: a list as Content-Length", post("Content-Length: 3, 3\r\n", "abc"), "400" },
  { "RFC 9110 8.6: a negative Content-Length", post("Content-Length: -3\r\n", "abc"), "400" },
  { "RFC 9110 8.6: a Content-Length with a sign", post("Content-Length: +3\r\n", "abc"), "400" },
  { "RFC 9110 8.6: a Content-Length in hex", post("Content-Length: 0x3\r\n", "abc"), "400" },
  { "RFC 9110 8.6: a Content-Length with a fraction", post("Content-Length: 3.0\r\n", "abc"), "400" },
  { "RFC 9110 8.6: an empty Content-Length", post("Content-Length:\r\n", "abc"), "400" },
  { "RFC 9110 8.6: a Content-Length of two words", post("Content-Length: 3 3\r\n", "abc"), "400" },
  { "RFC 9110 8.6: white space around a Content-Length", post("Content-Length: \t3  \r\n", "abc"), "200", "[abc]" },
  { "RFC 9110 8.6: a Content-Length over 64 bits", post("Content-Length: 18446744073709551619\r\n", "abc"), "400" },
  { "RFC 9110 15.5.14: a Content-Length over 63 bits", post("Content-Length: 9223372036854775808\r\n", "abc"), "413" },
  { "RFC 9110 15.5.14: a Content-Length over max_body", post("Content-Length: 21\r\n", ""), "413" },
  { "RFC 9112 6.3: Content-Length 0", post("Content-Length: 0\r\n") .. get(), "200 200", "POST / h\n[]" },
  { "RFC 9112 6.3: no length is no body", post("") .. get(), "200 200", "POST / h\n[]" },
  { "RFC 9112 6.3: Content-Length and Transfer-Encoding",
    post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.3: Transfer-Encoding and Content-Length",
    post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.3: chunked that is not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.3: no chunked", post("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.3: identity", post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: a coding that is not known", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501" },
  { "RFC 9112 6.1: chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked twice in two fields",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: identity in a field of its own",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked in any case",
    post("tRANSFER-eNCODING: cHUNKED\r\n", "3\r\nabc\r\n0\r\n\r\n"), "200", "[abc]" },
  { "RFC 9112 6.1: chunked behind a tab",
    post("Transfer-Encoding:\tchunked \t\r\n", "3\r\nabc\r\n0\r\n\r\n"), "200", "[abc]" },
  { "RFC 9112 6.1: chunked behind VT", post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked behind FF", post("Transfer-Encoding: \fchunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked and NBSP", post("Transfer-Encoding: chunked\xa0\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked with a parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: chunked with a comma", post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), "501" },
  { "RFC 9112 6.1: xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: folded chunked", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: white space before its colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: an empty Transfer-Encoding", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "400" },
  { "RFC 9112 6.1: Transfer-Encoding in HTTP/1.0",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400" },
  { "RFC 9112 6: a body for GET", get("Content-Length: 3\r\n") .. "abc", "200", "GET / h\n[abc]" },

  { "RFC 9112 7.1: chunks", chunked "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "200", "[abc0123456789]" },
  { "RFC 9112 7.1: no chunk but the last", chunked "0\r\n\r\n" .. get(), "200 200", "[]" },
  { "RFC 9112 7.1: leading zeros", chunked "003\r\nabc\r\n000\r\n\r\n", "200", "[abc]" },
  { "RFC 9112 7.1: a size of 17 digits",
    chunked "10000000000000003\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a size that wraps to itself",
    chunked "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", "200", "[ETOOBIG]", "smug" },
  { "RFC 9112 7.1: a size without a digit", chunked "\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a negative size", chunked "-3\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: VT behind a size", chunked "3\v\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a size behind a space", chunked " 3\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: two sizes", chunked "3 3\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a size and a comma", chunked "3,3\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: 0x", chunked "0x3\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a space behind a size", chunked "3 \r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: bare LF behind a size", chunked "3\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: bare CR behind a size", chunked "3\rabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: bare LF behind a chunk", chunked "3\r\nabc\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a chunk longer than its size", chunked "3\r\nabcd\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: a chunk shorter than its size", chunked "4\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1: bare LF at the end", chunked "0\r\n\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.1: extensions", chunked "3;a;b=c;d=\"e\"\r\nabc\r\n0;f\r\n\r\n", "200", "[abc]" },
  { "RFC 9112 7.1.1: bad white space before an extension", chunked "3 \t;a\r\nabc\r\n0 ; b\r\n\r\n", "200", "[abc]" },
  { "RFC 9112 7.1.1: NUL in an extension", chunked "3;a\0\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.1: a chunk in a quoted extension",
    chunked "3;a=\"\r\nabc\r\n0\r\n\r\n\"\r\n", "200 400", "[abc]" },
  { "RFC 9112 7.1.1: white space without bound",
    chunked("3" .. (" "):rep(400) .. ";\r\nabc\r\n0\r\n\r\n"), "200", "[ETOOBIG]", "smug" },
  { "RFC 9112 7.1.1: bare LF in an extension", chunked "3;a\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.1: bare CR in an extension", chunked "3;a\rb\r\nabc\r\n0\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.1: extensions without bound",
    chunked("3;" .. ("a"):rep(301) .. "\r\nabc\r\n0\r\n\r\n"), "200", "[ETOOBIG]", "smuggled" },
  { "RFC 9112 7.1: zeros without bound",
    chunked(("0"):rep(400) .. "3\r\nabc\r\n0\r\n\r\n"), "200", "[ETOOBIG]", "smug" },
  { "RFC 9112 7.1.2: trailers are dropped",
    chunked "3\r\nabc\r\n0\r\nHost: x\r\nX: y\r\n\r\n" .. get(), "200 200", "GET / h" },
  { "RFC 9112 7.1.2: a trailer without a colon", chunked "0\r\nX\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.2: bare LF in a trailer", chunked "0\r\nX: y\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.2: white space before a trailer's colon",
    chunked "0\r\nX : y\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9112 7.1.2: trailers without bound",
    chunked("0\r\n" .. ("X: y\r\n"):rep(100) .. "\r\n"), "200", "[ETOOBIG]", "smug" },
  { "RFC 9112 7.1.2: obs-fold in a trailer", chunked "0\r\nX: y\r\n z\r\n\r\n", "200", "[EPROTO]", "smuggled" },
  { "RFC 9110 15.5.14: chunks over max_body",
    chunked "15\r\n0123456789abcdefghijk\r\n0\r\n\r\n", "200", "[ETOOBIG]", "smug" },
  { "RFC 9112 8: a body cut short by FIN", post("Content-Length: 5\r\n", "abc"), "200", "[ECLOSED]" },
  { "RFC 9112 8: a head cut short by FIN", "GET / HTTP/1.1\r\nHost: h\r\n", "" },

  { "RFC 9110 15.5.14: a handler that raises because the body is too large is a 413",
    "POST /assert HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n0123456789abcdefghijk\r\n", "413" },
  { "RFC 9110 15.5.1: one that raises because the body is broken is a 400",
    "POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", "400" },
  { "RFC 9112 9.3: a body that nobody reads is skipped",
    "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde" .. get(), "200 200", "GET / h" },
  { "RFC 9112 9.3.2: pipelined requests are answered in their order",
    line "GET /slow HTTP/1.1" .. get() .. line "GET /stream HTTP/1.1" .. get(), "200 200 200 200", "slow" },
  { "RFC 9112 9.3: HTTP/1.1 persists", get() .. get(), "200 200", "GET / h", "Connection" },
  { "RFC 9112 9.6: close is obeyed", get "Connection: close\r\n" .. NEXT, "200", "Connection: close\r\n", "smuggled" },
  { "RFC 9112 9.6: close in a list, in any case",
    get "Connection: x, CLOSE\r\n" .. NEXT, "200", "Connection: close\r\n", "smuggled" },
  { "RFC 9112 9.6: close beside keep-alive",
    get "Connection: keep-alive, close\r\n" .. NEXT, "200", "Connection: close\r\n", "smuggled" },
  { "RFC 9112 9.6: the handler's close",
    line "GET /close HTTP/1.1" .. NEXT, "200", "connection: close\r\n", "smuggled" },
  { "RFC 9112 9.3: HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n" .. NEXT, "200", "Connection: close\r\n", "smuggled" },
  { "RFC 9112 9.3: HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" .. get(), "200 200",
    "Connection: keep-alive\r\n" },
  { "RFC 9112 6.1: HTTP/1.0 gets no chunks",
    "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" .. NEXT, "200", "\r\n\r\nabc", "Transfer-Encoding" },
  { "RFC 9112 7.1: HTTP/1.1 gets chunks",
    line "GET /stream HTTP/1.1", "200", "\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" },
  { "RFC 9112 7.1.2: trailers go out behind the chunks", line "GET /trailer HTTP/1.1" .. get(), "200 200",
    "1\r\nc\r\n0\r\nX-Sum: 7\r\n\r\nHTTP/1.1 200" },
  { "RFC 9112 7.1.2: no trailers without chunks", "GET /trailer HTTP/1.0\r\n\r\n", "200", "\r\n\r\nabc", "X-Sum" },
  { "RFC 9110 9.3.2: no trailers to HEAD", line "HEAD /trailer HTTP/1.1" .. get(), "200 200",
    "\r\n\r\nHTTP/1.1 200", "X-Sum" },
  { "RFC 9110 9.3.2: HEAD has the length and no body", line "HEAD / HTTP/1.1" .. get(), "200 200",
    "Content-Length: 11\r\n\r\nHTTP/1.1 200" },
  { "RFC 9110 9.3.2: HEAD of a stream",
    line "HEAD /stream HTTP/1.1" .. get(), "200 200", "\r\n\r\nHTTP/1.1 200", "abc" },
  { "RFC 9110 15.3.5: 204 has neither", line "GET /204 HTTP/1.1" .. get(), "204 200", "\r\n\r\nHTTP/1.1 200", "none" },
  { "RFC 9110 15.3.6: 205 has length 0", line "GET /205 HTTP/1.1" .. get(), "205 200",
    "Content-Length: 0\r\n\r\nHTTP/1.1 200", "none" },
  { "RFC 9110 15.4.5: 304 may tell a length", line "GET /304 HTTP/1.1" .. get(), "304 200",
    "content-length: 7\r\n", "none" },
  { "RFC 9110 15.2: an interim response",
    line "GET /103 HTTP/1.1" .. get(), "103 200 200", "link: </a>\r\n\r\nHTTP/1.1 200" },
  { "RFC 9110 15.2: none for HTTP/1.0", "GET /103 HTTP/1.0\r\n\r\n", "200", "\r\n\r\nx" },
  { "RFC 9110 10.1.1: 100 (Continue) when the handler asks",
    post("Expect: 100-Continue\r\nContent-Length: 3\r\n", "abc") .. get(), nil, "[abc]" },
  { "RFC 9110 10.1.1: no 100 to HTTP/1.0",
    "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "200", "[abc]" },
  { "RFC 9110 10.1.1: no 100 without a body", get "Expect: 100-continue\r\n" .. get(), "200 200" },
  { "RFC 9110 10.1.1: another expectation", get "Expect: tea\r\n", "417" },
  { "RFC 9110 7.8: Upgrade is ignored", get "Connection: upgrade\r\nUpgrade: h2c\r\n" .. get(), "200 200" },
  { "RFC 9110 7.8: Upgrade does not end a body",
    post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", "abc") .. get(), "200 200", "[abc]" },
}

local function is_refused(case)
  return tonumber(case[3]) and tonumber(case[3]) >= 400
end

for _, case in ipairs(cases) do
  if is_refused(case) or (case[5] or ""):find("^smug") then case[2] = case[2] .. NEXT end
end

describe("HTTP", function()
  setup(function()
    start()
    for _, case in ipairs(cases) do
      case.by_byte = task.spawn(exchange, each_byte(case[2]))
    end
  end)
  teardown(function() server:close(0) end)

  for _, case in ipairs(cases) do
    local name, bytes, expected, part, not_part = table.unpack(case, 1, 5)
    local refused = is_refused(case)
    it(name, function()
      local answers = deliver(bytes, case.by_byte)
      local whole = answers[1][2]
      if expected then assert.equal(expected, statuses(whole), whole) end
      if part then assert.is_truthy(whole:find(part, 1, true), whole) end
      if not_part then assert.is_nil(whole:find(not_part, 1, true), whole) end
      if refused then assert.is_truthy(whole:find("Connection: close\r\n", 1, true), whole) end
      for _, answer in ipairs(answers) do
        local got = expected and answer[2] or answer[2]:gsub("HTTP/1.1 100 Continue\r\n\r\n", "")
        if not expected then whole = whole:gsub("HTTP/1.1 100 Continue\r\n\r\n", "") end
        assert.equal(whole, got, answer[1])
      end
    end)
  end
end)
