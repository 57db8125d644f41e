/* SPDX-License-Identifier: MIT */
#include "loop/line_reader.h"

#include <dlfcn.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>
#include <wchar.h>

#include "loop/loop.h"

#define HISTORY_LINES 1000

/* ---- libedit ---- */

/* As histedit.h has them: the library is not needed where luaserve is built. */
enum { EL_PROMPT = 0, EL_EDITOR = 2, EL_BIND = 4, EL_ADDFN = 9, EL_HIST = 10, EL_GETCFN = 13, EL_CLIENTDATA = 14 };
enum { EL_PREP_TERM = 16, EL_REFRESH = 20 };
enum { H_SETSIZE = 1, H_ENTER = 10, H_SETUNIQUE = 20 };
enum { CC_REFRESH = 4, CC_REDISPLAY = 8, CC_REFRESH_BEEP = 9 };

struct editor;
struct history;

struct line_info {
  const char *buffer;
  const char *cursor;
  const char *end;
};

struct history_event {
  int number;
  const char *text;
};

struct libedit {
  void *library;
  struct editor *(*init)(const char *program, FILE *in, FILE *out, FILE *err);
  void (*end)(struct editor *editor);
  void (*resize)(struct editor *editor);
  int (*source)(struct editor *editor, const char *path);
  const char *(*gets)(struct editor *editor, int *count);
  int (*set)(struct editor *editor, int what, ...);
  int (*set_wide)(struct editor *editor, int what, ...);
  int (*get)(struct editor *editor, int what, ...);
  int (*insert)(struct editor *editor, const char *text);
  const struct line_info *(*line)(struct editor *editor);
  struct history *(*history_init)(void);
  void (*history_end)(struct history *history);
  int (*history)(struct history *history, struct history_event *event, int what, ...);
};

static const struct {
  const char *name;
  size_t offset;
} symbols[] = {
    {"el_init", offsetof(struct libedit, init)},
    {"el_end", offsetof(struct libedit, end)},
    {"el_resize", offsetof(struct libedit, resize)},
    {"el_source", offsetof(struct libedit, source)},
    {"el_gets", offsetof(struct libedit, gets)},
    {"el_set", offsetof(struct libedit, set)},
    {"el_wset", offsetof(struct libedit, set_wide)},
    {"el_get", offsetof(struct libedit, get)},
    {"el_insertstr", offsetof(struct libedit, insert)},
    {"el_line", offsetof(struct libedit, line)},
    {"history_init", offsetof(struct libedit, history_init)},
    {"history_end", offsetof(struct libedit, history_end)},
    {"history", offsetof(struct libedit, history)},
};

static void unload(struct libedit *libedit) {
  if (libedit->library != NULL)
    dlclose(libedit->library);
  libedit->library = NULL;
}

static void load(struct libedit *libedit) {
  /* It stays when it is unloaded: what it keeps of the terminal is its own for as long as the process lives. */
  libedit->library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  for (size_t i = 0; libedit->library != NULL && i < sizeof symbols / sizeof *symbols; i++) {
    void *address = dlsym(libedit->library, symbols[i].name);
    memcpy((char *)libedit + symbols[i].offset, &address, sizeof address);
    if (address == NULL)
      unload(libedit);
  }
}

/* ---- the reader ---- */

struct ls_line_reader {
  struct ls_loop *loop;
  const struct ls_line_reader_events *events;
  void *data;
  uv_async_t async; /* the thread has something to say */
  uv_thread_t thread;
  uv_mutex_t mutex;
  uv_cond_t changed;
  int wake; /* an eventfd: the loop has something to say while the thread waits for a key */

  /* The thread's alone while it reads, the loop's with the mutex while it does not. */
  struct libedit libedit;
  struct editor *editor;
  struct history *history;
  char *shown; /* the prompt */
  unsigned reading;

  /* Under the mutex. */
  unsigned serial; /* of the newest start or stop: an older line is wanted no more */
  char *prompt;    /* of the line that is wanted and not begun; NULL: none */
  char *line;
  char *before; /* to be completed */
  char *text, *listing;
  bool busy, finished, completed, refresh, quit;
};

