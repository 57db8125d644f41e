/* SPDX-License-Identifier: MIT */
/* log: lines to one descriptor through a bounded ring and a writer thread.
 * Writing never waits: when the reader stalls and the ring is full, lines are dropped and counted until the ring has
 * been written out; then the count is written: "N log lines were dropped". Any thread may write. The thread starts with
 * the first line. */
#ifndef LS_BASE_LOG_H
#define LS_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct ls_buf;
struct ls_log;

enum ls_log_level { LS_LOG_ERROR, LS_LOG_WARN, LS_LOG_INFO, LS_LOG_DEBUG };

/* A log that writes to a duplicate of fd with a ring of capacity bytes (at least 4 KiB). NULL: out of memory or
 * descriptors. */
struct ls_log *ls_log_new(int fd, size_t capacity);

/* Writes what is queued (waits at most a second for a stalled reader), stops the thread, frees. NULL is allowed.
 * No other thread may use the log any more. */
void ls_log_free(struct ls_log *log);

/* One entry: "2026-11-23T07:10:00.123Z error: text\n". A text with several lines stays together; a newline at its end
 * is not doubled. An entry over 16 KiB (or half the ring) is cut, with a mark that says how much. errno is kept. */
void ls_log_write(struct ls_log *log, enum ls_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ls_log_vwrite(struct ls_log *log, enum ls_log_level level, const char *format, va_list args);

/* Waits until everything written before this call has reached the descriptor, or timeout_ms has passed. */
void ls_log_flush(struct ls_log *log, unsigned timeout_ms);

/* From now on entries are kept in memory, at most 1 MiB of them (more are dropped and counted), instead of written; off:
 * written again, and what was kept and not taken is forgotten. For specs. */
void ls_log_keep(struct ls_log *log, bool on);

/* Moves what was kept into text, which is initialised here and is the caller's to dispose of. */
void ls_log_take(struct ls_log *log, struct ls_buf *text);

/* Entries dropped so far, and lines that were queued when writing failed (disk full, pipe closed). */
unsigned long ls_log_dropped(struct ls_log *log);

#endif
