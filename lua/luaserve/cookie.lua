-- SPDX-License-Identifier: MIT
--- Cookies (RFC 6265 and its revision): lenient about what clients send, strict about what is built, and signatures
-- that tell whether a value is one's own.
-- @module luaserve.cookie

local crypto = require "luaserve.crypto"
local options = require "luaserve.core.options"

local cookie = {}

local equal, hmac = crypto.equal, crypto.hmac
local byte, find, sub = string.byte, string.find, string.sub

local NAME_AND_VALUE_MAX, ATTRIBUTE_MAX = 4096, 1024 -- beyond these user agents ignore cookie or attribute (5.6)
local SECRET_MIN = 16
local SIGNATURE_LENGTH = 43 -- of an HMAC-SHA256 in base64url

-- ---- reading ----

--- The cookies of a Cookie field. Of a repeated name the first counts: that of the most specific path (RFC 6265 5.4).
-- @param text the field's value, or nil
-- @return { name = value }; what makes no sense is left out
-- @usage local cookies = cookie.parse(req.headers.cookie)
cookie.parse = require "luaserve.core.cookie".parse

-- ---- values of any bytes ----

local function encode_byte(char) return ("%%%02X"):format(byte(char)) end

local function decode_byte(digits) return string.char(tonumber(digits, 16)) end

--- A value as res:set_cookie writes it: bytes that no value can have, and %, percent-encoded.
function cookie._encode(value)
  return (value:gsub("[^!#$&'()*+./0-:<-Z%[%]^-~-]", encode_byte))
end

--- What it was; what is no encoding, from a client, stays.
function cookie._decode(value)
  if not value or not find(value, "%", 1, true) then return value end
  return (value:gsub("%%(%x%x)", decode_byte))
end

-- ---- building ----

local attribute_names = { "domain", "expires", "http_only", "max_age", "partitioned", "path", "same_site", "secure" }
local same_sites = { strict = "Strict", lax = "Lax", none = "None" }
local days = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

--- Raises at the line of who called build, or a method that calls it.
local function refuse(level, text, ...)
  error(("cookie: " .. text):format(...), level + 2)
end

local function check_flag(attributes, name, level)
  local value = attributes[name]
  if value ~= nil and type(value) ~= "boolean" then
    refuse(level + 1, "%s is true or false, not a %s", name, type(value))
  end
  return value
end

--- An attribute that is text: visible characters and spaces, without ';'.
local function check_text(attributes, name, pattern, level)
  local value = attributes[name]
  if value == nil then return nil end
  if type(value) ~= "string" or #value > ATTRIBUTE_MAX or find(value, "[^\x20-\x3a\x3c-\x7e]") or
    not find(value, pattern) then
    refuse(level + 1, "%s cannot be %q", name, tostring(value))
  end
  return value
end

