-- SPDX-License-Identifier: MIT
-- A page, and routes that do what no route should: for bench/guardrails.lua.

local task, timer = require "luaserve.task", require "luaserve.timer"

local attacks = {}

function attacks.loop() while true do end end

function attacks.pcall() while true do pcall(function() while true do pcall(error) end end) end end

function attacks.coroutine() coroutine.wrap(function() while true do end end)() end

function attacks.pattern() return ("a"):rep(40):find(("a-"):rep(40) .. "b") end

function attacks.sort() table.sort(setmetatable({}, { __len = function() return 1 << 40 end, __index = math.abs })) end

function attacks.timer() timer.after(0, function() while true do end end) timer.sleep(60) end

function attacks.tick()
  local function again() timer.next_tick(again) end
  again()
  timer.sleep(1)
end

function attacks.string()
  local text = "x"
  while true do text = text .. text end
end

function attacks.table()
  local list = {} -- luacheck: ignore
  for i = 1, math.huge do list[i] = { i } end
end

function attacks.growth()
  local list = {} -- luacheck: ignore
  for i = 1, math.huge do
    list[i] = { i }
    if i % 1000 == 0 then timer.sleep(0) end
  end
end

function attacks.tasks()
  local list = {} -- luacheck: ignore
  for i = 1, math.huge do
    list[i] = ("x"):rep(100000) .. i
    task.spawn(function() list[-i] = i end):join()
  end
end

function attacks.global() counter = 1 end -- luacheck: ignore

function attacks.library() string.format = nil end -- luacheck: ignore

function attacks.error() error("broken") end

function attacks.nothing() end

local names = {}
for name in pairs(attacks) do names[#names + 1] = name end
table.sort(names)

return function(req, res)
  local attack = attacks[req.path:sub(2)]
  if attack then return attack(req, res) end
  if req.path == "/names" then return res:json(names) end
  if req.path == "/memory" then
    collectgarbage()
    return res:json(collectgarbage("count") * 1024)
  end
  res:send("Hello, world!")
end
