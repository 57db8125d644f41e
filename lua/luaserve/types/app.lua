---@meta luaserve.app
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.app" returns. docs/api/app.md tells more.

---@class luaserve.app_module
local app_module = {}

---@alias luaserve.app_handler fun(req: luaserve.request, res: luaserve.response)
---@alias luaserve.middleware fun(req: luaserve.request, res: luaserve.response, next: fun())

---@class luaserve.app_options
---@field strict_slashes? boolean "/a/" is another path than "/a"
---@field ignore_case? boolean of the literal segments of paths
---@field server? table options of http.create_server, where those that it is given do not say otherwise

---@class luaserve.route_options
---@field name? string for url_for
---@field timeout? number|false seconds, then 504; in place of the server's handler_timeout
---@field body_limit? integer|false bytes, then 413; in place of the server's max_body
---@field cancel_on_close? boolean the handler ends when its client leaves
---@field constraints? table<string, string> Lua patterns for parameters

---@class luaserve.app_request
---@field method? string default GET
---@field path? string default /; may have a query
---@field headers? table<string, string|number|(string|number)[]>
---@field body? string
---@field timeout? number seconds; default 30

---@class luaserve.app_response
---@field status integer
---@field reason string
---@field headers table<string, string> names in lower case; repeated fields joined by ", "
---@field header_list string[][] { { name, value }, ... } as they came
---@field body string
---@field trailers? table<string, string>

---A new app.
---@param options? luaserve.app_options
---@return luaserve.app
function app_module.new(options) end

---Routes of an app with a common prefix and middleware.
---@class luaserve.app_group
local group = {}

---A route for GET, and HEAD.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:get(pattern, ...) end

---A route for POST.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:post(pattern, ...) end

---A route for PUT.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:put(pattern, ...) end

---A route for PATCH.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:patch(pattern, ...) end

---A route for DELETE.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:delete(pattern, ...) end

---A route for HEAD.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:head(pattern, ...) end

---A route for OPTIONS.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:options(pattern, ...) end

---A route for every method that has none of its own.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:all(pattern, ...) end

---A route for these methods.
---@param method string|string[]
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app_group
function group:route(method, pattern, ...) end

---Middleware, for everything or below a prefix.
---@param prefix string|luaserve.middleware
---@param ... luaserve.middleware
---@return luaserve.app_group
function group:use(prefix, ...) end

---Routes with a common prefix and middleware; the last function is called with the group.
---@param prefix string
---@param ... luaserve.middleware|fun(group: luaserve.app_group)
---@return luaserve.app_group
function group:group(prefix, ...) end

---All routes of another app, below a prefix.
---@param prefix string
---@param other luaserve.app
---@return luaserve.app_group
function group:mount(prefix, other) end

---The files of a folder, below a prefix.
---@param prefix string
---@param folder string
---@param options? table as of middleware.static
---@return luaserve.app_group
function group:static(prefix, folder, options) end

---Routes, middleware and what to do when there is no route. It can be called as a handler.
---@class luaserve.app
local app = {}

---A route for GET, and HEAD.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:get(pattern, ...) end

---A route for POST.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:post(pattern, ...) end

---A route for PUT.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:put(pattern, ...) end

---A route for PATCH.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:patch(pattern, ...) end

---A route for DELETE.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:delete(pattern, ...) end

---A route for HEAD.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:head(pattern, ...) end

---A route for OPTIONS.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:options(pattern, ...) end

---A route for every method that has none of its own.
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:all(pattern, ...) end

---A route for these methods.
---@param method string|string[]
---@param pattern string
---@param ... luaserve.app_handler|luaserve.middleware|luaserve.route_options middleware, the handler, options
---@return luaserve.app
function app:route(method, pattern, ...) end

---Middleware, for everything or below a prefix.
---@param prefix string|luaserve.middleware
---@param ... luaserve.middleware
---@return luaserve.app
function app:use(prefix, ...) end

---Routes with a common prefix and middleware; the last function is called with the group.
---@param prefix string
---@param ... luaserve.middleware|fun(group: luaserve.app_group)
---@return luaserve.app_group
function app:group(prefix, ...) end

---All routes of another app, below a prefix.
---@param prefix string
---@param other luaserve.app
---@return luaserve.app
function app:mount(prefix, other) end

---The files of a folder, below a prefix.
---@param prefix string
---@param folder string
---@param options? table as of middleware.static
---@return luaserve.app
function app:static(prefix, folder, options) end

---What answers for errors.
---@param handler fun(err: any, req: luaserve.request, res: luaserve.response)
---@return luaserve.app
function app:on_error(handler) end

---What answers for paths without a route.
---@param handler luaserve.app_handler
---@return luaserve.app
function app:not_found(handler) end

---The path of a named route.
---@param name string
---@param params? table<string, string|number>
---@param query? table<string, any>
---@return string path
function app:url_for(name, params, query) end

---Async. A request in process: what a client would get.
---@param request? luaserve.app_request|string a path
---@return luaserve.app_response? response
---@return string? message
---@return string? code
function app:request(request) end

---Closes what app:request has opened.
function app:close() end

return app_module
