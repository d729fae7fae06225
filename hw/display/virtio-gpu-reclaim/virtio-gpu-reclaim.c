/*
 * Virtio GPU: reclaim of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the device model calls: life cycle, commands, lookup, configuration.
 *
 * Usage:
 *
 *     -device virtio-gpu-gl-pci,id=gpu0,x-reclaim=on[,max_hostmem=SIZE]
 *             [,hostmem-target=SIZE][,x-idle-compress=SECONDS]
 *             [,x-reclaim-pressure=psi][,x-evicted-compress=on]
 *             [,x-compressed-max=SIZE[,x-compressed-file=DIR]]
 *             [,x-max-contexts=N]
 *
 * and, in the monitor, qom-get /machine/peripheral/gpu0 reclaim-stats.
 *
 * Protocol: docs/specs/virtio-gpu-reclaim.rst
 * Layers: docs/devel/device.md
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-2d.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-cmd.h"
#include "virtio-gpu-reclaim-cmd-blob.h"
#include "virtio-gpu-reclaim-cmd-3d.h"
#include "virtio-gpu-reclaim-compress.h"
#include "virtio-gpu-reclaim-control.h"
#include "virtio-gpu-reclaim-file.h"
#include "virtio-gpu-reclaim-request.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-suspend.h"
#include "virtio-gpu-reclaim-trim.h"
#include "virtio-gpu-reclaim-validate.h"
#include "virtio-gpu-reclaim-vmstate.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/* Events of the backend go to the ledger as they happen. */

static void virtio_gpu_reclaim_storage_deferred(VirtIOGPU *g, uint64_t bytes,
                                                uint64_t overhead)
{
    virtio_gpu_ledger_defer(g->reclaim->ledger, bytes, overhead);
}

static void virtio_gpu_reclaim_storage_released(VirtIOGPU *g, uint32_t id,
                                                uint64_t bytes,
                                                uint64_t overhead, bool purged)
{
    virtio_gpu_ledger_release(g->reclaim->ledger, id, bytes, overhead, purged);
    virtio_gpu_trim_schedule(g->reclaim->trim, bytes, 1);
}

static void virtio_gpu_reclaim_compressed(VirtIOGPU *g, uint32_t id,
                                          uint64_t bytes)
{
    virtio_gpu_reclaim_control_compressed(
        g, virtio_gpu_ledger_find(g->reclaim->ledger, id), bytes);
}

static void virtio_gpu_reclaim_written(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(r->ledger, id);

    trace_virtio_gpu_reclaim_written(id, entry->compressed_bytes);
    virtio_gpu_trim_schedule(r->trim, entry->compressed_bytes, 1);
    virtio_gpu_ledger_written(r->ledger, entry);
}

static void virtio_gpu_reclaim_decompressed(VirtIOGPU *g, uint32_t id,
                                            uint64_t us)
{
    virtio_gpu_reclaim_control_decompressed(
        g, virtio_gpu_ledger_find(g->reclaim->ledger, id), us);
}

/*
 * A context draws with a surface or view of a purged resource. That it counts
 * again cannot be refused here: others leave for it.
 */
static void virtio_gpu_reclaim_restored(VirtIOGPU *g, uint32_t id)
{
    virtio_gpu_reclaim_control_restored(
        g, virtio_gpu_ledger_find(g->reclaim->ledger, id));
}

static void virtio_gpu_reclaim_renderer_reset(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint64_t bytes = virtio_gpu_ledger_stats(r->ledger)->deferred_bytes;

    virtio_gpu_ledger_release_all(r->ledger);
    virtio_gpu_trim_schedule(r->trim, bytes, VIRTIO_GPU_TRIM_UNREF_BYTES);
}

static const VirtIOGPUReclaimEvents virtio_gpu_reclaim_events = {
    .storage_deferred = virtio_gpu_reclaim_storage_deferred,
    .storage_released = virtio_gpu_reclaim_storage_released,
    .compressed = virtio_gpu_reclaim_compressed,
    .written = virtio_gpu_reclaim_written,
    .file_failed = virtio_gpu_reclaim_file_failed,
    .decompressed = virtio_gpu_reclaim_decompressed,
    .restored = virtio_gpu_reclaim_restored,
    .unreferenced = virtio_gpu_reclaim_control_evicted,
    .progress = virtio_gpu_reclaim_progress,
    .renderer_reset = virtio_gpu_reclaim_renderer_reset,
};

