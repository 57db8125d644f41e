-- SPDX-License-Identifier: MIT
--- A real browser for specs of pages: headless Chromium, which chromedriver drives (W3C WebDriver). `require` it at the
-- top of a spec file, next to luaserve.test: the first page starts it, the end of the file ends it.
--
--   local browser = require "spec.support.browser"
--   it("greets", function()
--     local client = test.serve("examples/hello.lua")
--     local page = browser.open()
--     page:go(client, "/")
--     page:type("#name", "Ada")
--     page:click("button")
--     page:wait_text("h1", "Hello, Ada")
--   end)
--
-- A page is closed at the end of the `it`, and then what its console has told (errors of scripts, what did not load,
-- violations of the content security policy) is a failure, unless page:console() was asked for it.

local assert = require "luassert"
local client = require "spec.support.client"
local fs, json, process = require "luaserve.fs", require "luaserve.json", require "luaserve.process"
local test, timer = require "luaserve.test", require "luaserve.timer"
local waits = require "spec.support.waits"

local browser = {}

local PATIENCE = 15       -- seconds for what a page is to show; a busy machine needs some
local DRIVER_TIMEOUT = 60 -- seconds for an answer of the driver
local LIFETIME = 600      -- seconds of the driver, whatever becomes of the spec
local WIDTH, HEIGHT = 1000, 700
local SCREENSHOT_BYTES = 100 * 1000

local ELEMENT = "element-6066-11e4-a52e-4f735466cecf" -- the key of a reference to one (WebDriver 12.3)

-- The pipe ends the browser when the driver has gone, however that ended.
local ARGUMENTS = { "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--disable-crash-reporter", "--hide-scrollbars", "--remote-debugging-pipe" }

-- What a page may not have been ready for: tried again until patience ends.
local PASSING = { ["no such element"] = true, ["stale element reference"] = true, ["element not interactable"] = true,
  ["element click intercepted"] = true }

-- ---- the driver ----

-- Of this spec file: { child, address, folder, session = path, home = a window that stays, page = the one that commands
-- go to }.
local driver

--- One command: the value of its result; or nil, the message and the error's name.
local function command(method, path, parameters)
  local connection <close> = client.connect(driver.address)
  connection.socket:set_timeout(DRIVER_TIMEOUT)
  local response = connection:request { method = method, path = path,
    headers = { host = "127.0.0.1:" .. driver.address.port, ["content-type"] = "application/json" },
    body = method == "POST" and json.encode(parameters or json.object {}) or nil }
  local value = json.decode(response.body).value
  if response.status == 200 then return value end
  return nil, value.error .. ": " .. value.message:match("^[^\n]*"), value.error
end

local function environment(folder)
  local env = { HOME = folder, TMPDIR = folder }
  for name, value in pairs(process.env) do env[name] = env[name] or value end
  return env
end

local function read_port(child)
  child.stdout:set_timeout(DRIVER_TIMEOUT)
  for line in child.stdout:lines() do
    local port = line:match("started successfully on port (%d+)")
    if port then return math.tointeger(port) end
  end
  error("chromedriver does not start")
end

local function start()
  local folder = assert(fs.mkdtemp("/tmp/luaserve-browser-"))
  driver = { folder = folder }
  driver.child = assert(process.spawn("timeout", { "-s", "KILL", tostring(LIFETIME), "chromedriver", "--port=0" },
    { stdout = "pipe", stderr = "null", env = environment(folder), group = true, grace = 1 }))
  driver.address = { host = "127.0.0.1", port = read_port(driver.child) }
  local arguments = json.array { "--user-data-dir=" .. folder .. "/profile", table.unpack(ARGUMENTS) }
  local session = assert(command("POST", "/session", { capabilities = { alwaysMatch = {
    browserName = "chrome",
    ["goog:chromeOptions"] = { args = arguments },
    ["goog:loggingPrefs"] = { browser = "ALL" },
  } } }))
  driver.session = "/session/" .. session.sessionId
  driver.home = assert(command("GET", driver.session .. "/window"))
