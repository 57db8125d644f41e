-- SPDX-License-Identifier: MIT
-- Who is measured, in the order of the report. For each server:
--
--   name, label    for the command line and for people
--   command(kind, argument)   the program and its arguments; it prints a line that ends in http://127.0.0.1:PORT
--   prepare(kind, argument)   before each start; may return the port, where nothing is printed
--   version        the command that tells it
--   lacks          by kind, why it has no such handler
--   other          by kind, what answers instead of a handler, so that the comparison is with another kind of thing
--   floor          what is no server that anybody would use
--   build          another build of luaserve: no rival of it

local fs, net, process = require "luaserve.fs", require "luaserve.net", require "luaserve.process"

local BIN = "build/bench/peers/node_modules/.bin/"
local NGINX = "build/bench/nginx"
local LUASERVE = arg and arg[-1] or "./luaserve"

local function script(...)
  local words = table.pack(...)
  return function(kind, argument)
    local command = table.move(words, 1, words.n, 1, {})
    command[#command + 1] = kind
    command[#command + 1] = argument
    return command
  end
end

local function free_port()
  local server <close> = assert(net.listen({ host = "127.0.0.1" }, print))
  return server:address().port
end

local function nginx_routes(count)
  local lines = {}
  for i = 1, count do
    lines[i] = ("    location /section%d/ {\n      content_by_lua_block { works.route() }\n    }\n"):format(i)
  end
  return table.concat(lines)
end

--- Writes its configuration, with a port that was free a moment ago: nginx does not print which one it was given.
local function prepare_nginx(kind, argument)
  local port = free_port()
  local cwd = process.cwd()
  local values = {
    PORT = port, ARGUMENT = argument or "", FOLDER = cwd .. "/" .. NGINX, PEERS = cwd .. "/bench/peers",
    FILES = cwd .. "/build/bench/files", ROUTES = kind == "routes" and nginx_routes(tonumber(argument)) or "",
  }
  assert(fs.mkdir(NGINX, { recursive = true }))
  local text = assert(fs.read_file("bench/peers/nginx.conf")):gsub("@(%u+)@", values)
  assert(fs.write_file(NGINX .. "/nginx.conf", text))
  return port
end

--- What answers with a constant only.
local function all_but_plaintext(reason)
  return setmetatable({ plaintext = false }, { __index = function() return reason end })
end

local no_router = "it has no router"

return {
  { name = "luaserve", label = "luaserve", command = script(LUASERVE, "-p", "0", "bench/apps/works.lua"),
    version = { LUASERVE, "--version" }, lacks = {}, other = {} },
  { name = "luaserve-pgo", label = "luaserve, make pgo", build = true,
    command = script("build/pgo/luaserve", "-p", "0", "bench/apps/works.lua"),
    version = { "build/pgo/luaserve", "--version" }, lacks = {}, other = {} },
  { name = "node", label = "Node http", command = script("node", "bench/peers/node.mjs"),
    version = { "node", "--version" }, lacks = { routes = no_router }, other = {} },
  { name = "fastify", label = "Fastify", command = script("node", "bench/peers/fastify.mjs"),
    version = { "node", "-p", "require('./build/bench/peers/node_modules/fastify/package.json').version" },
    lacks = {}, other = {} },
  { name = "bun", label = "Bun", command = script(BIN .. "bun", "bench/peers/bun.mjs"),
    version = { BIN .. "bun", "--version" }, lacks = {}, other = {} },
  { name = "deno", label = "Deno", command = script(BIN .. "deno", "run", "-A", "bench/peers/deno.mjs"),
    version = { BIN .. "deno", "--version" }, lacks = { routes = no_router }, other = {} },
  { name = "nginx", label = "nginx + Lua", prepare = prepare_nginx,
    command = function() return { "/usr/sbin/nginx", "-p", "build/bench/nginx", "-c", "nginx.conf" } end,
    version = { "/usr/sbin/nginx", "-v" }, lacks = {},
    other = { static = "nginx's own files, no handler", routes = "a location each, in front of the handler" } },
  { name = "lua-http", label = "lua-http", command = script("lua5.2", "bench/peers/lua-http.lua"),
    version = { "lua5.2", "-e", "print(require 'http.version'.version)" },
    lacks = { routes = no_router }, other = {} },
  { name = "epoll", label = "floor: epoll in C", command = script("build/bench/epoll"), floor = true,
    lacks = all_but_plaintext "a floor: one constant answer", other = {} },
  { name = "uv", label = "floor: libuv + llhttp in C", command = script("build/bench/uv"), floor = true,
    lacks = all_but_plaintext "a floor: one constant answer", other = {} },
}
