/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffer objects by the ioctls of a driver alone.
 */
#ifndef GUEST_BO_H
#define GUEST_BO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texels in a line of a texture; they have four bytes. */
#define BO_TEXTURE_WIDTH 1024

typedef enum BoKind {
    BO_BUFFER,
    BO_TEXTURE,
    BO_BLOB,        /* in guest memory: nothing to transfer */
    BO_DUMB,        /* a texture by the ioctl that any DRM driver has */
} BoKind;

typedef struct Bo {
    BoKind kind;
    uint32_t handle;
    size_t bytes;
    uint8_t *map;
} Bo;

/* The argument of each driver's madvise ioctl. */
typedef struct BoAdvice {
    uint32_t handle, retained, madv, pad;
} BoAdvice;

/* A driver. Operations return 0, or -errno; NULL is no operation. */
typedef struct BoDriver {
    const char *name;           /* as in debugfs */
    const char *debugfs;        /* prefix of its files there */
    bool has_render_ioctls;     /* a render node suffices for all */
    int (*create)(int gpu, Bo *bo);     /* of bo->kind and bo->bytes */
    int (*get_offset)(int gpu, uint32_t handle, uint64_t *offset);
    int (*upload)(int gpu, const Bo *bo);
    int (*download)(int gpu, const Bo *bo);
    int (*wait)(int gpu, const Bo *bo);
    unsigned long madvise;      /* the ioctl */
} BoDriver;

extern const BoDriver bo_driver_virtio, bo_driver_vgem;

/* The one that all functions below use: virtio-gpu, unless selected. */
extern const BoDriver *bo_driver;

/* Use @driver from now on; false if it is not loaded. */
bool bo_select_driver(const BoDriver *driver);

/* The path of the driver's file @what, "reclaim" or "shrink". */
void bo_debugfs_path(const char *what, char *path, size_t size);

/* A DRM ioctl; returns 0 or -errno. */
int drm_request(int fd, unsigned long request, void *arg);

/* These return 0, or -errno. */
int gem_close(int fd, uint32_t handle);
int gpu_open(void);
int gpu_open_card(void);                /* not a render node */
int bo_create(int gpu, BoKind kind, size_t bytes, Bo *bo);
/* bo_create() is these two. */
int bo_create_unmapped(int gpu, BoKind kind, size_t bytes, Bo *bo);
int bo_map(int gpu, Bo *bo);
int bo_upload(int gpu, const Bo *bo);   /* guest pages -> host copy; queued */
int bo_download(int gpu, const Bo *bo); /* host copy -> guest pages; queued */
int bo_wait(int gpu, const Bo *bo);     /* until queued transfers complete */

/* Map @bytes of it once more, as mmap(). */
void *bo_map_anew(int gpu, const Bo *bo, size_t bytes, int protection,
                  int flags);

/* VIRTGPU_MADV_*, which all drivers share; sets @retained to its result. */
int bo_madvise(int gpu, const Bo *bo, uint32_t madv, bool *retained);

/* virtio-gpu only: width and height of the resource. */
void bo_extent(const Bo *bo, uint32_t *width, uint32_t *height);

/* virtio-gpu only: the renderer of the host, from the capabilities. */
int gpu_renderer(int gpu, char *name, size_t size);

#endif
