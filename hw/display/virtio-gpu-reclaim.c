/*
 * Virtio GPU: reclaim of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The commands that change where the memory of a resource is: create, unref,
 * attach and detach backing, purge. They keep the ledger, and unlike the
 * stock handlers they answer every failure with an error.
 *
 * Usage:
 *
 *     -device virtio-gpu-gl-pci,id=gpu0,x-reclaim=on[,max_hostmem=SIZE]
 *
 * and, in the monitor, qom-get /machine/peripheral/gpu0 reclaim-stats.
 *
 * Protocol: docs/specs/virtio-gpu-reclaim.rst
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "trace.h"
#include "virtio-gpu-reclaim-backend.h"
#include "hw/display/trace-virtio_gpu_reclaim.h"

#define GUEST_PAGE_SIZE 4096

/*
 * Entries that an attach may have on top of one for each page of the
 * resource: stock drivers may give a resource more memory than it needs, and
 * stock devices have always taken this many.
 */
#define ATTACH_SLACK 16384

/*
 * Drivers that do not purge free by unref. Trimming for every small one would
 * only make the next allocation fault its pages in again.
 */
#define TRIM_UNREF_BYTES (4 * MiB)

/* Errors, their log and their count. */

void virtio_gpu_reclaim_refuse(VirtIOGPU *g,
                               struct virtio_gpu_ctrl_command *cmd,
                               enum virtio_gpu_ctrl_type error,
                               const char *fmt, ...)
{
    cmd->error = error;
    if (qemu_loglevel_mask(LOG_GUEST_ERROR) ||
        trace_event_get_state_backends(TRACE_VIRTIO_GPU_RECLAIM_REFUSE)) {
        g_autofree char *why = NULL;
        va_list ap;

        va_start(ap, fmt);
        why = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        qemu_log_mask(LOG_GUEST_ERROR,
                      "virtio-gpu: command 0x%x refused with 0x%x: %s\n",
                      cmd->cmd_hdr.type, error, why);
        trace_virtio_gpu_reclaim_refuse(cmd->cmd_hdr.type, error, why);
    }
}

void virtio_gpu_reclaim_refuse_errno(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd,
                                     uint32_t resource_id, int err)
{
    enum virtio_gpu_ctrl_type error;

    switch (err) {
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
    virtio_gpu_reclaim_refuse(g, cmd, error, "resource %u: %s", resource_id,
                              strerror(-err));
}

bool virtio_gpu_reclaim_read(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                             void *buf, size_t size)
{
    size_t s = iov_to_buf(cmd->elem.out_sg, cmd->elem.out_num, 0, buf, size);

    if (s != size) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it has %zu of %zu bytes", s, size);
        return false;
    }
    return true;
}

VirtIOGPULedgerEntry *
virtio_gpu_reclaim_find(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                        uint32_t id)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);

    if (!entry) {
        virtio_gpu_reclaim_refuse(g, cmd,
                                  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
                                  "there is no resource %u", id);
    }
    return entry;
}

/* Host memory: the limit. */

void virtio_gpu_reclaim_audit(VirtIOGPU *g, VirtIOGPUReclaimAudit *audit)
{
    VirtIOGPUReclaim *r = g->reclaim;
    const VirtIOGPULedgerStats *stats = virtio_gpu_ledger_stats(r->ledger);

    *audit = (VirtIOGPUReclaimAudit) { };
    if (r->backend && r->backend->audit) {
        r->backend->audit(g, audit);
        virtio_gpu_ledger_set_deferred(r->ledger, audit->deferred_bytes);
    } else {
        audit->purged_released_bytes = stats->in[VIRTIO_GPU_LEDGER_PURGED].size;
        audit->released_bytes_total = stats->released_bytes_total;
    }
}

bool virtio_gpu_reclaim_within_limit(VirtIOGPU *g, uint64_t more)
{
    const VirtIOGPULedgerStats *stats;
    uint64_t limit = g->conf_max_hostmem;
    VirtIOGPUReclaimAudit unused;

    stats = virtio_gpu_ledger_stats(g->reclaim->ledger);
    if (limit == 0) {
        return true;
    }
    /* The stock 2D device stops short of its limit: so does this. */
    if (stats->host_bytes < limit && more < limit - stats->host_bytes) {
        return true;
    }
    virtio_gpu_reclaim_audit(g, &unused);
    return stats->host_bytes < limit && more < limit - stats->host_bytes;
}

