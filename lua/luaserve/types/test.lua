---@meta luaserve.test
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.test" returns. docs/api/test.md tells more.

---@class luaserve.test
local test = {}

---@class luaserve.test.client_options
---@field follow_redirects? boolean|integer for each request that does not say
---@field headers? table<string, string|number|string[]> for each request
---@field host? string who is asked for; default "localhost"
---@field log? boolean true: the log goes on to standard error
---@field server? luaserve.http.options of http.create_server
---@field timeout? number seconds of the machine's clock, for each read and write; default 10

---@class luaserve.test.serve_options: luaserve.test.client_options
---@field arguments? string[] of the script
---@field cwd? string folder of the script's process
---@field env? table<string, string|number|false> more variables of its environment
---@field options? string[] of luaserve, in front of the script

---@class luaserve.test.request_options
---@field body? string|fun(): string? pieces of a function are sent chunked
---@field follow_redirects? boolean|integer true: up to 10
---@field form? table<string, any> fields of an HTML form
---@field headers? table<string, string|number|string[]|false> a list: repeated; false: none
---@field json? any
---@field multipart? table { name = text or { body =, filename =, content_type = } }, or a list of parts
---@field query? table<string, any>|string in addition to the path's

---@class luaserve.test.stream_options
---@field body? string|fun(): string?
---@field form? table<string, any>
---@field headers? table<string, string|number|string[]|false>
---@field json? any
---@field method? string default "GET"
---@field multipart? table
---@field query? table<string, any>|string

---Runs fn(...) at the end of the `it`; what comes last is run first.
---@param fn function
---@param ... any
function test.cleanup(fn, ...) end

---A client of an app that a server of its own serves in this process.
---@param app function|table a handler, an app, or the address where somebody listens
---@param options? luaserve.test.client_options
---@return luaserve.test.client
function test.client(app, options) end

---Stops the clock of the program.
---@param time? number seconds since 1970 that os.time is to say
---@return luaserve.test.clock
function test.clock(time) end

---Sets variables of the environment for the `it`.
---@param variables table<string, string|number|false>
---@return luaserve.test.env
function test.env(variables) end

---A function that makes a thing once for each `it` that asks for it, and puts it away.
---@generic T
---@param make fun(): T
---@param clean? fun(value: T) default: its close method
---@return fun(): T
function test.fixture(make, clean) end

---A client of an app on a free port, or of a script in a process of its own.
---@param app function|table|string a handler, an app, or the path of a script
---@param options? luaserve.test.serve_options
---@return luaserve.test.client
function test.serve(app, options) end

---A new folder, removed at the end of the `it`.
---@param files? table<string, string> what is to be in it, by path
---@return string path
function test.temporary_folder(files) end

---Asks a server, and keeps its cookies.
---@class luaserve.test.client
---@field address luaserve.net.address
local client = {}

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:get(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:post(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:put(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:patch(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:delete(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:head(path, options) end

---@async
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:options(path, options) end

---Asks, and waits for the whole response. Raises where none comes.
---@async
---@param method string
---@param path string
---@param options? luaserve.test.request_options
---@return luaserve.test.response
function client:request(method, path, options) end

---Asks, and waits for the head of the response only.
---@async
---@param path string
---@param options? luaserve.test.stream_options
---@return luaserve.test.response
function client:stream(path, options) end

---A connection without a request.
---@async
---@return luaserve.test.connection
function client:connect() end

---A client of the same server with cookies of its own.
---@return luaserve.test.client
function client:another() end

---The value of a cookie that it keeps.
---@param name string
---@return string?
function client:cookie(name) end

---Keeps a cookie as if the server had set it; nil takes it away.
---@param name string
---@param value? string|number
function client:set_cookie(name, value) end

---What the server has logged since the client was made.
---@return string
function client:log() end

---Closes its connections and its server.
---@async
function client:close() end

---@class luaserve.test.response
---@field status integer
---@field reason string
---@field version string "1.1"
---@field headers table<string, string> by name in any case
---@field header_list string[][] { name, value } as they came
---@field body? string nil: of a stream, not read yet
---@field trailers table<string, string>
---@field interim table[] responses with a status of 1xx that came before
---@field cookies table<string, table> what it sets: { value, path, max_age, http_only, ... }
---@field redirects luaserve.test.response[] those that led here
local response = {}

---The body; that of a stream is read to its end.
---@return string
function response:text() end

---The body, decoded from JSON.
---@return any
function response:json() end

---Expects one of these statuses.
---@param ... integer
---@return luaserve.test.response
function response:expect(...) end

---Expects a header field.
---@param name string
---@param value? string|number|false its value, or a pattern; nil: any; false: there is none
---@return luaserve.test.response
function response:expect_header(name, value) end

---Expects JSON of this value.
---@param expected any
---@return luaserve.test.response
function response:expect_json(expected) end

---Expects this body, or one that matches it as a pattern.
---@param expected string
---@return luaserve.test.response
function response:expect_body(expected) end

---The next piece of a stream.
---@async
---@return string? piece nil at the end
---@return string? message
---@return string? code
function response:read() end

---Iterates over the pieces of a stream.
---@return fun(): string?
function response:chunks() end

---A reader of server-sent events.
---@return luaserve.test.events
function response:events() end

---Leaves with a reset.
function response:abort() end

---Leaves in good order.
function response:close() end

---@class luaserve.test.events
---@field comments string[]
local events = {}

---@class luaserve.test.event
---@field event string
---@field data string
---@field id string
---@field retry? number seconds

---The next event; nil at the end.
---@async
---@return luaserve.test.event?
function events:next() end

---Iterates over the events.
---@return fun(): luaserve.test.event?
function events:each() end

---Bytes out as they are, responses in.
---@class luaserve.test.connection
local connection = {}

---@async
---@param bytes string
---@return true?
---@return string? message
---@return string? code
function connection:write(bytes) end

---The head of the next response.
---@async
---@param method string of the request
---@return table? head
---@return string? message
---@return string? code
function connection:read_head(method) end

---The next piece of its body; nil at the end.
---@async
---@return string?
---@return string? message
---@return string? code
function connection:read() end

---All that still comes.
---@async
---@return string?
---@return string? message
---@return string? code
function connection:read_all() end

---The fields behind a chunked body.
---@return table<string, string>
function connection:trailers() end

---Leaves in good order.
function connection:close() end

---Leaves with a reset.
function connection:reset() end

---@class luaserve.test.clock
local clock = {}

---Lets so many seconds pass.
---@async
---@param seconds number
function clock:advance(seconds) end

---Seconds that it was moved so far.
---@return number
function clock:elapsed() end

---Seconds until the next timer is due; nil: there is none.
---@return number?
function clock:next_due() end

---Lets it run again.
function clock:close() end

---What test.env returns.
---@class luaserve.test.env
local env = {}

---Gives the variables back what they were.
function env:close() end

return test
