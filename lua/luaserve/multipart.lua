-- SPDX-License-Identifier: MIT
--- Bodies of several parts, read as they come: forms with files (RFC 7578), and others of the kind (RFC 2046 5.1). The
-- parser is http/multipart in C; here is what the header of a part means, and how much of everything is too much.
-- @module luaserve.multipart

local core = require "luaserve.core.multipart"
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local options = require "luaserve.core.options"
local printable = require "luaserve.core.text".printable
local task = require "luaserve.task"

local multipart = {}

local byte, find, lower, match, sub = string.byte, string.find, string.lower, string.match, string.sub

-- What a client may send, unless options say otherwise.
local limits = {
  max_parts = 1000,
  max_header_bytes = 8192, -- of each part
  max_name = 256,          -- bytes, of the name of a field
  max_field = 65536,       -- bytes of a part without a filename
  max_file = math.maxinteger, -- of one with a filename; the limit of the body is there too
}
local reader_options = { "max_field", "max_file", "max_header_bytes", "max_name", "max_parts" }
local form_options = { "folder", "max_files", "max_memory", "spool_over", table.unpack(reader_options) }

-- ---- header fields of parts ----

--- text without the spaces and tabs around what is from first to last; linear, whatever is in it.
local function trim(text, first, last)
  while first <= last and (byte(text, first) == 32 or byte(text, first) == 9) do first = first + 1 end
  while last >= first and (byte(text, last) == 32 or byte(text, last) == 9) do last = last - 1 end
  return sub(text, first, last)
end

--- The text of a quoted string from at on, behind its first quote, and the place behind its last one. A backslash is an
-- escape only before a quote or another one: some clients send C:\file as it is. nil: it does not end.
local function read_quoted(text, at)
  local first, escaped = at, false
  while true do
    local stop = find(text, '["\\]', at)
    if not stop then return nil end
    if byte(text, stop) == 34 then
      local value = sub(text, first, stop - 1)
      if escaped then value = value:gsub('\\(["\\])', "%1") end
      return value, stop + 1
    end
    local is_escape = byte(text, stop + 1) == 34 or byte(text, stop + 1) == 92
    escaped = escaped or is_escape
    at = stop + (is_escape and 2 or 1)
  end
end

--- One parameter from at on, where a name should begin: name, value, place behind it; nil: it is none.
local function read_parameter(text, at)
  local name, value_at = match(text, '^([^%s;="]+)[ \t]*=[ \t]*()', at)
  if not name then return nil end
  if byte(text, value_at) == 34 then
    local value, behind = read_quoted(text, value_at + 1)
    return value and lower(name), value, behind
  end
  local stop = find(text, ";", value_at, true) or #text + 1
  return lower(name), trim(text, value_at, stop - 1), stop
end

--- What a field such as `form-data; name="a"` says: the word in front in lower case, and { name = value } of its
-- parameters, with names in lower case. nil where it is malformed, or says something twice.
local function parse_parameters(text)
  local at = find(text, ";", 1, true) or #text + 1
  local kind, parameters = lower(trim(text, 1, at - 1)), {}
  while at <= #text do
    at = match(text, "^[; \t]*()", at)
    if at > #text then break end
    local name, value, behind = read_parameter(text, at)
    if not name or parameters[name] then return nil end
    parameters[name] = value
    at = match(text, "^[ \t]*()", behind)
    if at <= #text and byte(text, at) ~= 59 then return nil end
  end
  return kind, parameters
end

--- The fields of a header block, { name = value } with names in lower case; nil where a line is none, or comes twice.
local function parse_head(block)
  local headers, at = {}, 1
  while at <= #block do
    local stop = find(block, "\r\n", at, true)
    local colon = find(block, ":", at, true)
    if not colon or colon >= stop then return nil end
    local name = lower(sub(block, at, colon - 1))
    if name == "" or find(name, "[^%w!#$%%&'*+.^_`|~-]") or headers[name] then return nil end
    headers[name] = trim(block, colon + 1, stop - 1)
    at = stop + 2
  end
  return headers
end

--- The text of an extended parameter (RFC 8187), where it is UTF-8 without control characters; else nil.
local function decode_extended(value)
  local text = match(value, "^[Uu][Tt][Ff]%-8'[^']*'(.*)$")
  if not text or find(text:gsub("%%%x%x", ""), "%", 1, true) then return nil end
  text = text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  return utf8.len(text) and not find(text, "%c") and text or nil
end

--- A name that can be the last segment of a path, and no more: nothing in front of a slash or backslash, no control
-- characters; "" where nothing is left, or it would mean a folder.
local function base_name(name)
  local first = 1
  for at in name:gmatch "[/\\]()" do first = at end
  name = sub(name, first):gsub("%c", "")
  return (name == "." or name == "..") and "" or name
