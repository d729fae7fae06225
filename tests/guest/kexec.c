/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "testbo.h"
#include "process.h"

#define BYTES (1024 * 1024)
#define COUNT 16

static int load(const char *kernel, const char *initrd, const char *cmdline)
{
    int kernel_fd = open(kernel, O_RDONLY);
    int initrd_fd = open(initrd, O_RDONLY);

    if (kernel_fd < 0 || initrd_fd < 0) {
        return -1;
    }
    return syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
                   strlen(cmdline) + 1, cmdline, 0ul);
}

/* Buffers with resources on the device, some with uploads in flight. */
static int use_gpu(int gpu)
{
    int i, ret = gpu < 0 ? gpu : 0;
    bool retained;
    TestBo tbo;

    for (i = 0; i < COUNT && ret == 0; i++) {
        tbo = (TestBo) { .index = i };
        ret = bo_create(gpu, BO_TEXTURE, BYTES, &tbo.bo);
        if (ret == 0) {
            test_bo_fill(&tbo, 0);
            ret = bo_upload(gpu, &tbo.bo);
        }
        if (ret == 0 && i % 3 == 0) {
            ret = bo_madvise(gpu, &tbo.bo, VIRTGPU_MADV_DONTNEED, &retained);
        }
    }
    return ret;
}

int kexec_run(const char *kernel, const char *initrd, const char *cmdline)
{
    int ret;

    if (load(kernel, initrd, cmdline) < 0) {
        perror("guest: kexec_file_load");
        return -1;
    }
    ret = use_gpu(gpu_open());
    if (ret < 0) {
        fprintf(stderr, "guest: the GPU: %s\n", strerror(-ret));
        return -1;
    }
    reboot(LINUX_REBOOT_CMD_KEXEC);
    perror("guest: kexec");
    return -1;
}
