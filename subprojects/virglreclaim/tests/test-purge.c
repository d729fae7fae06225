/* SPDX-License-Identifier: MIT */
/* Purged storage returns to the operating system: RSS falls. */

#include "commands.h"
#include "renderer.h"

#include <errno.h>

enum { TOTAL = 64 << 20, PIECE = 4 << 20 };

/* Tolerance: memory that the renderer and malloc keep. */
static const double share = 0.95;

static void write_all(const struct virgl_renderer_resource_create_args *args)
{
    uint64_t size = virgl_reclaim_args_bytes(args);
    g_autofree void *data = g_malloc(size);

    fill(data, size, args->handle);
    g_assert_cmpint(write_bytes(args->handle, 0, data, size, args->width,
                                args->height), ==, 0);
}

static void make(Fixture *f,
                 const struct virgl_renderer_resource_create_args *args)
{
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, args), ==, 0);
    write_all(args);
}

/* Purge first, first + step, ...; RSS must fall by their size. */
static void purge(Fixture *f, uint32_t first, uint32_t count, uint32_t step)
{
    uint64_t released = 0, bytes = 0, before, after;

    /* Free other memory first. */
    virgl_reclaim_trim();
    before = memory_used();

    for (uint32_t id = first; id < first + count; id += step) {
        uint64_t one;

        bytes += virgl_reclaim_resource_bytes(f->vr, id);
        g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, id, &one), ==, 0);
        g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                        VIRGL_RECLAIM_PURGED);
        released += one;
    }
    virgl_reclaim_trim();

    after = memory_used();
    g_test_message("released %" G_GUINT64_FORMAT ", RSS fell by %"
                   G_GINT64_FORMAT, released, (gint64)(before - after));
    g_assert_cmpuint(released, ==, bytes);
    g_assert_cmpuint(after, <, before);
    g_assert_cmpfloat(before - after, >=, share * released);
}

static void test_textures(Fixture *f, gconstpointer data)
{
    uint32_t count = TOTAL / PIECE;

    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct virgl_renderer_resource_create_args args =
            texture_args(1 + i, 1024, PIECE / 4 / 1024);

        make(f, &args);
    }
    purge(f, 1, count, 1);
}

static void test_buffers(Fixture *f, gconstpointer data)
{
    uint32_t count = TOTAL / PIECE;

    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct virgl_renderer_resource_create_args args = buffer_args(1 + i,
                                                                      PIECE);

        make(f, &args);
    }
    purge(f, 1, count, 1);
}

/* 64 KiB to 16 MiB, textures and buffers. */
static uint32_t make_mixed(Fixture *f)
{
    uint32_t id = 1;
    uint64_t total = 0;

    for (uint32_t i = 0; total < TOTAL; i++, id++) {
        uint32_t size = (64 << 10) << (i * 5 % 9);
        struct virgl_renderer_resource_create_args args =
            i % 3 ? texture_args(id, 256, size / 4 / 256)
                  : buffer_args(id, size);

        make(f, &args);
        total += size;
    }
    return id - 1;
}

static void test_mixed(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    purge(f, 1, make_mixed(f), 1);
}

/* Resident resources between purged ones keep no memory of these. */
static void test_every_other(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    purge(f, 1, make_mixed(f), 2);
}

static void test_twice(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, 64, 64);
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t released;

    (void)data;
    make(f, &args);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==, 0);
    g_assert_cmpuint(released, ==, 64 * 64 * 4);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==, 0);
    g_assert_cmpuint(released, ==, 0);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.purges, ==, 1);
    g_assert_cmpuint(stats.released_bytes, ==, 64 * 64 * 4);
}

/* Resources without GL storage. */
static void test_without_storage(Fixture *f, gconstpointer data)
{
    static const uint32_t binds[] = { VIRGL_RES_BIND_CUSTOM, VR_BIND_STAGING };
    uint8_t memory[64];
    struct iovec iov = { memory, sizeof(memory) };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(binds); i++) {
        struct virgl_renderer_resource_create_args args = buffer_args(1, 64);
        uint64_t released;

        args.bind = binds[i];
        g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
        g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==,
                        0);
        g_assert_cmpuint(released, ==,
                         binds[i] == VIRGL_RES_BIND_CUSTOM ? 64 : 0);
        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);

        fill(memory, sizeof(memory), 1);
        g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &iov, 1),
                        ==, 0);
        if (binds[i] == VIRGL_RES_BIND_CUSTOM) {
            /* The renderer copies its own contents to the backing. */
            g_assert_true(all_zero(memory, sizeof(memory)));
        }
        g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, NULL,
                                                          NULL), ==, 0);
        g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
    }
}

/*
 * The renderer leaves a texture bound in the GL context of the last
 * sub-context that sampled from it, and GL keeps the storage for that.
 */
static void test_bound_texture(Fixture *f, gconstpointer data)
{
    enum { COUNT = 4, EACH = 16 << 20, CTX = 1, OBJECT = 10 };

    (void)data;
    if (!memory_is_seen()) {
        return;
    }
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = 1; id <= COUNT; id++) {
        struct virgl_renderer_resource_create_args args =
            texture_args(id, 1024, EACH / 4 / 1024);

        make(f, &args);
        virgl_reclaim_ctx_attach_resource(f->vr, CTX, id);
        g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_SUB_CTX, 0, id), ==, 0);
        g_assert_cmpint(create_sampler_view(f->vr, CTX, OBJECT, id,
                                            FORMAT_BGRA8, VR_TARGET_2D), ==,
                        0);
        g_assert_cmpint(set_sampler_view(f->vr, CTX, OBJECT), ==, 0);
        g_assert_cmpint(set_sampler_view(f->vr, CTX, 0), ==, 0);
        g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    }
    purge(f, 1, COUNT, 1);

    /* The current sub-context is unchanged. */
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_DESTROY_SUB_CTX, 0, COUNT), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
}

/* The GL context of a context in error may have the texture bound. */
static void test_bound_in_error(Fixture *f, gconstpointer data)
{
    enum { CTX = 1, NO_OBJECT = 99 };
    struct virgl_renderer_resource_create_args args = texture_args(1, 64, 64);
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t released;

    (void)data;
    make(f, &args);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    virgl_reclaim_ctx_attach_resource(f->vr, CTX, 1);
    set_sampler_view(f->vr, CTX, NO_OBJECT);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, &released), ==, 0);
    g_assert_cmpuint(released, ==, 0);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 1);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 0);
    g_assert_cmpuint(stats.released_bytes, ==, 64 * 64 * 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/purge/textures", test_textures);
    add_test("/purge/buffers", test_buffers);
    add_test("/purge/mixed", test_mixed);
    add_test("/purge/every-other", test_every_other);
    add_test("/purge/twice", test_twice);
    add_test("/purge/without-storage", test_without_storage);
    add_test("/purge/bound-texture", test_bound_texture);
    add_test("/purge/bound-in-error", test_bound_in_error);
    return g_test_run();
}
