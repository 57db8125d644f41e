-- SPDX-License-Identifier: MIT
--- A client: requests, one connection each, and the cookies that it keeps between them.

local cleanup = require "luaserve.test.cleanup"
local clock = require "luaserve.core.clock"
local connection = require "luaserve.core.connection"
local cookies = require "luaserve.test.cookies"
local failure = require "luaserve.test.failure"
local message = require "luaserve.test.message"
local options_of = require "luaserve.core.options"
local response = require "luaserve.test.response"
local router = require "luaserve.router"
local task = require "luaserve.task"
local url = require "luaserve.url"

local client = {}

local TIMEOUT = 10
local REDIRECTS_MAX = 10

local Client = {}
Client.__index = Client
Client.__name = "luaserve.test.client"

local function make(server, options)
  local host = options and options.host or "localhost"
  return setmetatable({ server = server, address = server.address, settings = options or {}, host = host,
    cookies = cookies.new(host), open = {}, log_from = server.log:position() }, Client)
end

--- Raises for header fields that would be more than one.
local function check_headers(what, headers, level)
  if headers ~= nil and type(headers) ~= "table" then
    error(("%s: headers must be a table, not a %s"):format(what, type(headers)), level + 1)
  end
  for name, value in pairs(headers or {}) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      if type(name) ~= "string" or (name .. tostring(one)):find("[%z\r\n]") then
        error(("%s: no header field: %s"):format(what, tostring(name)), level + 1)
      end
    end
  end
end

--- Raises for options that no client takes, at the line of the caller of who calls this.
function client.check(options, what, known)
  options_of.check(options, what, known, 3)
  options = options or {}
  if options.host ~= nil and type(options.host) ~= "string" then
    error(("%s: host must be a string, not a %s"):format(what, type(options.host)), 3)
  elseif options.timeout ~= nil and not (type(options.timeout) == "number" and options.timeout > 0) then
    error(("%s: timeout must be seconds over 0, not %s"):format(what, tostring(options.timeout)), 3)
  end
  check_headers(what, options.headers, 3)
end

--- A client of a server (luaserve.test.server), which is closed with it.
function client.new(server, options)
  local self = make(server, options)
  self.owns_server = true
  cleanup.add(self.close, self)
  return self
end

-- ---- one request ----

local request_options = { "body", "follow_redirects", "form", "headers", "json", "multipart", "query" }
local stream_options = { "body", "form", "headers", "json", "method", "multipart", "query" }
local bodies = { "body", "form", "json", "multipart" }

--- Raises for what makes no request.
-- @param level whose line, as for error, seen from here
local function check_request(what, method, path, options, known, level)
  if type(method) ~= "string" or not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error(("%s: the method must be a token, not %q"):format(what, tostring(method)), level)
  elseif type(path) ~= "string" or path == "" or path:find("[%z\1-\32\127]") then
    error(("%s: the path must be a string without spaces, not %q"):format(what, tostring(path)), level)
  end
  options_of.check(options, what, known, level)
  check_headers(what, options and options.headers, level)
  local given
  for _, name in ipairs(bodies) do
    if options and options[name] ~= nil then
      if given then error(("%s: either '%s' or '%s'"):format(what, given, name), level) end
      given = name
    end
  end
end

local function with_query(path, query)
  if not query then return path end
  local text = type(query) == "table" and router.build_query(query) or query
  if text == "" then return path end
  return path .. (path:find("?", 1, true) and "&" or "?") .. text
end

