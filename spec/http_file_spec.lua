-- SPDX-License-Identifier: MIT
--- res:send_file: files of any size, what a root keeps in, coded forms, and what cannot be sent. For what happens
--- while a file is sent see http_file_sending_spec.

local client = require "spec.support.client"
local files = require "spec.support.files"
local failures = require "spec.support.failures"
local process = require "spec.support.process"
local servers = require "spec.support.http_servers"
local fs, net = require "luaserve.fs", require "luaserve.net"
local task, timer = require "luaserve.task", require "luaserve.timer"
local waits = require "spec.support.waits"

local at = files.at

--- The answer of a handler on a server of its own to one request. What the handler raises this does.
local function ask(handler, request)
  local ok, message = true, nil
  local _, where = servers.serve({}, function(req, res)
    ok, message = pcall(handler, req, res)
    if not ok and not res.headers_sent then res:send(500, "the handler has failed") end
  end)
  local response = client.request(where, request or {})
  if not ok then error(message, 0) end
  return response
end

--- The answer of res:send_file with these arguments.
local function send(...)
  local arguments = table.pack(...)
  return ask(function(_, res) assert(res:send_file(table.unpack(arguments, 1, arguments.n))) end)
end

--- The three values of a res:send_file that fails; then the handler still can answer.
local function fail(...)
  local arguments, result = table.pack(...), nil
  local response = ask(function(_, res)
    result = table.pack(res:send_file(table.unpack(arguments, 1, arguments.n)))
    assert(not res.headers_sent)
    res:send(404, "another answer")
  end)
  assert.equal(404, response.status)
  assert.equal("another answer", response.body)
  assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
  for _, name in ipairs { "etag", "last-modified", "cache-control", "accept-ranges", "content-disposition" } do
    assert.is_nil(response.headers[name])
  end
  return table.unpack(result, 1, result.n)
end

--- Bytes that do not repeat with any power of two.
local function make_bytes(size)
  local parts = {}
  for i = 1, size // 13 + 1 do parts[i] = ("%012d\n"):format(i) end
  return table.concat(parts):sub(1, size)
end

before_each(function() files.make_folder() end)

after_each(function()
  servers.clean_up()
  process.clean_up()
  files.remove_folder()
end)

--- More than is ever sent in a case.
local ENDLESS = 1 << 40

