/*
 * Virtio GPU: the property "reclaim-stats"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The numbers of the ledger as a QOM property of the device:
 * docs/interop/virtio-gpu-reclaim-stats.rst. Reading it costs nothing but
 * what the visitor takes: everything has been counted.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/qdev-properties.h"
#include "virtio-gpu-ledger.h"
#include "virtio-gpu-pressure.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-control.h"
#include "virtio-gpu-reclaim-suspend.h"
#include "virtio-gpu-reclaim-trim.h"

typedef struct VirtIOGPUStatsField {
    const char *name;
    uint64_t value;
} VirtIOGPUStatsField;

static bool virtio_gpu_stats_visit_fields(Visitor *v,
                                          const VirtIOGPUStatsField *fields,
                                          Error **errp)
{
    for (; fields->name; fields++) {
        uint64_t value = fields->value;

        if (!visit_type_uint64(v, fields->name, &value, errp)) {
            return false;
        }
    }
    return true;
}

static bool virtio_gpu_stats_visit_group(Visitor *v, const char *name,
                                         const VirtIOGPUStatsField *fields,
                                         Error **errp)
{
    bool ok;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return false;
    }
    ok = virtio_gpu_stats_visit_fields(v, fields, errp) &&
         visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

typedef struct VirtIOGPUStatsContexts {
    Visitor *v;
    Error **errp;
    const VirtIOGPUReclaimControlStatus *status;
    bool ok;
} VirtIOGPUStatsContexts;

static void virtio_gpu_stats_visit_context(const VirtIOGPUReclaimCtx *ctx,
                                           void *opaque)
{
    VirtIOGPUStatsContexts *vc = opaque;
    uint64_t id64 = ctx->id;
    char *str = (char *)ctx->name;
    uint64_t idle_ms = vc->status->now - MIN(vc->status->now, ctx->last_use);
    bool active = ctx->last_use && idle_ms < VIRTIO_GPU_POLICY_PROTECT_MS;

    if (!vc->ok) {
        return;
    }
    vc->ok = visit_start_struct(vc->v, NULL, NULL, 0, vc->errp);
    if (vc->ok) {
        vc->ok = visit_type_uint64(vc->v, "id", &id64, vc->errp) &&
                 visit_type_str(vc->v, "name", &str, vc->errp) &&
                 visit_type_bool(vc->v, "active", &active, vc->errp) &&
                 virtio_gpu_stats_visit_fields(vc->v, (VirtIOGPUStatsField[]) {
                     { "idle-ms", idle_ms },
                     { "resources", ctx->resources },
                     { "host-bytes", ctx->host_bytes },
                     { "compressed-bytes", ctx->compressed_bytes },
                     { "deferred-bytes", ctx->deferred_bytes },
                     { } }, vc->errp) &&
                 visit_check_struct(vc->v, vc->errp);
        visit_end_struct(vc->v, NULL);
    }
}

static bool
virtio_gpu_stats_visit_contexts(VirtIOGPU *g, Visitor *v,
                                const VirtIOGPUReclaimControlStatus *status,
                                Error **errp)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    VirtIOGPUStatsContexts vc = {
        .v = v, .errp = errp, .status = status, .ok = true,
    };

    if (!visit_start_list(v, "contexts", NULL, 0, errp)) {
        return false;
    }
    if (backend && backend->ctx_foreach) {
        backend->ctx_foreach(g, virtio_gpu_stats_visit_context, &vc);
    }
    vc.ok = vc.ok && visit_check_list(v, errp);
    visit_end_list(v, NULL);
    return vc.ok;
}

static bool virtio_gpu_stats_visit_times(Visitor *v, const uint64_t *times,
                                         Error **errp)
{
    bool ok = true;
    int i;

    if (!visit_start_list(v, "decompress-us", NULL, 0, errp)) {
        return false;
    }
    for (i = 0; ok && i < VIRTIO_GPU_LEDGER_TIME_BUCKETS; i++) {
        uint64_t n = times[i];

        ok = visit_type_uint64(v, NULL, &n, errp);
    }
    ok = ok && visit_check_list(v, errp);
    visit_end_list(v, NULL);
    return ok;
}

static bool
virtio_gpu_stats_visit_compressed(Visitor *v,
                                  const VirtIOGPULedgerCompressed *c,
                                  Error **errp)
{
    const guint64 *skipped = c->skipped;
    bool ok;

    if (!visit_start_struct(v, "compressed", NULL, 0, errp)) {
        return false;
    }
    ok = virtio_gpu_stats_visit_fields(v, (VirtIOGPUStatsField[]) {
             { "resources", c->resources },
             { "compressed-bytes", c->compressed_bytes },
             { "uncompressed-bytes", c->uncompressed_bytes },
             { "ratio-percent", c->uncompressed_bytes ?
               c->compressed_bytes * 100 / c->uncompressed_bytes : 0 },
             { "compressions", c->compressions },
             { "decompressions", c->decompressions },
             { } }, errp) &&
         virtio_gpu_stats_visit_times(v, c->decompress_us, errp) &&
         virtio_gpu_stats_visit_group(v, "skipped", (VirtIOGPUStatsField[]) {
             { "busy", skipped[VIRTIO_GPU_LEDGER_SKIP_BUSY] },
             { "format", skipped[VIRTIO_GPU_LEDGER_SKIP_FORMAT] },
             { "no-gain", skipped[VIRTIO_GPU_LEDGER_SKIP_NO_GAIN] },
             { "limit", skipped[VIRTIO_GPU_LEDGER_SKIP_LIMIT] },
             { "no-memory", skipped[VIRTIO_GPU_LEDGER_SKIP_NO_MEMORY] },
             { } }, errp) &&
         visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

static bool virtio_gpu_stats_visit_file(VirtIOGPU *g, Visitor *v, Error **errp)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    VirtIOGPUReclaimFileStats s = { 0 };

    if (backend && backend->file_stats) {
        s = backend->file_stats(g);
    }
    return virtio_gpu_stats_visit_group(v, "file", (VirtIOGPUStatsField[]) {
               { "resources", s.resources },
               { "bytes", s.bytes },
               { "writes", s.writes },
               { "reads", s.reads },
               { "errors", s.errors },
               { } }, errp);
}

static bool virtio_gpu_stats_visit_states(Visitor *v,
                                          const VirtIOGPULedgerStats *s,
                                          Error **errp)
{
    const VirtIOGPULedgerTotals *resident = &s->in[VIRTIO_GPU_LEDGER_RESIDENT];
    const VirtIOGPULedgerTotals *evicted = &s->in[VIRTIO_GPU_LEDGER_EVICTED];
    const VirtIOGPULedgerTotals *purged = &s->in[VIRTIO_GPU_LEDGER_PURGED];

    return virtio_gpu_stats_visit_group(v, "resident", (VirtIOGPUStatsField[]) {
               { "resources", resident->resources },
               { "host-bytes", resident->size - resident->uncompressed_bytes },
               { "compressed-bytes", resident->compressed_bytes },
               { "backing-bytes", resident->backing_bytes },
               { "iov-bytes", resident->iov_bytes },
               { } }, errp) &&
           virtio_gpu_stats_visit_group(v, "evicted", (VirtIOGPUStatsField[]) {
               { "resources", evicted->resources },
               { "host-bytes", evicted->size - evicted->uncompressed_bytes },
               { "compressed-bytes", evicted->compressed_bytes },
               { } }, errp) &&
           virtio_gpu_stats_visit_compressed(v, &s->compressed, errp) &&
           virtio_gpu_stats_visit_group(v, "purged", (VirtIOGPUStatsField[]) {
               { "resources", purged->resources },
               { "released-bytes", purged->released_bytes },
               { } }, errp) &&
           virtio_gpu_stats_visit_group(v, "deferred", (VirtIOGPUStatsField[]) {
               { "resources", s->deferred },
               { "host-bytes", s->deferred_bytes },
               { } }, errp) &&
           virtio_gpu_stats_visit_group(v, "blobs", (VirtIOGPUStatsField[]) {
               { "resources", s->blobs.resources },
               { "host-bytes", s->blobs.size },
               { "backing-bytes", s->blobs.backing_bytes },
               { } }, errp);
}

/* What the host wants, and why storage stays in spite of it. */
static bool
virtio_gpu_stats_visit_reclaim(VirtIOGPU *g, Visitor *v,
                               const VirtIOGPUReclaimControlStatus *status,
                               Error **errp)
{
    const guint64 *skipped =
        virtio_gpu_ledger_stats(g->reclaim->ledger)->compressed.skipped_bytes;
    char *pressure = (char *)virtio_gpu_pressure_name(status->pressure);

    return virtio_gpu_stats_visit_fields(v, (VirtIOGPUStatsField[]) {
               { "used-bytes", virtio_gpu_ledger_used(g->reclaim->ledger) },
               { "target-bytes", g->reclaim_conf.target },
               { "asked-bytes", status->ask_bytes },
               { "protect-ms", status->protect_ms },
               { } }, errp) &&
           visit_type_str(v, "pressure", &pressure, errp) &&
           virtio_gpu_stats_visit_group(v, "stays", (VirtIOGPUStatsField[]) {
               { "recently-used", status->recent_bytes },
               { "scanned-out", status->scanned_out_bytes },
               { "busy", skipped[VIRTIO_GPU_LEDGER_SKIP_BUSY] },
               { "format", skipped[VIRTIO_GPU_LEDGER_SKIP_FORMAT] },
               { "no-gain", skipped[VIRTIO_GPU_LEDGER_SKIP_NO_GAIN] },
               { "limit", skipped[VIRTIO_GPU_LEDGER_SKIP_LIMIT] },
               { "no-memory", skipped[VIRTIO_GPU_LEDGER_SKIP_NO_MEMORY] },
               { } }, errp);
}

