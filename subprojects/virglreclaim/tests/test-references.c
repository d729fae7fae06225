/* SPDX-License-Identifier: MIT */
/* Tracking of references from command streams. */

#include "commands.h"
#include "renderer.h"

#include <errno.h>

enum { RES = 1, OTHER = 2, CTX = 1, OBJECT = 10, OBJECT2 = 11, SIDE = 16 };
enum { SIZE = SIDE * SIDE * 4, STAGE_COMPUTE = 5 };
enum { OCCLUSION_COUNTER = 0, NOP = 0, BLEND = 1, VIDEO = 55, UNKNOWN = 200 };

static void make_texture(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = texture_args(id, SIDE,
                                                                   SIDE);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

static void make_buffer(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = buffer_args(id, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

static void make_custom(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = buffer_args(id, SIZE);

    args.bind = VIRGL_RES_BIND_CUSTOM;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
}

static void make_ctx(Fixture *f, uint32_t ctx, uint32_t id)
{
    virgl_reclaim_ctx_create(f->vr, ctx, 1, "c");
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, ctx, id), ==, 0);
}

static bool referenced(Fixture *f, uint32_t id)
{
    return virgl_reclaim_resource_referenced(f->vr, id);
}

#define ok(call) g_assert_cmpint(call, ==, 0)
#define RUN(code, type, ...) ok(COMMAND(f->vr, CTX, code, type, __VA_ARGS__))

/* Commands that take a reference to RES, and that drop it. */

static void surface(Fixture *f)
{
    ok(create_surface(f->vr, CTX, OBJECT, RES, FORMAT_BGRA8));
}

static void view(Fixture *f)
{
    ok(create_sampler_view(f->vr, CTX, OBJECT, RES, FORMAT_BGRA8,
                           VR_TARGET_2D));
}

static void buffer_view(Fixture *f)
{
    ok(create_sampler_view(f->vr, CTX, OBJECT, RES, FORMAT_RGBA8,
                           VR_TARGET_BUFFER));
}

static void query(Fixture *f)
{
    RUN(VR_CREATE_OBJECT, VR_OBJECT_QUERY, OBJECT, OCCLUSION_COUNTER, 0, RES);
}

static void target(Fixture *f)
{
    RUN(VR_CREATE_OBJECT, VR_OBJECT_STREAMOUT_TARGET, OBJECT, RES, 0, SIZE);
}

static void set_target(Fixture *f)
{
    target(f);
    RUN(VR_SET_STREAMOUT_TARGETS, 0, 0, OBJECT);
    RUN(VR_SET_STREAMOUT_TARGETS, 0, 0);
}

static void destroy(Fixture *f)
{
    ok(destroy_object(f->vr, CTX, OBJECT));
}

/* Another object, a blend state, takes the handle. */
static void replace(Fixture *f)
{
    RUN(VR_CREATE_OBJECT, BLEND, OBJECT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void bound_view(Fixture *f)
{
    view(f);
    RUN(VR_SET_SAMPLER_VIEWS, 0, STAGE_VERTEX, 3, OBJECT);
    destroy(f);
}

static void unbind_view(Fixture *f)
{
    RUN(VR_SET_SAMPLER_VIEWS, 0, STAGE_VERTEX, 3, 0);
}

/* A shorter list unbinds the slots behind it. */
static void shorten_views(Fixture *f)
{
    RUN(VR_SET_SAMPLER_VIEWS, 0, STAGE_VERTEX, 0);
}

static void color_surface(Fixture *f)
{
    surface(f);
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 2, 0, OBJECT, OBJECT);
    destroy(f);
}

static void no_framebuffer(Fixture *f)
{
    RUN(VR_SET_FRAMEBUFFER_STATE, 0, 0, 0);
}

static void vertex(Fixture *f)
{
    RUN(VR_SET_VERTEX_BUFFERS, 0, 16, 0, OTHER, 16, 0, RES);
    /* Again, without a change. */
    RUN(VR_SET_VERTEX_BUFFERS, 0, 32, 4, OTHER, 16, 8, RES);
}

static void no_vertex(Fixture *f)
{
    RUN(VR_SET_VERTEX_BUFFERS, 0, 16, 0, OTHER);
}

static void index_buffer(Fixture *f)
{
    RUN(VR_SET_INDEX_BUFFER, 0, RES, 2, 0);
}

static void no_index(Fixture *f)
{
    RUN(VR_SET_INDEX_BUFFER, 0, 0);
}

static void uniform(Fixture *f)
{
    RUN(VR_SET_UNIFORM_BUFFER, 0, STAGE_COMPUTE, 31, 0, SIZE, RES);
}

static void no_uniform(Fixture *f)
{
    RUN(VR_SET_UNIFORM_BUFFER, 0, STAGE_COMPUTE, 31, 0, 0, 0);
}

static void shader_buffer(Fixture *f)
{
    RUN(VR_SET_SHADER_BUFFERS, 0, STAGE_FRAGMENT, 30, 0, SIZE, OTHER, 0, SIZE,
        RES);
}

static void no_shader_buffer(Fixture *f)
{
    RUN(VR_SET_SHADER_BUFFERS, 0, STAGE_FRAGMENT, 31, 0, 0, 0);
}

static void image(Fixture *f)
{
    RUN(VR_SET_SHADER_IMAGES, 0, STAGE_FRAGMENT, 1, FORMAT_RGBA8, 3, 0, 0,
        RES);
}

static void no_image(Fixture *f)
{
    RUN(VR_SET_SHADER_IMAGES, 0, STAGE_FRAGMENT, 1, 0, 0, 0, 0, 0);
}

static void atomic(Fixture *f)
{
    RUN(VR_SET_ATOMIC_BUFFERS, 0, 2, 0, SIZE, RES);
}

static void no_atomic(Fixture *f)
{
    RUN(VR_SET_ATOMIC_BUFFERS, 0, 2, 0, 0, 0);
}

static void ctx_destroy(Fixture *f)
{
    ok(virgl_reclaim_ctx_destroy(f->vr, CTX));
}

static const struct reference {
    const char *path;
    void (*make)(Fixture *f, uint32_t id);
    void (*take)(Fixture *f);
    void (*drop)(Fixture *f);
} cases[] = {
    { "/references/surface", make_texture, surface, destroy },
    { "/references/surface-replaced", make_texture, surface, replace },
    { "/references/view", make_texture, view, destroy },
    { "/references/view-bound", make_texture, bound_view, unbind_view },
    { "/references/view-behind", make_texture, bound_view, shorten_views },
    { "/references/view-of-buffer", make_buffer, buffer_view, destroy },
    { "/references/framebuffer", make_texture, color_surface, no_framebuffer },
    { "/references/query", make_custom, query, destroy },
    { "/references/target", make_buffer, target, destroy },
    { "/references/target-set", make_buffer, set_target, destroy },
    { "/references/vertex", make_buffer, vertex, no_vertex },
    { "/references/index", make_buffer, index_buffer, no_index },
    { "/references/uniform", make_buffer, uniform, no_uniform },
    { "/references/shader-buffer", make_buffer, shader_buffer,
      no_shader_buffer },
    { "/references/image", make_texture, image, no_image },
    { "/references/atomic", make_buffer, atomic, no_atomic },
};

static void take_reference(Fixture *f, const struct reference *c)
{
    c->make(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    make_ctx(f, CTX, OTHER);
    g_assert_false(referenced(f, RES));
    c->take(f);
    g_assert_true(referenced(f, RES));
}

static void test_case(Fixture *f, gconstpointer data)
{
    const struct reference *c = data;

    take_reference(f, c);
    c->drop(f);
    g_assert_false(referenced(f, RES));
    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
}

/* Destroying a context or sub-context drops its references. */
static void test_end(Fixture *f, gconstpointer data)
{
    take_reference(f, data);
    ctx_destroy(f);
    g_assert_false(referenced(f, RES));
}

static void test_sub_end(Fixture *f, gconstpointer data)
{
    const struct reference *c = data;

    c->make(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    make_ctx(f, CTX, OTHER);
    RUN(VR_CREATE_SUB_CTX, 0, 7);
    RUN(VR_SET_SUB_CTX, 0, 7);
    c->take(f);
    RUN(VR_SET_SUB_CTX, 0, 0);
    g_assert_true(referenced(f, RES));
    RUN(VR_DESTROY_SUB_CTX, 0, 7);
    g_assert_false(referenced(f, RES));
}

/*
 * Purge while a context refers to it: the renderer must not use freed memory
 * (valgrind would report it), and what can be made again refers to the restored
 * storage.
 */
static void test_purged(Fixture *f, gconstpointer data)
{
    const struct reference *c = data;
    bool pinned = c->take == query || c->take == set_target;
    uint64_t released;

    take_reference(f, c);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, RES, &released), ==,
                    0);
    g_assert_cmpint(released == 0, ==, pinned);
    g_assert_false(referenced(f, RES));
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, RES), ==, 0);
    g_assert_cmpint(referenced(f, RES), ==, !pinned);
    /* Repeat it, unless the context is in error. */
    c->take(f);
    g_assert_true(referenced(f, RES));
    c->drop(f);
    g_assert_false(referenced(f, RES));
}

