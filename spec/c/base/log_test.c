/* SPDX-License-Identifier: MIT */
/* log_test: lines reach their descriptor in order, and a reader that stalls costs lines, not time. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"

struct ends {
  int reader;
  int writer;
};

static struct ends open_pipe(void) {
  int fds[2];
  CHECK_INT(pipe(fds), 0);
  return (struct ends){fds[0], fds[1]};
}

/* Everything up to the end of the pipe; the caller frees it. */
static char *read_all(int fd) {
  size_t len = 0, cap = 1 << 16;
  char *text = malloc(cap);
  for (;;) {
    if (cap - len < 2)
      text = realloc(text, cap *= 2);
    ssize_t n = read(fd, text + len, cap - len - 1);
    CHECK(n >= 0);
    if (n == 0)
      break;
    len += (size_t)n;
  }
  text[len] = '\0';
  return text;
}

/* Writes what remains, then reads all of it. Only for what a pipe holds (64 KiB). */
static char *finish(struct ls_log *log, struct ends *ends) {
  ls_log_free(log);
  close(ends->writer);
  char *text = read_all(ends->reader);
  close(ends->reader);
  return text;
}

/* Reads up to and with the next newline. */
static void read_line(int fd, char *line, size_t size) {
  size_t n = 0;
  while (n + 1 < size && read(fd, line + n, 1) == 1 && line[n++] != '\n') {
  }
  line[n] = '\0';
}

static void line_has_time_and_level(void) {
  struct ends ends = open_pipe();
  struct ls_log *log = ls_log_new(ends.writer, 65536);
  errno = 42;
  ls_log_write(log, LS_LOG_ERROR, "no %s for %d", "room", 7);
  CHECK_INT(errno, 42);
  ls_log_write(log, LS_LOG_WARN, "two\nlines");
  ls_log_write(log, LS_LOG_INFO, "ended\n");
  ls_log_write(log, LS_LOG_DEBUG, "%s", "");
  char *text = finish(log, &ends);
  const char *form = "0000-00-00T00:00:00.000Z ";
  char *line = text;
  const char *expected[] = {"error: no room for 7\n", "warn: two\nlines\n", "info: ended\n", "debug: \n"};
  for (int i = 0; i < 4; i++) {
    for (const char *c = form; *c != '\0'; c++, line++)
      CHECK(*c == '0' ? *line >= '0' && *line <= '9' : *line == *c);
    CHECK(strncmp(line, expected[i], strlen(expected[i])) == 0);
    line += strlen(expected[i]);
  }
  CHECK(*line == '\0');
  free(text);
}

static void unused_log_has_nothing_to_stop(void) {
  struct ends ends = open_pipe();
  char *text = finish(ls_log_new(ends.writer, 65536), &ends);
  CHECK_BYTES(text, strlen(text), "");
  free(text);
  ls_log_free(NULL);
  CHECK(ls_log_new(-1, 65536) == NULL);
}

static void long_text_is_cut(void) {
  struct ends ends = open_pipe();
  struct ls_log *log = ls_log_new(ends.writer, 65536);
  char *large = malloc(20001);
  memset(large, 'x', 20000);
  large[20000] = '\0';
  ls_log_write(log, LS_LOG_INFO, "%s", large);
  for (int i = 0; i < 20000; i += 2)
    memcpy(large + i, "\xc3\xa9", 2);
  ls_log_write(log, LS_LOG_INFO, "%s", large);
  ls_log_write(log, LS_LOG_INFO, "x%s", large);
  ls_log_write(log, LS_LOG_INFO, "next");
  char *text = finish(log, &ends);
  char *line = text;
  for (int i = 0; i < 3; i++) {
    char *end = strchr(line, '\n');
    CHECK(end != NULL && end - line < 16 * 1024);
    char *mark = end;
    while (*mark != '[')
      mark--;
    size_t kept = (size_t)(mark - 1 - strstr(line, "info: ") - 6);
    size_t lost = strtoul(mark + 1, NULL, 10);
    CHECK_INT(kept + lost, i == 2 ? 20001 : 20000);
    CHECK(strncmp(end - 11, " bytes cut]", 11) == 0);
    if (i > 0)
      CHECK_INT((unsigned char)mark[-2], 0xa9); /* no half of a character */
    line = end + 1;
  }
  CHECK(strstr(line, "info: next\n") != NULL);
  free(large);
  free(text);
}

