/* SPDX-License-Identifier: MIT */
/*
 * Validation of command streams: what makes the renderer access memory that it
 * does not own, or allocate memory that is not accounted, is rejected before
 * anything is submitted. The comments say what virglrenderer 0.10.4 does;
 * tests/test-stream-safety.c shows it.
 */

#include "instance.h"

#include <errno.h>

/* Sizes of what the renderer writes, from src/virgl_protocol.h. */
enum {
    QUERY_RESULT_BYTES = 16,    /* struct virgl_host_query_state */
    MEMORY_INFO_BYTES = 24,     /* struct virgl_memory_info */
};

static const struct vr_resource *find(const struct vr_context *context,
                                      const struct vr_command *cmd,
                                      unsigned arg)
{
    return cmd->length > arg ?
           vr_table_find(&context->resources, cmd->args[arg]) : NULL;
}

/*
 * The result goes to the start of the first iovec: without one the renderer
 * dereferences a null pointer, and does not check its length.
 */
static bool is_memory_info_safe(const struct vr_context *context,
                                const struct vr_command *cmd)
{
    const struct vr_resource *res = find(context, cmd, 0);

    return res && res->attached && res->iov0_bytes >= MEMORY_INFO_BYTES;
}

/*
 * Results of a query go to the backing of its buffer, within its bounds. While
 * none is attached, be it from the start or after a detach, they go to a copy
 * that the renderer has allocated with the buffer's size, which is not checked.
 */
static bool is_query_safe(const struct vr_context *context,
                          const struct vr_command *cmd)
{
    const struct vr_resource *res = find(context, cmd, 3);

    return !res || res->args.target != VR_TARGET_BUFFER ||
           res->args.width >= QUERY_RESULT_BYTES;
}

/*
 * GL writes the result to the buffer object that is bound, within its bounds.
 * If the resource has no such object, none is bound, and GL writes to the
 * offset as an address of the process. An id that is not attached to the
 * context is an error of the renderer's.
 */
static bool is_query_buffer_safe(const struct vr_context *context,
                                 const struct vr_command *cmd)
{
    const struct vr_resource *res = find(context, cmd, 1);

    return !res || res->gl_buffer;
}

static bool is_safe(const struct vr_context *context,
                    const struct vr_command *cmd)
{
    switch (cmd->code) {
    case VR_CREATE_OBJECT:
        return cmd->type != VR_OBJECT_QUERY || is_query_safe(context, cmd);
    case VR_GET_QUERY_RESULT_QBO:
        return is_query_buffer_safe(context, cmd);
    case VR_GET_MEMORY_INFO:
        return is_memory_info_safe(context, cmd);
    case VR_PIPE_RESOURCE_CREATE:
        /*
         * Creates storage for a later RESOURCE_CREATE_BLOB of host memory. It
         * has no resource id until then, and is leaked if the context ends
         * first. Such blobs are not supported (virglreclaim.h), and Mesa's
         * virgl (22.3, 25.0) sends this command only along with one: if the
         * kernel driver has blobs in host-visible memory (supports_coherent) and
         * the capset VIRGL_CAP_ARB_BUFFER_STORAGE.
         * PIPE_RESOURCE_SET_TYPE allocates nothing: it only applies to a blob,
         * and is ignored for other resources.
         */
        return false;
    default:
        return true;
    }
}

/*
 * A sub-context is a GL context of its own. What the stream destroys counts
 * until its end: a stream that replaces many may be rejected near the limit.
 */
static bool is_new_sub(const struct vr_context *context,
                       const struct vr_command *cmd)
{
    return cmd->code == VR_CREATE_SUB_CTX && cmd->length == 1 &&
           !vr_table_find(&context->subs, cmd->args[0]);
}

#define VALIDATED \
    (VR_BIT(VR_CREATE_OBJECT) | VR_BIT(VR_GET_QUERY_RESULT_QBO) | \
     VR_BIT(VR_CREATE_SUB_CTX) | VR_BIT(VR_PIPE_RESOURCE_CREATE) | \
     VR_BIT(VR_GET_MEMORY_INFO))

static int validate(const struct virgl_reclaim *vr,
                    const struct vr_context *context,
                    const struct vr_command *cmd, uint64_t *subs)
{
    if (!is_safe(context, cmd)) {
        return -EINVAL;
    }
    if (is_new_sub(context, cmd) && vr->max_sub_contexts &&
        ++*subs > vr->max_sub_contexts) {
        return -ENOSPC;
    }
    return 0;
}

static inline void add(struct vr_found *found, const struct vr_command *cmd,
                       const struct vr_stream *stream)
{
    const uint32_t *header = cmd->args - 1;

    if (found->n < VR_MAX_FOUND) {
        found->headers[found->n++] = header;
    } else if (!found->rest.left) {
        found->rest.next = header;
        found->rest.left = 1 + cmd->length + stream->left;
    }
}

int vr_stream_validate(const struct virgl_reclaim *vr,
                       const struct vr_context *context, const uint32_t *words,
                       size_t n, uint64_t codes, struct vr_found *found)
{
    struct vr_stream stream = { words, n };
    uint64_t subs = vr->subs.used;
    struct vr_command cmd;
    int ret = 0;

    found->n = 0;
    found->object_bytes = 0;
    found->rest.left = 0;
    while (!ret && vr_stream_next(&stream, VALIDATED | codes, &cmd)) {
        add(found, &cmd, &stream);
        if (vr_code_in(VALIDATED, cmd.code)) {
            ret = validate(vr, context, &cmd, &subs);
            if (cmd.code == VR_CREATE_OBJECT) {
                found->object_bytes += vr_object_bytes(&cmd);
            }
        }
    }
    /* As with sub-contexts, what it destroys counts until its end. */
    if (!ret && found->object_bytes &&
        vr->object_bytes + found->object_bytes > vr->max_object_bytes) {
        ret = -EDQUOT;
    }
    return ret;
}
