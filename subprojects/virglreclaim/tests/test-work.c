/* SPDX-License-Identifier: MIT */
/*
 * How much work a call is: calls of the renderer, each of which can cost a change
 * of the GL context. It must not depend on what else there is.
 */

#include "instance.h"

#include <glib.h>
#include <string.h>

enum { RES = 1, FIRST_OTHER = 10, VIEW = 5, CTXS = 8 };

static unsigned calls;
/* Steps that the contents of a resource take. */
extern unsigned stub_tiles;

int virgl_renderer_submit_cmd(void *buffer, int ctx, int words)
{
    (void)buffer, (void)ctx, (void)words;
    calls++;
    return 0;
}

int vr_storage_create(const vr_args *args, struct vr_storage *storage)
{
    storage->buffer = args->target == VR_TARGET_BUFFER;
    storage->name = args->handle;
    calls++;
    return 0;
}

void vr_storage_unref(uint32_t id)
{
    (void)id;
    calls++;
}

bool vr_storage_alive(const struct vr_storage *storage)
{
    calls++;
    return storage->references;
}

bool vr_storage_truncate(const struct vr_storage *storage)
{
    (void)storage;
    return false;
}

static void create(struct virgl_reclaim *vr, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = id, .target = VR_TARGET_2D, .width = 256, .height = 256,
        .depth = 1, .array_size = 1,
    };

    g_assert_cmpint(virgl_reclaim_resource_create(vr, &args), ==, 0);
}

static void run(struct virgl_reclaim *vr, uint32_t ctx, const uint32_t *words,
                uint32_t n)
{
    g_autofree uint32_t *copy = g_memdup2(words, n * sizeof(*words));

    g_assert_cmpint(virgl_reclaim_submit(vr, ctx, copy, n), ==, 0);
}

#define RUN(ctx, code, type, ...) do { \
        const uint32_t words_[] = { 0, __VA_ARGS__ }; \
        uint32_t n_ = sizeof(words_) / sizeof(*words_); \
        g_autofree uint32_t *all_ = g_memdup2(words_, sizeof(words_)); \
        \
        all_[0] = vr_header(code, type, n_ - 1); \
        run(vr, ctx, all_, n_); \
    } while (0)

static void make_view(struct virgl_reclaim *vr, uint32_t ctx, uint32_t handle,
                      uint32_t id)
{
    RUN(ctx, VR_CREATE_OBJECT, VR_OBJECT_SAMPLER_VIEW, handle, id, 1, 0, 0, 0);
}

/* Contexts with @subs sub-contexts each, and @others resources with a view. */
static struct virgl_reclaim *begin(uint32_t subs, uint32_t others)
{
    struct virgl_reclaim *vr = virgl_reclaim_new();

    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(vr, ctx, 1, "1"), ==, 0);
        for (uint32_t sub = 1; sub < subs; sub++) {
            RUN(ctx, VR_CREATE_SUB_CTX, 0, sub);
        }
        RUN(ctx, VR_SET_SUB_CTX, 0, 0);
    }
    for (uint32_t id = FIRST_OTHER; id < FIRST_OTHER + others; id++) {
        create(vr, id);
        virgl_reclaim_ctx_attach_resource(vr, 1, id);
        make_view(vr, 1, id, id);
        /* Half of them are deferred. */
        if (id % 2) {
            virgl_reclaim_resource_unref(vr, id);
        }
    }
    return vr;
}

static void make_used(struct virgl_reclaim *vr)
{
    create(vr, RES);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_attach_resource(vr, ctx, RES);
    }
    make_view(vr, 1, VIEW, RES);
    RUN(1, VR_SET_SAMPLER_VIEWS, 0, 0, 0, VIEW);
}

struct work {
    unsigned create, purge, restore, unref, view_ends;
};

static unsigned counted(void)
{
    unsigned n = calls;

    calls = 0;
    return n;
}

static struct work measure(uint32_t subs, uint32_t others)
{
    struct virgl_reclaim *vr = begin(subs, others);
    struct work w;

    counted();
    create(vr, RES);
    w.create = counted();
    virgl_reclaim_resource_unref(vr, RES);
    make_used(vr);
    counted();
    virgl_reclaim_resource_purge(vr, RES, NULL);
    w.purge = counted();
    virgl_reclaim_resource_restore(vr, RES);
    w.restore = counted();
    virgl_reclaim_resource_unref(vr, RES);
    w.unref = counted();
    RUN(1, VR_SET_SAMPLER_VIEWS, 0, 0, 0, 0);
    RUN(1, VR_DESTROY_OBJECT, 0, VIEW);
    w.view_ends = counted();
    virgl_reclaim_free(vr);
    return w;
}

static void test_flat(void)
{
    struct work few = measure(1, 10);

    g_assert_cmpuint(few.create, ==, 1);
    for (uint32_t subs = 1; subs <= 64; subs += 63) {
        for (uint32_t others = 10; others <= 10000; others *= 10) {
            struct work w = measure(subs, others);

            g_assert_cmpmem(&w, sizeof(w), &few, sizeof(few));
        }
    }
}

/* What all sub-contexts have used: a bounded number of them is looked at. */
static void test_bounded(void)
{
    enum { MOST = 100 };
    struct virgl_reclaim *vr = begin(64, 0);

    make_used(vr);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        for (uint32_t sub = 0; sub < 64; sub++) {
            RUN(ctx, VR_SET_SUB_CTX, 0, sub);
            make_view(vr, ctx, VIEW, RES);
            RUN(ctx, VR_SET_SAMPLER_VIEWS, 0, 0, 0, VIEW);
        }
    }
    virgl_reclaim_set_compress_max(vr, UINT64_MAX);
    counted();
    g_assert_cmpint(virgl_reclaim_resource_compress(vr, RES), <, 0);
    g_assert_cmpuint(counted(), <, MOST);
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, RES, NULL), ==, 0);
    g_assert_cmpuint(counted(), <, MOST);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_destroy(vr, ctx);
        g_assert_cmpuint(counted(), <, MOST);
    }
    while (virgl_reclaim_collect(vr)) {
        g_assert_cmpuint(counted(), <, MOST);
    }
    virgl_reclaim_free(vr);
}

