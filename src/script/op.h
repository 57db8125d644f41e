/* SPDX-License-Identifier: MIT */
/* op: a pending operation: what every async function of every binding waits with, or calls back from.
 *
 *   l_x_read       checks its arguments (raising is free: nothing is allocated yet), allocates the struct that embeds
 *                  the op, copies its inputs into it, ls_op_init, starts the work. If starting fails it frees the struct
 *                  and returns ls_push_failure(...). Else: return ls_op_await(L, op, callback_index).
 *   on_x_read      the libuv callback: stores status and data in the struct, ls_op_done, and as its last statement
 *                  ls_loop_drain. It never touches Lua, nor the op after ls_op_done.
 *   push_x_read    type->push, inside the resume where errors are protected: pushes the results. The op is freed after
 *                  it, also when it raises.
 *
 * Who frees: the op layer, by type->free, exactly once: after push; or when the operation was cancelled and
 * type->cancel returned true; or in ls_op_done when nobody waits any more. */
#ifndef LS_SCRIPT_OP_H
#define LS_SCRIPT_OP_H

#include <lua.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "script/scope.h"

struct ls_op;
struct ls_runtime;
struct ls_task;

struct ls_op_type {
  const char *name; /* "fs.read_file" */
  /* Pushes the results on L and returns their number: for a failure nil, message, code (ls_push_failure). */
  int (*push)(lua_State *L, struct ls_op *op);
  /* Nobody wants the result any more. true: stopped, the op layer frees it now. false: the work cannot be stopped;
   * ls_op_done will be called and the op is freed then. */
  bool (*cancel)(struct ls_op *op);
  void (*free)(struct ls_op *op);
};

enum ls_op_state { LS_OP_STARTING, LS_OP_AWAITED, LS_OP_CALLBACK, LS_OP_ORPHANED };

struct ls_op {
  const struct ls_op_type *type;
  struct ls_runtime *rt;
  enum ls_op_state state;
  struct ls_task *task;    /* that waits: AWAITED */
  int callback;            /* registry reference of the function to call; LUA_NOREF */
  struct ls_ready ready;   /* callback form: queued to be run */
  struct ls_member member; /* callback form: of the scope that started it */
  struct ls_scope *scope;  /* callback form: the callback's scope */
  struct ls_list link;     /* callback form: in rt->callback_ops */
  struct ls_op **handle;   /* callback form: the Lua operation object's pointer to this, which may outlive it */
  struct ls_op *outer; /* in task->pushing: the one pushed before, by a push that raised or that this one interrupts */
  bool done;
};

/* Prepares the op of the running task's runtime. Does not raise. */
void ls_op_init(lua_State *L, struct ls_op *op, const struct ls_op_type *type);

/* Waits: the return statement of an async binding. callback_index: where the callback argument would be (its last
 * parameter): a function there is called back with (nil, results...) or (message, code) and the call returns an
 * operation with :cancel() at once; none or nil there suspends the task, whose await gives the results. Anything else
 * there should have been refused by ls_op_check_callback before the op was made. 0: no callback form.
 * An op that is done already does not yield, as long as that is fair to others. */
int ls_op_await(lua_State *L, struct ls_op *op, int callback_index);

/* The work has ended (or was stopped from outside): wakes who waits. The op may be gone when this returns. */
void ls_op_done(struct ls_op *op);

/* Raises, before anything is allocated, unless an await is possible here or index holds a function; the error names the
 * C function in the way. Call it first in every async binding. index 0: no callback form. When the program is ending
 * (finalizers run then) nothing can be waited for, nor called back. */
void ls_op_check(lua_State *L, int callback_index, const char *name);

/* Whether ls_op_check would not raise. */
bool ls_op_can_start(lua_State *L, int callback_index);

/* Whether an await is possible here. */
bool ls_op_can_await(lua_State *L);

/* Frees what task was pushing when it raised. For task.c. */
void ls_op_forget_pushed(struct ls_task *task);

/* The runtime ends: no callback will be called any more. */
void ls_op_cancel_callbacks(struct ls_runtime *rt);

/* Allocates size zeroed bytes, or raises "not enough memory". For ops: freed by type->free. */
void *ls_op_alloc(lua_State *L, size_t size);

/* nil, "ENOENT: no such file or directory: open 'x.txt'", "ENOENT". what: "open 'x.txt'", or NULL. Returns 3. */
int ls_push_failure(lua_State *L, int code, const char *what_format, ...) __attribute__((format(printf, 3, 4)));

#endif
