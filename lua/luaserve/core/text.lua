-- SPDX-License-Identifier: MIT
--- Text of clients in messages: what goes into logs and into JSON.

local text = {}

local SHOWN_MAX = 200

--- The bytes of a client as text that can be shown: without control characters, UTF-8, and no longer than 200 bytes;
-- what is none of that is a question mark.
function text.printable(bytes)
  if #bytes > SHOWN_MAX then bytes = bytes:sub(1, SHOWN_MAX) .. "..." end
  if not utf8.len(bytes) then bytes = bytes:gsub("[\x80-\xff]", "?") end
  return (bytes:gsub("%c", "?"))
end

return text
