/* SPDX-License-Identifier: MIT */
/* The books: which resources and contexts there are, and what was given up. */

#ifndef VIRGLRECLAIM_BOOKS_H
#define VIRGLRECLAIM_BOOKS_H

#include "contents.h"
#include "internal.h"
#include "pool.h"
#include "references.h"
#include "table.h"

/* More than a guest has resources, as a rule: they have the lowest free ids. */
#define VR_STORED_IDS 1024

struct vr_resource {
    vr_args args;               /* to create it again */
    uint64_t bytes;
    enum virgl_reclaim_state state;
    bool attached;
    uint64_t backing;           /* bytes attached ... */
    size_t iov0_bytes;          /* ... and in the first of them */
    bool gl_buffer;             /* its storage is a buffer object of GL */
    struct vr_storage *storage; /* while resident */
    uint64_t released;          /* while purged; 0: not gone, or not known */
    struct vr_contents contents;    /* while stored */
};

struct vr_context {
    uint32_t id;
    char *name;
    struct vr_table resources;  /* those attached: id -> struct vr_resource */
    struct vr_references references;
};

struct virgl_reclaim {
    struct virgl_reclaim_allocator allocator;
    struct vr_pool resource_pool, storage_pool;
    struct vr_table resources;  /* id -> struct vr_resource */
    struct vr_table contexts;   /* id -> struct vr_context */
    unsigned lost;              /* contexts whose references are not known */
    struct vr_storage *ghosts;  /* given up, and still referred to */
    bool ghosts_moved;          /* some may have gone */
    struct virgl_reclaim_stats stats;   /* all but resources */
    uint64_t compress_max;      /* bytes of compressed contents */
    struct virgl_reclaim_events events;
    void *events_opaque;
    /* How many are stored that have an id of this remainder. */
    uint32_t stored_ids[VR_STORED_IDS];
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

/* Call an event's function, if there is one, with the arguments that follow. */
#define vr_report(vr, event, ...) \
    do { \
        if ((vr)->events.event) { \
            (vr)->events.event(__VA_ARGS__, (vr)->events_opaque); \
        } \
    } while (0)

/* residency.c */

/* Give @res storage, all zero. On failure it is as it was. */
int vr_make_resident(struct virgl_reclaim *vr, struct vr_resource *res);
/*
 * Take its storage from @res, which goes on as @owner or ends. Returns true if
 * it has gone.
 */
bool vr_make_homeless(struct virgl_reclaim *vr, struct vr_resource *res,
                      struct vr_resource *owner);

/* store.c */

/* Give @res, which is stored, storage with its contents. As restore. */
int vr_store_restore(struct virgl_reclaim *vr, struct vr_resource *res);
/* Throw away what is stored of @res, which is stored. */
void vr_store_forget(struct virgl_reclaim *vr, struct vr_resource *res);

/* stream.c */

/*
 * Returns -EINVAL if one of @n words would make the renderer access memory that
 * it must not.
 */
int vr_stream_validate(const struct vr_context *context, const uint32_t *words,
                       size_t n);

/* use.c */

/*
 * The context is about to carry @n words out: restore what is stored and may
 * be used by them. As restore; after an error some may have been.
 */
int vr_store_use(struct virgl_reclaim *vr, const struct vr_context *context,
                 const uint32_t *words, size_t n);

/* contexts.c */

/* Attach @res again where it belongs, once it has storage. */
void vr_contexts_attach(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* @res ends. */
void vr_contexts_forget(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* All contexts end, without a word to the renderer. */
void vr_contexts_reset(struct virgl_reclaim *vr);

/* stale.c */

/*
 * Unbind a texture that the renderer has deleted, and whose name no other has
 * yet, in the GL contexts of those that may use it. Context 0 is current then.
 */
void vr_stale_unbind(struct virgl_reclaim *vr,
                     const struct vr_storage *storage);

/* ghosts.c */

/*
 * The books give @storage up, which belonged to @owner if that lives on.
 * Returns true if it has gone, and @storage with it; false if it became a
 * ghost.
 */
bool vr_ghosts_give_up(struct virgl_reclaim *vr, struct vr_storage *storage,
                       struct vr_resource *owner);
/*
 * New storage has this name: what had it before has gone. Without this its
 * ghost would seem to live for as long as the new one does. (A name that
 * goes to an object of the renderer's own still does that: a ghost may be
 * thought alive too long, never gone too soon.)
 */
void vr_ghosts_name_reused(struct virgl_reclaim *vr,
                           const struct vr_storage *storage);
/* @owner ends, or has new storage: its ghosts are nobody's. */
void vr_ghosts_orphan(struct virgl_reclaim *vr,
                      const struct vr_resource *owner);
/* Look which of them have gone. */
void vr_ghosts_check(struct virgl_reclaim *vr);
void vr_ghosts_reset(struct virgl_reclaim *vr);

#endif
