/* SPDX-License-Identifier: MIT */
/* Restoring in steps: order, contents, what is kept, and what ends it. */

#include "commands.h"
#include "renderer.h"

#include <errno.h>
#include <string.h>

enum { N = 4, SIZE = 2 << 20, TILES = SIZE / (512 << 10), RES = 1, CTX = 1 };
enum { OTHER = 20, VIEW = 30, SMALL = 4096 };

#define ok(call) g_assert_cmpint(call, ==, 0)

typedef struct Wakeup {
    GMutex lock;
    GCond cond;
    unsigned n;                 /* calls, less those that were waited for */
} Wakeup;

static Wakeup woken;

static void wakeup(void *opaque)
{
    Wakeup *w = opaque;

    g_mutex_lock(&w->lock);
    w->n++;
    g_cond_signal(&w->cond);
    g_mutex_unlock(&w->lock);
}

static void wait_for_wakeup(void)
{
    g_mutex_lock(&woken.lock);
    while (!woken.n) {
        g_cond_wait(&woken.cond, &woken.lock);
    }
    woken.n = 0;
    g_mutex_unlock(&woken.lock);
}

static struct virgl_reclaim_stats stats_of(Fixture *f)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(f->vr, &stats);
    return stats;
}

static void compress(Fixture *f, uint32_t id)
{
    ok(virgl_reclaim_resource_compress(f->vr, id));
}

static void check_state(Fixture *f, uint32_t id, enum virgl_reclaim_state state)
{
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==, state);
}

/* Buffers 1 to @n, attached to the context and compressed. */
static void begin(Fixture *f, uint32_t n)
{
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    virgl_reclaim_set_wakeup(f->vr, wakeup, &woken);
    ok(virgl_reclaim_ctx_create(f->vr, CTX, 0, NULL));
    for (uint32_t id = 1; id <= n; id++) {
        make_small_buffer(f, id, SIZE);
        ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id));
        compress(f, id);
    }
}

/* A stream that binds vertex buffers 1 to N. */
static int try_bind(Fixture *f)
{
    uint32_t words[1 + 3 * N];

    words[0] = vr_header(VR_SET_VERTEX_BUFFERS, 0, 3 * N);
    for (uint32_t i = 0; i < N; i++) {
        words[1 + 3 * i] = 16;
        words[2 + 3 * i] = 0;
        words[3 + 3 * i] = 1 + i;
    }
    return virgl_reclaim_try_submit(f->vr, CTX, words, 1 + 3 * N);
}

/* Returns the number of steps. */
static unsigned run(Fixture *f)
{
    unsigned steps = 1;
    int ret;

    while ((ret = virgl_reclaim_restore_run(f->vr))) {
        if (ret == -EAGAIN) {
            wait_for_wakeup();
        } else {
            g_assert_cmpint(ret, ==, 1);
        }
        steps++;
    }
    return steps;
}

/* Resources that could leave. */
static unsigned lru_length(Fixture *f)
{
    uint64_t last_use;
    uint32_t id = 0;
    unsigned n = 0;

    while ((id = virgl_reclaim_lru_next(f->vr, id, &last_use))) {
        n++;
    }
    return n;
}

static void test_submit(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats;

    (void)data;
    begin(f, N);
    make_small_buffer(f, OTHER, SIZE);
    g_assert_cmpuint(virgl_reclaim_restore_bytes(f->vr), ==, 0);
    ok(virgl_reclaim_restore_run(f->vr));

    g_assert_cmpint(try_bind(f), ==, -EAGAIN);
    g_assert_cmpuint(virgl_reclaim_restore_bytes(f->vr), ==, SIZE);
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, N);
    /* Each step writes one tile at most. */
    g_assert_cmpuint(run(f), >=, N * TILES);
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, 0);
    g_assert_cmpuint(stats.decompressions, ==, N);
    g_assert_cmpuint(stats.resident_bytes, ==, (N + 1) * (uint64_t)SIZE);

    /* They stay until they are used; others can leave for them. */
    for (uint32_t id = 1; id <= N; id++) {
        uint64_t last_use;

        g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, id), ==,
                        -ECANCELED);
        g_assert_cmpint(virgl_reclaim_compress_begin(f->vr, id), ==,
                        -ECANCELED);
        g_assert_cmpuint(virgl_reclaim_lru_next(f->vr, 0, &last_use), ==,
                         OTHER);
    }
    compress(f, OTHER);
    ok(try_bind(f));
    virgl_reclaim_restore_end(f->vr);
    g_assert_cmpuint(lru_length(f), ==, N);
    for (uint32_t id = 1; id <= N; id++) {
        check_small_buffer(id, 0, SIZE);
        compress(f, id);
        g_assert_cmpuint(lru_length(f), ==, N - id);
    }
}

