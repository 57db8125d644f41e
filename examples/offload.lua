-- Work that takes its time, beside pages that do not wait for it:  ./luaserve examples/offload.lua
--
--   curl http://127.0.0.1:8080/                                      at once, whatever else goes on
--   curl http://127.0.0.1:8080/primes/1000000                        how many primes there are up to that number
--   curl -d 'correct horse' http://127.0.0.1:8080/password           a hash to be stored (argon2id)
--   curl 'http://127.0.0.1:8080/primes/1000000?on=loop'              the same work on the loop: now all pages wait
--
-- The pool's threads compute and hash; the loop only hands the work over and takes the results.

local crypto, pool = require "luaserve.crypto", require "luaserve.pool"

local MOST = 5000000

-- Sent to a Lua state of the pool, where nothing of this file can be seen: it uses its argument and nothing else.
local function count_primes(limit)
  local primes, count = {}, 0
  for n = 2, limit do
    local is_prime = true
    for i = 1, count do
      local prime = primes[i]
      if prime * prime > n then break end
      if n % prime == 0 then
        is_prime = false
        break
      end
    end
    if is_prime then
      count = count + 1
      primes[count] = n
    end
  end
  return count
end

local function primes(req, res, limit)
  if limit > MOST then
    return res:json(400, { error = "more than " .. MOST .. " would take too long" })
  end
  local count
  if req.query.on == "loop" then
    count = count_primes(limit)
  else
    count = pool.run(count_primes, limit)
  end
  res:json({ limit = limit, primes = count })
end

local function password(req, res)
  if req.method ~= "POST" then
    res:set("allow", "POST")
    return res:json(405, { error = "send the password with POST" })
  end
  local text = assert(req:body(1024))
  if text == "" then
    return res:json(400, { error = "the password is empty" })
  end
  res:json({ hash = assert(crypto.password_hash(text)) })
end

return function(req, res)
  local limit = req.path:match("^/primes/(%d+)$")
  if limit then
    primes(req, res, tonumber(limit))
  elseif req.path == "/password" then
    password(req, res)
  elseif req.path == "/" then
    res:send("This page did not wait.\n")
  else
    res:json(404, { error = "no such page: try /primes/1000" })
  end
end
