-- SPDX-License-Identifier: MIT
--- examples/offload.lua, served and asked over real sockets.

local process = require "spec.support.process"
local crypto, json, task = require "luaserve.crypto", require "luaserve.json", require "luaserve.task"

describe("examples/offload.lua", function()
  local server

  before_each(function() server = process.serve { "-p", "0", "examples/offload.lua" } end)
  after_each(process.clean_up)

  local function ask(method, path, body)
    local response = server:request { method = method, path = path, body = body }
    return response.status, response.headers["content-type"] == "application/json" and json.decode(response.body)
  end

  it("answers a plain page before the jobs that were sent earlier", function()
    local order, jobs = {}, {}
    local function send(name, method, path, body)
      local connection = server:connect()
      connection:write(("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(method, path, #body, body))
      return task.spawn(function()
        assert.equal(200, connection:response().status)
        order[#order + 1] = name
      end)
    end
    for _ = 1, 4 do jobs[#jobs + 1] = send("primes", "GET", "/primes/1000000", "") end
    for _ = 1, 4 do jobs[#jobs + 1] = send("password", "POST", "/password", "correct horse") end
    send("plain", "GET", "/", ""):join()
    for _, job in ipairs(jobs) do job:join() end
    assert.equal("plain", order[1])
    assert.equal(9, #order)
    assert.equal(0, (server:stop())) -- a busy machine's log says that jobs wait
  end)

  it("counts primes, on the pool and on the loop", function()
    for _, place in ipairs { "", "?on=loop" } do
      assert.same({ 200, { limit = 100, primes = 25 } }, { ask("GET", "/primes/100" .. place) })
    end
    for limit, count in pairs { [0] = 0, [1] = 0, [2] = 1, [3] = 2, [4] = 2, [9] = 4 } do
      assert.equal(count, select(2, ask("GET", "/primes/" .. limit)).primes)
    end
    for _, limit in ipairs { "5000001", ("9"):rep(400) } do assert.equal(400, (ask("GET", "/primes/" .. limit))) end
    for _, limit in ipairs { "", "x", "-1", "1.5" } do assert.equal(404, (ask("GET", "/primes/" .. limit))) end
  end)

  it("hashes passwords", function()
    local status, answer = ask("POST", "/password", "correct horse")
    assert.equal(200, status)
    assert.is_true(crypto.password_verify("correct horse", answer.hash))
    assert.equal(400, (ask("POST", "/password", "")))
    assert.equal(413, (ask("POST", "/password", ("x"):rep(1025))))
    assert.equal(405, (ask("GET", "/password")))
  end)
end)
