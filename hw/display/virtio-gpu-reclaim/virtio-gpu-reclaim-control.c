/*
 * Virtio GPU: when resources leave host memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Feeds virtio-gpu-policy.c with the device's numbers, once a second and when
 * they may want something, has what it says compressed, least recently used
 * first, and asks the guest to give back what it no longer wants.
 *
 * Usage:
 *
 *     -device virtio-gpu-gl-pci,id=gpu0,x-reclaim=on[,hostmem-target=SIZE]
 *             [,x-idle-compress=SECONDS][,x-reclaim-pressure=psi]
 *
 * and at run time qom-set /machine/peripheral/gpu0 hostmem-target SIZE.
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/qdev-properties.h"
#include "sysemu/qtest.h"
#include "virtio-gpu-reclaim-compress.h"
#include "virtio-gpu-reclaim-control.h"
#include "virtio-gpu-reclaim-psi.h"
#include "virtio-gpu-reclaim-residency.h"
#include "virtio-gpu-reclaim-suspend.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

/* As often as the numbers are looked at while something is wanted. */
#define TICK_MS 1000

/*
 * What the guest has evicted is compressed so long after the first of a burst:
 * a guest under memory pressure waits for each eviction, and may want some of
 * them back at once.
 */
#define EVICTED_MS 100

struct VirtIOGPUReclaimControl {
    VirtIOGPUPolicy *policy;
    VirtIOGPUPSI *psi;          /* or NULL */
    VirtIOGPUPressure pressure;
    QEMUTimer *timer;
    GHashTable *evicted;        /* ids of resources evicted meanwhile */
    uint64_t evicted_due;       /* when they are to be compressed */
    /* Of the present pass over the least recently used resources: */
    bool passing;
    uint32_t chosen;            /* the last one that was to be compressed */
    uint32_t after;             /* what is used no more recently stays */
    bool met_recent;            /* it ended at one that was used recently */
    bool restored;              /* a resource, by the present command */
};

/*
 * Idle times go on while the guest is stopped. Under qtest they are the test's
 * to advance.
 */
static QEMUClockType virtio_gpu_reclaim_control_clock(void)
{
    return qtest_enabled() ? QEMU_CLOCK_VIRTUAL : QEMU_CLOCK_REALTIME;
}

/* Never 0, which means never. */
static uint64_t virtio_gpu_reclaim_control_now(void)
{
    return qemu_clock_get_ms(virtio_gpu_reclaim_control_clock()) + 1;
}

/* Look at the numbers at @due at the latest. */
static void virtio_gpu_reclaim_control_schedule(VirtIOGPU *g, uint64_t due)
{
    timer_mod_anticipate(g->reclaim->control->timer, due - 1);
}

static bool virtio_gpu_reclaim_control_can_compress(VirtIOGPU *g)
{
    return g->reclaim->backend && g->reclaim->backend->lru_next;
}

static VirtIOGPUPolicyInput virtio_gpu_reclaim_control_input(VirtIOGPU *g)
{
    const VirtIOGPUReclaimConf *conf = &g->reclaim_conf;

    return (VirtIOGPUPolicyInput) {
        .now = virtio_gpu_reclaim_control_now(),
        .used = virtio_gpu_ledger_used(g->reclaim->ledger),
        .target = conf->target,
        .limit = g->conf_max_hostmem,
        .pressure = g->reclaim->control->pressure,
        .idle_ms = (uint64_t)conf->idle_s * 1000,
    };
}

static VirtIOGPUPolicyDecision virtio_gpu_reclaim_control_decide(VirtIOGPU *g)
{
    VirtIOGPUPolicyInput in = virtio_gpu_reclaim_control_input(g);

    return virtio_gpu_policy_decide(g->reclaim->control->policy, &in);
}

/* Choosing what leaves. */

