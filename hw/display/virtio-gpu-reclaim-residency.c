/*
 * Virtio GPU: residency of one resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Storage is released and made again through the backend, and accounted in the
 * ledger, in one place for all commands.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-trim.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaim *r = g->reclaim;
    bool purged = entry->state == VIRTIO_GPU_LEDGER_PURGED;
    int64_t start;
    int ret;

    if (!purged && !entry->compressed_bytes) {
        return 0;
    }
    /* Compressed contents count in full, so they always fit. */
    if (purged && !virtio_gpu_ledger_fits(r->ledger, entry->size)) {
        return -ENOMEM;
    }
    start = g_get_monotonic_time();
    ret = r->backend->restore(g, entry->opaque);
    trace_virtio_gpu_reclaim_restore(entry->id, entry->size, ret,
                                     g_get_monotonic_time() - start);
    if (ret == 0 && purged) {
        virtio_gpu_ledger_restore(r->ledger, entry);
    }
    return ret;
}

int virtio_gpu_reclaim_purge(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint64_t released;
    int ret;

    if (entry->state == VIRTIO_GPU_LEDGER_PURGED) {
        return 0;
    }
    ret = r->backend->can_purge(g, entry->opaque);
    if (ret < 0) {
        return ret;
    }
    if (virtio_gpu_reclaim_is_scanned_out(g, entry->id)) {
        return -EBUSY;
    }
    if (entry->backing_bytes) {
        r->backend->detach(g, entry->opaque);
    }
    released = r->backend->purge(g, entry->opaque);
    virtio_gpu_ledger_purge(r->ledger, entry, released);
    trace_virtio_gpu_reclaim_purge(entry->id, entry->size, released);
    virtio_gpu_trim_schedule(r->trim, entry->size, 1);
    return 0;
}

bool virtio_gpu_reclaim_is_scanned_out(VirtIOGPU *g, uint32_t id)
{
    int i;

    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        const struct virtio_gpu_scanout *s = &g->parent_obj.scanout[i];

        if (s->resource_id == id || s->cursor.resource_id == id) {
            return true;
        }
    }
    return false;
}

void virtio_gpu_reclaim_disable_scanouts(VirtIOGPU *g, uint32_t id)
{
    int i;

    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        struct virtio_gpu_scanout *s = &g->parent_obj.scanout[i];

        if (s->resource_id == id) {
            g->reclaim->backend->disable_scanout(g, i);
        }
        if (s->cursor.resource_id == id) {
            s->cursor.resource_id = 0;
        }
    }
}
