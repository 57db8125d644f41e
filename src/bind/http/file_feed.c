/* SPDX-License-Identifier: MIT */
/* file_feed: what moves a file's bytes to the client. A piece that is in memory is read and sent on the loop's thread; for
 * one that is not a job reads it on the pool. Between two pieces it waits where the client has not taken what was sent
 * (on_drain), and for the next turn of the loop where it has had its time in this one. So a file of any size takes one
 * piece of memory, beside what the connection holds for a slow client. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/http/file_answer.h"
#include "script/runtime.h"
#include "server/response.h"

/* What a step says beside a negative code. */
enum { STEP_ON, STEP_WAITS, STEP_END };

static struct ls_loop *loop_of(const struct ls_file_answer *answer) {
  return answer->module->rt->loop;
}

static bool has_call(const struct ls_file_answer *answer) {
  return answer->generation == answer->call->generation;
}

/* 0: the response is still this file's to give. */
static int check(const struct ls_file_answer *answer) {
  const struct ls_call *call = answer->call;
  if (!has_call(answer) || call->gone)
    return LS_ECLOSED;
  if (answer->begun)
    return ls_response_is_finished(call->request) ? LS_ECLOSED : 0; /* a timeout has answered */
  return ls_response_is_begun(call->request) ? LS_ESTATE : 0;
}

static void detach(struct ls_file_answer *answer) {
  ls_loop_unqueue(&answer->ready);
  if (has_call(answer) && answer->call->feed == &answer->feed)
    answer->call->feed = NULL;
}

/* ---- the end ---- */

/* Where some of the response has left the connection is reset, so that the client can tell. The log has the request, not
 * the path, which may be anything. */
static void break_off(struct ls_file_answer *answer) {
  char what[256];
  ls_call_describe(answer->call, what, sizeof what);
  ls_log_write(loop_of(answer)->log, LS_LOG_WARN, "%s: the file %s", what,
               answer->status == LS_ELENGTH ? "has become shorter while it was sent" : "cannot be read to its end");
  ls_response_fail(answer->call->request, 500, NULL);
}

/* The operation is done; its memory may be gone when this returns. */
static void end(struct ls_file_answer *answer, int status) {
  struct ls_call *call = answer->call;
  bool breaks_off = answer->source.failed != NULL && answer->begun && check(answer) == 0;
  answer->status = status;
  detach(answer);
  ls_file_source_close(&answer->source);
  if (breaks_off)
    break_off(answer);
  if (has_call(answer) && ls_response_is_finished(call->request)) {
    ls_call_on_finish(call);
    ls_call_settle(call);
  }
  ls_op_done(&answer->op);
}

/* ---- steps ---- */

static int fail(struct ls_file_answer *answer, int code) {
  answer->source.failed = answer->opened ? "read" : "open";
  return code;
}

static int submit(struct ls_file_answer *answer) {
  int status = ls_work_submit(loop_of(answer), &answer->work, LS_LANE_FILE);
  answer->working = status == 0;
  return status == 0 ? STEP_WAITS : fail(answer, status);
}

/* The head; from here on nobody else may send. */
static int begin(struct ls_file_answer *answer) {
  int status = answer->begun ? 0 : ls_file_answer_begin(answer);
  if (status == 0 && !answer->begun) {
    answer->begun = true;
    answer->call->feed = &answer->feed;
  }
  return status;
}

/* Whether all has been handed over but the end. */
static bool is_complete(const struct ls_file_answer *answer) {
  unsigned last = answer->ranges.count + (ls_file_answer_is_multipart(answer) ? 1 : 0);
  return answer->left == 0 && answer->part == last;
}

static int put(struct ls_file_answer *answer, const char *bytes, size_t len) {
  int status = ls_response_write(answer->call->request, bytes, len);
  if (status != 1)
    return status;
  return is_complete(answer) ? STEP_ON : STEP_WAITS;
}

