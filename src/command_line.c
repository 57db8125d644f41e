/* SPDX-License-Identifier: MIT */
#include "command_line.h"

#include <ares.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <llhttp.h>
#include <lua.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>

#include "bind/listen.h"
#include "completion.h"
#include "script/options.h"
#include "version.h"

#define EXIT_USAGE 2
#define FEW_FILES 4096
#define FIRST_CODE 256 /* of getopt_long for the first option: no letter */
#define SECONDS_MAX 86400
#define SIZES_MAX (1ULL << 46)
#define THREADS_MAX 1024 /* libuv's limit */

#define AT(member) offsetof(struct ls_settings, member)

const struct ls_option ls_options[] = {
    {"port", 'p', "N", "8080", "port for a returned handler", "0: a free one", NULL, LS_OPTION_PORT, 0},
    {"host", 0, "ADDRESS", "127.0.0.1", "address for a returned handler", NULL, NULL, LS_OPTION_TEXT, AT(program.host)},
    {"listen", 0, "PLACE", NULL, "HOST:PORT, unix:PATH, fd:N, systemd; repeatable", NULL, NULL, LS_OPTION_PLACE, 0},
    {"grace", 0, "SECONDS", "10", "left to requests at SIGINT and SIGTERM", NULL, NULL, LS_OPTION_SECONDS,
     AT(program.grace_ms)},
    {"globals", 0, "open", "sealed", "let requests assign globals", NULL, "open sealed", LS_OPTION_GLOBALS, 0},
    {"slow-limit", 0, "SECONDS", "0.1", "log who holds the loop for so long", "0: off", NULL, LS_OPTION_SECONDS,
     AT(program.limits.slow_ms)},
    {"cpu-limit", 0, "SECONDS", "5", "stop who holds the loop for so long", "0: off", NULL, LS_OPTION_SECONDS,
     AT(program.limits.cpu_ms)},
    {"hang-limit", 0, "SECONDS", "30", "abort where that cannot be stopped", "0: off", NULL, LS_OPTION_SECONDS,
     AT(program.limits.hang_ms)},
    {"request-memory", 0, "SIZE", "256M", "what one request may hold", "0: no limit", NULL, LS_OPTION_SIZE,
     AT(program.limits.request_memory)},
    {"memory-limit", 0, "SIZE", NULL, "what all of Lua may hold, 512K, 2G", "no limit", NULL, LS_OPTION_SIZE,
     AT(program.limits.memory)},
    {"dev", 0, NULL, NULL, "restart on change, show errors, tell what blocks", NULL, NULL, LS_OPTION_FLAG,
     AT(program.development)},
    {"trace", 0, NULL, NULL, "tell where the time of requests goes", NULL, NULL, LS_OPTION_FLAG, AT(program.trace)},
    {"pool-threads", 0, "N", NULL, "threads for blocking work", "UV_THREADPOOL_SIZE, or 4", NULL, LS_OPTION_THREADS, 0},
    {"execute", 'e', "CODE", NULL, "run CODE instead of a script", NULL, NULL, LS_OPTION_TEXT, AT(program.code)},
    {"version", 'v', NULL, NULL, "print the versions", NULL, NULL, LS_OPTION_VERSION, 0},
    {"help", 'h', NULL, NULL, "print this", NULL, NULL, LS_OPTION_HELP, 0},
    {.name = NULL}};

#define OPTIONS (sizeof ls_options / sizeof *ls_options - 1)

_Static_assert(OPTIONS <= LS_OPTIONS_MAX, "there is room for what was given");

const struct ls_command ls_commands[] = {
    {"new", "NAME", "write a small app to begin with", "luaserve.new", NULL},
    {"test", "[options] [paths]", "run busted specs, which may wait", "luaserve.busted", NULL},
    {"check", "app.lua", "find calls that hold up requests", "luaserve.check", NULL},
    {"completion", "bash|zsh", "print completion for a shell", NULL, "bash zsh"},
    {.name = NULL}};

#define COMMANDS (sizeof ls_commands / sizeof *ls_commands - 1)

_Static_assert(COMMANDS <= LS_COMMANDS_MAX, "there is room for their names");

/* ---- what is printed ---- */

static void print_usage(const char *what, const char *text) {
  printf("luaserve %-26s %s\n", what, text);
}

/* Ends the line of an option. */
static void print_standard(FILE *out, const struct ls_option *option) {
  const char *standard = option->standard != NULL ? option->standard : option->note;
  if (standard != NULL)
    fprintf(out, " (%s)", standard);
  putc('\n', out);
}

