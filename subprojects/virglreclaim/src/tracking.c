/* SPDX-License-Identifier: MIT */
/*
 * Mirrors the reference counting of the renderer: a command that takes or
 * drops a reference there does so here, on the same storage. And records what
 * the commands set, and when resources were used.
 */

#include "tracking.h"
#include "context.h"
#include "resource.h"

#include <string.h>

struct reader {
    struct virgl_reclaim *vr;
    struct vr_context *context;
};

/* Commands: return false for what the renderer cannot have executed. */

static inline void use(const struct reader *r, struct vr_resource *res)
{
    vr_resource_use(r->vr, res);
    if (res->storage) {
        vr_storage_add_user(res->storage, r->context->current->serial);
    }
}

/* Look up a resource by @id, which may be 0, in the context. */
static bool find_resource(const struct reader *r, uint32_t id,
                          struct vr_resource **res)
{
    *res = id ? vr_table_find(&r->context->resources, id) : NULL;
    if (*res) {
        use(r, *res);
    }
    return !id || (*res && (*res)->storage);
}

static inline bool find_object(const struct reader *r, uint32_t handle, uint8_t type,
                        struct vr_object **object)
{
    struct vr_object *found = NULL;

    if (handle) {
        found = vr_table_find(&r->context->current->objects, handle);
    }
    *object = found && found->type == type ? found : NULL;
    if (*object && (*object)->res) {
        use(r, (*object)->res);
    }
    return !handle || *object;
}

static struct vr_bindings *group_of(const struct reader *r,
                                    enum vr_group group)
{
    struct vr_bindings *bindings = r->context->current->groups[group];

    return bindings ? bindings :
           vr_bindings_get(r->vr, r->context->current, group);
}

static bool bind_resource(const struct reader *r, struct vr_binding *b,
                          uint32_t id, const uint32_t *args, uint32_t n)
{
    struct vr_resource *res;

    if (!find_resource(r, id, &res)) {
        return false;
    }
    vr_binding_set_resource(r->vr, b, res);
    memcpy(b->args, args, n * sizeof(*args));
    return true;
}

/* The renderer does not look up an id that is already bound there. */
static inline bool bind_cached(const struct reader *r, struct vr_binding *b,
                        uint32_t id, const uint32_t *args)
{
    if (id && b->storage && b->storage->id == id) {
        memcpy(b->args, args, 2 * sizeof(*args));
        if (b->res) {
            use(r, b->res);
        }
        return true;
    }
    return bind_resource(r, b, id, args, 2);
}

static inline bool bind_object(const struct reader *r, struct vr_binding *b,
                        uint32_t handle, uint8_t type)
{
    struct vr_object *object = b->object;

    /* Mostly it is bound there already. */
    if (handle && object && object->handle == handle && object->type == type) {
        if (object->res) {
            use(r, object->res);
        }
        return true;
    }
    if (!find_object(r, handle, type, &object)) {
        return false;
    }
    if (b->object != object) {
        vr_binding_set_object(r->vr, b, object);
    }
    return true;
}

static bool names_resource(const struct vr_command *cmd, uint32_t *id)
{
    switch (cmd->type) {
    case VR_OBJECT_SAMPLER_VIEW:
    case VR_OBJECT_SURFACE:
    case VR_OBJECT_MSAA_SURFACE:
    case VR_OBJECT_STREAMOUT_TARGET:
        *id = cmd->length > 1 ? cmd->args[1] : 0;
        return true;
    case VR_OBJECT_QUERY:
        *id = cmd->length > 3 ? cmd->args[3] : 0;
        return true;
    default:
        return false;
    }
}

/* Replaces an object of the same handle, of any type. */
static bool create_object(const struct reader *r, const struct vr_command *cmd)
{
    struct vr_sub *sub = r->context->current;
    struct vr_resource *res;
    uint32_t id;

    if (!cmd->length || !cmd->args[0]) {
        return false;
    }
    sub->private_handles |= cmd->args[0] >= VR_PRIVATE_HANDLES;
    if (!names_resource(cmd, &id)) {
        if (!vr_object_bytes(cmd)) {
            /* More of a shader that is there. */
            return true;
        }
        vr_object_destroy(r->vr, sub, cmd->args[0]);
        return vr_object_add_other(r->vr, sub, cmd);
    }
    if (!id || cmd->length > VR_OBJECT_ARGS || !find_resource(r, id, &res)) {
        return false;
    }
    vr_object_destroy(r->vr, sub, cmd->args[0]);
    return vr_object_new(r->vr, sub, cmd, res);
}

static bool set_framebuffer(const struct reader *r,
                            const struct vr_command *cmd)
{
    struct vr_bindings *group = group_of(r, VR_GROUP_FRAMEBUFFER);
    uint32_t n = cmd->length >= 2 ? cmd->args[0] : UINT32_MAX;

    if (!group || n > VR_MAX_COLOR_SURFACES || cmd->length != 2 + n) {
        return false;
    }
    /* Depth, then colours. */
    for (uint32_t i = 0; i <= n; i++) {
        if (!bind_object(r, &group->slots[i], cmd->args[1 + i],
                         VR_OBJECT_SURFACE)) {
            return false;
        }
    }
    for (uint32_t i = 1 + n; i < group->n; i++) {
        vr_binding_set_object(r->vr, &group->slots[i], NULL);
    }
    group->n = 1 + n;
    return true;
}

