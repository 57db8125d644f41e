/* SPDX-License-Identifier: MIT */
#include "script/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "script/runtime.h"
#include "script/task.h"

/* No name, so process.on cannot take it, and nothing else has a use for the last real-time signal. */
#define INTERRUPT_SIGNAL SIGRTMAX

enum {
  GRACE_STEPS = 1000, /* instructions between two looks at the clock while cleanup has its time */
  TSAN_STEPS = 10000,
};

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

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

static void on_hook(lua_State *L, lua_Debug *frame) {
  (void)frame;
  struct ls_runtime *rt = ls_runtime_of(L);
  struct ls_interrupt *interrupt = rt->interrupt;
  if (interrupt == NULL)
    return;
  uint64_t now = now_ns();
  bool first = interrupt->raised_at == 0;
  if (first)
    interrupt->raised_at = now;
  else if (now - interrupt->raised_at < (uint64_t)LS_INTERRUPT_GRACE_MS * 1000000)
    return;
  lua_sethook(L, on_hook, LUA_MASKCOUNT, first ? GRACE_STEPS : 1);
  raise_past_handlers(L, rt->running);
}

/* In between two instructions of whatever the thread runs: only what is safe there, as lua_sethook is. */
static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid())
    return; /* somebody's kill(1) */
  struct ls_interrupt *interrupt = info->si_value.sival_ptr;
  lua_sethook(interrupt->rt->current, on_hook, LUA_MASKCOUNT, 1);
  atomic_store(&interrupt->delivered, true);
}

void ls_interrupt_check(lua_State *L, const struct ls_runtime *rt) {
  const struct ls_interrupt *interrupt = rt->interrupt;
  if (interrupt != NULL && atomic_load(&interrupt->delivered))
    lua_sethook(L, on_hook, LUA_MASKCOUNT, interrupt->raised_at == 0 ? 1 : GRACE_STEPS);
}

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer hands a signal on only where the thread calls into the C library: this is such a place. */
static void call_library(lua_State *L, lua_Debug *frame) {
  (void)L, (void)frame;
  usleep(0);
}
#endif

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
#ifdef __SANITIZE_THREAD__
  lua_sethook(rt->L, call_library, LUA_MASKCOUNT, TSAN_STEPS);
#endif
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->thread = pthread_self();
  interrupt->entered = !interrupt->requested;
  bool entered = interrupt->entered;
  pthread_mutex_unlock(&interrupt->mutex);
  if (!entered)
    rt->interrupt = NULL;
  return entered;
}

bool ls_interrupt_leave(struct ls_interrupt *interrupt) {
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->entered = false;
  bool signalled = interrupt->signalled;
  pthread_mutex_unlock(&interrupt->mutex);
  while (signalled && !atomic_load(&interrupt->delivered))
    nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
  lua_sethook(interrupt->rt->L, NULL, 0, 0);
  interrupt->rt->interrupt = NULL;
  return signalled;
}

void ls_interrupt_begin_grace(struct ls_interrupt *interrupt) {
  if (interrupt->raised_at == 0)
    interrupt->raised_at = now_ns();
}

/* ---- on any other thread ---- */

void ls_interrupt_send(struct ls_interrupt *interrupt) {
  pthread_mutex_lock(&interrupt->mutex);
  interrupt->requested = true;
  if (interrupt->entered && !interrupt->signalled)
    interrupt->signalled =
        pthread_sigqueue(interrupt->thread, INTERRUPT_SIGNAL, (union sigval){.sival_ptr = interrupt}) == 0;
  pthread_mutex_unlock(&interrupt->mutex);
}

/* ---- life ---- */

int ls_interrupt_install(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigemptyset(&action.sa_mask);
  return sigaction(INTERRUPT_SIGNAL, &action, NULL) == 0 ? 0 : -errno;
}

int ls_interrupt_init(struct ls_interrupt *interrupt) {
  memset(interrupt, 0, sizeof *interrupt);
  atomic_init(&interrupt->delivered, false);
  return -pthread_mutex_init(&interrupt->mutex, NULL);
}

void ls_interrupt_dispose(struct ls_interrupt *interrupt) {
  pthread_mutex_destroy(&interrupt->mutex);
}
