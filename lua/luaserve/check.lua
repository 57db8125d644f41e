-- SPDX-License-Identifier: MIT
--- Finds calls in a program that hold up the loop, and globals made by accident, without running it: what
-- `luaserve check [options] app.lua ...` requires and calls; docs/check.md tells what it looks for.
--
-- luacheck's parser makes the tree. It is walked once, with the names that are visible at each place: a local that was
-- given io.open, or what require "lfs" returns, is known by that name wherever it is called.

local fs = require "luaserve.fs"
local mistake = require "luaserve.core.mistake"
local BLOCKING = require "luaserve.check.blocking"

local USAGE = [[
usage: luaserve check app.lua ...

Prints file:line:column: message for each call inside a function of the program,
and of the modules in its folder that it requires, that would hold up all other
requests, and for each global that a request may not write or that does not exist.
The program is not run. Exit status: 0 nothing found, 1 something, 2 a file that
cannot be read or is no Lua.

  -- luaserve: blocking   in a line, or alone before it: this may block
  -- luaserve: global     the same: this global is meant
]]

local CLEAN, FOUND, FAILED = 0, 1, 2

-- Where Debian's lua-check is, which knows nothing of Lua 5.4.
local DEBIAN_PATH = "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"

local function fail(...)
  io.stderr:write("luaserve: ", ...)
  io.stderr:write("\n")
end

-- ---- luacheck ----

--- What is used of luacheck, { parser =, decoder = }; or nil and why there is none.
local function load_luacheck()
  local path = package.path
  package.path = path .. ";" .. DEBIAN_PATH
  local found, parser = pcall(require, "luacheck.parser")
  local _, decoder = pcall(require, "luacheck.decoder")
  package.path = path
  if not found then return nil, parser end
  return { parser = parser, decoder = decoder }
end

-- ---- names ----

--- Scopes are tables of symbols by name, linked by __index. What a symbol stands for is its path: "io.open", "lfs",
-- "luaserve.fs", as far as that is known.
local function open_scope(walk)
  local outer = walk.scope
  walk.scope = setmetatable({}, { __index = outer })
  return outer
end

local function declare(walk, id, path)
  walk.scope[id[1]] = { path = path }
end

local resolve

--- The path of what require returns: the name of a module that is not the program's own.
local function resolve_require(walk, call)
  local name = call[2]
  if resolve(walk, call[1]) == "require" and name and name.tag == "String" and not walk.find_module(name[1]) then
    return name[1]
  end
end

--- The path of an expression's value, or nil.
function resolve(walk, node)
  if node.tag == "Id" then
    local symbol = walk.scope[node[1]]
    if symbol then return symbol.path end
    return node[1]
  elseif node.tag == "Index" and node[2].tag == "String" then
    local base = resolve(walk, node[1])
    return base and (base == "_G" and node[2][1] or base .. "." .. node[2][1])
  elseif node.tag == "Paren" then
    return resolve(walk, node[1])
  elseif node.tag == "Call" then
    return resolve_require(walk, node)
  elseif node.tag == "Op" and (node[1] == "or" or node[1] == "and") then
    local left, right = resolve(walk, node[2]), resolve(walk, node[3])
    return node[1] == "or" and left or right
  end
end

--- What to use instead of the function at path; nil where it does not block.
local function advice_of(path)
  local advice = path and BLOCKING[path]
  while path and advice == nil do
    path = path:match("^(.*)[.:][^.:]+$")
    advice = path and BLOCKING[path .. "."]
  end
  return advice or nil
end

-- ---- findings ----

local function report(walk, node, message)
  walk.findings[#walk.findings + 1] = {
    line = node.line,
    column = node.offset - walk.line_offsets[node.line] + 1,
    message = message,
  }
end

local function is_allowed(walk, kind, node)
  return walk.allowed[kind][node.line]
end

local function check_blocking(walk, node, path, advice)
  if advice and walk.inside and not walk.may_block and not is_allowed(walk, "blocking", node) then
    report(walk, node, ("%s holds up all other requests: %s"):format(path, advice))
  end
end

local function is_global(walk, node)
  return node.tag == "Id" and not walk.scope[node[1]] and not walk.scope._ENV
end