static bool virtio_gpu_reclaim_control_may_leave(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);

    return entry && entry->state != VIRTIO_GPU_LEDGER_PURGED &&
           !entry->compressed &&
           !virtio_gpu_reclaim_is_scanned_out(g, id);
}

/* Whether there was no room for its compressed contents: nor for others'. */
static bool virtio_gpu_reclaim_control_is_full(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);

    return entry->skipped && (entry->skip == VIRTIO_GPU_LEDGER_SKIP_LIMIT ||
                              entry->skip == VIRTIO_GPU_LEDGER_SKIP_NO_MEMORY);
}

/* Of those that the guest has evicted. */
static uint32_t virtio_gpu_reclaim_control_next_evicted(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;
    VirtIOGPULedgerEntry *entry;
    GHashTableIter iter;
    gpointer key;

    if (virtio_gpu_reclaim_control_now() < c->evicted_due) {
        return 0;
    }
    g_hash_table_iter_init(&iter, c->evicted);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint32_t id = GPOINTER_TO_UINT(key);

        g_hash_table_iter_remove(&iter);
        entry = virtio_gpu_ledger_find(g->reclaim->ledger, id);
        if (entry && entry->state == VIRTIO_GPU_LEDGER_EVICTED &&
            virtio_gpu_reclaim_control_may_leave(g, id)) {
            return id;
        }
    }
    return 0;
}

/*
 * The least recently used one that may leave. What could not be compressed
 * stays the least recently used: the pass goes on behind it.
 */
static uint32_t virtio_gpu_reclaim_control_next_idle(VirtIOGPU *g)
{
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimControl *c = r->control;
    VirtIOGPUPolicyDecision decision;
    uint64_t last_use;
    uint32_t id;

    if (c->chosen && virtio_gpu_reclaim_control_may_leave(g, c->chosen)) {
        c->after = c->chosen;
        if (virtio_gpu_reclaim_control_is_full(g, c->chosen)) {
            return 0;
        }
    }
    c->chosen = 0;
    decision = virtio_gpu_reclaim_control_decide(g);
    if (!decision.bytes) {
        return 0;
    }
    if (c->after && !virtio_gpu_reclaim_control_may_leave(g, c->after) &&
        !virtio_gpu_reclaim_is_scanned_out(g, c->after)) {
        /* It was used, purged or destroyed meanwhile. */
        return 0;
    }
    while ((id = r->backend->lru_next(g, c->after, &last_use))) {
        if (last_use > decision.last_use) {
            c->met_recent = true;
            return 0;
        }
        if (virtio_gpu_reclaim_control_may_leave(g, id)) {
            c->chosen = id;
            return id;
        }
        c->after = id;
    }
    return 0;
}

static uint32_t virtio_gpu_reclaim_control_next(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;
    uint32_t id;

    if (!virtio_gpu_reclaim_control_can_compress(g)) {
        return 0;
    }
    id = virtio_gpu_reclaim_room_next(g);
    if (id || virtio_gpu_suspend_is_pending(g)) {
        return id;
    }
    id = virtio_gpu_reclaim_control_next_evicted(g);
    if (!id && c->passing) {
        id = virtio_gpu_reclaim_control_next_idle(g);
        c->passing = id;
    }
    return id;
}

/* Asking the guest. */

uint64_t virtio_gpu_reclaim_control_ask(VirtIOGPU *g)
{
    VirtIOGPUPolicyInput in = virtio_gpu_reclaim_control_input(g);

    return virtio_gpu_policy_ask(&in);
}

static void virtio_gpu_reclaim_control_notify(VirtIOGPU *g)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(g);
    uint64_t bytes = virtio_gpu_reclaim_control_ask(g);

    if (bytes && virtio_vdev_has_feature(vdev, VIRTIO_GPU_F_RECLAIM) &&
        !(g->parent_obj.virtio_config.events_read & VIRTIO_GPU_EVENT_RECLAIM)) {
        trace_virtio_gpu_reclaim_ask(bytes);
        g->parent_obj.virtio_config.events_read |= VIRTIO_GPU_EVENT_RECLAIM;
        virtio_notify_config(vdev);
    }
}

