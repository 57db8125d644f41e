-- SPDX-License-Identifier: MIT
--- Methods of requests whose body has several parts.

local multipart = require "luaserve.multipart"
local check_self = require "luaserve.core.request".check_self
local reject = require "luaserve.core.request".reject

local methods = {}

local function open(req, options)
  return multipart._open(req:chunks(), req.headers["content-type"], options, function(status, err)
    reject(req, status, err)
  end)
end

--- The parts of the body, one after the other as they come; see multipart.parts, whose options it takes. What it raises
-- is answered 400, 413 or 415.
-- @usage for part in req:multipart { max_file = 10 << 20 } do if part.filename then part:save(path) end end
function methods.multipart(req, options)
  check_self(req, "req:multipart")
  local limits = multipart._check(options, "req:multipart")
  return multipart._next_part, open(req, limits)
end

--- The whole form: fields as strings, files in memory or, over a size, in temporary files that are there until the task
-- that calls this ends.
-- @param options those of multipart.parts; spool_over: bytes of a file that stay in memory (65536); max_memory: bytes
-- of all that does (4 MiB: over it, files go to disk, and fields are a 413); max_files (100); folder (TMPDIR or /tmp)
-- @return fields: { name = value }; files: { name = file }, of a repeated name the first; and a list of all, in order,
-- fields as { name =, value = }
-- @usage local fields, files = req:multipart_form { max_file = 10 << 20 }
function methods.multipart_form(req, options)
  check_self(req, "req:multipart_form")
  local checked = multipart._check(options, "req:multipart_form", true)
  return multipart._read_form(open(req, checked), checked)
end

return methods
