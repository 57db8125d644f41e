std = "lua54"
max_line_length = 120
ignore = {
  "212/_.*", -- an unused argument whose name says so
  "212/self",
}

files["bench/load.lua"] = { globals = { "wrk", "init", "request", "done" } } -- a script that wrk runs
files["bench/peers/nginx.lua"] = { std = "luajit", globals = { "ngx" } }
files["bench/peers/lua-http.lua"] = { std = "lua52" }
files["spec"] = { std = "+busted" }
for _, name in ipairs { "jwt", "crypto", "crypto_key", "crypto_password" } do -- lines of published vectors
  files["spec/" .. name .. "_spec.lua"] = { std = "+busted", max_line_length = 140 }
end

exclude_files = { "lua/luaserve/types" } -- declarations for editors
