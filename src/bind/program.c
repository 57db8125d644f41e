/* SPDX-License-Identifier: MIT */
#include "bind/program.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/color.h"
#include "bind/chunk.h"
#include "bind/listen.h"
#include "bind/mistake.h"
#include "bind/process/process.h"
#include "bind/shutdown.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "script/handle.h"
#include "script/runtime.h"
#include "script/task.h"

struct run {
  struct ls_runtime *rt;
  const struct ls_program *program;
  char *folder; /* of the script, with its slash; NULL: none */
};

/* ---- the main chunk ---- */

/* arg as the standalone interpreter sets it (manual, section 7), and the arguments on the stack. */
static int push_arguments(lua_State *L, const struct ls_program *program) {
  int count = 0;
  while (program->args[count] != NULL)
    count++;
  luaL_checkstack(L, count + 4, "too many arguments");
  lua_createtable(L, count, 2);
  const char *script = program->file != NULL ? program->file : program->module;
  lua_pushstring(L, program->name);
  lua_rawseti(L, -2, script != NULL ? -1 : 0);
  if (script != NULL) {
    lua_pushstring(L, script);
    lua_rawseti(L, -2, 0);
  }
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, program->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "arg");
  for (int i = 0; i < count; i++)
    lua_pushstring(L, program->args[i]);
  return count;
}

/* require finds what stands beside the script, wherever it is run from. */
static void add_script_folder(lua_State *L, const char *folder) {
  if (folder == NULL)
    return;
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s?.lua;%s?/init.lua;", folder, folder);
  lua_getfield(L, -2, "path");
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  lua_pop(L, 1);
}

static void load_chunk(lua_State *L, const struct run *run) {
  const struct ls_program *program = run->program;
  int status = LUA_OK;
  if (program->module != NULL) {
    lua_getglobal(L, "require");
    lua_pushstring(L, program->module);
    lua_call(L, 1, 1);
  } else if (program->code != NULL) {
    status = luaL_loadbuffer(L, program->code, strlen(program->code), "=(command line)");
  } else {
    if (program->development) {
      lua_getglobal(L, "require");
      lua_pushliteral(L, "luaserve.development");
      lua_call(L, 1, 0);
    }
    add_script_folder(L, run->folder);
    if (run->rt->loop->restart != NULL)
      ls_restart_watch(run->rt->loop->restart, program->file);
    status = luaL_loadfile(L, strcmp(program->file, "-") == 0 ? NULL : program->file);
  }
  if (status == LUA_OK)
    return;
  ls_mistake_of_load(L, status, program);
  lua_error(L);
}

/* server:listen(place), the server at its index. is_option: see ls_mistake_of_listen. False: it failed, as standard error was
 * told. */
static bool listen_at(lua_State *L, int server, const struct ls_listen_options *place, bool is_option) {
  lua_getfield(L, server, "listen");
  lua_pushvalue(L, server);
  ls_push_listen(L, place);
  lua_call(L, 2, 3);
  if (!lua_isnil(L, -3)) {
    lua_pop(L, 3);
    return true;
  }
  /* The world's fault, not the script's: no traceback helps. */
  lua_insert(L, -2);
  ls_mistake_of_listen(L, lua_tostring(L, -2), place, is_option);
  fprintf(stderr, "luaserve: %s\n", lua_tostring(L, -1));
  lua_pop(L, 2);
  return false;
}

static bool listen_everywhere(lua_State *L, int server, const struct ls_program *program) {
  struct ls_listen_options place = {.host = program->host, .port = program->port};
  if (program->listen_count == 0)
    return listen_at(L, server, &place, true);
  for (unsigned i = 0; i < program->listen_count; i++) {
    char host[LS_LISTEN_HOST_SIZE];
    ls_listen_parse(program->listen[i], host, sizeof host, &place); /* as main has seen, it can be parsed */
    if (!listen_at(L, server, &place, false))
      return false;
  }
  return true;
}

/* The error of a start: where the program listened before, or else would. */
static bool listen_for_failure(lua_State *L, int server, const struct ls_program *program) {
  struct ls_handover *handover = &ls_runtime_of(L)->loop->restart->handover;
  struct ls_listen_options place = {.has_fd = true, .fd = ls_handover_waiting(handover)};
  if (place.fd < 0)
    return listen_everywhere(L, server, program);
  bool listens = true;
  for (; listens && place.fd >= 0; place.fd = ls_handover_waiting(handover))
    listens = listen_at(L, server, &place, true);
  return listens;
}

