/* SPDX-License-Identifier: MIT */
/*
 * Storage leaves while views, surfaces and bindings of it exist, and all of them
 * work when it is back. Each test is one way in which that can fail.
 */

#include "commands.h"
#include "context.h"
#include "renderer.h"

#include <errno.h>
#include <string.h>
#include <epoxy/gl.h>

enum { CTX = 1, SIDE = 64, SIZE = SIDE * SIDE * 4, SURFACE = 10, VIEW = 20 };
enum { CLEAR_ALL_COLORS = 0x3fc, NOT_ONE_VALUE = -1 };

#define ok(call) g_assert_cmpint(call, ==, 0)
#define RUN(ctx, code, type, ...) \
    ok(COMMAND(f->vr, ctx, code, type, __VA_ARGS__))

/* A texture with a surface and a view in the context, id after SURFACE, VIEW. */
static void make(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = texture_args(id, SIDE,
                                                                   SIDE);

    args.bind |= VIRGL_RES_BIND_RENDER_TARGET | VIRGL_RES_BIND_SAMPLER_VIEW;
    ok(virgl_reclaim_resource_create(f->vr, &args));
    ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id));
    ok(create_surface(f->vr, CTX, SURFACE + id, id, FORMAT_BGRA8));
    ok(create_sampler_view(f->vr, CTX, VIEW + id, id, FORMAT_BGRA8,
                           VR_TARGET_2D));
}

static void begin(Fixture *f, uint32_t n)
{
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    ok(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"));
    for (uint32_t id = 1; id <= n; id++) {
        make(f, id);
    }
}

/* GLES has no lossless readback of textures: there only purges are tested. */
static bool can_compress(void)
{
    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("textures cannot be compressed with GLES");
        return false;
    }
    return true;
}

/* Clear all colour buffers to @value of 255. */
static int clear(Fixture *f, uint32_t ctx, uint8_t value)
{
    float color = value / 255.0f;
    uint32_t word;

    memcpy(&word, &color, sizeof(word));
    return COMMAND(f->vr, ctx, VR_CLEAR, 0, CLEAR_ALL_COLORS, word, word, word,
                   word, 0, 0, 0);
}

/* The value of all bytes of a texture. */
static int value(Fixture *f, uint32_t id)
{
    static uint8_t pixels[SIZE];

    ok(virgl_reclaim_resource_restore(f->vr, id));
    ok(read_bytes(id, 0, pixels, SIZE, SIDE, SIDE));
    for (size_t i = 1; i < SIZE; i++) {
        if (pixels[i] != pixels[0]) {
            return NOT_ONE_VALUE;
        }
    }
    return pixels[0];
}

static void compress(Fixture *f, uint32_t id)
{
    ok(virgl_reclaim_resource_compress(f->vr, id));
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                    VIRGL_RECLAIM_COMPRESSED);
}

static uint64_t deferred(Fixture *f)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(f->vr, &stats);
    return stats.deferred;
}

/* A purge releases at once, and old surfaces draw into the new storage. */
static void test_purge(Fixture *f, gconstpointer data)
{
    uint64_t released = 0;

    (void)data;
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(set_sampler_view(f->vr, CTX, VIEW + 1));
    ok(clear(f, CTX, 255));
    g_assert_cmpint(value(f, 1), ==, 255);
    for (int i = 0; i < 2; i++) {
        ok(virgl_reclaim_resource_purge(f->vr, 1, &released));
        g_assert_cmpuint(released, ==, SIZE);
        g_assert_cmpuint(deferred(f), ==, 0);
        if (i) {
            g_assert_cmpint(value(f, 1), ==, 0);
        }
        /* Without storage GL would take the clear for an error. */
        ok(clear(f, CTX, 51));
        g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                        VIRGL_RECLAIM_RESIDENT);
        g_assert_cmpint(value(f, 1), ==, 51);
    }
}

/* What is drawn to a compressed texture goes where it should, in any context. */
static void test_draw(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 1);
    ok(virgl_reclaim_ctx_create(f->vr, 2, 1, "2"));
    ok(virgl_reclaim_ctx_attach_resource(f->vr, 2, 1));
    ok(create_surface(f->vr, 2, SURFACE, 1, FORMAT_BGRA8));
    ok(set_framebuffer(f->vr, 2, SURFACE));
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 255));
    compress(f, 1);
    g_assert_cmpint(value(f, 1), ==, 255);
    compress(f, 1);
    ok(clear(f, 2, 51));
    g_assert_cmpint(value(f, 1), ==, 51);
    compress(f, 1);
    ok(clear(f, CTX, 102));
    g_assert_cmpint(value(f, 1), ==, 102);
}

