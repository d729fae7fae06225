/*
 * Virtio GPU: contents of evicted resources, stored away
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An evicted resource keeps its storage on the host. With
 * x-evicted-store=memory its contents are compressed, and its storage is given
 * up, some time after its backing was detached. What uses the resource brings
 * it back: the backend sees to that, but for what the device shows.
 *
 * Usage:
 *
 *     -device virtio-gpu-gl-pci,x-reclaim=on,x-evicted-store=memory
 *             [,x-evicted-store-max=SIZE]
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "hw/core/qdev-prop-internal.h"
#include "virtio-gpu-reclaim-backend.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

/*
 * Resources are stored this long after the first of a burst was evicted: a
 * guest under memory pressure waits for each eviction, and may want some of
 * them back at once.
 */
#define STORE_DELAY_MS 100

struct VirtIOGPUReclaimStore {
    GHashTable *queue;          /* ids of what was evicted meanwhile */
    QEMUTimer *timer;
};

static void store_one(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(r->ledger, id);
    int64_t start = g_get_monotonic_time();
    int ret;

    if (!entry || entry->state != VIRTIO_GPU_LEDGER_EVICTED ||
        virtio_gpu_reclaim_is_shown(g, id)) {
        return;
    }
    ret = r->backend->store(g, entry);
    trace_virtio_gpu_reclaim_store(id, entry->size, ret,
                                   g_get_monotonic_time() - start);
    if (ret == 0) {
        virtio_gpu_reclaim_freed(g, entry->size, 1);
    }
}

/*
 * Compressing takes milliseconds for each megabyte: one resource at a time, so
 * that commands are carried out between them.
 */
static void store_next(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimStore *s = g->reclaim->store;
    GHashTableIter iter;
    gpointer id;

    g_hash_table_iter_init(&iter, s->queue);
    if (g_hash_table_iter_next(&iter, &id, NULL)) {
        g_hash_table_iter_remove(&iter);
        store_one(g, GPOINTER_TO_UINT(id));
    }
    if (g_hash_table_size(s->queue)) {
        timer_mod(s->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME));
    }
}

void virtio_gpu_reclaim_store_evicted(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaimStore *s = g->reclaim->store;

    if (s) {
        g_hash_table_add(s->queue, GUINT_TO_POINTER(entry->id));
        if (!timer_pending(s->timer)) {
            timer_mod(s->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) +
                                STORE_DELAY_MS);
        }
    }
}

int virtio_gpu_reclaim_store_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    return g->reclaim->store ? g->reclaim->backend->restore(g, entry) : 0;
}

void virtio_gpu_reclaim_store_reset(VirtIOGPU *g)
{
    VirtIOGPUReclaimStore *s = g->reclaim->store;

    if (s) {
        g_hash_table_remove_all(s->queue);
        timer_del(s->timer);
    }
}

void virtio_gpu_reclaim_store_init(VirtIOGPU *g)
{
    if (g->reclaim_conf.evicted_store == VIRTIO_GPU_EVICTED_STORE_MEMORY) {
        VirtIOGPUReclaimStore *s = g_new0(VirtIOGPUReclaimStore, 1);

        s->queue = g_hash_table_new(NULL, NULL);
        s->timer = timer_new_ms(QEMU_CLOCK_REALTIME, store_next, g);
        g->reclaim->store = s;
    }
}

void virtio_gpu_reclaim_store_free(VirtIOGPUReclaim *r)
{
    if (r->store) {
        timer_free(r->store->timer);
        g_hash_table_destroy(r->store->queue);
        g_free(r->store);
    }
}

/* Properties. */

bool virtio_gpu_reclaim_check_conf(VirtIOGPU *g, Error **errp)
{
    const VirtIOGPUReclaimConf *conf = &g->reclaim_conf;
    bool reclaim = virtio_gpu_reclaim_enabled(g->parent_obj.conf);

    if (conf->evicted_store && !reclaim) {
        error_setg(errp, "x-evicted-store=memory needs x-reclaim=on");
        return false;
    }
    if (conf->evicted_store_max && !conf->evicted_store) {
        error_setg(errp, "x-evicted-store-max needs x-evicted-store=memory");
        return false;
    }
    return true;
}

static const QEnumLookup evicted_store_lookup = {
    .array = (const char *const[]) {
        [VIRTIO_GPU_EVICTED_STORE_OFF] = "off",
        [VIRTIO_GPU_EVICTED_STORE_MEMORY] = "memory",
    },
    .size = VIRTIO_GPU_EVICTED_STORE_MEMORY + 1,
};

const PropertyInfo virtio_gpu_reclaim_prop_evicted_store = {
    .name = "VirtioGpuEvictedStore",
    .description = "off/memory: compress the host's copy of what is evicted",
    .enum_table = &evicted_store_lookup,
    .get = qdev_propinfo_get_enum,
    .set = qdev_propinfo_set_enum,
    .set_default_value = qdev_propinfo_set_default_value_enum,
};
