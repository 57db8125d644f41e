/* SPDX-License-Identifier: MIT */
#include "script/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "script/runtime.h"
#include "script/task.h"

/* No name, so process.on cannot take it, and nothing else has a use for the last real-time signal. */
#define INTERRUPT_SIGNAL SIGRTMAX

enum {
  GRACE_STEPS = 1000, /* instructions between two looks at the clock while cleanup has its time */
  TSAN_STEPS = 10000,
};

/* ---- on the thread that runs the code ---- */

/* A message handler of xpcall would be called within the hook, where no other hook runs and so nothing could stop it.
 * For this one message Lua calls no handler; the replaced pcall, xpcall and resume, which see that cancel_seq has changed,
 * make the cancellation of it. */
static void raise_past_handlers(lua_State *L, struct ls_task *task) {
  if (task != NULL)
    task->cancel_seq++;
  lua_pushliteral(L, "not enough memory");
  lua_error(L);
}

/* ThreadSanitizer hands a signal on only where the thread calls into the C library: in its builds a hook is such a place. */
#ifdef __SANITIZE_THREAD__
static void call_library(lua_State *L, lua_Debug *frame) {
  (void)L, (void)frame;
  usleep(0);
}

static void set_place_for_signals(lua_State *L) {
  if (lua_gethook(L) == NULL)
    lua_sethook(L, call_library, LUA_MASKCOUNT, TSAN_STEPS);
}
#else
static void set_place_for_signals(lua_State *L) {
  (void)L;
}
#endif

enum verdict { NOTHING, CLEANUP, RAISE };

/* due is cleared before anything is looked at: a signal that comes meanwhile sets it again. */
static enum verdict look(lua_State *L, struct ls_interrupt *interrupt) {
  atomic_store(&interrupt->due, false);
  unsigned slice = atomic_load(&interrupt->slice);
  bool ends = atomic_load(&interrupt->requested);
  if (!ends && atomic_load(&interrupt->stop_at) != slice) {
    if (atomic_load(&interrupt->look_at) == slice)
      interrupt->note(L, false);
    return NOTHING;
  }
  atomic_store(&interrupt->due, true);
  uint64_t now = ls_clock_ns();
  if (interrupt->raised_at != 0)
    return now - interrupt->raised_at < (uint64_t)LS_INTERRUPT_GRACE_MS * 1000000 ? CLEANUP : RAISE;
  interrupt->raised_at = now;
  if (!ends)
    interrupt->note(L, true);
  return RAISE;
}

static void on_hook(lua_State *L, lua_Debug *frame) {
  (void)frame;
  ls_interrupt_look(L);
}

void ls_interrupt_look(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  struct ls_interrupt *interrupt = rt->interrupt;
  lua_sethook(L, NULL, 0, 0);
  set_place_for_signals(L);
  if (interrupt == NULL || !atomic_load(&interrupt->due))
    return; /* the hook is left from what is over */
  bool first = interrupt->raised_at == 0;
  lua_sethook(L, on_hook, LUA_MASKCOUNT, GRACE_STEPS); /* for cleanup, also where note raises for want of memory */
  enum verdict verdict = look(L, interrupt);
  if (verdict == NOTHING) {
    lua_sethook(L, NULL, 0, 0);
    set_place_for_signals(L);
    return;
  }
  if (verdict == CLEANUP)
    return;
  if (!first)
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
  raise_past_handlers(L, rt->running);
}

/* In between two instructions of whatever the thread runs: only what is safe there, as lua_sethook is. */
static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid())
    return; /* somebody's kill(1) */
  struct ls_interrupt *interrupt = info->si_value.sival_ptr;
  unsigned slice = atomic_load(&interrupt->slice);
  bool in_time = atomic_load(&interrupt->look_at) == slice || atomic_load(&interrupt->stop_at) == slice;
  if (atomic_load(&interrupt->requested) || in_time) {
    atomic_store(&interrupt->due, true);
    lua_sethook(interrupt->rt->current, on_hook, LUA_MASKCOUNT, 1);
  }
  if (interrupt->last_words != NULL)
    interrupt->last_words(interrupt);
  atomic_fetch_add(&interrupt->arrived, 1);
}

void ls_interrupt_check(lua_State *L, const struct ls_runtime *rt) {
  const struct ls_interrupt *interrupt = rt->interrupt;
  if (interrupt == NULL)
    return;
  if (atomic_load_explicit(&interrupt->due, memory_order_relaxed))
    lua_sethook(L, on_hook, LUA_MASKCOUNT, interrupt->raised_at == 0 ? 1 : GRACE_STEPS);
  else
    set_place_for_signals(L);
}

void ls_interrupt_clear(struct ls_interrupt *interrupt) {
  if (atomic_load(&interrupt->requested))
    return;
  interrupt->raised_at = 0;
  atomic_store(&interrupt->due, false);
}

static void unblock_signal(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, INTERRUPT_SIGNAL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool ls_interrupt_enter(struct ls_interrupt *interrupt, struct ls_runtime *rt) {
  unblock_signal();
  interrupt->rt = rt;
  rt->interrupt = interrupt;
  rt->current = rt->L;
  set_place_for_signals(rt->L);
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->thread = pthread_self();
  interrupt->entered = !atomic_load(&interrupt->requested);
  bool entered = interrupt->entered;
  pthread_mutex_unlock(&interrupt->mutex);
  if (!entered)
    rt->interrupt = NULL;
  return entered;
}

bool ls_interrupt_leave(struct ls_interrupt *interrupt) {
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->entered = false;
  unsigned sent = interrupt->sent;
  pthread_mutex_unlock(&interrupt->mutex);
  while (atomic_load(&interrupt->arrived) != sent)
    nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
  lua_sethook(interrupt->rt->L, NULL, 0, 0);
  interrupt->rt->interrupt = NULL;
  return sent != 0;
}

void ls_interrupt_begin_grace(struct ls_interrupt *interrupt) {
  if (interrupt->raised_at == 0)
    interrupt->raised_at = ls_clock_ns();
}

/* ---- on any other thread ---- */

bool ls_interrupt_signal(struct ls_interrupt *interrupt) {
  pthread_mutex_lock(&interrupt->mutex);
  bool sent = interrupt->entered &&
              pthread_sigqueue(interrupt->thread, INTERRUPT_SIGNAL, (union sigval){.sival_ptr = interrupt}) == 0;
  interrupt->sent += sent;
  pthread_mutex_unlock(&interrupt->mutex);
  return sent;
}

void ls_interrupt_send(struct ls_interrupt *interrupt) {
  if (!atomic_exchange(&interrupt->requested, true))
    ls_interrupt_signal(interrupt);
}

/* ---- life ---- */

int ls_interrupt_install(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigemptyset(&action.sa_mask);
  return sigaction(INTERRUPT_SIGNAL, &action, NULL) == 0 ? 0 : -errno;
}

int ls_interrupt_init(struct ls_interrupt *interrupt) {
  memset(interrupt, 0, sizeof *interrupt);
  atomic_init(&interrupt->arrived, 0);
  atomic_init(&interrupt->requested, false);
  atomic_init(&interrupt->due, false);
  atomic_init(&interrupt->slice, 2); /* none runs, and 0 is none that anybody asks for */
  atomic_init(&interrupt->look_at, 0);
  atomic_init(&interrupt->stop_at, 0);
  return -pthread_mutex_init(&interrupt->mutex, NULL);
}

void ls_interrupt_dispose(struct ls_interrupt *interrupt) {
  pthread_mutex_destroy(&interrupt->mutex);
}
