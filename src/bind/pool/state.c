/* SPDX-License-Identifier: MIT */
/* The Lua states in which jobs run: the standard libraries, require for Lua modules and for those of luaserve that need no
 * loop, and a runtime without a loop, so that a job can be cancelled as a task is.
 *
 * A job's function has a table of globals of its own, which falls back to the state's; what its modules hold stays for
 * the next job of the state. A state whose job was interrupted is not used again. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/modules.h"
#include "bind/pool/impl.h"
#include "script/alloc.h"
#include "script/clone.h"
#include "script/library.h"
#include "script/runtime.h"
#include "script/task.h"
#include "script/transparent.h"

#define COLLECT_BYTES ((size_t)8 << 20) /* a state that holds more after a job is collected */

struct state {
  struct ls_list link;
  struct ls_runtime rt;
  struct ls_task task;               /* stands for the job: what cancels it */
  const struct ls_pool_paths *paths; /* those that package has */
  struct ls_pool_job *job;
};

struct ls_pool_states {
  unsigned references;         /* the runtime's thread */
  struct ls_pool_paths *paths; /* the runtime's thread: all there were */
  unsigned keep;
  pthread_mutex_t mutex;
  struct ls_list idle; /* mutex, as is count */
  unsigned count;
};

/* The keys, by their addresses, of the metatable of jobs' globals in the registry. */
static const char globals_key = 'g';

/* ---- what a job cannot do ---- */

static int l_exit(lua_State *L) {
  return luaL_error(L, "os.exit in a job of the pool would end the whole program: return, or raise an error");
}

static int l_setlocale(lua_State *L) {
  return luaL_error(L, "os.setlocale in a job of the pool would change the locale of the whole program");
}

static int l_sethook(lua_State *L) {
  return luaL_error(L, "debug.sethook in a job of the pool would keep it from being cancelled");
}

static void replace(lua_State *L, const char *library, const char *name, lua_CFunction function) {
  lua_getglobal(L, library);
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* ---- a state ---- */

/* {__index = the state's globals}: what each job's own globals fall back to. */
static void set_globals_metatable(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
}

static int l_open(lua_State *L) {
  luaL_openlibs(L);
  ls_transparent_open(L);
  ls_library_open(L);
  replace(L, "os", "exit", l_exit);
  replace(L, "os", "setlocale", l_setlocale);
  replace(L, "debug", "sethook", l_sethook);
  ls_modules_open_in_job(L);
  set_globals_metatable(L);
  return 0;
}

static struct state *new_state(void) {
  struct state *state = calloc(1, sizeof *state);
  if (state == NULL)
    return NULL;
  if (ls_runtime_init_detached(&state->rt, l_open) != 0) {
    free(state);
    return NULL;
  }
  ls_list_init(&state->link);
  state->task.rt = &state->rt;
  state->task.co = state->rt.L;
  state->rt.running = &state->task;
  return state;
}

static void free_state(struct state *state) {
  ls_runtime_dispose(&state->rt);
  free(state);
}

/* ---- what require searches ---- */

static struct ls_pool_paths *new_paths(const char *path, const char *cpath) {
  size_t size = strlen(path) + 1, csize = strlen(cpath) + 1;
  struct ls_pool_paths *paths = malloc(sizeof *paths + size + csize);
  if (paths == NULL)
    return NULL;
  memcpy(paths->path, path, size);
  paths->cpath = memcpy(paths->path + size, cpath, csize);
  return paths;
}

const struct ls_pool_paths *ls_pool_states_paths(struct ls_pool_states *states, const char *path, const char *cpath) {
  for (struct ls_pool_paths *paths = states->paths; paths != NULL; paths = paths->older) {
    if (strcmp(paths->path, path) == 0 && strcmp(paths->cpath, cpath) == 0)
      return paths;
  }
  struct ls_pool_paths *paths = new_paths(path, cpath);
  if (paths == NULL)
    return NULL;
  paths->older = states->paths;
  states->paths = paths;
  return paths;
}

static void free_paths(struct ls_pool_paths *paths) {
  while (paths != NULL) {
    struct ls_pool_paths *older = paths->older;
    free(paths);
    paths = older;
  }
}

/* ---- the set of states ---- */

struct ls_pool_states *ls_pool_states_new(unsigned keep) {
  struct ls_pool_states *states = calloc(1, sizeof *states);
  if (states == NULL)
    return NULL;
  if (pthread_mutex_init(&states->mutex, NULL) != 0) {
    free(states);
    return NULL;
  }
  ls_list_init(&states->idle);
  states->references = 1;
  states->keep = keep;
  return states;
}

struct ls_pool_states *ls_pool_states_ref(struct ls_pool_states *states) {
  states->references++;
  return states;
}

void ls_pool_states_unref(struct ls_pool_states *states) {
  if (--states->references > 0)
    return;
  struct ls_list *link;
  while ((link = ls_list_shift(&states->idle)) != NULL)
    free_state(ls_container_of(link, struct state, link));
  pthread_mutex_destroy(&states->mutex);
  free_paths(states->paths);
  free(states);
}

/* The state used last: its memory is warm. */
static struct state *take_state(struct ls_pool_states *states) {
  pthread_mutex_lock(&states->mutex);
  struct ls_list *link = ls_list_shift(&states->idle);
  if (link != NULL)
    states->count--;
  pthread_mutex_unlock(&states->mutex);
  return link != NULL ? ls_container_of(link, struct state, link) : new_state();
}

static void give_state(struct ls_pool_states *states, struct state *state) {
  pthread_mutex_lock(&states->mutex);
  bool kept = states->count < states->keep;
  if (kept) {
    ls_list_push_front(&states->idle, &state->link);
    states->count++;
  }
  pthread_mutex_unlock(&states->mutex);
  if (!kept)
    free_state(state);
}

/* ---- running a job ---- */

static struct state *state_of(lua_State *L) {
  return ls_container_of(ls_runtime_of(L), struct state, rt);
}

static void set_paths(lua_State *L, struct state *state) {
  if (state->paths == state->job->paths)
    return;
  lua_getglobal(L, "package");
  lua_pushstring(L, state->job->paths->path);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, state->job->paths->cpath);
  lua_setfield(L, -2, "cpath");
  lua_pop(L, 1);
  state->paths = state->job->paths;
}

