/* SPDX-License-Identifier: MIT */
/* Contexts, their sub-contexts, and the resources attached to them. */

#include "context.h"
#include "deferred.h"
#include "resource.h"

#include <errno.h>
#include <string.h>

/* Sub-contexts */

struct vr_sub *vr_sub_new(struct virgl_reclaim *vr, struct vr_context *context,
                          uint32_t id)
{
    struct vr_sub *sub = vr_alloc0(&vr->allocator, sizeof(*sub));

    if (!sub) {
        return NULL;
    }
    sub->context = context;
    sub->id = id;
    sub->serial = ++vr->serial;
    sub->objects.allocator = &vr->allocator;
    sub->others.allocator = &vr->allocator;
    if (!vr_table_reserve(&vr->subs) ||
        !vr_table_insert(&context->subs, id, sub)) {
        vr_free(&vr->allocator, sub);
        return NULL;
    }
    vr_table_insert(&vr->subs, sub->serial, sub);
    vr->sub_changes++;
    context->current = sub;
    return sub;
}

static void free_sub(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    vr_bindings_free(vr, sub);
    while ((entry = vr_table_next(&sub->objects, &pos))) {
        struct vr_object *object = entry->value;

        object->handle = 0;
        vr_object_release(vr, object);
    }
    vr_table_clear(&sub->objects);
    vr_objects_forget_others(vr, sub);
    vr_table_remove(&vr->subs, sub->serial);
    vr->sub_changes++;
    vr->n_retire -= sub->retire;
    vr->n_rebind_indirect -= sub->rebind_indirect;
    vr_free(&vr->allocator, sub);
}

void vr_sub_destroy(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    struct vr_context *context = sub->context;

    vr_table_remove(&context->subs, sub->id);
    if (context->current == sub) {
        context->current = vr_table_find(&context->subs, 0);
    }
    free_sub(vr, sub);
}

/* The renderer makes the GL context of a sub-context current on a command. */
static bool enter(struct virgl_reclaim *vr, struct vr_context *context,
                  uint32_t sub)
{
    uint32_t words[] = { vr_header(VR_SET_SUB_CTX, 0, 1), sub };

    if (context->in_error) {
        return false;
    }
    if (virgl_renderer_submit_cmd(words, context->id, 2)) {
        vr_context_set_error(vr, context);
        return false;
    }
    return true;
}

bool vr_sub_enter(struct virgl_reclaim *vr, const struct vr_sub *sub)
{
    /* A context whose GL context is current does not report an error. */
    virgl_renderer_force_ctx_0();
    return enter(vr, sub->context, sub->id);
}

void vr_context_leave(struct virgl_reclaim *vr, struct vr_context *context)
{
    enter(vr, context, context->current->id);
}

typedef void user_func(struct virgl_reclaim *vr, struct vr_sub *sub,
                       const struct vr_storage *storage);

static void visit_context(struct virgl_reclaim *vr, struct vr_context *context,
                          const struct vr_storage *storage, user_func *func)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while (!context->in_error &&
           (entry = vr_table_next(&context->subs, &pos))) {
        if (vr_sub_enter(vr, entry->value)) {
            func(vr, entry->value, storage);
        }
    }
    vr_context_leave(vr, context);
}

/* With tracking lost a context may use what is attached to it. */
static bool visit_all_of(const struct vr_context *context,
                         const struct vr_storage *storage)
{
    return storage->n_users > VR_USERS ||
           (context->tracking_lost &&
            vr_table_find(&context->resources, storage->id));
}

bool vr_storage_has_many_users(const struct virgl_reclaim *vr,
                               const struct vr_storage *storage)
{
    return (storage->n_users > VR_USERS || vr->untracked) &&
           vr->subs.used > VR_MANY_SUBS;
}

