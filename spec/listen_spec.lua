-- SPDX-License-Identifier: MIT
--- Where listening sockets come from: ports that are shared, descriptors that were inherited, systemd.

local children = require "spec.support.children"
local client = require "spec.support.client"
local descriptors = require "spec.support.descriptors"
local failures = require "spec.support.failures"
local http = require "luaserve.http"
local http_servers = require "spec.support.http_servers"
local kept = require "spec.support.kept"
local luaserves = require "spec.support.process"
local net = require "luaserve.net"
local sockets = require "spec.support.sockets"

local assert_failure, keep = failures.assert_failure, kept.keep

local LOCAL = { host = "127.0.0.1", port = 0 }

local function handler(_, res) res:send("here") end

local function new_server()
  return http_servers.keep(http.create_server(handler))
end

--- A listening socket of this process, whose number a child can be given. It is closed here before anybody connects.
local function open_socket(options)
  local server = keep(assert(net.listen(options or LOCAL, function() error("taken by the wrong one") end)))
  return server, descriptors.of(server), server:address()
end

--- Starts luaserve in a shell whose standard input is that descriptor, and waits for the line that says where it
-- serves.
-- code: of the shell, ends with an exec of "$@"; arguments: luaserve's, in front of a handler that tells its pid and
-- what it and its children see of systemd's variables.
local function start(fd, code, arguments, stderr)
  local list = { "-c", code, "sh", luaserves.luaserve }
  for _, argument in ipairs(arguments) do list[#list + 1] = argument end
  list[#list + 1] = "-e"
  list[#list + 1] = [[
    local process = require "luaserve.process"
    return function(_, res)
      local child = assert(process.run("env"))
      res:json { pid = process.pid, mine = process.env.LISTEN_PID or process.env.LISTEN_FDS or
        process.env.LISTEN_FDNAMES, childs = child.stdout:match("LISTEN_[^\n]*") }
    end
  ]]
  local child = children.spawn("sh", list, { stdin = fd, stdout = "pipe", stderr = stderr or "inherit" })
  local line = child.stdout:read_until("\n")
  return child, line
end

local function ask(address)
  local json = require "luaserve.json"
  return json.decode(client.request(address, { path = "/" }).body)
end

after_each(function()
  http_servers.clean_up()
  children.clean_up()
end)

describe("listen with reuse_port", function()
  it("shares a port with others that want to", function()
    local first = new_server()
    assert(first:listen { host = "127.0.0.1", port = 0, reuse_port = true })
    local port = first:address().port
    assert(new_server():listen { host = "127.0.0.1", port = port, reuse_port = true })
    assert_failure("EADDRINUSE", "listen 127.0.0.1:" .. port, new_server():listen { host = "127.0.0.1", port = port })
    first:close(0)
    assert.equal("here", client.request({ host = "127.0.0.1", port = port }, {}).body)
  end)

  it("shares none otherwise", function()
    local first = new_server()
    assert(first:listen(LOCAL))
    local port = first:address().port
    assert_failure("EADDRINUSE", "listen 127.0.0.1:" .. port,
      new_server():listen { host = "127.0.0.1", port = port, reuse_port = true })
  end)
end)

describe("listen with ipv6_only", function()
  it("leaves the port of IPv4 to others", function()
    local six = new_server()
    assert(six:listen { port = 0, ipv6_only = true })
    local address = six:address()
    assert.equal("::", address.host)
    assert_failure("ECONNREFUSED", "connect 127.0.0.1:" .. address.port, net.connect("127.0.0.1", address.port))
    assert(new_server():listen { host = "127.0.0.1", port = address.port })
    assert.equal("here", client.request({ host = "::1", port = address.port }, {}).body)
  end)
end)

describe("server:address", function()
  it("tells each of several places", function()
    local server, path = new_server(), sockets.temporary_path()
    assert.is_nil(server:address(1))
    assert(server:listen(LOCAL))
    assert(server:listen { path = path })
    assert.equal("127.0.0.1", server:address(1).host)
    assert.same(server:address(), server:address(1))
    assert.same({ path = path }, server:address(2))
    for _, n in ipairs { 0, 3, -1, math.maxinteger, math.mininteger } do assert.is_nil(server:address(n)) end
    assert.equal("here", client.request(server:address(2), {}).body)
  end)
end)

describe("listen with fd", function()
  it("takes connections of a TCP socket that was inherited", function()
    local server, fd, address = open_socket()
    local child, line = start(fd, 'exec "$@"', { "--listen", "fd:0" })
    server:close()
    assert.equal(("luaserve: the command line is served on http://127.0.0.1:%d"):format(address.port), line)
    assert.equal(child.pid, ask(address).pid)
  end)

  it("takes connections of a unix socket that was inherited, and leaves its file alone", function()
    local path, other = sockets.temporary_path(), sockets.temporary_path()
    local server, fd = open_socket { path = path }
    local child, line = start(fd, 'exec "$@"', { "--listen", "fd:0" })
    assert(os.rename(path, other)) -- closing would remove it
    server:close()
    assert.equal("luaserve: the command line is served on unix:" .. path, line)
    assert.equal(child.pid, ask({ path = other }).pid)
    child:kill()
    assert.equal(0, child:wait())
    assert(os.remove(other))
  end)

  it("refuses what is no listening stream socket, and leaves it open", function()
    local server, udp = new_server(), keep(assert(net.udp { host = "127.0.0.1" }))
    local client_socket, accepted = sockets.pair()
    for _, case in ipairs {
      { 1 << 20, "EBADF", "" }, { 0, "ENOTSOCK", "" }, { descriptors.of(udp), "EPROTOTYPE", "" },
      { descriptors.of(accepted), "EINVAL", " (it does not listen)" },
    } do
      local fd, code, more = table.unpack(case)
      assert_failure(code, "listen fd:" .. fd .. (more:gsub("%p", "%%%0")), server:listen { fd = fd })
      assert_failure(code, "listen fd:" .. fd .. (more:gsub("%p", "%%%0")), net.listen({ fd = fd }, print))
    end
    accepted:write("still open")
    assert.equal("still open", client_socket:read())
    assert.is_nil(server:address())
  end)

  it("refuses a socket that is listened on already", function()
    local first = new_server()
    assert(first:listen(LOCAL))
    local fd = descriptors.of(first)
    assert_failure("EEXIST", "listen fd:" .. fd, new_server():listen { fd = fd })
    assert.equal("here", client.request(first:address(), {}).body)
  end)

  it("is of luaserve.net too", function()
    local server, fd, address = open_socket()
    local child = children.spawn(luaserves.luaserve, { "-e", [[
      local net = require "luaserve.net"
      local server = assert(net.listen({ fd = 0 }, function(sock)
        sock:write("inherited")
        sock:close()
      end))
      print(server)
      io.stdout:flush()
    ]] }, { stdin = fd, stdout = "pipe" })
    assert.equal(("server (127.0.0.1:%d)"):format(address.port), child.stdout:read_until("\n"))
    server:close()
    local socket = keep(assert(net.connect(address)))
    assert.equal("inherited", socket:read_all())
  end)
end)

describe("listen with systemd", function()
  local PASS = 'exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$@"'

  it("takes the socket that was passed, and hands its variables on to nobody", function()
    for _, place in ipairs { "systemd", "systemd:web" } do
      local server, fd, address = open_socket()
      local child, line = start(fd, PASS, { "--listen", place })
      server:close()
      assert.equal(("luaserve: the command line is served on http://127.0.0.1:%d"):format(address.port), line)
      assert.same({ pid = child.pid }, ask(address))
    end
  end)

  it("takes all of a name, or all that there are", function()
    local one, fd, first = open_socket()
    local two, other_fd, second = open_socket()
    for names, places in pairs {
      ["a:a"] = { "systemd:a" }, ["b:a"] = { "systemd:a", "systemd" }, ["x"] = { "systemd:x", "systemd" },
      [":"] = { "systemd" },
    } do
      local code = ("exec 3<&0 4<&2 </dev/null 2>/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=%s exec \"$@\"")
        :format(names)
      local arguments = {}
      for _, place in ipairs(places) do
        arguments[#arguments + 1] = "--listen"
        arguments[#arguments + 1] = place
      end
      local child, line = start(fd, code, arguments, other_fd)
      local lines = { line, child.stdout:read_until("\n") }
      table.sort(lines)
      local expected = {}
      for i, address in ipairs { first, second } do
        expected[i] = "luaserve: the command line is served on http://127.0.0.1:" .. address.port
      end
      table.sort(expected)
      assert.same(expected, lines)
      child:kill()
      child:wait()
    end
    one:close()
    two:close()
  end)

  it("finds nothing that was not passed to it", function()
    local _, fd = open_socket()
    for code, place in pairs {
      ['exec "$@"'] = "systemd",
      ['exec 3<&0; LISTEN_PID=1 LISTEN_FDS=1 exec "$@"'] = "systemd",
      ['exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=x exec "$@"'] = "systemd",
      ['exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=0 exec "$@"'] = "systemd",
      ['exec 3<&0; LISTEN_PID=$$ exec "$@"'] = "systemd",
      ['exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$@"'] = "systemd:other",
      ['exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=webs exec "$@"'] = "systemd:web",
      ['exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'] = "systemd:web",
      ['exec 3<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" # 3 is closed'] = "systemd",
    } do
      local child, line = start(fd, code, { "--listen", place }, "pipe")
      assert.is_nil(line, code)
      assert.equal(("luaserve: ENOENT: no such file or directory: listen %s (systemd has passed no such socket)\n")
        :format(place), child.stderr:read_all())
      assert.equal(1, child:wait())
    end
  end)

  it("says what is wrong with a socket that was passed", function()
    local udp = keep(assert(net.udp { host = "127.0.0.1" }))
    local child = start(descriptors.of(udp), PASS, { "--listen", "systemd" }, "pipe")
    assert.matches("^luaserve: EPROTOTYPE: .*: listen systemd\n$", child.stderr:read_all())
    assert.equal(1, child:wait())
  end)

  it("is of scripts and of luaserve.net too, one at a time", function()
    local server, fd, address = open_socket()
    local child = children.spawn("sh", { "-c", PASS, "sh", luaserves.luaserve, "-e", [[
      local http, net = require "luaserve.http", require "luaserve.net"
      local server = assert(net.listen({ systemd = true }, function(sock)
        sock:write("from systemd")
        sock:close()
      end))
      print(select(3, net.listen({ systemd = "web" }, print)))
      print(select(3, http.create_server(print):listen { systemd = true }))
      io.stdout:flush()
    ]] }, { stdin = fd, stdout = "pipe" })
    assert.equal("ENOENT", child.stdout:read_until("\n"))
    assert.equal("ENOENT", child.stdout:read_until("\n"))
    server:close()
    local socket = keep(assert(net.connect(address)))
    assert.equal("from systemd", socket:read_all())
  end)
end)

describe("the options of listen", function()
  it("name one place, and what belongs to it", function()
    local server = new_server()
    for message, options in pairs {
      ["either path, or host and port, or fd, or systemd"] = { fd = 3, port = 80 },
      ["server:listen: either path"] = { systemd = true, path = "x" },
      ["fd, or systemd"] = {},
      ["or systemd$"] = { systemd = false },
      ["mode is for a path"] = { fd = 3, mode = 384 },
      ["reuse_port is for host and port"] = { path = "x", reuse_port = true },
      ["ipv6_only is for host and port"] = { fd = 3, ipv6_only = true },
      ["backlog is for who has opened the socket"] = { systemd = true, backlog = 3 },
      ["option 'systemd' must be true or the name of a socket, not a number"] = { systemd = 1 },
      ["option 'fd' must be from 0"] = { fd = -1 },
      ["unknown option 'reuseport' %(did you mean 'reuse_port'%?%)"] = { port = 0, reuseport = true },
    } do
      assert.error_matches(function() server:listen(options) end, message)
    end
  end)
end)

describe("--listen", function()
  it("takes places of every kind, as often as given", function()
    local path = sockets.temporary_path()
    local child = children.spawn(luaserves.luaserve, {
      "--listen", "127.0.0.1:0", "--listen=[::1]:0", "--listen", "unix:" .. path, "--listen", ":0", "--listen",
      "localhost:0", "--listen", "*:0", "-e", "return function(_, res) res:send('here') end",
    }, { stdout = "pipe" })
    for _, host in ipairs { "127.0.0.1", "::1", "unix", "::", "127.0.0.1", "::" } do
      local line = child.stdout:read_until("\n")
      local place = assert(line:match("^luaserve: the command line is served on (.*)$"))
      local name, port = place:match("^http://%[?([^%]/]*)%]?:(%d+)$")
      assert.equal(host == "unix" and "unix:" .. path or host, name or place)
      local address = port and { host = name, port = math.tointeger(tonumber(port)) } or { path = path }
      assert.equal("here", client.request(address, {}).body)
    end
    child:kill()
    assert.equal(0, child:wait())
    assert.is_nil(io.open(path))
  end)

  it("names what is no place", function()
    for _, place in ipairs {
      "", "80", "localhost", "localhost:", "localhost:http", "localhost:65536", "::1:80", "[::1]", "[::1]80",
      "[localhost]:80", "unix:", "fd:", "fd:x", "fd:-1", "systemd:", "127.0.0.1:80x", ("h"):rep(300) .. ":80",
    } do
      local result = luaserves.run { "--listen", place, "-e", "return print" }
      assert.equal(2, result.status, place)
      assert.is_truthy(result.err:find("option '--listen' wants HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or " ..
        "systemd[:NAME], not '" .. place .. "'", 1, true), result.err)
    end
  end)

  it("is given instead of --host and --port", function()
    for _, other in ipairs { "--port=80", "--host=::1" } do
      local result = luaserves.run { "--listen", ":0", other, "-e", "return print" }
      assert.equal(2, result.status)
      assert.matches("either '%-%-listen', or '%-%-host' and '%-%-port'\n", result.err)
    end
  end)

  it("ends the program where one of the places cannot be had", function()
    local path = sockets.temporary_path()
    local server = new_server()
    assert(server:listen(LOCAL))
    local place = "127.0.0.1:" .. server:address().port
    local result = luaserves.run { "--listen", "unix:" .. path, "--listen", place, "-e", "return print" }
    local message, hint = result.err:match("^([^\n]*)\n([^\n]*)\n$")
    assert.same({ 1, "", "luaserve: EADDRINUSE: address already in use: listen " .. place },
      { result.status, result.out, message })
    assert.matches("^  %S+ %(pid %d+%) listens there$", hint)
    assert.is_nil(io.open(path))
  end)

  it("shows no control characters in the name of who has the port", function()
    local function rename(name)
      local file <close> = assert(io.open("/proc/self/comm", "r+"))
      local old = file:read()
      assert(file:seek("set"))
      assert(file:write(name))
      return old
    end
    local server = new_server()
    assert(server:listen(LOCAL))
    local old = rename("a\27[2J\127b")
    local result = luaserves.run { "--listen", "127.0.0.1:" .. server:address().port, "-e", "return print" }
    rename(old)
    assert.matches("\n  a%?%[2J%?b %(pid %d+%) listens there\n$", result.err)
  end)
end)
