/* SPDX-License-Identifier: MIT */
/* main: the command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <lua.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/dict.h"
#include "bind/listen.h"
#include "bind/program.h"
#include "bind/worker/worker.h"
#include "loop/error.h"
#include "loop/inherited.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "loop/work.h"
#include "script/options.h"
#include "script/runtime.h"
#include "version.h"

#define EXIT_USAGE 2
#define LARGE_BYTES (4 * 1024 * 1024)
#define LOG_BYTES (256 * 1024)
#define LOG_FLUSH_MS 1000
#define POOL_DEFAULT 4
#define POOL_MAX 1024 /* libuv's limit */
#define SECONDS_MAX 86400
#define SETTLE_MS 1000
#define SIZES_MAX (1ULL << 46)

static const char help[] = "luaserve " LS_VERSION
                           ": a network application server scripted in Lua\n"
                           "\n"
                           "usage: luaserve [options] app.lua [args]   run a script; serve what it returns\n"
                           "       luaserve new NAME                   write a small app to begin with\n"
                           "       luaserve test [options] [paths]     run busted specs, which may wait\n"
                           "       luaserve check app.lua              find calls that hold up requests\n"
                           "       luaserve                            on a terminal: try things out\n"
                           "\n"
                           "  -p, --port N          port for a returned handler (8080; 0: a free one)\n"
                           "      --host ADDRESS    address for a returned handler (127.0.0.1)\n"
                           "      --listen PLACE    instead: HOST:PORT, unix:PATH, fd:N, systemd; repeatable\n"
                           "      --grace SECONDS   left to requests at SIGINT and SIGTERM (10)\n"
                           "      --globals=open    let requests assign globals (they are sealed)\n"
                           "      --slow-limit SECONDS  without waiting: said in the log (0.1; 0: off)\n"
                           "      --cpu-limit SECONDS   the same: stopped, with a 503 (5; 0: off)\n"
                           "      --hang-limit SECONDS  where it cannot be stopped: abort (30; 0: off)\n"
                           "      --request-memory SIZE what one request may hold (256M; 0: no limit)\n"
                           "      --memory-limit SIZE   what all of Lua may hold, 512K, 2G (no limit)\n"
                           "      --dev             restart on change, show errors, tell of blocking\n"
                           "      --trace           tell where the time of requests goes\n"
                           "      --pool-threads N  threads for blocking work (UV_THREADPOOL_SIZE, or 4)\n"
                           "  -e, --execute CODE    run CODE instead of a script\n"
                           "  -v, --version         print the version; -h, --help: print this\n"
                           "A script named -, or none and no terminal, is read from standard input.\n";

enum {
  OPTION_HOST = 256,
  OPTION_LISTEN,
  OPTION_GRACE,
  OPTION_GLOBALS,
  OPTION_POOL_THREADS,
  OPTION_SLOW_LIMIT,
  OPTION_CPU_LIMIT,
  OPTION_HANG_LIMIT,
  OPTION_REQUEST_MEMORY,
  OPTION_MEMORY_LIMIT,
  OPTION_TRACE,
  OPTION_DEV,
};

