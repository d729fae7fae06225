/* SPDX-License-Identifier: MIT */
/* Stubs of the renderer's functions for contexts. */

#include "internal.h"

int virgl_renderer_context_create(uint32_t ctx, uint32_t nlen,
                                  const char *name)
{
    (void)ctx, (void)nlen, (void)name;
    return 0;
}

void virgl_renderer_context_destroy(uint32_t ctx)
{
    (void)ctx;
}

void virgl_renderer_ctx_attach_resource(int ctx, int id)
{
    (void)ctx, (void)id;
}

void virgl_renderer_ctx_detach_resource(int ctx, int id)
{
    (void)ctx, (void)id;
}
