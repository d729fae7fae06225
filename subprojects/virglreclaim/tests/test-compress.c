/* SPDX-License-Identifier: MIT */
/* Compression: contents, skip reasons, statistics, memory. */

#include "commands.h"
#include "renderer.h"

#include <errno.h>
#include <string.h>

enum { SIDE = 256, SIZE = SIDE * SIDE * 4, RES = 1, CTX = 1, OBJECT = 10 };

static struct virgl_reclaim_stats stats_of(Fixture *f)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(f->vr, &stats);
    return stats;
}

/* The resource is unchanged, and the reason is counted. */
static void check_skipped(Fixture *f, uint32_t id, int error,
                       enum virgl_reclaim_skipped why)
{
    struct virgl_reclaim_stats before = stats_of(f);
    struct virgl_reclaim_stats after = { .size = sizeof(after) };

    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, id), ==, error);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                    VIRGL_RECLAIM_RESIDENT);
    after = stats_of(f);
    before.skipped[why]++;
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
}

static void compress(Fixture *f, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, id), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                    VIRGL_RECLAIM_COMPRESSED);
}

static void test_stats(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t sum = 0;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, 1, SIZE);
    make_small_buffer(f, 2, SIZE);
    compress(f, 1);
    compress(f, 2);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, 0);

    stats = stats_of(f);
    g_assert_cmpuint(stats.resources, ==, 2);
    g_assert_cmpuint(stats.compressed, ==, 2);
    g_assert_cmpuint(stats.compressions, ==, 2);
    g_assert_cmpuint(stats.uncompressed_bytes, ==, 2 * SIZE);
    g_assert_cmpuint(stats.compressed_bytes, >=, 2 * 251);
    g_assert_cmpuint(stats.compressed_bytes, <, SIZE / 4);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 2), ==, 0);
    check_small_buffer(1, 0, SIZE);
    check_small_buffer(2, 0, SIZE);
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, 0);
    g_assert_cmpuint(stats.compressed_bytes, ==, 0);
    g_assert_cmpuint(stats.uncompressed_bytes, ==, 0);
    g_assert_cmpuint(stats.resident_bytes, ==, 2 * SIZE);
    g_assert_cmpuint(stats.decompressions, ==, 2);
    g_assert_cmpuint(stats.restores, ==, 0);
    for (int i = 0; i < VIRGL_RECLAIM_TIME_BUCKETS; i++) {
        sum += stats.decompress_us[i];
    }
    g_assert_cmpuint(sum, ==, 2);
}

static void test_off(Fixture *f, gconstpointer data)
{
    (void)data;
    make_small_buffer(f, RES, SIZE);
    check_skipped(f, RES, -ENOSPC, VIRGL_RECLAIM_SKIPPED_LIMIT);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -ENOENT);
}

/*
 * Attaching backing restores the contents; and with backing attached storage
 * can leave, too.
 */
static void test_attach(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *in = g_malloc(SIZE), *out = g_malloc0(SIZE);
    struct virgl_reclaim_transfer t = { .w = SIZE, .h = 1, .d = 1 };
    struct iovec iov = { out, SIZE }, *old;
    int n;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, RES, SIZE);
    compress(f, RES);
    fill_small(in, SIZE, RES);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, RES, &iov, 1), ==,
                    0);
    for (int i = 0; i < 2; i++) {
        memset(out, 0, SIZE);
        g_assert_cmpint(virgl_reclaim_resource_transfer(f->vr, RES, &t), ==,
                        0);
        g_assert_cmpmem(in, SIZE, out, SIZE);
        compress(f, RES);
    }
    /* The backing can be detached meanwhile. */
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, RES, &old, &n),
                    ==, 0);
    g_assert_true(old == &iov);
    g_assert_cmpint(n, ==, 1);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    check_small_buffer(RES, 0, SIZE);
}

/* The contents of a CUSTOM buffer with backing are there, not on the host. */
static void test_custom(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);
    g_autofree uint8_t *memory = g_malloc0(SIZE);
    struct iovec iov = { memory, SIZE };

    (void)data;
    args.bind = VIRGL_RES_BIND_CUSTOM;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, RES, &iov, 1), ==,
                    0);
    fill_small(memory, SIZE, RES);
    check_skipped(f, RES, -ENOTSUP, VIRGL_RECLAIM_SKIPPED_FORMAT);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, RES, NULL, NULL),
                    ==, 0);
    compress(f, RES);
    memset(memory, 0, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, RES, &iov, 1), ==,
                    0);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, RES, NULL, NULL),
                    ==, 0);
    check_small_buffer(RES, 0, SIZE);
}

