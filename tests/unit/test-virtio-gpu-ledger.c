/*
 * Unit tests of the resource accounting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <glib.h>

#include "virtio-gpu-ledger.h"

#define RESIDENT VIRTIO_GPU_LEDGER_RESIDENT
#define EVICTED VIRTIO_GPU_LEDGER_EVICTED
#define PURGED VIRTIO_GPU_LEDGER_PURGED

/* Not reached, except in the case of the limit. */
#define LIMIT (G_GUINT64_CONSTANT(1) << 40)

typedef struct Fixture {
    VirtIOGPULedger *ledger;
    const VirtIOGPULedgerStats *stats;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    f->ledger = virtio_gpu_ledger_new(LIMIT);
    f->stats = virtio_gpu_ledger_stats(f->ledger);
}

static void teardown(Fixture *f, gconstpointer data)
{
    virtio_gpu_ledger_free(f->ledger);
}

static void check_in(const Fixture *f, VirtIOGPULedgerState state,
                     guint64 resources, guint64 size, guint64 backing)
{
    g_assert_cmpuint(f->stats->in[state].resources, ==, resources);
    g_assert_cmpuint(f->stats->in[state].size, ==, size);
    g_assert_cmpuint(f->stats->in[state].backing_bytes, ==, backing);
}

static void test_empty(Fixture *f, gconstpointer data)
{
    static const VirtIOGPULedgerStats zero;

    g_assert_cmpmem(f->stats, sizeof(*f->stats), &zero, sizeof(zero));
    g_assert_null(virtio_gpu_ledger_find(f->ledger, 1));
}

static void test_free_null(Fixture *f, gconstpointer data)
{
    virtio_gpu_ledger_free(NULL);
}

static void test_add(Fixture *f, gconstpointer data)
{
    int opaque;
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0,
                                                    &opaque);

    g_assert_nonnull(e);
    g_assert_cmpuint(e->id, ==, 7);
    g_assert_cmpuint(e->size, ==, 100);
    g_assert_true(e->opaque == &opaque);
    g_assert_true(virtio_gpu_ledger_find(f->ledger, 7) == e);
    check_in(f, RESIDENT, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 100);
}

static void test_add_id_0(Fixture *f, gconstpointer data)
{
    g_assert_null(virtio_gpu_ledger_add(f->ledger, 0, 100, 0, NULL));
    check_in(f, RESIDENT, 0, 0, 0);
}

static void test_add_twice(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    g_assert_null(virtio_gpu_ledger_add(f->ledger, 7, 1, 0, NULL));
    g_assert_true(virtio_gpu_ledger_find(f->ledger, 7) == e);
    check_in(f, RESIDENT, 1, 100, 0);
}

static void test_largest_id(Fixture *f, gconstpointer data)
{
    g_assert_nonnull(virtio_gpu_ledger_add(f->ledger, G_MAXUINT32, 1, 0, NULL));
    g_assert_nonnull(virtio_gpu_ledger_find(f->ledger, G_MAXUINT32));
}

static void test_round_trip(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    check_in(f, RESIDENT, 1, 100, 4096);
    virtio_gpu_ledger_detach(f->ledger, e);
    check_in(f, RESIDENT, 0, 0, 0);
    check_in(f, EVICTED, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    virtio_gpu_ledger_attach(f->ledger, e, 8192, 0);
    check_in(f, EVICTED, 0, 0, 0);
    check_in(f, RESIDENT, 1, 100, 8192);
    g_assert_cmpuint(f->stats->attaches, ==, 2);
    g_assert_cmpuint(f->stats->detaches, ==, 1);
}

/* The iovecs of attached backing count as host memory. */
static void test_iov_bytes(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    VirtIOGPULedgerEntry *e2 = virtio_gpu_ledger_add(f->ledger, 8, 10, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 24);
    virtio_gpu_ledger_attach(f->ledger, e2, 8192, 48);
    g_assert_cmpuint(f->stats->in[RESIDENT].iov_bytes, ==, 72);
    g_assert_cmpuint(f->stats->host_bytes, ==, 110 + 72);
    virtio_gpu_ledger_detach(f->ledger, e);
    g_assert_cmpuint(f->stats->host_bytes, ==, 110 + 48);
    virtio_gpu_ledger_purge(f->ledger, e2, 10);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    virtio_gpu_ledger_attach(f->ledger, e, 4096, 24);
    virtio_gpu_ledger_remove(f->ledger, e);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 110 + 72);
}

