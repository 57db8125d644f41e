-- SPDX-License-Identifier: MIT
--- Conditional requests (RFC 9110 13): to files, and to handlers that make their own content, with res:precondition.

local client = require "spec.support.client"
local files = require "spec.support.files"
local servers = require "spec.support.http_servers"
local fs, timer = require "luaserve.fs", require "luaserve.timer"

local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local SECONDS = 784111777

local _, address

--- The answer of a handler to a request of these fields.
local function ask(handler, method, headers)
  local _, where = servers.serve({}, handler)
  return client.request(where, { method = method, headers = headers })
end

setup(function()
  files.make_folder()
  files.put(files.at("page.txt"), "content\n")
  assert(fs.utime(files.at("page.txt"), SECONDS, SECONDS))
  files.put(files.at("fresh.txt"), "fresh\n")
  _, address = servers.serve({}, function(req, res)
    if req.query.status then res.status = tonumber(req.query.status) end
    if req.query.tag then res:set("etag", req.query.tag) end
    res:set("x-other", "kept")
    assert(res:send_file(files.at(req.path:sub(2)), { max_age = 60 }))
  end)
  -- A tag is weak until the change of its file is two seconds old, and these are about strong ones.
  local function tag() return client.request(address, { path = "/page.txt" }).headers.etag end
  while tag():sub(1, 2) == "W/" do timer.sleep(0.05) end
end)

teardown(function()
  servers.clean_up()
  files.remove_folder()
end)

local function get(headers, path, method)
  return client.request(address, { path = path or "/page.txt", headers = headers, method = method })
end

