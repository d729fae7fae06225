/*
 * Virtio GPU: ledger of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who holds how much: for each resource id its state, the bytes of host
 * storage behind it and the bytes of guest memory mapped for it, with running
 * totals for each state. The ledger only counts. It knows nothing of QEMU,
 * pixman or GL, needs only GLib, and does no locking.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_LEDGER_H
#define HW_DISPLAY_VIRTIO_GPU_LEDGER_H

#include <glib.h>

/* Where the memory of a resource is, see docs/specs/virtio-gpu-reclaim.rst. */
typedef enum VirtIOGPULedgerState {
    /* Has host storage; guest pages are mapped, or were never attached. */
    VIRTIO_GPU_LEDGER_RESIDENT,
    /* Has host storage with defined contents; no guest page is mapped. */
    VIRTIO_GPU_LEDGER_EVICTED,
    /* Contents are gone; no guest page is mapped. */
    VIRTIO_GPU_LEDGER_PURGED,
    VIRTIO_GPU_LEDGER_STATES,
} VirtIOGPULedgerState;

/* One resource. Only the ledger writes to it, but for @opaque. */
typedef struct VirtIOGPULedgerEntry {
    guint32 id;
    VirtIOGPULedgerState state;
    /* Host storage that the resource has unless it is purged. */
    guint64 size;
    /* Guest memory that is mapped: 0 if nothing is attached. */
    guint64 backing_bytes;
    /* What the host keeps to remember where that is. */
    guint64 array_bytes;
    void *opaque;
} VirtIOGPULedgerEntry;

/* Sums over the resources in one state. */
typedef struct VirtIOGPULedgerTotals {
    guint64 resources;
    /* Sum of their sizes: for purged ones, of what they no longer have. */
    guint64 size;
    guint64 backing_bytes;
    guint64 array_bytes;
} VirtIOGPULedgerTotals;

/*
 * All that is counted. @in, @deferred_bytes and @host_bytes describe the
 * present, the rest only grows for as long as the ledger lives.
 */
typedef struct VirtIOGPULedgerStats {
    VirtIOGPULedgerTotals in[VIRTIO_GPU_LEDGER_STATES];
    /* Storage that resources have given up and that is not gone yet. */
    guint64 deferred_bytes;
    /* All storage held: of what is not purged, deferred, and arrays. */
    guint64 host_bytes;
    guint64 host_bytes_peak;
    guint64 attaches;
    guint64 detaches;
    guint64 purges;
    guint64 restores;
    guint64 refused;
    guint64 released_bytes_total;
} VirtIOGPULedgerStats;

typedef struct VirtIOGPULedger VirtIOGPULedger;
typedef void (*VirtIOGPULedgerFunc)(VirtIOGPULedgerEntry *entry, void *opaque);

VirtIOGPULedger *virtio_gpu_ledger_new(void);
void virtio_gpu_ledger_free(VirtIOGPULedger *ledger);

/* Forget every resource. Counters and the peak stay. */
void virtio_gpu_ledger_clear(VirtIOGPULedger *ledger);

/*
 * Add a RESIDENT resource of @size bytes of host storage, nothing attached.
 * Returns NULL, and changes nothing, if @id is 0 or in use.
 */
VirtIOGPULedgerEntry *virtio_gpu_ledger_add(VirtIOGPULedger *ledger,
                                            guint32 id, guint64 size,
                                            void *opaque);

/* Returns NULL if there is no such resource. */
VirtIOGPULedgerEntry *virtio_gpu_ledger_find(const VirtIOGPULedger *ledger,
                                             guint32 id);

/* Forget one resource, in whatever state; @entry is freed. */
void virtio_gpu_ledger_remove(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry);

/*
 * @bytes of guest memory were attached to a resource that had none attached
 * and that is not purged: it is RESIDENT. The host keeps @array_bytes for it
 * until they are let go.
 */
void virtio_gpu_ledger_attach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry, guint64 bytes,
                              guint64 array_bytes);

/* The guest memory of a RESIDENT resource was let go: it is EVICTED. */
void virtio_gpu_ledger_detach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry);

/*
 * The contents of a resource were dropped, and its guest memory let go: it is
 * PURGED. That returned @released bytes at once; the rest of its size is
 * deferred.
 */
void virtio_gpu_ledger_purge(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry, guint64 released);

/* Correct what is deferred: storage goes when its last user lets go of it. */
void virtio_gpu_ledger_set_deferred(VirtIOGPULedger *ledger, guint64 bytes);

/*
 * A PURGED resource has storage again, all zero: it is RESIDENT with nothing
 * attached.
 */
void virtio_gpu_ledger_restore(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry);

/*
 * A RESIDENT resource with nothing attached turns out to be in @state: it comes
 * from a stream. Nothing happened to it, so that nothing is counted.
 */
void virtio_gpu_ledger_enter(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry,
                             VirtIOGPULedgerState state);

/* A request that concerns resources was turned down. */
void virtio_gpu_ledger_refuse(VirtIOGPULedger *ledger);

/* Call @func for each resource; it must not add or remove any. */
void virtio_gpu_ledger_foreach(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerFunc func, void *opaque);

/* The numbers as of now. */
const VirtIOGPULedgerStats *
virtio_gpu_ledger_stats(const VirtIOGPULedger *ledger);

#endif /* HW_DISPLAY_VIRTIO_GPU_LEDGER_H */
