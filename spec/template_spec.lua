-- SPDX-License-Identifier: MIT
local client, files = require "spec.support.client", require "spec.support.files"
local fs, task = require "luaserve.fs", require "luaserve.task"
local http_servers = require "spec.support.http_servers"
local template, timer = require "luaserve.template", require "luaserve.timer"

after_each(function() http_servers.clean_up() end)

--- What the template makes of the values.
local function render(text, values, options)
  return template.compile(text, "page.html", options)(values)
end

--- The message with which compiling or rendering fails.
local function failure(text, values)
  local ok, message = pcall(function() return render(text, values) end)
  assert.is_false(ok, "it did not fail")
  return message
end

describe("a template", function()
  it("prints text and values", function()
    assert.equal("", render(""))
    assert.equal("Hello, Ada! 1 -5 3.5 true 12",
      render("Hello, {{ name }}! {{ 1 }} {{ -5 }} {{ 3.5 }} {{ ok }} {{ 7 + 5 }}", { name = "Ada", ok = true }))
    assert.equal(math.mininteger .. " " .. math.maxinteger, render("{{ a }} {{ b }}",
      { a = math.mininteger, b = math.maxinteger }))
    assert.equal("a\0b \\n \"x\"\r\n", render("a\0b \\n \"x\"\r\n"))
  end)

  it("escapes values, and what is raw not", function()
    local bad = [[<a href="x" id='y'>&</a>]]
    assert.equal("&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&lt;/a&gt;", render("{{ bad }}", { bad = bad }))
    assert.equal(bad, render("{{{ bad }}}", { bad = bad }))
    assert.equal(bad .. "&lt;", render("{{ made }}{{ '<' }}", { made = template.raw(bad) }))
    assert.equal("1&lt;2", render("{{ o }}", { o = setmetatable({}, { __tostring = function() return "1<2" end }) }))
    assert.equal(("&amp;"):rep(100000), render("{{ x }}", { x = ("&"):rep(100000) }))
  end)

  it("keeps literals and values of both kinds in their order", function()
    assert.equal("a<b>c&lt;d<e", render("a{{{ r }}}c{{ v }}d{{{ v }}}e", { r = "<b>", v = "<" }))
    assert.equal("&lt;<&lt;", render("{{ v }}{{{ v }}}{{ v }}", { v = "<" }))
    local many = ("{{ v }}-"):rep(500)
    assert.equal(("1-"):rep(500), render(many, { v = 1 }))
  end)

  it("runs Lua statements", function()
    assert.equal("1: a\n2: b\nend", render("{% for i, x in ipairs(list) do %}\n{{ i }}: {{ x }}\n{% end %}\nend",
      { list = { "a", "b" } }))
    assert.equal("no", render("{% if x then %}yes{% else %}no{% end %}", { x = false }))
    assert.equal("<i>a</i><i>b</i>", render("{% local function i(t) %}<i>{{ t }}</i>{% end %}{% i 'a' i 'b' %}"))
    assert.equal("a", render("a{% do return end %}b"))
  end)

  it("reads the code of tags as Lua does", function()
    assert.equal("}} %} ]]", render([=[{{ "}}" }} {{ '%}' }} {{ "]]" }}]=]))
    assert.equal("3", render("{{ #{ 1, { 2 }, {{ 3 }} } }}"))
    assert.equal("}}", render("{{ [==[}}]==] }}"))
    assert.equal("\"'", render([[{{{ "\"" }}}{{{ '\'' }}}]]))
    assert.equal("12", render("{% local a = 1 -- a %}{{ a }}{% local b = 2 --[[ %} ]] %}{{ b }}"))
    assert.equal("1 then", render("{{ 1 -- one }} then"))
    assert.equal("1", render("{{ ({ 1, 2 })[1] }}"))
    assert.equal("2", render("{{ select('#', nil, nil) }}"))
    assert.equal("1", render("{{ select(1, 1, 2) }}"))
  end)

  it("has comments", function()
    assert.equal("ab", render("a{# {{ no }} {% no %} #}b"))
    assert.equal("a\nb", render("a\n{# a line\nof its own #}\nb"))
  end)

  it("leaves no lines of tags that stand alone, and trims where told", function()
    assert.equal("<ul>\n  <li>\n</ul>\n", render("<ul>\n  {% if true then %}\n  <li>\n  {% end %}\r\n</ul>\n"))
    assert.equal("a  b", render("a {% local x %} b"))
    assert.equal("ab", render("a \n {%- local x -%} \n b"))
    assert.equal("a1b", render("a \n {{- 1 -}} \n b"))
    assert.equal("a-1b", render("a{{ -1 }}b"))
    assert.equal("  1\n", render("  {{ 1 }}\n"))
  end)

  it("does not take braces for tags that are none", function()
    assert.equal("{ a } {x {} }} %} #}", render("{ a } {x {} }} %} #}"))
  end)
end)

