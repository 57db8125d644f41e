-- SPDX-License-Identifier: MIT
--- Errors that are answers: `error(http_error.new(404, "no such note"))`. An app answers them with their status; what
-- they say is meant for the client. Other errors are bugs: 500, without a word of what happened, and a line in the log.
-- @module luaserve.http_error

local core = require "luaserve.core.routes"

local http_error = {}

local HttpError = {}
HttpError.__index = HttpError
HttpError.__name = "luaserve.http_error"

--- An error that is answered with status.
-- @param status 400 to 599
-- @param message for the client: a sentence; without it the status speaks for itself
-- @param fields more members of the problem that a client of JSON gets (RFC 9457 3.2)
-- @param headers fields of the response, { name = value }: retry-after, www-authenticate
-- @usage error(http_error.new(409, "somebody was faster", { revision = 8 }))
function http_error.new(status, message, fields, headers)
  if math.type(status) ~= "integer" or status < 400 or status > 599 then
    error(("http_error.new: the status must be an integer from 400 to 599, not %s"):format(tostring(status)), 2)
  elseif message ~= nil and type(message) ~= "string" then
    error("http_error.new: the message must be a string, not a " .. type(message), 2)
  elseif fields ~= nil and type(fields) ~= "table" then
    error("http_error.new: the fields must be a table, not a " .. type(fields), 2)
  elseif headers ~= nil and type(headers) ~= "table" then
    error("http_error.new: the headers must be a table, not a " .. type(headers), 2)
  end
  return setmetatable({ status = status, message = message, fields = fields, headers = headers }, HttpError)
end

--- Whether value is such an error. By name: a runner of tests loads this module again for each file, while req and res
-- keep what they have loaded.
function http_error.is(value)
  local metatable = getmetatable(value)
  return type(metatable) == "table" and rawget(metatable, "__name") == HttpError.__name
end

function HttpError:__tostring()
  return self.message and ("%d: %s"):format(self.status, self.message) or tostring(self.status)
end

-- ---- answering ----

--- Whether the client names JSON before anything else that it takes.
local function prefers_json(req)
  local first = (req.headers.accept or ""):match "^%s*([%w/+.-]+)"
  return first ~= nil and first:lower():find "json" ~= nil
end

--- Answers the request with the error: as problem details (RFC 9457) for a client that prefers JSON, else as text.
function http_error.answer(err, req, res)
  for name, value in pairs(err.headers or {}) do res:set(name, value) end
  if prefers_json(req) then return res:problem(err.status, err.message, err.fields) end
  res:set("content-type", "text/plain; charset=utf-8")
  return res:send(err.status, (err.message or core.reason(err.status)) .. "\n")
end

return http_error
