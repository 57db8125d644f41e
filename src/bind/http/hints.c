/* SPDX-License-Identifier: MIT */
#include "bind/http/hints.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bind/http/impl.h"
#include "bind/mistake.h"

#define LINE_SIZE 512 /* of an error: so much is looked at */

struct name_hint {
  const char *type, *name, *hint;
};

static const struct name_hint names[] = {
    {ls_http_response_type, "render", "res:html(template:render(values)), with luaserve.template"},
    {ls_http_response_type, "end", "res:finish() ends what res:write began, res:send(body) is the whole answer"},
    {ls_http_response_type, "close", "res:finish() ends what res:write began, res:send(body) is the whole answer"},
    {ls_http_response_type, "body", "res:send(body)"},
    {ls_http_response_type, "text", "res:send(body)"},
    {ls_http_response_type, "header", "res:set(name, value), res:get(name)"},
    {ls_http_response_type, "headers", "res:set(name, value), res:get(name)"},
    {ls_http_response_type, "set_header", "res:set(name, value)"},
    {ls_http_response_type, "append_header", "res:add(name, value)"},
    {ls_http_response_type, "get_header", "res:get(name)"},
    {ls_http_response_type, "remove_header", "res:remove(name)"},
    {ls_http_response_type, "send_status", "res:send(404, body)"},
    {ls_http_response_type, "status_code", "res.status = 404, or res:send(404, body)"},
    {ls_http_response_type, "type", "res:set(\"content-type\", type)"},
    {ls_http_response_type, "cookie", "res:set_cookie(name, value)"},
    {ls_http_response_type, "code", "res.status = 404, or res:send(404, body)"},
    {ls_http_response_type, "file", "res:send_file(path)"},
    {ls_http_response_type, "download", "res:attachment(name), and res:send_file(path)"},
    {ls_http_response_type, "flush", "res:write sends at once"},
    {ls_http_response_type, "locals", "req.locals"},
    {ls_http_request_type, "header", "req.headers[name]"},
    {ls_http_request_type, "get", "req.headers[name]"},
    {ls_http_request_type, "get_header", "req.headers[name]"},
    {ls_http_request_type, "param", "req.params.name, req.query.name"},
    {ls_http_request_type, "args", "req.query.name"},
    {ls_http_request_type, "text", "req:body()"},
    {ls_http_request_type, "data", "req:body(), req:json() or req:form()"},
    {ls_http_request_type, "files", "req:multipart_form()"},
    {ls_http_request_type, "ip", "req.remote_address"},
    {ls_http_request_type, "uri", "req.url, req.path"},
    {ls_http_request_type, "session", "req.locals.session, which middleware.session sets"},
    {ls_http_request_type, "user", "req.locals is the place for a request's own values"},
};

const char *ls_http_hint_for_name(const char *type, const char *name) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].type == type && strcmp(names[i].name, name) == 0)
      return names[i].hint;
  return NULL;
}

/* ---- errors of Lua's own ---- */

struct use_hint {
  const char *kind, *name, *hint; /* what the name is, and was not used as */
};

static const struct use_hint uses[] = {
    {"number", "status", "res.status is a field: res.status = 404, or res:send(404, body)"},
    {"string", "method", "req.method is a field"},
    {"string", "path", "req.path is a field"},
    {"string", "url", "req.url is a field"},
    {"table", "query", "req.query is a field: req.query.name, or req:query_all(name)"},
    {"table", "params", "req.params is a field: req.params.name"},
    {"userdata", "headers", "req.headers is a field: req.headers[name]"},
    {"table", "locals", "req.locals is a field"},
    {"function", "body", "req:body() is a method, and waits for the body"},
    {"function", "json", "req:json() is a method, and waits for the body"},
    {"function", "form", "req:form() is a method, and waits for the body"},
    {"function", "cookies", "req:cookies() is a method; req:cookie(name) reads one"},
    {"function", "cookie", "req:cookie(name) is a method"},
};

/* Whether Lua says that of a field or a method: "attempt to call a number value (field 'status')". */
static bool says(const char *line, const struct use_hint *use) {
  static const char *const forms[] = {"a %s value (field '%s')", "a %s value (method '%s')"};
  char text[80];
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    snprintf(text, sizeof text, forms[i], use->kind, use->name);
    if (strstr(line, text) != NULL)
      return true;
  }
  return false;
}

const char *ls_http_hint_for_text(const char *text) {
  char line[LINE_SIZE];
  snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
  if (strstr(line, "attempt to ") == NULL)
    return NULL;
  for (size_t i = 0; i < sizeof uses / sizeof *uses; i++)
    if (says(line, &uses[i]))
      return uses[i].hint;
  return NULL;
}

/* ---- values that are no text ---- */

/* Pushes " name = value," of the table's field, or "" where that is no number and no string. */
static const char *push_field(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  int type = lua_rawget(L, table);
  if (type != LUA_TNUMBER && type != LUA_TSTRING)
    return lua_pushliteral(L, "");
  const char *text = luaL_tolstring(L, -1, NULL);
  return lua_pushfstring(L, type == LUA_TSTRING ? " %s = '%s'," : " %s = %s,", name, text);
}

/* Pushes what the text of an error probably means, or nil. */
static void push_text_hint(lua_State *L, const char *text) {
  const char *hint = ls_http_hint_for_text(text);
  char line[LINE_SIZE]; /* a long one holds what a client has sent */
  snprintf(line, sizeof line, "%s", text);
  if (hint == NULL && strstr(line, "attempt to ") != NULL)
    hint = ls_mistake_push_hint(L, line);
  lua_pushstring(L, hint != NULL && *hint != '\0' ? hint : NULL);
}

static int l_hint(lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_pushliteral(L, "a number was raised: an error that is an answer is http_error.new(status, message)");
  } else if (lua_istable(L, 1) && !lua_getmetatable(L, 1)) {
    const char *status = push_field(L, 1, "status"), *message = push_field(L, 1, "message");
    lua_pushfstring(L, "a table {%s%s ... } was raised: an error that is an answer is http_error.new(status, message)",
                    status, message);
  } else if (lua_type(L, 1) == LUA_TSTRING) {
    push_text_hint(L, lua_tostring(L, 1));
  } else {
    lua_pushnil(L);
  }
  return 1;
}

const char *ls_http_push_hint(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, l_hint);
  lua_pushvalue(L, index);
  return lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : NULL;
}
