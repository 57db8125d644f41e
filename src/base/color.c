/* SPDX-License-Identifier: MIT */
#include "base/color.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ls_color_shows(int fd) {
  const char *refused = getenv("NO_COLOR"), *term = getenv("TERM");
  return isatty(fd) && (refused == NULL || *refused == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}
