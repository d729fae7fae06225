/* SPDX-License-Identifier: MIT */
/*
 * Random valid streams: when a resource is purged, what is tracked must agree
 * with GL about the object.
 */

#include "instance.h"
#include "commands.h"
#include "renderer.h"

#include <epoxy/gl.h>

enum { CTXS = 2, SUBS = 3, HANDLES = 16, ROUNDS = 60, COMMANDS = 40 };
enum { SIDE = 16, SIZE = SIDE * SIDE * 4 };
/* Id ranges: each from the previous one, exclusive. */
enum { FIRST_TEXTURE = 1, FIRST_BUFFER = 7, FIRST_CUSTOM = 12, END = 15 };

struct world {
    struct virgl_reclaim *vr;
    GRand *rand;
    uint32_t sub[CTXS + 1];                 /* current sub-context */
    uint8_t objects[CTXS + 1][SUBS][HANDLES + 1];   /* types */
    unsigned released;                      /* purges that released at once */
};

static uint32_t below(struct world *w, uint32_t n)
{
    return g_rand_int_range(w->rand, 0, n);
}

static uint32_t between(struct world *w, uint32_t first, uint32_t end)
{
    return g_rand_int_range(w->rand, first, end);
}

static uint32_t buffer_or_none(struct world *w)
{
    return below(w, 3) ? between(w, FIRST_BUFFER, FIRST_CUSTOM) : 0;
}

static uint8_t *objects(struct world *w, uint32_t ctx)
{
    return w->objects[ctx][w->sub[ctx]];
}

/* An existing object, or 0. */
static uint32_t object(struct world *w, uint32_t ctx, uint8_t type)
{
    uint32_t handle = 1 + below(w, HANDLES);

    return objects(w, ctx)[handle] == type ? handle : 0;
}

#define RUN(code, type, ...) \
    g_assert_cmpint(COMMAND(w->vr, ctx, code, type, __VA_ARGS__), ==, 0)

static void create_object(struct world *w, uint32_t ctx)
{
    static const uint8_t types[] = {
        VR_OBJECT_SURFACE, VR_OBJECT_SAMPLER_VIEW, VR_OBJECT_SAMPLER_VIEW,
        VR_OBJECT_STREAMOUT_TARGET, VR_OBJECT_QUERY,
    };
    uint32_t handle = 1 + below(w, HANDLES);
    uint32_t kind = below(w, G_N_ELEMENTS(types));
    uint32_t texture = between(w, FIRST_TEXTURE, FIRST_BUFFER);
    uint32_t buffer = between(w, FIRST_BUFFER, FIRST_CUSTOM);
    uint32_t custom = between(w, FIRST_CUSTOM, END);

    switch (kind) {
    case 0:
        g_assert_cmpint(create_surface(w->vr, ctx, handle, texture,
                                       FORMAT_BGRA8), ==, 0);
        break;
    case 1:
        /* Sometimes a view that is a GL texture of its own. */
        g_assert_cmpint(create_sampler_view(w->vr, ctx, handle, texture,
                                            below(w, 3) ? FORMAT_BGRA8 : 2,
                                            VR_TARGET_2D), ==, 0);
        break;
    case 2:
        g_assert_cmpint(create_sampler_view(w->vr, ctx, handle, buffer,
                                            FORMAT_RGBA8, VR_TARGET_BUFFER),
                        ==, 0);
        break;
    case 3:
        RUN(VR_CREATE_OBJECT, types[kind], handle, buffer, 0, SIZE);
        break;
    default:
        RUN(VR_CREATE_OBJECT, types[kind], handle, 0, 0, custom);
        break;
    }
    objects(w, ctx)[handle] = types[kind];
}

static void bind(struct world *w, uint32_t ctx)
{
    uint32_t stage = below(w, 2), slot = below(w, 4);
    uint32_t surface = object(w, ctx, VR_OBJECT_SURFACE), target;

    switch (below(w, 9)) {
    case 0:
        RUN(VR_SET_SAMPLER_VIEWS, 0, stage, slot,
            object(w, ctx, VR_OBJECT_SAMPLER_VIEW),
            object(w, ctx, VR_OBJECT_SAMPLER_VIEW));
        break;
    case 1:
        /* A framebuffer without any attachment is an error. */
        g_assert_cmpint(set_framebuffer(w->vr, ctx, surface), ==, 0);
        break;
    case 2:
        RUN(VR_SET_VERTEX_BUFFERS, 0, 16, 0, buffer_or_none(w), 16, 0,
            buffer_or_none(w));
        break;
    case 3:
        RUN(VR_SET_INDEX_BUFFER, 0, buffer_or_none(w), 2, 0);
        break;
    case 4:
        RUN(VR_SET_UNIFORM_BUFFER, 0, stage, slot, 0, SIZE,
            buffer_or_none(w));
        break;
    case 5:
        RUN(VR_SET_SHADER_BUFFERS, 0, stage, slot, 0, SIZE,
            buffer_or_none(w));
        break;
    case 6:
        RUN(VR_SET_SHADER_IMAGES, 0, stage, slot, FORMAT_RGBA8, 3, 0, 0,
            below(w, 2) ? between(w, FIRST_TEXTURE, FIRST_BUFFER) : 0);
        break;
    case 7:
        RUN(VR_SET_ATOMIC_BUFFERS, 0, slot, 0, SIZE, buffer_or_none(w));
        break;
    default:
        target = object(w, ctx, VR_OBJECT_STREAMOUT_TARGET);
        if (target) {
            RUN(VR_SET_STREAMOUT_TARGETS, 0, 0, target);
        }
        break;
    }
}