static bool set_vertex_buffers(const struct reader *r,
                               const struct vr_command *cmd)
{
    struct vr_bindings *group = group_of(r, VR_GROUP_VERTEX);
    uint32_t n = cmd->length / 3;

    if (!group || cmd->length % 3 || n > VR_MAX_VERTEX_BUFFERS) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *args = &cmd->args[i * 3];

        if (!bind_cached(r, &group->slots[i], args[2], args)) {
            return false;
        }
    }
    for (uint32_t i = n; i < group->n; i++) {
        vr_binding_set_resource(r->vr, &group->slots[i], NULL);
    }
    group->n = n;
    return true;
}

/* Views in slots behind the named ones are unbound. */
static bool set_sampler_views(const struct reader *r,
                              const struct vr_command *cmd)
{
    uint32_t n = cmd->length - 2, stage, start;
    struct vr_bindings *group;

    if (cmd->length < 2) {
        return false;
    }
    stage = cmd->args[0];
    start = cmd->args[1];
    if (stage >= VR_STAGES || n > VR_MAX_VIEWS || start > VR_MAX_VIEWS - n) {
        return false;
    }
    group = group_of(r, VR_GROUP_VIEW + stage);
    if (!group) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!bind_object(r, &group->slots[start + i], cmd->args[2 + i],
                         VR_OBJECT_SAMPLER_VIEW)) {
            return false;
        }
    }
    for (uint32_t i = start + n; i < group->n; i++) {
        vr_binding_set_object(r->vr, &group->slots[i], NULL);
    }
    group->n = start + n;
    return true;
}

/* Setting targets takes no reference: only the objects do. */
static bool set_streamout(const struct reader *r, const struct vr_command *cmd)
{
    if (!cmd->length) {
        return false;
    }
    for (uint32_t i = 1; i < cmd->length; i++) {
        struct vr_object *object;

        if (!find_object(r, cmd->args[i], VR_OBJECT_STREAMOUT_TARGET,
                         &object)) {
            return false;
        }
        if (object) {
            object->streamed_out = true;
        }
    }
    return true;
}

static bool set_index_buffer(const struct reader *r,
                             const struct vr_command *cmd)
{
    struct vr_bindings *group = group_of(r, VR_GROUP_INDEX);
    uint32_t args[2] = { 0 };

    if (!group || (cmd->length != 1 && cmd->length != 3)) {
        return false;
    }
    memcpy(args, cmd->args + 1, (cmd->length - 1) * sizeof(*args));
    group->n = 1;
    return bind_cached(r, &group->slots[0], cmd->args[0], args);
}

static bool set_uniform_buffer(const struct reader *r,
                               const struct vr_command *cmd)
{
    struct vr_bindings *group;
    uint32_t i;

    if (cmd->length != 5 || cmd->args[0] >= VR_STAGES ||
        cmd->args[1] >= VR_MAX_UNIFORM_BUFFERS) {
        return false;
    }
    group = group_of(r, VR_GROUP_UNIFORM + cmd->args[0]);
    if (!group) {
        return false;
    }
    i = cmd->args[1];
    group->n = group->n > i ? group->n : i + 1;
    return bind_resource(r, &group->slots[i], cmd->args[4], cmd->args + 2, 2);
}

/*
 * Commands with a first slot and then @each words per slot, the last of which
 * is a resource.
 */
static bool set_range(const struct reader *r, const uint32_t *args,
                      uint32_t length, enum vr_group number, uint32_t max,
                      uint32_t each)
{
    uint32_t n = (length - 1) / each, first = args[0];
    struct vr_bindings *group;

    if (first > max || n > max - first) {
        return n == 0;
    }
    group = group_of(r, number);
    if (!group) {
        return false;
    }
    group->n = group->n > first + n ? group->n : first + n;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *slot = &args[1 + each * i];

        if (!bind_resource(r, &group->slots[first + i], slot[each - 1], slot,
                           each - 1)) {
            return false;
        }
    }
    return true;
}

static bool set_staged(const struct reader *r, const struct vr_command *cmd,
                       enum vr_group group, uint32_t max, uint32_t each)
{
    return cmd->length >= 2 && cmd->args[0] < VR_STAGES &&
           set_range(r, cmd->args + 1, cmd->length - 1, group + cmd->args[0],
                     max, each);
}

/* Sub-contexts */

static struct vr_sub *find_sub(const struct reader *r, uint32_t id)
{
    return vr_table_find(&r->context->subs, id);
}

static bool set_sub(const struct reader *r, uint32_t id)
{
    struct vr_sub *sub = find_sub(r, id);

    if (sub) {
        r->context->current = sub;
    }
    return true;
}