/* Commands. */

/* Returns false if the stock handler is to carry the command out. */
static bool virtio_gpu_reclaim_carry_out(VirtIOGPU *g,
                                         struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    bool done;

    if (cmd->error) {
        /* The request was too short. */
        return true;
    }
    if (!backend) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "the renderer failed to start");
        return true;
    }
    virtio_gpu_reclaim_control_begin_cmd(g);
    if (backend->blob_created && virtio_gpu_reclaim_cmd_blob(g, cmd)) {
        return cmd->error || cmd->reclaim.suspended;
    }
    done = virtio_gpu_reclaim_cmd_resource(g, cmd) ||
           (backend->ctx_create && virtio_gpu_reclaim_cmd_3d(g, cmd));
    virtio_gpu_reclaim_control_end_cmd(g);
    if (!done) {
        virtio_gpu_reclaim_validate(g, cmd);
    }
    return done || cmd->error || cmd->reclaim.suspended;
}

bool virtio_gpu_reclaim_process_cmd(VirtIOGPU *g,
                                    struct virtio_gpu_ctrl_command *cmd)
{
    if (!g->reclaim || !virtio_gpu_reclaim_carry_out(g, cmd)) {
        return false;
    }
    if (cmd->reclaim.suspended) {
        virtio_gpu_suspend_begin(g, cmd);
        if (g->reclaim->room.wanted) {
            virtio_gpu_reclaim_compress_start(g);
        }
        return true;
    }
    /*
     * A driver takes a response with a fence for the end of all earlier ones
     * of the same context. So an error waits for its fence as well.
     */
    if (cmd->error && cmd->cmd_hdr.flags & VIRTIO_GPU_FLAG_FENCE &&
        g->reclaim->backend && g->reclaim->backend->has_fences) {
        cmd->reclaim.error = cmd->error;
        cmd->error = 0;
    }
    return true;
}

void virtio_gpu_reclaim_finish_cmd(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaim *r = g->reclaim;

    if (!r) {
        return;
    }
    if (virtio_gpu_suspend_is_pending(g)) {
        virtio_gpu_suspend_end(g);
        /* What waited meanwhile. */
        virtio_gpu_reclaim_compress_start(g);
    }
    virtio_gpu_reclaim_residency_end(g);
    if (cmd->error || cmd->reclaim.error) {
        virtio_gpu_ledger_error(r->ledger);
    } else if (r->backend && r->backend->blob_created) {
        virtio_gpu_reclaim_cmd_blob_done(g, cmd);
    }
    virtio_gpu_reclaim_release_request(cmd);
}

bool virtio_gpu_reclaim_has_2d(VirtIOGPU *g)
{
    return g->reclaim && g->reclaim->backend == &virtio_gpu_reclaim_2d;
}

struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_find_resource(VirtIOGPU *g, uint32_t resource_id)
{
    VirtIOGPULedgerEntry *entry =
        virtio_gpu_ledger_find(g->reclaim->ledger, resource_id);

    return entry ? entry->opaque : NULL;
}

bool virtio_gpu_reclaim_prepare_cursor(VirtIOGPU *g, uint32_t resource_id)
{
    VirtIOGPULedgerEntry *entry;

    if (!g->reclaim || resource_id == 0) {
        return resource_id != 0;
    }
    entry = virtio_gpu_ledger_find(g->reclaim->ledger, resource_id);
    return entry && g->reclaim->backend->can_cursor(g, entry->opaque) &&
           virtio_gpu_reclaim_restore_now(g, entry) == 0;
}

/* Configuration. */

static bool virtio_gpu_reclaim_is_enabled(const VirtIOGPUBase *b)
{
    return b->conf.flags & (1 << VIRTIO_GPU_FLAG_RECLAIM_ENABLED);
}

uint64_t virtio_gpu_reclaim_features(const VirtIOGPUBase *b)
{
    return virtio_gpu_reclaim_is_enabled(b) ? 1 << VIRTIO_GPU_F_RECLAIM : 0;
}

size_t virtio_gpu_reclaim_config_size(const VirtIOGPUBase *b)
{
    return virtio_gpu_reclaim_is_enabled(b) ?
           VIRTIO_GPU_CONFIG_MAX_PURGE + sizeof(uint32_t) :
           sizeof(struct virtio_gpu_config);
}

