/* SPDX-License-Identifier: MIT */
/* table.sort of Lua 5.4 (manual, 6.6): a quicksort around the median of three, with the comparisons in Lua's order, since
 * programs can see that: in the comparison function, and in how equal elements end up. */
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <time.h>

#include "script/bounded.h"
#include "script/interrupt.h"

enum {
  LARGE = 100,     /* a range of more may get a random pivot, */
  IMBALANCE = 128, /* once one part was so many times larger than the other */
};

/* The list is at index 1, the comparison function or nil at 2. */
struct order {
  lua_State *L;
  bool has_function;
  unsigned steps;
};

/* Whether the value at index a comes before that at b; both count from the top. */
static inline bool is_before(struct order *order, int a, int b) {
  lua_State *L = order->L;
  if (++order->steps % LS_BOUNDED_STEPS == 0)
    ls_interrupt_poll(L);
  if (!order->has_function)
    return lua_compare(L, a, b, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a - 1);
  lua_pushvalue(L, b - 2);
  lua_call(L, 2, 1);
  bool before = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return before;
}

/* Takes two values from the top: the upper one for i, the other for j. */
static inline void put(lua_State *L, unsigned i, unsigned j) {
  lua_seti(L, 1, i);
  lua_seti(L, 1, j);
}

static void order_ends(struct order *order, unsigned low, unsigned high) {
  lua_State *L = order->L;
  lua_geti(L, 1, low);
  lua_geti(L, 1, high);
  if (is_before(order, -1, -2))
    put(L, low, high);
  else
    lua_pop(L, 2);
}

/* Between the ends, which are in order. */
static void order_middle(struct order *order, unsigned low, unsigned middle, unsigned high) {
  lua_State *L = order->L;
  lua_geti(L, 1, middle);
  lua_geti(L, 1, low);
  if (is_before(order, -2, -1)) {
    put(L, middle, low);
    return;
  }
  lua_pop(L, 1);
  lua_geti(L, 1, high);
  if (is_before(order, -1, -2))
    put(L, middle, high);
  else
    lua_pop(L, 2);
}

static void check_order(lua_State *L, bool may_go_on) {
  if (!may_go_on)
    luaL_error(L, "invalid order function for sorting");
}

/* The pivot is at high - 1 and, which is taken, on top. The ends are on their sides of it. Returns where it ends up: what
 * is below it in the list is not after it, what is above not before. */
static unsigned partition(struct order *order, unsigned low, unsigned high) {
  lua_State *L = order->L;
  unsigned i = low, j = high - 1;
  for (;;) {
    while (lua_geti(L, 1, ++i), is_before(order, -1, -2)) {
      check_order(L, i != high - 1);
      lua_pop(L, 1);
    }
    while (lua_geti(L, 1, --j), is_before(order, -3, -1)) {
      check_order(L, j >= i);
      lua_pop(L, 1);
    }
    if (j < i)
      break;
    put(L, i, j);
  }
  lua_pop(L, 1);
  put(L, high - 1, i);
  return i;
}

static unsigned new_random(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (unsigned)now.tv_nsec + (unsigned)now.tv_sec;
}

/* random 0: the middle has been good enough. */
static unsigned choose_pivot(unsigned low, unsigned high, unsigned random) {
  if (high - low < LARGE || random == 0)
    return (low + high) / 2;
  unsigned quarter = (high - low) / 4;
  return low + quarter + random % (2 * quarter);
}

/* Calls itself for the smaller part, so at most 31 deep. */
static void sort(struct order *order, unsigned low, unsigned high, unsigned random) {
  lua_State *L = order->L;
  while (low < high) {
    order_ends(order, low, high);
    if (high - low == 1)
      return;
    unsigned pivot = choose_pivot(low, high, random), smaller;
    order_middle(order, low, pivot, high);
    if (high - low == 2)
      return;
    lua_geti(L, 1, pivot);
    lua_pushvalue(L, -1);
    lua_geti(L, 1, high - 1);
    put(L, pivot, high - 1);
    pivot = partition(order, low, high);
    if (pivot - low < high - pivot) {
      sort(order, low, pivot - 1, random);
      smaller = pivot - low;
      low = pivot + 1;
    } else {
      sort(order, pivot + 1, high, random);
      smaller = high - pivot;
      high = pivot - 1;
    }
    if ((high - low) / IMBALANCE > smaller)
      random = new_random();
  }
}

static int l_sort(lua_State *L) {
  lua_Integer len = ls_bounded_len(L, 1, LS_TABLE_READ | LS_TABLE_WRITE);
  if (len <= 1)
    return 0;
  luaL_argcheck(L, len < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  struct order order = {.L = L, .has_function = !lua_isnil(L, 2)};
  sort(&order, 1, (unsigned)len, 0);
  return 0;
}

void ls_bounded_sort_open(lua_State *L) {
  lua_pushcfunction(L, l_sort);
  lua_setfield(L, -2, "sort");
}
