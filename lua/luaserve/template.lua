-- SPDX-License-Identifier: MIT
--- Templates for HTML: text with Lua in it, compiled to a function once. What a template prints is escaped unless it
-- says otherwise.
-- @module luaserve.template

local compiler = require "luaserve.core.template.compiler"
local files = require "luaserve.core.template.files"
local html = require "luaserve.core.html"
local json = require "luaserve.json"
local options_of = require "luaserve.core.options"
local process = require "luaserve.process"

local template = {}

local next, setmetatable = next, setmetatable
local append, length, take, url = html.append, html.length, html.take, html.url

--- Text with entities for & < > " and ', fit for HTML and for values of attributes in quotes.
-- @param text a string or number
-- @return string; the same where there is nothing to escape
-- @usage template.escape("<b>") --> &lt;b&gt;
template.escape = html.escape

--- A text that is HTML already: templates print it as it is.
-- @param text a string, which must be safe
-- @return a value whose tostring is the text
-- @usage return template.raw("<b>" .. template.escape(name) .. "</b>")
template.raw = html.raw

local in_scripts = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["'"] = "\\u0027",
  ["\226\128\168"] = "\\u2028", ["\226\128\169"] = "\\u2029" }

--- A value as JSON that may stand in a <script>, outside of quotes, and is no HTML.
-- @param value what json.encode takes
-- @return string
-- @usage <script>const user = {{{ json(user) }}};</script>
function template.json(value)
  return (json.encode(value):gsub("[<>&']", in_scripts):gsub("\226\128[\168\169]", in_scripts))
end

-- ---- names ----

local builtins = { json = template.json, raw = template.raw }
for _, name in ipairs { "assert", "error", "ipairs", "math", "next", "os", "pairs", "pcall", "require", "select",
  "string", "table", "tonumber", "tostring", "type", "utf8" } do
  builtins[name] = _G[name]
end

local function raise_unknown(_, name)
  error(("no value '%s' was given to the template (values.%s, where it may be absent)"):format(tostring(name),
    tostring(name)), 2)
end

local function raise_assignment(_, name)
  error(("'%s' is no value of the template: write local %s = ..."):format(tostring(name), tostring(name)), 2)
end

--- The metatable of the values of one rendering: behind them the helpers, behind those what Lua has.
local function names_of(helpers)
  local names = {}
  for name, value in pairs(builtins) do names[name] = value end
  for name, value in pairs(helpers or {}) do names[name] = value end
  return { __index = setmetatable(names, { __index = raise_unknown }), __newindex = raise_assignment }
end

local function with_names(values, metatable)
  local env = {}
  for name, value in next, values do env[name] = value end
  return setmetatable(env, metatable)
end

-- ---- files ----

local function path_of(views, name, level)
  if type(name) ~= "string" or name == "" then error("a template has a name, a string", level) end
  if not views.root then error(("'%s': there are no other templates without a root"):format(name), level) end
  if name:find "^/" or name:find "%z" or ("/" .. name .. "/"):find("/../", 1, true) then
    error(("'%s' is no name of a template: it would leave the root"):format(name), level)
  end
  return views.root .. "/" .. name
end

local function stamp_of(path)
  local stat = require "luaserve.fs".stat(path)
  return stat and ("%.17g %d"):format(stat.modified, stat.size)
end

--- The compiled template; level: as for error, of who asked for it, counted from here.
local function find(views, name, level)
  local found = views.compiled[name]
  if found and not views.reload then return found end
  local path = path_of(views, name, level + 1)
  local stamp = views.reload and stamp_of(path)
  if found and found.stamp == stamp then return found end
  local text, message = require "luaserve.fs".read_file(path)
  if not text then error("no template: " .. message, level) end
  files[path] = true
  found = compiler.compile(text, path, views.escape)
  found.stamp = stamp
  views.compiled[name] = found
  return found
end

-- ---- a rendering ----

local DEPTH_MAX = 100

local function run(state, compiled)
  compiled.call(compiled.write, compiled.raw, url, state.buffer, state, state.env)
end

--- Runs a template, and the layouts around it, each of which gets what was printed before.
local function run_with_layouts(state, compiled)
  local from = length(state.buffer)
  run(state, compiled)
  while state.around do
    local around = state.around
    state.around = nil
    state.inner = take(state.buffer, from)
    run(state, around)
  end
end

local function include(state, name, values)
  local compiled = find(state.views, name, 4)
  local env, given, around, inner, blocks = state.env, state.values, state.around, state.inner, state.blocks
  state.depth = state.depth + 1
  if state.depth > DEPTH_MAX then error(("'%s' includes itself without end"):format(name), 3) end
  if values then
    if state.outer ~= env then
      state.outer, state.within = env, { __index = env, __newindex = raise_assignment }
    end
    state.env, state.values = with_names(values, state.within), values
  end
  state.around, state.inner, state.blocks = nil, nil, nil
  run_with_layouts(state, compiled)
  state.env, state.values, state.around, state.inner, state.blocks = env, given, around, inner, blocks
  state.depth = state.depth - 1
end

