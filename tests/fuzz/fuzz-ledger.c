/*
 * Fuzzer of the resource accounting, compared with a reference model
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The input is a list of operations of OP_BYTES each. Operations that violate
 * the ledger's preconditions are skipped.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio-gpu-ledger.h"

#define IDS 16
#define OP_BYTES 6

#define RESIDENT VIRTIO_GPU_LEDGER_RESIDENT
#define EVICTED VIRTIO_GPU_LEDGER_EVICTED
#define PURGED VIRTIO_GPU_LEDGER_PURGED

typedef struct Reference {
    bool live;
    VirtIOGPULedgerState state;
    guint64 size, overhead, backing, iov, released;
    bool is_compressed;
    guint64 compressed;
    int skip;       /* the reason, or -1 */
} Reference;

typedef struct Model {
    Reference res[IDS];
    guint64 deferred, deferred_overhead, peak;
    unsigned n_deferred;
    guint64 compressions, decompressions;
    guint64 attaches, detaches, purges, restores, errors, released;
} Model;

static guint64 number(const uint8_t *op)
{
    /* Up to 47 bits, so that sums do not overflow. */
    return (guint64)(op[2] | op[3] << 8 | op[4] << 16) << (op[5] % 24);
}

static void update_peak(Model *b)
{
    guint64 sum = b->deferred;
    int i;

    for (i = 0; i < IDS; i++) {
        if (b->res[i].live) {
            sum += b->res[i].iov;
            sum += b->res[i].state == PURGED ? 0 :
                   b->res[i].is_compressed ? b->res[i].compressed :
                   b->res[i].size;
        }
    }
    b->peak = MAX(b->peak, sum);
}

static void apply(VirtIOGPULedger *ledger, Model *b, const uint8_t *op)
{
    guint32 id = op[1] % IDS;
    Reference *n = &b->res[id];
    VirtIOGPULedgerEntry *e = virtio_gpu_ledger_find(ledger, id);
    guint64 value = number(op), overhead;

    g_assert(!e == !n->live);
    switch (op[0] % 14) {
    case 0:
        e = virtio_gpu_ledger_add(ledger, id, value, op[2], n);
        g_assert(!e == (!id || n->live));
        if (e) {
            g_assert(e->opaque == n && e->id == id);
            *n = (Reference) { .live = true, .state = RESIDENT, .size = value,
                               .overhead = op[2], .skip = -1 };
        }
        break;
    case 1:
        if (e) {
            virtio_gpu_ledger_remove(ledger, e);
            n->live = false;
        }
        break;
    case 2:
        if (e && n->state != PURGED && !n->backing && !n->is_compressed &&
            value) {
            virtio_gpu_ledger_attach(ledger, e, value, value >> 8);
            n->state = RESIDENT;
            n->backing = value;
            n->iov = value >> 8;
            b->attaches++;
        }
        break;
    case 3:
        if (e && n->state == RESIDENT) {
            virtio_gpu_ledger_detach(ledger, e);
            n->state = EVICTED;
            n->backing = n->iov = 0;
            b->detaches++;
        }
        break;
    case 4:
        if (e && n->state != PURGED) {
            value = MIN(value, n->size);
            if (value < n->size) {
                virtio_gpu_ledger_defer(ledger, n->size - value, n->overhead);
                b->deferred_overhead += n->overhead;
                b->n_deferred++;
            }
            virtio_gpu_ledger_purge(ledger, e, value);
            n->state = PURGED;
            n->backing = n->iov = n->compressed = 0;
            n->is_compressed = false;
            n->skip = -1;
            n->released = value;
            b->deferred += n->size - value;
            b->released += value;
            b->purges++;
        }
        break;
    case 5:
        if (e && n->state == PURGED) {
            virtio_gpu_ledger_restore(ledger, e);
            n->state = RESIDENT;
            n->released = 0;
            b->restores++;
        }
        break;
    case 6:
        if (b->n_deferred) {
            value = b->n_deferred == 1 ? b->deferred : MIN(value, b->deferred);
            overhead = b->n_deferred == 1 ? b->deferred_overhead :
                       MIN(op[3], b->deferred_overhead);
            virtio_gpu_ledger_release(ledger, id, value, overhead, op[5] & 1);
            b->deferred_overhead -= overhead;
            b->n_deferred--;
            b->deferred -= value;
            b->released += op[5] & 1 ? value : 0;
            if (e && n->state == PURGED) {
                n->released = value;
            }
        }
        break;
    case 7:
        virtio_gpu_ledger_error(ledger);
        b->errors++;
        break;
    case 8:
        if (e && n->state == RESIDENT && !n->backing && !n->is_compressed) {
            n->state = value % VIRTIO_GPU_LEDGER_STATES;
            n->released = n->state == PURGED ? n->size : 0;
            virtio_gpu_ledger_enter(ledger, e, n->state);
        }
        break;
    case 9:
        if (op[5] == 0) {
            virtio_gpu_ledger_clear(ledger, false);
            memset(b->res, 0, sizeof(b->res));
            b->deferred = b->deferred_overhead = b->n_deferred = 0;
        }
        break;
    case 10:
        if (e && n->state != PURGED && !n->is_compressed) {
            virtio_gpu_ledger_compress(ledger, e, value, op[5]);
            g_assert(e->compressed_at == op[5]);
            n->is_compressed = true;
            n->compressed = value;
            n->skip = -1;
            b->compressions++;
        }
        break;
    case 11:
        if (e && n->is_compressed) {
            virtio_gpu_ledger_decompress(ledger, e, value);
            n->is_compressed = false;
            n->compressed = 0;
            b->decompressions++;
        }
        break;
    case 12:
        if (e && n->state != PURGED && !n->is_compressed) {
            n->skip = value % VIRTIO_GPU_LEDGER_SKIP_REASONS;
            virtio_gpu_ledger_skip(ledger, e, n->skip);
        }
        break;
    case 13:
        if (e && n->is_compressed) {
            virtio_gpu_ledger_written(ledger, e);
            n->compressed = 0;
        }
        break;
    }
    update_peak(b);
}

