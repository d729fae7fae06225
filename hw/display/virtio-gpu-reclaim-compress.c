/*
 * Virtio GPU: compress resources in the background
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Contents are compressed in place of the storage of a resource, from a timer
 * and in slices. Which ones is decided by virtio-gpu-reclaim-control.c. What
 * uses a resource restores it: the backend for command streams and transfers,
 * virtio_gpu_reclaim_restore() for commands.
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-compress.h"
#include "virtio-gpu-reclaim-residency.h"

/*
 * Between two slices. The backend compresses in a thread of its own, for which
 * most slices only wait.
 */
#define SLICE_MS 1

struct VirtIOGPUReclaimCompress {
    VirtIOGPUReclaimCompressNext next;
    QEMUTimer *timer;
    int64_t us;                 /* in slices of this resource so far */
};

static void virtio_gpu_reclaim_compress_timer(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimCompress *c = r->compress;
    int64_t start = g_get_monotonic_time();
    VirtIOGPULedgerEntry *entry;
    int ret;

    if (r->compressing) {
        ret = r->backend->compress_run(g);
    } else {
        r->compressing = c->next(g);
        if (!r->compressing) {
            return;
        }
        c->us = 0;
        entry = virtio_gpu_ledger_find(r->ledger, r->compressing);
        ret = r->backend->compress_begin(g, entry->opaque);
        if (ret == 0) {
            ret = -EAGAIN;
        }
    }
    c->us += g_get_monotonic_time() - start;
    if (ret != -EAGAIN) {
        entry = virtio_gpu_ledger_find(r->ledger, r->compressing);
        r->compressing = 0;
        if (entry) {
            virtio_gpu_reclaim_compress_result(g, entry, ret, c->us);
        }
    }
    timer_mod(c->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + SLICE_MS);
}

void virtio_gpu_reclaim_compress_start(VirtIOGPU *g)
{
    QEMUTimer *timer = g->reclaim->compress->timer;

    if (!timer_pending(timer)) {
        timer_mod(timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    }
}

void virtio_gpu_reclaim_compress_reset(VirtIOGPU *g)
{
    g->reclaim->compressing = 0;
    timer_del(g->reclaim->compress->timer);
}

void virtio_gpu_reclaim_compress_init(VirtIOGPU *g,
                                      VirtIOGPUReclaimCompressNext next)
{
    VirtIOGPUReclaimCompress *c = g_new0(VirtIOGPUReclaimCompress, 1);

    c->next = next;
    c->timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                            virtio_gpu_reclaim_compress_timer, g);
    g->reclaim->compress = c;
}

void virtio_gpu_reclaim_compress_free(VirtIOGPU *g)
{
    timer_free(g->reclaim->compress->timer);
    g_free(g->reclaim->compress);
}
