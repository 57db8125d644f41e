-- SPDX-License-Identifier: MIT
--- Patterns of paths: reading them, comparing them, and making paths of them. The tree that finds the pattern of a
-- request is written in C (luaserve.core.routes); here is what happens before.
--
-- A pattern is "/" and segments: `text` as it is, `:name` for one segment of a request, `:name(%d+)` where all of
-- that has to fit a Lua pattern, `*name` for the rest, which may be empty. Segments at the end that end in `?` may be
-- absent.
-- @module luaserve.router

local router = {}

-- ---- reading ----

--- Where the constraint that begins at index from ends: the index of its ")".
local function find_end(pattern, from)
  local at, in_set, depth = from, false, 0
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if c == "%" then
      at = at + 1
    elseif c == "[" and not in_set then
      in_set = true
      if pattern:sub(at + 1, at + 1) == "^" then at = at + 1 end
      if pattern:sub(at + 1, at + 1) == "]" then at = at + 1 end
    elseif c == "]" then
      in_set = false
    elseif c == "(" and not in_set then
      depth = depth + 1
    elseif c == ")" and not in_set then
      if depth == 0 then return at end
      depth = depth - 1
    end
    at = at + 1
  end
  return nil
end

--- Parameters as others spell them, each with what it catches and what makes the same here.
local foreign = {
  { "^{%.%.%.([%a_][%w_]*)}$", "*%s" }, { "^{([%a_][%w_]*)}$", ":%s" }, { "^{([%a_][%w_]*):.*}$", ":%s(...)" },
  { "^<([%a_][%w_]*)>$", ":%s" }, { "^<[%a_]+:([%a_][%w_]*)>$", ":%s" },
  { "^%[([%a_][%w_]*)%]$", ":%s" }, { "^%[%.%.%.([%a_][%w_]*)%]$", "*%s" },
  { "^(%*)$", "*name" }, { "^%(?(%.[*+])%)?$", ":name, or *name for the rest" },
  { "^(%()%?.*%)$", ":name(...) with a Lua pattern" }, { "^(%(?)%%%a[+*-]?%)?$", ":name(%%d+)" },
  { "^(%(?)\\[%a].*$", ":name(%%d+)" }, { "^(%(?)%[.*%][+*-]?%)?$", ":name([...]+)" },
}

--- What a literal segment was probably meant to be; nil: itself.
local function spelling_of(text)
  for _, entry in ipairs(foreign) do
    local name = text:match(entry[1])
    if name then return entry[2]:format(name) end
  end
end

