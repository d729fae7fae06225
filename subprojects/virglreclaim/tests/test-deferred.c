/* SPDX-License-Identifier: MIT */
/* Storage that a context still refers to is deferred. */

#include "commands.h"
#include "renderer.h"

#include <epoxy/egl.h>

enum { WIDTH = 64, HEIGHT = 64, SIZE = WIDTH * HEIGHT * 4 };
enum { RES = 1, CTX = 1, OBJECT = 10 };

static void make_texture(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = texture_args(id, WIDTH,
                                                                   HEIGHT);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

/* A texture with a sampler view in a context. */
static void make_viewed(Fixture *f)
{
    make_texture(f, RES);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(create_sampler_view(f->vr, CTX, OBJECT, RES,
                                        FORMAT_BGRA8, VR_TARGET_2D), ==, 0);
}

/* A buffer that is a stream-out target: it has a position there. */
static void make_streamed(Fixture *f)
{
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT,
                            VR_OBJECT_STREAMOUT_TARGET, OBJECT, RES, 0, SIZE),
                    ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_SET_STREAMOUT_TARGETS, 0, 0,
                            OBJECT), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_SET_STREAMOUT_TARGETS, 0, 0), ==,
                    0);
}

static void purge(Fixture *f, uint64_t expected)
{
    uint64_t released = 1;

    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, RES, &released), ==,
                    0);
    g_assert_cmpuint(released, ==, expected);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, RES), ==,
                    VIRGL_RECLAIM_PURGED);
}

static void check(Fixture *f, uint64_t deferred, uint64_t released,
                  uint64_t total)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, deferred);
    g_assert_cmpuint(stats.deferred_bytes, ==, deferred * SIZE);
    g_assert_cmpuint(stats.released_bytes, ==, released);
    g_assert_cmpuint(stats.released_total, ==, total);
}

/* Views and surfaces leave with the storage: it is gone at once. */
static void test_sampler_view(Fixture *f, gconstpointer data)
{
    (void)data;
    make_viewed(f);
    purge(f, SIZE);
    check(f, 0, SIZE, SIZE);

    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, SIZE, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    check(f, 0, 0, SIZE);
}

static void test_surface(Fixture *f, gconstpointer data)
{
    (void)data;
    make_texture(f, RES);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(create_surface(f->vr, CTX, OBJECT, RES, FORMAT_BGRA8), ==,
                    0);
    g_assert_cmpint(clear_surface(f->vr, CTX, OBJECT), ==, 0);
    purge(f, SIZE);
    check(f, 0, SIZE, SIZE);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
    check(f, 0, SIZE, SIZE);
}

static void test_stream_out(Fixture *f, gconstpointer data)
{
    (void)data;
    make_streamed(f);
    purge(f, 0);
    check(f, 1, 0, 0);
    check(f, 1, 0, 0);

    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, SIZE, SIZE);
    check(f, 0, SIZE, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    check(f, 0, 0, SIZE);
}

static void make_bound_buffer(Fixture *f)
{
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, RES), ==, 0);
}

/* A purged buffer is truncated at once. */
static void test_buffer(Fixture *f, gconstpointer data)
{
    uint64_t released;

    (void)data;
    make_bound_buffer(f);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, RES, &released), ==,
                    0);
    g_assert_cmpuint(released, ==, SIZE);
    check(f, 0, SIZE, SIZE);
}

/* One that is only destroyed is not: contexts still use its contents. */
static void test_buffer_unref(Fixture *f, gconstpointer data)
{
    (void)data;
    make_bound_buffer(f);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    check(f, 1, 0, 0);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, 0), ==, 0);
    check(f, 0, 0, 0);
}

/* No GL object: only the tracked references tell. */
static void test_query(Fixture *f, gconstpointer data)
{
    enum { OCCLUSION_COUNTER = 0 };
    struct virgl_renderer_resource_create_args args = buffer_args(RES, SIZE);

    (void)data;
    args.bind = VIRGL_RES_BIND_CUSTOM;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT, VR_OBJECT_QUERY,
                            OBJECT, OCCLUSION_COUNTER, 0, RES), ==, 0);
    purge(f, 0);
    check(f, 1, 0, 0);

    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, SIZE, SIZE);
}

/* A restored resource: its old storage is deferred. */
static void test_restored(Fixture *f, gconstpointer data)
{
    uint8_t in[SIZE], out[SIZE];

    (void)data;
    make_streamed(f);
    purge(f, 0);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    check(f, 1, 0, 0);

    /* Releasing the old storage leaves the new one alone. */
    fill(in, SIZE, 1);
    g_assert_cmpint(write_bytes(RES, CTX, in, SIZE, SIZE, 1), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, 0, SIZE);
    g_assert_cmpint(read_bytes(RES, CTX, out, SIZE, SIZE, 1), ==, 0);
    g_assert_cmpmem(in, SIZE, out, SIZE);
}

static void test_unref(Fixture *f, gconstpointer data)
{
    (void)data;
    make_viewed(f);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    check(f, 1, 0, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    /* It was not purged. */
    check(f, 0, 0, 0);
}

/*
 * Released storage is looked for in context 0. The renderer creates fences in
 * the GL context that is current, which must be the one that has drawn.
 */
static void test_current_context(Fixture *f, gconstpointer data)
{
    EGLContext drawing;

    (void)data;
    make_viewed(f);
    drawing = eglGetCurrentContext();
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    g_assert_true(eglGetCurrentContext() != drawing);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, 0, 0);
    g_assert_true(eglGetCurrentContext() == drawing);
}

