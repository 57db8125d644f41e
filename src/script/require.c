/* SPDX-License-Identifier: MIT */
#include "script/require.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

/* One module being loaded; freed when its task has ended and nobody asks for its outcome any more. */
struct ls_load {
  struct ls_list link; /* in rt->loads while its task lives */
  struct ls_runtime *rt;
  struct ls_load *waits_for; /* the load that this one's task has asked for and not got yet */
  struct ls_list waits;      /* wait.link */
  unsigned references;       /* of its task, of waits, of the call that started it */
  int outcome;               /* registry reference: the error, or the loader data */
  bool ended, failed;
  char name[];
};

struct wait {
  struct ls_op op;
  struct ls_list link; /* in load->waits */
  struct ls_load *load;
  struct ls_load *by; /* the load whose task waits here; NULL: no load's */
};

bool ls_require_is_loading(const struct ls_task *task) {
  return task->loading != NULL;
}

/* ---- the life of a load ---- */

static struct ls_load *find(struct ls_runtime *rt, const char *name) {
  for (struct ls_list *link = rt->loads.next; link != &rt->loads; link = link->next) {
    struct ls_load *load = ls_container_of(link, struct ls_load, link);
    if (strcmp(load->name, name) == 0)
      return load;
  }
  return NULL;
}

static struct ls_load *new_load(struct ls_runtime *rt, const char *name) {
  size_t size = strlen(name) + 1;
  struct ls_load *load = calloc(1, sizeof *load + size);
  if (load == NULL)
    return NULL;
  load->rt = rt;
  load->references = 1;
  load->outcome = LUA_NOREF;
  memcpy(load->name, name, size);
  ls_list_init(&load->link);
  ls_list_init(&load->waits);
  return load;
}

static void unref(struct ls_load *load) {
  if (--load->references > 0)
    return;
  if (load->rt->L != NULL)
    luaL_unref(load->rt->L, LUA_REGISTRYINDEX, load->outcome);
  free(load);
}

void ls_require_dispose(struct ls_runtime *rt) {
  struct ls_list *link;
  while ((link = ls_list_shift(&rt->loads)) != NULL)
    unref(ls_container_of(link, struct ls_load, link));
}

/* The error, or the loader data, is on top of L; no L: out of memory, maybe in a first call of this. An error that
 * nobody asks for any more is logged. */
static void on_loaded(struct ls_task *task, lua_State *L, int status) {
  struct ls_load *load = task->loading;
  if (L != NULL) {
    int outcome = lua_gettop(L);
    if (load->references == 1)
      ls_task_end_logged(task, L, status);
    lua_settop(L, outcome);
    load->outcome = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  task->loading = NULL;
  ls_list_remove(&load->link);
  load->ended = true;
  load->failed = status != LUA_OK;
  struct ls_list *link;
  while ((link = ls_list_shift(&load->waits)) != NULL)
    ls_op_done(&ls_container_of(link, struct wait, link)->op);
  unref(load);
}

/* ---- finding the loader (manual, package.searchers) ---- */

/* Leaves loader and loader data on top. What searchers say that found nothing is collected for the error. */
static void push_loader(lua_State *L, const char *name) {
  luaL_Buffer messages;
  if (lua_getfield(L, lua_upvalueindex(1), "searchers") != LUA_TTABLE)
    luaL_error(L, "'package.searchers' must be a table");
  int searchers = lua_gettop(L);
  luaL_buffinit(L, &messages);
  for (int i = 1;; i++) {
    luaL_addstring(&messages, "\n\t");
    if (lua_rawgeti(L, searchers, i) == LUA_TNIL) {
      lua_pop(L, 1);
      luaL_buffsub(&messages, 2);
      luaL_pushresult(&messages);
      luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -1));
    }
    lua_pushstring(L, name);
    lua_call(L, 1, 2);
    if (lua_isfunction(L, -2))
      return;
    lua_pop(L, 1);
    if (lua_isstring(L, -1)) {
      luaL_addvalue(&messages);
    } else {
      lua_pop(L, 1);
      luaL_buffsub(&messages, 2);
    }
  }
}

/* ---- running it, in the task of the load ---- */

