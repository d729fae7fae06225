/*
 * Virtio GPU: commands that change where the memory of a resource is
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Create, unref, attach and detach backing, purge. Each handler reads its
 * request, validates it, asks the limit, calls the backend and enters the
 * result in the ledger. Unlike the stock handlers they answer every failure
 * with an error.
 *
 * Protocol: docs/specs/virtio-gpu-reclaim.rst
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "trace/trace-hw_display.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-cmd.h"
#include "virtio-gpu-reclaim-control.h"
#include "virtio-gpu-reclaim-request.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-suspend.h"
#include "virtio-gpu-reclaim-trim.h"
#include "virtio-gpu-reclaim-validate.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/* Create. */

bool virtio_gpu_reclaim_may_create(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd,
                                   uint32_t id, uint64_t size,
                                   uint64_t overhead)
{
    VirtIOGPULedger *ledger = g->reclaim->ledger;
    /* All that leaves can come back at once, by a command stream. */
    bool can_leave = g->reclaim->backend->lru_next;
    int ret;

    if (id == 0 || virtio_gpu_ledger_find(ledger, id)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
                                  "resource id %u is %s", id,
                                  id ? "in use" : "not allowed");
        return false;
    }
    if (size > UINT64_MAX - overhead ||
        (can_leave && !virtio_gpu_ledger_may_fit(ledger, size + overhead))) {
        ret = -ENOMEM;
    } else {
        ret = virtio_gpu_reclaim_make_room(g, size + overhead);
    }
    if (ret == -EAGAIN) {
        virtio_gpu_reclaim_suspend(cmd);
        return false;
    }
    if (ret < 0) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
                                  "resource %u of %" PRIu64 " and %" PRIu64
                                  " bytes is over the limit of %" PRIu64,
                                  id, size, overhead, g->conf_max_hostmem);
        return false;
    }
    return true;
}

static void
virtio_gpu_reclaim_cmd_create_2d(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    struct virtio_gpu_resource_create_2d c2d;
    uint64_t size, overhead;
    void *res;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &c2d, sizeof(c2d));
    virtio_gpu_bswap_32(&c2d, sizeof(c2d));
    trace_virtio_gpu_cmd_res_create_2d(c2d.resource_id, c2d.format, c2d.width,
                                       c2d.height);
    ret = backend->size_2d(&c2d, &size, &overhead);
    if (ret == 0) {
        if (!virtio_gpu_reclaim_may_create(g, cmd, c2d.resource_id, size,
                                           overhead)) {
            return;
        }
        ret = backend->create_2d(g, &c2d, &res);
    }
    if (ret < 0) {
        virtio_gpu_reclaim_reject_errno(cmd, c2d.resource_id, ret);
        return;
    }
    virtio_gpu_ledger_add(g->reclaim->ledger, c2d.resource_id, size, overhead,
                          res);
}

static void
virtio_gpu_reclaim_cmd_create_3d(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    struct virtio_gpu_resource_create_3d c3d;
    uint64_t size, overhead;
    void *res;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &c3d, sizeof(c3d));
    virtio_gpu_bswap_32(&c3d, sizeof(c3d));
    trace_virtio_gpu_cmd_res_create_3d(c3d.resource_id, c3d.format, c3d.width,
                                       c3d.height, c3d.depth);
    ret = backend->size_3d(&c3d, &size, &overhead);
    if (ret == 0) {
        if (!virtio_gpu_reclaim_may_create(g, cmd, c3d.resource_id, size,
                                           overhead)) {
            return;
        }
        ret = backend->create_3d(g, &c3d, &res);
    }
    if (ret < 0) {
        virtio_gpu_reclaim_reject_errno(cmd, c3d.resource_id, ret);
        return;
    }
    virtio_gpu_ledger_add(g->reclaim->ledger, c3d.resource_id, size, overhead,
                          res);
}

/* Attach. */