/* Another GL context may still be drawing when the contents are read. */
static void test_finish(Fixture *f, gconstpointer data)
{
    enum { PASSES = 200 };

    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    for (int i = 0; i < PASSES; i++) {
        ok(clear(f, CTX, i));
        compress(f, 1);
        g_assert_cmpint(value(f, 1), ==, i);
    }
}

/*
 * The renderer does not say that a command has failed while the GL context is
 * current, and executes none later.
 */
static void test_error(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 2);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 255));
    /* A colour buffer, but no surface. */
    RUN(CTX, VR_SET_FRAMEBUFFER_STATE, 0, 1, 0, 0);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, -EBUSY);
    g_assert_cmpint(value(f, 1), ==, 255);
}

static int base_level(uint32_t id)
{
    GLint level = -1;

    virgl_renderer_force_ctx_0();
    glBindTexture(GL_TEXTURE_2D, gl_name(id));
    glGetTexParameteriv(GL_TEXTURE_2D, GL_TEXTURE_BASE_LEVEL, &level);
    glBindTexture(GL_TEXTURE_2D, 0);
    return level;
}

/*
 * Levels and swizzle are the texture's: those of the view that was bound last,
 * be it bound still or not.
 */
static void test_last_view(Fixture *f, gconstpointer unbind)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, SIDE,
                                                                   SIDE);
    uint32_t swizzle = 0 | 1 << 3 | 2 << 6 | 3 << 9;
    int before;

    args.last_level = 3;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    ok(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"));
    ok(virgl_reclaim_resource_create(f->vr, &args));
    ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, 1));
    for (uint32_t level = 0; level < 3; level++) {
        RUN(CTX, VR_CREATE_OBJECT, VR_OBJECT_SAMPLER_VIEW, VIEW + level, 1,
            FORMAT_BGRA8 | VR_TARGET_2D << 24, 0, level | 3 << 8, swizzle);
    }
    RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, 4, 0, VIEW + 1);
    RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, STAGE_FRAGMENT, 0, VIEW);
    RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, 2, 0, VIEW + 2);
    if (unbind) {
        RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, 2, 0, 0);
    }
    before = base_level(1);
    /* virglrenderer 1.1 has a GL view for each. */
    g_assert_true(before == 2 || before == 0);
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    ok(virgl_reclaim_resource_restore(f->vr, 1));
    g_assert_cmpint(base_level(1), ==, before);
}

/* A list of views unbinds all that it does not name: the others stay bound. */
static void test_list(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, 3);
    RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, STAGE_FRAGMENT, 0, VIEW + 1, VIEW + 2,
        VIEW + 3);
    ok(virgl_reclaim_resource_purge(f->vr, 2, NULL));
    for (uint32_t id = 1; id <= 3; id += 2) {
        ok(destroy_object(f->vr, CTX, VIEW + id));
        ok(destroy_object(f->vr, CTX, SURFACE + id));
        ok(virgl_reclaim_resource_unref(f->vr, id));
    }
    g_assert_cmpuint(deferred(f), ==, 2);
    RUN(CTX, VR_SET_SAMPLER_VIEWS, 0, STAGE_FRAGMENT, 0);
    g_assert_cmpuint(deferred(f), ==, 0);
}

/* One of several colour buffers leaves; then all, which no list can say. */
static void test_framebuffer(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, 2);
    RUN(CTX, VR_SET_FRAMEBUFFER_STATE, 0, 2, 0, SURFACE + 1, SURFACE + 2);
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    ok(clear(f, CTX, 51));
    g_assert_cmpint(value(f, 1), ==, 51);
    g_assert_cmpint(value(f, 2), ==, 51);
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    ok(virgl_reclaim_resource_purge(f->vr, 2, NULL));
    g_assert_cmpint(value(f, 2), ==, 0);
    ok(clear(f, CTX, 153));
    g_assert_cmpint(value(f, 1), ==, 153);
    g_assert_cmpint(value(f, 2), ==, 153);
}

/* An object that the guest has destroyed is used for as long as it is bound. */
static void test_nameless(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 2);
    RUN(CTX, VR_SET_FRAMEBUFFER_STATE, 0, 2, 0, SURFACE + 1, SURFACE + 2);
    ok(destroy_object(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 51));
    /* Another in the list leaves; then itself. */
    compress(f, 2);
    ok(clear(f, CTX, 102));
    g_assert_cmpint(value(f, 1), ==, 102);
    g_assert_cmpint(value(f, 2), ==, 102);
    compress(f, 1);
    ok(clear(f, CTX, 153));
    g_assert_cmpint(value(f, 1), ==, 153);
    g_assert_cmpint(value(f, 2), ==, 153);
    /* No handle is left over. */
    g_assert_cmpuint(vr_find(f->vr, 1)->storage->references, ==, 2);
    ok(set_framebuffer(f->vr, CTX, 0));
    g_assert_cmpuint(vr_find(f->vr, 1)->storage->references, ==, 1);
}