describe("names in a template", function()
  it("are the values, then helpers, then Lua's", function()
    local options = { helpers = { up = string.upper, name = "helper", b = function() return template.raw "<b>" end } }
    assert.equal("ADA Ada <b> 3",
      render("{{ up(name) }} {{ name }} {{ b() }} {{ math.max(1, 3) }}", { name = "Ada" }, options))
    assert.equal("helper", render("{{ name }}", nil, options))
    assert.equal("false", render("{{ values.other ~= nil }}", { name = 1 }))
  end)

  it("that nobody gave are errors, read or written", function()
    assert.equal("page.html:2: no value 'nme' was given to the template (values.nme, where it may be absent)",
      failure("\n{{ nme }}", { name = 1 }))
    assert.equal("page.html:2: no value 'print' was given to the template (values.print, where it may be absent)",
      failure("\n{% print(1) %}"))
    assert.equal("page.html:3: 'x' is no value of the template: write local x = ...", failure("\n\n{% x = 1 %}"))
  end)

  it("do not leak from one rendering to the next, nor into the table", function()
    local page = template.compile("{% if values.n then n = n + 1 end %}{{ values.n and n or 'none' }}")
    local values = { n = 1 }
    assert.equal("2", page(values))
    assert.same({ n = 1 }, values)
    assert.equal("none", page())
  end)
end)

describe("an error in a template", function()
  it("names its file and line when it runs", function()
    assert.equal("page.html:3: attempt to index a nil value (field 'user')",
      failure("a\n\n{{ x.user.name }}", { x = {} }))
    assert.equal("page.html:2: boom", failure("\n{% error 'boom' %}"))
    assert.equal("page.html:4: attempt to perform arithmetic on a nil value (field 'b')",
      failure("<b>{{ 1 }}</b>\n{{ 2 }}\n<p>\n{{ a.b + 1 }}", { a = {} }))
    assert.equal("page.html:5: late", failure("{#\n\n#}{{ 'two\\\nlines' }}\n{% error 'late' %}"))
  end)

  it("names what cannot be printed", function()
    assert.equal("page.html:3: {{ user.nick }} is nil",
      failure("{{ 1 }}\n{{ 2 }}\n{{ user.nick }} {{ 3 }}", { user = {} }))
    assert.equal("page.html:1: {{ user }} is a table", failure("{{ user }}", { user = {} }))
    assert.equal("page.html:2: {{ print }} is a function", failure("\n{{{ print }}}", { print = print }))
  end)

  it("names its file and line when it is compiled", function()
    for text, message in pairs {
      ["a\n{% if x %}"] = "page.html:2: 'then' expected near '%}'",
      ["a\n{% if x then %}\nfoo"] = "page.html:3: 'end' expected (to close 'if' at line 2) at the end of the template",
      ["a\n{% end %}"] = "page.html:2: <eof> expected near 'end'",
      ["a\n{{ a b }}"] = "page.html:2: '}}' expected near 'b'",
      ["a\n{{ (a }}"] = "page.html:2: ')' expected at the end of the tag",
      ["a\n{{ a\n+ }}"] = "page.html:3: unexpected symbol at the end of the tag",
      ["a\n{{ }}"] = "page.html:2: there is nothing in the tag",
      ["a\n{{ a"] = "page.html:2: the tag that begins here has no '}}'",
      ["a\n{{ a } }}"] = "page.html:2: a '}' too many in the tag that begins here",
      ["a\n{% 'a\n' %}"] = "page.html:2: a string does not end in the tag that begins here",
      ["a\n{% [[a %}"] = "page.html:2: a long string or comment does not end in the tag that begins here",
      ["a\n{# a"] = "page.html:2: the comment that begins here has no '#}'",
      ["\n{% block a %}\n"] = "page.html:2: the block 'a' has no {% endblock %}",
      ["\n{% block %}{% endblock %}"] = "page.html:2: a block has a name: {% block name %}",
      ["\n{% endblock %}"] = "page.html:2: there is no block for this endblock to end",
    } do
      local ok, got = pcall(template.compile, text, "page.html")
      assert.is_false(ok, text)
      assert.equal(message, got)
    end
  end)

  it("of the program is at the caller's line", function()
    local here = "^spec/template_spec.lua:%d+: "
    for message, call in pairs {
      ["template.compile takes a string, not a nil"] = function() template.compile() end,
      ["template.compile: unknown option 'helper' (did you mean 'helpers'?)"] = function()
        template.compile("", "x", { helper = {} })
      end,
      ["the root must be a string, not a number"] = function() template.new { root = 7 } end,
      ["template.new needs the option root, a folder"] = function() template.new() end,
      ["the helpers must be a table, not a string"] = function() template.new { root = ".", helpers = "" } end,
      ["render: the values must be a table, not a string"] = function() template.compile("")("x") end,
      ["'../x' is no name of a template: it would leave the root"] = function()
        template.new { root = "." }:render("../x")
      end,
      ["'/x' is no name of a template: it would leave the root"] = function()
        template.new { root = "." }:render("/x")
      end,
      ["no template: ENOENT: no such file or directory: open './none.html'"] = function()
        template.new { root = "." }:render("none.html")
      end,
    } do
      local ok, got = pcall(call)
      assert.is_false(ok, message)
      assert.matches(here, got)
      assert.equal(message, (got:gsub(here, "")))
    end
  end)
end)

