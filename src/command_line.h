/* SPDX-License-Identifier: MIT */
/* command_line: the options and the commands of luaserve, each in one table: reading them, --help, the lines at the start
 * and completion in shells all come from there. */
#ifndef LS_COMMAND_LINE_H
#define LS_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "bind/program.h"

#define LS_OPTIONS_MAX 24
#define LS_COMMANDS_MAX 8

struct ls_settings {
  struct ls_program program;
  const char *commands[LS_COMMANDS_MAX + 1]; /* their names, for the program */
  unsigned pool_threads;                     /* 0: not given */
  const char *given[LS_OPTIONS_MAX]; /* by option: its value as it was given, "" for one without; NULL: it was not */
};

enum ls_option_kind {
  LS_OPTION_FLAG, /* takes no value; a bool of the settings */
  LS_OPTION_TEXT,
  LS_OPTION_SECONDS, /* a uint64_t of milliseconds */
  LS_OPTION_SIZE,    /* a size_t of bytes */
  LS_OPTION_PORT,
  LS_OPTION_PLACE,
  LS_OPTION_GLOBALS,
  LS_OPTION_THREADS,
  LS_OPTION_VERSION,
  LS_OPTION_HELP,
};

struct ls_option {
  const char *name;        /* without its dashes */
  char letter;             /* '\0': it has only a name */
  const char *value;       /* what it takes, for a person; NULL: nothing */
  const char *standard;    /* the default, as it would be given; NULL: none */
  const char *text, *note; /* what it does; what else the default says, or what there is instead of one, or NULL */
  const char *choices;     /* the values there are, with spaces between; NULL: it takes any */
  enum ls_option_kind kind;
  size_t offset; /* in struct ls_settings, where the kind has a place there */
};

struct ls_command {
  const char *name, *arguments, *text;
  const char *module;  /* that is run; NULL: main does it */
  const char *choices; /* the arguments there are; NULL: paths */
};

/* Ends with a name of NULL. */
extern const struct ls_option ls_options[];
extern const struct ls_command ls_commands[];

/* Sets every default, then what argv says. 0, or the exit status + 1 with which to end: it has printed why.
 * What it sets points into argv. */
int ls_command_line_read(struct ls_settings *settings, int argc, char **argv);

/* A number of threads for the pool; false, and *threads is 0: it is none. */
bool ls_command_line_read_threads(const char *text, unsigned *threads);

/* What is said when a program begins to serve: the threads, each option that is not as it is by default, a limit of the
 * system that is low. The caller frees it; NULL: no memory. threads: of the pool. */
char *ls_command_line_describe(const struct ls_settings *settings, unsigned threads);

#endif
