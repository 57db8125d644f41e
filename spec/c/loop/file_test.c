/* SPDX-License-Identifier: MIT */
/* file_test: what the inline form answers, and that the blocking form takes it from there.
 * How much of a file is cached, and whether its file system can say so without blocking, is the machine's: cases that
 * need the inline form to succeed are looked at only where a first probe shows that it can. */
#include "loop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"

static void write_file(const char *path, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0);
  for (size_t i = 0; i < size;) {
    char block[4096];
    size_t n = size - i < sizeof block ? size - i : sizeof block;
    for (size_t k = 0; k < n; k++)
      block[k] = (char)((i + k) % 251);
    CHECK_INT(write(fd, block, n), n);
    i += n;
  }
  CHECK_INT(close(fd), 0);
}

static bool holds(const struct ls_file_read *read, size_t size) {
  if (read->bytes.len != size)
    return false;
  for (size_t i = 0; i < size; i++) {
    if (ls_buf_bytes(&read->bytes)[i] != (char)(i % 251))
      return false;
  }
  return true;
}

/* What a caller does, with the pool's part on this thread. Whether the inline form sufficed goes to *inline_. */
static int read_file(struct ls_file_cache *cache, struct ls_file_read *read, bool *inline_) {
  int rc = ls_file_read_cached(cache, read);
  if (inline_ != NULL)
    *inline_ = rc == 0;
  if (rc != -EAGAIN)
    return rc;
  rc = ls_file_read_blocking(read);
  ls_file_learn(cache, read);
  return rc;
}

static int open_count(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* A cache that has learned the device of the spec's folder. */
static struct ls_file_cache learned_cache(void) {
  struct ls_file_cache cache = {0};
  struct ls_file_read read;
  write_file("learn", 10);
  ls_file_read_init(&read, "learn", 0);
  CHECK_INT(read_file(&cache, &read, NULL), 0);
  CHECK(holds(&read, 10));
  ls_file_read_dispose(&read);
  return cache;
}

static bool can_inline(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  ls_file_read_init(&read, "learn", 0);
  bool yes = ls_file_read_cached(&cache, &read) == 0;
  ls_file_read_dispose(&read);
  return yes;
}

static void device_is_learned_by_the_pool(void) {
  struct ls_file_cache cache = {0};
  struct ls_file_read read;
  write_file("file", 10000);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  CHECK(read.bytes.len == 0);
  CHECK_INT(ls_file_read_blocking(&read), 0);
  CHECK(holds(&read, 10000));
  CHECK_INT(read.fd, -1);
  struct stat st;
  CHECK_INT(stat("file", &st), 0);
  CHECK(read.device == st.st_dev);
  if (!cache.off) {
    ls_file_learn(&cache, &read);
    ls_file_learn(&cache, &read);
    CHECK_INT(cache.count, 1);
  }
  ls_file_read_dispose(&read);
  CHECK(read.bytes.data == NULL);
}

static void many_devices_are_forgotten_in_turn(void) {
  struct ls_file_cache cache = {0};
  struct ls_file_read read;
  ls_file_read_init(&read, "file", 0);
  ls_file_learn(&cache, &read); /* has learned nothing */
  CHECK_INT(cache.count, 0);
  read.device_local = true;
  for (dev_t device = 1; device <= 33; device++) {
    read.device = device;
    ls_file_learn(&cache, &read);
  }
  CHECK(cache.devices[0].device == 33);
  CHECK(cache.devices[31].device == 32);
  read.device = 5;
  read.device_local = false;
  ls_file_learn(&cache, &read);
  CHECK(!cache.devices[4].local);
  CHECK(cache.devices[5].local);
}

static void cached_file_needs_no_pool(void) {
  struct ls_file_cache cache = learned_cache();
  static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, LS_FILE_INLINE_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct ls_file_read read;
    write_file("file", sizes[i]);
    ls_file_read_init(&read, "file", sizes[i]);
    CHECK_INT(ls_file_read_cached(&cache, &read), 0);
    CHECK(holds(&read, sizes[i]));
    CHECK_INT(read.fd, -1);
    ls_file_read_dispose(&read);
  }
}

