/* SPDX-License-Identifier: MIT */
/* Restores what a command stream uses. */

#include "use.h"
#include "residency.h"
#include "restore.h"

#include <errno.h>

/*
 * Restoring too much costs time, restoring too little loses contents. A command
 * uses what it names by an id, by the handle of an object that refers to it, or
 * by drawing with what is bound. Every word is taken for an id, except in
 * commands that are known to have none: state, shaders, constants and padding,
 * and commands that name objects. A purged resource is restored for its objects and
 * bindings, without which a draw could be an error; its id is unknown to the
 * renderer.
 */

enum {
    BIND_OBJECT = 2,
    SET_VIEWPORT_STATE = 4,
    SET_CONSTANT_BUFFER = 12,
    SET_STENCIL_REF = 13,
    SET_BLEND_COLOR = 14,
    SET_SCISSOR_STATE = 15,
    BIND_SAMPLER_STATES = 18,
    SET_POLYGON_STIPPLE = 22,
    SET_CLIP_STATE = 23,
    SET_SAMPLE_MASK = 24,
    BIND_SHADER = 31,
    SET_TESS_STATE = 32,
    MEMORY_BARRIER = 36,
    SET_FRAMEBUFFER_STATE_NO_ATTACH = 38,
    TEXTURE_BARRIER = 39,
    END_TRANSFERS = 44,         /* Mesa pads its transfers with it */
};

/* Blend state, rasterizer, depth and stencil, shader, vertex elements. */
enum { FIRST_STATE_OBJECT = 1, LAST_STATE_OBJECT = 5, SAMPLER_STATE = 7 };

static bool is_state(uint32_t type)
{
    return (type >= FIRST_STATE_OBJECT && type <= LAST_STATE_OBJECT) ||
           type == SAMPLER_STATE;
}

#define UNUSED \
    (VR_BIT(BIND_OBJECT) | VR_BIT(VR_DESTROY_OBJECT) | \
     VR_BIT(SET_VIEWPORT_STATE) | VR_BIT(SET_CONSTANT_BUFFER) | \
     VR_BIT(SET_STENCIL_REF) | VR_BIT(SET_BLEND_COLOR) | \
     VR_BIT(SET_SCISSOR_STATE) | VR_BIT(BIND_SAMPLER_STATES) | \
     VR_BIT(SET_POLYGON_STIPPLE) | VR_BIT(SET_CLIP_STATE) | \
     VR_BIT(SET_SAMPLE_MASK) | VR_BIT(BIND_SHADER) | VR_BIT(SET_TESS_STATE) | \
     VR_BIT(MEMORY_BARRIER) | VR_BIT(SET_FRAMEBUFFER_STATE_NO_ATTACH) | \
     VR_BIT(TEXTURE_BARRIER) | VR_BIT(END_TRANSFERS))

struct user {
    struct virgl_reclaim *vr;
    const struct vr_context *context;
    struct vr_sub *sub;         /* NULL: one that the stream creates */
    bool try;                   /* restore nothing: -EAGAIN for the first */
    bool all;                   /* need what is used, absent or not */
};

static int restore(const struct user *u, struct vr_resource *res)
{
    if (!res || (!res->absent && !u->all)) {
        return 0;
    }
    if (u->all) {
        vr_restore_need(u->vr, res);
        return 0;
    }
    return u->try ? -EAGAIN : vr_restore(u->vr, res);
}

/* Words from @first on, in steps of @step, may be ids. */
static inline int restore_ids(const struct user *u,
                              const struct vr_command *cmd, uint32_t first,
                              uint32_t end, uint32_t step)
{
    int ret = 0;

    for (uint32_t i = first; i < end && !ret; i += step) {
        if (u->vr->absent_ids[cmd->args[i] % VR_ABSENT_IDS] || u->all) {
            ret = restore(u, vr_table_find(&u->context->resources,
                                           cmd->args[i]));
        }
    }
    return ret;
}

static inline int restore_objects(const struct user *u,
                                  const struct vr_command *cmd, uint32_t first)
{
    const struct vr_object *object;
    int ret = 0;

    for (uint32_t i = first; u->sub && i < cmd->length && !ret; i++) {
        if (u->sub->absent_handles[cmd->args[i] % VR_ABSENT_HANDLES] ||
            u->all) {
            object = vr_table_find(&u->sub->objects, cmd->args[i]);
            ret = object ? restore(u, object->res) : 0;
        }
    }
    return ret;
}

