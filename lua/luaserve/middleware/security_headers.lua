-- SPDX-License-Identifier: MIT
--- Header fields by which browsers are told to be careful. They are set before the handler runs, so that it may say
-- otherwise for one page.

local crypto = require "luaserve.crypto"
local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.security_headers"

-- Option, field, default.
local simple = {
  { "content_type_options", "x-content-type-options", "nosniff" },
  { "referrer_policy", "referrer-policy", "strict-origin-when-cross-origin" },
  { "frame_options", "x-frame-options", "SAMEORIGIN" },
  { "opener_policy", "cross-origin-opener-policy", "same-origin" },
  { "resource_policy", "cross-origin-resource-policy", "same-origin" },
  { "embedder_policy", "cross-origin-embedder-policy", false },
  { "permissions_policy", "permissions-policy", false },
  { "agent_cluster", "origin-agent-cluster", "?1" },
  { "xss_protection", "x-xss-protection", "0" }, -- the filter of old browsers was a hole itself
}

local KNOWN = { "content_security_policy", "nonce", "report_only", "strict_transport_security" }
for _, field in ipairs(simple) do KNOWN[#KNOWN + 1] = field[1] end

local default_policy = {
  ["default-src"] = "'self'",
  ["base-uri"] = "'self'",
  ["form-action"] = "'self'",
  ["frame-ancestors"] = "'self'",
  ["object-src"] = "'none'",
}

local NONCE = "%NONCE%" -- stands in a policy where the nonce of the request goes

--- The directive's sources as one string: of a string, or of a list of them.
local function sources_of(name, value)
  if type(value) == "table" then value = table.concat(value, " ") end
  if type(value) ~= "string" or value:find("[;,%c]") or not name:find("^[%a-]+$") then
    error(("%s: content_security_policy: '%s' cannot have these sources"):format(WHAT, tostring(name)), 5)
  end
  return value
end

--- The policy as a field's value. With a nonce, scripts and styles are those that carry it, beside those of the policy.
local function build_policy(policy, with_nonce)
  local directives = {}
  for name, value in pairs(default_policy) do directives[name] = value end
  for name, value in pairs(policy) do
    if type(name) ~= "string" then sources_of("", value) end
    directives[name] = value ~= false and (value == true and "" or sources_of(name, value)) or nil
  end
  if with_nonce then
    for _, name in ipairs { "script-src", "style-src" } do
      local sources = directives[name] or directives["default-src"] or ""
      if sources == "'none'" then sources = "" end -- stands alone or means nothing
      directives[name] = (sources .. " 'nonce-" .. NONCE .. "'"):gsub("^ ", "")
    end
  end
  local list = {}
  for name, sources in pairs(directives) do list[#list + 1] = sources == "" and name or name .. " " .. sources end
  table.sort(list)
  return table.concat(list, "; ")
end

--- The policy's text in pieces, between which the nonce goes.
local function split_policy(text)
  local pieces, at = {}, 1
  while true do
    local first, last = text:find(NONCE, at, true)
    pieces[#pieces + 1] = text:sub(at, (first or 0) - 1)
    if not first then return pieces end
    at = last + 1
  end
end

--- The fields that are the same in each response: { name, value, ... }.
local function constant_fields(options)
  local fields = {}
  for _, field in ipairs(simple) do
    local value = option(options, WHAT, field[1], "header value|false", field[3], 3)
    if value then
      fields[#fields + 1] = field[2]
      fields[#fields + 1] = value
    end
  end
  return fields
end

local function transport_value(options)
  local value = option(options, WHAT, "strict_transport_security", "header value|table|false", {}, 3)
  if type(value) ~= "table" then return value end
  options_of.check(value, WHAT .. ": strict_transport_security", { "include_subdomains", "max_age", "preload" }, 3)
  local age = option(value, WHAT .. ": strict_transport_security", "max_age", "size", 31536000, 3)
  return ("max-age=%d%s%s"):format(age, value.include_subdomains and "; includeSubDomains" or "",
    value.preload and "; preload" or "")
end

local function policy_value(options, with_nonce)
  local policy = option(options, WHAT, "content_security_policy", "header value|table|false", {}, 3)
  if type(policy) == "table" then policy = build_policy(policy, with_nonce) end
  if with_nonce and not (policy and policy:find(NONCE, 1, true)) then
    error(WHAT .. ": with nonce, a content_security_policy that is a string says %NONCE% where it goes", 3)
  end
  return policy
end

--- A middleware that sets these fields.
-- @param options each field by its name here: a string, or false: not at all. strict_transport_security (only where
-- req.secure): { max_age =, include_subdomains =, preload = }; content_security_policy: a table of directives, over the
-- defaults, or the whole as a string; nonce: true: one for each request, in req.locals.csp_nonce; report_only: true
-- @usage app:use(middleware.security_headers { nonce = true, content_security_policy = { ["img-src"] = "*" } })
return function(options)
  options_of.check(options, WHAT, KNOWN)
  options = options or {}
  local fields = constant_fields(options)
  local transport = transport_value(options)
  local with_nonce = option(options, WHAT, "nonce", "boolean", false)
  local policy = policy_value(options, with_nonce)
  local policy_name = option(options, WHAT, "report_only", "boolean", false)
    and "content-security-policy-report-only" or "content-security-policy"
  local pieces = with_nonce and split_policy(policy)
  if policy and not with_nonce then
    fields[#fields + 1] = policy_name
    fields[#fields + 1] = policy
  end

  return function(req, res, next)
    for i = 1, #fields, 2 do res:set(fields[i], fields[i + 1]) end
    if transport and req.secure then res:set("strict-transport-security", transport) end
    if pieces then
      local nonce = crypto.random_bytes(18, "base64url")
      req.locals.csp_nonce = nonce
      res:set(policy_name, table.concat(pieces, nonce))
    end
    return next()
  end
end
