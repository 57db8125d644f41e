-- SPDX-License-Identifier: MIT
--- A board on which everybody writes, and sees at once what others have written: a template, and a stream of events.
--
--   ./luaserve examples/board.lua        http://127.0.0.1:8080
--   curl -d text=hello http://127.0.0.1:8080/
--   curl -N http://127.0.0.1:8080/events

local template = require "luaserve.template"

local KEPT = 100 -- posts

local page = template.compile([[
<!doctype html>
<meta charset="utf-8">
<title>Board</title>
<form method="post"><input name="text" maxlength="200" autofocus> <button>Post</button></form>
<ol id="posts">
{% for _, post in ipairs(posts) do %}
<li>{{ post.text }}</li>
{% end %}
</ol>
<script>
const list = document.getElementById("posts");
const source = new EventSource("/events?after=" + {{{ json(last) }}});
source.onmessage = (event) => {
  list.appendChild(document.createElement("li")).textContent = JSON.parse(event.data).text;
};
</script>
]], "board.html")

local posts, streams, last = {}, {}, 0

local function send(events, post)
  return events:send({ id = post.id, data = { text = post.text } }, function() end)
end

--- Adds a post, and tells everybody. Who is too slow for it is sent away: he comes back, and asks for what he missed.
local function publish(text)
  last = last + 1
  local post = { id = last, text = text }
  posts[#posts + 1] = post
  if #posts > KEPT then table.remove(posts, 1) end
  for events in pairs(streams) do
    if events.behind then events:close() end
    if events.closed then streams[events] = nil else send(events, post) end
  end
end

--- The client's stream, which begins with what it has missed, and goes on after the handler.
local function follow(req, res)
  local events = res:later():events { retry = 1 }
  local seen = math.tointeger(events.last_id) or math.tointeger(req.query.after) or last
  for _, post in ipairs(posts) do
    if post.id > seen then send(events, post) end
  end
  streams[events] = true
  req:on_close(function() streams[events] = nil end)
end

return function(req, res)
  if req.path == "/events" then
    follow(req, res)
  elseif req.path ~= "/" then
    res:send(404, "not found\n")
  elseif req.method == "POST" then
    local text = assert(req:form()).text
    if not text or text == "" or #text > 1000 then return res:problem(422, "text: 1 to 1000 bytes") end
    publish(text)
    res:redirect(303, "/")
  else
    res:html(page { posts = posts, last = last })
  end
end