/* Bindings and handles of sub-contexts are separate. */
static void test_sub_contexts(Fixture *f, gconstpointer data)
{
    (void)data;
    make_texture(f, RES);
    make_ctx(f, CTX, RES);
    view(f);
    RUN(VR_CREATE_SUB_CTX, 0, 5);
    view(f);
    destroy(f);
    g_assert_true(referenced(f, RES));
    RUN(VR_SET_SUB_CTX, 0, 0);
    destroy(f);
    g_assert_false(referenced(f, RES));

    /* There is no sub-context 9, and 0 cannot be destroyed. */
    RUN(VR_SET_SUB_CTX, 0, 9);
    view(f);
    RUN(VR_DESTROY_SUB_CTX, 0, 0);
    RUN(VR_DESTROY_SUB_CTX, 0, 9);
    g_assert_true(referenced(f, RES));
    RUN(VR_SET_SUB_CTX, 0, 5);
    RUN(VR_DESTROY_SUB_CTX, 0, 5);
    destroy(f);
    g_assert_false(referenced(f, RES));
}

/* After a rejected stream all attached resources count as referenced. */
static void check_untracked(Fixture *f)
{
    g_assert_true(referenced(f, RES));
    g_assert_false(referenced(f, OTHER));
    /* Also if attached later, or detached. */
    ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, OTHER));
    g_assert_true(referenced(f, OTHER));
    ok(virgl_reclaim_ctx_detach_resource(f->vr, CTX, OTHER));
    g_assert_true(referenced(f, OTHER));
    ok(virgl_reclaim_ctx_destroy(f->vr, CTX));
    g_assert_false(referenced(f, RES));
}

