-- SPDX-License-Identifier: MIT
--- Behind nginx and HAProxy, with the settings that docs/api/http.md has, and with docs/deployment/nginx.conf. They run
-- in the foreground, each with a folder and sockets of its own: the sockets are opened here, listen before the proxy
-- has started, and are passed on to it. So a request can be sent at once, and waits until the proxy is ready.

local children = require "spec.support.children"
local client = require "spec.support.client"
local descriptors = require "spec.support.descriptors"
local fs = require "luaserve.fs"
local http = require "luaserve.http"
local http_servers = require "spec.support.http_servers"
local json = require "luaserve.json"
local kept = require "spec.support.kept"
local net = require "luaserve.net"
local process = require "luaserve.process"
local sockets = require "spec.support.sockets"
local task = require "luaserve.task"
local waits = require "spec.support.waits"

local MEGABYTE = 1 << 20

--- Bytes in which nothing repeats soon.
local function pattern(size)
  local parts = {}
  for i = 1, size // 16 do parts[i] = ("%015x "):format(i * 2654435761 % (1 << 60)) end
  return table.concat(parts)
end

-- ---- the server behind ----

local big = pattern(8 * MEGABYTE)
local routes = {}
local checks -- health checks that have come

function routes.where(req, res)
  res:json {
    address = req.remote_address, peer = req.peer_address, peer_port = req.peer_port, scheme = req.scheme,
    secure = req.secure, host = req.host,
  }
end

function routes.echo(req, res)
  res:set("content-type", "application/octet-stream")
  for chunk in req:chunks() do res:write(chunk) end
  res:finish()
end

function routes.upload(req, res)
  res:send(assert(req:body()) == big and "all of it" or "something else")
end

function routes.length(_, res) res:send(big) end

function routes.pieces(_, res)
  for at = 1, #big, 100000 do
    if not res:write(big:sub(at, at + 99999)) then return end
  end
  res:finish()
end

function routes.none(_, res) res:send(204, nil) end
function routes.path(req, res) res:send(req.url) end

function routes.health(_, res)
  checks = checks + 1
  res:send("well")
end

local function serve(options, place)
  options.max_body = 1 << 30
  local server = http_servers.keep(http.create_server(options, function(req, res)
    return routes[req.path:match("([^/]*)$")](req, res)
  end))
  assert(server:listen(place or { host = "127.0.0.1", port = 0 }))
  return server:address()
end

-- ---- the proxies ----

local folder, proxy

local function write(name, text)
  assert(fs.write_file(folder .. "/" .. name, text .. "\n"))
end

local function shell(command)
  local result = assert(process.run("sh", { "-c", command }, { cwd = folder }))
  assert.equal(0, result.status, result.stderr)
  return result.stdout
end

--- A certificate for ::1 that nobody has signed, and its key, in one file.
local function write_certificate()
  shell [[openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 2 -subj /CN=proxy &&
    cat key certificate > both]]
end

--- Two listening sockets on ::1 (so that a client is not 127.0.0.1, which is trusted): their addresses, and a function
-- that starts a program with them as descriptors 3 and 4.
local function open_sockets()
  local plain = kept.keep(assert(net.listen({ host = "::1" }, error)))
  local tls = kept.keep(assert(net.listen({ host = "::1" }, error)))
  return plain:address(), tls:address(), function(code)
    proxy = children.spawn("sh", { "-c", "exec 3<&0 4<&1 </dev/null >errors 2>&1; exec timeout 300 " .. code },
      { stdin = descriptors.of(plain), stdout = descriptors.of(tls), cwd = folder })
    plain:close()
    tls:close()
  end
end

--- What was seen of a request over TLS.
local function ask_over_tls(address, path)
  local request = ("GET %s HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\n\r\n"):format(path)
  local result = assert(process.run("openssl", { "s_client", "-quiet", "-connect",
    ("[%s]:%d"):format(address.host, address.port) }, { input = request, stderr = "null" }))
  return json.decode((assert(result.stdout:match("\r\n\r\n(.*)$"), result.stdout)))
