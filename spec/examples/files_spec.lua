-- SPDX-License-Identifier: MIT
--- examples/files.lua as a store that several people use for a while. What it answers to each of them, and how it
-- fails, is in spec/system/examples_spec.lua.

local json = require "luaserve.json"
local task = require "luaserve.task"
local test = require "luaserve.test"

describe("examples/files.lua", function()
  local folder = test.fixture(test.temporary_folder)

  local function serve()
    return test.serve("examples/files.lua", { arguments = { folder(), "0" } })
  end

  it("leads to a note, which others see too, until it is gone", function()
    local ada = serve()
    local grace = ada:another()
    local made = ada:post("/notes", { json = { text = "buy milk" } }):expect(201)
    local path = made:expect_header("location", "^/notes/%x+$").headers.location
    local id = path:match("%x+$")
    grace:get(path):expect(200):expect_header("content-type", "application/json")
      :expect_json({ id = id, text = "buy milk" })
    grace:get("/notes"):expect_json({ notes = { id } })
    grace:delete(path):expect(204):expect_body("")
    ada:get(path):expect(404):expect_json({ error = "no such note" })
    ada:get("/notes"):expect_json({ notes = json.array() })
  end)

  it("keeps notes when it is started again", function()
    local before = serve()
    local path = before:post("/notes", { json = { text = "\u{e9}\n\"quoted\"" } }):expect(201).headers.location
    before:close()
    local note = serve():get(path):expect(200):json()
    assert.equal("\u{e9}\n\"quoted\"", note.text)
  end)

  it("takes many notes at once", function()
    local client = serve()
    local jobs = {}
    for i = 1, 20 do
      jobs[i] = function() return client:post("/notes", { json = { text = "note " .. i } }):expect(201):json().id end
    end
    local ids = task.all(jobs)
    for i, id in ipairs(ids) do client:get("/notes/" .. id):expect_json({ id = id, text = "note " .. i }) end
    assert.equal(20, #client:get("/notes"):json().notes)
  end)

  it("forgets what a client has begun to send when it leaves", function()
    local client = serve()
    local wire = client:connect()
    wire:write('POST /notes HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"text":')
    wire:reset()
    client:get("/notes"):expect_json({ notes = json.array() })
    assert.not_matches("error:", client:log())
  end)
end)
