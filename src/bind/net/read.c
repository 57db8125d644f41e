/* SPDX-License-Identifier: MIT */
/* Reading from the sockets of luaserve.net, driven by demand: it starts with the first read, goes on while a read waits
 * or less than READ_AHEAD bytes wait to be read, and so a slow reader slows its peer down.
 *
 * There is one kind of wait for all reads. Each arrival of bytes looks whether the waiting one can end with what is
 * there; the bytes leave the buffer only when its results are pushed, so a read that is given up loses nothing. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/net/impl.h"
#include "loop/loop.h"
#include "script/op.h"

#define READ_AHEAD 65536
#define KEPT_WHILE_EMPTY 4096 /* larger memory is given back once everything was read */
#define UNTIL_LIMIT (1024 * 1024)
#define ALL_LIMIT (64 * 1024 * 1024)

enum read_mode { READ_SOME, READ_EXACTLY, READ_UNTIL, READ_LINE, READ_ALL };

struct read {
  struct ls_net_wait wait; /* first: it is allocated and freed as one */
  enum read_mode mode;
  size_t limit;      /* bytes to return: at most, for READ_EXACTLY exactly */
  size_t scanned;    /* READ_UNTIL: the delimiter does not begin before */
  size_t take, skip; /* the result: bytes at the front, and what goes with them */
  bool finished;     /* nothing more will come, and nothing is left */
  size_t delimiter_size;
  char delimiter[];
};

static struct read *read_of(struct ls_net_wait *wait) {
  return ls_container_of(wait, struct read, wait);
}

static bool take(struct read *read, size_t n, size_t skip) {
  read->take = n;
  read->skip = skip;
  return true;
}

static bool fail(struct read *read, int code) {
  read->wait.status = code;
  return true;
}

static bool look_for_delimiter(struct read *read, const struct ls_buf *in) {
  const char *bytes = ls_buf_bytes(in);
  if (in->len >= read->scanned + read->delimiter_size) {
    const char *at = memmem(bytes + read->scanned, in->len - read->scanned, read->delimiter, read->delimiter_size);
    if (at != NULL && (size_t)(at - bytes) <= read->limit)
      return take(read, (size_t)(at - bytes), read->delimiter_size);
    read->scanned = in->len - read->delimiter_size + 1;
  }
  return read->scanned > read->limit ? fail(read, LS_ETOOBIG) : false;
}

/* Nothing more will come. A partial result stays where it is, for another kind of read. */
static bool look_at_end(struct read *read, const struct ls_net_socket *socket) {
  size_t have = socket->in.len;
  if (socket->end_status != 0)
    return fail(read, socket->end_status);
  if (read->mode == READ_ALL || (read->mode == READ_LINE && have > 0))
    return take(read, have, 0);
  if (have > 0)
    return fail(read, UV_EOF);
  read->finished = true;
  return true;
}

/* Whether the read can end with what is there, and how. */
static bool look(struct read *read) {
  const struct ls_net_socket *socket = read->wait.socket;
  size_t have = socket->in.len;
  bool found = false;
  switch (read->mode) {
  case READ_SOME:
    if (have > 0)
      return take(read, have < read->limit ? have : read->limit, 0);
    break;
  case READ_EXACTLY:
    if (have >= read->limit)
      return take(read, read->limit, 0);
    break;
  case READ_UNTIL:
  case READ_LINE:
    found = look_for_delimiter(read, &socket->in);
    break;
  case READ_ALL:
    if (have > read->limit)
      return fail(read, LS_ETOOBIG);
    break;
  }
  return found || (socket->ended && look_at_end(read, socket));
}

static void try_reader(struct ls_net_socket *socket) {
  struct ls_net_wait *wait = socket->reader;
  if (ls_net_is_waiting(wait) && look(read_of(wait)))
    ls_net_wait_end(wait, wait->status);
}

void ls_net_on_read(struct ls_stream *stream, const char *bytes, size_t len) {
  struct ls_net_socket *socket = ls_container_of(stream, struct ls_net_socket, stream);
  int code = ls_buf_append(&socket->in, bytes, len);
  if (code != 0) {
    ls_stream_read_stop(stream);
    ls_net_on_end(stream, code);
    return;
  }
  try_reader(socket);
  if (!ls_net_is_waiting(socket->reader) && socket->in.len >= READ_AHEAD)
    ls_stream_read_stop(stream);
}

void ls_net_on_end(struct ls_stream *stream, int status) {
  struct ls_net_socket *socket = ls_container_of(stream, struct ls_net_socket, stream);
  socket->ended = true;
  socket->end_status = status;
  try_reader(socket);
}

/* A failure to start shows again when the next read starts it. */
static void consume(struct ls_net_socket *socket, size_t n) {
  struct ls_buf *in = &socket->in;
  ls_buf_consume(in, n);
  if (in->len == 0 && in->cap > KEPT_WHILE_EMPTY)
    ls_buf_dispose(in);
  if (!socket->ended && in->len < READ_AHEAD)
    ls_stream_read_start(&socket->stream);
}

static int push_read_failure(lua_State *L, const struct read *read) {
  const struct ls_net_wait *wait = &read->wait;
  int results = ls_net_push_failure(L, wait->socket, wait->status, "read");
  if (read->mode != READ_LINE)
    return results;
  lua_pop(L, 1); /* a loop cannot look at what its iterator says */
  return lua_error(L);
}

