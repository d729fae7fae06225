/* SPDX-License-Identifier: MIT */
/* The books: resources, contexts, and storage that was given up. */

#include "internal.h"

#include <errno.h>
#include <glib.h>

struct resource {
    vr_args args;               /* to create it again */
    uint64_t bytes;
    enum virgl_reclaim_state state;
    bool attached;
    uint64_t backing;           /* bytes attached */
    struct vr_storage storage;  /* while resident */
    uint64_t released;          /* while purged; 0: not gone, or not known */
};

/*
 * Storage given up that something in a context still refers to. The name
 * stays taken for as long as that is so, which makes it a key.
 */
struct ghost {
    struct vr_storage storage;
    uint64_t bytes;
    bool purged;                /* or destroyed */
    struct resource *owner;     /* NULL once restored or destroyed */
};

struct context {
    char *name;
    GHashTable *resources;      /* set of ids */
};

struct virgl_reclaim {
    GHashTable *resources;      /* id -> struct resource */
    GHashTable *contexts;       /* id -> struct context */
    GHashTable *ghosts;         /* storage_key() -> struct ghost */
    struct virgl_reclaim_stats stats;   /* all but ghosts and resources */
};

static gpointer id_key(uint32_t id)
{
    return GUINT_TO_POINTER(id);
}

static gint64 storage_key(const struct vr_storage *storage)
{
    return (gint64)storage->buffer << 32 | storage->name;
}

static struct resource *find(const struct virgl_reclaim *vr, uint32_t id)
{
    return g_hash_table_lookup(vr->resources, id_key(id));
}

static struct context *find_ctx(const struct virgl_reclaim *vr, uint32_t ctx)
{
    return g_hash_table_lookup(vr->contexts, id_key(ctx));
}

static void free_ctx(gpointer data)
{
    struct context *context = data;

    g_hash_table_destroy(context->resources);
    g_free(context->name);
    g_free(context);
}

/* Ghosts */

/* The storage has gone: account for it. The caller removes the ghost. */
static void ghost_gone(struct virgl_reclaim *vr, struct ghost *ghost)
{
    if (ghost->owner) {
        ghost->owner->released = ghost->bytes;
        vr->stats.released_bytes += ghost->bytes;
    }
    if (ghost->purged) {
        vr->stats.released_total += ghost->bytes;
    }
}

static void ghost_add(struct virgl_reclaim *vr, const struct resource *res,
                      struct resource *owner)
{
    struct ghost *ghost = g_new(struct ghost, 1);
    gint64 *key = g_new(gint64, 1);

    *key = storage_key(&res->storage);
    *ghost = (struct ghost) {
        .storage = res->storage,
        .bytes = res->bytes,
        .purged = owner != NULL,
        .owner = owner,
    };
    g_hash_table_replace(vr->ghosts, key, ghost);
}

/*
 * New storage has this name: what had it before has gone. Without this its
 * ghost would seem to live for as long as the new one does. (A name that
 * goes to an object of the renderer's own still does that: a ghost may be
 * thought alive too long, never gone too soon.)
 */
static void ghost_name_reused(struct virgl_reclaim *vr,
                              const struct vr_storage *storage)
{
    gint64 key = storage_key(storage);
    struct ghost *ghost = g_hash_table_lookup(vr->ghosts, &key);

    if (storage->name && ghost) {
        ghost_gone(vr, ghost);
        g_hash_table_remove(vr->ghosts, &key);
    }
}

static void ghost_orphan(struct virgl_reclaim *vr, struct resource *res)
{
    gint64 key = storage_key(&res->storage);
    struct ghost *ghost = g_hash_table_lookup(vr->ghosts, &key);

    if (ghost && ghost->owner == res) {
        ghost->owner = NULL;
    }
}

