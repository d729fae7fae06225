/* SPDX-License-Identifier: MIT */
/* Who refers to which storage, as read from command streams. */

#ifndef VIRGLRECLAIM_REFERENCES_H
#define VIRGLRECLAIM_REFERENCES_H

#include "stream.h"
#include "table.h"

struct virgl_reclaim;
struct vr_context;
struct vr_resource;
struct vr_storage;

/* A place in a sub-context where the renderer keeps a reference. */
enum vr_slot {
    VR_SLOT_VIEW,               /* stages x VR_MAX_VIEWS */
    VR_SLOT_UNIFORM = VR_SLOT_VIEW + VR_STAGES * VR_MAX_VIEWS,
    VR_SLOT_BUFFER = VR_SLOT_UNIFORM + VR_STAGES * VR_MAX_UNIFORM_BUFFERS,
    VR_SLOT_IMAGE = VR_SLOT_BUFFER + VR_STAGES * VR_MAX_SHADER_BUFFERS,
    VR_SLOT_ATOMIC = VR_SLOT_IMAGE + VR_STAGES * VR_MAX_SHADER_IMAGES,
    VR_SLOT_VERTEX = VR_SLOT_ATOMIC + VR_MAX_ATOMIC_BUFFERS,
    VR_SLOT_COLOR = VR_SLOT_VERTEX + VR_MAX_VERTEX_BUFFERS,
    VR_SLOT_DEPTH = VR_SLOT_COLOR + VR_MAX_COLOR_SURFACES,
    VR_SLOT_INDEX,
    VR_SLOTS,
};

struct vr_sub {
    uint32_t id;
    struct vr_table objects;    /* handle -> those that refer to storage */
    struct vr_storage *slots[VR_SLOTS];
    struct {
        uint32_t stride, offset;
    } vertex[VR_MAX_VERTEX_BUFFERS];
    uint32_t n_vertex;
    uint32_t n_views[VR_STAGES];
};

/* Of one context. */
struct vr_references {
    struct vr_table subs;       /* id -> struct vr_sub */
    struct vr_sub *current;
    /*
     * A command is not known. From here to its end the context may refer to
     * all that it may use, besides what is in here.
     */
    bool lost;
    /*
     * Something was not carried out to the end, so what is in here may be
     * wrong. Lost as well, and the renderer carries nothing out any more.
     */
    bool stopped;
};

/* Sub-context 0 is always there. False if there is no memory. */
bool vr_references_begin(struct virgl_reclaim *vr, struct vr_context *context);
/* The context has ended. */
void vr_references_end(struct virgl_reclaim *vr, struct vr_context *context);

/* The renderer has carried @n words out, and said that all is well. */
void vr_references_read(struct virgl_reclaim *vr, struct vr_context *context,
                        const uint32_t *words, size_t n);
/* The renderer has refused some of what was submitted. */
void vr_references_stop(struct virgl_reclaim *vr, struct vr_context *context);

/* Whether a context that is lost may use @storage. */
bool vr_references_lost(const struct virgl_reclaim *vr,
                        const struct vr_storage *storage);

/* Whether anything may refer to it but the books. */
bool vr_storage_referenced(const struct virgl_reclaim *vr,
                           const struct vr_storage *storage);

/* The context must not name @res any more. */
void vr_references_detach(struct virgl_reclaim *vr, struct vr_context *context,
                          const struct vr_resource *res);

/*
 * Have the renderer let go of buffers and images that are bound. Of uniform,
 * shader and atomic buffers and of images 0.10 keeps the address and no
 * reference: it must not have them when they end. With @all vertex and index
 * buffers as well, which the renderer does not look up again when the same id
 * is bound once more: it would not see new storage.
 */
void vr_references_unbind(struct virgl_reclaim *vr, struct vr_storage *storage,
                          bool all);

/* @storage is the model's to free once nothing refers to it. */
void vr_storage_free(struct virgl_reclaim *vr, struct vr_storage *storage);

#endif