bool virtio_gpu_reclaim_may_create(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd,
                                   uint32_t id, uint64_t size)
{
    if (id == 0 || virtio_gpu_ledger_find(g->reclaim->ledger, id)) {
        virtio_gpu_reclaim_refuse(g, cmd,
                                  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
                                  "resource id %u is %s", id,
                                  id ? "in use" : "not allowed");
        return false;
    }
    if (!virtio_gpu_reclaim_within_limit(g, size)) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
                                  "resource %u of %" PRIu64
                                  " bytes is over the limit of %" PRIu64,
                                  id, size, g->conf_max_hostmem);
        return false;
    }
    return true;
}

uint64_t virtio_gpu_reclaim_max_entries(uint64_t size)
{
    return DIV_ROUND_UP(size, GUEST_PAGE_SIZE) + ATTACH_SLACK;
}

int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    int64_t start;
    int ret;

    if (entry->state == VIRTIO_GPU_LEDGER_EVICTED) {
        return virtio_gpu_reclaim_store_restore(g, entry);
    }
    if (entry->state != VIRTIO_GPU_LEDGER_PURGED) {
        return 0;
    }
    if (!virtio_gpu_reclaim_within_limit(g, entry->size)) {
        return -ENOMEM;
    }
    start = g_get_monotonic_time();
    ret = g->reclaim->backend->restore(g, entry);
    trace_virtio_gpu_reclaim_restore(entry->id, entry->size, ret,
                                     g_get_monotonic_time() - start);
    if (ret == 0) {
        virtio_gpu_ledger_restore(g->reclaim->ledger, entry);
    }
    return ret;
}

/* What is shown. */

bool virtio_gpu_reclaim_is_shown(VirtIOGPU *g, uint32_t id)
{
    int i;

    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        const struct virtio_gpu_scanout *s = &g->parent_obj.scanout[i];

        if (s->resource_id == id || s->cursor.resource_id == id) {
            return true;
        }
    }
    return false;
}

/* A resource goes away: nothing may show it, or think it still does. */
static void stop_showing(VirtIOGPU *g, uint32_t id)
{
    int i;

    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        struct virtio_gpu_scanout *s = &g->parent_obj.scanout[i];

        if (s->resource_id == id) {
            g->reclaim->backend->disable_scanout(g, i);
        }
        if (s->cursor.resource_id == id) {
            s->cursor.resource_id = 0;
        }
    }
}

/* Commands. */

static void cmd_unref(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaim *r = g->reclaim;
    struct virtio_gpu_resource_unref unref;
    VirtIOGPULedgerEntry *entry;
    uint64_t size;

    if (!virtio_gpu_reclaim_read(g, cmd, &unref, sizeof(unref))) {
        return;
    }
    virtio_gpu_bswap_32(&unref, sizeof(unref));
    trace_virtio_gpu_cmd_res_unref(unref.resource_id);
    entry = virtio_gpu_reclaim_find(g, cmd, unref.resource_id);
    if (!entry) {
        return;
    }

    stop_showing(g, entry->id);
    if (entry->backing_bytes) {
        r->backend->detach(g, entry);
    }
    size = entry->state == VIRTIO_GPU_LEDGER_PURGED ? 0 : entry->size;
    r->backend->destroy(g, entry);
    virtio_gpu_ledger_remove(r->ledger, entry);
    virtio_gpu_reclaim_freed(g, size, TRIM_UNREF_BYTES);
}

static void cmd_attach(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaim *r = g->reclaim;
    struct virtio_gpu_resource_attach_backing attach;
    VirtIOGPUReclaimMapping map;
    VirtIOGPULedgerEntry *entry;
    uint64_t max, more, arrays, bytes = 0;
    int ret;

    if (!virtio_gpu_reclaim_read(g, cmd, &attach, sizeof(attach))) {
        return;
    }
    virtio_gpu_bswap_32(&attach, sizeof(attach));
    trace_virtio_gpu_cmd_res_back_attach(attach.resource_id);
    entry = virtio_gpu_reclaim_find(g, cmd, attach.resource_id);
    if (!entry) {
        return;
    }
    if (entry->backing_bytes) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "resource %u has backing already", entry->id);
        return;
    }
    max = virtio_gpu_reclaim_max_entries(entry->size);
    if (attach.nr_entries == 0 || attach.nr_entries > max) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u takes 1 to %" PRIu64
                                  " memory entries, not %u", entry->id, max,
                                  attach.nr_entries);
        return;
    }
    if (!virtio_gpu_reclaim_map(g, cmd, sizeof(attach), attach.nr_entries,
                                &map)) {
        return;
    }

    /* The arrays are storage of the host, too. */
    arrays = map.iov_cnt * r->backend->array_bytes;
    more = entry->state == VIRTIO_GPU_LEDGER_PURGED ? entry->size : 0;
    ret = virtio_gpu_reclaim_within_limit(g, more + arrays) ?
          virtio_gpu_reclaim_restore(g, entry) : -ENOMEM;
    if (ret == 0) {
        bytes = map.bytes;
        ret = r->backend->attach(g, entry, &map);
    }
    if (ret < 0) {
        virtio_gpu_reclaim_unmap(g, &map);
        virtio_gpu_reclaim_refuse_errno(g, cmd, entry->id, ret);
        return;
    }
    virtio_gpu_ledger_attach(r->ledger, entry, bytes, arrays);
    trace_virtio_gpu_reclaim_attach(entry->id, bytes,
                                    arrays / r->backend->array_bytes);
}

