/*
 * Instructions between the polls of QEMU's main loop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Loaded with LD_PRELOAD into a QEMU under callgrind. While the first byte of
 * the file that VIRTIO_GPU_SLICES names is not 0, callgrind instruments, and
 * each time the main thread polls it writes the number of instructions so far
 * to its log: those between two polls are a slice of the main loop.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

/* Volatile: the test writes to it. */
static volatile char *wanted;

static void __attribute__((constructor)) map_switch(void)
{
    const char *path = getenv("VIRTIO_GPU_SLICES");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED :
                mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

    wanted = map == MAP_FAILED ? NULL : map;
    if (fd >= 0) {
        close(fd);
    }
}

static void end_slice(void)
{
    static bool counting;

    if (!wanted || syscall(SYS_gettid) != getpid()) {
        return;
    }
    if (*wanted && !counting) {
        CALLGRIND_START_INSTRUMENTATION;
    }
    if (counting || *wanted) {
        VALGRIND_MONITOR_COMMAND("status internal");
    }
    if (!*wanted && counting) {
        CALLGRIND_STOP_INSTRUMENTATION;
    }
    counting = *wanted;
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
          const sigset_t *mask)
{
    static int (*real)(struct pollfd *, nfds_t, const struct timespec *,
                       const sigset_t *);

    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "ppoll");
    }
    end_slice();
    return real(fds, n, timeout, mask);
}

/* What ppoll() is in a program that is built with _FORTIFY_SOURCE. */
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                const sigset_t *mask, size_t size)
{
    (void)size;
    return ppoll(fds, n, timeout, mask);
}
