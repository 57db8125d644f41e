-- SPDX-License-Identifier: MIT
-- For wrk -s: 16 requests in each write.

local batch

function init()
  local requests = {}
  for i = 1, 16 do
    requests[i] = wrk.format("GET", "/")
  end
  batch = table.concat(requests)
end

function request()
  return batch
end
