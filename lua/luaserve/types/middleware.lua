---@meta luaserve.middleware
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.middleware" returns. docs/api/middleware.md tells more.

---@alias luaserve.middleware.function fun(req: luaserve.request, res: luaserve.response, next: fun(): ...): ...

---Functions that make middleware, each loaded when it is first used.
---@class luaserve.middleware
local middleware = {}

---@class luaserve.middleware.access_log_options
---@field to? string|fun(line: string, entry: table) "stderr" (default), "stdout" or the path of a file
---@field format? "combined"|"json"|fun(entry: table): string
---@field query? boolean default true
---@field queue? integer lines that may wait; default 10000
---@field skip? fun(req: luaserve.request, res: luaserve.response): boolean?
---@field mode? integer permissions of a new file; default 0640

---@class luaserve.middleware.access_log
---@overload fun(req: luaserve.request, res: luaserve.response, next: fun(): ...): ...
---@field on_refuse fun(refusal: luaserve.http.refusal) for the server of a plain handler

---A line for each request, when all of it is over, and for what the server refuses.
---@param options? luaserve.middleware.access_log_options
---@return luaserve.middleware.access_log
function middleware.access_log(options) end

---@class luaserve.middleware.basic_auth_options
---@field verify? fun(name: string, password: string, req: luaserve.request): any
---@field users? table<string, string> instead: passwords by name
---@field realm? string default "restricted"

---Name and password (RFC 7617); the user is in req.locals.user.
---@param options luaserve.middleware.basic_auth_options
---@return luaserve.middleware.function
function middleware.basic_auth(options) end

---@class luaserve.middleware.bearer_auth_options
---@field verify? fun(token: string, req: luaserve.request): any, string?
---@field tokens? table<string, any> instead: users by token
---@field realm? string default "restricted"
---@field scope? string

---A token (RFC 6750); what it stands for is in req.locals.user.
---@param options luaserve.middleware.bearer_auth_options
---@return luaserve.middleware.function
function middleware.bearer_auth(options) end

---Bodies may be no larger.
---@param bytes integer
---@return luaserve.middleware.function
function middleware.body_limit(bytes) end

---Whether and how responses are coded, whatever the server's option says.
---@param how? boolean|luaserve.http.compress default true
---@return luaserve.middleware.function
function middleware.compress(how) end

---@class luaserve.middleware.cors_options
---@field origins "*"|string|string[]|fun(origin: string, req: luaserve.request): boolean?
---@field credentials? boolean default false
---@field methods? string|string[]
---@field headers? string|string[] that pages may send; default those they ask for
---@field exposed? string|string[] that pages may read
---@field max_age? integer|false seconds; default 600

---Which pages of other origins may read the answers.
---@param options luaserve.middleware.cors_options
---@return luaserve.middleware.function
function middleware.cors(options) end

---@class luaserve.middleware.csrf_options
---@field secret? string without a session
---@field field? string of a form; default "csrf_token"
---@field header? string default "x-csrf-token"
---@field cookie? string default "csrf"
---@field secure? boolean default as the request is
---@field origins? string[] others that may send requests
---@field trust_origin? boolean what the browser says to come from here needs no token; default false
---@field exempt? fun(req: luaserve.request): boolean?
---@field answer? fun(req: luaserve.request, res: luaserve.response, reason: string) default: refuses with 403

---Refuses what another site may have forged; the token is req.locals.csrf_token.
---@param options? luaserve.middleware.csrf_options
---@return luaserve.middleware.function
function middleware.csrf(options) end

---@class luaserve.middleware.error_pages_options
---@field development? boolean shows everything; default false
---@field page? fun(problem: table, req: luaserve.request): string

---Answers errors with HTML, problem details or text.
---@param options? luaserve.middleware.error_pages_options
---@return luaserve.middleware.function
function middleware.error_pages(options) end

---@class luaserve.middleware.etag_options
---@field weak? boolean default false
---@field max_bytes? integer default 1 MiB

---Tags whole bodies, and answers 304.
---@param options? luaserve.middleware.etag_options
---@return luaserve.middleware.function
function middleware.etag(options) end

---@class luaserve.middleware.rate_limit_options
---@field limit integer requests in each window
---@field window? number seconds; default 60
---@field burst? integer default limit
---@field key? fun(req: luaserve.request): string? default the client's address
---@field store? string|luaserve.dict for all threads
---@field max_keys? integer default 100000
---@field headers? boolean default true
---@field answer? fun(req: luaserve.request, res: luaserve.response, seconds: integer)

---Answers 429 to who asks too often.
---@param options luaserve.middleware.rate_limit_options
---@return luaserve.middleware.function
function middleware.rate_limit(options) end

---@class luaserve.middleware.request_id_options
---@field header? string default "x-request-id"
---@field accept? boolean default false
---@field generate? fun(req: luaserve.request): string

---Names each request: req.locals.request_id.
---@param options? luaserve.middleware.request_id_options
---@return luaserve.middleware.function
function middleware.request_id(options) end

---@class luaserve.middleware.security_headers_options
---@field content_type_options? string|false
---@field referrer_policy? string|false
---@field frame_options? string|false
---@field opener_policy? string|false
---@field resource_policy? string|false
---@field embedder_policy? string|false
---@field permissions_policy? string|false
---@field agent_cluster? string|false
---@field xss_protection? string|false
---@field strict_transport_security? string|false|{ max_age: integer?, include_subdomains: boolean?, preload: boolean? }
---@field content_security_policy? string|false|table<string, string|string[]|boolean>
---@field report_only? boolean
---@field nonce? boolean one for each request: req.locals.csp_nonce

---Header fields by which browsers are told to be careful.
---@param options? luaserve.middleware.security_headers_options
---@return luaserve.middleware.function
function middleware.security_headers(options) end

---@class luaserve.middleware.session_options
---@field secret? string|string[] of at least 32 bytes: in the cookie
---@field store? string|luaserve.dict|table instead: there
---@field idle_timeout? number seconds; default 3600
---@field absolute_timeout? number seconds; default 86400
---@field persistent? boolean default false
---@field name? string default "session"
---@field path? string
---@field domain? string
---@field same_site? "lax"|"strict"|"none"
---@field secure? boolean default as the request is

---What is remembered of a visitor: req.locals.session, with session:regenerate() and session:destroy().
---@param options luaserve.middleware.session_options
---@return luaserve.middleware.function
function middleware.session(options) end

---@class luaserve.middleware.static_options
---@field root string the folder
---@field prefix? string of the paths
---@field param? string instead: the parameter of the route that has the rest of the path
---@field index? string|string[]|false default "index.html"
---@field dotfiles? boolean default false
---@field fall_through? boolean default true
---@field cache_control? string
---@field max_age? integer seconds
---@field precompressed? boolean
---@field symlinks? boolean

---Answers with the files of a folder.
---@param options luaserve.middleware.static_options
---@return luaserve.middleware.function
function middleware.static(options) end

---Ends with 504 what takes longer.
---@param seconds number
---@return luaserve.middleware.function
function middleware.timeout(seconds) end

return middleware