describe("a file's answer", function()
  it("has validators (RFC 9110 8.8.2, 8.8.3)", function()
    local response = get()
    assert.equal(200, response.status)
    assert.matches('^"%x+%-%x+"$', response.headers.etag)
    assert.equal(DATE, response.headers["last-modified"])
    assert.equal("max-age=60", response.headers["cache-control"])
  end)

  it("has a weak tag while the file may change again within the clock's grain (RFC 9110 8.8.1)", function()
    files.put(files.at("fresh.txt"), "fresh\n")
    local response = get(nil, "/fresh.txt")
    assert.matches('^W/"%x+%-%x+"$', response.headers.etag)
    assert.equal(304, get({ ["if-none-match"] = response.headers.etag }, "/fresh.txt").status)
    assert.equal(412, get({ ["if-match"] = response.headers.etag }, "/fresh.txt").status)
  end)

  it("has another tag when the file was replaced by one of the same size and time", function()
    local function make(name)
      files.put(files.at(name), "same size")
      assert(fs.utime(files.at(name), SECONDS, SECONDS))
    end
    make "a.txt"
    local first = get(nil, "/a.txt").headers.etag
    make "b.txt"
    assert(fs.rename(files.at("b.txt"), files.at("a.txt")))
    assert.not_equal(first, get(nil, "/a.txt").headers.etag)
  end)

  it("never has a Last-Modified after its Date (RFC 9110 8.8.2.1)", function()
    files.put(files.at("future.txt"), "x")
    assert(fs.utime(files.at("future.txt"), os.time() + 86400, os.time() + 86400))
    local headers = get(nil, "/future.txt").headers
    assert.not_nil(headers["last-modified"])
    local function seconds(text)
      local months = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10,
        Nov = 11, Dec = 12 }
      local day, month, year, hour, min, sec = text:match("(%d+) (%a+) (%d+) (%d+):(%d+):(%d+)")
      return os.time { day = day, month = months[month], year = year, hour = hour, min = min, sec = sec }
    end
    assert.is_true(seconds(headers["last-modified"]) <= seconds(headers.date))
  end)

  it("is 304 without content and its fields when the tag matches (RFC 9110 13.1.2, 15.4.5)", function()
    local tag = get().headers.etag
    for _, method in ipairs { "GET", "HEAD" } do
      for _, value in ipairs { tag, "W/" .. tag, '"x", ' .. tag, "*" } do
        local response = get({ ["if-none-match"] = value }, nil, method)
        assert.equal(304, response.status)
        assert.equal(tag, response.headers.etag)
        assert.equal("max-age=60", response.headers["cache-control"])
        assert.equal("kept", response.headers["x-other"])
        for _, name in ipairs { "content-type", "content-length", "last-modified", "accept-ranges" } do
          assert.is_nil(response.headers[name], name)
        end
      end
    end
    assert.equal(200, get { ["if-none-match"] = '"x"' }.status)
    assert.equal(200, get { ["if-none-match"] = tag:sub(2, -2) }.status)
  end)

  it("is 304 when it has not changed since (RFC 9110 13.1.3)", function()
    assert.equal(304, get { ["if-modified-since"] = DATE }.status)
    assert.equal(304, get { ["if-modified-since"] = "Sunday, 06-Nov-94 08:49:37 GMT" }.status)
    assert.equal(304, get { ["if-modified-since"] = "Sun Nov  6 08:49:37 1994" }.status)
    assert.equal(200, get { ["if-modified-since"] = "Sun, 06 Nov 1994 08:49:36 GMT" }.status)
    assert.equal(200, get { ["if-modified-since"] = "nonsense" }.status)
    assert.equal(200, get { ["if-modified-since"] = DATE, ["if-none-match"] = '"x"' }.status)
  end)

  it("is 412 when it is not the one that was meant (RFC 9110 13.1.1, 13.1.4)", function()
    local tag = get().headers.etag
    local response = get { ["if-match"] = '"x"' }
    assert.equal(412, response.status)
    assert.equal("Precondition Failed", response.body)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.is_nil(response.headers["cache-control"])
    assert.equal(412, get { ["if-match"] = "W/" .. tag }.status)
    assert.equal(200, get { ["if-match"] = tag }.status)
    assert.equal(200, get { ["if-match"] = "*" }.status)
    assert.equal(412, get { ["if-unmodified-since"] = "Sun, 06 Nov 1994 08:49:36 GMT" }.status)
    assert.equal(200, get { ["if-unmodified-since"] = DATE }.status)
  end)

  it("asks nothing where the answer is no 2xx, nor of other methods (RFC 9110 13.2.1)", function()
    local tag = get().headers.etag
    assert.equal(404, get({ ["if-none-match"] = tag }, "/page.txt?status=404").status)
    assert.equal(404, get({ ["if-match"] = '"x"' }, "/page.txt?status=404").status)
    assert.equal(200, get({ ["if-none-match"] = tag }, nil, "POST").status)
    assert.equal(200, get({ ["if-match"] = '"x"' }, nil, "OPTIONS").status)
  end)

  it("goes by the tag that the handler has set", function()
    local path = "/page.txt?tag=%22own%22"
    assert.equal('"own"', get(nil, path).headers.etag)
    assert.equal(304, get({ ["if-none-match"] = '"own"' }, path).status)
    assert.equal(200, get({ ["if-none-match"] = get().headers.etag }, path).status)
  end)
end)

describe("the validators of res:send_file", function()
  local path = function() return files.at("page.txt") end

  it("can be given or left out", function()
    local function headers(options)
      return ask(function(_, res) res:send_file(path(), options) end).headers
    end
    assert.equal('"v1"', headers({ etag = "v1" }).etag)
    assert.equal('W/"v1"', headers({ etag = 'W/"v1"' }).etag)
    assert.is_nil(headers({ etag = false }).etag)
    assert.is_nil(headers({ last_modified = false })["last-modified"])
    assert.is_nil(headers({ etag = false, last_modified = false }).etag)
  end)

  it("are no conditions where they are left out", function()
    local function status(options, request)
      return ask(function(_, res) res:send_file(path(), options) end, "GET", request).status
    end
    assert.equal(200, status({ last_modified = false }, { ["if-modified-since"] = DATE }))
    assert.equal(200, status({ etag = false }, { ["if-none-match"] = '"x"' }))
    assert.equal(304, status({ etag = "x" }, { ["if-none-match"] = '"x"' }))
    assert.equal(304, status({ etag = false }, { ["if-modified-since"] = DATE }))
  end)

  it("raise when they cannot be", function()
    ask(function(_, res)
      for _, options in ipairs { { etag = "a b" }, { etag = 'a"b' }, { etag = "" }, { etag = 1 },
        { last_modified = 1 } } do
        assert.has_error(function() res:send_file(path(), options) end)
      end
      res:send("done")
    end)
  end)
end)

