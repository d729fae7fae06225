/* SPDX-License-Identifier: MIT */
/* Submission of command streams; restores what a stream may name. */

#include "instance.h"

#include <errno.h>
#include <limits.h>

/*
 * Restoring too much costs time, restoring too little loses contents. So every
 * word is taken for a resource id, except in commands that are known to have
 * none: state, shaders and constants, and commands that name objects, since a
 * resource that an object refers to is never compressed.
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

/* Words of a draw without those of an indirect draw, which name a buffer. */
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
           vr_compression_restore(vr, res) : 0;
}

/* Words @first, @first + @step and so on, below @end, may be ids. */
static inline int restore_ids(struct virgl_reclaim *vr,
                              const struct vr_context *context,
                              const struct vr_command *cmd, uint32_t first,
                              uint32_t end, uint32_t step)
{
    int ret = 0;

    for (uint32_t i = first; i < end && !ret; i += step) {
        if (vr->compressed_ids[cmd->args[i] % VR_COMPRESSED_IDS]) {
            ret = restore(vr, context, cmd->args[i]);
        }
    }
    return ret;
}

static inline int restore_named_by(struct virgl_reclaim *vr,
                                   const struct vr_context *context,
                                   const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return is_state(cmd->type) ? 0 :
               restore_ids(vr, context, cmd, 0, cmd->length, 1);
    case DRAW_VBO:
        return cmd->length <= DRAW_WORDS ? 0 :
               restore_ids(vr, context, cmd, 0, cmd->length, 1);
    case VR_SET_VERTEX_BUFFERS:
        return restore_ids(vr, context, cmd, 2, cmd->length, 3);
    case VR_SET_INDEX_BUFFER:
    case RESOURCE_INLINE_WRITE:
        /* Data or numbers follow the id. */
        return restore_ids(vr, context, cmd, 0, cmd->length ? 1 : 0, 1);
    default:
        return restore_ids(vr, context, cmd, 0, cmd->length, 1);
    }
}

/*
 * The context is about to execute @n words: restore compressed resources that
 * these may name. Returns an error of restore; some may be restored then.
 */
static int restore_named(struct virgl_reclaim *vr,
                         const struct vr_context *context,
                         const uint32_t *words, size_t n)
{
    struct vr_stream stream = { words, n };
    struct vr_command cmd;
    int ret = 0;

    if (!vr->stats.compressed) {
        return 0;
    }
    while (!ret && vr_stream_next(&stream, ~NO_IDS, &cmd)) {
        ret = restore_named_by(vr, context, &cmd);
    }
    return ret;
}

int virgl_reclaim_submit(struct virgl_reclaim *vr, uint32_t ctx,
                         void *commands, uint32_t words)
{
    struct vr_context *context = vr_find_ctx(vr, ctx);
    int ret;

    if (!context) {
        return -ENOENT;
    }
    if (words > INT_MAX) {
        return -EINVAL;
    }
    ret = vr_stream_validate(vr, context, commands, words);
    if (!ret) {
        ret = restore_named(vr, context, commands, words);
    }
    if (ret) {
        return ret;
    }
    ret = virgl_renderer_submit_cmd(commands, ctx, words);
    if (ret) {
        vr_references_set_error(vr, context);
    } else {
        vr_references_read(vr, context, commands, words);
    }
    /* With tracking lost any command may drop the last reference. */
    if (vr->deferred_changed || context->references.tracking_lost) {
        vr_deferred_check(vr);
    }
    return !ret ? 0 : ret == ENOMEM ? -ENOMEM : -EINVAL;
}