static void test_rejected(Fixture *f, gconstpointer data)
{
    (void)data;
    make_texture(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    view(f);
    destroy(f);
    g_assert_false(referenced(f, RES));
    /* A surface of a resource that is not attached. */
    g_assert_cmpint(create_surface(f->vr, CTX, OBJECT, OTHER, FORMAT_BGRA8),
                    ==, -EINVAL);
    check_untracked(f);
}

/* The commands before the rejected one were executed. */
static void test_rejected_midway(Fixture *f, gconstpointer data)
{
    uint32_t words[] = {
        vr_header(VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 5),
        OBJECT, RES, FORMAT_BGRA8, 0, 0,
        vr_header(VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 5),
        OBJECT2, OTHER, FORMAT_BGRA8, 0, 0,
        vr_header(VR_DESTROY_OBJECT, 0, 1), OBJECT,
    };

    (void)data;
    make_texture(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, words,
                                         G_N_ELEMENTS(words)), ==, -EINVAL);
    check_untracked(f);
}

/* No such object, but the renderer reports success. */
static void test_no_such_view(Fixture *f, gconstpointer data)
{
    (void)data;
    make_texture(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    COMMAND(f->vr, CTX, VR_SET_SAMPLER_VIEWS, 0, STAGE_FRAGMENT, 0, OBJECT);
    check_untracked(f);
}

/* A command that exceeds the stream is not executed. */
static void test_truncated(Fixture *f, gconstpointer data)
{
    uint32_t words[] = {
        vr_header(VR_CREATE_OBJECT, VR_OBJECT_SURFACE, 5),
        OBJECT, RES, FORMAT_BGRA8, 0, 0,
        vr_header(VR_DESTROY_OBJECT, 0, 1),
    };

    (void)data;
    make_texture(f, RES);
    make_ctx(f, CTX, RES);
    virgl_reclaim_submit(f->vr, CTX, words, G_N_ELEMENTS(words));
    g_assert_true(referenced(f, RES));
    ctx_destroy(f);
    g_assert_false(referenced(f, RES));
}

/* A rejected query can make the renderer leak its buffer. */
static void test_rejected_query(Fixture *f, gconstpointer data)
{
    uint64_t released;

    (void)data;
    make_custom(f, RES);
    make_ctx(f, CTX, RES);
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_DESTROY_OBJECT, 0, 1, 2), !=, 0);
    ctx_destroy(f);
    g_assert_true(referenced(f, RES));
    ok(virgl_reclaim_resource_purge(f->vr, RES, &released));
    g_assert_cmpuint(released, ==, 0);
}

