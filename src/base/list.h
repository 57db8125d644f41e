/* SPDX-License-Identifier: MIT */
/* list: a doubly linked ring whose links live inside the things it links.
 * A link that is in no list points to itself, so removing it twice is harmless. */
#ifndef LS_BASE_LIST_H
#define LS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct ls_list {
  struct ls_list *next;
  struct ls_list *prev;
};

/* The struct of the given type whose member is at ptr. */
#define ls_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void ls_list_init(struct ls_list *list) {
  list->next = list;
  list->prev = list;
}

static inline bool ls_list_is_empty(const struct ls_list *list) {
  return list->next == list;
}

/* Appends link, which must be in no list. */
static inline void ls_list_push(struct ls_list *list, struct ls_list *link) {
  link->next = list;
  link->prev = list->prev;
  list->prev->next = link;
  list->prev = link;
}

/* Puts link, which must be in no list, at the front. */
static inline void ls_list_push_front(struct ls_list *list, struct ls_list *link) {
  ls_list_push(list->next, link);
}

static inline void ls_list_remove(struct ls_list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  ls_list_init(link);
}

/* Takes the first link out; NULL when the list is empty. */
static inline struct ls_list *ls_list_shift(struct ls_list *list) {
  struct ls_list *first = list->next;
  if (first == list)
    return NULL;
  ls_list_remove(first);
  return first;
}

/* Moves all links of from to the end of list; from is empty afterwards.
 * Walks over a list that its own callbacks change begin with this: snapshot, then dispatch. */
static inline void ls_list_move(struct ls_list *list, struct ls_list *from) {
  if (ls_list_is_empty(from))
    return;
  from->next->prev = list->prev;
  list->prev->next = from->next;
  from->prev->next = list;
  list->prev = from->prev;
  ls_list_init(from);
}

#endif