static void test_purge(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_purge(f->ledger, e, 100);
    check_in(f, RESIDENT, 0, 0, 0);
    check_in(f, PURGED, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 100);
    g_assert_cmpuint(f->stats->purges, ==, 1);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 100);
}

/* A purge detaches the backing. */
static void test_purge_attached(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 100);
    check_in(f, RESIDENT, 0, 0, 0);
    check_in(f, PURGED, 1, 100, 0);
    g_assert_cmpuint(f->stats->detaches, ==, 0);
}

static void test_purge_evicted(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    virtio_gpu_ledger_detach(f->ledger, e);
    virtio_gpu_ledger_purge(f->ledger, e, 100);
    check_in(f, EVICTED, 0, 0, 0);
    check_in(f, PURGED, 1, 100, 0);
}

static void test_restore(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_purge(f->ledger, e, 100);
    virtio_gpu_ledger_restore(f->ledger, e);
    check_in(f, PURGED, 0, 0, 0);
    check_in(f, RESIDENT, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(f->stats->restores, ==, 1);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 100);
}

static void test_deferred(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_defer(f->ledger, 70, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 30);
    g_assert_cmpuint(f->stats->deferred, ==, 1);
    g_assert_cmpuint(f->stats->deferred_bytes, ==, 70);
    g_assert_cmpuint(f->stats->host_bytes, ==, 70);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 30);
    g_assert_cmpuint(f->stats->in[PURGED].released_bytes, ==, 30);

    /* Deferred storage still exists when new storage is allocated. */
    virtio_gpu_ledger_restore(f->ledger, e);
    g_assert_cmpuint(f->stats->in[PURGED].released_bytes, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 170);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 170);

    virtio_gpu_ledger_release(f->ledger, 0, 70, 0, true);
    g_assert_cmpuint(f->stats->deferred, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 170);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 100);
}

/* Deferred storage is released before or after its resource is destroyed. */
static void test_release(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    VirtIOGPULedgerEntry *e2 = virtio_gpu_ledger_add(f->ledger, 8, 10, 0, NULL);

    virtio_gpu_ledger_defer(f->ledger, 100, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 0);
    virtio_gpu_ledger_defer(f->ledger, 10, 0);
    virtio_gpu_ledger_remove(f->ledger, e2);
    g_assert_cmpuint(f->stats->deferred, ==, 2);
    g_assert_cmpuint(f->stats->host_bytes, ==, 110);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 110);

    virtio_gpu_ledger_release(f->ledger, 7, 100, 0, true);
    g_assert_cmpuint(f->stats->in[PURGED].released_bytes, ==, 100);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 100);
    virtio_gpu_ledger_release(f->ledger, 0, 10, 0, false);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
}

