-- SPDX-License-Identifier: MIT
---@meta luaserve.dns

---Names, addresses and records. See docs/api/dns.md.
---@class luaserve.dns
local dns = {}

---@class luaserve.dns.address
---@field address string  # "127.0.0.1", "::1"
---@field family "ipv4"|"ipv6"

---@class luaserve.dns.lookup_options
---@field family? "ipv4"|"ipv6"  # only those; both unless given
---@field addrconfig? boolean    # only families that this machine has an address of, loopback aside
---@field v4mapped? boolean      # with family "ipv6": IPv4 addresses as "::ffff:192.0.2.1" of a name that has no other
---@field all? boolean           # with v4mapped: those besides the IPv6 ones

---@alias luaserve.dns.type "A"|"AAAA"|"CAA"|"CNAME"|"MX"|"NS"|"PTR"|"SOA"|"SRV"|"TXT"

---@class luaserve.dns.resolve_options
---@field timeout? number  # seconds for the first try with a server (2); each further round takes twice as long
---@field tries? integer   # with each server, 1 to 9 (3)

---@class luaserve.dns.record
---@field ttl integer         # seconds
---@field address? string     # A, AAAA
---@field name? string        # CNAME, NS, PTR, SRV
---@field exchange? string    # MX
---@field priority? integer   # MX, SRV
---@field weight? integer     # SRV
---@field port? integer       # SRV
---@field text? string        # TXT
---@field flags? integer      # CAA
---@field tag? string         # CAA
---@field value? string       # CAA
---@field primary? string     # SOA, like the following
---@field hostmaster? string
---@field serial? integer
---@field refresh? integer    # seconds
---@field retry? integer      # seconds
---@field expire? integer     # seconds
---@field minimum? integer    # seconds

---@alias luaserve.dns.code
---| "ENOTFOUND"    # there is no such name
---| "ENODATA"      # the name has no record of that type
---| "ESERVFAIL"    # no server could find out
---| "EREFUSED"     # no server answers us
---| "ENOTIMP"      # no server knows such queries
---| "EFORMERR"     # no server could read the query
---| "EBADRESP"     # a malformed answer
---| "EBADNAME"     # that cannot be a domain name; nobody was asked
---| "ECONNREFUSED" # nobody is there
---| "ETIMEDOUT"    # no answer

---All addresses of a host name, the one to try first first, as this machine knows them (/etc/hosts, its resolver).
---@async
---@param name string
---@param options? luaserve.dns.lookup_options
---@return luaserve.dns.address[]? addresses
---@return string? message
---@return string? code "EAI_NONAME", "EAI_AGAIN", ...
---@overload fun(name: string, callback: fun(message: string?, found: luaserve.dns.address[]|string)): luaserve.operation
---@overload fun(name: string, options: luaserve.dns.lookup_options?, callback: fun(message: string?, found: luaserve.dns.address[]|string)): luaserve.operation
function dns.lookup(name, options) end

---The names of an address, the main one first.
---@async
---@param address string
---@return string[]? names
---@return string? message
---@return string? code "EAI_NONAME", "EAI_AGAIN", "EINVAL"
---@overload fun(address: string, callback: fun(message: string?, names: string[]|string)): luaserve.operation
function dns.reverse(address) end

---Asks the name servers for the records of one type.
---@async
---@param name string
---@param type? luaserve.dns.type "A" unless given
---@param options? luaserve.dns.resolve_options
---@return luaserve.dns.record[]? records
---@return string? message
---@return luaserve.dns.code? code
---@overload fun(name: string, callback: fun(message: string?, records: luaserve.dns.record[]|string)): luaserve.operation
---@overload fun(name: string, type: luaserve.dns.type?, callback: fun(message: string?, records: luaserve.dns.record[]|string)): luaserve.operation
---@overload fun(name: string, type: luaserve.dns.type?, options: luaserve.dns.resolve_options?, callback: fun(message: string?, records: luaserve.dns.record[]|string)): luaserve.operation
function dns.resolve(name, type, options) end

---The name servers for resolve from now on, at most 16: "192.0.2.1", "192.0.2.1:5353", "::1", "[::1]:5353".
---@param servers? string[] nothing: those of the system
---@return true
function dns.set_servers(servers) end

---The name servers that resolve asks.
---@return string[]? servers
---@return string? message
---@return string? code
function dns.get_servers() end

return dns
