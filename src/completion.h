/* SPDX-License-Identifier: MIT */
/* completion: scripts that teach a shell to complete what luaserve takes, made from the tables of the command line. */
#ifndef LS_COMPLETION_H
#define LS_COMPLETION_H

#include <stdbool.h>

/* Prints the script for "bash" or "zsh". False: there is none for that shell. */
bool ls_completion_print(const char *shell);

#endif
