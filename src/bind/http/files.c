/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.files": what luaserve.middleware.static needs of C. */
#include <lauxlib.h>
#include <string.h>

#include "bind/http/file_options.h"
#include "bind/http/impl.h"
#include "bind/modules.h"
#include "http/file_path.h"

/* files.path(req, path, encoded, dotfiles) -> path, whether the request is for a folder; or nothing: there can be no such file
 * The path of a file below a folder, for what is behind a prefix of a request's path. A folder is asked for with a slash at
 * the end. encoded: it is as the client has sent it. dotfiles: names may begin with a dot.
 *   local path = files.path(req, "/a%20b.txt", true, false) -- "a b.txt" */
static int l_path(lua_State *L) {
  lua_settop(L, 4);
  struct ls_slice asked = ls_http_path(L, ls_http_check(L, 1, ls_http_request_type)), path;
  path.ptr = luaL_checklstring(L, 2, &path.len);
  bool encoded = lua_toboolean(L, 3), dotfiles = lua_toboolean(L, 4);
  bool changes = encoded && memchr(path.ptr, '%', path.len) != NULL;
  char *room = changes ? lua_newuserdatauv(L, path.len, 0) : NULL;
  if (!ls_file_path_of(&path, changes, dotfiles, room))
    return 0;
  lua_pushlstring(L, path.ptr, path.len);
  lua_pushboolean(L, asked.len > 0 && asked.ptr[asked.len - 1] == '/');
  return 2;
}

int luaopen_luaserve_core_files(lua_State *L) {
  static const luaL_Reg functions[] = {{"path", l_path}, {"prepare", ls_http_l_prepare_file_options}, {NULL, NULL}};
  ls_file_options_open(L);
  luaL_newlib(L, functions);
  return 1;
}
