-- SPDX-License-Identifier: MIT
--- The REPL: what `luaserve` on a terminal requires and calls, as the main task.
-- Every line runs in a task of its own, so that Ctrl-C can cancel what it waits for. Its globals are those of the
-- program, and behind them stand luaserve's modules, each loaded when it is first named.

local fs, process, task = require "luaserve.fs", require "luaserve.process", require "luaserve.task"
local mistake = require "luaserve.core.mistake"
local terminals = require "luaserve.terminal"

local KEYWORDS = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }
local HISTORY_LINES = 1000
local SHOWN_FIELDS, SHOWN_NAMES, WIDTH = 20, 200, 78
local INDENT = "  "

-- ---- the environment of the lines ----

--- Of luaserve itself, not for those who use it.
local INTERNAL = { busted = true, check = true, repl = true, terminal = true }

--- luaserve's modules: the set of their names.
local function module_names()
  local names = {}
  for path in next, package.preload do
    local name = type(path) == "string" and path:match("^luaserve%.([%w_]+)$")
    if name and not INTERNAL[name] then names[name] = true end
  end
  return names
end

--- Globals are read from _G and written to it; what _G has not may be a module's name. `_` is the last result.
local function new_environment()
  return setmetatable({}, {
    __index = function(_, name)
      local value = _G[name]
      if value == nil and type(name) == "string" and not INTERNAL[name] and package.preload["luaserve." .. name] then
        return require("luaserve." .. name)
      end
      return value
    end,
    __newindex = _G,
  })
end

-- ---- compiling ----

--- The chunk of text, an expression or statements; nil, message, and whether it only lacks its end.
local function compile(text, environment)
  local chunk = load("return " .. text, "=stdin", "t", environment)
  if chunk then return chunk end
  local message
  chunk, message = load(text, "=stdin", "t", environment)
  if chunk then return chunk end
  return nil, message, message:find("<eof>$") ~= nil
end

-- ---- showing ----

local function show_inner(value)
  if type(value) == "string" then return (("%q"):format(value):gsub("\\\n", "\\n")) end
  if type(value) == "table" and not (debug.getmetatable(value) or {}).__tostring then
    return next(value) == nil and "{}" or "{...}"
  end
  return tostring(value)
end

