/* SPDX-License-Identifier: MIT */
/* From starting a server to its first response: the median of 21 runs, in milliseconds.
 *
 *   cc -O2 -o build/start bench/start.c && build/start ./luaserve -p 0 examples/hello.lua
 *
 * The server prints a line that ends in a colon, its port on 127.0.0.1, and a line feed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 21

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static pid_t start(char **command, int *out) {
  int ends[2];
  if (pipe(ends) != 0)
    fail("pipe");
  pid_t pid = fork();
  if (pid < 0)
    fail("fork");
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execvp(command[0], command);
    fail(command[0]);
  }
  close(ends[1]);
  *out = ends[0];
  return pid;
}

static int read_port(int out) {
  char line[512];
  size_t len = 0;
  while (len < sizeof line - 1) {
    ssize_t n = read(out, line + len, sizeof line - 1 - len);
    if (n <= 0)
      break;
    len += (size_t)n;
    line[len] = '\0';
    char *colon = strrchr(line, ':');
    if (colon != NULL && strchr(colon, '\n') != NULL)
      return atoi(colon + 1);
  }
  fprintf(stderr, "the server printed no port\n");
  exit(1);
}

static void ask(int port) {
  static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  char answer[4096];
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    fail("connect");
  if (write(fd, request, sizeof request - 1) < 0 || read(fd, answer, sizeof answer) <= 0)
    fail("request");
  close(fd);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  double times[RUNS];
  if (argc < 2) {
    fprintf(stderr, "usage: %s command [arguments]\n", argv[0]);
    return 2;
  }
  for (int i = 0; i < RUNS; i++) {
    int out;
    double began = now_ms();
    pid_t pid = start(argv + 1, &out);
    ask(read_port(out));
    times[i] = now_ms() - began;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(out);
  }
  qsort(times, RUNS, sizeof *times, compare);
  printf("median %.2f ms, from %.2f to %.2f\n", times[RUNS / 2], times[0], times[RUNS - 1]);
  return 0;
}