static void cmd_detach(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_detach_backing detach;
    VirtIOGPULedgerEntry *entry;

    if (!virtio_gpu_reclaim_read(g, cmd, &detach, sizeof(detach))) {
        return;
    }
    virtio_gpu_bswap_32(&detach, sizeof(detach));
    trace_virtio_gpu_cmd_res_back_detach(detach.resource_id);
    entry = virtio_gpu_reclaim_find(g, cmd, detach.resource_id);
    if (!entry) {
        return;
    }
    if (!entry->backing_bytes) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "resource %u has no backing", entry->id);
        return;
    }
    trace_virtio_gpu_reclaim_detach(entry->id, entry->backing_bytes);
    g->reclaim->backend->detach(g, entry);
    virtio_gpu_ledger_detach(g->reclaim->ledger, entry);
    virtio_gpu_reclaim_store_evicted(g, entry);
}

static enum virtio_gpu_purge_result purge(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(r->ledger, id);
    uint64_t released = 0;
    bool attached;

    if (!entry) {
        return VIRTIO_GPU_PURGE_UNKNOWN_ID;
    }
    if (entry->state == VIRTIO_GPU_LEDGER_PURGED) {
        return VIRTIO_GPU_PURGE_PURGED;
    }
    if (virtio_gpu_reclaim_is_shown(g, id)) {
        return VIRTIO_GPU_PURGE_BUSY;
    }
    attached = entry->backing_bytes;
    if (attached) {
        r->backend->detach(g, entry);
    }
    if (r->backend->purge(g, entry, &released) < 0) {
        if (attached) {
            virtio_gpu_ledger_detach(r->ledger, entry);
        }
        return VIRTIO_GPU_PURGE_BUSY;
    }
    virtio_gpu_ledger_purge(r->ledger, entry, released);
    trace_virtio_gpu_reclaim_purge(id, entry->size, released);
    virtio_gpu_reclaim_freed(g, entry->size, 1);
    return VIRTIO_GPU_PURGE_PURGED;
}

static void cmd_purge(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    g_autofree struct virtio_gpu_resp_purge *resp = NULL;
    struct virtio_gpu_resource_purge head;
    uint32_t ids[VIRTIO_GPU_RECLAIM_MAX_PURGE];
    size_t ids_size, resp_size;
    int i;

    if (!virtio_vdev_has_feature(VIRTIO_DEVICE(g), VIRTIO_GPU_F_RECLAIM)) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "the driver has not negotiated it");
        return;
    }
    if (!virtio_gpu_reclaim_read(g, cmd, &head, sizeof(head))) {
        return;
    }
    virtio_gpu_bswap_32(&head, sizeof(head));
    if (head.count == 0 || head.count > VIRTIO_GPU_RECLAIM_MAX_PURGE) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "it can have 1 to %u resources, not %u",
                                  VIRTIO_GPU_RECLAIM_MAX_PURGE, head.count);
        return;
    }
    /* Nothing is lost before it is sure that the driver can be told so. */
    ids_size = head.count * sizeof(ids[0]);
    resp_size = sizeof(*resp) + head.count * sizeof(resp->result[0]);
    if (iov_to_buf(cmd->elem.out_sg, cmd->elem.out_num, sizeof(head),
                   ids, ids_size) != ids_size ||
        iov_size(cmd->elem.in_sg, cmd->elem.in_num) < resp_size) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "%u ids do not fit the command, or their "
                                  "results the response", head.count);
        return;
    }

    resp = g_malloc0(resp_size);
    resp->hdr.type = VIRTIO_GPU_RESP_OK_PURGE;
    resp->count = cpu_to_le32(head.count);
    for (i = 0; i < head.count; i++) {
        enum virtio_gpu_purge_result result = purge(g, le32_to_cpu(ids[i]));

        resp->result[i] = cpu_to_le32(result);
        if (result != VIRTIO_GPU_PURGE_PURGED) {
            const char *why = result == VIRTIO_GPU_PURGE_BUSY ?
                              "busy" : "no such resource";

            virtio_gpu_ledger_refuse(g->reclaim->ledger);
            qemu_log_mask(LOG_GUEST_ERROR,
                          "virtio-gpu: resource %u not purged: %s\n",
                          le32_to_cpu(ids[i]), why);
            trace_virtio_gpu_reclaim_not_purged(le32_to_cpu(ids[i]), why);
        }
    }
    virtio_gpu_ctrl_response(g, cmd, &resp->hdr, resp_size);
}