describe("places where escaping does not help", function()
  it("are refused", function()
    for text, place in pairs {
      ["<script>x = {{ x }}"] = "in <script>",
      ["<SCRIPT type='a'>x = '{{ x }}'"] = "in <script>",
      ["<style>a { b: {{ x }} }"] = "in <style>",
      ["<a href={{ x }}>"] = "as the value of an attribute without quotes around it",
      ["<a href=/a/{{ x }}>"] = "in the value of an attribute without quotes around it",
      ["<a {{ x }}>"] = "among the attributes of a tag",
      ["<a {{{ '' }}} b{{ x }}='1'>"] = "among the attributes of a tag",
      ["<{{ x }}>"] = "in the name of a tag",
      ["<h{{ x }}>"] = "in the name of a tag",
      ["<a onclick=\"f('{{ x }}')\">"] = "in onclick, which is a script",
      ["<iframe srcdoc='{{ x }}'>"] = "in srcdoc, which is a page",
      ["<!doctype {{ x }}>"] = "in a declaration",
    } do
      assert.equal(("page.html:1: {{ x }} stands %s, where escaping does not make it safe"):format(place),
        failure(text, { x = 1 }))
    end
  end)

  it("are not confused with others", function()
    for _, text in ipairs {
      "<script>a < b</script>{{ x }}", "<style>a > b { }</style>{{ x }}",
      "<p class=\"a {{ x }}\" id='{{ x }}'>{{ x }}</p>",
      "<textarea><script>{{ x }}</textarea>", "<title>{{ x }}</title>", "<!-- <script> {{ x }} -->{{ x }}",
      "<a title=\"<script>\">{{ x }}", "<br/>{{ x }}", "<input disabled value='1'>{{ x }}", "a < b {{ x }}",
      "<a\nb = 'c'\n>{{ x }}",
      "<svg><path d='{{ x }}'/></svg>{{ x }}", "<a {% if x then %}b='1'{% end %}>{{ x }}</a>", "<!doctype html>{{ x }}",
      "<a b=c>{{ x }}", "<p style=\"width: {{ x }}px\">",
    } do
      assert.has_no_error(function() render(text, { x = 1 }) end)
    end
  end)

  it("are nobody's business where nothing is escaped", function()
    assert.equal("a <b {<}>", render("a <b {{{ '{' }}}{{ x }}{{ '}' }}>", { x = "<" }, { escape = false }))
  end)

  it("take no URLs that run", function()
    local function href(url) return render('<a href="{{ url }}">', { url = url }):match '"(.*)"' end
    for _, url in ipairs { "javascript:alert(1)", " \1JavaScript:x", "java\nscript:x", "data:text/html,x", "vbscript:x",
      "javascript&colon;x:" } do
      assert.equal("about:invalid", href(url))
    end
    for _, url in ipairs { "", "/a:b", "a?b:c", "#a:b", "https://example.org/", "HTTP://x", "mailto:a@example.org",
      "tel:+1", "//example.org", "page" } do
      assert.equal(url, href(url))
    end
    assert.equal('<form action="about:invalid"><p title="javascript:x">',
      render('<form action="{{ x }}"><p title="{{ x }}">', { x = "javascript:x" }))
    for _, value in ipairs { " {{ x }}", "{% if x == '' then %}/a{% else %}{{ x }}{% end %}",
      "{% if x == '' then %}{{ x }}{% elseif x then %}{{ x }}{% end %}", "{{ '' }}{{ x }}" } do
      assert.matches('"%s*about:invalid"', render('<a href="' .. value .. '">', { x = "javascript:x" }))
    end
    assert.equal('<a href="/x/javascript:x">', render('<a href="/x/{{ x }}">', { x = "javascript:x" }))
    assert.equal('<a href="javascript:x">', render('<a href="{{ raw(x) }}">', { x = "javascript:x" }))
    assert.equal("about:invalid", href(require "luaserve.url".parse "javascript:x"))
    assert.equal("https://example.com/?a&amp;b", href(require "luaserve.url".parse "https://example.com/?a&b"))
    local asked = 0
    assert.equal("/1", href(setmetatable({}, { __tostring = function()
      asked = asked + 1
      return asked == 1 and "/1" or "javascript:x"
    end })))
  end)

  it("have json for scripts", function()
    local text = render("<script>x = {{{ json(x) }}}</script>", { x = { "</script><!--", "&\226\128\168'" } })
    assert.equal("<script>x = [\"\\u003c/script\\u003e\\u003c!--\",\"\\u0026\\u2028\\u0027\"]</script>", text)
    assert.equal([[<p title='[&quot;\u0027&quot;]'>]], render("<p title='{{ json(x) }}'>", { x = { "'" } }))
  end)
end)

