---@meta luaserve.http
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.http" returns. docs/api/http.md tells more.

---@class luaserve.http
local http = {}

---Times are seconds, false or 0: none. Sizes are bytes.
---@class luaserve.http.compress
---@field encodings? ("br"|"gzip"|"deflate")[] in the order the server likes them; default all three, in this order
---@field min_size? integer bytes; default 1024
---@field level? integer of gzip and deflate, 1 to 9; default 4
---@field quality? integer of br, 0 to 11; default 3

---@class luaserve.http.options
---@field header_timeout? number|false for a whole request head; default 10
---@field body_timeout? number|false between two reads of a body; default 30
---@field min_body_rate? integer bytes a second over each body_timeout; default 100
---@field stream_body? table<string, integer|false> other limits than max_body, by path: "/up", "PUT /files/*"
---@field allow_trace? boolean default false
---@field compress? boolean|luaserve.http.compress default false
---@field decompress? boolean default false
---@field keep_alive_timeout? number|false between requests; default 15
---@field write_timeout? number|false between two writes that made progress; default 30
---@field handler_timeout? number|false for the handler and what it started; default false
---@field max_url? integer default 8192
---@field max_header_bytes? integer default 16384
---@field max_headers? integer default 100
---@field max_body? integer default 1 MiB
---@field max_requests? integer of a connection; default 0: no limit
---@field max_connections? integer default 0: no limit
---@field backlog? integer default 0: what the system allows
---@field trust_proxy? false|string|string[] proxies whose word on clients is believed: addresses, ranges, "loopback", "private", "unix"
---@field trust_fields? "forwarded"|"x-forwarded" of both kinds of fields, believe only this
---@field proxy_protocol? boolean|"v1"|"v2" connections have to begin with a PROXY header
---@field cancel_on_close? boolean cancels the handler when its client leaves
---@field on_refuse? fun(refusal: luaserve.http.refusal) is told of each answer that the server gives itself

---What the server has answered itself. What is not known is nil.
---@class luaserve.http.refusal
---@field status integer
---@field reason string
---@field time integer as os.time
---@field line? string the request line as it came, or what came instead; 1024 bytes at most
---@field method? string of a whole line
---@field url? string
---@field version? string
---@field remote_address? string
---@field remote_port? integer
---@field bytes_written integer of the answer's body
---@field missed integer refusals before it that were not told

---@class luaserve.http.listen_options
---@field host? string default: every address of this machine
---@field port? integer 0: a free one
---@field path? string a unix socket, instead of host and port
---@field mode? integer permissions of the file of path
---@field fd? integer a socket that listens already
---@field systemd? boolean|string true: all sockets that systemd has passed; or the name of some
---@field backlog? integer
---@field reuse_port? boolean other processes may listen on the port too
---@field ipv6_only? boolean no IPv4 on an IPv6 address

---@alias luaserve.http.handler fun(req: luaserve.request, res: luaserve.response)

---A server that calls the handler in a task of its own for every request.
---@param options luaserve.http.options?
---@param handler luaserve.http.handler
---@return luaserve.server
---@overload fun(handler: luaserve.http.handler): luaserve.server
function http.create_server(options, handler) end

---@class luaserve.server
local server = {}

---Starts to accept connections; may be called for several addresses.
---@param where integer|luaserve.http.listen_options a port, or options
---@return luaserve.server? server
---@return string? message
---@return string? code
function server:listen(where) end

---Stops listening, lets requests under way be answered, and waits until the last connection has closed.
---@async
---@param grace? number seconds; default 10
---@param callback? fun(message?: string, done: true)
---@return true
---@overload fun(self: luaserve.server, callback: fun(message?: string, done: true)): luaserve.operation
function server:close(grace, callback) end

---Where it listens; nil past the last address, before listen and after close.
---@param n? integer which of several addresses; default 1
---@return luaserve.net.address?
function server:address(n) end

---Open connections, idle ones too.
---@return integer
function server:connections() end

---It keeps the process alive (as at first).
---@return luaserve.server
function server:ref() end

---It does not keep the process alive.
---@return luaserve.server
function server:unref() end

---What the client asked for.
---@class luaserve.request
---@field method string "GET"
---@field url string as sent
---@field path string without the query and dot segments; not decoded
---@field query table<string, string> decoded; of a repeated name the first
---@field headers table<string, string> names in any case; repeated fields joined
---@field scheme "http"|"https"
---@field secure boolean whether the client came over TLS, to a trusted proxy
---@field host? string what the client says: "example.org:8080"
---@field version "1.0"|"1.1"
---@field remote_address? string of the client; "" for a unix socket; nil: not known
---@field remote_port? integer
---@field peer_address? string of the other end of the connection, the nearest proxy where there is one
---@field peer_port? integer
---@field closed boolean whether the client has left before the answer was complete
---@field params table what a router has matched; can be set
---@field locals table for values of your own
local request = {}

