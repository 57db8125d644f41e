/* SPDX-License-Identifier: MIT */
/* color: whether what is printed may be coloured. */
#ifndef LS_BASE_COLOR_H
#define LS_BASE_COLOR_H

#include <stdbool.h>

#define LS_BOLD "\33[1m"
#define LS_PLAIN "\33[0m"

/* A person looks at fd, and has not said otherwise: it is a terminal, NO_COLOR is not set (no-color.org: to anything but
 * nothing), and TERM is not "dumb". */
bool ls_color_shows(int fd);

#endif
