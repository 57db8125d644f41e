/* SPDX-License-Identifier: MIT */
/* line_reader: lines that a person types at the terminal, with editing and history where libedit is installed.
 *
 * The editor wants to wait for keys in many places (an escape sequence, a search through the history), so it has a thread
 * of its own, and the loop goes on while somebody types. libedit is loaded when a reader is made: nothing else pays for
 * it. Without it a line is what the terminal itself lets one edit.
 *
 * Between start and on_line the terminal is the editor's (raw); at all other times it is as it was found. */
#ifndef LS_LOOP_LINE_READER_H
#define LS_LOOP_LINE_READER_H

#include <stdbool.h>

struct ls_line_reader;
struct ls_loop;

struct ls_line_reader_events {
  /* What start asked for; the callee frees it. NULL: the input has ended. */
  void (*on_line)(void *data, char *line);
  /* Tab was pressed behind this text, which the callee frees: ls_line_reader_complete answers, and typing waits for it. */
  void (*on_complete)(void *data, char *before);
};

/* 0 or a negative code. Keeps the loop alive until it is closed. */
int ls_line_reader_new(struct ls_line_reader **made, struct ls_loop *loop, const struct ls_line_reader_events *events,
                       void *data);

/* Whether lines can be edited. */
bool ls_line_reader_edits(const struct ls_line_reader *reader);

/* Shows the prompt and reads one line. 0 or -ENOMEM. */
int ls_line_reader_start(struct ls_line_reader *reader, const char *prompt);

/* Gives up the line that is being read: there is no on_line for it. */
void ls_line_reader_stop(struct ls_line_reader *reader);

/* Inserts text at the cursor and shows listing (a text that ends in a newline); either may be NULL. */
void ls_line_reader_complete(struct ls_line_reader *reader, const char *text, const char *listing);

/* Adds a line to the history. Not while one is being read. */
void ls_line_reader_remember(struct ls_line_reader *reader, const char *line);

/* Somebody else has had the terminal, or its size has changed: shows the line anew. */
void ls_line_reader_refresh(struct ls_line_reader *reader);

/* Puts the terminal back, ends the thread; the loop frees the rest. No event comes any more. */
void ls_line_reader_close(struct ls_line_reader *reader);

#endif
