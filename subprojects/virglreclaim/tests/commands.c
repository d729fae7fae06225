/* SPDX-License-Identifier: MIT */
/* Commands of the protocol that tests submit. */

#include "commands.h"

#include <string.h>
#include <glib.h>

#include "internal.h"

enum { COMMAND_CLEAR = 7, CLEAR_COLOR0 = 1 << 2 };

int submit(struct virgl_reclaim *vr, uint32_t ctx, uint32_t code,
           uint32_t type, const uint32_t *args, uint32_t n)
{
    g_autofree uint32_t *words = g_new(uint32_t, 1 + n);

    words[0] = vr_header(code, type, n);
    memcpy(words + 1, args, n * sizeof(*args));
    return virgl_reclaim_submit(vr, ctx, words, 1 + n);
}

int create_surface(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object,
                   uint32_t id, uint32_t format)
{
    return COMMAND(vr, ctx, VR_CREATE_OBJECT, VR_OBJECT_SURFACE, object, id,
                   format, 0, 0);
}

int create_sampler_view(struct virgl_reclaim *vr, uint32_t ctx,
                        uint32_t object, uint32_t id, uint32_t format,
                        uint32_t target)
{
    uint32_t swizzle = 0 | 1 << 3 | 2 << 6 | 3 << 9;

    return COMMAND(vr, ctx, VR_CREATE_OBJECT, VR_OBJECT_SAMPLER_VIEW, object,
                   id, format | target << 24, 0, 0, swizzle);
}

int destroy_object(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object)
{
    return COMMAND(vr, ctx, VR_DESTROY_OBJECT, 0, object);
}

int set_sampler_view(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object)
{
    return COMMAND(vr, ctx, VR_SET_SAMPLER_VIEWS, 0, STAGE_FRAGMENT, 0,
                   object);
}

int set_vertex_buffer(struct virgl_reclaim *vr, uint32_t ctx, uint32_t id)
{
    return COMMAND(vr, ctx, VR_SET_VERTEX_BUFFERS, 0, 16, 0, id);
}

int set_framebuffer(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object)
{
    if (!object) {
        return COMMAND(vr, ctx, VR_SET_FRAMEBUFFER_STATE, 0, 0, 0);
    }
    return COMMAND(vr, ctx, VR_SET_FRAMEBUFFER_STATE, 0, 1, 0, object);
}

int clear_surface(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object)
{
    uint32_t one;
    float value = 1.0;
    int ret = set_framebuffer(vr, ctx, object);

    memcpy(&one, &value, sizeof(one));
    return ret ? ret : COMMAND(vr, ctx, COMMAND_CLEAR, 0, CLEAR_COLOR0, one,
                               one, one, one, 0, 0, 0);
}
