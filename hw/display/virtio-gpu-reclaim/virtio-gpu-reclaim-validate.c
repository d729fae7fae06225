/*
 * Virtio GPU: validate requests for stock handlers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that show a resource are carried out by the stock handlers, which
 * assume more than a guest that evicts and purges provides: that the resource
 * exists, that it has storage, and that sums of 32 bits do not overflow.
 */

#include "qemu/osdep.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-request.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-validate.h"

VirtIOGPULedgerEntry *
virtio_gpu_reclaim_lookup(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                          uint32_t id)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);

    if (!entry) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
                                  "there is no resource %u", id);
    }
    return entry;
}

static void
virtio_gpu_reclaim_validate_flush(VirtIOGPU *g,
                                  struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_flush rf;

    virtio_gpu_reclaim_request_read(cmd, &rf, sizeof(rf));
    virtio_gpu_reclaim_lookup(g, cmd, le32_to_cpu(rf.resource_id));
}

/*
 * The resource to be scanned out; NULL if @cmd was rejected, or if it disables
 * the scanout, which the stock handler does.
 */
static VirtIOGPULedgerEntry *
virtio_gpu_reclaim_lookup_scanout(VirtIOGPU *g,
                                  struct virtio_gpu_ctrl_command *cmd,
                                  uint32_t scanout_id, uint32_t resource_id)
{
    if (scanout_id >= g->parent_obj.conf.max_outputs) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
                                  "there is no scanout %u", scanout_id);
        return NULL;
    }
    return resource_id ? virtio_gpu_reclaim_lookup(g, cmd, resource_id) : NULL;
}

static void
virtio_gpu_reclaim_validate_set_scanout(VirtIOGPU *g,
                                        struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_set_scanout ss;
    VirtIOGPULedgerEntry *entry;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &ss, sizeof(ss));
    virtio_gpu_bswap_32(&ss, sizeof(ss));
    entry = virtio_gpu_reclaim_lookup_scanout(g, cmd, ss.scanout_id,
                                              ss.resource_id);
    if (!entry) {
        return;
    }
    if (!g->reclaim->backend->can_scanout(g, entry->opaque, &ss.r)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no image of %ux%u at "
                                  "%u, %u", entry->id, ss.r.width,
                                  ss.r.height, ss.r.x, ss.r.y);
        return;
    }
    ret = virtio_gpu_reclaim_restore(g, entry);
    if (ret < 0) {
        virtio_gpu_reclaim_reject_errno(cmd, entry->id, ret);
    }
}

static void virtio_gpu_reclaim_validate_set_scanout_blob(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_set_scanout_blob ss;
    VirtIOGPULedgerEntry *entry;

    if (!virtio_gpu_blob_enabled(g->parent_obj.conf)) {
        return;
    }
    virtio_gpu_reclaim_request_read(cmd, &ss, sizeof(ss));
    virtio_gpu_scanout_blob_bswap(&ss);
    entry = virtio_gpu_reclaim_lookup_scanout(g, cmd, ss.scanout_id,
                                              ss.resource_id);
    if (!entry) {
        return;
    }
    if (!g->reclaim->backend->can_scanout_blob(g, entry->opaque, &ss)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no image of %ux%u at "
                                  "%u, %u with offset %u and stride %u",
                                  entry->id, ss.r.width, ss.r.height, ss.r.x,
                                  ss.r.y, ss.offsets[0], ss.strides[0]);
    }
}

static void virtio_gpu_reclaim_validate_transfer_2d(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_transfer_to_host_2d t2d;
    VirtIOGPULedgerEntry *entry;

    virtio_gpu_reclaim_request_read(cmd, &t2d, sizeof(t2d));
    virtio_gpu_t2d_bswap(&t2d);
    entry = virtio_gpu_reclaim_lookup(g, cmd, t2d.resource_id);
    if (entry &&
        !g->reclaim->backend->can_transfer_2d(g, entry->opaque, &t2d)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u with %" PRIu64 " bytes of "
                                  "backing: %u rows at %" PRIu64 " do not fit",
                                  entry->id, entry->backing_bytes, t2d.r.height,
                                  (uint64_t)t2d.offset);
    }
}

void virtio_gpu_reclaim_validate(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd)
{
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        virtio_gpu_reclaim_validate_flush(g, cmd);
        break;
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        virtio_gpu_reclaim_validate_set_scanout(g, cmd);
        break;
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        virtio_gpu_reclaim_validate_set_scanout_blob(g, cmd);
        break;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        virtio_gpu_reclaim_validate_transfer_2d(g, cmd);
        break;
    default:
        break;
    }
}