--- In a template that has a layout: sets what the layout has in this place, unless who is inside has. Else: the place.
local function block(state, name, print_default)
  local blocks = state.blocks
  if state.around then
    if not blocks then
      blocks = {}
      state.blocks = blocks
    end
    if not blocks[name] then
      local from = length(state.buffer)
      print_default()
      blocks[name] = take(state.buffer, from)
    end
  elseif blocks and blocks[name] then
    append(state.buffer, blocks[name])
  else
    print_default()
  end
end

-- What is not in use. A rendering can wait (a helper that reads a file), so several may be under way.
local idle = {}
local IDLE_MAX = 16

--- The functions are made with the state, and not for each rendering.
local function new_state()
  local state = { buffer = html.buffer(), depth = 0 }
  function state.include(name, values) include(state, name, values) end
  function state.layout(name) state.around = find(state.views, name, 3) end
  function state.block(name, print_default) block(state, name, print_default) end
  function state.content()
    if not state.inner then error("there is no content here: the template is nobody's layout", 2) end
    append(state.buffer, state.inner)
  end
  return state
end

--- After an error the state is left to the collector.
local function render(views, compiled, values)
  local state = table.remove(idle) or new_state()
  state.views, state.values, state.env = views, values, with_names(values, views.names)
  run_with_layouts(state, compiled)
  local text = take(state.buffer)
  state.views, state.values, state.env, state.outer, state.within = nil, nil, nil, nil, nil
  state.inner, state.blocks = nil, nil
  if #idle < IDLE_MAX then idle[#idle + 1] = state end
  return text
end

local function check_values(values, what)
  if values ~= nil and type(values) ~= "table" then
    error(("%s: the values must be a table, not a %s"):format(what, type(values)), 3)
  end
  return values or {}
end

-- ---- views ----

local Views = {}
Views.__index = Views
Views.__name = "luaserve.views"

--- A page: the template of this name below the root, with these values.
-- @param name "notes/list.html"
-- @param values optional: a table; its string keys are names in the template
-- @return string. Raises what is wrong with the template, by file and line
-- @usage res:html(views:render("page.html", { title = "Home" }))
function Views:render(name, values)
  if getmetatable(self) ~= Views then
    error("'render' is a method: views:render(...), with a colon, not views.render(...)", 2)
  end
  return render(self, find(self, name, 3), check_values(values, "views:render"))
end

--- Compiles all templates below the root whose names end so, so that what is wrong with one shows at the start.
-- @param ending optional: ".html" unless given
-- @return how many there are. Raises what is wrong with the first that is
function Views:compile_all(ending)
  ending = ending or ".html"
  local count = 0
  for path, type in require "luaserve.fs".walk(self.root) do
    if type == "file" and path:sub(-#ending) == ending then
      find(self, path:sub(#self.root + 2), 3)
      count = count + 1
    end
  end
  return count
end

function Views:__tostring()
  return ("%s (%s)"):format(Views.__name, self.root or "no root")
end

local function check_options(options)
  if options.helpers ~= nil and type(options.helpers) ~= "table" then
    error("the helpers must be a table, not a " .. type(options.helpers), 3)
  elseif options.root ~= nil and type(options.root) ~= "string" then
    error("the root must be a string, not a " .. type(options.root), 3)
  end
end

local function new_views(options)
  local reload = options.reload
  if reload == nil then reload = process.development end
  return setmetatable({ root = options.root and options.root:gsub("(.)/+$", "%1"), escape = options.escape ~= false,
    reload = reload, names = names_of(options.helpers), compiled = {} }, Views)
end

--- Templates in a folder. Each is compiled when it is first used.
-- @param options root: the folder, which must be there; helpers: values that all of them see, functions above all;
-- reload: looks each time whether a file has changed (default: whether luaserve was started with --dev); escape: false
-- for what is no HTML
-- @return views
-- @usage local views = template.new { root = "views" }
function template.new(options)
  options_of.check(options, "template.new", { "escape", "helpers", "reload", "root" })
  if not options or options.root == nil then error("template.new needs the option root, a folder", 2) end
  check_options(options)
  require "luaserve.core.folder".check("template.new", options.root, 2)
  return new_views(options)
end

-- ---- single templates ----

local Template = {}
Template.__index = Template
Template.__name = "luaserve.template"

--- The text that the template makes of these values.
-- @return string. Raises what goes wrong in it, by name and line
function Template:render(values)
  return render(self.views, self.compiled, check_values(values, "render"))
end

Template.__call = Template.render

function Template:__tostring()
  return ("%s (%s)"):format(Template.__name, self.name)
end

--- A template that is a string here.
-- @param text what the file would have
-- @param name optional: what messages call it
-- @param options optional: helpers, escape, as for new; root: where it includes from
-- @return template: has render(values), and can be called
-- @usage print(template.compile("Hello, {{ name }}!")({ name = "<Ada>" }))
function template.compile(text, name, options)
  options_of.check(options, "template.compile", { "escape", "helpers", "root" })
  if type(text) ~= "string" then error("template.compile takes a string, not a " .. type(text), 2) end
  options = options or {}
  check_options(options)
  local views = new_views(options)
  name = name or "template"
  return setmetatable({ name = name, views = views, compiled = compiler.compile(text, name, views.escape) }, Template)
end

return template
