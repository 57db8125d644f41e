-- SPDX-License-Identifier: MIT
--- Templates as Lua functions.
--
-- The code has the line breaks of the template at the same places, so that Lua's own messages, at compile time and at
-- run time, name the lines of the template. What stands between two statements is one call of a function in C that
-- appends literals and values to a buffer: write(buffer, call, value, value, ...). The literals are the writer's,
-- by the number of the call.
-- @module luaserve.core.template.compiler

local Context = require "luaserve.core.template.context"
local html = require "luaserve.core.html"
local parser = require "luaserve.core.template.parser"

local compiler = {}

local VALUES_MAX = 80 -- in one call: each takes one of Lua's 250 registers

-- Names that a template can use and that are made for each rendering, so that they are no values.
local per_rendering = { "include", "layout", "values" }

local Code = {}
Code.__index = Code

local function fail(code, line, message)
  error(("%s:%d: %s"):format(code.name, line, message), 0)
end

local function add(code, text)
  code.out[#code.out + 1] = text
end

--- Goes to the line of the template, if the code is not there yet.
local function go_to(code, line)
  if line > code.line then
    add(code, ("\n"):rep(line - code.line))
    code.line = line
  end
end

local function quote(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"))
end

--- Lua's code of the template's own, at its line.
local function add_own(code, text, line)
  go_to(code, line)
  add(code, text)
  local _, breaks = text:gsub("\n", "")
  code.line = code.line + breaks
end

-- ---- what is printed ----

local function end_call(code)
  local call = code.call
  if not call then return end
  if call.awaits_literal then call.plan[#call.plan + 1] = "" end
  add(code, ");")
  code.call = nil
end

--- Begins a call of the writer, unless one has begun that can go on.
local function begin_call(code, writer, line)
  local call = code.call
  if call and call.writer == writer and call.values < VALUES_MAX then return call end
  end_call(code)
  go_to(code, line)
  code.calls[#code.calls + 1] = { #code.expressions // 2 + 1 }
  add(code, ("%s(__buffer,%d"):format(writer, #code.calls))
  code.call = { writer = writer, plan = code.calls[#code.calls], values = 0, awaits_literal = true }
  return code.call
end

local function add_literal(code, text, line)
  local call = begin_call(code, code.call and code.call.writer or "__write", line)
  if not call.awaits_literal then
    end_call(code)
    call = begin_call(code, call.writer, line)
  end
  call.plan[#call.plan + 1] = text
  call.awaits_literal = false
end

local function add_value(code, part, writer, wrapper)
  local expression = part.code:match "^%s*(.-)%s*$"
  if expression == "" then fail(code, part.line, "there is nothing in the tag") end
  local call = begin_call(code, writer, part.line)
  if call.awaits_literal then call.plan[#call.plan + 1] = "" end
  add(code, ("," .. wrapper .. "("))
  add_own(code, part.code, part.line)
  add(code, ")")
  call.values, call.awaits_literal = call.values + 1, true
  code.expressions[#code.expressions + 1] = expression:gsub("%s+", " ")
  code.expressions[#code.expressions + 1] = part.line
end

-- ---- parts ----

local handlers = {}

function handlers.text(code, part)
  if code.context then code.context:read(part.text) end
  add_literal(code, part.text, part.line)
end

function handlers.value(code, part)
  if not code.context then return add_value(code, part, "__write", "") end
  local refusal, is_url = code.context:judge()
  if refusal then
    fail(code, part.line, ("{{ %s }} stands %s, where escaping does not make it safe"):format(
      part.code:match "^%s*(.-)%s*$", refusal))
  end
  add_value(code, part, "__write", is_url and "__url" or "")
end

function handlers.raw(code, part)
  add_value(code, part, "__raw", "")
end

--- Tags of other template languages, of which Lua's own message would not say what they are here.
local function refuse_foreign(code, part)
  local word = part.code:match "^%s*(%a+)"
  if word == "extends" then fail(code, part.line, "a layout is named by {% layout \"x.html\" %}") end
  if word == "elif" then fail(code, part.line, "Lua writes elif as {% elseif ... then %}") end
  if word == "endif" or word == "endfor" or word == "endwhile" then
    fail(code, part.line, ("'%s' is no word of Lua: {%% end %%}"):format(word))
  end
end

function handlers.code(code, part)
  refuse_foreign(code, part)
  if code.context then code.context:pass_code(part.code) end
  end_call(code)
  add_own(code, part.code, part.line)
  add(code, ";")
end

function handlers.block(code, part)
  end_call(code)
  go_to(code, part.line)
  add(code, ("__state.block(%s,function()"):format(quote(part.name)))
  code.blocks[#code.blocks + 1] = part
end

function handlers.endblock(code, part)
  end_call(code)
  if not table.remove(code.blocks) then fail(code, part.line, "there is no block for this endblock to end") end
  go_to(code, part.line)
  add(code, "end);")
end

function handlers.content(code, part)
  end_call(code)
  go_to(code, part.line)
  add(code, "__state.content();")
end

--- The line that comes before the template's first, without a break: names for what the code uses.
local function prologue(parts)
  local used = {}
  for _, name in ipairs(per_rendering) do
    for _, part in ipairs(parts) do
      if part.code and part.code:find("%f[%w_]" .. name .. "%f[^%w_]") then
        used[#used + 1] = name
        break
      end
    end
  end
  local line = "local __write,__raw,__url,__buffer,__state,_ENV=...;"
  if #used == 0 then return line end
  return ("%slocal %s=__state.%s;"):format(line, table.concat(used, ","), table.concat(used, ",__state."))
end

--- What is wrong with the first expression that is none by itself: in the whole there are parentheses around it.
local function find_fault(parts, name)
  for _, part in ipairs(parts) do
    if part.kind == "value" or part.kind == "raw" then
      local good, message = load(("\n"):rep(part.line - 1) .. "return " .. part.code, "@" .. name, "t")
      if not good then
        return (message:gsub("near <eof>", "at the end of the tag"):gsub("<eof> expected", "'}}' expected"))
      end
    end
  end
end

--- What Lua says of code that is not the template's, in words of the template.
local function explain(message)
  message = message:gsub("near ';'", "near '%%}'"):gsub("near '%)'$", "near the end of the tag")
  return (message:gsub("near '__[%w_]+'", "near the end of the tag"):gsub("near <eof>", "at the end of the template"))
end

--- Makes a function of the text of a template.
-- @param name what messages call it: its file
-- @param escape whether values are escaped, and places where that does not help refused
-- @return { call = function(write, raw, url, buffer, state, env), write =, raw = }. Raises "name:line: what is wrong"
function compiler.compile(text, name, escape)
  local parts = parser.parse(text, name)
  local code = setmetatable({ name = name, line = 1, out = { prologue(parts) }, expressions = {}, calls = {},
    blocks = {}, context = escape and Context.new() or nil }, Code)
  for _, part in ipairs(parts) do handlers[part.kind](code, part) end
  end_call(code)
  local open = code.blocks[#code.blocks]
  if open then fail(code, open.line, ("the block '%s' has no {%% endblock %%}"):format(open.name)) end
  local call, message = load(table.concat(code.out), "@" .. name, "t")
  if not call then error(find_fault(parts, name) or explain(message), 0) end
  local plan = html.plan(code.calls)
  return { call = call, write = html.writer(code.expressions, plan, escape),
    raw = html.writer(code.expressions, plan, false) }
end

return compiler
