/*
 * Virtio GPU: storage of resources, as reclaim sees it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virtio-gpu-reclaim.c knows commands and states. What host storage is, and
 * how to drop it and make it again, is known to a backend: pixman images in
 * virtio-gpu-reclaim-2d.c, virglrenderer in virtio-gpu-reclaim-virgl.c.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H

#include "hw/virtio/virtio-gpu.h"
#include "hw/virtio/virtio-gpu-reclaim.h"
#include "virtio-gpu-ledger.h"

/* Guest memory that is mapped for a resource. */
typedef struct VirtIOGPUReclaimMapping {
    struct iovec *iov;
    uint64_t *addrs;            /* guest address of each @iov */
    uint32_t iov_cnt;
    uint64_t bytes;
} VirtIOGPUReclaimMapping;

/* Why contents were not stored away, in the order of reclaim-stats. */
#define VIRTIO_GPU_RECLAIM_KEPT_REASONS 5
/* Restores that took less than 2, 4, 8, ... microseconds, and the rest. */
#define VIRTIO_GPU_RECLAIM_TIME_BUCKETS 24

/* Contents stored away; to the ledger these resources are evicted. */
typedef struct VirtIOGPUReclaimStored {
    uint64_t resources;
    uint64_t bytes;                 /* that their contents take */
    uint64_t of_bytes;              /* that their storage took */
    uint64_t stores, restores;      /* ever, as what follows */
    uint64_t kept[VIRTIO_GPU_RECLAIM_KEPT_REASONS];
    uint64_t restore_us[VIRTIO_GPU_RECLAIM_TIME_BUCKETS];
} VirtIOGPUReclaimStored;

/* What a backend knows better than the ledger. */
typedef struct VirtIOGPUReclaimAudit {
    uint64_t deferred;              /* storages given up, but not gone yet */
    uint64_t deferred_bytes;
    uint64_t purged_released_bytes; /* gone, of what is purged now */
    uint64_t released_bytes_total;  /* gone by purges, ever */
    VirtIOGPUReclaimStored stored;
} VirtIOGPUReclaimAudit;

typedef void (*VirtIOGPUReclaimCtxFunc)(uint32_t id, const char *name,
                                        uint64_t resources,
                                        uint64_t host_bytes, void *opaque);

/*
 * Functions that take an entry are called in a state where they make sense:
 * attach() if it has storage and no backing, detach() with backing, destroy()
 * and purge() without. They return 0 or a negative errno value and leave the
 * ledger to the caller.
 */
typedef struct VirtIOGPUReclaimBackend {
    /* What is kept of a mapping for each of its iov_cnt. */
    size_t array_bytes;
    /*
     * Carry out the creation of a resource, or anything else that only this
     * backend has. Returns false if the command is none of its business.
     */
    bool (*command)(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd);
    /* Whether the resource has an image of @r to show. */
    bool (*check_show)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                       const struct virtio_gpu_rect *r);
    /* Optional: whether a cursor can be made of it, if that is less. */
    bool (*check_cursor)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
    /* Takes what @map points to, if it succeeds. */
    int (*attach)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                  VirtIOGPUReclaimMapping *map);
    /* When this returns no guest page of the resource is referred to. */
    void (*detach)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
    void (*destroy)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
    int (*purge)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                 uint64_t *released);
    int (*restore)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
    /*
     * Optional: store the contents of an evicted resource away. Then attach()
     * and restore() bring them back.
     */
    int (*store)(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
    /* Stop showing a resource on a scanout. */
    void (*disable_scanout)(VirtIOGPU *g, int scanout_id);
    /* Optional: look what has become of deferred storage. */
    void (*audit)(VirtIOGPU *g, VirtIOGPUReclaimAudit *audit);
    /* Optional: call @func for each rendering context. */
    void (*contexts)(VirtIOGPU *g, VirtIOGPUReclaimCtxFunc func, void *opaque);
    /* Optional: the device is reset, and nothing is attached any more. */
    void (*reset)(VirtIOGPU *g);
    /* Optional. */
    void (*free)(VirtIOGPU *g);
} VirtIOGPUReclaimBackend;

typedef struct VirtIOGPUReclaimStore VirtIOGPUReclaimStore;
typedef struct VirtIOGPUReclaimTrim VirtIOGPUReclaimTrim;

struct VirtIOGPUReclaim {
    const VirtIOGPUReclaimBackend *backend;
    void *backend_data;
    VirtIOGPULedger *ledger;
    VirtIOGPUReclaimTrim *trim;
    /* NULL with x-evicted-store=off. */
    VirtIOGPUReclaimStore *store;
    /* While it is migrated: what the stock stream cannot say. */
    QTAILQ_HEAD(, VirtIOGPUReclaimSaved) saved;
};

