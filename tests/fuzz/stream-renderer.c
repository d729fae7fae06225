/*
 * Fake renderer without GL, for the fuzzer of stream tracking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "stream-renderer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "instance.h"

#define MAX_IDS 16
#define MAX_CTX 4
#define MAX_SUBS 6
/* The guest's handles, and one for each view of a list that is made again. */
#define MAX_OBJECTS (24 + VR_MAX_VIEWS)
#define MAX_STORAGES 512

/* Types of bindings. */
enum { VIEW, UNIFORM, SSBO, IMAGE, ATOMIC, VERTEX, INDEX, COLOR, DEPTH, TYPES };
enum { PLACES = VR_STAGES * VR_MAX_VIEWS };

typedef struct Object {
    uint32_t handle, type;
    unsigned storage;           /* 0: state object */
} Object;

typedef struct Sub {
    bool live;
    uint32_t id;
    Object objects[MAX_OBJECTS];
    unsigned n_objects;
    unsigned slots[TYPES][PLACES];
    uint32_t vertex_id[VR_MAX_VERTEX_BUFFERS], index_id;
    unsigned n_vertex, n_color, n_views[VR_STAGES];
} Sub;

typedef struct Ctx {
    bool live, error;
    unsigned attached[MAX_IDS]; /* storage by resource id */
    Sub subs[MAX_SUBS], *sub;
} Ctx;

static struct {
    bool buffer, custom;
    bool dropped, empty;
    unsigned counted, raw;      /* references: see count() */
} storages[MAX_STORAGES];
static unsigned n_storages, resources[MAX_IDS];
static const unsigned places[TYPES] = {
    [VIEW] = PLACES, [UNIFORM] = VR_STAGES * 32, [SSBO] = VR_STAGES * 32,
    [IMAGE] = VR_STAGES * 32, [ATOMIC] = 32, [VERTEX] = 32, [INDEX] = 1,
    [COLOR] = 8, [DEPTH] = 1,
};
static Ctx contexts[MAX_CTX];
static uint32_t reject_after;
static bool counted;

void fake_reset(void)
{
    memset(storages, 0, sizeof(storages));
    memset(resources, 0, sizeof(resources));
    memset(contexts, 0, sizeof(contexts));
    n_storages = 0;
    reject_after = UINT32_MAX;
    counted = false;
}

void fake_reject_after(uint32_t commands)
{
    reject_after = commands;
}

unsigned fake_storage(uint32_t id)
{
    return id < MAX_IDS ? resources[id] : 0;
}

uint32_t fake_object(uint32_t ctx, uint32_t type, unsigned n)
{
    const Sub *sub = contexts[ctx].live ? contexts[ctx].sub : NULL;
    uint32_t found = 0;
    unsigned i;

    for (i = 0; sub && i < sub->n_objects; i++) {
        if (sub->objects[i].type == type && (!found || n-- > 0)) {
            found = sub->objects[i].handle;
        }
    }
    return found;
}

uint32_t fake_attached(uint32_t ctx, bool custom, unsigned n)
{
    uint32_t id, found = 0;

    for (id = 1; contexts[ctx].live && id < MAX_IDS; id++) {
        unsigned storage = contexts[ctx].attached[id];

        if (storage && storages[storage].custom == custom &&
            (!found || n-- > 0)) {
            found = id;
        }
    }
    return found;
}

static bool is_raw(unsigned type)
{
    return type >= UNIFORM && type <= ATOMIC;
}

static void count_sub(const Sub *sub)
{
    unsigned type, i;

    for (i = 0; i < sub->n_objects; i++) {
        storages[sub->objects[i].storage].counted++;
    }
    for (type = 0; type < TYPES; type++) {
        for (i = 0; i < places[type]; i++) {
            unsigned storage = sub->slots[type][i];

            if (storage) {
                storages[storage].counted += !is_raw(type);
                storages[storage].raw += is_raw(type);
            }
        }
    }
}

/* Update the reference counts of all storages after a change. */
static void count(void)
{
    unsigned c, s, i;

    if (counted) {
        return;
    }
    counted = true;
    for (i = 0; i <= n_storages; i++) {
        storages[i].counted = storages[i].raw = 0;
    }
    for (c = 0; c < MAX_CTX; c++) {
        for (s = 0; contexts[c].live && s < MAX_SUBS; s++) {
            if (contexts[c].subs[s].live) {
                count_sub(&contexts[c].subs[s]);
            }
        }
    }
}

bool fake_referenced(unsigned storage)
{
    count();
    return storages[storage].counted || storages[storage].raw;
}

bool fake_ref_held(unsigned storage)
{
    count();
    return storages[storage].counted;
}

