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
#include "virtio-gpu-reclaim-suspend.h"
#include "virtio-gpu-reclaim-trim.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/*
 * How much a command may wait for others to be compressed, besides twice what
 * it allocates: enough for one large texture that does not get smaller, for
 * some resources that cannot leave, and for none that are not worth it.
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

static bool virtio_gpu_reclaim_is_compressing(VirtIOGPU *g, uint32_t id)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;

    return backend->compressing && backend->compressing(g) == id;
}

/* Room. */

/* The next one that may leave for the room that is wanted, or 0. */
static uint32_t virtio_gpu_reclaim_room_choose(VirtIOGPU *g,
                                               VirtIOGPUReclaimRoom *room)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerEntry *entry;
    uint64_t last_use;
    uint32_t id;

    while (room->tries-- > 0) {
        id = r->backend->lru_next(g, room->after, &last_use);
        if (!id) {
            break;
        }
        entry = virtio_gpu_ledger_find(r->ledger, id);
        if (entry && entry->size <= room->budget &&
            entry->size >= ROOM_MIN_BYTES &&
            !virtio_gpu_reclaim_is_scanned_out(g, id)) {
            room->budget -= entry->size;
            return id;
        }
        room->after = id;
    }
    return 0;
}

static VirtIOGPUReclaimRoom virtio_gpu_reclaim_room(uint64_t more)
{
    return (VirtIOGPUReclaimRoom) {
        .wanted = true,
        .more = more,
        .tries = ROOM_RESOURCES,
        .budget = more > UINT64_MAX / 4 ? UINT64_MAX : 2 * more + ROOM_BYTES,
    };
}

uint32_t virtio_gpu_reclaim_room_next(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimRoom *room = &r->room;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(r->ledger,
                                                         room->chosen);

    if (!room->wanted || !virtio_gpu_ledger_lacks(r->ledger, room->more)) {
        return 0;
    }
    if (entry && entry->state != VIRTIO_GPU_LEDGER_PURGED &&
        !entry->compressed) {
        room->after = room->chosen;
    }
    room->chosen = virtio_gpu_reclaim_room_choose(g, room);
    room->exhausted = !room->chosen;
    return room->chosen;
}

/* All in the caller's time. */
static int virtio_gpu_reclaim_make_room_now(VirtIOGPU *g, uint64_t more)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimRoom room = virtio_gpu_reclaim_room(more);
    VirtIOGPULedgerEntry *entry;
    uint32_t id;

    if (!virtio_gpu_ledger_lacks(r->ledger, more)) {
        return 0;
    }
    if (!r->backend->lru_next) {
        return -ENOMEM;
    }
    /* One at a time: what is under way in slices ends. */
    entry = virtio_gpu_ledger_find(r->ledger, r->backend->compressing(g));
    if (entry) {
        r->backend->restore(g, entry->opaque);
    }
    while (virtio_gpu_ledger_lacks(r->ledger, more)) {
        id = virtio_gpu_reclaim_room_choose(g, &room);
        if (!id) {
            return -ENOMEM;
        }
        entry = virtio_gpu_ledger_find(r->ledger, id);
        if (virtio_gpu_reclaim_compress(g, entry) < 0) {
            room.after = id;
        }
    }
    return 0;
}

int virtio_gpu_reclaim_make_room(VirtIOGPU *g, uint64_t more)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimRoom *room = &r->room;
    VirtIOGPULedgerEntry *entry;

    if (!virtio_gpu_ledger_lacks(r->ledger, more)) {
        room->wanted = false;
        return 0;
    }
    if (!r->backend->lru_next || room->exhausted) {
        return -ENOMEM;
    }
    if (!virtio_gpu_suspend_may(g)) {
        return virtio_gpu_reclaim_make_room_now(g, more);
    }
    if (!room->wanted) {
        *room = virtio_gpu_reclaim_room(more);
        entry = virtio_gpu_ledger_find(r->ledger, r->backend->compressing(g));
        if (entry && entry->size > room->budget) {
            /* The command is not to wait for that one. */
            r->backend->restore(g, entry->opaque);
        }
    }
    room->more = more;
    return -EAGAIN;
}

/* Restoring. */

int virtio_gpu_reclaim_restore_now(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaim *r = g->reclaim;
    bool purged = entry->state == VIRTIO_GPU_LEDGER_PURGED;
    int64_t start;
    int ret;

    if (!purged && !entry->compressed &&
        !virtio_gpu_reclaim_is_compressing(g, entry->id)) {
        return 0;
    }
    if (purged && virtio_gpu_reclaim_make_room_now(g, entry->size) < 0) {
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

/* A slice of restoring what is needed. Returns 0 when all of it is there. */
static int virtio_gpu_reclaim_restore_slice(VirtIOGPU *g)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    int steps, ret = 1;
    uint64_t bytes;

    for (steps = 0; ret > 0 && steps < VIRTIO_GPU_SUSPEND_STEPS; steps++) {
        bytes = backend->restore_bytes(g);
        /* Compressed contents have been accepted: they come back anyhow. */
        if (bytes && virtio_gpu_reclaim_make_room(g, bytes) == -EAGAIN) {
            return -EAGAIN;
        }
        ret = backend->restore_run(g);
    }
    virtio_gpu_suspend_count_slice(g, steps);
    if (ret > 0) {
        qemu_bh_schedule(g->ctrl_bh);
        ret = -EAGAIN;
    }
    return ret;
}

int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaim *r = g->reclaim;
    int ret;

    if (!virtio_gpu_suspend_may(g)) {
        return virtio_gpu_reclaim_restore_now(g, entry);
    }
    if (entry->state == VIRTIO_GPU_LEDGER_PURGED) {
        ret = virtio_gpu_reclaim_make_room(g, entry->size);
        return ret ? ret : virtio_gpu_reclaim_restore_now(g, entry);
    }
    if (!entry->compressed &&
        !virtio_gpu_reclaim_is_compressing(g, entry->id)) {
        return 0;
    }
    ret = r->backend->restore_begin(g, entry->opaque);
    if (ret == -EAGAIN) {
        r->needs = true;
        ret = virtio_gpu_reclaim_restore_slice(g);
    }
    return ret;
}

int virtio_gpu_reclaim_submit(VirtIOGPU *g, uint32_t ctx, void *commands,
                              size_t words)
{
    VirtIOGPUReclaim *r = g->reclaim;
    int ret;

    if (!virtio_gpu_suspend_may(g)) {
        return r->backend->submit(g, ctx, commands, words);
    }
    for (;;) {
        ret = r->needs ? virtio_gpu_reclaim_restore_slice(g) : 0;
        if (ret < 0) {
            return ret;
        }
        ret = r->backend->try_submit(g, ctx, commands, words);
        if (ret != -EAGAIN) {
            return ret;
        }
        r->needs = true;
    }
}

void virtio_gpu_reclaim_residency_end(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r = g->reclaim;

    if (r->needs) {
        r->backend->restore_end(g);
    }
    virtio_gpu_reclaim_residency_reset(g);
}

void virtio_gpu_reclaim_residency_reset(VirtIOGPU *g)
{
    g->reclaim->needs = false;
    g->reclaim->room = (VirtIOGPUReclaimRoom) { };
}

/* Purging. */

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
