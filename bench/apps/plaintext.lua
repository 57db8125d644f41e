-- SPDX-License-Identifier: MIT
return function(_, res)
  res:send("Hello, World!")
end
