/*
 * Virtio GPU: reclaim in migration and snapshots
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The migration stream of the 2D device has images and the guest memory that
 * is mapped for them. It cannot describe that a resource is evicted, nor that
 * it is purged and has no image. A subsection does, and is sent only when there
 * is such a resource: without it the stream is the stock device's.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "migration/vmstate.h"
#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-2d.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-vmstate.h"

typedef struct VirtIOGPUReclaimSaved {
    uint32_t id;
    uint32_t state;             /* VirtIOGPULedgerState, not RESIDENT */
    uint32_t width, height;
    uint32_t format;
    QTAILQ_ENTRY(VirtIOGPUReclaimSaved) next;
} VirtIOGPUReclaimSaved;

static const VMStateDescription vmstate_virtio_gpu_reclaim_resource = {
    .name = "virtio-gpu-reclaim-resource",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32(id, VirtIOGPUReclaimSaved),
        VMSTATE_UINT32(state, VirtIOGPUReclaimSaved),
        VMSTATE_UINT32(width, VirtIOGPUReclaimSaved),
        VMSTATE_UINT32(height, VirtIOGPUReclaimSaved),
        VMSTATE_UINT32(format, VirtIOGPUReclaimSaved),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_virtio_gpu_reclaim_resources = {
    .name = "virtio-gpu-reclaim",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_QTAILQ_V(saved, VirtIOGPUReclaim, 1,
                         vmstate_virtio_gpu_reclaim_resource,
                         VirtIOGPUReclaimSaved, next),
        VMSTATE_END_OF_LIST()
    },
};

void virtio_gpu_reclaim_vmstate_free(VirtIOGPUReclaim *r)
{
    VirtIOGPUReclaimSaved *saved, *next;

    QTAILQ_FOREACH_SAFE(saved, &r->saved, next, next) {
        g_free(saved);
    }
    QTAILQ_INIT(&r->saved);
}

/* Save. */

static void virtio_gpu_reclaim_save_resource(VirtIOGPULedgerEntry *entry,
                                             void *opaque)
{
    const struct virtio_gpu_simple_resource *res = entry->opaque;
    VirtIOGPUReclaim *r = opaque;
    VirtIOGPUReclaimSaved *saved;

    if (entry->state == VIRTIO_GPU_LEDGER_RESIDENT) {
        return;
    }
    saved = g_new(VirtIOGPUReclaimSaved, 1);
    saved->id = entry->id;
    saved->state = entry->state;
    saved->width = res->width;
    saved->height = res->height;
    saved->format = res->format;
    QTAILQ_INSERT_TAIL(&r->saved, saved, next);
}

/*
 * To any device an evicted resource is one without backing. Only a driver that
 * has negotiated the feature relies on more, and with it the stock device
 * rejects the stream anyway.
 */
static bool virtio_gpu_reclaim_vmstate_needed(void *opaque)
{
    VirtIOGPU *g = opaque;
    const VirtIOGPULedgerStats *s;

    if (!g->reclaim) {
        return false;
    }
    s = virtio_gpu_ledger_stats(g->reclaim->ledger);
    return s->in[VIRTIO_GPU_LEDGER_PURGED].resources ||
           (s->in[VIRTIO_GPU_LEDGER_EVICTED].resources &&
            virtio_vdev_has_feature(VIRTIO_DEVICE(g), VIRTIO_GPU_F_RECLAIM));
}

static int virtio_gpu_reclaim_vmstate_pre_save(void *opaque)
{
    VirtIOGPU *g = opaque;

    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    virtio_gpu_ledger_foreach(g->reclaim->ledger,
                              virtio_gpu_reclaim_save_resource, g->reclaim);
    return 0;
}

static int virtio_gpu_reclaim_vmstate_post_save(void *opaque)
{
    VirtIOGPU *g = opaque;

    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    return 0;
}

static void virtio_gpu_reclaim_find_blob(VirtIOGPULedgerEntry *entry,
                                         void *opaque)
{
    const struct virtio_gpu_simple_resource *res = entry->opaque;

    if (res->blob_size) {
        *(uint32_t *)opaque = entry->id;
    }
}

int virtio_gpu_reclaim_pre_save(VirtIOGPU *g)
{
    uint32_t blob = 0;

    if (g->reclaim && !COMPAT_BLOB_MIGRATION) {
        virtio_gpu_ledger_foreach(g->reclaim->ledger,
                                  virtio_gpu_reclaim_find_blob, &blob);
    }
    if (blob) {
        error_report("virtio-gpu: resource %u is a blob, which cannot be "
                     "migrated", blob);
        return -ENOTSUP;
    }
    return 0;
}

bool virtio_gpu_reclaim_is_purged(VirtIOGPU *g,
                                  const struct virtio_gpu_simple_resource *res)
{
    return g->reclaim && !res->image && !res->blob_size;
}

/* Load. */

/* Bytes of the image, of which a blob has none; false if there can be none. */
static bool
virtio_gpu_reclaim_loaded_bytes(const struct virtio_gpu_simple_resource *res,
                                uint64_t *bytes)
{
    *bytes = 0;
    return res->blob_size ||
           virtio_gpu_reclaim_2d_image_bytes(res->format, res->width,
                                             res->height, bytes) == 0;
}

