/* SPDX-License-Identifier: MIT */
/* child: a layer over uv_process_t that adds bounds in time and the group.
 *
 * The numbers of processes are used again. So a process is signalled only before it was reaped, and its group only
 * while it is known to have had a member all the time: a group that was seen empty is never signalled again. */
#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#include "base/list.h"
#include "loop/loop.h"

#define NS_PER_MS UINT64_C(1000000)
#define GROUP_POLL_NS (50 * NS_PER_MS) /* nothing tells when the last member of a group has gone */

static void on_closed(uv_handle_t *handle) {
  struct ls_child *child = ls_container_of(handle, struct ls_child, uv);
  child->events->on_closed(child);
}

static void close_child(struct ls_child *child) {
  ls_timer_stop(child->loop, &child->timer);
  if (!uv_is_closing((uv_handle_t *)&child->uv))
    uv_close((uv_handle_t *)&child->uv, on_closed);
}

/* ---- signals ---- */

int ls_child_kill(struct ls_child *child, int signal) {
  if (child->exited)
    return -ESRCH;
  return uv_process_kill(&child->uv, signal);
}

int ls_child_kill_group(struct ls_child *child, int signal) {
  if (!child->group)
    return -EINVAL;
  if (child->group_gone)
    return -ESRCH;
  if (kill(-child->uv.pid, signal) == 0)
    return 0;
  int code = -errno;
  if (code == -ESRCH)
    child->group_gone = true;
  return code;
}

static void signal_all(struct ls_child *child, int signal) {
  if (child->group)
    ls_child_kill_group(child, signal);
  else
    ls_child_kill(child, signal);
}

/* ---- the end ---- */

static bool has_group(struct ls_child *child) {
  return child->group && ls_child_kill_group(child, 0) != -ESRCH;
}

static void kill_all(struct ls_child *child) {
  child->phase = LS_CHILD_KILLED;
  signal_all(child, SIGKILL);
  if (child->exited)
    close_child(child);
}

/* ENDING: until the process and its group have gone, or the grace is over. */
static void wait_for_end(struct ls_child *child) {
  uint64_t next = child->kill_at;
  if (child->exited) {
    uint64_t poll = uv_hrtime() + GROUP_POLL_NS;
    if (!has_group(child)) {
      close_child(child);
      return;
    }
    next = poll < next ? poll : next;
  }
  if (uv_hrtime() >= child->kill_at || ls_timer_start_at(child->loop, &child->timer, next) != 0)
    kill_all(child);
}

void ls_child_terminate(struct ls_child *child) {
  if (child->phase != LS_CHILD_RUNNING || uv_is_closing((uv_handle_t *)&child->uv))
    return;
  child->phase = LS_CHILD_ENDING;
  child->kill_at = uv_hrtime() + child->grace_ns;
  signal_all(child, SIGTERM);
  wait_for_end(child);
}

static void on_timer(struct ls_timer *timer) {
  struct ls_child *child = ls_container_of(timer, struct ls_child, timer);
  if (child->phase == LS_CHILD_RUNNING) {
    child->timed_out = true;
    ls_child_terminate(child);
  } else {
    wait_for_end(child);
  }
}

static void on_exit(uv_process_t *process, int64_t status, int signal) {
  struct ls_child *child = ls_container_of(process, struct ls_child, uv);
  struct ls_loop *loop = child->loop;
  child->exited = true;
  child->status = status;
  child->signal = signal;
  has_group(child); /* to know whether it may be signalled later */
  if (child->phase == LS_CHILD_ENDING)
    wait_for_end(child);
  else
    close_child(child);
  child->events->on_exit(child);
  ls_loop_drain(loop);
}

void ls_child_abandon(struct ls_child *child) {
  close_child(child);
}

/* ---- the start ---- */

static void fill_stdio(uv_stdio_container_t stdio[3], const int fds[3]) {
  for (int i = 0; i < 3; i++) {
    stdio[i].flags = fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
    stdio[i].data.fd = fds[i];
  }
}

static int start(struct ls_child *child, const struct ls_child_options *options) {
  uv_stdio_container_t stdio[3];
  uv_process_options_t uv = {.exit_cb = on_exit,
                             .file = options->file,
                             .args = options->args,
                             .env = options->env,
                             .cwd = options->cwd,
                             .stdio = stdio,
                             .stdio_count = 3};
  fill_stdio(stdio, options->fds);
  if (options->group)
    uv.flags |= UV_PROCESS_DETACHED;
  if (options->uid >= 0) {
    uv.flags |= UV_PROCESS_SETUID;
    uv.uid = (uv_uid_t)options->uid;
  }
  if (options->gid >= 0) {
    uv.flags |= UV_PROCESS_SETGID;
    uv.gid = (uv_gid_t)options->gid;
  }
  return uv_spawn(&child->loop->uv, &child->uv, &uv);
}

int ls_child_spawn(struct ls_loop *loop, struct ls_child *child, const struct ls_child_options *options,
                   const struct ls_child_events *events) {
  *child = (struct ls_child){.loop = loop, .events = events, .grace_ns = options->grace_ns, .group = options->group};
  child->timer.fire = on_timer;
  /* Also what others have opened without O_CLOEXEC, io.open for one. On a kernel before 5.11 that stays open. */
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  int code = start(child, options);
  if (code != 0) {
    close_child(child);
    return code;
  }
  if (options->timeout_ns > 0)
    code = ls_timer_start(loop, &child->timer, options->timeout_ns);
  if (code != 0)
    kill_all(child); /* out of memory; better no child than one without its bound */
  return 0;
}

void ls_child_set_ref(struct ls_child *child, bool ref) {
  if (ref)
    uv_ref((uv_handle_t *)&child->uv);
  else
    uv_unref((uv_handle_t *)&child->uv);
  ls_timer_set_ref(child->loop, &child->timer, ref);
}

/* Pipes, not socket pairs, which libuv would make: /dev/stdin and /dev/stdout can be opened, and a child that writes to
 * an output nobody reads any more gets SIGPIPE. */
int ls_child_pipe(int ends[2], bool to_child) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0)
    return -errno;
  ends[0] = fds[to_child ? 1 : 0];
  ends[1] = fds[to_child ? 0 : 1];
  int flags = fcntl(ends[0], F_GETFL);
  if (flags >= 0 && fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) == 0)
    return 0;
  int code = -errno;
  close(fds[0]);
  close(fds[1]);
  return code;
}