/* The clock. */

/* Whether the numbers have to be looked at again. */
static bool virtio_gpu_reclaim_control_wanted(VirtIOGPU *g)
{
    const VirtIOGPUReclaimConf *conf = &g->reclaim_conf;

    return conf->target || conf->idle_s || g->reclaim->control->psi ||
           (g->conf_max_hostmem && virtio_gpu_reclaim_control_can_compress(g));
}

static void virtio_gpu_reclaim_control_tick(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaim *r = g->reclaim;
    VirtIOGPUReclaimControl *c = r->control;
    uint64_t now = virtio_gpu_reclaim_control_now();

    if (c->psi) {
        c->pressure = virtio_gpu_psi_read(c->psi);
    }
    if (virtio_gpu_reclaim_control_can_compress(g)) {
        r->backend->set_time(g, now);
        if (!c->passing) {
            c->passing = true;
            c->chosen = 0;
            c->after = 0;
            c->met_recent = false;
        }
        virtio_gpu_reclaim_compress_start(g);
    }
    virtio_gpu_reclaim_control_notify(g);
    if (virtio_gpu_reclaim_control_wanted(g)) {
        virtio_gpu_reclaim_control_schedule(g, now + TICK_MS);
    }
    if (g_hash_table_size(c->evicted) && now < c->evicted_due) {
        virtio_gpu_reclaim_control_schedule(g, c->evicted_due);
    }
}

void virtio_gpu_reclaim_control_begin_cmd(VirtIOGPU *g)
{
    if (g->reclaim->backend->set_time) {
        g->reclaim->backend->set_time(g, virtio_gpu_reclaim_control_now());
    }
}

void virtio_gpu_reclaim_control_end_cmd(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;

    if (c->restored && virtio_gpu_ledger_lacks(g->reclaim->ledger, 0)) {
        /* Other resources have to leave for what the command has restored. */
        virtio_gpu_reclaim_control_schedule(g,
                                            virtio_gpu_reclaim_control_now());
    } else if (!timer_pending(c->timer) &&
               virtio_gpu_reclaim_control_wanted(g)) {
        virtio_gpu_reclaim_control_schedule(
            g, virtio_gpu_reclaim_control_now() + TICK_MS);
    }
    c->restored = false;
}

/* Events. */

void virtio_gpu_reclaim_control_evicted(VirtIOGPU *g, uint32_t id)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;

    if (!g->reclaim_conf.compress_evicted) {
        return;
    }
    if (!g_hash_table_size(c->evicted)) {
        c->evicted_due = virtio_gpu_reclaim_control_now() + EVICTED_MS;
        virtio_gpu_reclaim_control_schedule(g, c->evicted_due);
    }
    g_hash_table_add(c->evicted, GUINT_TO_POINTER(id));
}

void virtio_gpu_reclaim_control_compressed(VirtIOGPU *g,
                                           VirtIOGPULedgerEntry *entry,
                                           uint64_t bytes)
{
    uint64_t now = virtio_gpu_reclaim_control_now();

    virtio_gpu_ledger_compress(g->reclaim->ledger, entry, bytes, now);
    virtio_gpu_policy_left(g->reclaim->control->policy, now, entry->size);
}

void virtio_gpu_reclaim_control_decompressed(VirtIOGPU *g,
                                             VirtIOGPULedgerEntry *entry,
                                             uint64_t us)
{
    g->reclaim->control->restored = true;
    virtio_gpu_ledger_decompress(g->reclaim->ledger, entry, us);
    virtio_gpu_policy_back(g->reclaim->control->policy,
                           virtio_gpu_reclaim_control_now(),
                           entry->compressed_at, entry->size);
}

