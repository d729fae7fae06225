/*
 * Virtio GPU: compress the contents of evicted resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An evicted resource keeps its storage on the host. With x-evicted-compress=on
 * its contents are compressed, and its storage is released, some time after its
 * backing was detached. What uses the resource restores it: the backend for
 * command streams, virtio_gpu_reclaim_restore() for commands.
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-compress.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-trim.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

/*
 * Resources are compressed this long after the first of a burst was evicted: a
 * guest under memory pressure waits for each eviction, and may want some of
 * them back at once.
 */
#define COMPRESS_DELAY_MS 100

struct VirtIOGPUReclaimCompress {
    GHashTable *queue;          /* ids of resources evicted meanwhile */
    QEMUTimer *timer;
};

static void virtio_gpu_reclaim_compress_skip(VirtIOGPU *g, int err)
{
    VirtIOGPULedgerSkip reason;

    switch (err) {
    case -EBUSY:
        reason = VIRTIO_GPU_LEDGER_SKIP_REFERENCED;
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
        /* -ENODATA: a staging buffer has nothing to compress. */
        return;
    }
    virtio_gpu_ledger_skip(g->reclaim->ledger, reason);
}

static void virtio_gpu_reclaim_compress_one(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(r->ledger, id);
    int64_t start = g_get_monotonic_time();
    int ret;

    if (!entry || entry->state != VIRTIO_GPU_LEDGER_EVICTED ||
        entry->compressed_bytes ||
        virtio_gpu_reclaim_is_scanned_out(g, id)) {
        return;
    }
    ret = r->backend->compress(g, entry->opaque);
    trace_virtio_gpu_reclaim_compress(id, entry->size, ret,
                                      g_get_monotonic_time() - start);
    if (ret == 0) {
        virtio_gpu_trim_schedule(r->trim, entry->size, 1);
    } else {
        virtio_gpu_reclaim_compress_skip(g, ret);
    }
}

/*
 * Compressing takes milliseconds for each megabyte: one resource at a time, so
 * that commands are carried out between them.
 */
static void virtio_gpu_reclaim_compress_timer(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimCompress *c = g->reclaim->compress;
    GHashTableIter iter;
    gpointer id;

    g_hash_table_iter_init(&iter, c->queue);
    if (g_hash_table_iter_next(&iter, &id, NULL)) {
        g_hash_table_iter_remove(&iter);
        virtio_gpu_reclaim_compress_one(g, GPOINTER_TO_UINT(id));
    }
    if (g_hash_table_size(c->queue)) {
        timer_mod(c->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    }
}

void virtio_gpu_reclaim_compress_queue(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaimCompress *c = g->reclaim->compress;

    if (c) {
        g_hash_table_add(c->queue, GUINT_TO_POINTER(id));
        if (!timer_pending(c->timer)) {
            timer_mod(c->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                                COMPRESS_DELAY_MS);
        }
    }
}

void virtio_gpu_reclaim_compress_reset(VirtIOGPU *g)
{
    VirtIOGPUReclaimCompress *c = g->reclaim->compress;

    if (c) {
        g_hash_table_remove_all(c->queue);
        timer_del(c->timer);
    }
}

void virtio_gpu_reclaim_compress_init(VirtIOGPU *g)
{
    VirtIOGPUReclaimCompress *c;

    if (g->reclaim_conf.compress) {
        c = g_new0(VirtIOGPUReclaimCompress, 1);
        c->queue = g_hash_table_new(NULL, NULL);
        c->timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                                virtio_gpu_reclaim_compress_timer, g);
        g->reclaim->compress = c;
    }
}

void virtio_gpu_reclaim_compress_free(VirtIOGPU *g)
{
    VirtIOGPUReclaimCompress *c = g->reclaim->compress;

    if (c) {
        timer_free(c->timer);
        g_hash_table_destroy(c->queue);
        g_free(c);
    }
}