/* What cannot be detached is skipped, and the reason is counted. */
static void test_busy(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = buffer_args(2, SIZE);

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, 1, SIZE);
    args.bind = VIRGL_RES_BIND_CUSTOM;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    make_small_buffer(f, 3, SIZE);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==,
                        0);
    }
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT,
                            VR_OBJECT_STREAMOUT_TARGET, OBJECT, 1, 0, SIZE),
                    ==, 0);
    compress(f, 1);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_SET_STREAMOUT_TARGETS, 0, 0,
                            OBJECT), ==, 0);
    check_skipped(f, 1, -EBUSY, VIRGL_RECLAIM_SKIPPED_STREAM_OUT);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT, VR_OBJECT_QUERY,
                            OBJECT + 1, 0, 0, 2), ==, 0);
    check_skipped(f, 2, -EBUSY, VIRGL_RECLAIM_SKIPPED_QUERY);

    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, 3), ==, 0);
    /* No such buffer: the renderer puts the context in error. */
    COMMAND(f->vr, CTX, VR_SET_INDEX_BUFFER, 0, 99, 2, 0);
    check_skipped(f, 3, -EBUSY, VIRGL_RECLAIM_SKIPPED_CONTEXT);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
    compress(f, 3);
}

static void count_id(uint32_t id, void *opaque)
{
    uint32_t *ids = opaque;

    ids[0]++;
    ids[ids[0]] = id;
}

/* Make it a stream-out target for a moment. */
static void stream_out(Fixture *f, uint32_t ctx, uint32_t id)
{
    g_assert_cmpint(COMMAND(f->vr, ctx, VR_CREATE_OBJECT,
                            VR_OBJECT_STREAMOUT_TARGET, OBJECT + id, id, 0,
                            SIZE), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, ctx, VR_SET_STREAMOUT_TARGETS, 0, 0,
                            OBJECT + id), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, ctx, VR_SET_STREAMOUT_TARGETS, 0, 0), ==,
                    0);
}

/* The unreferenced event is reported once. */
static void test_unreferenced(Fixture *f, gconstpointer data)
{
    static const struct virgl_reclaim_events events = {
        .unreferenced = count_id,
    };
    uint32_t ids[8] = { 0 };

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    virgl_reclaim_set_events(f->vr, &events, ids);
    for (uint32_t ctx = CTX; ctx <= CTX + 1; ctx++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, ctx, 1, "1"), ==, 0);
        for (uint32_t id = 1; id <= 3; id++) {
            if (ctx == CTX) {
                make_small_buffer(f, id, SIZE);
            }
            g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, ctx, id),
                            ==, 0);
        }
    }
    /* No attempt was made to compress 1. */
    stream_out(f, CTX, 1);
    stream_out(f, CTX, 2);
    stream_out(f, CTX + 1, 2);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -EBUSY);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -EBUSY);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT + 1), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT + 2), ==, 0);
    g_assert_cmpuint(ids[0], ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX + 1), ==, 0);
    g_assert_cmpuint(ids[0], ==, 1);
    g_assert_cmpuint(ids[1], ==, 2);
    compress(f, 2);

    /* No event for a purged resource. */
    stream_out(f, CTX, 3);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 3), ==, -EBUSY);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 3, NULL), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT + 3), ==, 0);
    stream_out(f, CTX, 1);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, -EBUSY);
    virgl_renderer_reset();
    virgl_reclaim_reset(f->vr);
    g_assert_cmpuint(ids[0], ==, 1);
}

/* The limit applies to new compressions only. */
static void test_limit(Fixture *f, gconstpointer data)
{
    uint64_t one;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    for (uint32_t id = 1; id <= 3; id++) {
        make_small_buffer(f, id, SIZE);
    }
    compress(f, 1);
    one = stats_of(f).compressed_bytes;

    virgl_reclaim_set_compress_max(f->vr, one + one / 2);
    check_skipped(f, 2, -ENOSPC, VIRGL_RECLAIM_SKIPPED_LIMIT);
    virgl_reclaim_set_compress_max(f->vr, one / 2);
    check_skipped(f, 2, -ENOSPC, VIRGL_RECLAIM_SKIPPED_LIMIT);
    virgl_reclaim_set_compress_max(f->vr, 2 * one);
    compress(f, 2);
    check_skipped(f, 3, -ENOSPC, VIRGL_RECLAIM_SKIPPED_LIMIT);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    compress(f, 3);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 2), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 3), ==, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        check_small_buffer(id, 0, SIZE);
    }
}

static void test_no_gain(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);
    g_autofree uint8_t *noise = g_malloc(SIZE), *out = g_malloc0(SIZE);

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    for (size_t i = 0; i < SIZE; i++) {
        noise[i] = g_test_rand_int();
    }
    g_assert_cmpint(write_bytes(RES, 0, noise, SIZE, SIZE, 1), ==, 0);
    check_skipped(f, RES, -EFBIG, VIRGL_RECLAIM_SKIPPED_NO_GAIN);
    g_assert_cmpint(read_bytes(RES, 0, out, SIZE, SIZE, 1), ==, 0);
    g_assert_cmpmem(noise, SIZE, out, SIZE);
}

