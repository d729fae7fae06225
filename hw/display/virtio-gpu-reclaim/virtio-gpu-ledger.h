/*
 * Virtio GPU: ledger of resource memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accounts host and guest memory of resources: for each resource id its state,
 * the bytes of host storage and the bytes of guest memory mapped for it, with
 * running totals for each state, of compressed contents and of deferred
 * storage; and the limit of all host memory. It is the only place where any of
 * this is counted.
 *
 * The ledger knows nothing of QEMU, pixman or GL and needs only GLib. It does
 * no locking: QEMU calls it with the BQL held. All sizes are in bytes.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_LEDGER_H
#define HW_DISPLAY_VIRTIO_GPU_LEDGER_H

#include <stdbool.h>
#include <glib.h>

/* Where the memory of a resource is, see docs/specs/virtio-gpu-reclaim.rst. */
typedef enum VirtIOGPULedgerState {
    /* Has host storage; guest pages are mapped, or were never attached. */
    VIRTIO_GPU_LEDGER_RESIDENT,
    /* Contents are kept by the host; no guest page is mapped. */
    VIRTIO_GPU_LEDGER_EVICTED,
    /* Contents are lost; no guest page is mapped. */
    VIRTIO_GPU_LEDGER_PURGED,
    VIRTIO_GPU_LEDGER_STATES,
} VirtIOGPULedgerState;

/* Why the contents of a resource were not compressed. */
typedef enum VirtIOGPULedgerSkip {
    VIRTIO_GPU_LEDGER_SKIP_BUSY,        /* a context cannot do without them */
    VIRTIO_GPU_LEDGER_SKIP_FORMAT,      /* cannot be read back losslessly */
    VIRTIO_GPU_LEDGER_SKIP_NO_GAIN,     /* would hardly be smaller */
    VIRTIO_GPU_LEDGER_SKIP_LIMIT,       /* over the limit of compressed data */
    VIRTIO_GPU_LEDGER_SKIP_NO_MEMORY,
    VIRTIO_GPU_LEDGER_SKIP_REASONS,
} VirtIOGPULedgerSkip;

/*
 * Compressed and purged resources do not count with their storage for the
 * limit, but with all others they may have this many times as much: that is
 * what is taken, at worst, by a command that restores all that it names.
 */
#define VIRTIO_GPU_LEDGER_OVERCOMMIT 2

/* Bucket i counts times below 2^(i+1) microseconds, the last one the rest. */
#define VIRTIO_GPU_LEDGER_TIME_BUCKETS 24

/* One resource. Only the ledger writes to it, except for @opaque. */
typedef struct VirtIOGPULedgerEntry {
    guint32 id;
    VirtIOGPULedgerState state;
    /* Not compressed, if @skipped, because of this. */
    VirtIOGPULedgerSkip skip;
    bool skipped;
    /* Not PURGED: compressed contents in place of storage. */
    bool compressed;
    bool blob;
    /* Host storage of the resource when it is not purged or compressed. */
    guint64 size;
    /* Host memory besides, in any state: objects that describe it, padding. */
    guint64 overhead;
    /* Guest memory that is mapped: 0 if nothing is attached. */
    guint64 backing_bytes;
    /* Host memory of the iovec and address arrays of that mapping. */
    guint64 iov_bytes;
    /* Host memory of compressed contents, 0 if they are in a file. */
    guint64 compressed_bytes;
    /* When they were compressed, in the caller's time. */
    guint64 compressed_at;
    /* PURGED: how much of its storage is known to be released. */
    guint64 released_bytes;
    void *opaque;
} VirtIOGPULedgerEntry;

/* Sums over the resources in one state, or of one kind. */
typedef struct VirtIOGPULedgerTotals {
    guint64 resources;
    /* Sum of their sizes: for purged ones, of what they no longer have. */
    guint64 size;
    guint64 backing_bytes;
    guint64 iov_bytes;
    guint64 released_bytes;
    /* Of those that are compressed: what their contents and storage take. */
    guint64 compressed_bytes;
    guint64 uncompressed_bytes;
} VirtIOGPULedgerTotals;

/* Resources whose contents are compressed. */
typedef struct VirtIOGPULedgerCompressed {
    guint64 resources;
    guint64 compressed_bytes;       /* that their contents take now */
    guint64 uncompressed_bytes;     /* that their storage would take */
    /* Storage of those that were skipped last, by the reason. */
    guint64 skipped_bytes[VIRTIO_GPU_LEDGER_SKIP_REASONS];
    /* What follows is counted since the ledger was made. */
    guint64 compressions;
    guint64 decompressions;
    guint64 decompress_us[VIRTIO_GPU_LEDGER_TIME_BUCKETS];
    guint64 skipped[VIRTIO_GPU_LEDGER_SKIP_REASONS];
} VirtIOGPULedgerCompressed;

/*
 * All that is counted. @in, @blobs, @deferred, @deferred_bytes, @host_bytes and
 * @overhead_bytes describe the present, the rest only grows for as long as the
 * ledger lives.
 */
