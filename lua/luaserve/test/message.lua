-- SPDX-License-Identifier: MIT
--- The bytes of a request.

local crypto = require "luaserve.crypto"
local json = require "luaserve.json"
local router = require "luaserve.router"

local message = {}

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- A name or a file's name in a part's head (HTML, 4.10.21.8).
local function quote(text)
  return (text:gsub('["\r\n]', { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }))
end

local function format_part(part)
  local head = ('content-disposition: form-data; name="%s"'):format(quote(part.name))
  if part.filename then head = head .. ('; filename="%s"'):format(quote(part.filename)) end
  local content_type = part.content_type or part.filename and "application/octet-stream"
  if content_type then head = head .. "\r\ncontent-type: " .. content_type end
  return head .. "\r\n\r\n" .. tostring(part.body)
end

--- The parts of a form as a list. It is { name = "text" }, { name = { body =, filename =, content_type = } }, or a list
-- of such with their names.
local function parts_of(form)
  if form[1] then return form end
  local parts = {}
  for i, name in ipairs(sorted_names(form)) do
    local value = form[name]
    if type(value) ~= "table" then value = { body = value } end
    parts[i] = { name = name, body = value.body, filename = value.filename, content_type = value.content_type }
  end
  return parts
end

local function format_multipart(form)
  local boundary = "luaserve-test-" .. crypto.uuid()
  local pieces = {}
  for _, part in ipairs(parts_of(form)) do
    pieces[#pieces + 1] = "--" .. boundary .. "\r\n" .. format_part(part) .. "\r\n"
  end
  pieces[#pieces + 1] = "--" .. boundary .. "--\r\n"
  return table.concat(pieces), "multipart/form-data; boundary=" .. boundary
end

--- The body that options describe, and its type: a string or a function that gives pieces; nil: none.
function message.body_of(options)
  if options.json ~= nil then return json.encode(options.json), "application/json" end
  if options.form then return router.build_query(options.form), "application/x-www-form-urlencoded" end
  if options.multipart then return format_multipart(options.multipart) end
  return options.body
end

local needs_length = { POST = true, PUT = true, PATCH = true }

--- The fields that say how the body is framed.
local function frame(fields, method, body)
  if fields["content-length"] or fields["transfer-encoding"] then return end
  if type(body) == "function" then
    fields["transfer-encoding"] = "chunked"
  elseif body ~= nil or needs_length[method] then
    fields["content-length"] = #(body or "")
  end
end

--- Adds fields by name; a list is a repeated field, false none.
local function add(fields, more)
  for name, value in pairs(more or {}) do fields[name:lower()] = value end
end

--- The bytes of a head.
-- @param fields lists of { name = value }, of which the later ones count
function message.head(method, target, body, fields)
  local all = {}
  for _, more in ipairs(fields) do add(all, more) end
  frame(all, method, body)
  local lines = { method .. " " .. target .. " HTTP/1.1" }
  for _, name in ipairs(sorted_names(all)) do
    local value = all[name]
    if value ~= false then
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        lines[#lines + 1] = name .. ": " .. tostring(one)
      end
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

return message
