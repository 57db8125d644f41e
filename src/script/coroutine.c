/* SPDX-License-Identifier: MIT */
/* The coroutine library of Lua 5.4 (manual, section 6.2), transparent to awaits. Nothing else differs: the official
 * test suite holds. */
#include <lauxlib.h>

#include "script/interrupt.h"
#include "script/runtime.h"
#include "script/task.h"
#include "script/transparent.h"

enum outcome { FAILED = -1, PARKED = -2 }; /* else: the number of results */

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "coroutine");
  return co;
}

/* What the task's cancellation is like when a coroutine is entered: cancel_seq, and in the upper half the shield. */
#define SHIELD_SHIFT (sizeof(lua_KContext) * 4)
#define SEQ_MASK (((lua_KContext)1 << SHIELD_SHIFT) - 1)

static lua_KContext note_entry(lua_State *L) {
  const struct ls_task *task = ls_runtime_of(L)->running;
  return task != NULL ? (lua_KContext)task->shield << SHIELD_SHIFT | (task->cancel_seq & SEQ_MASK) : 0;
}

/* The coroutine is left, by any way but an await: a shield that it yielded from stays inside. Whether a cancellation was
 * delivered meanwhile. */
static bool was_cancelled(lua_State *L, lua_KContext entry) {
  struct ls_task *task = ls_runtime_of(L)->running;
  if (task == NULL)
    return false;
  task->shield = (unsigned)(entry >> SHIELD_SHIFT);
  return (task->cancel_seq & SEQ_MASK) != (entry & SEQ_MASK);
}

/* The coroutine in which a task's own code runs is to that code what the main coroutine is to a plain script. */
static bool is_outermost(lua_State *L, lua_State *co) {
  const struct ls_runtime *rt = ls_runtime_of(L);
  return co == rt->L || (rt->running != NULL && co == rt->running->co);
}

/* L is what runs from here on. An interrupt stops only that one, so one that has come is passed on. */
static void switch_to(struct ls_runtime *rt, lua_State *L) {
  rt->current = L;
  ls_interrupt_check(L, rt);
}

/* One step of co: starts, goes on after a yield of its own, or after an await. On FAILED one message is on L. */
static int step(lua_State *L, lua_State *co, int arguments) {
  struct ls_runtime *rt = ls_runtime_of(L);
  lua_State *outer_block = rt->cannot_await;
  if (outer_block == NULL && !lua_isyieldable(L))
    rt->cannot_await = L;
  int results;
  switch_to(rt, co);
  int status = lua_resume(co, L, arguments, &results);
  switch_to(rt, L);
  rt->cannot_await = outer_block;
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  if (ls_task_is_parked(co))
    return PARKED;
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, results);
  return results;
}

/* The user's resume: arguments are on top of L. */
static int resume(lua_State *L, lua_State *co, int arguments) {
  if (ls_task_is_parked(co)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return FAILED;
  }
  if (!lua_checkstack(co, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  lua_xmove(L, co, arguments);
  return step(L, co, arguments);
}

/* The task goes on: so does what co waited in. */
static int unpark(lua_State *L, lua_State *co) {
  lua_pop(co, 1);
  return step(L, co, 0);
}

static int pass_outward(lua_State *L, lua_KContext entry, lua_KFunction k) {
  ls_task_push_parked(L);
  return lua_yieldk(L, 1, entry, k);
}

/* ---- resume ---- */

static int k_resume(lua_State *L, int status, lua_KContext entry);

static int finish_resume(lua_State *L, int outcome, lua_KContext entry) {
  if (outcome == PARKED)
    return pass_outward(L, entry, k_resume);
  if (was_cancelled(L, entry))
    return ls_task_raise_cancel(L);
  int results = outcome == FAILED ? 1 : outcome;
  lua_pushboolean(L, outcome != FAILED);
  lua_insert(L, -(results + 1));
  return results + 1;
}

static int k_resume(lua_State *L, int status, lua_KContext entry) {
  (void)status;
  return finish_resume(L, unpark(L, lua_tothread(L, 1)), entry);
}

static int l_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  lua_KContext entry = note_entry(L);
  return finish_resume(L, resume(L, co, lua_gettop(L) - 1), entry);
}

/* ---- wrap ---- */

static int k_wrapped(lua_State *L, int status, lua_KContext entry);

/* A failed coroutine closes its variables; a message gets the place of the call, as wrap does. */
static int raise_from(lua_State *L, lua_State *co, lua_KContext entry) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    struct ls_runtime *rt = ls_runtime_of(L);
    switch_to(rt, co);
    status = lua_resetthread(co);
    switch_to(rt, L);
    lua_xmove(co, L, 1);
  }
  if (was_cancelled(L, entry))
    return ls_task_raise_cancel(L);
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int finish_wrapped(lua_State *L, lua_State *co, int outcome, lua_KContext entry) {
  if (outcome == PARKED)
    return pass_outward(L, entry, k_wrapped);
  if (outcome == FAILED)
    return raise_from(L, co, entry);
  if (was_cancelled(L, entry))
    return ls_task_raise_cancel(L);
  return outcome;
}

static lua_State *wrapped(lua_State *L) {
  return lua_tothread(L, lua_upvalueindex(1));
}

static int k_wrapped(lua_State *L, int status, lua_KContext entry) {
  (void)status;
  lua_State *co = wrapped(L);
  return finish_wrapped(L, co, unpark(L, co), entry);
}

static int l_wrapped(lua_State *L) {
  lua_State *co = wrapped(L);
  lua_KContext entry = note_entry(L);
  return finish_wrapped(L, co, resume(L, co, lua_gettop(L)), entry);
}

static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushcclosure(L, l_wrapped, 1);
  return 1;
}

/* ---- the rest ---- */

static int l_yield(lua_State *L) {
  if (is_outermost(L, L)) {
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
    return lua_error(L);
  }
  return lua_yield(L, lua_gettop(L));
}

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co)
    return "running";
  if (ls_task_is_parked(co))
    return "normal";
  lua_Debug frame;
  switch (lua_status(co)) {
  case LUA_YIELD:
    return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &frame))
      return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}

static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

static int l_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  lua_pushboolean(L, !is_outermost(L, co) && lua_isyieldable(co));
  return 1;
}

static int l_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, is_outermost(L, L));
  return 2;
}

static int l_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, co);
  if (*status != 's' && *status != 'd')
    return luaL_error(L, "cannot close a %s coroutine", status);
  lua_KContext entry = note_entry(L);
  struct ls_runtime *rt = ls_runtime_of(L);
  lua_State *outer_block = rt->cannot_await;
  rt->cannot_await = L; /* variables closed here cannot wait */
  switch_to(rt, co);
  int result = lua_resetthread(co);
  switch_to(rt, L);
  rt->cannot_await = outer_block;
  if (was_cancelled(L, entry))
    return ls_task_raise_cancel(L);
  lua_pushboolean(L, result == LUA_OK);
  if (result == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}

void ls_coroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"close", l_close},   {"create", l_create},   {"isyieldable", l_isyieldable},
                                       {"resume", l_resume}, {"running", l_running}, {"status", l_status},
                                       {"wrap", l_wrap},     {"yield", l_yield},     {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

bool ls_coroutine_is(lua_CFunction function) {
  return function == l_resume || function == l_wrapped;
}
