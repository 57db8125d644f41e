/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.clock": the program's clock (loop/timer.h), for specs that hold it; what test.clock of
 * luaserve.test stands on. Times are integers, in nanoseconds. */
#include <lauxlib.h>
#include <stdlib.h>
#include <uv.h>

#include "bind/modules.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "script/op.h"
#include "script/runtime.h"

#define QUIET_TURNS 2
#define PAUSE_NS UINT64_C(1000000) /* between looks at jobs of the pool */

static struct ls_loop *loop_of(lua_State *L) {
  return ls_runtime_of(L)->loop;
}

static void check_held(lua_State *L) {
  if (!loop_of(L)->timers.held)
    luaL_error(L, "the clock is not held");
}

/* clock.hold([time])
 * Stops the clock. time: of the calendar, ns since 1970, for os.time and os.date; as it is if there is none. */
static int l_hold(lua_State *L) {
  struct ls_loop *loop = loop_of(L);
  int64_t time = luaL_optinteger(L, 1, ls_timers_time(loop));
  if (loop->timers.held)
    return luaL_error(L, "the clock is held already");
  ls_timers_hold(loop, time);
  return 0;
}

/* clock.release()
 * It runs again, from where it is. */
static int l_release(lua_State *L) {
  check_held(L);
  ls_timers_release(loop_of(L));
  return 0;
}

/* clock.is_held() -> boolean */
static int l_is_held(lua_State *L) {
  lua_pushboolean(L, loop_of(L)->timers.held);
  return 1;
}

/* clock.now() -> ns from some point in the past */
static int l_now(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)ls_timers_now(loop_of(L)));
  return 1;
}

/* clock.first_due() -> ns | nil
 * When the first timer is due that this clock moves; nil: there is none. */
static int l_first_due(lua_State *L) {
  uint64_t due;
  if (ls_timers_first_due(loop_of(L), &due))
    lua_pushinteger(L, (lua_Integer)due);
  else
    lua_pushnil(L);
  return 1;
}

/* clock.set(ns)
 * Moves the held clock, forward only. What is due then fires in the next turn of the loop. */
static int l_set(lua_State *L) {
  uint64_t now = (uint64_t)luaL_checkinteger(L, 1);
  check_held(L);
  luaL_argcheck(L, now >= ls_timers_now(loop_of(L)), 1, "the clock does not run backwards");
  ls_timers_set(loop_of(L), now);
  return 0;
}

/* ---- settle ---- */

struct settle {
  struct ls_op op;
  struct ls_ready turn;  /* in the check phase */
  struct ls_timer pause; /* instead of turns while jobs run, which need the processor */
  uint64_t steps;        /* that the loop had run at the last turn */
  uint64_t until;        /* of the machine's clock */
  unsigned quiet;        /* turns in a row in which nothing ran */
  bool settled;
};

static struct ls_loop *settle_loop(const struct settle *settle) {
  return settle->op.rt->loop;
}

static void next_turn(struct settle *settle) {
  struct ls_loop *loop = settle_loop(settle);
  bool jobs = ls_work_outstanding(loop->inbox) > 0;
  settle->steps = loop->steps;
  if (jobs)
    settle->quiet = 0;
  if (!jobs || ls_timer_start(loop, &settle->pause, PAUSE_NS) != 0)
    ls_loop_immediate(loop, &settle->turn);
}

/* The turn itself is one step. */
static void on_turn(struct ls_ready *turn) {
  struct settle *settle = ls_container_of(turn, struct settle, turn);
  settle->quiet = settle_loop(settle)->steps - settle->steps <= 1 ? settle->quiet + 1 : 0;
  settle->settled = settle->quiet >= QUIET_TURNS;
  if (settle->settled || uv_hrtime() >= settle->until)
    ls_op_done(&settle->op);
  else
    next_turn(settle);
}

static void on_pause(struct ls_timer *pause) {
  struct settle *settle = ls_container_of(pause, struct settle, pause);
  ls_loop_immediate(settle_loop(settle), &settle->turn);
}

static int push_settle(lua_State *L, struct ls_op *op) {
  lua_pushboolean(L, ls_container_of(op, struct settle, op)->settled);
  return 1;
}

static bool cancel_settle(struct ls_op *op) {
  struct settle *settle = ls_container_of(op, struct settle, op);
  ls_timer_stop(settle_loop(settle), &settle->pause);
  ls_loop_unqueue(&settle->turn);
  return true;
}

static void free_settle(struct ls_op *op) {
  free(ls_container_of(op, struct settle, op));
}

/* clock.settle(patience) -> boolean
 * Async. Waits until nothing goes on: no task runs for some turns of the loop, and no job is on the pool. What waits for
 * timers, for other processes or machines is not waited for. patience: ns of the machine's clock; false once they are
 * over. */
static int l_settle(lua_State *L) {
  static const struct ls_op_type type = {"settle", push_settle, cancel_settle, free_settle};
  lua_Integer patience = luaL_checkinteger(L, 1);
  ls_op_check(L, 0, type.name);
  struct settle *settle = ls_op_alloc(L, sizeof *settle);
  ls_op_init(L, &settle->op, &type);
  ls_ready_init(&settle->turn, on_turn);
  settle->pause.fire = on_pause;
  settle->until = uv_hrtime() + (uint64_t)patience;
  next_turn(settle);
  return ls_op_await(L, &settle->op, 0);
}

int luaopen_luaserve_core_clock(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"first_due", l_first_due}, {"hold", l_hold}, {"is_held", l_is_held}, {"now", l_now},
      {"release", l_release},     {"set", l_set},   {"settle", l_settle},   {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
