/* SPDX-License-Identifier: MIT */
/*
 * Objects of sub-contexts that refer to a resource: sampler views, surfaces,
 * stream-out targets and queries.
 */

#ifndef VIRGLRECLAIM_OBJECT_H
#define VIRGLRECLAIM_OBJECT_H

#include "stream.h"

struct virgl_reclaim;
struct vr_binding;
struct vr_context;
struct vr_resource;
struct vr_storage;
struct vr_sub;

/* The longest CREATE_OBJECT of these types, without its header. */
#define VR_OBJECT_ARGS 6

/*
 * An object outlives the storage that it refers to: its words are kept, and
 * the renderer's object is made of them again when there is new storage. It
 * exists until the guest destroys it and it is bound nowhere.
 */
struct vr_object {
    struct vr_sub *sub;
    struct vr_resource *res;    /* NULL: destroyed meanwhile */
    struct vr_object *next, **link;     /* objects of res */
    struct vr_binding *bindings;    /* that it is bound to */
    /* What the renderer's object refers to; NULL: the renderer has none. */
    struct vr_storage *storage;
    uint32_t handle;            /* 0: destroyed by the guest, and still bound */
    uint8_t type;               /* MSAA_SURFACE is SURFACE */
    bool streamed_out;          /* has been set as a stream-out target */
    uint64_t last_set;          /* sequence number; 0: never bound */
    uint64_t bytes;             /* vr_object_bytes() */
    uint32_t header, args[VR_OBJECT_ARGS];
};

/*
 * Create an object of @sub from its command and enter it under its handle,
 * which is free. Returns NULL if there is no memory.
 */
struct vr_object *vr_object_new(struct virgl_reclaim *vr, struct vr_sub *sub,
                                const struct vr_command *cmd,
                                struct vr_resource *res);
/* The guest has destroyed what has @handle, or made something else of it. */
void vr_object_destroy(struct virgl_reclaim *vr, struct vr_sub *sub,
                       uint32_t handle);
/*
 * Enter another object of @sub, which refers to no resource, under its handle,
 * which is free. Returns false if there is no memory.
 */
bool vr_object_add_other(struct virgl_reclaim *vr, struct vr_sub *sub,
                         const struct vr_command *cmd);
/* Forget all of those, with @sub. */
void vr_objects_forget_others(struct virgl_reclaim *vr, struct vr_sub *sub);
/* Free an object that has neither handle nor bindings. */
void vr_object_release(struct virgl_reclaim *vr, struct vr_object *object);
/* The renderer's object refers to @storage now; NULL: there is none. */
void vr_object_set_storage(struct virgl_reclaim *vr, struct vr_object *object,
                           struct vr_storage *storage);
/* @res is being destroyed: its objects refer to storage alone. */
void vr_objects_orphan(struct vr_resource *res);

/*
 * Whether its storage cannot leave: results of a query are in flight, and a
 * stream-out target that has been set has a position that cannot be read.
 */
static inline bool vr_object_is_pinned(const struct vr_object *object)
{
    return object->type == VR_OBJECT_QUERY || object->streamed_out;
}

#endif
