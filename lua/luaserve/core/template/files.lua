-- SPDX-License-Identifier: MIT
--- The files that templates were read from, { path = true }: a message that begins with one of them speaks of its
-- lines.
-- @module luaserve.core.template.files

return {}
