/* SPDX-License-Identifier: MIT */
/* listener: listening sockets of our own making, accepted with accept4 in bounded bursts.
 * When descriptors run out (EMFILE, ENFILE) a reserve descriptor is closed, the connection taken, handed to on_refused,
 * and the reserve opened again, so that the client gets an answer and the loop does not spin. */
#ifndef LS_LOOP_LISTENER_H
#define LS_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

struct ls_loop;

#define LS_LISTENER_BURST 64     /* connections accepted in one poll event */
#define LS_LISTENER_RETRY_MS 100 /* how long it looks away when accepting cannot succeed and there is no reserve */

struct ls_listener {
  uv_poll_t poll;
  uv_timer_t retry; /* active while it looks away; does not keep the loop alive */
  int fd;
  int reserve; /* an open descriptor on /dev/null, or -1 */
  int family;
  bool paused;
  bool closing;
  unsigned open_handles; /* poll and retry, until both have closed */
  uint64_t accepted, refused;
  char *unlink_path; /* a unix socket's file that we have made, absolute; owned */
  dev_t unlink_dev;  /* which file it was: removed at close only while the path still leads to it */
  ino_t unlink_ino;
  /* A connected, non-blocking, close-on-exec descriptor, now the callee's. Called once for each; it may drain the
   * loop, which drains after the burst in any case. It may pause or close the listener. */
  void (*on_accept)(struct ls_listener *listener, int fd);
  /* A connection there is no descriptor for: write an answer without waiting, if at all. The listener closes fd. */
  void (*on_refused)(struct ls_listener *listener, int fd);
  void (*on_closed)(struct ls_listener *listener); /* the memory may go */
};

struct ls_listen_options {
  const char *host;  /* numeric address or a name getaddrinfo knows at once; NULL: all, IPv6 and IPv4 */
  int port;          /* 0: the system's choice */
  const char *path;  /* a unix socket instead; a stale file of a socket nobody listens on is replaced */
  int backlog;       /* 0: SOMAXCONN */
  mode_t mode;       /* permissions of a unix socket's file; 0: what the umask leaves */
  bool reuse_port;   /* SO_REUSEPORT: several processes listen on the port, and the kernel spreads connections */
  bool client_first; /* the protocol begins with what the client says: TCP connections come when some of it is there */
  bool ipv6_only;    /* no IPv4 on an IPv6 address; as host NULL: IPv6 only */
  bool has_fd;       /* fd instead: a socket that listens already. The listener's once it has started */
  int fd;
  bool systemd;             /* instead: the first socket that systemd has passed and nobody has taken */
  const char *systemd_name; /* of this name; NULL: any */
};

/* Opens, binds, listens and starts accepting. on_* are set by the caller before. 0, or a negative code: nothing is
 * left open, no event comes. -EADDRINUSE: also when the path is a file that is no socket, or somebody listens on it.
 * Of an fd: what ls_inherited_adopt says, -EEXIST: it is listened on already; it is the caller's still. Of systemd:
 * -ENOENT: none is left.
 * For start-up only: a host that is a name is looked up on this thread, which may block. */
int ls_listener_start(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options);

/* Stops and resumes accepting (for max_connections): the kernel's backlog holds the rest. A paused listener still keeps
 * the loop alive. */
void ls_listener_pause(struct ls_listener *listener);
void ls_listener_resume(struct ls_listener *listener);

void ls_listener_close(struct ls_listener *listener); /* once; on_closed follows */
void ls_listener_set_ref(struct ls_listener *listener, bool ref);

/* Where it listens: address text and port, or the absolute path with port 0. 0 or a negative code (-ENOSPC: text is too short).
 * An IPv6 socket that takes IPv4 too says "::". */
int ls_listener_address(const struct ls_listener *listener, char *text, size_t size, int *port);

#endif
