/* SPDX-License-Identifier: MIT */
/* version: the one place that holds it. */
#ifndef LS_VERSION_H
#define LS_VERSION_H

#define LS_VERSION "0.1.0"

#endif
