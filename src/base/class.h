/* SPDX-License-Identifier: MIT */
/* class: the classes of bytes in Lua's patterns: %a, %D, ... (Lua manual 6.4.1). */
#ifndef LS_BASE_CLASS_H
#define LS_BASE_CLASS_H

#include <ctype.h>
#include <stdbool.h>

/* Whether the byte c is of the class whose letter in a pattern is class; an upper case letter is the complement, and what is
 * no class stands for itself. Letters fold to lower case by one bit, and nothing else becomes a letter by it. */
static inline bool ls_in_class(int c, int class) {
  bool in;
  switch (class | 0x20) {
  case 'a':
    in = isalpha(c);
    break;
  case 'c':
    in = iscntrl(c);
    break;
  case 'd':
    in = isdigit(c);
    break;
  case 'g':
    in = isgraph(c);
    break;
  case 'l':
    in = islower(c);
    break;
  case 'p':
    in = ispunct(c);
    break;
  case 's':
    in = isspace(c);
    break;
  case 'u':
    in = isupper(c);
    break;
  case 'w':
    in = isalnum(c);
    break;
  case 'x':
    in = isxdigit(c);
    break;
  case 'z':
    in = c == 0;
    break; /* not in the manual since 5.2, but it works */
  default:
    return c == class;
  }
  return (class & 0x20) != 0 ? in : !in;
}

#endif
