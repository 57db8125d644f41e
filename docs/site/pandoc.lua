-- SPDX-License-Identifier: MIT
--- HTML of Markdown, of the manual page, and of source files: by pandoc, or from the last time.

local crypto = require "luaserve.crypto"
local fs = require "luaserve.fs"
local process = require "luaserve.process"

local pandoc = {}

local KEPT = "build/docs-parts" -- what pandoc has made, by the hash of what it was made from
local used, made = {}, 0

-- Lines are not to be broken anew, and no column gets a width: widths would be styles, which the site does without.
local OPTIONS = { "--to=html5", "--wrap=preserve", "--columns=10000" }

local languages = { lua = "lua", c = "c", h = "c", sh = "sh", html = "html", css = "css", js = "js", service = "ini",
  socket = "ini", Containerfile = "dockerfile" }

--- How a file is given to pandoc: the name of its format, the text, and options.
local function prepare(path, text)
  if path:find "%.md$" then
    text = ("\n" .. text):gsub("\n<!%-%- fragment %-%->\n", "\n")
      :gsub("\n<!%-%- file: (%S+) %-%->\n", '\n<p class="file">%1</p>\n\n')
      :gsub("\n<!%-%- add to: (%S+) %-%->\n", '\n<p class="file">%1, before its last line</p>\n\n')
      :gsub("\n<!%-%- change: (%S+) %-%->\n", '\n<p class="file">%1</p>\n\n')
    return "gfm", text
  elseif path:find "%.1$" then
    return "man", text, "--shift-heading-level-by=1", "# luaserve(1)\n"
  end
  local name = path:match "[^/]+$"
  local fence = ("~"):rep(20)
  return "gfm", ("# %s\n\n%s%s\n%s\n%s\n"):format(path, fence, languages[name:match "%w+$"] or "", text, fence)
end

local function run(format, text, option)
  local arguments = { "--from=" .. format, table.unpack(OPTIONS) }
  arguments[#arguments + 1] = option
  local result = assert(process.run("pandoc", arguments, { input = text, timeout = 60 }))
  if result.status ~= 0 then error("pandoc: " .. result.stderr, 0) end
  return result.stdout
end

--- The HTML of a file, and whether it had to be made.
function pandoc.render(path)
  local format, text, option, title = prepare(path, assert(fs.read_file(path)))
  local how = { format, option or "", title or "", text, table.unpack(OPTIONS) }
  local key = crypto.hash("sha256", table.concat(how, "\n"), "hex")
  local place = KEPT .. "/" .. key
  used[key] = true
  local body = fs.read_file(place)
  if body then return body, false end
  body = run(format, text, option)
  if title then body = run("gfm", title) .. body end
  assert(fs.mkdir(KEPT, { recursive = true }))
  assert(fs.write_file(place, body, { atomic = true }))
  made = made + 1
  return body, true
end

--- Removes what this run has not used, and says how many were made anew.
function pandoc.forget_others()
  for _, name in ipairs(fs.readdir(KEPT) or {}) do
    if not used[name] then fs.unlink(KEPT .. "/" .. name) end
  end
  return made
end

return pandoc