static const char *name_of(const struct ls_program *program) {
  return program->file != NULL ? program->file : "the command line";
}

/* The address at the top of the stack. */
static void print_address(lua_State *L, const char *name) {
  bool shines = ls_color_shows(STDOUT_FILENO);
  const char *bold = shines ? LS_BOLD : "", *plain = shines ? LS_PLAIN : "";
  lua_getfield(L, -1, "host");
  lua_getfield(L, -2, "port");
  lua_getfield(L, -3, "path");
  const char *host = lua_tostring(L, -3), *path = lua_tostring(L, -1);
  if (path != NULL)
    printf("luaserve: %s is served on %sunix:%s%s\n", name, bold, path, plain);
  else
    printf(strchr(host, ':') != NULL ? "luaserve: %s is served on %shttp://[%s]:%d%s\n"
                                     : "luaserve: %s is served on %shttp://%s:%d%s\n",
           name, bold, host, (int)lua_tointeger(L, -2), plain);
  lua_pop(L, 3);
}

static void print_addresses(lua_State *L, int server, const char *name) {
  for (lua_Integer n = 1;; n++) {
    lua_getfield(L, server, "address");
    lua_pushvalue(L, server);
    lua_pushinteger(L, n);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1))
      return;
    print_address(L, name);
    lua_pop(L, 1);
  }
}

/* Pushes http.create_server(handler). */
static int create_server(lua_State *L, int handler) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luaserve.http");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "create_server");
  lua_pushvalue(L, handler);
  lua_call(L, 1, 1);
  return lua_gettop(L);
}

/* The options of luaserve end at the script: who is not told wonders why the port is another. */
static void tell_of_misplaced(const struct ls_program *program) {
  char **option = program->misplaced;
  if (option == NULL)
    return;
  const char *value = program->misplaced_value && option[1] != NULL ? option[1] : NULL;
  fprintf(stderr, "luaserve: %s stands behind the script, and is its argument: luaserve %s%s%s %s\n", *option, *option,
          value != NULL ? " " : "", value != NULL ? value : "", program->file);
}

static void print_start(lua_State *L, int server, const struct ls_program *program) {
  tell_of_misplaced(program);
  if (program->file != NULL && program->start != NULL)
    fputs(program->start, stdout);
  print_addresses(L, server, name_of(program));
}

/* A script that returns a handler is served: create_server(handler):listen{host=, port=}. */
static int serve(lua_State *L, const struct ls_program *program, int handler) {
  const struct ls_restart *restart = ls_runtime_of(L)->loop->restart;
  int server = create_server(L, handler);
  if (!listen_everywhere(L, server, program))
    ls_runtime_exit(ls_runtime_of(L), EXIT_FAILURE);
  else if (restart == NULL || restart->changed == NULL) /* else they are the same as before */
    print_start(L, server, program);
  fflush(stdout);
  return 0;
}

/* Where nobody can be shown the error in a browser, the terminal has it. */
static int serve_failure(lua_State *L, const struct ls_program *program, int handler) {
  int server = create_server(L, handler);
  if (listen_for_failure(L, server, program))
    print_addresses(L, server, "the error");
  fflush(stdout);
  return 0;
}

/* A value that cannot be served, or an app that was not returned, of a script that leaves nothing else to do. */
static void tell_of_result(lua_State *L, const struct ls_program *program) {
  if (ls_loop_is_alive(ls_runtime_of(L)->loop))
    return;
  const char *text = ls_mistake_push_result(L, name_of(program), 2);
  if (*text != '\0')
    fprintf(stderr, "luaserve: %s\n", text);
}

static int k_returned(lua_State *L, int status, lua_KContext context) {
  const struct run *run = (const struct run *)context;
  (void)status;
  if (lua_gettop(L) < 2)
    lua_pushnil(L);
  if (run->program->module != NULL)
    return run->program->failed && ls_is_callable(L, 2) ? serve_failure(L, run->program, 2) : 0;
  if (ls_is_callable(L, 2))
    return serve(L, run->program, 2);
  tell_of_result(L, run->program);
  return 0;
}