bool virtio_gpu_reclaim_may_load(VirtIOGPU *g,
                                 const struct virtio_gpu_simple_resource *res)
{
    uint64_t bytes, iov_bytes, max, more;

    if (!g->reclaim) {
        return true;
    }
    if (!virtio_gpu_reclaim_loaded_bytes(res, &bytes)) {
        error_report("virtio-gpu: there can be no image of migrated resource "
                     "%u", res->resource_id);
        return false;
    }
    max = virtio_gpu_reclaim_max_entries(res->blob_size ?: bytes);
    if (res->iov_cnt > max) {
        error_report("virtio-gpu: migrated resource %u has %u mappings, and "
                     "can have %" PRIu64, res->resource_id, res->iov_cnt, max);
        return false;
    }
    iov_bytes = res->iov_cnt * virtio_gpu_reclaim_2d.iov_bytes;
    more = iov_bytes + VIRTIO_GPU_RECLAIM_2D_OVERHEAD;
    if (bytes > UINT64_MAX - more ||
        !virtio_gpu_ledger_fits(g->reclaim->ledger, bytes + more)) {
        error_report("virtio-gpu: migrated resource %u, of %" PRIu64
                     " bytes, goes over max_hostmem, which is %" PRIu64
                     " here", res->resource_id, bytes + iov_bytes,
                     g->conf_max_hostmem);
        return false;
    }
    return true;
}

void virtio_gpu_reclaim_loaded(VirtIOGPU *g,
                               struct virtio_gpu_simple_resource *res)
{
    VirtIOGPULedgerEntry *entry;
    uint64_t bytes;

    if (!g->reclaim) {
        return;
    }
    virtio_gpu_reclaim_loaded_bytes(res, &bytes);
    entry = virtio_gpu_ledger_add(g->reclaim->ledger, res->resource_id, bytes,
                                  VIRTIO_GPU_RECLAIM_2D_OVERHEAD, res);
    if (res->blob_size) {
        virtio_gpu_ledger_mark_blob(g->reclaim->ledger, entry);
    }
    if (res->iov_cnt) {
        virtio_gpu_ledger_attach(g->reclaim->ledger, entry,
                                 iov_size(res->iov, res->iov_cnt),
                                 res->iov_cnt *
                                 virtio_gpu_reclaim_2d.iov_bytes);
    }
}

static int virtio_gpu_reclaim_vmstate_pre_load(void *opaque)
{
    VirtIOGPU *g = opaque;

    if (!g->reclaim) {
        error_report("virtio-gpu: there are purged or evicted resources to "
                     "migrate: use x-reclaim=on here, too");
        return -EINVAL;
    }
    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    return 0;
}

/* A resource without image; NULL if there can be none. */
static VirtIOGPULedgerEntry *
virtio_gpu_reclaim_load_purged(VirtIOGPU *g,
                               const VirtIOGPUReclaimSaved *saved)
{
    VirtIOGPULedger *ledger = g->reclaim->ledger;
    uint64_t bytes;

    if (saved->id == 0 || virtio_gpu_ledger_find(ledger, saved->id) ||
        virtio_gpu_reclaim_2d_image_bytes(saved->format, saved->width,
                                          saved->height, &bytes) < 0) {
        return NULL;
    }
    return virtio_gpu_ledger_add(ledger, saved->id, bytes,
                                 VIRTIO_GPU_RECLAIM_2D_OVERHEAD,
                                 virtio_gpu_reclaim_2d_new(g, saved->id,
                                                           saved->width,
                                                           saved->height,
                                                           saved->format));
}

static bool virtio_gpu_reclaim_load_resource(VirtIOGPU *g,
                                             const VirtIOGPUReclaimSaved *saved)
{
    VirtIOGPULedger *ledger = g->reclaim->ledger;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(ledger, saved->id);

    switch (saved->state) {
    case VIRTIO_GPU_LEDGER_EVICTED:
        if (!entry || entry->state != VIRTIO_GPU_LEDGER_RESIDENT ||
            entry->backing_bytes) {
            return false;
        }
        break;
    case VIRTIO_GPU_LEDGER_PURGED:
        entry = virtio_gpu_reclaim_load_purged(g, saved);
        if (!entry) {
            return false;
        }
        break;
    default:
        return false;
    }
    virtio_gpu_ledger_enter(ledger, entry, saved->state);
    return true;
}

static int virtio_gpu_reclaim_vmstate_post_load(void *opaque, int version_id)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimSaved *saved;
    int ret = 0;

    QTAILQ_FOREACH(saved, &g->reclaim->saved, next) {
        if (!virtio_gpu_reclaim_load_resource(g, saved)) {
            error_report("virtio-gpu: migrated resource %u cannot be in state "
                         "%u", saved->id, saved->state);
            ret = -EINVAL;
            break;
        }
    }
    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    return ret;
}

const VMStateDescription vmstate_virtio_gpu_reclaim = {
    .name = "virtio-gpu/reclaim",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = virtio_gpu_reclaim_vmstate_needed,
    .pre_save = virtio_gpu_reclaim_vmstate_pre_save,
    .post_save = virtio_gpu_reclaim_vmstate_post_save,
    .pre_load = virtio_gpu_reclaim_vmstate_pre_load,
    .post_load = virtio_gpu_reclaim_vmstate_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_STRUCT_POINTER(reclaim, VirtIOGPU,
                               vmstate_virtio_gpu_reclaim_resources,
                               VirtIOGPUReclaim),
        VMSTATE_END_OF_LIST()
    },
};
