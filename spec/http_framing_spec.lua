-- SPDX-License-Identifier: MIT
--- Every combination of Content-Length and Transfer-Encoding (RFC 9112 6.1, 6.3), and pipelines of requests delivered
-- in pieces of random size. What a front and this server could understand differently must be refused, and what stands
-- behind it must never be served.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local task, timer = require "luaserve.task", require "luaserve.timer"

local address

local function tell(req, res)
  local body, _, code = req:body()
  res:send(("<%s %s %s>"):format(req.method, req.url, body or code))
end

--- Everything that comes back for bytes and a FIN. RESET at the end: the connection broke.
local function answers_to(bytes)
  local connection <close> = client.connect(address)
  connection:write(bytes)
  connection.socket:shutdown()
  return connection:read_all() .. (connection.reset and "RESET" or "")
end

local function statuses(bytes)
  local list = {}
  for status in bytes:gmatch("HTTP/1%.1 (%d%d%d) ") do list[#list + 1] = status end
  return table.concat(list, " ")
end

-- The fields' lines, and what they say: "none", a length, "chunked", or the status of the refusal.
local lengths = {
  { "", "none" },
  { "Content-Length: 3\r\n", 3 },
  { "content-LENGTH:3\r\n", 3 },
  { "Content-Length: \t3  \r\n", 3 },
  { "Content-Length: 3\t\r\n", 400 }, -- valid white space, but llhttp takes no tab there
  { "Content-Length: 003\r\n", 3 },
  { "Content-Length: 0\r\n", 0 },
  { "Content-Length: 3\r\nContent-Length: 3\r\n", 400 },
  { "Content-Length: 3\r\nContent-Length: 0\r\n", 400 },
  { "Content-Length: 3, 3\r\n", 400 },
  { "Content-Length: 3,4\r\n", 400 },
  { "Content-Length: 3;\r\n", 400 },
  { "Content-Length: +3\r\n", 400 },
  { "Content-Length: -3\r\n", 400 },
  { "Content-Length: 0x3\r\n", 400 },
  { "Content-Length: 3e0\r\n", 400 },
  { "Content-Length: 3.0\r\n", 400 },
  { "Content-Length: 3 3\r\n", 400 },
  { "Content-Length: \"3\"\r\n", 400 },
  { "Content-Length: \v3\r\n", 400 },
  { "Content-Length: 3\0\r\n", 400 },
  { "Content-Length: 3\r\r\n", 400 },
  { "Content-Length: 3\n", 400 },
  { "Content-Length:\r\n", 400 },
  { "Content-Length:\r\n 3\r\n", 400 },
  { "Content-Length : 3\r\n", 400 },
  { " Content-Length: 3\r\n", 400 },
  { "Content-Length\0: 3\r\n", 400 },
  { "Content_Length: 3\r\n", "none" },
  { "Content-Length: \xd9\xa3\r\n", 400 }, -- a three in Arabic
  { "Content-Length: 36893488147419103235\r\n", 400 },
}

local codings = {
  { "", "none" },
  { "Transfer-Encoding: chunked\r\n", "chunked" },
  { "transfer-encoding:cHuNkEd\r\n", "chunked" },
  { "Transfer-Encoding: \tchunked \t\r\n", "chunked" },
  { "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400 },
  { "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400 },
  { "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", 400 },
  { "Transfer-Encoding: chunked, chunked\r\n", 400 },
  { "Transfer-Encoding: chunked, identity\r\n", 400 },
  { "Transfer-Encoding: chunked, gzip\r\n", 400 },
  { "Transfer-Encoding: gzip, chunked\r\n", 501 },
  { "Transfer-Encoding: identity, chunked\r\n", 501 },
  { "Transfer-Encoding: identity\r\n", 400 },
  { "Transfer-Encoding: gzip\r\n", 400 },
  { "Transfer-Encoding: chunkedx\r\n", 400 },
  { "Transfer-Encoding: x-chunked\r\n", 400 },
  { "Transfer-Encoding: chunked;q=1\r\n", 400 },
  { "Transfer-Encoding: \"chunked\"\r\n", 400 },
  { "Transfer-Encoding: 'chunked'\r\n", 400 },
  { "Transfer-Encoding: chunk ed\r\n", 400 },
  { "Transfer-Encoding: \vchunked\r\n", 400 },
  { "Transfer-Encoding: chunked\f\r\n", 400 },
  { "Transfer-Encoding: chunked\0\r\n", 400 },
  { "Transfer-Encoding: chunked\r\r\n", 400 },
  { "Transfer-Encoding: \xc2\xa0chunked\r\n", 400 },
  { "Transfer-Encoding: chunked\n", 400 },
  { "Transfer-Encoding:\r\n", 400 },
  { "Transfer-Encoding:\r\n chunked\r\n", 400 },
  { "Transfer-Encoding: chun\r\n ked\r\n", 400 },
  { "Transfer-Encoding : chunked\r\n", 400 },
  { "Transfer-Encoding\t: chunked\r\n", 400 },
  { " Transfer-Encoding: chunked\r\n", 400 },
  { "Transfer-Encoding\0: chunked\r\n", 400 },
  { "X: y\rTransfer-Encoding: chunked\r\n", 400 },
  { "Transfer_Encoding: chunked\r\n", "none" },
}

local NEXT = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"

--- What the two together mean: the statuses that may refuse it, or the body that the handler sees.
local function meaning(length, coding, version)
  local refusals = {}
  for _, said in ipairs { length, coding } do
    if math.type(said) and said >= 400 then refusals[said] = true end
  end
  if coding == "chunked" and (length ~= "none" or version == "1.0") then refusals[400] = true end
  if coding == 501 and (length ~= "none" or version == "1.0") then refusals[400] = true end
  if next(refusals) then return refusals end
  return nil, coding == "chunked" and "abc" or length == 3 and "3\r\n" or ""
end

--- Sends one combination in both orders of its fields, with content that both framings could end, and NEXT behind it.
local function check(version, length, coding)
  local refusals, body = meaning(length[2], coding[2], version)
  -- Framed by a length the first three bytes are content; what is left of the chunks then must be no request.
  local content = "3\r\nabc\r\n0\r\n\r\n"
  for _, fields in ipairs { length[1] .. coding[1], coding[1] .. length[1] } do
    local bytes = ("POST /first HTTP/%s\r\nHost: h\r\n%s\r\n%s"):format(version, fields, content) .. NEXT
    local got = answers_to(bytes)
    local label = ("HTTP/%s %q: %s"):format(version, fields, got)
    if refusals then
      assert.is_truthy(refusals[tonumber(statuses(got))], label)
      assert.is_nil(got:find("<", 1, true), label)
      assert.is_truthy(got:find("Connection: close\r\n", 1, true), label)
    else
      assert.is_truthy(got:find(("<POST /first %s>"):format(body), 1, true), label)
      local served = got:find("/next", 1, true) ~= nil
      assert.equal(coding[2] == "chunked" and version == "1.1", served, label)
    end
  end
end

describe("the framing of a request", function()
  setup(function()
    local _
    _, address = http_servers.serve({ max_body = 1000 }, tell)
  end)
  teardown(function() http_servers.clean_up() end)

  for _, version in ipairs { "1.1", "1.0" } do
    for _, length in ipairs(lengths) do
      it(("RFC 9112 6.3: HTTP/%s with %q"):format(version, length[1]), function()
        local group = {}
        for i, coding in ipairs(codings) do
          group[i] = task.spawn(check, version, length, coding)
        end
        for _, t in ipairs(group) do t:join() end
      end)
    end
  end
end)

-- Random deliveries: a generator of its own, so that a failure can be run again by its seed.
local function random_of(seed)
  local state = seed
  return function(from, to)
    state = (state * 6364136223846793005 + 1442695040888963407)
    return from + ((state >> 33) % (to - from + 1))
  end
end

local function random_text(random, most)
  local bytes = {}
  for i = 1, random(0, most) do bytes[i] = string.char(random(97, 122)) end
  return table.concat(bytes)
end

--- One valid request and what the handler tells of it.
local function random_request(random)
  local target = "/" .. random_text(random, 20)
  local fields = { "Host: h" }
  for _ = 1, random(0, 5) do
    fields[#fields + 1] = ("X-%s:%s%s"):format(random_text(random, 8), (" "):rep(random(0, 2)), random_text(random, 30))
  end
  local kind, body, content = random(1, 3), "", ""
  if kind == 2 then
    body = random_text(random, 300)
    content = body
    fields[#fields + 1] = "Content-Length: " .. #body
  elseif kind == 3 then
    fields[#fields + 1] = "Transfer-Encoding: chunked"
    for _ = 1, random(0, 4) do
      local part = random_text(random, 80)
      if #part > 0 then
        content = content .. ("%x%s\r\n%s\r\n"):format(#part, random(1, 3) == 1 and ";e=" .. part:sub(1, 9) or "", part)
        body = body .. part
      end
    end
    content = content .. "0\r\n" .. (random(1, 3) == 1 and "T: x\r\n" or "") .. "\r\n"
  end
  local method = kind == 1 and "GET" or "POST"
  return ("%s%s %s HTTP/1.1\r\n%s\r\n\r\n%s"):format(random(1, 4) == 1 and "\r\n" or "", method, target,
    table.concat(fields, "\r\n"), content), ("<%s %s %s>"):format(method, target, body)
end

local function deliver_randomly(random, bytes)
  local connection <close> = client.connect(address)
  local reader = task.spawn(function() return connection:read_all() end)
  local at = 1
  while at <= #bytes do
    local size = random(1, 5) == 1 and random(1, 2000) or random(1, 12)
    if not connection:write(bytes:sub(at, at + size - 1)) then break end
    at = at + size
    if random(1, 2) == 1 then timer.sleep(0) end
  end
  connection.socket:shutdown()
  return reader:join()
end

describe("a pipeline of requests", function()
  setup(function()
    local _
    _, address = http_servers.serve(nil, function(req, res)
      if #req.url % 3 == 0 then timer.sleep(0) end -- handlers end in another order than they began
      tell(req, res)
    end)
  end)
  teardown(function() http_servers.clean_up() end)

  for seed = 1, 60 do
    it("RFC 9112 9.3.2: is answered whole and in order, however it is cut (seed " .. seed .. ")", function()
      local random = random_of(seed)
      local requests, expected = {}, {}
      for i = 1, random(1, 12) do requests[i], expected[i] = random_request(random) end
      local broken = seed % 3 == 0 -- a last request that is refused, and one behind it
      if broken then requests[#requests + 1] = "GET / HTTP/1.1\r\nHost: h\r\nBad\r\n\r\n" .. random_request(random) end
      local got = deliver_randomly(random, table.concat(requests))
      local told = {}
      for text in got:gmatch("<[^>]*>") do told[#told + 1] = text end
      assert.same(expected, told)
      assert.equal(("200 "):rep(#expected) .. (broken and "400 " or ""), statuses(got) .. " ")
    end)
  end
end)

describe("random bytes", function()
  setup(function()
    local _
    _, address = http_servers.serve({ header_timeout = 5 }, tell)
  end)
  teardown(function() http_servers.clean_up() end)

  -- Bytes that matter to a parser are more likely than others.
  local pieces = { "\r\n", "\r", "\n", " ", "\t", ":", ",", ";", "\0", "GET ", "POST ", "/", "*", " HTTP/1.1\r\n",
    "Host: h\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "3", "0", "ffffffff",
    "\xff", "a" }

  it("never hang or harm the server", function()
    local random = random_of(7)
    local group = {}
    for i = 1, 300 do
      local parts = {}
      for k = 1, random(1, 40) do parts[k] = pieces[random(1, #pieces)] end
      group[i] = task.spawn(answers_to, table.concat(parts))
    end
    for _, t in ipairs(group) do
      local got = t:join()
      -- Whatever came back begins with a status line.
      assert.is_truthy(got == "" or got == "RESET" or got:find("^HTTP/1%.1 %d%d%d "), got)
    end
    assert.equal("<GET /after >", client.request(address, { path = "/after" }).body)
  end)
end)

