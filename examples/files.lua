-- A small store of notes, one JSON file each:  ./luaserve examples/files.lua [folder] [port]
--
--   curl --json '{"text":"buy milk"}' http://127.0.0.1:8080/notes 201, Location: /notes/<id>
--   curl http://127.0.0.1:8080/notes                              the ids
--   curl http://127.0.0.1:8080/notes/<id>                         one note
--   curl -X DELETE http://127.0.0.1:8080/notes/<id>               204
--
-- Every call of fs waits without holding up other requests.

local fs, http, json = require "luaserve.fs", require "luaserve.http", require "luaserve.json"

local folder = arg[1] or "notes"
local port = math.tointeger(tonumber(arg[2] or 8080)) or error("the port must be an integer, not " .. arg[2])

local function path_of(id)
  return folder .. "/" .. id .. ".json"
end

-- Answers a failure of the file system: the one the client may have caused, and the others.
local function fail(res, message, code)
  if code == "ENOENT" then
    return res:json(404, { error = "no such note" })
  end
  io.stderr:write(message, "\n")
  res:json(500, { error = "the notes cannot be read or written right now" })
end

local function list(_, res)
  local names, message, code = fs.readdir(folder)
  if not names then
    return fail(res, message, code)
  end
  local ids = json.array()
  for _, name in ipairs(names) do
    ids[#ids + 1] = name:match("^(%x+)%.json$")
  end
  res:json({ notes = ids })
end

local function read(_, res, id)
  local text, message, code = fs.read_file(path_of(id))
  if not text then
    return fail(res, message, code)
  end
  res:set("content-type", "application/json")
  res:send(text)
end

local function new_id()
  return ("%08x%08x"):format(math.random(0, 0xffffffff), math.random(0, 0xffffffff))
end

local function create(req, res)
  local note, message, code = req:json()
  if code == "ETOOBIG" then
    return res:json(413, { error = message })
  elseif code == "EMEDIATYPE" then
    return res:json(415, { error = message })
  elseif note == nil then
    return res:json(400, { error = message })
  elseif type(note) ~= "table" or type(note.text) ~= "string" then
    return res:json(422, { error = "a note is an object with a text" })
  end
  local id = new_id()
  local written
  written, message, code = fs.write_file(path_of(id), json.encode({ id = id, text = note.text }), { atomic = true })
  if not written then
    return fail(res, message, code)
  end
  res:set("location", "/notes/" .. id)
  res:json(201, { id = id })
end

local function delete(_, res, id)
  local done, message, code = fs.unlink(path_of(id))
  if not done then
    return fail(res, message, code)
  end
  res.status = 204
  res:finish()
end

local collection = { GET = list, POST = create }
local single = { GET = read, DELETE = delete }

local function handle(req, res)
  local id = req.path:match("^/notes/(%x+)$")
  local methods = id and single or req.path == "/notes" and collection
  if not methods then
    return res:json(404, { error = "no such page: try /notes" })
  end
  local method = methods[req.method] or (req.method == "HEAD" and methods.GET)
  if not method then
    res:set("allow", id and "GET, HEAD, DELETE" or "GET, HEAD, POST")
    return res:json(405, { error = req.method .. " makes no sense here" })
  end
  method(req, res, id)
end

local made, message, code = fs.mkdir(folder)
if not made and code ~= "EEXIST" then
  error(message)
end
local server = http.create_server(handle)
local listening
listening, message = server:listen({ host = "127.0.0.1", port = port })
if not listening then
  io.stderr:write(message, "\n")
  os.exit(1)
end
print(("notes from %s on http://127.0.0.1:%d/notes"):format(folder, server:address().port))
