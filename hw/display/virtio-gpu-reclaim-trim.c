/*
 * Virtio GPU: what was freed goes back to the operating system
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Storage that is freed stays in the heap as a rule, and a guest frees one
 * resource after the other. The heap is trimmed once for a burst of them, from
 * the main loop. What that costs: docs/devel/host-reclaim.md
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-backend.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

#ifdef CONFIG_MALLOC_TRIM
#include <malloc.h>
#endif

/*
 * A burst has ended when nothing was freed for so long. With the trim itself
 * memory is back within 100 ms of the last purge.
 */
#define QUIET_MS 40

/* A guest that does not stop to free has its memory given back this often. */
#define BURST_MS 400

/*
 * Trimming walks the whole heap, and takes as long when little was freed as
 * when much was. So it rests this many times as long as it took.
 */
#define REST 4

/*
 * Deferred storage goes without notice, and looking for it costs a GL call
 * for each piece.
 */
#define DEFERRED_POLL_MS 1000

struct VirtIOGPUReclaimTrim {
    QEMUTimer *timer;
    uint64_t bytes;             /* freed since the last trim */
    bool due;                   /* enough of them */
    int64_t first_ms, last_ms;  /* when the burst began, and was last seen */
    int64_t not_before_ms;
    uint64_t deferred;          /* when last looked at */
    uint64_t trims, us;
};

static int64_t now_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

static int64_t due_ms(const VirtIOGPUReclaimTrim *t)
{
    return MAX(MIN(t->last_ms + QUIET_MS, t->first_ms + BURST_MS),
               t->not_before_ms);
}

static void trim_heap(VirtIOGPUReclaimTrim *t)
{
    int64_t start = g_get_monotonic_time(), us;

#ifdef CONFIG_MALLOC_TRIM
    malloc_trim(0);
#endif
    us = g_get_monotonic_time() - start;
    trace_virtio_gpu_reclaim_trim(t->bytes, t->deferred, us);
    t->trims++;
    t->us += us;
    t->bytes = 0;
    t->due = false;
    t->not_before_ms = now_ms() + us * REST / 1000;
}

static void trim(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimTrim *t = g->reclaim->trim;
    uint64_t deferred = t->deferred;
    VirtIOGPUReclaimAudit now;

    if (t->due && now_ms() < due_ms(t)) {
        timer_mod(t->timer, due_ms(t));
        return;
    }
    virtio_gpu_reclaim_audit(g, &now);
    t->deferred = now.deferred_bytes;
    if (t->due || t->deferred < deferred) {
        trim_heap(t);
    }
    if (t->deferred) {
        timer_mod(t->timer, now_ms() + DEFERRED_POLL_MS);
    }
}

void virtio_gpu_reclaim_freed(VirtIOGPU *g, uint64_t bytes,
                              uint64_t worth_a_trim)
{
    VirtIOGPUReclaimTrim *t = g->reclaim->trim;

    t->bytes += bytes;
    if (t->bytes < worth_a_trim) {
        return;
    }
    t->last_ms = now_ms();
    if (!t->due) {
        t->due = true;
        t->first_ms = t->last_ms;
        timer_mod_anticipate(t->timer, due_ms(t));
    }
}

uint64_t virtio_gpu_reclaim_trims(const VirtIOGPUReclaim *r, uint64_t *us)
{
    *us = r->trim->us;
    return r->trim->trims;
}

void virtio_gpu_reclaim_trim_init(VirtIOGPU *g)
{
    g->reclaim->trim = g_new0(VirtIOGPUReclaimTrim, 1);
    g->reclaim->trim->timer = timer_new_ms(QEMU_CLOCK_REALTIME, trim, g);
}

void virtio_gpu_reclaim_trim_free(VirtIOGPUReclaim *r)
{
    timer_free(r->trim->timer);
    g_free(r->trim);
}
