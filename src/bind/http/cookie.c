/* SPDX-License-Identifier: MIT */
/* cookie: req:cookie. The other methods that read or set cookies are written in Lua. */
#include "http/cookie.h"

#include "bind/http/impl.h"
#include "http/url.h"

/* As res:set_cookie encodes it. What is no encoding stays. */
static void push_decoded(lua_State *L, struct ls_slice value) {
  if (value.len == 0 || memchr(value.ptr, '%', value.len) == NULL) {
    lua_pushlstring(L, value.ptr, value.len);
    return;
  }
  luaL_Buffer buffer;
  char *room = luaL_buffinitsize(L, &buffer, value.len);
  luaL_pushresultsize(&buffer, ls_url_decode(value, false, room));
}

/* req:cookie(name) -> string or nil
 * The value of a cookie, percent-decoded. Of a repeated name the first counts (RFC 6265 5.4). Clients can send anything here.
 *   local theme = req:cookie("theme") or "light" */
int ls_http_l_cookie(lua_State *L) {
  const struct ls_head *head = &ls_http_check(L, 1, ls_http_request_type)->request->exchange.head;
  struct ls_slice wanted, rest, name, value;
  wanted.ptr = luaL_checklstring(L, 2, &wanted.len);
  for (int i = ls_head_find_common(head, LS_FIELD_COOKIE, 0); i >= 0;
       i = ls_head_find_common(head, LS_FIELD_COOKIE, (uint32_t)i + 1)) {
    rest = ls_head_value(head, (uint32_t)i);
    while (ls_cookie_next(&rest, &name, &value)) {
      if (!ls_slice_equal(name, wanted))
        continue;
      push_decoded(L, value);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}
