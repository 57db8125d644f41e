/* SPDX-License-Identifier: MIT */
/* fs.watch: what changes in a folder or a tree.
 *
 * inotify is read here rather than by uv_fs_event, which cannot tell a creation from a deletion, the two sides of a
 * rename, that a writer is done, nor that events were lost. What it says is put into words (the event's table) when
 * it is given to the function. The function's calls come one after the other, in one task; while it waits, events are
 * kept, and when they are many the reading stops: then the kernel's queue fills up, and tells of it. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uv.h>

#include "bind/fs/impl.h"
#include "bind/fs/watches.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/runtime.h"
#include "script/task.h"

#define WATCHER_TYPE "luaserve.watcher"
#define READ_SIZE ((size_t)16 * 1024)
#define KEPT_MAX ((size_t)256 * 1024) /* more events than fit into it are left to the kernel */

enum kind { CREATE, CHANGE, WRITTEN, ATTRIBUTES, DELETE, RENAME, GONE, OVERFLOW };

/* User value 1 is the function. */
struct handle {
  struct watcher *watcher; /* an owner; NULL: not begun */
};

struct watcher {
  uv_poll_t poll;
  struct ls_work work; /* looks into new folders */
  struct ls_ready ready;
  struct ls_runtime *rt;
  struct ls_fs *fs; /* a reference */
  struct ls_fs_watches *watches;
  int self;        /* registry reference of the handle while it is open */
  unsigned owners; /* the uv handle, the userdata, the job, the task */
  bool closed;
  bool adding;          /* the job has the watches; what has been read waits */
  bool delivering;      /* the task runs */
  bool ended;           /* the watched folder has gone */
  struct ls_buf raw;    /* read and not looked at */
  struct ls_buf events; /* for the function: kind, whether it is a folder, name, NUL, from, NUL */
  char *added;          /* what the job looks into */
  int added_code;
  char *moved; /* a name that has gone elsewhere, which the next event may name; NULL */
  uint32_t cookie;
  bool moved_folder;
};

static bool is_open(const struct handle *handle) {
  return handle->watcher != NULL && !handle->watcher->closed;
}

static void release(struct watcher *watcher) {
  if (--watcher->owners > 0)
    return;
  ls_fs_watches_free(watcher->watches, watcher->fs);
  ls_buf_dispose(&watcher->raw);
  ls_buf_dispose(&watcher->events);
  free(watcher->added);
  free(watcher->moved);
  ls_fs_unref(watcher->fs);
  free(watcher);
}

static void on_closed(uv_handle_t *poll) {
  release(poll->data);
}

static void close_watcher(struct watcher *watcher) {
  if (watcher->closed)
    return;
  watcher->closed = true;
  luaL_unref(watcher->rt->L, LUA_REGISTRYINDEX, watcher->self);
  ls_loop_unqueue(&watcher->ready);
  if (watcher->adding && ls_work_cancel(&watcher->work))
    release(watcher); /* the job's share; the handle's is still there */
  uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

/* ---- giving events to the function ---- */

static void on_readable(uv_poll_t *poll, int status, int events);

/* Reads while there is room, and nothing is in the way. */
static void go_on(struct watcher *watcher) {
  if (watcher->closed)
    return;
  if (watcher->adding || watcher->ended || watcher->events.len > KEPT_MAX)
    uv_poll_stop(&watcher->poll);
  else
    uv_poll_start(&watcher->poll, UV_READABLE, on_readable);
}

static void set_string(lua_State *L, const char *name, const char *value) {
  if (*value == '\0')
    return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* Takes the first event out and pushes its table. */
static void push_event(lua_State *L, struct watcher *watcher) {
  static const char *const kinds[] = {"create", "change", "written", "attributes",
                                      "delete", "rename", "gone",    "overflow"};
  const char *event = ls_buf_bytes(&watcher->events);
  const char *name = event + 2, *from = name + strlen(name) + 1;
  lua_createtable(L, 0, 4);
  set_string(L, "kind", kinds[(unsigned char)event[0]]);
  set_string(L, "name", name);
  set_string(L, "from", from);
  if (*name != '\0') {
    lua_pushboolean(L, event[1]);
    lua_setfield(L, -2, "directory");
  }
  ls_buf_consume(&watcher->events, (size_t)(from + strlen(from) + 1 - event));
}

/* Index 1 is the watcher, of which the task is an owner. */
static int k_deliver(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  struct watcher *watcher = lua_touserdata(L, 1);
  luaL_checkstack(L, 8, NULL);
  while (!watcher->closed && watcher->events.len > 0) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, watcher->self);
    lua_getiuservalue(L, -1, 1);
    lua_replace(L, -2);
    push_event(L, watcher);
    lua_callk(L, 1, 0, 0, k_deliver);
  }
  return 0;
}

