/* SPDX-License-Identifier: MIT */
/* Which stored resources a command stream may use. */

#include "books.h"

/*
 * To restore too much costs time, and too little is wrong. So every word is
 * taken for an id, but for those of commands that are known to name none:
 * state, shaders, and constants.
 */

enum {
    BIND_OBJECT = 2,
    SET_VIEWPORT_STATE = 4,
    CLEAR = 7,
    RESOURCE_INLINE_WRITE = 9,
    SET_CONSTANT_BUFFER = 12,
    SET_STENCIL_REF = 13,
    SET_BLEND_COLOR = 14,
    SET_SCISSOR_STATE = 15,
    BIND_SAMPLER_STATES = 18,
    SET_POLYGON_STIPPLE = 22,
    SET_CLIP_STATE = 23,
    SET_SAMPLE_MASK = 24,
};

/* Blend state, rasterizer, depth and stencil, shader, vertex elements. */
enum { FIRST_STATE_OBJECT = 1, LAST_STATE_OBJECT = 5, SAMPLER_STATE = 7 };

static bool is_state(uint32_t type)
{
    return (type >= FIRST_STATE_OBJECT && type <= LAST_STATE_OBJECT) ||
           type == SAMPLER_STATE;
}

/* How many of its words may be ids, from the first. */
static uint32_t may_be_ids(const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return is_state(cmd->type) ? 0 : cmd->length;
    case BIND_OBJECT:
    case SET_VIEWPORT_STATE:
    case CLEAR:
    case SET_CONSTANT_BUFFER:
    case SET_STENCIL_REF:
    case SET_BLEND_COLOR:
    case SET_SCISSOR_STATE:
    case BIND_SAMPLER_STATES:
    case SET_POLYGON_STIPPLE:
    case SET_CLIP_STATE:
    case SET_SAMPLE_MASK:
        return 0;
    case RESOURCE_INLINE_WRITE:
        /* What follows is data. */
        return cmd->length ? 1 : 0;
    default:
        return cmd->length;
    }
}

static int use(struct virgl_reclaim *vr, const struct vr_context *context,
               uint32_t id)
{
    struct vr_resource *res = vr_table_find(&context->resources, id);

    return res && res->state == VIRGL_RECLAIM_STORED ?
           vr_store_restore(vr, res) : 0;
}

int vr_store_use(struct virgl_reclaim *vr, const struct vr_context *context,
                 const uint32_t *words, size_t n)
{
    struct vr_stream stream = { words, words + n };
    struct vr_command cmd;
    int ret = 0;

    while (vr->stats.stored && !ret && vr_stream_next(&stream, &cmd)) {
        uint32_t ids = may_be_ids(&cmd);

        for (uint32_t i = 0; i < ids && !ret; i++) {
            ret = use(vr, context, cmd.args[i]);
        }
    }
    return ret;
}
