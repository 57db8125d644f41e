/* SPDX-License-Identifier: MIT */
/* program: the main chunk as a task: loads it, runs it, serves what it returns, ends the process as it should end. */
#ifndef LS_BIND_PROGRAM_H
#define LS_BIND_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "script/runtime.h"

#define LS_PROGRAM_PLACES 16

struct ls_program {
  const char *file;            /* the script; "-": standard input; NULL: code or module */
  const char *const *commands; /* what may stand where the script does, for who misspells one; NULL-terminated */
  const char *code;            /* of -e; NULL: none */
  const char *module;          /* an embedded module to require and call, for "luaserve test"; NULL: none */
  char **args;                 /* NULL-terminated: what follows the script */
  char **misplaced;            /* the one of args that is an option of luaserve, which may be the script's too; NULL */
  bool misplaced_value;        /* what follows that is its value */
  const char *listen[LS_PROGRAM_PLACES]; /* where a returned handler is served, as ls_listen_parse takes it */
  unsigned listen_count;
  const char *host; /* where there is none: there */
  int port;
  uint64_t grace_ms;       /* how long SIGINT and SIGTERM leave to what is under way */
  bool open_globals;       /* never seal */
  bool trace;              /* requests */
  bool development;        /* not serving strangers: rt->development */
  struct ls_limits limits; /* of what a script's handlers and callbacks may take */
  bool failed;             /* module shows why another program could not be started */
  const char *name;        /* argv[0] */
  const char *start;       /* what is printed before the places where a script is served; NULL: nothing */
};

/* Runs it to the end of the loop. The exit status of the process. */
int ls_program_run(struct ls_runtime *rt, const struct ls_program *program);

#endif