end

--- Ends both programs, waits until they have gone, and removes their files.
local function stop()
  if not driver then return end
  local child, folder = driver.child, driver.folder
  if child then
    if driver.session then pcall(command, "DELETE", driver.session) end
    child:close()
    child:wait()
  end
  driver = nil
  waits.eventually(function() return fs.rm(folder, { recursive = true, force = true }) end) -- who ends may still write
end

test.cleanup(stop) -- here, where the file is loaded, and so at its end

-- Where somebody ends the specs with a signal, nothing can be waited for.
process.on_exit(function()
  if not driver then return end
  if driver.child then driver.child:kill_group("SIGKILL") end
  os.execute("rm -rf " .. driver.folder)
end)

-- ---- pages ----

local Page = {}
Page.__index = Page
Page.__name = "spec.browser.page"

local function switch(window, page)
  assert(command("POST", driver.session .. "/window", { handle = window }))
  driver.page = page
end

--- A command to the window of this page: its value; or nil, message, the error's name.
local function try(page, method, path, parameters)
  if driver.page ~= page then switch(page.window, page) end
  return command(method, driver.session .. path, parameters)
end

local function ask(page, method, path, parameters)
  local value, message = try(page, method, path, parameters)
  if value == nil then error(message, 3) end
  return value
end

--- A command of the DevTools protocol.
local function devtools(page, name, parameters)
  return ask(page, "POST", "/goog/cdp/execute", { cmd = name, params = parameters })
end

--- Calls attempt() until it gives a value; one that gives nil may say what it has seen instead.
local function patiently(what, attempt)
  local deadline = process.hrtime() + PATIENCE * 1e9
  while true do
    local value, seen = attempt()
    if value ~= nil then return value end
    if process.hrtime() > deadline then error(what .. " in vain" .. (seen and ": " .. seen or ""), 3) end
    timer.sleep(0.01)
  end
end

--- A new window, with nothing in it.
-- @param options width, height: of what is seen (1000 x 700); dark: true: as for who prefers that; script: false: as in
-- a browser without JavaScript
-- @return page
function browser.open(options)
  options = options or {}
  if not driver then start() end
  local window = assert(command("POST", driver.session .. "/window/new", { type = "tab" }))
  local page = setmetatable({ window = window.handle }, Page)
  test.cleanup(page.close, page)
  devtools(page, "Emulation.setDeviceMetricsOverride", { width = options.width or WIDTH,
    height = options.height or HEIGHT, deviceScaleFactor = 1, mobile = false })
  page:dark(options.dark or false)
  if options.script == false then devtools(page, "Emulation.setScriptExecutionDisabled", { value = true }) end
  return page
end

--- Goes to an address, "http://...", or to the path of what a client of luaserve.test asks; waits until it is loaded.
function Page:go(place, path)
  if type(place) ~= "string" then
    place = ("http://%s:%d%s"):format(place.address.host, place.address.port, path or "/")
    test.cleanup(self.close, self) -- before the server ends, which the page would tell as an error
  end
  ask(self, "POST", "/url", { url = place })
end

--- Whether it is seen in dark colours.
function Page:dark(on)
  devtools(self, "Emulation.setEmulatedMedia", { features = json.array {
    { name = "prefers-color-scheme", value = on and "dark" or "light" } } })
end

--- Lets it send so many bytes a second; nil: as many as it can.
function Page:slow_down(rate)
  devtools(self, "Network.enable", json.object {})
  devtools(self, "Network.emulateNetworkConditions", { offline = false, latency = 0, downloadThroughput = -1,
    uploadThroughput = rate or -1 })
end

--- The first element that fits, once there is one: a reference, as script takes it.
function Page:find(css)
  return patiently("find " .. css, function()
    local value, message, name = try(self, "POST", "/element", { using = "css selector", value = css })
    if value or PASSING[name] then return value, message end
    error(message, 0)
  end)
