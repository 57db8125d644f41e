-- SPDX-License-Identifier: MIT
--- examples/notes.lua as an API that several people use for a while, and that some of them use badly.

local fs = require "luaserve.fs"
local json = require "luaserve.json"
local process = require "spec.support.process"
local task = require "luaserve.task"
local test = require "luaserve.test"

describe("examples/notes.lua", function()
  local folder = test.fixture(test.temporary_folder)
  local function path() return folder() .. "/notes.json" end
  local function serve() return test.serve("examples/notes.lua", { arguments = { path() } }) end
  local client = test.fixture(serve)
  after_each(process.clean_up)

  local function add(text, tags)
    return client():post("/notes", { json = { text = text, tags = tags } }):expect(201)
  end

  --- Expects a problem, whose errors, if it has some, are at these places.
  local function expect_problem(response, status, ...)
    local problem = response:expect(status):expect_header("content-type", "application/problem+json"):json()
    local pointers = {}
    for i, err in ipairs(problem.errors or {}) do pointers[i] = err.pointer end
    assert.same({ ... }, pointers)
    return problem
  end

  it("makes a note, which others see too, until it is gone", function()
    local grace = client():another()
    local made = client():post("/notes", { json = { text = " buy milk ", tags = { "home" } } }):expect(201)
      :expect_header("location", "/notes/1"):expect_header("etag", '"1"'):json()
    assert.equal("buy milk", made.text)
    assert.same({ "home" }, made.tags)
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", made.created)
    grace:get("/notes/1"):expect(200):expect_json(made)
    grace:get("/notes"):expect_json({ total = 1, page = 1, notes = { made } })
    grace:delete("/notes/1"):expect(204):expect_header("etag", false):expect_body("")
    expect_problem(client():get("/notes/1"), 404)
    client():get("/notes"):expect_body('"notes":%[%]')
  end)

  it("gives a note without tags an empty list of them", function()
    add("x"):expect_body('"tags":%[%]')
    client():get("/notes/1"):expect_body('"tags":%[%]')
  end)

  it("changes a note as a whole, or some of it", function()
    add("buy milk", { "home" })
    client():put("/notes/1", { json = { text = "buy oats" } }):expect(200):expect_header("etag", '"2"')
    local note = client():get("/notes/1"):json()
    assert.same({ "buy oats", {} }, { note.text, note.tags })
    client():patch("/notes/1", { json = { tags = { "shop" } } }):expect(200):expect_header("etag", '"3"')
    note = client():get("/notes/1"):json()
    assert.same({ "buy oats", { "shop" }, 3 }, { note.text, note.tags, note.revision })
  end)

  it("loses nobody's change", function()
    local seen = add("one").headers.etag
    client():put("/notes/1", { json = { text = "two" }, headers = { ["if-match"] = seen } }):expect(200)
    client():put("/notes/1", { json = { text = "three" }, headers = { ["if-match"] = seen } }):expect(412)
    client():delete("/notes/1", { headers = { ["if-match"] = seen } }):expect(412)
    assert.equal("two", client():get("/notes/1"):json().text)
    client():patch("/notes/1", { json = { text = "three" }, headers = { ["if-match"] = "*" } }):expect(200)
    client():get("/notes/1", { headers = { ["if-none-match"] = '"3"' } }):expect(304)
  end)

  it("lets one of many win who change the same revision at once", function()
    add("one")
    local jobs = {}
    for i = 1, 10 do
      jobs[i] = function()
        local change = { json = { text = "by " .. i }, headers = { ["if-match"] = '"1"' } }
        return client():put("/notes/1", change):expect(200, 412).status
      end
    end
    local statuses = task.all(jobs)
    table.sort(statuses)
    assert.same({ 200, 412 }, { statuses[1], statuses[2] })
    assert.equal(2, client():get("/notes/1"):json().revision)
  end)

  it("finds notes by words and tags, page by page, the newest first", function()
    for i = 1, 5 do add("Note " .. i, { i % 2 == 0 and "even" or "odd" }) end
    local function ids(query)
      local list, found = client():get("/notes", { query = query }):expect(200):json(), {}
      for i, note in ipairs(list.notes) do found[i] = note.id end
      return found, list.total
    end
    assert.same({ 5, 4, 3, 2, 1 }, (ids {}))
    assert.same({ 4 }, (ids { q = "NOTE 4" }))
    assert.same({ 5, 3, 1 }, (ids { tag = "odd" }))
    assert.same({}, (ids { q = "note", tag = "none" }))
    assert.same({ { 2, 1 }, 5 }, { ids { page = "2", per_page = "3" } })
    assert.same({ {}, 5 }, { ids { page = "9" } })
    local more = client():get("/notes?q=note&per_page=2"):expect_header("link", '^<[^>]+>; rel="next"$').headers.link
    local last = client():get(more:match("<(.-)>")):expect_header("link"):json()
    assert.same({ 2, 3 }, { last.page, last.notes[1].id })
    client():get("/notes?per_page=3&page=2"):expect_header("link", false)
  end)

  it("says what is wrong with a note, field by field", function()
    local function post(value) return client():post("/notes", { json = value }) end
    expect_problem(post({}), 400, "/text")
    expect_problem(post({ text = "  " }), 400, "/text")
    expect_problem(post({ text = ("x"):rep(4001) }), 400, "/text")
    local wrong = { text = json.null, tags = { "a", "a", 1 }, id = 7 }
    expect_problem(post(wrong), 400, "/tags/1", "/tags/2", "/text", "/id")
    expect_problem(post("text"), 400, "")
    expect_problem(client():patch("/notes/1", { json = {} }), 400, "")
    expect_problem(client():get("/notes?page=0&per_page=x&limit=5"), 400, "/page", "/per_page", "/limit")
    client():get("/notes"):expect_body('"total":0')
  end)

  it("takes JSON only, and not too much of it", function()
    expect_problem(client():post("/notes", { body = "{", headers = { ["content-type"] = "application/json" } }), 400)
    expect_problem(client():post("/notes", { form = { text = "from a form of another site" } }), 415)
    expect_problem(client():post("/notes", { json = { text = ("x"):rep(40000) } }), 413)
    local sent = 0
    local function piece()
      sent = sent + 1
      return sent <= 10 and ("x"):rep(8192) or nil
    end
    expect_problem(client():post("/notes", { body = piece, headers = { ["content-type"] = "application/json" } }), 413)
  end)

  it("answers other paths and methods with problems", function()
    for _, place in ipairs { "/", "/notes/x", "/notes/1/2", "/notes/99999999999999999999", "/notes/1%2F" } do
      expect_problem(client():get(place), 404)
    end
    expect_problem(client():post("/notes/1"):expect_header("allow", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"), 405)
    client():head("/notes"):expect(200):expect_body("")
  end)

  it("takes only so many requests at once from one client", function()
    local problem
    for _ = 1, 200 do
      local response = client():get("/notes")
      if response.status == 429 then
        problem = expect_problem(response:expect_header("retry-after", "^%d+$"), 429)
        break
      end
    end
    assert.matches("^ask again in %d+ seconds$", problem.detail)
  end)

  it("keeps its notes when it is started again", function()
    add("\u{e9}\n\"quoted\"", { "kept" })
    add("gone")
    client():delete("/notes/2"):expect(204)
    client():close()
    local again = serve()
    local note = again:get("/notes/1"):expect(200):json()
    assert.same({ "\u{e9}\n\"quoted\"", { "kept" } }, { note.text, note.tags })
    assert.equal(3, again:post("/notes", { json = { text = "new" } }):json().id) -- no other note's address
    assert.same({ "notes.json" }, fs.readdir(folder()))
  end)

  it("keeps what it has, and says so, where the file cannot be written", function()
    add("kept")
    assert(fs.rm(path()))
    assert(fs.mkdir(path()))
    local problem = expect_problem(client():post("/notes", { json = { text = "lost" } }), 500)
    assert.is_nil(problem.detail)
    assert.matches("EISDIR[^\n]*notes%.json", client():log())
    client():get("/notes"):expect_body('"total":1')
  end)

  it("does not start with a file that it cannot read", function()
    assert(fs.write_file(path(), "{"))
    assert.matches("notes%.json: EJSON", select(2, pcall(serve)))
    assert.equal("{", fs.read_file(path()))
  end)

  it("writes a line for each request, with the name that the client was told", function()
    local server = process.serve { "-p", "0", "examples/notes.lua", path() }
    local name = server:request("/notes").headers["x-request-id"]
    local line = server:read_line()
    assert.matches('"GET /notes HTTP/1.1" 200 ', line)
    assert.is_truthy(line:find('"' .. name .. '"', 1, true))
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("forgets what a client has begun to send when it leaves", function()
    local wire = client():connect()
    wire:write('POST /notes HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"text":')
    wire:reset()
    client():get("/notes"):expect_body('"total":0')
    assert.not_matches("error:", client():log())
  end)
end)
