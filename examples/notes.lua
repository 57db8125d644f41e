-- SPDX-License-Identifier: MIT
--- An API for notes, with what one on the open internet needs: it checks what it gets and says what is wrong (problem
-- details, RFC 9457), loses nobody's change, bounds what a client may send and ask, and keeps its notes in a file.
--
--   ./luaserve examples/notes.lua [file]      where they are kept: notes.json, unless given
--
--   curl --json '{"text":"buy milk","tags":["home"]}' http://127.0.0.1:8080/notes
--   curl 'http://127.0.0.1:8080/notes?q=milk&tag=home&page=1&per_page=20'
--   curl -i http://127.0.0.1:8080/notes/1                                  with its revision, as an ETag
--   curl -X PUT --json '{"text":"buy oats"}' http://127.0.0.1:8080/notes/1
--   curl -X PATCH -H 'If-Match: "1"' --json '{"tags":[]}' http://127.0.0.1:8080/notes/1     412: it is "2" by now
--   curl -X DELETE http://127.0.0.1:8080/notes/1

local App = require "luaserve.app"
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local json = require "luaserve.json"
local middleware = require "luaserve.middleware"
local task = require "luaserve.task"
local validate = require "luaserve.validate"

local path = ... or "notes.json"
local MOST = 1000 -- notes: the file is written as a whole each time

-- ---- what a request may bring ----

local text = validate.string { min = 1, max = 4000, trim = true }
local tag = validate.string { min = 1, max = 30, trim = true }

local whole = validate.object {
  text = text,
  tags = validate.array(tag, { max = 10, unique = true, default = {} }),
}

local part = validate.object({
  text = validate.optional(text),
  tags = validate.array(tag, { max = 10, unique = true, optional = true }),
}, {
  check = function(value) return next(value) ~= nil, "must have a text, or tags" end,
})

local search = validate.object {
  q = validate.string { max = 100, default = "" },
  tag = validate.string { max = 30, optional = true },
  page = validate.integer { min = 1, max = MOST, default = 1 },
  per_page = validate.integer { min = 1, max = 100, default = 20 },
}

-- ---- the store ----

--- What the file has: { last = the id that was given last, notes = { { id =, text =, tags =, created =, updated =,
-- revision = }, ... } }, in the order of their ids. It is never changed, but replaced, and so are the notes in it.
local function load()
  local content, message, code = fs.read_file(path)
  if code == "ENOENT" then return { last = 0, notes = json.array() } end
  local kept, problem = json.decode(assert(content, message))
  return kept or error(path .. ": " .. problem, 0)
end

local store = load()
local turn = task.semaphore(1)

--- Calls change(new) with a copy of the store, and keeps what it has made of it where it returns something: in the file
-- first, then here, both or neither. One after the other, so that nothing changes between a look and a change.
local function update(change)
  return turn:with(task.shield, function()
    local new = { last = store.last, notes = table.move(store.notes, 1, #store.notes, 1, json.array()) }
    local result = change(new)
    if result then
      assert(fs.write_file(path, json.encode(new), { atomic = true }))
      store = new
    end
    return result
  end)
end

--- The note that the path names, and its place in a list of them.
local function find(notes, req)
  local id = tonumber(req.params.id)
  for i, note in ipairs(notes) do
    if note.id == id then return note, i end
  end
  error(http_error.new(404, "there is no such note"))
end

-- ---- handlers ----

-- A proxy on this machine tells who its clients are, for the limit of requests.
local app = App.new { server = { handler_timeout = 10, trust_proxy = "loopback" } }

local function tag_of(note) return ('"%d"'):format(note.revision) end

local function answer(res, status, note)
  res:set("etag", tag_of(note)):json(status, note)
end

local function now() return os.date "!%Y-%m-%dT%H:%M:%SZ" end

local function has_tag(note, wanted)
  for _, one in ipairs(note.tags) do
    if one == wanted then return true end
  end
  return false
end

--- The notes that are looked for, the newest first.
local function find_all(query)
  local found, words = json.array(), query.q:lower()
  for i = #store.notes, 1, -1 do
    local note = store.notes[i]
    if note.text:lower():find(words, 1, true) and (not query.tag or has_tag(note, query.tag)) then
      found[#found + 1] = note
    end
  end
  return found
end

local function list(req, res)
  local query = req:validate(search)
  local found = find_all(query)
  local first, last = (query.page - 1) * query.per_page + 1, query.page * query.per_page
  if last < #found then
    local following = { q = query.q, tag = query.tag, page = query.page + 1, per_page = query.per_page }
    res:set("link", ('<%s>; rel="next"'):format(app:url_for("notes", nil, following)))
  end
  res:json { total = #found, page = query.page, notes = table.move(found, first, last, 1, json.array()) }
end

local function create(req, res)
  local note = req:validate(whole, "json")
  update(function(new)
    if #new.notes >= MOST then error(http_error.new(507, "there is no room for another note")) end
    new.last = new.last + 1
    note.id, note.revision, note.created, note.updated = new.last, 1, now(), now()
    table.insert(new.notes, note)
    return note
  end)
  res:set("location", app:url_for("note", { id = note.id }))
  answer(res, 201, note)
end

local function read(req, res)
  local note = find(store.notes, req)
  if res:precondition { etag = tag_of(note) } then answer(res, 200, note) end
end

--- PUT and PATCH: both change what the request brings, and PUT has to bring all. With If-Match, who has seen an old
-- revision does not undo what somebody else has done since.
local function change(schema)
  return function(req, res)
    local value = req:validate(schema, "json")
    local note = update(function(new)
      local old, at = find(new.notes, req)
      if not res:precondition { etag = tag_of(old) } then return nil end
      new.notes[at] = { id = old.id, text = value.text or old.text, tags = value.tags or old.tags,
        created = old.created, updated = now(), revision = old.revision + 1 }
      return new.notes[at]
    end)
    if note then answer(res, 200, note) end
  end
end

local function delete(req, res)
  local gone = update(function(new)
    local note, at = find(new.notes, req)
    return res:precondition { etag = tag_of(note) } and table.remove(new.notes, at)
  end)
  if gone then res:remove("etag"):send(204, nil) end
end

-- ---- the app ----

--- Whoever asks gets problem details: without this only those do who say that they want JSON.
app:on_error(function(err, _, res)
  if not http_error.is(err) then err = http_error.new(500) end -- a bug, or the disk: the log has it
  res:problem(err.status, err.message, err.fields)
end)

app:use(middleware.access_log { to = "stdout" }, middleware.request_id(), middleware.security_headers())
app:use(middleware.rate_limit { limit = 300, window = 60, burst = 100, answer = function(_, _, seconds)
  error(http_error.new(429, ("ask again in %d seconds"):format(seconds)))
end })

app:group("/notes", middleware.body_limit(32 * 1024), function(notes)
  notes:get("", list, { name = "notes" }):post("", create)
  notes:get("/:id(%d+)", read, { name = "note" }):put("/:id(%d+)", change(whole)):patch("/:id(%d+)", change(part))
  notes:delete("/:id(%d+)", delete)
end)

return app