void virtio_gpu_reclaim_get_config(VirtIOGPUBase *b, uint8_t *config)
{
    if (virtio_gpu_reclaim_is_enabled(b)) {
        memset(config + sizeof(struct virtio_gpu_config), 0,
               VIRTIO_GPU_CONFIG_MAX_PURGE - sizeof(struct virtio_gpu_config));
        stl_le_p(config + VIRTIO_GPU_CONFIG_MAX_PURGE,
                 VIRTIO_GPU_RECLAIM_MAX_PURGE);
    }
}

bool virtio_gpu_reclaim_check_conf(VirtIOGPU *g, Error **errp)
{
    VirtIOGPUReclaimConf *conf = &g->reclaim_conf;
    const struct {
        const char *option;
        bool is_set;
    } needs_reclaim[] = {
        { "hostmem-target", conf->target },
        { "x-compressed-max", conf->compressed_max },
        { "x-compressed-file", conf->compressed_file },
        { "x-evicted-compress=on", conf->compress_evicted },
        { "x-idle-compress", conf->idle_s },
        { "x-reclaim-pressure=psi", conf->pressure },
    };
    int i;

    if (virtio_gpu_reclaim_is_enabled(&g->parent_obj)) {
        return virtio_gpu_reclaim_control_check(conf, errp) &&
               virtio_gpu_reclaim_file_open(conf, errp);
    }
    for (i = 0; i < ARRAY_SIZE(needs_reclaim); i++) {
        if (needs_reclaim[i].is_set) {
            error_setg(errp, "%s needs x-reclaim=on", needs_reclaim[i].option);
            return false;
        }
    }
    return true;
}

/* Life cycle. */

static void virtio_gpu_reclaim_trim(void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->backend->trim();
}

void virtio_gpu_reclaim_realize(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r;

    if (!virtio_gpu_reclaim_is_enabled(&g->parent_obj) || g->reclaim) {
        return;
    }
    r = g_new0(VirtIOGPUReclaim, 1);
    r->events = &virtio_gpu_reclaim_events;
    r->ledger = virtio_gpu_ledger_new(g->conf_max_hostmem);
    r->trim = virtio_gpu_trim_new(virtio_gpu_reclaim_trim, g);
    QTAILQ_INIT(&r->saved);
    if (!virtio_gpu_virgl_enabled(g->parent_obj.conf)) {
        r->backend = &virtio_gpu_reclaim_2d;
    }
    g->reclaim = r;
    virtio_gpu_suspend_init(g);
    virtio_gpu_reclaim_control_init(g);
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
        virtio_gpu_reclaim_control_free(g);
        virtio_gpu_suspend_free(g);
        virtio_gpu_trim_free(r->trim);
        virtio_gpu_ledger_free(r->ledger);
        g_free(r);
        g->reclaim = NULL;
    }
    virtio_gpu_reclaim_file_close(&g->reclaim_conf);
}

static void virtio_gpu_reclaim_reset_entry(VirtIOGPULedgerEntry *entry,
                                           void *opaque)
{
    VirtIOGPU *g = opaque;

    if (entry->backing_bytes) {
        g->reclaim->backend->detach(g, entry->opaque);
    }
}

void virtio_gpu_reclaim_reset(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r = g->reclaim;
    uint64_t bytes;
    bool defer;
    int i;

    if (!r) {
        return;
    }
    /*
     * Guest memory is detached here and now. The storage of 2D resources goes
     * next, with the caller's; that of the renderer soon, with its own reset.
     */
    defer = r->backend && r->backend->reset;
    virtio_gpu_ledger_foreach(r->ledger, virtio_gpu_reclaim_reset_entry, g);
    bytes = virtio_gpu_ledger_stats(r->ledger)->host_bytes;
    virtio_gpu_ledger_clear(r->ledger, defer);
    virtio_gpu_reclaim_control_reset(g);
    virtio_gpu_reclaim_residency_reset(g);
    virtio_gpu_suspend_end(g);
    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        g->parent_obj.scanout[i].cursor.resource_id = 0;
    }
    if (defer) {
        r->backend->reset(g);
    } else if (r->backend) {
        virtio_gpu_trim_schedule(r->trim, bytes, VIRTIO_GPU_TRIM_UNREF_BYTES);
    }
}