static void change_sub(struct world *w, uint32_t ctx)
{
    uint32_t sub = below(w, SUBS);

    if (sub && below(w, 3) == 0) {
        RUN(VR_DESTROY_SUB_CTX, 0, sub);
        memset(w->objects[ctx][sub], 0, sizeof(w->objects[ctx][sub]));
        w->sub[ctx] = w->sub[ctx] == sub ? 0 : w->sub[ctx];
    } else {
        RUN(VR_CREATE_SUB_CTX, 0, sub);
        RUN(VR_SET_SUB_CTX, 0, sub);
        w->sub[ctx] = sub;
    }
}

static void run_command(struct world *w)
{
    uint32_t ctx = 1 + below(w, CTXS), handle;

    switch (below(w, 10)) {
    case 0:
    case 1:
    case 2:
        create_object(w, ctx);
        break;
    case 3:
    case 4:
        handle = 1 + below(w, HANDLES);
        g_assert_cmpint(destroy_object(w->vr, ctx, handle), ==, 0);
        objects(w, ctx)[handle] = 0;
        break;
    case 5:
        change_sub(w, ctx);
        break;
    default:
        bind(w, ctx);
        break;
    }
}

/* Whether an object without handle refers to storage that was deferred. */
static bool has_lost(const struct vr_bindings *group)
{
    for (uint32_t i = 0; i < group->n; i++) {
        const struct vr_object *o = group->slots[i].object;

        if (o && o->storage && !o->handle && !vr_object_is_current(o)) {
            return true;
        }
    }
    return false;
}

/* Whether an object keeps the storage from leaving, or a list that it is in. */
static bool is_pinned(const struct vr_resource *res)
{
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        if (!vr_object_is_current(o)) {
            continue;
        }
        if (vr_object_is_pinned(o)) {
            return true;
        }
        for (const struct vr_binding *b = o->bindings; b; b = b->next) {
            if (has_lost(o->sub->groups[b->group])) {
                return true;
            }
        }
    }
    return false;
}

/*
 * Compare with GL: storage is gone when it is said to be, and that is at once
 * unless it cannot be detached.
 */
static void purge(struct world *w, uint32_t id)
{
    const struct vr_resource *res = vr_find(w->vr, id);
    bool buffer = res->storage->buffer, pinned = is_pinned(res), alive;
    uint32_t name = res->storage->name;
    uint64_t released;

    virgl_reclaim_resource_purge(w->vr, id, &released);
    if (!name) {
        g_assert_cmpint(!released, ==, pinned);
        return;
    }
    virgl_renderer_force_ctx_0();
    alive = buffer ? glIsBuffer(name) : glIsTexture(name);
    g_assert_cmpint(!released, ==, alive);
    g_assert_true(pinned || !alive);
    w->released += released != 0;
}

/* Everything that refers to the resource is in the renderer again. */
static void restore(struct world *w, uint32_t id)
{
    const struct vr_resource *res = vr_find(w->vr, id);

    g_assert_cmpint(virgl_reclaim_resource_restore(w->vr, id), ==, 0);
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        g_assert_nonnull(o->storage);
    }
    for (const struct vr_binding *b = res->bindings; b; b = b->next) {
        g_assert_nonnull(b->storage);
    }
}

static void make_resources(struct world *w)
{
    for (uint32_t id = FIRST_TEXTURE; id < END; id++) {
        struct virgl_renderer_resource_create_args args =
            id < FIRST_BUFFER ? texture_args(id, SIDE, SIDE)
                              : buffer_args(id, SIZE);

        if (id >= FIRST_CUSTOM) {
            args.bind = VIRGL_RES_BIND_CUSTOM;
        }
        g_assert_cmpint(virgl_reclaim_resource_create(w->vr, &args), ==, 0);
        for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
            virgl_reclaim_ctx_attach_resource(w->vr, ctx, id);
        }
    }
}

/* As each guest does: the renderer needs it for the size of views. */
static void ask_for_caps(void)
{
    enum { VIRGL2 = 2 };
    uint32_t version, size;
    g_autofree void *caps = NULL;

    virgl_renderer_get_cap_set(VIRGL2, &version, &size);
    caps = g_malloc0(size);
    virgl_renderer_fill_caps(VIRGL2, version, caps);
}

static void test_random(Fixture *f, gconstpointer data)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(GPOINTER_TO_UINT(data));
    struct world world = { .vr = f->vr, .rand = rand }, *w = &world;
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_create(f->vr, ctx, 1, "c");
    }
    make_resources(w);
    ask_for_caps();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COMMANDS; i++) {
            run_command(w);
        }
        g_assert_cmpuint(f->vr->untracked, ==, 0);
        for (uint32_t id = FIRST_TEXTURE; id < END; id++) {
            if (below(w, 3) == 0) {
                purge(w, id);
                restore(w, id);
            }
        }
    }
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(w->released, >, ROUNDS);
    for (uint32_t ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_destroy(f->vr, ctx);
    }
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (uint32_t seed = 1; seed <= 8; seed++) {
        g_autofree char *path = g_strdup_printf("/stream/random/%u", seed);

        g_test_add(path, Fixture, GUINT_TO_POINTER(seed), fixture_set_up,
                   test_random, fixture_tear_down);
    }
    return g_test_run();
}