static int l_deliver(lua_State *L) {
  return k_deliver(L, LUA_OK, 0);
}

/* After an error, which is logged, the next event has a task of its own. */
static void on_delivered(struct ls_task *task, lua_State *L, int status) {
  struct watcher *watcher = task->data;
  task->data = NULL;
  if (watcher != NULL) {
    watcher->delivering = false;
    if (!watcher->closed && watcher->events.len > 0)
      ls_loop_ready(watcher->rt->loop, &watcher->ready);
    else if (watcher->ended)
      close_watcher(watcher);
    go_on(watcher);
    release(watcher);
  }
  ls_task_end_logged(task, L, status);
}

static void run_deliver(struct ls_ready *ready) {
  struct watcher *watcher = ls_container_of(ready, struct watcher, ready);
  struct ls_task *task = ls_task_take(watcher->rt, &watcher->rt->root, true);
  if (task == NULL) {
    ls_log_write(watcher->rt->loop->log, LS_LOG_ERROR, "out of memory: a watcher's function is not called");
    return;
  }
  watcher->delivering = true;
  watcher->owners++;
  task->data = watcher;
  ls_task_run_c(task, l_deliver, watcher, on_delivered);
}

/* An event that there is no memory for is lost. */
static void emit(struct watcher *watcher, enum kind kind, bool folder, const char *name, const char *from) {
  const char *only = watcher->watches->only;
  if (only != NULL && *name != '\0' && strcmp(name, only) != 0 && strcmp(from, only) != 0)
    return;
  size_t name_size = strlen(name) + 1, from_size = strlen(from) + 1;
  struct ls_buf *events = &watcher->events;
  if (ls_buf_reserve(events, 2 + name_size + from_size) != 0) {
    ls_log_write(watcher->rt->loop->log, LS_LOG_ERROR, "out of memory: an event of a watcher is lost");
    return;
  }
  ls_buf_append(events, (char[]){(char)kind, (char)folder}, 2);
  ls_buf_append(events, name, name_size);
  ls_buf_append(events, from, from_size);
  if (!watcher->delivering)
    ls_loop_ready(watcher->rt->loop, &watcher->ready);
}

/* ---- new folders ---- */

static void read_events(struct watcher *watcher);

static void run_add(struct ls_work *work) {
  struct watcher *watcher = ls_container_of(work, struct watcher, work);
  watcher->added_code = ls_fs_watches_add(watcher->watches, watcher->added);
}

static void on_added(struct ls_work *work) {
  struct watcher *watcher = ls_container_of(work, struct watcher, work);
  struct ls_buf *found = &watcher->watches->found;
  watcher->adding = false;
  while (found->len > 0) {
    const char *record = ls_buf_bytes(found);
    if (!watcher->closed)
      emit(watcher, CREATE, *record == DT_DIR, record + 1, "");
    ls_buf_consume(found, ls_fs_record_length(record));
  }
  if (!watcher->closed) {
    if (watcher->added_code != 0)
      emit(watcher, OVERFLOW, false, "", "");
    read_events(watcher);
  }
  release(watcher);
}

static void add_folder(struct watcher *watcher, const char *path) {
  free(watcher->added);
  watcher->added = strdup(path);
  watcher->work = (struct ls_work){.run = run_add, .done = on_added};
  if (watcher->added == NULL || ls_work_submit(watcher->rt->loop, &watcher->work, LS_LANE_FILE) != 0) {
    emit(watcher, OVERFLOW, false, "", "");
    return;
  }
  watcher->adding = true;
  watcher->owners++;
}

/* ---- what inotify says ---- */

/* The other side of a move did not come: it went to somewhere else. */
static void end_move(struct watcher *watcher) {
  char *moved = watcher->moved;
  if (moved == NULL)
    return;
  watcher->moved = NULL;
  emit(watcher, DELETE, watcher->moved_folder, moved, "");
  if (watcher->moved_folder && watcher->watches->recursive)
    ls_fs_watches_remove(watcher->watches, moved);
  free(moved);
}

static void begin_move(struct watcher *watcher, const struct inotify_event *event, const char *name) {
  watcher->moved = strdup(name);
  watcher->cookie = event->cookie;
  watcher->moved_folder = (event->mask & IN_ISDIR) != 0;
}

static void rename_entry(struct watcher *watcher, bool folder, const char *name) {
  char *from = watcher->moved;
  watcher->moved = NULL;
  emit(watcher, RENAME, folder, name, from);
  if (folder && watcher->watches->recursive && ls_fs_watches_rename(watcher->watches, from, name) != 0)
    emit(watcher, OVERFLOW, false, "", "");
  free(from);
}

