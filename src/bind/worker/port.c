/* SPDX-License-Identifier: MIT */
/* send and receive, of both sides.
 *
 * A receive that waits is not handed a message but promised one, and takes the oldest when it goes on: one that is
 * cancelled before that passes the promise on, and no message changes its place. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "base/error.h"
#include "bind/worker/impl.h"
#include "script/clone.h"
#include "script/op.h"

struct transfer {
  struct ls_op op;
  struct ls_list link; /* in port->receives or port->sends while it waits */
  struct ls_port *port;
  int self; /* registry reference of the handle, which keeps the port */
  struct ls_buf body;
  int status;    /* send: how it ended */
  bool promised; /* receive */
};

void ls_port_init(struct ls_port *port, struct ls_link_end *end) {
  *port = (struct ls_port){.end = end};
  ls_list_init(&port->receives);
  ls_list_init(&port->sends);
}

/* The async handle keeps the loop alive while something waits. */
static void update_hold(struct ls_port *port) {
  uv_handle_t *handle = (uv_handle_t *)&port->end->async;
  if (!port->end->open) /* only this thread changes it */
    return;
  if (port->holds || !ls_list_is_empty(&port->receives) || !ls_list_is_empty(&port->sends))
    uv_ref(handle);
  else
    uv_unref(handle);
}

void ls_port_hold(struct ls_port *port, bool holds) {
  port->holds = holds;
  update_hold(port);
}

static struct transfer *first_of(struct ls_list *list) {
  return ls_list_is_empty(list) ? NULL : ls_container_of(list->next, struct transfer, link);
}

static void finish(struct transfer *transfer) {
  ls_list_remove(&transfer->link);
  ls_op_done(&transfer->op);
}

static void pump_sends(struct ls_port *port) {
  struct transfer *send;
  while ((send = first_of(&port->sends)) != NULL) {
    send->status = ls_link_put(port->end, &send->body);
    if (send->status == -EAGAIN)
      return;
    finish(send);
  }
}

static void pump_receives(struct ls_port *port) {
  bool closed;
  unsigned count = ls_link_count(port->end, &closed);
  struct transfer *receive;
  while ((receive = first_of(&port->receives)) != NULL && (count > port->promised || closed)) {
    receive->promised = count > port->promised;
    port->promised += receive->promised;
    finish(receive);
  }
}

void ls_port_pump(struct ls_port *port) {
  pump_sends(port);
  pump_receives(port);
  update_hold(port);
}

/* ---- the ops ---- */

static int push_send(lua_State *L, struct ls_op *op) {
  const struct transfer *send = ls_container_of(op, struct transfer, op);
  if (send->status != 0)
    return ls_push_failure(L, send->status, "send");
  lua_pushboolean(L, 1);
  return 1;
}

static int push_receive(lua_State *L, struct ls_op *op) {
  struct transfer *receive = ls_container_of(op, struct transfer, op);
  if (!receive->promised)
    return ls_push_failure(L, LS_ECLOSED, "receive");
  receive->promised = false;
  receive->port->promised--;
  ls_link_take(receive->port->end, &receive->body);
  int count = ls_clone_decode(L, ls_buf_bytes(&receive->body), receive->body.len);
  return count >= 0 ? count : luaL_error(L, "receive: the message is damaged");
}

static bool cancel(struct ls_op *op) {
  (void)op;
  return true;
}

static void free_transfer(struct ls_op *op) {
  struct transfer *transfer = ls_container_of(op, struct transfer, op);
  struct ls_port *port = transfer->port;
  bool gave_up = transfer->promised || !ls_list_is_empty(&transfer->link);
  ls_list_remove(&transfer->link);
  port->promised -= transfer->promised;
  if (gave_up && !op->rt->exiting)
    ls_port_pump(port);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, transfer->self);
  ls_buf_dispose(&transfer->body);
  free(transfer);
}

static struct transfer *new_transfer(lua_State *L, struct ls_port *port, const struct ls_op_type *type) {
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct transfer *transfer = calloc(1, sizeof *transfer);
  if (transfer == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  ls_op_init(L, &transfer->op, type);
  ls_list_init(&transfer->link);
  transfer->port = port;
  transfer->self = self;
  return transfer;
}

/* Raises what ls_clone_encode has said, without the op. */
static int refuse(lua_State *L, struct transfer *send, int status) {
  if (status != -EINVAL) {
    free_transfer(&send->op);
    return luaL_error(L, "not enough memory");
  }
  char sentence[1024];
  size_t len = send->body.len < sizeof sentence - 1 ? send->body.len : sizeof sentence - 1;
  memcpy(sentence, ls_buf_bytes(&send->body), len);
  sentence[len] = '\0';
  free_transfer(&send->op);
  return luaL_error(L, "send: %s", sentence);
}

int ls_port_l_send(lua_State *L, struct ls_port *port) {
  static const struct ls_op_type type = {"send", push_send, cancel, free_transfer};
  int count = lua_gettop(L) - 1, callback = 0;
  if (count > 0 && lua_isfunction(L, -1)) {
    callback = lua_gettop(L);
    count--;
  }
  ls_op_check(L, callback, type.name);
  struct transfer *send = new_transfer(L, port, &type);
  int status = ls_clone_encode(L, 2, count, "values", &send->body);
  if (status != 0)
    return refuse(L, send, status);
  ls_list_push(&port->sends, &send->link);
  ls_port_pump(port);
  return ls_op_await(L, &send->op, callback);
}

int ls_port_l_receive(lua_State *L, struct ls_port *port) {
  static const struct ls_op_type type = {"receive", push_receive, cancel, free_transfer};
  ls_op_check(L, 2, type.name);
  struct transfer *receive = new_transfer(L, port, &type);
  ls_list_push(&port->receives, &receive->link);
  ls_port_pump(port);
  return ls_op_await(L, &receive->op, 2);
}