/* Map the entries behind the fixed part of @cmd, or reject it. */
static bool virtio_gpu_reclaim_map_entries(VirtIOGPU *g,
                                           struct virtio_gpu_ctrl_command *cmd,
                                           uint32_t id, uint64_t size,
                                           uint32_t nr_entries,
                                           VirtIOGPUReclaimMapping *map)
{
    uint64_t max = virtio_gpu_reclaim_max_entries(size);
    const struct virtio_gpu_mem_entry *entries;
    Error *err = NULL;

    if (nr_entries == 0 || nr_entries > max) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u takes 1 to %" PRIu64
                                  " memory entries, not %u", id, max,
                                  nr_entries);
        return false;
    }
    entries = virtio_gpu_reclaim_request_fetch_tail(
        cmd, (size_t)nr_entries * sizeof(*entries));
    if (!entries) {
        return false;
    }
    if (!virtio_gpu_reclaim_map(g, entries, nr_entries, map, &err)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u: %s", id,
                                  error_get_pretty(err));
        error_free(err);
        return false;
    }
    return true;
}

/*
 * Attach @map, which is unmapped on failure. A PURGED or compressed resource
 * is restored before.
 */
static int virtio_gpu_reclaim_attach(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                                     VirtIOGPUReclaimMapping *map)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint64_t more, iov_bytes, bytes = map->bytes;
    uint32_t iov_cnt = map->iov_cnt;
    int ret;

    /* The arrays are host memory, too. */
    iov_bytes = iov_cnt * r->backend->iov_bytes;
    more = entry->state == VIRTIO_GPU_LEDGER_PURGED ? entry->size : 0;
    ret = virtio_gpu_reclaim_make_room(g, more + iov_bytes);
    if (ret == 0) {
        ret = virtio_gpu_reclaim_restore(g, entry);
    }
    if (ret == 0) {
        ret = r->backend->attach(g, entry->opaque, map);
    }
    if (ret < 0) {
        virtio_gpu_reclaim_unmap(g, map);
        return ret;
    }
    virtio_gpu_ledger_attach(r->ledger, entry, bytes, iov_bytes);
    trace_virtio_gpu_reclaim_attach(entry->id, bytes, iov_cnt);
    return 0;
}

static void
virtio_gpu_reclaim_cmd_attach_backing(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_attach_backing attach;
    VirtIOGPUReclaimMapping map;
    VirtIOGPULedgerEntry *entry;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &attach, sizeof(attach));
    virtio_gpu_bswap_32(&attach, sizeof(attach));
    trace_virtio_gpu_cmd_res_back_attach(attach.resource_id);
    entry = virtio_gpu_reclaim_lookup(g, cmd, attach.resource_id);
    if (!entry) {
        return;
    }
    if (entry->backing_bytes) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "resource %u has backing already", entry->id);
        return;
    }
    /* Before the entries are mapped, which would be done for each slice. */
    ret = entry->compressed ? virtio_gpu_reclaim_restore(g, entry) : 0;
    if (ret == 0) {
        if (!virtio_gpu_reclaim_map_entries(g, cmd, entry->id, entry->size,
                                            attach.nr_entries, &map)) {
            return;
        }
        ret = virtio_gpu_reclaim_attach(g, entry, &map);
    }
    if (ret < 0) {
        virtio_gpu_reclaim_reject_errno(cmd, entry->id, ret);
    }
}

static void
virtio_gpu_reclaim_cmd_create_blob(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    VirtIOGPULedger *ledger = g->reclaim->ledger;
    struct virtio_gpu_resource_create_blob cblob;
    VirtIOGPUReclaimMapping map;
    VirtIOGPULedgerEntry *entry;
    void *res;
    int ret;

    virtio_gpu_reclaim_request_read(cmd, &cblob, sizeof(cblob));
    virtio_gpu_create_blob_bswap(&cblob);
    trace_virtio_gpu_cmd_res_create_blob(cblob.resource_id, cblob.size);
    if (!virtio_gpu_reclaim_may_create(g, cmd, cblob.resource_id, 0,
                                       backend->blob_overhead) ||
        !virtio_gpu_reclaim_map_entries(g, cmd, cblob.resource_id, cblob.size,
                                        cblob.nr_entries, &map)) {
        return;
    }
    ret = backend->create_blob(g, &cblob, &res);
    if (ret < 0) {
        virtio_gpu_reclaim_unmap(g, &map);
    } else {
        entry = virtio_gpu_ledger_add(ledger, cblob.resource_id, 0,
                                      backend->blob_overhead, res);
        virtio_gpu_ledger_mark_blob(ledger, entry);
        ret = virtio_gpu_reclaim_attach(g, entry, &map);
        if (ret < 0) {
            backend->destroy(g, res);
            virtio_gpu_ledger_remove(ledger, entry);
        }
    }
    if (ret < 0) {
        virtio_gpu_reclaim_reject_errno(cmd, cblob.resource_id, ret);
    }
}