/* No lossless readback of samples or, with GLES, of textures. */
static void test_format(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(RES, SIDE,
                                                                   SIDE);

    (void)data;
    args.nr_samples = 4;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    check_skipped(f, RES, -ENOTSUP, VIRGL_RECLAIM_SKIPPED_FORMAT);

    args.handle = 2;
    args.nr_samples = 0;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        check_skipped(f, 2, -ENOTSUP, VIRGL_RECLAIM_SKIPPED_FORMAT);
    } else {
        compress(f, 2);
    }
}

/* Resources without contents on the host. */
static void test_nothing(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);
    struct virgl_reclaim_stats before = { .size = sizeof(before) };
    struct virgl_reclaim_stats after = { .size = sizeof(after) };

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    args.bind = VR_BIND_STAGING;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    make_small_buffer(f, 2, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 2, NULL), ==, 0);
    before = stats_of(f);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, RES), ==, -ENODATA);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -ENODATA);
    after = stats_of(f);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
}

/* Purge, destruction and reset free compressed contents. */
static void test_discard(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t released;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    for (uint32_t id = 1; id <= 4; id++) {
        make_small_buffer(f, id, SIZE);
        compress(f, id);
    }

    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==, 0);
    g_assert_cmpuint(released, ==, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 2), ==, 0);
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, 2);
    g_assert_cmpuint(stats.uncompressed_bytes, ==, 2 * SIZE);
    g_assert_cmpuint(stats.purged, ==, 1);
    g_assert_cmpuint(stats.released_bytes, ==, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    g_assert_cmpuint(stats_of(f).released_bytes, ==, 0);
    {
        g_autofree uint8_t *out = g_malloc(SIZE);

        memset(out, 1, SIZE);
        g_assert_cmpint(read_bytes(1, 0, out, SIZE, SIZE, 1), ==, 0);
        g_assert_true(all_zero(out, SIZE));
    }

    virgl_renderer_reset();
    virgl_reclaim_reset(f->vr);
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, 0);
    g_assert_cmpuint(stats.compressed_bytes, ==, 0);
    g_assert_cmpuint(stats.uncompressed_bytes, ==, 0);
}

/* A restore without memory keeps the contents. */
static void test_no_memory(Fixture *f, gconstpointer data)
{
    enum { LARGE = 128 << 20 };
    struct virgl_reclaim_stats before = { .size = sizeof(before) };
    struct virgl_reclaim_stats after = { .size = sizeof(after) };
    uint32_t word;
    struct iovec iov = { &word, sizeof(word) };

    (void)data;
    if (!memory_is_freed()) {
        return;
    }
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, RES, LARGE);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    compress(f, RES);
    virgl_reclaim_trim();
    before = stats_of(f);

    limit_memory(64 << 20);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, -ENOMEM);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, RES, &iov, 1), ==,
                    -ENOMEM);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, RES), ==, -ENOMEM);
    limit_memory(0);
    g_assert_false(virgl_reclaim_resource_attached(f->vr, RES));
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, RES), ==,
                    VIRGL_RECLAIM_COMPRESSED);
    after = stats_of(f);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    check_small_buffer(RES, CTX, LARGE);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, RES), ==, 0);
}

/* RSS falls by what compression saves. */
static void test_rss(Fixture *f, gconstpointer data)
{
    enum { COUNT = 32, EACH = 4 << 20 };
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t before, after;

    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    for (uint32_t id = 1; id <= COUNT; id++) {
        make_small_buffer(f, id, EACH);
    }
    virgl_reclaim_trim();
    before = memory_used();
    for (uint32_t id = 1; id <= COUNT; id++) {
        compress(f, id);
    }
    virgl_reclaim_trim();
    after = memory_used();
    stats = stats_of(f);
    g_test_message("%" G_GUINT64_FORMAT " bytes became %" G_GUINT64_FORMAT
                   ", RSS fell by %" G_GINT64_FORMAT, stats.uncompressed_bytes,
                   stats.compressed_bytes, (gint64)(before - after));
    g_assert_cmpuint(stats.uncompressed_bytes, ==, COUNT * EACH);
    g_assert_cmpfloat(before - after, >=, 0.95 * (stats.uncompressed_bytes -
                                                  stats.compressed_bytes));

    for (uint32_t id = 1; id <= COUNT; id++) {
        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, id), ==, 0);
        check_small_buffer(id, 0, EACH);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /*
     * First: once malloc() has failed the thread goes on in an arena of which
     * malloc_trim() does not return the end.
     */
    add_test("/compress/rss", test_rss);
    add_test("/compress/stats", test_stats);
    add_test("/compress/off", test_off);
    add_test("/compress/attach", test_attach);
    add_test("/compress/busy", test_busy);
    add_test("/compress/custom", test_custom);
    add_test("/compress/unreferenced", test_unreferenced);
    add_test("/compress/limit", test_limit);
    add_test("/compress/no-gain", test_no_gain);
    add_test("/compress/format", test_format);
    add_test("/compress/nothing", test_nothing);
    add_test("/compress/discard", test_discard);
    add_test("/compress/no-memory", test_no_memory);
    return g_test_run();
}
