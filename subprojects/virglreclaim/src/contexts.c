/* SPDX-License-Identifier: MIT */
/* Contexts and the resources attached to them. */

#include "instance.h"

#include <errno.h>
#include <string.h>

static void free_ctx(struct virgl_reclaim *vr, struct vr_context *context)
{
    vr_references_end(vr, context);
    vr_table_clear(&context->resources);
    vr_free(&vr->allocator, context->name);
    vr_free(&vr->allocator, context);
}

static struct vr_context *new_ctx(struct virgl_reclaim *vr, uint32_t ctx,
                                  uint32_t nlen, const char *name)
{
    size_t length = name ? strnlen(name, nlen) : 0;
    struct vr_context *context = vr_alloc0(&vr->allocator, sizeof(*context));

    if (!context) {
        return NULL;
    }
    context->id = ctx;
    context->resources.allocator = &vr->allocator;
    context->name = vr_alloc0(&vr->allocator, length + 1);
    if (!context->name || !vr_references_begin(vr, context)) {
        free_ctx(vr, context);
        return NULL;
    }
    memcpy(context->name, name, length);
    return context;
}

void virgl_reclaim_set_max_contexts(struct virgl_reclaim *vr, uint32_t max)
{
    vr->max_sub_contexts = max;
}

int virgl_reclaim_ctx_create(struct virgl_reclaim *vr, uint32_t ctx,
                             uint32_t nlen, const char *name)
{
    struct vr_context *context;
    int ret;

    if (!ctx) {
        return -EINVAL;
    }
    if (vr_find_ctx(vr, ctx)) {
        return -EEXIST;
    }
    if (vr->max_sub_contexts && vr->sub_contexts >= vr->max_sub_contexts) {
        return -ENOSPC;
    }
    if (!vr_table_reserve(&vr->contexts)) {
        return -ENOMEM;
    }
    context = new_ctx(vr, ctx, nlen, name);
    if (!context) {
        return -ENOMEM;
    }
    ret = virgl_renderer_context_create(ctx, nlen, name);
    if (ret) {
        free_ctx(vr, context);
        return ret > 0 ? -ret : ret;
    }
    vr_table_insert(&vr->contexts, ctx, context);
    return 0;
}

int virgl_reclaim_ctx_destroy(struct virgl_reclaim *vr, uint32_t ctx)
{
    struct vr_context *context = vr_table_remove(&vr->contexts, ctx);

    if (!context) {
        return -ENOENT;
    }
    virgl_renderer_context_destroy(ctx);
    free_ctx(vr, context);
    /* Deferred storage may be gone with its surfaces and views. */
    vr_deferred_check(vr);
    return 0;
}

int virgl_reclaim_ctx_attach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id)
{
    struct vr_context *context = vr_find_ctx(vr, ctx);
    struct vr_resource *res = vr_find(vr, id);

    if (!context || !res) {
        return -ENOENT;
    }
    if (vr_table_find(&context->resources, id)) {
        return 0;
    }
    if (!vr_table_insert(&context->resources, id, res)) {
        return -ENOMEM;
    }
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        virgl_renderer_ctx_attach_resource(ctx, id);
    }
    return 0;
}

static void detach(struct virgl_reclaim *vr, struct vr_context *context,
                   const struct vr_resource *res)
{
    if (vr_table_remove(&context->resources, res->args.handle)) {
        vr_references_detach(vr, context, res);
    }
}

int virgl_reclaim_ctx_detach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id)
{
    struct vr_context *context = vr_find_ctx(vr, ctx);
    struct vr_resource *res = vr_find(vr, id);

    if (!context || !res) {
        return -ENOENT;
    }
    if (!vr_table_find(&context->resources, id)) {
        return -ENODATA;
    }
    detach(vr, context, res);
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        virgl_renderer_ctx_detach_resource(ctx, id);
    }
    return 0;
}

static void describe(const struct vr_context *context,
                     struct virgl_reclaim_ctx *ctx)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    *ctx = (struct virgl_reclaim_ctx) {
        .id = context->id,
        .name = context->name,
    };
    while ((entry = vr_table_next(&context->resources, &pos))) {
        const struct vr_resource *res = entry->value;

        ctx->resources++;
        if (res->state == VIRGL_RECLAIM_RESIDENT) {
            ctx->bytes += res->bytes;
        }
    }
}

/* Contexts are few: a search for each next one needs no memory. */
static const struct vr_context *next_ctx(const struct virgl_reclaim *vr,
                                         uint32_t after)
{
    const struct vr_context *next = NULL;
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&vr->contexts, &pos))) {
        if (entry->key > after && (!next || entry->key < next->id)) {
            next = entry->value;
        }
    }
    return next;
}

void virgl_reclaim_ctx_foreach(
    const struct virgl_reclaim *vr,
    void (*func)(const struct virgl_reclaim_ctx *ctx, void *opaque),
    void *opaque)
{
    const struct vr_context *context;

    for (uint32_t id = 0; (context = next_ctx(vr, id)); id = context->id) {
        struct virgl_reclaim_ctx ctx;

        describe(context, &ctx);
        func(&ctx, opaque);
    }
}

void vr_contexts_attach(struct virgl_reclaim *vr,
                        const struct vr_resource *res)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&vr->contexts, &pos))) {
        const struct vr_context *context = entry->value;

        if (vr_table_find(&context->resources, res->args.handle)) {
            virgl_renderer_ctx_attach_resource(entry->key, res->args.handle);
        }
    }
}

void vr_contexts_detach(struct virgl_reclaim *vr,
                        const struct vr_resource *res)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&vr->contexts, &pos))) {
        detach(vr, entry->value, res);
    }
}

void vr_contexts_reset(struct virgl_reclaim *vr)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&vr->contexts, &pos))) {
        free_ctx(vr, entry->value);
    }
    vr_table_clear(&vr->contexts);
}