static void test_compress(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    const VirtIOGPULedgerCompressed *c = &f->stats->compressed;

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    virtio_gpu_ledger_detach(f->ledger, e);
    virtio_gpu_ledger_compress(f->ledger, e, 30, 77);
    check_in(f, EVICTED, 1, 100, 0);
    g_assert_cmpuint(e->compressed_at, ==, 77);
    g_assert_cmpuint(f->stats->host_bytes, ==, 30);
    g_assert_cmpuint(c->resources, ==, 1);
    g_assert_cmpuint(c->compressed_bytes, ==, 30);
    g_assert_cmpuint(c->uncompressed_bytes, ==, 100);

    virtio_gpu_ledger_decompress(f->ledger, e, 5);
    check_in(f, EVICTED, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(c->resources, ==, 0);
    g_assert_cmpuint(c->compressed_bytes, ==, 0);
    g_assert_cmpuint(c->decompress_us[2], ==, 1);
    g_assert_cmpuint(c->compressions, ==, 1);
    g_assert_cmpuint(c->decompressions, ==, 1);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 100);

    /* In a file they take no memory, and are restored as well. */
    virtio_gpu_ledger_compress(f->ledger, e, 30, 0);
    virtio_gpu_ledger_written(f->ledger, e);
    check_in(f, EVICTED, 1, 100, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    g_assert_cmpuint(c->resources, ==, 1);
    g_assert_cmpuint(c->compressed_bytes, ==, 0);
    g_assert_cmpuint(c->uncompressed_bytes, ==, 100);
    virtio_gpu_ledger_decompress(f->ledger, e, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    virtio_gpu_ledger_compress(f->ledger, e, 0, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    g_assert_cmpuint(c->resources, ==, 1);
    virtio_gpu_ledger_decompress(f->ledger, e, 0);
    g_assert_cmpuint(c->uncompressed_bytes, ==, 0);

    /* A purge or a removal frees the compressed contents. */
    virtio_gpu_ledger_compress(f->ledger, e, 30, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 100);
    g_assert_cmpuint(c->resources, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    virtio_gpu_ledger_restore(f->ledger, e);
    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    virtio_gpu_ledger_detach(f->ledger, e);
    virtio_gpu_ledger_compress(f->ledger, e, 40, 0);
    virtio_gpu_ledger_remove(f->ledger, e);
    g_assert_cmpuint(c->compressed_bytes, ==, 0);
    g_assert_cmpuint(c->uncompressed_bytes, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
}

/* Objects of contexts count as overhead, for the limit, too. */
static void test_objects(Fixture *f, gconstpointer data)
{
    VirtIOGPULedger *unlimited = virtio_gpu_ledger_new(0);

    g_assert_cmpuint(virtio_gpu_ledger_room(unlimited), ==, G_MAXUINT64);
    virtio_gpu_ledger_free(unlimited);
    virtio_gpu_ledger_add(f->ledger, 7, 100, 10, NULL);
    g_assert_cmpuint(virtio_gpu_ledger_room(f->ledger), ==, LIMIT - 111);
    virtio_gpu_ledger_set_objects(f->ledger, 50);
    g_assert_cmpuint(f->stats->object_bytes, ==, 50);
    g_assert_cmpuint(f->stats->overhead_bytes, ==, 60);
    virtio_gpu_ledger_set_objects(f->ledger, 20);
    g_assert_cmpuint(f->stats->overhead_bytes, ==, 30);
    g_assert_cmpuint(virtio_gpu_ledger_room(f->ledger), ==, LIMIT - 131);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(f->ledger, LIMIT - 131), ==, 0);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(f->ledger, LIMIT - 130), ==, 1);
    virtio_gpu_ledger_set_objects(f->ledger, LIMIT);
    g_assert_cmpuint(virtio_gpu_ledger_room(f->ledger), ==, 0);

    /* After a reset they are there until storage is released. */
    virtio_gpu_ledger_set_objects(f->ledger, 20);
    virtio_gpu_ledger_clear(f->ledger, true);
    g_assert_cmpuint(f->stats->object_bytes, ==, 0);
    g_assert_cmpuint(f->stats->overhead_bytes, ==, 30);
    virtio_gpu_ledger_release_all(f->ledger);
    g_assert_cmpuint(f->stats->overhead_bytes, ==, 0);
}

/* The backing of a compressed resource stays, and can be detached. */
static void test_compress_attached(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    const VirtIOGPULedgerTotals *resident = &f->stats->in[RESIDENT];
    const VirtIOGPULedgerTotals *evicted = &f->stats->in[EVICTED];

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 16);
    virtio_gpu_ledger_compress(f->ledger, e, 30, 0);
    check_in(f, RESIDENT, 1, 100, 4096);
    g_assert_cmpuint(resident->compressed_bytes, ==, 30);
    g_assert_cmpuint(resident->uncompressed_bytes, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes, ==, 46);

    virtio_gpu_ledger_detach(f->ledger, e);
    check_in(f, EVICTED, 1, 100, 0);
    g_assert_cmpuint(resident->compressed_bytes, ==, 0);
    g_assert_cmpuint(evicted->compressed_bytes, ==, 30);
    g_assert_cmpuint(evicted->uncompressed_bytes, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes, ==, 30);

    virtio_gpu_ledger_decompress(f->ledger, e, 0);
    check_in(f, EVICTED, 1, 100, 0);
    virtio_gpu_ledger_attach(f->ledger, e, 4096, 16);
    virtio_gpu_ledger_compress(f->ledger, e, 30, 0);
    virtio_gpu_ledger_decompress(f->ledger, e, 0);
    check_in(f, RESIDENT, 1, 100, 4096);
    g_assert_cmpuint(f->stats->host_bytes, ==, 116);
    g_assert_cmpuint(resident->uncompressed_bytes, ==, 0);
}

static void test_times(Fixture *f, gconstpointer data)
{
    static const struct {
        guint64 us;
        int bucket;
    } times[] = {
        { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 1023, 9 },
        { 1024, 10 }, { 1 << 23, 23 }, { G_MAXUINT64, 23 },
    };
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    guint64 want[VIRTIO_GPU_LEDGER_TIME_BUCKETS] = { 0 };
    guint i;

    virtio_gpu_ledger_detach(f->ledger, e);
    for (i = 0; i < G_N_ELEMENTS(times); i++) {
        virtio_gpu_ledger_compress(f->ledger, e, 1, 0);
        virtio_gpu_ledger_decompress(f->ledger, e, times[i].us);
        want[times[i].bucket]++;
        g_assert_cmpmem(f->stats->compressed.decompress_us, sizeof(want),
                        want, sizeof(want));
    }
}

/* A resource counts under the last reason, until it is compressed or gone. */
static void test_skip(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);
    VirtIOGPULedgerEntry *e2 = virtio_gpu_ledger_add(f->ledger, 8, 50, 0, NULL);
    const VirtIOGPULedgerCompressed *c = &f->stats->compressed;

    virtio_gpu_ledger_skip(f->ledger, e, VIRTIO_GPU_LEDGER_SKIP_NO_GAIN);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_NO_GAIN], ==, 100);
    virtio_gpu_ledger_skip(f->ledger, e, VIRTIO_GPU_LEDGER_SKIP_BUSY);
    virtio_gpu_ledger_skip(f->ledger, e, VIRTIO_GPU_LEDGER_SKIP_BUSY);
    virtio_gpu_ledger_skip(f->ledger, e2, VIRTIO_GPU_LEDGER_SKIP_BUSY);
    g_assert_cmpuint(c->skipped[VIRTIO_GPU_LEDGER_SKIP_NO_GAIN], ==, 1);
    g_assert_cmpuint(c->skipped[VIRTIO_GPU_LEDGER_SKIP_BUSY], ==, 3);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_NO_GAIN], ==, 0);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_BUSY], ==, 150);

    virtio_gpu_ledger_compress(f->ledger, e2, 1, 0);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_BUSY], ==, 100);
    virtio_gpu_ledger_purge(f->ledger, e, 100);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_BUSY], ==, 0);
    virtio_gpu_ledger_decompress(f->ledger, e2, 0);
    virtio_gpu_ledger_skip(f->ledger, e2, VIRTIO_GPU_LEDGER_SKIP_LIMIT);
    virtio_gpu_ledger_clear(f->ledger, false);
    g_assert_cmpuint(c->skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_LIMIT], ==, 0);
    g_assert_cmpuint(c->skipped[VIRTIO_GPU_LEDGER_SKIP_LIMIT], ==, 1);
}

