/*
 * Virtio GPU: return freed heap memory to the operating system
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Storage that is freed stays in the heap as a rule, and a guest frees one
 * resource after the other. The heap is trimmed once for a burst of them, from
 * the main loop. What that costs: docs/devel/host-reclaim.md
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-trim.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/*
 * A burst has ended when nothing was freed for so long. With the trim itself
 * memory is back within 100 ms of the last purge.
 */
#define QUIET_MS 40

/* A guest that frees without a pause has its memory returned this often. */
#define BURST_MS 400

/*
 * Trimming walks the whole heap, and takes as long when little was freed as
 * when much was. So it rests this many times as long as it took.
 */
#define REST 4

struct VirtIOGPUTrim {
    QEMUTimer *timer;
    void (*trim)(void *opaque);
    void *opaque;
    uint64_t bytes;             /* freed since the last trim */
    bool due;                   /* enough of them */
    int64_t first_ms, last_ms;  /* when the burst began, and was last seen */
    int64_t not_before_ms;
    uint64_t trims, us;
};

static int64_t virtio_gpu_trim_now_ms(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

static int64_t virtio_gpu_trim_due_ms(const VirtIOGPUTrim *t)
{
    return MAX(MIN(t->last_ms + QUIET_MS, t->first_ms + BURST_MS),
               t->not_before_ms);
}

static void virtio_gpu_trim_timer(void *opaque)
{
    VirtIOGPUTrim *t = opaque;
    int64_t start, us;

    if (virtio_gpu_trim_now_ms() < virtio_gpu_trim_due_ms(t)) {
        timer_mod(t->timer, virtio_gpu_trim_due_ms(t));
        return;
    }
    start = g_get_monotonic_time();
    t->trim(t->opaque);
    us = g_get_monotonic_time() - start;
    trace_virtio_gpu_reclaim_trim(t->bytes, us);
    t->trims++;
    t->us += us;
    t->bytes = 0;
    t->due = false;
    t->not_before_ms = virtio_gpu_trim_now_ms() + us * REST / 1000;
}

void virtio_gpu_trim_schedule(VirtIOGPUTrim *t, uint64_t bytes,
                              uint64_t threshold)
{
    t->bytes += bytes;
    if (t->bytes < threshold) {
        return;
    }
    t->last_ms = virtio_gpu_trim_now_ms();
    if (!t->due) {
        t->due = true;
        t->first_ms = t->last_ms;
        timer_mod(t->timer, virtio_gpu_trim_due_ms(t));
    }
}

uint64_t virtio_gpu_trim_count(const VirtIOGPUTrim *t, uint64_t *us)
{
    *us = t->us;
    return t->trims;
}

VirtIOGPUTrim *virtio_gpu_trim_new(void (*trim)(void *opaque), void *opaque)
{
    VirtIOGPUTrim *t = g_new0(VirtIOGPUTrim, 1);

    t->trim = trim;
    t->opaque = opaque;
    t->timer = timer_new_ms(QEMU_CLOCK_REALTIME, virtio_gpu_trim_timer, t);
    return t;
}

void virtio_gpu_trim_free(VirtIOGPUTrim *t)
{
    if (t) {
        timer_free(t->timer);
        g_free(t);
    }
}
