/*
 * Virtio GPU: what a storage backend does for reclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A backend knows what host storage is, how to release it and how to make it
 * again: pixman images in virtio-gpu-reclaim-2d.c, virglrenderer in
 * virtio-gpu-reclaim-virgl.c. It knows neither commands nor accounting: it is
 * given validated structures in host byte order, and returns 0 or a negative
 * errno value. What happens to storage later, by itself, it reports as an
 * event.
 *
 * All functions are called in the main loop with the BQL held.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H

#include "hw/virtio/virtio-gpu.h"
#include "virtio-gpu-reclaim-map.h"

/* A rendering context; @name is valid in the callback. */
typedef struct VirtIOGPUReclaimCtx {
    uint32_t id;
    const char *name;
    uint64_t resources;         /* number attached */
    uint64_t host_bytes;        /* storage of those that have some */
    uint64_t compressed_bytes;  /* of those whose contents are compressed */
    uint64_t deferred_bytes;    /* that it keeps, or may keep */
    uint64_t last_use;          /* ms as of set_time(); 0: never */
} VirtIOGPUReclaimCtx;

/* Compressed contents in a file; the last three count from the start. */
typedef struct VirtIOGPUReclaimFileStats {
    uint64_t resources;
    uint64_t bytes;             /* that they take there */
    uint64_t writes, reads, errors;
} VirtIOGPUReclaimFileStats;

typedef void (*VirtIOGPUReclaimCtxFunc)(const VirtIOGPUReclaimCtx *ctx,
                                        void *opaque);

/*
 * A resource is what a create function has put in *@res. Functions that take
 * one are called in a state where they make sense: attach() when nothing is
 * attached and it has storage, detach() with backing, destroy() and purge()
 * without, compress() with storage, restore() without. Optional functions may
 * be NULL.
 */
