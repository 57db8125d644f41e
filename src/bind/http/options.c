/* SPDX-License-Identifier: MIT */
/* options: those of http.create_server, from its table to the structs of the rooms below. */
#include "script/options.h"
#include "bind/http/impl.h"

void ls_http_read_options(lua_State *L, int index, struct ls_server_options *options, struct ls_http_server *server) {
  static const char *const known[] = {"header_timeout",
                                      "body_timeout",
                                      "keep_alive_timeout",
                                      "write_timeout",
                                      "max_url",
                                      "max_header_bytes",
                                      "max_headers",
                                      "max_body",
                                      "max_connections",
                                      "max_requests",
                                      "backlog",
                                      "handler_timeout",
                                      "cancel_on_close",
                                      NULL};
  ls_options_check(L, index, "create_server", known);
  struct ls_http_limits *limits = &options->limits;
  options->header_timeout = ls_option_seconds(L, index, "header_timeout", options->header_timeout);
  options->body_timeout = ls_option_seconds(L, index, "body_timeout", options->body_timeout);
  options->keep_alive_timeout = ls_option_seconds(L, index, "keep_alive_timeout", options->keep_alive_timeout);
  options->write_timeout = ls_option_seconds(L, index, "write_timeout", options->write_timeout);
  limits->max_url = (uint32_t)ls_option_integer(L, index, "max_url", 1, 1 << 20, limits->max_url);
  limits->max_header_bytes =
      (uint32_t)ls_option_integer(L, index, "max_header_bytes", 1, 1 << 24, limits->max_header_bytes);
  limits->max_headers = (uint32_t)ls_option_integer(L, index, "max_headers", 1, 10000, limits->max_headers);
  limits->max_body =
      (uint64_t)ls_option_integer(L, index, "max_body", 0, LUA_MAXINTEGER, (lua_Integer)limits->max_body);
  limits->max_requests = (uint32_t)ls_option_integer(L, index, "max_requests", 0, UINT32_MAX, limits->max_requests);
  options->max_connections =
      (uint32_t)ls_option_integer(L, index, "max_connections", 0, UINT32_MAX, options->max_connections);
  options->backlog = (int)ls_option_integer(L, index, "backlog", 1, 65535, options->backlog);
  server->handler_timeout = ls_option_seconds(L, index, "handler_timeout", 0);
  server->cancel_on_close = ls_option_boolean(L, index, "cancel_on_close", false);
}
