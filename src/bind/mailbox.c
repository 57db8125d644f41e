/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.mailbox": values left for whoever comes to take them, in order; what the semaphores and channels
 * of luaserve.task stand on. A value that was handed to a task which is cancelled before it could look goes back to its
 * place, or to the next one who waits: none is lost. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/list.h"
#include "bind/mailbox.h"
#include "bind/modules.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/runtime.h"

#define MAILBOX "luaserve.mailbox"

struct item {
  struct ls_list link; /* in mailbox->items */
  lua_Integer number;  /* in the order of put */
  int value;           /* registry reference */
};

struct mailbox {
  struct ls_list items;
  struct ls_list takers; /* take.link; empty while there are items */
  lua_Integer count;     /* of items */
  lua_Integer last;      /* number of an item */
  bool closed;
};

/* One who waits. */
struct take {
  struct ls_op op;
  struct ls_list link; /* in mailbox->takers */
  struct mailbox *mailbox;
  int self;          /* registry reference that keeps the mailbox */
  struct item *item; /* handed over; NULL: none (the mailbox was closed) */
};

static struct mailbox *check(lua_State *L) {
  return luaL_checkudata(L, 1, MAILBOX);
}

static void hand_over(struct take *take, struct item *item) {
  ls_list_remove(&take->link);
  take->item = item;
  ls_op_done(&take->op);
}

/* Where an item that comes back belongs: before the first that was put later. */
static struct ls_list *place_of(struct mailbox *mailbox, const struct item *item) {
  struct ls_list *link = mailbox->items.next;
  while (link != &mailbox->items && ls_container_of(link, struct item, link)->number < item->number)
    link = link->next;
  return link;
}

static void add(struct mailbox *mailbox, struct item *item, bool comes_back) {
  struct ls_list *first = mailbox->takers.next;
  if (first != &mailbox->takers) {
    hand_over(ls_container_of(first, struct take, link), item);
    return;
  }
  mailbox->count++;
  ls_list_push(comes_back ? place_of(mailbox, item) : &mailbox->items, &item->link);
}

static struct item *shift(struct mailbox *mailbox) {
  struct ls_list *link = ls_list_shift(&mailbox->items);
  if (link == NULL)
    return NULL;
  mailbox->count--;
  return ls_container_of(link, struct item, link);
}

/* ---- take ---- */

static int push_take(lua_State *L, struct ls_op *op) {
  struct take *take = ls_container_of(op, struct take, op);
  struct item *item = take->item;
  if (item == NULL)
    return ls_push_failure(L, LS_ECLOSED, NULL);
  take->item = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, item->value);
  luaL_unref(L, LUA_REGISTRYINDEX, item->value);
  free(item);
  return 1;
}

static bool cancel_take(struct ls_op *op) {
  (void)op;
  return true;
}

static void free_take(struct ls_op *op) {
  struct take *take = ls_container_of(op, struct take, op);
  ls_list_remove(&take->link);
  if (take->item != NULL && op->rt->exiting)
    free(take->item);
  else if (take->item != NULL)
    add(take->mailbox, take->item, true);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, take->self);
  free(take);
}

/* mailbox:take([callback]) -> value | nil, message, "ECLOSED"
 * Async. The oldest value; waits for one where there is none. */
static int l_take(lua_State *L) {
  static const struct ls_op_type type = {"take", push_take, cancel_take, free_take};
  struct mailbox *mailbox = check(L);
  ls_op_check(L, 2, type.name);
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct take *take = calloc(1, sizeof *take);
  if (take == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    return luaL_error(L, "not enough memory");
  }
  ls_op_init(L, &take->op, &type);
  take->mailbox = mailbox;
  take->self = self;
  ls_list_init(&take->link);
  take->item = shift(mailbox);
  if (take->item != NULL || mailbox->closed)
    ls_op_done(&take->op);
  else
    ls_list_push(&mailbox->takers, &take->link);
  return ls_op_await(L, &take->op, 2);
}

/* ---- put, close ---- */

void ls_mailbox_check(lua_State *L, int index) {
  luaL_checkudata(L, index, MAILBOX);
}

void ls_mailbox_put(lua_State *L, int index) {
  struct mailbox *mailbox = lua_touserdata(L, index);
  int value = luaL_ref(L, LUA_REGISTRYINDEX);
  struct item *item = mailbox->closed ? NULL : malloc(sizeof *item);
  if (item == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, value);
    if (!mailbox->closed)
      luaL_error(L, "not enough memory");
    return;
  }
  item->value = value;
  item->number = ++mailbox->last;
  ls_list_init(&item->link);
  add(mailbox, item, false);
}

/* mailbox:put(value)
 * Leaves a value. Does not wait. A closed mailbox raises. */
static int l_put(lua_State *L) {
  if (check(L)->closed)
    return luaL_error(L, "the mailbox is closed");
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  ls_mailbox_put(L, 1);
  return 0;
}

/* mailbox:close()
 * No more values; those who wait get nil, what is left can still be taken. */
static int l_close(lua_State *L) {
  struct mailbox *mailbox = check(L);
  struct ls_list takers;
  ls_list_init(&takers);
  ls_list_move(&takers, &mailbox->takers);
  mailbox->closed = true;
  struct ls_list *link;
  while ((link = ls_list_shift(&takers)) != NULL)
    hand_over(ls_container_of(link, struct take, link), NULL);
  return 0;
}

/* mailbox:try() -> found, value
 * The oldest value, without waiting. */
static int l_try(lua_State *L) {
  struct item *item = shift(check(L));
  lua_pushboolean(L, item != NULL);
  if (item == NULL)
    return 1;
  lua_rawgeti(L, LUA_REGISTRYINDEX, item->value);
  luaL_unref(L, LUA_REGISTRYINDEX, item->value);
  free(item);
  return 2;
}

/* #mailbox: how many values there are */
static int l_len(lua_State *L) {
  lua_pushinteger(L, check(L)->count);
  return 1;
}

/* Finalizers that run later may still put: closed, it keeps nothing. */
static int l_gc(lua_State *L) {
  struct mailbox *mailbox = check(L);
  mailbox->closed = true;
  struct item *item;
  while ((item = shift(mailbox)) != NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, item->value);
    free(item);
  }
  return 0;
}

/* new() -> mailbox */
static int l_new(lua_State *L) {
  struct mailbox *mailbox = lua_newuserdatauv(L, sizeof *mailbox, 0);
  *mailbox = (struct mailbox){0};
  ls_list_init(&mailbox->items);
  ls_list_init(&mailbox->takers);
  luaL_setmetatable(L, MAILBOX);
  return 1;
}

int luaopen_luaserve_core_mailbox(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"close", l_close}, {"put", l_put}, {"take", l_take}, {"try", l_try}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {"__len", l_len}, {NULL, NULL}};
  ls_handle_type(L, MAILBOX, methods, metamethods);
  lua_pushcfunction(L, l_new);
  return 1;
}
