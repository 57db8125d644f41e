-- SPDX-License-Identifier: MIT
-- lua/luaserve/types declares, for editors, every function and method that there is, and no other.

local client = require "spec.support.client"
local fs, http, net = require "luaserve.fs", require "luaserve.http", require "luaserve.net"
local process, task, timer = require "luaserve.process", require "luaserve.task", require "luaserve.timer"

local folder = "lua/luaserve/types/"
local modules = { "app", "cookie", "crypto", "dns", "fs", "http", "http_error", "json", "jwt", "middleware",
  "multipart", "net", "pool", "process", "runtime", "shared", "task", "template", "test", "timer", "url", "validate",
  "worker" }

--- The classes of one file: by name { functions = set, fields = set }; the class that the file returns under "module".
local function parse(path)
  local classes, variables, class = {}, {}, nil
  for line in io.lines(path) do
    local name = line:match("^%-%-%-@class ([%w_.]+)")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    local variable = line:match("^local ([%w_]+) = {}$")
    local owner, member = line:match("^function ([%w_]+)[.:]([%w_]+)%(.*%) end$")
    if name then
      class = { functions = {}, fields = {} }
      classes[name] = class
    elseif field then
      class.fields[field] = true
    elseif variable then
      variables[variable] = class
    elseif owner then
      assert(variables[owner], path .. ": " .. line).functions[member] = true
    elseif line:match("^return ") then
      classes.module = variables[line:match("^return ([%w_]+)$")]
    else
      assert(not line:match("^function"), path .. ": a line that no spec knows: " .. line)
    end
  end
  return classes
end

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- Functions and other members of a table; what begins with an underscore is nobody's business.
local function members(t)
  local functions, fields = {}, {}
  for name, value in pairs(t) do
    if not name:find("^_") then (type(value) == "function" and functions or fields)[name] = true end
  end
  return sorted(functions), sorted(fields)
end

--- The table behind a metatable's __index: itself, or the one that a function in C looks into.
local function index_of(value)
  local index = debug.getmetatable(value).__index
  for i = 1, 10 do
    if type(index) == "table" then return index end
    local _, upvalue = debug.getupvalue(index, i)
    if type(upvalue) == "table" then return upvalue end
  end
  error("no methods to be seen")
end

