/* SPDX-License-Identifier: MIT */
/* Freed memory goes back to the operating system. */

#include "internal.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void virgl_reclaim_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