static void print_option(const struct ls_option *option) {
  char left[40];
  snprintf(left, sizeof left, "--%s%s%s", option->name, option->choices != NULL ? "=" : " ",
           option->value != NULL ? option->value : "");
  printf(option->letter != '\0' ? "  -%c, " : "      ", option->letter);
  printf("%-21s %s", left, option->text);
  if (option->standard != NULL && option->note != NULL)
    printf(" (%s; %s)\n", option->standard, option->note);
  else
    print_standard(stdout, option);
}

static void print_help(void) {
  printf("luaserve " LS_VERSION ": a network application server scripted in Lua\n\nusage: ");
  print_usage("[options] app.lua [args]", "run a script; serve what it returns");
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++) {
    char what[40];
    snprintf(what, sizeof what, "%s %s", command->name, command->arguments);
    printf("       ");
    print_usage(what, command->text);
  }
  printf("       ");
  print_usage("", "on a terminal: try things out");
  putchar('\n');
  for (const struct ls_option *option = ls_options; option->kind != LS_OPTION_VERSION; option++)
    print_option(option);
  printf("  -v, --version             print the versions; -h, --help: print this\n"); /* the screen has 24 lines */
}

/* The first line is for programs, the second for who reads a report of an error. */
static void print_versions(void) {
  printf("luaserve %s (%s, libuv %s)\n", LS_VERSION, LUA_RELEASE, uv_version_string());
  printf("llhttp %d.%d.%d, %s, c-ares %s, zlib %s\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH,
         OpenSSL_version(OPENSSL_VERSION), ares_version(NULL), zlibVersion());
}

/* The exit status + 1, as it goes up from here. */
static int usage_error(void) {
  fprintf(stderr, "Try 'luaserve --help'.\n");
  return 1 + EXIT_USAGE;
}

/* What other programs call it, or NULL. */
static const char *find_foreign(const char *name) {
  static const char *const names[][2] = {{"--watch", "--dev"},   {"--reload", "--dev"},
                                         {"--debug", "--dev"},   {"--address", "--host"},
                                         {"--bind", "--listen"}, {"--threads", "--pool-threads"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i][0]) == 0)
      return names[i][1];
  return NULL;
}

static void tell_unknown(const char *given) {
  char known[OPTIONS][24], name[40];
  const char *names[OPTIONS + 1];
  for (size_t i = 0; i < OPTIONS; i++) {
    snprintf(known[i], sizeof known[i], "--%s", ls_options[i].name);
    names[i] = known[i];
  }
  names[OPTIONS] = NULL;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
  const char *foreign = find_foreign(name);
  const char *nearest = foreign != NULL ? foreign : ls_options_nearest(name, names);
  if (nearest != NULL && strcmp(nearest, name) == 0)
    fprintf(stderr, "luaserve: option '%s' takes no value\n", name);
  else if (nearest != NULL)
    fprintf(stderr, "luaserve: unknown option '%s' (did you mean '%s'?)\n", name, nearest);
  else
    fprintf(stderr, "luaserve: unknown option '%s'\n", name);
}

/* An unknown letter is in optopt: optind is not behind its argument where there are more letters in that. */
static int bad_option(char **argv) {
  if (optopt > 0 && optopt < FIRST_CODE)
    fprintf(stderr, "luaserve: unknown option '-%c'\n", optopt);
  else
    tell_unknown(argv[optind - 1]);
  return usage_error();
}

static int bad_value(const struct ls_option *option, const char *text, const char *wanted) {
  fprintf(stderr, "luaserve: option '--%s' wants %s, not '%s'\n", option->name, wanted, text);
  return usage_error();
}

/* ---- values ---- */

/* Whole text as an integer from min to max. */
static bool read_integer(const char *text, long min, long max, long *value) {
  char *end;
  errno = 0;
  *value = strtol(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *value >= min && *value <= max;
}

bool ls_command_line_read_threads(const char *text, unsigned *threads) {
  long value;
  bool is_number = read_integer(text, 1, THREADS_MAX, &value);
  *threads = is_number ? (unsigned)value : 0;
  return is_number;
}

/* Seconds, fractions allowed, as milliseconds, rounded up. */
static bool read_seconds(const char *text, uint64_t *ms) {
  char *end;
  double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= SECONDS_MAX))
    return false;
  *ms = (uint64_t)ceil(seconds * 1000);
  return true;
}

