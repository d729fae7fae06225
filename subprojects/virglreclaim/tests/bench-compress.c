/* SPDX-License-Identifier: MIT */
/*
 * Compresses and restores what a recording of record-frames holds at its end,
 * beside what zram would do with the same bytes: tests/bench/contents.py runs it.
 *
 * bench-compress RECORDING
 *
 * zram is a compressed block device of Linux, used for swap. It compresses each
 * page alone, with LZ4 as zram-tools sets it up, keeps pages as they are that do
 * not get small enough, and for those with one repeated word only the word.
 *
 * Prints a line for each round: bytes; seconds that the library takes to compress
 * and to restore them, and bytes that they take meanwhile; and the same of zram's
 * way.
 */

#include "instance.h"
#include "readback.h"
#include "replay.h"
#include "storage.h"

#include <lz4.h>
#include <stdio.h>
#include <string.h>

/* The first one is not printed: memory is allocated for the first time. */
enum { ROUNDS = 6 };

enum { PAGE = 4096, ZRAM_MAX = PAGE * 3 / 4 };

struct result {
    double compress, restore;   /* seconds */
    uint64_t bytes;             /* that the compressed contents take */
};

static double seconds(void)
{
    return g_get_monotonic_time() / 1e6;
}

/* Compress those of @ids that can be, and keep only these. */
static struct result compress_all(struct virgl_reclaim *vr, GArray *ids)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    struct result result;
    double start = seconds();

    for (guint i = 0; i < ids->len;) {
        if (virgl_reclaim_resource_compress(
                vr, g_array_index(ids, uint32_t, i)) == 0) {
            i++;
        } else {
            g_array_remove_index_fast(ids, i);
        }
    }
    result.compress = seconds() - start;
    virgl_reclaim_get_stats(vr, &stats);
    result.bytes = stats.compressed_bytes;
    start = seconds();
    for (guint i = 0; i < ids->len; i++) {
        g_assert_cmpint(virgl_reclaim_resource_restore(
            vr, g_array_index(ids, uint32_t, i)), ==, 0);
    }
    result.restore = seconds() - start;
    return result;
}

/* Append the contents of resource @id to @bytes, filled up to a page. */
static void append_contents(struct virgl_reclaim *vr, uint32_t id,
                            GByteArray *bytes)
{
    const struct vr_resource *res = vr_find(vr, id);
    struct vr_readback readback;
    struct vr_tile tile = { 0 };

    virgl_renderer_force_ctx_0();
    g_assert_cmpint(vr_readback_begin(&readback, &res->args, res->storage->name),
                    ==, 0);
    while (vr_readback_next(&readback, &tile)) {
        guint old = bytes->len;

        g_byte_array_set_size(bytes, old + tile.size);
        g_assert_cmpint(vr_readback_read(&readback, &tile, bytes->data + old),
                        ==, 0);
    }
    vr_readback_end(&readback);
    if (bytes->len % PAGE) {
        guint old = bytes->len;

        g_byte_array_set_size(bytes, old + PAGE - old % PAGE);
        memset(bytes->data + old, 0, bytes->len - old);
    }
}

static bool is_same_filled(const uint8_t *page)
{
    return !memcmp(page, page + sizeof(long), PAGE - sizeof(long));
}

/* Returns the bytes that @page takes in @to, which has room for PAGE. */
static int zram_compress(const uint8_t *page, uint8_t *to)
{
    char buffer[LZ4_COMPRESSBOUND(PAGE)];
    int size = sizeof(long);

    if (!is_same_filled(page)) {
        size = LZ4_compress_default((const char *)page, buffer, PAGE,
                                    sizeof(buffer));
        if (size > ZRAM_MAX) {
            memcpy(to, page, PAGE);
            return PAGE;
        }
        memcpy(to, buffer, size);
    } else {
        memcpy(to, page, size);
    }
    return size;
}

static void zram_restore(const uint8_t *from, int size, uint8_t *page)
{
    if (size == PAGE) {
        memcpy(page, from, PAGE);
    } else if (size == sizeof(long)) {
        for (size_t i = 0; i < PAGE; i += sizeof(long)) {
            memcpy(page + i, from, sizeof(long));
        }
    } else {
        g_assert_cmpint(LZ4_decompress_safe((const char *)from, (char *)page,
                                            size, PAGE), ==, PAGE);
    }
}

static struct result zram(const GByteArray *bytes)
{
    guint pages = bytes->len / PAGE;
    g_autofree int *sizes = g_new(int, pages);
    g_autofree uint8_t *stored = g_malloc(bytes->len);
    g_autofree uint8_t *restored = g_malloc(bytes->len);
    struct result result = { 0 };
    double start = seconds();

    for (guint i = 0; i < pages; i++) {
        sizes[i] = zram_compress(bytes->data + (gsize)i * PAGE,
                                 stored + result.bytes);
        result.bytes += sizes[i];
    }
    result.compress = seconds() - start;
    start = seconds();
    for (guint i = 0, at = 0; i < pages; at += sizes[i++]) {
        zram_restore(stored + at, sizes[i], restored + (gsize)i * PAGE);
    }
    result.restore = seconds() - start;
    g_assert_cmpint(memcmp(restored, bytes->data, bytes->len), ==, 0);
    return result;
}

static void measure(struct replay *r)
{
    struct virgl_reclaim *vr = r->v.vr;
    g_autoptr(GArray) ids = g_array_new(false, false, sizeof(uint32_t));
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, r->v.memory);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint32_t id = GPOINTER_TO_UINT(key);

        g_array_append_val(ids, id);
    }
    virgl_reclaim_set_compress_max(vr, UINT64_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        struct result ours = compress_all(vr, ids), theirs;

        for (guint j = 0; i == 0 && j < ids->len; j++) {
            append_contents(vr, g_array_index(ids, uint32_t, j), bytes);
        }
        theirs = zram(bytes);
        if (i) {
            printf("%u\t%g\t%g\t%" G_GUINT64_FORMAT "\t%g\t%g\t%"
                   G_GUINT64_FORMAT "\n", bytes->len, ours.compress,
                   ours.restore, ours.bytes, theirs.compress, theirs.restore,
                   theirs.bytes);
        }
    }
}

int main(int argc, char **argv)
{
    struct replay r = { .ended = measure };

    if (argc != 2) {
        g_printerr("usage: bench-compress RECORDING\n");
        return 2;
    }
    return replay_run(&r, argv[1]);
}