describe("res:precondition", function()
  --- Status, body and what precondition returned, of a handler with these validators.
  local function try(validators, method, headers)
    local result
    local response = ask(function(_, res)
      result = res:precondition(validators)
      if result then res:send("made") end
    end, method, headers)
    return response, result
  end

  it("lets a request through, with the validators for its answer", function()
    local response, result = try({ etag = "v7", last_modified = SECONDS + 0.75 }, "GET")
    assert.is_true(result)
    assert.equal("made", response.body)
    assert.equal('"v7"', response.headers.etag)
    assert.equal(DATE, response.headers["last-modified"])
  end)

  it("answers 304 in the handler's place (RFC 9110 13.1.2, 13.1.3)", function()
    local response, result = try({ etag = "v7", last_modified = SECONDS }, "GET", { ["if-none-match"] = '"v7"' })
    assert.is_false(result)
    assert.equal(304, response.status)
    assert.equal("", response.body)
    assert.equal('"v7"', response.headers.etag)
    assert.is_nil(response.headers["content-type"])
    assert.equal(304, (try({ last_modified = SECONDS }, "HEAD", { ["if-modified-since"] = DATE })).status)
    assert.equal(200, (try({ last_modified = SECONDS + 1 }, "GET", { ["if-modified-since"] = DATE })).status)
  end)

  it("answers 412 before anything is changed (RFC 9110 13.1.1, 13.1.4)", function()
    local response, result = try({ etag = "v7" }, "PUT", { ["if-match"] = '"v6"' })
    assert.is_false(result)
    assert.equal(412, response.status)
    assert.equal("Precondition Failed", response.body)
    assert.is_true(select(2, try({ etag = "v7" }, "PUT", { ["if-match"] = '"v6", "v7"' })))
    assert.equal(412, (try({ etag = 'W/"v7"' }, "PUT", { ["if-match"] = 'W/"v7"' })).status)
    assert.equal(412, (try({ last_modified = SECONDS + 1 }, "DELETE", { ["if-unmodified-since"] = DATE })).status)
  end)

  it("knows what does not exist yet (RFC 9110 13.1.1, 13.1.2)", function()
    assert.is_true(select(2, try({ exists = false }, "PUT", { ["if-none-match"] = "*" })))
    assert.equal(412, (try({ exists = false }, "PUT", { ["if-match"] = "*" })).status)
    assert.equal(412, (try({ etag = "v1" }, "PUT", { ["if-none-match"] = "*" })).status)
  end)

  it("raises for what makes no sense", function()
    ask(function(_, res)
      for pattern, validators in pairs {
        ["did you mean 'etag'"] = { etags = "x" }, ["printable"] = { etag = "a b" },
        ["seconds since 1970"] = { last_modified = -1 },
        ["last_modified"] = { last_modified = DATE }, ["does not exist"] = { exists = false, etag = "x" },
      } do
        local ok, message = pcall(res.precondition, res, validators)
        assert.is_false(ok)
        assert.matches(pattern, message, 1, true)
      end
      assert.has_error(function() res:precondition() end)
      res:send("done")
      assert.has_error(function() res:precondition {} end, "the response has been begun already")
    end)
  end)

  it("says so when the client has left", function()
    local begun, gone, result
    local _, where = servers.serve({}, function(req, res)
      begun = true
      req:on_close(function() gone = true end)
      while not gone do timer.sleep(0) end
      result = table.pack(res:precondition { etag = "x" })
    end)
    local connection <close> = client.connect(where)
    connection:write("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    while not begun do timer.sleep(0) end
    connection.socket:reset()
    while not result do timer.sleep(0) end
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, result)
  end)
end)
