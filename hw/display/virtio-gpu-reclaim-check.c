/*
 * Virtio GPU: what stock handlers take for granted
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that read or write a resource are carried out by the stock
 * handlers, which take for granted more than a guest that evicts and purges
 * lets them: that the command is whole, that its resource is there, and that
 * the resource has storage.
 */

#include "qemu/osdep.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-reclaim-backend.h"

static bool check_size(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                       size_t size)
{
    union {
        struct virtio_gpu_cmd_get_edid edid;
        struct virtio_gpu_get_capset_info capset_info;
        struct virtio_gpu_get_capset capset;
        struct virtio_gpu_set_scanout_blob scanout_blob;
    } unused;

    assert(size <= sizeof(unused));
    return virtio_gpu_reclaim_read(g, cmd, &unused, size);
}

static bool check_flush(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_flush rf;

    return virtio_gpu_reclaim_read(g, cmd, &rf, sizeof(rf)) &&
           virtio_gpu_reclaim_find(g, cmd, le32_to_cpu(rf.resource_id));
}

static bool check_set_scanout(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    struct virtio_gpu_set_scanout ss;
    VirtIOGPULedgerEntry *entry;
    int ret;

    if (!virtio_gpu_reclaim_read(g, cmd, &ss, sizeof(ss))) {
        return false;
    }
    virtio_gpu_bswap_32(&ss, sizeof(ss));
    if (ss.scanout_id >= g->parent_obj.conf.max_outputs) {
        virtio_gpu_reclaim_refuse(g, cmd,
                                  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
                                  "there is no scanout %u", ss.scanout_id);
        return false;
    }
    if (ss.resource_id == 0) {
        return true;
    }
    entry = virtio_gpu_reclaim_find(g, cmd, ss.resource_id);
    if (!entry) {
        return false;
    }
    if (!backend->check_show(g, entry, &ss.r)) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no image of %ux%u at "
                                  "%u, %u", entry->id, ss.r.width,
                                  ss.r.height, ss.r.x, ss.r.y);
        return false;
    }
    ret = virtio_gpu_reclaim_restore(g, entry);
    if (ret < 0) {
        virtio_gpu_reclaim_refuse_errno(g, cmd, entry->id, ret);
        return false;
    }
    return true;
}

bool virtio_gpu_reclaim_check(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        return check_flush(g, cmd);
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        return check_set_scanout(g, cmd);
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return check_size(g, cmd, sizeof(struct virtio_gpu_set_scanout_blob));
    case VIRTIO_GPU_CMD_GET_EDID:
        return check_size(g, cmd, sizeof(struct virtio_gpu_cmd_get_edid));
    case VIRTIO_GPU_CMD_GET_CAPSET_INFO:
        return check_size(g, cmd, sizeof(struct virtio_gpu_get_capset_info));
    case VIRTIO_GPU_CMD_GET_CAPSET:
        return check_size(g, cmd, sizeof(struct virtio_gpu_get_capset));
    default:
        return true;
    }
}

bool virtio_gpu_reclaim_cursor(VirtIOGPU *g, uint32_t resource_id)
{
    const VirtIOGPUReclaimBackend *backend;
    VirtIOGPULedgerEntry *entry;

    if (!g->reclaim || resource_id == 0) {
        return resource_id != 0;
    }
    entry = virtio_gpu_ledger_find(g->reclaim->ledger, resource_id);
    if (!entry || virtio_gpu_reclaim_restore(g, entry) < 0) {
        return false;
    }
    backend = g->reclaim->backend;
    return backend->check_cursor ? backend->check_cursor(g, entry) :
           backend->check_show(g, entry, &(struct virtio_gpu_rect) { });
}
