-- SPDX-License-Identifier: MIT
--- A response, and what is expected of it. Expectations give the response back, so that they can be chained; one that
-- is not met is a failure at the line that expects, with what came instead.

local events = require "luaserve.test.events"
local failure = require "luaserve.test.failure"
local json = require "luaserve.json"

local response = {}

local SHOWN = 1024 -- bytes of a body in a failure

local Response = {}
Response.__index = Response
Response.__name = "luaserve.test.response"

--- A response of a head (connection.read_head) and more fields: request = "GET /x", log, log_from, body, ...
function response.new(head, fields)
  for name, value in pairs(fields) do head[name] = value end
  return setmetatable(head, Response)
end

-- ---- failures ----

local function shown_body(self)
  local body = self.body or "(the body has not been read)"
  if #body <= SHOWN then return body end
  return ("%s\n(%d bytes more)"):format(body:sub(1, SHOWN), #body - SHOWN)
end

--- What came, for a failure.
local function describe(self, with_headers)
  local lines = { ("HTTP/%s %d %s"):format(self.version, self.status, self.reason) }
  if with_headers then
    for _, field in ipairs(self.header_list) do lines[#lines + 1] = field[1] .. ": " .. field[2] end
  end
  if self.body ~= "" then
    lines[#lines + 1] = ""
    lines[#lines + 1] = shown_body(self)
  end
  local text = "\nThe response:\n" .. failure.indent(table.concat(lines, "\n"))
  local log = self.log:since(self.log_from, self.status == 500)
  if log ~= "" then text = text .. "\nThe log:\n" .. failure.indent(log) end
  return text
end

--- Raises at the line of the caller of the method that calls this.
local function fail(self, text, with_headers)
  failure.raise(("%s: %s%s"):format(self.request, text, describe(self, with_headers)), 3)
end

-- ---- content ----

--- The body as text; that of a stream is read to its end.
function Response:text()
  if not self.body then
    local parts = {}
    for chunk in self:chunks() do parts[#parts + 1] = chunk end
    self.body = table.concat(parts)
  end
  return self.body
end

--- The body, decoded from JSON. Fails where it is none.
function Response:json()
  local value, message = json.decode(self:text())
  if value == nil then fail(self, "the body is no JSON: " .. message) end
  return value
end

-- ---- expectations ----

--- Expects a status.
--   client:get("/"):expect(200)
-- @param ... statuses, one of which it has to be
-- @return response
function Response:expect(...)
  local wanted = table.pack(...)
  if math.type(wanted[1]) ~= "integer" then
    error("bad argument #1 to 'expect' (a status expected, got " .. type(wanted[1]) .. ")", 2)
  end
  for _, status in ipairs(wanted) do
    if status == self.status then
      if status >= 400 then self.log:since(self.log_from, status == 500) end -- what it says was expected
      return self
    end
  end
  fail(self, ("the status is %d, not %s"):format(self.status, table.concat(wanted, " or ")))
end

--- Whether text is what is expected, or matches it.
local function matches(text, expected)
  return text == expected or text:find(expected) ~= nil
end

--- Expects a header field: with this value, or one that matches it as a pattern.
--   response:expect_header("content-type", "^text/html")
-- @param value nil: any; false: that there is no such field
-- @return response
function Response:expect_header(name, value)
  if type(name) ~= "string" then
    error("bad argument #1 to 'expect_header' (string expected, got " .. type(name) .. ")", 2)
  end
  local actual = self.headers[name]
  if value == false then
    if actual then fail(self, ("there is a header %s: %s"):format(name, actual), true) end
  elseif not actual then
    fail(self, "there is no header " .. name, true)
  elseif value ~= nil and not matches(actual, tostring(value)) then
    fail(self, ("the header %s is %q, not %q"):format(name, actual, tostring(value)), true)
  end
  return self
end

--- Expects this body, or one that matches it as a pattern.
-- @return response
function Response:expect_body(expected)
  if type(expected) ~= "string" then
    error("bad argument #1 to 'expect_body' (string expected, got " .. type(expected) .. ")", 2)
  end
  if not matches(self:text(), expected) then fail(self, ("the body is not %q"):format(expected)) end
  return self
end

local function shown(value)
  local done, text = pcall(json.encode, value, { sort_keys = true })
  return done and text or tostring(value)
end

--- Where two values differ first: the place (".a[1]") and what is there; nil where they are the same.
local function difference(actual, expected, place)
  if type(actual) ~= "table" or type(expected) ~= "table" then
    if actual ~= expected then return place, actual, expected end
    return nil
  end
  local keys = {}
  for key in pairs(actual) do keys[key] = true end
  for key in pairs(expected) do keys[key] = true end
  local names = {}
  for key in pairs(keys) do names[#names + 1] = key end
  table.sort(names, function(a, b)
    if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
    return tostring(a) < tostring(b)
  end)
  for _, key in ipairs(names) do
    local inner = type(key) == "string" and "." .. key or "[" .. tostring(key) .. "]"
    local at, got, wanted = difference(actual[key], expected[key], place .. inner)
    if at then return at, got, wanted end
  end
  return nil
end

--- Expects JSON of this value: the same members everywhere, and no others.
-- @return response
function Response:expect_json(expected)
  local value, message = json.decode(self:text())
  if value == nil then fail(self, "the body is no JSON: " .. message) end
  local place, actual, wanted = difference(value, expected, "")
  if place then
    local where = place == "" and "it" or place
    fail(self, ("the JSON is not %s: %s is %s, not %s"):format(shown(expected), where,
      actual == nil and "missing" or shown(actual), wanted == nil and "missing" or shown(wanted)))
  end
  return self
end

-- ---- streams ----

local function check_stream(self)
  if not self.connection then error("the response is no stream, or was closed", 3) end
end

--- Async. The next piece of a stream, as it came.
-- @return string; nil at the end; nil, message, code: ECLOSED after close or abort
function Response:read()
  if self.left then return nil, "ECLOSED: the client has left", "ECLOSED" end
  check_stream(self)
  local chunk, message, code = self.connection:read()
  if chunk then return chunk end
  if not message then self.trailers = self.connection:trailers() end
  return nil, message, code
end

--- Iterates over the pieces of a stream; raises where it breaks off.
function Response:chunks()
  check_stream(self)
  return function()
    local chunk, message = self:read()
    if message then error(message, 2) end
    return chunk
  end
end

--- A reader of server-sent events.
function Response:events()
  check_stream(self)
  return events.new(self:chunks())
end

--- Ends the connection by one of its methods.
local function leave(self, how)
  if self.connection then self.connection[how](self.connection) end
  if self.upload then self.upload.task:cancel() end
  self.connection, self.left = nil, true
end

--- Leaves as one whose machine has crashed, with whatever has not come yet.
function Response:abort()
  leave(self, "reset")
end

--- Leaves in good order.
function Response:close()
  leave(self, "close")
end

Response.__close = Response.close

function Response:__tostring()
  return ("response (%s: %d)"):format(self.request, self.status)
end

return response
