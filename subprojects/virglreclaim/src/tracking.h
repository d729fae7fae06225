/* SPDX-License-Identifier: MIT */
/* What contexts refer to and use, tracked from their command streams. */

#ifndef VIRGLRECLAIM_TRACKING_H
#define VIRGLRECLAIM_TRACKING_H

#include "instance.h"

#define VR_TRACKED \
    (VR_BIT(VR_CREATE_OBJECT) | VR_BIT(VR_DESTROY_OBJECT) | \
     VR_BIT(VR_SET_FRAMEBUFFER_STATE) | VR_BIT(VR_SET_VERTEX_BUFFERS) | \
     VR_BIT(VR_SET_SAMPLER_VIEWS) | VR_BIT(VR_SET_INDEX_BUFFER) | \
     VR_BIT(VR_SET_STREAMOUT_TARGETS) | VR_BIT(VR_SET_UNIFORM_BUFFER) | \
     VR_BIT(VR_SET_SHADER_BUFFERS) | VR_BIT(VR_SET_SHADER_IMAGES) | \
     VR_BIT(VR_SET_ATOMIC_BUFFERS) | VR_BIT(VR_SET_SUB_CTX) | \
     VR_BIT(VR_CREATE_SUB_CTX) | VR_BIT(VR_DESTROY_SUB_CTX) | \
     VR_BIT(VR_CREATE_VIDEO_BUFFER) | VR_BIT(VR_CLEAR) | \
     VR_BIT(VR_DRAW_VBO) | VR_BIT(VR_LAUNCH_GRID) | \
     VR_BIT(VR_RESOURCE_INLINE_WRITE) | VR_BIT(VR_BLIT) | \
     VR_BIT(VR_RESOURCE_COPY_REGION) | VR_BIT(VR_GET_QUERY_RESULT_QBO) | \
     VR_BIT(VR_TRANSFER3D) | VR_BIT(VR_COPY_TRANSFER3D) | \
     VR_BIT(VR_CLEAR_TEXTURE))

/* Update from what @found has that the renderer has executed without an error. */
void vr_tracking_read(struct virgl_reclaim *vr, struct vr_context *context,
                      const struct vr_found *found);

#endif