/* The guest's own handles are not taken. */
static void test_private_handles(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 2);
    ok(create_surface(f->vr, CTX, UINT32_MAX, 2, FORMAT_BGRA8));
    RUN(CTX, VR_SET_FRAMEBUFFER_STATE, 0, 2, 0, SURFACE + 1, UINT32_MAX);
    ok(destroy_object(f->vr, CTX, SURFACE + 1));
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -EBUSY);
    ok(clear(f, CTX, 51));
    g_assert_cmpint(value(f, 2), ==, 51);
}

/* A context uses what it is detached from by objects that it has. */
static void test_detached(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 51));
    ok(virgl_reclaim_ctx_detach_resource(f->vr, CTX, 1));
    compress(f, 1);
    ok(clear(f, CTX, 102));
    g_assert_cmpint(value(f, 1), ==, 102);
    /* Still detached. */
    create_surface(f->vr, CTX, SURFACE, 1, FORMAT_BGRA8);
    g_assert_true(vr_find_ctx(f->vr, CTX)->in_error);
}

/* The contents of the texture that is deferred. */
static int deferred_value(Fixture *f)
{
    static uint8_t pixels[SIZE];

    g_assert_nonnull(f->vr->deferred);
    virgl_renderer_force_ctx_0();
    glGetTextureImage(f->vr->deferred->name, 0, GL_BGRA, GL_UNSIGNED_BYTE, SIZE,
                      pixels);
    for (size_t i = 1; i < SIZE; i++) {
        if (pixels[i] != pixels[0]) {
            return NOT_ONE_VALUE;
        }
    }
    return pixels[0];
}

/* Objects outlive the resource: they show its contents, not a new one's. */
static void test_destroyed(Fixture *f, gconstpointer data)
{
    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 51));
    compress(f, 1);
    ok(virgl_reclaim_resource_unref(f->vr, 1));
    /* The same id again. */
    {
        struct virgl_renderer_resource_create_args args =
            texture_args(1, SIDE, SIDE);

        ok(virgl_reclaim_resource_create(f->vr, &args));
        ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, 1));
    }
    ok(set_sampler_view(f->vr, CTX, VIEW + 1));
    g_assert_cmpint(deferred_value(f), ==, 51);
    ok(clear(f, CTX, 102));
    g_assert_cmpint(deferred_value(f), ==, 102);
    g_assert_cmpint(value(f, 1), ==, 0);
    ok(set_framebuffer(f->vr, CTX, 0));
    ok(set_sampler_view(f->vr, CTX, 0));
    ok(destroy_object(f->vr, CTX, SURFACE + 1));
    ok(destroy_object(f->vr, CTX, VIEW + 1));
    g_assert_cmpuint(deferred(f), ==, 0);
}

/* The same of a purged one: there must be something to draw to. */
static void test_destroyed_purged(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 51));
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    ok(virgl_reclaim_resource_unref(f->vr, 1));
    g_assert_cmpuint(deferred(f), ==, 0);
    ok(clear(f, CTX, 102));
    g_assert_cmpuint(deferred(f), ==, 1);
    ok(virgl_reclaim_ctx_destroy(f->vr, CTX));
    g_assert_cmpuint(deferred(f), ==, 0);
}

/* To make a view the renderer binds it in the active texture unit. */
static void test_active_unit(Fixture *f, gconstpointer data)
{
    GLint before = 0, after = 0, active = 0;

    (void)data;
    begin(f, 2);
    ok(set_sampler_view(f->vr, CTX, VIEW + 1));
    glGetIntegerv(GL_TEXTURE_BINDING_2D, &before);
    glGetIntegerv(GL_ACTIVE_TEXTURE, &active);
    g_assert_cmpint(before, !=, 0);
    ok(virgl_reclaim_resource_purge(f->vr, 2, NULL));
    ok(virgl_reclaim_resource_restore(f->vr, 2));
    g_assert_true(vr_sub_enter(f->vr, vr_find_ctx(f->vr, CTX)->current));
    glGetIntegerv(GL_TEXTURE_BINDING_2D, &after);
    g_assert_cmpint(after, ==, before);
    glGetIntegerv(GL_ACTIVE_TEXTURE, &after);
    g_assert_cmpint(after, ==, active);
}

