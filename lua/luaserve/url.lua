-- SPDX-License-Identifier: MIT
--- URLs as browsers read them: the URL standard of the WHATWG (url.spec.whatwg.org), but for names beyond ASCII, which
-- have to come in punycode.
-- @module luaserve.url

local url = {}

local byte, concat, find, gsub, lower, match, sub =
  string.byte, table.concat, string.find, string.gsub, string.lower, string.match, string.sub

-- Special schemes and their ports; false: none.
local special = { http = 80, https = 443, ws = 80, wss = 443, ftp = 21, file = false }

local function is_special(scheme) return special[scheme] ~= nil end

local function fail(text, ...)
  return nil, "EINVAL: " .. text:format(...), "EINVAL"
end

-- ---- percent-encoding ----

local escapes, bytes = {}, {} -- "\0" -> "%00"; "00" -> "\0"
for i = 0, 255 do
  local char, hex = string.char(i), ("%02X"):format(i)
  escapes[char] = "%" .. hex
  local low = hex:lower()
  bytes[hex], bytes[low] = char, char
  bytes[low:sub(1, 1) .. hex:sub(2)], bytes[hex:sub(1, 1) .. low:sub(2)] = char, char
end

-- The percent-encode sets of the standard (1.3), as patterns of what is to be encoded.
local sets = {
  control = "[^ -~]",
  fragment = '[^!#-;=?-_a-~]',
  query = '[^!$-;=?-~]',
  special_query = "[^!$-&(-;=?-~]",
  path = "[^!$-;=@-[\\%]_a-z|~]",
  userinfo = "[^!$-.0-9A-Z_a-z~]",
  form = "[^%w*%-._]",
  component = "[^%w%-._~]",
}

local function escape(text, set)
  return (gsub(text, sets[set], escapes))
end

local function unescape(text)
  return (gsub(text, "%%(%x%x)", bytes))
end

--- text for a place inside a URL, such as a segment of a path: everything but letters, digits and -._~ is encoded.
-- @usage local path = "/files/" .. url.encode(name)
function url.encode(text)
  return escape(text, "component")
end

--- What %XX in text stands for; a '%' without two hex digits stays as it is, and so does '+'. Bytes, whatever they are.
function url.decode(text)
  return unescape(text)
end

-- ---- hosts (standard 3) ----

--- The value of a part of an IPv4 address: decimal, 0x1f, 017; nil: it is none. Larger than any address: 2^32.
local function ipv4_number(part)
  if part == "" then return nil end
  local base, digits = 10, part
  if find(part, "^0[xX]") then
    base, digits = 16, sub(part, 3)
  elseif find(part, "^0.") then
    base, digits = 8, sub(part, 2)
  end
  if find(digits, base == 16 and "%X" or base == 8 and "[^0-7]" or "%D") then return nil end
  digits = gsub(digits, "^0+", "")
  if #digits > 12 then return 1 << 32 end
  return digits == "" and 0 or tonumber(digits, base)
end

