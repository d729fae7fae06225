/* SPDX-License-Identifier: MIT */
/* Binding points of sub-contexts, as the guest has set them. */

#ifndef VIRGLRECLAIM_BINDING_H
#define VIRGLRECLAIM_BINDING_H

#include "stream.h"

struct virgl_reclaim;
struct vr_object;
struct vr_resource;
struct vr_storage;
struct vr_sub;

/* Groups of binding points. Those with stages have one group for each. */
enum vr_group {
    VR_GROUP_VIEW,
    VR_GROUP_UNIFORM = VR_GROUP_VIEW + VR_STAGES,
    VR_GROUP_BUFFER = VR_GROUP_UNIFORM + VR_STAGES,
    VR_GROUP_IMAGE = VR_GROUP_BUFFER + VR_STAGES,
    VR_GROUP_ATOMIC = VR_GROUP_IMAGE + VR_STAGES,
    VR_GROUP_VERTEX,
    VR_GROUP_FRAMEBUFFER,       /* depth, then colours */
    VR_GROUP_INDEX,
    VR_GROUPS,
};

enum { VR_BINDING_ARGS = 4 };

struct vr_binding {
    struct vr_sub *sub;
    uint8_t group, index;
    /* Of the next two one at most: objects in views and framebuffers. */
    struct vr_object *object;
    struct vr_resource *res;    /* NULL also if it was destroyed meanwhile */
    struct vr_binding *next, **link;    /* bindings of object or res */
    /* What the renderer has bound here, but for objects; NULL: nothing. */
    struct vr_storage *storage;
    uint32_t args[VR_BINDING_ARGS];     /* of the command, but for the id */
};

/* A group, allocated when something is bound in it. */
struct vr_bindings {
    uint32_t n;                 /* in use: those behind it are unbound */
    struct vr_binding slots[];
};

/* Returns NULL if there is no memory. */
struct vr_bindings *vr_bindings_get(struct virgl_reclaim *vr,
                                    struct vr_sub *sub, enum vr_group group);

/* Each replaces what is bound; all but the first argument may be NULL. */
void vr_binding_set_object(struct virgl_reclaim *vr, struct vr_binding *b,
                           struct vr_object *object);
void vr_binding_set_resource(struct virgl_reclaim *vr, struct vr_binding *b,
                             struct vr_resource *res);
/* The renderer has other storage here, or none; the guest's setting stays. */
void vr_binding_set_storage(struct virgl_reclaim *vr, struct vr_binding *b,
                            struct vr_storage *storage);

/* @res is being destroyed: its bindings refer to storage alone. */
void vr_bindings_orphan(struct vr_resource *res);
/* Unbind everything in @sub, which is being destroyed, and free it. */
void vr_bindings_free(struct virgl_reclaim *vr, struct vr_sub *sub);

static inline bool vr_binding_has_object(const struct vr_binding *b)
{
    return b->group < VR_GROUP_UNIFORM || b->group == VR_GROUP_FRAMEBUFFER;
}


#endif
