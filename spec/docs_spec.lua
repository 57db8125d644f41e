-- SPDX-License-Identifier: MIT
--- Every block of Lua in docs/ runs.
--
-- The first block of a page loads the module that it is about; those that follow may use it. What cannot run here (it
-- needs the internet, or lacks a part) has the line <!-- fragment --> before its fence and is only compiled. Pages that
-- make files are followed step by step: see spec/support/walkthrough.lua.

local fs = require "luaserve.fs"
local process = require "spec.support.process"
local snippets = require "spec.support.snippets"
local walkthrough = require "spec.support.walkthrough"

--- What the other blocks of a page begin with, on the same line, so that line numbers are theirs.
local function prelude_of(block)
  return block and block.code:match('^(local [%w_]+ = require "luaserve%.[%w_]+")\n$')
end

local function check(code)
  if code:find("\ndescribe%(") then
    snippets.run_spec(code)
  elseif snippets.serves(code) then
    snippets.try_server(code)
  else
    snippets.run(code)
  end
end

--- The headings of a page, as links name them.
local function anchors_of(path)
  local anchors = {}
  for heading in ("\n" .. assert(fs.read_file(path))):gmatch("\n#+ ([^\n]+)") do
    anchors[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return anchors
end

--- The inline code of a page. Where a table compares something else with luaserve, the other's column is not ours.
local function inline_code(path)
  local codes, foreign, in_block = {}, false, false
  for line in (assert(fs.read_file(path)) .. "\n"):gmatch("([^\n]*)\n") do
    if line:find("^```") then in_block = not in_block end
    if not line:find("^|") then foreign = false end
    foreign = foreign or line:find("^| [^|]+ | luaserve |") ~= nil
    if foreign then line = line:gsub("^|.-[^\\]| ", "") end
    for code in (in_block and "" or line):gmatch("`([^`]+)`") do codes[#codes + 1] = code end
  end
  return codes
end

--- Calls fn(path, name) for each name behind one of these words, req.path or req:path.
local function each_name(paths, words, fn)
  for _, path in ipairs(paths) do
    for _, code in ipairs(inline_code(path)) do
      for word, name in code:gmatch("%f[%w_.:/](%l[%l_]*)[.:](%l[%w_]*)") do
        if words[word] then fn(path, word, name) end
      end
    end
  end
end

local ENDINGS = { lua = true, md = true, html = true, sock = true, socket = true, service = true, js = true, css = true,
  so = true, h = true, c = true }

local pages = {}
for path, type in fs.walk("docs") do
  if type == "file" and path:find("%.md$") then pages[#pages + 1] = path end
end

describe("docs", function()
  after_each(process.clean_up)

  it("has a page for each module, which the index names", function()
    local index = assert(fs.read_file("docs/api/README.md"))
    for name in assert(fs.read_file("lua/luaserve/types/init.lua")):gmatch("\n%-%-%-@field ([%w_]+)") do
      assert(fs.stat("docs/api/" .. name .. ".md"))
      assert.is_truthy(index:find(("[`luaserve.%s`](%s.md)"):format(name, name), 1, true), name)
    end
  end)

  it("says something of every function that is declared", function()
    for _, name in ipairs(assert(fs.readdir("lua/luaserve/types"))) do
      local page = fs.read_file("docs/api/" .. name:gsub("%.lua$", ".md"))
      for func in assert(fs.read_file("lua/luaserve/types/" .. name)):gmatch("\nfunction [%w_]+[.:]([%w_]+)") do
        if page then assert.is_truthy(page:find("%f[%w_]" .. func .. "%("), name .. ": " .. func) end
      end
    end
  end)

  it("has links that lead somewhere", function()
    local count = 0
    for _, path in ipairs(pages) do
      for target in assert(fs.read_file(path)):gmatch("%]%(([^)%s]+)%)") do
        if not target:find("^https?:") then
          count = count + 1
          local file, anchor = target:match("^([^#]*)#?(.*)$")
          file = file == "" and path or path:match("^(.*/)") .. file
          local stat = fs.stat(file)
          assert(stat, path .. ": " .. target)
          if anchor ~= "" then assert.is_true(anchors_of(file)[anchor], path .. ": " .. target) end
        end
      end
    end
    assert.is_true(count > 10)
  end)

  it("names modules' functions that there are", function()
    local elsewhere = { ["fs.inotify"] = true, ["net.core"] = true, -- of the kernel
      ["worker.parent"] = true } -- nil in the main program
    local modules, missing, count = {}, {}, 0
    for name in assert(fs.read_file("lua/luaserve/types/init.lua")):gmatch("\n%-%-%-@field ([%w_]+)") do
      modules[name] = require("luaserve." .. name)
    end
    modules.app = nil -- an app in the pages is one that was made
    each_name({ "README.md", table.unpack(pages) }, modules, function(path, module, name)
      if ENDINGS[name] or elsewhere[module .. "." .. name] then return end
      count = count + 1
      if modules[module][name] == nil then missing[#missing + 1] = ("%s: %s.%s"):format(path, module, name) end
    end)
    assert.same({}, missing)
    assert.is_true(count > 200)
  end)

  it("names members of requests, responses and apps that there are", function()
    local names, app = { req = {}, res = {} }, require "luaserve.app".new()
    each_name({ "README.md", table.unpack(pages) }, { req = true, res = true, app = true }, function(path, word, name)
      if ENDINGS[name] then return end
      if word ~= "app" then
        names[word][name] = path
      elseif not path:find("native") then
        assert.is_not_nil(app[name], ("%s: app:%s"):format(path, name))
      end
    end)
    local missing = {}
    local function look(word, object)
      for name, path in pairs(names[word]) do
        local there, value = pcall(function() return object[name] end)
        if not there or value == nil then missing[#missing + 1] = ("%s: %s.%s"):format(path, word, name) end
      end
    end
    app:get("/", function(req, res)
      look("req", req)
      look("res", res)
      res:send("looked")
    end)
    assert.equal("looked", app:request("/").body)
    app:close()
    assert.same({}, missing)
  end)

  local has_curl = os.execute("command -v curl >/dev/null 2>&1")
  for _, path in ipairs(pages) do
    local blocks = snippets.read(path)
    local prelude = prelude_of(blocks[1])
    if walkthrough.is(blocks) then
      it("leads through the steps of " .. path, function()
        if not has_curl then return pending("curl is not installed") end
        walkthrough.follow(blocks)
      end)
    end
    for _, block in ipairs(blocks) do
      if block.language == "lua" and not block.file then
        it(("has code that works in %s, line %d"):format(path, block.line), function()
          assert(load(block.code, "=" .. path))
          if not block.fragment then check((prelude and prelude .. " " or "") .. block.code) end
        end)
      end
    end
  end
end)
