/*
 * Stand-in for /dev/udmabuf on hosts without it
 *
 * QEMU with blob=on requires /dev/udmabuf, but uses it only for the scanout of
 * blobs with several mappings. This library, loaded with LD_PRELOAD, opens
 * /dev/null instead. Creating a udmabuf then fails, as it may on any host, and
 * QEMU rejects such scanouts. All other operations on blobs can be tested.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    mode_t mode = 0;
    va_list ap;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return real(strcmp(path, "/dev/udmabuf") ? path : "/dev/null", flags,
                mode);
}
