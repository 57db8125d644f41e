-- SPDX-License-Identifier: MIT
--- The least of an HTTP client: GET over luaserve.net, one connection a request, no redirects, no TLS. What it reads is
-- bounded, in bytes and in time, since what comes from elsewhere may never end.

local net = require "luaserve.net"
local task = require "luaserve.task"
local url = require "luaserve.url"

local fetch = {}

local MAX_HEAD = 16 * 1024
local MAX_INTERIM = 10
local MAX_LINE = 256 -- of a chunk's size

--- What an upstream does wrong; raised here, returned by fetch.get.
local Fault = {}

local function fault(code, text)
  error(setmetatable({ code = code, text = text }, Fault), 0)
end

--- value, where it is there; else the failure of the socket, as a fault.
local function must(value, message, code)
  if value == nil then fault(code or "EOF", message or "EOF: the response breaks off") end
  return value
end

-- ---- the head ----

local function parse_fields(lines)
  local headers = {}
  for line in lines:gmatch("[^\n]+") do
    local name, value = line:match("^([!#$%%&'*+.^_`|~%w-]+):[ \t]*(.-)[ \t]*\r?$")
    if not name then fault("EPROTO", "EPROTO: a header field is malformed") end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers
end

--- Status and fields of the response; those that only say that it will come (1xx) are passed over.
local function read_head(socket)
  for _ = 1, MAX_INTERIM do
    local head = must(socket:read_until("\r\n\r\n", MAX_HEAD))
    local status, rest = head:match("^HTTP/1%.[01] (%d%d%d)[^\n]*\n?(.*)$")
    if not status then fault("EPROTO", "EPROTO: this is no HTTP/1 response") end
    status = math.tointeger(tonumber(status))
    if status >= 200 then return status, parse_fields(rest) end
  end
  fault("EPROTO", "EPROTO: the response does not come")
end

-- ---- the body ----

local function too_large(limit)
  fault("ETOOBIG", ("ETOOBIG: more than %d bytes"):format(limit))
end

--- A body in chunks (RFC 9112 7.1); what follows the last one is left, as the connection ends.
local function read_chunked(socket, limit)
  local pieces, total = {}, 0
  while true do
    local line = must(socket:read_until("\r\n", MAX_LINE)) -- with extensions, perhaps, which nobody needs
    local digits = (line .. ";"):match("^(%x+)[ \t]*;")
    if not digits then fault("EPROTO", "EPROTO: the size of a chunk is malformed") end
    if #digits > 8 then too_large(limit) end
    local size = tonumber(digits, 16)
    if size == 0 then return table.concat(pieces) end
    total = total + size
    if total > limit then too_large(limit) end
    pieces[#pieces + 1] = must(socket:read_exactly(size))
    if must(socket:read_exactly(2)) ~= "\r\n" then fault("EPROTO", "EPROTO: a chunk has no end") end
  end
end

--- The body, as the head frames it (RFC 9112 6.3).
local function read_body(socket, status, headers, limit)
  local coding, length = headers["transfer-encoding"], headers["content-length"]
  if status == 204 or status == 304 then return "" end
  if coding then
    if coding:lower() ~= "chunked" then fault("EPROTO", "EPROTO: unknown transfer coding " .. coding) end
    return read_chunked(socket, limit)
  elseif not length then
    return must(socket:read_all(limit))
  end
  if not length:find("^%d+$") then fault("EPROTO", "EPROTO: Content-Length is no number") end
  if #length > 12 or tonumber(length) > limit then too_large(limit) end
  return tonumber(length) == 0 and "" or must(socket:read_exactly(math.tointeger(tonumber(length))))
end

-- ---- the request ----

local function exchange(target, max_bytes)
  local host = target.host:gsub("^%[(.*)%]$", "%1")
  local socket <close> = must(net.connect(host, target.port or 80))
  local place = target.path .. (target.query and "?" .. target.query or "")
  local authority = target.host .. (target.port and ":" .. target.port or "")
  must(socket:write("GET " .. place .. " HTTP/1.1\r\nHost: " .. authority
    .. "\r\nAccept: application/json\r\nConnection: close\r\n\r\n"))
  local status, headers = read_head(socket)
  return { status = status, headers = headers, body = read_body(socket, status, headers, max_bytes) }
end

--- Async. What is at a URL.
-- @param text "http://..."
-- @param options timeout: seconds for all of it (5); max_bytes: of the body (1 MiB)
-- @return { status =, headers = by name in lower case, body = }; or nil, message, code: ETIMEDOUT, ETOOBIG, EPROTO,
-- EOF, or one of net.connect. A cancelled task takes the connection with it.
function fetch.get(text, options)
  options = options or {}
  local target, message, code = url.parse(text)
  if not target then return nil, message, code end
  if target.scheme ~= "http" then return nil, "EINVAL: only http is spoken here: " .. text, "EINVAL" end
  local ok, response, why, reason = pcall(task.timeout, options.timeout or 5, exchange, target,
    options.max_bytes or 1 << 20)
  if ok then return response, why, reason end
  if getmetatable(response) ~= Fault then error(response, 0) end
  return nil, response.text, response.code
end

return fetch
