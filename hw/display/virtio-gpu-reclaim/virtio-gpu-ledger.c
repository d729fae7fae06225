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
    guint64 limit;
    guint64 deferred_overhead;
    VirtIOGPULedgerStats stats;
};

/*
 * Entries outlive the storage they describe. As slices they lie side by side,
 * not in the heap between storages, where each would keep a page from being
 * returned to the operating system.
 */
static void virtio_gpu_ledger_free_entry(gpointer entry)
{
    g_slice_free(VirtIOGPULedgerEntry, entry);
}

VirtIOGPULedger *virtio_gpu_ledger_new(guint64 limit)
{
    VirtIOGPULedger *ledger = g_new0(VirtIOGPULedger, 1);

    ledger->limit = limit;
    ledger->entries = g_hash_table_new_full(NULL, NULL, NULL,
                                            virtio_gpu_ledger_free_entry);
    return ledger;
}

void virtio_gpu_ledger_free(VirtIOGPULedger *ledger)
{
    if (ledger) {
        g_hash_table_destroy(ledger->entries);
        g_free(ledger);
    }
}

guint64 virtio_gpu_ledger_used(const VirtIOGPULedger *ledger)
{
    return ledger->stats.host_bytes + ledger->stats.overhead_bytes;
}

/* Bytes that @used and @more are over the last byte below @limit. */
static guint64 virtio_gpu_ledger_over(guint64 used, guint64 more,
                                      guint64 limit)
{
    guint64 free_bytes = used < limit ? limit - 1 - used : 0;
    guint64 over = used < limit ? 0 : used - (limit - 1);

    if (more <= free_bytes) {
        return over;
    }
    more -= free_bytes;
    return over > G_MAXUINT64 - more ? G_MAXUINT64 : over + more;
}

guint64 virtio_gpu_ledger_lacks(const VirtIOGPULedger *ledger, guint64 more)
{
    return ledger->limit ?
           virtio_gpu_ledger_over(virtio_gpu_ledger_used(ledger), more,
                                  ledger->limit) : 0;
}

bool virtio_gpu_ledger_may_fit(const VirtIOGPULedger *ledger, guint64 more)
{
    const VirtIOGPULedgerCompressed *c = &ledger->stats.compressed;
    guint64 used = virtio_gpu_ledger_used(ledger) - c->compressed_bytes +
                   c->uncompressed_bytes +
                   ledger->stats.in[VIRTIO_GPU_LEDGER_PURGED].size;
    guint64 most = ledger->limit > G_MAXUINT64 / VIRTIO_GPU_LEDGER_OVERCOMMIT ?
                   G_MAXUINT64 : ledger->limit * VIRTIO_GPU_LEDGER_OVERCOMMIT;

    return !ledger->limit || virtio_gpu_ledger_over(used, more, most) == 0;
}

bool virtio_gpu_ledger_fits(const VirtIOGPULedger *ledger, guint64 more)
{
    return virtio_gpu_ledger_lacks(ledger, more) == 0;
}

/* Host memory for the contents of the resources in one state. */
static guint64 virtio_gpu_ledger_contents(const VirtIOGPULedgerTotals *in)
{
    return in->size - in->uncompressed_bytes + in->compressed_bytes;
}

/* Derive the total of all host memory from its parts. */
static void virtio_gpu_ledger_sum_up(VirtIOGPULedger *ledger)
{
    VirtIOGPULedgerStats *stats = &ledger->stats;
    const VirtIOGPULedgerTotals *resident =
        &stats->in[VIRTIO_GPU_LEDGER_RESIDENT];
    const VirtIOGPULedgerTotals *evicted =
        &stats->in[VIRTIO_GPU_LEDGER_EVICTED];

    stats->host_bytes = virtio_gpu_ledger_contents(resident) +
                        resident->iov_bytes +
                        virtio_gpu_ledger_contents(evicted) +
                        stats->deferred_bytes;
    stats->host_bytes_peak = MAX(stats->host_bytes_peak, stats->host_bytes);
}

/* Take @entry out of the totals, before it changes or goes ... */
static void virtio_gpu_ledger_uncount(VirtIOGPULedger *ledger,
                                      const VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerTotals *in = &ledger->stats.in[entry->state];
    VirtIOGPULedgerCompressed *c = &ledger->stats.compressed;

    in->resources--;
    in->size -= entry->size;
    in->backing_bytes -= entry->backing_bytes;
    in->iov_bytes -= entry->iov_bytes;
    in->released_bytes -= entry->released_bytes;
    if (entry->blob) {
        ledger->stats.blobs.resources--;
        ledger->stats.blobs.size -= entry->size;
        ledger->stats.blobs.backing_bytes -= entry->backing_bytes;
    }
    if (entry->compressed) {
        in->compressed_bytes -= entry->compressed_bytes;
        in->uncompressed_bytes -= entry->size;
        c->resources--;
        c->compressed_bytes -= entry->compressed_bytes;
        c->uncompressed_bytes -= entry->size;
    }
    if (entry->skipped) {
        c->skipped_bytes[entry->skip] -= entry->size;
    }
}

