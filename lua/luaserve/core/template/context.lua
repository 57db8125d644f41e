-- SPDX-License-Identifier: MIT
--- Where in HTML a piece of text ends, and whether a value that is escaped for HTML is safe there.
--
-- Escaping helps between tags and in quoted values of attributes. Elsewhere (in a script, an attribute without quotes,
-- the name of a tag) it does not, and a template that prints there is refused when it is compiled.
-- @module luaserve.core.template.context

local Context = {}
Context.__index = Context

local find, sub = string.find, string.sub

-- Elements whose content is no markup; in those that say so a value would be code.
local plain_elements = { script = "code", style = "code", textarea = "text", title = "text", iframe = "code",
  noembed = "code", noframes = "code", xmp = "code" }

-- Attributes whose value a browser follows, loads or submits to.
local url_attributes = { action = true, background = true, cite = true, data = true, formaction = true, href = true,
  manifest = true, ping = true, poster = true, src = true, ["xlink:href"] = true }

function Context.new()
  return setmetatable({ mode = "text", element = "", attribute = "", at_start = false }, Context)
end

-- Each takes the text and a position in it, and returns where to go on; nil: the text has been read.
local modes = {}

function modes.text(self, text, at)
  local open = find(text, "<", at, true)
  if not open then return nil end
  if sub(text, open, open + 3) == "<!--" then
    self.mode = "comment"
    return open + 4
  end
  local _, last, slash, name = find(text, "^<(/?)(%a[^%s/>]*)", open)
  if not last then
    self.mode = find(text, "^<[!?]", open) and "declaration" or "text"
    if open == #text then self.mode = "name" end
    return open + 1
  end
  self.element = slash == "" and name:lower() or ""
  self.mode = last == #text and "name" or "tag"
  return last + 1
end

function modes.name(self, text, at)
  local _, last = find(text, "^[^%s/>]*", at)
  if last < #text then self.mode = "tag" end
  return last + 1
end

function modes.declaration(self, text, at)
  local close = find(text, ">", at, true)
  if not close then return nil end
  self.mode = "text"
  return close + 1
end

function modes.comment(self, text, at)
  local _, last = find(text, "-->", at, true)
  if not last then return nil end
  self.mode = "text"
  return last + 1
end

function modes.tag(self, text, at)
  local _, last = find(text, "^[%s/]*", at)
  at = last + 1
  if sub(text, at, at) == ">" then
    self.mode = plain_elements[self.element] and "element" or "text"
    return at + 1
  end
  local _, name_end, name = find(text, "^([^%s=>/]+)", at)
  if not name_end then return at <= #text and at + 1 or nil end
  self.attribute, self.mode = name:lower(), "attribute"
  return name_end + 1
end

function modes.attribute(self, text, at)
  local _, last = find(text, "^%s*", at)
  if last == #text then return nil end
  self.mode = sub(text, last + 1, last + 1) == "=" and "before value" or "tag"
  return self.mode == "tag" and last + 1 or last + 2
end

modes["before value"] = function(self, text, at)
  local _, last = find(text, "^%s*", at)
  local c = sub(text, last + 1, last + 1)
  if c == "" then return nil end
  if c == '"' or c == "'" then
    self.mode, self.quote, self.at_start = "quoted", c, true
    return last + 2
  end
  self.mode = c == ">" and "tag" or "unquoted"
  return last + 1
end

function modes.quoted(self, text, at)
  local close = find(text, self.quote, at, true)
  if not close then
    if find(text, "%S", at) then self.at_start = false end -- blanks in front of a URL are dropped
    return nil
  end
  self.mode = "tag"
  return close + 1
end

function modes.unquoted(self, text, at)
  local _, last = find(text, "^[^%s>]*", at)
  if last == #text then return nil end
  self.mode = "tag"
  return last + 1
end

function modes.element(self, text, at)
  local close = find(text:lower(), "</" .. self.element, at, true)
  if not close then return nil end
  self.mode = "text"
  return close
end

--- Goes on with a text of the template. A value leaves the place as it is, also the beginning of a URL: it may be "".
function Context:read(text)
  local at = 1
  while at and at <= #text do at = modes[self.mode](self, text, at) end
end

--- Goes on with code. What another branch has printed in this value of an attribute says nothing of this one.
function Context:pass_code(code)
  if find(code, "^%s*else") then self.at_start = true end
end

local refusals = {
  name = "in the name of a tag",
  tag = "among the attributes of a tag",
  attribute = "among the attributes of a tag",
  ["before value"] = "as the value of an attribute without quotes around it",
  unquoted = "in the value of an attribute without quotes around it",
  declaration = "in a declaration",
}

--- Why a value cannot be made safe at this place by escaping it for HTML; nil: it can. Then whether it is the beginning
-- of a URL.
function Context:judge()
  if refusals[self.mode] then return refusals[self.mode] end
  if self.mode == "element" and plain_elements[self.element] == "code" then
    return ("in <%s>"):format(self.element)
  elseif self.mode == "quoted" then
    if find(self.attribute, "^on") then return ("in %s, which is a script"):format(self.attribute) end
    if self.attribute == "srcdoc" then return "in srcdoc, which is a page" end
    return nil, self.at_start and url_attributes[self.attribute] or false
  end
  return nil, false
end

return Context