/* The globals of one job: its own, and behind them the state's. */
static void push_globals(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key);
  lua_setmetatable(L, -2);
}

/* Pushes the function that was sent. Its only upvalue, if it has one, is _ENV. */
static void push_sent(lua_State *L, const struct ls_buf *code) {
  if (luaL_loadbufferx(L, ls_buf_bytes(code), code->len, "job", "b") != LUA_OK)
    lua_error(L);
  push_globals(L);
  if (lua_setupvalue(L, -2, 1) == NULL)
    lua_pop(L, 1);
}

static void decode(lua_State *L, const struct ls_buf *message) {
  if (ls_clone_decode(L, ls_buf_bytes(message), message->len) < 0)
    luaL_error(L, "the arguments are damaged");
}

/* The module's name, the function's and the arguments are on top of the stack, from first on: the function takes the
 * place of both names. */
static void find_function(lua_State *L, int first) {
  const char *module = lua_tostring(L, first), *name = lua_tostring(L, first + 1);
  lua_getglobal(L, "require");
  lua_pushvalue(L, first);
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1))
    luaL_error(L, "pool.run: module '%s' is a %s and has no functions", module, luaL_typename(L, -1));
  if (lua_getfield(L, -1, name) != LUA_TFUNCTION)
    luaL_error(L, "pool.run: module '%s' has no function '%s'", module, name);
  lua_replace(L, first);
  lua_pop(L, 1);
  lua_remove(L, first + 1);
}

/* Stack: the job. Returns what its function returns. */
static int l_job(lua_State *L) {
  struct ls_pool_job *job = lua_touserdata(L, 1);
  set_paths(L, state_of(L));
  if (job->code.len > 0) {
    push_sent(L, &job->code);
    decode(L, &job->message);
  } else {
    decode(L, &job->message);
    find_function(L, 2);
  }
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* ---- the outcome ---- */

/* Takes the place of the arguments. */
static int encode(lua_State *L, struct ls_pool_job *job, int index, int count, const char *name) {
  ls_buf_clear(&job->message);
  return ls_clone_encode(L, index, count, name, &job->message);
}

/* The text of the error at index 1, with its traceback. */
static void push_error_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  ls_task_push_traceback(L);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushliteral(L, "\nin a job of the pool, ");
  lua_insert(L, -2);
  lua_concat(L, 3);
}

/* The message handler: the stack is still that of the error. An error value that is no string and can be copied goes
 * over as it is; of all others, the text and the traceback. */
static int l_failed(lua_State *L) {
  struct ls_pool_job *job = state_of(L)->job;
  lua_settop(L, 1);
  if (ls_task_is_cancellation(L, 1))
    return 1;
  int status = lua_type(L, 1) != LUA_TSTRING ? encode(L, job, 1, 1, "error") : -EINVAL;
  if (status == -EINVAL) {
    push_error_text(L);
    status = encode(L, job, -1, 1, "error");
  }
  job->outcome = status == 0 ? LS_POOL_ERROR : LS_POOL_NO_MEMORY;
  return 1;
}

static void store_results(lua_State *L, struct ls_pool_job *job, int first) {
  int status = encode(L, job, first, lua_gettop(L) - first + 1, "results");
  job->outcome = status == 0 ? LS_POOL_RESULTS : status == -EINVAL ? LS_POOL_REFUSED : LS_POOL_NO_MEMORY;
}

/* Whether the state can be used again. */
static bool run_in(struct state *state, struct ls_pool_job *job) {
  lua_State *L = state->rt.L;
  state->job = job;
  if (!ls_interrupt_enter(&job->interrupt, &state->rt))
    return true;
  lua_pushcfunction(L, l_failed);
  lua_pushcfunction(L, l_job);
  lua_pushlightuserdata(L, job);
  int status = lua_pcall(L, 1, LUA_MULTRET, 1);
  bool interrupted = ls_interrupt_leave(&job->interrupt);
  if (status == LUA_OK && !interrupted)
    store_results(L, job, 2);
  lua_settop(L, 0);
  return !interrupted;
}

/* What a job leaves behind is collected while its next one does not wait yet. */
static void tidy(struct state *state) {
  if (ls_alloc_used(state->rt.alloc) > COLLECT_BYTES)
    lua_gc(state->rt.L, LUA_GCCOLLECT);
}

void ls_pool_job_run(struct ls_pool_job *job) {
  struct state *state = take_state(job->states);
  if (state == NULL)
    return;
  if (run_in(state, job)) {
    tidy(state);
    give_state(job->states, state);
  } else {
    free_state(state);
  }
}