/* A buffer of draw arguments: bound again where it is drawn with, and only then. */
static void test_indirect(void)
{
    struct virgl_reclaim *vr = begin(64, 0);
    struct virgl_renderer_resource_create_args args = {
        .handle = RES, .target = VR_TARGET_BUFFER, .width = 64, .height = 1,
        .depth = 1, .array_size = 1,
    };
    uint32_t draw[1 + VR_DRAW_INDIRECT + 1] = {
        vr_header(VR_DRAW_VBO, 0, VR_DRAW_INDIRECT + 1),
        [1 + VR_DRAW_INDIRECT] = RES,
    };

    g_assert_cmpint(virgl_reclaim_resource_create(vr, &args), ==, 0);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_attach_resource(vr, ctx, RES);
        for (uint32_t sub = 0; sub < 64; sub++) {
            RUN(ctx, VR_SET_SUB_CTX, 0, sub);
            run(vr, ctx, draw, G_N_ELEMENTS(draw));
        }
    }
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, RES, NULL), ==, 0);
    counted();
    g_assert_cmpint(virgl_reclaim_resource_restore(vr, RES), ==, 0);
    g_assert_cmpuint(counted(), ==, 1);
    run(vr, 1, draw, G_N_ELEMENTS(draw));
    g_assert_cmpuint(counted(), ==, 3);
    run(vr, 1, draw, G_N_ELEMENTS(draw));
    g_assert_cmpuint(counted(), ==, 1);
    virgl_reclaim_free(vr);
}

/*
 * Compressing and restoring what all contexts use, in steps: each is bounded, and
 * finding out that something has to be restored calls nothing.
 */
static void test_steps(void)
{
    enum { MOST = 100, TILES = 7 };
    struct virgl_reclaim *vr = begin(2, 0);
    uint32_t draw[] = { vr_header(VR_SET_SAMPLER_VIEWS, 0, 3), 0, 0, VIEW };
    unsigned steps = 0;
    int ret;

    stub_tiles = TILES;
    make_used(vr);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        for (uint32_t sub = 0; sub < 2; sub++) {
            RUN(ctx, VR_SET_SUB_CTX, 0, sub);
            make_view(vr, ctx, VIEW, RES);
            RUN(ctx, VR_SET_SAMPLER_VIEWS, 0, 0, 0, VIEW);
        }
    }
    virgl_reclaim_set_compress_max(vr, UINT64_MAX);
    counted();
    g_assert_cmpint(virgl_reclaim_compress_begin(vr, RES), ==, 0);
    g_assert_cmpuint(virgl_reclaim_compressing(vr), ==, RES);
    do {
        g_assert_cmpuint(counted(), <, MOST);
        ret = virgl_reclaim_compress_run(vr);
    } while (ret == -EAGAIN);
    g_assert_cmpint(ret, ==, 0);
    g_assert_cmpuint(virgl_reclaim_compressing(vr), ==, 0);
    g_assert_cmpuint(counted(), <, MOST);

    g_assert_cmpint(virgl_reclaim_try_submit(vr, 1, draw, 4), ==, -EAGAIN);
    g_assert_cmpuint(counted(), ==, 0);
    while ((ret = virgl_reclaim_restore_run(vr))) {
        g_assert_cmpint(ret, ==, 1);
        g_assert_cmpuint(counted(), <, MOST);
        steps++;
    }
    g_assert_cmpuint(counted(), <, MOST);
    g_assert_cmpuint(steps, ==, TILES);
    g_assert_cmpint(virgl_reclaim_try_submit(vr, 1, draw, 4), ==, 0);
    g_assert_cmpuint(counted(), ==, 1);
    virgl_reclaim_restore_end(vr);
    g_assert_cmpuint(counted(), ==, 0);
    virgl_reclaim_free(vr);
    stub_tiles = 0;
}

/*
 * 20,000 deferred storages. When a context ends that has nothing to do with them
 * some are looked at, and the others later; those whose last references end
 * are all released by one call.
 */
static void test_many_deferred(void)
{
    enum { N = 20000, STEPS = N / 2 / 64 };
    struct virgl_reclaim *vr = begin(64, N);
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, N / 2);
    counted();
    RUN(1, VR_SET_SAMPLER_VIEWS, 0, 0, 0);
    g_assert_cmpuint(counted(), ==, 1);
    virgl_reclaim_ctx_destroy(vr, CTXS);
    g_assert_cmpuint(counted(), <, 64 * 5);
    for (unsigned i = 0; i < STEPS; i++) {
        g_assert_true(virgl_reclaim_collect(vr) == (i < STEPS - 1));
        g_assert_cmpuint(counted(), <, 64 * 5);
    }
    virgl_reclaim_get_stats(vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, N / 2);
    virgl_reclaim_ctx_destroy(vr, 1);
    virgl_reclaim_get_stats(vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 0);
    /* A few looks at each, and no GL context for each. */
    g_assert_cmpuint(counted(), <, 5 * N);
    virgl_reclaim_free(vr);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bounds/flat", test_flat);
    g_test_add_func("/bounds/bounded", test_bounded);
    g_test_add_func("/bounds/indirect", test_indirect);
    g_test_add_func("/bounds/steps", test_steps);
    g_test_add_func("/bounds/many-deferred", test_many_deferred);
    return g_test_run();
}
