/*
 * Virtio GPU: commands of rendering contexts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Contexts, command streams and transfers of GL devices. Unlike the stock
 * handlers these answer what the renderer rejects with an error.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "trace/trace-hw_display.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-cmd-3d.h"
#include "virtio-gpu-reclaim-request.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-trim.h"
#include "virtio-gpu-reclaim-validate.h"

/* Room that is made for objects at a time, so that it is made seldom. */
#define OBJECT_ROOM (1 * MiB)

/* Reject @cmd if it failed because of its context. */
static void virtio_gpu_reclaim_ctx_result(struct virtio_gpu_ctrl_command *cmd,
                                          int ret)
{
    enum virtio_gpu_ctrl_type error;

    switch (ret) {
    case 0:
        return;
    case -ESRCH:
        error = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
        break;
    case -EINVAL:
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
        break;
    case -ENOMEM:
    case -ENOSPC:
    case -EDQUOT:
        error = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
        break;
    default:
        error = VIRTIO_GPU_RESP_ERR_UNSPEC;
        break;
    }
    virtio_gpu_reclaim_reject(cmd, error, "context %u: %s",
                              cmd->cmd_hdr.ctx_id,
                              ret == -ENOSPC ? "over x-max-contexts" :
                              ret == -EDQUOT ? "objects over max_hostmem" :
                                               strerror(-ret));
}

static void virtio_gpu_reclaim_cmd_get_capset(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    g_autofree struct virtio_gpu_resp_capset *resp = NULL;
    g_autofree void *capset = NULL;
    struct virtio_gpu_get_capset gc;
    uint32_t size;

    virtio_gpu_reclaim_request_read(cmd, &gc, sizeof(gc));
    virtio_gpu_bswap_32(&gc, sizeof(gc));
    capset = g->reclaim->backend->get_capset(g, gc.capset_id,
                                             gc.capset_version, &size);
    if (!capset) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "there is no capset %u", gc.capset_id);
        return;
    }
    resp = g_malloc0(sizeof(*resp) + size);
    resp->hdr.type = VIRTIO_GPU_RESP_OK_CAPSET;
    memcpy(resp->capset_data, capset, size);
    virtio_gpu_ctrl_response(g, cmd, &resp->hdr, sizeof(*resp) + size);
}

/* The name is terminated only if the driver has done so. */
static void
virtio_gpu_reclaim_trace_ctx_create(const struct virtio_gpu_ctx_create *cc)
{
    if (trace_event_get_state_backends(TRACE_VIRTIO_GPU_CMD_CTX_CREATE)) {
        g_autofree char *name = g_strndup(cc->debug_name,
                                          sizeof(cc->debug_name));

        trace_virtio_gpu_cmd_ctx_create(cc->hdr.ctx_id, name);
    }
}

static void virtio_gpu_reclaim_cmd_ctx_create(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_ctx_create cc;
    bool has_capset = virtio_vdev_has_feature(VIRTIO_DEVICE(g),
                                              VIRTIO_GPU_F_CONTEXT_INIT);

    virtio_gpu_reclaim_request_read(cmd, &cc, sizeof(cc));
    virtio_gpu_reclaim_trace_ctx_create(&cc);
    /* The renderer copies as many bytes as it is told. */
    virtio_gpu_reclaim_ctx_result(cmd, g->reclaim->backend->ctx_create(
        g, cc.hdr.ctx_id, has_capset ? le32_to_cpu(cc.context_init) : 0,
        cc.debug_name,
        MIN(le32_to_cpu(cc.nlen), sizeof(cc.debug_name))));
}

static void virtio_gpu_reclaim_count_objects(VirtIOGPU *g)
{
    virtio_gpu_ledger_set_objects(g->reclaim->ledger,
                                  g->reclaim->backend->object_bytes(g));
}

static void virtio_gpu_reclaim_cmd_ctx_destroy(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    trace_virtio_gpu_cmd_ctx_destroy(cmd->cmd_hdr.ctx_id);
    virtio_gpu_reclaim_ctx_result(cmd, g->reclaim->backend->ctx_destroy(
        g, cmd->cmd_hdr.ctx_id));
    virtio_gpu_reclaim_count_objects(g);
    virtio_gpu_trim_schedule(g->reclaim->trim, VIRTIO_GPU_TRIM_CONTEXT_BYTES,
                             1);
}

static void virtio_gpu_reclaim_cmd_ctx_resource(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    bool attach = cmd->cmd_hdr.type == VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE;
    uint32_t ctx = cmd->cmd_hdr.ctx_id;
    struct virtio_gpu_ctx_resource cr;
    VirtIOGPULedgerEntry *entry;

    virtio_gpu_reclaim_request_read(cmd, &cr, sizeof(cr));
    virtio_gpu_bswap_32(&cr, sizeof(cr));
    if (attach) {
        trace_virtio_gpu_cmd_ctx_res_attach(ctx, cr.resource_id);
    } else {
        trace_virtio_gpu_cmd_ctx_res_detach(ctx, cr.resource_id);
    }
    entry = virtio_gpu_reclaim_lookup(g, cmd, cr.resource_id);
    if (entry) {
        virtio_gpu_reclaim_ctx_result(
            cmd, attach ? backend->ctx_attach(g, ctx, entry->opaque) :
                          backend->ctx_detach(g, ctx, entry->opaque));
    }
}

