/* SPDX-License-Identifier: MIT */
/* Command streams of the library's own. */

#ifndef VIRGLRECLAIM_WRITER_H
#define VIRGLRECLAIM_WRITER_H

#include "instance.h"

/* Words in a stream; more than any command takes that is written. */
#define VR_WRITER_WORDS 256

struct vr_writer {
    struct virgl_reclaim *vr;
    struct vr_context *context;
    uint32_t n;
    uint32_t words[VR_WRITER_WORDS];
};

/* Start a stream for @context, whose current sub-context is to be @sub. */
void vr_writer_begin(struct vr_writer *w, struct virgl_reclaim *vr,
                     struct vr_sub *sub);
/*
 * Append a command with @length arguments, all zero, and return these. Submits
 * what is there if there is no room.
 */
uint32_t *vr_writer_command(struct vr_writer *w, uint32_t code, uint32_t type,
                            uint32_t length);
/*
 * Submit. If the renderer rejects a command the context is in error, and
 * nothing more is submitted.
 */
void vr_writer_flush(struct vr_writer *w);

/* Append what binds in a group, or a slot of it, what the renderer can have. */
void vr_writer_set_views(struct vr_writer *w, struct vr_sub *sub,
                         unsigned stage);
void vr_writer_set_framebuffer(struct vr_writer *w, struct vr_sub *sub);
void vr_writer_set_vertex_buffers(struct vr_writer *w, struct vr_sub *sub);
void vr_writer_set_binding(struct vr_writer *w, const struct vr_binding *b);

void vr_writer_create_object(struct vr_writer *w,
                             const struct vr_object *object, uint32_t handle,
                             uint32_t id);
void vr_writer_destroy_object(struct vr_writer *w, uint32_t handle);

#endif