/* ... and put it back in, after. */
static void virtio_gpu_ledger_count(VirtIOGPULedger *ledger,
                                    const VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerTotals *in = &ledger->stats.in[entry->state];
    VirtIOGPULedgerCompressed *c = &ledger->stats.compressed;

    in->resources++;
    in->size += entry->size;
    in->backing_bytes += entry->backing_bytes;
    in->iov_bytes += entry->iov_bytes;
    in->released_bytes += entry->released_bytes;
    if (entry->blob) {
        ledger->stats.blobs.resources++;
        ledger->stats.blobs.size += entry->size;
        ledger->stats.blobs.backing_bytes += entry->backing_bytes;
    }
    if (entry->compressed) {
        in->compressed_bytes += entry->compressed_bytes;
        in->uncompressed_bytes += entry->size;
        c->resources++;
        c->compressed_bytes += entry->compressed_bytes;
        c->uncompressed_bytes += entry->size;
    }
    if (entry->skipped) {
        c->skipped_bytes[entry->skip] += entry->size;
    }
}

/*
 * The only place where a resource changes: it becomes @to, a changed copy of
 * it. Id, size, overhead and opaque stay.
 */
static void virtio_gpu_ledger_change(VirtIOGPULedger *ledger,
                                     VirtIOGPULedgerEntry *entry,
                                     VirtIOGPULedgerEntry to)
{
    virtio_gpu_ledger_uncount(ledger, entry);
    *entry = to;
    virtio_gpu_ledger_count(ledger, entry);
    virtio_gpu_ledger_sum_up(ledger);
}

void virtio_gpu_ledger_clear(VirtIOGPULedger *ledger, bool defer)
{
    VirtIOGPULedgerStats *stats = &ledger->stats;

    ledger->deferred_overhead = defer ? stats->overhead_bytes : 0;
    stats->overhead_bytes = ledger->deferred_overhead;
    stats->object_bytes = 0;
    if (defer) {
        stats->deferred += stats->in[VIRTIO_GPU_LEDGER_RESIDENT].resources +
                           stats->in[VIRTIO_GPU_LEDGER_EVICTED].resources;
        stats->deferred_bytes = stats->host_bytes -
            stats->in[VIRTIO_GPU_LEDGER_RESIDENT].iov_bytes;
    } else {
        stats->deferred = 0;
        stats->deferred_bytes = 0;
    }
    g_hash_table_remove_all(ledger->entries);
    memset(stats->in, 0, sizeof(stats->in));
    memset(&stats->blobs, 0, sizeof(stats->blobs));
    stats->compressed.resources = 0;
    stats->compressed.compressed_bytes = 0;
    stats->compressed.uncompressed_bytes = 0;
    memset(stats->compressed.skipped_bytes, 0,
           sizeof(stats->compressed.skipped_bytes));
    virtio_gpu_ledger_sum_up(ledger);
}

VirtIOGPULedgerEntry *virtio_gpu_ledger_add(VirtIOGPULedger *ledger,
                                            guint32 id, guint64 size,
                                            guint64 overhead, void *opaque)
{
    VirtIOGPULedgerEntry *entry;

    if (id == 0 || virtio_gpu_ledger_find(ledger, id)) {
        return NULL;
    }

    entry = g_slice_new0(VirtIOGPULedgerEntry);
    entry->id = id;
    entry->state = VIRTIO_GPU_LEDGER_RESIDENT;
    entry->size = size;
    entry->overhead = overhead;
    entry->opaque = opaque;
    ledger->stats.overhead_bytes += overhead;
    g_hash_table_insert(ledger->entries, GUINT_TO_POINTER(id), entry);
    virtio_gpu_ledger_count(ledger, entry);
    virtio_gpu_ledger_sum_up(ledger);
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
    virtio_gpu_ledger_uncount(ledger, entry);
    virtio_gpu_ledger_sum_up(ledger);
    ledger->stats.overhead_bytes -= entry->overhead;
    g_hash_table_remove(ledger->entries, GUINT_TO_POINTER(entry->id));
}

void virtio_gpu_ledger_mark_blob(VirtIOGPULedger *ledger,
                                 VirtIOGPULedgerEntry *entry)
{
    virtio_gpu_ledger_uncount(ledger, entry);
    entry->blob = true;
    virtio_gpu_ledger_count(ledger, entry);
}

void virtio_gpu_ledger_attach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry, guint64 bytes,
                              guint64 iov_bytes)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(!entry->backing_bytes && !entry->compressed);

    to.state = VIRTIO_GPU_LEDGER_RESIDENT;
    to.backing_bytes = bytes;
    to.iov_bytes = iov_bytes;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.attaches++;
}

void virtio_gpu_ledger_detach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state == VIRTIO_GPU_LEDGER_RESIDENT);

    to.state = VIRTIO_GPU_LEDGER_EVICTED;
    to.backing_bytes = 0;
    to.iov_bytes = 0;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.detaches++;
}

void virtio_gpu_ledger_purge(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry, guint64 released)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(released <= entry->size);

    to.state = VIRTIO_GPU_LEDGER_PURGED;
    to.backing_bytes = 0;
    to.iov_bytes = 0;
    to.compressed = false;
    to.compressed_bytes = 0;
    to.skipped = false;
    to.released_bytes = released;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.purges++;
    ledger->stats.released_bytes_total += released;
}

