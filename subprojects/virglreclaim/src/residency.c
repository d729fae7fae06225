/* SPDX-License-Identifier: MIT */
/*
 * Storage leaves while views, surfaces and bindings of it exist, and comes back.
 * What is said about the renderer holds for 0.10.4 and 1.1.
 */

#include "residency.h"
#include "context.h"
#include "deferred.h"
#include "gl-context.h"
#include "writer.h"

/* Sub-contexts that refer to a resource */

typedef void sub_func(struct virgl_reclaim *vr, struct vr_sub *sub,
                      struct vr_resource *res);

static void visit(struct virgl_reclaim *vr, struct vr_sub *sub,
                  struct vr_resource *res, sub_func *func)
{
    if (sub->visited != vr->visits) {
        sub->visited = vr->visits;
        func(vr, sub, res);
        vr_context_leave(vr, sub->context);
    }
}

/* Call @func once for each sub-context that has an object or binding of @res. */
static void foreach_sub(struct virgl_reclaim *vr, struct vr_resource *res,
                        sub_func *func)
{
    vr->visits++;
    for (struct vr_object *o = res->objects; o; o = o->next) {
        visit(vr, o->sub, res, func);
    }
    for (struct vr_binding *b = res->bindings; b; b = b->next) {
        visit(vr, b->sub, res, func);
    }
}

/* Busy */

static void finish(struct virgl_reclaim *vr, struct vr_sub *sub,
                   const struct vr_storage *storage)
{
    (void)vr, (void)sub, (void)storage;
    vr_gl_finish();
}

/*
 * Whether what else is in the list can be set again. An object without a
 * handle has to be made a second time for that.
 */
static bool can_set_list(const struct vr_bindings *group,
                         const struct vr_sub *sub)
{
    for (uint32_t i = 0; i < group->n; i++) {
        const struct vr_object *object = group->slots[i].object;

        if (object && object->storage && !object->handle &&
            (sub->private_handles || !vr_object_is_current(object) ||
             !vr_table_find(&sub->context->resources,
                            object->res->args.handle))) {
            return false;
        }
    }
    return true;
}

static int object_busy(const struct vr_object *object)
{
    if (object->sub->context->in_error) {
        return VIRGL_RECLAIM_SKIPPED_CONTEXT;
    }
    if (object->type == VR_OBJECT_QUERY) {
        return VIRGL_RECLAIM_SKIPPED_QUERY;
    }
    if (object->streamed_out) {
        return VIRGL_RECLAIM_SKIPPED_STREAM_OUT;
    }
    for (const struct vr_binding *b = object->bindings; b; b = b->next) {
        if (!can_set_list(object->sub->groups[b->group], object->sub)) {
            return VIRGL_RECLAIM_SKIPPED_REFERENCED;
        }
    }
    return -1;
}

/* Whether more sub-contexts than @max have an object or binding of @res. */
static bool has_more_subs(struct virgl_reclaim *vr,
                          const struct vr_resource *res, unsigned max)
{
    unsigned n = 0;

    vr->visits++;
    for (const struct vr_object *o = res->objects; o && n <= max;
         o = o->next) {
        n += o->sub->visited != vr->visits;
        o->sub->visited = vr->visits;
    }
    for (const struct vr_binding *b = res->bindings; b && n <= max;
         b = b->next) {
        n += b->sub->visited != vr->visits;
        b->sub->visited = vr->visits;
    }
    return n > max;
}

int vr_residency_busy(struct virgl_reclaim *vr, struct vr_resource *res,
                      bool keep)
{
    struct vr_storage *storage = res->storage;
    unsigned references = 0;

    /* A purge is one of many in a command: let it take no longer than these. */
    if (has_more_subs(vr, res, keep ? VR_MANY_SUBS : VR_FEW_SUBS)) {
        return VIRGL_RECLAIM_SKIPPED_REFERENCED;
    }
    if (keep) {
        if (vr_storage_has_many_users(vr, storage)) {
            return VIRGL_RECLAIM_SKIPPED_REFERENCED;
        }
        vr_storage_foreach_user(vr, storage, finish);
    }
    if (storage->untracked_ref || vr_contexts_untracked(vr, storage)) {
        return VIRGL_RECLAIM_SKIPPED_CONTEXT;
    }
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        int busy = o->storage == storage ? object_busy(o) : -1;

        if (busy >= 0) {
            return busy;
        }
        references += o->storage == storage;
    }
    for (const struct vr_binding *b = res->bindings; b; b = b->next) {
        if (b->sub->context->in_error) {
            return VIRGL_RECLAIM_SKIPPED_CONTEXT;
        }
        references += b->storage == storage;
    }
    return references == storage->references ? -1 :
           VIRGL_RECLAIM_SKIPPED_REFERENCED;
}

