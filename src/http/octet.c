/* SPDX-License-Identifier: MIT */
/* octet: a byte of bits a character: the loops over names, hosts and targets cost half of what comparisons did. */
#include "http/octet.h"

/* Sixteen characters a line; those beyond ASCII are part of nothing. */
const uint8_t ls_octets[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 7, 4, 1, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 4, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 6, 4, 6, 4, 4,
    4, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 4, 4, 5, 7,
    5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 5, 4, 7, 0,
};
