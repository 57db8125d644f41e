-- SPDX-License-Identifier: MIT
-- res:html, res:problem, res:attachment and redirections.

local client, http_servers = require "spec.support.client", require "spec.support.http_servers"
local eventually = require "spec.support.waits".eventually
local json, task = require "luaserve.json", require "luaserve.task"

after_each(function() http_servers.clean_up() end)

--- What the handler answers. An error in it is the spec's.
local function answer(handler, request)
  local failure
  local _, address = http_servers.serve(nil, function(req, res)
    local ok, err = pcall(handler, res, req)
    if not ok then
      failure = err
      if not res.headers_sent then res:send(500, "failed") end
    end
  end)
  local response = client.request(address, request or {})
  if failure then error(failure, 2) end
  return response
end

describe("res:html", function()
  it("sends HTML, with a status or without", function()
    local response = answer(function(res) assert.is_true(res:html("<p>")) end)
    assert.same({ 200, "text/html; charset=utf-8", "<p>" },
      { response.status, response.headers["content-type"], response.body })
    assert.equal(404, answer(function(res) res:html(404, "<p>") end).status)
    assert.equal("application/xhtml+xml", answer(function(res)
      res:set("content-type", "application/xhtml+xml"):html("<p/>")
    end).headers["content-type"])
  end)

  it("takes nothing else", function()
    answer(function(res)
      assert.has_error(function() res:html({}) end,
        "res:html takes a string, not a table; for tables there is res:json")
      assert.has_error(function() res:html(nil, "message") end)
      res:html("")
      assert.has_error(function() res:html("") end, "the response has been sent already")
    end)
  end)
end)

