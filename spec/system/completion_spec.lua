-- SPDX-License-Identifier: MIT
--- What knows the options besides the program: completion in bash and zsh, the man page, docs/options.md. All of them
-- know all of them, and no others.

local process = require "spec.support.process"

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

--- Names of --help, sorted: "--cpu-limit".
local function options_of_help()
  local names = {}
  for line in process.run({ "--help" }).out:gmatch("[^\n]+") do
    if line:find("^  ") then
      for name in line:gmatch("%-%-%l[%l-]+") do names[#names + 1] = name end
    end
  end
  assert.is_true(#names > 12)
  table.sort(names)
  return names
end

local function commands_of_help()
  local names = {}
  for name in process.run({ "--help" }).out:gmatch("\n       luaserve (%l+)") do names[#names + 1] = name end
  assert.is_true(#names > 2)
  table.sort(names)
  return names
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- A folder with a.lua, b.txt, "c d.lua" and sub.lua/, which is removed at the end.
local function with_folder(f)
  local folder = os.tmpname()
  os.remove(folder)
  os.execute(("mkdir -p %s/sub.lua && cd %s && touch a.lua b.txt 'c d.lua'"):format(folder, folder))
  local results = table.pack(pcall(f, folder))
  os.execute("rm -r " .. folder)
  assert(table.unpack(results))
end

describe("completion in bash", function()
  --- What is offered for the last of the words, sorted.
  local function complete(words, folder)
    local quoted = {}
    for i, word in ipairs(words) do quoted[i] = process.quote(word) end
    local code = ("source %s; COMP_WORDS=(luaserve %s); COMP_CWORD=%d; _luaserve; printf '%%s\\n' \"${COMPREPLY[@]}\"")
    local script = process.temporary(process.run({ "completion", "bash" }).out)
    local result = process.shell("bash -c " ..
      process.quote(code:format(script, table.concat(quoted, " "), #words)), { cwd = folder })
    os.remove(script)
    assert.same({ 0, "" }, { result.status, result.err })
    local offered = {}
    for line in result.out:gmatch("[^\n]+") do offered[#offered + 1] = line end
    table.sort(offered)
    return offered
  end

  it("offers every option and command", function()
    assert.same(options_of_help(), complete { "--" })
    assert.same(commands_of_help(), complete({ "" }, "/proc/self/fdinfo"))
    assert.same({ "--memory-limit" }, complete { "--dev", "--mem" })
  end)

  it("offers scripts and folders", function()
    with_folder(function(folder)
      assert.same({ "a.lua" }, complete({ "a" }, folder))
      assert.same({ "c d.lua" }, complete({ "--port", "1", "c " }, folder))
      assert.same({ "sub.lua" }, complete({ "check", "s" }, folder))
      assert.same({ "a.lua", "c d.lua", "sub.lua" }, complete({ "test", "" }, folder))
      assert.same({ "b.txt" }, complete({ "a.lua", "b" }, folder)) -- the script's own arguments
    end)
  end)

  it("offers values where there is a choice, and none where any will do", function()
    assert.same({ "open", "sealed" }, complete { "--globals", "=", "" })
    assert.same({ "open", "sealed" }, complete { "--globals", "=" })
    assert.same({ "open" }, complete { "--globals", "o" })
    assert.same({}, complete { "--port", "" })
    assert.same({ "bash", "zsh" }, complete { "completion", "" })
  end)

  it("is not asked about other shells", function()
    local result = process.run { "completion", "tcsh" }
    assert.equal(2, result.status)
    assert.matches("completion wants the name of a shell, bash or zsh, not 'tcsh'", result.err)
  end)
end)

describe("completion in zsh", function()
  if process.shell("command -v zsh").status ~= 0 then
    it("is checked", function() pending("zsh is not installed") end)
    return
  end

  --- What a real zsh offers when Tab is pressed behind text: the matches, as compadd gets them.
  local function complete(text, folder)
    local functions = os.tmpname()
    os.remove(functions)
    os.execute("mkdir " .. functions)
    os.rename(process.temporary(process.run({ "completion", "zsh" }).out), functions .. "/_luaserve")
    local code = ([[
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z "PS1=; PROMPT_EOL_MARK=; stty -echo; cd %s; fpath=(%s \$fpath); autoload -U compinit; compinit -D -u"
      zpty -w z 'compadd() { builtin compadd -A hits "$@"; for h in $hits; do print -r -- "<$h>" >>%s/out; done; }'
      zpty -w z 'zle -C complete-word complete-word _main_complete'
      zpty -w z 'finish() { zle complete-word; print done >>%s/out; exit }'
      zpty -w z 'zle -N finish; bindkey "^X" finish; print ready'
      zpty -r z line '*ready*'
      zpty -n -w z $'%s\C-x'
      while [ ! -f %s/out ] || ! grep -q '^done' %s/out; do zpty -r z line || break; done
    ]]):format(folder or "/", functions, functions, functions, text, functions, functions)
    process.shell("timeout 20 zsh -fc " .. process.quote(code), { env = "TERM=xterm" })
    local file, set = io.open(functions .. "/out"), {}
    if file then
      for name in file:read("a"):gmatch("<([^\n]*)>") do set[name] = true end
      file:close()
    end
    os.execute("rm -r " .. functions)
    return sorted(set)
  end

  it("is a script that zsh takes", function()
    local script = process.temporary(process.run({ "completion", "zsh" }).out)
    local result = process.shell("zsh -fn " .. script)
    os.remove(script)
    assert.same({ status = 0, out = "", err = "" }, result)
  end)

  it("offers every option and command", function()
    assert.same(options_of_help(), complete "luaserve --")
  end)

  it("offers values and arguments where there is a choice", function()
    assert.same({ "open", "sealed" }, complete "luaserve --globals=")
    assert.same({ "bash", "zsh" }, complete "luaserve completion ")
  end)

  it("offers scripts", function()
    with_folder(function(folder)
      assert.same({ "a.lua" }, complete("luaserve a", folder))
    end)
  end)
end)

describe("the man page", function()
  it("has every option, and no others", function()
    local names = {}
    for line in read_file("docs/luaserve.1"):gmatch("[^\n]+") do
      for name in line:match("^%.It (.*)") and line:gmatch("Fl \\%-([%l-]+)") or function() end do
        names["--" .. name] = true
      end
    end
    assert.same(options_of_help(), sorted(names))
  end)

  it("is well-formed", function()
    if process.shell("command -v mandoc").status ~= 0 then return pending("mandoc is not installed") end
    local result = process.shell("mandoc -Tlint -Wwarning docs/luaserve.1")
    assert.same({ status = 0, out = "", err = "" }, result)
  end)
end)

describe("make install", function()
  it("puts the man page and completion where they are looked for", function()
    local result = process.shell("env -u MAKEFLAGS -u MFLAGS make -n install DESTDIR=/dest PREFIX=/usr")
    assert.equal(0, result.status, result.err)
    for _, path in ipairs { "man/man1/luaserve.1", "bash-completion/completions/luaserve",
      "zsh/site-functions/_luaserve" } do
      assert.is_truthy(result.out:find(" /dest/usr/share/" .. path .. "\n", 1, true), path)
    end
  end)
end)

describe("docs/options.md", function()
  local text = read_file("docs/options.md")

  --- Each title with the text below it.
  local function entries()
    local next_title = text:gmatch("\n### ([^\n]+)()")
    return function()
      local title, at = next_title()
      if title then return title, text:sub(at, text:find("\n##", at, true)) end
    end
  end

  it("has an entry for every option, and for no others", function()
    local names = {}
    for title in entries() do
      for name in title:gmatch("%-%-[%l-]+") do names[name] = true end
    end
    assert.same(options_of_help(), sorted(names))
  end)

  it("has an example that the program takes for every option", function()
    local count = 0
    for title, entry in entries() do
      local name = title:match("%-%-[%l-]+")
      if name then
        local example = entry:match("```sh\nluaserve ([^\n]*)\n```")
        local letter = title:match("`(%-%l) ")
        assert(example and (example:find(name, 1, true) or letter and example:find(letter, 1, true)), title)
        count = count + 1
        local options = example:gsub("%S+%.lua$", ""):gsub("'[^']*'", "''")
        local result = process.shell(("%s %s --version"):format(process.quote(process.luaserve), options))
        assert.equal(0, result.status, title .. ": " .. result.err)
      end
    end
    assert.equal(#options_of_help(), count)
  end)

  it("has the defaults of --help", function()
    local defaults, count = {}, 0
    for line in process.run({ "--help" }).out:gmatch("[^\n]+") do
      local name, default = line:match("(%-%-%l[%l-]+).*%((%d[%w.]*)[;)]")
      if name then defaults[name] = default end
    end
    for title, entry in entries() do
      local default = defaults[title:match("%-%-[%l-]+")]
      if default then
        assert.is_truthy(entry:find("Default: " .. default, 1, true), title)
        count = count + 1
      end
    end
    assert.equal(#sorted(defaults), count)
    assert.is_true(count >= 7)
  end)
end)
