-- SPDX-License-Identifier: MIT
--- Makes the site of the documentation, as `make docs` does:  ./luaserve docs/site/build.lua [folder]
--
-- Every Markdown file in docs/, the README (the start page), the manual page if there is one, and what these link to:
-- a source file becomes a page too. pandoc makes HTML of the texts; the frame around them, the links, the contents and
-- the index of the search are made here. What pandoc has made is kept by its hash, so that only what has changed is
-- made again. A link that leads nowhere ends the build with status 1.

local fs = require "luaserve.fs"
local html = require "html"
local pandoc = require "pandoc"
local task = require "luaserve.task"
local template = require "luaserve.template"

local folder = (arg[1] or "build/docs"):gsub("/+$", "")
local AT_ONCE = 4 -- pandocs
local SUMMARY = 160 -- characters of a page's first paragraph, for those who link to it

-- The order of the pages. What is in docs/ and not here follows in the last topic, the modules by their names.
local topics = {
  { title = "Start", "README.md", "docs/tutorial.md" },
  { title = "Guides", "docs/requests-and-responses.md", "docs/routing.md", "docs/forms-and-validation.md",
    "docs/templates.md", "docs/sessions-and-security.md", "docs/files-and-uploads.md", "docs/streams.md",
    "docs/background-work.md", "docs/errors.md" },
  { title = "Writing and testing", "docs/testing.md", "docs/check.md", "docs/repl.md", "docs/coroutines.md",
    "docs/order.md", "docs/native.md" },
  { title = "In service", "docs/configuration.md", "docs/options.md", "docs/luaserve.1", "docs/deployment.md",
    "docs/logging-and-operation.md", "docs/guardrails.md", "docs/trace.md" },
  { title = "Coming from", "docs/coming-from-node.md", "docs/coming-from-openresty.md", "docs/coming-from-luvit.md" },
  { title = "Modules", "docs/api/README.md" },
  { title = "The project", "docs/contributing.md", "bench/README.md" },
}

-- Shorter ones, where a page's own is long for the menu.
local titles = { ["README.md"] = "Overview", ["docs/tutorial.md"] = "Tutorial", ["docs/luaserve.1"] = "luaserve(1)",
  ["docs/trace.md"] = "Trace", ["docs/coming-from-node.md"] = "Node", ["docs/coming-from-openresty.md"] = "OpenResty",
  ["docs/coming-from-luvit.md"] = "Luvit", ["bench/README.md"] = "Measurements" }

local pages = {} -- in their order; also by their source
local problems = {}

local function is_file(path)
  local stat = fs.stat(path)
  return stat ~= nil and stat.type == "file"
end

--- Where the page of a source goes: docs/api/README.md to api/index.html, examples/hello.lua to source/....
local function target_of(source)
  local name = source:gsub("^docs/", "")
  if source:find "%.md$" then return (name:gsub("README%.md$", "index.md"):gsub("%.md$", ".html")) end
  if source == "docs/luaserve.1" then return "luaserve.1.html" end
  return "source/" .. source .. ".html"
end

