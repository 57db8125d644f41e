-- SPDX-License-Identifier: MIT
--- Apps: routes, what runs before and after their handlers, and what happens when those fail.
--
-- An app owns a tree of routes, made when they are registered. A request is looked up there in C; then its route's
-- chain runs: functions that were linked once, when the route was asked for first, so that a request makes nothing but
-- the `next` of each middleware. Groups are places in the app with a prefix and middleware of their own; the app is the
-- outermost. A mounted app hands each of its routes on to the apps that it is mounted in.
-- @module luaserve.app

local chain = require "luaserve.core.chain"
local core = require "luaserve.core.routes"
local failures = require "luaserve.core.failure"
local guard = require "luaserve.core.methods".guard
local http_error = require "luaserve.http_error"
local options = require "luaserve.core.options"
local refusals = require "luaserve.core.refusals"
local router = require "luaserve.router"
local unserved = require "luaserve.core.unserved"

local app_module = {}

local Group = {}
Group.__index = Group
Group.__name = "luaserve.app_group"

local App = {} -- with the methods of Group: see the end
App.__index = App
App.__name = "luaserve.app"

-- ---- whose mistake it is ----

local own = { [debug.getinfo(1, "S").source] = true, [debug.getinfo(guard, "S").source] = true }

--- The level, for the function that calls this, of the one that called into this file.
local function caller_level()
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    if not info then return 2 end
    if info.what ~= "C" and not own[info.source] then return level - 1 end
    level = level + 1
  end
end

