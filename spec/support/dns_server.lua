-- SPDX-License-Identifier: MIT
--- A name server for specs, on a loopback port of its own, UDP and TCP. It says what the spec makes it say, byte for
-- byte where it wants to: RFC 1035, section 4.

local net = require "luaserve.net"
local task = require "luaserve.task"

local dns_server = {}

local TYPES = { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, CAA = 257 }
local TYPE_NAMES = {}
for name, number in pairs(TYPES) do
  TYPE_NAMES[number] = name
end

local RCODES = { NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5, YXDOMAIN = 6 }

--- "www.example" as the labels of a message; the labels are taken as they are.
function dns_server.name(text)
  return (text:gsub("([^.]+)%.?", function(label) return string.pack("s1", label) end)) .. "\0"
end

--- Data of the record types, in the order in which a zone file has it.
dns_server.data = {
  A = function(address)
    return (address:gsub("(%d+)%.?", function(byte) return string.char(byte) end))
  end,
  AAAA = function(bytes) return bytes end,
  NS = dns_server.name,
  CNAME = dns_server.name,
  PTR = dns_server.name,
  MX = function(priority, exchange) return string.pack(">I2", priority) .. dns_server.name(exchange) end,
  TXT = function(...)
    local strings = {}
    for i, text in ipairs({ ... }) do
      strings[i] = string.pack("s1", text)
    end
    return table.concat(strings)
  end,
  SRV = function(priority, weight, port, name)
    return string.pack(">I2I2I2", priority, weight, port) .. dns_server.name(name)
  end,
  CAA = function(flags, tag, value) return string.pack("Bs1", flags, tag) .. value end,
  SOA = function(primary, hostmaster, ...)
    return dns_server.name(primary) .. dns_server.name(hostmaster) .. string.pack(">I4I4I4I4I4", ...)
  end,
}

--- A record of the answer, whose data is encoded already.
-- @param owner the name in wire form; "\xc0\x0c" points to that of the question
function dns_server.raw_record(owner, type, data, ttl, class)
  return owner .. string.pack(">I2I2I4s2", TYPES[type], class or 1, ttl or 300, data)
end

--- A record of the name that was asked for: record("MX", 10, "mail.example").
function dns_server.record(type, ...)
  return dns_server.raw_record("\xc0\x0c", type, dns_server.data[type](...))
end

--- The answer to a query.
-- @param records in wire form
-- @param options rcode: its name; truncated, authoritative, recursive (true unless told): flags; id; count: the number
-- of records that the header claims; question: in wire form
function dns_server.answer(query, records, options)
  options = options or {}
  local flags = 0x8100 | RCODES[options.rcode or "NOERROR"]
  flags = flags | (options.truncated and 0x0200 or 0) | (options.authoritative and 0x0400 or 0)
  flags = flags | (options.recursive == false and 0 or 0x0080)
  return string.pack(">I2I2I2I2I2I2", options.id or query.id, flags, 1, options.count or #records, 0, 0)
    .. (options.question or query.question) .. table.concat(records)
end

--- Only a response code.
function dns_server.failure(query, rcode)
  return dns_server.answer(query, {}, { rcode = rcode })
end

local function parse_query(bytes, transport)
  local query = { id = string.unpack(">I2", bytes), transport = transport }
  local at, labels = 13, {}
  while bytes:byte(at) ~= 0 do
    labels[#labels + 1], at = string.unpack("s1", bytes, at)
  end
  query.name = table.concat(labels, ".")
  query.type = TYPE_NAMES[string.unpack(">I2", bytes, at + 1)]
  query.question = bytes:sub(13, at + 4)
  return query
end

local Server = {}
Server.__index = Server

function Server:respond(bytes, transport)
  local query = parse_query(bytes, transport)
  self.queries[#self.queries + 1] = query
  return self.handler(query)
end

function Server:serve_udp()
  while true do
    local bytes, from = self.udp:receive()
    if not bytes then return end
    local answer = self:respond(bytes, "udp")
    if answer then self.udp:send(answer, from.host, from.port) end
  end
end

function Server:serve_tcp(sock)
  local _ <close> = sock
  while true do
    local length = sock:read_exactly(2)
    local bytes = length and sock:read_exactly((string.unpack(">I2", length)))
    local answer = bytes and self:respond(bytes, "tcp")
    if not answer then return end
    sock:write(string.pack(">s2", answer))
  end
end

--- Closes it; what is asked from now on is refused.
function Server:close()
  self.udp:close()
  self.tcp:close()
end

Server.__close = Server.close

-- A port that is free for UDP may be taken for TCP.
local function open_both(server)
  for _ = 1, 20 do
    server.udp = assert(net.udp({ host = "127.0.0.1" }))
    server.port = server.udp:address().port
    server.tcp = net.listen({ host = "127.0.0.1", port = server.port }, function(sock) server:serve_tcp(sock) end)
    if server.tcp then return end
    server.udp:close()
  end
  error("no port is free for UDP and TCP")
end

--- Starts one.
-- @param handler called with each query { id, name, type, transport = "udp" or "tcp", question }: returns the answer's
-- bytes, or nil to say nothing (over TCP: to close the connection)
-- @return a server: address as dns.set_servers takes it, port, queries so far
function dns_server.start(handler)
  local server = setmetatable({ handler = handler, queries = {} }, Server)
  open_both(server)
  server.address = "127.0.0.1:" .. server.port
  task.spawn(server.serve_udp, server)
  return server
end

return dns_server
