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
#include "virtio-gpu-reclaim-suspend.h"

/*
 * Between two slices at most. The backend compresses in a thread of its own,
 * and reports that the next one can be done.
 */
#define SLICE_MS 1

struct VirtIOGPUReclaimCompress {
    VirtIOGPUReclaimCompressNext next;
    QEMUTimer *timer;
    QEMUBH *progress_bh;
    int64_t us;                 /* in slices of this resource so far */
};

/* Begin with the next one. Returns its id, or 0. */
static uint32_t virtio_gpu_reclaim_compress_begin(VirtIOGPU *g, int *ret)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint32_t id = r->compress->next(g);

    r->compress->us = 0;
    if (id) {
        *ret = r->backend->compress_begin(
            g, virtio_gpu_ledger_find(r->ledger, id)->opaque);
        if (*ret == 0) {
            *ret = -EAGAIN;
        }
    }
    return id;
}

static void virtio_gpu_reclaim_compress_slice(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimCompress *c = r->compress;
    int64_t start = g_get_monotonic_time();
    VirtIOGPULedgerEntry *entry;
    uint32_t id = 0;
    int ret;

    if (r->backend && r->backend->compressing) {
        id = r->backend->compressing(g);
    }
    if (id) {
        ret = r->backend->compress_run(g);
    } else {
        id = virtio_gpu_reclaim_compress_begin(g, &ret);
    }
    if (!id) {
        virtio_gpu_suspend_resume(g);
        return;
    }
    c->us += g_get_monotonic_time() - start;
    if (ret != -EAGAIN) {
        entry = virtio_gpu_ledger_find(r->ledger, id);
        if (entry) {
            virtio_gpu_reclaim_compress_result(g, entry, ret, c->us);
        }
        virtio_gpu_suspend_resume(g);
    }
    timer_mod(c->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + SLICE_MS);
}

/* A step of compressing, or of restoring for a command, can be done. */
static void virtio_gpu_reclaim_compress_progress(void *opaque)
{
    VirtIOGPU *g = opaque;

    if (timer_pending(g->reclaim->compress->timer)) {
        virtio_gpu_reclaim_compress_slice(g);
    }
    virtio_gpu_suspend_resume(g);
}

void virtio_gpu_reclaim_progress(VirtIOGPU *g)
{
    qemu_bh_schedule(g->reclaim->compress->progress_bh);
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
    timer_del(g->reclaim->compress->timer);
    qemu_bh_cancel(g->reclaim->compress->progress_bh);
}

void virtio_gpu_reclaim_compress_init(VirtIOGPU *g,
                                      VirtIOGPUReclaimCompressNext next)
{
    VirtIOGPUReclaimCompress *c = g_new0(VirtIOGPUReclaimCompress, 1);

    c->next = next;
    c->timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                            virtio_gpu_reclaim_compress_slice, g);
    c->progress_bh = qemu_bh_new_guarded(virtio_gpu_reclaim_compress_progress,
                                         g, &DEVICE(g)->mem_reentrancy_guard);
    g->reclaim->compress = c;
}

void virtio_gpu_reclaim_compress_free(VirtIOGPU *g)
{
    timer_free(g->reclaim->compress->timer);
    qemu_bh_delete(g->reclaim->compress->progress_bh);
    g_free(g->reclaim->compress);
}