local function add_page(source, topic)
  local page = pages[source]
  if page then return page end
  page = { source = source, target = target_of(source), topic = topic }
  pages[#pages + 1], pages[source] = page, page
  if topic then topic.pages[#topic.pages + 1] = page end
  return page
end

local function collect()
  for _, topic in ipairs(topics) do
    topic.pages = {}
    for _, source in ipairs(topic) do
      if is_file(source) then add_page(source, topic) end
    end
  end
  for path, type in fs.walk "docs" do
    local topic = topics[path:find "^docs/api/" and #topics - 1 or #topics]
    if type == "file" and path:find "%.md$" then add_page(path, topic) end
  end
end

-- ---- pages ----

--- The file that a link of a page means, or nil; and what is behind its #.
local function resolve(page, link)
  local path, anchor = link:match "^([^#]*)#?(.*)$"
  if path == "" then return page.source, anchor end
  local source = html.join(page.source, path)
  if is_file(source) then return source, anchor end
  source = source .. "/README.md"
  return is_file(source) and source or nil, anchor
end

local function problem(page, text)
  problems[#problems + 1] = page.source .. ": " .. text
end

--- Makes links between sources links between pages, and remembers those with anchors.
local function link_pages(page)
  return function(link)
    if link:find "^%a[%w+.-]*:" then return link end
    local source, anchor = resolve(page, link)
    if not source then
      problem(page, "a link that leads nowhere: " .. link)
      return link
    end
    local other = add_page(source)
    if anchor ~= "" then page.anchors[#page.anchors + 1] = { page = other, anchor = anchor, link = link } end
    if anchor == "" then return html.relative(page.target, other.target) end
    return (other == page and "" or html.relative(page.target, other.target)) .. "#" .. anchor
  end
end

--- Takes pictures along.
local function copy_pictures(page)
  return function(link)
    if link:find "^%a[%w+.-]*:" then
      problem(page, "a picture from elsewhere: " .. link)
      return link
    end
    local source = html.join(page.source, link)
    local target = source:gsub("^docs/", "")
    assert(fs.mkdir(html.join(folder .. "/" .. target, "."), { recursive = true }))
    if not fs.copy_file(source, folder .. "/" .. target) then problem(page, "no such picture: " .. link) end
    return html.relative(page.target, target)
  end
end

local function render(page)
  local body, made = pandoc.render(page.source)
  if made then print("page " .. page.target) end
  page.anchors = {}
  body = html.tidy(body)
  body = html.map_attribute(body, "href", link_pages(page))
  body = html.map_attribute(body, "src", copy_pictures(page))
  page.body, page.headings, page.ids = body, html.headings(body), html.ids(body)
  page.heading = page.headings[1] and page.headings[1].text or page.source
  page.title = titles[page.source] or page.source:match "^docs/api/(%l[%w_]*)%.md$" or page.heading
  page.summary = html.first_sentences(body, SUMMARY)
end

--- Renders pages until none is new, some at once.
local function render_all()
  local done = 0
  while done < #pages do
    local limit, group <close> = task.semaphore(AT_ONCE), task.group()
    for i = done + 1, #pages do group:spawn(limit.with, limit, render, pages[i]) end
    done = #pages
    group:wait()
  end
end

local function check_anchors()
  for _, page in ipairs(pages) do
    for _, wanted in ipairs(page.anchors) do
      if not wanted.page.ids[wanted.anchor] then problem(page, "no such heading: " .. wanted.link) end
    end
  end
end

-- ---- the frame ----

--- The pages that are in the menu, in its order.
local function in_order()
  local order = {}
  for _, topic in ipairs(topics) do
    for _, page in ipairs(topic.pages) do order[#order + 1] = page end
  end
  return order
end

--- A page whose root is "/" can be shown at any path.
local function write_page(frame, page, before, after)
  local root = page.root or html.relative(page.target, "")
  local function link(other) return root .. other.target end
  local path = folder .. "/" .. page.target
  assert(fs.mkdir(path:match "^(.*)/", { recursive = true }))
  assert(fs.write_file(path, frame {
    page = page, topics = topics, link = link, before = before or false, after = after or false,
    root = root, contents = html.contents(page.headings),
  }))
end

local function write_all()
  local frame_path = "docs/site/template.html"
  local frame = template.compile(assert(fs.read_file(frame_path)), frame_path)
  local order, place = in_order(), {}
  for i, page in ipairs(order) do place[page] = i end
  for _, page in ipairs(pages) do
    local i = place[page]
    write_page(frame, page, i and order[i - 1], i and order[i + 1])
  end
  local missing = { source = "404.html", target = "404.html", title = "No such page", headings = {}, summary = "",
    root = "/", body = "<h1>No such page</h1>\n<p>The menu and the search know all there are.</p>\n" }
  write_page(frame, missing)
end

-- ---- the search ----

--- One entry for each section of each page of the menu; of modules also the names that it is about. A script and no
-- JSON file: a page that is opened from a disk may load scripts only.
local function write_index()
  local entries = {}
  for _, page in ipairs(in_order()) do
    for _, section in ipairs(html.sections(page.body)) do
      entries[#entries + 1] = { page.title, section.title, page.target .. (section.id and "#" .. section.id or ""),
        section.text, page.source:find "^docs/api/" and section.names or "" }
    end
  end
  assert(fs.write_file(folder .. "/search-index.js", "searchIndex(" .. template.json(entries) .. ");\n"))
  return #entries
end

--- Nothing of an earlier site stays. What is no site is left alone.
local function begin()
  local names = fs.readdir(folder) or {}
  if #names > 0 and not is_file(folder .. "/search-index.js") then
    io.stderr:write(folder, ": there is something else in this folder\n")
    os.exit(1)
  end
  assert(fs.rm(folder, { recursive = true, force = true }))
  assert(fs.mkdir(folder, { recursive = true }))
  assert(fs.write_file(folder .. "/search-index.js", "")) -- also a build that fails leaves a folder that is a site's
end

begin()
collect()
render_all()
check_anchors()
if #problems > 0 then
  io.stderr:write(table.concat(problems, "\n"), "\n")
  os.exit(1)
end
write_all()
for _, name in ipairs { "style.css", "search.js" } do
  assert(fs.copy_file("docs/site/" .. name, folder .. "/" .. name))
end
local made, sections = pandoc.forget_others(), write_index()
print(("%s: %d pages, %d of them new, %d sections to search"):format(folder, #pages, made, sections))