end

local function ask(connection, path, headers)
  local response = connection:request { path = path, headers = headers }
  assert.equal(200, response.status)
  return json.decode(response.body)
end

--- Sends a body in chunks of odd sizes while the response is read.
local function send_chunked(connection, path, body)
  local head = ("POST %s HTTP/1.1\r\nHost: up.example\r\nTransfer-Encoding: chunked\r\n\r\n"):format(path)
  local sender = task.spawn(function()
    assert(connection:write(head))
    local at, size = 1, 1
    while at <= #body do
      local chunk = body:sub(at, at + size - 1)
      assert(connection:write(("%x\r\n%s\r\n"):format(#chunk, chunk)))
      at, size = at + size, size * 7 % 90001 + 1
    end
    assert(connection:write("0\r\n\r\n"))
  end)
  local response = connection:response()
  sender:join()
  return response
end

-- ---- what has to hold behind every proxy ----

local function keeps_everything(address, prefix)
  it("answers each of many requests on many connections with its own", function()
    local tasks = {}
    for i = 1, 16 do
      tasks[i] = task.spawn(function()
        local connection <close> = client.connect(address())
        for n = 1, 40 do
          local path = ("%s/path?%d-%d"):format(prefix, i, n)
          assert.equal(path, connection:request({ path = path }).body)
        end
      end)
    end
    for i = 1, 16 do tasks[i]:join() end
  end)

  it("keeps messages apart that have no body", function()
    local connection <close> = client.connect(address())
    for _ = 1, 5 do
      assert.equal(204, connection:request({ path = prefix .. "/none" }).status)
      local head = connection:request { method = "HEAD", path = prefix .. "/path" }
      assert.same({ 200, "" }, { head.status, head.body })
      assert.equal(prefix .. "/path?after", connection:request({ path = prefix .. "/path?after" }).body)
      assert.equal("x", connection:request({ method = "POST", path = prefix .. "/echo", body = "x" }).body)
    end
  end)

  it("passes large answers on whole, with a length and in chunks", function()
    local connection <close> = client.connect(address())
    for _, name in ipairs { "/length", "/pieces" } do
      local response = connection:request { path = prefix .. name }
      assert.equal(200, response.status)
      assert.is_true(response.body == big, name)
    end
  end)

  it("passes large bodies on whole, with a length and in chunks", function()
    local connection <close> = client.connect(address())
    local response = send_chunked(connection, prefix .. "/upload", big)
    assert.same({ 200, "all of it" }, { response.status, response.body })
    response = connection:request { method = "POST", path = prefix .. "/upload", body = big }
    assert.same({ 200, "all of it" }, { response.status, response.body })
  end)
end

local function start_all(start)
  setup(function()
    folder = assert(fs.mkdtemp("/tmp/proxy-"))
    checks = 0
    write_certificate()
    start()
  end)

  teardown(function()
    local ended = proxy and proxy.status and fs.read_file(folder .. "/errors")
    children.clean_up()
    http_servers.clean_up()
    assert(fs.rm(folder, { recursive = true }))
    assert(not ended, ended)
  end)
end

describe("behind nginx", function()
  local address, tls

  start_all(function()
    local by_tcp = serve { trust_proxy = "127.0.0.1" }
    local by_path = serve({ trust_proxy = "unix" }, { path = sockets.temporary_path() })
    local run
    address, tls, run = open_sockets()
    write("nginx.conf", ([[
      daemon off;
      user root root; # nobody else's business where root runs the specs; else it is passed over
      worker_processes 1;
      error_log stderr crit;
      pid nginx.pid;
      events { worker_connections 256; }
      http {
        access_log off;
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
        scgi_temp_path scgi;
        client_max_body_size 0;
        upstream tcp { server 127.0.0.1:%d; keepalive 8; }
        upstream unix { server unix:%s; keepalive 8; }
        server {
          listen [::1]:%d;
          listen [::1]:%d ssl;
          ssl_certificate certificate;
          ssl_certificate_key key;
          proxy_http_version 1.1;
          proxy_request_buffering off;
          proxy_set_header Connection "";
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Forwarded-Host $http_host;
          proxy_set_header X-Forwarded-Port "";
          proxy_set_header Forwarded "";
          location /tcp/ { proxy_pass http://tcp; }
          location /unix/ { proxy_pass http://unix; }
          location /forwarded/ {
            proxy_set_header Connection "";
            set $node "\"[$remote_addr]:$remote_port\"";
            proxy_set_header Forwarded "$http_forwarded, for=$node;proto=$scheme;host=\"$http_host\"";
            proxy_pass http://tcp;
          }
        }
      }
    ]]):format(by_tcp.port, by_path.path, address.port, tls.port))
    -- The variable names the sockets that a new nginx takes over from an old one.
    run [[env "NGINX=3;4;" nginx -e stderr -p "$PWD" -c nginx.conf]]
  end)

  local function get_address() return address end

  describe("over TCP", function() keeps_everything(get_address, "/tcp") end)
  describe("over a unix socket", function() keeps_everything(get_address, "/unix") end)

  it("tells the client, and the host that it asked for", function()
    local connection <close> = client.connect(address)
    for prefix, peer in pairs { ["/tcp"] = "127.0.0.1", ["/unix"] = "", ["/forwarded"] = "127.0.0.1" } do
      local told = ask(connection, prefix .. "/where", { host = "asked.example:81" })
      assert.same({ "::1", peer, "http", false, "asked.example:81" },
        { told.address, told.peer, told.scheme, told.secure, told.host })
    end
  end)

  it("tells that the client came over TLS", function()
    for _, prefix in ipairs { "/tcp", "/unix", "/forwarded" } do
      local told = ask_over_tls(tls, prefix .. "/where")
      assert.same({ "::1", "https", true, "tls.example" }, { told.address, told.scheme, told.secure, told.host })
    end
  end)

  it("is believed, and its clients are not", function()
    local connection <close> = client.connect(address)
    local lies = { ["x-forwarded-for"] = "127.0.0.1", ["x-forwarded-proto"] = "https", ["x-forwarded-host"] = "lie",
      ["x-forwarded-port"] = "81", forwarded = 'for=127.0.0.1;proto=https;host=lie, for="' }
    for _, prefix in ipairs { "/tcp", "/unix" } do
      local told = ask(connection, prefix .. "/where", lies)
      assert.same({ "::1", "http", "spec" }, { told.address, told.scheme, told.host })
    end
    local told = ask(connection, "/forwarded/where", { forwarded = lies.forwarded })
    assert.same({ "::1", "http", "spec" }, { told.address, told.scheme, told.host })
  end)

  it("uses its connections again", function()
    local connection <close> = client.connect(address)
    local ports = {}
    for _ = 1, 20 do ports[ask(connection, "/tcp/where").peer_port] = true end
    local first = next(ports)
    assert.is_nil(next(ports, first))
  end)
end)

-- ---- docs/deployment/nginx.conf ----

--- The text with `from`, which is in it, replaced wherever it stands.
local function replace(text, from, to)
  local first, last = text:find(from, 1, true)
  assert(first, from)
  local parts, position = {}, 1
  while first do
    parts[#parts + 1] = text:sub(position, first - 1) .. to
    position = last + 1
    first, last = text:find(from, position, true)
  end
  return table.concat(parts) .. text:sub(position)
end

--- The site as it is in the file, on these ports, with this certificate, in front of this socket.
local function site_for(plain, tls, path)
  local site = assert(fs.read_file("docs/deployment/nginx.conf"))
  for from, to in pairs {
    ["listen 80;"] = "", ["listen [::]:80;"] = ("listen [::1]:%d;"):format(plain.port),
    ["listen 443 ssl http2;"] = "", ["listen [::]:443 ssl http2;"] = ("listen [::1]:%d ssl http2;"):format(tls.port),
    ["/run/luaserve/http.sock"] = path,
    ["/etc/letsencrypt/live/app.example.org/fullchain.pem"] = "certificate",
    ["/etc/letsencrypt/live/app.example.org/privkey.pem"] = "key",
  } do
    site = replace(site, from, to)
  end
  return site
end

describe("behind nginx as docs/deployment has it", function()
  local plain, tls

  start_all(function()
    local board = dofile "examples/board.lua"
    local place = { path = sockets.temporary_path() }
    local options = { trust_proxy = "unix", max_body = 1 << 30 }
    local server = http_servers.keep(http.create_server(options, function(req, res)
      return (routes[req.path:sub(2)] or board)(req, res)
    end))
    assert(server:listen(place))
    local run
    plain, tls, run = open_sockets()
    write("site.conf", site_for(plain, tls, place.path))
    write("nginx.conf", [[
      daemon off;
      user root root;
      worker_processes 1;
      error_log stderr crit;
      pid nginx.pid;
      events { worker_connections 256; }
      http {
        access_log off;
        client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
        scgi_temp_path scgi;
        include site.conf;
      }
    ]])
    run [[env "NGINX=3;4;" nginx -e stderr -p "$PWD" -c nginx.conf]]
  end)

  --- A connection over TLS, by openssl: what is written to its stdin goes there, its stdout is what comes.
  local function open_tls(request)
    local place = ("[%s]:%d"):format(tls.host, tls.port)
    local child = children.spawn("openssl", { "s_client", "-quiet", "-connect", place },
      { stdin = "pipe", stdout = "pipe", stderr = "null" })
    assert(child.stdin:write(request))
    return child
  end

  it("tells the client, TLS and the host, whatever the client says itself", function()
    local told = ask_over_tls(tls, "/where")
    assert.same({ "::1", "https", true, "tls.example" }, { told.address, told.scheme, told.secure, told.host })
    local child = open_tls("GET /where HTTP/1.1\r\nHost: tls.example\r\nX-Forwarded-For: 127.0.0.1\r\n" ..
      "Forwarded: for=127.0.0.1\r\nConnection: close\r\n\r\n")
    assert.equal("::1", json.decode(child.stdout:read_all():match("\r\n\r\n(.*)$")).address)
  end)

  it("sends who comes without TLS to the same page with it", function()
    local connection <close> = client.connect(plain)
    local response = connection:request { path = "/page?a=b", headers = { host = "app.example.org" } }
    assert.same({ 301, "https://app.example.org/page?a=b" }, { response.status, response.headers.location })
  end)

  it("passes events on as they are sent", function()
    local stream = open_tls("GET /events HTTP/1.1\r\nHost: tls.example\r\n\r\n")
    local text = ""
    local function read_until(wanted)
      while not text:find(wanted) do text = text .. assert(stream.stdout:read()) end
    end
    read_until("retry: 1000\n\n")
    for i, word in ipairs { "one", "two" } do
      local child = open_tls(("POST / HTTP/1.1\r\nHost: tls.example\r\nConnection: close\r\nContent-Length: 8\r\n" ..
        "Content-Type: application/x-www-form-urlencoded\r\n\r\ntext=%s"):format(word))
      assert.matches("^HTTP/1.1 303 ", child.stdout:read_all())
      read_until(("id: %d\n"):format(i))
    end
    assert.matches('data: {"text":"two"}', text)
  end)

  it("lets bodies through that are larger than nginx allows by itself", function()
    local head = "POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    local child = open_tls(head:format(#big))
    assert(child.stdin:write(big))
    assert.matches("all of it$", child.stdout:read_all())
  end)
end)

describe("behind HAProxy", function()
  local address, tls

  start_all(function()
    local fields = serve { trust_proxy = "127.0.0.1" }
    local lines = serve { proxy_protocol = "v1", trust_proxy = "127.0.0.1" }
    local binary = serve { proxy_protocol = "v2", trust_proxy = "127.0.0.1" }
    local by_path = serve({ proxy_protocol = true, trust_proxy = "unix" }, { path = sockets.temporary_path() })
    local run
    address, tls, run = open_sockets()
    write("haproxy.cfg", ([[
      global
        maxconn 200
        nbthread 1
      defaults
        mode http
        timeout connect 10s
        timeout client 30s
        timeout server 30s
        http-reuse always
      frontend all
        bind fd@3
        bind fd@4 ssl crt both
        use_backend %%[path,field(2,/)]
      backend fields
        option forwardfor
        http-request del-header Forwarded
        http-request del-header X-Forwarded-Port
        http-request set-header X-Forwarded-Proto %%[ssl_fc,iif(https,http)]
        http-request set-header X-Forwarded-Host %%[req.hdr(host)]
        server s 127.0.0.1:%d
      backend v1
        server s 127.0.0.1:%d send-proxy
      backend v2
        server s 127.0.0.1:%d send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id
      backend unix
        server s unix@%s send-proxy-v2-ssl
      backend checked
        option httpchk GET /health
        http-check send hdr Host check.example
        timeout check 10s
        server s 127.0.0.1:%d send-proxy-v2 check inter 20ms
    ]]):format(fields.port, lines.port, binary.port, by_path.path, binary.port))
    run "haproxy -db -f haproxy.cfg"
  end)

  local function get_address() return address end

  for _, name in ipairs { "fields", "v1", "v2", "unix" } do
    describe("with " .. name, function()
      keeps_everything(get_address, "/" .. name)

      it("echoes a body while it is being sent", function() -- nginx 1.22 stops reading it
        local connection <close> = client.connect(address)
        local response = send_chunked(connection, "/" .. name .. "/echo", big)
        assert.equal(200, response.status)
        assert.is_true(response.body == big)
      end)
    end)
  end

  it("tells the client", function()
    for name, peer in pairs { fields = "127.0.0.1", v1 = "127.0.0.1", v2 = "127.0.0.1", unix = "" } do
      local connection <close> = client.connect(address)
      for _ = 1, 3 do
        local told = ask(connection, "/" .. name .. "/where", { host = "asked.example" })
        assert.same({ "::1", peer, "http", "asked.example" }, { told.address, told.peer, told.scheme, told.host })
      end
    end
  end)

  it("tells that the client came over TLS", function()
    for _, name in ipairs { "fields", "v2", "unix" } do
      local told = ask_over_tls(tls, "/" .. name .. "/where")
      assert.same({ "::1", "https", true, "tls.example" }, { told.address, told.scheme, told.secure, told.host }, name)
    end
    assert.equal("http", ask_over_tls(tls, "/v1/where").scheme) -- version 1 has no word for it
  end)

  it("is believed, and its clients are not", function()
    local connection <close> = client.connect(address)
    for _, name in ipairs { "fields", "v1", "v2", "unix" } do
      local told = ask(connection, "/" .. name .. "/where", { ["x-forwarded-for"] = "127.0.0.1",
        ["x-forwarded-proto"] = "https", ["x-forwarded-host"] = "lie", ["x-forwarded-port"] = "81",
        forwarded = "for=127.0.0.1;host=lie" })
      assert.same({ "::1", "http", "spec" }, { told.address, told.scheme, told.host }, name)
    end
  end)

  it("checks the server's health as itself", function()
    local before = checks
    waits.eventually(function() return checks >= before + 8 end)
    assert.equal("::1", ask_over_tls(tls, "/checked/where").address)
  end)
end)
