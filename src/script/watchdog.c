/* SPDX-License-Identifier: MIT */
#include "script/watchdog.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "script/interrupt.h"
#include "script/runtime.h"
#include "script/task.h"

enum {
  TICK_MS = 10,
  IDLE_TICK_MS = 100, /* where nothing has run for IDLE_TICKS: a sleeping server should not be woken for nothing */
  IDLE_TICKS = 10,
  MISSED_MS = 500, /* between two looks: this thread has not run either */
  LOG_MS = 1000,   /* between two lines about slow slices */
  ANSWER_MS = 200, /* what the handler has to tell the last place, before the process is aborted */
  FLUSH_MS = 1000,
  LEVELS_MAX = 20, /* C functions that are looked below for a place */
  WHAT_SIZE = 512,
  PLACE_SIZE = LUA_IDSIZE + 16,
};

struct ls_watchdog {
  struct ls_interrupt interrupt;
  struct ls_runtime *rt;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool ending; /* mutex */

  /* Of the slice that was asked about, the loop's thread's. */
  atomic_ullong since;  /* ns; set by the watching thread before it asks */
  struct ls_task *task; /* that the slice resumes; NULL: it is a collection */
  bool described;
  bool stopped;
  char what[WHAT_SIZE];
  char place[PLACE_SIZE];

  uint64_t logged_at; /* ns */
  unsigned left_out;  /* slow slices since then */

  /* The last words. */
  atomic_bool wants_words;
  atomic_bool has_words;
};

static double seconds_since(const struct ls_watchdog *dog) {
  return (double)(ls_clock_ns() - atomic_load(&dog->since)) / 1e9;
}

static struct ls_watchdog *dog_of(lua_State *L) {
  return ls_runtime_of(L)->watchdog;
}

/* ---- in the slice ---- */

static void describe(struct ls_watchdog *dog, const struct ls_task *task) {
  struct ls_scope *scope = task != NULL ? task->scope : NULL;
  if (dog->described)
    return;
  dog->described = true;
  if (task == NULL)
    snprintf(dog->what, sizeof dog->what, "a full collection of garbage");
  else if (scope != NULL && scope->describe != NULL)
    scope->describe(scope, dog->what, sizeof dog->what);
  else if (task->origin != NULL)
    snprintf(dog->what, sizeof dog->what, "a task spawned at %s", task->origin);
  else
    snprintf(dog->what, sizeof dog->what, "a task or callback");
}

/* Where the innermost Lua function is. Allocates nothing: it is also called by a signal handler at the very end. */
static void find_place(struct ls_watchdog *dog, lua_State *L) {
  lua_Debug frame;
  dog->place[0] = '\0';
  for (int level = 0; level < LEVELS_MAX && lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline > 0) {
      snprintf(dog->place, sizeof dog->place, "%s:%d", frame.short_src, frame.currentline);
      return;
    }
  }
}

/* The registry has at &task->stopped what is to be the task's error, and its traceback. */
static void mark_stopped(lua_State *L, struct ls_task *task, const char *message) {
  task->stopped = true;
  task->cancel_seq++;
  if (task->scope != NULL)
    task->scope->stopped = true;
  lua_createtable(L, 2, 0);
  lua_pushstring(L, message);
  lua_rawseti(L, -2, 1);
  luaL_traceback(L, L, NULL, 0);
  lua_rawseti(L, -2, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &task->stopped);
}

static void note(lua_State *L, bool stopping) {
  struct ls_watchdog *dog = dog_of(L);
  struct ls_task *running = dog->rt->running;
  describe(dog, dog->task);
  find_place(dog, L);
  if (!stopping)
    return;
  char message[PLACE_SIZE + 96];
  dog->stopped = true;
  dog->rt->stopped_slices++;
  snprintf(message, sizeof message, "%s%sheld the loop for %.1f s without waiting, and was stopped", dog->place,
           dog->place[0] != '\0' ? ": " : "", seconds_since(dog));
  if (dog->task != NULL)
    mark_stopped(L, dog->task, message);
  if (running != NULL && running != dog->task) /* a module that it loads */
    mark_stopped(L, running, message);
}