static void ghosts_check(struct virgl_reclaim *vr)
{
    GHashTableIter iter;
    gpointer value;

    if (!g_hash_table_size(vr->ghosts)) {
        return;
    }

    virgl_renderer_force_ctx_0();
    g_hash_table_iter_init(&iter, vr->ghosts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct ghost *ghost = value;

        if (!vr_storage_alive(&ghost->storage)) {
            ghost_gone(vr, ghost);
            g_hash_table_iter_remove(&iter);
        }
    }
}

/* Books */

struct virgl_reclaim *virgl_reclaim_new(void)
{
    struct virgl_reclaim *vr = g_new0(struct virgl_reclaim, 1);

    vr->resources = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    vr->contexts = g_hash_table_new_full(NULL, NULL, NULL, free_ctx);
    vr->ghosts = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                       g_free);
    return vr;
}

void virgl_reclaim_free(struct virgl_reclaim *vr)
{
    if (!vr) {
        return;
    }
    g_hash_table_destroy(vr->resources);
    g_hash_table_destroy(vr->contexts);
    g_hash_table_destroy(vr->ghosts);
    g_free(vr);
}

void virgl_reclaim_reset(struct virgl_reclaim *vr)
{
    g_hash_table_remove_all(vr->resources);
    g_hash_table_remove_all(vr->contexts);
    g_hash_table_remove_all(vr->ghosts);
    vr->stats.resident_bytes = 0;
    vr->stats.purged = 0;
    vr->stats.released_bytes = 0;
}

/* Resources */

static int make_resident(struct virgl_reclaim *vr, struct resource *res)
{
    struct vr_storage storage;
    int ret = vr_storage_create(&res->args, &storage);

    if (ret) {
        return ret;
    }
    ghost_name_reused(vr, &storage);
    ghost_orphan(vr, res);
    res->storage = storage;
    res->state = VIRGL_RECLAIM_RESIDENT;
    vr->stats.resident_bytes += res->bytes;
    return 0;
}

int virgl_reclaim_resource_create(struct virgl_reclaim *vr,
                                  const vr_args *args)
{
    g_autofree struct resource *res = NULL;
    int ret;

    if (!args->handle) {
        return -EINVAL;
    }
    /* The renderer would destroy the one that has the id. */
    if (find(vr, args->handle)) {
        return -EEXIST;
    }

    res = g_new0(struct resource, 1);
    res->args = *args;
    res->bytes = virgl_reclaim_args_bytes(args);
    if (res->bytes == UINT64_MAX) {
        return -EINVAL;
    }

    ret = make_resident(vr, res);
    if (ret) {
        return ret;
    }
    g_hash_table_insert(vr->resources, id_key(args->handle),
                        g_steal_pointer(&res));
    return 0;
}

int virgl_reclaim_resource_unref(struct virgl_reclaim *vr, uint32_t id)
{
    struct resource *res = find(vr, id);
    GHashTableIter iter;
    gpointer context;

    if (!res) {
        return -ENOENT;
    }
    if (res->attached) {
        return -EBUSY;
    }

    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        vr->stats.resident_bytes -= res->bytes;
        vr_storage_drop(id);
        if (vr_storage_alive(&res->storage)) {
            ghost_add(vr, res, NULL);
        }
    } else {
        vr->stats.purged--;
        vr->stats.released_bytes -= res->released;
        ghost_orphan(vr, res);
    }

    g_hash_table_iter_init(&iter, vr->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &context)) {
        g_hash_table_remove(((struct context *)context)->resources,
                            id_key(id));
    }
    g_hash_table_remove(vr->resources, id_key(id));
    return 0;
}

int virgl_reclaim_resource_attach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec *iov, int n)
{
    struct resource *res = find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (!iov || n <= 0) {
        return -EINVAL;
    }
    if (res->attached) {
        return -EEXIST;
    }

    ret = virgl_reclaim_resource_restore(vr, id);
    if (ret) {
        return ret;
    }
    if (virgl_renderer_resource_attach_iov(id, iov, n)) {
        return -EINVAL;
    }
    res->attached = true;
    res->backing = 0;
    for (int i = 0; i < n; i++) {
        res->backing += iov[i].iov_len;
    }
    return 0;
}

