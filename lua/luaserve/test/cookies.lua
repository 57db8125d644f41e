-- SPDX-License-Identifier: MIT
--- What a client keeps of Set-Cookie, for one host (RFC 6265 5.2 to 5.4). Whether a cookie is secure does not matter
-- here: what a spec asks plays the part of a server behind TLS.

local cookies = {}

local Jar = {}
Jar.__index = Jar

local months = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11,
  dec = 12 }

--- Seconds since 1970 of a date as servers write it, "Sun, 06 Nov 1994 08:49:37 GMT"; nil for another text.
local function time_of(text)
  local day, month, year, hour, min, sec = text:match("(%d%d?)[ -](%a%a%a)%a*[ -](%d%d%d%d) (%d%d?):(%d%d):(%d%d)")
  month = month and months[month:lower()]
  if not month then return nil end
  local y, m = math.tointeger(tonumber(year)), month
  if m <= 2 then y, m = y - 1, m + 12 end -- the year begins in March, and ends with the leap day
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (m - 3) + 2) // 5 + tonumber(day) - 719469
  return ((days * 24 + tonumber(hour)) * 60 + tonumber(min)) * 60 + tonumber(sec)
end

--- The folder of a path, which is a cookie's path unless it says another one (RFC 6265 5.1.4).
local function default_path(path)
  local folder = path:match("^(/.*)/[^/]*$")
  return folder or "/"
end

local attribute_readers = {
  domain = function(cookie, value) cookie.domain = value:lower():gsub("^%.", "") end,
  path = function(cookie, value) cookie.path = value:find("^/") and value or nil end,
  expires = function(cookie, value) cookie.expires = time_of(value) end,
  ["max-age"] = function(cookie, value) cookie.max_age = math.tointeger(tonumber(value)) end,
  secure = function(cookie) cookie.secure = true end,
  httponly = function(cookie) cookie.http_only = true end,
  samesite = function(cookie, value) cookie.same_site = value:lower() end,
}

--- What a Set-Cookie field says: { name, value, domain, path, expires, max_age, secure, http_only, same_site }, or nil.
function cookies.read(field)
  local pair, rest = field:match("^([^;]*)(.*)$")
  local name, value = pair:match("^%s*([^=]-)%s*=%s*(.-)%s*$")
  if not name or name == "" then return nil end
  local cookie = { name = name, value = value }
  for attribute in rest:gmatch(";([^;]*)") do
    local key, text = attribute:match("^%s*([^=]-)%s*=%s*(.-)%s*$")
    local reader = attribute_readers[(key or attribute:match("^%s*(.-)%s*$")):lower()]
    if reader then reader(cookie, text or "") end
  end
  return cookie
end

--- A jar for what host sends.
function cookies.new(host)
  return setmetatable({ host = host:gsub(":%d+$", ""):lower(), list = {} }, Jar)
end

local function domain_matches(host, domain)
  return host == domain or host:sub(-#domain - 1) == "." .. domain
end

local function path_matches(path, prefix)
  if path:sub(1, #prefix) ~= prefix then return false end
  return #path == #prefix or prefix:sub(-1) == "/" or path:sub(#prefix + 1, #prefix + 1) == "/"
end

local function has_expired(cookie)
  return cookie.deadline and cookie.deadline <= os.time()
end

--- Where in the list the same cookie is, which a new one replaces.
local function index_of(self, cookie)
  for i, other in ipairs(self.list) do
    if other.name == cookie.name and other.path == cookie.path and other.domain == cookie.domain then return i end
  end
  return #self.list + 1
end

--- Keeps what a Set-Cookie field of the response to path says.
function Jar:store(field, path)
  local cookie = cookies.read(field)
  if not cookie or cookie.domain and not domain_matches(self.host, cookie.domain) then return end
  cookie.path = cookie.path or default_path(path)
  cookie.deadline = cookie.max_age and os.time() + cookie.max_age or cookie.expires
  local index = index_of(self, cookie)
  if has_expired(cookie) then
    if self.list[index] then table.remove(self.list, index) end
  else
    self.list[index] = cookie
  end
end

--- The Cookie field for a request to path, or nil: longer paths first, then who came first.
function Jar:field(path)
  local fitting = {}
  for i, cookie in ipairs(self.list) do
    if not has_expired(cookie) and path_matches(path, cookie.path) then
      fitting[#fitting + 1] = { cookie = cookie, order = i }
    end
  end
  table.sort(fitting, function(a, b)
    local longer = #a.cookie.path - #b.cookie.path
    return longer > 0 or longer == 0 and a.order < b.order
  end)
  for i, entry in ipairs(fitting) do fitting[i] = entry.cookie.name .. "=" .. entry.cookie.value end
  return fitting[1] and table.concat(fitting, "; ")
end

--- The value of a cookie that has not expired, whatever its path; nil: there is none.
function Jar:get(name)
  for _, cookie in ipairs(self.list) do
    if cookie.name == name and not has_expired(cookie) then return cookie.value end
  end
end

--- As if the server had set it, for all paths; nil takes it away.
function Jar:set(name, value)
  for i = #self.list, 1, -1 do
    if self.list[i].name == name then table.remove(self.list, i) end
  end
  if value ~= nil then self.list[#self.list + 1] = { name = name, value = tostring(value), path = "/" } end
end

return cookies
