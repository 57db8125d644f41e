-- SPDX-License-Identifier: MIT
--- What a request brings, checked against a schema.

local failures = require "luaserve.core.failure"
local http_error = require "luaserve.http_error"
local check_self = require "luaserve.core.request".check_self
local reject = require "luaserve.core.request".reject
local url = require "luaserve.url"
local validate = require "luaserve.validate"

local methods = {}

local PAIRS_MAX = 1000 -- of a query or form

-- What a body that could not be read is answered with, by the code of its failure.
local statuses = { EJSON = 400, EPROTO = 400, EMEDIATYPE = 415, ETIMEDOUT = 408, ETOOBIG = 413 }

local function raise(req, status, message, fields)
  local err = http_error.new(status, message, fields)
  reject(req, status, err)
  error(err, 0)
end

--- value; raises where the body could not be read.
local function expect(req, value, message, code)
  if value ~= nil then return value end
  if not statuses[code] then error(message, 0) end
  return raise(req, statuses[code], failures.sentence(statuses[code], message))
end

--- Adds a value of the name: to a list of all where the schema wants an array, else only the first one.
local function add(values, fields, name, value)
  if fields[name] and fields[name].type == "array" then
    values[name] = values[name] or {}
    table.insert(values[name], value)
  elseif values[name] == nil then
    values[name] = value
  end
end

--- The pairs of a query as the schema wants them.
local function collect(req, schema, text)
  local values, fields, count = {}, schema.fields or {}, 0
  for _, name, value in url._next_pair, text or "", 1 do
    count = count + 1
    if count > PAIRS_MAX then raise(req, 413, ("more than %d fields"):format(PAIRS_MAX)) end
    add(values, fields, name, value)
  end
  return values
end

local function query_of(req, schema)
  return collect(req, schema, req.url:match "%?([^#]*)")
end

local function form_of(req, schema)
  expect(req, req:form()) -- the right type, and the body arrives
  return collect(req, schema, req:body())
end

local function multipart_of(req, schema)
  local values, fields = {}, schema.fields or {}
  local _, _, list = req:multipart_form()
  for _, part in ipairs(list) do
    if part.value then add(values, fields, part.name, part.value) end
  end
  return values
end

local sources = {
  json = function(req) return expect(req, req:json()) end,
  query = query_of,
  form = form_of,
  multipart = multipart_of,
  params = function(req) return req.params end,
}

--- Where the request has what is to be checked, when nobody says.
local function source_of(req)
  local method = req.method
  if method == "GET" or method == "HEAD" or method == "DELETE" then return "query" end
  local kind = (req.headers["content-type"] or ""):lower():match "^[^; \t]*"
  if kind == "application/x-www-form-urlencoded" then return "form" end
  return kind == "multipart/form-data" and "multipart" or "json"
end

--- The value that the request brings, as the schema says it; raises an http error 400 that has all that is wrong in its
-- field errors, { { pointer =, detail = }, ... }; or 413, 415 and so on for a body that cannot be read.
-- @param schema of luaserve.validate
-- @param from "json", "form", "multipart" (the fields of the form), "query" or "params"; default: the query for GET,
-- HEAD and DELETE, else the body by its content type. All but JSON is text, which becomes what is wanted
-- @usage local note = req:validate(schema)
function methods.validate(req, schema, from)
  check_self(req, "req:validate")
  if not validate.is(schema) then error("req:validate: a schema of luaserve.validate is needed", 2) end
  from = from or source_of(req)
  local read = sources[from]
  if not read then
    error(("req:validate: from is json, form, multipart, query or params, not %s"):format(tostring(from)), 2)
  end
  local value, errors = schema(read(req, schema), { coerce = from ~= "json", from_json = from == "json" })
  if errors then raise(req, 400, "the request is not valid", { errors = errors }) end
  return value
end

return methods
