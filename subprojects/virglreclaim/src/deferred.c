/* SPDX-License-Identifier: MIT */
/* Deferred storage: detached from its resource, and still referenced. */

#include "deferred.h"
#include "context.h"
#include "gl-context.h"
#include "overflow.h"

/* Deferred storage that is looked at in one go, for no reason of its own. */
#define CHECK_SOME 64

/* Deleted textures to unbind one by one, rather than all that there are. */
#define UNBIND_EACH 8

/* References */

static struct vr_table *names(struct virgl_reclaim *vr,
                              const struct vr_storage *storage)
{
    return storage->buffer ? &vr->buffers : &vr->textures;
}

void vr_storage_put(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    if (!storage || --storage->references) {
        return;
    }
    if (storage->free_on_last_ref) {
        vr_pool_free(&vr->storage_pool, storage);
    } else if (storage->deferred && !storage->unreferenced) {
        /* The renderer may have released it with this reference. */
        storage->unreferenced = true;
        storage->next_unreferenced = vr->unreferenced;
        vr->unreferenced = storage;
    }
}

static void set_deleted(struct virgl_reclaim *vr, struct vr_storage *storage,
                        bool deleted)
{
    vr->n_deleted += deleted - storage->deleted;
    storage->deleted = deleted;
    /* The pass that is under way has been elsewhere already. */
    storage->pass = vr->pass + 1;
}

static void forget_unreferenced(struct virgl_reclaim *vr,
                                const struct vr_storage *storage)
{
    struct vr_storage **link = &vr->unreferenced;

    while (storage->unreferenced && *link != storage) {
        link = &(*link)->next_unreferenced;
    }
    if (storage->unreferenced) {
        *link = storage->next_unreferenced;
    }
}

void vr_storage_free(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    if (!storage) {
        return;
    }
    forget_unreferenced(vr, storage);
    set_deleted(vr, storage, false);
    if (vr_table_find(names(vr, storage), storage->name) == storage) {
        vr_table_remove(names(vr, storage), storage->name);
    }
    if (storage->references) {
        storage->free_on_last_ref = true;
    } else {
        vr_pool_free(&vr->storage_pool, storage);
    }
}

/* The list */

static void link_deferred(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    struct vr_storage *first = vr->deferred;

    vr->n_deferred++;
    if (first) {
        storage->next = first;
        storage->previous = first->previous;
        storage->previous->next = storage;
        first->previous = storage;
    } else {
        storage->next = storage;
        storage->previous = storage;
        vr->deferred = storage;
    }
}

static void unlink_deferred(struct virgl_reclaim *vr,
                            struct vr_storage *storage)
{
    vr->n_deferred--;
    storage->previous->next = storage->next;
    storage->next->previous = storage->previous;
    if (vr->deferred == storage) {
        vr->deferred = storage->next != storage ? storage->next : NULL;
    }
}

/* The storage is gone: account for it, report it and free it. */
static void storage_gone(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    uint64_t bytes = storage->bytes, overhead = storage->overhead;
    bool purged = storage->purged;
    uint32_t id = 0;

    unlink_deferred(vr, storage);
    if (storage->owner) {
        id = storage->owner->args.handle;
        storage->owner->released = bytes;
        storage->owner->deferred = NULL;
        vr->stats.released_bytes += bytes;
    }
    if (purged) {
        vr->stats.released_total += bytes;
    }
    vr->stats.deferred--;
    vr->stats.deferred_bytes -= bytes;
    vr_storage_free(vr, storage);
    vr_report(vr, storage_released, id, bytes, overhead, purged);
}

/*
 * Whether a GL context that cannot be made current may have the deleted texture
 * bound: that of a context with tracking lost that the resource is, or was,
 * attached to.
 */
static bool may_be_bound(const struct virgl_reclaim *vr,
                         const struct vr_storage *storage)
{
    return !storage->buffer && vr->untracked &&
           (storage->untracked_ref || vr_contexts_untracked(vr, storage));
}

/*
 * GL knows whether an object exists, but not whether a GL context has a deleted
 * one bound. For storage that is no GL object only the tracked references tell.
 */
static bool is_alive(const struct virgl_reclaim *vr,
                     const struct vr_storage *storage)
{
    if (storage->name_reused) {
        return may_be_bound(vr, storage);
    }
    if (!storage->name) {
        return vr_contexts_refer(vr, storage);
    }
    return vr_storage_alive(storage) || may_be_bound(vr, storage);
}

