-- SPDX-License-Identifier: MIT
--- What a case opens and leaves to be closed after it: sockets, servers, children, handlers.

local kept = {}

local open = {}

--- handle, which clean_up closes.
function kept.keep(handle)
  open[#open + 1] = handle
  return handle
end

--- Closes all that was kept, the last one first, and waits for the children among it to end.
function kept.clean_up()
  for i = #open, 1, -1 do
    local handle = open[i]
    open[i] = nil
    handle:close()
    if handle.wait then handle:wait() end
  end
end

return kept
