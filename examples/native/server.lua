-- Counts primes for whoever asks, in C, on the thread pool:  ./luaserve examples/native/server.lua
--
--   curl http://127.0.0.1:8080/1000000      78498
--
-- primes.c beside this is the module; make builds it into build/release/examples/native. A count that takes over a
-- second is given up, and the server answers others all the while.

package.cpath = (arg[1] or "build/release/examples/native") .. "/?.so;" .. package.cpath

local primes, task = require "primes", require "luaserve.task"

return function(req, res)
  local below = math.tointeger(tonumber(req.path:match("^/(%d+)$")))
  if not below or below > 1e9 then
    return res:send(404, "ask for /1000000\n")
  end
  local count, message, code = task.timeout(1, primes.count, below)
  if not count then
    return res:send(code == "ETIMEDOUT" and 503 or 500, message .. "\n")
  end
  res:send(count .. "\n")
end
