-- SPDX-License-Identifier: MIT
--- What the site needs to know of paths, and of the HTML that pandoc writes. No other HTML comes here, and pandoc's is
-- regular: attributes in double quotes, entities for <, > and & everywhere else.

local template = require "luaserve.template"

local html = {}

-- ---- paths ----

--- A path as seen from the folder of a file: join("docs/api/app.md", "../order.md") is "docs/order.md".
function html.join(from, path)
  local parts = {}
  for part in ((from:match "^(.*/)" or "") .. path):gmatch "[^/]+" do
    if part == ".." and parts[1] and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return (from:find "^/" and "/" or "") .. table.concat(parts, "/")
end

--- The link from one page to another, both told from the root of the site.
function html.relative(from, to)
  return ("../"):rep(select(2, from:gsub("/", ""))) .. to
end

-- ---- text ----

local entities = { lt = "<", gt = ">", amp = "&", quot = '"', ["#39"] = "'" }

--- The text of HTML, on one line.
function html.text(code)
  code = code:gsub("<[^>]*>", ""):gsub("&([%w#]+);", entities):gsub("%s+", " ")
  return code:match "^ ?(.-) ?$"
end

--- At most max bytes of the first paragraph, whole words.
function html.first_sentences(code, max)
  local text = html.text(code:match "<p>(.-)</p>" or "")
  if #text <= max then return text end
  return (text:sub(1, max):gsub("%s%S*$", "")) .. " ..."
end

-- ---- pandoc's HTML ----

--- Without what the site does not use: anchors of lines of code, comments, tables' heads that are empty, styles. Tables
-- and code get frames that scroll where the screen is narrow, and what is typed on a console stands out.
function html.tidy(code)
  code = code:gsub('<a href="#cb[%d-]+"[^>]*></a>', ""):gsub(' id="cb[%d-]+"', "")
  code = code:gsub("<!%-%-.-%-%->\n?", ""):gsub(' style="[^"]*"', "")
  code = code:gsub('(<pre class="console"><code>)(.-)(</code>)', function(head, lines, tail)
    return head .. ("\n" .. lines):gsub("\n(%$ [^\n]*)", "\n<b>%1</b>"):sub(2) .. tail
  end)
  code = code:gsub("<thead>.-</thead>", function(head)
    if html.text(head) == "" then return "" end
  end)
  code = code:gsub("<table>", '<div class="table" tabindex="0">\n<table>'):gsub("</table>", "</table>\n</div>")
  local anchor = ' <a class="anchor" href="#%2" aria-hidden="true" tabindex="-1">#</a>'
  return (code:gsub('<h([23]) id="([^"]*)">(.-)</h%1>', '<h%1 id="%2">%3' .. anchor .. "</h%1>"))
end

--- Every value of an attribute through a function, which may wait.
function html.map_attribute(code, name, map)
  local parts, position = {}, 1
  for first, value, after in code:gmatch(" " .. name .. '="()([^"]*)()"') do
    parts[#parts + 1] = code:sub(position, first - 1)
    parts[#parts + 1] = template.escape(map(html.text(value)))
    position = after
  end
  parts[#parts + 1] = code:sub(position)
  return table.concat(parts)
end

--- The headings in their order: { level =, id =, text = }.
function html.headings(code)
  local list = {}
  for level, attributes, inner in code:gmatch "<h([1-6])([^>]*)>(.-)</h%1>" do
    inner = inner:gsub(' ?<a class="anchor".-</a>', "")
    list[#list + 1] = { level = tonumber(level), id = attributes:match 'id="([^"]*)"', text = html.text(inner) }
  end
  return list
end

--- All ids: { id = true }.
function html.ids(code)
  local ids = {}
  for id in code:gmatch ' id="([^"]*)"' do ids[id] = true end
  return ids
end

--- The headings that a page's contents show: none where there is hardly anything to choose from.
function html.contents(headings)
  local list = {}
  for _, heading in ipairs(headings) do
    if heading.id and (heading.level == 2 or heading.level == 3) then list[#list + 1] = heading end
  end
  return #list > 1 and list or {}
end

-- Behind the end of these comes another word.
local apart = {}
for _, name in ipairs { "p", "li", "td", "th", "pre", "h1", "h4" } do apart[("</%s>"):format(name)] = " " end

--- What tables tell of: the code in the first cells of their rows, as one text.
local function names_in(code)
  local names = {}
  for cell in code:gmatch '<tr class="[^"]*">%s*<td>(.-)</td>' do
    for name in cell:gmatch "<code>(.-)</code>" do names[#names + 1] = html.text(name) end
  end
  return table.concat(names, " ")
end

--- A page in sections, for the search: { title =, id =, text =, names = what its tables tell of }. The first one is
-- what stands below the page's title.
function html.sections(code)
  local list = {}
  local position, title, id = 1, "", nil
  local function add(last)
    local part = code:sub(position, last):gsub("<h1.-</h1>", "")
    local text = html.text((part:gsub("</%a+%d?>", apart)))
    if text ~= "" or title ~= "" then
      list[#list + 1] = { title = title, id = id, text = text, names = names_in(part) }
    end
  end
  for first, next_id, inner, after in code:gmatch '()<h[23] id="([^"]*)">(.-)<a class="anchor".-</h[23]>()' do
    add(first - 1)
    position, title, id = after, html.text(inner), next_id
  end
  add(#code)
  return list
end

return html
