/*
 * Virtio GPU: private copies of requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Another vCPU can rewrite a request while it is carried out. So each byte of
 * it is copied out of guest memory once, and whoever reads the request,
 * validation, our handlers or those of the stock device, reads that copy: the
 * element's out_sg points to it until the response is sent. The fixed part is
 * copied at once, what follows it when its length has been validated.
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/units.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-request.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/*
 * Most bytes that may follow the fixed part: the memory entries of 64 GiB in
 * single pages. The descriptors of a queue can overlap, and so describe more
 * than the guest has memory; a copy of that must not exhaust the host's.
 */
#define TAIL_MAX (256 * MiB)

/* Errors. */

void virtio_gpu_reclaim_reject(struct virtio_gpu_ctrl_command *cmd,
                               enum virtio_gpu_ctrl_type error,
                               const char *fmt, ...)
{
    cmd->error = error;
    if (qemu_loglevel_mask(LOG_GUEST_ERROR) ||
        trace_event_get_state_backends(TRACE_VIRTIO_GPU_RECLAIM_REJECT)) {
        g_autofree char *why = NULL;
        va_list ap;

        va_start(ap, fmt);
        why = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        qemu_log_mask(LOG_GUEST_ERROR,
                      "virtio-gpu: command 0x%x rejected with 0x%x: %s\n",
                      cmd->cmd_hdr.type, error, why);
        trace_virtio_gpu_reclaim_reject(cmd->cmd_hdr.type, error, why);
    }
}

void virtio_gpu_reclaim_reject_errno(struct virtio_gpu_ctrl_command *cmd,
                                     uint32_t resource_id, int err)
{
    enum virtio_gpu_ctrl_type error;

    switch (err) {
    case -EAGAIN:
        virtio_gpu_reclaim_suspend(cmd);
        return;
    case -ENOENT:
        error = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
        break;
    case -ENOMEM:
        error = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
        break;
    case -EINVAL:
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
        break;
    default:
        error = VIRTIO_GPU_RESP_ERR_UNSPEC;
        break;
    }
    virtio_gpu_reclaim_reject(cmd, error, "resource %u: %s", resource_id,
                              strerror(-err));
}

/* The copy. */

/*
 * Bytes of the structure that a handler reads, stock handlers included. What is
 * no command has only a header.
 */
static size_t virtio_gpu_reclaim_request_size(VirtIOGPU *g, uint32_t type)
{
    switch (type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        return sizeof(struct virtio_gpu_resource_create_2d);
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        return sizeof(struct virtio_gpu_resource_unref);
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        return sizeof(struct virtio_gpu_set_scanout);
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        return sizeof(struct virtio_gpu_resource_flush);
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        return sizeof(struct virtio_gpu_transfer_to_host_2d);
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        return sizeof(struct virtio_gpu_resource_attach_backing);
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        return sizeof(struct virtio_gpu_resource_detach_backing);
    case VIRTIO_GPU_CMD_GET_CAPSET_INFO:
        return sizeof(struct virtio_gpu_get_capset_info);
    case VIRTIO_GPU_CMD_GET_CAPSET:
        return sizeof(struct virtio_gpu_get_capset);
    case VIRTIO_GPU_CMD_GET_EDID:
        return sizeof(struct virtio_gpu_cmd_get_edid);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        return sizeof(struct virtio_gpu_resource_create_blob);
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return sizeof(struct virtio_gpu_set_scanout_blob);
    case VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
        return sizeof(struct virtio_gpu_resource_map_blob);
    case VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB:
        return sizeof(struct virtio_gpu_resource_unmap_blob);
    case VIRTIO_GPU_CMD_CTX_CREATE:
        return sizeof(struct virtio_gpu_ctx_create);
    case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
    case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
        return sizeof(struct virtio_gpu_ctx_resource);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        return sizeof(struct virtio_gpu_resource_create_3d);
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
    case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
        return sizeof(struct virtio_gpu_transfer_host_3d);
    case VIRTIO_GPU_CMD_SUBMIT_3D:
        return sizeof(struct virtio_gpu_cmd_submit);
    case VIRTIO_GPU_CMD_RESOURCE_PURGE:
        if (virtio_vdev_has_feature(VIRTIO_DEVICE(g), VIRTIO_GPU_F_RECLAIM)) {
            return sizeof(struct virtio_gpu_resource_purge);
        }
        /* fall through */
    default:
        return sizeof(struct virtio_gpu_ctrl_hdr);
    }
}

QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_ctx_create) >
                  VIRTIO_GPU_RECLAIM_REQUEST_MAX);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_set_scanout_blob) >
                  VIRTIO_GPU_RECLAIM_REQUEST_MAX);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_resource_create_3d) >
                  VIRTIO_GPU_RECLAIM_REQUEST_MAX);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_transfer_host_3d) >
                  VIRTIO_GPU_RECLAIM_REQUEST_MAX);

/* Copy the next part of the request, up to byte @end of it. */
static bool
virtio_gpu_reclaim_request_fetch(struct virtio_gpu_ctrl_command *cmd, void *buf,
                                 size_t start, size_t end)
{
    const VirtIOGPUReclaimRequest *r = &cmd->reclaim;
    size_t size = start + iov_to_buf(r->out_sg, r->out_num, start, buf,
                                     end - start);

    if (size != end) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it has %zu of %zu bytes", size, end);
    }
    return size == end;
}

bool virtio_gpu_reclaim_fetch_request(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaimRequest *r = &cmd->reclaim;
    size_t size;

    if (!g->reclaim) {
        return true;
    }
    r->suspended = false;
    if (r->out_sg) {
        return true;
    }
    r->out_sg = cmd->elem.out_sg;
    r->out_num = cmd->elem.out_num;
    memset(&cmd->cmd_hdr, 0, sizeof(cmd->cmd_hdr));
    if (!virtio_gpu_reclaim_request_fetch(cmd, r->fixed, 0,
                                          sizeof(cmd->cmd_hdr))) {
        virtio_gpu_ctrl_response_nodata(g, cmd, cmd->error);
        return false;
    }
    memcpy(&cmd->cmd_hdr, r->fixed, sizeof(cmd->cmd_hdr));
    virtio_gpu_bswap_32(&cmd->cmd_hdr, sizeof(cmd->cmd_hdr));
    size = virtio_gpu_reclaim_request_size(g, cmd->cmd_hdr.type);
    if (!virtio_gpu_reclaim_request_fetch(cmd, r->fixed + sizeof(cmd->cmd_hdr),
                                          sizeof(cmd->cmd_hdr), size)) {
        size = sizeof(cmd->cmd_hdr);
    }
    r->iov[0] = (struct iovec) { .iov_base = r->fixed, .iov_len = size };
    cmd->elem.out_sg = r->iov;
    cmd->elem.out_num = 1;
    return true;
}

void *
virtio_gpu_reclaim_request_fetch_tail(struct virtio_gpu_ctrl_command *cmd,
                                      size_t size)
{
    VirtIOGPUReclaimRequest *r = &cmd->reclaim;
    size_t start = r->iov[0].iov_len, have;
    void *tail;

    if (r->iov[1].iov_base) {
        return r->iov[1].iov_base;
    }
    have = iov_size(r->out_sg, r->out_num);
    if (size > have - start) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it has %zu of %zu bytes", have,
                                  start + size);
        return NULL;
    }
    tail = size <= TAIL_MAX ? g_try_malloc(size ?: 1) : NULL;
    if (!tail) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
                                  "no memory for %zu bytes of it", size);
        return NULL;
    }
    r->iov[1] = (struct iovec) { .iov_base = tail, .iov_len = size };
    cmd->elem.out_num = 2;
    return virtio_gpu_reclaim_request_fetch(cmd, tail, start, start + size) ?
           tail : NULL;
}

void virtio_gpu_reclaim_request_read(const struct virtio_gpu_ctrl_command *cmd,
                                     void *buf, size_t size)
{
    assert(size <= cmd->reclaim.iov[0].iov_len);
    memcpy(buf, cmd->reclaim.fixed, size);
}

void virtio_gpu_reclaim_release_request(struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaimRequest *r = &cmd->reclaim;

    if (!r->out_sg) {
        return;
    }
    cmd->elem.out_sg = r->out_sg;
    cmd->elem.out_num = r->out_num;
    g_free(r->iov[1].iov_base);
    r->iov[1] = (struct iovec) { };
    g_clear_pointer(&r->partial, g_free);
    r->out_sg = NULL;
}

/* Responses. */

void virtio_gpu_reclaim_prepare_response(struct virtio_gpu_ctrl_command *cmd,
                                         struct virtio_gpu_ctrl_hdr *resp)
{
    virtio_gpu_reclaim_release_request(cmd);
    if (cmd->reclaim.error) {
        resp->type = cmd->reclaim.error;
    }
}
