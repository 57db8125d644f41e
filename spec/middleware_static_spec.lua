-- SPDX-License-Identifier: MIT
local fs = require "luaserve.fs"
local http_error = require "luaserve.http_error"
local middleware = require "spec.support.middleware"
local static = require "luaserve.middleware.static"

local serve = middleware.serve

describe("static", function()
  local root

  setup(function()
    root = assert(fs.mkdtemp("/tmp/luaserve-static-"))
    for path, text in pairs {
      ["index.html"] = "root index", ["a.txt"] = "file a", ["a b.txt"] = "file a b", [".secret"] = "secret",
      ["dir/index.html"] = "dir index", ["dir/b.css"] = "b {}", ["empty/x.txt"] = "x", ["dir/.git/config"] = "secret",
      [".well-known/security.txt"] = "contact", ["app.js"] = "plain", ["app.js.gz"] = "coded", ["other.html"] = "other",
    } do
      assert(fs.mkdir(root .. "/" .. (path:match("^(.*)/") or ""), { recursive = true }))
      assert(fs.write_file(root .. "/" .. path, text))
    end
    assert(fs.symlink("/etc", root .. "/out"))
    assert(fs.write_file(root .. "-outside", "outside"))
  end)

  teardown(function()
    assert(fs.rm(root, { recursive = true }))
    assert(fs.unlink(root .. "-outside"))
  end)

  after_each(function() middleware.clean_up() end)

  --- Asks a server with the middleware; what it lets go on is answered "handler".
  local function below(options)
    options = options or {}
    options.root = root
    return serve(static(options), function(_, res) res:send(404, "handler") end)
  end

  it("answers with files and their types", function()
    local ask = below { max_age = 60 }
    local response = ask "/a.txt"
    assert.same({ 200, "file a", "text/plain; charset=utf-8", "max-age=60" },
      { response.status, response.body, response.headers["content-type"], response.headers["cache-control"] })
    assert.equal("file a b", ask "/a%20b.txt".body)
    assert.equal("b {}", ask "/dir/b.css?v=3".body)
    response = ask { method = "HEAD", path = "/a.txt" }
    assert.same({ 200, "6" }, { response.status, response.headers["content-length"] })
    assert.equal(304, ask { path = "/a.txt", headers = { ["if-none-match"] = ask "/a.txt".headers.etag } }.status)
  end)

  it("lets what is not there go on, and other methods", function()
    local ask = below()
    for _, path in ipairs { "/none", "/dir/none", "/a.txt/", "/a.txt/x", "/empty/", "/" .. ("x"):rep(300) } do
      assert.equal("handler", ask(path).body, path)
    end
    assert.equal("handler", ask { method = "POST", path = "/a.txt" }.body)
  end)

  it("answers with the index of a folder, at its slash", function()
    local ask = below()
    assert.equal("root index", ask "/".body)
    assert.equal("dir index", ask "/dir/".body)
    local response = ask "/dir?x=1&y=/../"
    assert.same({ 301, "/dir/?x=1&y=/../" }, { response.status, response.headers.location })
    assert.equal("other", below { index = { "none.html", "other.html" } } "/".body)
    assert.equal("handler", below { index = false } "/".body)
    assert.equal("handler", below { index = false } "/dir".body)
  end)

  it("redirects to no other host", function()
    local ask = below()
    for _, path in ipairs { "//dir", "///dir", "/\\dir", "//dir/../dir", "/%2fdir", "//dir%2f..", "/.//dir" } do
      local location = ask(path).headers.location
      assert.is_true(location == nil or location:find("^/[^/\\]") ~= nil, path .. " -> " .. tostring(location))
    end
    assert.equal("/dir/", ask "//dir".headers.location)
  end)

  it("stays below its folder", function()
    local ask = below { dotfiles = true }
    local outside = root:match("[^/]+$") .. "-outside"
    for _, path in ipairs { "/../" .. outside, "/%2e%2e/" .. outside, "/..%2f" .. outside, "/dir/../../" .. outside,
      "/dir/..%2f..%2fetc/passwd", "/out/hostname", "/%2fetc/passwd",
      "/dir%2fb.css", "//etc/passwd", "/dir/%5c..%5c..", "/a.txt%00.html" } do
      local response = ask(path)
      assert.is_true(response.body == "handler" or response.status == 400, path)
    end
  end)

  it("has no names that begin with a dot, but for .well-known", function()
    local ask = below()
    for _, path in ipairs { "/.secret", "/%2esecret", "/dir/.git/config", "/dir/%2Egit/config", "/.well-known/.x",
      "/.well-known" } do
      assert.equal("handler", ask(path).body, path)
    end
    assert.equal("contact", ask "/.well-known/security.txt".body)
    assert.equal("secret", below { dotfiles = true } "/.secret".body)
  end)

  it("has a prefix of whole segments", function()
    local ask = below { prefix = "/assets/" }
    assert.equal("file a", ask "/assets/a.txt".body)
    assert.equal("root index", ask "/assets/".body)
    assert.equal("/assets/", ask "/assets".headers.location)
    for _, path in ipairs { "/a.txt", "/assetsa.txt", "/asset/a.txt", "/" } do
      assert.equal("handler", ask(path).body, path)
    end
  end)

  it("does not take a parameter of somebody's route for its path", function()
    local ask = serve({ function(req, _, next)
      req.params = { path = "other.html" }
      return next()
    end, static { root = root } })
    assert.equal("file a", ask "/a.txt".body)
  end)

  it("gives coded forms", function()
    local response = below { precompressed = true } { path = "/app.js", headers = { ["accept-encoding"] = "gzip" } }
    assert.same({ "coded", "gzip" }, { response.body, response.headers["content-encoding"] })
    assert.equal("plain", below() { path = "/app.js", headers = { ["accept-encoding"] = "gzip" } }.body)
  end)

  it("answers 404 itself where it is told to", function()
    local failure
    local ask = serve({ function(_, res, next)
      local ok, err = pcall(next)
      if ok then return end
      failure = err
      res:send(err.status, "failed")
    end, static { root = root, fall_through = false, prefix = "/assets" } }, function(_, res) res:send("handler") end)
    assert.equal(404, ask "/assets/none".status)
    assert.is_true(http_error.is(failure))
    assert.equal("handler", ask "/other".body)
  end)

  it("takes the rest of the path that a route has found", function()
    local files = static { root = root, param = "rest" }
    local ask = serve({ function(req, _, next)
      req.params = { rest = req:decoded_path():match("^/files/(.*)$") }
      return next()
    end, files }, function(_, res) res:send(404, "handler") end)
    assert.equal("file a b", ask "/files/a%20b.txt".body)
    assert.equal("dir index", ask "/files/dir/".body)
    assert.equal("/files/dir/", ask "/files/dir".headers.location)
    assert.equal("root index", ask "/files/".body)
    for _, path in ipairs { "/files/.secret", "/files/none", "/files/..%2f" .. root:match("[^/]+$") .. "-outside" } do
      assert.equal("handler", ask(path).body, path)
    end
  end)

  it("knows a folder by the slash at the end of the path, whatever the parameter has", function()
    local ask = serve({ function(req, _, next)
      req.params = { name = req.path:match("^/files/(.-)/?$") }
      return next()
    end, static { root = root, param = "name" } }, function(_, res) res:send(404, "handler") end)
    assert.equal("dir index", ask "/files/dir/".body)
    assert.equal("dir index", ask "/x/../files/dir/".body)
    assert.equal("/files/dir/", ask "/files/dir".headers.location)
    assert.equal("handler", ask "/files/a.txt/".body)
  end)

  it("shows at once what has been changed, and a folder that was put in its place", function()
    local place = root .. "-place"
    assert(fs.symlink(root .. "/dir", place))
    finally(function() os.remove(place) end)
    local ask = serve(static { root = place }, function(_, res) res:send(404, "handler") end)
    assert.equal("b {}", ask "/b.css".body)
    assert(fs.write_file(root .. "/dir/b.css", "b { }"))
    assert.equal("b { }", ask "/b.css".body)
    assert(fs.symlink(root .. "/empty", place .. "-new"))
    assert(fs.rename(place .. "-new", place))
    assert.equal("handler", ask "/b.css".body)
    assert.equal("x", ask "/x.txt".body)
    assert(fs.write_file(root .. "/dir/b.css", "b {}"))
  end)

  it("refuses options that make no sense", function()
    assert.error_matches(function() static() end, "'root' is needed")
    assert.error_matches(function() static { root = root, dot_files = true } end, "did you mean 'dotfiles'")
    assert.error_matches(function() static { root = root, max_age = "x" } end, "'max_age'")
    assert.error_matches(function() static { root = root, max_age = 1, cache_control = "no-cache" } end,
      "^middleware.static: cache_control and max_age say the same")
  end)
end)
