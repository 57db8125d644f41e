-- SPDX-License-Identifier: MIT
--- What the authentication schemes of HTTP have in common (RFC 9110 11).
-- @module luaserve.core.authorization

local authorization = {}

local reasons = { [400] = "bad request\n", [401] = "unauthorized\n", [403] = "forbidden\n" }

--- What follows the scheme, in any case, in an Authorization field; nil where it has another scheme, or is none.
-- @param scheme in lower case
function authorization.take(field, scheme)
  if not field or field:sub(1, #scheme + 1):lower() ~= scheme .. " " then return nil end
  return field:sub(field:find("[^ ]", #scheme + 1) or #field + 1)
end

--- text as a quoted-string.
function authorization.quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

--- Answers with a challenge.
function authorization.refuse(res, status, challenge)
  res:set("www-authenticate", challenge)
  res:set("cache-control", "no-store")
  return res:send(status, reasons[status])
end

return authorization
