/*
 * A host that has no udmabuf and lets QEMU believe that it has
 *
 * QEMU does not start with blob=on without /dev/udmabuf, although it needs it
 * only to show blobs that are in several pieces. Preloaded, this opens
 * something else in its place: to make a udmabuf of it fails, as it may on any
 * host, and such blobs are not shown. All else about blobs can be tested.
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