static void end_watching(struct watcher *watcher) {
  watcher->ended = true;
  emit(watcher, GONE, false, "", "");
}

/* About an entry, whose name is its path in the tree. */
static void take_entry(struct watcher *watcher, const struct inotify_event *event, const char *name) {
  bool folder = (event->mask & IN_ISDIR) != 0;
  switch (event->mask & IN_ALL_EVENTS) {
  case IN_MOVED_FROM:
    begin_move(watcher, event, name);
    break;
  case IN_MOVED_TO:
  case IN_CREATE:
    emit(watcher, CREATE, folder, name, "");
    if (folder && watcher->watches->recursive)
      add_folder(watcher, name);
    break;
  case IN_DELETE:
    emit(watcher, DELETE, folder, name, "");
    break;
  case IN_MODIFY:
    emit(watcher, CHANGE, folder, name, "");
    break;
  case IN_CLOSE_WRITE:
    emit(watcher, WRITTEN, folder, name, "");
    break;
  case IN_ATTRIB:
    emit(watcher, ATTRIBUTES, folder, name, "");
    break;
  }
}

/* About a folder that has a watch: those that are not the root are told of by the folder they are in. */
static void take_self(struct watcher *watcher, const struct inotify_event *event, struct ls_fs_watch *watch) {
  bool root = *watch->path == '\0';
  if (event->mask & IN_IGNORED)
    ls_fs_watches_forget(watcher->watches, watch);
  if (root && !watcher->ended && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
    end_watching(watcher);
}

static void take_event(struct watcher *watcher, const struct inotify_event *event, const char *name) {
  struct ls_buf path = {0};
  bool pair = watcher->moved != NULL && event->mask & IN_MOVED_TO && event->cookie == watcher->cookie;
  if (!pair)
    end_move(watcher);
  if (event->mask & IN_Q_OVERFLOW)
    emit(watcher, OVERFLOW, false, "", "");
  struct ls_fs_watch *watch = ls_fs_watches_find(watcher->watches, event->wd);
  if (watch == NULL)
    return;
  if (event->len == 0) {
    take_self(watcher, event, watch);
    return;
  }
  size_t folder = strlen(watch->path);
  if (ls_buf_reserve(&path, folder + strlen(name) + 2) != 0) {
    emit(watcher, OVERFLOW, false, "", "");
    return;
  }
  ls_buf_append(&path, watch->path, folder);
  ls_buf_append(&path, "/", folder > 0);
  ls_buf_append(&path, name, strlen(name) + 1);
  if (pair)
    rename_entry(watcher, (event->mask & IN_ISDIR) != 0, ls_buf_bytes(&path));
  else
    take_entry(watcher, event, ls_buf_bytes(&path));
  ls_buf_dispose(&path);
}

/* Looks at what has been read, up to a new folder: that must have its watches first. */
static void take_events(struct watcher *watcher) {
  struct ls_buf *raw = &watcher->raw;
  struct inotify_event event;
  while (!watcher->adding && !watcher->ended && raw->len >= sizeof event) {
    memcpy(&event, ls_buf_bytes(raw), sizeof event);
    take_event(watcher, &event, ls_buf_bytes(raw) + sizeof event);
    ls_buf_consume(raw, sizeof event + event.len);
  }
}

/* Never blocks: inotify is in memory. False: there is nothing. */
static bool read_more(struct watcher *watcher) {
  struct ls_buf *raw = &watcher->raw;
  if (ls_buf_reserve(raw, READ_SIZE) != 0)
    return false;
  ssize_t n = ls_fs_read(watcher->watches->fd, ls_buf_bytes(raw) + raw->len, READ_SIZE);
  if (n > 0)
    raw->len += (size_t)n;
  return n > 0;
}

/* A move's second side is queued right behind the first: when it is not there at a second look it is not to come. */
static void read_events(struct watcher *watcher) {
  take_events(watcher);
  if (!watcher->adding && !watcher->ended && watcher->raw.len == 0 && read_more(watcher))
    take_events(watcher);
  if (watcher->moved != NULL && !watcher->adding && !watcher->ended) {
    if (read_more(watcher))
      take_events(watcher);
    else
      end_move(watcher);
  }
  go_on(watcher);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  struct watcher *watcher = poll->data;
  struct ls_loop *loop = watcher->rt->loop;
  read_events(watcher);
  ls_loop_drain(loop);
}

/* ---- the module ---- */

static int run_watch(struct ls_fs_job *job) {
  return ls_fs_watches_new(job->args.path, job->args.number[0] != 0, &job->watches, &job->failed);
}

/* The function is where l_fs_watch was given it: at index 3. */
static int push_watch(lua_State *L, struct ls_fs_job *job) {
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  handle->watcher = NULL;
  luaL_setmetatable(L, WATCHER_TYPE);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct ls_runtime *rt = ls_runtime_of(L);
  struct watcher *watcher = calloc(1, sizeof *watcher);
  int code = watcher == NULL ? -ENOMEM : uv_poll_init(&rt->loop->uv, &watcher->poll, job->watches->fd);
  if (code != 0) {
    free(watcher);
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    return ls_fs_push_failure(L, code, "watch", job->args.path, NULL);
  }
  ls_ready_init(&watcher->ready, run_deliver);
  watcher->rt = rt;
  watcher->fs = ls_fs_ref(job->fs);
  watcher->watches = job->watches;
  job->watches = NULL;
  watcher->poll.data = watcher;
  watcher->owners = 2;
  watcher->self = self;
  handle->watcher = watcher;
  go_on(watcher);
  return 1;
}

/* fs.watch(path [, options], fn) -> watcher
 * Async (it waits until the watch has begun; there is no callback form). Calls fn(event) for what happens in a folder,
 * one event after the other; fn may wait. recursive = true: also in the folders below it, those that come later too. A
 * path that is no folder is watched by its name: also when the file is replaced.
 * event.kind: "create", "change" (bytes, while they are written), "written" (a writer has closed it), "attributes"
 * (permissions, times, owner), "delete", "rename" (event.from is the old name), "gone" (of the path itself, by deletion
 * or rename: the last event, and the watcher is closed), "overflow" (events were lost: look at everything).
 * event.name: the entry's path relative to the watched folder (nil for the last two); event.directory: whether it is
 * one. An error in fn is logged, and the next event comes. The watcher keeps the program alive, unless unref'ed.
 *   local watcher = assert(fs.watch("templates", {recursive = true}, function(event) cache[event.name] = nil end)) */
int l_fs_watch(lua_State *L) {
  static const char *const known[] = {"recursive", NULL};
  static const struct ls_fs_call call = {
      .type = LS_FS_TYPE("fs.watch"), .verb = "watch", .run = run_watch, .push = push_watch};
  struct ls_fs_args args = {.path = ls_fs_check_path(L, 1)};
  ls_fs_fill_optional(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  ls_options_check(L, 2, call.type.name, known);
  args.number[0] = lua_istable(L, 2) && ls_option_boolean(L, 2, "recursive", false);
  ls_op_check(L, 0, call.type.name);
  return ls_fs_job_start(L, ls_fs_job_new(L, ls_fs_of(L), &call, &args, NULL), 0);
}

/* watcher:close() -> whether it was open. Nothing is called any more, but what has begun goes on. Also __close. */
static int l_close(lua_State *L) {
  struct handle *handle = luaL_checkudata(L, 1, WATCHER_TYPE);
  lua_pushboolean(L, is_open(handle));
  if (is_open(handle))
    close_watcher(handle->watcher);
  return 1;
}

/* At the end of the program tasks are given up without a word. */
static int l_watcher_gc(lua_State *L) {
  struct handle *handle = luaL_checkudata(L, 1, WATCHER_TYPE);
  struct watcher *watcher = handle->watcher;
  if (watcher == NULL)
    return 0;
  handle->watcher = NULL;
  close_watcher(watcher);
  if (watcher->delivering && watcher->rt->exiting)
    release(watcher);
  release(watcher);
  return 0;
}

/* watcher:ref(), watcher:unref() -> watcher. Whether it keeps the program alive. */
static int set_ref(lua_State *L, void (*set)(uv_handle_t *)) {
  struct handle *handle = luaL_checkudata(L, 1, WATCHER_TYPE);
  if (is_open(handle))
    set((uv_handle_t *)&handle->watcher->poll);
  lua_settop(L, 1);
  return 1;
}

static int l_ref(lua_State *L) {
  return set_ref(L, uv_ref);
}

static int l_unref(lua_State *L) {
  return set_ref(L, uv_unref);
}

static int l_watcher_tostring(lua_State *L) {
  const struct handle *handle = luaL_checkudata(L, 1, WATCHER_TYPE);
  if (!is_open(handle))
    lua_pushliteral(L, "watcher (closed)");
  else
    lua_pushfstring(L, "watcher '%s'", handle->watcher->watches->root);
  return 1;
}

void ls_fs_watch_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {"ref", l_ref}, {"unref", l_unref}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_watcher_gc}, {"__tostring", l_watcher_tostring}, {NULL, NULL}};
  ls_handle_type(L, WATCHER_TYPE, methods, metamethods);
}