/*
 * The limit is exclusive. Compressed contents make room, up to twice the limit
 * of what they are uncompressed.
 */
static void test_limit(Fixture *f, gconstpointer data)
{
    VirtIOGPULedger *ledger = virtio_gpu_ledger_new(1000);
    VirtIOGPULedgerEntry *e, *e2;

    g_assert_true(virtio_gpu_ledger_fits(ledger, 999));
    g_assert_false(virtio_gpu_ledger_fits(ledger, 1000));
    g_assert_false(virtio_gpu_ledger_fits(ledger, G_MAXUINT64));
    e = virtio_gpu_ledger_add(ledger, 1, 600, 0, NULL);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 399));
    g_assert_false(virtio_gpu_ledger_fits(ledger, 400));
    g_assert_false(virtio_gpu_ledger_fits(ledger, G_MAXUINT64));
    g_assert_cmpuint(virtio_gpu_ledger_used(ledger), ==, 600);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 399), ==, 0);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 410), ==, 11);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 1399), ==, 1000);
    g_assert_true(virtio_gpu_ledger_may_fit(ledger, 1399));
    g_assert_false(virtio_gpu_ledger_may_fit(ledger, 1400));
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, G_MAXUINT64), ==,
                     G_MAXUINT64 - 399);
    virtio_gpu_ledger_compress(ledger, e, 10, 0);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 989));
    g_assert_false(virtio_gpu_ledger_fits(ledger, 990));
    e2 = virtio_gpu_ledger_add(ledger, 2, 900, 0, NULL);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 100), ==, 11);
    virtio_gpu_ledger_compress(ledger, e2, 20, 0);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 499));
    g_assert_true(virtio_gpu_ledger_may_fit(ledger, 499));
    g_assert_false(virtio_gpu_ledger_may_fit(ledger, 500));
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 500), ==, 0);
    /* What was restored may be over the limit. */
    virtio_gpu_ledger_decompress(ledger, e, 0);
    virtio_gpu_ledger_decompress(ledger, e2, 0);
    g_assert_cmpuint(virtio_gpu_ledger_lacks(ledger, 0), ==, 501);
    virtio_gpu_ledger_remove(ledger, e2);
    virtio_gpu_ledger_defer(ledger, 600, 0);
    virtio_gpu_ledger_purge(ledger, e, 0);
    g_assert_false(virtio_gpu_ledger_fits(ledger, 400));
    /* What was purged can come back, too. */
    g_assert_true(virtio_gpu_ledger_may_fit(ledger, 799));
    g_assert_false(virtio_gpu_ledger_may_fit(ledger, 800));
    virtio_gpu_ledger_release(ledger, 1, 600, 0, true);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 999));
    virtio_gpu_ledger_free(ledger);

    ledger = virtio_gpu_ledger_new(G_MAXUINT64 - 1);
    virtio_gpu_ledger_add(ledger, 1, 100, 0, NULL);
    g_assert_true(virtio_gpu_ledger_fits(ledger, G_MAXUINT64 - 102));
    g_assert_false(virtio_gpu_ledger_fits(ledger, G_MAXUINT64 - 101));
    virtio_gpu_ledger_free(ledger);

    ledger = virtio_gpu_ledger_new(0);
    virtio_gpu_ledger_add(ledger, 1, G_MAXUINT64 / 2, 0, NULL);
    g_assert_true(virtio_gpu_ledger_fits(ledger, G_MAXUINT64 / 2));
    virtio_gpu_ledger_free(ledger);
}

