/*
 * Virtio GPU: reclaim in migration and snapshots
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The stream of the 2D device has images, and the guest memory that is mapped
 * for them. It cannot say that a resource is evicted, nor that it is purged
 * and has no image. A subsection does, and is sent only when there is such a
 * resource: without it the stream is the stock device's.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "migration/vmstate.h"
#include "virtio-gpu-reclaim-backend.h"

typedef struct VirtIOGPUReclaimSaved {
    uint32_t id;
    uint32_t state;             /* VirtIOGPULedgerState, not RESIDENT */
    uint32_t width, height;
    uint32_t format;
    QTAILQ_ENTRY(VirtIOGPUReclaimSaved) next;
} VirtIOGPUReclaimSaved;

static const VMStateDescription vmstate_saved = {
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

static const VMStateDescription vmstate_reclaim = {
    .name = "virtio-gpu-reclaim",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_QTAILQ_V(saved, VirtIOGPUReclaim, 1, vmstate_saved,
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

static void save_entry(VirtIOGPULedgerEntry *entry, void *opaque)
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
 * What is evicted is to any device a resource without backing: that is worth
 * a stream that the stock device cannot read only if that could not take it
 * anyway, for the feature.
 */
static bool needed(void *opaque)
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

static int pre_save(void *opaque)
{
    VirtIOGPU *g = opaque;

    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    virtio_gpu_ledger_foreach(g->reclaim->ledger, save_entry, g->reclaim);
    return 0;
}

static int post_save(void *opaque)
{
    VirtIOGPU *g = opaque;

    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    return 0;
}

static int pre_load(void *opaque)
{
    VirtIOGPU *g = opaque;

    if (!g->reclaim) {
        error_report("virtio-gpu: the stream has purged or evicted resources: "
                     "use x-reclaim=on here, too");
        return -EINVAL;
    }
    virtio_gpu_reclaim_vmstate_free(g->reclaim);
    return 0;
}

static bool load_entry(VirtIOGPU *g, const VirtIOGPUReclaimSaved *saved)
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
        entry = virtio_gpu_reclaim_2d_load_purged(g, saved->id, saved->width,
                                                  saved->height,
                                                  saved->format);
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

static int post_load(void *opaque, int version_id)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimSaved *saved;
    int ret = 0;

    QTAILQ_FOREACH(saved, &g->reclaim->saved, next) {
        if (!load_entry(g, saved)) {
            error_report("virtio-gpu: resource %u of the stream cannot be in "
                         "state %u", saved->id, saved->state);
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
    .needed = needed,
    .pre_save = pre_save,
    .post_save = post_save,
    .pre_load = pre_load,
    .post_load = post_load,
    .fields = (VMStateField[]) {
        VMSTATE_STRUCT_POINTER(reclaim, VirtIOGPU, vmstate_reclaim,
                               VirtIOGPUReclaim),
        VMSTATE_END_OF_LIST()
    },
};

static void find_blob(VirtIOGPULedgerEntry *entry, void *opaque)
{
    const struct virtio_gpu_simple_resource *res = entry->opaque;

    if (res->blob_size) {
        *(uint32_t *)opaque = entry->id;
    }
}

int virtio_gpu_reclaim_pre_save(VirtIOGPU *g)
{
    uint32_t blob = 0;

    if (g->reclaim) {
        virtio_gpu_ledger_foreach(g->reclaim->ledger, find_blob, &blob);
    }
    if (blob) {
        error_report("virtio-gpu: resource %u is a blob, which a stream "
                     "cannot have", blob);
        return -ENOTSUP;
    }
    return 0;
}