unsigned fake_count_deferred(void)
{
    unsigned i, n = 0;

    count();
    for (i = 1; i <= n_storages; i++) {
        n += storages[i].dropped && !storages[i].empty && storages[i].counted;
    }
    return n;
}

/* Storage */

int vr_storage_create(const vr_args *args, struct vr_storage *storage)
{
    if (args->handle >= MAX_IDS || n_storages + 1 >= MAX_STORAGES) {
        return -ENOMEM;
    }
    n_storages++;
    storages[n_storages].buffer = args->target == VR_TARGET_BUFFER;
    storages[n_storages].custom = args->bind == VIRGL_RES_BIND_CUSTOM;
    resources[args->handle] = n_storages;
    counted = false;
    storage->buffer = storages[n_storages].buffer;
    storage->name = storages[n_storages].custom ? 0 : n_storages;
    return 0;
}

static bool has_raw_binding(const Ctx *ctx, unsigned storage)
{
    unsigned s, type, i;

    for (s = 0; s < MAX_SUBS; s++) {
        for (type = UNIFORM; type <= ATOMIC; type++) {
            for (i = 0; ctx->subs[s].live && i < places[type]; i++) {
                if (ctx->subs[s].slots[type][i] == storage) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* No valid context may keep a binding without a reference: it would dangle. */
void vr_storage_unref(uint32_t id)
{
    unsigned c, storage = fake_storage(id);

    assert(storage);
    count();
    for (c = 0; c < MAX_CTX; c++) {
        contexts[c].attached[id] = 0;
        assert(!contexts[c].live || contexts[c].error ||
               storages[storage].counted || !storages[storage].raw ||
               !has_raw_binding(&contexts[c], storage));
    }
    storages[storage].dropped = true;
    resources[id] = 0;
}

bool vr_storage_alive(const struct vr_storage *storage)
{
    count();
    return !storages[storage->name].dropped ||
           storages[storage->name].counted;
}

static bool any_error(void)
{
    unsigned c;

    for (c = 0; c < MAX_CTX; c++) {
        if (contexts[c].live && contexts[c].error) {
            return true;
        }
    }
    return false;
}

bool vr_storage_truncate(const struct vr_storage *storage)
{
    count();
    /* Contexts in error may reference it: they execute no commands. */
    assert(!storage->name || !storages[storage->name].counted || any_error());
    storages[storage->name].empty = storage->buffer && storage->name;
    return storages[storage->name].empty;
}

/* Commands. They return an errno value or set the context's error. */

static void mark(Ctx *ctx)
{
    ctx->error = true;
}

static Object *find_object(Sub *sub, uint32_t handle)
{
    unsigned i;

    for (i = 0; i < sub->n_objects; i++) {
        if (sub->objects[i].handle == handle) {
            return &sub->objects[i];
        }
    }
    return NULL;
}

static void remove_object(Sub *sub, uint32_t handle)
{
    Object *object = find_object(sub, handle);

    if (object) {
        *object = sub->objects[--sub->n_objects];
    }
}

static unsigned of_object(Sub *sub, uint32_t handle, uint32_t type)
{
    Object *object = find_object(sub, handle);

    return object && object->type == type ? object->storage : 0;
}

static unsigned of_id(const Ctx *ctx, uint32_t id)
{
    return id < MAX_IDS ? ctx->attached[id] : 0;
}

static bool is_gl_buffer(unsigned storage)
{
    return storages[storage].buffer && !storages[storage].custom;
}

static int create(Ctx *ctx, uint32_t type, const uint32_t *a, unsigned n)
{
    static const unsigned want[] = {
        [VR_OBJECT_SAMPLER_VIEW] = 6, [VR_OBJECT_SURFACE] = 5,
        [VR_OBJECT_QUERY] = 4, [VR_OBJECT_STREAMOUT_TARGET] = 4,
        [VR_OBJECT_MSAA_SURFACE] = 6,
    };
    unsigned storage = 0;

    if (!n || !a[0] || type > VR_OBJECT_MSAA_SURFACE || !type) {
        return EINVAL;
    }
    if (want[type]) {
        if (n != want[type]) {
            return EINVAL;
        }
        storage = of_id(ctx, a[type == VR_OBJECT_QUERY ? 3 : 1]);
        if (!storage ||
            (type == VR_OBJECT_QUERY && !storages[storage].custom)) {
            mark(ctx);
            return EINVAL;
        }
    }
    remove_object(ctx->sub, a[0]);
    if (ctx->sub->n_objects == MAX_OBJECTS) {
        return ENOMEM;
    }
    ctx->sub->objects[ctx->sub->n_objects++] = (Object) {
        a[0], type == VR_OBJECT_MSAA_SURFACE ? VR_OBJECT_SURFACE : type,
        storage,
    };
    return 0;
}

static int framebuffer(Ctx *ctx, const uint32_t *a, unsigned n)
{
    Sub *sub = ctx->sub;
    unsigned i, storage;

    if (n < 2 || n != 2 + a[0] || a[0] > VR_MAX_COLOR_SURFACES) {
        return EINVAL;
    }
    storage = a[1] ? of_object(sub, a[1], VR_OBJECT_SURFACE) : 0;
    if (a[1] && !storage) {
        mark(ctx);
        return 0;
    }
    sub->slots[DEPTH][0] = storage;
    for (i = 0; i < a[0]; i++) {
        storage = a[2 + i] ? of_object(sub, a[2 + i], VR_OBJECT_SURFACE) : 0;
        if (a[2 + i] && !storage) {
            mark(ctx);
            return 0;
        }
        sub->slots[COLOR][i] = storage;
    }
    for (; i < sub->n_color; i++) {
        sub->slots[COLOR][i] = 0;
    }
    sub->n_color = a[0];
    return 0;
}

/* Like virglrenderer, look an id up only if it differs from the bound one. */
static void set_cached(Ctx *ctx, uint32_t *old, unsigned *slot, uint32_t id)
{
    if (!id) {
        *slot = 0;
        *old = 0;
    } else if (*old != id) {
        unsigned storage = of_id(ctx, id);

        if (!storage) {
            mark(ctx);
            *old = 0;
            return;
        }
        *slot = storage;
        *old = id;
    }
}

static int vertex(Ctx *ctx, const uint32_t *a, unsigned n)
{
    Sub *sub = ctx->sub;
    unsigned i;

    if (n % 3 || n / 3 > VR_MAX_VERTEX_BUFFERS) {
        return EINVAL;
    }
    for (i = 0; i < n / 3; i++) {
        set_cached(ctx, &sub->vertex_id[i], &sub->slots[VERTEX][i],
                   a[i * 3 + 2]);
    }
    for (; i < sub->n_vertex; i++) {
        sub->slots[VERTEX][i] = 0;
        sub->vertex_id[i] = 0;
    }
    sub->n_vertex = n / 3;
    return 0;
}

static int views(Ctx *ctx, const uint32_t *a, unsigned n)
{
    unsigned *slots, i;

    if (n < 2 || a[0] >= VR_STAGES || n - 2 > VR_MAX_VIEWS ||
        a[1] > VR_MAX_VIEWS - (n - 2)) {
        return EINVAL;
    }
    slots = &ctx->sub->slots[VIEW][a[0] * VR_MAX_VIEWS];
    for (i = 0; i < n - 2; i++) {
        unsigned storage = of_object(ctx->sub, a[2 + i],
                                     VR_OBJECT_SAMPLER_VIEW);

        if (a[2 + i] && !storage) {
            mark(ctx);
            continue;
        }
        slots[a[1] + i] = storage;
    }
    for (i = a[1] + n - 2; i < ctx->sub->n_views[a[0]]; i++) {
        slots[i] = 0;
    }
    ctx->sub->n_views[a[0]] = a[1] + n - 2;
    return 0;
}

static void set_raw(Ctx *ctx, unsigned type, unsigned place, uint32_t id)
{
    if (id && !of_id(ctx, id)) {
        mark(ctx);
        return;
    }
    ctx->sub->slots[type][place] = id ? of_id(ctx, id) : 0;
}

/* @a: [stage], first slot, then @each words per slot, the last one an id. */
static int raw_range(Ctx *ctx, unsigned type, const uint32_t *a, unsigned n,
                     unsigned each)
{
    unsigned staged = type != ATOMIC, count, i, first;

    if (n < 2 || (staged && a[0] >= VR_STAGES)) {
        return EINVAL;
    }
    count = (n - 1 - staged) / each;
    first = a[staged];
    if (!count) {
        return 0;
    }
    if (first > 32 || count > 32 - first) {
        return EINVAL;
    }
    for (i = 0; i < count; i++) {
        set_raw(ctx, type, (staged ? a[0] * 32 : 0) + first + i,
                a[staged + (i + 1) * each]);
    }
    return 0;
}

static int streamout(Ctx *ctx, const uint32_t *a, unsigned n)
{
    unsigned i;

    if (n < 1 || n > 17) {
        return EINVAL;
    }
    for (i = 1; i < n; i++) {
        if (a[i] && !of_object(ctx->sub, a[i], VR_OBJECT_STREAMOUT_TARGET)) {
            mark(ctx);
            return 0;
        }
    }
    return 0;
}

static Sub *find_sub(Ctx *ctx, uint32_t id)
{
    unsigned i;

    for (i = 0; i < MAX_SUBS; i++) {
        if (ctx->subs[i].live && ctx->subs[i].id == id) {
            return &ctx->subs[i];
        }
    }
    return NULL;
}

static int create_sub(Ctx *ctx, uint32_t id)
{
    unsigned i;

    for (i = 0; !find_sub(ctx, id) && i < MAX_SUBS; i++) {
        if (!ctx->subs[i].live) {
            ctx->subs[i] = (Sub) { .live = true, .id = id };
            ctx->sub = &ctx->subs[i];
            return 0;
        }
    }
    return find_sub(ctx, id) ? 0 : ENOMEM;
}

static void destroy_sub(Ctx *ctx, uint32_t id)
{
    Sub *sub = id ? find_sub(ctx, id) : NULL;

    if (sub) {
        sub->live = false;
        if (ctx->sub == sub) {
            ctx->sub = find_sub(ctx, 0);
        }
    }
}

static int run(Ctx *ctx, uint32_t code, uint32_t type, const uint32_t *a,
               unsigned n)
{
    switch (code) {
    case 1:
        return create(ctx, type, a, n);
    case 3:
        if (n == 1) {
            remove_object(ctx->sub, a[0]);
        }
        return n == 1 ? 0 : EINVAL;
    case 5:
        return framebuffer(ctx, a, n);
    case 6:
        return vertex(ctx, a, n);
    case 10:
        return views(ctx, a, n);
    case 11:
        if (n == 1 || n == 3) {
            set_cached(ctx, &ctx->sub->index_id, &ctx->sub->slots[INDEX][0],
                       a[0]);
        }
        return n == 1 || n == 3 ? 0 : EINVAL;
    case 25:
        return streamout(ctx, a, n);
    case 27:
        if (n != 5 || a[0] >= VR_STAGES || a[1] >= 32) {
            return EINVAL;
        }
        set_raw(ctx, UNIFORM, a[0] * 32 + a[1], a[4]);
        return 0;
    case 28:
        if (n == 1 && find_sub(ctx, a[0])) {
            ctx->sub = find_sub(ctx, a[0]);
        }
        return n == 1 ? 0 : EINVAL;
    case 29:
        return n == 1 ? create_sub(ctx, a[0]) : EINVAL;
    case 30:
        if (n == 1) {
            destroy_sub(ctx, a[0]);
        }
        return n == 1 ? 0 : EINVAL;
    case 34:
        return raw_range(ctx, SSBO, a, n, 3);
    case 35:
        return raw_range(ctx, IMAGE, a, n, 5);
    case 40:
        return raw_range(ctx, ATOMIC, a, n, 3);
    case 42:
        if (n == 6) {
            assert(!of_id(ctx, a[1]) || is_gl_buffer(of_id(ctx, a[1])));
        }
        return n == 6 ? 0 : EINVAL;
    case 50:
        /* No resource has backing here. */
        assert(n != 1);
        return EINVAL;
    case 55:
        return EINVAL;
    default:
        return code <= 52 ? 0 : EINVAL;
    }
}

int virgl_renderer_submit_cmd(void *buffer, int id, int ndw)
{
    const uint32_t *words = buffer;
    Ctx *ctx = &contexts[id];
    int at = 0;

    assert(id > 0 && id < MAX_CTX && ctx->live);
    counted = false;
    if (ctx->error) {
        return EINVAL;
    }
    while (at < ndw) {
        uint32_t header = words[at], n = header >> 16;
        int ret;

        if (at + 1 + (int)n > ndw) {
            mark(ctx);
            return 0;
        }
        ret = reject_after-- == 0 ? EINVAL :
            run(ctx, header & 0xff, header >> 8 & 0xff, &words[at + 1], n);
        if (ret) {
            ctx->error |= ret == EINVAL;
            return ret;
        }
        at += 1 + n;
    }
    return 0;
}

/* Contexts */

int virgl_renderer_context_create(uint32_t id, uint32_t nlen,
                                  const char *name)
{
    (void)nlen, (void)name;
    if (id >= MAX_CTX) {
        return ENOMEM;
    }
    contexts[id] = (Ctx) { .live = true };
    create_sub(&contexts[id], 0);
    return 0;
}

void virgl_renderer_context_destroy(uint32_t id)
{
    contexts[id].live = false;
    counted = false;
}

void virgl_renderer_ctx_attach_resource(int ctx, int id)
{
    contexts[ctx].attached[id] = resources[id];
}

void virgl_renderer_ctx_detach_resource(int ctx, int id)
{
    contexts[ctx].attached[id] = 0;
}