end

local function file_name_of(parameters)
  local extended = parameters["filename*"] and decode_extended(parameters["filename*"])
  local name = extended or parameters.filename
  return name and base_name(name)
end

-- ---- reading ----

-- { parser, source, limits, is_form, reject, parts = so far, part = the one being read, failure }
local Reader = {}
Reader.__index = Reader

--- What was sent is not what it should be: the reader stays at that.
local function fail(reader, status, text, ...)
  reader.failure = http_error.new(status, text:format(...))
  if reader.reject then reader.reject(status, reader.failure) end
  error(reader.failure, 0)
end

--- The next event of the parser, for which it may have to wait.
local function next_event(reader)
  while true do
    if reader.failure then error(reader.failure, 0) end
    local event, data, code = reader.parser:next()
    if event then return event, data end
    if event == false then fail(reader, code == "ETOOBIG" and 413 or 400, "%s", data) end
    local chunk = reader.source()
    if chunk == nil then fail(reader, 400, "the body has no end: it was cut off, or the boundary is another one") end
    reader.parser:feed(chunk)
  end
end

local Part = {}
Part.__index = Part
Part.__name = "luaserve.part"

--- For who calls the method that calls this.
local function check_current(part)
  if part._reader.part ~= part then error("the part is over: the loop has gone on to the next one", 3) end
  if part._ended then error("the part has been read already", 3) end
end

--- The next bytes of the part; nil at its end.
local function next_data(part)
  local reader = part._reader
  if reader.part ~= part then error("the part is over: the loop has gone on to the next one", 2) end
  if part._ended then return nil end
  local event, data = next_event(reader)
  if event == "part_end" then
    part._ended = true
    return nil
  end
  part._size = part._size + #data
  if part._size > part._limit then
    fail(reader, 413, "the %s '%s' is larger than %d bytes", part.filename and "file" or "field",
      printable(part.name or ""), part._limit)
  end
  return data
end

--- The header of a form's part: what is wrong with it; nil: nothing.
local function fault_of(reader, part, kind)
  if kind ~= "form-data" then return "a part is no form-data" end
  if not part.name then return "a part has no name" end
  local encoding = lower(part.headers["content-transfer-encoding"] or "binary")
  if encoding ~= "binary" and encoding ~= "8bit" and encoding ~= "7bit" then
    return "a content-transfer-encoding other than binary (RFC 7578 4.7)"
  end
  return #part.name > reader.limits.max_name and "the name of a part is too long" or nil
end

local function new_part(reader, block)
  local headers = parse_head(block)
  if not headers then fail(reader, 400, "a header line of a part is malformed, or comes twice") end
  local kind, parameters = parse_parameters(headers["content-disposition"] or "")
  if not kind then fail(reader, 400, "a content-disposition is malformed") end
  local filename = file_name_of(parameters)
  local part = setmetatable({
    name = parameters.name,
    filename = filename,
    content_type = headers["content-type"] or "text/plain",
    headers = headers,
    _reader = reader,
    _size = 0,
    _limit = filename and reader.limits.max_file or reader.limits.max_field,
  }, Part)
  local fault = reader.is_form and fault_of(reader, part, kind)
  if fault then fail(reader, 400, "%s", fault) end
  return part
end

--- The next part, or nil after the last one; what is left of the one before is skipped.
local function next_part(reader)
  if reader.part then
    while next_data(reader.part) do end
    reader.part = nil
  end
  if reader.ended then return nil end
  local event, block = next_event(reader)
  if event == "end" then
    reader.ended = true
    return nil
  end
  reader.parts = reader.parts + 1
  if reader.parts > reader.limits.max_parts then fail(reader, 413, "more than %d parts", reader.limits.max_parts) end
  reader.part = new_part(reader, block)
  return reader.part
end

--- The media type, in lower case, and the boundary that a Content-Type field names. nil, message, code: EMEDIATYPE
-- (another kind of body), EINVAL (no boundary that can be one).
-- @usage local boundary = select(2, assert(multipart.boundary("multipart/mixed; boundary=x")))
function multipart.boundary(content_type)
  local kind, parameters = parse_parameters(content_type or "")
  if not kind or not find(kind, "^multipart/.") then
    local said = content_type and printable(content_type) or "missing"
    local message = "EMEDIATYPE: the body is no multipart: its content-type is " .. said
    return nil, message, "EMEDIATYPE"
  end
  if not parameters.boundary or not core.is_boundary(parameters.boundary) then
    return nil, "EINVAL: the content-type has no boundary", "EINVAL"
  end
  return kind, parameters.boundary