static int begin_part(struct ls_file_answer *answer) {
  struct ls_buf frame = {0};
  unsigned part = answer->part++;
  if (part < answer->ranges.count) {
    answer->offset = answer->ranges.list[part].first;
    answer->left = answer->ranges.list[part].len;
  }
  if (!ls_file_answer_is_multipart(answer))
    return answer->left > 0 ? STEP_ON : begin(answer);
  int status = begin(answer);
  if (status == 0)
    status = ls_byteranges_put(&answer->parts, part, &frame);
  if (status == 0)
    status = put(answer, ls_buf_bytes(&frame), frame.len);
  ls_buf_dispose(&frame);
  return status;
}

static int send_bytes(struct ls_file_answer *answer, const char *bytes, size_t len) {
  int status = begin(answer);
  if (status != 0)
    return status;
  answer->offset += len;
  answer->left -= len;
  answer->is_full = false;
  return put(answer, bytes, len);
}

static size_t piece_of(const struct ls_file_answer *answer, size_t most) {
  return answer->left < most ? (size_t)answer->left : most;
}

/* Of a large file only the beginning, behind the head, and what waits for room: the rest does without the copies. */
static size_t next_len(const struct ls_file_answer *answer) {
  if (answer->is_full)
    return piece_of(answer, LS_FILE_WAIT);
  return piece_of(answer, answer->left >= LS_FILE_LEND_MIN ? LS_FILE_FIRST : LS_FILE_CHUNK);
}

/* What a job has read. */
static int send_own(struct ls_file_answer *answer) {
  size_t len = answer->own_len;
  answer->own_len = 0;
  return send_bytes(answer, answer->own, len < answer->left ? len : (size_t)answer->left);
}

static int send_cached(struct ls_file_answer *answer) {
  struct ls_http_module *module = answer->module;
  if (module->chunk == NULL)
    module->chunk = malloc(LS_FILE_CHUNK);
  if (module->chunk == NULL)
    return fail(answer, -ENOMEM);
  ssize_t len =
      ls_file_source_read_cached(&module->files, &answer->source, module->chunk, next_len(answer), answer->offset);
  if (len > 0)
    return send_bytes(answer, module->chunk, (size_t)len);
  if (len == -EAGAIN)
    return submit(answer);
  return len == 0 ? fail(answer, LS_ELENGTH) : (int)len;
}

/* ---- from the page cache to the socket, without a copy through this process ---- */

static size_t lend_len(const struct ls_file_answer *answer) {
  return piece_of(answer, LS_FILE_LEND_MAX);
}

static void close_lent(struct ls_file_answer *answer) {
  if (answer->lent >= 0)
    close(answer->lent);
  answer->lent = -1;
}

/* Any thread. */
static void send_to(struct ls_file_answer *answer, int socket) {
  size_t len = lend_len(answer);
  answer->lent_sent = ls_file_source_send(&answer->source, socket, answer->offset, len);
  answer->is_full = answer->lent_sent < len;
}

static int take_lent(struct ls_file_answer *answer) {
  answer->offset += answer->lent_sent;
  answer->left -= answer->lent_sent;
  ls_response_lent_sent(answer->call->request, answer->lent_sent);
  answer->lent_sent = 0;
  return STEP_ON;
}

/* sendfile(2) waits for the disk where the page cache has not all of it. So it is called here where the kernel says that it
 * has, else on the pool, with a descriptor of its own: the connection may be dropped meanwhile. */
static int send_piece(struct ls_file_answer *answer) {
  if (!answer->begun || answer->is_full || answer->left < LS_FILE_LEND_MIN)
    return send_cached(answer);
  int socket = ls_response_lend(answer->call->request);
  if (socket < 0)
    return socket == -EAGAIN ? STEP_WAITS : send_cached(answer);
  if (ls_file_source_is_cached(&answer->module->files, &answer->source, answer->offset, lend_len(answer))) {
    send_to(answer, socket);
    return take_lent(answer);
  }
  if (answer->left >= LS_FILE_POOL_MIN)
    answer->lent = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  return answer->lent >= 0 ? submit(answer) : send_cached(answer);
}

