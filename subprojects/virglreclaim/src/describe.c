/* SPDX-License-Identifier: MIT */
/* Contexts, as a VMM is told about them. */

#include "instance.h"

/* Each of these returns bytes that were not marked so before. */

static uint64_t mark_storage(struct vr_storage *storage, bool mark)
{
    if (!storage || !storage->deferred || storage->described == mark) {
        return 0;
    }
    storage->described = mark;
    return storage->bytes;
}

/* Objects of a destroyed resource keep its compressed contents. */
static uint64_t mark_object(const struct vr_object *object, bool mark)
{
    struct vr_resource *res = object->res;
    uint64_t bytes = mark_storage(object->storage, mark);

    if (res && res->destroyed && res->described != mark) {
        res->described = mark;
        bytes += res->contents.bytes;
    }
    return bytes;
}

static uint64_t mark_sub(const struct vr_sub *sub, bool mark)
{
    const struct vr_entry *entry;
    uint64_t bytes = 0;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&sub->objects, &pos))) {
        bytes += mark_object(entry->value, mark);
    }
    for (unsigned g = 0; g < VR_GROUPS; g++) {
        const struct vr_bindings *group = sub->groups[g];

        for (uint32_t i = 0; group && i < group->n; i++) {
            const struct vr_binding *b = &group->slots[i];

            bytes += mark_storage(b->storage, mark);
            bytes += b->object ? mark_object(b->object, mark) : 0;
        }
    }
    return bytes;
}

/* What @context refers to of deferred storage, or may refer to. */
static uint64_t mark_deferred(const struct virgl_reclaim *vr,
                              const struct vr_context *context, bool mark)
{
    struct vr_storage *s = vr->deferred;
    const struct vr_entry *entry;
    uint64_t bytes = 0;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&context->subs, &pos))) {
        bytes += mark_sub(entry->value, mark);
    }
    for (uint64_t n = context->tracking_lost ? vr->n_deferred : 0; n;
         n--, s = s->next) {
        if (vr_table_find(&context->resources, s->id)) {
            bytes += mark_storage(s, mark);
        }
    }
    return bytes;
}

static void describe(const struct virgl_reclaim *vr,
                     const struct vr_context *context,
                     struct virgl_reclaim_ctx *ctx)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    *ctx = (struct virgl_reclaim_ctx) {
        .id = context->id,
        .name = context->name,
        .last_use = context->last_use,
    };
    while ((entry = vr_table_next(&context->resources, &pos))) {
        const struct vr_resource *res = entry->value;

        ctx->resources++;
        if (res->state == VIRGL_RECLAIM_RESIDENT) {
            ctx->bytes += res->bytes;
        } else if (res->state == VIRGL_RECLAIM_COMPRESSED) {
            ctx->compressed_bytes += res->contents.bytes;
        }
    }
    if (vr->stats.deferred) {
        ctx->deferred_bytes = mark_deferred(vr, context, true);
        mark_deferred(vr, context, false);
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

        describe(vr, context, &ctx);
        func(&ctx, opaque);
    }
}