/* It counts to the limit in any state, and goes with resource or storage. */
static void test_overhead(Fixture *f, gconstpointer data)
{
    VirtIOGPULedger *ledger = virtio_gpu_ledger_new(1000);
    const VirtIOGPULedgerStats *stats = virtio_gpu_ledger_stats(ledger);
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(ledger, 1, 600, 50, NULL);

    virtio_gpu_ledger_add(ledger, 2, 0, 30, NULL);
    g_assert_cmpuint(stats->host_bytes, ==, 600);
    g_assert_cmpuint(stats->overhead_bytes, ==, 80);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 319));
    g_assert_false(virtio_gpu_ledger_fits(ledger, 320));

    virtio_gpu_ledger_defer(ledger, 600, 50);
    virtio_gpu_ledger_purge(ledger, e, 0);
    g_assert_cmpuint(stats->host_bytes, ==, 600);
    g_assert_cmpuint(stats->overhead_bytes, ==, 130);
    g_assert_false(virtio_gpu_ledger_fits(ledger, 270));
    virtio_gpu_ledger_release(ledger, 1, 600, 50, true);
    g_assert_cmpuint(stats->overhead_bytes, ==, 80);
    virtio_gpu_ledger_remove(ledger, e);
    g_assert_cmpuint(stats->overhead_bytes, ==, 30);
    g_assert_true(virtio_gpu_ledger_fits(ledger, 969));

    virtio_gpu_ledger_defer(ledger, 0, 7);
    virtio_gpu_ledger_clear(ledger, true);
    g_assert_cmpuint(stats->overhead_bytes, ==, 37);
    virtio_gpu_ledger_release_all(ledger);
    g_assert_cmpuint(stats->overhead_bytes, ==, 0);
    virtio_gpu_ledger_add(ledger, 1, 0, 30, NULL);
    virtio_gpu_ledger_clear(ledger, false);
    g_assert_cmpuint(stats->overhead_bytes, ==, 0);
    virtio_gpu_ledger_free(ledger);
}