/* Groups */

/* Set the lists again that have objects of @res. */
static void set_lists(struct vr_writer *w, struct vr_sub *sub,
                      const struct vr_resource *res)
{
    uint32_t done = 0;

    for (const struct vr_object *o = res->objects; o; o = o->next) {
        bool affected = o->sub == sub &&
                        (!o->storage || vr_object_is_current(o));

        for (const struct vr_binding *b = o->bindings; affected && b;
             b = b->next) {
            if (done >> b->group & 1) {
                continue;
            }
            done |= 1u << b->group;
            if (b->group == VR_GROUP_FRAMEBUFFER) {
                vr_writer_set_framebuffer(w, sub);
            } else {
                vr_writer_set_views(w, sub, b->group - VR_GROUP_VIEW);
            }
        }
    }
}

static void set_bindings(struct vr_writer *w, struct vr_sub *sub,
                         const struct vr_resource *res)
{
    bool vertex = false;

    for (const struct vr_binding *b = res->bindings; b; b = b->next) {
        if (b->sub == sub && b->group == VR_GROUP_VERTEX) {
            vertex = true;
        } else if (b->sub == sub) {
            vr_writer_set_binding(w, b);
        }
    }
    /* They are set all at once. */
    if (vertex) {
        vr_writer_set_vertex_buffers(w, sub);
    }
}

/*
 * What refers to @from in the renderer refers to @to. One of them is NULL. What
 * could not be detached by a purge refers to storage that is neither.
 */
static void set_storage(struct virgl_reclaim *vr, const struct vr_sub *sub,
                        struct vr_resource *res, struct vr_storage *from,
                        struct vr_storage *to)
{
    for (struct vr_object *o = res->objects; o; o = o->next) {
        if (o->sub == sub && o->storage == from) {
            vr_object_set_storage(vr, o, to);
        }
    }
    for (struct vr_binding *b = res->bindings; b; b = b->next) {
        if (b->sub == sub && b->storage == from) {
            vr_binding_set_storage(vr, b, to);
        }
    }
}

/* Detach */

static void detach_sub(struct virgl_reclaim *vr, struct vr_sub *sub,
                       struct vr_resource *res)
{
    struct vr_writer w;

    set_storage(vr, sub, res, res->storage, NULL);
    vr_writer_begin(&w, vr, sub);
    set_lists(&w, sub, res);
    set_bindings(&w, sub, res);
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        if (o->sub == sub && o->handle && !o->storage) {
            vr_writer_destroy_object(&w, o->handle);
        }
    }
    vr_writer_flush(&w);
    sub->absent = true;
    if (sub->context->in_error) {
        res->storage->untracked_ref = true;
    }
}

void vr_residency_detach(struct virgl_reclaim *vr, struct vr_resource *res)
{
    foreach_sub(vr, res, detach_sub);
}

static bool is_pointer(const struct vr_binding *b)
{
    return b->group >= VR_GROUP_UNIFORM && b->group <= VR_GROUP_ATOMIC;
}

static void unbind_sub(struct virgl_reclaim *vr, struct vr_sub *sub,
                       struct vr_resource *res)
{
    struct vr_writer w;

    vr_writer_begin(&w, vr, sub);
    for (struct vr_binding *b = res->bindings; b; b = b->next) {
        if (b->sub == sub && is_pointer(b) && b->storage) {
            vr_binding_set_storage(vr, b, NULL);
            vr_writer_set_binding(&w, b);
        }
    }
    vr_writer_flush(&w);
}

static bool has_pointers(const struct vr_resource *res)
{
    for (const struct vr_binding *b = res->bindings; b; b = b->next) {
        if (is_pointer(b) && b->storage) {
            return true;
        }
    }
    return false;
}

void vr_residency_unbind(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (has_pointers(res)) {
        foreach_sub(vr, res, unbind_sub);
    }
}

/* Attach */

static void make_objects(struct vr_writer *w, struct vr_sub *sub,
                         const struct vr_resource *res)
{
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        /* One without a handle is made with the list that it is in. */
        if (o->sub == sub && o->handle && !o->storage) {
            vr_writer_create_object(w, o, o->handle, res->storage->id);
        }
    }
}