describe("res:json", function()
  it("sends what json.encode writes, of any size, one answer after the other", function()
    local value = { rows = {} }
    local _, address = http_servers.serve(nil, function(req, res)
      if req.path == "/bad" then
        assert.error_matches(function() res:json { { "text", print } } end, "res:json: cannot encode a function")
      end
      res:json(value)
    end)
    for n = 0, 11 do
      for _, path in ipairs { "/good", "/bad", "/good" } do
        local response = client.request(address, { path = path })
        assert.equal("application/json", response.headers["content-type"])
        assert.same(value, json.decode(response.body))
      end
      for i = 1, 1 << n do
        value.rows[#value.rows + 1] = { id = i, name = ("x"):rep(n) .. i, half = i / 2 }
      end
    end
  end)
end)

describe("res:problem", function()
  it("says what went wrong, for programs", function()
    local response = answer(function(res)
      res:set("content-type", "text/html")
      assert.is_true(res:problem(404, "there is no note 7", { note = 7, type = "https://example.org/no-note" }))
    end)
    assert.equal(404, response.status)
    assert.equal("application/problem+json", response.headers["content-type"])
    assert.same({ status = 404, title = "Not Found", detail = "there is no note 7", note = 7,
      type = "https://example.org/no-note" }, json.decode(response.body))
  end)

  it("needs no more than a status", function()
    assert.same({ status = 503, title = "Service Unavailable" },
      json.decode(answer(function(res) res:problem(503) end).body))
    assert.same({ status = 499 }, json.decode(answer(function(res) res:problem(499) end).body))
    assert.same({ status = 422, title = "Bad age" },
      json.decode(answer(function(res) res:problem(422, nil, { title = "Bad age", status = 200 }) end).body))
  end)

  it("takes nothing else", function()
    answer(function(res)
      assert.has_error(function() res:problem(200, "fine") end, "the status must be from 400 to 599, not 200")
      assert.has_error(function() res:problem("404") end, "the status must be an integer, not the string '404'")
      assert.has_error(function() res:problem(400, {}) end)
      assert.has_error(function() res:problem(400, "x", "y") end)
      assert.has_error(function() res:problem(400, "x", { "y" }) end)
      assert.matches("^res:problem: ", select(2, pcall(res.problem, res, 400, "x", { y = print })))
      assert.is_false(res.headers_sent)
      assert.equal(200, res.status)
      res:send("")
    end)
  end)
end)

describe("res:attachment", function()
  --- The Content-Disposition and Content-Type of an attachment with this name.
  local function headers_for(...)
    local arguments = table.pack(...)
    local response = answer(function(res)
      assert.equal(res, res:attachment(table.unpack(arguments, 1, arguments.n)))
      res:send("x")
    end)
    return response.headers["content-disposition"], response.headers["content-type"]
  end

  it("names the file, and its type", function()
    assert.same({ 'attachment; filename="a.csv"', "text/csv; charset=utf-8" }, { headers_for("a.csv") })
    assert.same({ "attachment", "text/plain; charset=utf-8" }, { headers_for() })
    assert.same({ 'attachment; filename="a b"', "application/octet-stream" }, { headers_for("a b") })
    assert.equal("text/plain", answer(function(res)
      res:set("content-type", "text/plain"):attachment("a.csv"):send("x")
    end).headers["content-type"])
  end)

  it("encodes what is not plain", function()
    assert.equal("attachment; filename=\"_bersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf",
      (headers_for("Übersicht.pdf")))
    assert.equal("attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt", (headers_for("50%.txt")))
    assert.equal('attachment; filename="a\\"b\\\\c"', (headers_for('a"b\\c')))
  end)

  it("lets nothing out of the name", function()
    assert.equal('attachment; filename="passwd"', (headers_for("../../etc/passwd")))
    assert.equal('attachment; filename=""', (headers_for("a/")))
    assert.equal("attachment; filename=\"a__set-cookie: x=1_\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x%3D1%00",
      (headers_for("a\r\nset-cookie: x=1\0")))
  end)

  it("comes before the head", function()
    answer(function(res)
      res:write("x")
      assert.has_error(function() res:attachment("a") end, "the headers have been sent already")
      res:finish()
    end)
  end)
end)

describe("redirections", function()
  it("have one of five statuses", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      local response = answer(function(res) res:redirect(status, "/a?b=c") end)
      assert.same({ status, "/a?b=c", "" }, { response.status, response.headers.location, response.body })
    end
    assert.equal(302, answer(function(res) res:redirect("https://example.org/") end).status)
    answer(function(res)
      for _, status in ipairs { 300, 304, 305, 306, 399 } do
        assert.has_error(function() res:redirect(status, "/") end)
      end
      for _, status in ipairs { 200, 404 } do assert.has_error(function() res:redirect(status, "/") end) end
      for _, url in ipairs { "/a\r\nset-cookie: x=1", "/a\nb", "/\0" } do
        assert.has_error(function() res:redirect(url) end)
      end
      assert.has_error(function() res:redirect() end)
      assert.is_false(res.headers_sent)
      res:send("")
    end)
  end)

  it("stay here where the client says to where", function()
    local function location(...)
      local arguments = table.pack(...)
      local response = answer(function(res) res:redirect_local(table.unpack(arguments, 1, arguments.n)) end)
      return response.headers.location, response.status
    end
    for _, target in ipairs { "/", "/a", "/a?b=//c", "/a//b", "/?next=https://x.example", "/:x", "/%2F/x" } do
      assert.equal(target, (location(target)))
    end
    for _, target in ipairs { "", "a", "//evil.example", "///x", "/\\evil.example", "\\/evil", "/\t/evil.example",
      "/a\r\nb: c", "https://evil.example", "javascript:alert(1)", " /a", "/a\\b", "?a", "#a" } do
      assert.equal("/", (location(target)))
      assert.same({ "/home", 303 }, { location(303, target, "/home") })
    end
    assert.same({ "/", 302 }, { location(nil) })
    assert.same({ "/home", 302 }, { location(nil, "/home") })
    assert.same({ "/home", 308 }, { location(308, nil, "/home") })
  end)
end)

describe("after the client has left", function()
  it("nothing raises", function()
    local running, results
    local gone = task.semaphore(1)
    gone:acquire()
    local server, address = http_servers.serve(nil, function(req, res)
      req:on_close(function() gone:release() end)
      running = true
      gone:acquire()
      results = {}
      for _, call in ipairs { { "html", "x" }, { "problem", 400 }, { "redirect", "/" }, { "redirect_local", "/" } } do
        results[#results + 1] = select(3, res[call[1]](res, table.unpack(call, 2)))
      end
      results[#results + 1] = select(3, res:events():send("x"))
      assert.equal(res, res:attachment("x"))
    end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(function() return running end)
    server:close(0)
    eventually(function() return results and #results == 5 end)
    assert.same({ "ECLOSED", "ECLOSED", "ECLOSED", "ECLOSED", "ECLOSED" }, results)
  end)
end)
