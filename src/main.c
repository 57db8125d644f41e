/* SPDX-License-Identifier: MIT */
/* main: what the process is made of: the log, the pool, the loop, and the program that runs on them. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/dict.h"
#include "bind/program.h"
#include "bind/worker/worker.h"
#include "command_line.h"
#include "loop/error.h"
#include "loop/inherited.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "loop/work.h"
#include "script/runtime.h"

#define LARGE_BYTES (4 * 1024 * 1024)
#define LOG_BYTES (256 * 1024)
#define LOG_FLUSH_MS 1000
#define POOL_DEFAULT 4
#define SETTLE_MS 1000

/* libuv reads the variable when the pool is first used. */
static unsigned size_pool(unsigned wanted) {
  char text[16];
  const char *set = getenv("UV_THREADPOOL_SIZE");
  if (wanted == 0 && (set == NULL || !ls_command_line_read_threads(set, &wanted)))
    wanted = POOL_DEFAULT;
  snprintf(text, sizeof text, "%u", wanted);
  setenv("UV_THREADPOOL_SIZE", text, 1);
  return wanted;
}

static int fail(int code) {
  char text[128];
  fprintf(stderr, "luaserve: cannot start: %s\n", ls_error_text(code, text, sizeof text));
  return EXIT_FAILURE;
}

/* How long threads have to end. */
static unsigned settle_ms(const struct ls_restart *restart) {
  return restart != NULL ? LS_RESTART_GRACE_MS : SETTLE_MS;
}

/* *settled: whether all workers have ended. */
static int run_on_loop(struct ls_runtime *rt, struct ls_loop *loop, const struct ls_program *program, bool *settled) {
  int code = ls_runtime_init(rt, loop);
  if (code != 0)
    return fail(code);
  int status = ls_program_run(rt, program);
  *settled = ls_workers_end(rt, settle_ms(loop->restart));
  ls_runtime_dispose(rt);
  return status;
}

/* What all loops of the process share. */
struct shared {
  struct ls_log *log;
  struct ls_pool *pool;
  struct ls_dicts *dicts;
  struct ls_inherited inherited;
  struct ls_restart *restart; /* NULL: changes restart nothing */
};

static bool is_to_restart(struct ls_restart *restart) {
  return ls_restart_is_due(restart) && (restart->failure != NULL || ls_handover_passes(&restart->handover));
}

/* Returns only where there is no successor. */
static int execute_successor(struct ls_restart *restart) {
  char text[128];
  int code = ls_restart_execute(restart);
  fprintf(stderr, "luaserve: cannot restart: %s\n", ls_error_text(code, text, sizeof text));
  return EXIT_FAILURE;
}

/* Something hangs, on a pipe without its other end for one: what is open is left to the system. */
static void leave(struct shared *shared, int status) {
  struct ls_restart *restart = shared->restart;
  fflush(NULL);
  ls_log_flush(shared->log, LOG_FLUSH_MS);
  if (restart != NULL && restart->failure != NULL)
    ls_restart_wait(restart);
  if (restart != NULL && is_to_restart(restart))
    status = execute_successor(restart);
  _exit(status);
}

static int run(const struct ls_program *program, struct shared *shared) {
  struct ls_loop loop;
  struct ls_runtime rt;
  int code = ls_loop_init(&loop, shared->pool, shared->log);
  if (code != 0)
    return fail(code);
  loop.inherited = &shared->inherited;
  loop.restart = shared->restart;
  loop.dicts = shared->dicts;
  bool settled = true;
  int status = run_on_loop(&rt, &loop, program, &settled);
  if (!settled || !ls_pool_settle(shared->pool, settle_ms(shared->restart)))
    leave(shared, status);
  ls_loop_dispose(&loop);
  return status;
}

/* The program could not be started: shows why, until a file changes. */
static int run_failed(const struct ls_program *program, struct shared *shared) {
  struct ls_restart *restart = shared->restart;
  static char *no_arguments[] = {NULL};
  struct ls_program page = *program;
  page.file = NULL;
  page.module = "luaserve.development.failure";
  page.failed = true;
  page.args = no_arguments;
  ls_handover_pass(&restart->handover, false);
  ls_restart_go_home(restart);
  int status = run(&page, shared);
  if (!restart->given_up)
    ls_restart_wait(restart);
  return status;
}

static int run_all(const struct ls_program *program, struct shared *shared) {
  struct ls_restart *restart = shared->restart;
  if (shared->log == NULL || shared->pool == NULL || shared->dicts == NULL)
    return fail(-ENOMEM);
  unsigned threads = ls_pool_threads(shared->pool);
  if (threads < POOL_DEFAULT)
    ls_log_write(shared->log, LS_LOG_WARN,
                 "a pool of %u: with fewer than %d threads slow lookups or jobs can hold up files", threads,
                 POOL_DEFAULT);
  int status = run(program, shared);
  if (restart != NULL && restart->failure != NULL && !ls_restart_is_due(restart))
    status = run_failed(program, shared);
  if (restart != NULL && !is_to_restart(restart))
    ls_restart_give_up(restart);
  return status;
}

/* The script is a file that can be read again. */
static bool is_restartable(const struct ls_program *program) {
  return program->development && program->file != NULL && strcmp(program->file, "-") != 0;
}

/* A descriptor below 3 that was closed would be given to a socket, and then get what is printed. */
static bool open_standard_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
      return false;
  return true;
}

/* A connection is a descriptor: the soft limit, often 1024, is for programs that still use select(2). */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit); /* if it fails, the lower one serves too */
}

/* Pieces of bodies are strings of up to a quarter of a megabyte, made and dropped again and again. By default malloc gives such
 * memory back to the system at once, and each page of the next one is a fault: a third of the time of an echo. */
static void keep_memory(void) {
  mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
  mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

int main(int argc, char **argv) {
  if (!open_standard_streams())
    return EXIT_FAILURE;
  raise_descriptor_limit();
  keep_memory();
  argv = uv_setup_args(argc, argv); /* makes room for process.title */
  struct ls_settings settings;
  int end = ls_command_line_read(&settings, argc, argv);
  if (end != 0)
    return end - 1;
  signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error of the write */
  struct shared shared = {0};
  if (is_restartable(&settings.program) && (shared.restart = ls_restart_new(argv)) == NULL)
    return fail(-ENOMEM);
  ls_restart_forget();
  unsigned threads = size_pool(settings.pool_threads);
  ls_inherited_init(&shared.inherited);
  shared.log = ls_log_new(STDERR_FILENO, LOG_BYTES);
  shared.pool = ls_pool_new(threads);
  shared.dicts = ls_dicts_new();
  char *start = ls_command_line_describe(&settings, threads);
  settings.program.start = start;
  int status = run_all(&settings.program, &shared);
  uv_library_shutdown(); /* joins the threads while libcrypto is there to free what it keeps for each */
  ls_dicts_free(shared.dicts);
  ls_pool_free(shared.pool);
  ls_log_free(shared.log);
  ls_inherited_dispose(&shared.inherited);
  free(start);
  if (shared.restart != NULL && is_to_restart(shared.restart))
    status = execute_successor(shared.restart);
  ls_restart_free(shared.restart);
  return status;
}
