-- SPDX-License-Identifier: MIT
--- Every block of code in README.md does what it is there for.

local fs = require "luaserve.fs"
local process = require "spec.support.process"
local snippets = require "spec.support.snippets"

local requests = {
  { when = "req:chunks", request = { method = "POST", body = ("echo"):rep(50000) }, body = ("echo"):rep(50000) },
  { when = "req.query.name", request = { path = "/?name=Ada" }, body = "Hello, Ada!\n" },
  { when = 'read_file%("README.md"%)', request = {}, matches = "^# luaserve" },
}

--- What to ask the server of a block, and what it answers.
local function ask(server, code)
  for _, case in ipairs(requests) do
    if code:find(case.when) then
      local response = server:request(case.request)
      assert.equal(200, response.status)
      if case.body then assert.is_true(response.body == case.body) end
      if case.matches then assert.matches(case.matches, response.body) end
      return
    end
  end
  assert.is_number(server:request("/").status)
end

local function check_lua(code)
  if code:find("\ndescribe%(") then
    snippets.run_spec(code)
  elseif snippets.serves(code) then
    local server = snippets.serve(code)
    ask(server, code)
    local status, err = server:stop()
    assert.same({ 0, "" }, { status, err })
  else
    snippets.run(code)
  end
end

local shell = {}

function shell.make(line)
  local command = line:gsub("^make", "env -u MAKEFLAGS -u MFLAGS make -n", 1)
  local result = process.shell(command)
  assert.equal(0, result.status, result.err)
end

-- Where the examples that keep something keep it, when they are told.
local kept = { ["examples/notes.lua"] = "/notes.json", ["examples/todo/app.lua"] = "/todos",
  ["examples/upload/app.lua"] = "/uploads" }

--- What an example is started with here: a new place for what it keeps, or that of its module in C.
local function arguments_of(script, state)
  if kept[script] then
    state.folder = assert(fs.mkdtemp("/tmp/luaserve-readme-"))
    return state.folder .. kept[script]
  elseif script == "examples/native/server.lua" then
    local build = process.luaserve:match("build/%a+") -- it is built beside the program
    return build and build .. "/examples/native"
  end
end

--- `./luaserve script` is served on a free port for the curl lines that follow; with -e it runs to its end.
function shell.luaserve(line, state)
  local arguments = line:match("^%./luaserve%s+(.*)$")
  if arguments:find("^%-e") then
    local result = process.shell(process.quote(process.luaserve) .. " " .. arguments)
    assert.same({ 0, "" }, { result.status, result.err })
    assert.is_true(#result.out > 0)
  else
    assert.not_matches("[%s'\"]", arguments)
    state.server = process.serve { "-p", "0", arguments, arguments_of(arguments, state) }
  end
end

function shell.curl(line, state)
  local command, count = line:gsub("127%.0%.0%.1:8080", state.server.host .. ":" .. state.server.port)
  assert.equal(1, count, "one address with the port 8080")
  command = command:gsub("^curl", "curl -sS --fail --max-time 20")
  local result = process.shell(command)
  assert.same({ 0, "" }, { result.status, result.err })
  assert.is_true(#result.out > 0)
end

local function check_shell(code)
  local state = {}
  for line in code:gmatch("[^\n]+") do
    local kind = line:match("^%.?/?(%w+)")
    assert(shell[kind], "a line that no spec knows: " .. line)(line, state)
  end
  if state.server then
    local status, err = state.server:stop()
    assert.same({ 0, "" }, { status, err })
  end
  if state.folder then assert(fs.rm(state.folder, { recursive = true })) end
end

describe("README.md", function()
  after_each(process.clean_up)

  local blocks = snippets.read("README.md")

  it("has code in Lua and for the shell", function()
    local counts = { lua = 0, sh = 0, console = 0 }
    for _, block in ipairs(blocks) do
      assert(counts[block.language], "line " .. block.line .. ": an unknown language")
      counts[block.language] = counts[block.language] + 1
    end
    assert.is_true(counts.lua > 5 and counts.sh > 2)
  end)

  local has_curl = os.execute("command -v curl >/dev/null 2>&1")

  local check = { lua = check_lua, sh = check_shell } -- what is typed at a console new_spec and start_spec do
  for _, block in ipairs(blocks) do
    if check[block.language] then
      it(("has code in line %d that works"):format(block.line), function()
        if block.code:find("curl ", 1, true) and not has_curl then return pending("curl is not installed") end
        check[block.language](block.code)
      end)
    end
  end

  local function read_text()
    local file = assert(io.open("README.md"))
    local text = file:read("a")
    file:close()
    return text
  end

  it("names modules and functions that there are", function()
    local count = 0
    for module, cell in read_text():gmatch("\n| `(luaserve%.%w+)` | ([^\n]*) |") do
      local exports = require(module)
      for name in cell:gmatch("`([%a_]+)[%(`]") do
        count = count + 1
        assert.is_not_nil(exports[name], module .. "." .. name)
      end
    end
    assert.is_true(count > 20)
  end)

  it("names options of create_server that there are, with defaults that it takes", function()
    local lines, section = {}, assert(fs.read_file("docs/api/http.md")):match("\n## Options\n(.-)\n## ")
    for name, default in section:gmatch("\n| `([%a_]+)` | ([^\n|]-) |") do
      local value = default:match("^[1-9]%d*") or default == "`false`" and "false" or "nil"
      lines[#lines + 1] = ("%s = %s"):format(name, value)
    end
    assert.is_true(#lines > 10)
    local options = table.concat(lines, ", ")
    local out = snippets.run(("print(require 'luaserve.http'.create_server({ %s }, print) ~= nil)"):format(options))
    assert.equal("true\n", out)
    for _, line in ipairs(lines) do -- nil is no option: each name again with a value that is wrong everywhere
      local name = line:match("^[%a_]+")
      local result = process.run { "-e", ("require 'luaserve.http'.create_server({ %s = print }, print)"):format(name) }
      assert.is_truthy(result.err:find("option '" .. name .. "' must be", 1, true), result.err)
    end
  end)

  it("names members of the request and the response that there are", function()
    local function members(title)
      local names = {}
      local paragraph = read_text():match("%*%*" .. title .. "%*%*(.-)\n\n")
      for name in paragraph:gsub("^ `%w+`", ""):gmatch("`([%a_]+)") do names[#names + 1] = name end
      assert.is_true(#names > 10)
      return table.concat(names, " ")
    end
    local server = process.serve_code(([[
      return function(req, res)
        local missing = {}
        for name in (%q):gmatch("%%S+") do
          if req[name] == nil then missing[#missing + 1] = "req." .. name end
        end
        for name in (%q):gmatch("%%S+") do
          if res[name] == nil then missing[#missing + 1] = "res." .. name end
        end
        res:send(table.concat(missing, " "))
      end
    ]]):format(members("The request"), members("The response")))
    local response = server:request("/")
    assert.same({ 200, "" }, { response.status, response.body })
    assert.same({ 0, "" }, { server:stop() })
  end)
end)
