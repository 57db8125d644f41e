/* SPDX-License-Identifier: MIT */
/* file_source_test: what a root keeps in, with openat2 and without it (a seccomp filter takes it away), in the inline form
 * and in the blocking one; and reads at any place. */
#include "loop/file_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0);
  CHECK_INT(write(fd, text, strlen(text)), strlen(text));
  CHECK_INT(close(fd), 0);
}

/* A folder with what leads out of it. */
static void make_tree(void) {
  static char folder[] = "/tmp/file-source-XXXXXX";
  CHECK(mkdtemp(folder) != NULL);
  CHECK_INT(chdir(folder), 0);
  CHECK_INT(mkdir("root", 0700), 0);
  CHECK_INT(mkdir("root/sub", 0700), 0);
  write_file("secret", "secret");
  write_file("root/file", "content");
  write_file("root/sub/file", "deeper");
  write_file("root/..hidden", "dots");
  write_file("root/a\\b", "backslash");
  char absolute[64];
  snprintf(absolute, sizeof absolute, "%s/secret", folder);
  CHECK_INT(symlink("../secret", "root/out"), 0);
  CHECK_INT(symlink(absolute, "root/absolute"), 0);
  CHECK_INT(symlink("sub/file", "root/inside"), 0);
  CHECK_INT(symlink("..", "root/up"), 0);
  CHECK_INT(symlink("loop", "root/loop"), 0);
  CHECK_INT(mkfifo("root/fifo", 0600), 0);
}

static void remove_tree(void) {
  char folder[256], command[300];
  CHECK(getcwd(folder, sizeof folder) != NULL);
  CHECK_INT(chdir("/"), 0);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  CHECK_INT(system(command), 0);
}

