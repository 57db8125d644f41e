-- A whole program: ./luaserve examples/hello.lua serves the function that it returns.

return function(req, res)
  res:send("Hello from luaserve, " .. (req.query.name or "whoever you are") .. "!\n")
end
