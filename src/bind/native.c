/* SPDX-License-Identifier: MIT */
/* The C interface for modules that are not luaserve's own: include/luaserve.h, on top of op and work. */
#include <lauxlib.h>
#include <luaserve.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "loop/work.h"
#include "script/op.h"
#include "script/runtime.h"

struct native {
  struct ls_op op;
  struct ls_op_type type; /* with the work's name */
  struct ls_work work;
  const struct luaserve_work *functions;
  void *data;
};

static int push_native(lua_State *L, struct ls_op *op) {
  const struct native *native = ls_container_of(op, struct native, op);
  return native->functions->push(L, native->data);
}

static bool cancel_native(struct ls_op *op) {
  struct native *native = ls_container_of(op, struct native, op);
  if (ls_work_cancel(&native->work))
    return true;
  if (native->functions->stop != NULL)
    native->functions->stop(native->data);
  return false;
}

static void free_native(struct ls_op *op) {
  struct native *native = ls_container_of(op, struct native, op);
  native->functions->free(native->data);
  free(native);
}

static void run(struct ls_work *work) {
  struct native *native = ls_container_of(work, struct native, work);
  native->functions->run(native->data);
}

static void on_done(struct ls_work *work) {
  ls_op_done(&ls_container_of(work, struct native, work)->op);
}

int luaserve_api(void) {
  return LUASERVE_API;
}

void luaserve_check(lua_State *L, int callback, const char *name) {
  ls_op_check(L, callback, name);
}

/* What is wrong raises without the data. */
static void check_start(lua_State *L, const struct luaserve_work *functions, void *data, int callback) {
  if (functions->api <= LUASERVE_API && ls_op_can_start(L, callback))
    return;
  functions->free(data);
  if (functions->api > LUASERVE_API)
    luaL_error(L, "%s was built for a newer luaserve: its interface is %d, and this is %d", functions->name,
               functions->api, LUASERVE_API);
  ls_op_check(L, callback, functions->name);
  luaL_error(L, "%s cannot start here", functions->name);
}

int luaserve_queue(lua_State *L, const struct luaserve_work *functions, void *data, int callback) {
  check_start(L, functions, data, callback);
  struct native *native = calloc(1, sizeof *native);
  if (native == NULL) {
    functions->free(data);
    return luaL_error(L, "not enough memory");
  }
  native->type = (struct ls_op_type){functions->name, push_native, cancel_native, free_native};
  native->functions = functions;
  native->data = data;
  native->work.run = run;
  native->work.done = on_done;
  ls_list_init(&native->work.link);
  ls_op_init(L, &native->op, &native->type);
  int status = ls_work_submit(native->op.rt->loop, &native->work, LS_LANE_USER);
  if (status != 0) {
    free_native(&native->op);
    return ls_push_failure(L, status, "%s", functions->name);
  }
  return ls_op_await(L, &native->op, callback);
}

int luaserve_fail(lua_State *L, int error, const char *what) {
  return what != NULL ? ls_push_failure(L, -error, "%s", what) : ls_push_failure(L, -error, NULL);
}
