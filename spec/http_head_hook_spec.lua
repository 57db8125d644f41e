-- SPDX-License-Identifier: MIT
-- res:on_head, before the head of a response is made, and req:on_end, when all is over.

local client = require "spec.support.client"
local http_servers, waits = require "spec.support.http_servers", require "spec.support.waits"
local task, timer = require "luaserve.task", require "luaserve.timer"

local serve = http_servers.serve

after_each(function() http_servers.clean_up() end)

--- One request to a server with this handler.
local function ask(handler, request, options)
  local _, address = serve(options, handler)
  return client.request(address, request or {})
end

describe("res:on_head", function()
  local ways = {
    { "send", "hello", "hello", function(res) res:send("hello") end },
    { "send of a number", "7", "7", function(res) res:send(7) end },
    { "send without a body", "nil", "", function(res) res:send(204, nil) end },
    { "json", '{"a":1}', '{"a":1}', function(res) res:json { a = 1 } end },
    { "html", "<p>", "<p>", function(res) res:html("<p>") end },
    { "problem", '{"status":599}', '{"status":599}', function(res) res:problem(599) end },
    { "redirect", "nil", "", function(res) res:redirect("/other") end },
    { "redirect_local", "nil", "", function(res) res:redirect_local("/other") end },
    { "events", "nil", "data: x\n\n", function(res)
      local events <close> = res:events()
      events:send { data = "x" }
    end },
    { "finish with all of it", "all", "all", function(res) res:finish("all") end },
    { "finish without a body", "nil", "", function(res) res:finish() end },
    { "write", "nil", "ab", function(res) res:write("a") res:finish("b") end },
    { "write_head", "nil", "a", function(res) res:write_head(200) res:finish("a") end },
    { "send_file", "nil", "# luaserve", function(res) assert(res:send_file("README.md")) end },
    { "precondition", "nil", "", function(res) assert(res:precondition { etag = "v1" } == false) end },
  }
  for _, way in ipairs(ways) do
    local name, body, received, answer = table.unpack(way)
    it("is called once, before the head, by " .. name, function()
      local calls = 0
      local response = ask(function(_, res)
        res:on_head(function(...)
          calls = calls + 1
          assert(select("#", ...) == 1 and not res.headers_sent)
          res:set("x-body", tostring((...)))
        end)
        answer(res)
      end, { headers = name == "precondition" and { ["if-none-match"] = '"v1"' } or {} })
      assert.equal(1, calls)
      assert.equal(body, response.headers["x-body"])
      assert.equal(received, response.body:sub(1, math.max(#received, #response.body > 100 and 10 or 0)))
    end)
  end

  it("calls the last one first", function()
    local order = {}
    ask(function(_, res)
      for i = 1, 3 do assert.equal(res, res:on_head(function() order[#order + 1] = i end)) end
      res:send("x")
    end)
    assert.same({ 3, 2, 1 }, order)
  end)

  it("may register another one, which is called next", function()
    local order = {}
    ask(function(_, res)
      res:on_head(function() order[#order + 1] = "first" end)
      res:on_head(function()
        order[#order + 1] = "last"
        res:on_head(function() order[#order + 1] = "new" end)
      end)
      res:send("x")
    end)
    assert.same({ "last", "new", "first" }, order)
  end)

  it("may set the status, and a 304 has no body", function()
    local response = ask(function(_, res)
      res:on_head(function() res.status = 304 end)
      res:send(200, "hello")
    end)
    assert.equal(304, response.status)
    assert.equal("", response.body)
  end)

  it("sees the status that send was given, and json's type", function()
    local status, kind
    ask(function(_, res)
      res:on_head(function() status, kind = res.status, res:get("content-type") end)
      res:json(201, {})
    end)
    assert.same({ 201, "application/json" }, { status, kind })
  end)

  for _, way in ipairs(ways) do
    local name, _, _, answer = table.unpack(way)
    it("may wait, in " .. name, function()
      local response = ask(function(_, res)
        res:on_head(function()
          timer.sleep(0.001)
          res:set("x-slept", "yes")
        end)
        answer(res)
      end, { headers = name == "precondition" and { ["if-none-match"] = '"v1"' } or {} })
      assert.equal("yes", response.headers["x-slept"])
    end)

    it("raises its error where the handler answers, in " .. name, function()
      local failure
      local response = ask(function(_, res)
        res:on_head(function() error({ what = "mine" }) end)
        local ok, err = pcall(answer, res)
        failure = not ok and err
        res:send(503, "instead")
      end, { headers = name == "precondition" and { ["if-none-match"] = '"v1"' } or {} })
      assert.same({ what = "mine" }, failure)
      assert.same({ 503, "instead" }, { response.status, response.body })
    end)
  end

  it("is called where a callback's write answers", function()
    local response = ask(function(_, res)
      res:on_head(function() res:set("x-hook", "yes") end)
      res:write("a", function() res:finish("b") end)
    end)
    assert.same({ "yes", "ab" }, { response.headers["x-hook"], response.body })
  end)

  it("is called where send_file's callback form answers", function()
    local done
    local response = ask(function(_, res)
      res:on_head(function() res:set("x-hook", "yes") end)
      res:send_file("README.md", {}, function(message, ok) done = ok or message end)
    end)
    assert.equal("yes", response.headers["x-hook"])
    waits.eventually(function() return done == true end)
  end)

  it("waits for the answer that is given where there is no file", function()
    local calls = 0
    local response = ask(function(_, res)
      res:on_head(function() calls = calls + 1 end)
      assert(not res:send_file("nowhere"))
      assert(calls == 0)
      res:send(404, "none")
    end)
    assert.equal(404, response.status)
    assert.equal(1, calls)
  end)

  it("sets fields before a file's own are chosen", function()
    local response = ask(function(_, res)
      res:on_head(function() res:set("content-type", "text/x-mine") end)
      assert(res:send_file("README.md"))
    end)
    assert.equal("text/x-mine", response.headers["content-type"])
  end)

  it("is not called by an interim response", function()
    local calls = 0
    local _, address = serve(nil, function(_, res)
      res:on_head(function() calls = calls + 1 end)
      res:write_head(103, { link = "</a.css>" })
      assert(calls == 0)
      res:send("x")
    end)
    local connection <close> = client.connect(address)
    assert(connection:write(client.format {}))
    assert.equal(103, connection:response().status)
    assert.equal(200, connection:response().status)
    assert.equal(1, calls)
  end)

  it("is not called for an error that nobody answers", function()
    local calls = 0
    local response = ask(function(_, res)
      res:on_head(function() calls = calls + 1 end)
      error("an error of the spec")
    end)
    assert.same({ 500, 0 }, { response.status, calls })
  end)

  it("may answer itself; who wanted to answer is told so", function()
    local failure
    local response = ask(function(_, res)
      res:on_head(function() res:send("hook") end)
      failure = select(2, pcall(res.send, res, "handler"))
    end)
    assert.equal("hook", response.body)
    assert.equal("the response has been sent already", failure)
  end)

  it("ends with its request where that is cancelled", function()
    local entered, ended
    local response = ask(function(_, res)
      res:on_head(function()
        entered = true
        local _ <close> = setmetatable({}, { __close = function() ended = true end })
        timer.sleep(60)
      end)
      res:send_file("README.md")
    end, {}, { handler_timeout = 0.05 })
    assert.equal(504, response.status)
    waits.eventually(function() return entered and ended end)
  end)

  it("wants a function, before the head", function()
    ask(function(_, res)
      assert.has_error(function() res:on_head(1) end)
      res:send("x")
      assert.has_error(function() res:on_head(print) end, "the headers have been sent already")
    end)
  end)
end)

describe("req:on_end", function()
  --- Asks, and waits for what the function that is called at the end returns.
  local function at_end(handler, look, request, options)
    local seen
    local response = ask(function(req, res)
      req:on_end(function() seen = table.pack(look(req, res)) end)
      return handler(req, res)
    end, request, options)
    waits.eventually(function() return seen end)
    return response, table.unpack(seen)
  end

  local function status_and_bytes(_, res) return res.status, res.bytes_written end

  it("is called when the response is complete and the handler has ended", function()
    local ended = false
    local _, status, bytes, handler_ended = at_end(function(_, res)
      res:send(201, "hello")
      timer.sleep(0.001)
      ended = true
    end, function(_, res) return res.status, res.bytes_written, ended end)
    assert.same({ 201, 5, true }, { status, bytes, handler_ended })
  end)

  it("waits for what the request has started", function()
    local ended = false
    local _, seen = at_end(function(_, res)
      task.spawn(function() timer.sleep(0.002) ended = true end)
      res:send("x")
    end, function() return ended end)
    assert.is_true(seen)
  end)

  it("is called after an answer that comes later", function()
    local _, status, bytes = at_end(function(_, res)
      local later = res:later()
      task.background(function() timer.sleep(0.001) later:send(202, "later") end)
    end, status_and_bytes)
    assert.same({ 202, 5 }, { status, bytes })
  end)

  it("is called after an error, with the status that was sent", function()
    local response, status = at_end(function() error("an error of the spec") end, status_and_bytes)
    assert.same({ 500, 500 }, { response.status, status })
  end)

  it("is called after a timeout", function()
    local response, status = at_end(function() timer.sleep(60) end, status_and_bytes, {}, { handler_timeout = 0.02 })
    assert.same({ 504, 504 }, { response.status, status })
  end)

  it("is called when the client has left", function()
    local seen
    local _, address = serve(nil, function(req, res)
      req:on_end(function() seen = req.path end)
      for _ = 1, 10000 do
        if not res:write(("x"):rep(1000)) then return end
        timer.sleep(0.001)
      end
    end)
    local connection = client.connect(address)
    connection:write(client.format { path = "/left" })
    connection:fill()
    connection:close()
    waits.eventually(function() return seen == "/left" end)
  end)

  it("calls several in their order, also after one that fails, and each may wait", function()
    local order = {}
    ask(function(req, res)
      req:on_end(function() timer.sleep(0.001) order[#order + 1] = 1 end)
      req:on_end(function() order[#order + 1] = 2 error("an error of the spec") end)
      req:on_end(function() order[#order + 1] = 3 end)
      res:send("x")
    end)
    waits.eventually(function() return #order == 3 end)
    table.sort(order)
    assert.same({ 1, 2, 3 }, order)
  end)

  it("counts the bytes of the body without the head, HEAD none", function()
    local _, _, bytes = at_end(function(_, res) res:send(("x"):rep(100000)) end, status_and_bytes)
    assert.equal(100000, bytes)
    _, _, bytes = at_end(function(_, res) res:send("hello") end, status_and_bytes, { method = "HEAD" })
    assert.equal(0, bytes)
  end)

  it("wants a function", function()
    ask(function(req, res)
      assert.has_error(function() req:on_end() end)
      res:send("x")
    end)
  end)
end)
