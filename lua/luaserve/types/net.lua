---@meta luaserve.net
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.net" returns. docs/api/net.md tells more.

---@class luaserve.net
local net = {}

---@class luaserve.net.address
---@field host? string numeric
---@field port? integer
---@field path? string of a unix socket, instead of host and port

---@class luaserve.net.connect_options
---@field timeout? number seconds for all of it
---@field attempt_delay? number|false seconds before the next address is tried as well; default 0.25

---@class luaserve.net.target: luaserve.net.connect_options
---@field host? string address or name
---@field addresses? string[] numeric addresses, instead of host
---@field port? integer
---@field path? string a unix socket, instead of host and port

---@class luaserve.net.listen_options
---@field host? string default: every address of this machine
---@field port? integer 0: a free one
---@field path? string a unix socket, instead of host and port
---@field mode? integer permissions of the unix socket's file
---@field fd? integer a socket that listens already
---@field systemd? boolean|string true: the first socket that systemd has passed; or its name
---@field backlog? integer
---@field reuse_port? boolean other processes may listen on the port too
---@field ipv6_only? boolean no IPv4 on an IPv6 address
---@field max_connections? integer

---@class luaserve.net.udp_options
---@field host? string numeric; default: every address of this machine
---@field port? integer 0: a free one
---@field reuse_address? boolean
---@field receive_buffer? integer bytes

---Connects over TCP. Waits.
---@param host string address or name
---@param port integer
---@param options? luaserve.net.connect_options
---@param callback? fun(message?: string, result: luaserve.socket|string)
---@return luaserve.socket? socket
---@return string? message
---@return string? code
---@overload fun(target: luaserve.net.target|luaserve.net.address, callback?: function): luaserve.socket?, string?, string?
function net.connect(host, port, options, callback) end

---Calls the handler for each connection, in a task of its own.
---@param options integer|luaserve.net.listen_options a port, or options
---@param handler fun(socket: luaserve.socket)
---@return luaserve.net_server? server
---@return string? message
---@return string? code
function net.listen(options, handler) end

---A datagram socket.
---@param options? luaserve.net.udp_options
---@return luaserve.udp? udp
---@return string? message
---@return string? code
function net.udp(options) end

---@class luaserve.net_server
local server = {}

---Where it listens; nil once it is closed.
---@return luaserve.net.address?
function server:address() end

---No new connections; those that there are go on.
---@return true
function server:close() end

---It keeps the process alive (as at first).
---@return luaserve.net_server
function server:ref() end

---It does not keep the process alive.
---@return luaserve.net_server
function server:unref() end

---@return {connections: integer, accepted: integer, refused: integer}
function server:stats() end

---A byte stream: TCP or a unix socket.
---@class luaserve.socket
local socket = {}

---What has arrived, at least a byte; nil at the end. Waits.
---@param max? integer bytes
---@param callback? fun(message?: string, result?: string)
---@return string? data
---@return string? message
---@return string? code
---@overload fun(self: luaserve.socket, callback: function): luaserve.operation
function socket:read(max, callback) end

---n bytes; nil at the end. Waits.
---@param n integer
---@param callback? fun(message?: string, result?: string)
---@return string? data
---@return string? message
---@return string? code
function socket:read_exactly(n, callback) end

---Up to the delimiter, which is consumed and not returned; nil at the end. Waits.
---@param delimiter string
---@param limit? integer bytes before it; default 1 MiB
---@param callback? fun(message?: string, result?: string)
---@return string? data
---@return string? message
---@return string? code
function socket:read_until(delimiter, limit, callback) end

---Everything up to the end. Waits.
---@param limit? integer bytes; default 64 MiB
---@param callback? fun(message?: string, result?: string)
---@return string? data
---@return string? message
---@return string? code
function socket:read_all(limit, callback) end

---Lines without their ends; the steps wait, and raise what goes wrong.
---@param limit? integer bytes of a line; default 1 MiB
---@return fun(socket: luaserve.socket): string?
---@return luaserve.socket
function socket:lines(limit) end

---Waits until the system has all of it.
---@param data string
---@param callback? fun(message?: string, result: true|string)
---@return true?
---@return string? message
---@return string? code
function socket:write(data, callback) end

---Nothing more will be written; reading goes on.
---@return true?
---@return string? message
---@return string? code
function socket:shutdown() end

---@return true
function socket:close() end

---Closes so that the peer gets ECONNRESET.
---@return true
function socket:reset() end

---Bounds each later read and write; nil: unbounded.
---@param seconds? number
---@return luaserve.socket
function socket:set_timeout(seconds) end

---Asks a silent peer for a sign of life; false: never.
---@param seconds integer|false
---@return true?
---@return string? message
---@return string? code
function socket:set_keepalive(seconds) end

---Whether small writes leave at once.
---@param on boolean
---@return true?
---@return string? message
---@return string? code
function socket:set_nodelay(on) end

---This end.
---@return luaserve.net.address?
---@return string? message
---@return string? code
function socket:address() end

---The other end; also after close.
---@return luaserve.net.address
function socket:peer() end

---A datagram socket.
---@class luaserve.udp
local udp = {}

---The next datagram and where it came from. Waits.
---@param callback? fun(message?: string, data: string, from?: luaserve.net.address)
---@return string? data
---@return luaserve.net.address|string? from or message
---@return string? code
function udp:receive(callback) end

---One datagram, to host and port or to where it is connected. Waits for a name, and while the system has no room.
---@param data string
---@param host? string address or name
---@param port? integer
---@param callback? fun(message?: string, result: true|string)
---@return true?
---@return string? message
---@return string? code
function udp:send(data, host, port, callback) end

---From now on sends to and receives from that address only. Waits for a name.
---@param host string address or name
---@param port integer
---@param callback? fun(message?: string, result: true|string)
---@return true?
---@return string? message
---@return string? code
function udp:connect(host, port, callback) end

---Its own end.
---@return luaserve.net.address?
---@return string? message
---@return string? code
function udp:address() end

---Where it is connected.
---@return luaserve.net.address?
function udp:peer() end

---How many datagrams came and were dropped.
---@return integer?
---@return string? message
---@return string? code
function udp:dropped() end

---Bounds each later receive, send and connect; nil: unbounded.
---@param seconds? number
---@return luaserve.udp
function udp:set_timeout(seconds) end

---Receives what is sent to the group and the socket's port.
---@param group string numeric address
---@param interface? string name or address
---@return true?
---@return string? message
---@return string? code
function udp:join(group, interface) end

---@param group string numeric address
---@param interface? string name or address
---@return true?
---@return string? message
---@return string? code
function udp:leave(group, interface) end

---Where multicast leaves; nil: the system chooses.
---@param interface? string name or address
---@return true?
---@return string? message
---@return string? code
function udp:set_multicast_interface(interface) end

---How many routers multicast may pass.
---@param hops integer 0 to 255
---@return true?
---@return string? message
---@return string? code
function udp:set_multicast_ttl(hops) end

---Whether this machine gets its own multicast.
---@param on boolean
---@return true?
---@return string? message
---@return string? code
function udp:set_multicast_loop(on) end

---Allows broadcast addresses.
---@param on boolean
---@return true?
---@return string? message
---@return string? code
function udp:set_broadcast(on) end

---@return true
function udp:close() end

return net
