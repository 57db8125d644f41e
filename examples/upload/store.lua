-- SPDX-License-Identifier: MIT
--- Files that others have sent, in a folder: "<sha256>-<name>", so that the folder is its own list, what is in a file
-- can be checked, and no name means anything to the system. What is coming in has another name until it is complete.

local crypto, fs = require "luaserve.crypto", require "luaserve.fs"
local http_error = require "luaserve.http_error"

local Store = {}
Store.__index = Store

local store = {}

local INCOMING = ".incoming-"
local MAX_NAME = 120 -- bytes; with the hash in front it is shorter than what file systems take

--- A name that can be shown and saved anywhere, whatever was sent: UTF-8, without what a shell, a system or a terminal
-- could take for something else, or that shows letters in another order than they have.
function store.safe_name(name)
  if not utf8.len(name) then name = name:gsub("[\x80-\xff]", "_") end
  name = name:gsub("\xe2\x80[\x8b-\x8f\xa8-\xae]", ""):gsub("\xe2\x81[\xa6-\xa9]", ""):gsub("\xc2[\x80-\x9f]", "")
  name = name:gsub('[%c/\\<>:"|?*&%%#`$]', "_"):gsub("^[%s.-]+", ""):gsub("[%s.]+$", "")
  if #name > MAX_NAME then
    local extension = name:match("%.%w+$") or ""
    if #extension > 10 then extension = "" end
    local stem = name:sub(1, MAX_NAME - #extension)
    while not utf8.len(stem) do stem = stem:sub(1, -2) end
    name = (stem .. extension):gsub("[%s.]+$", "")
  end
  return name ~= "" and name or "unnamed"
end

--- Opens the folder, which is made if it is missing, and forgets what was coming in when a program before ended.
-- @param limits max_bytes, max_files: of all together; max_file: bytes of one
function store.open(folder, limits)
  assert(fs.mkdir(folder, { recursive = true }))
  local self = setmetatable({ folder = folder, limits = limits, bytes = 0, files = 0 }, Store)
  for _, name in ipairs(assert(fs.readdir(folder))) do
    if name:sub(1, #INCOMING) == INCOMING then assert(fs.unlink(self:path(name))) end
  end
  for _, file in ipairs(self:list()) do
    self.bytes, self.files = self.bytes + file.size, self.files + 1
  end
  return self
end

function Store:path(name)
  return self.folder .. "/" .. name
end

--- What is there, the newest first: { { hash =, name =, size =, time = }, ... }.
function Store:list()
  local files = {}
  for _, entry in ipairs(assert(fs.readdir(self.folder))) do
    local hash, name = entry:match("^(%x+)%-(.+)$")
    local stat = hash and #hash == 64 and fs.lstat(self:path(entry)) -- nil: it was removed just now
    if stat and stat.type == "file" then
      files[#files + 1] = { hash = hash, name = name, size = stat.size, time = stat.modified }
    end
  end
  table.sort(files, function(a, b)
    if a.time ~= b.time then return a.time > b.time end
    return a.name < b.name
  end)
  return files
end

-- ---- what is coming in ----

local Incoming = {}
Incoming.__index = Incoming

--- Takes the room of one more file. Room is taken before it is used: many uploads at once cannot take the same.
local function begin(self)
  if self.files >= self.limits.max_files then error(http_error.new(507, "there are too many files: remove some")) end
  self.files = self.files + 1
  return setmetatable({ store = self, size = 0 }, Incoming)
end

--- Takes the room of n more bytes.
function Incoming:grow(n)
  local here, limits = self.store, self.store.limits
  if self.size + n > limits.max_file then
    error(http_error.new(413, ("a file has at most %d bytes"):format(limits.max_file)))
  elseif here.bytes + n > limits.max_bytes then
    error(http_error.new(507, "there is no room left: remove something"))
  end
  self.size, here.bytes = self.size + n, here.bytes + n
end

--- Writes what comes; its hash, which is made on the way.
function Incoming:receive(chunks, on_bytes)
  local hasher = crypto.hasher("sha256")
  self.file, self.path = assert(fs.mkstemp(self.store:path(INCOMING)))
  for chunk in chunks do
    self:grow(#chunk)
    assert(self.file:write(chunk))
    hasher:update(chunk)
    on_bytes(#chunk)
  end
  assert(self.file:close())
  return hasher:digest("hex")
end

--- Gives it its name. One that is here already is the same, byte for byte.
function Incoming:keep(name)
  local done, message, code = fs.link(self.path, self.store:path(name))
  if not done and code ~= "EEXIST" then error(message) end
  self.kept = done
end

--- The end of it, whatever it was. What did not become a file (its client has left, it is too large, the disk is full)
-- gives back what it has taken.
function Incoming:__close()
  if self.file then
    self.file:close()
    fs.unlink(self.path)
  end
  if self.kept then return end
  self.store.bytes, self.store.files = self.store.bytes - self.size, self.store.files - 1
end

-- ---- files ----

--- Takes a file in. What is over a limit raises an http error, and nothing is left of it.
-- @param name as its client says
-- @param chunks an iterator over its content
-- @param on_bytes called with the size of each piece that has been written
-- @return { hash =, name =, size = }
function Store:add(name, chunks, on_bytes)
  local incoming <close> = begin(self)
  local hash = incoming:receive(chunks, on_bytes)
  name = store.safe_name(name)
  incoming:keep(hash .. "-" .. name)
  return { hash = hash, name = name, size = incoming.size }
end

--- The path of a file below the folder, for names that one can have.
function Store:entry(hash, name)
  return #hash == 64 and store.safe_name(name) == name and hash .. "-" .. name or nil
end

--- Removes a file: whether it was there.
function Store:remove(hash, name)
  local entry = self:entry(hash, name)
  local stat = entry and fs.lstat(self:path(entry))
  if not stat or not fs.unlink(self:path(entry)) then return false end
  self.bytes, self.files = self.bytes - stat.size, self.files - 1
  return true
end

return store
