/* SPDX-License-Identifier: MIT */
/* clock: the time now, and moments for the waits of pthreads. */
#ifndef LS_BASE_CLOCK_H
#define LS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* ns on uv_hrtime's clock, in half its instructions: for what is read at every turn. */
static inline uint64_t ls_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The moment that many milliseconds from now. pthread_timedjoin_np waits by CLOCK_REALTIME, and so does
 * pthread_cond_timedwait unless the condition was made for another clock. */
static inline struct timespec ls_clock_after(clockid_t clock, unsigned ms) {
  struct timespec moment;
  clock_gettime(clock, &moment);
  moment.tv_sec += ms / 1000;
  moment.tv_nsec += (long)(ms % 1000) * 1000000;
  if (moment.tv_nsec >= 1000000000) {
    moment.tv_sec++;
    moment.tv_nsec -= 1000000000;
  }
  return moment;
}

#endif
