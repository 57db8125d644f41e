-- SPDX-License-Identifier: MIT
-- That spec/support/browser.lua sees what a page shows and says, and does what a visitor does.

local browser = require "spec.support.browser"
local test = require "luaserve.test"

local page_of = {
  ["/"] = [[
<!doctype html>
<title>Home</title>
<form><input name="name"><input type="file" name="files" multiple><button>Go</button></form>
<p id="chosen">nothing</p>
<script>
setTimeout(() => {
  const late = document.body.appendChild(document.createElement("h1"));
  late.textContent = "late and " + (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}, 50);
document.querySelector("[type=file]").onchange = (event) => {
  document.querySelector("#chosen").textContent = [...event.target.files].map((file) => file.name).join();
};
</script>]],
  ["/broken"] = "<!doctype html><title>Broken</title><p>text<script>nobody()</script>",
  ["/strict"] = "<!doctype html><title>Strict</title><p>text<style>p { color: red }</style>",
}

describe("the browser", function()
  local client = test.fixture(function()
    return test.serve(function(req, res)
      if req.path == "/strict" then res:set("content-security-policy", "default-src 'self'") end
      if not page_of[req.path] then return res:send(404, "") end
      res:html(page_of[req.path])
    end)
  end)

  it("fills in a form, and waits for what comes later", function()
    local page = browser.open()
    page:go(client())
    assert.equal("nothing", page:text("#chosen"))
    page:wait_text("h1", "^late and light$")
    page:type("[name=name]", "Ada")
    page:upload("[type=file]", "README.md", "Makefile")
    page:wait_text("#chosen", "^README.md,Makefile$")
    page:click("button")
    page:wait("return location.search === arguments[0]", "?name=Ada&files=README.md&files=Makefile")
  end)

  it("has several windows, each as it likes it", function()
    local light, dark = browser.open(), browser.open { dark = true, width = 400 }
    local plain = browser.open { script = false }
    for _, page in ipairs { light, dark, plain } do page:go(client()) end
    dark:wait_text("h1", "dark")
    light:wait_text("h1", "light")
    assert.same({ 400, 700 }, { browser.size(dark:screenshot()) })
    assert.same({ 1000, 700 }, { browser.size(light:screenshot()) })
    plain:upload("[type=file]", "README.md")
    assert.equal("nothing", plain:text("#chosen"))
  end)

  it("tells what scripts have done wrong, and what the policy forbids", function()
    local page = browser.open()
    page:go(client(), "/broken")
    assert.matches("nobody is not defined", page:console()[1])
    page:go(client(), "/strict")
    assert.matches("Content Security Policy", page:console()[1])
    assert.same({}, page:console())
  end)

  it("does not pass over an error that nobody has asked for", function()
    local page = browser.open()
    page:go(client(), "/broken")
    assert.has_error(function() page:close() end)
  end)
end)