/* The renderer does not report it when it has no memory for one. */
static bool create_sub(const struct reader *r, uint32_t id)
{
    return find_sub(r, id) || vr_sub_new(r->vr, r->context, id);
}

static bool destroy_sub(const struct reader *r, uint32_t id)
{
    struct vr_sub *sub = id ? find_sub(r, id) : NULL;

    if (sub) {
        vr_sub_destroy(r->vr, sub);
    }
    return true;
}

/* Use */

static void use_bound(const struct reader *r)
{
    struct vr_sub *sub = r->context->current;

    sub->last_draw = r->vr->now + 1;
    for (unsigned g = 0; g < VR_GROUPS; g++) {
        const struct vr_bindings *group = sub->groups[g];

        for (uint32_t i = 0; group && i < group->n; i++) {
            const struct vr_binding *b = &group->slots[i];
            struct vr_resource *res = b->object ? b->object->res : b->res;

            if (res) {
                vr_resource_use(r->vr, res);
            }
        }
    }
}

/* What is bound is used with the first draw of each unit of time. */
static inline void draw(const struct reader *r)
{
    if (r->context->current->last_draw != r->vr->now + 1) {
        use_bound(r);
    }
}

static void use_named(const struct reader *r, const struct vr_command *cmd,
                      uint32_t arg)
{
    struct vr_resource *res;

    if (cmd->length > arg) {
        find_resource(r, cmd->args[arg], &res);
    }
}

static void use_indirect(const struct reader *r, const struct vr_command *cmd,
                         uint32_t arg, unsigned i)
{
    struct vr_resource *res;

    if (cmd->length > arg && cmd->args[arg] &&
        find_resource(r, cmd->args[arg], &res)) {
        r->context->current->indirect[i] = res->storage->name;
    }
}

static void draw_vbo(const struct reader *r, const struct vr_command *cmd)
{
    draw(r);
    if (cmd->length > VR_DRAW_INDIRECT && cmd->args[VR_DRAW_INDIRECT]) {
        use_indirect(r, cmd, VR_DRAW_INDIRECT, 0);
        use_indirect(r, cmd, VR_DRAW_INDIRECT_COUNT, 1);
    }
}

static inline bool read_command(const struct reader *r, const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return create_object(r, cmd);
    case VR_DESTROY_OBJECT:
        if (cmd->length == 1) {
            vr_object_destroy(r->vr, r->context->current, cmd->args[0]);
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
        return set_staged(r, cmd, VR_GROUP_BUFFER, VR_MAX_SHADER_BUFFERS, 3);
    case VR_SET_SHADER_IMAGES:
        return set_staged(r, cmd, VR_GROUP_IMAGE, VR_MAX_SHADER_IMAGES, 5);
    case VR_SET_ATOMIC_BUFFERS:
        return cmd->length >= 2 &&
               set_range(r, cmd->args, cmd->length, VR_GROUP_ATOMIC,
                         VR_MAX_ATOMIC_BUFFERS, 3);
    case VR_SET_SUB_CTX:
        return cmd->length == 1 && set_sub(r, cmd->args[0]);
    case VR_CREATE_SUB_CTX:
        return cmd->length == 1 && create_sub(r, cmd->args[0]);
    case VR_DESTROY_SUB_CTX:
        return cmd->length == 1 && destroy_sub(r, cmd->args[0]);
    case VR_DRAW_VBO:
        draw_vbo(r, cmd);
        return true;
    case VR_CLEAR:
        draw(r);
        return true;
    case VR_LAUNCH_GRID:
        draw(r);
        use_named(r, cmd, 6);
        return true;
    case VR_BLIT:
        use_named(r, cmd, 3);
        use_named(r, cmd, 12);
        return true;
    case VR_RESOURCE_COPY_REGION:
        use_named(r, cmd, 0);
        use_named(r, cmd, 5);
        return true;
    case VR_GET_QUERY_RESULT_QBO:
        use_named(r, cmd, 1);
        return true;
    case VR_COPY_TRANSFER3D:
        use_named(r, cmd, 11);
        /* fall through */
    case VR_RESOURCE_INLINE_WRITE:
    case VR_TRANSFER3D:
    case VR_CLEAR_TEXTURE:
        use_named(r, cmd, 0);
        return true;
    default:
        /* A video buffer or an unknown command. */
        vr_context_lose_tracking(r->vr, r->context);
        return true;
    }
}

void vr_tracking_read(struct virgl_reclaim *vr, struct vr_context *context,
                      const struct vr_found *found)
{
    const struct reader r = { vr, context };
    struct vr_found_pos pos = { 0, found->rest };
    struct vr_command cmd;

    context->last_use = vr->now;
    while (!context->in_error &&
           vr_found_next(found, &pos, VR_TRACKED, &cmd)) {
        if (!read_command(&r, &cmd)) {
            vr_context_set_error(vr, context);
        }
    }
}
