/* SPDX-License-Identifier: MIT */
/* State of an instance: ids, errors, backing, attachments. */

#include "renderer.h"

#include <epoxy/gl.h>
#include <errno.h>
#include <string.h>

enum { WIDTH = 16, HEIGHT = 16, SIZE = WIDTH * HEIGHT * 4 };

static void make(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = texture_args(id, WIDTH,
                                                                   HEIGHT);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

static void test_unknown(Fixture *f, gconstpointer data)
{
    struct iovec iov = { .iov_base = f, .iov_len = 1 }, *old = &iov;
    uint64_t released = 1;
    int n = 1;

    (void)data;
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 7), ==, -ENOENT);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 7, &released), ==,
                    -ENOENT);
    g_assert_cmpuint(released, ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 7), ==, -ENOENT);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 7, &iov, 1), ==,
                    -ENOENT);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 7, &old, &n), ==,
                    -ENOENT);
    g_assert_null(old);
    g_assert_cmpint(n, ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 7), ==,
                    VIRGL_RECLAIM_NONE);
    g_assert_false(virgl_reclaim_resource_attached(f->vr, 7));
    g_assert_cmpuint(virgl_reclaim_resource_bytes(f->vr, 7), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 7), ==, -ENOENT);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 7, 7), ==,
                    -ENOENT);
}

static void test_create(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(0, 1, 1);
    uint8_t before[SIZE], after[SIZE];

    (void)data;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EINVAL);

    make(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_RESIDENT);
    g_assert_cmpuint(virgl_reclaim_resource_bytes(f->vr, 1), ==, SIZE);

    /* The resource with the id is unchanged. */
    fill(before, SIZE, 1);
    g_assert_cmpint(write_bytes(1, 0, before, SIZE, WIDTH, HEIGHT), ==, 0);
    args = texture_args(1, 8, 8);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EEXIST);
    g_assert_cmpint(read_bytes(1, 0, after, SIZE, WIDTH, HEIGHT), ==, 0);
    g_assert_cmpmem(before, SIZE, after, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, -ENOENT);
    make(f, 1);
}

static void test_rejected(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, 4, 4);
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    (void)data;
    args.target = 99;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EINVAL);
    args = texture_args(1, 4, 4);
    args.format = 99999;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EINVAL);
    args = texture_args(1, 1u << 30, 1u << 30);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EINVAL);
    args = texture_args(1, 4, 4);
    args.last_level = UINT32_MAX;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -EINVAL);

    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.resources, ==, 0);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);
    make(f, 1);
}

/*
 * A format that GL does not support: the renderer leaks the texture when it
 * finds that out. Found by fuzzing.
 */
static void test_rejected_late(Fixture *f, gconstpointer data)
{
    unsigned before = count_textures(), rejected = 0;

    (void)data;
    for (uint32_t i = 1; i < 3000; i++) {
        struct virgl_renderer_resource_create_args args = texture_args(i, 4, 4);

        args.format = 1 + i % 320;
        args.bind = i % 2 ? VIRGL_RES_BIND_SAMPLER_VIEW
                          : VIRGL_RES_BIND_RENDER_TARGET;
        if (virgl_reclaim_resource_create(f->vr, &args) == 0) {
            virgl_reclaim_resource_unref(f->vr, i);
        } else {
            rejected++;
        }
    }
    g_assert_cmpuint(rejected, >, 1);
    /* That of the first failure stays. */
    g_assert_cmpuint(count_textures(), <=, before + 1);
}

static void test_no_memory(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args;

    (void)data;
    /* 4 GiB: valid for the renderer, too large for llvmpipe. */
    args = texture_args(1, 16384, 16384);
    args.format = FORMAT_RGBA32F;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, -ENOMEM);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_NONE);
    make(f, 1);
}

static void test_backing(Fixture *f, gconstpointer data)
{
    uint8_t memory[SIZE];
    struct iovec iov[2] = {
        { memory, SIZE / 2 }, { memory + SIZE / 2, SIZE / 2 },
    };
    struct iovec *old = NULL;
    uint64_t released;
    int n = 0;

    (void)data;
    make(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, &old, &n), ==,
                    -ENODATA);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, NULL, 0), ==,
                    -EINVAL);
    g_assert_false(virgl_reclaim_resource_attached(f->vr, 1));

    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, iov, 2), ==,
                    0);
    g_assert_true(virgl_reclaim_resource_attached(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, iov, 2), ==,
                    -EEXIST);

    /* Nothing may lose the pointer to the backing. */
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==,
                    -EBUSY);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, -EBUSY);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_RESIDENT);

    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, &old, &n), ==,
                    0);
    g_assert_true(old == iov);
    g_assert_cmpint(n, ==, 2);
    g_assert_false(virgl_reclaim_resource_attached(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
}

static void test_contexts(Fixture *f, gconstpointer data)
{
    uint8_t pixels[SIZE];

    (void)data;
    fill(pixels, SIZE, 1);
    make(f, 1);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 0, 4, "test"), ==,
                    -EINVAL);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 4, "test"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 4, "test"), ==,
                    -EEXIST);

    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(f->vr, 1, 1), ==,
                    -ENODATA);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 2), ==,
                    -ENOENT);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 1, 1), ==, 0);
    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(f->vr, 1, 1), ==, 0);
    g_assert_cmpint(write_bytes(1, 1, pixels, SIZE, WIDTH, HEIGHT), !=, 0);

    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 1), ==, -ENOENT);
}

static void test_stats(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    (void)data;
    make(f, 1);
    make(f, 2);
    make(f, 3);
    virgl_reclaim_resource_purge(f->vr, 1, NULL);
    virgl_reclaim_resource_purge(f->vr, 2, NULL);
    virgl_reclaim_resource_restore(f->vr, 1);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.resources, ==, 3);
    g_assert_cmpuint(stats.resident_bytes, ==, 2 * SIZE);
    g_assert_cmpuint(stats.purged, ==, 1);
    g_assert_cmpuint(stats.released_bytes, ==, SIZE);
    g_assert_cmpuint(stats.deferred, ==, 0);
    g_assert_cmpuint(stats.purges, ==, 2);
    g_assert_cmpuint(stats.restores, ==, 1);
    g_assert_cmpuint(stats.released_total, ==, 2 * SIZE);

    for (uint32_t id = 1; id <= 3; id++) {
        g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, id), ==, 0);
    }
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.resources, ==, 0);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);
    g_assert_cmpuint(stats.purged, ==, 0);
    g_assert_cmpuint(stats.released_bytes, ==, 0);
    g_assert_cmpuint(stats.released_total, ==, 2 * SIZE);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    (void)data;
    make(f, 1);
    make(f, 2);
    virgl_reclaim_resource_purge(f->vr, 2, NULL);
    virgl_reclaim_ctx_create(f->vr, 1, 4, "test");

    virgl_renderer_reset();
    virgl_reclaim_reset(f->vr);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.resources, ==, 0);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);
    g_assert_cmpuint(stats.purged, ==, 0);
    g_assert_cmpuint(stats.purges, ==, 1);

    make(f, 1);
    make(f, 2);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 1, 4, "test"), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/instance/unknown", test_unknown);
    add_test("/instance/create", test_create);
    add_test("/instance/rejected", test_rejected);
    add_test("/instance/rejected-late", test_rejected_late);
    add_test("/instance/no-memory", test_no_memory);
    add_test("/instance/backing", test_backing);
    add_test("/instance/contexts", test_contexts);
    add_test("/instance/stats", test_stats);
    add_test("/instance/reset", test_reset);
    return g_test_run();
}