void vr_storage_foreach_user(struct virgl_reclaim *vr,
                             const struct vr_storage *storage, user_func *func)
{
    bool all = storage->n_users > VR_USERS || vr->untracked;
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while (all && (entry = vr_table_next(&vr->contexts, &pos))) {
        if (visit_all_of(entry->value, storage)) {
            visit_context(vr, entry->value, storage, func);
        }
    }
    for (unsigned i = 0; storage->n_users <= VR_USERS &&
                         i < storage->n_users; i++) {
        struct vr_sub *sub = vr_table_find(&vr->subs, storage->users[i]);

        if (sub && vr_sub_enter(vr, sub)) {
            func(vr, sub, storage);
            vr_context_leave(vr, sub->context);
        }
    }
}

/* Loss of tracking */

void vr_context_lose_tracking(struct virgl_reclaim *vr,
                              struct vr_context *context)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    if (context->tracking_lost) {
        return;
    }
    context->tracking_lost = true;
    vr->untracked++;

    /*
     * The renderer leaks its reference to a query's buffer when it rejects the
     * query, and GL knows nothing of storage that is no GL object.
     */
    while ((entry = vr_table_next(&context->resources, &pos))) {
        const struct vr_resource *res = entry->value;

        if (res->storage && !res->storage->name) {
            res->storage->untracked_ref = true;
        }
    }
}

/*
 * The renderer executes no more commands of a context once it has rejected one.
 * If memory ran out, here or there, it would go on, and renderer 0.10 could use
 * the address of a buffer that has been destroyed: so have it reject a command.
 */
void vr_context_set_error(struct virgl_reclaim *vr, struct vr_context *context)
{
    uint32_t bad = vr_header(VR_DESTROY_OBJECT, 0, 0);

    vr_context_lose_tracking(vr, context);
    context->in_error = true;
    virgl_renderer_submit_cmd(&bad, context->id, 1);
}

bool vr_contexts_untracked(const struct virgl_reclaim *vr,
                           const struct vr_storage *storage)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while (vr->untracked && (entry = vr_table_next(&vr->contexts, &pos))) {
        const struct vr_context *context = entry->value;

        if (context->tracking_lost &&
            vr_table_find(&context->resources, storage->id)) {
            return true;
        }
    }
    return false;
}

bool vr_contexts_refer(const struct virgl_reclaim *vr,
                       const struct vr_storage *storage)
{
    return storage->references || storage->untracked_ref ||
           vr_contexts_untracked(vr, storage);
}

/* A context that is detached from @res can name it no more, but still use it. */
static void detach_untracked(struct virgl_reclaim *vr,
                             const struct vr_resource *res)
{
    struct vr_storage *s = vr->deferred;

    if (res->storage) {
        res->storage->untracked_ref = true;
    }
    for (uint64_t n = vr->n_deferred; n; n--, s = s->next) {
        if (s->id == res->args.handle) {
            s->untracked_ref = true;
        }
    }
}

/* Contexts */

static void free_ctx(struct virgl_reclaim *vr, struct vr_context *context)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&context->subs, &pos))) {
        free_sub(vr, entry->value);
    }
    vr_table_clear(&context->subs);
    if (context->tracking_lost) {
        vr->untracked--;
    }
    vr->object_bytes -= context->lost_object_bytes;
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
    context->last_use = vr->now;
    context->resources.allocator = &vr->allocator;
    context->subs.allocator = &vr->allocator;
    context->name = vr_alloc0(&vr->allocator, length + 1);
    if (!context->name || !vr_sub_new(vr, context, 0)) {
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

void virgl_reclaim_set_max_object_bytes(struct virgl_reclaim *vr, uint64_t max)
{
    vr->max_object_bytes = max;
}

uint64_t virgl_reclaim_object_bytes(const struct virgl_reclaim *vr)
{
    return vr->object_bytes;
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
    if (vr->max_sub_contexts && vr->subs.used >= vr->max_sub_contexts) {
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
    vr_deferred_check_all(vr);
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
    if (vr_table_remove(&context->resources, res->args.handle) &&
        context->tracking_lost) {
        detach_untracked(vr, res);
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