--- A global that is read: whether it exists is known when all files have been seen.
local function check_read(walk, id)
  if walk.inside and is_global(walk, id) and not is_allowed(walk, "global", id) then
    walk.reads[#walk.reads + 1] = id
  end
end

--- A global that is written: at the start that makes one, later it is refused.
local function check_write(walk, target, name)
  walk.defined[name] = true
  if walk.inside and not is_allowed(walk, "global", target) then
    report(walk, target, ("assigns the global '%s', which a request may not: make it local"):format(name))
  end
end

-- ---- the tree ----

local visitors = {}

local function visit(walk, node)
  local visitor = visitors[node.tag]
  if visitor then return visitor(walk, node) end
  for _, child in ipairs(node) do -- an operator's name is no node
    if type(child) == "table" then visit(walk, child) end
  end
end

local function visit_all(walk, nodes)
  for _, node in ipairs(nodes) do visit(walk, node) end
end

local function visit_block(walk, block)
  local outer = open_scope(walk)
  visit_all(walk, block)
  walk.scope = outer
end

visitors.Do = visit_block

function visitors.While(walk, node)
  visit(walk, node[1])
  visit_block(walk, node[2])
end

--- The condition sees the locals of the block.
function visitors.Repeat(walk, node)
  local outer = open_scope(walk)
  visit_all(walk, node[1])
  visit(walk, node[2])
  walk.scope = outer
end

function visitors.If(walk, node)
  for i = 1, #node - 1, 2 do
    visit(walk, node[i])
    visit_block(walk, node[i + 1])
  end
  if #node % 2 == 1 then visit_block(walk, node[#node]) end
end

function visitors.Fornum(walk, node)
  for i = 2, #node - 1 do visit(walk, node[i]) end
  local outer = open_scope(walk)
  declare(walk, node[1])
  visit_block(walk, node[#node])
  walk.scope = outer
end

function visitors.Forin(walk, node)
  visit_all(walk, node[2])
  local outer = open_scope(walk)
  for _, id in ipairs(node[1]) do declare(walk, id) end
  visit_block(walk, node[3])
  walk.scope = outer
end

function visitors.Local(walk, node)
  local ids, values = node[1], node[2] or {}
  visit_all(walk, values)
  local paths = {}
  for i, value in ipairs(values) do paths[i] = resolve(walk, value) end
  for i, id in ipairs(ids) do declare(walk, id, paths[i]) end
end

function visitors.Localrec(walk, node)
  declare(walk, node[1][1])
  visit(walk, node[2][1])
end

local function visit_target(walk, target, value)
  local symbol = target.tag == "Id" and walk.scope[target[1]]
  if symbol then
    symbol.path = value and resolve(walk, value)
  elseif target.tag == "Id" then
    if is_global(walk, target) then check_write(walk, target, target[1]) end
  elseif resolve(walk, target[1]) == "_G" and target[2].tag == "String" then
    check_write(walk, target, target[2][1])
  else
    visit(walk, target)
  end
end

function visitors.Set(walk, node)
  visit_all(walk, node[2])
  for i, target in ipairs(node[1]) do visit_target(walk, target, node[2][i]) end
end

function visitors.Function(walk, node)
  local scope, inside, may_block = open_scope(walk), walk.inside, walk.may_block
  walk.inside = true
  walk.may_block = may_block or is_allowed(walk, "blocking", node)
  for _, id in ipairs(node[1]) do
    if id.tag == "Id" then declare(walk, id) end
  end
  visit_block(walk, node[2])
  walk.scope, walk.inside, walk.may_block = scope, inside, may_block
end

function visitors.Id(walk, node)
  check_read(walk, node)
end

--- Arguments, from the given index on. One may be a function that blocks, for another to call: pcall(os.execute).
local function visit_arguments(walk, call, first)
  for i = first, #call do
    local path = resolve(walk, call[i])
    check_blocking(walk, call[i], path, BLOCKING[path])
    visit(walk, call[i])
  end
end

--- The function that pool.run is given runs on another thread, and may block there.
function visitors.Call(walk, node)
  local path = resolve(walk, node[1])
  local may_block = walk.may_block
  check_blocking(walk, node[1], path, advice_of(path))
  visit(walk, node[1])
  if path == "require" and node[2] and node[2].tag == "String" then walk.require(node[2][1]) end
  if path == "pcall" and node[3] and node[3].tag == "String" and resolve(walk, node[2]) == "require" then
    walk.require(node[3][1])
  end
  walk.may_block = may_block or path == "luaserve.pool.run"
  visit_arguments(walk, node, 2)
  walk.may_block = may_block
end

function visitors.Invoke(walk, node)
  local base = resolve(walk, node[1])
  local path = base and base .. ":" .. node[2][1]
  check_blocking(walk, node[1], path, advice_of(path))
  visit(walk, node[1])
  visit_arguments(walk, node, 3)
end

-- ---- files ----

--- The lines that comments allow something in: their own, and when nothing else is in it the next one with code.
local function read_comments(comments, code_lines, last)
  local allowed = { blocking = {}, global = {} }
  for _, comment in ipairs(comments) do
    local lines = allowed[comment.contents:match("^%-*%s*luaserve:%s*(%a+)")]
    local line = comment.line
    while lines and line < last and not code_lines[line] do line = line + 1 end
    if lines then lines[line] = true end
  end
  return allowed
end

local Check = {}
Check.__index = Check

--- The file of the program's own folder that a module is in; nil where it is another's.
function Check:find_module(name)
  local base = self.folder .. name:gsub("%.", "/")
  for _, path in ipairs { base .. ".lua", base .. "/init.lua" } do
    if self.seen[path] == nil then self.seen[path] = fs.stat(path) ~= nil end
    if self.seen[path] then return path end
  end
end

function Check:add(path)
  if self.queued[path] then return end
  self.queued[path] = true
  self.queue[#self.queue + 1] = path
end

--- The tree of a text that compiles. What only luacheck does not understand is told as it tells it.
function Check:parse(path, text)
  local luacheck = self.luacheck
  text = text:gsub("^#[^\n]*", "")
  local compiled, message = load(text, "=?", "t")
  if not compiled then return nil, path .. (message:match("^%?(:.*)") or ": " .. message) end
  local ok, tree, comments, code_lines, _, _, line_offsets = pcall(luacheck.parser.parse, luacheck.decoder.decode(text))
  if ok then return tree, comments, code_lines, line_offsets end
  if type(tree) == "table" then return nil, ("%s:%d: %s"):format(path, tree.line, tree.msg) end
  return nil, path .. ": " .. tostring(tree)
end

function Check:file(path)
  local text, message = fs.read_file(path)
  if not text then return self:failed(message) end
  local tree, comments, code_lines, line_offsets = self:parse(path, text)
  if not tree then return self:failed(comments) end
  local walk = {
    path = path,
    scope = {},
    inside = false,    -- a function
    may_block = false, -- it was allowed, or runs elsewhere
    findings = {},
    reads = {}, -- Ids of globals
    defined = self.defined,
    line_offsets = line_offsets,
    allowed = read_comments(comments, code_lines, #line_offsets),
    find_module = function(name) return self:find_module(name) end,
    require = function(name)
      local module = self:find_module(name)
      if module then self:add(module) end
    end,
  }
  visit_all(walk, tree)
  self.walks[#self.walks + 1] = walk
end

function Check:failed(message)
  fail(message)
  self.status = FAILED
end

--- Prints what was found in a file, from its beginning to its end.
function Check:print(walk)
  for _, id in ipairs(walk.reads) do
    local name = id[1]
    if rawget(_G, name) == nil and not self.defined[name] then
      report(walk, id, ("the global '%s' does not exist"):format(name))
    end
  end
  table.sort(walk.findings, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.column < b.column
  end)
  for _, finding in ipairs(walk.findings) do
    print(("%s:%d:%d: %s"):format(walk.path, finding.line, finding.column, finding.message))
    if self.status == CLEAN then self.status = FOUND end
  end
end

--- Checks a program with its modules.
-- @return the exit status
local function check(path, luacheck)
  local self = setmetatable({
    luacheck = luacheck,
    folder = path:match("^.*/") or "",
    seen = {}, -- by path: whether there is such a file
    queued = {}, queue = {}, -- files: those named so far, in order
    walks = {},   -- of the files read
    defined = {}, -- names of globals that some file assigns
    status = CLEAN,
  }, Check)
  self:add(path)
  for _, name in ipairs(self.queue) do self:file(name) end
  for _, walk in ipairs(self.walks) do self:print(walk) end
  return self.status
end

local function run(...)
  local paths = { ... }
  if paths[1] == "--help" or paths[1] == "-h" then
    io.write(USAGE)
    return CLEAN
  end
  for _, path in ipairs(paths) do
    if path:find("^%-") then
      fail(("unknown option '%s'\nTry 'luaserve check --help'."):format(path))
      return FAILED
    end
  end
  if #paths == 0 then
    fail("check wants the path of a program\nTry 'luaserve check --help'.")
    return FAILED
  end
  local luacheck, message = load_luacheck()
  if not luacheck then
    fail("check needs luacheck, which cannot be loaded (Debian: apt-get install lua-check)\n",
      mistake.uncaught(message))
    return FAILED
  end
  local status = CLEAN
  for _, path in ipairs(paths) do status = math.max(status, check(path, luacheck)) end
  return status
end

return function(...)
  os.exit(run(...), true)
end
