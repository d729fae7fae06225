/* SPDX-License-Identifier: MIT */
/*
 * Tracking of references with the renderer of stub-renderer.c, which accepts every
 * command, also those that virglrenderer rejects.
 */

#include "instance.h"

#include <glib.h>
#include <string.h>

enum { CTX = 1, A = 1, B = 2, C = 3, UNATTACHED = 9, OBJECT = 10 };

static uint32_t last_header;    /* of the last stream */

int virgl_renderer_submit_cmd(void *buffer, int ctx, int words)
{
    (void)ctx;
    last_header = words ? *(uint32_t *)buffer : UINT32_MAX;
    return 0;
}

int vr_storage_create(const vr_args *args, struct vr_storage *storage)
{
    storage->buffer = true;
    storage->name = args->handle;
    return 0;
}

void vr_storage_unref(uint32_t id)
{
    (void)id;
}

static bool all_deleted;        /* else alive while referenced */

bool vr_storage_alive(const struct vr_storage *storage)
{
    return storage->references && !all_deleted;
}

bool vr_storage_truncate(const struct vr_storage *storage)
{
    (void)storage;
    return false;
}

/* A context with A, B and C attached. */

static void make(struct virgl_reclaim *vr, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = id, .width = 64, .height = 1, .depth = 1, .array_size = 1,
    };

    g_assert_cmpint(virgl_reclaim_resource_create(vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(vr, CTX, id), ==, 0);
}

static struct virgl_reclaim *begin(void)
{
    struct virgl_reclaim *vr = virgl_reclaim_new();

