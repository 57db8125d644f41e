-- SPDX-License-Identifier: MIT
--- The real busted, run as the main task, so that specs, hooks and assertions may wait.
-- What `luaserve test [busted options] [paths]` requires and calls; the options are in `arg`.

return function()
  local found, runner = pcall(require, "busted.runner")
  if not found then
    io.stderr:write("luaserve: test needs busted, which cannot be loaded (Debian: apt-get install lua-busted)\n",
      require("luaserve.core.mistake").uncaught(runner), "\n")
    os.exit(1, true)
  end
  runner({ standalone = false })
  os.exit(0, true) -- what specs have left open does not keep the process; failures have exited in the runner
end