--- Sends a body in pieces, until there are no more, or the server does not want them.
local function write_pieces(wire, next_piece)
  for piece in next_piece do
    if piece ~= "" and not wire:write(("%x\r\n%s\r\n"):format(#piece, piece)) then return end
  end
  wire:write("0\r\n\r\n")
end

local function write_body(wire, body)
  if type(body) == "function" then
    write_pieces(wire, body)
  else
    wire:write(body)
  end
end

--- Sends the body while the response is read: a server may answer, and all of it, before it has read anything. What a
-- function of the body raises ends the connection, and is in upload.err.
local function start_upload(wire, body)
  if body == nil or body == "" then return nil end
  local upload = {}
  upload.task = task.spawn(function()
    local sent, err = pcall(write_body, wire, body)
    if not sent then
      upload.err = err
      wire:close()
    end
  end)
  return upload
end

--- Sends a request and reads the head of its response: head, nil, upload; or nil, message, upload.
local function exchange(wire, method, head, body)
  local done, text = wire:write(head)
  if not done then return nil, text end
  local upload = start_upload(wire, body)
  local got
  got, text = wire:read_head(method)
  return got, text, upload
end

--- Nobody wants the rest of the body.
local function end_upload(upload)
  if not upload then return end
  upload.task:cancel()
  if upload.err ~= nil then error(upload.err, 0) end
end

--- Keeps the cookies of a head: what they say, by name.
local function take_cookies(self, head, path)
  local said = {}
  for _, field in ipairs(head.header_list) do
    if field[1]:lower() == "set-cookie" then
      self.cookies:store(field[2], path)
      local cookie = cookies.read(field[2])
      if cookie then said[cookie.name] = cookie end
    end
  end
  return said
end

--- The response with a head that has come, its body unread; nil, message, position in the log.
local function begin(self, method, path, options)
  local from = self.server.log:position()
  local target = with_query(path, options.query)
  local body, content_type = message.body_of(options)
  local pathname = target:match("^[^?#]*")
  local head = message.head(method, target, body, {
    { host = self.host, ["content-type"] = content_type, cookie = self.cookies:field(pathname) },
    self.settings.headers or {}, options.headers or {},
  })
  local wire, text = connection.open(self.address, self.settings.timeout or TIMEOUT)
  if not wire then return nil, text, from end
  self.open[wire] = true
  local got, upload
  got, text, upload = exchange(wire, method, head, body)
  if not got then
    self.open[wire] = nil
    wire:close()
    end_upload(upload)
    return nil, text, from
  end
  return response.new(got, { connection = wire, request = method .. " " .. target, target = target, method = method,
    cookies = take_cookies(self, got, pathname), log = self.server.log, log_from = from, upload = upload })
end

--- Reads the body, and lets the connection go.
local function complete(self, answer)
  local wire, parts = answer.connection, {}
  local text
  repeat
    local piece
    piece, text = wire:read()
    parts[#parts + 1] = piece
  until not piece
  answer.connection = nil
  answer.trailers = wire:trailers()
  self.open[wire] = nil
  wire:close()
  end_upload(answer.upload)
  answer.body = table.concat(parts)
  return not text, text
end

-- ---- redirects ----

--- The target that a Location means, seen from another one; nil: another host's, or no URL.
local function resolve(self, target, location)
  local here = url.parse("http://" .. self.host .. target)
  local there = url.parse(location, "http://" .. self.host .. target)
  if not here or not there or not there.scheme:find("^https?$") then return nil end
  if there.host ~= here.host or there.port ~= here.port then return nil end
  return there.path .. (there.query and "?" .. there.query or "")
end

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

--- The method and the options of the next request: without the body where it becomes a GET.
local function next_request(answer, options)
  local status, method = answer.status, answer.method
  local becomes_get = status == 303 and method ~= "HEAD" or (status == 301 or status == 302) and method == "POST"
  if becomes_get then return "GET", { headers = options.headers } end
  local same = {}
  for name, value in pairs(options) do same[name] = value end
  same.query = nil
  return method, same
end

--- Async. A request and its whole response; redirects as options say.
-- @return response; nil, message, position in the log
local function perform(self, method, path, options)
  local follow = options.follow_redirects
  if follow == nil then follow = self.settings.follow_redirects end
  local left = follow == true and REDIRECTS_MAX or follow or 0
  local passed = {}
  while true do
    local answer, text, from = begin(self, method, path, options)
    if not answer then return nil, text, from end
    local whole
    whole, text = complete(self, answer)
    if not whole then return nil, text, answer.log_from end
    answer.redirects = passed
    local location = redirects[answer.status] and answer.headers.location
    local target = left > 0 and location and resolve(self, answer.target, location)
    if not target then return answer end
    passed[#passed + 1] = answer
    left = left - 1
    method, options = next_request(answer, options)
    path = target
  end
end

--- Raises for a request without a response; level as for error.
local function raise(self, method, path, text, from, level)
  local log = self.server.log:since(from)
  if log ~= "" then log = "\nThe log:\n" .. failure.indent(log) end
  if clock.is_held() and text:find("^ETIMEDOUT") then
    text = text .. "\nThe clock is held: does the handler wait for a timer? Ask in a task, and advance the clock."
  end
  failure.raise(("%s %s: %s%s"):format(method, path, text, log), level)
end

local function request(self, what, method, path, options)
  check_request(what, method, path, options, request_options, 4)
  if self.closed then error(what .. ": the client is closed", 3) end
  local answer, text, from = perform(self, method, path, options or {})
  if not answer then raise(self, method, path, text, from, 4) end
  return answer
end

-- ---- the client ----

--- Async. Asks, and waits for the whole response.
-- @param method "GET" and so on; any token
-- @param path with or without a query, encoded as it is sent
-- @param options headers: { name = value }, a list for a repeated one, false for none; query: { name = value }, in
-- addition; one of body: a string, or a function that gives pieces (sent chunked), json: a value, form: { name = value
-- }, multipart: { name = text or { body =, filename =, content_type = } }; follow_redirects: true (10) or how many
-- @return response. Raises where none comes
function Client:request(method, path, options)
  local answer = request(self, "client:request", method, path, options)
  return answer
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  local what, upper = "client:" .. method, method:upper()

  --- Async. client:get(path, options) is client:request("GET", path, options), and so on.
  Client[method] = function(self, path, options)
    local answer = request(self, what, upper, path, options)
    return answer
  end
end

--- Async. Asks, and waits for the head of the response only; its body comes by read, chunks or events. Redirects are
-- not followed.
--   local stream <close> = client:stream("/events")
--   local event = stream:events():next()
-- @param options as for request, and method
-- @return response
function Client:stream(path, options)
  local method = options and options.method or "GET"
  check_request("client:stream", method, path, options, stream_options, 3)
  if self.closed then error("client:stream: the client is closed", 2) end
  local answer, text, from = begin(self, method, path, options or {})
  if not answer then raise(self, method, path, text, from, 3) end
  return answer
end

--- Async. A connection without a request, for bytes that no client would send: write(bytes), read_head(method), read(),
-- read_all(), close(), reset().
function Client:connect()
  local wire, text = connection.open(self.address, self.settings.timeout or TIMEOUT)
  if not wire then failure.raise("connect: " .. text, 2) end
  self.open[wire] = true
  return wire
end

--- Somebody else at the same server: a client with cookies of its own.
function Client:another()
  local other = make(self.server, self.settings)
  cleanup.add(other.close, other)
  return other
end

--- The value of a cookie that the client keeps, or nil.
function Client:cookie(name)
  return self.cookies:get(name)
end

--- Keeps a cookie as if the server had set it; nil takes it away.
function Client:set_cookie(name, value)
  self.cookies:set(name, value)
end

--- What the server has logged since the client was made. It will not be written to standard error.
function Client:log()
  return self.server.log:since(self.log_from)
end

--- Async. Closes its connections and its server.
function Client:close()
  if self.closed then return end
  self.closed = true
  for wire in pairs(self.open) do wire:close() end
  self.open = {}
  if self.owns_server then self.server:close() end
end

Client.__close = Client.close

function Client:__tostring()
  local address = self.address
  local where = address.path and "unix:" .. address.path or ("http://%s:%d"):format(address.host, address.port)
  return ("client of %s%s"):format(where, self.closed and " (closed)" or "")
end

return client