static const struct option long_options[] = {{"port", required_argument, NULL, 'p'},
                                             {"host", required_argument, NULL, OPTION_HOST},
                                             {"listen", required_argument, NULL, OPTION_LISTEN},
                                             {"grace", required_argument, NULL, OPTION_GRACE},
                                             {"globals", required_argument, NULL, OPTION_GLOBALS},
                                             {"pool-threads", required_argument, NULL, OPTION_POOL_THREADS},
                                             {"slow-limit", required_argument, NULL, OPTION_SLOW_LIMIT},
                                             {"cpu-limit", required_argument, NULL, OPTION_CPU_LIMIT},
                                             {"hang-limit", required_argument, NULL, OPTION_HANG_LIMIT},
                                             {"request-memory", required_argument, NULL, OPTION_REQUEST_MEMORY},
                                             {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},
                                             {"trace", no_argument, NULL, OPTION_TRACE},
                                             {"dev", no_argument, NULL, OPTION_DEV},
                                             {"execute", required_argument, NULL, 'e'},
                                             {"version", no_argument, NULL, 'v'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

struct settings {
  struct ls_program program;
  unsigned pool_threads; /* 0: not given */
  bool has_address;      /* --host or --port */
};

static int usage_error(void) {
  fprintf(stderr, "Try 'luaserve --help'.\n");
  return EXIT_USAGE;
}

static int bad_option(char **argv) {
  static const char *const names[] = {
      "--port",           "--host",         "--listen", "--grace",      "--globals",   "--pool-threads",
      "--execute",        "--version",      "--help",   "--slow-limit", "--cpu-limit", "--hang-limit",
      "--request-memory", "--memory-limit", "--trace",  "--dev",        NULL};
  const char *given = argv[optind - 1];
  if (given[0] == '-' && given[1] == '-') {
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    const char *nearest = ls_options_nearest(name, names);
    if (nearest != NULL)
      fprintf(stderr, "luaserve: unknown option '%s' (did you mean '%s'?)\n", name, nearest);
    else
      fprintf(stderr, "luaserve: unknown option '%s'\n", name);
  } else {
    fprintf(stderr, "luaserve: unknown option '-%c'\n", optopt);
  }
  return usage_error();
}

static int bad_value(const char *option, const char *text, const char *wanted) {
  fprintf(stderr, "luaserve: option '%s' wants %s, not '%s'\n", option, wanted, text);
  return usage_error();
}

/* Whole text as an integer from min to max. */
static bool read_integer(const char *text, long min, long max, long *value) {
  char *end;
  errno = 0;
  *value = strtol(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *value >= min && *value <= max;
}

/* Seconds, fractions allowed, as milliseconds, rounded up. */
static int take_seconds(const char *option, uint64_t *ms) {
  char *end;
  double seconds = strtod(optarg, &end);
  if (end == optarg || *end != '\0' || !(seconds >= 0 && seconds <= SECONDS_MAX))
    return 1 + bad_value(option, optarg, "seconds from 0 to 86400");
  *ms = (uint64_t)ceil(seconds * 1000);
  return 0;
}

/* Bytes, with K, M or G for units of 1024. */
static int take_size(const char *option, size_t *bytes) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long value = *optarg >= '0' && *optarg <= '9' ? strtoull(optarg, &end, 10) : ULLONG_MAX;
  const char *unit = value != ULLONG_MAX && *end != '\0' ? strchr(units, *end) : NULL;
  unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
  if (value == ULLONG_MAX || (*end != '\0' && (unit == NULL || end[1] != '\0')) || value > SIZES_MAX >> shift)
    return 1 + bad_value(option, optarg, "a size such as 300000, 512K, 64M or 2G");
  *bytes = (size_t)value << shift;
  return 0;
}

static int add_place(struct ls_program *program, const char *text) {
  char host[LS_LISTEN_HOST_SIZE];
  struct ls_listen_options place;
  if (!ls_listen_parse(text, host, sizeof host, &place))
    return 1 + bad_value("--listen", text, "HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or systemd[:NAME]");
  if (program->listen_count == LS_PROGRAM_PLACES) {
    fprintf(stderr, "luaserve: more than %d times '--listen'\n", LS_PROGRAM_PLACES);
    return 1 + usage_error();
  }
  program->listen[program->listen_count++] = text;
  return 0;
}

/* One option; 0, or the exit status + 1 with which to end. */
static int take_option(struct settings *settings, int option, char **argv) {
  long value;
  switch (option) {
  case 'p':
    if (!read_integer(optarg, 0, 65535, &value))
      return 1 + bad_value("--port", optarg, "a port from 0 to 65535");
    settings->program.port = (int)value;
    settings->has_address = true;
    return 0;
  case OPTION_HOST:
    settings->program.host = optarg;
    settings->has_address = true;
    return 0;
  case OPTION_LISTEN:
    return add_place(&settings->program, optarg);
  case OPTION_GRACE:
    if (!read_integer(optarg, 0, 86400, &value))
      return 1 + bad_value("--grace", optarg, "seconds from 0 to 86400");
    settings->program.grace_ms = (uint64_t)value * 1000;
    return 0;
  case OPTION_GLOBALS:
    if (strcmp(optarg, "open") != 0 && strcmp(optarg, "sealed") != 0)
      return 1 + bad_value("--globals", optarg, "open or sealed");
    settings->program.open_globals = *optarg == 'o';
    return 0;
  case OPTION_POOL_THREADS:
    if (!read_integer(optarg, 1, POOL_MAX, &value))
      return 1 + bad_value("--pool-threads", optarg, "a number from 1 to 1024");
    settings->pool_threads = (unsigned)value;
    return 0;
  case OPTION_SLOW_LIMIT:
    return take_seconds("--slow-limit", &settings->program.limits.slow_ms);
  case OPTION_CPU_LIMIT:
    return take_seconds("--cpu-limit", &settings->program.limits.cpu_ms);
  case OPTION_HANG_LIMIT:
    return take_seconds("--hang-limit", &settings->program.limits.hang_ms);
  case OPTION_REQUEST_MEMORY:
    return take_size("--request-memory", &settings->program.limits.request_memory);
  case OPTION_MEMORY_LIMIT:
    return take_size("--memory-limit", &settings->program.limits.memory);
  case OPTION_TRACE:
    settings->program.trace = true;
    return 0;
  case OPTION_DEV:
    settings->program.development = true;
    return 0;
  case 'e':
    settings->program.code = optarg;
    return 0;
  case 'v':
    printf("luaserve %s (%s, libuv %s)\n", LS_VERSION, LUA_RELEASE, uv_version_string());
    return 1 + EXIT_SUCCESS;
  case 'h':
    fputs(help, stdout);
    return 1 + EXIT_SUCCESS;
  case ':':
    fprintf(stderr, "luaserve: option '%s' wants a value\n", argv[optind - 1]);
    return 1 + usage_error();
  default:
    return 1 + bad_option(argv);
  }
}

/* The module that is run instead of a script; NULL: none. */
static const char *command_of(const char *word) {
  static const char *const commands[][2] = {
      {"test", "luaserve.busted"}, {"check", "luaserve.check"}, {"new", "luaserve.new"}};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    if (strcmp(word, commands[i][0]) == 0)
      return commands[i][1];
  return NULL;
}

/* Options end at the script, at -e's code (which may only be followed by more options) or at a command. Without any of
 * them a person at a terminal is asked; anything else on standard input is the script. */
static int read_arguments(struct settings *settings, int argc, char **argv) {
  int option, end;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "+:p:e:vh", long_options, NULL)) != -1) {
    end = take_option(settings, option, argv);
    if (end != 0)
      return end;
  }
  struct ls_program *program = &settings->program;
  if (settings->has_address && program->listen_count != 0) {
    fprintf(stderr, "luaserve: either '--listen', or '--host' and '--port'\n");
    return 1 + usage_error();
  }
  char **rest = argv + optind;
  if (program->code == NULL) {
    if (*rest == NULL && isatty(STDIN_FILENO))
      program->module = "luaserve.repl";
    else if (*rest == NULL)
      program->file = "-";
    else if ((program->module = command_of(*rest)) == NULL)
      program->file = *rest;
    rest += *rest != NULL;
  }
  program->args = rest;
  return 0;
}