static void test_purge_never_peaks(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_defer(f->ledger, 100, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 100);
}

static void test_remove(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e;
    int i;

    for (i = 1; i <= 4; i++) {
        e = virtio_gpu_ledger_add(f->ledger, i, 100, 0, NULL);
        if (i >= 2) {
            virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
        }
        if (i == 3) {
            virtio_gpu_ledger_detach(f->ledger, e);
        }
        if (i == 4) {
            virtio_gpu_ledger_purge(f->ledger, e, 100);
        }
    }
    g_assert_cmpuint(f->stats->host_bytes, ==, 300);
    for (i = 1; i <= 4; i++) {
        virtio_gpu_ledger_remove(f->ledger,
                                 virtio_gpu_ledger_find(f->ledger, i));
        g_assert_null(virtio_gpu_ledger_find(f->ledger, i));
    }
    for (i = 0; i < VIRTIO_GPU_LEDGER_STATES; i++) {
        check_in(f, i, 0, 0, 0);
    }
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
}

static void test_blob(Fixture *f, gconstpointer data)
{
    const VirtIOGPULedgerTotals *blobs = &f->stats->blobs;
    VirtIOGPULedgerEntry *host, *guest;

    virtio_gpu_ledger_add(f->ledger, 1, 1000, 0, NULL);
    host = virtio_gpu_ledger_add(f->ledger, 2, 4096, 0, NULL);
    virtio_gpu_ledger_mark_blob(f->ledger, host);
    guest = virtio_gpu_ledger_add(f->ledger, 3, 0, 0, NULL);
    virtio_gpu_ledger_mark_blob(f->ledger, guest);
    virtio_gpu_ledger_attach(f->ledger, guest, 8192, 16);
    g_assert_cmpuint(blobs->resources, ==, 2);
    g_assert_cmpuint(blobs->size, ==, 4096);
    g_assert_cmpuint(blobs->backing_bytes, ==, 8192);
    g_assert_cmpuint(f->stats->host_bytes, ==, 1000 + 4096 + 16);

    virtio_gpu_ledger_detach(f->ledger, guest);
    g_assert_cmpuint(blobs->resources, ==, 2);
    g_assert_cmpuint(blobs->backing_bytes, ==, 0);
    virtio_gpu_ledger_remove(f->ledger, host);
    g_assert_cmpuint(blobs->resources, ==, 1);
    g_assert_cmpuint(blobs->size, ==, 0);
    virtio_gpu_ledger_clear(f->ledger, false);
    g_assert_cmpuint(blobs->resources, ==, 0);
}

static void test_clear(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 0);
    e = virtio_gpu_ledger_add(f->ledger, 8, 50, 0, NULL);
    virtio_gpu_ledger_defer(f->ledger, 50, 0);
    virtio_gpu_ledger_purge(f->ledger, e, 0);
    virtio_gpu_ledger_error(f->ledger);
    virtio_gpu_ledger_clear(f->ledger, false);

    g_assert_null(virtio_gpu_ledger_find(f->ledger, 7));
    check_in(f, RESIDENT, 0, 0, 0);
    check_in(f, PURGED, 0, 0, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
    g_assert_cmpuint(f->stats->deferred_bytes, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes_peak, ==, 150);
    g_assert_cmpuint(f->stats->attaches, ==, 1);
    g_assert_cmpuint(f->stats->purges, ==, 1);
    g_assert_cmpuint(f->stats->errors, ==, 1);
}

