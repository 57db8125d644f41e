---@meta luaserve.process
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.process" returns. docs/api/process.md tells more.

---@class luaserve.process
---@field env table<string, string|number|nil> the environment
---@field arguments table<integer, string> what followed the script; the script at 0
---@field development boolean whether luaserve was started with --dev
---@field pid integer
---@field ppid integer
---@field title string what ps shows
---@field version string of luaserve
local process = {}

---@alias luaserve.process.signal
---| "SIGHUP"
---| "SIGINT"
---| "SIGQUIT"
---| "SIGTERM"
---| "SIGKILL"
---| "SIGUSR1"
---| "SIGUSR2"
---| string
---| integer

---@alias luaserve.process.stdio
---| "null"
---| "inherit"
---| "pipe"
---| integer

---@class luaserve.process.common_options
---@field stdout? luaserve.process.stdio
---@field stderr? luaserve.process.stdio|"stdout"
---@field env? table<string, string|number> the whole environment
---@field cwd? string
---@field uid? integer
---@field gid? integer
---@field group? boolean a session and process group of its own
---@field timeout? number|false seconds until SIGTERM
---@field grace? number|false seconds from SIGTERM to SIGKILL; default 5

---@class luaserve.process.spawn_options: luaserve.process.common_options
---@field stdin? luaserve.process.stdio

---@class luaserve.process.run_options: luaserve.process.common_options
---@field input? string for its standard input
---@field max_output? integer bytes of each output; default 64 MiB

---@class luaserve.process.result
---@field status integer exit status, or 128 + the signal's number
---@field signal? string
---@field stdout? string
---@field stderr? string

---Starts a program, without a shell.
---@param command string looked up in PATH unless it has a slash
---@param arguments? (string|number)[]
---@param options? luaserve.process.spawn_options
---@return luaserve.child? child
---@return string? message
---@return string? code
function process.spawn(command, arguments, options) end

---Runs a program to its end and collects what it writes. Waits.
---@param command string looked up in PATH unless it has a slash
---@param arguments? (string|number)[]
---@param options? luaserve.process.run_options
---@param callback? fun(message?: string, result: luaserve.process.result|string)
---@return luaserve.process.result? result
---@return string? message
---@return string? code
function process.run(command, arguments, options, callback) end

---Sends a signal ("SIGTERM") to a process, or with a negative number to a group. 0 only asks.
---@param pid integer
---@param signal? luaserve.process.signal
---@return true?
---@return string? message
---@return string? code
function process.kill(pid, signal) end

---Calls fn, in a task of its own, when the signal comes.
---@param signal string
---@param fn fun(signal: string)
---@return luaserve.signal_handler? handler
---@return string? message
---@return string? code
function process.on(signal, fn) end

---Calls fn when the program ends; it can wait for nothing.
---@param fn fun(status: integer)
---@return luaserve.exit_hook
function process.on_exit(fn) end

---Ends the program in order. Not in requests.
---@param status? integer|boolean 0 to 255
function process.exit(status) end

---The working folder.
---@return string? path
---@return string? message
---@return string? code
function process.cwd() end

---Changes the working folder of the whole process.
---@param path string
---@return true?
---@return string? message
---@return string? code
function process.chdir(path) end

---Bytes.
---@return { rss: integer, peak_rss: integer, lua: integer }
function process.memory() end

---Seconds of CPU.
---@return { user: number, system: number }
function process.cpu() end

---Nanoseconds on a clock that is never set back.
---@return integer
function process.hrtime() end

---Seconds since the process was started.
---@return number? seconds
---@return string? message
---@return string? code
function process.uptime() end

---@class luaserve.child
---@field pid integer
---@field stdin? luaserve.socket
---@field stdout? luaserve.socket
---@field stderr? luaserve.socket
---@field status? integer nil while it runs
---@field signal? string that ended it
---@field timed_out boolean
local child = {}

---Waits until it has ended.
---@param callback? fun(message: nil, status: integer, signal?: string)
---@return integer status exit status, or 128 + the signal's number
---@return string? signal
function child:wait(callback) end

---Sends it a signal ("SIGTERM").
---@param signal? luaserve.process.signal
---@return true?
---@return string? message
---@return string? code
function child:kill(signal) end

---Sends everyone in its group a signal ("SIGTERM").
---@param signal? luaserve.process.signal
---@return true?
---@return string? message
---@return string? code
function child:kill_group(signal) end

---SIGTERM now, SIGKILL after the grace.
---@return luaserve.child
function child:terminate() end

---Closes its pipes and terminates it.
---@return true
function child:close() end

---luaserve stays while it runs.
---@return luaserve.child
function child:ref() end

---luaserve may end before it.
---@return luaserve.child
function child:unref() end

---@class luaserve.signal_handler
local handler = {}

---@return true
function handler:close() end

---@return luaserve.signal_handler
function handler:ref() end

---@return luaserve.signal_handler
function handler:unref() end

---@class luaserve.exit_hook
local hook = {}

---@return true
function hook:close() end

return process
