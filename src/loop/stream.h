/* SPDX-License-Identifier: MIT */
/* stream: a connected byte stream, TCP or unix socket (later TLS), behind one struct.
 * Events come from libuv callbacks; each is the last thing its callback does before the loop drains.
 *
 * libuv tells when there is something to read, and writes what had to be queued; what can be done at once goes past it, by
 * recv(2) and send(2). It gets to know the descriptor when there is something to wait for: a connection that is answered
 * and closed at once costs neither ioctl(2) nor epoll_ctl(2).
 * libuv writes with write(2) and writev(2): the process must ignore SIGPIPE. */
#ifndef LS_LOOP_STREAM_H
#define LS_LOOP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/buf.h"
#include "base/slice.h"
#include "loop/address.h"

struct ls_loop;
struct ls_stream;

#define LS_STREAM_PARTS 8

struct ls_stream_events {
  /* Bytes in the loop's shared read buffer, valid until the drain after this event has ended. */
  void (*on_read)(struct ls_stream *stream, const char *bytes, size_t len);
  /* The peer sent its FIN (0), or reading failed (negative code: the peer has gone). Reading has stopped. */
  void (*on_end)(struct ls_stream *stream, int status);
  /* An ls_stream_write has ended: all of it is with the kernel (0), or a negative code: the peer has gone. Then close:
   * writes that were queued behind it may never be told. */
  void (*on_written)(struct ls_stream *stream, int status);
  /* The handle is closed; the memory may go. No event comes after this one. No drain of its own is needed here. */
  void (*on_closed)(struct ls_stream *stream);
};

struct ls_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  const struct ls_stream_events *events;
  uint64_t expected; /* the owner's to set: bytes that will come, so that larger reads save calls; 0: not known */
  size_t writing;    /* bytes handed to ls_stream_write; a write counts in full until it has ended */
  int fd;            /* -1: closed */
  bool watched;      /* libuv has the descriptor, and closes it. Else only ls_stream_close does */
  bool is_pipe;      /* no socket: has neither recv nor send. Known from the first of them on */
  bool reading;
  bool closing;
  bool shut; /* ls_stream_shutdown was called */
};

/* Takes the connected, non-blocking descriptor fd of the given family (AF_INET, AF_INET6, AF_UNIX).
 * 0, or a negative code: then fd is closed and on_closed comes all the same (the handle had been initialised). */
int ls_stream_open(struct ls_loop *loop, struct ls_stream *stream, int fd, int family,
                   const struct ls_stream_events *events);

/* 0 or a negative code. Harmless when reading. After on_end it would tell the same end again. */
int ls_stream_read_start(struct ls_stream *stream);

/* Reads once what has come already, as if libuv had told of it, events and drain included; where nothing has, nothing
 * happens. For the outermost callback that has opened the stream: who has just connected has often asked already, and
 * may be answered before anything is watched. */
void ls_stream_read_now(struct ls_stream *stream);
void ls_stream_read_stop(struct ls_stream *stream);

/* Writes what the kernel takes right now. Bytes written, 0 when it would block or a write is queued, or a negative
 * code. Of more than LS_STREAM_PARTS parts only the first are looked at: a short write like any other. */
ssize_t ls_stream_try_write(struct ls_stream *stream, const struct ls_slice *parts, unsigned count);

/* Takes the memory of bytes over (it is empty afterwards, whatever is returned) and writes it all; on_written tells the
 * end. The memory goes to pool (may be NULL: freed), which must live until on_closed. 0 or a negative code, and then
 * there is no on_written. */
int ls_stream_write(struct ls_stream *stream, struct ls_buf *bytes, struct ls_buf_pool *pool);

/* Bytes of ls_stream_write that the kernel has not taken yet: it falls as a slow reader makes progress. */
static inline size_t ls_stream_unsent(const struct ls_stream *stream) {
  return uv_stream_get_write_queue_size(&stream->uv.stream);
}

/* Whether it keeps the loop alive, as it does at first; queued writes do in any case. Harmless when closed. */
static inline void ls_stream_set_ref(struct ls_stream *stream, bool ref) {
  if (ref)
    uv_ref(&stream->uv.handle);
  else
    uv_unref(&stream->uv.handle);
}

/* Sends FIN after what is queued. 0 or a negative code. There is no event. */
int ls_stream_shutdown(struct ls_stream *stream);

/* Closes once (a second call does nothing). Queued writes are cancelled; on_closed comes in the close phase. */
void ls_stream_close(struct ls_stream *stream);

/* Closes with RST where the transport has one, so that the peer can tell that this was no regular end. */
void ls_stream_reset(struct ls_stream *stream);

/* Whether the peer has reset or the socket failed; sees it also while reading is stopped (poll(2), no wait). A FIN
 * alone is not gone. A unix socket has no RST: there the peer is gone once it has closed. */
bool ls_stream_is_gone(struct ls_stream *stream);

/* The address of the peer or the own one, as ls_address_text tells it. */
int ls_stream_peer(const struct ls_stream *stream, char *text, size_t size, int *port);
int ls_stream_self(const struct ls_stream *stream, char *text, size_t size, int *port);

int ls_stream_set_nodelay(struct ls_stream *stream, bool on);

/* After idle_s seconds of silence the kernel asks the peer for a sign of life, and after about as many again without
 * one the stream fails with -ETIMEDOUT. 0: never asks (as at first). Nothing to do on a unix socket. */
int ls_stream_set_keepalive(struct ls_stream *stream, unsigned idle_s);

#endif
