/* SPDX-License-Identifier: MIT */
/*
 * Mirrors the reference counting of the renderer: a command that takes or
 * drops a reference there does so here, on the same storage. Storage that the
 * renderer refers to from several places counts once for each.
 */

#include "references.h"

#include "instance.h"

struct object {
    uint8_t type;
    struct vr_storage *storage;
};

struct reader {
    struct virgl_reclaim *vr;
    struct vr_context *context;
    struct vr_references *refs;
};

/* Reference counting */

void vr_references_free_storage(struct virgl_reclaim *vr,
                                struct vr_storage *storage)
{
    if (storage && storage->references) {
        storage->free_on_last_ref = true;
    } else {
        vr_pool_free(&vr->storage_pool, storage);
    }
}

static void put(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    if (!storage || --storage->references) {
        return;
    }
    if (storage->free_on_last_ref) {
        vr_pool_free(&vr->storage_pool, storage);
    } else if (storage->deferred) {
        /* The renderer may have released it with this reference. */
        vr->deferred_changed = true;
    } else if (storage->notify_unref) {
        storage->notify_unref = false;
        vr_report(vr, unreferenced, storage->id);
    }
}

static void set_slot(struct virgl_reclaim *vr, struct vr_sub *sub,
                     unsigned slot, struct vr_storage *storage)
{
    struct vr_storage *old = sub->slots[slot];

    if (old != storage) {
        if (storage) {
            storage->references++;
        }
        sub->slots[slot] = storage;
        put(vr, old);
    }
}

static void free_object(struct virgl_reclaim *vr, struct object *object)
{
    if (object) {
        put(vr, object->storage);
        vr_free(&vr->allocator, object);
    }
}

/* Sub-contexts */

static void free_sub(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    for (unsigned i = 0; i < VR_SLOTS; i++) {
        set_slot(vr, sub, i, NULL);
    }
    while ((entry = vr_table_next(&sub->objects, &pos))) {
        free_object(vr, entry->value);
    }
    vr_table_clear(&sub->objects);
    vr_free(&vr->allocator, sub);
    vr->sub_contexts--;
}

/* Becomes the current one, as in the renderer. */
static bool new_sub(struct virgl_reclaim *vr, struct vr_references *refs,
                    uint32_t id)
{
    struct vr_sub *sub = vr_alloc0(&vr->allocator, sizeof(*sub));

    if (!sub) {
        return false;
    }
    sub->id = id;
    sub->objects.allocator = &vr->allocator;
    if (!vr_table_insert(&refs->subs, id, sub)) {
        vr_free(&vr->allocator, sub);
        return false;
    }
    refs->current = sub;
    vr->sub_contexts++;
    return true;
}

bool vr_references_begin(struct virgl_reclaim *vr, struct vr_context *context)
{
    struct vr_references *refs = &context->references;

    refs->subs.allocator = &vr->allocator;
    if (!new_sub(vr, refs, 0)) {
        vr_table_clear(&refs->subs);
        return false;
    }
    return true;
}

void vr_references_end(struct virgl_reclaim *vr, struct vr_context *context)
{
    struct vr_references *refs = &context->references;
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&refs->subs, &pos))) {
        free_sub(vr, entry->value);
    }
    vr_table_clear(&refs->subs);
    if (refs->tracking_lost) {
        refs->tracking_lost = false;
        vr->untracked--;
    }
}

/* Loss of tracking */

static void lose_tracking(struct virgl_reclaim *vr, struct vr_context *context)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    if (context->references.tracking_lost) {
        return;
    }
    context->references.tracking_lost = true;
    vr->untracked++;

    /*
     * The renderer leaks its reference to a query's buffer when it rejects the
     * query, and GL knows nothing of storage that is no GL object.
     */
    while ((entry = vr_table_next(&context->resources, &pos))) {
        const struct vr_resource *res = entry->value;

        if (res->storage && !res->storage->name) {
            res->storage->untracked_ref = true;
        }
    }
}

/* Commands: return false for what the renderer cannot have executed. */

/* Look up storage by @id, which may be 0, in the context. */
static bool find_storage(const struct reader *r, uint32_t id,
                         struct vr_storage **storage)
{
    const struct vr_resource *res = NULL;

    if (id) {
        res = vr_table_find(&r->context->resources, id);
    }
    *storage = res ? res->storage : NULL;
    return !id || *storage;
}