/* Sub-contexts have objects and bindings of their own. */
static void test_sub_contexts(Fixture *f, gconstpointer data)
{
    (void)data;
    begin(f, 1);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    for (uint32_t sub = 1; sub <= 6; sub++) {
        RUN(CTX, VR_CREATE_SUB_CTX, 0, sub);
        ok(create_surface(f->vr, CTX, SURFACE, 1, FORMAT_BGRA8));
        ok(set_framebuffer(f->vr, CTX, SURFACE));
    }
    RUN(CTX, VR_SET_SUB_CTX, 0, 3);
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    g_assert_cmpuint(deferred(f), ==, 0);
    ok(virgl_reclaim_resource_restore(f->vr, 1));
    for (uint32_t sub = 0; sub <= 6; sub++) {
        RUN(CTX, VR_SET_SUB_CTX, 0, sub);
        ok(clear(f, CTX, 10 * sub));
        g_assert_cmpint(value(f, 1), ==, 10 * sub);
    }
}

/*
 * More GL contexts may have a texture bound than can be looked at in a call: it
 * is released step by step.
 */
static void test_collect(Fixture *f, gconstpointer data)
{
    enum { SUBS = 40 };
    unsigned steps = 1;

    (void)data;
    begin(f, 2);
    for (uint32_t sub = 1; sub <= SUBS; sub++) {
        RUN(CTX, VR_CREATE_SUB_CTX, 0, sub);
        ok(create_sampler_view(f->vr, CTX, VIEW, 1, FORMAT_BGRA8,
                               VR_TARGET_2D));
        ok(set_sampler_view(f->vr, CTX, VIEW));
        ok(set_sampler_view(f->vr, CTX, 0));
        ok(destroy_object(f->vr, CTX, VIEW));
    }
    g_assert_false(virgl_reclaim_collect(f->vr));
    RUN(CTX, VR_SET_SUB_CTX, 0, 0);
    ok(destroy_object(f->vr, CTX, VIEW + 1));
    ok(destroy_object(f->vr, CTX, SURFACE + 1));
    ok(virgl_reclaim_resource_unref(f->vr, 1));
    g_assert_cmpuint(deferred(f), ==, 1);
    while (virgl_reclaim_collect(f->vr)) {
        g_assert_cmpuint(deferred(f), ==, 1);
        g_assert_cmpuint(++steps, <=, SUBS);
    }
    g_assert_cmpuint(steps, >, 1);
    g_assert_cmpuint(deferred(f), ==, 0);
    for (uint32_t sub = 0; sub <= SUBS; sub++) {
        GLint bound = -1;

        RUN(CTX, VR_SET_SUB_CTX, 0, sub);
        glGetIntegerv(GL_TEXTURE_BINDING_2D, &bound);
        g_assert_cmpint(bound, ==, 0);
    }

    /* Objects in too many of them are not made again: purged with the last. */
    for (uint32_t sub = 1; sub <= SUBS; sub++) {
        RUN(CTX, VR_SET_SUB_CTX, 0, sub);
        ok(create_surface(f->vr, CTX, SURFACE, 2, FORMAT_BGRA8));
    }
    ok(virgl_reclaim_resource_purge(f->vr, 2, NULL));
    g_assert_cmpuint(deferred(f), ==, 1);
    ok(virgl_reclaim_ctx_destroy(f->vr, CTX));
    while (virgl_reclaim_collect(f->vr)) {
    }
    g_assert_cmpuint(deferred(f), ==, 0);
}

/* Steps of a compression, and uses in the middle. */
static void test_steps(Fixture *f, gconstpointer data)
{
    unsigned steps = 0;
    int ret;

    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 2);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    ok(clear(f, CTX, 51));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -ENODATA);
    ok(virgl_reclaim_compress_begin(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_compress_begin(f->vr, 2), ==, -EALREADY);
    while ((ret = virgl_reclaim_compress_run(f->vr)) == -EAGAIN) {
        steps++;
    }
    ok(ret);
    g_assert_cmpuint(steps, >, 0);
    g_assert_cmpint(value(f, 1), ==, 51);

    ok(virgl_reclaim_compress_begin(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
    ok(clear(f, CTX, 102));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -ECANCELED);
    g_assert_cmpint(value(f, 1), ==, 102);

    ok(virgl_reclaim_compress_begin(f->vr, 1));
    ok(virgl_reclaim_resource_purge(f->vr, 1, NULL));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -ECANCELED);
    g_assert_cmpint(value(f, 1), ==, 0);

    ok(virgl_reclaim_compress_begin(f->vr, 2));
    ok(virgl_reclaim_resource_unref(f->vr, 2));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -ECANCELED);

    ok(virgl_reclaim_compress_begin(f->vr, 1));
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
    virgl_renderer_reset();
    virgl_reclaim_reset(f->vr);
    g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -ECANCELED);
}

