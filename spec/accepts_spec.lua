-- SPDX-License-Identifier: MIT
-- req:accepts and its kin: RFC 9110 12.5.

local client, http_servers = require "spec.support.client", require "spec.support.http_servers"

local unpack = table.unpack

after_each(function() http_servers.clean_up() end)

--- Asks each { field value or false, expected, offers... } of cases, in requests to one server.
local function check(method, field, cases)
  local case
  local _, address = http_servers.serve(nil, function(req, res)
    res:send(tostring(req[method](req, unpack(case, 3))))
  end)
  local connection <close> = client.connect(address)
  for _, each in ipairs(cases) do
    case = each
    local headers = each[1] and { [field] = each[1] } or {}
    local label = ("%s: %s"):format(field, each[1] or "none")
    assert.equal(tostring(each[2]), connection:request({ headers = headers }).body, label)
  end
end

describe("req:accepts", function()
  it("chooses by weight, of equals the first", function()
    check("accepts", "accept", {
      { false, "html", "html", "json" },
      { "", "html", "html", "json" },
      { "*/*", "html", "html", "json" },
      { "application/json", "json", "html", "json" },
      { "text/html, application/json", "html", "html", "json" },
      { "text/html, application/json", "json", "json", "html" },
      { "text/html;q=0.5, application/json", "json", "html", "json" },
      { "text/html;q=0.5, application/json;q=0.501", "json", "html", "json" },
      { "text/html;q=0, */*", "json", "html", "json" },
      { "image/png", nil, "html", "json" },
      { "*/*;q=0", nil, "html" },
      { "text/html;q=0", nil, "html", "json" },
    })
  end)

  it("lets the most precise range count", function()
    -- as in RFC 9110 12.5.1
    local all = "text/*;q=0.3, text/html;q=0.7, text/html;level=1, text/html;level=2;q=0.4, */*;q=0.5"
    check("accepts", "accept", {
      { all, "text/html;level=1", "text/html", "text/html;level=1" },
      { all, "text/html", "text/plain", "text/html;level=2", "text/html" },
      { all, "image/jpeg", "text/plain", "image/jpeg" },
      { all, "text/html;level=3", "text/html;level=3", "text/html;level=2", "image/jpeg" },
      { "text/*;q=0, text/html", "html", "text", "html" },
      { "text/*;q=0, text/html", nil, "text" },
      { "*/*, text/html;q=0.1", "json", "html", "json" },
      { "text/html;charset=UTF-8", "html", "html" },
      { "text/html;charset=\"utf-8\"", "html", "html" },
      { "text/html;charset=latin1", nil, "html" },
      { "TEXT/HTML", "html", "html" },
      { "text/html;Charset=utf-8;q=0.5, application/json;q=0.6", "json", "html", "json" },
    })
  end)

  it("reads what browsers send", function()
    local browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    check("accepts", "accept", {
      { browser, "html", "json", "html" },
      { browser, "json", "json" },
      { "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "html", "json", "html" },
      { "application/json, text/plain, */*", "json", "json", "html" },
    })
  end)

  it("skips what is malformed", function()
    check("accepts", "accept", {
      { ",, ;q=1, text/html;q=2, application/json;q=x,", "html", "html", "json" },
      { "text/html;q=2, application/json", "json", "html", "json" },
      { "text, /, /html, text/, */html", nil, "html" },
      { "text/html;\"q=0", nil, "html" },
    })
  end)

  it("returns what was offered", function()
    check("accepts", "accept", { { "text/*", "text/plain; charset=utf-8", "text/plain; charset=utf-8" },
      { "application/problem+json", "application/problem+json", "application/problem+json" },
      { "text/javascript", "js", "css", "js" } })
  end)

  it("raises for what is no type", function()
    local _, address = http_servers.serve(nil, function(req, res)
      assert.has_error(function() req:accepts() end, "req:accepts takes what can be offered, 1 to 32 strings")
      assert.has_error(function() req:accepts("htlm") end)
      assert.has_error(function() req:accepts("") end)
      assert.has_error(function() req:accepts({}) end)
      assert.has_error(function() req:accepts(unpack({}, 1, 40)) end)
      res:send("checked")
    end)
    assert.equal("checked", client.request(address, {}).body)
  end)

  it("joins several fields, and takes long ones in its stride", function()
    local _, address = http_servers.serve({ max_header_bytes = 1 << 20 }, function(req, res)
      res:send(tostring(req:accepts("html", "json")))
    end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html;q=0.5\r\nAccept: application/json\r\n\r\n")
    assert.equal("json", connection:response().body)
    for _, piece in ipairs { "a,", ";", "a/b;c=d,", "\"", "a/b;q=0;q=1;", "*/*;q=0.1," } do
      local hostile = piece:rep(500000 // #piece)
      assert.is_number(connection:request({ headers = { accept = hostile } }).status)
    end
  end)
end)

describe("req:accepts_language", function()
  it("matches kinds of a language both ways", function()
    check("accepts_language", "accept-language", {
      { false, "en", "en", "de" },
      { "de", "de", "en", "de" },
      { "de-CH", "de", "en", "de" },
      { "de", "de-CH", "en", "de-CH" },
      { "DE-ch, en;q=0.9", "de-CH", "en", "de-CH", "de" },
      { "de-CH, de;q=0.9, en;q=0.8, *;q=0.5", "en", "fr", "en" },
      { "de-CH, de;q=0.9, en;q=0.8, *;q=0.5", "fr", "fr" },
      { "en-US, de;q=0.9", "en", "de", "en" },
      { "en-US;q=0, en", "en", "en-US", "en" },
      { "en-US;q=0, *", "en", "en" },
      { "en;q=0, *", "de", "en", "en-US", "de" },
      { "den", nil, "de" },
      { "de-CH-1996", "de-CH", "de-CH" },
      { "de-CH;q=0.5, de-AT;q=0.8, fr;q=0.7", "de", "fr", "de" },
    })
  end)
end)

describe("req:accepts_encoding", function()
  it("knows identity, and old names", function()
    check("accepts_encoding", "accept-encoding", {
      { false, nil, "gzip" },
      { false, "identity", "gzip", "identity" },
      { "", "identity", "gzip", "identity" },
      { "gzip, br", "br", "br", "gzip" },
      { "gzip, br;q=0.9", "gzip", "br", "gzip" },
      { "x-gzip", "gzip", "br", "gzip" },
      { "*", "zstd", "zstd", "gzip" },
      { "gzip;q=0, *", "br", "gzip", "br" },
      { "identity, gzip;q=0.5", "identity", "gzip", "identity" },
      { "identity;q=0", nil, "gzip", "identity" },
      { "*;q=0", nil, "gzip", "identity" },
      { "*;q=0, identity;q=0.1", "identity", "gzip", "identity" },
    })
  end)
end)
