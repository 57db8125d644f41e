-- SPDX-License-Identifier: MIT
--- What a client sees of an error. In production: that there was one, and the name of the request to ask about it. In
-- development: where, with the lines around it, the traceback, the request. The error itself goes on, to the log.

local core = require "luaserve.core.routes"
local error_page = require "luaserve.core.error_page"
local failures = require "luaserve.core.failure"
local http_error = require "luaserve.http_error"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"
local process = require "luaserve.process"
local template_files = require "luaserve.core.template.files"

local WHAT = "middleware.error_pages"
local KNOWN = { "development", "page" }

-- ---- pages ----

local escape, open_page = error_page.escape, error_page.open

local function title_of(status)
  local reason = core.reason(status)
  return reason ~= "" and ("%d %s"):format(status, reason) or tostring(status)
end

local function production_page(problem)
  local parts = { open_page(title_of(problem.status)) }
  if problem.detail then parts[#parts + 1] = ("<p>%s</p>\n"):format(escape(problem.detail)) end
  if problem.request_id then
    parts[#parts + 1] = ("<p>Request: <code>%s</code></p>\n"):format(escape(problem.request_id))
  end
  parts[#parts + 1] = "</body>\n</html>\n"
  return table.concat(parts)
end

local secret_fields = { authorization = true, cookie = true, ["proxy-authorization"] = true }

local function request_rows(req)
  local rows = { ("<tr><td>%s</td><td>%s</td></tr>"):format(escape(req.method), escape(req.url)) }
  for _, field in ipairs(req:header_list()) do
    local value = secret_fields[field[1]:lower()] and "(not shown)" or field[2]
    rows[#rows + 1] = ("<tr><td>%s</td><td>%s</td></tr>"):format(escape(field[1]), escape(value))
  end
  return table.concat(rows, "\n")
end

--- The lines around the place: of the template, where the message begins with that; else of the first file of Lua.
local function source_lines(message, traceback)
  local path, place = message:match("^([^\n]-)(:%d+:)")
  if path and template_files[path] then return error_page.source_lines(path .. place, "", "(.-):(%d+):") end
  return error_page.source_lines(message, traceback)
end

local function development_page(problem, req, failure, traceback)
  local message = tostring(failure)
  return table.concat {
    open_page(title_of(problem.status)),
    "<pre>", escape(message), "</pre>\n",
    source_lines(message, traceback) or "",
    "<h2>Traceback</h2>\n<pre>", escape(traceback), "</pre>\n",
    "<h2>Request</h2>\n<table>\n", request_rows(req), "\n</table>\n</body>\n</html>\n",
  }
end

-- ---- what a client gets ----

--- What ends a task that was cancelled; who has done that gives the answer. A task that is stopped because it holds the
-- loop, or takes too much memory, sees it as the latter.
local function is_cancellation(failure)
  return failure == "not enough memory"
    or type(failure) == "table" and (getmetatable(failure) or {}).__name == "cancellation"
end

--- Whether the client names HTML, or JSON, first of the two: browsers name HTML, programs mostly JSON or nothing.
local function kind_for(req)
  local accept = (req.headers.accept or ""):lower()
  local page, problem = accept:find("text/html", 1, true), accept:find("json", 1, true)
  if page and (not problem or page < problem) then return "html" end
  return problem and "json" or "text"
end

--- What may be told: of an http error what it says, of others no more than the status.
local function problem_of(failure, req)
  local problem = { request_id = req.locals.request_id }
  local answer = failures.answer_of(req, failure)
  for name, value in pairs(answer.fields or {}) do problem[name] = value end
  problem.status, problem.detail = answer.status, answer.message
  local reason = core.reason(problem.status)
  problem.title = reason ~= "" and reason or nil
  return problem
end

--- A middleware that answers errors, http errors too: with a page for who reads HTML, problem details (RFC 9457) for
-- who reads JSON, and text for others.
-- @param options development: true: everything is shown, to everybody (default: whether luaserve was started with
-- --dev); page: a function (problem, req), with problem.status, .title, .detail, .request_id, that gives the HTML of
-- production
-- @usage app:use(middleware.error_pages())
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local development = option(options, WHAT, "development", "boolean", process.development)
  local page_of = option(options, WHAT, "page", "function", production_page)

  local function answer(req, res, failure, traceback)
    local problem = problem_of(failure, req)
    local shown = traceback and problem.status >= 500
    failures.begin_again(res, http_error.is(failure) and failure.headers)
    res:set("cache-control", "no-store")
    local kind = kind_for(req)
    if kind == "html" then
      if shown or page_of == production_page then res:set("content-security-policy", error_page.policy) end
      res:set("content-type", "text/html; charset=utf-8")
      res:send(problem.status, shown and development_page(problem, req, failure, traceback) or page_of(problem, req))
    elseif kind == "json" then
      if shown then problem.detail, problem.traceback = tostring(failure), traceback end
      res:set("content-type", "application/problem+json")
      res:json(problem.status, problem)
    else
      local lines = { title_of(problem.status), problem.detail }
      if shown then lines[2], lines[3] = tostring(failure), traceback end
      if problem.request_id then lines[#lines + 1] = "request: " .. problem.request_id end
      res:send(problem.status, table.concat(lines, "\n") .. "\n")
    end
  end

  --- With the traceback, which only a message handler can see; the log has it with the message then.
  local function run_shown(req, res, next)
    local traceback
    local results = table.pack(xpcall(next, function(failure)
      traceback = debug.traceback("", 2):gsub("^%s*stack traceback:\n", ""):gsub("\t", "  ")
      return failure
    end))
    if results[1] then return table.unpack(results, 2, results.n) end
    local failure = results[2]
    if not res.headers_sent then answer(req, res, failure, traceback) end
    local is_bug = type(failure) == "string" and core.status_of(req, failure) >= 500
    if is_bug then failure = failure .. "\n" .. traceback end
    error(failure, 0)
  end

  if development then return run_shown end

  --- On the way out of the middleware, through which the error passes as it is, with its traceback.
  local function close(guard, failure)
    if failure == nil or is_cancellation(failure) or guard.res.headers_sent then return end
    answer(guard.req, guard.res, failure)
  end
  local metatable = { __close = close }

  return function(req, res, next)
    local _ <close> = setmetatable({ req = req, res = res }, metatable)
    return next()
  end
end