static bool find_object(const struct reader *r, uint32_t handle, uint8_t type,
                        struct vr_storage **storage)
{
    const struct object *object = NULL;

    if (handle) {
        object = vr_table_find(&r->refs->current->objects, handle);
    }
    *storage = object && object->type == type ? object->storage : NULL;
    return !handle || *storage;
}

static bool bind_resource(struct reader *r, unsigned slot, uint32_t id)
{
    struct vr_storage *storage;

    if (!find_storage(r, id, &storage)) {
        return false;
    }
    set_slot(r->vr, r->refs->current, slot, storage);
    return true;
}

/* The renderer does not look up an id that is already bound there. */
static bool bind_cached(struct reader *r, unsigned slot, uint32_t id)
{
    const struct vr_storage *bound = r->refs->current->slots[slot];

    return (id && bound && bound->id == id) || bind_resource(r, slot, id);
}

static bool bind_object(struct reader *r, unsigned slot, uint32_t handle,
                        uint8_t type)
{
    struct vr_storage *storage;

    if (!find_object(r, handle, type, &storage)) {
        return false;
    }
    set_slot(r->vr, r->refs->current, slot, storage);
    return true;
}

static uint8_t type_of(const struct vr_command *cmd)
{
    return cmd->type == VR_OBJECT_MSAA_SURFACE ? VR_OBJECT_SURFACE : cmd->type;
}

static uint32_t resource_of(const struct vr_command *cmd, bool *refers)
{
    *refers = true;
    switch (cmd->type) {
    case VR_OBJECT_SAMPLER_VIEW:
    case VR_OBJECT_SURFACE:
    case VR_OBJECT_MSAA_SURFACE:
    case VR_OBJECT_STREAMOUT_TARGET:
        return cmd->length > 1 ? cmd->args[1] : 0;
    case VR_OBJECT_QUERY:
        return cmd->length > 3 ? cmd->args[3] : 0;
    default:
        *refers = false;
        return 0;
    }
}

static void destroy_object(struct reader *r, uint32_t handle)
{
    free_object(r->vr, vr_table_remove(&r->refs->current->objects, handle));
}

/* Replaces an object of the same handle, of any type. */
static bool create_object(struct reader *r, const struct vr_command *cmd)
{
    struct vr_storage *storage;
    struct object *object;
    uint32_t id;
    bool refers;

    if (!cmd->length || !cmd->args[0]) {
        return false;
    }
    id = resource_of(cmd, &refers);
    if (!refers) {
        destroy_object(r, cmd->args[0]);
        return true;
    }
    if (!id || !find_storage(r, id, &storage)) {
        return false;
    }
    object = vr_alloc0(&r->vr->allocator, sizeof(*object));
    if (!object) {
        return false;
    }
    destroy_object(r, cmd->args[0]);
    if (!vr_table_insert(&r->refs->current->objects, cmd->args[0], object)) {
        vr_free(&r->vr->allocator, object);
        return false;
    }
    object->type = type_of(cmd);
    object->storage = storage;
    storage->references++;
    return true;
}

static bool set_framebuffer(struct reader *r, const struct vr_command *cmd)
{
    uint32_t n = cmd->length >= 2 ? cmd->args[0] : UINT32_MAX;

    if (n > VR_MAX_COLOR_SURFACES || cmd->length != 2 + n ||
        !bind_object(r, VR_SLOT_DEPTH, cmd->args[1], VR_OBJECT_SURFACE)) {
        return false;
    }
    for (uint32_t i = 0; i < VR_MAX_COLOR_SURFACES; i++) {
        if (!bind_object(r, VR_SLOT_COLOR + i, i < n ? cmd->args[2 + i] : 0,
                         VR_OBJECT_SURFACE)) {
            return false;
        }
    }
    return true;
}

static bool set_vertex_buffers(struct reader *r, const struct vr_command *cmd)
{
    struct vr_sub *sub = r->refs->current;
    uint32_t n = cmd->length / 3;

    if (cmd->length % 3 || n > VR_MAX_VERTEX_BUFFERS) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *args = &cmd->args[i * 3];

        sub->vertex[i].stride = args[0];
        sub->vertex[i].offset = args[1];
        if (!bind_cached(r, VR_SLOT_VERTEX + i, args[2])) {
            return false;
        }
    }
    for (uint32_t i = n; i < sub->n_vertex; i++) {
        set_slot(r->vr, sub, VR_SLOT_VERTEX + i, NULL);
    }
    sub->n_vertex = n;
    return true;
}

