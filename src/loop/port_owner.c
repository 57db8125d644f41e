/* SPDX-License-Identifier: MIT */
#include "loop/port_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 320
#define STATE_LISTEN 0x0A

/* The inode of the socket in a table of sockets that listens at port; 0: there is none. */
static unsigned long find_inode(const char *table, int port) {
  FILE *file = fopen(table, "re");
  if (file == NULL)
    return 0;
  char line[512];
  unsigned long inode = 0;
  while (inode == 0 && fgets(line, sizeof line, file) != NULL) {
    unsigned local, state;
    unsigned long found;
    if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*d %lu", &local, &state, &found) == 3 &&
        state == STATE_LISTEN && local == (unsigned)port)
      inode = found;
  }
  fclose(file);
  return inode;
}

/* Whether a process, a name in /proc, has that socket open. */
static bool has_socket(const char *pid, const char *socket) {
  char path[PATH_SIZE], target[64];
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *folder = opendir(path);
  if (folder == NULL)
    return false;
  bool has = false;
  const struct dirent *entry;
  while (!has && (entry = readdir(folder)) != NULL) {
    ssize_t len = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
    if (len > 0) {
      target[len] = '\0';
      has = strcmp(target, socket) == 0;
    }
  }
  closedir(folder);
  return has;
}

/* The name a process goes by, which ends with its line. Any process chooses its own, and it is shown on a terminal. */
static void read_name(const char *pid, char *name, size_t size) {
  char path[PATH_SIZE];
  snprintf(path, sizeof path, "/proc/%s/comm", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL || fgets(name, (int)size, file) == NULL)
    snprintf(name, size, "a process");
  if (file != NULL)
    fclose(file);
  name[strcspn(name, "\n")] = '\0';
  for (char *c = name; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      *c = '?';
}

bool ls_port_owner_find(int port, char *text, size_t size) {
  unsigned long inode = find_inode("/proc/net/tcp", port);
  if (inode == 0)
    inode = find_inode("/proc/net/tcp6", port);
  DIR *processes = inode != 0 ? opendir("/proc") : NULL;
  if (processes == NULL)
    return false;
  char socket[40], name[64];
  snprintf(socket, sizeof socket, "socket:[%lu]", inode);
  const struct dirent *entry;
  bool found = false;
  while (!found && (entry = readdir(processes)) != NULL) {
    found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && has_socket(entry->d_name, socket);
    if (!found)
      continue;
    read_name(entry->d_name, name, sizeof name);
    snprintf(text, size, "%s (pid %s)", name, entry->d_name);
  }
  closedir(processes);
  return found;
}