int virgl_reclaim_resource_detach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec **iov, int *n)
{
    struct resource *res = find(vr, id);
    struct iovec *old = NULL;
    int count = 0, ret = 0;

    if (!res) {
        ret = -ENOENT;
    } else if (!res->attached) {
        ret = -ENODATA;
    } else {
        virgl_renderer_resource_detach_iov(id, &old, &count);
        res->attached = false;
    }

    if (iov) {
        *iov = old;
    }
    if (n) {
        *n = count;
    }
    return ret;
}

int virgl_reclaim_resource_transfer(struct virgl_reclaim *vr, uint32_t id,
                                    const struct virgl_reclaim_transfer *t)
{
    struct virgl_box box = { t->x, t->y, t->z, t->w, t->h, t->d };
    struct resource *res = find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (!res->attached) {
        return -ENODATA;
    }
    if (t->ctx && !find_ctx(vr, t->ctx)) {
        return -ESRCH;
    }
    ret = vr_check_transfer(&res->args, res->backing, t);
    if (ret) {
        return ret;
    }
    if (t->to_host) {
        ret = virgl_renderer_transfer_write_iov(id, t->ctx, t->level,
                                                t->stride, t->layer_stride,
                                                &box, t->offset, NULL, 0);
    } else {
        ret = virgl_renderer_transfer_read_iov(id, t->ctx, t->level, t->stride,
                                               t->layer_stride, &box,
                                               t->offset, NULL, 0);
    }
    return ret ? -EINVAL : 0;
}

/* Contexts */

int virgl_reclaim_ctx_create(struct virgl_reclaim *vr, uint32_t ctx,
                             uint32_t nlen, const char *name)
{
    struct context *context;
    int ret;

    if (!ctx) {
        return -EINVAL;
    }
    if (find_ctx(vr, ctx)) {
        return -EEXIST;
    }
    ret = virgl_renderer_context_create(ctx, nlen, name);
    if (ret) {
        return ret > 0 ? -ret : ret;
    }
    context = g_new(struct context, 1);
    context->name = g_strndup(name, nlen);
    context->resources = g_hash_table_new(NULL, NULL);
    g_hash_table_insert(vr->contexts, id_key(ctx), context);
    return 0;
}

int virgl_reclaim_ctx_destroy(struct virgl_reclaim *vr, uint32_t ctx)
{
    if (!find_ctx(vr, ctx)) {
        return -ENOENT;
    }
    virgl_renderer_context_destroy(ctx);
    g_hash_table_remove(vr->contexts, id_key(ctx));
    /* Its surfaces and views are gone, and maybe storage with them. */
    ghosts_check(vr);
    return 0;
}

int virgl_reclaim_ctx_attach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id)
{
    struct context *context = find_ctx(vr, ctx);
    struct resource *res = find(vr, id);

    if (!context || !res) {
        return -ENOENT;
    }
    if (g_hash_table_add(context->resources, id_key(id)) &&
        res->state == VIRGL_RECLAIM_RESIDENT) {
        virgl_renderer_ctx_attach_resource(ctx, id);
    }
    return 0;
}

int virgl_reclaim_ctx_detach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id)
{
    struct context *context = find_ctx(vr, ctx);
    struct resource *res = find(vr, id);

    if (!context || !res) {
        return -ENOENT;
    }
    if (!g_hash_table_remove(context->resources, id_key(id))) {
        return -ENODATA;
    }
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        virgl_renderer_ctx_detach_resource(ctx, id);
    }
    return 0;
}

static gint compare_ids(gconstpointer a, gconstpointer b)
{
    guint x = GPOINTER_TO_UINT(a), y = GPOINTER_TO_UINT(b);

    return x < y ? -1 : x > y;
}

