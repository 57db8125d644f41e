-- SPDX-License-Identifier: MIT
-- For wrk -s: the load of one work, and its figures as JSON.
--
--   wrk -s bench/load.lua http://127.0.0.1:8080/ -- KIND [argument]
--
-- wrk runs this in its LuaJIT, `request` for each request that it sends.

local kinds = {}

local function fixed(text)
  request = function() return text end
end

function kinds.plain() end

function kinds.browser()
  wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
  wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
  wrk.headers["Accept-Language"] = "en-US,en;q=0.5"
  wrk.headers["Accept-Encoding"] = "gzip, deflate, br"
  wrk.headers["Cookie"] = "session=7b1c2f0f3f9a4a5e8d6c; theme=dark; consent=yes"
  wrk.headers["Upgrade-Insecure-Requests"] = "1"
  wrk.headers["Sec-Fetch-Dest"] = "document"
  wrk.headers["Sec-Fetch-Mode"] = "navigate"
  wrk.headers["Sec-Fetch-Site"] = "none"
end

function kinds.pipelined(count)
  fixed(wrk.format():rep(tonumber(count)))
end

function kinds.close()
  wrk.headers["Connection"] = "close"
end

function kinds.upload(size)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = ("0123456789abcdef"):rep(tonumber(size) / 16)
end

--- Each route in turn.
function kinds.routes(count)
  local requests, at = {}, 0
  count = tonumber(count)
  for i = 1, count do
    requests[i] = wrk.format("GET", ("/section%d/user%d/notes/%d"):format(i, i % 7, i))
  end
  request = function()
    at = at % count + 1
    return requests[at]
  end
end

function init(arguments)
  kinds[arguments[1]](arguments[2])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(("figures {\"requests\":%d,\"seconds\":%.6f,\"bytes\":%d,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,"
    .. "\"most\":%.1f,\"refused\":%d,\"broken\":%d,\"wrong\":%d,\"timeouts\":%d}\n"):format(
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), latency.max, errors.connect, errors.read + errors.write, errors.status, errors.timeout))
end