/* Detach, unref. */

static void
virtio_gpu_reclaim_cmd_detach_backing(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_detach_backing detach;
    VirtIOGPULedgerEntry *entry;

    virtio_gpu_reclaim_request_read(cmd, &detach, sizeof(detach));
    virtio_gpu_bswap_32(&detach, sizeof(detach));
    trace_virtio_gpu_cmd_res_back_detach(detach.resource_id);
    entry = virtio_gpu_reclaim_lookup(g, cmd, detach.resource_id);
    if (!entry) {
        return;
    }
    if (!entry->backing_bytes) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "resource %u has no backing", entry->id);
        return;
    }
    trace_virtio_gpu_reclaim_detach(entry->id, entry->backing_bytes);
    g->reclaim->backend->detach(g, entry->opaque);
    virtio_gpu_ledger_detach(g->reclaim->ledger, entry);
    virtio_gpu_reclaim_control_evicted(g, entry->id);
}

static void virtio_gpu_reclaim_cmd_unref(VirtIOGPU *g,
                                         struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaim *r = g->reclaim;
    struct virtio_gpu_resource_unref unref;
    VirtIOGPULedgerEntry *entry;
    uint64_t size;

    virtio_gpu_reclaim_request_read(cmd, &unref, sizeof(unref));
    virtio_gpu_bswap_32(&unref, sizeof(unref));
    trace_virtio_gpu_cmd_res_unref(unref.resource_id);
    entry = virtio_gpu_reclaim_lookup(g, cmd, unref.resource_id);
    if (!entry) {
        return;
    }

    virtio_gpu_reclaim_disable_scanouts(g, entry->id);
    if (entry->backing_bytes) {
        r->backend->detach(g, entry->opaque);
    }
    size = entry->state == VIRTIO_GPU_LEDGER_PURGED ? 0 : entry->size;
    r->backend->destroy(g, entry->opaque);
    virtio_gpu_ledger_remove(r->ledger, entry);
    virtio_gpu_trim_schedule(r->trim, size, VIRTIO_GPU_TRIM_UNREF_BYTES);
}

/* Purge. */

static enum virtio_gpu_purge_result
virtio_gpu_reclaim_purge_id(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);
    enum virtio_gpu_purge_result result;
    const char *why;

    if (!entry) {
        result = VIRTIO_GPU_PURGE_UNKNOWN_ID;
        why = "no such resource";
    } else {
        switch (virtio_gpu_reclaim_purge(g, entry)) {
        case 0:
            return VIRTIO_GPU_PURGE_PURGED;
        case -ENOTSUP:
            result = VIRTIO_GPU_PURGE_UNSUPPORTED;
            why = "unsupported";
            break;
        default:
            result = VIRTIO_GPU_PURGE_BUSY;
            why = "busy";
            break;
        }
    }
    virtio_gpu_ledger_error(g->reclaim->ledger);
    qemu_log_mask(LOG_GUEST_ERROR, "virtio-gpu: resource %u not purged: %s\n",
                  id, why);
    trace_virtio_gpu_reclaim_not_purged(id, why);
    return result;
}

/* Whether the driver may send @cmd, which comes with the feature. */
static bool virtio_gpu_reclaim_may_send(VirtIOGPU *g,
                                        struct virtio_gpu_ctrl_command *cmd)
{
    if (!virtio_vdev_has_feature(VIRTIO_DEVICE(g), VIRTIO_GPU_F_RECLAIM)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "the driver has not negotiated it");
        return false;
    }
    if (cmd->cmd_hdr.flags & VIRTIO_GPU_FLAG_FENCE) {
        /*
         * A response with a fence says that all earlier fences of the context
         * are signalled, too, and these commands wait for none of them.
         */
        cmd->cmd_hdr.flags &= ~VIRTIO_GPU_FLAG_FENCE;
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it cannot carry a fence");
        return false;
    }
    return true;
}

static size_t virtio_gpu_reclaim_resp_size(uint32_t count)
{
    return sizeof(struct virtio_gpu_resp_purge) + count * sizeof(uint32_t);
}