describe("views", function()
  local root

  before_each(function() root = files.make_folder() end)
  after_each(files.remove_folder)

  --- The message with which rendering a template fails.
  local function failure_of(views, name)
    local ok, message = pcall(views.render, views, name)
    assert.is_false(ok)
    return message
  end

  --- Views of these files, by name.
  local function views_of(list, options)
    for name, text in pairs(list) do
      assert(fs.mkdir(root .. "/" .. (name:match "^(.*)/" or ""), { recursive = true }))
      assert(fs.write_file(root .. "/" .. name, text))
    end
    options = options or {}
    options.root = root
    return template.new(options)
  end

  it("render files by name, from folders too", function()
    local views = views_of({ ["a.html"] = "A {{ x }}", ["b/c.html"] = "C {{ up(x) }}" },
      { helpers = { up = string.upper } })
    assert.equal("A &lt;", views:render("a.html", { x = "<" }))
    assert.equal("C Y", views:render("b/c.html", { x = "y" }))
    assert.equal("luaserve.views (" .. root .. ")", tostring(views))
  end)

  it("include other templates, with the values or more of them", function()
    local views = views_of {
      ["list.html"] = "{% for _, item in ipairs(items) do include('row.html', { item = item }) end %}" ..
        "{% include 'foot.html' %}",
      ["row.html"] = "{{ item }}{{ sep }}", ["foot.html"] = "{{ #items }}",
    }
    assert.equal("a,b,2", views:render("list.html", { items = { "a", "b" }, sep = "," }))
    views = views_of { ["a.html"] = "{% include 'a.html' %}" }
    assert.equal(root .. "/a.html:1: 'a.html' includes itself without end", failure_of(views, "a.html"))
  end)

  it("name the included file in errors", function()
    local views = views_of { ["a.html"] = "\n{% include 'b.html' %}", ["b.html"] = "\n\n{{ nothing }}",
      ["c.html"] = "\n{% include 'd.html' %}", ["e.html"] = "{% layout 'c.html' %}",
      ["f.html"] = "{% include '../f' %}" }
    assert.equal(root .. "/b.html:3: no value 'nothing' was given to the template (values.nothing, " ..
      "where it may be absent)",
      failure_of(views, "a.html"))
    local missing = ("%s/c.html:2: no template: ENOENT: no such file or directory: open '%s/d.html'"):format(root, root)
    assert.equal(missing, failure_of(views, "c.html"))
    assert.equal(missing, failure_of(views, "e.html"))
    assert.equal(root .. "/f.html:1: '../f' is no name of a template: it would leave the root",
      failure_of(views, "f.html"))
    local ok, message = pcall(template.compile("{% include 'x' %}", "t"))
    assert.is_false(ok)
    assert.equal("t:1: 'x': there are no other templates without a root", message)
    assert.equal("page.html:2: a template has a name, a string", failure("\n{% layout(nil) %}"))
  end)

  it("have layouts with blocks", function()
    local views = views_of {
      ["base.html"] = "<title>{% block title %}Home{% endblock %}</title>\n{% content %}\n" ..
        "{% block foot %}{% endblock %}",
      ["page.html"] = "{% layout 'base.html' %}\n{% block title %}{{ title }}!{% endblock %}\n<p>{{ title }}</p>\n",
      ["plain.html"] = "{% layout 'base.html' %}\nplain\n",
    }
    assert.equal("<title>A&amp;B!</title>\n<p>A&amp;B</p>\n",
      (views:render("page.html", { title = "A&B" }):gsub("\n+", "\n")))
    assert.equal("<title>Home</title>\nplain\n", (views:render("plain.html"):gsub("\n+", "\n")))
    assert.equal(root .. "/base.html:2: there is no content here: the template is nobody's layout",
      failure_of(views, "base.html"))
  end)

  it("have layouts in layouts, and in what is included", function()
    local views = views_of {
      ["base.html"] = "[{% block a %}base{% endblock %}|{% block b %}base{% endblock %}|{% content %}]",
      ["middle.html"] = "{% layout 'base.html' %}{% block a %}middle{% endblock %}" ..
        "{% block b %}middle{% endblock %}({% content %})",
      ["page.html"] = "{% layout 'middle.html' %}{% block a %}page{% endblock %}text{% include 'box.html' %}",
      ["box.html"] = "{% layout 'frame.html' %}{% block a %}box{% endblock %}in",
      ["frame.html"] = "<{% block a %}{% endblock %}:{% content %}>",
    }
    assert.equal("[page|middle|(text<box:in>)]", views:render("page.html"))
  end)

  it("keep what is compiled, and look at files again with reload", function()
    local kept = views_of { ["a.html"] = "one" }
    local fresh = template.new { root = root, reload = true }
    assert.equal("one", kept:render("a.html"))
    assert.equal("one", fresh:render("a.html"))
    assert(fs.write_file(root .. "/a.html", "two and more"))
    assert.equal("one", kept:render("a.html"))
    assert.equal("two and more", fresh:render("a.html"))
  end)

  it("compile all at once", function()
    local views = views_of { ["a.html"] = "", ["b/c.html"] = "", ["d.txt"] = "{{" }
    assert.equal(2, views:compile_all())
    assert(fs.write_file(root .. "/b/bad.html", "\n{{ x"))
    local ok, message = pcall(function() template.new { root = root }:compile_all() end)
    assert.is_false(ok)
    assert.equal(root .. "/b/bad.html:2: the tag that begins here has no '}}'", message)
  end)

  it("can wait in a helper while others render", function()
    local views = views_of({ ["a.html"] = "{{ x }}{{ nap() }}{{ x }}" },
      { helpers = { nap = function() timer.sleep(0.005) return "-" end } })
    local tasks, got = {}, {}
    for i = 1, 30 do tasks[i] = task.spawn(views.render, views, "a.html", { x = i }) end
    for i = 1, 30 do got[i] = tasks[i]:join() end
    for i = 1, 30 do assert.equal(i .. "-" .. i, got[i]) end
  end)

  it("go on after an error in the midst of a page", function()
    local views = views_of { ["a.html"] = "begun {{ x.y.z }}", ["b.html"] = "fine" }
    assert.has_error(function() views:render("a.html", { x = {} }) end)
    assert.equal("fine", views:render("b.html"))
  end)

  it("make pages for res:html", function()
    local views = views_of { ["a.html"] = "<p>{{ path }}</p>" }
    local _, address = http_servers.serve(nil, function(req, res)
      res:html(views:render("a.html", { path = req.path }))
    end)
    local response = client.request(address, { path = "/<x>" })
    assert.same({ 200, "text/html; charset=utf-8", "<p>/&lt;x&gt;</p>" },
      { response.status, response.headers["content-type"], response.body })
  end)
end)

describe("escape and raw", function()
  it("make text safe, and tell what is", function()
    assert.equal("&lt;&amp;&gt;&quot;&#39;x", template.escape("<&>\"'x"))
    assert.equal("7", template.escape(7))
    local plain = "nothing to escape"
    assert.equal(plain, template.escape(plain))
    assert.equal("<b>", tostring(template.raw("<b>")))
    assert.equal(tostring(template.raw(template.raw("<b>"))), "<b>")
    assert.has_error(function() template.raw() end)
  end)
end)
