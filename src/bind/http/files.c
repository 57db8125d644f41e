/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.files": what luaserve.middleware.static needs of C. */
#include <lauxlib.h>
#include <string.h>

#include "bind/http/file_options.h"
#include "bind/modules.h"
#include "http/file_path.h"

static bool ends_in_slash(struct ls_slice path) {
  return path.len == 0 || path.ptr[path.len - 1] == '/';
}

/* files.path(path, encoded, dotfiles) -> path, whether it may be a folder's; or nil: there can be no such file
 * The path of a file below a folder, for the path of a URL behind a prefix. encoded: it is as the client has sent it.
 * dotfiles: names may begin with a dot.
 *   local path = files.path("/a%20b.txt", true, false) -- "a b.txt" */
static int l_path(lua_State *L) {
  struct ls_slice path;
  path.ptr = luaL_checklstring(L, 1, &path.len);
  bool encoded = lua_toboolean(L, 2), dotfiles = lua_toboolean(L, 3);
  lua_settop(L, 1);
  bool changes = encoded && memchr(path.ptr, '%', path.len) != NULL;
  char *room = changes ? lua_newuserdatauv(L, path.len, 0) : NULL;
  size_t len = path.len;
  if (!ls_file_path_of(&path, changes, dotfiles, room))
    return 0;
  if (path.len == len)
    lua_settop(L, 1);
  else
    lua_pushlstring(L, path.ptr, path.len);
  lua_pushboolean(L, ends_in_slash(path));
  return 2;
}

int luaopen_luaserve_core_files(lua_State *L) {
  static const luaL_Reg functions[] = {{"path", l_path}, {"prepare", ls_http_l_prepare_file_options}, {NULL, NULL}};
  ls_file_options_open(L);
  luaL_newlib(L, functions);
  return 1;
}