/* Clearing resources may defer their storage, which is released later. */
static void test_clear_deferred(Fixture *f, gconstpointer data)
{
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_add(f->ledger, 7, 100, 0, NULL);

    virtio_gpu_ledger_attach(f->ledger, e, 4096, 16);
    e = virtio_gpu_ledger_add(f->ledger, 8, 50, 0, NULL);
    virtio_gpu_ledger_detach(f->ledger, e);
    virtio_gpu_ledger_compress(f->ledger, e, 20, 0);
    virtio_gpu_ledger_defer(f->ledger, 5, 0);
    virtio_gpu_ledger_clear(f->ledger, true);
    check_in(f, RESIDENT, 0, 0, 0);
    check_in(f, EVICTED, 0, 0, 0);
    g_assert_cmpuint(f->stats->deferred, ==, 3);
    g_assert_cmpuint(f->stats->deferred_bytes, ==, 125);
    g_assert_cmpuint(f->stats->host_bytes, ==, 125);
    virtio_gpu_ledger_clear(f->ledger, true);
    g_assert_cmpuint(f->stats->host_bytes, ==, 125);
    virtio_gpu_ledger_release_all(f->ledger);
    g_assert_cmpuint(f->stats->deferred, ==, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 0);
}

/* Entering the state of a migrated resource counts no event. */
static void test_enter(Fixture *f, gconstpointer data)
{
    virtio_gpu_ledger_enter(f->ledger,
                            virtio_gpu_ledger_add(f->ledger, 1, 100, 0, NULL),
                            EVICTED);
    virtio_gpu_ledger_enter(f->ledger,
                            virtio_gpu_ledger_add(f->ledger, 2, 10, 0, NULL),
                            PURGED);
    check_in(f, EVICTED, 1, 100, 0);
    check_in(f, PURGED, 1, 10, 0);
    g_assert_cmpuint(f->stats->host_bytes, ==, 100);
    g_assert_cmpuint(f->stats->detaches, ==, 0);
    g_assert_cmpuint(f->stats->purges, ==, 0);
    g_assert_cmpuint(f->stats->released_bytes_total, ==, 0);
    g_assert_cmpuint(f->stats->in[PURGED].released_bytes, ==, 10);
}

static void test_64_bit(Fixture *f, gconstpointer data)
{
    const guint64 huge = G_GUINT64_CONSTANT(3) << 32;

    virtio_gpu_ledger_attach(f->ledger,
                             virtio_gpu_ledger_add(f->ledger, 1, huge, 0, NULL),
                             huge, 0);
    virtio_gpu_ledger_attach(f->ledger,
                             virtio_gpu_ledger_add(f->ledger, 2, huge, 0, NULL),
                             huge, 0);
    check_in(f, RESIDENT, 2, 2 * huge, 2 * huge);
    g_assert_cmpuint(f->stats->host_bytes, ==, 2 * huge);
}

static void sum_sizes(VirtIOGPULedgerEntry *entry, void *opaque)
{
    guint64 *sum = opaque;

    *sum += entry->size;
}

static void test_foreach(Fixture *f, gconstpointer data)
{
    guint64 sum = 0;
    int i;

    for (i = 1; i <= 100; i++) {
        virtio_gpu_ledger_add(f->ledger, i, i, 0, NULL);
    }
    virtio_gpu_ledger_foreach(f->ledger, sum_sizes, &sum);
    g_assert_cmpuint(sum, ==, 5050);
}

/* Sums over all entries, as reference for the random test. */
typedef struct Sums {
    VirtIOGPULedgerTotals in[VIRTIO_GPU_LEDGER_STATES];
    guint64 compressed, uncompressed;
    guint64 skipped[VIRTIO_GPU_LEDGER_SKIP_REASONS];
} Sums;

static void add_up(VirtIOGPULedgerEntry *entry, void *opaque)
{
    Sums *sums = opaque;

    sums->in[entry->state].resources++;
    sums->in[entry->state].size += entry->size;
    sums->in[entry->state].backing_bytes += entry->backing_bytes;
    sums->in[entry->state].iov_bytes += entry->iov_bytes;
    sums->in[entry->state].released_bytes += entry->released_bytes;
    if (entry->compressed_bytes) {
        sums->compressed += entry->compressed_bytes;
        sums->uncompressed += entry->size;
        sums->in[entry->state].compressed_bytes += entry->compressed_bytes;
        sums->in[entry->state].uncompressed_bytes += entry->size;
    }
    if (entry->skipped) {
        sums->skipped[entry->skip] += entry->size;
    }
}