/* Stack: name, loader data, result. A module that gave no value has the value true. */
static int k_load(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  const char *name = lua_tostring(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_insert(L, 3);
  if (lua_isnil(L, 4))
    lua_pop(L, 1);
  else
    lua_setfield(L, 3, name);
  if (lua_getfield(L, 3, name) == LUA_TNIL) {
    lua_pushboolean(L, true);
    lua_setfield(L, 3, name);
  }
  lua_settop(L, 2);
  return 1;
}

/* Stack: name, loader data, loader. */
static int l_load(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_callk(L, 2, 1, 0, k_load);
  return k_load(L, LUA_OK, 0);
}

/* Stack of L: name, and loader and loader data on top, which all go to the task. The load's outcome may be there when
 * this returns; the caller has a reference. */
static struct ls_load *start(lua_State *L, struct ls_runtime *rt) {
  struct ls_load *load = new_load(rt, lua_tostring(L, 1));
  struct ls_task *task = load != NULL ? ls_task_take(rt, &rt->root, true) : NULL;
  if (task == NULL) {
    free(load);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  lua_pushcfunction(L, l_load);
  lua_pushvalue(L, 1);
  lua_rotate(L, -4, 2); /* function, name, loader, loader data */
  lua_rotate(L, -2, 1); /* function, name, loader data, loader */
  lua_xmove(L, task->co, 4);
  task->loading = load;
  ls_list_push(&rt->loads, &load->link);
  load->references++;
  struct ls_load *by = rt->running != NULL ? rt->running->loading : NULL;
  if (by != NULL)
    by->waits_for = load;
  ls_task_run_inside(task, L, on_loaded);
  if (by != NULL)
    by->waits_for = NULL;
  return load;
}

/* ---- its outcome ---- */

/* Pushes what require returns, and gives its number; or the error that the load ended with, and gives 0. */
static int push_outcome(lua_State *L, const struct ls_load *load) {
  if (load->failed) {
    if (load->outcome == LUA_NOREF)
      lua_pushliteral(L, "not enough memory");
    else
      lua_rawgeti(L, LUA_REGISTRYINDEX, load->outcome);
    return 0;
  }
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, load->name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, load->outcome);
  return 2;
}

static int push_wait(lua_State *L, struct ls_op *op) {
  int results = push_outcome(L, ls_container_of(op, struct wait, op)->load);
  return results > 0 ? results : lua_error(L);
}

static bool cancel_wait(struct ls_op *op) {
  (void)op;
  return true;
}

static void free_wait(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  ls_list_remove(&wait->link);
  if (wait->by != NULL)
    wait->by->waits_for = NULL;
  unref(wait->load);
  free(wait);
}

/* Raises where waiting for load would close a ring: its task waits, through others, for what by loads. */
static void check_ring(lua_State *L, const struct ls_load *load, const struct ls_load *by) {
  const struct ls_load *last = load;
  while (last != NULL && last != by)
    last = last->waits_for;
  if (by == NULL || last == NULL)
    return;
  luaL_Buffer ring;
  luaL_buffinit(L, &ring);
  for (last = load; last != by; last = last->waits_for) {
    luaL_addstring(&ring, last->name);
    luaL_addstring(&ring, " -> ");
  }
  luaL_addstring(&ring, by->name);
  luaL_addstring(&ring, " -> ");
  luaL_addstring(&ring, load->name);
  luaL_pushresult(&ring);
  luaL_error(L, "modules require each other while they are loaded: %s", lua_tostring(L, -1));
}

/* The load has not ended. */
static int await_outcome(lua_State *L, struct ls_load *load) {
  static const struct ls_op_type type = {"require", push_wait, cancel_wait, free_wait};
  struct wait *wait = ls_op_alloc(L, sizeof *wait);
  ls_op_init(L, &wait->op, &type);
  wait->load = load;
  load->references++;
  wait->by = load->rt->running->loading;
  if (wait->by != NULL)
    wait->by->waits_for = load;
  ls_list_init(&wait->link);
  ls_list_push(&load->waits, &wait->link);
  return ls_op_await(L, &wait->op, 0);
}

/* The load was started by this call, which has a reference: its outcome, without a wait where it is there already. */
static int finish_started(lua_State *L, struct ls_load *load) {
  if (load->ended) {
    int results = push_outcome(L, load);
    unref(load);
    return results > 0 ? results : lua_error(L);
  }
  unref(load);                                          /* its task has one */
  bool exits = load->rt->exiting && ls_op_can_await(L); /* the module has called os.exit: this task stays where it is */
  if (!exits)
    ls_op_check(L, 0, "require of a module that waits");
  return await_outcome(L, load);
}

/* The program is ending and no task runs any more: exit hooks and finalizers load as plain Lua does. */
static int load_here(lua_State *L) {
  push_loader(L, lua_tostring(L, 1));
  int data = lua_gettop(L); /* what lies below must stay: a buffer that is to be closed may be there */
  lua_pushcfunction(L, l_load);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, data);
  lua_pushvalue(L, data - 1);
  lua_call(L, 3, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, lua_tostring(L, 1));
  lua_pushvalue(L, data);
  return 2;
}

/* require(name) -> the module's value, loader data
 * Async where the module's main chunk waits, or another task is loading it. Raises what the load raised. */
static int l_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct ls_runtime *rt = ls_runtime_of(L);
  lua_settop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, 2, name);
  if (lua_toboolean(L, -1))
    return 1;
  lua_settop(L, 1);
  if (rt->exiting)
    return load_here(L);
  struct ls_load *load = find(rt, name);
  if (load == NULL) {
    push_loader(L, name);
    return finish_started(L, start(L, rt));
  }
  check_ring(L, load, rt->running != NULL ? rt->running->loading : NULL);
  ls_op_check(L, 0, "require of a module that is being loaded");
  return await_outcome(L, load);
}

void ls_require_open(lua_State *L) {
  lua_getglobal(L, "package");
  lua_pushcclosure(L, l_require, 1);
  lua_setglobal(L, "require");
}
