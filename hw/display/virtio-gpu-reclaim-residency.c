/*
 * Virtio GPU: residency of one resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Storage is released and made again through the backend, and accounted in the
 * ledger, in one place for all commands.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-trim.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

/*
 * How much a command may wait for others to be compressed, besides twice what
 * it allocates, which takes its time as well: enough for one large texture that
 * does not get smaller, for some resources that cannot leave, and for none that
 * are not worth it.
 */
#define ROOM_BYTES (16 * MiB)
#define ROOM_RESOURCES 64
#define ROOM_MIN_BYTES (4 * KiB)

void virtio_gpu_reclaim_compress_result(VirtIOGPU *g,
                                        VirtIOGPULedgerEntry *entry, int ret,
                                        int64_t us)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerSkip reason;

    trace_virtio_gpu_reclaim_compress(entry->id, entry->size, ret, us);
    switch (ret) {
    case 0:
        virtio_gpu_trim_schedule(r->trim, entry->size, 1);
        return;
    case -EBUSY:
        reason = VIRTIO_GPU_LEDGER_SKIP_BUSY;
        break;
    case -ENOTSUP:
        reason = VIRTIO_GPU_LEDGER_SKIP_FORMAT;
        break;
    case -EFBIG:
        reason = VIRTIO_GPU_LEDGER_SKIP_NO_GAIN;
        break;
    case -ENOSPC:
        reason = VIRTIO_GPU_LEDGER_SKIP_LIMIT;
        break;
    case -ENOMEM:
        reason = VIRTIO_GPU_LEDGER_SKIP_NO_MEMORY;
        break;
    default:
        /* -ENODATA: a staging buffer has no storage. -ECANCELED: it is used. */
        return;
    }
    if (entry->state != VIRTIO_GPU_LEDGER_PURGED && !entry->compressed) {
        virtio_gpu_ledger_skip(r->ledger, entry, reason);
    }
}

static int virtio_gpu_reclaim_compress(VirtIOGPU *g,
                                       VirtIOGPULedgerEntry *entry)
{
    int64_t start = g_get_monotonic_time();
    int ret = g->reclaim->backend->compress(g, entry->opaque);

    virtio_gpu_reclaim_compress_result(g, entry, ret,
                                       g_get_monotonic_time() - start);
    return ret;
}

bool virtio_gpu_reclaim_make_room(VirtIOGPU *g, uint64_t more)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint64_t lacks = virtio_gpu_ledger_lacks(r->ledger, more);
    uint64_t budget, last_use;
    VirtIOGPULedgerEntry *entry;
    uint32_t after = 0, id;
    int i;

    if (lacks == 0 || !r->backend->lru_next) {
        return lacks == 0;
    }
    /* One at a time: what is under way in slices would not be done in time. */
    entry = virtio_gpu_ledger_find(r->ledger, r->compressing);
    if (entry) {
        r->backend->restore(g, entry->opaque);
    }
    budget = more > UINT64_MAX / 4 ? UINT64_MAX : 2 * more + ROOM_BYTES;
    for (i = 0; i < ROOM_RESOURCES; i++) {
        id = r->backend->lru_next(g, after, &last_use);
        if (!id) {
            break;
        }
        entry = virtio_gpu_ledger_find(r->ledger, id);
        if (!entry || entry->size > budget || entry->size < ROOM_MIN_BYTES ||
            virtio_gpu_reclaim_is_scanned_out(g, id)) {
            after = id;
            continue;
        }
        budget -= entry->size;
        if (virtio_gpu_reclaim_compress(g, entry) < 0) {
            after = id;
        } else if (virtio_gpu_ledger_lacks(r->ledger, more) == 0) {
            return true;
        }
    }
    return false;
}

int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaim *r = g->reclaim;
    bool purged = entry->state == VIRTIO_GPU_LEDGER_PURGED;
    int64_t start;
    int ret;

    if (!purged && !entry->compressed) {
        /* A use ends compressing that is under way. */
        return entry->id == r->compressing ?
               r->backend->restore(g, entry->opaque) : 0;
    }
    /* Compressed contents have been accepted: they come back in any case. */
    if (!virtio_gpu_reclaim_make_room(g, entry->size) && purged) {
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
    if (entry->id == r->compressing) {
        /* That has ended: nothing is to be restored to end it. */
        r->compressing = 0;
    }
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
