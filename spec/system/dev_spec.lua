-- SPDX-License-Identifier: MIT
--- What --dev changes: errors are shown, templates reloaded, blocking calls told.

local process = require "spec.support.process"

local app = [[
local App, middleware, template = require "luaserve.app", require "luaserve.middleware", require "luaserve.template"
local views = template.new { root = arg[1] }
local app = App.new()
app:use(middleware.error_pages())
app:get("/page", function(_, res) res:html(views:render("page.html")) end)
app:get("/error", function() error("a secret") end)
app:get("/blocking", function(_, res)
  local file <close> = io.open("README.md")
  res:send(file:read("l"))
end)
app:get("/other", function(_, res)
  os.execute("true")
  res:send("")
end)
local file <close> = io.open("README.md") -- the start may block
return app]]

describe("--dev", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
  end)

  after_each(function()
    process.clean_up()
    os.execute("rm -r " .. folder)
  end)

  local function put(text)
    local file <close> = assert(io.open(folder .. "/page.html", "w"))
    file:write(text)
  end

  local function serve(...)
    return process.serve_code(app, { options = { ... }, arguments = { folder } })
  end

  it("shows errors, which production does not", function()
    local server = serve("--dev")
    local response = server:request { path = "/error", headers = { accept = "text/html" } }
    assert.equal(500, response.status)
    assert.matches("a secret", response.body)
    assert.is_truthy(response.body:find('app:get("/error"', 1, true) or response.body:find("/error", 1, true))
    server:stop()
    server = serve()
    response = server:request { path = "/error", headers = { accept = "text/html" } }
    assert.equal(500, response.status)
    assert.not_matches("a secret", response.body)
    server:stop()
  end)

  it("loads templates again when they have changed", function()
    for _, dev in ipairs { true, false } do
      put("one")
      local server = serve(dev and "--dev" or "--globals=sealed")
      assert.equal("one", server:request("/page").body)
      put("another")
      assert.equal(dev and "another" or "one", server:request("/page").body)
      server:stop()
    end
  end)

  it("tells once for each place of calls that block", function()
    local server = serve("--dev")
    for _ = 1, 3 do
      assert.equal("# luaserve", server:request("/blocking").body)
      server:request("/other")
    end
    local _, log = server:stop()
    local _, opens = log:gsub("io%.open holds up all requests while it runs: use fs%.open, fs%.read_file or "
      .. "fs%.write_file\nstack traceback:\n\t[^\n]*:8: in ", "")
    local _, executes = log:gsub("os%.execute holds up all requests while it runs: use process%.run\n", "")
    assert.same({ 1, 1 }, { opens, executes }, log)
    server = serve()
    server:request("/blocking")
    assert.same({ 0, "" }, { server:stop() })
  end)
end)
