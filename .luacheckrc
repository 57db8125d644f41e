std = "lua54"
max_line_length = 120
ignore = {
  "212/_.*", -- an unused argument whose name says so
  "212/self",
}

files["bench/browser.lua"] = { globals = { "wrk" } } -- scripts that wrk runs
files["bench/upload.lua"] = { globals = { "wrk" } }
files["bench/pipeline.lua"] = { globals = { "wrk", "init", "request" } }
files["spec"] = { std = "+busted" }

exclude_files = { "lua/luaserve/types" } -- declarations for editors