void virtio_gpu_reclaim_control_restored(VirtIOGPU *g,
                                         VirtIOGPULedgerEntry *entry)
{
    g->reclaim->control->restored = true;
    virtio_gpu_ledger_restore(g->reclaim->ledger, entry);
}

/* Statistics. */

/* Storage of what is scanned out or a cursor, each resource once. */
static uint64_t virtio_gpu_reclaim_control_scanned_out(VirtIOGPU *g)
{
    uint32_t ids[2 * VIRTIO_GPU_MAX_SCANOUTS];
    VirtIOGPULedgerEntry *entry;
    uint64_t bytes = 0;
    int n = 0, i, j;

    for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
        ids[n++] = g->parent_obj.scanout[i].resource_id;
        ids[n++] = g->parent_obj.scanout[i].cursor.resource_id;
    }
    for (i = 0; i < n; i++) {
        for (j = 0; j < i && ids[j] != ids[i]; j++) {
            /* Counted before? */
        }
        entry = virtio_gpu_ledger_find(g->reclaim->ledger, ids[i]);
        if (j == i && entry && entry->state != VIRTIO_GPU_LEDGER_PURGED &&
            !entry->skipped) {
            bytes += entry->size;
        }
    }
    return bytes;
}

/* What has storage, and stays for no other reason than that it is in use. */
static uint64_t virtio_gpu_reclaim_control_recent(VirtIOGPU *g,
                                                  uint64_t scanned_out)
{
    const VirtIOGPULedgerStats *s = virtio_gpu_ledger_stats(g->reclaim->ledger);
    uint64_t bytes = s->in[VIRTIO_GPU_LEDGER_RESIDENT].size +
                     s->in[VIRTIO_GPU_LEDGER_EVICTED].size -
                     s->compressed.uncompressed_bytes - scanned_out;
    int i;

    for (i = 0; i < VIRTIO_GPU_LEDGER_SKIP_REASONS; i++) {
        bytes -= s->compressed.skipped_bytes[i];
    }
    return g->reclaim->control->met_recent ? bytes : 0;
}

VirtIOGPUReclaimControlStatus virtio_gpu_reclaim_control_status(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;
    uint64_t now = virtio_gpu_reclaim_control_now();
    uint64_t scanned_out = virtio_gpu_reclaim_control_scanned_out(g);

    return (VirtIOGPUReclaimControlStatus) {
        .now = now,
        .protect_ms = virtio_gpu_policy_protect_ms(c->policy, now),
        .pressure = c->pressure,
        .ask_bytes = virtio_gpu_reclaim_control_ask(g),
        .recent_bytes = virtio_gpu_reclaim_control_recent(g, scanned_out),
        .scanned_out_bytes = scanned_out,
    };
}

/* Life cycle. */

void virtio_gpu_reclaim_control_reset(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;

    virtio_gpu_reclaim_compress_reset(g);
    g_hash_table_remove_all(c->evicted);
    c->passing = false;
    c->chosen = 0;
    c->after = 0;
    c->met_recent = false;
    g->parent_obj.virtio_config.events_read &= ~VIRTIO_GPU_EVENT_RECLAIM;
}

bool virtio_gpu_reclaim_control_check(const VirtIOGPUReclaimConf *conf,
                                      Error **errp)
{
    VirtIOGPUPSI *psi;

    if (conf->pressure == VIRTIO_GPU_RECLAIM_PRESSURE_OFF) {
        return true;
    }
    psi = virtio_gpu_psi_new(conf->pressure_file, errp);
    virtio_gpu_psi_free(psi);
    return psi;
}