local function caller()
  local info = debug.getinfo(caller_level(), "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

local function mistake(message, ...)
  error(message:format(...), caller_level())
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local metatable = debug.getmetatable(value)
  return type(metatable) == "table" and metatable.__call ~= nil
end

local function check_callable(value, what)
  if not is_callable(value) then mistake("%s must be a function, not a %s", what, type(value)) end
end

local function parse(pattern, what)
  if type(pattern) ~= "string" then mistake("%s: the pattern must be a string, not a %s", what, type(pattern)) end
  local segments, problem = router.parse(pattern)
  if not segments then mistake("%s: '%s' is no pattern: %s", what, pattern, problem) end
  return segments
end

--- A prefix, without the slash at its end.
local function parse_prefix(prefix, what)
  local segments = parse(prefix, what)
  for _, segment in ipairs(segments) do
    if segment.kind == "*" or segment.optional then
      mistake("%s: the prefix '%s' must have a fixed number of segments", what, prefix)
    end
  end
  return (prefix:gsub("/$", ""))
end

-- ---- chains ----

local none = {}

--- A middleware whose prefix only some paths of the route have.
local function link_where(entry, prefix, routes, rest)
  local linked = chain.link(entry.middleware, rest)
  return function(req, res)
    if routes:is_under(req, prefix) then return linked(req, res) end
    return rest(req, res)
  end
end

--- The middleware of a scope, around rest. segments: of the route's pattern; nil where no route was found.
local function wrap(scope, segments, app, rest)
  local entries = scope.group._entries
  for i = #entries, 1, -1 do
    local entry = entries[i]
    local prefix = router.parse(scope.prefix .. entry.prefix)
    local fits = #prefix == 0 or (segments and router.is_under(segments, prefix, app._ignore_case))
    if fits == true then
      rest = chain.link(entry.middleware, rest)
    elseif fits ~= false then
      rest = link_where(entry, router.prefix_text(prefix), app._routes, rest)
    end
  end
  return rest
end

--- The segments of a route's pattern.
local function segments_of(route)
  local segments, constraints = router.parse(route.pattern), route.definition.options.constraints
  for _, segment in ipairs(constraints and segments or none) do
    segment.constraint = segment.constraint or constraints[segment.name]
  end
  return segments
end

--- What runs for a request of the route: its own middleware and the handler, inside those of the scopes. It stays at
-- index 1 of the route.
local function link_all(route)
  local definition, segments = route.definition, route.pattern and segments_of(route)
  local run = definition.handler
  for i = #definition.middleware, 1, -1 do run = chain.link(definition.middleware[i], run) end
  for i = #route.scopes, 1, -1 do run = wrap(route.scopes[i], segments, route.app, run) end
  route[1] = run
  return run
end

local function forget_chains(app)
  for _, route in ipairs(app._list) do route[1] = nil end
  app._pseudo = {}
  for _, mount in ipairs(app._mounts) do forget_chains(mount.app) end
end

-- ---- registration ----

local methods = { "get", "post", "put", "patch", "delete", "head", "options" }
local route_options = { "body_limit", "cancel_on_close", "constraints", "name", "timeout" }

local function check_name(app, name)
  local other = name and app._names[name]
  if other then mistake("the name '%s' is taken: by %s at %s", name, other.pattern, other.definition.place) end
end

local function report_conflict(route, other)
  local method = route.definition.method
  mistake("there is a route for %s %s already: %s at %s", method == "" and "all methods of" or method, route.pattern,
    other.pattern, other.definition.place)
end

--- Puts the route into the tree of one app, once for each number of segments that it may have.
local function insert(app, route)
  local definition, segments = route.definition, segments_of(route)
  for count = router.shortest(segments), #segments do
    local steps, names = router.steps(segments, count)
    local ok, other, problem = pcall(app._routes.add, app._routes, definition.method, steps, route, names,
      chain.where(definition.handler), definition.options)
    if not ok then mistake("%s: %s", route.pattern, other) end
    if other then report_conflict(route, other) end
    if problem then mistake("%s: the constraint is no pattern that can be used here: %s", route.pattern, problem) end
  end
  table.insert(app._list, route)
end

local function join(first, second)
  local all = table.move(first, 1, #first, 1, {})
  return table.move(second, 1, #second, #all + 1, all)
end

local register

--- Registers a route of an app with one that this is mounted in.
local function hand_on(mount, definition, prefix, scopes, apps)
  local all = join(mount.scopes, {})
  for _, scope in ipairs(scopes) do
    table.insert(all, { group = scope.group, prefix = mount.prefix .. scope.prefix })
  end
  register(mount.app, definition, mount.prefix .. prefix, all, join(apps, { mount.app }))
end

--- Registers what was defined (see define) with an app, and with those that it is mounted in.
-- prefix: of the app that defined it, seen from here. scopes: from here to there. apps: the same, innermost first.
function register(app, definition, prefix, scopes, apps)
  local pattern = prefix .. definition.pattern
  if pattern == "" then pattern = "/" end
  parse(pattern, definition.what) -- a parameter may be in both
  local route = { app = app, definition = definition, pattern = pattern, prefix = prefix, scopes = scopes, apps = apps }
  check_name(app, definition.options.name)
  insert(app, route)
  if definition.options.name then app._names[definition.options.name] = route end
  for _, mount in ipairs(app._mounts) do hand_on(mount, definition, prefix, scopes, apps) end
end

local function check_options(given, what)
  options.check(given, what, route_options, caller_level())
  local limit = given.body_limit
  if limit and (math.type(limit) ~= "integer" or limit < 0) then
    mistake("%s: body_limit must be a size in bytes, or false for none", what)
  end
  local timeout = given.timeout
  if timeout and (type(timeout) ~= "number" or timeout < 0) then
    mistake("%s: timeout must be in seconds, or false for none", what)
  end
  if given.name ~= nil and type(given.name) ~= "string" then mistake("%s: a name is a string", what) end
  return given
end

--- app:get(pattern, [middleware, ...,] handler [, options])
local function define(group, what, method, pattern, ...)
  local functions, given = table.pack(...), none
  local last = functions[functions.n]
  if type(last) == "table" and not is_callable(last) then
    functions.n, given = functions.n - 1, check_options(last, what)
  end
  if functions.n == 0 then mistake("%s: the handler is missing", what) end
  for i = 1, functions.n do
    check_callable(functions[i], what .. (i == functions.n and ": the handler" or ": the middleware"))
  end
  if pattern ~= "" then parse(pattern, what) end
  if group._prefix .. pattern == "" then mistake("%s: '' is no pattern: it must begin with /", what) end
  local definition = {
    what = what, method = method, pattern = group._prefix .. pattern, options = given, place = caller(),
    middleware = functions.n == 1 and none or table.move(functions, 1, functions.n - 1, 1, {}),
    handler = functions[functions.n],
  }
  register(group._app, definition, "", group._scopes, group._app._apps)
end

for _, name in ipairs(methods) do
  Group[name] = function(self, pattern, ...)
    define(self, "app:" .. name, name:upper(), pattern, ...)
    return self
  end
end

--- A route for other methods: one, or a list of them.
--   app:route({ "GET", "POST" }, "/search", handler)
function Group:route(method, pattern, ...)
  for _, one in ipairs(type(method) == "table" and method or { method }) do
    if type(one) ~= "string" or not one:find "^%u[%u-]*$" or #one > 23 then
      mistake("app:route: '%s' is no method", tostring(one))
    end
    define(self, "app:route", one, pattern, ...)
  end
  return self
end

--- A route for every method that has none of its own.
function Group:all(pattern, ...)
  define(self, "app:all", "", pattern, ...)
  return self
end

--- Adds middleware, to all requests or to those under a prefix: functions of req, res and next. Its place among the
-- routes does not matter, its place among the other middleware does.
--   app:use("/admin", function(req, res, next) ... next() ... end)
function Group:use(prefix, ...)
  local functions = type(prefix) == "string" and table.pack(...) or table.pack(prefix, ...)
  local text = type(prefix) == "string" and parse_prefix(prefix, "app:use") or ""
  if functions.n == 0 then mistake("app:use: the middleware is missing") end
  for i = 1, functions.n do
    if getmetatable(functions[i]) == App then mistake("app:use: an app is mounted: app:mount(prefix, app)") end
    check_callable(functions[i], "app:use: the middleware")
    local problem = chain.problem_of(functions[i])
    if problem then mistake("app:use: %s", problem) end
    table.insert(self._entries, { prefix = text, middleware = functions[i] })
  end
  forget_chains(self._app)
  return self
end

--- Scopes are what stands around a route, the app first: groups with their prefixes.
local function new_group(parent, prefix)
  local group = setmetatable({ _app = parent._app, _prefix = parent._prefix .. prefix, _entries = {} }, Group)
  group._scopes = join(parent._scopes, { { group = group, prefix = group._prefix } })
  return group
end

--- Routes with a common prefix and middleware. The last argument, if it is there, is called with the group at once.
--   app:group("/api", auth, function(api) api:get("/notes", list) end)
-- @return group
function Group:group(prefix, ...)
  local group, functions = new_group(self, parse_prefix(prefix, "app:group")), table.pack(...)
  for i = 1, functions.n do check_callable(functions[i], "app:group: an argument") end
  for i = 1, functions.n - 1 do group:use(functions[i]) end
  if functions.n > 0 then functions[functions.n](group) end
  return group
end

local function has_mounted(app, other)
  for _, mount in ipairs(app._mounted) do
    if mount.other == other or has_mounted(mount.other, other) then return true end
  end
  return false
end

--- All routes of another app, those that it gets later too, under a prefix.
function Group:mount(prefix, other)
  local text = parse_prefix(prefix, "app:mount")
  if getmetatable(other) ~= App then mistake("app:mount: an app is needed, not a %s", type(other)) end
  local mount = { app = self._app, prefix = self._prefix .. text, scopes = self._scopes }
  if self._app == other or has_mounted(other, self._app) then
    mistake("app:mount: an app cannot be mounted in itself")
  end
  unserved.remove(other)
  table.insert(other._mounts, mount)
  table.insert(self._app._mounted, mount)
  mount.other = other
  for _, route in ipairs(join(other._list, {})) do
    hand_on(mount, route.definition, route.prefix, route.scopes, route.apps)
  end
  forget_chains(self._app)
  return self
end

-- ---- what is no route ----

local function raise_missing()
  error(http_error.new(404))
end

--- What answers for a path without a route that is these apps' business, of the innermost one that cares.
local function find_missing(apps)
  for _, app in ipairs(apps) do
    if app._missing then return app._missing end
  end
  return raise_missing
end

--- The app and those that it is mounted in.
local function lineage(app)
  local apps = {}
  while app do
    table.insert(apps, app)
    app = app._mounts[1] and app._mounts[1].app
  end
  return apps
end

--- The files of a folder, below a prefix. options: those of middleware.static.
--   app:static("/assets", "public", { max_age = 3600 })
function Group:static(prefix, folder, given)
  if type(folder) ~= "string" then mistake("app:static: the folder is missing: app:static('/assets', 'public')") end
  local all = { param = "path", root = folder }
  for name, value in pairs(given or none) do all[name] = value end
  local ok, static = pcall(require "luaserve.middleware.static", all)
  if not ok then mistake("app:static: %s", (static:gsub("^.-:%d+: ", ""))) end
  local app = self._app
  define(self, "app:static", "GET", parse_prefix(prefix, "app:static") .. "/*path", function(req, res)
    return static(req, res, function() return find_missing(lineage(app))(req, res) end)
  end)
  return self
end

--- The methods of these routes, as the field Allow has them.
local function allow_of(routes)
  local set, list = { OPTIONS = true }, {}
  for _, route in ipairs(routes) do
    set[route.definition.method] = true
    if route.definition.method == "GET" then set.HEAD = true end
  end
  for method in pairs(set) do list[#list + 1] = method end
  table.sort(list)
  return table.concat(list, ", ")
end

--- What runs around all of these routes.
local function common_scopes(routes)
  local scopes = {}
  for i, scope in ipairs(routes[1].scopes) do
    for _, route in ipairs(routes) do
      if not route.scopes[i] or route.scopes[i].group ~= scope.group then return scopes end
    end
    scopes[i] = scope
  end
  return scopes
end

local function answer_options(allow)
  return function(_, res) res:set("allow", allow):send(204, nil) end
end

local function refuse_method(allow)
  return function() error(http_error.new(405, nil, nil, { allow = allow })) end
end

--- A route that is none: what runs in these scopes, for these apps.
local function stand_in(app, handler, scopes, apps, pattern)
  local definition = { handler = handler, middleware = none, options = none }
  return { app = app, definition = definition, scopes = scopes, apps = apps, pattern = pattern }
end

--- For a path that has routes, but not of this method.
local function other_methods(app, req, routes)
  local allow, first = allow_of(routes), routes[1]
  local handler = req.method == "OPTIONS" and answer_options(allow) or refuse_method(allow)
  return stand_in(app, handler, common_scopes(routes), first.apps)
end

--- The mount in app whose prefix the path has, the longest one. prefix: of app, seen from where routes are.
local function choose_mount(app, req, routes, prefix)
  local chosen, longest = nil, -1
  for _, mount in ipairs(app._mounted) do
    local segments = router.parse(prefix .. mount.prefix)
    if #segments > longest and routes:is_under(req, router.prefix_text(segments)) then
      chosen, longest = mount, #segments
    end
  end
  return chosen
end

--- The innermost mounted app whose prefix the path has: its scopes, seen from app, and the apps from it to app.
local function find_mounted(app, req, routes, prefix, scopes, apps)
  local mount = choose_mount(app, req, routes, prefix)
  if not mount then return scopes, apps end
  local all, below = join(scopes, {}), prefix .. mount.prefix
  for i = 2, #mount.scopes do
    table.insert(all, { group = mount.scopes[i].group, prefix = prefix .. mount.scopes[i].prefix })
  end
  table.insert(all, { group = mount.other, prefix = below })
  return find_mounted(mount.other, req, routes, below, all, join({ mount.other }, apps))
end

--- For a path that has no route. Made once for each app that it can be the business of.
local function missing(app, req)
  local scopes, apps = find_mounted(app, req, app._routes, "", app._scopes, app._apps)
  local key = scopes[#scopes].prefix
  local route = app._pseudo[key]
  if route then return route end
  route = stand_in(app, find_missing(apps), scopes, apps)
  app._pseudo[key] = route
  return route
end

local function refuse_body()
  error(http_error.new(413))
end

--- What answers where no route does. found: the one whose limit the body is over.
local function unmatched(app, req, found)
  if found then return stand_in(app, refuse_body, found.scopes, found.apps, found.pattern) end
  local routes = app._routes:all(req)
  if #routes == 0 and req.method == "OPTIONS" and req.path == "*" then routes = app._list end
  return routes[1] and other_methods(app, req, routes) or missing(app, req)
end

-- ---- failures ----

local function call_error_handlers(route, err, req, res)
  for _, app in ipairs(route.apps) do
    if app._error_handler then
      local ok, failure = xpcall(app._error_handler, core.keep_traceback, err, req, res)
      if not ok then core.fail(req, failure, true) end
      if res.headers_sent then return end
    end
  end
end

--- Answers for what a chain has raised. An error that is no answer is logged, whoever answers.
local function answer_failure(route, failure, req, res)
  local is_answer, answer = http_error.is(failure), failures.answer_of(req, failure)
  local is_bug = answer ~= failure and answer.status == 500
  core.fail(req, failure, not is_answer or (res.headers_sent and not res.finished))
  if res.headers_sent then return end
  failures.begin_again(res, answer.headers)
  call_error_handlers(route, is_bug and failure or answer, req, res)
  if not res.headers_sent then http_error.answer(answer, req, res) end
end

-- ---- apps ----

local new_options = { "ignore_case", "server", "strict_slashes" }

--- A new app. It can be called as a handler is, returned by a script, and given to http.create_server.
-- @param given strict_slashes: "/a/" is another path than "/a"; ignore_case: of the literal segments; server: options
-- of http.create_server, for the server that it gets where those do not say otherwise
function app_module.new(given)
  if given == app_module then mistake("App.new is called with a dot: App.new()") end
  options.check(given, "app.new", new_options)
  given = given or none
  local server, kind = given.server, type(given.server)
  if server ~= nil and kind ~= "table" then mistake("app.new: server must be a table, not a %s", kind) end
  local app = setmetatable({
    _prefix = "", _entries = {}, _list = {}, _names = {}, _mounts = {}, _mounted = {}, _pseudo = {},
    _ignore_case = given.ignore_case and true or false, _server_options = server,
    _routes = core.new(given.strict_slashes, given.ignore_case),
  }, App)
  app._app, app._apps, app._scopes = app, { app }, { { group = app, prefix = "" } }
  local function find_other(req, found) return unmatched(app, req, found) end
  app._handler = app._routes:handler(find_other, link_all, answer_failure)
  unserved.add()
  return app
end

function App:__call(req, res)
  return self._handler(req, res)
end

--- What http.create_server asks: the handler, its options, and the tree, where it finds the limits of bodies.
function App:__serve(given)
  unserved.remove(self)
  local all = {}
  for name, value in pairs(self._server_options or none) do all[name] = value end
  for name, value in pairs(given or none) do all[name] = value end
  all.on_refuse = refusals.teller(self, all.on_refuse)
  return self._handler, all, self._routes
end

function App:__tostring()
  return ("luaserve.app (%d routes)"):format(#self._list)
end

--- Calls handler(err, req, res) for what a handler or a middleware has raised. err: the value; of what a client has
-- done wrong an http error. Where it answers nothing, the app that this one is mounted in is asked, and at last the
-- default answer is given.
function App:on_error(handler)
  check_callable(handler, "app:on_error: the handler")
  self._error_handler = handler
  return self
end

--- Calls handler(req, res) for paths that have no route; res.status is 404 then.
function App:not_found(handler)
  check_callable(handler, "app:not_found: the handler")
  self._missing = function(req, res)
    res.status = 404
    return handler(req, res)
  end
  forget_chains(self)
  return self
end

--- The path of a named route, with its parameters filled in and percent-encoded, and a query.
--   app:url_for("note", { id = 7 }, { page = 2 }) --> /notes/7?page=2
function App:url_for(name, params, query)
  unserved.remove(self)
  local outer = self._mounts[1]
  if outer then return outer.app:url_for(name, params, query) end
  local route = self._names[name]
  if not route then mistake("app:url_for: no route is named '%s'", tostring(name)) end
  local path, problem = router.build(segments_of(route), params or none)
  if not path then mistake("app:url_for '%s': %s", name, problem) end
  local text = query and router.build_query(query) or ""
  return text == "" and path or path .. "?" .. text
end

-- ---- requests in process ----

local exchange

local request_options = { "body", "headers", "method", "path", "timeout" }

--- Sends the app a request through a server of its own, and returns what a client would get.
-- @param request method ("GET"), path ("/", may have a query), headers ({ name = value | { value, ... } }), body,
-- timeout (30: seconds)
-- @return { status, reason, headers, header_list, body, trailers }; or nil, message, code
--   local response = app:request { path = "/notes/7" }
function App:request(request)
  exchange = exchange or require "luaserve.core.exchange"
  if type(request) == "string" then request = { path = request } end
  options.check(request, "app:request", request_options)
  local bytes = exchange.format(request or none, 2)
  if not self._pool then self._private, self._pool = exchange.serve(self) end
  return self._pool:send(bytes, request and request.method, request and request.timeout or 30)
end

local function close_server(app)
  local _ <close> = app._private -- closes it, and does not wait
  app._pool, app._private = nil, nil
end

--- Closes what app:request has opened, without waiting. It is opened again when it is needed.
function App:close()
  if self._pool then self._pool:close() end
  close_server(self)
end

App.__close = App.close
App.__gc = close_server -- sockets have a finalizer of their own

for name, method in pairs(Group) do App[name] = App[name] or method end

-- ---- names that are not there ----
local listening = "return the app from the script, or http.create_server(app):listen(8080)"
local meant = { del = "app:delete", error = "app:on_error", listen = listening, run = listening, start = listening }
guard(App, Group, "app", meant, mistake)
guard(Group, App, "app", meant, mistake)
return setmetatable(app_module, { __call = function() mistake("an app is made with App.new()") end })
