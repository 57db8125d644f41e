-- SPDX-License-Identifier: MIT
--- Requests for ranges of a file (RFC 9110 14), single and several, and how little a client can make of them.

local client = require "spec.support.client"
local files = require "spec.support.files"
local servers = require "spec.support.http_servers"
local fs, timer = require "luaserve.fs", require "luaserve.timer"

local SIZE = 300000 -- more than one piece, and no multiple of one

local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local SECONDS = 784111777

local _, address, content

--- Bytes none of which tells where it stands by its neighbours alone.
local function make_content()
  local parts = {}
  for i = 1, SIZE // 10 do parts[i] = ("%09d\n"):format(i) end
  return table.concat(parts)
end

local function request(range, more)
  local headers = { range = range }
  for name, value in pairs(more and more.headers or {}) do headers[name] = value end
  return { path = more and more.path or "/data.txt", method = more and more.method, headers = headers }
end

local function get(range, more)
  return client.request(address, request(range, more))
end

setup(function()
  files.make_folder()
  content = make_content()
  files.put(files.at("data.txt"), content)
  files.put(files.at("empty.txt"), "")
  files.put(files.at("page.txt"), "page")
  assert(fs.utime(files.at("data.txt"), SECONDS, SECONDS))
  _, address = servers.serve({}, function(req, res)
    local ranges = req.query.ranges and req.query.ranges == "true"
    local status = tonumber(req.query.status)
    assert(res:send_file(files.at(req.path:sub(2)), { ranges = ranges, status = status }))
  end)
  while client.request(address, { path = "/data.txt" }).headers.etag:sub(1, 2) == "W/" do timer.sleep(0.05) end
end)

teardown(function()
  servers.clean_up()
  files.remove_folder()
end)

--- From the content: the bytes first to last, counted from 0.
local function bytes(first, last)
  return content:sub(first + 1, last + 1)
end

