---@meta luaserve.fs
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.fs" returns. docs/api/fs.md tells more.
--
-- All functions that return `nil, message, code` for a failure also take a function as their last argument: they return
-- a luaserve.operation at once then and call it with (nil, results...) or (message, code).

---@class luaserve.fs
local fs = {}

---@alias luaserve.fs.type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"

---@class luaserve.fs.stat
---@field type luaserve.fs.type
---@field size integer bytes
---@field mode integer permission bits
---@field uid integer
---@field gid integer
---@field inode integer
---@field device integer
---@field links integer
---@field blocks integer of 512 bytes
---@field modified number seconds since 1970
---@field accessed number
---@field changed number

---@class luaserve.fs.statfs
---@field type integer the kernel's number for the kind of file system
---@field block_size integer bytes
---@field blocks integer
---@field free integer blocks
---@field available integer blocks, for other users than root
---@field files integer inodes
---@field files_free integer inodes

---@class luaserve.fs.write_options
---@field mode? integer|string permission bits of a new file; as text: octal digits
---@field exclusive? boolean it must not exist: EEXIST
---@field sync? boolean the bytes are on the disk when it returns

---@class luaserve.fs.write_file_options: luaserve.fs.write_options
---@field atomic? boolean all old bytes or all new ones, also after a crash

---@class luaserve.fs.walk_options
---@field max_depth? integer 1: only the folder's own entries
---@field follow? boolean goes into folders that links point to
---@field filter? fun(path: string, type: luaserve.fs.type): boolean? false or nil: left out; it cannot wait
---@field on_error? fun(message: string, code: string, path: string) for a folder that cannot be read; else it raises

---@class luaserve.fs.event
---@field kind "create"|"change"|"written"|"attributes"|"delete"|"rename"|"gone"|"overflow"
---@field name? string relative to the watched folder
---@field from? string of a rename: the old name
---@field directory? boolean

---All bytes of a file. Waits.
---@param path string
---@param options? { max_bytes: integer? }
---@return string? data, string? message, string? code
function fs.read_file(path, options) end

---Makes or replaces a file. Waits.
---@param path string
---@param data string
---@param options? luaserve.fs.write_file_options
---@return true? done, string? message, string? code
function fs.write_file(path, data, options) end

---Writes at the end of a file, which is made when it is missing. Waits.
---@param path string
---@param data string
---@param options? luaserve.fs.write_options
---@return true? done, string? message, string? code
function fs.append_file(path, data, options) end

---Copies the bytes, and the permissions when to is new. Waits.
---@param from string
---@param to string
---@param options? { exclusive: boolean? }
---@return true? done, string? message, string? code
function fs.copy_file(from, to, options) end

---Copies a folder with all that is in it, a file or a link. overwrite: merges folders, replaces files. Waits.
---@param from string
---@param to string the copy's own path
---@param options? { overwrite: boolean? }
---@return true? done, string? message, string? code
function fs.copy(from, to, options) end

---Opens a file. Waits.
---@param path string
---@param mode? "r"|"w"|"a"|"r+"|"w+"|"a+"|"wx"|"w+x"
---@return luaserve.fs.file? file, string? message, string? code
function fs.open(path, mode) end

---A new file for this user only, open for reading and writing. Waits.
---@param prefix string
---@return luaserve.fs.file? file, string path_or_message, string? code
function fs.mkstemp(prefix) end

---A new folder for this user only. Waits.
---@param prefix string
---@return string? path, string? message, string? code
function fs.mkdtemp(prefix) end

---The names in a folder, sorted; with types tables of name and type. Waits.
---@param path string
---@param options? { types: boolean? }
---@return string[]|{ name: string, type: luaserve.fs.type }[]|nil entries, string? message, string? code
function fs.readdir(path, options) end

---The path and type of all that is below a folder: depth first, sorted. The iterator waits, and raises failures.
---@param path string
---@param options? luaserve.fs.walk_options
---@return fun(): string?, luaserve.fs.type?
function fs.walk(path, options) end

---Calls fn for what happens in a folder, or with a file. Waits until the watch has begun; has no callback form.
---@param path string
---@param options { recursive: boolean? }?
---@param fn fun(event: luaserve.fs.event)
---@return luaserve.fs.watcher? watcher, string? message, string? code
---@overload fun(path: string, fn: fun(event: luaserve.fs.event)): luaserve.fs.watcher?, string?, string?
function fs.watch(path, options, fn) end

---Makes a folder. recursive: also those above it, and it may exist. Waits.
---@param path string
---@param options? { recursive: boolean?, mode: integer|string? }
---@return true? done, string? message, string? code
function fs.mkdir(path, options) end

---Removes an empty folder. Waits.
---@param path string
---@return true? done, string? message, string? code
function fs.rmdir(path) end