end

--- A reader of what source gives, with the limits of options, which have been checked. reject(status, error): optional,
-- told of what it raises.
function multipart._open(source, content_type, given, reject)
  local reader = setmetatable({ source = source, reject = reject, parts = 0, limits = limits }, Reader)
  local kind, boundary, code = multipart.boundary(content_type)
  if not kind then fail(reader, code == "EMEDIATYPE" and 415 or 400, "%s", (boundary:gsub("^%u+: ", ""))) end
  if given then reader.limits = setmetatable(given, { __index = limits }) end
  reader.is_form = kind == "multipart/form-data"
  reader.parser = core.parser(boundary, reader.limits.max_header_bytes)
  return reader
end

--- The limits among the options, as a table of their own; raises for the caller of who calls this.
-- @param is_whole for multipart_form, which has more of them
function multipart._check(given, what, is_whole)
  options.check(given, what, is_whole and form_options or reader_options, 3)
  if not given then return nil end
  local copy = {}
  for name, value in pairs(given) do
    local wanted = name == "folder" and "string" or "integer"
    if type(value) ~= wanted and (math.type(value) ~= wanted or value < 0) then
      error(("%s: %s must be %s, not %s"):format(what, name,
        wanted == "string" and "the path of a folder" or "an integer of at least 0", tostring(value)), 3)
    end
    copy[name] = value
  end
  return copy
end

multipart._next_part = next_part

--- The parts of a body, one after the other, as they come. What is left of a part is skipped when the loop goes on.
-- @param source the body, a string; or a function that gives its next piece, and nil at its end
-- @param content_type the value of its Content-Type field
-- @param options max_parts (1000), max_header_bytes (8192, of each part), max_name (256), max_field (65536; bytes of a
-- part without filename), max_file (none)
-- @return an iterator of parts; it raises an http error (400, 413, 415) where the body is no such, or over a limit
-- @usage for part in multipart.parts(body, "multipart/form-data; boundary=x") do print(part.name, part:read_all()) end
function multipart.parts(source, content_type, given)
  local checked = multipart._check(given, "multipart.parts")
  if type(source) == "string" then
    local text = source
    source = function()
      local whole = text
      text = nil
      return whole
    end
  end
  return next_part, multipart._open(source, content_type, checked)
end

-- ---- parts ----

--- The content in pieces as it comes; reading from the client stops while nobody takes them. Raises an http error where
-- the body breaks off or is over a limit.
-- @usage for data in part:chunks() do hasher:update(data) end
function Part:chunks()
  check_current(self)
  return function() return next_data(self) end
end

