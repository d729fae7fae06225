/* SPDX-License-Identifier: MIT */
/* State of an instance: resources, contexts and accounting. */

#ifndef VIRGLRECLAIM_INSTANCE_H
#define VIRGLRECLAIM_INSTANCE_H

#include "binding.h"
#include "contents.h"
#include "file.h"
#include "internal.h"
#include "object.h"
#include "pool.h"
#include "storage.h"
#include "stream.h"
#include "table.h"
#include "worker.h"

/*
 * Guests allocate the lowest free ids and handles: most have fewer resources and
 * objects in a sub-context than this.
 */
#define VR_ABSENT_IDS 1024
#define VR_ABSENT_HANDLES 1024

/*
 * Walks over more sub-contexts than this are cut into steps, or not begun: each
 * costs a change of the GL context. A purge is one of many in a command of the
 * guest, and walks over fewer.
 */
#define VR_MANY_SUBS 16
#define VR_FEW_SUBS 8

/*
 * Handles for objects that the library makes for a moment. Guests count from 1;
 * one that uses these has bound objects that cannot be made again.
 */
#define VR_PRIVATE_HANDLES 0xffffff00u

/* Resources by last use. */
struct vr_lru {
    struct vr_resource *newest, *oldest;
};

struct vr_resource {
    vr_args args;               /* to create it again */
    uint64_t bytes, overhead;
    enum virgl_reclaim_state state;
    bool destroyed;             /* has contents for its objects only */
    bool absent;                /* objects and bindings are not in the renderer */
    bool notify;                /* report when it is pinned no more */
    bool incompressible;        /* as it was last used */
    bool gl_buffer;             /* its storage is a GL buffer object */
    bool described;             /* counted, by describe.c */
    bool packed;                /* it is in vr->packed, not vr->resident */
    bool attached;
    struct iovec *iov;          /* attached backing: the caller's ... */
    int n_iov;                  /* ... of so many entries */
    uint64_t backing;           /* bytes attached ... */
    size_t iov0_bytes;          /* ... and in the first iovec */
    struct vr_storage *storage; /* while resident */
    struct vr_storage *deferred;    /* while purged, if not gone yet */
    uint64_t released;          /* while purged; 0: deferred, or no storage */
    struct vr_contents contents;    /* while compressed */
    struct vr_object *objects;  /* that refer to it */
    struct vr_binding *bindings;    /* that it is bound to without an object */
    uint64_t last_use;
    struct vr_resource *newer, *older;  /* in vr->resident or vr->packed */
    struct vr_resource *next_orphan, **orphan_link; /* while destroyed */
    struct vr_resource *next_used, **used_link;     /* needed or kept */
};

/* A GL context of a context. */
struct vr_sub {
    struct vr_context *context;
    uint32_t id;
    uint32_t serial;            /* unique in the instance */
    struct vr_table objects;    /* handle -> struct vr_object */
    struct vr_table others;     /* handle -> vr_object_bytes() of other objects */
    struct vr_bindings *groups[VR_GROUPS];
    bool absent;                /* something bound may not be in the renderer */
    /* Number of objects that are not, by handle modulo VR_ABSENT_HANDLES. */
    uint32_t absent_handles[VR_ABSENT_HANDLES];
    /* GL names of the last buffers of arguments and of counts drawn with. */
    uint32_t indirect[2];
    bool rebind_indirect;       /* one of them is that of a newer buffer */
    bool private_handles;       /* the guest uses some of VR_PRIVATE_HANDLES */
    uint64_t last_draw;         /* 0: none; else its time, plus one */
    uint64_t visited;           /* vr->visits when it was */
    bool retire;                /* it has used storage that left */
};