static int push_read(lua_State *L, struct ls_op *op) {
  struct read *read = read_of(ls_container_of(op, struct ls_net_wait, op));
  struct ls_net_socket *socket = read->wait.socket;
  ls_net_wait_leave(&read->wait);
  if (read->wait.status != 0)
    return push_read_failure(L, read);
  if (read->finished) {
    lua_pushnil(L);
    return 1;
  }
  const char *bytes = ls_buf_bytes(&socket->in);
  size_t n = read->take;
  if (read->mode == READ_LINE && n > 0 && bytes[n - 1] == '\r')
    n--;
  lua_pushlstring(L, n > 0 ? bytes : "", n);
  consume(socket, read->take + read->skip);
  return 1;
}

/* Starts a read of the socket at index 1. delimiter: a string's bytes, or NULL. */
static int start_read(lua_State *L, enum read_mode mode, size_t limit, struct ls_slice delimiter, int callback_index) {
  static const struct ls_op_type type = {"socket:read", push_read, ls_net_wait_cancel, ls_net_wait_free};
  struct ls_net_socket *socket = ls_net_check(L);
  ls_op_check(L, callback_index, type.name);
  if (socket->reader != NULL)
    return luaL_error(L, "socket:read: another read of this socket has not ended yet");
  if (socket->stream.closing && mode == READ_LINE)
    return luaL_error(L, "socket:lines: the socket is closed");
  if (socket->stream.closing)
    return ls_net_push_failure(L, socket, LS_ECLOSED, "read");
  size_t size = sizeof(struct read) + delimiter.len;
  struct read *read = read_of(ls_net_wait_new(L, size, &type, socket, &socket->reader));
  read->mode = mode;
  read->limit = limit;
  read->delimiter_size = delimiter.len;
  if (delimiter.len > 0)
    memcpy(read->delimiter, delimiter.ptr, delimiter.len);
  if (look(read)) {
    ls_net_wait_end(&read->wait, read->wait.status);
  } else {
    int code = ls_stream_read_start(&socket->stream);
    if (code != 0)
      ls_net_wait_end(&read->wait, code);
  }
  return ls_net_await(L, &read->wait, callback_index);
}

static size_t check_size(lua_State *L, int index, lua_Integer least, lua_Integer fallback) {
  lua_Integer size = lua_isfunction(L, index) ? fallback : luaL_optinteger(L, index, fallback);
  luaL_argcheck(L, size >= least, index, least > 0 ? "must be at least 1" : "must not be negative");
  return (size_t)size;
}

static int callback_at(lua_State *L, int optional) {
  return lua_isfunction(L, optional) ? optional : optional + 1;
}

/* socket:read([max] [, callback]) -> string, or nil at the end of the stream
 * Async. What has arrived (at most max bytes), at least one byte; waits only if there is none.
 * Fails with nil, message, code: "ECONNRESET", "ETIMEDOUT" (set_timeout), "ECLOSED" (closed here), after the bytes that
 * had arrived before. One read at a time: a second one raises.
 *   for data in function() return sock:read() end do sock:write(data) end */
int ls_net_l_read(lua_State *L) {
  size_t max = check_size(L, 2, 1, LUA_MAXINTEGER);
  return start_read(L, READ_SOME, max, ls_slice(NULL, 0), callback_at(L, 2));
}

/* socket:read_exactly(n [, callback]) -> string of n bytes, or nil at the end of the stream
 * Async. If the stream ends within them: nil, message, "EOF"; the bytes stay, for socket:read.
 *   local head = sock:read_exactly(4) */
int ls_net_l_read_exactly(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0, 2, "must not be negative");
  return start_read(L, READ_EXACTLY, (size_t)n, ls_slice(NULL, 0), 3);
}

/* socket:read_until(delimiter [, limit] [, callback]) -> string without the delimiter, or nil at the end of the stream
 * Async. The delimiter is consumed. With more than limit bytes (1 MiB) before it: nil, message, "ETOOBIG"; when the
 * stream ends before it: nil, message, "EOF"; in both cases the bytes stay, for socket:read.
 *   local line = sock:read_until("\r\n", 8192) */
int ls_net_l_read_until(lua_State *L) {
  size_t size;
  const char *delimiter = luaL_checklstring(L, 2, &size);
  luaL_argcheck(L, size > 0, 2, "must not be empty");
  size_t limit = check_size(L, 3, 0, UNTIL_LIMIT);
  return start_read(L, READ_UNTIL, limit, ls_slice(delimiter, size), callback_at(L, 3));
}

/* socket:read_all([limit] [, callback]) -> string of all bytes up to the end of the stream
 * Async. More than limit bytes (64 MiB) before it: nil, message, "ETOOBIG"; they stay, for socket:read. */
int ls_net_l_read_all(lua_State *L) {
  size_t limit = check_size(L, 2, 0, ALL_LIMIT);
  return start_read(L, READ_ALL, limit, ls_slice(NULL, 0), callback_at(L, 2));
}

/* The generic for calls it with the socket and the line before. */
static int l_next_line(lua_State *L) {
  size_t limit = (size_t)lua_tointeger(L, lua_upvalueindex(1));
  return start_read(L, READ_LINE, limit, ls_slice_of("\n"), 0);
}

/* socket:lines([limit]) -> iterator over lines, without "\n" or "\r\n"
 * Its steps wait, like socket:read. The last line needs no end. A failure, and a line over limit bytes (1 MiB), raises.
 *   for line in sock:lines() do print(line) end */
int ls_net_l_lines(lua_State *L) {
  ls_net_check(L);
  size_t limit = check_size(L, 2, 0, UNTIL_LIMIT);
  lua_pushinteger(L, (lua_Integer)limit);
  lua_pushcclosure(L, l_next_line, 1);
  lua_pushvalue(L, 1);
  return 2;
}