--- The segment that begins at index from, and the index behind it; nil and what is wrong.
local function read_segment(pattern, from)
  local kind, name = pattern:match("^([:*])([%a_][%w_]*)", from)
  if not kind then
    local text, optional = pattern:match("^([^/?]*)(%??)", from)
    local next_at = from + #text + #optional
    local meant = spelling_of(pattern:match("^[^/]*", from):gsub("%?$", ""))
    if meant then return nil, ("'%s' is spelt %s here"):format(text, meant) end
    if text:find("[:*]") then return nil, ("'%s' is no segment: a parameter is all of one"):format(text) end
    if #optional > 0 and #text == 0 then return nil, "an empty segment cannot be optional" end
    return { kind = "=", text = text, optional = #optional > 0 }, next_at
  end
  local at, constraint = from + 1 + #name, nil
  if kind == ":" and pattern:sub(at, at) == "(" then
    local last = find_end(pattern, at + 1)
    if not last then return nil, ("the constraint of :%s has no end"):format(name) end
    constraint = pattern:sub(at + 1, last - 1)
    local class = constraint:match "\\(%a)"
    if class then
      return nil, ("the constraint of :%s is a Lua pattern, which says %%%s for \\%s"):format(name, class, class)
    end
    at = last + 1
  end
  local optional = pattern:sub(at, at) == "?"
  return { kind = kind, name = name, constraint = constraint, optional = optional }, optional and at + 1 or at
end

local function check_order(segments)
  local seen, optional = {}, false
  for i, segment in ipairs(segments) do
    if segment.name and seen[segment.name] then return ("the parameter '%s' is there twice"):format(segment.name) end
    if segment.name then seen[segment.name] = true end
    if segment.kind == "*" and (i < #segments or optional or segment.optional) then
      return ("*%s must be the last segment, and none before it optional"):format(segment.name)
    end
    if optional and not segment.optional then return "what follows an optional segment must be optional too" end
    optional = segment.optional
  end
end

--- Takes a pattern apart.
-- @return a list of segments { kind = "=" | ":" | "*", text | name, constraint, optional }, with `slash = true` where a
-- slash ends it; or nil and what is wrong with it
function router.parse(pattern)
  local segments, at = {}, 1
  while at <= #pattern do
    if pattern:sub(at, at) ~= "/" then
      return nil, at == 1 and "it must begin with /" or ("a / is missing before '%s'"):format(pattern:sub(at))
    end
    if at == #pattern then
      segments.slash = true
      break
    end
    local segment, next_at = read_segment(pattern, at + 1)
    if not segment then return nil, next_at end
    if segment.text == "" then return nil, "it has an empty segment" end
    if segment.text == "." or segment.text == ".." then return nil, "no path has a segment . or .." end
    segments[#segments + 1], at = segment, next_at
  end
  local problem = check_order(segments)
  if problem then return nil, problem end
  return segments
end

-- ---- for the tree ----

local function step_of(segment)
  if segment.kind == "=" then return "=" .. segment.text end
  if segment.constraint then return "(" .. segment.constraint end
  return segment.kind
end

--- The steps of the tree for the first count segments, and the names of their parameters.
function router.steps(segments, count)
  local steps, names = {}, {}
  for i = 1, count do
    steps[i] = step_of(segments[i])
    names[#names + 1] = segments[i].name
  end
  if segments.slash and count > 0 and count == #segments then steps[#steps + 1] = "/" end
  return steps, names
end

--- How many segments the shortest path of the pattern has.
function router.shortest(segments)
  local count = #segments
  while count > 0 and segments[count].optional do count = count - 1 end
  return count
end

-- ---- prefixes ----

--- A prefix as the tree compares it: ":" for a parameter.
function router.prefix_text(segments)
  local parts = {}
  for i, segment in ipairs(segments) do parts[i] = "/" .. (segment.kind == "=" and segment.text or ":") end
  return table.concat(parts)
end

local function same_text(a, b, ignore_case)
  return a == b or (ignore_case and a:lower() == b:lower())
end

--- Whether the paths of a pattern begin with a prefix: true, false, or "maybe": some do.
function router.is_under(segments, prefix, ignore_case)
  local certain = true
  for i, wanted in ipairs(prefix) do
    local segment = segments[i]
    if not segment then return false end
    if segment.kind == "*" then return "maybe" end
    if segment.optional then certain = "maybe" end
    if wanted.kind == "=" then
      if segment.kind ~= "=" then
        certain = "maybe"
      elseif not same_text(segment.text, wanted.text, ignore_case) then
        return false
      end
    end
  end
  return certain
end

-- ---- making paths ----

local function encode(text, kept)
  return (text:gsub("[^%w%-._~" .. kept .. "]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function part_of(segment, value)
  local text = math.type(value) and ("%s"):format(value) or value
  if type(text) ~= "string" then
    return nil, ("the parameter '%s' must be a string or a number, not a %s"):format(segment.name, type(value))
  elseif segment.kind == "*" then
    for name in text:gmatch "[^/]+" do
      if name == "." or name == ".." then
        return nil, ("the parameter '%s' cannot have a segment '%s'"):format(segment.name, name)
      end
    end
    return encode(text, "/")
  elseif text == "" or text == "." or text == ".." then
    return nil, ("the parameter '%s' cannot be '%s' in a path"):format(segment.name, text)
  elseif segment.constraint and not text:find("^" .. segment.constraint:gsub("^%^", ""):gsub("%$$", "") .. "$") then
    return nil, ("the parameter '%s' does not fit %s: '%s'"):format(segment.name, segment.constraint, text)
  end
  return encode(text, "")
end

local function check_names(segments, params)
  local known = {}
  for _, segment in ipairs(segments) do
    if segment.name then known[segment.name] = true end
  end
  for name in pairs(params) do
    if not known[name] then return ("there is no parameter '%s'"):format(tostring(name)) end
  end
end

--- The path of a pattern with these parameters; or nil and what is wrong with them.
function router.build(segments, params)
  local problem = check_names(segments, params)
  if problem then return nil, problem end
  local parts = {}
  for _, segment in ipairs(segments) do
    local value = params[segment.name or false]
    if segment.kind ~= "=" and value == nil then
      if segment.optional then break end
      return nil, ("the parameter '%s' is missing"):format(segment.name)
    end
    local part = segment.text and encode(segment.text, "!$&'()*+,;=:@")
    if not part then part, problem = part_of(segment, value) end
    if not part then return nil, problem end
    parts[#parts + 1] = "/" .. part
  end
  if segments.slash or #parts == 0 then parts[#parts + 1] = "/" end
  return table.concat(parts)
end

--- The part of a URL behind the "?": { name = value | { value, ... } }, names in their alphabetical order.
function router.build_query(query)
  local names, parts = {}, {}
  for name in pairs(query) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, value in ipairs(type(query[name]) == "table" and query[name] or { query[name] }) do
      parts[#parts + 1] = encode(name, "") .. "=" .. encode(tostring(value), "")
    end
  end
  return table.concat(parts, "&")
end

return router