void virtio_gpu_reclaim_control_init(VirtIOGPU *g)
{
    const VirtIOGPUReclaimConf *conf = &g->reclaim_conf;
    VirtIOGPUReclaimControl *c = g_new0(VirtIOGPUReclaimControl, 1);

    c->policy = virtio_gpu_policy_new();
    if (conf->pressure == VIRTIO_GPU_RECLAIM_PRESSURE_PSI) {
        c->psi = virtio_gpu_psi_new(conf->pressure_file, NULL);
    }
    c->evicted = g_hash_table_new(NULL, NULL);
    c->timer = timer_new_ms(virtio_gpu_reclaim_control_clock(),
                            virtio_gpu_reclaim_control_tick, g);
    g->reclaim->control = c;
    virtio_gpu_reclaim_compress_init(g, virtio_gpu_reclaim_control_next);
    if (virtio_gpu_reclaim_control_wanted(g)) {
        virtio_gpu_reclaim_control_schedule(
            g, virtio_gpu_reclaim_control_now() + TICK_MS);
    }
}

void virtio_gpu_reclaim_control_free(VirtIOGPU *g)
{
    VirtIOGPUReclaimControl *c = g->reclaim->control;

    virtio_gpu_reclaim_compress_free(g);
    timer_free(c->timer);
    g_hash_table_destroy(c->evicted);
    virtio_gpu_psi_free(c->psi);
    g_free(c->policy);
    g_free(c);
}

/* Properties. */

static void virtio_gpu_reclaim_target_get(Object *obj, Visitor *v,
                                          const char *name, void *opaque,
                                          Error **errp)
{
    visit_type_size(v, name, &VIRTIO_GPU(obj)->reclaim_conf.target, errp);
}

static void virtio_gpu_reclaim_target_set(Object *obj, Visitor *v,
                                          const char *name, void *opaque,
                                          Error **errp)
{
    VirtIOGPU *g = VIRTIO_GPU(obj);
    uint64_t target;

    if (!visit_type_size(v, name, &target, errp)) {
        return;
    }
    if (DEVICE(g)->realized && !g->reclaim) {
        error_setg(errp, "%s needs a device with x-reclaim=on", name);
        return;
    }
    g->reclaim_conf.target = target;
    if (g->reclaim) {
        trace_virtio_gpu_reclaim_target(target);
        virtio_gpu_reclaim_control_tick(g);
    }
}

const PropertyInfo virtio_gpu_reclaim_prop_target = {
    .COMPAT_PROP_TYPE = "size",
    .description = "host memory to stay below, in bytes; 0 for any "
                   "(needs x-reclaim=on)",
    .get = virtio_gpu_reclaim_target_get,
    .set = virtio_gpu_reclaim_target_set,
    .realized_set_allowed = true,
};

static const char *const virtio_gpu_reclaim_pressure_names[] = {
    [VIRTIO_GPU_RECLAIM_PRESSURE_OFF] = "off",
    [VIRTIO_GPU_RECLAIM_PRESSURE_PSI] = "psi",
};

static const QEnumLookup virtio_gpu_reclaim_pressure_lookup = {
    .array = virtio_gpu_reclaim_pressure_names,
    .size = ARRAY_SIZE(virtio_gpu_reclaim_pressure_names),
};

static void virtio_gpu_reclaim_pressure_get(Object *obj, Visitor *v,
                                            const char *name, void *opaque,
                                            Error **errp)
{
    visit_type_enum(v, name, &VIRTIO_GPU(obj)->reclaim_conf.pressure,
                    &virtio_gpu_reclaim_pressure_lookup, errp);
}

static void virtio_gpu_reclaim_pressure_set(Object *obj, Visitor *v,
                                            const char *name, void *opaque,
                                            Error **errp)
{
    visit_type_enum(v, name, &VIRTIO_GPU(obj)->reclaim_conf.pressure,
                    &virtio_gpu_reclaim_pressure_lookup, errp);
}

const PropertyInfo virtio_gpu_reclaim_prop_pressure = {
    .COMPAT_PROP_TYPE = "VirtIOGPUReclaimPressure",
    .description = "off/psi (needs x-reclaim=on)",
    .enum_table = &virtio_gpu_reclaim_pressure_lookup,
    .get = virtio_gpu_reclaim_pressure_get,
    .set = virtio_gpu_reclaim_pressure_set,
};