---The path with percent-encodings decoded.
---@return string
function request:decoded_path() end

---All values of a name of the query.
---@param name string
---@return string[]
function request:query_all(name) end

---The header fields as sent: pairs of name and value.
---@return string[][]
function request:header_list() end

---The whole body.
---@async
---@param limit? integer bytes; can only lower max_body
---@param callback? fun(message?: string, body: string)
---@return string? body
---@return string? message
---@return string? code
---@overload fun(self: luaserve.request, callback: fun(message?: string, body: string)): luaserve.operation
function request:body(limit, callback) end

---The body, decoded from JSON.
---@async
---@return any value
---@return string? message
---@return string? code
function request:json() end

---The fields of an HTML form; of a repeated name the first.
---@async
---@return table<string, string>? fields
---@return string? message
---@return string? code
function request:form() end

---The body in pieces as they come. The iterator waits, and raises what goes wrong.
---@return fun(): string?
function request:chunks() end

---Calls fn when the client leaves before the response is complete.
---@param fn fun()
function request:on_close(fn) end

---The value of a cookie.
---@param name string
---@return string?
function request:cookie(name) end

---All cookies.
---@return table<string, string>
function request:cookies() end

---The value of a cookie that set_cookie has signed with one of the secrets.
---@param name string
---@param secrets string|string[]
---@return string? value
---@return string? message
---@return string? code
function request:signed_cookie(name, secrets) end

---The parts of a form with files, as they come. The iterator waits, and raises http errors.
---@param options? luaserve.multipart.options
---@return fun(state: any): luaserve.part? iterator
---@return any state
function request:multipart(options) end

---A form with files as a whole. Raises http errors.
---@async
---@param options? luaserve.multipart.form_options
---@return table<string, string> fields
---@return table<string, luaserve.upload> files
---@return (luaserve.upload|{ name: string, value: string })[] all
function request:multipart_form(options) end

---What the request brings, as the schema says. Raises an http error with all that is wrong.
---@async
---@param schema luaserve.schema
---@param from? "json"|"form"|"multipart"|"query"|"params"
---@return any
function request:validate(schema, from) end

---Of these media types the one that the client likes best, of equals the first; nil: it takes none.
---@param ... string "text/html", or an extension: "html", "json", "text"
---@return string?
function request:accepts(...) end

---The same of language tags.
---@param ... string "en", "de-CH"
---@return string?
function request:accepts_language(...) end

---The same of content codings; "identity" is taken where no other is.
---@param ... string "br", "gzip", "identity"
---@return string?
function request:accepts_encoding(...) end

---Calls fn when all is over: the response is complete or the client has left, and the handler has ended.
---@param fn fun()
function request:on_end(fn) end

---The answer.
---@class luaserve.response
---@field status integer 200 at first; can be set
---@field headers_sent boolean
---@field finished boolean
---@field bytes_written integer of the body so far, as they go to the client
local response = {}

---Sets a header field, in place of all of that name.
---@param name string
---@param value string|number
---@return luaserve.response
function response:set(name, value) end

---As set, beside those of that name.
---@param name string
---@param value string|number
---@return luaserve.response
function response:add(name, value) end

---What was set, repeated fields joined.
---@param name string
---@return string?
function response:get(name) end

---Removes all fields of that name.
---@param name string
---@return luaserve.response
function response:remove(name) end

---A field behind the body, where that goes in chunks.
---@param name string
---@param value string|number
---@return luaserve.response
function response:trailer(name, value) end

---Begins the response; or, with a status of 1xx, sends an interim one.
---@param status integer
---@param headers? table<string, string|number>
---@return true? done
---@return string? message
---@return string? code
function response:write_head(status, headers) end

---A piece of the body; waits while the client does not take what was written before.
---@async
---@param chunk string
---@param callback? fun(message?: string, done: true|string)
---@return true? done
---@return string? message
---@return string? code
function response:write(chunk, callback) end

---The end of the response, after a last piece.
---@param chunk? string
---@return true? done
---@return string? message
---@return string? code
function response:finish(chunk) end

---The whole answer, as text.
---@param status integer
---@param body string|number|nil
---@return true? done
---@return string? message
---@return string? code
---@overload fun(self: luaserve.response, body: string|number|nil): true?, string?, string?
function response:send(status, body) end