static int send_more(struct ls_file_answer *answer) {
  if (answer->lent_sent > 0)
    return take_lent(answer);
  if (answer->own_len > 0 && answer->own_at == answer->offset)
    return send_own(answer);
  if (answer->begun && !answer->is_full && !ls_loop_may_inline(loop_of(answer))) {
    ls_loop_immediate(loop_of(answer), &answer->ready);
    return STEP_WAITS;
  }
  return send_piece(answer);
}

static int step(struct ls_file_answer *answer) {
  if (answer->left > 0)
    return send_more(answer);
  if (is_complete(answer)) {
    int status = ls_response_finish(answer->call->request);
    return status == 0 ? STEP_END : status;
  }
  return begin_part(answer);
}

/* As far as it goes without waiting. */
static void go_on(struct ls_file_answer *answer) {
  int status = check(answer);
  while (status == STEP_ON)
    status = step(answer);
  if (status != STEP_WAITS)
    end(answer, status == STEP_END ? 0 : status);
}

static void decide(struct ls_file_answer *answer) {
  int status = answer->status != 0 ? answer->status : check(answer);
  if (status == 0)
    status = ls_file_answer_decide(answer);
  answer->decided = true;
  if (status == LS_FILE_CONTENT)
    go_on(answer);
  else
    end(answer, status == LS_FILE_ANSWERED ? 0 : status);
}

static void run_ready(struct ls_ready *ready) {
  struct ls_file_answer *answer = ls_container_of(ready, struct ls_file_answer, ready);
  if (answer->decided)
    go_on(answer);
  else
    decide(answer);
}

/* The connection may be in the middle of something: what follows happens in the drain. While a job runs nothing does. */
static void on_go_on(struct ls_feed *feed) {
  struct ls_file_answer *answer = ls_container_of(feed, struct ls_file_answer, feed);
  if (!answer->working)
    ls_loop_ready(loop_of(answer), &answer->ready);
}

/* ---- opening ---- */

static void take_candidate(struct ls_file_answer *answer) {
  const struct ls_file_options *options = &answer->options;
  ls_file_source_init(&answer->source, options->root, answer->candidates[answer->candidate].path, options->follow);
  answer->source.root_linked = options->root_linked;
}

/* What is wrong with a coded form says nothing about the file itself. */
static bool next_candidate(struct ls_file_answer *answer) {
  if (answer->candidate + 1 == answer->candidate_count)
    return false;
  answer->candidate++;
  take_candidate(answer);
  return true;
}

