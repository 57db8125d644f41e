-- SPDX-License-Identifier: MIT
--- Testing what is served: clients that ask an app as the network would, a clock that stands still until it is told to
-- go on, and things that are put away when the spec ends.
--
--   local test = require "luaserve.test"
--   it("greets", function()
--     test.client(app):get("/?name=Ada"):expect(200):expect_body("Hello, Ada!\n")
--   end)
-- @module luaserve.test

local cleanup = require "luaserve.test.cleanup"
local client = require "luaserve.test.client"
local clock = require "luaserve.test.clock"
local fixtures = require "luaserve.test.fixtures"
local server = require "luaserve.test.server"

local test = {
  cleanup = cleanup.add,
  clock = clock.hold,
  env = fixtures.env,
  fixture = fixtures.fixture,
  temporary_folder = fixtures.temporary_folder,
}

--- Raises, for who called test.client or test.serve.
local function refuse_app(name, expected, value)
  local hint = (value == nil or value == true) and ": does app.lua end with 'return app'?" or ""
  error(("bad argument #1 to '%s' (%s expected, got %s)%s"):format(name, expected, type(value), hint), 3)
end

local client_options = { "follow_redirects", "headers", "host", "log", "server", "timeout" }
local serve_options = { "arguments", "cwd", "env", "follow_redirects", "headers", "host", "log", "options", "server",
  "timeout" }

local function is_callable(value)
  local metatable = debug.getmetatable(value)
  return type(value) == "function" or metatable and metatable.__call ~= nil
end

--- A client of an app or a handler, which a server of its own serves in this process, on a unix socket that nobody else
-- knows. It is closed at the end of the `it`.
-- @param app a handler or an app; or an address, { host =, port = } or { path = }, where somebody listens already
-- @param options headers: for each request; host: who it asks for ("localhost"); follow_redirects: as for a request;
-- timeout: seconds of the machine's clock, for each read and write (10); server: options of http.create_server; log:
-- true: the log goes on to standard error
-- @return client
function test.client(app, options)
  client.check(options, "test.client", client_options)
  if is_callable(app) then return client.new(server.private(app, options), options) end
  if type(app) ~= "table" or not (app.port or app.path) then
    refuse_app("client", "a handler, an app or an address", app)
  end
  return client.new(server.elsewhere(app), options)
end

--- The same over TCP, on a free port of 127.0.0.1: client.address tells which. With a path, luaserve runs that script
-- in a process of its own, on a port that is free.
-- @param app a handler, an app, or the path of a script that serves something
-- @param options as for client; of a script also: arguments: a list; env: more variables, { NAME = value }; cwd: its
-- folder; options: a list of luaserve's own options, in front of the script
-- @return client
function test.serve(app, options)
  client.check(options, "test.serve", serve_options)
  if type(app) == "string" then
    local child, message = server.script(app, options)
    if not child then error(message, 2) end
    return client.new(child, options)
  elseif not is_callable(app) then
    refuse_app("serve", "a handler, an app or a path", app)
  end
  return client.new(server.public(app, options), options)
end

return test