/* Views in slots behind the named ones are unbound. */
static bool set_sampler_views(struct reader *r, const struct vr_command *cmd)
{
    uint32_t n = cmd->length - 2, stage, start, base;

    if (cmd->length < 2) {
        return false;
    }
    stage = cmd->args[0];
    start = cmd->args[1];
    if (stage >= VR_STAGES || n > VR_MAX_VIEWS || start > VR_MAX_VIEWS - n) {
        return false;
    }
    base = VR_SLOT_VIEW + stage * VR_MAX_VIEWS;
    for (uint32_t i = 0; i < n; i++) {
        if (!bind_object(r, base + start + i, cmd->args[2 + i],
                         VR_OBJECT_SAMPLER_VIEW)) {
            return false;
        }
    }
    for (uint32_t i = start + n; i < r->refs->current->n_views[stage]; i++) {
        set_slot(r->vr, r->refs->current, base + i, NULL);
    }
    r->refs->current->n_views[stage] = start + n;
    return true;
}

/* Setting targets takes no reference: only the objects do. */
static bool set_streamout(struct reader *r, const struct vr_command *cmd)
{
    if (!cmd->length) {
        return false;
    }
    for (uint32_t i = 1; i < cmd->length; i++) {
        struct vr_storage *storage;

        if (!find_object(r, cmd->args[i], VR_OBJECT_STREAMOUT_TARGET,
                         &storage)) {
            return false;
        }
    }
    return true;
}

static bool set_index_buffer(struct reader *r, const struct vr_command *cmd)
{
    return (cmd->length == 1 || cmd->length == 3) &&
           bind_cached(r, VR_SLOT_INDEX, cmd->args[0]);
}

static bool set_uniform_buffer(struct reader *r, const struct vr_command *cmd)
{
    return cmd->length == 5 && cmd->args[0] < VR_STAGES &&
           cmd->args[1] < VR_MAX_UNIFORM_BUFFERS &&
           bind_resource(r, VR_SLOT_UNIFORM +
                         cmd->args[0] * VR_MAX_UNIFORM_BUFFERS + cmd->args[1],
                         cmd->args[4]);
}

/*
 * Commands with a first slot and then @each words per slot, the last of which
 * is a resource.
 */
static bool set_range(struct reader *r, const uint32_t *args, uint32_t length,
                      uint32_t base, uint32_t max, uint32_t each)
{
    uint32_t n = (length - 1) / each;

    if (args[0] > max || n > max - args[0]) {
        return n == 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!bind_resource(r, base + args[0] + i, args[each * (i + 1)])) {
            return false;
        }
    }
    return true;
}

static bool set_staged(struct reader *r, const struct vr_command *cmd,
                       uint32_t base, uint32_t max, uint32_t each)
{
    return cmd->length >= 2 && cmd->args[0] < VR_STAGES &&
           set_range(r, cmd->args + 1, cmd->length - 1,
                     base + cmd->args[0] * max, max, each);
}

static struct vr_sub *find_sub(const struct reader *r, uint32_t id)
{
    return vr_table_find(&r->refs->subs, id);
}

static bool set_sub(struct reader *r, uint32_t id)
{
    struct vr_sub *sub = find_sub(r, id);

    if (sub) {
        r->refs->current = sub;
    }
    return true;
}

/* The renderer does not report it when it has no memory for one. */
static bool create_sub(struct reader *r, uint32_t id)
{
    return find_sub(r, id) || new_sub(r->vr, r->refs, id);
}

static bool destroy_sub(struct reader *r, uint32_t id)
{
    struct vr_sub *sub = id ? find_sub(r, id) : NULL;

    if (sub) {
        vr_table_remove(&r->refs->subs, id);
        if (r->refs->current == sub) {
            r->refs->current = find_sub(r, 0);
        }
        free_sub(r->vr, sub);
    }
    return true;
}

/* Commands that read_command() handles. */
#define BIT(code) (1ull << (code))
#define TRACKED \
    (BIT(VR_CREATE_OBJECT) | BIT(VR_DESTROY_OBJECT) | \
     BIT(VR_SET_FRAMEBUFFER_STATE) | BIT(VR_SET_VERTEX_BUFFERS) | \
     BIT(VR_SET_SAMPLER_VIEWS) | BIT(VR_SET_INDEX_BUFFER) | \
     BIT(VR_SET_STREAMOUT_TARGETS) | BIT(VR_SET_UNIFORM_BUFFER) | \
     BIT(VR_SET_SHADER_BUFFERS) | BIT(VR_SET_SHADER_IMAGES) | \
     BIT(VR_SET_ATOMIC_BUFFERS) | BIT(VR_SET_SUB_CTX) | \
     BIT(VR_CREATE_SUB_CTX) | BIT(VR_DESTROY_SUB_CTX) | \
     BIT(VR_CREATE_VIDEO_BUFFER))

