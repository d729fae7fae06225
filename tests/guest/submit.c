/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdlib.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"

/* First word of a command: opcode and number of words that follow. */
#define VIRGL_COMMAND(what, words)  ((what) | (words) << 16)
#define VIRGL_NOP                   0
#define VIRGL_COPY_REGION           17
#define VIRGL_TRANSFER3D            43
#define VIRGL_TRANSFER_TO_HOST      1
#define VIRGL_COPY_TRANSFER3D       45
#define VIRGL_SYNCHRONIZED          (1 << 0)
#define VIRGL_READ_FROM_HOST        (1 << 1)

#define MAX_HANDLES 16

static int submit(int gpu, const uint32_t *words, unsigned count,
                  const TestBo *const *tbo, unsigned tbo_count)
{
    uint32_t handles[MAX_HANDLES];
    struct drm_virtgpu_execbuffer exec = {
        .size = count * sizeof(*words),
        .command = (uintptr_t)words,
        .bo_handles = (uintptr_t)handles,
        .num_bo_handles = tbo_count,
    };
    unsigned i;

    if (tbo_count > MAX_HANDLES) {
        return -E2BIG;
    }
    for (i = 0; i < tbo_count; i++) {
        handles[i] = tbo[i]->bo.handle;
    }
    return drm_request(gpu, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec);
}

int submit_nothing(int gpu, const TestBo *const *tbo, unsigned count)
{
    uint32_t nop = VIRGL_COMMAND(VIRGL_NOP, 0);

    return submit(gpu, &nop, 1, tbo, count);
}

int submit_with_fence(int gpu, const TestBo *tbo)
{
    uint32_t nop = VIRGL_COMMAND(VIRGL_NOP, 0);
    struct drm_virtgpu_execbuffer exec = {
        .flags = VIRTGPU_EXECBUF_FENCE_FD_OUT,
        .size = sizeof(nop),
        .command = (uintptr_t)&nop,
        .bo_handles = (uintptr_t)&tbo->bo.handle,
        .num_bo_handles = 1,
    };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec);

    return ret < 0 ? ret : exec.fence_fd;
}

int submit_many_nothing(int gpu, const TestBo *tbo, unsigned count)
{
    uint32_t *nops = calloc(count, sizeof(*nops));  /* a NOP is 0 */
    int ret;

    CHECK(nops);
    ret = submit(gpu, nops, count, &tbo, 1);
    free(nops);
    return ret;
}

/* Get the resource id of a buffer. */
static int resource_of(int gpu, const TestBo *tbo, uint32_t *resource)
{
    struct drm_virtgpu_resource_info info = { .bo_handle = tbo->bo.handle };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);

    *resource = info.res_handle;
    return ret;
}

/* The same of two, as @resources. */
static int resources_of(int gpu, const TestBo *const both[2],
                        uint32_t resources[2])
{
    int ret = resource_of(gpu, both[0], &resources[0]);

    return ret < 0 ? ret : resource_of(gpu, both[1], &resources[1]);
}

int submit_copy(int gpu, const TestBo *from, const TestBo *to)
{
    const TestBo *both[] = { from, to };
    uint32_t resources[2], width, height;
    int ret = resources_of(gpu, both, resources);

    if (ret < 0) {
        return ret;
    }
    bo_extent(&from->bo, &width, &height);
    return submit(gpu, (const uint32_t[]) {
        VIRGL_COMMAND(VIRGL_COPY_REGION, 13),
        resources[1], 0, 0, 0, 0,           /* level, x, y, z */
        resources[0], 0, 0, 0, 0, width, height, 1,
    }, 14, both, 2);
}

int submit_upload(int gpu, const TestBo *tbo)
{
    uint32_t resource, width, height;
    int ret = resource_of(gpu, tbo, &resource);

    if (ret < 0) {
        return ret;
    }
    bo_extent(&tbo->bo, &width, &height);
    return submit(gpu, (const uint32_t[]) {
        VIRGL_COMMAND(VIRGL_TRANSFER3D, 13),
        resource, 0, 0, 0, 0,               /* level, usage, strides */
        0, 0, 0, width, height, 1,
        0, VIRGL_TRANSFER_TO_HOST,          /* offset in the backing */
    }, 14, &tbo, 1);
}

/* Between @texture on the host and the pages of @other. */
static int copy_transfer(int gpu, const TestBo *texture, const TestBo *other,
                         uint32_t flags)
{
    const TestBo *both[] = { texture, other };
    uint32_t resources[2], width, height;
    int ret = resources_of(gpu, both, resources);

    if (ret < 0) {
        return ret;
    }
    bo_extent(&texture->bo, &width, &height);
    return submit(gpu, (const uint32_t[]) {
        VIRGL_COMMAND(VIRGL_COPY_TRANSFER3D, 14),
        resources[0], 0, 0, 0, 0,           /* level, usage, strides */
        0, 0, 0, width, height, 1,
        resources[1], 0, flags,             /* offset in the pages */
    }, 15, both, 2);
}

int submit_upload_from(int gpu, const TestBo *from, const TestBo *texture)
{
    return copy_transfer(gpu, texture, from, VIRGL_SYNCHRONIZED);
}

int submit_download_to(int gpu, const TestBo *texture, const TestBo *to)
{
    return copy_transfer(gpu, texture, to,
                         VIRGL_SYNCHRONIZED | VIRGL_READ_FROM_HOST);
}