/* libuv reads the variable when the pool is first used. */
static unsigned size_pool(unsigned wanted) {
  char text[16];
  const char *set = getenv("UV_THREADPOOL_SIZE");
  long value;
  if (wanted == 0)
    wanted = set != NULL && read_integer(set, 1, POOL_MAX, &value) ? (unsigned)value : POOL_DEFAULT;
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

static int run_all(const struct settings *settings, struct shared *shared) {
  struct ls_restart *restart = shared->restart;
  if (shared->log == NULL || shared->pool == NULL || shared->dicts == NULL)
    return fail(-ENOMEM);
  unsigned threads = ls_pool_threads(shared->pool);
  if (threads < POOL_DEFAULT)
    ls_log_write(shared->log, LS_LOG_WARN,
                 "a pool of %u: with fewer than %d threads slow lookups or jobs can hold up files", threads,
                 POOL_DEFAULT);
  int status = run(&settings->program, shared);
  if (restart != NULL && restart->failure != NULL && !ls_restart_is_due(restart))
    status = run_failed(&settings->program, shared);
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
  struct settings settings = {.program = {.host = "127.0.0.1", .port = 8080, .grace_ms = 10000, .name = argv[0]}};
  settings.program.limits =
      (struct ls_limits){.slow_ms = 100, .cpu_ms = 5000, .hang_ms = 30000, .request_memory = (size_t)256 << 20};
  int end = read_arguments(&settings, argc, argv);
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
  int status = run_all(&settings, &shared);
  uv_library_shutdown(); /* joins the threads while libcrypto is there to free what it keeps for each */
  ls_dicts_free(shared.dicts);
  ls_pool_free(shared.pool);
  ls_log_free(shared.log);
  ls_inherited_dispose(&shared.inherited);
  if (shared.restart != NULL && is_to_restart(shared.restart))
    status = execute_successor(shared.restart);
  ls_restart_free(shared.restart);
  return status;
}