describe("lua/luaserve/types", function()
  local classes = {}
  for _, name in ipairs { "common", "init", table.unpack(modules) } do
    for class, declared in pairs(parse(folder .. name .. ".lua")) do
      if class == "module" then class = "module " .. name end
      assert(not classes[class], class .. " is declared twice")
      classes[class] = declared
    end
  end

  --- Compares what a live object can do with what a class declares.
  local function check(class, value)
    local index = index_of(value)
    for name in pairs(index) do local _ = value[name] end -- loads the methods that are written in Lua
    local functions, fields = members(index)
    assert.is_true(#functions > 0)
    assert.same(functions, sorted(classes[class].functions))
    if #fields > 0 then -- looked up in C: of the other types no list of fields can be had
      assert.same(fields, sorted(classes[class].fields))
    end
  end

  it("has a file for each module, and no other", function()
    local found = {}
    for _, name in ipairs(assert(fs.readdir(folder))) do found[name] = true end
    for _, name in ipairs { "common", "init", table.unpack(modules) } do
      assert.is_true(found[name .. ".lua"], name)
      found[name .. ".lua"] = nil
    end
    assert.same({}, found)
    assert.same(modules, sorted(classes["module init"].fields))
  end)

  for _, name in ipairs(modules) do
    it("declares luaserve." .. name, function()
      local module = require("luaserve." .. name)
      if name == "middleware" then -- loads each when it is named
        for maker in pairs(classes["module middleware"].functions) do local _ = module[maker] end
      end
      local functions, fields = members(module)
      if name == "process" then -- asked for each time
        for _, field in ipairs { "ppid", "title" } do
          assert.is_not_nil(process[field])
          fields[#fields + 1] = field
        end
        table.sort(fields)
      end
      if name == "worker" then fields[#fields + 1] = "parent" end -- there in workers only
      assert.same(functions, sorted(classes["module " .. name].functions))
      assert.same(fields, sorted(classes["module " .. name].fields))
    end)
  end

  it("declares files and watchers", function()
    local file <close> = assert(fs.open("README.md"))
    check("luaserve.fs.file", file)
    local watcher <close> = assert(fs.watch("README.md", print))
    check("luaserve.fs.watcher", watcher)
  end)

  it("declares sockets and their servers", function()
    local server = assert(net.listen({ host = "127.0.0.1" }, function(sock) sock:close() end))
    check("luaserve.net_server", server)
    local sock <close> = assert(net.connect(server:address()))
    server:close()
    check("luaserve.socket", sock)
    local udp <close> = assert(net.udp { host = "127.0.0.1" })
    check("luaserve.udp", udp)
  end)

  it("declares what process returns", function()
    local child <close> = assert(process.spawn("true", {}, { stdin = "pipe", stdout = "pipe", stderr = "pipe" }))
    check("luaserve.child", child)
    child:wait()
    for name in pairs(classes["luaserve.child"].fields) do
      if name ~= "signal" then assert.is_not_nil(child[name], name) end -- none has ended it
    end
    local handler = assert(process.on("SIGUSR2", print))
    check("luaserve.signal_handler", handler)
    handler:close()
    local hook = process.on_exit(print)
    check("luaserve.exit_hook", hook)
    hook:close()
  end)

  it("declares workers and their parent", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write([[local parent = require "luaserve.worker".parent
      local names = {}
      for name in pairs(debug.getmetatable(parent).__index) do names[#names + 1] = name end
      table.sort(names)
      return names]])
    file:close()
    local w = require "luaserve.worker".start(path)
    check("luaserve.worker", w)
    assert.same(sorted(classes["luaserve.parent"].functions), w:join())
    os.remove(path)
  end)

  it("declares timers, tasks and what is built on them", function()
    local after = timer.after(60, print)
    check("luaserve.timer", after)
    after:cancel()
    local immediate = timer.immediate(print)
    check("luaserve.immediate", immediate)
    immediate:cancel()
    local operation = timer.sleep(60, print)
    check("luaserve.operation", operation)
    operation:cancel()
    check("luaserve.task", task.spawn(function() end))
    check("luaserve.group", task.group())
    check("luaserve.semaphore", task.semaphore(1))
    check("luaserve.channel", task.channel())
  end)

  it("declares what test returns", function()
    local test = require "luaserve.test"
    local test_client = test.client(function(_, res) res:send("x") end)
    check("luaserve.test.client", test_client)
    local response = test_client:get("/")
    check("luaserve.test.response", response)
    for name in pairs(classes["luaserve.test.response"].fields) do assert.is_not_nil(response[name], name) end
    local stream <close> = test_client:stream("/")
    check("luaserve.test.events", stream:events())
    check("luaserve.test.connection", test_client:connect())
    local clock <close> = test.clock()
    check("luaserve.test.clock", clock)
    check("luaserve.test.env", test.env {})
  end)

  it("declares what crypto returns", function()
    local crypto, keys = require "luaserve.crypto", require "spec.support.keys"
    check("luaserve.dict", require "luaserve.shared".dict("types"))
    check("luaserve.hasher", crypto.hasher("sha256"))
    local key, certificate = crypto.generate_key("ed25519"), assert(crypto.certificate(keys.certificate))
    check("luaserve.key", key)
    check("luaserve.certificate", certificate)
    for name in pairs(classes["luaserve.key"].fields) do assert.is_not_nil(key[name], name) end
    for name in pairs(classes["luaserve.certificate"].fields) do assert.is_not_nil(certificate[name], name) end
  end)

  it("declares parts of forms", function()
    local multipart = require "luaserve.multipart"
    for part in multipart.parts("--b\r\n\r\n\r\n--b--", "multipart/mixed; boundary=b") do
      check("luaserve.part", part)
    end
  end)

  it("declares apps and their groups", function()
    local app = require "luaserve.app".new()
    check("luaserve.app", app)
    check("luaserve.app_group", app:group("/x"))
    local err = require "luaserve.http_error".new(400, "x", {}, {})
    for name in pairs(classes["luaserve.http_error"].fields) do assert.is_not_nil(err[name], name) end
  end)

  it("declares views and templates", function()
    local template = require "luaserve.template"
    check("luaserve.views", template.new { root = "." })
    check("luaserve.template", template.compile(""))
  end)

  it("declares servers, requests and responses", function()
    local failure
    local server = http.create_server(function(req, res)
      failure = select(2, xpcall(function()
        check("luaserve.request", req)
        check("luaserve.response", res)
        for name in pairs(classes["luaserve.request"].fields) do assert.is_not_nil(req[name], name) end
        for name in pairs(classes["luaserve.response"].fields) do assert.is_not_nil(res[name], name) end
        check("luaserve.events", res:events())
      end, function(err) return tostring(type(err) == "table" and err.message or err) end))
    end)
    check("luaserve.server", server)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    local response = client.request(server:address(), {})
    server:close(0)
    assert.same({ 200, "text/event-stream" }, { response.status, response.headers["content-type"] })
    assert.is_nil(failure)
  end)
end)
