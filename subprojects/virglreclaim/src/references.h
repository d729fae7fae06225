/* SPDX-License-Identifier: MIT */
/* References of contexts to storage, tracked from their command streams. */

#ifndef VIRGLRECLAIM_REFERENCES_H
#define VIRGLRECLAIM_REFERENCES_H

#include "stream.h"
#include "table.h"

struct virgl_reclaim;
struct vr_context;
struct vr_resource;
struct vr_storage;

/* Bindings of a sub-context. */
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
    struct vr_table objects;    /* handle -> object that refers to storage */
    struct vr_storage *slots[VR_SLOTS];
    struct {
        uint32_t stride, offset;
    } vertex[VR_MAX_VERTEX_BUFFERS];
    uint32_t n_vertex;
    uint32_t n_views[VR_STAGES];
};

/* References of one context. */
struct vr_references {
    struct vr_table subs;       /* id -> struct vr_sub */
    struct vr_sub *current;
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

/* Creates sub-context 0. Returns false if there is no memory. */
bool vr_references_begin(struct virgl_reclaim *vr, struct vr_context *context);
/* The context is destroyed: drop its references. */
void vr_references_end(struct virgl_reclaim *vr, struct vr_context *context);

/* Update from @n words that the renderer has executed without an error. */
void vr_references_read(struct virgl_reclaim *vr, struct vr_context *context,
                        const uint32_t *words, size_t n);
/* The renderer has rejected a command: put the context in error. */
void vr_references_set_error(struct virgl_reclaim *vr,
                             struct vr_context *context);

/* Whether @storage is attached to a context with tracking lost. */
bool vr_references_untracked(const struct virgl_reclaim *vr,
                             const struct vr_storage *storage);

/* Whether any context refers to @storage, or may do so. */
bool vr_references_exist(const struct virgl_reclaim *vr,
                         const struct vr_storage *storage);

/* @res is detached from the context, which can name it no more. */
void vr_references_detach(struct virgl_reclaim *vr, struct vr_context *context,
                          const struct vr_resource *res);

/* Free @storage, once nothing refers to it. */
void vr_references_free_storage(struct virgl_reclaim *vr,
                                struct vr_storage *storage);

/*
 * bindings.c: unbind buffers and images, in the renderer as well. Renderer 0.10
 * holds no reference to bound uniform, shader and atomic buffers and images but
 * uses their addresses, so they must be unbound before they are destroyed. With
 * @all vertex and index buffers are unbound, too: the renderer does not look
 * them up again when the same id is bound once more, so it would not see new
 * storage.
 */
void vr_bindings_unbind(struct virgl_reclaim *vr, struct vr_storage *storage,
                        bool all);

#endif