static void uncached_file_goes_on_in_the_pool(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  bool inline_;
  write_file("file", 200000);
  int fd = open("file", O_RDWR);
  CHECK_INT(fsync(fd), 0);
  CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  CHECK(read.fd >= 0);
  CHECK(holds(&read, read.bytes.len)); /* the start of it, if anything */
  CHECK_INT(ls_file_read_blocking(&read), 0);
  CHECK(holds(&read, 200000));
  ls_file_read_dispose(&read);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(read_file(&cache, &read, &inline_), 0);
  CHECK(inline_);
  ls_file_read_dispose(&read);
}

/* Only the first pages stay cached: a short inline read is continued, not begun again. */
static void partly_cached_file_is_read_whole(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  write_file("file", 200000);
  int fd = open("file", O_RDWR);
  CHECK_INT(fsync(fd), 0);
  CHECK_INT(posix_fadvise(fd, 65536, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(read_file(&cache, &read, NULL), 0);
  CHECK(holds(&read, 200000));
  ls_file_read_dispose(&read);
}

/* Between the inline form's size and its read is no time to change a file; between it and the pool is. */
static void file_that_changes_is_read_to_its_end(void) {
  struct ls_file_cache cache = {0}; /* knows no device: stops after the open */
  struct ls_file_read read;
  write_file("file", 1000);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  write_file("file", 70000);
  CHECK_INT(ls_file_read_blocking(&read), 0);
  CHECK(holds(&read, 70000));
  ls_file_read_dispose(&read);

  ls_file_read_init(&read, "file", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  write_file("file", 10);
  CHECK_INT(ls_file_read_blocking(&read), 0);
  CHECK(holds(&read, 10));
  ls_file_read_dispose(&read);

  ls_file_read_init(&read, "file", 60000);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  write_file("file", 70000);
  CHECK_INT(ls_file_read_blocking(&read), LS_ETOOBIG);
  CHECK_INT(read.fd, -1);
  ls_file_read_dispose(&read);
}

static void large_file_goes_to_the_pool(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  bool inline_;
  write_file("file", LS_FILE_INLINE_MAX + 1);
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(read_file(&cache, &read, &inline_), 0);
  CHECK(!inline_);
  CHECK(holds(&read, LS_FILE_INLINE_MAX + 1));
  ls_file_read_dispose(&read);
}

static void limit_is_kept_in_both_forms(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  write_file("file", 5000);
  for (uint64_t limit = 4999; limit <= 5000; limit++) {
    int expected = limit < 5000 ? LS_ETOOBIG : 0;
    ls_file_read_init(&read, "file", limit);
    CHECK_INT(read_file(&cache, &read, NULL), expected);
    CHECK_INT(read.fd, -1);
    ls_file_read_dispose(&read);
    ls_file_read_init(&read, "file", limit);
    CHECK_INT(ls_file_read_blocking(&read), expected);
    CHECK_INT(read.fd, -1);
    ls_file_read_dispose(&read);
  }
  ls_file_read_init(&read, "/dev/zero", 100000);
  CHECK_INT(read_file(&cache, &read, NULL), LS_ETOOBIG);
  CHECK_BYTES(read.failed, strlen(read.failed), "read");
  ls_file_read_dispose(&read);
}

static void check_error(char *path, int code, const char *failed) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  for (int form = 0; form < 3; form++) {
    ls_file_read_init(&read, path, 0);
    CHECK_INT(form == 0 ? ls_file_read_blocking(&read) : read_file(&cache, &read, NULL), code);
    CHECK_BYTES(read.failed, strlen(read.failed), failed);
    CHECK_INT(read.fd, -1);
    ls_file_read_dispose(&read);
  }
}

static void errors_are_the_systems(void) {
  check_error("missing", -ENOENT, "open");
  check_error("file/below", -ENOTDIR, "open");
  check_error("", -ENOENT, "open");
  CHECK_INT(mkdir("folder", 0700), 0);
  check_error("folder", -EISDIR, "read");
  check_error("/", -EISDIR, "read");
  CHECK_INT(symlink("loop", "loop"), 0);
  check_error("loop", -ELOOP, "open");
  char name[300];
  memset(name, 'n', sizeof name);
  name[299] = '\0';
  check_error(name, -ENAMETOOLONG, "open");
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  check_error("socket", -ENXIO, "open");
  close(fd);
}

static void symbolic_links_are_followed(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  write_file("file", 300);
  CHECK_INT(symlink("../file", "folder/link"), 0);
  for (int i = 0; i < 2; i++) {
    ls_file_read_init(&read, "folder/link", 0);
    CHECK_INT(read_file(&cache, &read, NULL), 0);
    CHECK(holds(&read, 300));
    ls_file_read_dispose(&read);
  }
}

static void files_without_a_size_are_read(void) {
  struct ls_file_cache cache = {0};
  for (int i = 0; i < 3; i++) {
    struct ls_file_read read;
    ls_file_read_init(&read, "/proc/self/status", 0);
    CHECK_INT(read_file(&cache, &read, NULL), 0);
    CHECK(read.bytes.len > 100);
    CHECK(memcmp(ls_buf_bytes(&read.bytes), "Name:", 5) == 0);
    ls_file_read_dispose(&read);
  }
  struct ls_file_read read;
  ls_file_read_init(&read, "/dev/null", 0);
  CHECK_INT(read_file(&cache, &read, NULL), 0);
  CHECK_INT(read.bytes.len, 0);
  ls_file_read_dispose(&read);
}

static void *write_to_pipe(void *path) {
  int fd = open(path, O_WRONLY);
  CHECK(fd >= 0);
  CHECK_INT(write(fd, "through ", 8), 8);
  CHECK_INT(write(fd, "the pipe", 8), 8);
  close(fd);
  return NULL;
}

/* The inline form comes back though there is no writer; the other waits for one. */
static void pipe_is_read_by_the_pool(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  pthread_t thread;
  CHECK_INT(mkfifo("pipe", 0600), 0);
  for (int form = 0; form < 2; form++) {
    ls_file_read_init(&read, "pipe", 0);
    if (form == 0)
      CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
    CHECK_INT(pthread_create(&thread, NULL, write_to_pipe, "pipe"), 0);
    CHECK_INT(ls_file_read_blocking(&read), 0);
    CHECK_BYTES(ls_buf_bytes(&read.bytes), read.bytes.len, "through the pipe");
    pthread_join(thread, NULL);
    ls_file_read_dispose(&read);
  }
}

static void switched_off_is_left_alone(void) {
  struct ls_file_cache cache = learned_cache();
  struct ls_file_read read;
  cache.off = true;
  ls_file_read_init(&read, "missing", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  CHECK_INT(read.fd, -1);
  ls_file_read_dispose(&read);
}

/* A read that is given up between its two forms. */
static void dispose_closes_the_descriptor(void) {
  struct ls_file_cache cache = {0};
  struct ls_file_read read;
  int before = open_count();
  ls_file_read_init(&read, "file", 0);
  CHECK_INT(ls_file_read_cached(&cache, &read), -EAGAIN);
  ls_file_read_dispose(&read);
  ls_file_read_dispose(&read);
  CHECK_INT(open_count(), before);
}

static void no_descriptor_is_an_error(void) {
  struct rlimit limit, none;
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
  none = limit;
  none.rlim_cur = 0;
  struct ls_file_cache cache = {0};
  struct ls_file_read read;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
  ls_file_read_init(&read, "file", 0);
  int rc = read_file(&cache, &read, NULL);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  CHECK_INT(rc, -EMFILE);
  ls_file_read_dispose(&read);
}

static void remove_files(const char *folder) {
  static const char *const files[] = {"file", "learn", "loop", "socket", "folder/link", "pipe"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    unlink(files[i]);
  rmdir("folder");
  CHECK_INT(chdir(".."), 0);
  CHECK_INT(rmdir(folder), 0);
}

int main(void) {
  char folder[] = "file_test_XXXXXX";
  CHECK(mkdtemp(folder) != NULL);
  CHECK_INT(chdir(folder), 0);
  int before = open_count();
  RUN(device_is_learned_by_the_pool);
  RUN(many_devices_are_forgotten_in_turn);
  if (can_inline()) {
    RUN(cached_file_needs_no_pool);
    RUN(uncached_file_goes_on_in_the_pool);
  } else {
    printf("skipped: the inline form does not work on this file system\n");
  }
  RUN(partly_cached_file_is_read_whole);
  RUN(file_that_changes_is_read_to_its_end);
  RUN(large_file_goes_to_the_pool);
  RUN(limit_is_kept_in_both_forms);
  RUN(errors_are_the_systems);
  RUN(symbolic_links_are_followed);
  RUN(files_without_a_size_are_read);
  RUN(pipe_is_read_by_the_pool);
  RUN(switched_off_is_left_alone);
  RUN(dispose_closes_the_descriptor);
  RUN(no_descriptor_is_an_error);
  CHECK_INT(open_count(), before);
  remove_files(folder);
  return 0;
}
