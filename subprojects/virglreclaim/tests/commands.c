/* SPDX-License-Identifier: MIT */
/* The few commands of the protocol that tests submit. */

#include "commands.h"

#include <string.h>
#include <glib.h>
#include <virglrenderer.h>

enum {
    COMMAND_CREATE_OBJECT = 1,
    COMMAND_DESTROY_OBJECT = 3,
    COMMAND_SET_FRAMEBUFFER_STATE = 5,
    COMMAND_SET_VERTEX_BUFFERS = 6,
    COMMAND_CLEAR = 7,
    COMMAND_SET_SAMPLER_VIEWS = 10,
};

enum { CLEAR_COLOR0 = 1 << 2, SHADER_FRAGMENT = 1 };

/* A command is a header, with its length in dwords, and its arguments. */
static uint32_t header(uint32_t command, uint32_t object, uint32_t length)
{
    return command | object << 8 | length << 16;
}

int create_surface(uint32_t ctx, uint32_t object, uint32_t id,
                   uint32_t format)
{
    uint32_t dwords[] = {
        header(COMMAND_CREATE_OBJECT, OBJECT_SURFACE, 5),
        object, id, format, 0, 0,
    };

    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}

int create_sampler_view(uint32_t ctx, uint32_t object, uint32_t id,
                        uint32_t format, uint32_t target)
{
    uint32_t swizzle = 0 | 1 << 3 | 2 << 6 | 3 << 9;
    uint32_t dwords[] = {
        header(COMMAND_CREATE_OBJECT, OBJECT_SAMPLER_VIEW, 6),
        object, id, format | target << 24, 0, 0, swizzle,
    };

    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}

int destroy_object(uint32_t ctx, uint32_t object, uint32_t type)
{
    uint32_t dwords[] = { header(COMMAND_DESTROY_OBJECT, type, 1), object };

    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}

int set_sampler_view(uint32_t ctx, uint32_t object)
{
    uint32_t dwords[] = {
        header(COMMAND_SET_SAMPLER_VIEWS, 0, 3),
        SHADER_FRAGMENT, 0, object,
    };

    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}

int set_vertex_buffer(uint32_t ctx, uint32_t id)
{
    uint32_t dwords[] = {
        header(COMMAND_SET_VERTEX_BUFFERS, 0, 3),
        16, 0, id,
    };

    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}

int clear_surface(uint32_t ctx, uint32_t object)
{
    uint32_t one, dwords[] = {
        header(COMMAND_SET_FRAMEBUFFER_STATE, 0, 3),
        1, 0, object,
        header(COMMAND_CLEAR, 0, 8),
        CLEAR_COLOR0, 0, 0, 0, 0, 0, 0, 0,
    };
    float value = 1.0;

    memcpy(&one, &value, sizeof(one));
    for (int i = 6; i < 10; i++) {
        dwords[i] = one;
    }
    return virgl_renderer_submit_cmd(dwords, ctx, G_N_ELEMENTS(dwords));
}
