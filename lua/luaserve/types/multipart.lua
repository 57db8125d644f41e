---@meta luaserve.multipart
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.multipart" returns. docs/api/multipart.md tells more.

---@class luaserve.multipart
local multipart = {}

---@class luaserve.multipart.options
---@field max_parts? integer default 1000
---@field max_header_bytes? integer of each part; default 8192
---@field max_name? integer bytes; default 256
---@field max_field? integer bytes of a part without filename; default 65536
---@field max_file? integer bytes of a part with one; default: none

---@class luaserve.multipart.form_options: luaserve.multipart.options
---@field spool_over? integer bytes of a file that stay in memory; default 65536
---@field max_memory? integer bytes of all that does; default 4 MiB
---@field max_files? integer default 100
---@field folder? string of temporary files; default TMPDIR or /tmp

---@class luaserve.multipart.save_options
---@field overwrite? boolean
---@field mode? integer default 0600

---The parts of a body, one after the other.
---@param source string|fun(): string?
---@param content_type string
---@param options? luaserve.multipart.options
---@return fun(state: any): luaserve.part? iterator
---@return any state
function multipart.parts(source, content_type, options) end

---The media type and the boundary of a Content-Type.
---@param content_type? string
---@return string? type
---@return string? boundary or message
---@return string? code
function multipart.boundary(content_type) end

---A part of a body, while it is read.
---@class luaserve.part
---@field name? string
---@field filename? string never a path
---@field content_type string
---@field headers table<string, string>
local part = {}

---The content in pieces as it comes.
---@return fun(): string?
function part:chunks() end

---The content as a string.
---@async
---@param limit? integer bytes
---@return string
function part:read_all(limit) end

---Writes the content to a file.
---@async
---@param path string
---@param options? luaserve.multipart.save_options
---@return integer? bytes
---@return string? message
---@return string? code
function part:save(path, options) end

---A file of a form that was read as a whole.
---@class luaserve.upload
---@field name string
---@field filename string never a path
---@field content_type string
---@field headers table<string, string>
---@field size integer
---@field data? string where it is in memory
---@field path? string where it is in a temporary file
local upload = {}

---The content as a string.
---@async
---@return string? data
---@return string? message
---@return string? code
function upload:read_all() end

---Writes the content to a file that stays.
---@async
---@param path string
---@param options? luaserve.multipart.save_options
---@return integer? bytes
---@return string? message
---@return string? code
function upload:save(path, options) end

return multipart