static int restore_bound(const struct user *u)
{
    int ret = 0;

    if (!u->sub || (!u->sub->absent && !u->all)) {
        return 0;
    }
    if (u->all) {
        /* What is bound now: what the stream binds it names. */
        if (u->sub->visited == u->vr->visits) {
            return 0;
        }
        u->sub->visited = u->vr->visits;
    }
    for (unsigned g = 0; g < VR_GROUPS && !ret; g++) {
        const struct vr_bindings *group = u->sub->groups[g];

        for (uint32_t i = 0; group && i < group->n && !ret; i++) {
            const struct vr_binding *b = &group->slots[i];

            ret = restore(u, b->object ? b->object->res : b->res);
        }
    }
    u->sub->absent = ret || (u->all && u->sub->absent);
    return ret;
}

static int restore_drawn(const struct user *u, const struct vr_command *cmd)
{
    int ret = restore_bound(u);

    if (ret || cmd->length <= VR_DRAW_INDIRECT) {
        return ret;
    }
    ret = restore_ids(u, cmd, VR_DRAW_INDIRECT, cmd->length, 1);
    if (u->sub && u->sub->rebind_indirect && !u->all) {
        vr_residency_rebind_indirect(u->vr, u->sub);
    }
    return ret;
}

static void enter_sub(struct user *u, const struct vr_command *cmd)
{
    struct vr_sub *sub = cmd->length == 1 ?
                         vr_table_find(&u->context->subs, cmd->args[0]) : NULL;

    if (cmd->code == VR_CREATE_SUB_CTX && !sub) {
        u->sub = NULL;
    } else if (cmd->code == VR_DESTROY_SUB_CTX) {
        u->sub = sub && sub == u->sub ? vr_table_find(&u->context->subs, 0) :
                 u->sub;
    } else if (cmd->code == VR_SET_SUB_CTX && sub) {
        u->sub = sub;
    }
}

static inline int restore_used_by(struct user *u, const struct vr_command *cmd)
{
    int ret;

    switch (cmd->code) {
    case VR_SET_SUB_CTX:
    case VR_CREATE_SUB_CTX:
    case VR_DESTROY_SUB_CTX:
        enter_sub(u, cmd);
        return 0;
    case VR_CREATE_OBJECT:
        return is_state(cmd->type) ? 0 :
               restore_ids(u, cmd, 0, cmd->length, 1);
    case VR_SET_SAMPLER_VIEWS:
        return restore_objects(u, cmd, 2);
    case VR_SET_FRAMEBUFFER_STATE:
    case VR_SET_STREAMOUT_TARGETS:
        return restore_objects(u, cmd, 1);
    case VR_CLEAR:
    case VR_SET_MIN_SAMPLES:
        return restore_bound(u);
    case VR_DRAW_VBO:
        return restore_drawn(u, cmd);
    case VR_LAUNCH_GRID:
        ret = restore_bound(u);
        return ret ? ret : restore_ids(u, cmd, 0, cmd->length, 1);
    case VR_SET_VERTEX_BUFFERS:
        return restore_ids(u, cmd, 2, cmd->length, 3);
    case VR_SET_INDEX_BUFFER:
    case VR_RESOURCE_INLINE_WRITE:
        /* Data or numbers follow the id. */
        return restore_ids(u, cmd, 0, cmd->length ? 1 : 0, 1);
    default:
        return restore_ids(u, cmd, 0, cmd->length, 1);
    }
}

uint64_t vr_use_codes(const struct virgl_reclaim *vr)
{
    return vr->absent || vr->n_rebind_indirect ? ~UNUSED : 0;
}

static int read_found(struct user *u, const struct vr_found *found)
{
    struct vr_found_pos pos = { 0, found->rest };
    uint64_t codes = vr_use_codes(u->vr);
    struct vr_command cmd;
    int ret = 0;

    u->sub = u->context->current;
    while (codes && !ret && vr_found_next(found, &pos, codes, &cmd)) {
        ret = restore_used_by(u, &cmd);
    }
    return ret;
}

int vr_use_restore(struct virgl_reclaim *vr, const struct vr_context *context,
                   const struct vr_found *found)
{
    struct user u = { .vr = vr, .context = context };

    return read_found(&u, found);
}

int vr_use_try(struct virgl_reclaim *vr, const struct vr_context *context,
               const struct vr_found *found)
{
    struct user u = { .vr = vr, .context = context, .try = true };
    int ret = read_found(&u, found);

    if (ret == -EAGAIN) {
        vr->visits++;
        u.all = true;
        read_found(&u, found);
    }
    return ret;
}
