-- SPDX-License-Identifier: MIT
--- What a file of callgrind says.

local profile = {}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

--- @return how many instructions there were in all
function profile.total(path)
  return tonumber(read(path):match("\ntotals: (%d+)"))
end

--- A name is written once, "(12) uv_run", and is "(12)" from then on.
local function expand(names, text)
  local id, name = text:match("^(%(%d+%))%s*(.*)$")
  if name ~= "" then names[id] = name end
  return names[id]
end

--- Instructions by function, without those of the functions that it calls.
-- @return a list of { object = "libc.so.6", name = "strlen", count = 26000 }, the most first
function profile.by_function(path)
  local objects, names, entries, list = {}, {}, {}, {}
  local object, entry, is_call
  for line in read(path):gmatch("[^\n]+") do
    local key, value = line:match("^(%l+)=(.*)$")
    if key == "ob" then
      object = expand(objects, value)
    elseif key == "cob" then
      expand(objects, value)
    elseif key == "cfn" then
      expand(names, value)
    elseif key == "calls" then
      is_call = true -- the next line says what was executed in there
    elseif key == "fn" then
      local name = expand(names, value):gsub("'%d+$", "") -- f'2 is f, called by itself
      local id = object .. " " .. name
      entry = entries[id] or { object = object:match("[^/]*$"), name = name, count = 0 }
      if not entries[id] then entries[id], list[#list + 1] = entry, entry end
    elseif line:find("^[%d+*-]") then
      if not is_call then entry.count = entry.count + tonumber(line:match(" (%d+)$")) end
      is_call = false
    end
  end
  table.sort(list, function(a, b) return a.count > b.count end)
  return list
end

return profile