---The whole answer, as HTML, which is sent as it is.
---@param status integer
---@param body string|number|nil
---@return true? done
---@return string? message
---@return string? code
---@overload fun(self: luaserve.response, body: string|number|nil): true?, string?, string?
function response:html(status, body) end

---The whole answer, as JSON.
---@param status integer
---@param value any
---@return true? done
---@return string? message
---@return string? code
---@overload fun(self: luaserve.response, value: any): true?, string?, string?
function response:json(status, value) end

---The whole answer: what went wrong, as application/problem+json.
---@param status integer 400 to 599
---@param detail? string for who reads it
---@param fields? table<string, any> more members, such as type, title, instance
---@return true? done
---@return string? message
---@return string? code
function response:problem(status, detail, fields) end

---The whole answer: a Location, and no body.
---@param status integer 301, 302, 303, 307 or 308
---@param url string
---@return true? done
---@return string? message
---@return string? code
---@overload fun(self: luaserve.response, url: string): true?, string?, string?
function response:redirect(status, url) end

---As redirect, to where the client says, if that is a path of this site.
---@param status integer 301, 302, 303, 307 or 308
---@param target string? "/a?b"
---@param fallback? string where else; default "/"
---@return true? done
---@return string? message
---@return string? code
---@overload fun(self: luaserve.response, target: string?, fallback?: string): true?, string?, string?
function response:redirect_local(status, target, fallback) end

---The answer that follows is to be saved.
---@param name? string under this name, whose last segment counts
---@return luaserve.response
function response:attachment(name) end

---@class luaserve.events.options
---@field heartbeat? number|false seconds; default 15
---@field retry? number seconds

---The answer is a stream of events, which has begun.
---@param options? luaserve.events.options
---@return luaserve.events
function response:events(options) end

---@class luaserve.response.file
---@field root? string the folder that the path is relative to and cannot leave
---@field symlinks? boolean symbolic links may lead out of the root
---@field content_type? string in place of the one that goes with the extension
---@field status? integer 200 to 599
---@field etag? boolean|string
---@field last_modified? boolean
---@field ranges? boolean
---@field cache_control? string
---@field max_age? integer seconds
---@field attachment? boolean|string to be saved: under its own name, or this one
---@field precompressed? boolean path.br or path.gz in its place

---A file of any size as the whole answer, with conditional requests and ranges. When it fails before anything has been
---sent, another answer can be given.
---@async
---@param path string
---@param options? luaserve.response.file
---@param callback? fun(message?: string, done: true|string)
---@return true? done
---@return string? message
---@return string? code
function response:send_file(path, options, callback) end

---Whether the request is to be performed; false: it has been answered, 304 or 412. Sets ETag and Last-Modified.
---@param validators { etag: string?, last_modified: number?, exists: boolean? }
---@return boolean? go_on
---@return string? message
---@return string? code
function response:precondition(validators) end

---Sets a cookie; with the attribute secret the value is signed.
---@param name string
---@param value string|number
---@param attributes? luaserve.cookie.attributes|{ secret: string|string[] }
---@return luaserve.response
function response:set_cookie(name, value, attributes) end

---Makes the client forget a cookie.
---@param name string
---@param attributes? luaserve.cookie.attributes
---@return luaserve.response
function response:clear_cookie(name, attributes) end

---Whether and how this response is coded, whatever the server's option says.
---@param how boolean|luaserve.http.compress
---@return luaserve.response
function response:compress(how) end

---Calls fn just before the head is made, with the body where it is given as a whole; the last one first.
---@param fn fun(body?: string)
---@return luaserve.response
function response:on_head(fn) end

---The answer comes after the handler has ended.
---@return luaserve.response
function response:later() end

---@class luaserve.event
---@field data? string|number|table a table goes as JSON
---@field event? string its type; "message" without it
---@field id? string|number comes back as last_id
---@field retry? number seconds

---A stream of events.
---@class luaserve.events
---@field last_id? string of the last event that the client has seen before it came back
---@field behind boolean whether the client has yet to take what was sent
---@field closed boolean whether the stream has ended
local events = {}

---Sends an event; waits while the client does not take what was sent before.
---@async
---@param event luaserve.event|string|number the data alone will do
---@param callback? fun(message?: string, done: true|string)
---@return true? done
---@return string? message
---@return string? code
function events:send(event, callback) end

---Sends lines that a client does not show to its script.
---@async
---@param text? string
---@param callback? fun(message?: string, done: true|string)
---@return true? done
---@return string? message
---@return string? code
function events:comment(text, callback) end

---The stream ends.
---@return true
function events:close() end

return http