local function show_key(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. show_inner(key) .. "]"
end

local function by_name(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
  return type(a) == "number" and type(b) ~= "number" or type(a) == "string" and type(b) ~= "number" and
    type(b) ~= "string"
end

--- One level of a table: { 1, 2, name = "x" }.
local function show_table(value)
  local shown, length, keys = {}, #value, {}
  for i = 1, math.min(length, SHOWN_FIELDS) do
    shown[i] = show_inner(value[i])
  end
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= length) then keys[#keys + 1] = key end
  end
  table.sort(keys, by_name)
  for i = 1, math.min(#keys, SHOWN_FIELDS - #shown) do
    shown[#shown + 1] = show_key(keys[i]) .. " = " .. show_inner(rawget(value, keys[i]))
  end
  if #shown < length + #keys then shown[#shown + 1] = ("... %d more"):format(length + #keys - #shown) end
  return #shown == 0 and "{}" or "{ " .. table.concat(shown, ", ") .. " }"
end

local function show(value)
  local metatable = debug.getmetatable(value)
  local is_plain = not metatable or metatable.__name == "luaserve.module"
  return type(value) == "table" and is_plain and show_table(value) or tostring(value)
end

local function print_results(results)
  if results.n == 0 then return end
  local texts = {}
  for i = 1, results.n do
    texts[i] = show(results[i])
  end
  print(table.concat(texts, "\t"))
end

-- ---- evaluating ----

local function explain(err)
  if type(err) ~= "string" then
    local to_text = (debug.getmetatable(err) or {}).__tostring
    err = to_text and to_text(err) or ("(error object is a %s value)"):format(type(err))
  end
  local text = debug.traceback(err, 2)
  local inside = text:find("\n\t[^\n]*in function 'xpcall'")
  return mistake.uncaught(inside and text:sub(1, inside - 1):gsub("\nstack traceback:$", "") or text)
end

--- The task of the line that is under way.
local current

--- Runs the chunk in a task of its own, which Ctrl-C cancels.
local function evaluate(chunk, environment)
  local work = task.spawn(function()
    local results = table.pack(xpcall(chunk, explain))
    if not results[1] then
      io.stderr:write(tostring(results[2]), "\n")
      return
    end
    results = table.pack(table.unpack(results, 2, results.n))
    if results.n > 0 then rawset(environment, "_", results[1]) end
    local shown, err = xpcall(print_results, explain, results)
    if not shown then io.stderr:write(tostring(err), "\n") end
  end)
  current = work
  local ended, err = pcall(work.join, work)
  current = nil
  if not ended then
    io.stderr:write(tostring(work):find("cancelled", 1, true) and "\ninterrupted" or tostring(err), "\n")
  end
end

-- ---- history ----

--- The file's path; nil where there is no home.
local function history_path()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state ~= "" then return state .. "/luaserve_history" end
  return home and home ~= "" and home .. "/.luaserve_history" or nil
end

local History = {}
History.__index = History

--- The lines that were typed before are told to the terminal; a file that has become long is cut.
local function open_history(terminal)
  local history = setmetatable({ terminal = terminal, path = history_path() }, History)
  local text = history.path and fs.read_file(history.path)
  if not text then return history end
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  local first = math.max(1, #lines - HISTORY_LINES + 1)
  for i = first, #lines do
    terminal:remember(lines[i])
  end
  history.last = lines[#lines]
  if #lines > 2 * HISTORY_LINES then
    fs.write_file(history.path, table.concat(lines, "\n", first) .. "\n", { mode = 384, atomic = true })
  end
  return history
end

function History:add(line)
  if not line:find("%S") or line == self.last then return end
  self.last = line
  self.terminal:remember(line)
  if self.path and not fs.append_file(self.path, line .. "\n", { mode = 384 }) then
    self.path = nil -- there is no place for it: the history of this session lives as long as the session
  end
end

-- ---- completion ----

--- The names that can follow object, a table or something with an __index table.
local function names_in(object)
  local names = {}
  for _ = 1, 10 do
    if type(object) == "table" then
      for name in next, object do
        names[name] = true
      end
    end
    local metatable = debug.getmetatable(object)
    object = type(metatable) == "table" and rawget(metatable, "__index") or nil
    if type(object) ~= "table" then break end
  end
  return names
end

local function global_names()
  local names = names_in(_G)
  for name in next, module_names() do
    names[name] = true
  end
  for _, name in ipairs(KEYWORDS) do
    names[name] = true
  end
  return names
end

--- What `path`, "fs." or "a.b:", stands for; nil when it is nothing.
local function follow(path, environment)
  local object = environment
  for name in path:gmatch("[^.:]+") do
    local found, value = pcall(function() return object[name] end)
    if not found or value == nil then return nil end
    object = value
  end
  return object
end

local function columns(names)
  local lines, line = {}, ""
  for i = 1, math.min(#names, SHOWN_NAMES) do
    if #line + 2 + #names[i] > WIDTH then
      lines[#lines + 1], line = line, ""
    end
    line = line .. (line == "" and "" or "  ") .. names[i]
  end
  lines[#lines + 1] = line
  if #names > SHOWN_NAMES then lines[#lines + 1] = ("... %d more"):format(#names - SHOWN_NAMES) end
  return table.concat(lines, "\n") .. "\n"
end

local function common_prefix(names)
  local first, last = names[1], names[#names] -- sorted: no two differ earlier
  local length = 0
  while length < #first and first:byte(length + 1) == last:byte(length + 1) do
    length = length + 1
  end
  return first:sub(1, length)
end

--- What Tab inserts behind `before`, and the names it shows where it cannot go on.
local function complete(before, environment)
  local word = before:match("[%w_.:]*$")
  if not before:find("%S") then return INDENT end
  local path, start = word:match("^(.-)([%w_]*)$")
  local object = path ~= "" and follow(path, environment) or nil
  if path ~= "" and object == nil then return nil end
  local names = {}
  for name in pairs(path == "" and global_names() or names_in(object)) do
    if type(name) == "string" and name:find("^[%a_][%w_]*$") and name:sub(1, #start) == start then
      names[#names + 1] = name
    end
  end
  if #names == 0 then return nil end
  table.sort(names)
  local more = common_prefix(names):sub(#start + 1)
  if more ~= "" then return more end
  return nil, #names > 1 and columns(names) or nil
end

-- ---- the loop ----

--- A line; nil at the end of the input, nil and a message at Ctrl-C. Ctrl-\ would leave the terminal to the shell as
-- the editor has it, so it ends the program only while a line runs.
local function read_line(terminal, prompt)
  local quit = process.on("SIGQUIT", function() end)
  local line, message = terminal:read_line(prompt)
  quit:close()
  return line, message
end

--- Reads lines until they are a chunk; shows what is wrong with them.
-- @return the chunk; nil when there is none; whether the input has ended
local function read_chunk(terminal, history, environment)
  local text
  while true do
    local line, message = read_line(terminal, text and ">> " or "> ")
    if not line then
      print()
      return nil, message == nil
    end
    history:add(line)
    text = text and text .. "\n" .. line or line
    local chunk, complaint, unfinished = compile(text, environment)
    if chunk then return chunk end
    if not unfinished then
      io.stderr:write(complaint, "\n")
      return nil, false
    end
  end
end

--- os.exit without its second argument ends the process on the spot, and would leave the terminal as the editor has it.
local function end_in_order()
  local exit = os.exit
  rawset(os, "exit", function(code) return exit(code, true) end)
end

--- Ctrl-C gives up the line that is typed, or cancels the one that runs; nothing else ends with it.
local function handle_signals(terminal)
  process.on("SIGINT", function()
    if not terminal:interrupt() and current then current:cancel() end
  end)
  for name, number in pairs { SIGHUP = 1, SIGTERM = 15 } do
    process.on(name, function() os.exit(128 + number) end)
  end
  for _, name in ipairs { "SIGCONT", "SIGWINCH" } do
    process.on(name, function() terminal:refresh() end)
  end
end

local function greet(terminal)
  print(("luaserve, %s: modules have their names (fs, http, timer, ...), calls may wait; Ctrl-D ends"):format(_VERSION))
  if not terminal:edits() then print("no line editing here: that needs a terminal and libedit (Debian: libedit2)") end
end

return function()
  local environment = new_environment()
  local terminal = assert(terminals.open(function(before) return complete(before, environment) end))
  end_in_order()
  handle_signals(terminal)
  greet(terminal)
  local history = open_history(terminal)
  local chunk, ended
  repeat
    chunk, ended = read_chunk(terminal, history, environment)
    if chunk then evaluate(chunk, environment) end
  until ended
  os.exit(true)
end
