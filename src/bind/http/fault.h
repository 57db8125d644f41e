/* SPDX-License-Identifier: MIT */
/* fault: whose doing it is when a handler fails, its own or the client's, and what the log says of it. */
#ifndef LS_BIND_HTTP_FAULT_H
#define LS_BIND_HTTP_FAULT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

#define LS_FAULT_SIZE 256 /* of what ls_fault_unseen writes */

struct ls_call;
struct ls_task;

/* Whether the handler's error, on top of L, is that with which a method of req refused the body: the value itself, or the
 * message, passed on by assert or error, which may have put the place in front. */
bool ls_fault_is_rejection(const struct ls_call *call, lua_State *L);

/* A body that failed is the client's doing; whatever the handler then does wrong follows from that. So is one that is larger
 * than the handler asked for, and one that was refused for what is in it, where that is the handler's error. The status of
 * the answer; 0: none of these. */
int ls_fault_status(const struct ls_call *call);

/* The status of the answer to the handler's error, on top of L: that, or 500. */
int ls_fault_status_of_error(struct ls_call *call, lua_State *L);

/* How loud an error of the handler is: a client cannot flood the log by leaving or by sending rubbish. */
enum ls_log_level ls_fault_level(const struct ls_call *call);

/* Keeps what the method called name has failed with, the message below the code on top of L: who does not look at it is told
 * by the log that nothing was answered, and why. */
void ls_fault_note(lua_State *L, struct ls_call *call, const char *name);

/* What a method of res, or else of req, has returned instead of raising, written to text; NULL: none has. */
const char *ls_fault_unseen(const struct ls_call *call, char *text, size_t size);

/* A line of the log about the request, with what follows the first line of text. hint: behind that, or NULL. */
void ls_fault_log(struct ls_call *call, enum ls_log_level level, const char *text, const char *hint);

/* The same of an error of the task, on top of L, with its traceback. L NULL: it had no memory. */
void ls_fault_log_error(struct ls_call *call, struct ls_task *task, lua_State *L);

#endif