/* What the stream uses is kept, although it is resident. */
static void test_kept(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, N);
    ok(virgl_reclaim_resource_restore(f->vr, N));
    g_assert_cmpint(try_bind(f), ==, -EAGAIN);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, N), ==, -ECANCELED);
    run(f);
    ok(try_bind(f));
    virgl_reclaim_restore_end(f->vr);
    compress(f, N);
}

/* One at a time, and small ones without the thread. */
static void test_resource(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, 1);
    make_small_buffer(f, OTHER, SMALL);
    compress(f, OTHER);
    g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, 99), ==, -ENOENT);
    g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, RES), ==, -EAGAIN);
    g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, RES), ==, -EAGAIN);
    run(f);
    ok(virgl_reclaim_restore_begin(f->vr, RES));
    g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, OTHER), ==, -EAGAIN);
    ok(virgl_reclaim_restore_run(f->vr));
    virgl_reclaim_restore_end(f->vr);
    check_small_buffer(RES, 0, SIZE);
    check_small_buffer(OTHER, 0, SMALL);
    /* Purged ones, at once. */
    ok(virgl_reclaim_resource_purge(f->vr, RES, NULL));
    ok(virgl_reclaim_restore_begin(f->vr, RES));
    check_state(f, RES, VIRGL_RECLAIM_RESIDENT);
}

/* Each ends, in the middle, that RES is restored in steps. */
enum { SUBMIT, RESTORE, PURGE, UNREF, END, ANOTHER, RESET, ENDS };

static void end_by(Fixture *f, int how)
{
    switch (how) {
    case SUBMIT:
        ok(set_vertex_buffer(f->vr, CTX, RES));
        break;
    case RESTORE:
        ok(virgl_reclaim_resource_restore(f->vr, RES));
        break;
    case PURGE:
        ok(virgl_reclaim_resource_purge(f->vr, RES, NULL));
        break;
    case UNREF:
        ok(virgl_reclaim_resource_unref(f->vr, RES));
        break;
    case END:
        virgl_reclaim_restore_end(f->vr);
        break;
    case ANOTHER:
        g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, 2), ==, -EAGAIN);
        g_assert_cmpint(virgl_reclaim_restore_run(f->vr), !=, 0);
        break;
    case RESET:
        virgl_renderer_reset();
        virgl_reclaim_reset(f->vr);
        break;
    }
}

static void test_ends(Fixture *f, gconstpointer data)
{
    static const enum virgl_reclaim_state after[ENDS] = {
        [SUBMIT] = VIRGL_RECLAIM_RESIDENT,
        [RESTORE] = VIRGL_RECLAIM_RESIDENT,
        [PURGE] = VIRGL_RECLAIM_PURGED,
        [UNREF] = VIRGL_RECLAIM_NONE,
        [END] = VIRGL_RECLAIM_COMPRESSED,
        [ANOTHER] = VIRGL_RECLAIM_COMPRESSED,
        [RESET] = VIRGL_RECLAIM_NONE,
    };
    int how = GPOINTER_TO_INT(data);
    struct virgl_reclaim_stats stats;

    begin(f, 2);
    g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, RES), ==, -EAGAIN);
    g_assert_cmpint(virgl_reclaim_restore_run(f->vr), !=, 0);
    check_state(f, RES, VIRGL_RECLAIM_COMPRESSED);
    g_assert_cmpuint(stats_of(f).resident_bytes, ==, SIZE);
    end_by(f, how);
    check_state(f, RES, after[how]);
    if (how != RESET) {
        run(f);
        virgl_reclaim_restore_end(f->vr);
    }
    if (after[how] == VIRGL_RECLAIM_COMPRESSED) {
        ok(virgl_reclaim_resource_restore(f->vr, RES));
    }
    if (after[how] == VIRGL_RECLAIM_RESIDENT ||
        after[how] == VIRGL_RECLAIM_COMPRESSED) {
        check_small_buffer(RES, CTX, SIZE);
    }
    for (uint32_t id = 1; id <= 2; id++) {
        virgl_reclaim_resource_unref(f->vr, id);
    }
    stats = stats_of(f);
    g_assert_cmpuint(stats.resources, ==, 0);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);
    g_assert_cmpuint(stats.compressed_bytes, ==, 0);
    g_assert_cmpuint(stats.purged, ==, 0);
}