static void flush_waits_for_the_descriptor(void) {
  char name[] = "log_test_XXXXXX";
  int fd = mkstemp(name);
  CHECK(fd >= 0);
  unlink(name);
  struct ls_log *log = ls_log_new(fd, 65536);
  off_t size = 0;
  for (int i = 0; i < 100; i++) {
    ls_log_write(log, LS_LOG_INFO, "line %d", i);
    ls_log_flush(log, 10000);
    off_t now = lseek(fd, 0, SEEK_END);
    CHECK(now > size);
    size = now;
  }
  ls_log_free(log);
  close(fd);
}

/* The ring comes round many times, at every offset. */
static void lines_stay_whole_and_in_order(void) {
  char name[] = "log_test_XXXXXX";
  int fd = mkstemp(name);
  CHECK(fd >= 0);
  unlink(name);
  struct ls_log *log = ls_log_new(fd, 4096);
  for (int i = 0; i < 3000; i++) {
    ls_log_write(log, LS_LOG_INFO, "%d %.*s", i, i % 97,
                 "................................................................"
                 "...................................");
    if (i % 16 == 0)
      ls_log_flush(log, 10000);
  }
  ls_log_free(log);
  CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
  char *text = read_all(fd), *line = text;
  for (int i = 0; i < 3000; i++) {
    line = strstr(line, "info: ");
    CHECK(line != NULL);
    CHECK_INT(strtol(line + 6, &line, 10), i);
    CHECK_INT(strspn(line + 1, "."), i % 97);
    line += 1 + i % 97;
    CHECK_INT(*line, '\n');
  }
  CHECK(strstr(line, "info: ") == NULL);
  free(text);
  close(fd);
}

/* Leaves no room at all, so that what the log writes stays in its ring. Returns the bytes it took. */
static size_t fill_pipe(int writer) {
  char block[4096];
  memset(block, '-', sizeof block);
  int flags = fcntl(writer, F_GETFL);
  CHECK_INT(fcntl(writer, F_SETFL, flags | O_NONBLOCK), 0);
  size_t filled = 0;
  ssize_t n;
  while ((n = write(writer, block, sizeof block)) > 0)
    filled += (size_t)n;
  CHECK_INT(errno, EAGAIN);
  CHECK_INT(fcntl(writer, F_SETFL, flags), 0);
  return filled;
}

static void read_filling(int reader, size_t n) {
  char byte;
  while (n-- > 0)
    CHECK(read(reader, &byte, 1) == 1 && byte == '-');
}

static void stalled_reader_costs_lines_and_the_log_says_so(void) {
  struct ends ends = open_pipe();
  size_t filled = fill_pipe(ends.writer);
  struct ls_log *log = ls_log_new(ends.writer, 8192);
  int written = 0;
  while (ls_log_dropped(log) < 10 && written < 100000)
    ls_log_write(log, LS_LOG_INFO, "line %d", written++);
  CHECK_INT(ls_log_dropped(log), 10);
  read_filling(ends.reader, filled);
  char line[256];
  int next = 0;
  for (;;) {
    read_line(ends.reader, line, sizeof line);
    char *at = strstr(line, "info: line ");
    if (at == NULL)
      break;
    CHECK_INT(atoi(at + 11), next);
    next++;
  }
  CHECK(strstr(line, "Z warn: 10 log lines were dropped\n") != NULL);
  CHECK_INT(next, written - 10);
  ls_log_write(log, LS_LOG_INFO, "after");
  read_line(ends.reader, line, sizeof line);
  CHECK(strstr(line, "info: after\n") != NULL);
  CHECK_INT(ls_log_dropped(log), 10);
  ls_log_free(log);
  close(ends.writer);
  close(ends.reader);
}

static void free_gives_up_on_a_stalled_reader(void) {
  struct ends ends = open_pipe();
  fill_pipe(ends.writer);
  struct ls_log *log = ls_log_new(ends.writer, 8192);
  while (ls_log_dropped(log) == 0)
    ls_log_write(log, LS_LOG_INFO, "line");
  ls_log_flush(log, 1);
  ls_log_free(log); /* comes back: that is the test */
  close(ends.writer);
  free(read_all(ends.reader)); /* ends when the abandoned thread has closed its descriptor too */
  close(ends.reader);
}

static void nonblocking_pipe_is_waited_for(void) {
  struct ends ends = open_pipe();
  CHECK_INT(fcntl(ends.writer, F_SETFL, O_NONBLOCK), 0);
  struct ls_log *log = ls_log_new(ends.writer, 1 << 20);
  for (int i = 0; i < 5000; i++)
    ls_log_write(log, LS_LOG_INFO, "line %d", i);
  char line[256];
  for (int i = 0; i < 5000; i++) {
    read_line(ends.reader, line, sizeof line);
    char *at = strstr(line, "info: line ");
    CHECK(at != NULL);
    CHECK_INT(atoi(at + 11), i);
  }
  CHECK_INT(ls_log_dropped(log), 0);
  ls_log_free(log);
  close(ends.writer);
  close(ends.reader);
}