static void compare(const VirtIOGPULedger *ledger, const Model *b)
{
    const VirtIOGPULedgerStats *s = virtio_gpu_ledger_stats(ledger);
    VirtIOGPULedgerTotals in[VIRTIO_GPU_LEDGER_STATES] = { 0 };
    guint64 host = b->deferred, compressed = 0;
    guint64 overhead = b->deferred_overhead;
    guint64 skipped[VIRTIO_GPU_LEDGER_SKIP_REASONS] = { 0 };
    int i;

    for (i = 0; i < IDS; i++) {
        const Reference *n = &b->res[i];

        if (n->live) {
            in[n->state].resources++;
            in[n->state].size += n->size;
            in[n->state].backing_bytes += n->backing;
            in[n->state].iov_bytes += n->iov;
            in[n->state].released_bytes += n->released;
            compressed += n->compressed;
            if (n->is_compressed) {
                in[n->state].compressed_bytes += n->compressed;
                in[n->state].uncompressed_bytes += n->size;
            }
            if (n->skip >= 0) {
                skipped[n->skip] += n->size;
            }
            overhead += n->overhead;
            host += n->iov + (n->state == PURGED ? 0 :
                              n->is_compressed ? n->compressed : n->size);
        }
    }
    g_assert(memcmp(in, s->in, sizeof(in)) == 0);
    g_assert(memcmp(skipped, s->compressed.skipped_bytes,
                    sizeof(skipped)) == 0);
    g_assert(s->deferred == b->n_deferred);
    g_assert(s->deferred_bytes == b->deferred);
    g_assert(s->compressed.compressed_bytes == compressed);
    g_assert(s->compressed.compressions == b->compressions);
    g_assert(s->compressed.decompressions == b->decompressions);
    g_assert(s->host_bytes == host);
    g_assert(s->overhead_bytes == overhead);
    g_assert(s->host_bytes_peak == b->peak);
    g_assert(s->attaches == b->attaches && s->detaches == b->detaches);
    g_assert(s->purges == b->purges && s->restores == b->restores);
    g_assert(s->errors == b->errors);
    g_assert(s->released_bytes_total == b->released);
}

static void count(VirtIOGPULedgerEntry *entry, void *opaque)
{
    ++*(int *)opaque;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VirtIOGPULedger *ledger = virtio_gpu_ledger_new(0);
    Model model = { 0 };
    int n = 0, live = 0, i;

    for (; size >= OP_BYTES; data += OP_BYTES, size -= OP_BYTES) {
        apply(ledger, &model, data);
        compare(ledger, &model);
    }
    virtio_gpu_ledger_foreach(ledger, count, &n);
    for (i = 0; i < IDS; i++) {
        live += model.res[i].live;
    }
    g_assert(n == live);
    virtio_gpu_ledger_free(ledger);
    return 0;
}