int ls_watchdog_task_ends(struct ls_task *task, lua_State *L, int status) {
  struct ls_watchdog *dog = task->rt->watchdog;
  if (dog != NULL && atomic_load_explicit(&dog->interrupt.due, memory_order_relaxed))
    describe(dog, task);
  if (!task->stopped)
    return status;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &task->stopped);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &task->stopped);
  if (status == LUA_OK ||
      lua_type(L, -1) != LUA_TTABLE) { /* it went on all the same, or there was no memory to say more */
    lua_pop(L, 1);
    return status;
  }
  lua_rawgeti(L, -1, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  lua_rawgeti(L, -1, 1);
  lua_replace(L, -3); /* of the error */
  lua_pop(L, 1);
  return LUA_ERRRUN;
}

/* ---- around the slice ---- */

void ls_watchdog_begin(struct ls_runtime *rt, struct ls_task *task) {
  rt->watchdog->task = task;
  ls_interrupt_begin_slice(&rt->watchdog->interrupt);
}

/* A route that is slow at each request must not fill the log. */
static void log_slow(struct ls_watchdog *dog) {
  uint64_t now = ls_clock_ns();
  if (dog->logged_at != 0 && now - dog->logged_at < (uint64_t)LOG_MS * 1000000) {
    dog->left_out++;
    return;
  }
  char more[64] = "";
  if (dog->left_out != 0)
    snprintf(more, sizeof more, " (%u more since the last such line)", dog->left_out);
  ls_log_write(dog->rt->loop->log, LS_LOG_WARN, "%s: held the loop for %.2f s%s%s: nothing else ran meanwhile%s",
               dog->what, seconds_since(dog), dog->place[0] != '\0' ? ", at " : "", dog->place, more);
  dog->logged_at = now;
  dog->left_out = 0;
}

static void report(struct ls_watchdog *dog) {
  if (!dog->stopped) {
    dog->rt->slow_slices++;
    log_slow(dog);
  }
  dog->described = dog->stopped = false;
  dog->place[0] = '\0';
}

void ls_watchdog_end(struct ls_runtime *rt) {
  struct ls_watchdog *dog = rt->watchdog;
  bool due = ls_interrupt_end_slice(&dog->interrupt);
  if (due || dog->described) {
    if (!dog->described && (dog->task == NULL || !dog->task->ended))
      describe(dog, dog->task);
    report(dog);
    ls_interrupt_clear(&dog->interrupt);
  }
  dog->task = NULL;
}

/* ---- the thread that watches ---- */

static void ask(struct ls_watchdog *dog, atomic_uint *which, unsigned slice, uint64_t since) {
  if (atomic_load(which) == slice)
    return;
  atomic_store(&dog->since, since);
  atomic_store(which, slice);
  if (!ls_interrupt_signal(&dog->interrupt))
    atomic_store(which, 0); /* again at the next tick */
}

static void give_up(struct ls_watchdog *dog, uint64_t elapsed) {
  struct ls_log *log = dog->rt->loop->log;
  atomic_store(&dog->wants_words, true);
  ls_interrupt_signal(&dog->interrupt);
  for (int i = 0; i < ANSWER_MS && !atomic_load(&dog->has_words); i++)
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  bool told = atomic_load(&dog->has_words);
  ls_log_write(log, LS_LOG_ERROR,
               "%s: has held the loop for %.1f s%s%s, in a C function or a finalizer, where it cannot be stopped: the "
               "process is aborted",
               told ? dog->what : "something", (double)elapsed / 1e9, told && dog->place[0] != '\0' ? ", at " : "",
               told ? dog->place : "");
  ls_log_flush(log, FLUSH_MS);
  abort();
}

static void watch(struct ls_watchdog *dog, unsigned slice, uint64_t since, uint64_t elapsed) {
  const struct ls_limits *limits = &dog->rt->limits;
  uint64_t ms = elapsed / 1000000;
  if (limits->slow_ms != 0 && ms >= limits->slow_ms)
    ask(dog, &dog->interrupt.look_at, slice, since);
  if (limits->cpu_ms == 0 || ms < limits->cpu_ms)
    return;
  ask(dog, &dog->interrupt.stop_at, slice, since);
  if (limits->hang_ms != 0 && ms >= limits->cpu_ms + limits->hang_ms)
    give_up(dog, elapsed);
}

static bool wait_for_tick(struct ls_watchdog *dog, unsigned ms) {
  struct timespec until = ls_clock_after(CLOCK_MONOTONIC, ms);
  int status = 0;
  pthread_mutex_lock(&dog->mutex);
  while (!dog->ending && status == 0)
    status = pthread_cond_timedwait(&dog->changed, &dog->mutex, &until);
  bool ending = dog->ending;
  pthread_mutex_unlock(&dog->mutex);
  return !ending;
}