static void attach_sub(struct virgl_reclaim *vr, struct vr_sub *sub,
                       struct vr_resource *res)
{
    struct vr_context *context = sub->context;
    uint32_t id = res->storage->id;
    bool attached = vr_table_find(&context->resources, id) == res;
    struct vr_writer w;
    uint32_t unit;

    if (!vr_sub_enter(vr, sub)) {
        return;
    }
    /* A context may have been detached from what its objects refer to. */
    if (!attached) {
        virgl_renderer_ctx_attach_resource(context->id, id);
    }
    /* To make a view the renderer binds it: in a unit that nobody uses. */
    unit = vr_gl_select_last_unit();
    vr_writer_begin(&w, vr, sub);
    make_objects(&w, sub, res);
    set_storage(vr, sub, res, NULL, res->storage);
    set_lists(&w, sub, res);
    set_bindings(&w, sub, res);
    vr_writer_flush(&w);
    vr_gl_select_unit(unit);
    vr_storage_add_user(res->storage, sub->serial);
    if (!attached) {
        virgl_renderer_ctx_detach_resource(context->id, id);
    }
}

/*
 * The renderer sets levels and swizzle of a texture when a view of it is bound
 * that needs no texture view of GL, in whatever sub-context: they are those of
 * the view that was bound last.
 */
static struct vr_object *last_bound_view(const struct vr_resource *res)
{
    struct vr_object *last = NULL;
    unsigned n = 0;

    for (struct vr_object *o = res->objects; o; o = o->next) {
        if (o->type == VR_OBJECT_SAMPLER_VIEW && o->last_set) {
            last = last && last->last_set > o->last_set ? last : o;
            n++;
        }
    }
    return n > 1 ? last : NULL;
}

/* A slot to bind @view in for a moment: where it is, or behind a list. */
static struct vr_binding *slot_for_view(const struct vr_object *view)
{
    if (view->bindings) {
        return view->bindings;
    }
    for (unsigned stage = 0; stage < VR_STAGES; stage++) {
        struct vr_bindings *group = view->sub->groups[VR_GROUP_VIEW + stage];

        if (group && group->n < VR_USED_VIEWS) {
            return &group->slots[group->n];
        }
    }
    return NULL;
}

static void bind_view_again(struct virgl_reclaim *vr, struct vr_object *view)
{
    struct vr_binding *b = slot_for_view(view);
    struct vr_bindings *group = b ? view->sub->groups[b->group] : NULL;
    struct vr_writer w;
    uint32_t n;

    if (!b || !vr_sub_enter(vr, view->sub)) {
        return;
    }
    n = group->n;
    vr_writer_begin(&w, vr, view->sub);
    if (b->object) {
        b->object = NULL;
        vr_writer_set_views(&w, view->sub, b->group - VR_GROUP_VIEW);
        b->object = view;
    } else {
        b->object = view;
        group->n = b->index + 1;
        vr_writer_set_views(&w, view->sub, b->group - VR_GROUP_VIEW);
        b->object = NULL;
        group->n = n;
    }
    vr_writer_set_views(&w, view->sub, b->group - VR_GROUP_VIEW);
    vr_writer_flush(&w);
    vr_context_leave(vr, view->sub->context);
}

/*
 * The renderer does not bind a buffer of draw arguments whose GL name is that of
 * the last one, though it may be another buffer by now: each sub-context binds it
 * before it draws with it.
 */
static void mark_indirect(struct virgl_reclaim *vr, uint32_t name)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&vr->subs, &pos))) {
        struct vr_sub *sub = entry->value;

        if ((sub->indirect[0] == name || sub->indirect[1] == name) &&
            !sub->rebind_indirect) {
            sub->rebind_indirect = true;
            vr->n_rebind_indirect++;
        }
    }
}

void vr_residency_rebind_indirect(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    sub->rebind_indirect = false;
    vr->n_rebind_indirect--;
    if (vr_sub_enter(vr, sub)) {
        vr_gl_rebind_indirect();
        vr_context_leave(vr, sub->context);
    }
}

void vr_residency_attach(struct virgl_reclaim *vr, struct vr_resource *res)
{
    struct vr_object *view;

    foreach_sub(vr, res, attach_sub);
    view = last_bound_view(res);
    if (view) {
        bind_view_again(vr, view);
    }
    if (res->storage->buffer && res->storage->name) {
        mark_indirect(vr, res->storage->name);
    }
}