typedef struct VirtIOGPUReclaimBackend {
    /* Host memory kept for each entry of a mapping, in bytes. */
    size_t iov_bytes;
    /* A fence is signalled later than the command in front of it returns. */
    bool has_fences;

    /*
     * Bytes of storage, and what the host allocates for the resource besides;
     * -EINVAL or -ENOMEM if there can be no such storage.
     */
    int (*size_2d)(const struct virtio_gpu_resource_create_2d *c2d,
                   uint64_t *bytes, uint64_t *overhead);
    int (*create_2d)(VirtIOGPU *g,
                     const struct virtio_gpu_resource_create_2d *c2d,
                     void **res);
    /* GL only. */
    int (*size_3d)(const struct virtio_gpu_resource_create_3d *c3d,
                   uint64_t *bytes, uint64_t *overhead);
    int (*create_3d)(VirtIOGPU *g,
                     const struct virtio_gpu_resource_create_3d *c3d,
                     void **res);
    /* Host memory of a blob besides its storage, in bytes. */
    uint64_t blob_overhead;
    /* 2D only: a guest blob, whose memory is attached next. */
    int (*create_blob)(VirtIOGPU *g,
                       const struct virtio_gpu_resource_create_blob *cblob,
                       void **res);
    void (*destroy)(VirtIOGPU *g, void *res);

    /*
     * GL only: a blob, which the stock handlers create, map, unmap and destroy.
     * Takes over the mapping of a new one, and returns what is *@res above.
     */
    void *(*blob_created)(VirtIOGPU *g,
                          const struct virtio_gpu_resource_create_blob *cblob,
                          uint64_t *backing_bytes, uint32_t *iov_cnt);
    bool (*is_blob)(VirtIOGPU *g, void *res);
    void (*blob_mapped)(VirtIOGPU *g, void *res);
    /* Returns whether it was mapped, so that the command is suspended. */
    bool (*blob_unmap)(VirtIOGPU *g, void *res);
    void (*blob_destroyed)(VirtIOGPU *g, void *res);

    /* Takes what @map points to if it succeeds. */
    int (*attach)(VirtIOGPU *g, void *res, VirtIOGPUReclaimMapping *map);
    /* When this returns no guest page of the resource is referred to. */
    void (*detach)(VirtIOGPU *g, void *res);
    /* 0, or -ENOTSUP if resources of this type never can be. */
    int (*can_purge)(VirtIOGPU *g, void *res);
    /* Returns the bytes of storage that are gone at once. */
    uint64_t (*purge)(VirtIOGPU *g, void *res);
    /*
     * Make storage again: with its contents if compressed, or all zero. One
     * that is being compressed is left as it is.
     */
    int (*restore)(VirtIOGPU *g, void *res);

    /* Optional, all or none of the following, up to scanouts. */

    /*
     * Milliseconds that uses are stamped with from now on; never less. Stamps
     * can be up to a tenth of a second later.
     */
    void (*set_time)(VirtIOGPU *g, uint64_t now);
    /*
     * The id of the least recently used resource with storage after @after (0:
     * of all), and when that was; 0 if there is none. Without those that were
     * found incompressible since their last use.
     */
    uint32_t (*lru_next)(VirtIOGPU *g, uint32_t after, uint64_t *last_use);
    /*
     * Compress the contents and release the storage; backing stays attached.
     * -EBUSY if a context cannot do without it, -ENOTSUP if it cannot be read
     * back, -EFBIG if it would hardly get smaller, -ENOSPC if over the limit,
     * -ENODATA if there is nothing to compress, -ENOMEM.
     */
    int (*compress)(VirtIOGPU *g, void *res);
    /*
     * The same in slices, of one resource at a time: begin it, then run until
     * the result is not -EAGAIN. What uses, purges or destroys the resource
     * ends it; -ECANCELED for one that is needed (below).
     */
    int (*compress_begin)(VirtIOGPU *g, void *res);
    int (*compress_run)(VirtIOGPU *g);
    VirtIOGPUReclaimFileStats (*file_stats)(VirtIOGPU *g);
    /* The id of the resource for which that is under way, or 0. */
    uint32_t (*compressing)(VirtIOGPU *g);

    /*
     * As submit(), unless it would have to restore something; then -EAGAIN, and
     * what the stream uses is needed.
     */
    int (*try_submit)(VirtIOGPU *g, uint32_t ctx, void *commands,
                      size_t words);
    /* Need a resource, which is compressed or being compressed. */
    int (*restore_begin)(VirtIOGPU *g, void *res);
    /* Bytes of storage that restore_run() allocates next. */
    uint64_t (*restore_bytes)(VirtIOGPU *g);
    /*
     * Restore what is needed, a step in each call: 1 if it is to be called
     * again, -EAGAIN if not before progress() was reported, 0 at the end. What
     * is needed is not compressed meanwhile, until restore_end().
     */
    int (*restore_run)(VirtIOGPU *g);
    void (*restore_end)(VirtIOGPU *g);

    /* Whether @r of the resource can be scanned out. */
    bool (*can_scanout)(VirtIOGPU *g, void *res,
                        const struct virtio_gpu_rect *r);
    /* Whether a cursor image can be read from the resource, once restored. */
    bool (*can_cursor)(VirtIOGPU *g, void *res);
    void (*disable_scanout)(VirtIOGPU *g, int scanout_id);

    /* Whether the image that @ss describes stays within the blob. */
    bool (*can_scanout_blob)(VirtIOGPU *g, void *res,
                             const struct virtio_gpu_set_scanout_blob *ss);
    /* 2D only: whether the transfer stays within the backing. */
    bool (*can_transfer_2d)(VirtIOGPU *g, void *res,
                            const struct virtio_gpu_transfer_to_host_2d *t2d);

    /*
     * GL only. -ESRCH if there is no such context, -ENOSPC for too many, also
     * of those that a stream creates inside of one, -ENODATA for a transfer
     * without backing, -EINVAL for one that does not fit.
     */
    int (*transfer_2d)(VirtIOGPU *g, void *res,
                       const struct virtio_gpu_transfer_to_host_2d *t2d);
    int (*transfer_3d)(VirtIOGPU *g, void *res,
                       const struct virtio_gpu_transfer_host_3d *t3d,
                       bool to_host);
    /*
     * The capset @id, to be freed with g_free(), and its size in @size. NULL if
     * there is none.
     */
    void *(*get_capset)(VirtIOGPU *g, uint32_t id, uint32_t version,
                        uint32_t *size);
    int (*ctx_create)(VirtIOGPU *g, uint32_t ctx, uint32_t context_init,
                      const char *name, uint32_t len);
    int (*ctx_destroy)(VirtIOGPU *g, uint32_t ctx);
    int (*ctx_attach)(VirtIOGPU *g, uint32_t ctx, void *res);
    int (*ctx_detach)(VirtIOGPU *g, uint32_t ctx, void *res);
    int (*submit)(VirtIOGPU *g, uint32_t ctx, void *commands, size_t words);
    /* From now on submit() returns -EDQUOT if new objects take more bytes. */
    void (*set_object_room)(VirtIOGPU *g, uint64_t bytes);
    /* Host memory of objects in contexts, in bytes. */
    uint64_t (*object_bytes)(VirtIOGPU *g);
    void (*ctx_foreach)(VirtIOGPU *g, VirtIOGPUReclaimCtxFunc func,
                        void *opaque);

    /* Return freed heap memory to the operating system. */
    void (*trim)(void);
    /*
     * Optional: the device is reset and nothing is attached any more. Storage
     * is released later, and renderer_reset() is reported then.
     */
    void (*reset)(VirtIOGPU *g);
    /* Optional: the device ends. */
    void (*free)(VirtIOGPU *g);
} VirtIOGPUReclaimBackend;

