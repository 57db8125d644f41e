-- SPDX-License-Identifier: MIT
--- Counts the instructions of one work, in a server under callgrind.

local net, process = require "luaserve.net", require "luaserve.process"
local client = require "bench.instr.client"
local profile = require "bench.instr.profile"

local FOLDER = "build/instr/"

-- A processor's features decide how libc copies and compares, and how OpenSSL encrypts. So that machines can be
-- compared, libc is told to do with what each x86-64 has, and OpenSSL with what each has had since 2010 (no AVX).
local FEATURES = {
  GLIBC_TUNABLES = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM,"
    .. "-MOVBE,-RTM,-SSE4_1,-SSE4_2,-SSSE3",
  OPENSSL_ia32cap = "~0x1c40100000000000:~0xffffffffffffffff",
}

-- The watchdog is off: its thread looks about by the clock, and its signal is one that valgrind keeps for itself.
local VALGRIND = "valgrind -q --tool=callgrind --callgrind-out-file=%s %s --slow-limit 0 --cpu-limit 0 --hang-limit 0 "
  .. "-p 0 bench/instr/server.lua %s marks"

local measure = {}

--- The files that the server reads and those that callgrind writes are in this folder.
function measure.prepare()
  local file = assert(io.open(FOLDER .. "10k", "wb"))
  file:write(("0123456789abcdef"):rep(640))
  file:close()
end

local function environment(seed)
  local env = { PATH = process.env.PATH, INSTR_TIME = seed }
  env.LD_PRELOAD, env.LUA_CPATH = FOLDER .. "callgrind.so", FOLDER .. "?.so"
  for name, value in pairs(FEATURES) do env[name] = value end
  return env
end

local function start(program, work, seed, out)
  local words = {}
  for word in VALGRIND:format(out, program, work.name):gmatch("%S+") do words[#words + 1] = word end
  local options = { stdout = "pipe", env = environment(seed) }
  return assert(process.spawn(table.remove(words, 1), words, options))
end

--- Has the server write what it has executed since the mark before. The next one is empty but for the mark itself.
local function mark(control, label)
  assert(control:write(label .. "\n"))
  assert(control:read_until("\n") == "done")
end

--- @param program path of luaserve
-- @param work one of works.lua
-- @param seed a small integer; other hashes of strings with each
-- @return instructions a request, and the file in which they are told apart
function measure.count(program, work, seed)
  local out = ("%s%s.%d"):format(FOLDER, work.name, seed)
  local server <close> = start(program, work, seed, out)
  local marks, port = client.read_port(server, "^marks (%d+)$"), client.read_port(server, "http://[^ ]*:(%d+)")
  if not port then error("the server for " .. work.name .. " did not start under valgrind") end
  local control <close> = assert(net.connect("127.0.0.1", marks))
  local load = client.connect(work, port)
  load:run(work.requests)
  mark(control, "warm")
  mark(control, "empty")
  load:run(work.requests)
  mark(control, "full")
  local empty, full = profile.total(out .. ".2"), profile.total(out .. ".3")
  server:kill("SIGKILL")
  server:wait()
  return (full - empty) / work.requests, out .. ".3"
end

return measure
