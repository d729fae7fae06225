/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"

/* A command's first word: what, and how many words follow. */
#define VIRGL_COMMAND(what, words)  ((what) | (words) << 16)
#define VIRGL_NOP                   0
#define VIRGL_COPY_REGION           17

#define MAX_HANDLES 16

static int submit(int gpu, const uint32_t *words, unsigned count,
                  const Held *const *held, unsigned held_count)
{
    uint32_t handles[MAX_HANDLES];
    struct drm_virtgpu_execbuffer exec = {
        .size = count * sizeof(*words),
        .command = (uintptr_t)words,
        .bo_handles = (uintptr_t)handles,
        .num_bo_handles = held_count,
    };
    unsigned i;

    if (held_count > MAX_HANDLES) {
        return -E2BIG;
    }
    for (i = 0; i < held_count; i++) {
        handles[i] = held[i]->bo.handle;
    }
    return drm_request(gpu, DRM_IOCTL_VIRTGPU_EXECBUFFER, &exec);
}

int submit_nothing(int gpu, const Held *const *held, unsigned count)
{
    uint32_t nop = VIRGL_COMMAND(VIRGL_NOP, 0);

    return submit(gpu, &nop, 1, held, count);
}

/* The name by which commands know a buffer. */
static int resource_of(int gpu, const Held *held, uint32_t *resource)
{
    struct drm_virtgpu_resource_info info = { .bo_handle = held->bo.handle };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info);

    *resource = info.res_handle;
    return ret;
}

int submit_copy(int gpu, const Held *from, const Held *to)
{
    const Held *both[] = { from, to };
    uint32_t source, target = 0, width, height;
    int ret = resource_of(gpu, from, &source);

    if (ret == 0) {
        ret = resource_of(gpu, to, &target);
    }
    if (ret < 0) {
        return ret;
    }
    bo_extent(&from->bo, &width, &height);
    return submit(gpu, (const uint32_t[]) {
        VIRGL_COMMAND(VIRGL_COPY_REGION, 13),
        target, 0, 0, 0, 0,                 /* level, x, y, z */
        source, 0, 0, 0, 0, width, height, 1,
    }, 14, both, 2);
}