/* The functions of res:on_head have run. An error is raised by who called res:send_file; a cancellation has its own ways. */
static void on_head_end(struct ls_task *task, lua_State *L, int status) {
  struct ls_file_answer *answer = task->data;
  if (answer == NULL)
    return;
  answer->status = status == LUA_OK ? 0 : L == NULL ? -ENOMEM : LS_ECLOSED;
  if (answer->status == LS_ECLOSED && !ls_task_is_cancellation(L, -1)) {
    lua_pushvalue(L, -1);
    answer->head_error = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  answer->head_task = NULL;
  ls_loop_ready(loop_of(answer), &answer->ready);
}

static void on_open(struct ls_file_answer *answer) {
  answer->opened = true;
  if (check(answer) != 0 || !ls_call_has_head_functions(answer->call)) {
    decide(answer);
    return;
  }
  answer->head_task = ls_call_run_head_functions(answer->call, answer, on_head_end);
  if (answer->head_task == NULL)
    end(answer, -ENOMEM);
}

/* ---- on the pool ---- */

static int open_blocking(struct ls_file_answer *answer) {
  int status;
  do {
    status = ls_file_source_open(&answer->source);
  } while (status != 0 && next_candidate(answer));
  return status;
}

static int read_blocking(struct ls_file_answer *answer, size_t len) {
  if (answer->own == NULL)
    answer->own = malloc(LS_FILE_CHUNK);
  if (answer->own == NULL)
    return fail(answer, -ENOMEM);
  ssize_t n = ls_file_source_read(&answer->source, answer->own, len, answer->offset);
  answer->own_at = answer->offset;
  answer->own_len = n < 0 ? 0 : (size_t)n;
  return n < 0 ? (int)n : 0;
}

static int run_open(struct ls_file_answer *answer) {
  int status = open_blocking(answer);
  uint64_t size = answer->source.size;
  if (status == 0 && answer->first_wanted && size > 0)
    status = read_blocking(answer, size < LS_FILE_CHUNK ? (size_t)size : LS_FILE_CHUNK);
  return status;
}

/* Only where nothing waits for room is it worth the change of threads to read much. */
static int run_read(struct ls_file_answer *answer) {
  int status = read_blocking(answer, piece_of(answer, answer->is_full ? LS_FILE_WAIT : LS_FILE_CHUNK));
  return status == 0 && answer->own_len == 0 ? fail(answer, LS_ELENGTH) : status;
}

/* The descriptor is closed at once, or a connection that is dropped meanwhile would stay open. */
static void run_send(struct ls_file_answer *answer) {
  send_to(answer, answer->lent);
  close_lent(answer);
}

static void run(struct ls_work *work) {
  struct ls_file_answer *answer = ls_container_of(work, struct ls_file_answer, work);
  if (answer->lent >= 0)
    run_send(answer);
  else
    answer->status = answer->opened ? run_read(answer) : run_open(answer);
}

static void on_worked(struct ls_work *work) {
  struct ls_file_answer *answer = ls_container_of(work, struct ls_file_answer, work);
  answer->working = false;
  if (answer->cancelled || answer->op.rt->L == NULL) { /* the call, the module: nothing else may be there any more */
    ls_op_done(&answer->op);
    return;
  }
  if (!answer->opened)
    ls_file_source_learn(&answer->module->files, &answer->source);
  if (answer->status != 0)
    end(answer, answer->status);
  else if (answer->opened)
    go_on(answer);
  else
    on_open(answer);
}

/* ---- the life of it ---- */

static void init(struct ls_file_answer *answer) {
  answer->feed.go_on = on_go_on;
  ls_ready_init(&answer->ready, run_ready);
  answer->work.run = run;
  answer->work.done = on_worked;
  take_candidate(answer);
}

void ls_file_feed_refuse(struct ls_file_answer *answer, int code) {
  init(answer);
  end(answer, fail(answer, code));
}

void ls_file_feed_start(struct ls_file_answer *answer) {
  init(answer);
  int status;
  do {
    status = ls_file_source_open_cached(&answer->module->files, &answer->source);
    answer->options.root_linked = answer->source.root_linked; /* a job may have the source when this returns */
  } while (status != 0 && status != -EAGAIN && next_candidate(answer));
  if (status == -EAGAIN)
    status = submit(answer);
  if (status == STEP_ON)
    on_open(answer);
  else if (status != STEP_WAITS)
    end(answer, status);
}

/* Of a response that has been begun nothing can be sent any more: a job may still be sending, and how much is not known. */
bool ls_file_feed_cancel(struct ls_file_answer *answer) {
  answer->cancelled = true;
  if (answer->begun && check(answer) == 0)
    ls_response_fail(answer->call->request, 500, NULL);
  detach(answer);
  if (answer->head_task != NULL) {
    answer->head_task->data = NULL;
    ls_task_cancel(answer->head_task);
  }
  if (!answer->working)
    return true;
  answer->working = !ls_work_cancel(&answer->work);
  return !answer->working;
}

void ls_file_feed_dispose(struct ls_file_answer *answer) {
  ls_loop_unqueue(&answer->ready);
  ls_file_source_close(&answer->source);
  close_lent(answer);
  free(answer->own);
  free(answer->part_type);
}