typedef struct VirtIOGPULedgerStats {
    VirtIOGPULedgerTotals in[VIRTIO_GPU_LEDGER_STATES];
    /* Those in @in that are blobs. */
    VirtIOGPULedgerTotals blobs;
    VirtIOGPULedgerCompressed compressed;
    /* Storage detached from its resource, which something still refers to. */
    guint64 deferred;
    guint64 deferred_bytes;
    /* Host memory: storage, compressed contents, deferred, arrays ... */
    guint64 host_bytes;
    guint64 host_bytes_peak;
    /* ... and the overhead of all resources, deferred storage, objects. */
    guint64 overhead_bytes;
    guint64 object_bytes;           /* of that: objects of contexts */
    guint64 attaches;
    guint64 detaches;
    guint64 purges;
    guint64 restores;
    guint64 errors;
    guint64 released_bytes_total;
} VirtIOGPULedgerStats;

typedef struct VirtIOGPULedger VirtIOGPULedger;
typedef void (*VirtIOGPULedgerFunc)(VirtIOGPULedgerEntry *entry, void *opaque);

/**
 * virtio_gpu_ledger_new: Make an empty ledger.
 * @limit: bytes that all host memory must stay below; 0 for no limit
 *
 * Returns: the ledger, to be freed by virtio_gpu_ledger_free().
 */
VirtIOGPULedger *virtio_gpu_ledger_new(guint64 limit);

/**
 * virtio_gpu_ledger_free: Free a ledger and all its entries.
 * @ledger: the ledger, or NULL
 */
void virtio_gpu_ledger_free(VirtIOGPULedger *ledger);

/**
 * virtio_gpu_ledger_lacks: Bytes that more host memory would be over the limit.
 * @ledger: the ledger
 * @more: bytes to be allocated on top of all that is counted, overhead included
 *
 * Like the stock 2D device this stops one byte short of the limit. Compressed
 * contents count with what they take.
 */
guint64 virtio_gpu_ledger_lacks(const VirtIOGPULedger *ledger, guint64 more);

/**
 * virtio_gpu_ledger_may_fit: Whether more could fit if others are compressed.
 * @ledger: the ledger
 * @more: as for virtio_gpu_ledger_lacks()
 *
 * Uncompressed, and with what purged resources had, all must stay below
 * VIRTIO_GPU_LEDGER_OVERCOMMIT times the limit: so much can come back at once.
 */
bool virtio_gpu_ledger_may_fit(const VirtIOGPULedger *ledger, guint64 more);

/**
 * virtio_gpu_ledger_fits: Whether more host memory stays below the limit.
 * @ledger: the ledger
 * @more: as for virtio_gpu_ledger_lacks()
 */
bool virtio_gpu_ledger_fits(const VirtIOGPULedger *ledger, guint64 more);

/**
 * virtio_gpu_ledger_used: Host memory that counts for the limit, in bytes.
 * @ledger: the ledger
 */
guint64 virtio_gpu_ledger_used(const VirtIOGPULedger *ledger);

/**
 * virtio_gpu_ledger_clear: All resources end; counters and the peak stay.
 * @ledger: the ledger
 * @defer: host storage is released later: count it as deferred until
 *         virtio_gpu_ledger_release_all(); else it is gone now
 */
void virtio_gpu_ledger_clear(VirtIOGPULedger *ledger, bool defer);

/**
 * virtio_gpu_ledger_add: Add a RESIDENT resource with nothing attached.
 * @ledger: the ledger
 * @id: resource id
 * @size: bytes of its host storage
 * @overhead: bytes of host memory besides, until it is removed
 * @opaque: for the caller
 *
 * Returns: the entry, owned by the ledger; NULL, and nothing is changed, if @id
 * is 0 or in use.
 */
VirtIOGPULedgerEntry *virtio_gpu_ledger_add(VirtIOGPULedger *ledger,
                                            guint32 id, guint64 size,
                                            guint64 overhead, void *opaque);

/**
 * virtio_gpu_ledger_find: Look up a resource.
 * @ledger: the ledger
 * @id: resource id
 *
 * Returns: the entry, owned by the ledger, or NULL.
 */
VirtIOGPULedgerEntry *virtio_gpu_ledger_find(const VirtIOGPULedger *ledger,
                                             guint32 id);

/**
 * virtio_gpu_ledger_remove: Remove a resource in any state.
 * @ledger: the ledger
 * @entry: the resource; freed
 */
void virtio_gpu_ledger_remove(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_ledger_attach: Guest memory was attached: RESIDENT.
 * @ledger: the ledger
 * @entry: a resource that is neither PURGED nor compressed and has nothing
 *         attached
 * @bytes: of guest memory
 * @iov_bytes: of host memory that the arrays of the mapping take
 */
void virtio_gpu_ledger_attach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry, guint64 bytes,
                              guint64 iov_bytes);

/**
 * virtio_gpu_ledger_mark_blob: A resource is a blob.
 * @ledger: the ledger
 * @entry: the resource, which has just been added
 */