end

--- Does something with the element that fits, once that is possible.
local function act(page, css, what, parameters)
  patiently(what .. " " .. css, function()
    local element = page:find(css)
    local value, message, name = try(page, "POST", "/element/" .. element[ELEMENT] .. "/" .. what, parameters)
    if value ~= nil or PASSING[name] then return value, message end
    error(message, 0)
  end)
end

function Page:click(css)
  act(self, css, "click")
end

--- Types a text into a field, behind what it has. "\u{E007}" is Enter, "\u{E004}" Tab (WebDriver 17.4.2).
function Page:type(css, text)
  act(self, css, "value", { text = text })
end

--- Chooses files of this machine in a field for files, in place of others.
function Page:upload(css, ...)
  self:script("arguments[0].value = ''", self:find(css))
  local paths = {}
  for i, path in ipairs { ... } do paths[i] = assert(fs.realpath(path)) end
  act(self, css, "value", { text = table.concat(paths, "\n") })
end

--- Runs a function's body with these arguments, `arguments[0]` and so on: what it returns, as JSON knows it.
function Page:script(code, ...)
  return ask(self, "POST", "/execute/sync", { script = code, args = json.array { ... } })
end

--- What is to be read in the first element that fits, once there is one.
function Page:text(css)
  self:find(css)
  return self:script("return document.querySelector(arguments[0]).innerText", css)
end

--- Waits until an element fits whose text matches the pattern: its text.
function Page:wait_text(css, pattern)
  return patiently(("wait for '%s' in %s"):format(pattern, css), function()
    local texts = self:script("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", css)
    for _, text in ipairs(texts) do
      if text:find(pattern) then return text end
    end
    return nil, "there is " .. table.concat(texts, " | ")
  end)
end

--- Waits until a script gives something that is true for JavaScript: what it gives.
function Page:wait(code, ...)
  local arguments = table.pack(...)
  return patiently("wait for " .. code, function()
    local value = self:script(code, table.unpack(arguments, 1, arguments.n))
    if value and value ~= json.null and value ~= 0 and value ~= "" then return value end
  end)
end

--- What the consoles of this file's pages have told since it was last asked: a list of lines. That a site has no icon
-- is left out.
function Page:console()
  local lines = {}
  for _, entry in ipairs(ask(self, "POST", "/se/log", { type = "browser" })) do
    if not entry.message:find("^%S+/favicon%.ico ") then lines[#lines + 1] = entry.level .. ": " .. entry.message end
  end
  return lines
end

function Page:close()
  if not self.window then return end
  local lines = self:console()
  ask(self, "DELETE", "/window")
  self.window = nil
  switch(driver.home)
  assert.same({}, lines)
end

Page.__close = Page.close

-- ---- screenshots ----

--- Width and height of a PNG (its IHDR, ISO 15948 11.2.2).
function browser.size(png)
  assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
  local width, height = string.unpack(">I4I4", png, 17)
  return width, height
end

--- What is seen now, as a PNG of the window's size that is small enough to be kept in a repository. `make screenshots`
-- sets SCREENSHOTS to the folder in which it is written under this name; without that it is only looked at.
-- @param name "upload": upload.png; optional: then it is never written
-- @return its bytes
function Page:screenshot(name)
  local encoded = ask(self, "GET", "/screenshot")
  local png = assert(require("luaserve.crypto").base64_decode(encoded))
  local width, height = browser.size(png)
  assert.same(self:script("return [innerWidth, innerHeight]"), { width, height })
  local folder = process.env.SCREENSHOTS
  if name then
    assert(#png <= SCREENSHOT_BYTES, ("%s has %d bytes"):format(name, #png))
    if folder then assert(fs.write_file(("%s/%s.png"):format(folder, name), png, { atomic = true })) end
  end
  return png
end

return browser
