-- SPDX-License-Identifier: MIT
--- The table in docs/errors.md: what the handler sees, and what the client gets, when a body is not what it should be.

local App = require "luaserve.app"
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local test = require "luaserve.test"
local timer = require "luaserve.timer"
local validate = require "luaserve.validate"

local readers = {
  body = function(req) return req:body() end,
  json = function(req) return req:json() end,
  form = function(req) return req:form() end,
  chunks = function(req) for _ in req:chunks() do end return true end,
  multipart = function(req) for part in req:multipart() do part:read_all() end return true end,
  multipart_form = function(req) return (req:multipart_form()) end,
  validate = function(req) return req:validate(validate.object { a = validate.string() }) end,
}

local seen

local function handler(req, res)
  local read = readers[req.path:sub(2)]
  seen = table.pack(pcall(read, req))
  if not seen[1] then error(seen[2], 0) end
  assert(seen[2], seen[3])
  res:send("ok")
end

local function shape()
  if seen[1] then return "nil, message, code" end
  return http_error.is(seen[2]) and "an http error" or type(seen[2]) == "string" and "text"
end

local faults = {
  { what = "too large", head = "transfer-encoding: chunked\r\n", body = "7d0\r\n" .. ("x"):rep(2000) .. "\r\n" },
  { what = "broken", head = "transfer-encoding: chunked\r\n", body = "zz\r\n" },
  { what = "another type", head = "content-length: 2\r\ncontent-type: image/png\r\n", body = "{}" },
  { what = "not what it should be", head = "content-length: 3\r\n", body = "{x=" },
}

local function ask(client, name, fault)
  local own_type = not fault.head:find("content-type", 1, true) and name:find("^multipart")
  local wire <close> = client:connect()
  wire:write(("POST /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n%s"):format(name, fault.head,
    own_type and "content-type: multipart/form-data; boundary=x\r\n" or "", fault.body))
  return wire:read_all():match("^HTTP/1%.1 (%d+)")
end

describe("readers of bodies", function()
  local handlers = { ["a handler"] = handler, ["an app"] = App.new():all("/*path", handler) }

  local rows = {}
  local text = assert(fs.read_file("docs/errors.md"))
  for name, sees, cells in text:gmatch("\n| `req:([%w_]+)%b()` | ([^|]+) | ([^\n]+) |") do
    rows[#rows + 1] = { name = name, sees = sees, cells = cells }
  end

  it("are all in the table", function()
    for _, row in ipairs(rows) do assert.is_function(readers[row.name]) end
    assert.equal(7, #rows)
  end)

  for kind, served in pairs(handlers) do
    for _, row in ipairs(rows) do
      it(("fail in %s as the row of req:%s says"):format(kind, row.name), function()
        local client = test.client(served, { server = { max_body = 1000 } })
        local i = 0
        for cell in (row.cells .. " |"):gmatch("(.-) |%s?") do
          i = i + 1
          local status, code = cell:match("^(%d+) ?`?(%u*)")
          local got = ask(client, row.name, faults[i])
          assert.equal(status or "200", got, faults[i].what)
          if status then
            assert.is_truthy(row.sees:find(shape(), 1, true), faults[i].what .. ": " .. tostring(seen[2]))
            if code ~= "" then assert.equal(code, seen[4]) end
          end
        end
        assert.equal(4, i)
        assert.not_matches("error:", client:log()) -- a client cannot fill the log with tracebacks
      end)
    end
  end
end)

describe("req:body", function()
  -- with these settings everything that Lua allocates runs a whole cycle of the collector
  local function in_cycles(fn, ...)
    collectgarbage("incremental", 1, 1000, 30)
    collectgarbage()
    local results = table.pack(pcall(fn, ...))
    collectgarbage("incremental", 200, 100, 13)
    return table.unpack(results, 2, results.n)
  end

  it("gives one string also where a finalizer asks for it while it is made", function()
    local asked, got
    local function drop(req)
      setmetatable({}, { __gc = function() asked = true req:body(function(_, body) got = body end) end })
    end
    local client = test.client(function(req, res)
      local body, was_asked = in_cycles(function()
        drop(req)
        local body = req:body()
        return body, asked
      end)
      assert(was_asked)
      while not got do timer.sleep(0) end
      res:json { #body, #got, #req:body() }
    end)
    for _ = 1, 2 do
      asked, got = false, nil
      assert.same({ 100, 100, 100 }, client:post("/", { body = ("x"):rep(100) }):json())
    end
  end)
end)
