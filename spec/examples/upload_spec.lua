-- SPDX-License-Identifier: MIT
--- examples/upload/: what its folder keeps, what it refuses, what it tells about the way, and its page in a browser.

local browser = require "spec.support.browser"
local crypto, fs, json = require "luaserve.crypto", require "luaserve.fs", require "luaserve.json"
local test = require "luaserve.test"
local waits = require "spec.support.waits"

local function file(body, filename)
  return { name = "file", body = body, filename = filename or "a.txt" }
end

describe("examples/upload", function()
  local folder = test.fixture(test.temporary_folder)

  local function serve(max_bytes, max_file)
    return test.serve("examples/upload/app.lua", { arguments = { folder(), max_bytes, max_file } })
  end

  local function names()
    return assert(fs.readdir(folder()))
  end

  -- ---- files ----

  it("takes several files of a form, hashes them, gives and removes them", function()
    local client = serve()
    local sent = client:post("/files", { multipart = { file("one\n", "one.txt"), { name = "note", body = "x" },
      file(("2"):rep(200000), "two two.bin") } }):expect(201):json().files
    assert.equal(2, #sent)
    assert.same({ hash = crypto.hash("sha256", "one\n", "hex"), name = "one.txt", size = 4 }, sent[1])
    local list = client:get("/files"):expect(200):json()
    assert.equal(200004, list.bytes)
    for _, entry in ipairs(list.files) do
      local response = client:get(entry.url):expect(200)
      assert.equal(entry.hash, crypto.hash("sha256", response.body, "hex"))
      client:delete(entry.url):expect(204)
      client:get(entry.url):expect(404)
      client:delete(entry.url):expect(404)
    end
    client:get("/files"):expect_json({ files = json.array(), bytes = 0,
      limits = { max_files = 1000, max_bytes = 1 << 30, max_file = 1 << 28 } })
    assert.same({}, names())
  end)

  it("gives files to be saved, never to be shown, also in ranges", function()
    local client = serve()
    client:post("/files", { multipart = { file("<script>alert(1)</script>", "page.html") } }):expect(201)
    local url = client:get("/files"):json().files[1].url
    client:get(url):expect_header("content-type", "application/octet-stream")
      :expect_header("content-disposition", '^attachment; filename="page.html"')
      :expect_header("x-content-type-options", "nosniff")
    client:get(url, { headers = { range = "bytes=1-6" } }):expect(206):expect_body("script")
  end)

  it("counts the same file of the same name once", function()
    local client = serve()
    for _ = 1, 2 do client:post("/files", { multipart = { file("same") } }):expect(201) end
    client:post("/files", { multipart = { file("same", "b.txt") } }):expect(201)
    assert.equal(8, client:get("/files"):json().bytes)
    assert.equal(2, #names())
  end)

  it("knows its files when it is started again, and forgets what was never complete", function()
    local client = serve()
    client:post("/files", { multipart = { file("kept") } }):expect(201)
    client:close()
    assert(fs.write_file(folder() .. "/.incoming-123456", "half"))
    assert.equal(4, serve():get("/files"):json().bytes)
    assert.equal(1, #names())
  end)

  -- ---- names ----

  it("makes names harmless", function()
    local client = serve()
    for sent, kept in pairs {
      ["../../etc/passwd"] = "passwd", ["C:\\dir\\x.txt"] = "x.txt", [".htaccess"] = "htaccess", ["-rf"] = "rf",
      ["a<b>&'.txt"] = "a_b__'.txt", ["..."] = "unnamed", ["\u{202e}txt.exe"] = "txt.exe",
      ["\u{dc}bung.pdf"] = "\u{dc}bung.pdf", ["bad\xff.txt"] = "bad_.txt", ["$(reboot)`x`.sh"] = "_(reboot)_x_.sh",
      [("\u{e4}"):rep(100) .. ".txt"] = ("\u{e4}"):rep(58) .. ".txt",
      [("x"):rep(119) .. " yz"] = ("x"):rep(119), [("y"):rep(115) .. ".toolonganextension"] = ("y"):rep(115) .. ".tool",
    } do
      local body = client:post("/files", { multipart = { file(sent, sent) } }):expect(201):json()
      assert.equal(kept, body.files[1].name)
    end
    for _, entry in ipairs(client:get("/files"):json().files) do client:get(entry.url):expect(200) end
    for _, name in ipairs(names()) do assert.matches("^%x+%-", name) end
  end)

  it("gives nothing that is not in its list", function()
    local client = serve()
    local hash = ("a"):rep(64)
    assert(fs.write_file(folder() .. "/secret", "x"))
    assert(fs.mkdir(folder() .. "/" .. hash .. "-.."))
    for _, path in ipairs { "secret", hash .. "/..%2fsecret", hash .. "/%2e%2e%2fsecret", "..%2f..%2fetc",
      "a/secret", hash .. "/../secret", hash .. "/%00" } do
      local response = client:get("/files/" .. path)
      assert.is_true(response.status == 404 or response.status == 400, path)
      client:delete("/files/" .. path):expect(400, 404, 405)
    end
    assert.same({ hash .. "-..", "secret" }, names())
  end)

  it("shows names as text", function()
    local client = serve()
    local sent = "x onload=alert(1) \u{201c}'.txt"
    client:post("/files", { multipart = { file("x", sent) } }):expect(201)
    local page = client:get("/", { headers = { accept = "text/html" } }):expect(200)
      :expect_header("content-security-policy", "default%-src 'self'").body
    assert.is_truthy(page:find("x onload=alert(1) \u{201c}&#39;.txt</a>", 1, true))
  end)

  -- ---- limits ----

  it("refuses what is too large, and keeps nothing of it", function()
    local client = serve("100000", "50000")
    client:post("/files", { multipart = { file(("x"):rep(50001)) } }):expect(413)
    client:post("/files", { multipart = { file(("x"):rep(50000), "a"), file(("y"):rep(50000), "b") } }):expect(201)
    client:post("/files", { multipart = { file("z") } }):expect(507):expect_body("there is no room left")
    assert.equal(100000, client:get("/files"):json().bytes)
    assert.equal(2, #names())
    client:delete(client:get("/files"):json().files[1].url):expect(204)
    client:post("/files", { multipart = { file("z") } }):expect(201)
  end)

  it("refuses a form without files, and one that breaks off", function()
    local client = serve()
    client:post("/files", { multipart = { note = "x" } }):expect(422)
    client:post("/files", { multipart = { file("", "") } }):expect(422)
    client:post("/files", { body = "a=b", headers = { ["content-type"] = "text/plain" } }):expect(415)
    client:post("/files", { body = '--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nhalf',
      headers = { ["content-type"] = "multipart/form-data; boundary=x" } }):expect(400)
    assert.same({}, names())
  end)

  it("refuses pages of other sites, which could fill the disk through a visitor", function()
    local client = serve()
    local function post(headers)
      return client:post("/files", { multipart = { file("x") }, headers = headers })
    end
    post({ origin = "http://evil.example" }):expect(403)
    post({ ["sec-fetch-site"] = "cross-site" }):expect(403)
    assert.same({}, names())
    post({ origin = "http://localhost" }):expect(201)
  end)

  -- ---- on the way ----

  local HEAD = "POST /files?upload=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
    .. "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    .. '--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'

  it("tells who follows how far it is, and that it is done", function()
    local client = serve()
    local events = client:stream("/progress/abc-1"):expect(200):events()
    assert.same({ received = 0, total = 0, files = 0 }, json.decode(events:next().data))
    local wire = client:connect()
    wire:write(HEAD:format("abc-1", 2101) .. ("x"):rep(1000))
    local event = events:next()
    assert.equal("progress", event.event)
    assert.same({ received = 1000, total = 2101, files = 0 }, json.decode(event.data))
    local rest = 2101 - (#HEAD:match("%-%-x.*$") + 1000) - #"\r\n--x--\r\n"
    wire:write(("y"):rep(rest) .. "\r\n--x--\r\n")
    repeat event = events:next() until event.event ~= "progress"
    assert.equal("done", event.event)
    assert.same({ received = 1000 + rest, total = 2101, files = 1, last = "a.bin" }, json.decode(event.data))
    assert.is_nil(events:next())
    assert.equal(201, wire:read_head("POST").status)
    wire:close()
  end)

  local function failure(events)
    local event
    repeat event = events:next() until event.event ~= "progress"
    assert.equal("failed", event.event)
    return json.decode(event.data)
  end

  it("tells why an upload has failed, also who is still sending", function()
    local client = serve("1500", "1000")
    local events = client:stream("/progress/aa"):expect(200):events()
    local wire = client:connect()
    wire:write(HEAD:format("aa", 5000) .. ("x"):rep(2000))
    assert.equal("a file has at most 1000 bytes", failure(events).message)
    wire:close()
    assert.same({}, names())
  end)

  it("forgets an upload whose client leaves", function()
    local client = serve("1500")
    local events = client:stream("/progress/bb"):expect(200):events()
    local wire = client:connect()
    wire:write(HEAD:format("bb", 5000) .. ("x"):rep(1000))
    repeat local event = events:next() until json.decode(event.data).received == 1000
    assert.equal(1, #names())
    wire:reset()
    assert.equal(1000, failure(events).received)
    waits.eventually(function() return #names() == 0 end)
    client:post("/files", { multipart = { file(("x"):rep(1500)) } }):expect(201)
    assert.not_matches("error:", client:log())
  end)

  it("goes on when those who follow leave", function()
    local client = serve()
    local stream = client:stream("/progress/cc"):expect(200)
    stream:events():next()
    local wire = client:connect()
    local body = ("x"):rep(1000)
    wire:write(HEAD:format("cc", #HEAD:match("%-%-x.*$") + 2000 + #"\r\n--x--\r\n") .. body)
    stream:abort()
    wire:write(body .. "\r\n--x--\r\n")
    assert.equal(201, wire:read_head("POST").status)
    wire:close()
  end)

  it("takes so many uploads at once and no more", function()
    local client = serve()
    local wires = {}
    for i = 1, 8 do
      wires[i] = client:connect()
      wires[i]:write(HEAD:format("dd", 5000) .. "x")
    end
    waits.eventually(function() return #names() == 8 end)
    client:post("/files", { multipart = { file("x") } }):expect(503):expect_header("retry-after", "5")
    wires[1]:reset()
    waits.eventually(function() return #names() == 7 end)
    client:post("/files", { multipart = { file("x") } }):expect(201)
    for i = 2, 8 do wires[i]:close() end
  end)

  -- ---- the page ----

  local function put(name, size)
    local path = test.temporary_folder() .. "/" .. name
    assert(fs.write_file(path, ("x"):rep(size)))
    return path
  end

  it("shows in a browser how an upload comes in", function()
    local client = serve()
    for i, name in ipairs { "Annual report.pdf", "logo.svg", "Fotos \u{2014} Z\u{fc}rich.zip" } do
      client:post("/files", { multipart = { file(("%d"):format(i):rep(i * 123456), name) } }):expect(201)
    end
    local page = browser.open()
    page:go(client)
    page:slow_down(200 * 1024)
    page:upload("#chosen", put("measurements.csv", 1536 * 1024), put("small.txt", 10))
    page:click("#upload button")
    page:wait("const value = document.querySelector('#bar').value; return value > 0.4 && value < 1")
    assert.matches("^[%d.]+ KiB of 1.5 MiB", page:text("#status"))
    page:screenshot("upload")
    page:slow_down(nil)
    page:wait_text("#status", "^2 files sent%.$")
    page:wait_text("td.name", "^measurements%.csv$")
    page:wait_text("td.name", "^small%.txt$")
    assert.equal("", page:text("#message"))
    page:upload("#chosen", put("again.txt", 10)) -- the form goes on with another name
    page:click("#upload button")
    page:wait_text("#status", "^again%.txt sent%.$")
    page:click("button[aria-label='Remove again.txt']")
    page:wait("return ![...document.querySelectorAll('td.name')].some((e) => e.innerText === 'again.txt')")
  end)

  it("tells in a browser what is too large, before and on the way", function()
    local page = browser.open { dark = true }
    page:go(serve("3000000", "1000000"))
    page:upload("#chosen", put("large.bin", 1000001))
    page:click("#upload button")
    page:wait_text("#message", "^large.bin is larger than 976.6 KiB")
    page:screenshot("upload-dark")
    page:upload("#chosen", put("a", 900000), put("b", 900000), put("c", 900000), put("d", 900000))
    page:script("document.querySelector('#upload').dataset.maxFile = 1e9")
    page:click("#upload button")
    page:wait_text("#message", "no room left")
    assert.is_true(page:script("return !document.querySelector('#upload button').disabled"))
    for _, line in ipairs(page:console()) do assert.matches("/files.* 507", line) end
  end)

  it("works without JavaScript", function()
    local page = browser.open { script = false }
    page:go(serve())
    page:upload("#chosen", put("plain.txt", 5))
    page:click("#upload button")
    page:find("button[aria-label='Remove plain.txt']")
    page:click("button[aria-label='Remove plain.txt']")
    page:find(".empty")
    assert.same({}, names())
  end)
end)
