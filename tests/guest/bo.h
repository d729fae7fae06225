/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffer objects of virtio-gpu by its ioctls alone, as a Mesa driver uses
 * them: a resource on the host, backed by guest pages.
 */
#ifndef GUEST_BO_H
#define GUEST_BO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum BoKind {
    BO_BUFFER,
    BO_TEXTURE,
    BO_BLOB,        /* in guest memory: nothing to transfer */
} BoKind;

typedef struct Bo {
    BoKind kind;
    uint32_t handle;
    size_t bytes;
    uint8_t *map;
} Bo;

/* These return 0, or -errno. */
int gpu_open(void);
int bo_create(int gpu, BoKind kind, size_t bytes, Bo *bo);
/* bo_create() is these two. */
int bo_create_unmapped(int gpu, BoKind kind, size_t bytes, Bo *bo);
int bo_map(int gpu, Bo *bo);
int bo_upload(int gpu, const Bo *bo);   /* guest pages -> host copy; queued */
int bo_download(int gpu, const Bo *bo); /* host copy -> guest pages; queued */
int bo_wait(int gpu, const Bo *bo);     /* until queued transfers complete */

/* Width and height of the resource. */
void bo_extent(const Bo *bo, uint32_t *width, uint32_t *height);

/* DRM_IOCTL_VIRTGPU_MADVISE; sets @retained to its result. */
int bo_madvise(int gpu, const Bo *bo, uint32_t madv, bool *retained);

/* The renderer of the host, from the capabilities. */
int gpu_renderer(int gpu, char *name, size_t size);

#endif