struct vr_context {
    uint32_t id;
    char *name;
    struct vr_table resources;  /* attached: id -> struct vr_resource */
    struct vr_table subs;       /* id -> struct vr_sub */
    struct vr_sub *current;
    uint64_t last_use;
    uint64_t lost_object_bytes; /* of objects that may be there, unrecorded */
    /*
     * A command is unknown: until it is destroyed the context may refer to any
     * resource attached to it, besides what is recorded here.
     */
    bool tracking_lost;
    /*
     * A stream was not carried out to its end, so what is recorded here may be
     * wrong. Implies tracking_lost; the renderer executes no more commands.
     */
    bool in_error;
};

/* Decompression under way, if @res is not NULL. */
struct vr_load {
    struct vr_resource *res;
    struct vr_loader *loader;
    vr_args args;               /* with the id that the storage has meanwhile */
    uint64_t us;                /* when it began */
};

struct virgl_reclaim {
    struct virgl_reclaim_allocator allocator;
    struct vr_pool resource_pool, storage_pool, object_pool;
    struct vr_table resources;  /* id -> struct vr_resource */
    struct vr_table contexts;   /* id -> struct vr_context */
    struct vr_table subs;       /* serial -> struct vr_sub, of all contexts */
    struct vr_table buffers, textures;  /* GL name -> struct vr_storage */
    struct vr_resource *orphans;    /* without id */
    unsigned untracked;         /* contexts with tracking lost */
    uint32_t max_sub_contexts;  /* limit of subs; 0: none */
    uint64_t object_bytes;      /* vr_object_bytes() of all objects */
    uint64_t max_object_bytes;  /* limit of it */
    uint32_t serial;            /* of the last sub-context */
    uint64_t sequence;          /* of the last binding of an object */
    uint64_t visits;            /* walks over sub-contexts */
    uint64_t now;               /* virgl_reclaim_set_time() */
    struct vr_lru resident;
    struct vr_lru packed;       /* compressed in memory, and worth a write */
    struct vr_storage *deferred;    /* detached, and still referenced */
    uint64_t n_deferred;        /* of these */
    struct vr_storage *unreferenced;    /* of these, to be looked at */
    uint64_t unchecked;         /* of these, to be looked at later */
    uint64_t n_deleted;         /* of these, to be unbound in each GL context */
    uint64_t pass;              /* of virgl_reclaim_collect() over them */
    uint32_t pass_pos;          /* the next one in subs, 0: a new pass */
    uint64_t pass_subs;         /* changes of subs when it began */
    uint64_t sub_changes;
    uint64_t n_retire;          /* sub-contexts to retire what they have used */
    uint64_t n_rebind_indirect; /* sub-contexts where that is due */
    struct vr_worker worker;
    struct vr_resource *compressing;    /* or NULL; then also: */
    struct vr_saver *saver;
    int saver_over;             /* what it is to exceed its maximum */
    bool cancelled;             /* the last one that was begun */
    struct vr_load load;        /* what is being decompressed in steps */
    /* virgl_reclaim_try_submit() wants them resident ... */
    struct vr_resource *needed;
    struct vr_resource *kept;   /* ... and these stay so */
    struct virgl_reclaim_stats stats;   /* all but resources */
    uint64_t compress_max;      /* limit of stats.compressed_bytes */
    struct vr_file file;        /* for what exceeds it */
    struct vr_write write;      /* that is under way */
    bool write_failed;          /* the last one */
    struct virgl_reclaim_events events;
    void *events_opaque;
    /*
     * Number of resources that are absent: in all, and of those with contents
     * by id modulo VR_ABSENT_IDS.
     */
    uint32_t absent_ids[VR_ABSENT_IDS];
    uint32_t absent;
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

/*
 * Whether the renderer's object refers to the storage that the resource has,
 * and can be made again, not to older storage or that of a destroyed resource.
 */
static inline bool vr_object_is_current(const struct vr_object *object)
{
    return object->res && object->storage &&
           object->storage == object->res->storage;
}

/* Report an event with the arguments that follow, if it has a callback. */
#define vr_report(vr, event, ...) \
    do { \
        if ((vr)->events.event) { \
            (vr)->events.event(__VA_ARGS__, (vr)->events_opaque); \
        } \
    } while (0)

#endif