/* New objects have to fit the limit: if they do not, room is made once. */
static int virtio_gpu_reclaim_submit_objects(VirtIOGPU *g, uint32_t ctx,
                                             void *commands, size_t words)
{
    VirtIOGPUReclaim *r = g->reclaim;
    int ret;

    r->backend->set_object_room(g, virtio_gpu_ledger_room(r->ledger));
    ret = virtio_gpu_reclaim_submit(g, ctx, commands, words);
    if (ret == -EDQUOT) {
        int room = virtio_gpu_reclaim_make_room(g, OBJECT_ROOM);

        if (room == -EAGAIN) {
            return room;
        }
        if (room == 0) {
            r->backend->set_object_room(g, virtio_gpu_ledger_room(r->ledger));
            ret = virtio_gpu_reclaim_submit(g, ctx, commands, words);
        }
    }
    virtio_gpu_reclaim_count_objects(g);
    return ret;
}

static void virtio_gpu_reclaim_cmd_submit(VirtIOGPU *g,
                                          struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_cmd_submit cs;
    void *commands;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &cs, sizeof(cs));
    virtio_gpu_bswap_32(&cs, sizeof(cs));
    trace_virtio_gpu_cmd_ctx_submit(cs.hdr.ctx_id, cs.size);
    commands = virtio_gpu_reclaim_request_fetch_tail(cmd, cs.size);
    if (!commands) {
        return;
    }
    ret = virtio_gpu_reclaim_submit_objects(g, cs.hdr.ctx_id, commands,
                                            cs.size / sizeof(uint32_t));
    if (ret == -EAGAIN) {
        virtio_gpu_reclaim_suspend(cmd);
        return;
    }
    if (virtio_gpu_stats_enabled(g->parent_obj.conf)) {
        g->stats.req_3d++;
        g->stats.bytes_3d += cs.size;
    }
    virtio_gpu_reclaim_ctx_result(cmd, ret);
}

static void virtio_gpu_reclaim_transfer_result(
    struct virtio_gpu_ctrl_command *cmd, uint32_t id, int ret)
{
    switch (ret) {
    case 0:
        break;
    case -ESRCH:
        virtio_gpu_reclaim_ctx_result(cmd, ret);
        break;
    case -ENODATA:
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no backing", id);
        break;
    default:
        virtio_gpu_reclaim_reject_errno(cmd, id, ret);
        break;
    }
}

/* Without backing there is nothing to restore for: it is going to fail. */
static int virtio_gpu_reclaim_prepare_transfer(VirtIOGPU *g,
                                               VirtIOGPULedgerEntry *entry)
{
    return entry->backing_bytes ? virtio_gpu_reclaim_restore(g, entry) : 0;
}

static void virtio_gpu_reclaim_cmd_transfer_2d(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_transfer_to_host_2d t2d;
    VirtIOGPULedgerEntry *entry;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &t2d, sizeof(t2d));
    virtio_gpu_t2d_bswap(&t2d);
    trace_virtio_gpu_cmd_res_xfer_toh_2d(t2d.resource_id);
    entry = virtio_gpu_reclaim_lookup(g, cmd, t2d.resource_id);
    if (!entry) {
        return;
    }
    ret = virtio_gpu_reclaim_prepare_transfer(g, entry);
    if (ret == 0) {
        ret = g->reclaim->backend->transfer_2d(g, entry->opaque, &t2d);
    }
    virtio_gpu_reclaim_transfer_result(cmd, entry->id, ret);
}

static void virtio_gpu_reclaim_cmd_transfer_3d(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    bool to_host = cmd->cmd_hdr.type == VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
    struct virtio_gpu_transfer_host_3d t3d;
    VirtIOGPULedgerEntry *entry;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &t3d, sizeof(t3d));
    if (to_host) {
        trace_virtio_gpu_cmd_res_xfer_toh_3d(t3d.resource_id);
    } else {
        trace_virtio_gpu_cmd_res_xfer_fromh_3d(t3d.resource_id);
    }
    entry = virtio_gpu_reclaim_lookup(g, cmd, t3d.resource_id);
    if (!entry) {
        return;
    }
    ret = virtio_gpu_reclaim_prepare_transfer(g, entry);
    if (ret == 0) {
        ret = g->reclaim->backend->transfer_3d(g, entry->opaque, &t3d,
                                               to_host);
    }
    if (ret == -EINVAL) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u: level %u, box %u,%u,%u+%u,%u,%u"
                                  ", offset %" PRIu64 ", strides %u and %u "
                                  "do not fit", entry->id, t3d.level, t3d.box.x,
                                  t3d.box.y, t3d.box.z, t3d.box.w, t3d.box.h,
                                  t3d.box.d, (uint64_t)t3d.offset, t3d.stride,
                                  t3d.layer_stride);
    } else {
        virtio_gpu_reclaim_transfer_result(cmd, entry->id, ret);
    }
}

bool virtio_gpu_reclaim_cmd_3d(VirtIOGPU *g,
                               struct virtio_gpu_ctrl_command *cmd)
{
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_GET_CAPSET:
        virtio_gpu_reclaim_cmd_get_capset(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_CREATE:
        virtio_gpu_reclaim_cmd_ctx_create(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_DESTROY:
        virtio_gpu_reclaim_cmd_ctx_destroy(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
    case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
        virtio_gpu_reclaim_cmd_ctx_resource(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_SUBMIT_3D:
        virtio_gpu_reclaim_cmd_submit(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        virtio_gpu_reclaim_cmd_transfer_2d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
    case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
        virtio_gpu_reclaim_cmd_transfer_3d(g, cmd);
        return true;
    default:
        return false;
    }
}