local function date_of(seconds, level)
  if math.type(seconds) == "float" then seconds = math.tointeger(seconds // 1) end
  if math.type(seconds) ~= "integer" or seconds < 0 or seconds > 253402300799 then
    refuse(level + 1, "expires is a time in seconds since 1970")
  end
  local t = os.date("!*t", seconds)
  return ("%s, %02d %s %04d %02d:%02d:%02d GMT"):format(days[t.wday], t.day, months[t.month], t.year, t.hour, t.min,
    t.sec)
end

local function check_pair(name, value, level)
  if type(name) ~= "string" or name == "" or find(name, "[^%w!#$%%&'*+.^_`|~-]") then
    refuse(level + 1, "the name must be a token, not %q", tostring(name))
  end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then
    refuse(level + 1, "the value of %s must be a string, not a %s", name, type(value))
  end
  local bad = find(value, "[^!#-+%-./0-:<-Z%[%]^-~]")
  if bad then
    refuse(level + 1, "the value of %s cannot have the byte %d (res:set_cookie encodes it, and req:cookie decodes)",
      name, byte(value, bad))
  end
  if #name + #value > NAME_AND_VALUE_MAX then
    refuse(level + 1, "%s is too large: name and value are at most %d bytes", name, NAME_AND_VALUE_MAX)
  end
  return value
end

--- Whether the cookie has to be secure: true or false as said, true where it is needed and nothing was said.
local function check_secure(name, attributes, same_site, level)
  local lower = name:sub(1, 12):lower()
  local is_host = lower:find("^__host%-") ~= nil
  local reason = (is_host or lower:find("^__secure%-") or lower:find("^__http%-")) and "the prefix of " .. name
    or same_site == "None" and "same_site none" or attributes.partitioned and "partitioned"
  local secure = check_flag(attributes, "secure", level + 1)
  if reason and secure == false then refuse(level + 1, "%s needs secure", reason) end
  if is_host and attributes.domain then refuse(level + 1, "the prefix of %s allows no domain", name) end
  if is_host and (attributes.path or "/") ~= "/" then refuse(level + 1, "the prefix of %s needs the path /", name) end
  if (lower:find("^__http%-") or lower:find("^__host%-http")) and attributes.http_only == false then
    refuse(level + 1, "the prefix of %s needs http_only", name)
  end
  return secure or reason ~= nil and reason ~= false
end

local function check_same_site(attributes, level)
  local value = attributes.same_site
  if value == nil then return "Lax" end
  if value == false then return nil end
  local same_site = type(value) == "string" and same_sites[value:lower()]
  if not same_site then refuse(level + 1, "same_site is strict, lax, none or false, not %q", tostring(value)) end
  return same_site
end

--- cookie.build for a function that the program calls: level says whose mistake it is, as for error in there.
function cookie._build(name, value, attributes, level)
  options.check(attributes, "cookie", attribute_names, level + 1)
  attributes = attributes or {}
  value = check_pair(name, value, level)
  local same_site = check_same_site(attributes, level)
  local secure = check_secure(name, attributes, same_site, level)
  local domain = check_text(attributes, "domain", "^%.?%w[%w.-]*$", level)
  local text = name .. "=" .. value .. "; Path=" .. (check_text(attributes, "path", "^/", level) or "/")
  if domain then text = text .. "; Domain=" .. domain end
  if attributes.max_age ~= nil then
    local age = type(attributes.max_age) == "number" and math.tointeger(attributes.max_age)
    if not age then refuse(level, "max_age is a number of seconds, an integer") end
    text = text .. "; Max-Age=" .. age
  end
  if attributes.expires ~= nil then text = text .. "; Expires=" .. date_of(attributes.expires, level) end
  if check_flag(attributes, "http_only", level) ~= false then text = text .. "; HttpOnly" end
  if secure then text = text .. "; Secure" end
  if same_site then text = text .. "; SameSite=" .. same_site end
  if check_flag(attributes, "partitioned", level) then text = text .. "; Partitioned" end
  return text
end

--- The value of a Set-Cookie field.
-- @param name a token; the prefixes __Secure-, __Host- and __Http- are held to what they promise
-- @param value a string of visible ASCII without space, quotes, comma, semicolon and backslash; or a number
-- @param attributes path ("/"), domain (this host only), max_age (seconds), expires (seconds since 1970), http_only
-- (true), secure (false, true where something else needs it), same_site ("lax"; "strict", "none", false: not said),
-- partitioned (false)
-- @return a string; raises for what a user agent would ignore or take for something else
-- @usage res:add("set-cookie", cookie.build("theme", "dark", { max_age = 86400 }))
function cookie.build(name, value, attributes)
  local text = cookie._build(name, value, attributes, 2) -- no tail call: an error counts levels
  return text
end

-- ---- signatures ----

--- The secrets as a list; raises, for who called the function that calls this, where one is none.
local function check_secrets(secrets, what)
  local list = type(secrets) == "table" and secrets or { secrets }
  for i = 1, math.max(#list, 1) do
    if type(list[i]) ~= "string" or #list[i] < SECRET_MIN then
      error(("cookie.%s: a secret is a string of at least %d bytes"):format(what, SECRET_MIN), 3)
    end
  end
  return list
end

--- No name and no purpose has a zero byte, so that no two of them give the same text.
local function signature_of(value, secret, name)
  return hmac("sha256", secret, "luaserve.cookie\0" .. name .. "\0" .. value, "base64url")
end

--- A value with a signature, for who wants to know whether it comes back unchanged. It can be read by everybody.
-- @param value a string, or a number
-- @param secrets a string of at least 16 bytes, or a list of such: the first one signs
-- @param name optional: what it is for, such as the name of its cookie: for another one it is not valid
-- @return value .. "." .. signature
-- @usage local signed = cookie.sign("7", secret, "user")
function cookie.sign(value, secrets, name)
  local secret = check_secrets(secrets, "sign")[1]
  if type(value) ~= "string" and type(value) ~= "number" then
    error("cookie.sign: the value must be a string, not a " .. type(value), 2)
  end
  return value .. "." .. signature_of(value, secret, name or "")
end

--- The value that was signed.
-- @param signed what sign has given, or anything; nil too
-- @param secrets as for sign: any of them may have signed it, so that a new one can be put in front of the old
-- @param name as for sign
-- @return value; or nil, message, "EINVAL" where nobody who has a secret signed that for this name
-- @usage local id = cookie.unsign(signed, { new_secret, old_secret }, "user")
function cookie.unsign(signed, secrets, name)
  local list = check_secrets(secrets, "unsign")
  local split = type(signed) == "string" and #signed - SIGNATURE_LENGTH or 0
  if split >= 1 and byte(signed, split) == 46 then
    local value, signature = sub(signed, 1, split - 1), sub(signed, split + 1)
    for _, secret in ipairs(list) do
      if equal(signature_of(value, secret, name or ""), signature) then return value end
    end
  end
  return nil, "EINVAL: the signature is missing or wrong", "EINVAL"
end

return cookie
