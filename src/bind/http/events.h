/* SPDX-License-Identifier: MIT */
/* events: res:events: a response that is a stream of events (server-sent events, WHATWG HTML 9.2).
 *
 * Such a response has no end of its own: wherever it ends, it is complete, and the client comes back. So it ends, in good
 * order, when the handler and what it started have ended, when nobody holds what res:later() let be kept, and as soon as
 * the server closes. */
#ifndef LS_BIND_HTTP_EVENTS_H
#define LS_BIND_HTTP_EVENTS_H

#include <lua.h>

struct ls_call;
struct ls_http_server;

int ls_http_l_events(lua_State *L);

/* The call's response, a stream of events that has not ended, ends. */
void ls_events_end(struct ls_call *call);

/* The server closes: its streams end, and their handlers see that as if the clients had left. */
void ls_events_end_all(struct ls_http_server *server);

/* Makes the type; once, when the module is opened. */
void ls_events_make_type(lua_State *L);

#endif