bool virtio_gpu_reclaim_no_header(VirtIOGPU *g,
                                  struct virtio_gpu_ctrl_command *cmd)
{
    if (!g->reclaim) {
        return false;
    }
    /* Its fields are looked at for the response. */
    memset(&cmd->cmd_hdr, 0, sizeof(cmd->cmd_hdr));
    if (virtio_gpu_reclaim_read(g, cmd, &cmd->cmd_hdr, sizeof(cmd->cmd_hdr))) {
        return false;
    }
    memset(&cmd->cmd_hdr, 0, sizeof(cmd->cmd_hdr));
    virtio_gpu_ctrl_response_nodata(g, cmd, cmd->error);
    return true;
}

void virtio_gpu_reclaim_done(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    if (g->reclaim && cmd->error) {
        virtio_gpu_ledger_refuse(g->reclaim->ledger);
    }
}

uint32_t virtio_gpu_reclaim_cmd(VirtIOGPU *g,
                                struct virtio_gpu_ctrl_command *cmd)
{
    uint32_t type = cmd->cmd_hdr.type;
    bool stock = false;

    if (type == VIRTIO_GPU_RECLAIM_DONE) {
        /* A driver that says so itself: no command either. */
        type = VIRTIO_GPU_UNDEFINED;
    }
    if (!g->reclaim) {
        return type;
    }
    if (!g->reclaim->backend) {
        /* The renderer failed to start: nothing below can work. */
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "there is no renderer");
        return VIRTIO_GPU_RECLAIM_DONE;
    }

    switch (type) {
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        cmd_unref(g, cmd);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        cmd_attach(g, cmd);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        cmd_detach(g, cmd);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_PURGE:
        cmd_purge(g, cmd);
        break;
    default:
        stock = virtio_gpu_reclaim_check(g, cmd) &&
                !g->reclaim->backend->command(g, cmd);
        break;
    }
    return stock ? type : VIRTIO_GPU_RECLAIM_DONE;
}

/* Life cycle. */

void virtio_gpu_reclaim_realize(VirtIOGPU *g)
{
    if (!virtio_gpu_reclaim_enabled(g->parent_obj.conf) || g->reclaim) {
        return;
    }
    virtio_gpu_reclaim_trace_init();
    g->reclaim = g_new0(VirtIOGPUReclaim, 1);
    g->reclaim->ledger = virtio_gpu_ledger_new();
    QTAILQ_INIT(&g->reclaim->saved);
    virtio_gpu_reclaim_trim_init(g);
    if (!virtio_gpu_virgl_enabled(g->parent_obj.conf)) {
        g->reclaim->backend = &virtio_gpu_reclaim_2d;
    }
    virtio_gpu_reclaim_store_init(g);
}

void virtio_gpu_reclaim_finalize(Object *obj)
{
    VirtIOGPU *g = VIRTIO_GPU(obj);
    VirtIOGPUReclaim *r = g->reclaim;

    if (r) {
        if (r->backend && r->backend->free) {
            r->backend->free(g);
        }
        virtio_gpu_reclaim_vmstate_free(r);
        virtio_gpu_reclaim_store_free(r);
        virtio_gpu_reclaim_trim_free(r);
        virtio_gpu_ledger_free(r->ledger);
        g_free(r);
        g->reclaim = NULL;
    }
}

static void reset_entry(VirtIOGPULedgerEntry *entry, void *opaque)
{
    VirtIOGPU *g = opaque;

    if (entry->backing_bytes) {
        g->reclaim->backend->detach(g, entry);
    }
}

void virtio_gpu_reclaim_reset(VirtIOGPU *g)
{
    uint64_t size;
    int i;

    if (!g->reclaim) {
        return;
    }
    /*
     * Guest memory is let go here and now. The storage of 2D resources goes
     * next, with the caller's; that of the renderer soon, with its own reset.
     */
    virtio_gpu_ledger_foreach(g->reclaim->ledger, reset_entry, g);
    size = virtio_gpu_ledger_stats(g->reclaim->ledger)->host_bytes;
    virtio_gpu_ledger_clear(g->reclaim->ledger);
    virtio_gpu_reclaim_store_reset(g);
    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        g->parent_obj.scanout[i].cursor.resource_id = 0;
    }
    virtio_gpu_reclaim_freed(g, size, TRIM_UNREF_BYTES);
    if (g->reclaim->backend && g->reclaim->backend->reset) {
        g->reclaim->backend->reset(g);
    }
}
