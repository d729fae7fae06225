/*
 * Virtio GPU: the property "reclaim-stats"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What of the memory of resources is where, as a QOM property of the device:
 * docs/interop/virtio-gpu-reclaim-stats.rst
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/qdev-properties.h"
#include "virtio-gpu-reclaim-backend.h"

typedef struct StatsField {
    const char *name;
    uint64_t value;
} StatsField;

static bool visit_fields(Visitor *v, const StatsField *fields, Error **errp)
{
    for (; fields->name; fields++) {
        uint64_t value = fields->value;

        if (!visit_type_uint64(v, fields->name, &value, errp)) {
            return false;
        }
    }
    return true;
}

static bool visit_group(Visitor *v, const char *name, const StatsField *fields,
                        Error **errp)
{
    bool ok;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return false;
    }
    ok = visit_fields(v, fields, errp) && visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

typedef struct VisitContexts {
    Visitor *v;
    Error **errp;
    bool ok;
} VisitContexts;

static void visit_context(uint32_t id, const char *name, uint64_t resources,
                          uint64_t host_bytes, void *opaque)
{
    VisitContexts *vc = opaque;
    uint64_t id64 = id;
    char *str = (char *)name;

    if (!vc->ok) {
        return;
    }
    vc->ok = visit_start_struct(vc->v, NULL, NULL, 0, vc->errp);
    if (vc->ok) {
        vc->ok = visit_type_uint64(vc->v, "id", &id64, vc->errp) &&
                 visit_type_str(vc->v, "name", &str, vc->errp) &&
                 visit_fields(vc->v, (StatsField[]) {
                     { "resources", resources },
                     { "host-bytes", host_bytes },
                     { } }, vc->errp) &&
                 visit_check_struct(vc->v, vc->errp);
        visit_end_struct(vc->v, NULL);
    }
}

static bool visit_contexts(VirtIOGPU *g, Visitor *v, Error **errp)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    VisitContexts vc = { .v = v, .errp = errp, .ok = true };

    if (!visit_start_list(v, "contexts", NULL, 0, errp)) {
        return false;
    }
    if (backend && backend->contexts) {
        backend->contexts(g, visit_context, &vc);
    }
    vc.ok = vc.ok && visit_check_list(v, errp);
    visit_end_list(v, NULL);
    return vc.ok;
}

static bool visit_times(Visitor *v, const uint64_t *times, Error **errp)
{
    bool ok = true;
    int i;

    if (!visit_start_list(v, "restore-us", NULL, 0, errp)) {
        return false;
    }
    for (i = 0; ok && i < VIRTIO_GPU_RECLAIM_TIME_BUCKETS; i++) {
        uint64_t n = times[i];

        ok = visit_type_uint64(v, NULL, &n, errp);
    }
    ok = ok && visit_check_list(v, errp);
    visit_end_list(v, NULL);
    return ok;
}

static bool visit_stored(Visitor *v, const VirtIOGPUReclaimStored *stored,
                         Error **errp)
{
    bool ok;

    if (!visit_start_struct(v, "evicted-store", NULL, 0, errp)) {
        return false;
    }
    ok = visit_fields(v, (StatsField[]) {
             { "resources", stored->resources },
             { "stored-bytes", stored->bytes },
             { "of-bytes", stored->of_bytes },
             { "ratio-percent", stored->of_bytes ?
                                stored->bytes * 100 / stored->of_bytes : 0 },
             { "stores", stored->stores },
             { "restores", stored->restores },
             { } }, errp) &&
         visit_times(v, stored->restore_us, errp) &&
         visit_group(v, "kept", (StatsField[]) {
             { "referenced", stored->kept[0] },
             { "format", stored->kept[1] },
             { "no-gain", stored->kept[2] },
             { "limit", stored->kept[3] },
             { "no-memory", stored->kept[4] },
             { } }, errp) &&
         visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

static void get_stats(Object *obj, Visitor *v, const char *name, void *opaque,
                      Error **errp)
{
    VirtIOGPU *g = VIRTIO_GPU(obj);
    const VirtIOGPULedgerStats *s;
    const VirtIOGPULedgerTotals *in;
    VirtIOGPUReclaimAudit a;
    uint64_t trims, trim_us;

    if (!g->reclaim) {
        error_setg(errp, "%s needs a realized device with x-reclaim=on", name);
        return;
    }
    virtio_gpu_reclaim_audit(g, &a);
    trims = virtio_gpu_reclaim_trims(g->reclaim, &trim_us);
    s = virtio_gpu_ledger_stats(g->reclaim->ledger);
    in = s->in;

    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    if (visit_group(v, "resident", (StatsField[]) {
            { "resources", in[VIRTIO_GPU_LEDGER_RESIDENT].resources },
            { "host-bytes", in[VIRTIO_GPU_LEDGER_RESIDENT].size },
            { "backing-bytes", in[VIRTIO_GPU_LEDGER_RESIDENT].backing_bytes },
            { "array-bytes", in[VIRTIO_GPU_LEDGER_RESIDENT].array_bytes },
            { } }, errp) &&
        visit_group(v, "evicted", (StatsField[]) {
            { "resources", in[VIRTIO_GPU_LEDGER_EVICTED].resources },
            { "host-bytes", in[VIRTIO_GPU_LEDGER_EVICTED].size -
                            a.stored.of_bytes },
            { "stored-bytes", a.stored.bytes },
            { } }, errp) &&
        visit_stored(v, &a.stored, errp) &&
        visit_group(v, "purged", (StatsField[]) {
            { "resources", in[VIRTIO_GPU_LEDGER_PURGED].resources },
            { "released-bytes", a.purged_released_bytes },
            { } }, errp) &&
        visit_group(v, "deferred", (StatsField[]) {
            { "resources", a.deferred },
            { "host-bytes", a.deferred_bytes },
            { } }, errp) &&
        visit_fields(v, (StatsField[]) {
            { "host-bytes", s->host_bytes - a.stored.of_bytes +
                            a.stored.bytes },
            { "host-bytes-peak", s->host_bytes_peak },
            { "host-bytes-limit", g->conf_max_hostmem },
            { "attaches", s->attaches },
            { "detaches", s->detaches },
            { "purges", s->purges },
            { "restores", s->restores },
            { "refused", s->refused },
            { "released-bytes-total", a.released_bytes_total },
            { "trims", trims },
            { "trim-us", trim_us },
            { } }, errp) &&
        visit_contexts(g, v, errp)) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

/* "info qtree" can only print strings. */
static int print_stats(Object *obj, Property *prop, char *dest, size_t len)
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
    .name = "VirtioGpuReclaimStats",
    .description = "memory of resources by state (needs x-reclaim=on)",
    .get = get_stats,
    .print = print_stats,
};
