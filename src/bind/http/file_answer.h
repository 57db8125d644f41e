/* SPDX-License-Identifier: MIT */
/* file_answer: one res:send_file under way, from the options to the last byte. An operation of its own and no wait of the
 * call: a job on the pool may outlive the request, and once this is an orphan it touches nothing but its own memory.
 *
 *   file_options.c what is asked for
 *   send_file.c    the operation, and what Lua gets
 *   file_answer.c  what the answer is: validators, preconditions, ranges, header fields. Knows no Lua
 *   file_feed.c    the bytes: opens, reads and sends, piece by piece. Knows no Lua */
#ifndef LS_BIND_HTTP_FILE_ANSWER_H
#define LS_BIND_HTTP_FILE_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "bind/http/file_options.h"
#include "bind/http/impl.h"
#include "http/byteranges.h"
#include "loop/file_source.h"
#include "loop/work.h"

#define LS_FILE_CHUNK ((size_t)128 * 1024)     /* the most that is read and sent at a time */
#define LS_FILE_LEND_MIN ((size_t)64 * 1024)   /* from so many on they go from the page cache to the socket */
#define LS_FILE_POOL_MIN ((size_t)512 * 1024)  /* also where that takes a change of threads */
#define LS_FILE_LEND_MAX ((size_t)1024 * 1024) /* so many at a time, for the sake of others */
#define LS_FILE_FIRST ((size_t)16 * 1024)      /* of these are written with the head, before the socket is lent */
#define LS_FILE_WAIT ((size_t)4 * 1024)        /* is written where the socket takes no more: that waits until it does */

enum { LS_FILE_CANDIDATES = 3 };

/* One of the files that would do, in the order in which they are tried. */
struct ls_file_candidate {
  const char *path;
  const char *coding; /* of its content; NULL: none */
};

struct ls_file_answer {
  struct ls_op op;
  struct ls_work work;
  struct ls_feed feed;
  struct ls_ready ready; /* file_feed.c's: sending goes on */
  struct ls_http_module *module;
  struct ls_call *call;
  uint64_t generation;
  struct ls_file_options options; /* its strings are behind the struct */

  struct ls_file_candidate candidates[LS_FILE_CANDIDATES];
  unsigned candidate, candidate_count;
  struct ls_file_source source;
  bool first_wanted; /* the job that opens does well to read the beginning too */
  bool opened, decided, working, begun, cancelled;
  struct ls_task *head_task; /* runs the functions of res:on_head; NULL: none does */
  int head_error;            /* registry reference of what one of them raised */
  int status; /* what the operation ended with: source.failed says whether the file or the response failed */

  const char *etag;   /* what was decided and is to be set; NULL: none, or the handler has set it */
  char made_etag[40]; /* the memory of one that was made */
  int64_t modified;   /* as it is sent, or LS_NO_DATE */
  int answer_status;
  bool partial;            /* 206; with several ranges multipart/byteranges */
  struct ls_ranges ranges; /* of what is sent: one, or where partial is set, one or more */
  struct ls_byteranges parts;
  char *part_type; /* the memory of its type */

  unsigned part;         /* of ranges, that comes next: those before it have been begun */
  uint64_t offset, left; /* of the one before it, still to be sent */
  char *own;             /* LS_FILE_CHUNK bytes that a job reads into; NULL before the first */
  size_t own_len;        /* of them, not sent yet */
  uint64_t own_at;       /* where in the file they are from */
  int lent;              /* the connection's descriptor that a job sends to; -1: none does */
  size_t lent_sent;      /* what it has sent */
  bool is_full;          /* the kernel took less than it was given */
  char text[];
};

/* What a decision can be beside an error. */
enum { LS_FILE_CONTENT = 0, LS_FILE_ANSWERED = 1 };

/* Once the file is open: evaluates preconditions and ranges. LS_FILE_CONTENT: ranges are to be sent, after
 * ls_file_answer_begin; LS_FILE_ANSWERED: the response is complete (304, 412, 416, HEAD); or a negative code of the
 * response. */
int ls_file_answer_decide(struct ls_file_answer *answer);

static inline bool ls_file_answer_is_multipart(const struct ls_file_answer *answer) {
  return answer->partial && answer->ranges.count > 1;
}

/* The head, with all its fields. 0 or a negative code of the response. */
int ls_file_answer_begin(struct ls_file_answer *answer);

/* Ends the operation, before anything is opened, with this code: the path is none. */
void ls_file_feed_refuse(struct ls_file_answer *answer, int code);

/* Opens and sends. The operation is done when the response is complete or has failed; that may be before this returns. */
void ls_file_feed_start(struct ls_file_answer *answer);

/* For the operation: nobody wants it any more. As ls_op_type.cancel. */
bool ls_file_feed_cancel(struct ls_file_answer *answer);

/* Before the memory goes. */
void ls_file_feed_dispose(struct ls_file_answer *answer);

#endif
