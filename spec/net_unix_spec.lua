-- SPDX-License-Identifier: MIT
-- net: unix sockets and their files.

local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local process = require("spec.support.process")
local sockets = require("spec.support.sockets")

local assert_failure, keep, pair, temporary_path =
  failures.assert_failure, kept.keep, sockets.pair, sockets.temporary_path

after_each(function() kept.clean_up() end)

describe("a unix socket", function()
  it("works like any other", function()
    local path = temporary_path()
    local client, accepted = pair({ path = path })
    assert.same({ path = path }, client:peer())
    assert.same({ path = path }, accepted:address())
    assert.same({ path = "" }, accepted:peer())
    assert.equal("socket (" .. path .. ")", tostring(client))
    client:write("through a file")
    client:shutdown()
    assert.equal("through a file", accepted:read_all())
    assert.is_nil(io.open(path)) -- removed with the server
  end)

  it("replaces the file of a dead server, and no other", function()
    local path = temporary_path()
    local code = ('require("luaserve.net").listen({path = %q}, print); os.exit(0, false)'):format(path)
    assert(os.execute(("%s -e '%s'"):format(process.luaserve, code)))
    -- The file is there, and nobody listens.
    assert_failure("ECONNREFUSED", "connect " .. path, net.connect({ path = path }))
    local server = keep(assert(net.listen({ path = path }, function() end)))
    assert_failure("EADDRINUSE", "listen " .. path, net.listen({ path = path }, print))
    assert.same({ path = path }, server:address())
    server:close()
    assert_failure("ENOENT", "connect " .. path, net.connect({ path = path }))
    local file = assert(io.open(path, "w"))
    file:close()
    assert_failure("EADDRINUSE", "listen " .. path, net.listen({ path = path }, print))
    os.remove(path)
  end)

  it("has the permissions that mode says", function()
    local path = temporary_path()
    local server = keep(assert(net.listen({ path = path, mode = tonumber("640", 8) }, print)))
    local child = assert(io.popen("stat -c %a " .. path))
    assert.equal("640\n", child:read("a"))
    child:close()
    server:close()
  end)

  it("is removed from wherever the program is then", function()
    local folder = os.tmpname()
    os.remove(folder)
    local code = [[
      local net, process = require("luaserve.net"), require("luaserve.process")
      process.chdir(%q)
      local server = net.listen({ path = "x.sock" }, print)
      print(server:address().path)
      process.chdir("/")
      server:close()]]
    local run = ("mkdir %s && %s -e '%s' && rmdir %s"):format(folder, process.luaserve, code:format(folder), folder)
    local child = assert(io.popen(run))
    assert.equal(folder .. "/x.sock\n", child:read("a"))
    assert.is_true(child:close()) -- rmdir found it empty
  end)

  it("has a short name", function()
    local long = "/tmp/" .. ("x"):rep(200)
    assert_failure("ENAMETOOLONG", "connect " .. long, net.connect({ path = long }))
    assert_failure("ENAMETOOLONG", "listen " .. long, net.listen({ path = long }, print))
  end)
end)
