-- SPDX-License-Identifier: MIT
--- HTML of Markdown, of manual pages, and of source files: by pandoc, or from the last time.

local crypto = require "luaserve.crypto"
local fs = require "luaserve.fs"
local process = require "luaserve.process"

local pandoc = {}

local KEPT = "build/docs-parts" -- what pandoc has made, by the hash of what it was made from
local used, made = {}, 0

-- Lines are not to be broken anew, and no column gets a width: widths would be styles, which the site does without.
local OPTIONS = { "--from=gfm", "--to=html5", "--wrap=preserve", "--columns=10000" }

local languages = { lua = "lua", c = "c", h = "c", sh = "sh", html = "html", css = "css", js = "js", service = "ini",
  socket = "ini", Containerfile = "dockerfile" }

local function run(program, arguments, input)
  local result = assert(process.run(program, arguments, { input = input, timeout = 60 }))
  if result.status ~= 0 then error(program .. ": " .. result.stderr, 0) end
  return result.stdout
end

--- A file as Markdown: what it is already; a manual page as mandoc tells it; any other in a block of code.
local function markdown_of(path, text)
  if path:find "%.md$" then
    text = ("\n" .. text):gsub("\n<!%-%- fragment %-%->\n", "\n")
      :gsub("\n<!%-%- file: (%S+) %-%->\n", '\n<p class="file">%1</p>\n\n')
      :gsub("\n<!%-%- add to: (%S+) %-%->\n", '\n<p class="file">%1, before its last line</p>\n\n')
      :gsub("\n<!%-%- change: (%S+) %-%->\n", '\n<p class="file">%1</p>\n\n')
    return text
  elseif path:find "%.1$" then
    local manual = run("mandoc", { "-T", "markdown" }, text)
    manual = ("\n" .. manual):gsub("\n[^\n]*%(1%) %- [^\n]*\n", "\n", 1):gsub("\n(#+ )", "\n#%1")
    return ("# %s(1)\n"):format(path:match "([^/]+)%.1$") .. manual
  end
  local fence = ("~"):rep(20)
  return ("# %s\n\n%s%s\n%s\n%s\n"):format(path, fence, languages[path:match "%w+$"] or "", text, fence)
end

--- The HTML of a file, and whether it had to be made.
function pandoc.render(path)
  local text = markdown_of(path, assert(fs.read_file(path)))
  local key = crypto.hash("sha256", table.concat(OPTIONS, " ") .. "\n" .. text, "hex")
  local place = KEPT .. "/" .. key
  used[key] = true
  local body = fs.read_file(place)
  if body then return body, false end
  body = run("pandoc", OPTIONS, text)
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