static void test_bad_submit(Fixture *f, gconstpointer data)
{
    uint32_t nop = vr_header(NOP, 0, 0);

    (void)data;
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, &nop, 1), ==, -ENOENT);
    ok(virgl_reclaim_ctx_create(f->vr, CTX, 1, "c"));
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, &nop, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, NULL, 0), ==, 0);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, &nop, UINT32_MAX), ==,
                    -EINVAL);
}

/*
 * The renderer takes the same id for the same buffer. After purge, restore and
 * a new binding, the old storage must not be alive, and the new one be bound.
 */
static void test_vertex_again(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    (void)data;
    make_buffer(f, RES);
    make_buffer(f, OTHER);
    make_ctx(f, CTX, RES);
    make_ctx(f, CTX, OTHER);
    vertex(f);
    ok(virgl_reclaim_resource_purge(f->vr, RES, NULL));
    g_assert_true(referenced(f, OTHER));
    ok(virgl_reclaim_resource_restore(f->vr, RES));
    RUN(VR_SET_VERTEX_BUFFERS, 0, 16, 0, OTHER, 16, 0, RES);
    /* If the renderer has it bound, its storage is deferred. */
    ok(virgl_reclaim_resource_unref(f->vr, RES));
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 1);
    no_vertex(f);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 0);
}

static void add_cases(const char *suffix,
                      void (*function)(Fixture *f, gconstpointer data))
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat(cases[i].path, suffix, NULL);

        g_test_add(path, Fixture, &cases[i], fixture_set_up, function,
                   fixture_tear_down);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_cases("", test_case);
    add_cases("/end", test_end);
    add_cases("/sub-end", test_sub_end);
    add_cases("/purged", test_purged);
    add_test("/references/sub-contexts", test_sub_contexts);
    add_test("/references/rejected", test_rejected);
    add_test("/references/rejected-midway", test_rejected_midway);
    add_test("/references/no-such-view", test_no_such_view);
    add_test("/references/truncated", test_truncated);
    add_test("/references/rejected-query", test_rejected_query);
    add_test("/references/bad-submit", test_bad_submit);
    add_test("/references/vertex-again", test_vertex_again);
    return g_test_run();
}