---Removes a file or link. recursive: also a folder with all that is in it. force: it may be missing. Waits.
---@param path string
---@param options? { recursive: boolean?, force: boolean? }
---@return true? done, string? message, string? code
function fs.rm(path, options) end

---Removes a name that is not a folder's. Waits.
---@param path string
---@return true? done, string? message, string? code
function fs.unlink(path) end

---Replaces what is at to. Waits.
---@param from string
---@param to string
---@return true? done, string? message, string? code
function fs.rename(from, to) end

---Makes path another name of a file. Waits.
---@param existing string
---@param path string
---@return true? done, string? message, string? code
function fs.link(existing, path) end

---Makes path a symbolic link. Waits.
---@param target string
---@param path string
---@return true? done, string? message, string? code
function fs.symlink(target, path) end

---What a symbolic link points to. Waits.
---@param path string
---@return string? target, string? message, string? code
function fs.readlink(path) end

---The absolute path without links; it must exist. Waits.
---@param path string
---@return string? path, string? message, string? code
function fs.realpath(path) end

---Whether this user may read, write, execute it; "": whether it is there. Waits.
---@param path string
---@param mode string of r, w and x
---@return true? yes, string? message, string? code
function fs.access(path, mode) end

---Follows links. Waits.
---@param path string
---@return luaserve.fs.stat? stat, string? message, string? code
function fs.stat(path) end

---Of a link itself. Waits.
---@param path string
---@return luaserve.fs.stat? stat, string? message, string? code
function fs.lstat(path) end

---Of the file system that path is on. Waits.
---@param path string
---@return luaserve.fs.statfs? stat, string? message, string? code
function fs.statfs(path) end

---Waits.
---@param path string
---@param mode integer|string permission bits; as text: octal digits
---@return true? done, string? message, string? code
function fs.chmod(path, mode) end

---Waits.
---@param path string
---@param uid integer -1: as it is
---@param gid integer -1: as it is
---@return true? done, string? message, string? code
function fs.chown(path, uid, gid) end

---Of a link itself. Waits.
---@param path string
---@param uid integer -1: as it is
---@param gid integer -1: as it is
---@return true? done, string? message, string? code
function fs.lchown(path, uid, gid) end

---Waits.
---@param path string
---@param accessed number? seconds since 1970; nil: now
---@param modified number?
---@return true? done, string? message, string? code
function fs.utime(path, accessed, modified) end

---Of a link itself. Waits.
---@param path string
---@param accessed number? seconds since 1970; nil: now
---@param modified number?
---@return true? done, string? message, string? code
function fs.lutime(path, accessed, modified) end

---@class luaserve.fs.watcher
local watcher = {}

---Whether it was open.
---@return boolean
function watcher:close() end

---It keeps the program alive.
---@return luaserve.fs.watcher
function watcher:ref() end

---It does not keep the program alive.
---@return luaserve.fs.watcher
function watcher:unref() end

---@class luaserve.fs.file
local file = {}

---Up to n bytes (64 KiB), or all ("a"); nil at the end. Waits.
---@param n? integer|"a"
---@return string? data, string? message, string? code
function file:read(n) end

---All of data. Waits.
---@param data string
---@return true? done, string? message, string? code
function file:write(data) end

---n bytes from offset on, fewer only at the end; nil there. Waits.
---@param n integer
---@param offset integer from 0
---@return string? data, string? message, string? code
function file:pread(n, offset) end

---Waits.
---@param data string
---@param offset integer from 0
---@return true? done, string? message, string? code
function file:pwrite(data, offset) end

---Lines without their newline. The iterator waits, and raises failures and lines over max_bytes (1 MiB).
---@param options? { max_bytes: integer? }
---@return fun(): string?
function file:lines(options) end

---Strings of up to n bytes (64 KiB). The iterator waits, and raises failures.
---@param n? integer
---@return fun(): string?
function file:chunks(n) end

---Waits.
---@return luaserve.fs.stat? stat, string? message, string? code
function file:stat() end

---Waits.
---@param size integer
---@return true? done, string? message, string? code
function file:truncate(size) end

---Waits until what was written is on the disk.
---@return true? done, string? message, string? code
function file:sync() end

---As sync, without times. Waits.
---@return true? done, string? message, string? code
function file:datasync() end

---Waits.
---@param mode integer|string permission bits; as text: octal digits
---@return true? done, string? message, string? code
function file:chmod(mode) end

---Waits.
---@param uid integer -1: as it is
---@param gid integer -1: as it is
---@return true? done, string? message, string? code
function file:chown(uid, gid) end

---Waits.
---@param accessed number? seconds since 1970; nil: now
---@param modified number?
---@return true? done, string? message, string? code
function file:utime(accessed, modified) end

---Waits for the operations that were called before.
---@return true? done, string? message, string? code
function file:close() end

return fs