/* Commands that were carried out in slices. */
static bool virtio_gpu_stats_visit_suspended(VirtIOGPU *g, Visitor *v,
                                             Error **errp)
{
    const VirtIOGPUSuspendStats *s = virtio_gpu_suspend_stats(g);

    return virtio_gpu_stats_visit_group(
        v, "suspended", (VirtIOGPUStatsField[]) {
            { "now", virtio_gpu_suspend_is_pending(g) },
            { "commands", s->commands },
            { "slices", s->slices },
            { "max-steps", s->max_steps },
            { } }, errp);
}

static void virtio_gpu_stats_get(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    VirtIOGPU *g = VIRTIO_GPU(obj);
    VirtIOGPUReclaimControlStatus status;
    const VirtIOGPUReclaimBackend *backend;
    const VirtIOGPULedgerStats *s;
    uint64_t trims, trim_us;

    if (!g->reclaim) {
        error_setg(errp, "%s needs a realized device with x-reclaim=on", name);
        return;
    }
    trims = virtio_gpu_trim_count(g->reclaim->trim, &trim_us);
    s = virtio_gpu_ledger_stats(g->reclaim->ledger);
    status = virtio_gpu_reclaim_control_status(g);
    backend = g->reclaim->backend;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (virtio_gpu_stats_visit_states(v, s, errp) &&
        virtio_gpu_stats_visit_file(g, v, errp) &&
        virtio_gpu_stats_visit_fields(v, (VirtIOGPUStatsField[]) {
            { "host-bytes", s->host_bytes },
            { "host-bytes-peak", s->host_bytes_peak },
            { "overhead-bytes", s->overhead_bytes },
            { "object-bytes", s->object_bytes },
            { "host-bytes-limit", g->conf_max_hostmem },
            { "attaches", s->attaches },
            { "detaches", s->detaches },
            { "purges", s->purges },
            { "restores", s->restores },
            { "errors", s->errors },
            { "released-bytes-total", s->released_bytes_total },
            { "trims", trims },
            { "trim-us", trim_us },
            { "compressing", backend && backend->compressing ?
              backend->compressing(g) : 0 },
            { } }, errp) &&
        virtio_gpu_stats_visit_reclaim(g, v, &status, errp) &&
        virtio_gpu_stats_visit_suspended(g, v, errp) &&
        virtio_gpu_stats_visit_contexts(g, v, &status, errp)) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

/* "info qtree" can only print strings. */
static int virtio_gpu_stats_print(Object *obj, COMPAT_PROP *prop, char *dest,
                                  size_t len)
{
    VirtIOGPU *g = VIRTIO_GPU(obj);

    if (!g->reclaim) {
        return snprintf(dest, len, "off");
    }
    return snprintf(dest, len, "%" PRIu64 " host bytes",
                    virtio_gpu_ledger_stats(g->reclaim->ledger)->host_bytes);
}

/*
 * A qdev property although nobody can set it: virtio's transports make an
 * alias of each of those.
 */
const PropertyInfo virtio_gpu_reclaim_prop_stats = {
    .COMPAT_PROP_TYPE = "VirtioGpuReclaimStats",
    .description = "memory of resources by state (needs x-reclaim=on)",
    .get = virtio_gpu_stats_get,
    .print = virtio_gpu_stats_print,
};
