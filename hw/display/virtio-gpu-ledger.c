/*
 * Virtio GPU: ledger of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu/osdep.h is left out on purpose: the unit test and the fuzzer compile
 * this file on its own, with GLib and nothing else.
 */

#include <string.h>

#include "virtio-gpu-ledger.h"

struct VirtIOGPULedger {
    GHashTable *entries;
    VirtIOGPULedgerStats stats;
};

/*
 * Entries outlive the storage they are about. As slices they lie side by side,
 * and not in the heap between storages, of which each would keep a page.
 */
static void free_entry(gpointer entry)
{
    g_slice_free(VirtIOGPULedgerEntry, entry);
}

VirtIOGPULedger *virtio_gpu_ledger_new(void)
{
    VirtIOGPULedger *ledger = g_new0(VirtIOGPULedger, 1);

    ledger->entries = g_hash_table_new_full(NULL, NULL, NULL, free_entry);
    return ledger;
}

void virtio_gpu_ledger_free(VirtIOGPULedger *ledger)
{
    if (ledger) {
        g_hash_table_destroy(ledger->entries);
        g_free(ledger);
    }
}

/* Derive the total of all storage from its parts. */
static void sum_up(VirtIOGPULedger *ledger)
{
    VirtIOGPULedgerStats *stats = &ledger->stats;

    stats->host_bytes = stats->in[VIRTIO_GPU_LEDGER_RESIDENT].size +
                        stats->in[VIRTIO_GPU_LEDGER_RESIDENT].array_bytes +
                        stats->in[VIRTIO_GPU_LEDGER_EVICTED].size +
                        stats->deferred_bytes;
    stats->host_bytes_peak = MAX(stats->host_bytes_peak, stats->host_bytes);
}

/* Take @entry out of the totals, before it changes or goes ... */
static void uncount(VirtIOGPULedger *ledger, const VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerTotals *in = &ledger->stats.in[entry->state];

    in->resources--;
    in->size -= entry->size;
    in->backing_bytes -= entry->backing_bytes;
    in->array_bytes -= entry->array_bytes;
}

/* ... and put it back in, after. */
static void count(VirtIOGPULedger *ledger, const VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerTotals *in = &ledger->stats.in[entry->state];

    in->resources++;
    in->size += entry->size;
    in->backing_bytes += entry->backing_bytes;
    in->array_bytes += entry->array_bytes;
}

/* The only place where a resource changes. */
static void change(VirtIOGPULedger *ledger, VirtIOGPULedgerEntry *entry,
                   VirtIOGPULedgerState state, guint64 backing_bytes,
                   guint64 array_bytes)
{
    uncount(ledger, entry);
    entry->state = state;
    entry->backing_bytes = backing_bytes;
    entry->array_bytes = array_bytes;
    count(ledger, entry);
    sum_up(ledger);
}

void virtio_gpu_ledger_clear(VirtIOGPULedger *ledger)
{
    g_hash_table_remove_all(ledger->entries);
    memset(ledger->stats.in, 0, sizeof(ledger->stats.in));
    ledger->stats.deferred_bytes = 0;
    sum_up(ledger);
}

VirtIOGPULedgerEntry *virtio_gpu_ledger_add(VirtIOGPULedger *ledger,
                                            guint32 id, guint64 size,
                                            void *opaque)
{
    VirtIOGPULedgerEntry *entry;

    if (id == 0 || virtio_gpu_ledger_find(ledger, id)) {
        return NULL;
    }

    entry = g_slice_new0(VirtIOGPULedgerEntry);
    entry->id = id;
    entry->state = VIRTIO_GPU_LEDGER_RESIDENT;
    entry->size = size;
    entry->opaque = opaque;
    g_hash_table_insert(ledger->entries, GUINT_TO_POINTER(id), entry);
    count(ledger, entry);
    sum_up(ledger);
    return entry;
}

VirtIOGPULedgerEntry *virtio_gpu_ledger_find(const VirtIOGPULedger *ledger,
                                             guint32 id)
{
    return g_hash_table_lookup(ledger->entries, GUINT_TO_POINTER(id));
}

void virtio_gpu_ledger_remove(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry)
{
    uncount(ledger, entry);
    sum_up(ledger);
    g_hash_table_remove(ledger->entries, GUINT_TO_POINTER(entry->id));
}

void virtio_gpu_ledger_attach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry, guint64 bytes,
                              guint64 array_bytes)
{
    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(entry->backing_bytes == 0);

    change(ledger, entry, VIRTIO_GPU_LEDGER_RESIDENT, bytes, array_bytes);
    ledger->stats.attaches++;
}

void virtio_gpu_ledger_detach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry)
{
    g_assert(entry->state == VIRTIO_GPU_LEDGER_RESIDENT);

    change(ledger, entry, VIRTIO_GPU_LEDGER_EVICTED, 0, 0);
    ledger->stats.detaches++;
}

void virtio_gpu_ledger_purge(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry, guint64 released)
{
    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(released <= entry->size);

    change(ledger, entry, VIRTIO_GPU_LEDGER_PURGED, 0, 0);
    virtio_gpu_ledger_set_deferred(ledger, ledger->stats.deferred_bytes +
                                           entry->size - released);
    ledger->stats.purges++;
    ledger->stats.released_bytes_total += released;
}

void virtio_gpu_ledger_set_deferred(VirtIOGPULedger *ledger, guint64 bytes)
{
    ledger->stats.deferred_bytes = bytes;
    sum_up(ledger);
}

void virtio_gpu_ledger_restore(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry)
{
    g_assert(entry->state == VIRTIO_GPU_LEDGER_PURGED);

    change(ledger, entry, VIRTIO_GPU_LEDGER_RESIDENT, 0, 0);
    ledger->stats.restores++;
}

void virtio_gpu_ledger_enter(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry,
                             VirtIOGPULedgerState state)
{
    g_assert(entry->state == VIRTIO_GPU_LEDGER_RESIDENT);
    g_assert(entry->backing_bytes == 0);

    change(ledger, entry, state, 0, 0);
}

void virtio_gpu_ledger_refuse(VirtIOGPULedger *ledger)
{
    ledger->stats.refused++;
}

void virtio_gpu_ledger_foreach(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerFunc func, void *opaque)
{
    GHashTableIter iter;
    void *entry;

    g_hash_table_iter_init(&iter, ledger->entries);
    while (g_hash_table_iter_next(&iter, NULL, &entry)) {
        func(entry, opaque);
    }
}

const VirtIOGPULedgerStats *
virtio_gpu_ledger_stats(const VirtIOGPULedger *ledger)
{
    return &ledger->stats;
}
