/* SPDX-License-Identifier: MIT */
/* Trimming of the heap. */

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