/* What a backend reports as it happens. */
typedef struct VirtIOGPUReclaimEvents {
    /* A purge or unref left @bytes of storage that something refers to. */
    void (*storage_deferred)(VirtIOGPU *g, uint64_t bytes, uint64_t overhead);
    /* It is gone; @id: the purged resource that had it, or 0. */
    void (*storage_released)(VirtIOGPU *g, uint32_t id, uint64_t bytes,
                             uint64_t overhead, bool purged);
    /* Its contents take @bytes of memory: 0 if they are in the file. */
    void (*compressed)(VirtIOGPU *g, uint32_t id, uint64_t bytes);
    /* Its contents, which are compressed, have moved to the file. */
    void (*written)(VirtIOGPU *g, uint32_t id);
    /* Writing to the file, or reading from it, failed; nothing is lost. */
    void (*file_failed)(VirtIOGPU *g, uint32_t id, int error, bool write);
    void (*decompressed)(VirtIOGPU *g, uint32_t id, uint64_t us);
    /* A purged resource has storage again, all zero: a stream used it. */
    void (*restored)(VirtIOGPU *g, uint32_t id);
    /* Nothing refers any more to what compress() found busy. */
    void (*unreferenced)(VirtIOGPU *g, uint32_t id);
    /* compress_run() or restore_run() can do the next step; any thread. */
    void (*progress)(VirtIOGPU *g);
    void (*renderer_reset)(VirtIOGPU *g);
} VirtIOGPUReclaimEvents;

typedef struct VirtIOGPULedger VirtIOGPULedger;
typedef struct VirtIOGPUTrim VirtIOGPUTrim;
typedef struct VirtIOGPUReclaimCompress VirtIOGPUReclaimCompress;
typedef struct VirtIOGPUReclaimControl VirtIOGPUReclaimControl;
typedef struct VirtIOGPUSuspend VirtIOGPUSuspend;

/* Room that a suspended command waits for: others are compressed. */
typedef struct VirtIOGPUReclaimRoom {
    bool wanted;
    bool exhausted;             /* there is no more to be had for it */
    uint64_t more;              /* bytes that are to fit */
    uint32_t after;             /* the last resource that could not leave */
    uint32_t chosen;            /* the last one that was to be compressed */
    int tries;                  /* resources to be tried ... */
    uint64_t budget;            /* ... and bytes of their storage */
} VirtIOGPUReclaimRoom;

/* Of one device. Backends use the first four members only. */
struct VirtIOGPUReclaim {
    /* NULL until the renderer has started, and if it failed to. */
    const VirtIOGPUReclaimBackend *backend;
    void *backend_data;
    const VirtIOGPUReclaimEvents *events;
    int64_t file_reported;      /* ms: when it was said that it fails, or 0 */
    VirtIOGPULedger *ledger;
    VirtIOGPUTrim *trim;
    VirtIOGPUReclaimCompress *compress;
    VirtIOGPUReclaimControl *control;
    VirtIOGPUSuspend *suspend;
    VirtIOGPUReclaimRoom room;
    bool needs;                 /* restore_end() is due */
    /* While migrating: resources that the stock stream cannot describe. */
    QTAILQ_HEAD(, VirtIOGPUReclaimSaved) saved;
};

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H */
