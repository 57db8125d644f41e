/* SPDX-License-Identifier: MIT */
/* file_path: from the path of a URL to that of a file below a folder. */
#ifndef LS_HTTP_FILE_PATH_H
#define LS_HTTP_FILE_PATH_H

#include <stdbool.h>

#include "base/slice.h"

/* Takes the slashes in front away and, where encoded is set, the percent-encoding: path points into room then, which has as
 * many bytes as it. False: there can be no such file, because a segment is empty or hides a slash (%2F, or '\' for other
 * systems), or there is a NUL, or, without dotfiles, a name begins with a dot; but for .well-known (RFC 8615), which is
 * there to be asked for. ".." is not looked for: who opens the file refuses it. */
bool ls_file_path_of(struct ls_slice *path, bool encoded, bool dotfiles, char *room);

#endif
