-- SPDX-License-Identifier: MIT
--- What a person is told of a program that does not start: Lua's message, the line it speaks of, and the mistake it
-- probably is. Needs nothing but Lua's own libraries, since it also runs when the program has come to its end.
-- @module luaserve.core.mistake

local mistake = {}

--- The nearest of a list of names, or nil. Not by require, which may want a loop that has ended.
local function nearest(name, list)
  return package.preload["luaserve.core.options"]("luaserve.core.options").nearest(name, list)
end

local TRIES = 100 -- to find a token in its line, each of which reads the source
local COLUMNS, SHOWN_BEFORE = 100, 60 -- of a source line: how much is shown, and how much of that before the place

-- ---- the line ----

--- Line number n of text, and where it begins; nil where there is none.
local function line_of(text, n)
  local at = 1
  for _ = 2, n do
    at = text:find("\n", at, true)
    if not at then return nil end
    at = at + 1
  end
  return text:match("^[^\r\n]*", at), at
end

--- What Lua's message says besides its place, of the source as far as it is given.
local function complaint(source)
  local _, message = load(source, "=it", "t")
  return message and message:match("^it:%d+: ([^\n]*)$")
end

--- Where in the line the token is, of which Lua says that its error is near, and its width: the first after which Lua
-- complains as it does of the whole.
-- @param start where the line begins in source
local function column_of(source, start, line, what, token)
  if token == "<eof>" then return #line:gsub("%s+$", "") + 1, 1 end
  local found = 0
  for _ = 1, TRIES do
    found = line:find(token, found + 1, true)
    if not found then break end -- Lua has cut it off
    if complaint(source:sub(1, start + found + #token - 2)) == what then return found, #token end
  end
  return #line:match("^%s*") + 1, 1
end

--- "  3 | local x != 1" and the arrow below it.
local function excerpt(number, line, column, width)
  local cut = math.max(0, math.min(column - SHOWN_BEFORE, #line - COLUMNS))
  local shown = line:sub(cut + 1, cut + COLUMNS):gsub("%c", " ")
  local margin = ("%5d | "):format(number)
  local before = shown:sub(1, column - cut - 1)
  local arrow = (" "):rep(#margin - 2) .. "| " .. (" "):rep(utf8.len(before) or #before)
  local marks = ("^"):rep(math.max(1, math.min(width, COLUMNS - (column - cut))))
  return margin .. shown .. "\n" .. arrow .. marks
end

-- ---- what it probably is ----

--- What people bring along from other languages: a pattern of the line, without its strings, and what Lua has instead.
local FOREIGN = {
  { "===", "Lua writes === as ==" },
  { "!=", "Lua writes 'not equal' as ~=" },
  { "%+%+", "Lua has no ++: x = x + 1" },
  { "%.%.=", "Lua has no ..=: x = x .. y" },
  { "([%+%-%*/])=[^=]", "Lua has no %1=: x = x %1 y" },
  { "&&", "Lua writes && as 'and'" },
  { "||", "Lua writes || as 'or'" },
  { "^%s*//", "a comment begins with --" },
  { "/%*", "a comment of several lines is --[[ ... ]]" },
  { "//", "a comment begins with -- (// divides)" },
  { "^%s*#", "a comment begins with --" },
  { "^%s*[%w]*%s*const%s", "Lua writes 'const x = 1' as: local x <const> = 1" },
  { "^%s*let%s", "Lua writes 'let x = 1' as: local x = 1" },
  { "^%s*var%s", "Lua writes 'var x = 1' as: local x = 1" },
  { "^%s*import%s", "Lua writes an import as: local http = require \"luaserve.http\"" },
  { "^%s*export%s", "a module of Lua ends with 'return' and its table" },
  { "^%s*async%s", "Lua needs no async and no await: every function may wait" },
  { "%f[%w_]await%s", "Lua needs no await: luaserve's functions wait by themselves" },
  { "=>", "Lua writes (x) => y as: function(x) return y end" },
  { "^%s*def%s", "Lua writes a function as: function name(x) ... end" },
  { "^%s*func%s", "Lua writes a function as: function name(x) ... end" },
  { "^%s*elif%f[%W]", "Lua writes elif as: elseif" },
  { "^%s*else%s+if%f[%W]", "Lua writes 'else if' as: elseif" },
  { "%f[%w]new%s+[%w_]", "Lua has no 'new': call the function that makes one" },
  { "[%)%s]!%s*[%w_%(]", "Lua writes ! as 'not'" },
  { "[%w_%)]%s*[%.:]%s*end%f[^%w_]", "'end' is a word of Lua, and no name: res:finish(), or res:send(body)" },
  { "%f[%w_]typeof%s+[%w_]", "Lua writes 'typeof x' as: type(x)" },
  { "^%s*try%f[%W]", "Lua writes 'try' as: local ok, err = pcall(function() ... end)" },
  { "^%s*switch%f[%W]", "Lua has no switch: if, elseif, or a table of functions" },
  { "%f[%w]throw%s", "Lua writes 'throw' as: error(\"why\")" },
  { "^%s*for%s*%(", "Lua writes it as: for i = 1, 10 do ... end, or for key, value in pairs(t) do ... end" },
  { "`", "Lua has no `...`: \"a\" .. b, or (\"%s\"):format(b)" },
  { "%?%s*[^:]+:", "Lua writes a ? b : c as: a and b or c" },
  { "{%s*$", "a block is not in braces: it begins with 'then' or 'do' and ends with 'end'", "^%s*[%a]+.*%)%s*{%s*$" },
  { "^%s*}", "a block ends with 'end', not with }" },
  { "[%w_\"']%s*:%s+", "a table is { name = value }, with = for the colon", "[{,]%s*[\"']?[%w_]+[\"']?%s*:%s" },
}

--- The line without what is in its strings, which is nobody's mistake.
local function without_strings(line)
  return (line:gsub("\\.", "__"):gsub("\"[^\"]*\"", '""'):gsub("'[^']*'", "''"):gsub("%-%-.*", ""))
end

local function foreign_hint(line)
  local code = without_strings(line)
  for _, entry in ipairs(FOREIGN) do
    local found, _, what = code:find(entry[1])
    if found and (not entry[3] or code:find(entry[3])) then return (entry[2]:gsub("%%1", what or "")) end
  end
end

--- 'else if', each of which wants an end of its own; the number of the first.
local function find_else_if(source)
  local number = 0
  for line in source:gmatch("([^\n]*)\n?") do
    number = number + 1
    if without_strings(line):find("%f[%w_]else%s+if%f[%W]") then return number end
  end
end

-- ---- blocks without an end ----

local CLOSERS = { ["function"] = "end", ["if"] = "end", ["do"] = "end", ["for"] = "end", ["while"] = "end",
  ["repeat"] = "until", ["("] = ")", ["{"] = "}", ["["] = "]" }
local CLOSES = { ["end"] = true, ["until"] = true, [")"] = true, ["}"] = true, ["]"] = true }

--- Behind the string that begins at start with one of the quotes.
local function skip_string(source, start)
  local special, at = "[\\\n" .. source:sub(start, start) .. "]", start + 1
  while true do
    at = source:find(special, at)
    if not at then return #source + 1 end
    if source:sub(at, at) ~= "\\" then return at + 1 end
    at = at + 2
  end
end

--- Behind the comment or the string that begins at start; nil where neither does.
local function skip_text(source, start)
  local level = source:match("^%-%-%[(=*)%[", start) or source:match("^%[(=*)%[", start)
  if level then return (select(2, source:find("]" .. level .. "]", start, true)) or #source) + 1 end
  if source:find("^%-%-", start) then return source:find("\n", start, true) or #source + 1 end
  return source:find("^[\"']", start) and skip_string(source, start)
end

--- Iterates over the words and brackets: where each begins, and itself.
local function tokens(source)
  local at = 1
  return function()
    while true do
      local start = source:find("[%a_%-\"'%[%](){}]", at)
      if not start then return nil end
      at = skip_text(source, start)
      if not at then
        local token = source:match("^[%a_][%w_]*", start) or source:sub(start, start)
        at = start + #token
        return start, token
      end
    end
  end
end

--- Adds the block or bracket to those that are open. The do of a for or a while opens nothing more.
local function open(stack, token, start, line, indent)
  local last = stack[#stack]
  if token == "do" and last and last.awaits_do then
    last.awaits_do = false
  else
    stack[#stack + 1] = { token = token, start = start, line = line, indent = indent,
      awaits_do = token == "for" or token == "while" }
  end
end

--- The block that is open at a place of the source and should not be: one whose end stands further left than itself, so
--- that it is another's; or the innermost, where the place is the bracket that closes what is around it. Or nil.
local function find_open_block(source, place)
  local stack, line, line_start = {}, 1, 1
  for start, token in tokens(source) do
    local next_line = source:find("\n", line_start, true)
    while next_line and next_line < start do
      line, line_start = line + 1, next_line + 1
      next_line = source:find("\n", line_start, true)
    end
    local last, margin = stack[#stack], source:match("^[ \t]*", line_start)
    if start >= place then
      return CLOSES[token] and last and CLOSERS[last.token] == "end" and #stack > 1 and last or nil
    elseif CLOSERS[token] then
      open(stack, token, start, line, #margin)
    elseif CLOSES[token] then
      if not last or CLOSERS[last.token] ~= token then return nil end
      if token == "end" and line_start + #margin == start and #margin < last.indent then return last end
      stack[#stack] = nil
    end
  end
end

-- ---- the hint ----

--- Where an end is missing, as far as that can be told.
local function block_hint(what, source, place)
  if not (what:find("^unexpected symbol near '[%)}%]]'") or what:find("^'end' expected")) then return nil end
  local block = find_open_block(source, place)
  return block and ("an 'end' is missing: the '%s' at line %d is open"):format(block.token, block.line)
end

-- @param what Lua's message without its place
-- @param place of the token in the source
local function syntax_hint(what, line, source, place)
  local opened = what:match("^'end' expected %(to close '%a+' at line (%d+)%)") or what:match("^'end' expected")
  if opened then
    local number = find_else_if(source)
    if number then return ("line %d has 'else if', which needs an 'end' of its own: elseif"):format(number) end
  end
  local hint = foreign_hint(line) or block_hint(what, source, place)
  if hint then return hint end
  local missing = what:match("^'(%a+)' expected near")
  if (missing == "then" or missing == "do") and what:find("near '='", 1, true) then
    return "Lua compares with ==; a single = only assigns"
  end
  if missing == "then" then return "if ... then ... end" end
  if missing == "do" then return "for ... do ... end, while ... do ... end" end
  if what:find("^'end' expected") then return "every function, if, for and while needs an 'end'" end
  if what == "unexpected symbol near '['" then return "a list is { 1, 2, 3 }" end
  local extra = what:match("^<eof> expected near ('end')") or what:match("^unexpected symbol near ('[%)%]}]')")
  if extra then return ("there is one %s too many, here or above"):format(extra) end
  if what:find("^'[%)}%]]' expected") then
    return ("a comma or an operator, or the %s that closes it, is missing before this"):format(what:match("^'.'"))
  end
  if what:find("^unfinished string") then return "the quote that ends it is missing; [[...]] may have several lines" end
  if what:find("^syntax error near") and line:find("^%s*[%w_%.]+%s*$") then
    return "a name alone is no statement: local x = ..., x = ..., or x(...)"
  end
end

local function blank(text)
  return (" "):rep(#text)
end

--- The source in a file, or nil. What loadfile passes over (a byte order mark, a first line with #) is blank.
local function read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  return text and text:gsub("^\u{FEFF}", blank):gsub("^(%s*)(#[^\n]*)", function(s, line) return s .. blank(line) end)
end

--- The excerpt and the hint for a syntax error.
-- @param message Lua's: "app.lua:3: 'then' expected near '!'"
-- @param source of the chunk, or nil: it is in the file of that name
local function explain_syntax(message, source)
  local path, number, what = message:match("^%s*(.-):(%d+): ([^\n]*)$")
  local token = what and (what:match(" near '(.*)'$") or what:match(" near (<eof>)$"))
  if not token then return "" end
  source = source or read_file(path)
  if not source then return "" end
  number = tonumber(number)
  local line, start = line_of(source, number)
  while token == "<eof>" and number > 1 and not (line and line:find("%S")) do -- the last that is not empty says more
    number = number - 1
    line, start = line_of(source, number)
  end
  if not line then return "" end
  local column, width = column_of(source, start, line, what, token)
  local hint = syntax_hint(what, line, source, start + column - 1)
  return "\n" .. excerpt(number, line, column, width) .. (hint and "\n  " .. hint or "")
end

--- A syntax error of the script: the message, the line with an arrow, and what it probably is.
-- @param path of the script, or nil
-- @param code what -e gives, or nil
function mistake.syntax(message, path, code)
  return message .. explain_syntax(message, code or path and read_file(path))
end

-- ---- files ----

local function exists(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a") -- nil for a folder too
  if file then file:close() end
  return text ~= nil
end

--- Commands of other programs.
local COMMANDS = {
  dev = "did you mean luaserve --dev app.lua?",
  run = "did you mean luaserve app.lua?",
  serve = "did you mean luaserve app.lua?",
  start = "did you mean luaserve app.lua?",
}

--- A script that cannot be opened or read.
-- @param names of what is in its folder, and of luaserve's commands
function mistake.file(message, path, names)
  if message:find("Is a directory", 1, true) then
    local folder = path:gsub("/*$", "/")
    for _, name in ipairs { "app.lua", "main.lua", "init.lua", "server.lua" } do
      if exists(folder .. name) then return ("%s\n  did you mean %s%s?"):format(message, folder, name) end
    end
    return message .. "\n  luaserve runs one file: luaserve " .. folder .. "app.lua"
  end
  if exists(path .. ".lua") then return ("%s\n  did you mean %s.lua?"):format(message, path) end
  if COMMANDS[path] then return ("%s\n  %s"):format(message, COMMANDS[path]) end
  if path == "help" or path == "version" then return ("%s\n  did you mean luaserve --%s?"):format(message, path) end
  local folder, name = path:match("^(.-)([^/]*)$")
  local near = nearest(name, names)
  if not near or near:sub(1, 1) ~= name:sub(1, 1) then return message end
  return ("%s\n  did you mean %s%s?"):format(message, folder, near)
end

-- ---- what a script returns ----

--- A script that returned nothing; "" where it seems to have meant that.
local function explain_nothing(name)
  local unserved = package.loaded["luaserve.core.unserved"]
  if not unserved or unserved.count == 0 then return "" end
  return name .. " made an app and did not return it: return app"
end

--- A script that returned what cannot be served, or nothing.
function mistake.result(_, name, value)
  if value == nil then return explain_nothing(name) end
  local meta = debug.getmetatable(value)
  local kind = type(meta) == "table" and type(meta.__name) == "string" and meta.__name or type(value)
  local what = kind == "luaserve.server" and "a server that does not listen: call server:listen(8080)" or
    ("a %s, which cannot be served: return a function(req, res) or an app of luaserve.app"):format(kind)
  return ("%s returns %s"):format(name, what)
end

-- ---- places ----

local function place_hint(code, port, owner, is_option)
  if code == "EADDRINUSE" then
    return (owner or "another program") .. " listens there" .. (is_option and ": --port 0 takes a free port" or "")
  elseif code == "EADDRNOTAVAIL" then
    return "this machine has no such address: 0.0.0.0 is all that it has"
  elseif code == "EACCES" and port > 0 and port < 1024 then
    return "ports below 1024 are for root, and for who has the capability net_bind_service"
  end
end

--- A place that cannot be listened at.
-- @param owner of the port, "nginx (pid 12)", or nil: it is not known
-- @param is_option the place is that of --host and --port
function mistake.listen(message, code, port, owner, is_option)
  local hint = place_hint(code, port, owner, is_option)
  return hint and message .. "\n  " .. hint or message
end

-- ---- errors of a running script ----

--- Globals of other languages, and what Lua or luaserve has instead.
local GLOBALS = {
  console = "print(...)",
  exports = "a module returns its table: return { name = name }",
  module = "a module returns its table: return { name = name }",
  JSON = 'require "luaserve.json"',
  setTimeout = 'require("luaserve.timer").after(seconds, f)',
  setInterval = 'require("luaserve.timer").every(seconds, f)',
  setImmediate = 'require("luaserve.timer").immediate(f)',
  Date = "os.time(), os.date(\"%Y-%m-%d\")",
  Math = "math.floor(x), math.random()",
  Promise = 'require("luaserve.task").all, and nothing to await',
  clearInterval = "t:cancel(), of what timer.every gave",
  clearTimeout = "t:cancel(), of what timer.after gave",
  fetch = 'there is no HTTP client: require "luaserve.net", or process.run("curl", ...)',
  parseFloat = "tonumber(text)",
  parseInt = "math.tointeger(text)",
  typeof = "type(value)",
  printf = 'io.write(("%d\\n"):format(n))',
  len = "#value",
  str = "tostring(value)",
  int = "math.tointeger(value)",
}

--- Fields and methods that lists and strings have in other languages.
local MEMBERS = {
  concat = "a .. b, or table.move for lists",
  forEach = "for i, value in ipairs(list) do ... end",
  includes = "text:find(part, 1, true)",
  indexOf = "text:find(part, 1, true)",
  join = "table.concat(list, \", \")",
  length = "#value is the length",
  push = "table.insert(list, value)",
  replace = "text:gsub(pattern, with)",
  slice = "text:sub(from, to)",
  split = "for part in text:gmatch(\"[^,]+\") do ... end",
  startsWith = "text:sub(1, #part) == part",
  substring = "text:sub(from, to)",
  toFixed = "(\"%.2f\"):format(number)",
  toLowerCase = "text:lower()",
  toString = "tostring(value)",
  toUpperCase = "text:upper()",
  trim = "text:match(\"^%s*(.-)%s*$\")",
}

local function global_hint(name)
  if GLOBALS[name] then return ("Lua has no '%s': %s"):format(name, GLOBALS[name]) end
  if package.preload["luaserve." .. name] then
    return ("'%s' is a module: local %s = require \"luaserve.%s\""):format(name, name, name)
  end
end

--- A variable that was given null, or what other languages call it: a global that is not defined.
local function null_hint(message)
  local path, name = message:match("^(.-):%d+: [^\n]* a nil value %(%a+ '([%w_]+)'%)$")
  local source = name and read_file(path)
  for _, null in ipairs { "null", "undefined", "None" } do
    if source and source:find("%f[%w_]" .. name .. "%s*=%s*" .. null .. "%f[^%w_]") then
      return ("'%s' is a global that is not defined: Lua has nil"):format(null)
    end
  end
end

--- Of names and values that were not used as they can be. Looks at the message alone, which may hold what was sent.
local function use_hint(message)
  local name = message:match("^[^\n]* a nil value %(global '([%w_]+)'%)$")
  if name then return global_hint(name) end
  local method = message:match("bad argument #1 to '([%w_]+)' %(luaserve%.[%w_.]+ expected, got ")
  if method then return ("a method is called with a colon: x:%s(...)"):format(method) end
  local member = message:match("^[^\n]* a nil value %(%a+ '([%w_]+)'%)")
  if member == "session" then
    return "middleware.session sets req.locals.session: app:use(middleware.session { ... })"
  end
  if MEMBERS[member] then return ("Lua has no '%s': %s"):format(member, MEMBERS[member]) end
  if message:find("attempt to add a '%a+' with a '%a+'") then return "strings are joined with .." end
end

local function runtime_hint(message)
  local hint = use_hint(message)
  if hint then return hint end
  local code, port = message:match("%f[%w](E%u+): [^\n]*: listen [^\n]*:(%d+)$")
  return code and place_hint(code, tonumber(port)) or null_hint(message)
end

--- What the first line of an error of a handler probably means, or "".
function mistake.hint(_, message)
  return use_hint(message:match("^[^\n]*")) or ""
end

--- luaserve's module that name was probably meant to be.
local function near_module(name)
  local modules = {}
  for module in next, package.preload do
    if type(module) == "string" and module:find("^luaserve%.[%w_]+$") then
      if module == "luaserve." .. name then return module end
      modules[#modules + 1] = module
    end
  end
  table.sort(modules)
  return name:find("^luaserve%.") and nearest(name, modules)
end

--- Modules of other systems, and what is like them here.
local MODULES = {
  axios = "there is no HTTP client: net.connect, or process.run(\"curl\", ...)",
  bcrypt = "luaserve.crypto has password_hash and password_verify",
  cjson = "luaserve.json",
  cors = "luaserve.middleware has cors { ... }",
  dkjson = "luaserve.json",
  express = "luaserve.app",
  fastify = "luaserve.app",
  helmet = "luaserve.middleware has security_headers()",
  jsonwebtoken = "luaserve.jwt",
  koa = "luaserve.app",
  lfs = "luaserve.fs",
  multer = "luaserve.multipart",
  socket = "luaserve.net",
  uuid = "luaserve.crypto has uuid()",
  zod = "luaserve.validate",
}

--- What require says of a module that is nowhere, with the places first that are the program's own.
local function explain_require(message, folder)
  local head, name, places = message:match("^(.-module '([^'\n]*)' not found):\n(.*)$")
  if not head then return nil end
  local lines, seen, more = {}, {}, 0
  for path in places:gmatch("\n?\tno file '([^\n]*)'") do
    if path:find("%.lua$") and (path:find("^%./") or folder and path:sub(1, #folder) == folder) then
      lines[#lines + 1] = "\tno file '" .. path .. "'"
    elseif not seen[path] then
      more = more + 1
    end
    seen[path] = true
  end
  if more > 0 then
    lines[#lines + 1] = ("\tand none in %d other places of package.path and package.cpath"):format(more)
  end
  local near = near_module(name)
  if MODULES[name] then lines[#lines + 1] = "  what is like it here: " .. MODULES[name] end
  local meant = near and (" (did you mean '%s'?)"):format(near) or ":"
  return head .. meant .. "\n" .. table.concat(lines, "\n")
end

--- The frames that are the program's own; all of them where there is none. Lua tells of tail calls behind a frame that
-- came about by one.
local function trim_traceback(frames)
  local own, is_own = {}, true
  for frame in frames:gmatch("[^\n]+") do
    local is_tail = frame == "\t(...tail calls...)"
    if not is_tail then is_own = not frame:find("^\t%[C%]: in ") and not frame:find("^\tluaserve/") end
    if is_own then own[#own + 1] = frame end
  end
  return #own > 0 and table.concat(own, "\n") or frames
end

--- An error that nobody caught.
-- @param text the message, and the traceback behind it
-- @param folder of the script, with its slash, or nil
function mistake.uncaught(text, folder)
  local message, frames = text:match("^(.-)\nstack traceback:\n(.*)$")
  message = message or text
  local told = explain_require(message, folder)
  if not told then
    local hint = runtime_hint(message)
    local inner = message:match("^[^\n]*error loading module '[^\n]*:\n(.*)$")
    told = message .. explain_syntax(inner or message) .. (hint and "\n  " .. hint or "")
  end
  if not frames then return told end
  if not message:find("^luaserve/") then frames = trim_traceback(frames) end -- a fault of ours is shown whole
  return told .. "\nstack traceback:\n" .. frames
end

return mistake
