-- SPDX-License-Identifier: MIT
--- Folders that options name.
-- @module luaserve.core.folder

local folder = {}

--- Raises where the folder cannot be had: as the program starts, so that the check may block.
-- @param what the function that takes it, for the error: "middleware.static"
-- @param level as for error, counted from the function that calls this
function folder.check(what, path, level)
  local file, message = io.open(path .. "/.")
  if not file then
    error(("%s: the folder cannot be opened: %s"):format(what, message:gsub("/%.: ", ": ", 1)), level + 1)
  end
  file:close()
end

return folder