    g_assert_cmpint(virgl_reclaim_ctx_create(vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = A; id <= C; id++) {
        make(vr, id);
    }
    return vr;
}

static void run(struct virgl_reclaim *vr, uint32_t code, uint32_t type,
                const uint32_t *args, uint32_t n)
{
    g_autofree uint32_t *words = g_new(uint32_t, 1 + n);

    words[0] = vr_header(code, type, n);
    memcpy(words + 1, args, n * sizeof(*words));
    g_assert_cmpint(virgl_reclaim_submit(vr, CTX, words, 1 + n), ==, 0);
}

#define RUN(code, type, ...) \
    run(vr, code, type, (const uint32_t[]) { __VA_ARGS__ }, \
        sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

static void check(struct virgl_reclaim *vr, unsigned a, unsigned b, unsigned c)
{
    g_assert_cmpuint(vr_find(vr, A)->storage->references, ==, a);
    g_assert_cmpuint(vr_find(vr, B)->storage->references, ==, b);
    g_assert_cmpuint(vr_find(vr, C)->storage->references, ==, c);
    g_assert_cmpuint(vr->untracked, ==, 0);
}

/* Invalid commands */

static const struct bad {
    const char *name;
    uint32_t code, type, n;
    uint32_t args[8];           /* followed by zeroes */
} bad[] = {
    { "create-nothing", VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 0, { 0 } },
    { "create-no-handle", VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 5, { 0, A } },
    { "create-of-none", VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 5, { 9, 0 } },
    { "create-of-unattached", VR_CREATE_OBJECT, VR_OBJECT_QUERY, 4,
      { 9, 0, 0, UNATTACHED } },
    { "destroy-nothing", VR_DESTROY_OBJECT, 0, 0, { 0 } },
    { "destroy-two", VR_DESTROY_OBJECT, 0, 2, { OBJECT, OBJECT } },
    { "framebuffer-short", VR_SET_FRAMEBUFFER_STATE, 0, 1, { 0 } },
    { "framebuffer-missing", VR_SET_FRAMEBUFFER_STATE, 0, 3, { 2, 0, OBJECT } },
    { "framebuffer-long", VR_SET_FRAMEBUFFER_STATE, 0, 4,
      { 1, 0, OBJECT, OBJECT } },
    { "framebuffer-nine", VR_SET_FRAMEBUFFER_STATE, 0, 11, { 9 } },
    { "framebuffer-unattached", VR_SET_FRAMEBUFFER_STATE, 0, 2, { 0, 7 } },
    { "vertex-half", VR_SET_VERTEX_BUFFERS, 0, 4, { 4, 0, A, 4 } },
    { "vertex-many", VR_SET_VERTEX_BUFFERS, 0, 33 * 3, { 0 } },
    { "views-short", VR_SET_SAMPLER_VIEWS, 0, 1, { 0 } },
    { "views-stage", VR_SET_SAMPLER_VIEWS, 0, 2, { VR_STAGES, 0 } },
    { "views-start", VR_SET_SAMPLER_VIEWS, 0, 2, { 0, VR_MAX_VIEWS + 1 } },
    { "views-end", VR_SET_SAMPLER_VIEWS, 0, 4, { 0, VR_MAX_VIEWS - 1 } },
    { "views-many", VR_SET_SAMPLER_VIEWS, 0, 2 + VR_MAX_VIEWS + 1, { 0 } },
    { "views-unattached", VR_SET_SAMPLER_VIEWS, 0, 3, { 0, 0, OBJECT } },
    { "index-nothing", VR_SET_INDEX_BUFFER, 0, 0, { 0 } },
    { "index-two", VR_SET_INDEX_BUFFER, 0, 2, { A, 2 } },
    { "uniform-short", VR_SET_UNIFORM_BUFFER, 0, 4, { 0, 0, 0, 64 } },
    { "uniform-stage", VR_SET_UNIFORM_BUFFER, 0, 5,
      { VR_STAGES, 0, 0, 64, A } },
    { "uniform-slot", VR_SET_UNIFORM_BUFFER, 0, 5,
      { 0, VR_MAX_UNIFORM_BUFFERS, 0, 64, A } },
    { "buffers-short", VR_SET_SHADER_BUFFERS, 0, 1, { 0 } },
    { "buffers-stage", VR_SET_SHADER_BUFFERS, 0, 5,
      { VR_STAGES, 0, 0, 64, A } },
    { "buffers-end", VR_SET_SHADER_BUFFERS, 0, 5,
      { 0, VR_MAX_SHADER_BUFFERS, 0, 64, A } },
    { "images-end", VR_SET_SHADER_IMAGES, 0, 7,
      { 0, VR_MAX_SHADER_IMAGES, 0, 0, 0, 64, A } },
    { "atomic-short", VR_SET_ATOMIC_BUFFERS, 0, 1, { 0 } },
    { "atomic-end", VR_SET_ATOMIC_BUFFERS, 0, 4,
      { VR_MAX_ATOMIC_BUFFERS, 0, 64, A } },
    { "streamout-nothing", VR_SET_STREAMOUT_TARGETS, 0, 0, { 0 } },
    { "streamout-unattached", VR_SET_STREAMOUT_TARGETS, 0, 2, { 0, 7 } },
    { "streamout-surface", VR_SET_STREAMOUT_TARGETS, 0, 2, { 0, OBJECT } },
    { "set-sub-nothing", VR_SET_SUB_CTX, 0, 0, { 0 } },
    { "create-sub-two", VR_CREATE_SUB_CTX, 0, 2, { 1, 2 } },
    { "destroy-sub-two", VR_DESTROY_SUB_CTX, 0, 2, { 1, 2 } },
};

/* The context is in error, and the renderer is made to reject commands. */
static void test_bad(gconstpointer data)
{
    struct virgl_reclaim *vr = begin();
    const struct bad *b = data;
    uint32_t args[2 + VR_MAX_VIEWS + 1] = { 0 };

    RUN(VR_CREATE_OBJECT, VR_OBJECT_SURFACE, OBJECT, A, 0, 0, 0);
    check(vr, 1, 0, 0);
    memcpy(args, b->args, sizeof(b->args));
    run(vr, b->code, b->type, args, b->n);
    g_assert_true(vr_find_ctx(vr, CTX)->in_error);
    g_assert_cmpuint(vr->untracked, ==, 1);
    g_assert_true(virgl_reclaim_resource_referenced(vr, C));
    g_assert_cmphex(last_header, ==, vr_header(VR_DESTROY_OBJECT, 0, 0));
    virgl_reclaim_free(vr);
}

/* An unknown command may refer to anything; known ones are still tracked. */
static void test_unknown(void)
{
    static const uint32_t codes[] = {
        VR_CREATE_VIDEO_BUFFER, 62, 63, 64, 64 + VR_SET_VERTEX_BUFFERS, 200, 255,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        struct virgl_reclaim *vr = begin();

        RUN(codes[i], 0, 4, 0, A);
        g_assert_true(virgl_reclaim_resource_referenced(vr, C));
        g_assert_false(vr_find_ctx(vr, CTX)->in_error);
        RUN(VR_SET_INDEX_BUFFER, 0, B, 2, 0);
        g_assert_cmpuint(vr_find(vr, A)->storage->references, ==, 0);
        g_assert_cmpuint(vr_find(vr, B)->storage->references, ==, 1);
        virgl_reclaim_free(vr);
    }
}

/* Empty ranges are valid at any slot. */
static void test_no_slots(void)
{
    struct virgl_reclaim *vr = begin();

    RUN(VR_SET_SHADER_BUFFERS, 0, 0, UINT32_MAX);
    RUN(VR_SET_SHADER_IMAGES, 0, 0, VR_MAX_SHADER_IMAGES + 1);
    RUN(VR_SET_ATOMIC_BUFFERS, 0, UINT32_MAX, 0);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 0, VR_MAX_VIEWS);
    check(vr, 0, 0, 0);
    virgl_reclaim_free(vr);
}

/* Valid commands */

static void make_objects(struct virgl_reclaim *vr, uint32_t type)
{
    for (uint32_t id = A; id <= C; id++) {
        RUN(VR_CREATE_OBJECT, type, OBJECT + id, id, 0, 0, 0);
    }
    check(vr, 1, 1, 1);
}

/* What is bound stays. */
static void destroy_objects(struct virgl_reclaim *vr)
{
    for (uint32_t id = A; id <= C; id++) {
        RUN(VR_DESTROY_OBJECT, 0, OBJECT + id);
    }
}

static void test_framebuffer(gconstpointer type)
{
    struct virgl_reclaim *vr = begin();

    make_objects(vr, GPOINTER_TO_UINT(type));
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 2, OBJECT + C, OBJECT + A, OBJECT + B);
    destroy_objects(vr);
    check(vr, 1, 1, 1);
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 0, 0);
    check(vr, 0, 0, 0);
    make_objects(vr, GPOINTER_TO_UINT(type));
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 2, OBJECT + C, OBJECT + A, OBJECT + B);
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 1, OBJECT + C, OBJECT + A);
    destroy_objects(vr);
    check(vr, 1, 0, 1);
    virgl_reclaim_free(vr);
}

