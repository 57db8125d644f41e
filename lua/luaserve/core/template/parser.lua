-- SPDX-License-Identifier: MIT
--- The text of a template, cut into its parts.
--
-- Lua code in a tag is read as Lua reads it, as far as strings, comments and braces go, so that what ends a tag may
-- stand in a string. Comments become blanks: they would hide what is put behind them.
-- @module luaserve.core.template.parser

local parser = {}

local find, sub = string.find, string.sub

local Reader = {}
Reader.__index = Reader

local function fail(reader, line, message)
  error(("%s:%d: %s"):format(reader.name, line, message), 0)
end

local function count_lines(text)
  local count, at = 0, find(text, "\n", 1, true)
  while at do
    count, at = count + 1, find(text, "\n", at + 1, true)
  end
  return count
end

-- ---- code ----

--- Where the string that begins at at ends.
local function string_end(reader, at)
  local quote, from = sub(reader.text, at, at), at + 1
  while true do
    local found = find(reader.text, "[\\\n" .. quote .. "]", from)
    local c = found and sub(reader.text, found, found)
    if c == quote then return found end
    if c ~= "\\" then fail(reader, reader.line, "a string does not end in the tag that begins here") end
    from = found + 2
  end
end

--- Where the long bracket that begins at at ends; nil where none begins.
local function long_end(reader, at)
  local _, open, equals = find(reader.text, "^%[(=*)%[", at)
  if not open then return nil end
  local _, close = find(reader.text, "]" .. equals .. "]", open + 1, true)
  if not close then fail(reader, reader.line, "a long string or comment does not end in the tag that begins here") end
  return close
end

--- Where the comment that begins at at ends: with its line, or before what ends the tag.
local function comment_end(reader, at, close)
  local long = long_end(reader, at + 2)
  if long then return long end
  local line_end = find(reader.text, "\n", at, true) or #reader.text + 1
  local tag_end = find(reader.text, close, at, true) or line_end
  return math.min(line_end, tag_end) - 1
end

--- The code from at on up to close; whether a "-" stands before that; and where the text goes on.
local function read_code(reader, at, close)
  local text = reader.text
  local parts, from, depth = {}, at, 0
  while true do
    at = find(text, "[\"'%[%-{}%%]", at)
    if not at then fail(reader, reader.line, ("the tag that begins here has no '%s'"):format(close)) end
    local trims = sub(text, at, at + #close) == "-" .. close
    if depth == 0 and (trims or sub(text, at, at + #close - 1) == close) then
      parts[#parts + 1] = sub(text, from, at - 1)
      return table.concat(parts), trims, at + #close + (trims and 1 or 0)
    end
    local c = sub(text, at, at)
    if c == '"' or c == "'" then
      at = string_end(reader, at)
    elseif c == "[" then
      at = long_end(reader, at) or at
    elseif c == "{" then
      depth = depth + 1
    elseif c == "}" then
      depth = depth - 1
      if depth < 0 then fail(reader, reader.line, "a '}' too many in the tag that begins here") end
    elseif sub(text, at, at + 1) == "--" then
      parts[#parts + 1] = sub(text, from, at - 1) .. " "
      local last = comment_end(reader, at, close)
      parts[#parts + 1] = ("\n"):rep(count_lines(sub(text, at, last)))
      at, from = last, last + 1
    end
    at = at + 1
  end
end

-- ---- tags ----

-- What opens a tag, the longer first: its kind, and what closes it.
local openings = {
  { "{{{", "raw", "}}}" },
  { "{{", "value", "}}" },
  { "{%", "code", "%}" },
  { "{#", "comment", "#}" },
}

--- The next tag from at on: where it begins, and its opening.
local function find_tag(text, at)
  while true do
    at = find(text, "{[{%%#]", at)
    if not at then return nil end
    for _, opening in ipairs(openings) do
      if sub(text, at, at + #opening[1] - 1) == opening[1] then return at, opening end
    end
    at = at + 1
  end
end

--- The end of a comment, as read_code tells it.
local function skip_comment(reader, at)
  local close = find(reader.text, "#}", at, true)
  if not close then fail(reader, reader.line, "the comment that begins here has no '#}'") end
  return sub(reader.text, at, close - 1), sub(reader.text, close - 1, close - 1) == "-", close + 2
end

--- Whether nothing but the tag from first to before next, and blanks, is on its lines: where those end.
local function line_of_its_own(reader, first, next)
  local text, from = reader.text, reader.at
  local blank = find(sub(text, from, first - 1), "\n[ \t]*$")
  local starts_line = from == 1 or sub(text, from - 1, from - 1) == "\n"
  if not blank and not (starts_line and find(sub(text, from, first - 1), "^[ \t]*$")) then return nil end
  local _, last = find(text, "^[ \t]*\r?\n", next)
  if not last and find(text, "^[ \t]*$", next) then last = #text end
  return last
end

local function add_text(reader, text)
  if text ~= "" then reader.parts[#reader.parts + 1] = { kind = "text", text = text, line = reader.line } end
end

--- "block name" and the like, which are not Lua: their kind, and the name.
local function directive(reader, code, line)
  local word, rest = code:match "^%s*(%a+)%s*(.-)%s*$"
  if word == "endblock" or word == "content" then
    if rest == "" then return word end
  elseif word == "block" then
    local name = rest:match "^[%w_.-]+$" or rest:match '^"([^"]+)"$' or rest:match "^'([^']+)'$"
    if not name then fail(reader, line, "a block has a name: {% block name %}") end
    return word, name
  end
  return "code"
end

--- Reads the tag that begins at first, and the text before it.
local function read_tag(reader, first, opening)
  local text, kind = reader.text, opening[2]
  local before = sub(text, reader.at, first - 1)
  local from = first + #opening[1]
  local trims_before = sub(text, from, from) == "-"
  if trims_before then from = from + 1 end
  local before_lines = count_lines(before)
  reader.line = reader.line + before_lines
  local read = kind == "comment" and skip_comment or read_code
  local code, trims_after, next = read(reader, from, opening[3])
  local own_line = (kind == "code" or kind == "comment") and line_of_its_own(reader, first, next)
  if trims_before then
    before = before:gsub("%s+$", "")
  elseif own_line then
    before = before:gsub("[ \t]+$", "")
  end
  reader.line = reader.line - before_lines
  add_text(reader, before)
  local line = reader.line + before_lines
  if kind ~= "comment" then
    local name
    if kind == "code" then kind, name = directive(reader, code, line) end
    reader.parts[#reader.parts + 1] = { kind = kind, code = code, name = name, line = line }
  end
  local last = next - 1
  if trims_after then
    last = select(2, find(text, "^%s*", next))
  elseif own_line then
    last = own_line
  end
  reader.line = line + count_lines(sub(text, first, last))
  reader.at = last + 1
end

--- The parts of a template: { kind =, line =, text = | code =, name = }. kind: "text", "value" ({{ }}), "raw"
-- ({{{ }}}), "code" ({% %}), "block", "endblock" or "content". Raises "name:line: what is wrong".
function parser.parse(text, name)
  local reader = setmetatable({ text = text, name = name, at = 1, line = 1, parts = {} }, Reader)
  while true do
    local first, opening = find_tag(text, reader.at)
    if not first then break end
    read_tag(reader, first, opening)
  end
  add_text(reader, sub(text, reader.at))
  return reader.parts
end

return parser