/* Bytes, with K, M or G for units of 1024. */
static bool read_size(const char *text, size_t *bytes) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long value = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : ULLONG_MAX;
  const char *unit = value != ULLONG_MAX && *end != '\0' ? strchr(units, *end) : NULL;
  unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
  if (value == ULLONG_MAX || (*end != '\0' && (unit == NULL || end[1] != '\0')) || value > SIZES_MAX >> shift)
    return false;
  *bytes = (size_t)value << shift;
  return true;
}

static int add_place(struct ls_program *program, const struct ls_option *option, const char *text) {
  char host[LS_LISTEN_HOST_SIZE];
  struct ls_listen_options place;
  if (!ls_listen_parse(text, host, sizeof host, &place))
    return bad_value(option, text, "HOST:PORT, [IPV6]:PORT, unix:PATH, fd:N or systemd[:NAME]");
  if (program->listen_count == LS_PROGRAM_PLACES) {
    fprintf(stderr, "luaserve: option '--listen' can be given %d times, not more\n", LS_PROGRAM_PLACES);
    return usage_error();
  }
  program->listen[program->listen_count++] = text;
  return 0;
}

/* One option with its value, NULL for one that takes none; 0, or the exit status + 1 with which to end. */
static int take_option(struct ls_settings *settings, const struct ls_option *option, const char *text) {
  void *target = (char *)settings + option->offset;
  long value;
  switch (option->kind) {
  case LS_OPTION_FLAG:
    *(bool *)target = true;
    return 0;
  case LS_OPTION_TEXT:
    *(const char **)target = text;
    return 0;
  case LS_OPTION_SECONDS:
    return read_seconds(text, target) ? 0 : bad_value(option, text, "seconds from 0 to 86400");
  case LS_OPTION_SIZE:
    return read_size(text, target) ? 0 : bad_value(option, text, "a size such as 300000, 512K, 64M or 2G");
  case LS_OPTION_PORT:
    if (!read_integer(text, 0, 65535, &value))
      return bad_value(option, text, "a port from 0 to 65535");
    settings->program.port = (int)value;
    return 0;
  case LS_OPTION_PLACE:
    return add_place(&settings->program, option, text);
  case LS_OPTION_GLOBALS:
    if (strcmp(text, "open") != 0 && strcmp(text, "sealed") != 0)
      return bad_value(option, text, "open or sealed");
    settings->program.open_globals = *text == 'o';
    return 0;
  case LS_OPTION_THREADS:
    return ls_command_line_read_threads(text, &settings->pool_threads)
               ? 0
               : bad_value(option, text, "a number from 1 to 1024");
  case LS_OPTION_VERSION:
    print_versions();
    return 1 + EXIT_SUCCESS;
  case LS_OPTION_HELP:
    print_help();
    return 1 + EXIT_SUCCESS;
  }
  return 0;
}

/* ---- reading ---- */

/* For getopt_long, whose code for an option is its letter, or FIRST_CODE and its place. */
static void list_options(struct option *list, char *letters) {
  *letters++ = '+'; /* what follows the script is the script's */
  *letters++ = ':';
  for (size_t i = 0; i < OPTIONS; i++) {
    const struct ls_option *option = &ls_options[i];
    bool takes = option->value != NULL;
    list[i] = (struct option){option->name, takes ? required_argument : no_argument, NULL, FIRST_CODE + (int)i};
    if (option->letter == '\0')
      continue;
    *letters++ = option->letter;
    if (takes)
      *letters++ = ':';
  }
  *letters = '\0';
  list[OPTIONS] = (struct option){NULL, 0, NULL, 0};
}

static size_t find_option(int code) {
  size_t i = code >= FIRST_CODE ? (size_t)(code - FIRST_CODE) : 0;
  while (code < FIRST_CODE && ls_options[i].letter != code)
    i++;
  return i;
}

static bool is_given(const struct ls_settings *settings, const char *name) {
  size_t i = 0;
  while (strcmp(ls_options[i].name, name) != 0)
    i++;
  return settings->given[i] != NULL;
}

static int read_options(struct ls_settings *settings, int argc, char **argv) {
  struct option list[OPTIONS + 1];
  char letters[3 + 2 * OPTIONS];
  list_options(list, letters);
  opterr = 0;
  int code, end = 0;
  while (end == 0 && (code = getopt_long(argc, argv, letters, list, NULL)) != -1) {
    if (code == ':') {
      fprintf(stderr, "luaserve: option '%s' wants a value\n", argv[optind - 1]);
      return usage_error();
    }
    if (code == '?')
      return bad_option(argv);
    size_t i = find_option(code);
    end = take_option(settings, &ls_options[i], optarg);
    settings->given[i] = optarg != NULL ? optarg : "";
  }
  return end;
}