static void unbind(struct virgl_reclaim *vr, struct vr_sub *sub,
                   const struct vr_storage *storage)
{
    (void)vr, (void)sub;
    vr_gl_unbind_texture(storage->target, storage->binding, storage->name);
}

/* A deleted texture lives on where it is bound. Context 0 is current. */
static void unbind_deleted(struct virgl_reclaim *vr,
                           const struct vr_storage *storage)
{
    if (storage->buffer || !storage->name) {
        return;
    }
    if (storage->n_users || vr->untracked) {
        vr_storage_foreach_user(vr, storage, unbind);
        virgl_renderer_force_ctx_0();
    }
    vr_gl_unbind_active(storage->target, storage->binding, storage->name);
}

/*
 * Context 0 is current. What many GL contexts may have bound is unbound step by
 * step: virgl_reclaim_collect().
 */
static bool is_gone(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    if (storage->deleted || is_alive(vr, storage)) {
        return false;
    }
    if (!storage->buffer && storage->name &&
        vr_storage_has_many_users(vr, storage)) {
        set_deleted(vr, storage, true);
        return false;
    }
    unbind_deleted(vr, storage);
    /* An error there may have cost the tracking of a context. */
    return !is_alive(vr, storage);
}

void vr_deferred_retire(struct virgl_reclaim *vr,
                        const struct vr_storage *storage)
{
    for (unsigned i = 0; !storage->buffer && i < storage->n_users &&
                         i < VR_USERS; i++) {
        struct vr_sub *sub = vr_table_find(&vr->subs, storage->users[i]);

        if (sub && !sub->retire) {
            sub->retire = true;
            vr->n_retire++;
        }
    }
}

bool vr_deferred_release(struct virgl_reclaim *vr, struct vr_storage *storage,
                         uint32_t id, struct vr_resource *owner)
{
    /* Unless purged, contents must stay as long as a context uses them. */
    bool purged = owner != NULL, truncated;

    virgl_renderer_force_ctx_0();
    /* GL fails to bind a view of a buffer that has been truncated. */
    truncated = purged && !storage->references && vr_storage_truncate(storage);
    vr_storage_unref(storage->id);
    storage->id = id;
    if (truncated || is_gone(vr, storage)) {
        vr_storage_free(vr, storage);
        return true;
    }
    storage->deferred = true;
    storage->owner = owner;
    storage->purged = purged;
    if (owner) {
        owner->deferred = storage;
    }
    link_deferred(vr, storage);
    vr->stats.deferred++;
    vr->stats.deferred_bytes += storage->bytes;
    vr_report(vr, storage_deferred, id, storage->bytes, storage->overhead);
    return false;
}

void vr_deferred_name_used(struct virgl_reclaim *vr,
                           struct vr_storage *storage)
{
    struct vr_storage *old;

    if (!storage->name) {
        return;
    }
    old = vr_table_find(names(vr, storage), storage->name);
    if (old && may_be_bound(vr, old)) {
        /* GL reuses the names of textures that are still bound somewhere. */
        vr_table_remove(names(vr, storage), storage->name);
        old->name = 0;
        old->name_reused = true;
    } else if (old) {
        storage_gone(vr, old);
    }
    vr_table_insert(names(vr, storage), storage->name, storage);
}

void vr_deferred_detach_owner(struct vr_resource *owner)
{
    if (owner->deferred) {
        owner->deferred->owner = NULL;
        owner->deferred = NULL;
    }
}

/* Checks */

static void unbind_all(struct virgl_reclaim *vr, struct vr_sub *sub,
                       const struct vr_storage *storage)
{
    (void)storage;
    if (sub->visited != vr->visits) {
        sub->visited = vr->visits;
        vr_gl_unbind_deleted();
    }
}

/*
 * If many of the first @n are deleted, unbind all that are in each GL context
 * once. Those that many GL contexts may have bound are left to is_gone().
 */
static void unbind_many(struct virgl_reclaim *vr, uint64_t n)
{
    struct vr_storage *s = vr->deferred;
    uint64_t deleted = 0;

    for (uint64_t i = 0; i < n; i++, s = s->next) {
        deleted += !s->buffer && !is_alive(vr, s);
    }
    if (deleted <= UNBIND_EACH) {
        return;
    }
    vr->visits++;
    for (uint64_t i = 0; i < n; i++, s = s->next) {
        if (!s->buffer && s->name && !vr_storage_has_many_users(vr, s) &&
            !is_alive(vr, s)) {
            vr_storage_foreach_user(vr, s, unbind_all);
            s->n_users = 0;
        }
    }
    virgl_renderer_force_ctx_0();
    vr_gl_unbind_deleted();
}