local function split(text, separator)
  local list, at = {}, 1
  while true do
    local stop = find(text, separator, at)
    list[#list + 1] = sub(text, at, stop and stop - 1)
    if not stop then return list end
    at = stop + 1
  end
end

--- The parts of a host whose last one is a number, which makes it an IPv4 address; nil: it is a name.
local function ipv4_parts(host)
  local parts = split(byte(host, -1) == 46 and sub(host, 1, -2) or host, "%.")
  local last = parts[#parts]
  return (find(last, "^%d+$") or find(last, "^0[xX]%x*$")) and parts or nil
end

local function parse_ipv4(parts)
  if #parts > 4 then return nil end
  local address = 0
  for i, part in ipairs(parts) do
    local number = ipv4_number(part)
    local bits = i == #parts and 8 * (5 - #parts) or 8
    if not number or number >= 1 << bits then return nil end
    address = address | number << (i == #parts and 0 or 8 * (4 - i))
  end
  return ("%d.%d.%d.%d"):format(address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255)
end

--- The dotted end of an IPv6 address as two pieces; nil: it is none.
local function dotted_pieces(text)
  local a, b, c, d = match(text, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  local numbers = {}
  for i, part in ipairs { a, b, c, d } do
    if #part > 3 or find(part, "^0.") or tonumber(part) > 255 then return nil end
    numbers[i] = tonumber(part)
  end
  if #numbers ~= 4 then return nil end
  return numbers[1] << 8 | numbers[2], numbers[3] << 8 | numbers[4]
end

--- Adds the pieces of one side of the "::" to list; false: one is malformed.
local function add_pieces(list, text, is_end)
  if text == "" then return true end
  local parts = split(text, ":")
  for i, part in ipairs(parts) do
    if find(part, "^%x%x?%x?%x?$") then
      list[#list + 1] = tonumber(part, 16)
    else
      local high, low
      if is_end and i == #parts then high, low = dotted_pieces(part) end
      if not high then return false end
      list[#list + 1], list[#list + 2] = high, low
    end
  end
  return true
end

--- First piece and length of the longest run of zeros, of two at least; 0, 0: there is none.
local function longest_zeros(pieces)
  local first, length, at = 0, 1, 1
  while at <= 8 do
    local stop = at
    while stop <= 8 and pieces[stop] == 0 do stop = stop + 1 end
    if stop - at > length then first, length = at, stop - at end
    at = stop + 1
  end
  if first == 0 then return 0, 0 end
  return first, length
end

local function format_ipv6(pieces)
  local first, length = longest_zeros(pieces)
  local texts = {}
  for i, piece in ipairs(pieces) do texts[i] = ("%x"):format(piece) end
  if first == 0 then return "[" .. concat(texts, ":") .. "]" end
  return "[" .. concat(texts, ":", 1, first - 1) .. "::" .. concat(texts, ":", first + length) .. "]"
end

local function parse_ipv6(text)
  if #text > 45 then return nil end
  local left, right = {}, {}
  local gap = find(text, "::", 1, true)
  if not gap then
    return add_pieces(left, text, true) and #left == 8 and format_ipv6(left) or nil
  end
  local tail = sub(text, gap + 2)
  if not add_pieces(left, sub(text, 1, gap - 1), false) or not add_pieces(right, tail, true) then return nil end
  if #left + #right > 7 then return nil end
  while #left + #right < 8 do left[#left + 1] = 0 end
  return format_ipv6(table.move(right, 1, #right, #left + 1, left))
end

--- A host of a special scheme, as it is written: lower case, addresses in their one form. Or nil, message, code.
local function parse_domain(text)
  local host = lower(unescape(text))
  if find(host, "[\x80-\xff]") then
    return fail("the host '%s' is not ASCII: names of other letters have to come in punycode", text)
  elseif host == "" or find(host, "[\0-\32#%%/:<>?@%[\\%]^|\x7f]") then
    return fail("'%s' is no host", text)
  end
  local parts = ipv4_parts(host)
  if not parts then return host end
  local address = parse_ipv4(parts)
  if not address then return fail("'%s' is no IPv4 address", text) end
  return address
end

local function parse_host(text, scheme)
  if byte(text) == 91 then -- '['
    local address = byte(text, -1) == 93 and parse_ipv6(sub(text, 2, -2))
    if not address then return fail("'%s' is no IPv6 address", text) end
    return address
  elseif is_special(scheme) then
    return parse_domain(text)
  elseif find(text, "[\0\t\n\r #/:<>?@%[\\%]^|]") then
    return fail("'%s' is no host", text)
  end
  return escape(text, "control")
end

-- ---- paths ----

--- Whether a segment is "." (1) or ".." (2), also encoded; 0: neither.
local function dots_of(segment)
  if #segment > 6 then return 0 end
  local plain = gsub(segment, "%%2[eE]", ".")
  return plain == "." and 1 or plain == ".." and 2 or 0
end

local function is_drive(segment) return find(segment, "^%a[:|]$") ~= nil end

local function starts_with_drive(text) return find(text, "^%a[:|]$") or find(text, "^%a[:|][/\\?]") end

local function shorten(segments, scheme)
  if scheme == "file" and #segments == 1 and find(segments[1], "^%a:$") then return end
  segments[#segments] = nil
end

--- Appends what the path text says, behind its first slash, to segments, and resolves dots.
local function add_path(segments, text, scheme)
  local list = split(text, is_special(scheme) and "[/\\]" or "/")
  for i, segment in ipairs(list) do
    local dots = dots_of(segment)
    if dots == 2 then shorten(segments, scheme) end
    if dots == 0 then
      if scheme == "file" and #segments == 0 and is_drive(segment) then segment = sub(segment, 1, 1) .. ":" end
      segments[#segments + 1] = escape(segment, "path")
    elseif i == #list then
      segments[#segments + 1] = ""
    end
  end
end

local function segments_of(path)
  if path == "" then return {} end
  return split(sub(path, 2), "/")
end

local function join(segments)
  return #segments == 0 and "" or "/" .. concat(segments, "/")
end

-- ---- parsing (standard 4.4) ----

local Url = {}
Url.__name = "luaserve.url"

local function is_slash(char, scheme)
  return char == 47 or char == 92 and is_special(scheme)
end

--- The path text that follows an authority, or stands alone: with its first slash, or "".
local function set_path(u, text)
  if text == "" and not is_special(u.scheme) then
    u.path = ""
    return
  end
  local segments = {}
  add_path(segments, is_slash(byte(text), u.scheme) and sub(text, 2) or text, u.scheme)
  u.path = join(segments)
end

local function set_port(u, text)
  if text == "" then return true end
  if find(text, "%D") then return fail("'%s' is no port", text) end
  local port = #gsub(text, "^0+", "") > 5 and 65536 or math.tointeger(tonumber(text))
  if port > 65535 then return fail("the port %s is over 65535", text) end
  if port ~= special[u.scheme] then u.port = port end
  return true
end

local function set_credentials(u, text)
  local colon = find(text, ":", 1, true)
  local name, password = sub(text, 1, colon and colon - 1), colon and sub(text, colon + 1) or ""
  if name ~= "" then u.username = escape(name, "userinfo") end
  if password ~= "" then u.password = escape(password, "userinfo") end
end

--- The last '@' of text, or nil.
local function last_at(text)
  local found, at = nil, find(text, "@", 1, true)
  while at do found, at = at, find(text, "@", at + 1, true) end
  return found
end

--- user:password@host:port, and the path behind it.
local function set_authority(u, text)
  local stop = find(text, is_special(u.scheme) and "[/\\]" or "/") or #text + 1
  local authority, path = sub(text, 1, stop - 1), sub(text, stop)
  local at = last_at(authority)
  if at then set_credentials(u, sub(authority, 1, at - 1)) end
  local place = sub(authority, (at or 0) + 1)
  local bracket = byte(place) == 91 and find(place, "]", 1, true) or 0
  local colon = find(place, ":", bracket + 1, true)
  local host = sub(place, 1, colon and colon - 1)
  if host == "" and (is_special(u.scheme) or at or colon) then return fail("a host is missing") end
  local message, code
  if host == "" then
    u.host = ""
  else
    u.host, message, code = parse_host(host, u.scheme)
    if not u.host then return nil, message, code end
  end
  if colon then
    local ok
    ok, message, code = set_port(u, sub(place, colon + 1))
    if not ok then return nil, message, code end
  end
  set_path(u, path)
  return u
end

local function copy_authority(u, base)
  u.username, u.password, u.host, u.port = base.username, base.password, base.host, base.port
end

--- What is relative to the path of base, or to nothing but its authority.
local function set_relative(u, text, base)
  if is_slash(byte(text), u.scheme) then
    if is_slash(byte(text, 2), u.scheme) then
      if is_special(u.scheme) then return set_authority(u, (gsub(text, "^[/\\]+", ""))) end
      return set_authority(u, sub(text, 3))
    end
    copy_authority(u, base)
    set_path(u, text)
    return u
  end
  copy_authority(u, base)
  if text == "" then
    u.path, u.query = base.path, u.query or base.query
    return u
  end
  local segments = segments_of(base.path)
  shorten(segments, u.scheme)
  add_path(segments, text, u.scheme)
  u.path = join(segments)
  return u
end

local function set_file_host(u, text)
  local stop = find(text, "[/\\]") or #text + 1
  local host = sub(text, 1, stop - 1)
  if is_drive(host) then
    set_path(u, text)
    return u
  end
  if host ~= "" then
    local message, code
    u.host, message, code = parse_host(host, "file")
    if not u.host then return nil, message, code end
    if u.host == "localhost" then u.host = "" end
  end
  set_path(u, sub(text, stop))
  return u
end

local function set_file(u, text, base)
  local segments = {}
  u.host = ""
  if base and base.scheme ~= "file" then base = nil end
  if is_slash(byte(text), "file") then
    if is_slash(byte(text, 2), "file") then return set_file_host(u, sub(text, 3)) end
    text = sub(text, 2)
    if base then
      u.host = base.host
      local drive = match(base.path, "^/(%a:)%f[/\0]")
      if drive and not starts_with_drive(text) then segments[1] = drive end
    end
  elseif base then
    u.host = base.host
    if text == "" then
      u.path, u.query = base.path, u.query or base.query
      return u
    end
    if not starts_with_drive(text) then
      segments = segments_of(base.path)
      shorten(segments, "file")
    end
  end
  add_path(segments, text, "file")
  u.path = join(segments)
  return u
end

--- A space in front of a query or fragment would be lost when the URL is read again without these.
local function set_opaque(u, text)
  u.opaque = true
  if byte(text, -1) == 32 then text = sub(text, 1, -2) .. "%20" end
  u.path = escape(text, "control")
  return u
end

--- What follows the scheme, without query and fragment.
local function set_rest(u, text, base)
  if u.scheme == "file" then return set_file(u, text, base) end
  if is_special(u.scheme) then
    if base and base.scheme == u.scheme and not find(text, "^//") then return set_relative(u, text, base) end
    return set_authority(u, (gsub(text, "^[/\\]+", "")))
  end
  if find(text, "^//") then return set_authority(u, sub(text, 3)) end
  if byte(text) ~= 47 then return set_opaque(u, text) end
  set_path(u, text)
  return u
end

local function parse_with(text, base)
  text = gsub(gsub(text, "^[\0-\32]+", ""), "[\t\n\r]", "")
  local last = #text
  while last > 0 and byte(text, last) <= 32 do last = last - 1 end
  text = sub(text, 1, last)
  local u = setmetatable({}, Url)
  local hash = find(text, "#", 1, true)
  if hash then u.fragment, text = escape(sub(text, hash + 1), "fragment"), sub(text, 1, hash - 1) end
  local mark = find(text, "?", 1, true)
  local query = mark and sub(text, mark + 1)
  local front = sub(text, 1, mark and mark - 1)
  local scheme, rest = match(front, "^(%a[%w+.-]*):(.*)$")
  u.scheme = scheme and lower(scheme) or base and base.scheme
  if not u.scheme then return fail("'%s' has no scheme", text) end
  if query then u.query = escape(query, is_special(u.scheme) and "special_query" or "query") end
  if scheme then return set_rest(u, rest, base) end
  if base.opaque then
    if text ~= "" or not hash then return fail("'%s' is relative, and its base cannot have such", text) end
    u.path, u.query, u.opaque = base.path, base.query, true
    return u
  end
  if base.scheme == "file" then return set_file(u, front, base) end
  return set_relative(u, front, base)
end

--- A string, or what parse has given, as a table; or nil, message, code.
local function record_of(value)
  if type(value) == "table" then return value end
  return parse_with(value, nil)
end

--- Takes a URL apart, as the standard says: what is written in several ways comes in one.
-- @param text a string
-- @param base optional: the URL, or what parse gave, that a relative one is resolved against
-- @return { scheme, username, password, host, port, path, query, fragment, opaque }: all strings as they stand in the
-- URL, encoded, and nil where there is none; port an integer, nil for the scheme's own; host nil where there can be
-- none, "" for files; opaque: true for mailto:x and the like, whose path is one piece. tostring makes a URL of it.
-- Or nil, message, "EINVAL"
-- @usage local u = assert(url.parse "https://example.org:8080/a?b=c#d")
function url.parse(text, base)
  if type(text) ~= "string" then error("url.parse: a URL is a string, not a " .. type(text), 2) end
  if base ~= nil then
    local message, code
    base, message, code = record_of(base)
    if not base then return nil, message, code end
  end
  local parsed, message, code = parse_with(text, base)
  if not parsed then return nil, message, code end
  return parsed
end

--- Where a link leads that stands in base: an absolute URL. Or nil, message, "EINVAL".
-- @usage local target = url.resolve("https://example.org/a/b", "../c?d")
function url.resolve(base, reference)
  local parsed, message, code = url.parse(reference, base)
  if not parsed then return nil, message, code end
  return tostring(parsed)
end

-- ---- building (standard 4.5) ----

local function serialize(u)
  local out = u.scheme .. ":"
  if u.host then
    out = out .. "//"
    if u.username or u.password then
      out = out .. (u.username or "") .. (u.password and ":" .. u.password or "") .. "@"
    end
    out = out .. u.host .. (u.port and ":" .. u.port or "")
  elseif not u.opaque and find(u.path, "^//") then
    out = out .. "/."
  end
  out = out .. u.path
  if u.query then out = out .. "?" .. u.query end
  if u.fragment then out = out .. "#" .. u.fragment end
  return out
end

Url.__tostring = serialize

local part_names = { "fragment", "host", "opaque", "password", "path", "port", "query", "scheme", "username" }

local function check_part(parts, name)
  local value = parts[name]
  if value ~= nil and type(value) ~= "string" then
    error(("url.build: %s must be a string, not a %s"):format(name, type(value)), 3)
  end
  return value
end

local function check_build(ok, message)
  if not ok then error("url.build: " .. message:gsub("^EINVAL: ", ""), 3) end
  return ok
end

--- A URL of its parts, which are those that parse gives. What cannot stand where it is, is encoded; what is encoded
-- already stays, so that encode has to have been called for what is not.
-- @param parts scheme (needed), username, password, host, port, path, query (a string, or a table for build_query),
-- fragment, opaque
-- @return a string; raises for what cannot be a URL
-- @usage local link = url.build { scheme = "https", host = "example.org", path = "/find", query = { q = "a b" } }
function url.build(parts)
  require "luaserve.core.options".check(parts or {}, "url.build", part_names)
  local scheme = check_part(parts, "scheme")
  if not scheme or not find(scheme, "^%a[%w+.-]*$") then error("url.build: a scheme is missing, or is none", 2) end
  local u = { scheme = lower(scheme), opaque = parts.opaque }
  local host, path, query = check_part(parts, "host"), check_part(parts, "path") or "", parts.query
  if special[u.scheme] and (host or "") == "" then error("url.build: a host is missing", 2) end
  if host and host ~= "" then u.host = check_build(parse_host(host, u.scheme)) else u.host = host end
  if u.scheme == "file" then u.host = (not u.host or u.host == "localhost") and "" or u.host end
  local username, password = check_part(parts, "username"), check_part(parts, "password")
  if (username or password or parts.port) and ((u.host or "") == "" or u.scheme == "file") then
    error("url.build: without a host there is no user and no port", 2)
  end
  u.username, u.password = username and escape(username, "userinfo"), password and escape(password, "userinfo")
  if parts.port ~= nil then check_build(set_port(u, tostring(parts.port))) end
  if u.opaque then
    if u.host or is_special(u.scheme) or find(path, "^/") then error("url.build: an opaque path stands alone", 2) end
    set_opaque(u, (gsub(path, "[?#\t\n\r]", escapes)))
  elseif path ~= "" and byte(path) ~= 47 then
    error("url.build: the path must begin with a slash", 2)
  else
    set_path(u, (gsub(path, is_special(u.scheme) and "[?#\t\n\r\\]" or "[?#\t\n\r]", escapes)))
  end
  if type(query) == "table" then u.query = url.build_query(query) else u.query = check_part(parts, "query") end
  if u.query then u.query = escape(u.query, is_special(u.scheme) and "special_query" or "query") end
  u.fragment = check_part(parts, "fragment") and escape(parts.fragment, "fragment")
  return serialize(u)
end

-- ---- queries (standard 5) ----

--- The iterator over the pairs of a query: place behind the pair, name, value.
function url._next_pair(text, at)
  while at <= #text do
    local stop = find(text, "&", at, true) or #text + 1
    if stop > at then
      local pair = gsub(sub(text, at, stop - 1), "%+", " ")
      local equals = find(pair, "=", 1, true) or #pair + 1
      return stop + 1, unescape(sub(pair, 1, equals - 1)), unescape(sub(pair, equals + 1))
    end
    at = stop + 1
  end
end

--- The pairs of a query, or of the body of a form: a=1&b=2.
-- @param text without '?'; nil is as good as ""
-- @return { name = value }, of a repeated name the first; and { { name, value }, ... } of all, in order
-- @usage local values, pairs = url.parse_query "tag=a&tag=b"
function url.parse_query(text)
  local values, list = {}, {}
  for _, name, value in url._next_pair, text or "", 1 do
    if values[name] == nil then values[name] = value end
    list[#list + 1] = { name, value }
  end
  return values, list
end

local function query_text(value, name)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    error(("url.build_query: the value of %s is a %s"):format(name, kind), 4)
  end
  return (gsub(escape(tostring(value), "form"), "%%20", "+"))
end

local function add_pair(out, name, value)
  out[#out + 1] = query_text(name, "a name") .. "=" .. query_text(value, tostring(name))
end

--- The reverse of parse_query.
-- @param values { name = value }, where a value is a string, a number, a boolean, or a list of such for a repeated
-- name, and names are sorted; or { { name, value }, ... }, whose order stays
-- @usage local query = url.build_query { tag = { "a", "b" }, page = 2 } -- page=2&tag=a&tag=b
function url.build_query(values)
  if type(values) ~= "table" then error("url.build_query: a table is needed, not a " .. type(values), 2) end
  local out, names = {}, {}
  for _, pair in ipairs(values) do add_pair(out, pair[1], pair[2]) end
  if #out > 0 then return concat(out, "&") end
  for name in pairs(values) do
    if type(name) ~= "string" then error("url.build_query: a name is a " .. type(name), 2) end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = values[name]
    for _, one in ipairs(type(value) == "table" and value or { value }) do add_pair(out, name, one) end
  end
  return concat(out, "&")
end

return url