void virtio_gpu_ledger_mark_blob(VirtIOGPULedger *ledger,
                                 VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_ledger_detach: Guest memory was detached: EVICTED.
 * @ledger: the ledger
 * @entry: a RESIDENT resource
 */
void virtio_gpu_ledger_detach(VirtIOGPULedger *ledger,
                              VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_ledger_purge: Contents were dropped, memory detached: PURGED.
 * @ledger: the ledger
 * @entry: a resource that is not PURGED
 * @released: bytes of its storage that are gone already; what is not is
 *            reported by virtio_gpu_ledger_defer()
 */
void virtio_gpu_ledger_purge(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry, guint64 released);

/**
 * virtio_gpu_ledger_restore: Storage was made again, all zero: RESIDENT.
 * @ledger: the ledger
 * @entry: a PURGED resource
 */
void virtio_gpu_ledger_restore(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_ledger_enter: Set the state of a resource that was migrated.
 * @ledger: the ledger
 * @entry: a RESIDENT resource with nothing attached
 * @state: the state it had at the source; no event is counted
 */
void virtio_gpu_ledger_enter(VirtIOGPULedger *ledger,
                             VirtIOGPULedgerEntry *entry,
                             VirtIOGPULedgerState state);

/**
 * virtio_gpu_ledger_defer: Storage left its resource and is not released yet.
 * @ledger: the ledger
 * @bytes: of storage
 * @overhead: bytes of host memory that stay with it
 *
 * To be followed, or preceded, by the purge or removal of that resource.
 */
void virtio_gpu_ledger_defer(VirtIOGPULedger *ledger, guint64 bytes,
                             guint64 overhead);

/**
 * virtio_gpu_ledger_release: Deferred storage was released.
 * @ledger: the ledger
 * @id: the PURGED resource that had it last, or 0
 * @bytes: as given to virtio_gpu_ledger_defer()
 * @overhead: as given to it
 * @purged: it had been deferred by a purge
 */
void virtio_gpu_ledger_release(VirtIOGPULedger *ledger, guint32 id,
                               guint64 bytes, guint64 overhead, bool purged);

/**
 * virtio_gpu_ledger_release_all: All deferred storage was released.
 * @ledger: the ledger
 */
void virtio_gpu_ledger_release_all(VirtIOGPULedger *ledger);

/**
 * virtio_gpu_ledger_compress: Contents were compressed, storage released.
 * @ledger: the ledger
 * @entry: a RESIDENT or EVICTED resource with storage; backing stays attached
 * @bytes: of memory that the compressed contents take
 * @now: the time, in any unit
 */
void virtio_gpu_ledger_compress(VirtIOGPULedger *ledger,
                                VirtIOGPULedgerEntry *entry, guint64 bytes,
                                guint64 now);

/**
 * virtio_gpu_ledger_written: Compressed contents have left memory for a file.
 * @ledger: the ledger
 * @entry: a resource whose contents are compressed
 */
void virtio_gpu_ledger_written(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_ledger_decompress: Compressed contents are in storage again.
 * @ledger: the ledger
 * @entry: a resource whose contents are compressed
 * @us: microseconds that it took
 */
void virtio_gpu_ledger_decompress(VirtIOGPULedger *ledger,
                                  VirtIOGPULedgerEntry *entry, guint64 us);

/**
 * virtio_gpu_ledger_skip: Contents were not compressed.
 * @ledger: the ledger
 * @entry: a resource with storage
 * @reason: why
 *
 * Its storage counts under @reason until it is compressed, purged or skipped
 * for another one.
 */
void virtio_gpu_ledger_skip(VirtIOGPULedger *ledger,
                            VirtIOGPULedgerEntry *entry,
                            VirtIOGPULedgerSkip reason);

/**
 * virtio_gpu_ledger_set_objects: Objects of contexts take so much now.
 * @ledger: the ledger
 * @bytes: of host memory, besides the storage that they refer to
 */
void virtio_gpu_ledger_set_objects(VirtIOGPULedger *ledger, guint64 bytes);

/**
 * virtio_gpu_ledger_room: Bytes that can be allocated below the limit.
 * @ledger: the ledger
 *
 * Returns: bytes; G_MAXUINT64 if there is no limit.
 */
guint64 virtio_gpu_ledger_room(const VirtIOGPULedger *ledger);

/**
 * virtio_gpu_ledger_error: A command, or one resource of a purge, was rejected.
 * @ledger: the ledger
 */
void virtio_gpu_ledger_error(VirtIOGPULedger *ledger);

/**
 * virtio_gpu_ledger_foreach: Call a function for each resource.
 * @ledger: the ledger
 * @func: function; it must not add or remove resources
 * @opaque: for it
 */
void virtio_gpu_ledger_foreach(VirtIOGPULedger *ledger,
                               VirtIOGPULedgerFunc func, void *opaque);

/**
 * virtio_gpu_ledger_stats: Current numbers.
 * @ledger: the ledger
 *
 * Returns: the numbers, kept up to date for as long as the ledger lives.
 */
const VirtIOGPULedgerStats *
virtio_gpu_ledger_stats(const VirtIOGPULedger *ledger);

#endif /* HW_DISPLAY_VIRTIO_GPU_LEDGER_H */