static int open_count(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* 0 or the code; what can be opened is read whole, against content. linked: what is known of the root, and what has been
 * learned. */
static int open_below(const char *root, bool *linked, const char *path, bool follow, bool inline_first,
                      const char *content) {
  struct ls_file_cache cache = {0};
  struct ls_file_source source;
  char bytes[64], whole[512];
  snprintf(whole, sizeof whole, "%s/%s", root, path);
  ls_file_source_init(&source, root, whole, follow);
  source.root_linked = *linked;
  int rc = inline_first ? ls_file_source_open_cached(&cache, &source) : -EAGAIN;
  if (rc == -EAGAIN)
    rc = ls_file_source_open(&source);
  *linked = source.root_linked;
  CHECK((rc == 0) == (source.fd >= 0));
  CHECK((rc == 0) == (source.failed == NULL));
  if (rc == 0) {
    CHECK_INT(source.size, strlen(content));
    ssize_t n = ls_file_source_read(&source, bytes, sizeof bytes, 0);
    CHECK_BYTES(bytes, (size_t)n, content);
  }
  ls_file_source_close(&source);
  return rc;
}

static int open_in(const char *path, bool follow, bool inline_first, const char *content) {
  bool linked = false;
  int rc = open_below("root", &linked, path, follow, inline_first, content);
  CHECK(!linked);
  return rc;
}

/* links: whether those that stay inside are followed. */
static void check_root(bool inline_first, bool links) {
  int before = open_count();
  CHECK_INT(open_in("file", false, inline_first, "content"), 0);
  CHECK_INT(open_in("sub/file", false, inline_first, "deeper"), 0);
  CHECK_INT(open_in(".//sub/./file", false, inline_first, "deeper"), 0);
  CHECK_INT(open_in("..hidden", false, inline_first, "dots"), 0);
  CHECK_INT(open_in("a\\b", false, inline_first, "backslash"), 0);
  CHECK_INT(open_in("../secret", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("sub/../file", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("..", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("sub/..", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("/etc/passwd", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("//etc/passwd", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("out", false, inline_first, ""), -EACCES);
  CHECK_INT(open_in("absolute", false, inline_first, ""), -EACCES);
  CHECK(open_in("up/secret", false, inline_first, "") == (links ? -EACCES : -ENOTDIR));
  CHECK(open_in("inside", false, inline_first, "deeper") == (links ? 0 : -EACCES));
  CHECK(open_in("loop", false, inline_first, "") == (links ? -ELOOP : -EACCES));
  CHECK_INT(open_in("", false, inline_first, ""), -ENOENT);
  CHECK_INT(open_in("none", false, inline_first, ""), -ENOENT);
  CHECK_INT(open_in("none/file", false, inline_first, ""), -ENOENT);
  CHECK_INT(open_in("file/", false, inline_first, ""), -ENOTDIR);
  CHECK_INT(open_in("file/x", false, inline_first, ""), -ENOTDIR);
  CHECK_INT(open_in(".", false, inline_first, ""), -EISDIR);
  CHECK_INT(open_in("sub", false, inline_first, ""), -EISDIR);
  CHECK_INT(open_in("sub/", false, inline_first, ""), -EISDIR);
  CHECK_INT(open_in("fifo", false, inline_first, ""), -EINVAL);
  char longer[300];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  CHECK_INT(open_in(longer, false, inline_first, ""), -ENAMETOOLONG);
  CHECK_INT(open_count(), before);
}

static void a_root_keeps_in(void) {
  check_root(false, true);
  check_root(true, true);
}

static void links_may_be_allowed_to_lead_out(void) {
  for (int inline_first = 0; inline_first < 2; inline_first++) {
    CHECK_INT(open_in("out", true, inline_first != 0, "secret"), 0);
    CHECK_INT(open_in("absolute", true, inline_first != 0, "secret"), 0);
    CHECK_INT(open_in("up/secret", true, inline_first != 0, "secret"), 0);
    CHECK_INT(open_in("../secret", true, inline_first != 0, ""), -EACCES);
    CHECK_INT(open_in("/etc/passwd", true, inline_first != 0, ""), -EACCES);
  }
}

/* A link to a folder is how a new version of a site is often put in the place of the old one. */
static void a_root_behind_a_link_is_found_anew_each_time(void) {
  bool linked = false, inline_first = true;
  CHECK_INT(mkdir("other", 0700), 0);
  write_file("other/file", "another");
  CHECK_INT(symlink("root", "current"), 0);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(open_below("current", &linked, "file", false, inline_first, "content"), 0);
    CHECK_INT(open_below("current", &linked, "inside", false, inline_first, "deeper"), 0);
    CHECK_INT(open_below("current", &linked, "out", false, inline_first, ""), -EACCES);
    CHECK_INT(open_below("current", &linked, "../secret", false, inline_first, ""), -EACCES);
  }
  CHECK(linked);
  CHECK_INT(symlink("other", "next"), 0);
  CHECK_INT(rename("next", "current"), 0);
  CHECK_INT(open_below("current", &linked, "file", false, inline_first, "another"), 0);
  CHECK_INT(unlink("current"), 0);
  CHECK_INT(open_below("current", &linked, "file", false, inline_first, ""), -ENOENT);
  CHECK_INT(rename("other", "current"), 0);
  CHECK_INT(open_below("current", &linked, "file", false, inline_first, "another"), 0);
  CHECK_INT(open_below("", &linked, "file", false, inline_first, ""), -ENOENT);
}

static void without_a_root_the_path_is_taken_as_it_is(void) {
  struct ls_file_source source;
  ls_file_source_init(&source, NULL, "root/../root/out", false);
  CHECK_INT(ls_file_source_open(&source), 0);
  CHECK_INT(source.size, 6);
  ls_file_source_close(&source);
  ls_file_source_init(&source, NULL, "/dev/null", false);
  CHECK_INT(ls_file_source_open(&source), -EINVAL);
  CHECK_INT(source.fd, -1);
}

static void reads_at_any_place(void) {
  struct ls_file_cache cache = {0};
  struct ls_file_source source;
  char bytes[16];
  ls_file_source_init(&source, NULL, "root/file", false);
  CHECK_INT(ls_file_source_open(&source), 0);
  CHECK_INT(ls_file_source_read_cached(&cache, &source, bytes, 3, 0), -EAGAIN); /* nobody knows the device */
  CHECK_INT(ls_file_source_read(&source, bytes, sizeof bytes, 3), 4);
  CHECK_BYTES(bytes, 4, "tent");
  CHECK_INT(ls_file_source_read(&source, bytes, sizeof bytes, 7), 0);
  ls_file_source_learn(&cache, &source);
  ssize_t n = ls_file_source_read_cached(&cache, &source, bytes, 3, 1);
  CHECK(n == -EAGAIN || n == 3);
  if (n == 3) {
    CHECK_BYTES(bytes, 3, "ont");
    CHECK_INT(ls_file_source_read_cached(&cache, &source, bytes, 3, 7), 0);
    struct ls_file_source again;
    ls_file_source_init(&again, "root", "root/file", false);
    CHECK_INT(ls_file_source_open_cached(&cache, &again), 0);
    CHECK_INT(again.size, source.size);
    CHECK_INT(again.inode, source.inode);
    CHECK_INT(again.modified_ns, source.modified_ns);
    ls_file_source_close(&again);
  }
  ls_file_source_close(&source);
}

/* From here on openat2 answers as an old kernel does, or as an old container's filter. */
static void take_openat2_away(int code) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  CHECK_INT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_INT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  errno = 0;
  CHECK(syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == -1 && errno == code);
}

static void a_root_keeps_in_without_openat2(void) {
  take_openat2_away(EPERM);
  check_root(false, false);
  check_root(true, false);
  take_openat2_away(ENOSYS);
  check_root(false, false);
  check_root(true, false);
  links_may_be_allowed_to_lead_out();
}

int main(void) {
  make_tree();
  RUN(a_root_keeps_in);
  RUN(links_may_be_allowed_to_lead_out);
  RUN(a_root_behind_a_link_is_found_anew_each_time);
  RUN(without_a_root_the_path_is_taken_as_it_is);
  RUN(reads_at_any_place);
  RUN(a_root_keeps_in_without_openat2); /* the last: it cannot be taken back */
  remove_tree();
  return 0;
}
