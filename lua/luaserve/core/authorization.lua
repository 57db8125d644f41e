-- SPDX-License-Identifier: MIT
--- What the authentication schemes of HTTP have in common (RFC 9110 11).
-- @module luaserve.core.authorization

local refuse = require "luaserve.core.refuse"

local authorization = {}

local reasons = { [400] = "bad request", [401] = "unauthorized", [403] = "forbidden" }

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

--- Refuses the request, with a challenge.
function authorization.refuse(req, res, status, challenge)
  return refuse(req, res, status, reasons[status], { ["cache-control"] = "no-store", ["www-authenticate"] = challenge })
end

return authorization