/* virtio-gpu-reclaim.c */

/* Fail @cmd with @error and tell the log of guest errors why. */
void G_GNUC_PRINTF(4, 5)
virtio_gpu_reclaim_refuse(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                          enum virtio_gpu_ctrl_type error,
                          const char *fmt, ...);

/* Refuse @cmd for a negative errno value of a backend. */
void virtio_gpu_reclaim_refuse_errno(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd,
                                     uint32_t resource_id, int err);

/* Read the @size bytes that @cmd must have, or refuse it. */
bool virtio_gpu_reclaim_read(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                             void *buf, size_t size);

/* Find a resource, or refuse @cmd. */
VirtIOGPULedgerEntry *
virtio_gpu_reclaim_find(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                        uint32_t id);

/*
 * Whether a resource of @size bytes may be created as @id: refuse @cmd if the
 * id is 0 or taken, or if it goes over the limit.
 */
bool virtio_gpu_reclaim_may_create(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd,
                                   uint32_t id, uint64_t size);

/*
 * Whether @more bytes of storage stay below max_hostmem, with all that is
 * held.
 */
bool virtio_gpu_reclaim_within_limit(VirtIOGPU *g, uint64_t more);

/* How many pieces the backing of a resource of @size bytes can be in. */
uint64_t virtio_gpu_reclaim_max_entries(uint64_t size);

/* Bring the ledger up to date with storage that went since a purge. */
void virtio_gpu_reclaim_audit(VirtIOGPU *g, VirtIOGPUReclaimAudit *audit);

/*
 * Give a resource that has none its storage again; others are left alone.
 * Returns 0 or a negative errno value.
 */
int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);

/* Whether a scanout or a cursor shows it. */
bool virtio_gpu_reclaim_is_shown(VirtIOGPU *g, uint32_t id);

/* virtio-gpu-reclaim-trim.c */

/*
 * @bytes of storage were freed. As a rule they are still in the heap, and
 * would stay there: trim it soon if @worth_a_trim bytes were freed by now.
 */
void virtio_gpu_reclaim_freed(VirtIOGPU *g, uint64_t bytes,
                              uint64_t worth_a_trim);
/* How often that was done, and how many microseconds it took in all. */
uint64_t virtio_gpu_reclaim_trims(const VirtIOGPUReclaim *r, uint64_t *us);
void virtio_gpu_reclaim_trim_init(VirtIOGPU *g);
void virtio_gpu_reclaim_trim_free(VirtIOGPUReclaim *r);

/* virtio-gpu-reclaim-store.c: without effect if x-evicted-store=off. */

/* The resource is evicted, or may be, and can be stored: do so some time. */
void virtio_gpu_reclaim_store_evicted(VirtIOGPU *g,
                                      VirtIOGPULedgerEntry *entry);
/* Give a resource that is evicted its storage again, if it has none. */
int virtio_gpu_reclaim_store_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);
/* There are no resources any more. */
void virtio_gpu_reclaim_store_reset(VirtIOGPU *g);
void virtio_gpu_reclaim_store_init(VirtIOGPU *g);
void virtio_gpu_reclaim_store_free(VirtIOGPUReclaim *r);

/* virtio-gpu-reclaim-check.c */

/*
 * Whether @cmd may go to a stock handler, as far as that has no checks of its
 * own: refuse it if not. A resource that is to be shown has storage then.
 */
bool virtio_gpu_reclaim_check(VirtIOGPU *g,
                              struct virtio_gpu_ctrl_command *cmd);

/* virtio-gpu-reclaim-map.c */

/*
 * Map the @nr_entries entries of guest memory at @offset of @cmd. On failure
 * @cmd is refused and nothing is mapped.
 */
bool virtio_gpu_reclaim_map(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                            size_t offset, uint32_t nr_entries,
                            VirtIOGPUReclaimMapping *map);
void virtio_gpu_reclaim_unmap(VirtIOGPU *g, VirtIOGPUReclaimMapping *map);

/* virtio-gpu-reclaim-vmstate.c */

/* Forget what was read of a stream that came to no end. */
void virtio_gpu_reclaim_vmstate_free(VirtIOGPUReclaim *r);

/* virtio-gpu-reclaim-trace.c */

/* Turn on the trace events that the command line asks for. */
void virtio_gpu_reclaim_trace_init(void);

/* virtio-gpu-reclaim-2d.c */
extern const VirtIOGPUReclaimBackend virtio_gpu_reclaim_2d;

/*
 * Make a resource that has no image yet. Returns NULL if the id is taken, or
 * there can be no such resource.
 */
VirtIOGPULedgerEntry *
virtio_gpu_reclaim_2d_load_purged(VirtIOGPU *g, uint32_t id, uint32_t width,
                                  uint32_t height, uint32_t format);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_BACKEND_H */