/* It was destroyed, and a view of it is used; @data: it ends before that. */
static void test_destroyed(Fixture *f, gconstpointer data)
{
    uint32_t words[] = { vr_header(VR_SET_SAMPLER_VIEWS, 0, 3),
                         STAGE_FRAGMENT, 0, VIEW };
    struct virgl_renderer_resource_create_args args =
        texture_args(RES, 1024, 1024);

    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("textures cannot be compressed with GLES");
        return;
    }
    begin(f, 0);
    ok(virgl_reclaim_resource_create(f->vr, &args));
    ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES));
    ok(create_sampler_view(f->vr, CTX, VIEW, RES, FORMAT_BGRA8, 2));
    compress(f, RES);
    ok(virgl_reclaim_resource_unref(f->vr, RES));
    g_assert_cmpint(virgl_reclaim_try_submit(f->vr, CTX, words, 4), ==,
                    -EAGAIN);
    g_assert_cmpint(virgl_reclaim_restore_run(f->vr), !=, 0);
    if (data) {
        ok(destroy_object(f->vr, CTX, VIEW));
    }
    /* The guest may have the id that it has meanwhile. */
    args.handle = UINT32_MAX;
    ok(virgl_reclaim_resource_create(f->vr, &args));
    run(f);
    if (!data) {
        ok(virgl_reclaim_try_submit(f->vr, CTX, words, 4));
        g_assert_cmpuint(stats_of(f).deferred, ==, 1);
    }
    virgl_reclaim_restore_end(f->vr);
    ok(virgl_reclaim_ctx_destroy(f->vr, CTX));
    g_assert_cmpuint(stats_of(f).deferred, ==, 0);
    g_assert_cmpuint(stats_of(f).deferred_bytes, ==, 0);
}

/*
 * A reset in the middle leaves no GL textures: the renderer does not know of
 * them, and GL contexts that share them may stay.
 */
static void test_textures(Fixture *f, gconstpointer data)
{
    /* One that is read as integers, and one that is verified. */
    static const uint32_t formats[] = { FORMAT_BGRA8, FORMAT_S8Z24 };
    unsigned before;

    (void)data;
    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("textures cannot be compressed with GLES");
        return;
    }
    before = count_textures();
    for (int i = 0; i < 4; i++) {
        struct virgl_renderer_resource_create_args args =
            texture_args(RES, 1024, 1024);

        args.format = formats[i / 2];
        if (i / 2) {
            args.bind = VIRGL_RES_BIND_DEPTH_STENCIL;
        }
        begin(f, 0);
        ok(virgl_reclaim_resource_create(f->vr, &args));
        if (i % 2) {
            compress(f, RES);
            g_assert_cmpint(virgl_reclaim_restore_begin(f->vr, RES), ==,
                            -EAGAIN);
            g_assert_cmpint(virgl_reclaim_restore_run(f->vr), !=, 0);
        } else {
            ok(virgl_reclaim_compress_begin(f->vr, RES));
            g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
        }
        virgl_reclaim_reset_begin(f->vr);
        virgl_renderer_reset();
        virgl_reclaim_reset(f->vr);
        g_assert_cmpuint(count_textures(), ==, before);
    }
}

int main(int argc, char **argv)
{
    static const char *const ends[ENDS] = {
        [SUBMIT] = "/steps/submitted", [RESTORE] = "/steps/restored",
        [PURGE] = "/steps/purged", [UNREF] = "/steps/destroyed",
        [END] = "/steps/ended", [ANOTHER] = "/steps/another",
        [RESET] = "/steps/reset",
    };

    g_test_init(&argc, &argv, NULL);
    add_test("/steps/submit", test_submit);
    add_test("/steps/kept", test_kept);
    add_test("/steps/resource", test_resource);
    for (int i = 0; i < ENDS; i++) {
        g_test_add(ends[i], Fixture, GINT_TO_POINTER(i), fixture_set_up,
                   test_ends, fixture_tear_down);
    }
    add_test("/steps/textures", test_textures);
    add_test("/steps/view", test_destroyed);
    g_test_add("/steps/view-ends", Fixture, GINT_TO_POINTER(1), fixture_set_up,
               test_destroyed, fixture_tear_down);
    return g_test_run();
}