static void test_views(void)
{
    struct virgl_reclaim *vr = begin();

    make_objects(vr, VR_OBJECT_SAMPLER_VIEW);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 0, 0, OBJECT + A, OBJECT + B, OBJECT + C);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 1, 0, OBJECT + A);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 0, 1, OBJECT + C);
    destroy_objects(vr);
    check(vr, 1, 0, 1);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 0, 0, 0);
    check(vr, 1, 0, 0);
    RUN(VR_SET_SAMPLER_VIEWS, 0, 1, 0);
    check(vr, 0, 0, 0);
    virgl_reclaim_free(vr);
}

/* Each stage and binding type has slots of its own. */
static void test_stages(void)
{
    struct virgl_reclaim *vr = begin();

    for (uint32_t stage = 0; stage < VR_STAGES; stage++) {
        RUN(VR_SET_UNIFORM_BUFFER, 0, stage, 3, 0, 64, A);
        RUN(VR_SET_SHADER_BUFFERS, 0, stage, 3, 0, 64, B, 0, 64, A);
        RUN(VR_SET_SHADER_IMAGES, 0, stage, 3, 0, 0, 0, 64, C);
    }
    check(vr, 2 * VR_STAGES, VR_STAGES, VR_STAGES);
    RUN(VR_SET_ATOMIC_BUFFERS, 0, 3, 0, 64, C, 0, 64, C);
    check(vr, 2 * VR_STAGES, VR_STAGES, VR_STAGES + 2);
    RUN(VR_SET_UNIFORM_BUFFER, 0, 5, 3, 0, 0, 0);
    RUN(VR_SET_SHADER_BUFFERS, 0, 0, 4, 0, 0, 0);
    RUN(VR_SET_SHADER_IMAGES, 0, 1, 3, 0, 0, 0, 0, 0);
    RUN(VR_SET_ATOMIC_BUFFERS, 0, 4, 0, 0, 0);
    check(vr, 2 * VR_STAGES - 2, VR_STAGES, VR_STAGES);
    virgl_reclaim_free(vr);
}

