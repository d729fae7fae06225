/* SPDX-License-Identifier: MIT */
/* Which stored resources a command stream may use. */

#include "books.h"

/*
 * To restore too much costs time, and too little is wrong. So every word is
 * taken for an id, but for those of commands that are known to name none:
 * state, shaders and constants; and what names objects, for what an object
 * refers to is not stored.
 */

enum {
    BIND_OBJECT = 2,
    SET_VIEWPORT_STATE = 4,
    CLEAR = 7,
    DRAW_VBO = 8,
    RESOURCE_INLINE_WRITE = 9,
    SET_CONSTANT_BUFFER = 12,
    SET_STENCIL_REF = 13,
    SET_BLEND_COLOR = 14,
    SET_SCISSOR_STATE = 15,
    BIND_SAMPLER_STATES = 18,
    SET_POLYGON_STIPPLE = 22,
    SET_CLIP_STATE = 23,
    SET_SAMPLE_MASK = 24,
    BIND_SHADER = 31,
};

/* Without buffers for indirect draws, which come after these. */
enum { DRAW_WORDS = 14 };

/* Blend state, rasterizer, depth and stencil, shader, vertex elements. */
enum { FIRST_STATE_OBJECT = 1, LAST_STATE_OBJECT = 5, SAMPLER_STATE = 7 };

static bool is_state(uint32_t type)
{
    return (type >= FIRST_STATE_OBJECT && type <= LAST_STATE_OBJECT) ||
           type == SAMPLER_STATE;
}

#define BIT(code) (1ull << (code))
#define NO_IDS \
    (BIT(BIND_OBJECT) | BIT(VR_DESTROY_OBJECT) | BIT(SET_VIEWPORT_STATE) | \
     BIT(VR_SET_FRAMEBUFFER_STATE) | BIT(CLEAR) | BIT(VR_SET_SAMPLER_VIEWS) | \
     BIT(SET_CONSTANT_BUFFER) | BIT(SET_STENCIL_REF) | BIT(SET_BLEND_COLOR) | \
     BIT(SET_SCISSOR_STATE) | BIT(BIND_SAMPLER_STATES) | \
     BIT(SET_POLYGON_STIPPLE) | BIT(SET_CLIP_STATE) | BIT(SET_SAMPLE_MASK) | \
     BIT(VR_SET_STREAMOUT_TARGETS) | BIT(BIND_SHADER))

static int restore(struct virgl_reclaim *vr, const struct vr_context *context,
                   uint32_t id)
{
    struct vr_resource *res = vr_table_find(&context->resources, id);

    return res && res->state == VIRGL_RECLAIM_COMPRESSED ?
           vr_store_restore(vr, res) : 0;
}

/* Words @first, @first + @step and so on, up to @end, may be ids. */
static inline int use(struct virgl_reclaim *vr,
                      const struct vr_context *context,
                      const struct vr_command *cmd, uint32_t first,
                      uint32_t end, uint32_t step)
{
    int ret = 0;

    for (uint32_t i = first; i < end && !ret; i += step) {
        if (vr->stored_ids[cmd->args[i] % VR_STORED_IDS]) {
            ret = restore(vr, context, cmd->args[i]);
        }
    }
    return ret;
}

static inline int use_command(struct virgl_reclaim *vr,
                              const struct vr_context *context,
                              const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return is_state(cmd->type) ? 0 :
               use(vr, context, cmd, 0, cmd->length, 1);
    case DRAW_VBO:
        return cmd->length <= DRAW_WORDS ? 0 :
               use(vr, context, cmd, 0, cmd->length, 1);
    case VR_SET_VERTEX_BUFFERS:
        return use(vr, context, cmd, 2, cmd->length, 3);
    case VR_SET_INDEX_BUFFER:
    case RESOURCE_INLINE_WRITE:
        /* What follows is data, or a number. */
        return use(vr, context, cmd, 0, cmd->length ? 1 : 0, 1);
    default:
        return use(vr, context, cmd, 0, cmd->length, 1);
    }
}

int vr_store_use(struct virgl_reclaim *vr, const struct vr_context *context,
                 const uint32_t *words, size_t n)
{
    struct vr_stream stream = { words, n };
    struct vr_command cmd;
    int ret = 0;

    if (!vr->stats.compressed) {
        return 0;
    }
    while (!ret && vr_stream_next(&stream, ~NO_IDS, &cmd)) {
        ret = use_command(vr, context, &cmd);
    }
    return ret;
}
