-- SPDX-License-Identifier: MIT
--- What is to be done at the end of an `it`, the last thing first.
--
-- busted's before_each and after_each tell where one begins and ends. They are of the block in which this module is
-- loaded, which is the file where it is required at its top (busted loads modules anew for each file). What is made
-- outside of them, in a setup for one, is put away at the end of the file; and in a program that busted does not run,
-- at the end of the program.

local process = require "luaserve.process"

local cleanup = {}

local scopes = { {} } -- the file's, and that of the `it` that runs

--- Runs fn(...) at the end of the `it`; what comes last is run first. An error in it is the spec's.
--   test.cleanup(os.remove, path)
function cleanup.add(fn, ...)
  if type(fn) ~= "function" then
    error("bad argument #1 to 'cleanup' (function expected, got " .. type(fn) .. ")", 2)
  end
  table.insert(scopes[#scopes], table.pack(fn, ...))
end

--- What belongs to the `it` that runs: a table, the same one until it ends.
function cleanup.scope()
  return scopes[#scopes]
end

--- Does all of them, also when one fails; the first error is raised at the end.
local function run(scope)
  local failed, err = false, nil
  while #scope > 0 do
    local entry = table.remove(scope)
    local succeeded, message = pcall(table.unpack(entry, 1, entry.n))
    if not succeeded and not failed then failed, err = true, message end
  end
  if failed then error(err, 0) end
end

local function begin_it()
  scopes[#scopes + 1] = {}
end

local function end_it()
  if #scopes > 1 then run(table.remove(scopes)) end
end

local function hook(busted)
  busted.before_each(begin_it)
  busted.after_each(end_it)
  busted.subscribe({ "file", "end" }, function()
    while #scopes > 1 do end_it() end
    run(scopes[1])
    return nil, true -- for the other subscribers too
  end, { priority = 1 })
end

local busted = package.loaded.busted
if busted and busted.subscribe then
  hook(busted)
else
  process.on_exit(function() run(scopes[1]) end)
end

return cleanup
