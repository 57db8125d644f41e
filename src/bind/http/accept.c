/* SPDX-License-Identifier: MIT */
#include "bind/http/accept.h"

#include <stdio.h>
#include <string.h>

#include "bind/http/impl.h"
#include "http/media.h"
#include "http/negotiate.h"

enum { OFFERS_MAX = 32 };

struct offers {
  struct ls_offer list[OFFERS_MAX];
  unsigned count;
};

/* The arguments, from index 2 on. */
static void read_offers(lua_State *L, const char *method, struct offers *offers) {
  int count = lua_gettop(L) - 1;
  if (count < 1 || count > OFFERS_MAX)
    luaL_error(L, "req:%s takes what can be offered, 1 to %d strings", method, OFFERS_MAX);
  offers->count = (unsigned)count;
  for (unsigned i = 0; i < offers->count; i++) {
    size_t len;
    int index = (int)i + 2;
    luaL_checktype(L, index, LUA_TSTRING);
    const char *text = lua_tolstring(L, index, &len);
    luaL_argcheck(L, len != 0, index, "an empty string is no offer");
    offers->list[i].name = ls_slice(text, len);
  }
}

/* Pushes the argument that is this offer; nil for -1. */
static int push_choice(lua_State *L, int choice) {
  if (choice < 0)
    lua_pushnil(L);
  else
    lua_pushvalue(L, choice + 2);
  return 1;
}

static const struct ls_head *head_of(lua_State *L) {
  return &ls_http_check(L, 1, ls_http_request_type)->request->exchange.head;
}

/* "html" is text/html, as for the name of a file. */
static void expand_media(lua_State *L, struct offers *offers) {
  char path[32];
  for (unsigned i = 0; i < offers->count; i++) {
    struct ls_slice *name = &offers->list[i].name;
    if (memchr(name->ptr, '/', name->len) != NULL)
      continue;
    snprintf(path, sizeof path, "x.%s", name->ptr);
    const struct ls_media *media = ls_media_of(ls_slice_of(path));
    luaL_argcheck(L, *media->extension != '\0', (int)i + 2, "this is no media type, and no extension that has one");
    *name = ls_slice_of(media->type);
  }
}

static int choose(lua_State *L, const struct ls_head *head, enum ls_field_id field, ls_match match,
                  struct offers *offers) {
  bool any = ls_weigh(head, field, match, offers->list, offers->count);
  return push_choice(L, any ? ls_best_offer(offers->list, offers->count) : 0);
}

/* req:accepts(type, ...) -> string or nil
 * Of these media types the one that the client's Accept likes best (RFC 9110 12.5.1), of equals the first, as given;
 * nil: it takes none. Without the field it takes all. A type may be told by an extension: "html", "json", "text", and may
 * have parameters. Raises for what is neither.
 *   if req:accepts("html", "json") == "json" then return res:json(note) end */
int ls_http_l_accepts(lua_State *L) {
  const struct ls_head *head = head_of(L);
  struct offers offers;
  read_offers(L, "accepts", &offers);
  expand_media(L, &offers);
  return choose(L, head, LS_FIELD_ACCEPT, ls_match_media, &offers);
}

/* req:accepts_language(tag, ...) -> string or nil
 * The same by Accept-Language (RFC 9110 12.5.4), of language tags: for "de" a client that likes "de-CH" takes "de" as well,
 * and one that likes "de" takes "de-CH".
 *   local language = req:accepts_language("en", "de") or "en" */
int ls_http_l_accepts_language(lua_State *L) {
  const struct ls_head *head = head_of(L);
  struct offers offers;
  read_offers(L, "accepts_language", &offers);
  return choose(L, head, LS_FIELD_ACCEPT_LANGUAGE, ls_match_language, &offers);
}

/* req:accepts_encoding(coding, ...) -> string or nil
 * The same by Accept-Encoding (RFC 9110 12.5.3), of content codings. "identity", if it is among them, is taken where no
 * other is, unless it was refused; so without the field, too.
 *   local coding = req:accepts_encoding("br", "gzip") */
int ls_http_l_accepts_encoding(lua_State *L) {
  const struct ls_head *head = head_of(L);
  struct offers offers;
  read_offers(L, "accepts_encoding", &offers);
  ls_weigh(head, LS_FIELD_ACCEPT_ENCODING, ls_match_coding, offers.list, offers.count);
  int best = ls_best_offer(offers.list, offers.count);
  for (unsigned i = 0; best < 0 && i < offers.count; i++)
    if (offers.list[i].weight < 0 && ls_field_name_equal(offers.list[i].name, ls_slice("identity", 8)))
      best = (int)i;
  return push_choice(L, best);
}