void virgl_reclaim_ctx_foreach(
    const struct virgl_reclaim *vr,
    void (*func)(const struct virgl_reclaim_ctx *ctx, void *opaque),
    void *opaque)
{
    g_autoptr(GList) ids = g_list_sort(g_hash_table_get_keys(vr->contexts),
                                       compare_ids);

    for (GList *l = ids; l; l = l->next) {
        struct context *context = g_hash_table_lookup(vr->contexts, l->data);
        struct virgl_reclaim_ctx ctx = {
            .id = GPOINTER_TO_UINT(l->data),
            .name = context->name,
        };
        GHashTableIter iter;
        gpointer id;

        g_hash_table_iter_init(&iter, context->resources);
        while (g_hash_table_iter_next(&iter, &id, NULL)) {
            const struct resource *res = find(vr, GPOINTER_TO_UINT(id));

            ctx.resources++;
            if (res->state == VIRGL_RECLAIM_RESIDENT) {
                ctx.bytes += res->bytes;
            }
        }
        func(&ctx, opaque);
    }
}

/* Purge and restore */

int virgl_reclaim_resource_purge(struct virgl_reclaim *vr, uint32_t id,
                                 uint64_t *released)
{
    struct resource *res = find(vr, id);
    uint64_t gone = 0;
    int ret = 0;

    if (!res) {
        ret = -ENOENT;
    } else if (res->attached) {
        ret = -EBUSY;
    } else if (res->state == VIRGL_RECLAIM_RESIDENT) {
        vr_storage_drop(id);
        if (vr_storage_alive(&res->storage)) {
            ghost_add(vr, res, res);
        } else if (res->storage.name) {
            /* What is not GL's cannot be seen to go, and does not count. */
            gone = res->bytes;
        }
        res->state = VIRGL_RECLAIM_PURGED;
        res->released = gone;
        vr->stats.resident_bytes -= res->bytes;
        vr->stats.purged++;
        vr->stats.purges++;
        vr->stats.released_bytes += gone;
        vr->stats.released_total += gone;
    }

    if (released) {
        *released = gone;
    }
    return ret;
}

int virgl_reclaim_resource_restore(struct virgl_reclaim *vr, uint32_t id)
{
    struct resource *res = find(vr, id);
    GHashTableIter iter;
    gpointer ctx, context;
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        return 0;
    }

    ret = make_resident(vr, res);
    if (ret) {
        return ret;
    }
    vr->stats.purged--;
    vr->stats.restores++;
    vr->stats.released_bytes -= res->released;
    res->released = 0;

    g_hash_table_iter_init(&iter, vr->contexts);
    while (g_hash_table_iter_next(&iter, &ctx, &context)) {
        if (g_hash_table_contains(((struct context *)context)->resources,
                                  id_key(id))) {
            virgl_renderer_ctx_attach_resource(GPOINTER_TO_UINT(ctx), id);
        }
    }
    return 0;
}

/* Queries */

enum virgl_reclaim_state virgl_reclaim_resource_state(
    const struct virgl_reclaim *vr, uint32_t id)
{
    const struct resource *res = find(vr, id);

    return res ? res->state : VIRGL_RECLAIM_NONE;
}

const vr_args *virgl_reclaim_resource_args(const struct virgl_reclaim *vr,
                                           uint32_t id)
{
    const struct resource *res = find(vr, id);

    return res ? &res->args : NULL;
}

bool virgl_reclaim_resource_attached(const struct virgl_reclaim *vr,
                                     uint32_t id)
{
    const struct resource *res = find(vr, id);

    return res && res->attached;
}

uint64_t virgl_reclaim_resource_bytes(const struct virgl_reclaim *vr,
                                      uint32_t id)
{
    const struct resource *res = find(vr, id);

    return res ? res->bytes : 0;
}

void virgl_reclaim_get_stats(struct virgl_reclaim *vr,
                             struct virgl_reclaim_stats *stats)
{
    GHashTableIter iter;
    gpointer value;

    ghosts_check(vr);

    *stats = vr->stats;
    stats->resources = g_hash_table_size(vr->resources);
    stats->deferred = g_hash_table_size(vr->ghosts);
    g_hash_table_iter_init(&iter, vr->ghosts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        stats->deferred_bytes += ((struct ghost *)value)->bytes;
    }
}