/* The option that the argument is as a whole, "-p", "--port" or "--port=80", or NULL. Those that no script goes with, from
 * --execute on, are none. */
static const struct ls_option *match_option(const char *argument) {
  for (const struct ls_option *option = ls_options; option->offset != AT(program.code); option++) {
    size_t len = strlen(option->name);
    if (option->letter != '\0' && argument[0] == '-' && argument[1] == option->letter && argument[2] == '\0')
      return option;
    if (strncmp(argument, "--", 2) == 0 && strncmp(argument + 2, option->name, len) == 0 &&
        (argument[2 + len] == '\0' || argument[2 + len] == '='))
      return option;
  }
  return NULL;
}

static void find_misplaced(struct ls_program *program) {
  for (char **at = program->args; *at != NULL && strcmp(*at, "--") != 0; at++) {
    const struct ls_option *option = match_option(*at);
    if (option == NULL)
      continue;
    program->misplaced = at;
    program->misplaced_value = option->value != NULL && strchr(*at, '=') == NULL;
    return;
  }
}

static int print_completion(char **arguments) {
  const char *shell = *arguments;
  if (shell != NULL && arguments[1] == NULL && ls_completion_print(shell))
    return 1 + EXIT_SUCCESS;
  fprintf(stderr, "luaserve: completion wants the name of a shell, bash or zsh%s%s%s\n", shell != NULL ? ", not '" : "",
          shell != NULL ? shell : "", shell != NULL ? "'" : "");
  return usage_error();
}

/* The command of that name; NULL: it is a script's. */
static const struct ls_command *find_command(const char *word) {
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++)
    if (strcmp(word, command->name) == 0)
      return command;
  return NULL;
}

/* Options end at the script, at -e's code (which may only be followed by more options) or at a command. Without any of
 * them a person at a terminal is asked; anything else on standard input is the script. */
int ls_command_line_read(struct ls_settings *settings, int argc, char **argv) {
  *settings = (struct ls_settings){.program.name = argv[0]};
  for (const struct ls_option *option = ls_options; option->name != NULL; option++)
    if (option->standard != NULL)
      take_option(settings, option, option->standard);
  for (size_t i = 0; i < COMMANDS; i++)
    settings->commands[i] = ls_commands[i].name;
  int end = read_options(settings, argc, argv);
  if (end != 0)
    return end;
  struct ls_program *program = &settings->program;
  program->commands = settings->commands;
  if (program->listen_count != 0 && (is_given(settings, "port") || is_given(settings, "host"))) {
    fprintf(stderr, "luaserve: either '--listen', or '--host' and '--port'\n");
    return usage_error();
  }
  char **rest = argv + optind;
  if (program->code == NULL) {
    const struct ls_command *command = *rest != NULL ? find_command(*rest) : NULL;
    if (command != NULL && command->module == NULL)
      return print_completion(rest + 1);
    if (command != NULL)
      program->module = command->module;
    else if (*rest == NULL && isatty(STDIN_FILENO))
      program->module = "luaserve.repl";
    else
      program->file = *rest != NULL ? *rest : "-";
    rest += *rest != NULL;
  }
  program->args = rest;
  if (program->file != NULL)
    find_misplaced(program);
  return 0;
}

/* ---- the lines at the start ---- */

/* Where it listens is said anyway. */
static bool is_worth_a_line(const struct ls_option *option, const char *given) {
  return given != NULL && option->kind != LS_OPTION_PORT && option->kind != LS_OPTION_TEXT &&
         option->kind != LS_OPTION_PLACE && (option->standard == NULL || strcmp(given, option->standard) != 0);
}

static void describe_option(FILE *out, const struct ls_option *option, const char *given) {
  fprintf(out, "  --%s%s%s", option->name, *given != '\0' ? " " : "", given);
  print_standard(out, option);
}

char *ls_command_line_describe(const struct ls_settings *settings, unsigned threads) {
  char *text;
  size_t len;
  FILE *out = open_memstream(&text, &len);
  if (out == NULL)
    return NULL;
  fprintf(out, "luaserve %s: 1 loop thread, %u pool thread%s\n", LS_VERSION, threads, threads == 1 ? "" : "s");
  for (size_t i = 0; i < OPTIONS; i++)
    if (is_worth_a_line(&ls_options[i], settings->given[i]))
      describe_option(out, &ls_options[i], settings->given[i]);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FEW_FILES)
    fprintf(out, "  at most %llu open files, and a connection is one (ulimit -Hn)\n",
            (unsigned long long)files.rlim_cur);
  return fclose(out) == 0 ? text : NULL;
}