/* Look at the first @max, and begin after them the next time. */
static void check(struct virgl_reclaim *vr, uint64_t max)
{
    uint64_t n = vr->n_deferred < max ? vr->n_deferred : max;

    if (n) {
        virgl_renderer_force_ctx_0();
        unbind_many(vr, n);
    }
    while (n--) {
        struct vr_storage *storage = vr->deferred;

        vr->deferred = storage->next;
        if (is_gone(vr, storage)) {
            storage_gone(vr, storage);
        }
    }
}

bool vr_deferred_check(struct virgl_reclaim *vr)
{
    uint64_t n = 0;

    if (!vr->unreferenced) {
        return false;
    }
    /* They become the first. */
    while (vr->unreferenced) {
        struct vr_storage *storage = vr->unreferenced;

        vr->unreferenced = storage->next_unreferenced;
        storage->unreferenced = false;
        unlink_deferred(vr, storage);
        link_deferred(vr, storage);
        vr->deferred = storage;
        n++;
    }
    check(vr, n);
    return true;
}

static void check_next(struct virgl_reclaim *vr)
{
    check(vr, CHECK_SOME);
    vr->unchecked -= vr->unchecked < CHECK_SOME ? vr->unchecked : CHECK_SOME;
}

void vr_deferred_check_all(struct virgl_reclaim *vr)
{
    vr_deferred_check(vr);
    vr->unchecked = vr->n_deferred;
    check_next(vr);
}

bool vr_deferred_check_some(struct virgl_reclaim *vr)
{
    bool some = vr_deferred_check(vr) || vr->n_deferred;

    check(vr, CHECK_SOME);
    return some;
}

/* Unbind in some sub-contexts. Returns whether this was the end of a pass. */
static bool collect_some(struct virgl_reclaim *vr)
{
    const struct vr_entry *entry = NULL;
    unsigned left = VR_MANY_SUBS;

    if (!vr->pass_pos || vr->pass_subs != vr->sub_changes) {
        vr->pass++;
        vr->pass_pos = 0;
        vr->pass_subs = vr->sub_changes;
    }
    while (left-- && (entry = vr_table_next(&vr->subs, &vr->pass_pos))) {
        struct vr_sub *sub = entry->value;

        if (vr_sub_enter(vr, sub)) {
            vr_gl_unbind_deleted();
            vr_context_leave(vr, sub->context);
        }
    }
    virgl_renderer_force_ctx_0();
    vr_gl_unbind_deleted();
    if (!entry) {
        vr->pass_pos = 0;
    }
    return !entry;
}

static void collect_deleted(struct virgl_reclaim *vr)
{
    if (!vr->n_deleted || !collect_some(vr)) {
        return;
    }
    for (uint64_t n = vr->n_deferred; n; n--) {
        struct vr_storage *storage = vr->deferred;

        vr->deferred = storage->next;
        if (storage->deleted && storage->pass <= vr->pass) {
            set_deleted(vr, storage, false);
            if (!is_alive(vr, storage)) {
                storage_gone(vr, storage);
            }
        }
    }
}

static void retire_some(struct virgl_reclaim *vr)
{
    const struct vr_entry *entry;
    unsigned left = VR_MANY_SUBS;
    uint32_t pos = 0;

    while (vr->n_retire && left && (entry = vr_table_next(&vr->subs, &pos))) {
        struct vr_sub *sub = entry->value;

        if (!sub->retire) {
            continue;
        }
        sub->retire = false;
        vr->n_retire--;
        left--;
        if (vr_sub_enter(vr, sub)) {
            vr_gl_retire();
            vr_context_leave(vr, sub->context);
        }
    }
}

bool virgl_reclaim_collect(struct virgl_reclaim *vr)
{
    if (vr->unchecked) {
        check_next(vr);
    }
    collect_deleted(vr);
    retire_some(vr);
    return vr_overflow_is_writing(vr) || vr->unchecked || vr->n_deleted ||
           vr->n_retire;
}

void vr_deferred_reset(struct virgl_reclaim *vr)
{
    vr->unchecked = 0;
    while (vr->deferred) {
        struct vr_storage *storage = vr->deferred;

        unlink_deferred(vr, storage);
        vr_storage_free(vr, storage);
    }
}