--- The content as a string.
-- @param limit bytes; over it an http error 413. It can only lower max_field and max_file
function Part:read_all(limit)
  check_current(self)
  if limit and limit < self._limit then self._limit = limit end
  local first = next_data(self)
  local second = first and next_data(self)
  if not second then return first or "" end
  local pieces = { first, second }
  for data in next_data, self do pieces[#pieces + 1] = data end
  return table.concat(pieces)
end

-- A file that is being written, { file, path }: it goes away again unless it is finished, whatever happens.
local Unfinished = {}

function Unfinished.__close(target)
  if target.file then target.file:close() end
  if target.path then fs.unlink(target.path) end
end

local function open_new(path)
  local file, message, code = fs.open(path, "wx")
  return file, file and path or message, code
end

--- Opens the file of target by open(argument). Shielded, so that one that was made is never lost sight of.
local function open_target(target, open, argument)
  local message, code
  task.shield(function()
    local file, path
    file, path, code = open(argument)
    if file then
      target.file, target.path = file, path
    else
      message = path
    end
  end)
  return target.file, message, code
end

local save_options = { "mode", "overwrite" }

--- Fills the file at path from write(file) -> true or nil, message, code. See Part:save.
local function save(path, given, write)
  given = given or {}
  local target <close> = setmetatable({}, Unfinished)
  local file, message, code
  if given.overwrite then
    file, message, code = open_target(target, fs.mkstemp, path .. ".")
  else
    file, message, code = open_target(target, open_new, path)
  end
  if not file then return nil, message, code end
  local ok
  ok, message, code = file:chmod(given.mode or 384) -- 0600
  if ok then ok, message, code = write(file) end
  if ok then ok, message, code = file:close() end
  if ok then
    target.file = nil
    if target.path ~= path then ok, message, code = fs.rename(target.path, path) end
  end
  if not ok then return nil, message, code end
  target.path = nil
  return true
end

local function check_save(path, given)
  if type(path) ~= "string" then error("save needs the path of the file, not a " .. type(path), 3) end
  options.check(given, "save", save_options, 3)
end

--- Writes the content to a file. When it fails or the body breaks off there is no file.
-- @param path where to; never made of part.filename alone
-- @param given overwrite (false: it must not exist: EEXIST; true: it is replaced when the content is complete); mode
-- (0600)
-- @return bytes written; or nil, message, code of the file system. Raises an http error for what is wrong with the body
-- @usage local size = assert(part:save("uploads/" .. crypto.uuid()))
function Part:save(path, given)
  check_current(self)
  check_save(path, given)
  local ok, message, code = save(path, given, function(file)
    for data in next_data, self do
      local written, text, reason = file:write(data)
      if not written then return nil, text, reason end
    end
    return true
  end)
  if not ok then return nil, message, code end
  return self._size
end

-- ---- forms as a whole ----

local File = {}
File.__index = File
File.__name = "luaserve.upload"

--- The content of a file of a form.
-- @return string; or nil, message, code where its temporary file cannot be read
function File:read_all()
  if self.data then return self.data end
  local data, message, code = fs.read_file(self.path)
  return data, message, code
end

--- Writes the content to a file that stays: as part:save.
function File:save(path, given)
  check_save(path, given)
  local ok, message, code = save(path, given, function(file)
    if self.data then return file:write(self.data) end
    local from <close>, text, reason = fs.open(self.path)
    if not from then return nil, text, reason end
    while true do
      local data
      data, text, reason = from:read(131072)
      if not data then return text == nil or nil, text, reason end
      local written
      written, text, reason = file:write(data)
      if not written then return nil, text, reason end
    end
  end)
  if not ok then return nil, message, code end
  return self.size
end

local function remove_all(paths)
  for _, path in ipairs(paths) do fs.unlink(path) end
end

-- The temporary file that is being written, { file }: closed, whatever happens; removing it is another's task.
local Spool = {}

function Spool.__close(target)
  if target.file then target.file:close() end
end

--- Opens target.file, a temporary file for this user only, which goes away when the task ends; target.path.
local function open_spool(form, target)
  if not form.paths then
    form.paths = {}
    task.defer(remove_all, form.paths)
  end
  local file, message = open_target(target, function(prefix)
    local made, path, code = fs.mkstemp(prefix)
    if made then form.paths[#form.paths + 1] = path end
    return made, path, code
  end, form.folder .. "/luaserve-")
  if not file then error(message, 0) end
end

--- The content of the part: data, nil; or nil, the path of a temporary file.
local function read_file_part(form, part)
  local pieces = {}
  local spool <close> = setmetatable({}, Spool)
  for data in next_data, part do
    if not spool.file then
      pieces[#pieces + 1] = data
      if part._size > form.spool_over or form.memory + part._size > form.max_memory then
        open_spool(form, spool)
        data = table.concat(pieces)
      end
    end
    if spool.file then assert(spool.file:write(data)) end
  end
  if spool.file then
    local file = spool.file
    spool.file = nil
    assert(file:close())
    return nil, spool.path
  end
  form.memory = form.memory + part._size
  return table.concat(pieces), nil
end

local function add_file(form, part, files, list)
  local data, path = read_file_part(form, part)
  if part.filename == "" and part._size == 0 then return end -- a field for a file, and none was chosen
  form.files = form.files + 1
  if form.files > form.max_files then fail(form.reader, 413, "more than %d files", form.max_files) end
  local file = setmetatable({ name = part.name, filename = part.filename, content_type = part.content_type,
    headers = part.headers, size = part._size, data = data, path = path }, File)
  files[part.name] = files[part.name] or file
  list[#list + 1] = file
end

local function add_field(form, part, fields, list)
  local value = part:read_all()
  form.memory = form.memory + #value + #part.name
  if form.memory > form.max_memory then
    fail(form.reader, 413, "the fields are larger than %d bytes", form.max_memory)
  end
  if fields[part.name] == nil then fields[part.name] = value end
  list[#list + 1] = { name = part.name, value = value }
end

--- All of a form: fields, files, list. See req:multipart_form.
function multipart._read_form(reader, given)
  given = given or {}
  if not reader.is_form then fail(reader, 415, "the body is no form") end
  local form = {
    reader = reader,
    memory = 0,
    files = 0,
    spool_over = given.spool_over or 65536,
    max_memory = given.max_memory or 4194304,
    max_files = given.max_files or 100,
    folder = given.folder or os.getenv "TMPDIR" or "/tmp",
  }
  local fields, files, list = {}, {}, {}
  for part in next_part, reader do
    if part.filename then
      add_file(form, part, files, list)
    else
      add_field(form, part, fields, list)
    end
  end
  return fields, files, list
end

return multipart
