-- SPDX-License-Identifier: MIT
--- Assertions about a failure's three values: nil, a message and a code. The message begins with the code.

local assert = require "luassert"

local failures = {}

local function assert_code(code, value, message, got)
  assert.is_nil(value)
  assert.equal(code, got)
  assert.equal(code .. ": ", message:sub(1, #code + 2))
end

--- The message ends with what failed, a pattern.
function failures.assert_failure(code, pattern, ...)
  assert_code(code, ...)
  local _, message = ...
  assert.matches(pattern .. "$", message)
end

--- The message ends with what failed, as it is.
function failures.assert_plain_failure(code, what, ...)
  assert_code(code, ...)
  local _, message = ...
  assert.equal(what, message:sub(-#what))
end

return failures
