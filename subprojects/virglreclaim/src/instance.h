/* SPDX-License-Identifier: MIT */
/* State of an instance: resources, contexts and accounting. */

#ifndef VIRGLRECLAIM_INSTANCE_H
#define VIRGLRECLAIM_INSTANCE_H

#include "contents.h"
#include "internal.h"
#include "pool.h"
#include "references.h"
#include "table.h"

/* Guests allocate the lowest free ids: most have fewer resources than this. */
#define VR_COMPRESSED_IDS 1024

struct vr_resource {
    vr_args args;               /* to create it again */
    uint64_t bytes;
    enum virgl_reclaim_state state;
    bool attached;
    uint64_t backing;           /* bytes attached ... */
    size_t iov0_bytes;          /* ... and in the first iovec */
    bool gl_buffer;             /* its storage is a GL buffer object */
    struct vr_storage *storage; /* while resident */
    uint64_t released;          /* while purged; 0: deferred, or no storage */
    struct vr_contents contents;    /* while compressed */
};

struct vr_context {
    uint32_t id;
    char *name;
    struct vr_table resources;  /* attached: id -> struct vr_resource */
    struct vr_references references;
};

struct virgl_reclaim {
    struct virgl_reclaim_allocator allocator;
    struct vr_pool resource_pool, storage_pool;
    struct vr_table resources;  /* id -> struct vr_resource */
    struct vr_table contexts;   /* id -> struct vr_context */
    unsigned untracked;         /* contexts with tracking lost */
    uint32_t sub_contexts;      /* of all contexts, GL contexts each */
    uint32_t max_sub_contexts;  /* limit of these; 0: none */
    struct vr_storage *deferred;    /* detached, and still referenced */
    bool deferred_changed;      /* a reference to one of them was dropped */
    struct virgl_reclaim_stats stats;   /* all but resources */
    uint64_t compress_max;      /* limit of stats.compressed_bytes */
    struct virgl_reclaim_events events;
    void *events_opaque;
    /* Number of compressed resources by id modulo VR_COMPRESSED_IDS. */
    uint32_t compressed_ids[VR_COMPRESSED_IDS];
};

static inline struct vr_resource *vr_find(const struct virgl_reclaim *vr,
                                          uint32_t id)
{
    return vr_table_find(&vr->resources, id);
}

static inline struct vr_context *vr_find_ctx(const struct virgl_reclaim *vr,
                                             uint32_t ctx)
{
    return vr_table_find(&vr->contexts, ctx);
}

/* Report an event with the arguments that follow, if it has a callback. */
#define vr_report(vr, event, ...) \
    do { \
        if ((vr)->events.event) { \
            (vr)->events.event(__VA_ARGS__, (vr)->events_opaque); \
        } \
    } while (0)

/* residency.c */

/* Give @res new storage, all zero. Unchanged on failure. */
int vr_make_resident(struct virgl_reclaim *vr, struct vr_resource *res);
/*
 * Detach the storage of @res and release it. @owner is @res for a purge, so
 * that the resource learns when deferred storage is gone, else NULL. Returns
 * true if the storage is gone, false if it is deferred.
 */
bool vr_release_storage(struct virgl_reclaim *vr, struct vr_resource *res,
                        struct vr_resource *owner);

/* compression.c */

/* Give @res, which is compressed, storage with its contents. As restore. */
int vr_compression_restore(struct virgl_reclaim *vr, struct vr_resource *res);
/* Free the compressed contents of @res. */
void vr_compression_discard(struct virgl_reclaim *vr, struct vr_resource *res);

/* stream.c */

/*
 * Returns -EINVAL if a command in the @n words of a stream would make the
 * renderer access invalid memory or leak some, -ENOSPC if there would be too
 * many sub-contexts, else 0.
 */
int vr_stream_validate(const struct virgl_reclaim *vr,
                       const struct vr_context *context, const uint32_t *words,
                       size_t n);

/* contexts.c */

/* Attach @res, which has new storage, in the renderer's contexts. */
void vr_contexts_attach(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* Detach @res, which is being destroyed, from all contexts. */
void vr_contexts_detach(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* Free all contexts without calling the renderer. */
void vr_contexts_reset(struct virgl_reclaim *vr);

/* deleted-texture.c */

/*
 * Unbind a texture that the renderer has deleted, and whose name is not in use
 * again, in the GL contexts of the contexts that it is attached to. Context 0
 * is current before and after.
 */
void vr_deleted_texture_unbind(struct virgl_reclaim *vr,
                               const struct vr_storage *storage);

/* deferred.c */

/*
 * Release @storage, whose resource is @owner if that was purged, else NULL.
 * Returns true if it is gone, and freed; false if it is deferred.
 */
bool vr_deferred_release(struct virgl_reclaim *vr, struct vr_storage *storage,
                         struct vr_resource *owner);
/*
 * The GL name of @storage, which is new, may have been that of deferred
 * storage, which is gone then. Without this the new object would keep the
 * deferred storage alive. A name that an object of the renderer's own takes
 * still does that: deferred storage may count for too long, never too short.
 */
void vr_deferred_name_reused(struct virgl_reclaim *vr,
                             const struct vr_storage *storage);
/* @owner is destroyed or has new storage: deferred storage loses its owner. */
void vr_deferred_detach_owner(struct virgl_reclaim *vr,
                              const struct vr_resource *owner);
/* Report and free deferred storage that is gone. */
void vr_deferred_check(struct virgl_reclaim *vr);
void vr_deferred_reset(struct virgl_reclaim *vr);

#endif