void virtio_gpu_ledger_restore(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state == VIRTIO_GPU_LEDGER_PURGED);

    to.state = VIRTIO_GPU_LEDGER_RESIDENT;
    to.released_bytes = 0;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.restores++;
}

void virtio_gpu_ledger_enter(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry,
                             VirtIOGPULedgerState state)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state == VIRTIO_GPU_LEDGER_RESIDENT);
    g_assert(entry->backing_bytes == 0 && !entry->compressed);

    to.state = state;
    to.released_bytes = state == VIRTIO_GPU_LEDGER_PURGED ? entry->size : 0;
    virtio_gpu_ledger_change(ledger, entry, to);
}

static void virtio_gpu_ledger_set_deferred_overhead(VirtIOGPULedger *ledger,
                                                    guint64 overhead)
{
    ledger->stats.overhead_bytes += overhead - ledger->deferred_overhead;
    ledger->deferred_overhead = overhead;
}

void virtio_gpu_ledger_defer(VirtIOGPULedger *ledger, guint64 bytes,
                             guint64 overhead)
{
    virtio_gpu_ledger_set_deferred_overhead(
        ledger, ledger->deferred_overhead + overhead);
    ledger->stats.deferred++;
    ledger->stats.deferred_bytes += bytes;
    /* No new peak: it is taken from its resource next, or was before. */
    ledger->stats.host_bytes += bytes;
}

void virtio_gpu_ledger_release(VirtIOGPULedger *ledger, guint32 id,
                               guint64 bytes, guint64 overhead, bool purged)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(ledger, id);

    g_assert(ledger->stats.deferred);
    g_assert(bytes <= ledger->stats.deferred_bytes);
    g_assert(overhead <= ledger->deferred_overhead);

    virtio_gpu_ledger_set_deferred_overhead(
        ledger, ledger->deferred_overhead - overhead);
    ledger->stats.deferred--;
    ledger->stats.deferred_bytes -= bytes;
    if (purged) {
        ledger->stats.released_bytes_total += bytes;
    }
    if (entry && entry->state == VIRTIO_GPU_LEDGER_PURGED) {
        VirtIOGPULedgerEntry to = *entry;

        to.released_bytes = bytes;
        virtio_gpu_ledger_change(ledger, entry, to);
    }
    virtio_gpu_ledger_sum_up(ledger);
}

void virtio_gpu_ledger_release_all(VirtIOGPULedger *ledger)
{
    virtio_gpu_ledger_set_deferred_overhead(ledger, 0);
    ledger->stats.deferred = 0;
    ledger->stats.deferred_bytes = 0;
    virtio_gpu_ledger_sum_up(ledger);
}

void virtio_gpu_ledger_compress(VirtIOGPULedger *ledger,
                                VirtIOGPULedgerEntry *entry, guint64 bytes,
                                guint64 now)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(!entry->compressed);

    to.compressed = true;
    to.compressed_bytes = bytes;
    to.compressed_at = now;
    to.skipped = false;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.compressed.compressions++;
}

void virtio_gpu_ledger_written(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->compressed);

    to.compressed_bytes = 0;
    virtio_gpu_ledger_change(ledger, entry, to);
}

void virtio_gpu_ledger_decompress(VirtIOGPULedger *ledger,
                                  VirtIOGPULedgerEntry *entry, guint64 us)
{
    VirtIOGPULedgerEntry to = *entry;
    int bucket = 0;

    g_assert(entry->compressed);

    while (us >> (bucket + 1) && bucket < VIRTIO_GPU_LEDGER_TIME_BUCKETS - 1) {
        bucket++;
    }
    to.compressed = false;
    to.compressed_bytes = 0;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.compressed.decompress_us[bucket]++;
    ledger->stats.compressed.decompressions++;
}

void virtio_gpu_ledger_skip(VirtIOGPULedger *ledger,
                            VirtIOGPULedgerEntry *entry,
                            VirtIOGPULedgerSkip reason)
{
    VirtIOGPULedgerEntry to = *entry;

    g_assert(entry->state != VIRTIO_GPU_LEDGER_PURGED);
    g_assert(!entry->compressed);

    to.skipped = true;
    to.skip = reason;
    virtio_gpu_ledger_change(ledger, entry, to);
    ledger->stats.compressed.skipped[reason]++;
}

void virtio_gpu_ledger_set_objects(VirtIOGPULedger *ledger, guint64 bytes)
{
    ledger->stats.overhead_bytes += bytes - ledger->stats.object_bytes;
    ledger->stats.object_bytes = bytes;
}

guint64 virtio_gpu_ledger_room(const VirtIOGPULedger *ledger)
{
    guint64 used = virtio_gpu_ledger_used(ledger);

    return !ledger->limit ? G_MAXUINT64 :
           used < ledger->limit ? ledger->limit - 1 - used : 0;
}

void virtio_gpu_ledger_error(VirtIOGPULedger *ledger)
{
    ledger->stats.errors++;
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