static void tell_thread(struct ls_line_reader *reader) {
  uint64_t one = 1;
  uv_cond_broadcast(&reader->changed);
  while (write(reader->wake, &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

static bool is_stopped(const struct ls_line_reader *reader) {
  return reader->quit || reader->serial != reader->reading;
}

static void replace(char **place, char *text) {
  free(*place);
  *place = text;
}

/* ---- in the thread ---- */

/* What the loop has said meanwhile; false: to stop. */
static bool heed_loop(struct ls_line_reader *reader) {
  uint64_t count;
  while (read(reader->wake, &count, sizeof count) < 0 && errno == EINTR)
    continue;
  uv_mutex_lock(&reader->mutex);
  bool stopped = is_stopped(reader), refresh = reader->refresh;
  reader->refresh = false;
  uv_mutex_unlock(&reader->mutex);
  if (!stopped && refresh && reader->editor != NULL) {
    reader->libedit.set(reader->editor, EL_PREP_TERM, 0);
    reader->libedit.set(reader->editor, EL_PREP_TERM, 1);
    reader->libedit.resize(reader->editor);
    putchar('\r'); /* where the editor takes the cursor to be */
    reader->libedit.set(reader->editor, EL_REFRESH);
  }
  return !stopped;
}

/* 1; 0 at the end of the input; -1 when the line is wanted no more. */
static int read_byte(struct ls_line_reader *reader, char *byte) {
  struct pollfd polled[2] = {{.fd = reader->wake, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  for (;;) {
    if (poll(polled, 2, -1) < 0 && errno != EINTR)
      return 0;
    if (polled[0].revents != 0 && !heed_loop(reader))
      return -1;
    if (polled[1].revents == 0)
      continue;
    ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got >= 0)
      return (int)got;
    if (errno != EINTR && errno != EAGAIN)
      return 0;
  }
}

/* Who edits. The editor alone knows, and only the library, loaded already, can ask it: once a key. */
static struct ls_line_reader *reader_of(struct editor *editor) {
  struct libedit libedit;
  void *reader = NULL;
  load(&libedit);
  libedit.get(editor, EL_CLIENTDATA, &reader);
  unload(&libedit);
  return reader;
}

/* The editor's source of keys. */
static int on_key_wanted(struct editor *editor, wchar_t *key) {
  struct ls_line_reader *reader = reader_of(editor);
  mbstate_t state = {0};
  for (;;) {
    char byte;
    int got = read_byte(reader, &byte);
    if (got <= 0)
      return got;
    size_t length = mbrtowc(key, &byte, 1, &state);
    if (length <= 1)
      return 1;
    if (length == (size_t)-1)
      memset(&state, 0, sizeof state); /* no character: as if it had not been typed */
  }
}

static char *on_prompt_wanted(struct editor *editor) {
  return reader_of(editor)->shown;
}

static unsigned char on_tab(struct editor *editor, int key) {
  struct ls_line_reader *reader = reader_of(editor);
  const struct line_info *line = reader->libedit.line(editor);
  (void)key;
  uv_mutex_lock(&reader->mutex);
  replace(&reader->before, strndup(line->buffer, (size_t)(line->cursor - line->buffer)));
  reader->completed = reader->before == NULL;
  uv_async_send(&reader->async);
  while (!reader->completed && !is_stopped(reader))
    uv_cond_wait(&reader->changed, &reader->mutex);
  char *text = reader->text, *listing = reader->listing;
  reader->text = reader->listing = NULL;
  uv_mutex_unlock(&reader->mutex);
  unsigned char result = listing != NULL ? CC_REDISPLAY : text != NULL ? CC_REFRESH : CC_REFRESH_BEEP;
  if (listing != NULL)
    printf("\n%s", listing);
  if (text != NULL)
    reader->libedit.insert(editor, text);
  free(text);
  free(listing);
  return result;
}

/* Without an editor the terminal sends whole lines. */
static char *read_plain(struct ls_line_reader *reader) {
  size_t size = 0;
  char *line = NULL, byte = '\0';
  FILE *text = open_memstream(&line, &size);
  if (text == NULL)
    return NULL;
  fputs(reader->shown, stdout);
  fflush(stdout);
  int got;
  while ((got = read_byte(reader, &byte)) == 1 && byte != '\n')
    fputc(byte, text);
  bool ended = got < 0 || (got == 0 && ftell(text) == 0);
  bool failed = fclose(text) != 0;
  if (!ended && !failed)
    return line;
  free(line);
  return NULL;
}

static char *read_line(struct ls_line_reader *reader) {
  int count = 0;
  if (reader->editor == NULL)
    return read_plain(reader);
  reader->libedit.set(reader->editor, EL_PREP_TERM, 1); /* or the prompt came first, and a quick Ctrl-D got lost */
  const char *line = reader->libedit.gets(reader->editor, &count);
  if (line == NULL || count <= 0)
    return NULL;
  return strndup(line, strcspn(line, "\r\n"));
}

/* Editing is of characters, so it needs to know the encoding. The process keeps its own locale. */
static locale_t use_locale(void) {
  locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  if (locale == (locale_t)0 || strcmp(nl_langinfo_l(CODESET, locale), "ANSI_X3.4-1968") == 0) {
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 != (locale_t)0) {
      if (locale != (locale_t)0)
        freelocale(locale);
      locale = utf8;
    }
  }
  if (locale != (locale_t)0)
    uselocale(locale);
  return locale;
}

static void open_editor(struct ls_line_reader *reader) {
  const struct libedit *libedit = &reader->libedit;
  if (libedit->library == NULL)
    return;
  reader->editor = libedit->init("luaserve", stdin, stdout, stderr);
  if (reader->editor == NULL)
    return;
  libedit->set(reader->editor, EL_CLIENTDATA, reader);
  libedit->set(reader->editor, EL_GETCFN, on_key_wanted);
  libedit->set(reader->editor, EL_PROMPT, on_prompt_wanted);
  libedit->set(reader->editor, EL_EDITOR, "emacs");
  libedit->set_wide(reader->editor, EL_ADDFN, L"luaserve-complete", L"Complete a name", on_tab); /* set would leak */
  libedit->set(reader->editor, EL_BIND, "^I", "luaserve-complete", NULL);
  libedit->set(reader->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
  if (reader->history != NULL)
    libedit->set(reader->editor, EL_HIST, libedit->history, reader->history);
  libedit->source(reader->editor, NULL); /* ~/.editrc */
}

static void close_editor(struct ls_line_reader *reader) {
  if (reader->editor != NULL)
    reader->libedit.end(reader->editor);
  reader->editor = NULL;
  if (reader->history != NULL)
    reader->libedit.history_end(reader->history);
  reader->history = NULL;
}

/* Waits for a line to be wanted; false: to end. Called and returns with the mutex. */
static bool await_wish(struct ls_line_reader *reader) {
  while (!reader->quit && reader->prompt == NULL)
    uv_cond_wait(&reader->changed, &reader->mutex);
  if (reader->quit)
    return false;
  replace(&reader->shown, reader->prompt);
  reader->prompt = NULL;
  reader->reading = reader->serial;
  reader->busy = true;
  return true;
}

static void run_thread(void *argument) {
  struct ls_line_reader *reader = argument;
  locale_t locale = use_locale();
  uv_mutex_lock(&reader->mutex);
  open_editor(reader);
  while (await_wish(reader)) {
    uv_mutex_unlock(&reader->mutex);
    char *line = read_line(reader);
    uv_mutex_lock(&reader->mutex);
    reader->busy = false;
    if (is_stopped(reader)) {
      free(line);
      continue;
    }
    reader->line = line;
    reader->finished = true;
    uv_async_send(&reader->async);
  }
  close_editor(reader);
  uv_mutex_unlock(&reader->mutex);
  uselocale(LC_GLOBAL_LOCALE);
  if (locale != (locale_t)0)
    freelocale(locale);
}

/* ---- in the loop ---- */

static void on_async(uv_async_t *async) {
  struct ls_line_reader *reader = async->data;
  uv_mutex_lock(&reader->mutex);
  bool finished = reader->finished;
  char *line = reader->line, *before = reader->before;
  reader->line = reader->before = NULL;
  reader->finished = false;
  uv_mutex_unlock(&reader->mutex);
  if (before != NULL)
    reader->events->on_complete(reader->data, before);
  if (finished)
    reader->events->on_line(reader->data, line);
  ls_loop_drain(reader->loop);
}

/* Signals are the loop's. */
static int start_thread(struct ls_line_reader *reader) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = uv_thread_create(&reader->thread, run_thread, reader);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

static void free_reader(struct ls_line_reader *reader) {
  unload(&reader->libedit);
  uv_cond_destroy(&reader->changed);
  uv_mutex_destroy(&reader->mutex);
  close(reader->wake);
  free(reader->shown);
  free(reader->prompt);
  free(reader->line);
  free(reader->before);
  free(reader->text);
  free(reader->listing);
  free(reader);
}

static void on_closed(uv_handle_t *handle) {
  free_reader(handle->data);
}

/* What needs undoing one by one when a later step fails. */
static int open_parts(struct ls_line_reader *reader) {
  reader->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (reader->wake < 0)
    return -errno;
  int status = uv_mutex_init(&reader->mutex);
  if (status == 0) {
    status = uv_cond_init(&reader->changed);
    if (status == 0)
      return 0;
    uv_mutex_destroy(&reader->mutex);
  }
  close(reader->wake);
  return status;
}

/* Before the thread runs: lines may be remembered at once. */
static void open_history(struct ls_line_reader *reader) {
  struct history_event event;
  if (reader->libedit.library != NULL)
    reader->history = reader->libedit.history_init();
  if (reader->history == NULL)
    return;
  reader->libedit.history(reader->history, &event, H_SETSIZE, HISTORY_LINES);
  reader->libedit.history(reader->history, &event, H_SETUNIQUE, 1);
}

int ls_line_reader_new(struct ls_line_reader **made, struct ls_loop *loop, const struct ls_line_reader_events *events,
                       void *data) {
  struct ls_line_reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL)
    return -ENOMEM;
  *reader = (struct ls_line_reader){.loop = loop, .events = events, .data = data};
  int status = open_parts(reader);
  if (status != 0) {
    free(reader);
    return status;
  }
  status = uv_async_init(&loop->uv, &reader->async, on_async);
  if (status != 0) {
    free_reader(reader);
    return status;
  }
  reader->async.data = reader;
  if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
    load(&reader->libedit);
  open_history(reader);
  status = start_thread(reader);
  if (status != 0) {
    if (reader->history != NULL)
      reader->libedit.history_end(reader->history);
    uv_close((uv_handle_t *)&reader->async, on_closed);
    return status;
  }
  *made = reader;
  return 0;
}

bool ls_line_reader_edits(const struct ls_line_reader *reader) {
  return reader->libedit.library != NULL;
}

/* With the mutex: what was asked for, or has been read, is wanted no more. */
static void forget_line(struct ls_line_reader *reader) {
  reader->serial++;
  reader->finished = false;
  replace(&reader->prompt, NULL);
  replace(&reader->line, NULL);
  replace(&reader->before, NULL);
}

int ls_line_reader_start(struct ls_line_reader *reader, const char *prompt) {
  char *copy = strdup(prompt);
  if (copy == NULL)
    return -ENOMEM;
  uv_mutex_lock(&reader->mutex);
  forget_line(reader);
  reader->prompt = copy;
  tell_thread(reader);
  uv_mutex_unlock(&reader->mutex);
  return 0;
}

void ls_line_reader_stop(struct ls_line_reader *reader) {
  uv_mutex_lock(&reader->mutex);
  forget_line(reader);
  tell_thread(reader);
  uv_mutex_unlock(&reader->mutex);
}

void ls_line_reader_complete(struct ls_line_reader *reader, const char *text, const char *listing) {
  uv_mutex_lock(&reader->mutex);
  replace(&reader->text, text != NULL ? strdup(text) : NULL);
  replace(&reader->listing, listing != NULL ? strdup(listing) : NULL);
  reader->completed = true;
  tell_thread(reader);
  uv_mutex_unlock(&reader->mutex);
}

void ls_line_reader_remember(struct ls_line_reader *reader, const char *line) {
  struct history_event event;
  uv_mutex_lock(&reader->mutex);
  if (reader->history != NULL && !reader->busy)
    reader->libedit.history(reader->history, &event, H_ENTER, line);
  uv_mutex_unlock(&reader->mutex);
}

void ls_line_reader_refresh(struct ls_line_reader *reader) {
  uv_mutex_lock(&reader->mutex);
  reader->refresh = reader->busy;
  tell_thread(reader);
  uv_mutex_unlock(&reader->mutex);
}

void ls_line_reader_close(struct ls_line_reader *reader) {
  uv_mutex_lock(&reader->mutex);
  reader->quit = true;
  tell_thread(reader);
  uv_mutex_unlock(&reader->mutex);
  uv_thread_join(&reader->thread);
  uv_close((uv_handle_t *)&reader->async, on_closed);
}