--- What a multipart/byteranges response consists of: a list of { range, type, content }.
local function parts_of(response)
  local boundary = assert(response.headers["content-type"]:match("^multipart/byteranges; boundary=(%w+)$"))
  local at, parts = 1, {}
  while true do
    local front = (at == 1 and "" or "\r\n") .. "--" .. boundary
    assert.equal(front, response.body:sub(at, at + #front - 1))
    at = at + #front
    if response.body:sub(at) == "--\r\n" then return parts, boundary end
    local head, next_at = response.body:match("^\r\n(.-)\r\n\r\n()", at)
    local first, last, size = head:match("Content%-Range: bytes (%d+)%-(%d+)/(%d+)$")
    assert.equal(tostring(SIZE), size)
    parts[#parts + 1] = { first .. "-" .. last, head:match("Content%-Type: ([^\r]+)"),
      response.body:sub(next_at, next_at + last - first) }
    at = next_at + (last - first) + 1
  end
end

describe("one range", function()
  for value, expected in pairs {
    ["bytes=0-0"] = { 0, 0 }, ["bytes=5-9"] = { 5, 9 }, ["bytes=299990-"] = { 299990, 299999 },
    ["bytes=-10"] = { 299990, 299999 }, ["bytes=0-"] = { 0, 299999 }, ["bytes=1-299998"] = { 1, 299998 },
    ["bytes=131072-262144"] = { 131072, 262144 }, ["bytes=100-999999999999"] = { 100, 299999 },
    ["bytes=-999999999999"] = { 0, 299999 }, ["BYTES=1-2"] = { 1, 2 },
  } do
    it("is 206 with its place: " .. value .. " (RFC 9110 14.1.2, 15.3.7.1)", function()
      local response = get(value)
      local first, last = expected[1], expected[2]
      assert.equal(206, response.status)
      assert.equal(("bytes %d-%d/%d"):format(first, last, SIZE), response.headers["content-range"])
      assert.equal(tostring(last - first + 1), response.headers["content-length"])
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      assert.equal("bytes", response.headers["accept-ranges"])
      assert.is_true(bytes(first, last) == response.body)
    end)
  end

  it("has the validators of the whole (RFC 9110 15.3.7)", function()
    local whole, part = get(nil), get("bytes=0-0")
    assert.equal(whole.headers.etag, part.headers.etag)
    assert.equal(whole.headers["last-modified"], part.headers["last-modified"])
  end)
end)

describe("a Range field", function()
  local function is_ignored(response)
    assert.equal(200, response.status)
    assert.is_nil(response.headers["content-range"])
    assert.equal(tostring(SIZE), response.headers["content-length"])
  end

  it("is ignored in another unit or malformed (RFC 9110 14.2)", function()
    for _, value in ipairs { "items=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1;",
      "bytes=0-1,x", "0-1" } do
      is_ignored(get(value))
    end
  end)

  it("is ignored when it comes twice", function()
    local connection <close> = client.connect(address)
    connection:write("GET /data.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nRange: bytes=0-1\r\n\r\n")
    is_ignored(connection:response())
  end)

  it("is for GET (RFC 9110 14.2)", function()
    is_ignored(get("bytes=0-1", { method = "HEAD" }))
    is_ignored(get("bytes=0-1", { method = "POST" }))
  end)

  it("is ignored where the file is not the plain answer, or ranges are switched off", function()
    assert.equal(404, get("bytes=0-1", { path = "/data.txt?status=404" }).status)
    assert.equal(203, get("bytes=0-1", { path = "/data.txt?status=203" }).status)
    local off = get("bytes=0-1", { path = "/data.txt?ranges=false" })
    is_ignored(off)
    assert.is_nil(off.headers["accept-ranges"])
  end)

  it("without a byte of the file in it is 416 with the size (RFC 9110 14.4, 15.5.17)", function()
    for _, value in ipairs { "bytes=300000-", "bytes=-0", "bytes=999999-9999999,300000-300001" } do
      local response = get(value)
      assert.equal(416, response.status)
      assert.equal("bytes */300000", response.headers["content-range"])
      assert.equal("Range Not Satisfiable", response.body)
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    end
    assert.equal("bytes */0", get("bytes=0-", { path = "/empty.txt" }).headers["content-range"])
    assert.equal(200, get("bytes=-1", { path = "/empty.txt" }).status)
  end)
end)

describe("If-Range", function()
  it("keeps the range where its validator is the file's (RFC 9110 13.1.5)", function()
    local tag = get(nil).headers.etag
    assert.equal(206, get("bytes=0-1", { headers = { ["if-range"] = tag } }).status)
    assert.equal(206, get("bytes=0-1", { headers = { ["if-range"] = DATE } }).status)
    for _, value in ipairs { '"other"', "W/" .. tag, "Sun, 06 Nov 1994 08:49:38 GMT", "nonsense", tag:sub(2, -2) } do
      local response = get("bytes=0-1", { headers = { ["if-range"] = value } })
      assert.equal(200, response.status, value)
      assert.is_true(content == response.body)
    end
  end)

  it("takes an unsatisfiable range away too (RFC 9110 13.1.5)", function()
    assert.equal(200, get("bytes=300000-", { headers = { ["if-range"] = '"other"' } }).status)
  end)

  it("is looked at after the other preconditions (RFC 9110 13.2.2)", function()
    local tag = get(nil).headers.etag
    assert.equal(304, get("bytes=0-1", { headers = { ["if-none-match"] = tag, ["if-range"] = tag } }).status)
    assert.equal(412, get("bytes=0-1", { headers = { ["if-match"] = '"x"' } }).status)
    assert.equal(206, get("bytes=0-1", { headers = { ["if-match"] = tag } }).status)
  end)

  it("does not merge what is not strong: a file that has just changed", function()
    files.put(files.at("page.txt"), "page")
    local tag = get(nil, { path = "/page.txt" }).headers.etag
    assert.matches('^W/', tag)
    assert.equal(200, get("bytes=0-1", { path = "/page.txt", headers = { ["if-range"] = tag } }).status)
    assert.equal(206, get("bytes=0-1", { path = "/page.txt" }).status)
  end)
end)

describe("several ranges", function()
  it("are the parts of a multipart/byteranges body, in their order (RFC 9110 14.6, 15.3.7.2)", function()
    local response = get("bytes=1000-1999, 0-0, -5, 150000-290000")
    assert.equal(206, response.status)
    assert.is_nil(response.headers["content-range"])
    assert.same({
      { "1000-1999", "text/plain; charset=utf-8", bytes(1000, 1999) },
      { "0-0", "text/plain; charset=utf-8", bytes(0, 0) },
      { "299995-299999", "text/plain; charset=utf-8", bytes(299995, 299999) },
      { "150000-290000", "text/plain; charset=utf-8", bytes(150000, 290000) },
    }, (parts_of(response)))
    assert.equal(#response.body, tonumber(response.headers["content-length"]))
  end)

  it("have a boundary that nobody can foresee", function()
    local seen = {}
    for _ = 1, 5 do
      local _, boundary = parts_of(get("bytes=0-0,-1"))
      assert.is_nil(seen[boundary])
      seen[boundary] = true
      assert.is_true(#boundary >= 24)
    end
  end)

  it("are one when one is left (RFC 9110 15.3.7.2)", function()
    local response = get("bytes=0-4,300000-")
    assert.equal("bytes 0-4/300000", response.headers["content-range"])
    assert.equal(bytes(0, 4), response.body)
  end)

  it("are joined where they overlap or nearly meet: no byte is sent twice (RFC 9110 17.15)", function()
    assert.equal("bytes 0-9/300000", get("bytes=0-4,2-9").headers["content-range"])
    assert.equal("bytes 0-60/300000", get("bytes=50-60,0-4").headers["content-range"])
    local response = get("bytes=" .. ("0-,"):rep(15) .. "0-")
    assert.equal("bytes 0-299999/300000", response.headers["content-range"])
    assert.equal(tostring(SIZE), response.headers["content-length"])
  end)

  it("that are more than 16 are not followed (RFC 9110 14.2, 17.15)", function()
    local list = {}
    for i = 1, 16 do list[i] = ("%d-%d"):format(i * 1000, i * 1000) end
    assert.equal(16, #parts_of(get("bytes=" .. table.concat(list, ","))))
    list[17] = "17000-17000"
    assert.equal(200, get("bytes=" .. table.concat(list, ",")).status)
  end)

  it("keep to the type that the handler has set", function()
    local _, where = servers.serve({}, function(_, res)
      res:set("content-type", "text/x-own")
      assert(res:send_file(files.at("data.txt")))
    end)
    local parts = parts_of(client.request(where, request("bytes=0-0,-1")))
    assert.equal("text/x-own", parts[1][2])
    assert.equal("text/x-own", parts[2][2])
  end)
end)

describe("a connection", function()
  it("answers pipelined ranges in their order (RFC 9112 9.3.2)", function()
    local connection <close> = client.connect(address)
    local values = { "bytes=0-9", "bytes=100000-299999", "bytes=0-0,-1", "bytes=-1", "bytes=999999-", "bytes=10-19" }
    local sent = {}
    for i, value in ipairs(values) do sent[i] = client.format(request(value)) end
    connection:write(table.concat(sent))
    local statuses = {}
    for i = 1, #values do
      local response = connection:response()
      statuses[i] = response.status
      if i == 2 then assert.is_true(bytes(100000, 299999) == response.body) end
      if i == 3 then assert.equal(2, #parts_of(response)) end
      if i == 6 then assert.equal(bytes(10, 19), response.body) end
    end
    assert.same({ 206, 206, 206, 206, 416, 206 }, statuses)
  end)
end)
