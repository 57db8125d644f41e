/* SPDX-License-Identifier: MIT */
#include "bind/shutdown.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "bind/http/http.h"
#include "bind/process/process.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "script/runtime.h"

#define LOG_FLUSH_MS 100

static const int watched[] = {SIGINT, SIGTERM};
enum { WATCHED = sizeof watched / sizeof *watched };

struct ls_shutdown {
  struct ls_runtime *rt;
  uv_signal_t handles[WATCHED];
  int open; /* handles not closed yet */
  bool begun;
};

/* As if nobody had handled it. */
static void die_of(struct ls_runtime *rt, int number) {
  fflush(NULL);
  ls_log_flush(rt->loop->log, LOG_FLUSH_MS);
  signal(number, SIG_DFL);
  raise(number);
}

static void on_servers_closed(struct ls_runtime *rt) {
  ls_runtime_exit(rt, EXIT_SUCCESS);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct ls_shutdown *shutdown = handle->data;
  struct ls_runtime *rt = shutdown->rt;
  if (ls_process_handles_signal(rt, number))
    return; /* one-shot, it has stopped: ls_shutdown_rearm starts it again */
  if (shutdown->begun)
    die_of(rt, number);
  if (rt->loop->restart != NULL)
    ls_restart_give_up(rt->loop->restart);
  if (rt->is_command)
    fprintf(stderr, "luaserve: interrupted by %s\n", number == SIGINT ? "SIGINT" : "SIGTERM");
  if (rt->is_command || !ls_http_shutdown(rt, rt->grace_ms, on_servers_closed)) {
    ls_process_end(rt, 128 + number);
    die_of(rt, number);
  }
  shutdown->begun = true;
  ls_loop_drain(rt->loop);
}

void ls_shutdown_restart(struct ls_runtime *rt) {
  ls_handover_pass(&rt->loop->restart->handover, true);
  if (!ls_http_shutdown(rt, LS_RESTART_GRACE_MS, on_servers_closed))
    ls_runtime_exit(rt, EXIT_SUCCESS);
}

static void on_closed(uv_handle_t *handle) {
  struct ls_shutdown *shutdown = handle->data;
  if (--shutdown->open == 0)
    free(shutdown);
}

void ls_shutdown_watch(struct ls_runtime *rt) {
  if (rt->shutdown != NULL || rt->worker != NULL)
    return;
  struct ls_shutdown *shutdown = calloc(1, sizeof *shutdown);
  if (shutdown == NULL)
    return;
  shutdown->rt = rt;
  rt->shutdown = shutdown;
  for (int i = 0; i < WATCHED; i++) {
    uv_signal_t *handle = &shutdown->handles[i];
    if (uv_signal_init(&rt->loop->uv, handle) != 0)
      break;
    shutdown->open++;
    handle->data = shutdown;
    uv_unref((uv_handle_t *)handle);
    uv_signal_start_oneshot(handle, on_signal, watched[i]);
  }
}

void ls_shutdown_rearm(struct ls_runtime *rt) {
  struct ls_shutdown *shutdown = rt->shutdown;
  if (shutdown == NULL || shutdown->begun)
    return;
  for (int i = 0; i < shutdown->open; i++)
    uv_signal_start_oneshot(&shutdown->handles[i], on_signal, watched[i]); /* harmless where it is active */
}

void ls_shutdown_close(struct ls_runtime *rt) {
  struct ls_shutdown *shutdown = rt->shutdown;
  if (shutdown == NULL)
    return;
  rt->shutdown = NULL;
  int open = shutdown->open;
  if (open == 0)
    free(shutdown);
  for (int i = 0; i < open; i++)
    uv_close((uv_handle_t *)&shutdown->handles[i], on_closed);
}
