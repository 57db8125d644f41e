/* SPDX-License-Identifier: MIT */
#include "bind/http/precondition.h"

#include <math.h>
#include <time.h>

#include "base/error.h"
#include "bind/http/impl.h"
#include "bind/http/response.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/status.h"
#include "script/options.h"
#include "server/response.h"

struct ls_slice ls_http_check_etag(lua_State *L, struct ls_slice option, char room[LS_ETAG_MAX]) {
  if (ls_etag_is_valid(option))
    return option;
  if (!ls_etag_is_opaque(option) || option.len == 0 || option.len + 2 > LS_ETAG_MAX)
    luaL_error(
        L, "option 'etag' must be printable characters without spaces and quotes, or \"...\" or W/\"...\", not '%s'",
        option.ptr);
  room[0] = '"';
  memcpy(room + 1, option.ptr, option.len);
  room[option.len + 1] = '"';
  return ls_slice(room, option.len + 2);
}

void ls_http_drop_content_headers(struct ls_headers *headers) {
  static const char *const names[] = {"content-type", "content-encoding", "content-language", "content-length",
                                      "content-disposition"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    ls_headers_remove(headers, ls_slice_of(names[i]));
}

int ls_http_answer_without(struct ls_call *call, int status) {
  struct ls_request *request = call->request;
  struct ls_slice text = status == 304 ? ls_slice("", 0) : ls_status_reason(status);
  ls_http_drop_content_headers(&request->headers);
  request->status = status;
  if (text.len != 0 &&
      ls_headers_add(&request->headers, ls_slice_of("content-type"), ls_slice_of("text/plain; charset=utf-8")) != 0)
    return -ENOMEM;
  return ls_response_send(request, text);
}

/* ---- res:precondition ---- */

static int64_t check_date(lua_State *L, int index) {
  int64_t date = LS_NO_DATE;
  if (lua_getfield(L, index, "last_modified") != LUA_TNIL) {
    lua_Number seconds = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 0 && seconds < 253402300800.0)) /* the year 10000 */
      luaL_error(L, "option 'last_modified' must be seconds since 1970, not %s", luaL_tolstring(L, -1, NULL));
    date = (int64_t)floor(seconds);
  }
  lua_pop(L, 1);
  return date;
}

static int set_validators(struct ls_headers *headers, const struct ls_validators *validators) {
  int status = 0;
  if (validators->etag.len != 0)
    status = ls_headers_set(headers, ls_slice_of("etag"), validators->etag);
  if (status == 0 && validators->modified != LS_NO_DATE) {
    char text[LS_DATE_LEN + 1];
    ls_date_format(validators->modified, text);
    status = ls_headers_set(headers, ls_slice_of("last-modified"), ls_slice(text, LS_DATE_LEN));
  }
  return status;
}

/* res:precondition(validators) -> true; or false; or nil, "closed", "ECLOSED"
 * Whether the request is to be performed: looks at If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since
 * (RFC 9110 13.2.2). false: it has been answered, 304 (Not Modified) to a GET or HEAD whose client has the content
 * already, else 412 (Precondition Failed). Also sets the fields ETag and Last-Modified, for the answer to come.
 *   etag           of the content as it is now: "v7" or '"v7"' (strong: the same bytes), 'W/"v7"' (weak: as good)
 *   last_modified  when it changed, seconds since 1970
 *   exists         true; false: there is none yet (If-None-Match: * is then met, If-Match: * is not)
 * Raises for other options, for a tag that cannot be one, and when the response has been begun.
 *   if not res:precondition { etag = article.revision } then return end */
int ls_http_l_precondition(lua_State *L) {
  static const char *const known[] = {"etag", "exists", "last_modified", NULL};
  struct ls_call *call = ls_http_check(L, 1, ls_http_response_type);
  luaL_checktype(L, 2, LUA_TTABLE);
  ls_options_check(L, 2, "res:precondition", known);
  char room[LS_ETAG_MAX];
  struct ls_validators validators = {.exists = ls_option_boolean(L, 2, "exists", true)};
  const char *etag = ls_option_string(L, 2, "etag", NULL);
  if (etag != NULL)
    validators.etag = ls_http_check_etag(L, ls_slice_of(etag), room);
  validators.modified = check_date(L, 2);
  if (!validators.exists && (etag != NULL || validators.modified != LS_NO_DATE))
    return luaL_error(L, "res:precondition: what does not exist has no etag and no last_modified");
  if (call->gone)
    return ls_http_push_sent(L, LS_ECLOSED);
  struct ls_request *request = call->request;
  if (ls_response_is_begun(request))
    return luaL_error(L, "the response has been begun already");
  if (set_validators(&request->headers, &validators) != 0)
    return luaL_error(L, "not enough memory");
  int answer = ls_conditional_check(&request->exchange.head, &validators, time(NULL));
  if (answer == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  if (ls_call_has_head_functions(call)) /* they may wait, and the request may be over by then: all of this once more */
    return ls_http_before_head(L, 0, ls_http_l_precondition);
  if (answer == 304 && validators.etag.len != 0)
    ls_headers_remove(&request->headers, ls_slice_of("last-modified"));
  int status = ls_http_answer_without(call, answer);
  if (status != 0)
    return ls_http_push_sent(L, status);
  lua_pushboolean(L, false);
  ls_call_on_finish(call);
  ls_call_settle(call);
  return 1;
}