static void test_vertices(void)
{
    struct virgl_reclaim *vr = begin();

    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, A, 4, 0, B, 4, 0, B);
    check(vr, 1, 2, 0);
    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, A, 4, 0, C);
    check(vr, 1, 0, 1);
    virgl_reclaim_free(vr);
}

/* The renderer does not look up an id that is already bound. */
static void test_same_id(void)
{
    struct virgl_reclaim *vr = begin();

    RUN(VR_SET_INDEX_BUFFER, 0, A, 2, 0);
    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, B);
    for (uint32_t id = A; id <= B; id++) {
        g_assert_cmpint(virgl_reclaim_resource_unref(vr, id), ==, 0);
        make(vr, id);
    }
    RUN(VR_SET_INDEX_BUFFER, 0, A, 2, 0);
    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, B);
    check(vr, 0, 0, 0);
    RUN(VR_SET_INDEX_BUFFER, 0, 0);
    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, 0);
    RUN(VR_SET_INDEX_BUFFER, 0, A, 2, 0);
    RUN(VR_SET_VERTEX_BUFFERS, 0, 4, 0, B);
    check(vr, 1, 1, 0);
    virgl_reclaim_free(vr);
}

/* A detached untracked context may still refer to deferred storage. */
static void test_detached_deferred(void)
{
    struct virgl_reclaim *vr = begin();
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    RUN(VR_CREATE_OBJECT, VR_OBJECT_QUERY, OBJECT, 0, 0, A);
    vr_find(vr, A)->storage->name = 0;
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, A, NULL), ==, 0);
    RUN(200, 0, 0);
    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(vr, CTX, A), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(vr, CTX), ==, 0);
    virgl_reclaim_get_stats(vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 1);
    virgl_reclaim_free(vr);
}

static void count_released(uint32_t id, uint64_t bytes, uint64_t overhead,
                           bool purged, void *opaque)
{
    unsigned *released = opaque;

    g_assert_cmpuint(overhead, >, 0);
    g_assert_cmpuint(id, ==, A);
    g_assert_cmpuint(bytes, ==, 64);
    g_assert_true(purged);
    ++*released;
}

/*
 * With tracking lost any command can drop the last reference to deferred
 * storage, which is reported then.
 */
static void test_untracked_release(void)
{
    static const struct virgl_reclaim_events events = {
        .storage_released = count_released,
    };
    struct virgl_reclaim *vr = begin();
    unsigned released = 0;

    virgl_reclaim_set_events(vr, &events, &released);
    RUN(VR_CREATE_OBJECT, VR_OBJECT_SURFACE, OBJECT, A, 0, 0, 0);
    RUN(200, 0, 0);
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, A, NULL), ==, 0);
    RUN(VR_SET_INDEX_BUFFER, 0, B, 2, 0);
    g_assert_cmpuint(released, ==, 0);
    all_deleted = true;
    RUN(200, 0, 0);
    all_deleted = false;
    g_assert_cmpuint(released, ==, 1);
    virgl_reclaim_free(vr);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *path = g_strconcat("/tracking/bad/", bad[i].name,
                                            NULL);

        g_test_add_data_func(path, &bad[i], test_bad);
    }
    g_test_add_func("/tracking/unknown", test_unknown);
    g_test_add_func("/tracking/no-slots", test_no_slots);
    g_test_add_data_func("/tracking/framebuffer",
                         GUINT_TO_POINTER(VR_OBJECT_SURFACE),
                         test_framebuffer);
    g_test_add_data_func("/tracking/framebuffer-msaa",
                         GUINT_TO_POINTER(VR_OBJECT_MSAA_SURFACE),
                         test_framebuffer);
    g_test_add_func("/tracking/views", test_views);
    g_test_add_func("/tracking/stages", test_stages);
    g_test_add_func("/tracking/vertices", test_vertices);
    g_test_add_func("/tracking/same-id", test_same_id);
    g_test_add_func("/tracking/detached-deferred", test_detached_deferred);
    g_test_add_func("/tracking/untracked-release", test_untracked_release);
    return g_test_run();
}