/* The order of last use: by names, by handles, and by drawing. */
static void check_lru(Fixture *f, const uint32_t *ids, size_t n)
{
    uint64_t last_use, before = 0;
    uint32_t id = 0;

    for (size_t i = 0; i < n; i++) {
        id = virgl_reclaim_lru_next(f->vr, id, &last_use);
        g_assert_cmpuint(id, ==, ids[i]);
        g_assert_cmpuint(last_use, ==,
                         virgl_reclaim_resource_last_use(f->vr, id));
        g_assert_cmpuint(last_use, >=, before);
        before = last_use;
    }
    g_assert_cmpuint(virgl_reclaim_lru_next(f->vr, id, &last_use), ==, 0);
}

#define CHECK_LRU(...) \
    check_lru(f, (const uint32_t[]) { __VA_ARGS__ }, \
              sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

static void test_last_use(Fixture *f, gconstpointer data)
{
    uint64_t time = 100;

    (void)data;
    begin(f, 4);
    CHECK_LRU(1, 2, 3, 4);
    virgl_reclaim_set_time(f->vr, ++time);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 2));
    CHECK_LRU(1, 3, 4, 2);
    virgl_reclaim_set_time(f->vr, ++time);
    ok(set_sampler_view(f->vr, CTX, VIEW + 1));
    CHECK_LRU(3, 4, 2, 1);
    virgl_reclaim_set_time(f->vr, ++time);
    ok(create_surface(f->vr, CTX, SURFACE, 4, FORMAT_BGRA8));
    CHECK_LRU(3, 2, 1, 4);
    /* Drawing uses what is bound. */
    virgl_reclaim_set_time(f->vr, ++time);
    ok(clear(f, CTX, 1));
    g_assert_cmpuint(virgl_reclaim_resource_last_use(f->vr, 1), ==, time);
    g_assert_cmpuint(virgl_reclaim_resource_last_use(f->vr, 2), ==, time);
    g_assert_cmpuint(virgl_reclaim_resource_last_use(f->vr, 4), ==, time - 1);
    /* Purged ones are not resident. */
    ok(virgl_reclaim_resource_purge(f->vr, 3, NULL));
    virgl_reclaim_set_time(f->vr, ++time);
    ok(virgl_reclaim_resource_purge(f->vr, 4, NULL));
    ok(virgl_reclaim_resource_restore(f->vr, 4));
    g_assert_cmpuint(virgl_reclaim_resource_last_use(f->vr, 4), ==, time);
    g_assert_cmpuint(virgl_reclaim_resource_last_use(f->vr, 9), ==, 0);
}

/* What cannot be compressed is left out until it is used again. */
static void test_incompressible(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *noise = g_malloc(SIZE);

    (void)data;
    if (!can_compress()) {
        return;
    }
    begin(f, 2);
    for (size_t i = 0; i < SIZE; i++) {
        noise[i] = g_test_rand_int();
    }
    ok(write_bytes(1, 0, noise, SIZE, SIDE, SIDE));
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, -EFBIG);
    CHECK_LRU(2);
    ok(set_framebuffer(f->vr, CTX, SURFACE + 1));
    CHECK_LRU(2, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/views/purge", test_purge);
    add_test("/views/draw", test_draw);
    add_test("/views/finish", test_finish);
    add_test("/views/error", test_error);
    g_test_add("/views/last-view/bound", Fixture, NULL, fixture_set_up,
               test_last_view, fixture_tear_down);
    g_test_add("/views/last-view/unbound", Fixture, "", fixture_set_up,
               test_last_view, fixture_tear_down);
    add_test("/views/list", test_list);
    add_test("/views/framebuffer", test_framebuffer);
    add_test("/views/nameless", test_nameless);
    add_test("/views/private-handles", test_private_handles);
    add_test("/views/detached", test_detached);
    add_test("/views/destroyed", test_destroyed);
    add_test("/views/destroyed-purged", test_destroyed_purged);
    add_test("/views/active-unit", test_active_unit);
    add_test("/views/sub-contexts", test_sub_contexts);
    add_test("/views/collect", test_collect);
    add_test("/views/steps", test_steps);
    add_test("/views/last-use", test_last_use);
    add_test("/views/incompressible", test_incompressible);
    return g_test_run();
}
