-- SPDX-License-Identifier: MIT
--- A page that is followed from its top to its end, as a reader would: in a folder of its own it makes the files that
-- the page makes, and types what the page types.
--
-- A block is a file where the line before its fence is <!-- file: NAME -->. Where that is <!-- add to: NAME --> it is
-- put before the file's last line, `return app`; where it is <!-- change: NAME --> it says with "-" and "+", or " " for
-- lines that stay, what changes, one place after the other with an empty line between. A block of the language console
-- is what one sees: lines after "$ " are commands, the others what they print, all of it but empty lines, or nothing is
-- said of it. "^C" ends a command that would go on.
--
-- `luaserve app.lua` is served on a free port, which takes the place of 8080 in the commands that follow, and is
-- started again where a block has changed a file since.

local assert = require "luassert"
local fs = require "luaserve.fs"
local process = require "luaserve.process"
local servers = require "spec.support.process"
local test = require "luaserve.test"

local walkthrough = {}

local PATIENCE = 60 -- seconds for a command

--- Whether a page is one.
function walkthrough.is(blocks)
  for _, block in ipairs(blocks) do
    if block.file then return true end
  end
  return false
end

--- The text before and after one place of a change.
local function sides(place)
  local old, new = "", ""
  for mark, line in place:gmatch("([ +-])([^\n]*\n)") do
    if mark ~= "+" then old = old .. line end
    if mark ~= "-" then new = new .. line end
  end
  return old, new
end

local ways = {}

ways["file"] = function(_, code) return code end

ways["add to"] = function(text, code)
  return assert(text:match("^(.*\n)return app\n$"), "it ends with return app") .. code .. "\nreturn app\n"
end

ways["change"] = function(text, code)
  for place in (code .. "\n"):gmatch("(.-\n)\n") do
    local old, new = sides(place)
    local first, last = text:find(old, 1, true)
    assert(first and not text:find(old, last, true), "this is there, once:\n" .. old)
    text = text:sub(1, first - 1) .. new .. text:sub(last + 1)
  end
  return text
end

local function write(walk, block)
  local path = walk.folder .. "/" .. block.file
  local text = ways[block.how](block.how ~= "file" and assert(fs.read_file(path)), block.code)
  assert(fs.mkdir(path:match("^(.*)/"), { recursive = true }))
  assert(fs.write_file(path, text))
  if path:find("%.lua$") then assert(load(text, "=" .. block.file)) end
  walk.changed = true
end

--- Ends what is served: it has to end well, with nothing in the log but requests.
local function stop(walk)
  if not walk.server then return end
  local status, log = walk.server:stop()
  walk.server = nil
  assert.equal(0, status, log)
  assert.not_matches("error:", log)
end

--- Serves what `luaserve ...` of the page serves.
local function serve(walk)
  stop(walk)
  walk.server = servers.serve({ "-p", "0", table.unpack(walk.arguments) }, { cwd = walk.folder })
  walk.changed = false
end

--- A line that ends with ... need only begin so.
local function compare(expected, lines)
  for i, line in ipairs(expected) do
    local start = line:match("^(.*)%.%.%.$")
    if start and lines[i] and lines[i]:sub(1, #start) == start then lines[i] = line end
  end
  assert.same(expected, lines)
end

--- Reads the lines that a command prints first, and ends it.
local function watch(walk, command, expected)
  local child = assert(process.spawn("sh", { "-c", command },
    { cwd = walk.folder, env = walk.env, stdout = "pipe", stderr = "null", group = true, timeout = PATIENCE }))
  local lines = {}
  for line in child.stdout:lines() do
    lines[#lines + 1] = line
    if #lines == #expected then break end
  end
  child:kill_group("SIGKILL")
  child:wait()
  child:close()
  compare(expected, lines)
end

local function run(walk, command, expected)
  local result = assert(process.run("sh", { "-c", command }, { cwd = walk.folder, env = walk.env, timeout = PATIENCE }))
  if #expected > 0 then
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    compare(expected, lines)
  else
    assert.equal(0, result.status, command .. "\n" .. result.stdout .. result.stderr)
  end
end

local function follow(walk, command, expected)
  local arguments = command:match("^luaserve (.*%.lua)$")
  if arguments and not arguments:find("^check") then
    walk.arguments = {}
    for word in arguments:gmatch("%S+") do walk.arguments[#walk.arguments + 1] = word end
    return serve(walk)
  end
  if walk.changed and walk.server and command:find("8080", 1, true) then serve(walk) end
  if walk.server then command = command:gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. walk.server.port) end
  if expected[#expected] == "^C" then
    expected[#expected] = nil
    return watch(walk, command, expected)
  end
  run(walk, command, expected)
end

local function type_in(walk, block)
  local command, expected
  for line in (block.code .. "$ "):gmatch("[^\n]*") do
    local next_command = line:match("^%$ (.*)$")
    if next_command then
      if command then follow(walk, command, expected) end
      command, expected = next_command, {}
    elseif command then
      expected[#expected + 1] = line
    end
  end
end

--- Follows the blocks of a page.
function walkthrough.follow(blocks)
  local folder = test.temporary_folder()
  local bin = test.temporary_folder()
  assert(fs.symlink(assert(fs.realpath(servers.luaserve)), bin .. "/luaserve"))
  local env = {}
  for name, value in pairs(process.env) do env[name] = value end
  env.PATH = bin .. ":" .. env.PATH
  local walk = { folder = folder, env = env }
  for _, block in ipairs(blocks) do
    local step = block.file and write or block.language == "console" and type_in
    local done, message = true, nil
    if step then done, message = pcall(step, walk, block) end
    if not done then error(("line %d: %s"):format(block.line, tostring(message)), 0) end
  end
  stop(walk)
end

return walkthrough
