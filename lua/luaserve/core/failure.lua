-- SPDX-License-Identifier: MIT
--- What a client is told when a handler has failed, and what becomes of the response then.
-- @module luaserve.core.failure

local core = require "luaserve.core.routes"
local http_error = require "luaserve.http_error"
local printable = require "luaserve.core.text".printable

local failure = {}

-- What a client is told of a body that has failed; its code is for the log.
local sentences = {
  [400] = "the body is malformed",
  [408] = "the body did not arrive in time",
  [413] = "the body is too large",
  [415] = "the body is of a kind that is not taken here",
}

--- The sentence for a client. message: with which the body was refused, or nil.
function failure.sentence(status, message)
  local code, text = (message or ""):match "^(E%u+): (.*)$"
  if code == "EJSON" then return "the body is no JSON: " .. printable(text) end
  return code == "EMEDIATYPE" and printable(text) or sentences[status]
end

--- What was raised, as an http error: itself, or 500, or what says that the body was not what it should be.
function failure.answer_of(req, raised)
  if http_error.is(raised) then return raised end
  local status, message = core.status_of(req, raised)
  return http_error.new(status, status ~= 500 and failure.sentence(status, message) or nil)
end

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