static void test_purge_unref(Fixture *f, gconstpointer data)
{
    (void)data;
    make_streamed(f);
    purge(f, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    check(f, 1, 0, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);
    check(f, 0, 0, SIZE);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    (void)data;
    make_streamed(f);
    purge(f, 0);
    virgl_renderer_reset();
    virgl_reclaim_reset(f->vr);
    check(f, 0, 0, 0);
}

static void describe(const struct virgl_reclaim_ctx *ctx, void *opaque)
{
    g_string_append_printf(opaque, "%u:%" PRIu64 "/%" PRIu64 " ", ctx->id,
                           ctx->deferred_bytes / SIZE, ctx->bytes / SIZE);
}

/* Twice: the second time gives the same. */
static void check_contexts(Fixture *f, const char *want)
{
    for (int i = 0; i < 2; i++) {
        g_autoptr(GString) text = g_string_new(NULL);

        virgl_reclaim_ctx_foreach(f->vr, describe, text);
        g_assert_cmpstr(text->str, ==, want);
    }
}

/* Deferred storage counts once for each context that refers to it. */
static void test_contexts(Fixture *f, gconstpointer data)
{
    (void)data;
    for (uint32_t id = 1; id <= 3; id++) {
        make_texture(f, id);
    }
    for (uint32_t ctx = 1; ctx <= 3; ctx++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, ctx, 1, "1"), ==, 0);
        for (uint32_t id = 1; id <= ctx; id++) {
            g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, ctx, id),
                            ==, 0);
            g_assert_cmpint(create_sampler_view(f->vr, ctx, OBJECT + id, id,
                                                FORMAT_BGRA8, VR_TARGET_2D),
                            ==, 0);
            g_assert_cmpint(create_surface(f->vr, ctx, OBJECT + 10 + id, id,
                                           FORMAT_BGRA8), ==, 0);
        }
    }
    check_contexts(f, "1:0/1 2:0/2 3:0/3 ");
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
    check_contexts(f, "1:1/0 2:1/1 3:1/2 ");
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 3), ==, 0);
    check_contexts(f, "1:1/0 2:1/1 3:2/1 ");

    /* A surface that is bound lives on without its handle. */
    g_assert_cmpint(set_framebuffer(f->vr, 1, OBJECT + 11), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, 1, OBJECT + 1), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, 1, OBJECT + 11), ==, 0);
    check_contexts(f, "1:1/0 2:1/1 3:2/1 ");
    g_assert_cmpint(set_framebuffer(f->vr, 1, 0), ==, 0);
    check_contexts(f, "1:0/0 2:1/1 3:2/1 ");
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 3), ==, 0);
    check_contexts(f, "1:0/0 2:1/1 ");
}

static void add_deferred(const struct virgl_reclaim_ctx *ctx, void *opaque)
{
    uint64_t *bytes = opaque;

    *bytes += ctx->deferred_bytes;
}

/* And so do compressed contents that objects of a destroyed resource show. */
static void test_contexts_compressed(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint64_t bytes = 0;

    (void)data;
    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("no lossless readback of textures with GLES");
        return;
    }
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_viewed(f);
    g_assert_cmpint(create_surface(f->vr, CTX, OBJECT + 1, RES, FORMAT_BGRA8),
                    ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, RES), ==, 0);
    virgl_reclaim_ctx_foreach(f->vr, add_deferred, &bytes);
    g_assert_cmpuint(bytes, ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred_bytes, >, 0);
    virgl_reclaim_ctx_foreach(f->vr, add_deferred, &bytes);
    g_assert_cmpuint(bytes, ==, stats.deferred_bytes);
}

/* A context without tracking may refer to all that it was attached to. */
static void test_contexts_untracked(Fixture *f, gconstpointer data)
{
    (void)data;
    make_streamed(f);
    make_texture(f, 2);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 2, 1, "2"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, 3, 1, "3"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 2, RES), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, 3, 2), ==, 0);
    /* No such buffer: the renderer puts the contexts in error. */
    COMMAND(f->vr, 2, VR_SET_INDEX_BUFFER, 0, 99, 2, 0);
    COMMAND(f->vr, 3, VR_SET_INDEX_BUFFER, 0, 99, 2, 0);
    purge(f, 0);
    check_contexts(f, "1:1/0 2:1/0 3:0/1 ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/deferred/sampler-view", test_sampler_view);
    add_test("/deferred/surface", test_surface);
    add_test("/deferred/stream-out", test_stream_out);
    add_test("/deferred/buffer", test_buffer);
    add_test("/deferred/buffer-unref", test_buffer_unref);
    add_test("/deferred/query", test_query);
    add_test("/deferred/restored", test_restored);
    add_test("/deferred/unref", test_unref);
    add_test("/deferred/current-context", test_current_context);
    add_test("/deferred/purge-unref", test_purge_unref);
    add_test("/deferred/reset", test_reset);
    add_test("/deferred/contexts", test_contexts);
    add_test("/deferred/contexts-compressed", test_contexts_compressed);
    add_test("/deferred/contexts-untracked", test_contexts_untracked);
    return g_test_run();
}