static void *run(void *data) {
  struct ls_watchdog *dog = data;
  unsigned seen = 0, idle = 0;
  uint64_t since = 0, last = ls_clock_ns();
  while (wait_for_tick(dog, idle < IDLE_TICKS ? TICK_MS : IDLE_TICK_MS)) {
    unsigned slice = atomic_load_explicit(&dog->interrupt.slice, memory_order_acquire);
    uint64_t now = ls_clock_ns();
    bool runs = slice & 1;
    if (now - last >
        (uint64_t)MISSED_MS * 1000000) /* the process was stopped, the machine stood still: nobody's time */
      since += now - last;
    last = now;
    if (slice != seen) {
      seen = slice;
      since = now;
      idle = 0;
    } else if (runs) {
      watch(dog, slice, since, now - since);
    } else if (idle < IDLE_TICKS) {
      idle++;
    }
  }
  return NULL;
}

/* ---- life ---- */

/* The handler's, on the loop's thread, when all is lost anyway: what it calls is not safe in one, but most often works. */
static void say_last_words(struct ls_interrupt *interrupt) {
  struct ls_watchdog *dog = ls_container_of(interrupt, struct ls_watchdog, interrupt);
  if (!atomic_load(&dog->wants_words))
    return;
  describe(dog, dog->task);
  find_place(dog, dog->rt->current);
  atomic_store(&dog->has_words, true);
}

/* Signals are for other threads. */
static int start_thread(struct ls_watchdog *dog) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = pthread_create(&dog->thread, NULL, run, dog);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -status;
}

static int init_locks(struct ls_watchdog *dog) {
  pthread_condattr_t attributes;
  int status = pthread_mutex_init(&dog->mutex, NULL);
  if (status != 0)
    return -status;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  status = pthread_cond_init(&dog->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (status != 0)
    pthread_mutex_destroy(&dog->mutex);
  return -status;
}

static void dispose_locks(struct ls_watchdog *dog) {
  pthread_cond_destroy(&dog->changed);
  pthread_mutex_destroy(&dog->mutex);
}

/* 0, or a negative code with nothing left. */
static int begin(struct ls_watchdog *dog) {
  int status = ls_interrupt_install();
  if (status == 0)
    status = init_locks(dog);
  if (status != 0)
    return status;
  status = ls_interrupt_init(&dog->interrupt);
  if (status == 0) {
    dog->interrupt.note = note;
    dog->interrupt.last_words = say_last_words;
    lua_State *current = dog->rt->current; /* one may be running: entering starts from the main state */
    ls_interrupt_enter(&dog->interrupt, dog->rt);
    dog->rt->current = current;
    status = start_thread(dog);
    if (status == 0)
      return 0;
    ls_interrupt_leave(&dog->interrupt);
    ls_interrupt_dispose(&dog->interrupt);
  }
  dispose_locks(dog);
  return status;
}

void ls_watchdog_start(struct ls_runtime *rt) {
  if (rt->watchdog != NULL || rt->interrupt != NULL || (rt->limits.slow_ms == 0 && rt->limits.cpu_ms == 0))
    return;
  struct ls_watchdog *dog = calloc(1, sizeof *dog);
  int status = -ENOMEM;
  if (dog != NULL) {
    dog->rt = rt;
    atomic_init(&dog->since, 0);
    atomic_init(&dog->wants_words, false);
    atomic_init(&dog->has_words, false);
    status = begin(dog);
  }
  if (status == 0) {
    rt->watchdog = dog;
    return;
  }
  free(dog);
  ls_log_write(rt->loop->log, LS_LOG_WARN, "handlers are not watched: %s", strerror(-status));
}

void ls_watchdog_stop(struct ls_runtime *rt) {
  struct ls_watchdog *dog = rt->watchdog;
  if (dog == NULL)
    return;
  pthread_mutex_lock(&dog->mutex);
  dog->ending = true;
  pthread_cond_signal(&dog->changed);
  pthread_mutex_unlock(&dog->mutex);
  pthread_join(dog->thread, NULL);
  ls_interrupt_leave(&dog->interrupt);
  rt->watchdog = NULL;
  ls_interrupt_dispose(&dog->interrupt);
  dispose_locks(dog);
  free(dog);
}