/* Validate a purge of @head.count resources, and fetch their ids. */
static const uint32_t *
virtio_gpu_reclaim_purge_ids(struct virtio_gpu_ctrl_command *cmd,
                             const struct virtio_gpu_resource_purge *head)
{
    if (head->count == 0 || head->count > VIRTIO_GPU_RECLAIM_MAX_PURGE) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it can have 1 to %u resources, not %u",
                                  VIRTIO_GPU_RECLAIM_MAX_PURGE, head->count);
        return NULL;
    }
    /* Nothing is lost before it is sure that the driver can be told so. */
    if (iov_size(cmd->elem.in_sg, cmd->elem.in_num) <
        virtio_gpu_reclaim_resp_size(head->count)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "the results of %u do not fit the response",
                                  head->count);
        return NULL;
    }
    return virtio_gpu_reclaim_request_fetch_tail(cmd, head->count *
                                                      sizeof(uint32_t));
}

static void virtio_gpu_reclaim_cmd_purge(VirtIOGPU *g,
                                         struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaimRequest *r = &cmd->reclaim;
    g_autofree struct virtio_gpu_resp_purge *resp = NULL;
    struct virtio_gpu_resource_purge head;
    const uint32_t *ids;
    uint32_t begin = r->done, end;

    if (!virtio_gpu_reclaim_may_send(g, cmd)) {
        return;
    }
    virtio_gpu_reclaim_request_read(cmd, &head, sizeof(head));
    virtio_gpu_bswap_32(&head, sizeof(head));
    ids = virtio_gpu_reclaim_purge_ids(cmd, &head);
    if (!ids) {
        return;
    }
    resp = g_steal_pointer(&r->partial);
    if (!resp) {
        resp = g_malloc0(virtio_gpu_reclaim_resp_size(head.count));
        resp->hdr.type = VIRTIO_GPU_RESP_OK_PURGE;
        resp->count = cpu_to_le32(head.count);
    }
    end = virtio_gpu_suspend_may(g) ? MIN(head.count,
                                          begin + VIRTIO_GPU_SUSPEND_STEPS) :
                                      head.count;
    for (; r->done < end; r->done++) {
        resp->result[r->done] = cpu_to_le32(
            virtio_gpu_reclaim_purge_id(g, le32_to_cpu(ids[r->done])));
    }
    virtio_gpu_suspend_count_slice(g, end - begin);
    if (end < head.count) {
        r->partial = g_steal_pointer(&resp);
        virtio_gpu_reclaim_suspend(cmd);
        qemu_bh_schedule(g->ctrl_bh);
        return;
    }
    virtio_gpu_ctrl_response(g, cmd, &resp->hdr,
                             virtio_gpu_reclaim_resp_size(head.count));
}

/* Target. */

static void virtio_gpu_reclaim_cmd_get_target(
    VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resp_reclaim_target resp = {
        .hdr.type = VIRTIO_GPU_RESP_OK_RECLAIM_TARGET,
    };

    if (!virtio_gpu_reclaim_may_send(g, cmd)) {
        return;
    }
    if (iov_size(cmd->elem.in_sg, cmd->elem.in_num) < sizeof(resp)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "the target does not fit the response");
        return;
    }
    resp.bytes = cpu_to_le64(virtio_gpu_reclaim_control_ask(g));
    virtio_gpu_ctrl_response(g, cmd, &resp.hdr, sizeof(resp));
}

bool virtio_gpu_reclaim_cmd_resource(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;

    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        virtio_gpu_reclaim_cmd_create_2d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        if (!backend->create_3d) {
            return false;
        }
        virtio_gpu_reclaim_cmd_create_3d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        if (!backend->create_blob ||
            !virtio_gpu_blob_enabled(g->parent_obj.conf)) {
            return false;
        }
        virtio_gpu_reclaim_cmd_create_blob(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        virtio_gpu_reclaim_cmd_unref(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        virtio_gpu_reclaim_cmd_attach_backing(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        virtio_gpu_reclaim_cmd_detach_backing(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_PURGE:
        virtio_gpu_reclaim_cmd_purge(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_GET_RECLAIM_TARGET:
        virtio_gpu_reclaim_cmd_get_target(g, cmd);
        return true;
    default:
        return false;
    }
}
