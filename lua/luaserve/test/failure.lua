-- SPDX-License-Identifier: MIT
--- How an expectation fails: under busted as its own assertions do, elsewhere as an error.

local failure = {}

--- Raises text, with a place in front.
-- @param level whose line: 1 is who calls this, 2 its caller, as for error
function failure.raise(text, level)
  local busted = package.loaded.busted
  if busted and busted.fail then busted.fail(text, level + 1) end
  error(text, level + 1)
end

--- Text with each of its lines moved to the right.
function failure.indent(text)
  return "  " .. text:gsub("\n$", ""):gsub("\n", "\n  ")
end

return failure
