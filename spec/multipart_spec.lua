-- SPDX-License-Identifier: MIT
--- luaserve.multipart, and forms with files over real sockets.

local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local multipart = require "luaserve.multipart"
local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local waits = require "spec.support.waits"

local FORM = "multipart/form-data; boundary=b"

--- A body of these parts, each { head, content }.
local function body_of(parts, boundary)
  local pieces = {}
  for i, part in ipairs(parts) do
    pieces[i] = ("--%s\r\n%s\r\n\r\n%s\r\n"):format(boundary or "b", part[1], part[2])
  end
  return table.concat(pieces) .. "--" .. (boundary or "b") .. "--\r\n"
end

local function field(name, value)
  return { ('Content-Disposition: form-data; name="%s"'):format(name), value }
end

local function file(name, filename, content, type)
  return { ('Content-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s'):format(name, filename,
    type or "application/octet-stream"), content }
end

--- The parts of a body, each { name, filename, content_type, content }.
local function read(body, content_type, options)
  local list = {}
  for part in multipart.parts(body, content_type or FORM, options) do
    list[#list + 1] = { part.name, part.filename or false, part.content_type, part:read_all() }
  end
  return list
end

--- The error that reading a body ends with.
local function failure(...)
  local ok, err = pcall(read, ...)
  assert.is_false(ok)
  assert.is_true(http_error.is(err), tostring(err))
  return err
end

--- A source of the body cut at the places.
local function cut(body, ...)
  local places, at = { ..., #body }, 0
  return function()
    local to = table.remove(places, 1)
    local piece = to and body:sub(at + 1, to)
    at = to
    return piece
  end
end

describe("multipart.parts", function()
  it("RFC 7578: reads fields and files", function()
    assert.same({ { "title", false, "text/plain", "Caf\xc3\xa9" }, { "doc", "a.txt", "text/plain; charset=utf-8",
      "1\r\n2" } },
      read(body_of { field("title", "Caf\xc3\xa9"), file("doc", "a.txt", "1\r\n2", "text/plain; charset=utf-8") }))
    assert.same({}, read "--b--\r\n")
    assert.same({ { "a", false, "text/plain", "" } }, read(body_of { field("a", "") }))
  end)

  it("gives the same however the body is cut", function()
    local body = "preamble\r\n" .. body_of { field("a", "\r\n--\r\n-\r\n--c"), file("f", "x",
      ("\r\n"):rep(9) .. "\0\xff") } ..
      "epilogue"
    local whole = read(body)
    assert.equal(2, #whole)
    for at = 0, #body do
      assert.same(whole, read(cut(body, at)))
    end
    local at = 0
    assert.same(whole, read(function()
      at = at + 1
      return at <= #body and body:sub(at, at) or nil
    end))
  end)

  it("reads other kinds, whose parts need no names", function()
    assert.same({ { nil, false, "text/html", "x" }, { nil, "y.txt", "text/plain", "y" } },
      read(body_of { { "Content-Type: text/html", "x" }, { "Content-Disposition: attachment; filename=y.txt", "y" } },
        "multipart/mixed; boundary=b"))
  end)

  it("skips what nobody reads", function()
    local names = {}
    for part in multipart.parts(body_of { field("a", "1"), file("f", "x", ("y"):rep(100000)), field("c", "3") },
      FORM) do
      names[#names + 1] = part.name
    end
    assert.same({ "a", "f", "c" }, names)
  end)

  it("gives content in pieces", function()
    local pieces = {}
    for part in multipart.parts(cut(body_of { field("a", "12345") }, 50), FORM) do
      for data in part:chunks() do pieces[#pieces + 1] = data end
    end
    assert.equal("12345", table.concat(pieces))
    assert.is_true(#pieces > 1)
  end)

  it("gives pieces to whom the iterator is handed on to", function()
    local function count(chunks, unit)
      local bytes = 0
      for data in chunks do bytes = bytes + #data end
      return bytes .. unit
    end
    for part in multipart.parts(body_of { field("a", "12345") }, FORM) do
      assert.equal("5 bytes", count(part:chunks(), " bytes"))
    end
  end)

  it("asks for no more than what is read, so that the client has to wait", function()
    local asked, body = 0, body_of { file("f", "x", ("y"):rep(1000)), field("a", "1") }
    local function source()
      asked = asked + 1
      return body:sub(100 * asked - 99, 100 * asked)
    end
    local reader, state = multipart.parts(source, FORM)
    assert.equal(0, asked)
    local part = reader(state)
    local before = asked
    for data in part:chunks() do
      assert.is_true(#data > 0)
      if asked > before + 5 then break end
      assert.is_true(asked <= before + 1)
      before = asked
    end
    assert.is_true(asked <= 12)
    assert.equal("a", reader(state).name)
  end)

  it("keeps a part to its turn", function()
    local body = body_of { field("a", "1"), field("b", "2") }
    local first
    for part in multipart.parts(body, FORM) do
      if first then
        assert.has_error(function() first:read_all() end, "the part is over: the loop has gone on to the next one")
        assert.has_error(function() first:chunks() end)
        assert.has_error(function() first:save "/tmp/x" end)
      end
      first = first or part
      part:read_all()
      assert.has_error(function() part:read_all() end, "the part has been read already")
    end
  end)

  it("takes only options that there are", function()
    assert.has_error(function() multipart.parts("", FORM, { max_part = 1 }) end,
      "multipart.parts: unknown option 'max_part' (did you mean 'max_parts'?)")
    for _, bad in ipairs { -1, 1.5, "1", false } do
      assert.has_error(function() multipart.parts("", FORM, { max_parts = bad }) end)
    end
  end)
end)

describe("the name of a part", function()
  local function names(disposition)
    local list = read(body_of { { "Content-Disposition: " .. disposition, "x" } })
    return list[1][1], list[1][2]
  end

  it("may be quoted or not, and its field in any case", function()
    assert.same({ "a", false }, { names "form-data; name=a" })
    assert.same({ "a b;c", false }, { names 'form-data; name="a b;c"' })
    assert.same({ 'a"b\\', false }, { names 'form-data; name="a\\"b\\\\"' })
    assert.same({ "a", "b" }, { names 'FORM-DATA ;NAME = "a" ; FileName= b ;' })
    assert.same({ "\xc3\xa4", "\xff" }, { names 'form-data; name="\xc3\xa4"; filename="\xff"' })
    assert.same({ "", false }, { names 'form-data; name=""' })
    assert.equal("x", read(body_of { { "CONTENT-DISPOSITION:form-data;name=x", "" } })[1][1])
  end)

  it("RFC 7578 4.2: of a file is never a path", function()
    local cases = {
      ["/etc/passwd"] = "passwd", ["../../x"] = "x", ["C:\\Users\\me\\a.txt"] = "a.txt", [".."] = "", ["."] = "",
      ["a/"] = "",
      ["a/.."] = "", ["a\\..\\.."] = "", [""] = "", ["a\1\127b"] = "ab", ["...."] = "....", [".htaccess"] = ".htaccess",
      ["\1.\2.\3"] = "", ["%2e%2e%2fx"] = "%2e%2e%2fx",
    }
    for sent, expected in pairs(cases) do
      assert.equal(expected, select(2, names('form-data; name=a; filename="' .. sent .. '"')), sent)
    end
  end)

  it("RFC 8187: of a file may be extended, which counts where it makes sense", function()
    local function extended(value)
      return select(2, names("form-data; name=a; filename=plain; filename*=" .. value))
    end
    assert.equal("\xe2\x82\xac rates", extended "UTF-8''%e2%82%ac%20rates")
    assert.equal("x", extended "utf-8'en'x")
    assert.equal("x", extended "utf-8''..%2fx")
    assert.equal("x", extended "utf-8''c:%5Cx")
    for _, bad in ipairs { "utf-8''%ff", "utf-8''%0d%0aX:1", "utf-8''%00", "utf-8''%4", "utf-16''x", "x", "''x" } do
      assert.equal("plain", extended(bad), bad)
    end
    assert.equal("x", select(2, names "form-data; name=a; filename*=utf-8''x"))
  end)

  it("has to be there, once, and well-formed", function()
    for _, bad in ipairs { "form-data", "form-data; name", 'form-data; name="a', 'form-data; name="a"b',
      "attachment; name=a",
      "form-data; name=a; name=b", "form-data; name=a; filename=b; FILENAME=c", "form-data; =a", "form-data name=a",
      'form-data; name="a\\"', "; name=a", "", "form-data; filename=a" } do
      local err = failure(body_of { { "Content-Disposition: " .. bad, "x" } })
      assert.equal(400, err.status, bad)
    end
    assert.equal(400, failure(body_of { { "Content-Type: text/plain", "x" } }).status)
    assert.equal(400, failure(body_of { field("a", "x"), { "Content-Disposition: form-data; name=a\r\n" ..
      "Content-Disposition: form-data; name=b", "x" } }).status)
  end)
end)

describe("a multipart body is refused", function()
  it("with 415 where it is of another type, 400 where it has no boundary", function()
    assert.equal(415, failure("", "text/plain").status)
    assert.equal(415, failure("", "multipart/").status)
    assert.equal(415, failure("", "").status)
    assert.has_error(function() multipart.parts("", nil) end)
    for _, type in ipairs { "multipart/form-data", "multipart/form-data; boundary=",
      'multipart/form-data; boundary=" "',
      "multipart/form-data; boundary=" .. ("x"):rep(71), 'multipart/form-data; boundary="a\1"' } do
      assert.equal(400, failure("--b--", type).status, type)
    end
    assert.equal(415, failure("", "multipart/form-data; boundary=a; boundary=b").status)
    assert.same({}, read("--x y--", 'Multipart/Form-Data; charset=utf-8; Boundary="x y"'))
    assert.same({}, read("--" .. ("x"):rep(70) .. "--", "multipart/form-data; boundary=" .. ("x"):rep(70)))
  end)

  it("where it is cut off, wherever", function()
    local body = body_of { field("a", "1"), file("f", "x", "y") }
    for at = 0, #body - 3 do -- without the CRLF at the end it is complete
      assert.equal(400, failure(body:sub(1, at)).status)
    end
    assert.equal(2, #read(body:sub(1, -3)))
  end)

  it("where a line is malformed", function()
    for _, head in ipairs { "no colon", ": x", "A b: x", "A : x", "A: x\r\n folded", "A: 1\r\na: 2", "A:\1\nB: x",
      "\xff: x" } do
      local err = failure(body_of { { 'Content-Disposition: form-data; name="a"\r\n' .. head, "x" } })
      assert.equal(400, err.status, head)
    end
    assert.equal(400, failure("--b\n\n").status)
    assert.equal(400, failure("--bb--").status)
    assert.equal(400, failure("--c\r\n\r\n\r\n--c--").status)
  end)

  it("where its content is encoded", function()
    local function encoded(encoding)
      return body_of { { "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: " .. encoding, "x" } }
    end
    assert.equal(400, failure(encoded "base64").status)
    assert.equal("x", read(encoded "Binary")[1][4])
  end)

  local function check_limit(options, good, bad, status)
    assert.is_table(read(good, FORM, options))
    assert.equal(status, failure(bad, FORM, options).status)
    assert.equal(status, failure(cut(bad, #bad // 2), FORM, options).status)
  end

  it("over its limits", function()
    local a, b = field("a", "123"), file("b", "x", "12345")
    check_limit({ max_parts = 2 }, body_of { a, b }, body_of { a, b, a }, 413)
    check_limit({ max_field = 3 }, body_of { a, b }, body_of { field("a", "1234") }, 413)
    check_limit({ max_file = 5 }, body_of { b }, body_of { file("b", "x", "123456") }, 413)
    check_limit({ max_name = 3 }, body_of { field("abc", "") }, body_of { field("abcd", "") }, 400)
    check_limit({ max_header_bytes = #a[1] + 2 }, body_of { a }, body_of { { a[1] .. "x", "" } }, 413)
    assert.equal(413, failure(body_of { field("a", ("x"):rep(65537)) }).status)
    local parts = {}
    for i = 1, 1001 do parts[i] = a end
    assert.equal(413, failure(body_of(parts)).status)
  end)

  it("in words that can be shown", function()
    local err = failure(body_of { file("\27[31m\xff", "x", "12345") }, FORM, { max_file = 1 })
    assert.equal("the file '?[31m?' is larger than 1 bytes", err.message)
    assert.is_true(#failure("", "\xff" .. ("x"):rep(1000)).message < 300)
  end)

  it("also for those who read less than all of it", function()
    local reader, state = multipart.parts(body_of { field("a", "1234"), field("b", "1") }, FORM, { max_field = 3 })
    reader(state)
    local ok, err = pcall(reader, state)
    assert.same({ false, 413 }, { ok, err.status })
    assert.equal(err, select(2, pcall(reader, state)))
    reader, state = multipart.parts(body_of { file("a", "x", "1234") }, FORM)
    local part = reader(state)
    ok, err = pcall(part.read_all, part, 3)
    assert.same({ false, 413 }, { ok, err.status })
  end)

  it("in a time that grows no faster than the body", function()
    local n = 200000
    local heads = { ("a"):rep(n), "A:" .. (" "):rep(n) .. "x", "A: " .. ("x "):rep(n // 2),
      "Content-Disposition: form-data" .. (";"):rep(n), "Content-Disposition: form-data; name=" .. (" "):rep(n) .. "x",
      'Content-Disposition: form-data; name="' .. ("\\"):rep(n),
        'Content-Disposition: form-data; name="' .. ("/"):rep(n) .. '"',
      "Content-Disposition: form-data; name=a; filename=" .. ("/"):rep(n),
      "Content-Disposition: form-data; name=a; filename*=utf-8''" .. ("%2f"):rep(n // 3),
        ("A:1\r\n"):rep(n // 5) .. "B:1" }
    for _, head in ipairs(heads) do
      pcall(read, body_of { { head, "" } }, FORM, { max_header_bytes = 2 * n, max_name = 2 * n })
    end
    for _, content in ipairs { ("\r"):rep(n), ("\r\n--"):rep(n // 4), ("\r\n--bbbbbbbbbbbbbbb"):rep(n // 20) } do
      local type = "multipart/form-data; boundary=" .. ("b"):rep(70)
      assert.equal(content, read(body_of({ file("f", "x", content) }, ("b"):rep(70)), type)[1][4])
    end
  end)
end)

describe("multipart.boundary", function()
  it("is what a content type names", function()
    assert.same({ "multipart/mixed", "x" }, { multipart.boundary 'Multipart/Mixed; boundary="x"' })
    assert.same({ nil, "EMEDIATYPE: the body is no multipart: its content-type is missing", "EMEDIATYPE" },
      { multipart.boundary() })
    assert.equal("EINVAL", (select(3, multipart.boundary "multipart/mixed")))
  end)
end)

describe("a request with a form", function()
  local folder

  before_each(function() folder = assert(fs.mkdtemp "/tmp/luaserve-spec-") end)
  after_each(function()
    http_servers.clean_up()
    assert(fs.rm(folder, { recursive = true }))
  end)

  local function serve(handler, options)
    local _, address = http_servers.serve(options or { max_body = 1 << 24 }, handler)
    return address
  end

  local function post(address, body, type)
    return client.request(address, { method = "POST", body = body, headers = { ["content-type"] = type or FORM } })
  end

  local function list_folder() return assert(fs.readdir(folder)) end

  it("is read part by part, with its files saved", function()
    local content = ("0123456789abcde\n"):rep(65536)
    local address = serve(function(req, res)
      local seen = {}
      for part in req:multipart() do
        local value = part.filename and assert(part:save(folder .. "/saved")) or part:read_all()
        seen[#seen + 1] = part.name .. "=" .. value
      end
      res:send(table.concat(seen, " "))
    end)
    local response = post(address, body_of { field("a", "1"), file("f", "x.bin", content), field("b", "2") })
    assert.same({ 200, "a=1 f=1048576 b=2" }, { response.status, response.body })
    assert.is_true(assert(fs.read_file(folder .. "/saved")) == content)
    assert.equal(384, assert(fs.stat(folder .. "/saved")).mode & 511)
  end)

  it("saves to new files unless it is told otherwise, and with the mode asked for", function()
    local address = serve(function(req, res)
      for part in req:multipart() do
        local size, message, code = part:save(folder .. "/x", part.name == "o" and { overwrite = true,
          mode = 416 } or nil)
        res:send(size and tostring(size) or code .. message)
      end
    end)
    assert.equal("3", post(address, body_of { file("f", "x", "one") }).body)
    assert.matches("^EEXISTEEXIST: ", post(address, body_of { file("f", "x", "two") }).body)
    assert.equal("one", fs.read_file(folder .. "/x"))
    assert.equal("5", post(address, body_of { file("o", "x", "three") }).body)
    assert.equal("three", fs.read_file(folder .. "/x"))
    assert.equal(416, assert(fs.stat(folder .. "/x")).mode & 511)
    assert.same({ "x" }, list_folder())
  end)

  it("leaves no half of a file", function()
    local address = serve(function(req)
      for part in req:multipart { max_file = 100000 } do
        part:save(folder .. "/x", part.name == "o" and { overwrite = true } or nil)
      end
    end)
    assert.equal(413, post(address, body_of { file("f", "x", ("y"):rep(100001)) }).status)
    assert.equal(400, post(address, "--b\r\n" .. file("f", "x", "")[1] .. "\r\n\r\n" .. ("y"):rep(90000)).status)
    assert.same({}, list_folder())
    assert(fs.write_file(folder .. "/x", "old"))
    assert.equal(413, post(address, body_of { file("o", "x", ("y"):rep(100001)) }).status)
    assert.same({ "x" }, list_folder())
    assert.equal("old", fs.read_file(folder .. "/x"))
  end)

  it("is answered 400, 413 or 415 without an app too, and the log has no traceback", function()
    local address = serve(function(req, res)
      for _ in req:multipart { max_parts = 1 } do end
      res:send "ok"
    end)
    assert.equal(200, post(address, body_of { field("a", "1") }).status)
    assert.equal(413, post(address, body_of { field("a", "1"), field("b", "2") }).status)
    assert.equal(400, post(address, "--b\r\n").status)
    assert.equal(400, post(address, "x", "multipart/form-data").status)
    assert.equal(415, post(address, "a=1", "application/x-www-form-urlencoded").status)
    assert.equal(415, client.request(address, { method = "POST" }).status)
    local small = serve(function(req) for part in req:multipart() do part:read_all() end end, { max_body = 100 })
    local connection <close> = client.connect(small)
    connection:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: " .. FORM .. "\r\nTransfer-Encoding: chunked\r\n" ..
      "\r\na0\r\n" .. ("x"):rep(160) .. "\r\n0\r\n\r\n")
    assert.equal(413, connection:response().status)
  end)

  it("whose client leaves in the middle leaves no file", function()
    local begun, begin = waits.gate()
    local address = serve(function(req)
      for part in req:multipart() do
        begin()
        part:save(folder .. "/x")
      end
    end)
    do
      local connection <close> = client.connect(address)
      local head = "--b\r\n" .. file("f", "x", "")[1] .. "\r\n\r\nhalf"
      connection:write(client.format { method = "POST", headers = { ["content-type"] = FORM,
        ["content-length"] = 1000 } })
      connection:write(head)
      begun()
    end
    waits.eventually(function() return #list_folder() == 0 end)
  end)

  it("is read as a whole, with large files in temporary ones that go away", function()
    local seen
    local address = serve(function(req, res)
      local fields, files, list = req:multipart_form { spool_over = 10, folder = folder }
      seen = { fields = fields, small = files.small, large = files.large, count = #list, list = list,
        left = list_folder() }
      seen.mode = assert(fs.stat(files.large.path)).mode & 511
      seen.content = files.large:read_all()
      assert(files.large:save(folder .. "/kept"))
      assert(files.small:save(folder .. "/small"))
      res:send "ok"
    end)
    local large = ("large"):rep(50000)
    assert.equal("ok", post(address, body_of { field("a", "1"), file("small", "s.txt", "0123456789", "text/x"),
      field("a", "2"),
      file("large", "l.bin", large), file("none", "", "") }).body)
    assert.same({ a = "1" }, seen.fields)
    assert.same({ "small", "s.txt", "text/x", 10, "0123456789" }, { seen.small.name, seen.small.filename,
      seen.small.content_type, seen.small.size, seen.small.data })
    assert.is_nil(seen.large.data)
    assert.equal(#large, seen.large.size)
    assert.is_true(seen.content == large)
    assert.equal(384, seen.mode)
    assert.equal(1, #seen.left)
    assert.equal(4, seen.count)
    assert.same({ name = "a", value = "2" }, seen.list[3])
    waits.eventually(function() return #list_folder() == 2 end)
    assert.same({ "kept", "small" }, list_folder())
    assert.is_true(fs.read_file(folder .. "/kept") == large)
    assert.equal("0123456789", fs.read_file(folder .. "/small"))
  end)

  it("takes its temporary files along however it ends", function()
    local how, arrived, arrive
    local address = serve(function(req, res)
      req:multipart_form { spool_over = 0, folder = folder, max_files = 2 }
      assert.equal(2, #list_folder())
      if how == "error" then error "own fault" end
      arrive()
      if how == "leave" then require "luaserve.timer".sleep(60) end
      res:send "ok"
    end, { cancel_on_close = true, max_body = 1 << 20 })
    local two = body_of { file("a", "a", "1"), file("b", "b", "2") }
    how = "error"
    assert.equal(500, post(address, two).status)
    waits.eventually(function() return #list_folder() == 0 end)
    assert.equal(413, post(address, body_of { file("a", "a", "1"), file("b", "b", "2"), file("c", "c", "3") }).status)
    waits.eventually(function() return #list_folder() == 0 end)
    assert.equal(400, post(address, two:sub(1, -10)).status)
    waits.eventually(function() return #list_folder() == 0 end)
    how = "leave"
    arrived, arrive = waits.gate()
    do
      local connection <close> = client.connect(address)
      connection:write(client.format { method = "POST", body = two, headers = { ["content-type"] = FORM } })
      arrived()
      assert.equal(2, #list_folder())
    end
    waits.eventually(function() return #list_folder() == 0 end)
  end)

  it("is bounded in memory", function()
    local address = serve(function(req, res)
      local _, files, list = req:multipart_form { max_memory = 20, folder = folder }
      res:send(#list .. (files.f and files.f.path and " on disk" or ""))
    end)
    assert.equal("2", post(address, body_of { field("a", ("x"):rep(9)), field("b", ("x"):rep(9)) }).body)
    assert.equal(413, post(address, body_of { field("a", ("x"):rep(9)), field("b", ("x"):rep(10)) }).status)
    assert.equal("1 on disk", post(address, body_of { file("f", "x", ("x"):rep(21)) }).body)
    assert.equal(415, post(address, "--b--", "multipart/mixed; boundary=b").status)
  end)
end)