static bool read_command(struct reader *r, const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return create_object(r, cmd);
    case VR_DESTROY_OBJECT:
        if (cmd->length == 1) {
            destroy_object(r, cmd->args[0]);
        }
        return cmd->length == 1;
    case VR_SET_FRAMEBUFFER_STATE:
        return set_framebuffer(r, cmd);
    case VR_SET_VERTEX_BUFFERS:
        return set_vertex_buffers(r, cmd);
    case VR_SET_SAMPLER_VIEWS:
        return set_sampler_views(r, cmd);
    case VR_SET_INDEX_BUFFER:
        return set_index_buffer(r, cmd);
    case VR_SET_STREAMOUT_TARGETS:
        return set_streamout(r, cmd);
    case VR_SET_UNIFORM_BUFFER:
        return set_uniform_buffer(r, cmd);
    case VR_SET_SHADER_BUFFERS:
        return set_staged(r, cmd, VR_SLOT_BUFFER, VR_MAX_SHADER_BUFFERS, 3);
    case VR_SET_SHADER_IMAGES:
        return set_staged(r, cmd, VR_SLOT_IMAGE, VR_MAX_SHADER_IMAGES, 5);
    case VR_SET_ATOMIC_BUFFERS:
        return cmd->length >= 2 &&
               set_range(r, cmd->args, cmd->length, VR_SLOT_ATOMIC,
                         VR_MAX_ATOMIC_BUFFERS, 3);
    case VR_SET_SUB_CTX:
        return cmd->length == 1 && set_sub(r, cmd->args[0]);
    case VR_CREATE_SUB_CTX:
        return cmd->length == 1 && create_sub(r, cmd->args[0]);
    case VR_DESTROY_SUB_CTX:
        return cmd->length == 1 && destroy_sub(r, cmd->args[0]);
    default:
        /* A video buffer or an unknown command. */
        lose_tracking(r->vr, r->context);
        return true;
    }
}

void vr_references_read(struct virgl_reclaim *vr, struct vr_context *context,
                        const uint32_t *words, size_t n)
{
    struct reader r = { vr, context, &context->references };
    struct vr_stream stream = { words, n };
    struct vr_command cmd;

    while (!r.refs->in_error && vr_stream_next(&stream, TRACKED, &cmd)) {
        if (!read_command(&r, &cmd)) {
            vr_references_set_error(vr, context);
        }
    }
}

/*
 * The renderer executes no more commands of a context once it has rejected one.
 * If memory ran out, here or there, it would go on, and renderer 0.10 could use
 * the address of a buffer that has been destroyed: so have it reject a command.
 */
void vr_references_set_error(struct virgl_reclaim *vr,
                             struct vr_context *context)
{
    uint32_t bad = vr_header(VR_DESTROY_OBJECT, 0, 0);

    lose_tracking(vr, context);
    context->references.in_error = true;
    virgl_renderer_submit_cmd(&bad, context->id, 1);
}

void vr_references_detach(struct virgl_reclaim *vr, struct vr_context *context,
                          const struct vr_resource *res)
{
    if (!context->references.tracking_lost) {
        return;
    }
    if (res->storage) {
        res->storage->untracked_ref = true;
    }
    for (struct vr_storage *s = vr->deferred; s; s = s->next) {
        if (s->id == res->args.handle) {
            s->untracked_ref = true;
        }
    }
}

bool vr_references_untracked(const struct virgl_reclaim *vr,
                             const struct vr_storage *storage)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while (vr->untracked && (entry = vr_table_next(&vr->contexts, &pos))) {
        const struct vr_context *context = entry->value;

        if (context->references.tracking_lost &&
            vr_table_find(&context->resources, storage->id)) {
            return true;
        }
    }
    return false;
}

bool vr_references_exist(const struct virgl_reclaim *vr,
                         const struct vr_storage *storage)
{
    return storage->references || storage->untracked_ref ||
           vr_references_untracked(vr, storage);
}