/* Nobody reads: an error and not a signal, and the lines are counted. */
static void closed_pipe_costs_lines(void) {
  struct ends ends = open_pipe();
  close(ends.reader);
  struct ls_log *log = ls_log_new(ends.writer, 8192);
  ls_log_write(log, LS_LOG_INFO, "two\nlines");
  ls_log_flush(log, 10000);
  CHECK_INT(ls_log_dropped(log), 2);
  ls_log_write(log, LS_LOG_INFO, "one more");
  CHECK_INT(ls_log_dropped(log), 3);
  ls_log_free(log);
  close(ends.writer);
}

static void on_signal(int number) {
  (void)number;
}

static void writer_takes_no_signals(void) {
  struct ends ends = open_pipe();
  struct sigaction action = {.sa_handler = on_signal}, before;
  sigaction(SIGUSR1, &action, &before);
  sigset_t set, old, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  struct ls_log *log = ls_log_new(ends.writer, 8192);
  ls_log_write(log, LS_LOG_INFO, "started");
  CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
  CHECK(!sigismember(&old, SIGUSR1)); /* starting the thread has left this one's mask alone */
  kill(getpid(), SIGUSR1);            /* only the writer could take it now */
  ls_log_write(log, LS_LOG_INFO, "more");
  ls_log_flush(log, 10000);
  CHECK_INT(sigpending(&pending), 0);
  CHECK(sigismember(&pending, SIGUSR1));
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  sigaction(SIGUSR1, &before, NULL);
  free(finish(log, &ends));
}

static void *write_many(void *arg) {
  for (int i = 0; i < 500; i++)
    ls_log_write(arg, LS_LOG_INFO, "line %d", i);
  return NULL;
}

static void threads_share_a_log(void) {
  struct ends ends = open_pipe();
  struct ls_log *log = ls_log_new(ends.writer, 1 << 20);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    CHECK_INT(pthread_create(&threads[i], NULL, write_many, log), 0);
  char line[256];
  int lines[500] = {0};
  for (int i = 0; i < 2000; i++) {
    read_line(ends.reader, line, sizeof line);
    char *at = strstr(line, "info: line ");
    CHECK(at != NULL);
    lines[atoi(at + 11)]++;
  }
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < 500; i++)
    CHECK_INT(lines[i], 4);
  CHECK_INT(ls_log_dropped(log), 0);
  free(finish(log, &ends));
}

static void what_is_kept_is_not_written(void) {
  struct ends ends = open_pipe();
  struct ls_log *log = ls_log_new(ends.writer, 8192);
  struct ls_buf text;
  ls_log_keep(log, true);
  ls_log_take(log, &text);
  CHECK_INT(text.len, 0);
  ls_log_write(log, LS_LOG_INFO, "kept");
  ls_log_take(log, &text);
  CHECK_INT(ls_buf_append(&text, "", 1), 0);
  CHECK(strstr(ls_buf_bytes(&text), " info: kept\n") != NULL);
  ls_buf_dispose(&text);
  char much[4096];
  memset(much, 'x', sizeof much);
  for (int i = 0; i < 512; i++)
    ls_log_write(log, LS_LOG_INFO, "%.*s", (int)sizeof much - 64, much);
  CHECK(ls_log_dropped(log) > 0);
  ls_log_keep(log, false);
  ls_log_write(log, LS_LOG_INFO, "written");
  char *all = finish(log, &ends);
  CHECK(strstr(all, "kept") == NULL);
  CHECK(strstr(all, "xxx") == NULL);
  CHECK(strstr(all, " info: written\n") != NULL);
  free(all);
}

int main(void) {
  RUN(line_has_time_and_level);
  RUN(unused_log_has_nothing_to_stop);
  RUN(long_text_is_cut);
  RUN(flush_waits_for_the_descriptor);
  RUN(lines_stay_whole_and_in_order);
  RUN(stalled_reader_costs_lines_and_the_log_says_so);
  RUN(free_gives_up_on_a_stalled_reader);
  RUN(nonblocking_pipe_is_waited_for);
  RUN(closed_pipe_costs_lines);
  RUN(writer_takes_no_signals);
  RUN(threads_share_a_log);
  RUN(what_is_kept_is_not_written);
  return 0;
}