/* Light userdata at index 1 stays there; results begin at 2. */
static int l_main(lua_State *L) {
  struct run *run = lua_touserdata(L, 1);
  load_chunk(L, run);
  int count = push_arguments(L, run->program);
  lua_callk(L, count, LUA_MULTRET, (lua_KContext)run, k_returned);
  return k_returned(L, LUA_OK, (lua_KContext)run);
}

/* The start has succeeded: what was open for this program and is not wanted is closed. */
static void finish_restart(struct ls_restart *restart) {
  ls_handover_close_waiting(&restart->handover);
  if (restart->changed == NULL || restart->failure != NULL)
    return;
  printf("luaserve: %s changed: restarted in %.0f ms\n", restart->changed,
         (double)(ls_clock_ns() - restart->changed_at) / 1e6);
  fflush(stdout);
}

/* Standard error is told; in development also the browser, by the program that takes this one's place. */
static void report_failure(struct ls_runtime *rt, const char *text) {
  struct ls_restart *restart = rt->loop->restart;
  fprintf(stderr, "luaserve: %s\n", text);
  if (restart == NULL || restart->failure != NULL)
    return;
  restart->failure = strdup(text); /* without memory the process ends, as without development */
  ls_handover_pass(&restart->handover, restart->failure != NULL);
}

static const char *push_failure(struct ls_task *task, lua_State *L) {
  if (L == NULL)
    return "not enough memory";
  ls_task_push_error(task, L);
  ls_mistake_of_run(L, task->rt->app_folder);
  return lua_tostring(L, -1);
}

static void on_main_end(struct ls_task *task, lua_State *L, int status) {
  struct ls_runtime *rt = task->rt;
  rt->main_task = NULL;
  if (status != LUA_OK) {
    report_failure(rt, push_failure(task, L));
    ls_runtime_exit(rt, EXIT_FAILURE);
  } else if (rt->loop->restart != NULL && !rt->exiting) {
    finish_restart(rt->loop->restart);
  }
}

/* ---- the whole ---- */

/* The loop has nothing to wait for, but the main chunk still waits. */
static int report_stuck(struct ls_runtime *rt) {
  ls_chunk_push_stuck(rt->L, "the script");
  report_failure(rt, lua_tostring(rt->L, -1));
  return EXIT_FAILURE;
}

/* Programs that serve nothing are never sealed, because only a request seals; specs and -e are scripts too. */
static void choose_globals(struct ls_runtime *rt, const struct ls_program *program) {
  bool seals = program->file != NULL && !program->open_globals;
  rt->globals = seals ? LS_GLOBALS_UNSEALED : LS_GLOBALS_OPEN;
}

static char *folder_of(const char *file) {
  const char *slash = file != NULL ? strrchr(file, '/') : NULL;
  return slash != NULL ? strndup(file, (size_t)(slash - file) + 1) : NULL;
}

static void on_change(void *data) {
  ls_shutdown_restart(data);
}

int ls_program_run(struct ls_runtime *rt, const struct ls_program *program) {
  struct ls_restart *restart = rt->loop->restart;
  struct run run = {.rt = rt, .program = program};
  run.folder = folder_of(program->file);
  rt->app_folder = run.folder;
  rt->grace_ms = program->grace_ms;
  rt->is_command = program->module != NULL && !program->failed;
  choose_globals(rt, program);
  rt->tracing.on = program->trace;
  rt->development = program->development;
  if (program->file != NULL) /* specs, -e and a person at a terminal may take their time */
    rt->limits = program->limits;
  if (restart != NULL && ls_restart_attach(restart, rt->loop, on_change, rt) != 0)
    ls_log_write(rt->loop->log, LS_LOG_WARN, "changes will not be seen: out of memory or descriptors");
  int status = EXIT_FAILURE;
  if (ls_chunk_run(rt, l_main, &run, on_main_end) != 0)
    fprintf(stderr, "luaserve: not enough memory\n");
  else
    status = rt->exiting ? rt->exit_status : EXIT_SUCCESS;
  if (rt->main_task != NULL && !rt->exiting)
    status = report_stuck(rt);
  ls_process_end(rt, status);
  ls_shutdown_close(rt);
  if (restart != NULL)
    ls_restart_detach(restart);
  rt->app_folder = NULL;
  free(run.folder);
  return status;
}
