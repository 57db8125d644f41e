-- SPDX-License-Identifier: MIT
--- What becomes of a response whose handler has failed before it left.
-- @module luaserve.core.failure

local failure = {}

-- Fields that told of a body which will not be.
local of_body = { "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-length",
  "content-range", "content-type", "etag", "expires", "last-modified" }

--- Takes the fields away that told of another body, and sets those of the error, if it is an http error.
-- @param res the response
-- @param headers { name = value }, or nil
function failure.begin_again(res, headers)
  for _, name in ipairs(of_body) do res:remove(name) end
  for name, value in pairs(headers or {}) do res:set(name, value) end
end

return failure