static void random_step(Fixture *f, GRand *rand)
{
    guint32 id = g_rand_int_range(rand, 0, 50);
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_find(f->ledger, id);

    if (!e) {
        virtio_gpu_ledger_add(f->ledger, id, g_rand_int(rand), 0, NULL);
        return;
    }
    switch (g_rand_int_range(rand, 0, 8)) {
    case 0:
        virtio_gpu_ledger_remove(f->ledger, e);
        break;
    case 1:
        if (e->state == PURGED) {
            virtio_gpu_ledger_restore(f->ledger, e);
        }
        break;
    case 2:
        if (e->state != PURGED) {
            guint64 size = e->size;

            virtio_gpu_ledger_defer(f->ledger, size - size / 2, 0);
            virtio_gpu_ledger_purge(f->ledger, e, size / 2);
            virtio_gpu_ledger_release(f->ledger, g_rand_boolean(rand) ? id : 0,
                                      size - size / 2, 0, true);
        }
        break;
    case 3:
        if (e->state == RESIDENT) {
            virtio_gpu_ledger_detach(f->ledger, e);
        }
        break;
    case 4:
        if (e->state != PURGED && !e->backing_bytes && !e->compressed_bytes) {
            virtio_gpu_ledger_attach(f->ledger, e, g_rand_int(rand) | 1,
                                     g_rand_int_range(rand, 0, 4096));
        }
        break;
    case 5:
        if (e->state != PURGED && !e->compressed_bytes) {
            virtio_gpu_ledger_compress(f->ledger, e, e->size / 3 + 1, 0);
        }
        break;
    case 6:
        if (e->compressed_bytes) {
            virtio_gpu_ledger_decompress(f->ledger, e, g_rand_int(rand));
        }
        break;
    case 7:
        if (e->state != PURGED && !e->compressed_bytes) {
            virtio_gpu_ledger_skip(f->ledger, e,
                g_rand_int_range(rand, 0, VIRTIO_GPU_LEDGER_SKIP_REASONS));
        }
        break;
    }
}

static void test_random(Fixture *f, gconstpointer data)
{
    GRand *rand = g_rand_new_with_seed(g_test_rand_int());
    int i, state;

    for (i = 0; i < 20000; i++) {
        Sums sums = { 0 };

        random_step(f, rand);
        virtio_gpu_ledger_foreach(f->ledger, add_up, &sums);
        for (state = 0; state < VIRTIO_GPU_LEDGER_STATES; state++) {
            check_in(f, state, sums.in[state].resources, sums.in[state].size,
                     sums.in[state].backing_bytes);
            g_assert_cmpmem(&f->stats->in[state], sizeof(sums.in[state]),
                            &sums.in[state], sizeof(sums.in[state]));
        }
        g_assert_cmpmem(f->stats->compressed.skipped_bytes,
                        sizeof(sums.skipped), sums.skipped,
                        sizeof(sums.skipped));
        g_assert_cmpuint(f->stats->host_bytes, ==,
                         sums.in[RESIDENT].size +
                         sums.in[RESIDENT].iov_bytes +
                         sums.in[EVICTED].size - sums.uncompressed +
                         sums.compressed + f->stats->deferred_bytes);
        g_assert_cmpuint(f->stats->in[PURGED].released_bytes, ==,
                         sums.in[PURGED].released_bytes);
        g_assert_cmpuint(f->stats->host_bytes_peak, >=, f->stats->host_bytes);
    }
    g_rand_free(rand);
}

#define ADD(name) \
    g_test_add("/virtio-gpu/ledger/" #name, Fixture, NULL, setup, \
               test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(empty);
    ADD(free_null);
    ADD(add);
    ADD(add_id_0);
    ADD(add_twice);
    ADD(largest_id);
    ADD(round_trip);
    ADD(iov_bytes);
    ADD(enter);
    ADD(purge);
    ADD(purge_attached);
    ADD(purge_evicted);
    ADD(restore);
    ADD(deferred);
    ADD(release);
    ADD(compress);
    ADD(compress_attached);
    ADD(times);
    ADD(skip);
    ADD(limit);
    ADD(overhead);
    ADD(objects);
    ADD(purge_never_peaks);
    ADD(remove);
    ADD(blob);
    ADD(clear);
    ADD(clear_deferred);
    ADD(64_bit);
    ADD(foreach);
    ADD(random);
    return g_test_run();
}
