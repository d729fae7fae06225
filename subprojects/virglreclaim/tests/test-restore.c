/* SPDX-License-Identifier: MIT */
/* Restore of purged resources: zero, usable, attached to contexts. */

#include "commands.h"
#include "renderer.h"

#include <errno.h>
#include <string.h>

enum { WIDTH = 256, HEIGHT = 256, SIZE = WIDTH * HEIGHT * 4 };

static void make_texture(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = texture_args(id, WIDTH,
                                                                   HEIGHT);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

static void purge(Fixture *f, uint32_t id)
{
    uint64_t released;

    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, id, &released), ==, 0);
    g_assert_cmpuint(released, ==, virgl_reclaim_resource_bytes(f->vr, id));
}

/* Fill free memory with a pattern. */
static void dirty_heap(void)
{
    void *piece[64];

    for (size_t i = 0; i < G_N_ELEMENTS(piece); i++) {
        piece[i] = g_malloc(SIZE);
        memset(piece[i], 0xa5, SIZE);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(piece); i++) {
        g_free(piece[i]);
    }
}

static void round_trip(Fixture *f,
                       const struct virgl_renderer_resource_create_args *args)
{
    g_autofree uint8_t *in = g_malloc(SIZE), *out = g_malloc(SIZE);
    uint32_t w = args->width, h = args->height, id = args->handle;

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, args), ==, 0);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        fill(in, SIZE, seed);
        g_assert_cmpint(write_bytes(id, 0, in, SIZE, w, h), ==, 0);
        g_assert_cmpint(read_bytes(id, 0, out, SIZE, w, h), ==, 0);
        g_assert_cmpmem(in, SIZE, out, SIZE);

        purge(f, id);
        g_assert_cmpint(read_bytes(id, 0, out, SIZE, w, h), !=, 0);
        dirty_heap();
        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, id), ==, 0);
        g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                        VIRGL_RECLAIM_RESIDENT);
        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, id), ==, 0);

        memset(out, 1, SIZE);
        g_assert_cmpint(read_bytes(id, 0, out, SIZE, w, h), ==, 0);
        g_assert_true(all_zero(out, SIZE));
    }
}

static void test_texture(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, WIDTH,
                                                                   HEIGHT);

    (void)data;
    round_trip(f, &args);
}

static void test_buffer(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = buffer_args(1, SIZE);

    (void)data;
    round_trip(f, &args);
}

/* Attaching backing restores the resource. */
static void test_attach(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *in = g_malloc(SIZE), *out = g_malloc(SIZE);
    struct virgl_box box = { .w = WIDTH, .h = HEIGHT, .d = 1 };
    struct iovec iov = { in, SIZE }, *old;
    int n;

    (void)data;
    make_texture(f, 1);
    purge(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &iov, 1), ==,
                    0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_RESIDENT);

    fill(in, SIZE, 5);
    g_assert_cmpint(virgl_renderer_transfer_write_iov(1, 0, 0, 0, 0, &box, 0,
                                                      NULL, 0), ==, 0);
    g_assert_cmpint(read_bytes(1, 0, out, SIZE, WIDTH, HEIGHT), ==, 0);
    g_assert_cmpmem(in, SIZE, out, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, &old, &n), ==,
                    0);
    g_assert_true(old == &iov);
}

/* The renderer detaches a destroyed resource from its contexts. */
static void test_renderer_detaches(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, WIDTH,
                                                                   HEIGHT);
    g_autofree uint8_t *pixels = g_malloc0(SIZE);

    (void)data;
    make_texture(f, 1);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), ==, 0);

    virgl_renderer_resource_unref(1);
    g_assert_cmpint(virgl_renderer_resource_create(&args, NULL, 0), ==, 0);
    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), !=, 0);
}

static void test_contexts(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *pixels = g_malloc(SIZE);

    (void)data;
    fill(pixels, SIZE, 1);
    make_texture(f, 1);
    for (uint32_t ctx = 1; ctx <= 5; ctx++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, ctx, 1, "x"), ==, 0);
    }
    virgl_reclaim_ctx_attach_resource(f->vr, 1, 1);
    virgl_reclaim_ctx_attach_resource(f->vr, 2, 1);
    virgl_reclaim_ctx_attach_resource(f->vr, 3, 1);

    purge(f, 1);
    /* Attach and detach while it is purged. */
    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(f->vr, 2, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 3), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 4, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);

    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), ==, 0);
    g_assert_cmpint(write_bytes(1, 2, pixels, SIZE, WIDTH, HEIGHT), !=, 0);
    g_assert_cmpint(write_bytes(1, 3, pixels, SIZE, WIDTH, HEIGHT), !=, 0);
    g_assert_cmpint(write_bytes(1, 4, pixels, SIZE, WIDTH, HEIGHT), ==, 0);
    g_assert_cmpint(write_bytes(1, 5, pixels, SIZE, WIDTH, HEIGHT), !=, 0);
}

/* A context renders to a restored resource. */
static void test_submit(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *pixels = g_malloc0(SIZE);

    (void)data;
    make_texture(f, 1);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    purge(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);

    g_assert_cmpint(create_surface(f->vr, 1, 10, 1, FORMAT_BGRA8), ==, 0);
    g_assert_cmpint(clear_surface(f->vr, 1, 10), ==, 0);
    g_assert_cmpint(read_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), ==, 0);
    for (size_t i = 0; i < SIZE; i++) {
        g_assert_cmpuint(pixels[i], ==, 0xff);
    }
}

/* A new resource with an old id has none of its attachments. */
static void test_new_owner(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *pixels = g_malloc0(SIZE);

    (void)data;
    make_texture(f, 1);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    purge(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);

    make_texture(f, 1);
    purge(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), !=, 0);
}

/* After a failed restore the resource is purged as before. */
static void test_no_memory(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, 8192,
                                                                   4096);
    struct virgl_reclaim_stats before = { .size = sizeof(before) };
    struct virgl_reclaim_stats after = { .size = sizeof(after) };
    uint32_t pixel = 0;
    struct iovec iov = { &pixel, sizeof(pixel) };

    (void)data;
    if (!memory_is_freed()) {
        return;
    }
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    purge(f, 1);
    virgl_reclaim_trim();
    virgl_reclaim_get_stats(f->vr, &before);

    limit_memory(64 << 20);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &iov, 1), ==,
                    -ENOMEM);
    g_assert_false(virgl_reclaim_resource_attached(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_PURGED);
    virgl_reclaim_get_stats(f->vr, &after);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
    limit_memory(0);

    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &iov, 1), ==,
                    0);
    g_assert_cmpint(write_bytes(1, 1, &pixel, sizeof(pixel), 1, 1), ==, 0);
    virgl_reclaim_resource_detach_iov(f->vr, 1, NULL, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/restore/texture", test_texture);
    add_test("/restore/buffer", test_buffer);
    add_test("/restore/attach", test_attach);
    add_test("/restore/renderer-detaches", test_renderer_detaches);
    add_test("/restore/contexts", test_contexts);
    add_test("/restore/submit", test_submit);
    add_test("/restore/new-owner", test_new_owner);
    add_test("/restore/no-memory", test_no_memory);
    return g_test_run();
}
