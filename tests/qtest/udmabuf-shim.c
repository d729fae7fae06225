/*
 * Stand-in for /dev/udmabuf on hosts without it
 *
 * QEMU with blob=on requires /dev/udmabuf, and reads the image of a blob
 * through a udmabuf: if the blob has several mappings and, in later versions,
 * always. This library, loaded with LD_PRELOAD, opens /dev/null instead. A
 * udmabuf of one range of a memfd is then that memfd, and is mapped at the
 * range's offset. Creating one of several fails, as it may on any host, and
 * QEMU rejects such scanouts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/udmabuf.h>

/* QEMU maps a udmabuf right after it was created, in the same thread. */
static __thread int created = -1;
static __thread off_t created_offset;

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

int ioctl(int fd, unsigned long request, ...)
{
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    const struct udmabuf_create_list *list;
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (request != UDMABUF_CREATE_LIST) {
        return real(fd, request, arg);
    }
    list = arg;
    if (list->count != 1) {
        errno = EINVAL;
        return -1;
    }
    created = fcntl(list->list[0].memfd, F_DUPFD_CLOEXEC, 0);
    created_offset = list->list[0].offset;
    return created;
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
    if (fd >= 0 && fd == created) {
        created = -1;
        offset += created_offset;
    }
    return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}