describe("a file", function()
  for _, size in ipairs { 0, 1, 4096, 81919, 81920, 131071, 131072, 131073, 1000000, 5000000 } do
    it("of " .. size .. " bytes comes whole", function()
      local bytes = make_bytes(size)
      files.put(at("data.bin"), bytes)
      for _ = 1, 2 do -- the second time the loop knows its device
        local response = send(at("data.bin"))
        assert.equal(200, response.status)
        assert.equal(tostring(size), response.headers["content-length"])
        assert.equal("application/octet-stream", response.headers["content-type"])
        assert.is_true(bytes == response.body)
      end
    end)
  end

  it("comes whole from the disk, and to a client that takes its time", function()
    local path, bytes = at("large.bin"), make_bytes(8000000)
    files.put(path, bytes)
    for _, in_memory in ipairs { false, true } do
      if not in_memory then
        local drop = "dd of=" .. process.quote(path) .. " oflag=nocache conv=notrunc,fdatasync count=0"
        assert.equal(0, process.shell(drop).status)
      end
      local _, where = servers.serve({}, function(_, res) res:send_file(path) end)
      local connection <close> = client.connect(where)
      connection:write(client.format {}:rep(2)) -- the second answer waits for the first
      for _ = 1, 2 do
        connection:take_head()
        local parts, left = {}, #bytes
        while left > 0 do
          if connection.buffer == "" then
            timer.sleep(0) -- a turn in which more may come
            assert(connection:fill())
          end
          parts[#parts + 1] = connection.buffer:sub(1, left)
          connection.buffer, left = connection.buffer:sub(left + 1), left - #parts[#parts]
        end
        assert.is_true(bytes == table.concat(parts))
      end
    end
  end)

  it("comes whole from where each read may have to wait, and is left there", function()
    local folder = assert(fs.mkdtemp("/dev/shm/luaserve-http-")) -- tmpfs: the kernel promises nothing
    local path, bytes = folder .. "/data.bin", make_bytes(3000000)
    files.put(path, bytes)
    for _ = 1, 2 do assert.is_true(bytes == send(path).body) end
    local response = ask(function(_, res) assert(res:send_file(path)) end,
      { headers = { range = "bytes=0-0,1000000-2500000" } })
    assert.is_truthy(response.body:find(bytes:sub(1000001, 2500001), 1, true))
    for _ = 1, 20 do
      local result
      local _, where = servers.serve({}, function(_, res) result = table.pack(res:send_file(path)) end)
      local connection <close> = client.connect(where)
      connection:write(client.format {}:rep(3))
      connection:fill()
      connection.socket:reset()
      waits.eventually(function() return result end)
    end
    files.shell("rm -r '%s'", folder)
  end)

  it("larger than 4 GiB is sent and resumed", function()
    local size = (5 << 30) + 7
    files.make_large(at("sparse.bin"), size)
    local response = ask(function(_, res) assert(res:send_file(at("sparse.bin"))) end, { method = "HEAD" })
    assert.equal(tostring(size), response.headers["content-length"])
    response = ask(function(_, res) assert(res:send_file(at("sparse.bin"))) end,
      { headers = { range = ("bytes=%d-"):format(size - 10) } })
    assert.equal(("bytes %d-%d/%d"):format(size - 10, size - 1, size), response.headers["content-range"])
    assert.equal(("\0"):rep(10), response.body)
  end)

  it("has headers only for HEAD (RFC 9110 9.3.2)", function()
    files.put(at("page.html"), "<p>page")
    local function answer(method)
      local list = {}
      local response = ask(function(_, res) res:send_file(at("page.html")) end, { method = method })
      for _, field in ipairs(response.list) do
        if field[1]:lower() ~= "date" then list[#list + 1] = table.concat(field, ": ") end
      end
      return list, response.body
    end
    local get, get_body = answer("GET")
    local head, head_body = answer("HEAD")
    assert.same(get, head)
    assert.equal("<p>page", get_body)
    assert.equal("", head_body)
  end)

  it("has a type by its extension, or the one that is given", function()
    files.put(at("a.CSS"), "x")
    assert.equal("text/css; charset=utf-8", send(at("a.CSS")).headers["content-type"])
    assert.equal("text/x-own", send(at("a.CSS"), { content_type = "text/x-own" }).headers["content-type"])
    local response = ask(function(_, res)
      res:set("content-type", "text/x-set"):send_file(at("a.CSS"), { content_type = "a/b" })
    end)
    assert.equal("text/x-set", response.headers["content-type"])
  end)

  it("has the status, cache rule and name for saving that the options say", function()
    files.put(at("ä.txt"), "x")
    local response = send(at("ä.txt"), { status = 404, cache_control = "no-store", attachment = true })
    assert.equal(404, response.status)
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A4.txt", response.headers["content-disposition"])
    assert.is_nil(response.headers["accept-ranges"])
    response = send(at("ä.txt"), { max_age = 3600, attachment = "report.txt" })
    assert.equal("max-age=3600", response.headers["cache-control"])
    assert.equal('attachment; filename="report.txt"', response.headers["content-disposition"])
    assert.equal("bytes", response.headers["accept-ranges"])
  end)

  it("goes by res.status where no status is given", function()
    files.put(at("404.html"), "not here")
    assert.equal(404, ask(function(_, res) res.status = 404 res:send_file(at("404.html")) end).status)
  end)

  it("has no content where the status has none (RFC 9110 6.4.1)", function()
    files.put(at("a.txt"), "four")
    for _, status in ipairs { 204, 205, 304 } do
      local response = send(at("a.txt"), { status = status })
      assert.equal(status, response.status)
      assert.equal("", response.body)
    end
  end)

  it("has the length that it has, whatever the handler promised", function()
    files.put(at("a.txt"), "four")
    for _, method in ipairs { "GET", "HEAD" } do
      local response = ask(function(_, res) res:set("content-length", 7):send_file(at("a.txt")) end,
        { method = method })
      assert.equal("4", response.headers["content-length"])
    end
  end)

  it("goes to a client of HTTP/1.0 with its length", function()
    files.put(at("a.txt"), "four")
    local _, where = servers.serve({}, function(_, res) res:send_file(at("a.txt")) end)
    local connection <close> = client.connect(where)
    connection:write("GET / HTTP/1.0\r\n\r\n")
    assert.equal("four", connection:response().body)
    assert.is_false(connection:fill())
  end)

  it("is sent from the callback form too", function()
    local bytes, results = make_bytes(500000), {}
    files.put(at("data.bin"), bytes)
    local response = ask(function(_, res)
      res:send_file(at("data.bin"), function(...) results[#results + 1] = table.pack(...) end)
    end)
    assert.is_true(bytes == response.body)
    waits.eventually(function() return results[1] end)
    assert.same({ { nil, true, n = 2 } }, results)
    response = ask(function(_, res)
      res:send_file(at("none"), { max_age = 1 }, function(message, code) res:send(404, message .. " " .. code) end)
    end)
    assert.matches("^ENOENT: .* ENOENT$", response.body)
  end)

  it("can be the answer after the handler has ended", function()
    local bytes = make_bytes(3000000)
    files.put(at("data.bin"), bytes)
    local held
    local worker = task.spawn(function()
      waits.eventually(function() return held end)
      return held:send_file(at("data.bin"))
    end)
    local response = ask(function(_, res) held = res:later() end)
    assert.is_true(bytes == response.body)
    assert.is_true(worker:join())
  end)

  it("is sent in the order of the pipeline (RFC 9112 9.3.2)", function()
    local large, small = make_bytes(2000000), "small"
    files.put(at("large"), large)
    files.put(at("small"), small)
    local _, where = servers.serve({}, function(req, res) assert(res:send_file(at(req.path:sub(2)))) end)
    local connection <close> = client.connect(where)
    connection:write((client.format { path = "/large" } .. client.format { path = "/small" }):rep(3))
    for _ = 1, 3 do
      assert.is_true(large == connection:response().body)
      assert.equal(small, connection:response().body)
    end
  end)

  it("is the only one that sends meanwhile", function()
    files.make_large(at("large.bin"), ENDLESS)
    local tried
    local _, where = servers.serve({}, function(_, res)
      task.spawn(function()
        waits.eventually(function() return res.headers_sent end)
        tried = { pcall(res.write, res, "x"), select(2, pcall(res.finish, res)), select(2, pcall(res.send, res, "x")) }
      end)
      res:send_file(at("large.bin"))
    end)
    local connection <close> = client.connect(where)
    connection:write(client.format {})
    waits.eventually(function() return tried end)
    assert.is_false(tried[1])
    assert.matches("send_file is sending", tried[2])
    assert.matches("begun already", tried[3])
    connection.socket:reset()
  end)
end)

describe("what cannot be sent", function()
  it("leaves the answer to the handler", function()
    files.shell("mkdir '%s' && mkfifo '%s'", at("folder"), at("fifo"))
    failures.assert_plain_failure("ENOENT", "open '" .. at("none") .. "'",
      fail(at("none"), { max_age = 5, etag = "x" }))
    failures.assert_plain_failure("EISDIR", "read '" .. at("folder") .. "'", fail(at("folder")))
    failures.assert_plain_failure("EINVAL", "read '" .. at("fifo") .. "'", fail(at("fifo")))
    failures.assert_plain_failure("EINVAL", "read '/dev/null'", fail("/dev/null"))
    failures.assert_failure("ENOTDIR", "", fail("/dev/null/x"))
    failures.assert_failure("ENOENT", "", fail(""))
    local socket = assert(net.listen({ path = at("socket") }, function() end))
    failures.assert_failure("ENXIO", "", fail(at("socket")))
    socket:close()
  end)

  it("finds no file whose name no file can have", function()
    failures.assert_failure("ENOENT", "open 'a'", fail("a\0b"))
    failures.assert_failure("ENAMETOOLONG", "open 'a+'", fail(("a"):rep(300)))
    failures.assert_failure("ENOTDIR", "open 'Makefile/x'", fail("Makefile/x"))
  end)

  it("raises when the programmer is wrong", function()
    ask(function(_, res)
      for pattern, use in pairs {
        ["did you mean 'content_type'"] = function() res:send_file("x", { content_typ = "a/b" }) end,
        ["control character"] = function() res:send_file("x", { content_type = "a\r\nb" }) end,
        ["the cache_control contains"] = function() res:send_file("x", { cache_control = "a\nb" }) end,
        ["'root' must not have a NUL in it"] = function() res:send_file("x", { root = "a\0b" }) end,
        ["'etag' must not have a NUL in it"] = function() res:send_file("x", { etag = "a\0b" }) end,
        ["give one of them"] = function() res:send_file("x", { cache_control = "no-store", max_age = 1 }) end,
        ["from 200 to 599"] = function() res:send_file("x", { status = 100 }) end,
        ["'attachment' must be true, false or a string"] = function() res:send_file("x", { attachment = {} }) end,
        ["'ranges' must be true or false"] = function() res:send_file("x", { ranges = 1 }) end,
        ["string expected"] = function() res:send_file() end,
      } do
        local ok, message = pcall(use)
        assert.is_false(ok)
        assert.matches(pattern, message, 1, true)
      end
      res:send("done")
      local ok, message = pcall(res.send_file, res, "x")
      assert.is_false(ok)
      assert.matches("sent already", message, 1, true)
    end)
  end)

  it("raises when somebody else has answered while it was opened", function()
    files.make_large(at("a.bin"), 100)
    local results = {}
    local response = ask(function(_, res)
      local function try()
        local result = table.pack(pcall(res.send_file, res, at("a.bin")))
        results[#results + 1] = result
      end
      local one, two = task.spawn(try), task.spawn(try)
      one:join() two:join()
    end)
    waits.eventually(function() return #results == 2 end)
    assert.equal(100, #response.body)
    assert.is_true(results[1][1] ~= results[2][1])
  end)
end)

describe("a root", function()
  local function status_of(path, options)
    options = options or {}
    options.root = at("root")
    local code
    local response = ask(function(_, res)
      local ok
      ok, _, code = res:send_file(path, options)
      if not ok then res:send(404, "refused") end
    end)
    return response.status == 200 and response.body or code
  end

  before_each(function()
    files.shell("mkdir -p '%s'", at("root/sub"))
    files.put(at("secret"), "secret")
    files.put(at("root/page"), "page")
    files.put(at("root/sub/page"), "deeper")
    files.put(at("root/a\\..\\b"), "backslash")
    files.shell("cd '%s' && ln -s ../secret out && ln -s '%s' absolute && ln -s sub/page inside && ln -s .. up",
      at("root"), at("secret"))
  end)

  it("is where paths begin", function()
    assert.equal("page", status_of("page"))
    assert.equal("deeper", status_of("sub/page"))
    assert.equal("deeper", status_of("./sub//page"))
    assert.equal("backslash", status_of("a\\..\\b"))
    assert.equal("ENOENT", status_of("none"))
    assert.equal("EISDIR", status_of("sub"))
    assert.equal("EISDIR", status_of("."))
  end)

  it("is not left by dots or a slash in front", function()
    for _, path in ipairs { "../secret", "sub/../../secret", "sub/../page", "..", "/etc/passwd", at("secret"),
      "//etc/passwd" } do
      assert.equal("EACCES", status_of(path), path)
    end
  end)

  it("is not left by symbolic links", function()
    assert.equal("EACCES", status_of("out"))
    assert.equal("EACCES", status_of("absolute"))
    assert.equal("EACCES", status_of("up/secret"))
    assert.equal("deeper", status_of("inside"))
  end)

  it("may be left by symbolic links where the option says so, and by nothing else", function()
    assert.equal("secret", status_of("out", { symlinks = true }))
    assert.equal("secret", status_of("absolute", { symlinks = true }))
    assert.equal("secret", status_of("up/secret", { symlinks = true }))
    assert.equal("EACCES", status_of("../secret", { symlinks = true }))
  end)

  it("can be a link itself: a deployment that is switched over", function()
    files.shell("cd '%s' && mkdir new && echo -n newer > new/page && ln -s root current", files.at("."))
    local function page() return send("page", { root = at("current") }).body end
    assert.equal("page", page())
    files.shell("cd '%s' && ln -sfn new current", files.at("."))
    assert.equal("newer", page())
  end)

  it("holds against a decoded path of any request (RFC 9110 17.3)", function()
    local _, where = servers.serve({}, function(req, res)
      local ok, _, code = res:send_file(req:decoded_path():sub(2), { root = at("root") })
      if not ok then res:send(404, code) end
    end)
    for path, expected in pairs {
      ["/page"] = "page", ["/..%2fsecret"] = "EACCES", ["/%2e%2e/secret"] = "ENOENT", ["/%2fetc/passwd"] = "EACCES",
      ["/sub%2f..%2f..%2fsecret"] = "EACCES", ["/sub/..%2fpage"] = "EACCES",
    } do
      assert.equal(expected, client.request(where, { path = path }).body, path)
    end
  end)
end)

describe("coded forms", function()
  local function get(accept, options, headers)
    options = options or {}
    options.precompressed = true
    return ask(function(_, res) assert(res:send_file(at("app.js"), options)) end,
      { headers = setmetatable({ ["accept-encoding"] = accept }, { __index = headers }) })
  end

  before_each(function()
    files.put(at("app.js"), "plain")
    files.put(at("app.js.br"), "in brotli")
    files.put(at("app.js.gz"), "in gzip")
  end)

  it("are sent in place of the file where the client takes them (RFC 9110 8.4, 12.5.3)", function()
    for accept, expected in pairs {
      ["br"] = "br", ["gzip"] = "gzip", ["gzip, deflate, br"] = "br", ["gzip;q=1.0, br;q=0"] = "gzip", ["*"] = "br",
      ["BR"] = "br", ["br;q=0.001"] = "br", ["*;q=0.5, br;q=0"] = "gzip", ["gzip ; q=0.5"] = "gzip",
      [",,gzip ,"] = "gzip", ["*;q=0, gzip"] = "gzip",
    } do
      local response = get(accept)
      assert.equal(expected, response.headers["content-encoding"], accept)
      assert.equal(expected == "br" and "in brotli" or "in gzip", response.body)
      assert.equal("text/javascript; charset=utf-8", response.headers["content-type"])
      assert.equal("accept-encoding", response.headers.vary)
    end
    for _, accept in ipairs { "identity", "deflate", "br;q=0, gzip;q=0.000", "*;q=0", "brotli",
      "br;q=0.0,gzip; q=0", ",", "br;Q=0" } do
      local response = get(accept)
      assert.equal("plain", response.body, accept)
      assert.is_nil(response.headers["content-encoding"])
      assert.equal("accept-encoding", response.headers.vary)
    end
    assert.equal("plain", get(nil).body)
  end)

  it("have tags of their own (RFC 9110 8.8.3.3)", function()
    local plain, br, gzip = get(nil).headers.etag, get("br").headers.etag, get("gzip").headers.etag
    assert.is_true(plain ~= br and br ~= gzip and plain ~= gzip)
    assert.equal('"v1"', get(nil, { etag = "v1" }).headers.etag)
    assert.equal('"v1-br"', get("br", { etag = "v1" }).headers.etag)
    assert.equal('W/"v1-gzip"', get("gzip", { etag = 'W/"v1"' }).headers.etag)
  end)

  it("are left out where they are not there", function()
    assert(fs.unlink(at("app.js.br")))
    assert.equal("in gzip", get("br, gzip").body)
    assert(fs.unlink(at("app.js.gz")))
    assert.equal("plain", get("br, gzip").body)
  end)

  it("are below the root too", function()
    files.put(at("secret.br"), "secret")
    files.shell("mkdir '%s' && cd '%s' && echo -n page > x && ln -s ../secret.br x.br", at("root"), at("root"))
    local response = ask(function(_, res) assert(res:send_file("x", { root = at("root"), precompressed = true })) end,
      { headers = { ["accept-encoding"] = "br" } })
    assert.equal("page", response.body)
  end)
end)
