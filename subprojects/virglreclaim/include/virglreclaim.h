/* SPDX-License-Identifier: MIT */
/* virglreclaim: residency of virglrenderer resources. */

#ifndef VIRGLRECLAIM_H
#define VIRGLRECLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <virglrenderer.h>

/*
 * virglrenderer has no call that releases the storage of a resource and keeps
 * the resource. This library adds one: it records how each resource was
 * created and which contexts it is attached to, destroys the renderer's
 * resource (purge) and creates it again under the same id, all zero (restore).
 * Contents that must not be lost can be compressed before.
 *
 * All resources and contexts of an instance must be created, attached and
 * destroyed through it, and all command streams be submitted through it: its
 * state is wrong if a call bypasses it. Blob resources and resources made of
 * EGL images are not supported; use the renderer for them, with other ids.
 *
 * Ownership: the library copies what is passed to it, but for iovecs (see
 * virgl_reclaim_resource_attach_iov()).
 *
 * Threads: functions with a struct virgl_reclaim argument must be called on
 * the renderer's thread, after virgl_renderer_init(). The library has one more
 * thread, which calls neither the renderer nor GL. Functions that call the
 * renderer may leave any GL context current; virgl_renderer_force_ctx_0()
 * makes that of context 0 current.
 *
 * Errors: negative errno values. Sizes: bytes, unless another unit is given.
 * Ids: of resources and contexts as in virtio-gpu commands; never 0.
 *
 * "Command stream" is the body of a SUBMIT_3D command of virtio-gpu, in the
 * protocol of virglrenderer's src/virgl_protocol.h. What is said about
 * virglrenderer holds for 0.10.4.
 */

/* What follows is exported by the shared library, and nothing else. */
#pragma GCC visibility push(default)

/* An instance: the state of one renderer's resources and contexts. */
struct virgl_reclaim;

enum virgl_reclaim_state {
    VIRGL_RECLAIM_NONE,         /* no such resource */
    VIRGL_RECLAIM_RESIDENT,     /* it has storage in the renderer */
    VIRGL_RECLAIM_PURGED,       /* contents lost, storage released */
    VIRGL_RECLAIM_COMPRESSED,   /* contents compressed, storage released */
};

/*
 * Why virgl_reclaim_resource_compress() skipped a resource. Those without an
 * error number are -EBUSY: the storage cannot leave, because
 */
enum virgl_reclaim_skipped {
    /* something refers to it that cannot be made again; */
    VIRGL_RECLAIM_SKIPPED_REFERENCED,
    VIRGL_RECLAIM_SKIPPED_FORMAT,       /* no lossless readback (-ENOTSUP) */
    VIRGL_RECLAIM_SKIPPED_NO_GAIN,      /* not compressible enough (-EFBIG) */
    VIRGL_RECLAIM_SKIPPED_LIMIT,        /* compress_max reached (-ENOSPC) */
    VIRGL_RECLAIM_SKIPPED_NO_MEMORY,    /* -ENOMEM */
    /* a query may write its result to it; */
    VIRGL_RECLAIM_SKIPPED_QUERY,
    /* it has been set as a stream-out target; */
    VIRGL_RECLAIM_SKIPPED_STREAM_OUT,
    /* a context is in error or has lost tracking (virgl_reclaim_submit()). */
    VIRGL_RECLAIM_SKIPPED_CONTEXT,
    VIRGL_RECLAIM_SKIPPED_REASONS = 16, /* room for more */
};

/* Bucket i counts times below 2^(i+1) us; the last one all others. */
#define VIRGL_RECLAIM_TIME_BUCKETS 24

/*
 * Storage is deferred for as long as a context refers to it after its resource
 * was destroyed (by a surface or sampler view), or after a purge if it could not
 * be detached (a query, a stream-out target): the renderer frees it with the
 * last reference. Compressed contents whose resource was destroyed count there,
 * too, while objects can show them. Totals count since the instance was created,
 * resets included.
 */
struct virgl_reclaim_stats {
    size_t size;                /* set by the caller: sizeof this structure */
    uint64_t resources;         /* number, in any state */
    uint64_t resident_bytes;    /* storage of resident resources */
    uint64_t purged;            /* number of purged resources */
    uint64_t released_bytes;    /* their storage, where it is gone */
    uint64_t deferred;          /* number of deferred storages */
    uint64_t deferred_bytes;    /* their bytes */
    uint64_t purges;            /* total; without those of purged resources */
    uint64_t restores;          /* total of purged resources */
    uint64_t released_total;    /* bytes of storage gone by purges */
    uint64_t compressed;        /* number of compressed resources */
    uint64_t compressed_bytes;  /* memory that their contents take */
    uint64_t uncompressed_bytes;    /* storage that they had */
    uint64_t compressions;      /* total */
    uint64_t decompressions;    /* total */
    uint64_t skipped[VIRGL_RECLAIM_SKIPPED_REASONS];    /* totals */
    uint64_t decompress_us[VIRGL_RECLAIM_TIME_BUCKETS]; /* decompressions */
    /* Of virgl_reclaim_set_compress_file(), whoever has what is in it: */
    uint64_t file;              /* number of contents in the file */
    uint64_t file_bytes;        /* that they take there */
    uint64_t file_writes;       /* total of contents written */
    uint64_t file_reads;        /* total of contents read back */
    uint64_t file_errors;       /* total of writes and reads that failed */
};

/*
 * Changes of storage, reported when they happen. A VMM that counts these and
 * the results of its own calls knows at any time what
 * virgl_reclaim_get_stats() would return.
 *
 * Any member may be NULL. Callbacks run on the caller's thread, before the
 * call that causes the event returns, with any GL context current. They must
 * not call the library. virgl_reclaim_reset() and virgl_reclaim_free() report
 * no events: there all resources end.
 */
struct virgl_reclaim_events {
    /*
     * Purge or unref has detached the storage of resource @id, and a context
     * refers to it or may do so: @bytes stay allocated, and its @overhead as
     * of virgl_reclaim_args_overhead(). If these calls return without this
     * event, the storage is gone. Compress, and a restore of
     * compressed contents that fails, can report it, too, if GL still has the
     * object. Unref reports compressed contents that stay, without overhead;
     * when virgl_reclaim_submit() decompresses them, their release is reported,
     * and their storage as deferred.
     */
    void (*storage_deferred)(uint32_t id, uint64_t bytes, uint64_t overhead,
                             void *opaque);
    /*
     * Deferred storage of @bytes is gone, with its @overhead. @purged: it was
     * deferred by a purge. @id: its resource, if that has been purged since; 0
     * if it has been restored or destroyed meanwhile, or if @purged is false.
     */
    void (*storage_released)(uint32_t id, uint64_t bytes, uint64_t overhead,
                             bool purged, void *opaque);
    /*
     * Resource @id is compressed, its storage released or reported as deferred
     * before; the contents take @compressed_bytes of memory, or 0 if they are in
     * the file.
     */
    void (*compressed)(uint32_t id, uint64_t compressed_bytes, void *opaque);
    /*
     * Resource @id, which was compressed, is resident with its contents: by
     * virgl_reclaim_resource_restore(), virgl_reclaim_resource_attach_iov() or
     * virgl_reclaim_submit(), also if that fails later. It took @us
     * microseconds.
     */
    void (*decompressed)(uint32_t id, uint64_t us, void *opaque);
    /*
     * Resource @id, which was purged, is resident, all zero, because
     * virgl_reclaim_submit() was to use an object or a binding of it.
     */
    void (*restored)(uint32_t id, void *opaque);
    /*
     * An object that refers to resource @id has ended after
     * virgl_reclaim_resource_compress() had failed with -EBUSY for it, and
     * neither a query nor a stream-out target is left: the VMM may try again.
     * Reported once, however often compress failed; not for a resource that is
     * purged or destroyed meanwhile.
     */
    void (*unreferenced)(uint32_t id, void *opaque);
    /*
     * The contents of resource @id, which is compressed, have moved to the file
     * and take no memory any more.
     */
    void (*written)(uint32_t id, void *opaque);
    /*
     * The contents of resource @id could not be written to the file, and are in
     * memory or storage as before, or not be read from it, and are there: @error
     * is a negative errno value.
     */
    void (*file_failed)(uint32_t id, int error, bool write, void *opaque);
};

/* A transfer between the backing of a resource and its storage. */
struct virgl_reclaim_transfer {
    bool to_host;               /* from backing to storage */
    uint32_t ctx;               /* context, or 0 for none */
    uint32_t level;             /* mip level */
    uint32_t x, y, z, w, h, d;  /* box: pixels and layers; bytes of a buffer */
    uint64_t offset;            /* bytes, of the first pixel in the backing */
    uint32_t stride;            /* bytes between rows there; 0: packed */
    uint32_t layer_stride;      /* bytes between layers there; 0: packed */
};

/* A context, for virgl_reclaim_ctx_foreach(). */
struct virgl_reclaim_ctx {
    uint32_t id;
    const char *name;           /* NUL-terminated; valid in the callback */
    uint64_t resources;         /* number attached */
    uint64_t bytes;             /* storage of those that are resident */
    uint64_t compressed_bytes;  /* memory that contents of the others take */
    uint64_t last_use;          /* of the context: virgl_reclaim_set_time() */
    uint64_t deferred_bytes;    /* deferred, that it refers or may refer to */
};

/* An allocator for the memory of an instance. */
struct virgl_reclaim_allocator {
    void *(*alloc)(size_t size, void *opaque);  /* NULL if out of memory */
    void (*free)(void *memory, void *opaque);   /* never called with NULL */
    void *opaque;               /* passed to both */
};

/**
 * virgl_reclaim_new: Create an instance without resources and contexts.
 *
 * Does not call the renderer. Memory comes from malloc().
 *
 * Returns: the instance, owned by the caller; NULL if out of memory.
 */
struct virgl_reclaim *virgl_reclaim_new(void);

/**
 * virgl_reclaim_new_with_allocator: Create an instance with an allocator.
 * @allocator: copied; both functions must be set
 *
 * All memory that the library allocates comes from it, except for the state of
 * zstd (about one megabyte, while virgl_reclaim_resource_compress() or a
 * restore of compressed contents runs). A call whose allocation fails returns
 * -ENOMEM and changes nothing, except where its description says so. The
 * renderer and GL allocate on their own.
 *
 * Returns: the instance, owned by the caller; NULL if out of memory or if a
 * function is missing.
 */
struct virgl_reclaim *virgl_reclaim_new_with_allocator(
    const struct virgl_reclaim_allocator *allocator);

/**
 * virgl_reclaim_free: Free an instance.
 * @vr: instance, or NULL
 *
 * Does not call the renderer, where resources and contexts stay. Reports no
 * events. GL textures of the library's own stay as well, if
 * virgl_reclaim_reset_begin() was not called. Backing as for
 * virgl_reclaim_reset().
 */
void virgl_reclaim_free(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_reset_begin: The renderer is going to be reset.
 * @vr: instance
 *
 * Call it before virgl_renderer_reset() or virgl_renderer_cleanup(), and nothing
 * but virgl_reclaim_reset() or virgl_reclaim_free() after that. If something is
 * compressed or restored in steps the library has GL textures of its own, which
 * the renderer does not know of, and which stay as long as any GL context that
 * shares them does. Deletes them in GL context 0. Reports no events.
 */
void virgl_reclaim_reset_begin(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_reset: Remove all resources and contexts from an instance.
 * @vr: instance
 *
 * Call it after virgl_renderer_reset(), which destroys them in the renderer, and
 * before that virgl_reclaim_reset_begin().
 * Does not call the renderer and reports no events. Attached backing is the
 * caller's again, but not returned: detach it before, or keep a list of your
 * own. Totals of the statistics, the limit of compressed contents, their file
 * and the event callbacks stay.
 */
void virgl_reclaim_reset(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_set_events: Set the event callbacks.
 * @vr: instance
 * @events: callbacks, copied; NULL for none, as at the start
 * @opaque: passed to each; must be valid for as long as they are set
 */
void virgl_reclaim_set_events(struct virgl_reclaim *vr,
                              const struct virgl_reclaim_events *events,
                              void *opaque);

/**
 * virgl_reclaim_set_time: Set the time of what happens from now on.
 * @vr: instance
 * @now: in a unit of the caller's; must not decrease. 0 at the start
 *
 * For virgl_reclaim_lru_next(). Each use of a resource is recorded once for each
 * value: a unit of a tenth of a second or more makes recording as good as free.
 */
void virgl_reclaim_set_time(struct virgl_reclaim *vr, uint64_t now);

/**
 * virgl_reclaim_args_bytes: Compute the host memory of a resource.
 * @args: its creation arguments
 *
 * From block size, mip levels, layers and samples, without the padding of the
 * GL driver. Of the samples that GL may store: at least 4 if there are any, and
 * a power of two. Unknown formats count as 4 bytes a pixel. Staging buffers have
 * no host storage: 0. Does not call the renderer; any thread.
 *
 * Returns: bytes; UINT64_MAX on overflow, or if there are more mip levels than
 * a texture can have (32).
 */
uint64_t virgl_reclaim_args_bytes(
    const struct virgl_renderer_resource_create_args *args);

/**
 * virgl_reclaim_args_overhead: Estimate what a resource takes besides storage.
 * @args: its creation arguments
 *
 * For the objects of the renderer, GL and this library, and for padding: small
 * textures, and those with short rows, take many times their storage. Measured
 * with llvmpipe, other GL drivers are not known to take more. Deferred storage
 * has the overhead of its resource. Does not call the renderer; any thread.
 *
 * Returns: bytes, at least 1024; UINT64_MAX on overflow.
 */
uint64_t virgl_reclaim_args_overhead(
    const struct virgl_renderer_resource_create_args *args);

/**
 * virgl_reclaim_resource_create: Create a resource, all zero.
 * @vr: instance
 * @args: as for virgl_renderer_resource_create(); copied
 *
 * The renderer leaves new storage as the GL driver allocates it, possibly with
 * old contents. The library clears it: buffers, and textures of every target,
 * format and sample count. Multisampled textures and, on GLES, depth and
 * stencil need GL 4.4, ARB_clear_texture or EXT_clear_texture for that.
 *
 * Returns: 0; -EEXIST if the id is in use (that resource is unchanged);
 * -EINVAL for id 0, an overflowing size, or if the renderer rejects the
 * arguments; -ENOMEM; -ENOTSUP if the storage cannot be cleared. After an
 * error there is no new resource.
 */
int virgl_reclaim_resource_create(
    struct virgl_reclaim *vr,
    const struct virgl_renderer_resource_create_args *args);

/**
 * virgl_reclaim_resource_unref: Destroy a resource in any state.
 * @vr: instance
 * @id: resource
 *
 * Detach its backing first: the renderer would lose the only pointer to the
 * caller's iovec. Storage that a context still refers to is deferred
 * (storage_deferred event); compressed contents are freed.
 *
 * Returns: 0; -ENOENT; -EBUSY if backing is attached (nothing changed).
 */
int virgl_reclaim_resource_unref(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_attach_iov: Attach guest memory as backing.
 * @vr: instance
 * @id: resource; restored first if it is not resident
 * @iov: array of guest memory; owned by the caller, must live until detached
 * @n: number of entries of @iov, at least 1
 *
 * Returns: 0; -ENOENT; -EINVAL if there is no memory in @iov; -EEXIST if
 * backing is attached; or an error of virgl_reclaim_resource_restore().
 */
int virgl_reclaim_resource_attach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec *iov, int n);

/**
 * virgl_reclaim_resource_detach_iov: Detach the backing.
 * @vr: instance
 * @id: resource
 * @iov: set to the array that was attached, the caller's again; may be NULL
 * @n: set to its number of entries; may be NULL
 *
 * Returns: 0; -ENOENT; -ENODATA if no backing is attached. After an error *@iov
 * is NULL and *@n is 0.
 */
int virgl_reclaim_resource_detach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec **iov, int *n);

/**
 * virgl_reclaim_resource_transfer: Copy between backing and storage.
 * @vr: instance
 * @id: resource
 * @t: transfer
 *
 * Validates level, box, strides and offset, without overflow, before it calls
 * the renderer: the box must be in the level, and its bytes in the backing. A
 * compressed resource is restored.
 *
 * Returns: 0; -ENOENT; -ENODATA if no backing is attached; -ESRCH if there is
 * no such context; -EINVAL if validation fails or the renderer rejects it; or an
 * error of virgl_reclaim_resource_restore().
 */
int virgl_reclaim_resource_transfer(struct virgl_reclaim *vr, uint32_t id,
                                    const struct virgl_reclaim_transfer *t);

/**
 * virgl_reclaim_resource_last_use: Get the time of the last use of a resource.
 * @vr: instance
 * @id: resource
 *
 * It is used when it is created, restored and transferred, when a command names
 * it or an object that refers to it, and by a draw, clear or compute grid while
 * it is bound.
 *
 * Returns: a time of virgl_reclaim_set_time(); 0 if there is no such resource.
 */
uint64_t virgl_reclaim_resource_last_use(const struct virgl_reclaim *vr,
                                         uint32_t id);

/**
 * virgl_reclaim_lru_next: Iterate over resident resources by last use.
 * @vr: instance
 * @after: the resource before, or 0 to start
 * @last_use: set to the time of its last use
 *
 * The least recently used come first. Those without host storage are left out,
 * and so are, until they are used again, those that
 * virgl_reclaim_resource_compress() skipped for their format or without gain.
 *
 * Returns: the next resource; 0 at the end, or if @after is not resident.
 */
uint32_t virgl_reclaim_lru_next(const struct virgl_reclaim *vr, uint32_t after,
                                uint64_t *last_use);

/**
 * virgl_reclaim_resource_args: Get the creation arguments of a resource.
 * @vr: instance
 * @id: resource
 *
 * Returns: the arguments, owned by the library and valid until the resource is
 * destroyed; NULL if there is no such resource.
 */
const struct virgl_renderer_resource_create_args *virgl_reclaim_resource_args(
    const struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_set_max_contexts: Limit the number of GL contexts.
 * @vr: instance
 * @max: sub-contexts of all contexts together, the first of each included; 0,
 *       as at the start: no limit
 *
 * Each is a GL context of the host: 2.3 MiB with llvmpipe, whatever it is used
 * for. Contexts that exist already stay.
 */
void virgl_reclaim_set_max_contexts(struct virgl_reclaim *vr, uint32_t max);

/**
 * virgl_reclaim_set_max_object_bytes: Limit the memory of contexts' objects.
 * @vr: instance
 * @max: bytes of all of them, as virgl_reclaim_object_bytes() has it;
 *       UINT64_MAX, as at the start: no limit
 *
 * A stream whose new objects would exceed it is rejected.
 */
void virgl_reclaim_set_max_object_bytes(struct virgl_reclaim *vr, uint64_t max);

/**
 * virgl_reclaim_object_bytes: Estimate what the objects of contexts take.
 * @vr: instance
 *
 * Of renderer, GL and this library, for all objects that command streams have
 * created (states, shaders, views, surfaces, queries, stream-out targets), without
 * the storage that they refer to. Measured with llvmpipe. What a context in error
 * has created counts until it is destroyed.
 *
 * Returns: bytes.
 */
uint64_t virgl_reclaim_object_bytes(const struct virgl_reclaim *vr);

/**
 * virgl_reclaim_ctx_create: Create a context.
 * @vr: instance
 * @ctx: its id
 * @nlen: maximum length of @name
 * @name: for debugging; copied, up to a NUL or @nlen bytes
 *
 * Returns: 0; -EEXIST; -EINVAL for id 0; -ENOSPC if there are too many; -ENOMEM;
 * or an error of the renderer.
 */
int virgl_reclaim_ctx_create(struct virgl_reclaim *vr, uint32_t ctx,
                             uint32_t nlen, const char *name);

/**
 * virgl_reclaim_ctx_destroy: Destroy a context and detach its resources.
 * @vr: instance
 * @ctx: context
 *
 * Drops its references: can report storage_released and unreferenced. Deferred
 * storage that it may have used with tracking lost is looked at by
 * virgl_reclaim_collect(), if there is much of it.
 *
 * Returns: 0 or -ENOENT.
 */
int virgl_reclaim_ctx_destroy(struct virgl_reclaim *vr, uint32_t ctx);

/**
 * virgl_reclaim_ctx_attach_resource: Attach a resource to a context.
 * @vr: instance
 * @ctx: context
 * @id: resource, in any state; a restore attaches it in the renderer
 *
 * Returns: 0, also if it is attached; -ENOENT if there is no such context or
 * resource; -ENOMEM.
 */
int virgl_reclaim_ctx_attach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id);

/**
 * virgl_reclaim_ctx_detach_resource: Detach a resource from a context.
 * @vr: instance
 * @ctx: context
 * @id: resource
 *
 * Objects and bindings of the context that refer to the storage stay.
 *
 * Returns: 0; -ENOENT if there is no such context or resource; -ENODATA if it
 * is not attached.
 */
int virgl_reclaim_ctx_detach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id);

/**
 * virgl_reclaim_ctx_foreach: Call a function for each context.
 * @vr: instance
 * @func: function; must not call the library
 * @opaque: passed to it
 *
 * In the order of ids. A resource counts in each context that it is attached
 * to, and deferred storage in each that may refer to it. Does not call the
 * renderer. While there is deferred storage it looks at all objects.
 */
void virgl_reclaim_ctx_foreach(
    const struct virgl_reclaim *vr,
    void (*func)(const struct virgl_reclaim_ctx *ctx, void *opaque),
    void *opaque);

/**
 * virgl_reclaim_submit: Submit a command stream to a context.
 * @vr: instance
 * @ctx: context
 * @commands: command stream, in host byte order; not changed
 * @words: its length, in 32-bit words
 *
 * Validates the stream first. Commands that would make the renderer access
 * invalid memory, or allocate memory that is not accounted, are rejected, and
 * then nothing is submitted or changed and the context stays usable:
 *
 * - GET_MEMORY_INFO of a resource without backing, or with less than 24 bytes
 *   in the first iovec: the renderer dereferences a null pointer, or writes
 *   over the end;
 * - a query whose buffer is smaller than its result, 16 bytes: the renderer
 *   writes over the end of its own copy while no backing is attached;
 * - GET_QUERY_RESULT_QBO to a resource that is no GL buffer: GL takes the
 *   offset for an address of the process;
 * - PIPE_RESOURCE_CREATE: its storage belongs to no resource, and the renderer
 *   leaks it when the context is destroyed;
 * - CREATE_SUB_CTX over the limit of virgl_reclaim_set_max_contexts();
 * - CREATE_OBJECT over that of virgl_reclaim_set_max_object_bytes().
 *
 * Compressed resources that commands may use, by an id, by an object that
 * refers to it, or by a draw while it is bound, are restored next. Then the
 * stream is submitted, and the references of the context's objects and
 * bindings to resources are updated from it. Deferred storage whose last
 * reference was dropped is reported as released before the call returns.
 *
 * The GL context of the context's sub-context is current afterwards, so that a
 * fence that the renderer creates next waits for the stream.
 *
 * If the renderer rejects a command, the context is in error: the renderer
 * executes no more of its commands, here or later. In this case, and from a
 * command on that this library does not know, the tracking of references is
 * lost: the context counts as referring to all resources attached to it, until
 * it is destroyed.
 *
 * Returns: 0; -ENOENT if there is no such context; -EINVAL if the stream is
 * invalid, as above, or the renderer rejects a command; -ENOSPC if it creates
 * too many sub-contexts, -EDQUOT too many objects; -ENOMEM if the renderer reports that; or an error of
 * virgl_reclaim_resource_restore(), with nothing submitted.
 */
int virgl_reclaim_submit(struct virgl_reclaim *vr, uint32_t ctx,
                         void *commands, uint32_t words);

/**
 * virgl_reclaim_try_submit: Submit a command stream that uses nothing absent.
 * @vr: instance
 * @ctx: context
 * @commands: command stream, in host byte order; not changed
 * @words: its length, in 32-bit words
 *
 * As virgl_reclaim_submit(), unless that would have to restore resources, which
 * takes milliseconds for each megabyte. Then nothing is submitted: call
 * virgl_reclaim_restore_run() until all of them are resident, and this again,
 * before what else is submitted to the context.
 *
 * Returns: -EAGAIN if resources have to be restored; else as
 * virgl_reclaim_submit().
 */
int virgl_reclaim_try_submit(struct virgl_reclaim *vr, uint32_t ctx,
                             void *commands, uint32_t words);

/**
 * virgl_reclaim_resource_referenced: Whether contexts refer to the storage.
 * @vr: instance
 * @id: resource
 *
 * By objects (surfaces, sampler views, stream-out targets, queries) and
 * bindings, in any sub-context of any context. Errs on the side of true.
 *
 * Returns: true if a context may refer to it; false if none does, if it is not
 * resident, or if there is no such resource.
 */
bool virgl_reclaim_resource_referenced(const struct virgl_reclaim *vr,
                                       uint32_t id);

/**
 * virgl_reclaim_resource_purge: Release the storage of a resource.
 * @vr: instance
 * @id: resource, without backing
 * @released: set to the bytes that are gone now; may be NULL
 *
 * The contents are lost; id, creation arguments and context attachments are
 * kept. The caller must make sure that the resource is not scanned out.
 *
 * Surfaces, sampler views and bindings that refer to it leave the renderer with
 * it, and are made again by a restore; virgl_reclaim_submit() restores it if it
 * is to use one of them (restored event). Storage
 * that cannot be detached (a query, a stream-out target that has been set, a
 * context in error) is deferred: *@released is 0, and storage_deferred is
 * reported. Those objects keep referring to it after a restore. Storage is gone
 * when the renderer has deleted the GL object and no GL context has it bound;
 * those that have used it are made current to unbind a texture. Memory that a
 * GL driver retains after that is not seen.
 *
 * A purged resource stays purged, with *@released 0. Compressed contents are
 * freed, and *@released is the size that the storage had.
 *
 * Freed memory may stay in the heap: call virgl_reclaim_trim() after a batch.
 *
 * Returns: 0; -ENOENT; -EBUSY if backing is attached.
 */
int virgl_reclaim_resource_purge(struct virgl_reclaim *vr, uint32_t id,
                                 uint64_t *released);

/**
 * virgl_reclaim_set_compress_max: Limit the memory of compressed contents.
 * @vr: instance
 * @max: bytes for all resources together; 0, as at the start, disables
 *       compression
 *
 * Resources that are compressed already stay so.
 */
void virgl_reclaim_set_compress_max(struct virgl_reclaim *vr, uint64_t max);

/**
 * virgl_reclaim_set_compress_file: Have a file for what exceeds that limit.
 * @vr: instance
 * @fd: the file, open for reading and writing; nobody else may write to it. The
 *      caller's, to be closed after virgl_reclaim_free(). -1, as at the start:
 *      none
 *
 * When the memory of compressed contents reaches its limit, the least recently
 * used ones of 4096 bytes or more are written to the file, until the others stay
 * below: in a thread of the library's own, for which
 * virgl_reclaim_resource_compress() waits and virgl_reclaim_compress_run() does
 * not. They are read when the resource is restored. Meanwhile the contents of
 * one resource are in memory above the limit.
 *
 * The file has 64 KiB for each part of contents, reuses the space of those that
 * are gone, and punches holes there if its file system can. So it grows to what
 * was in it at one time.
 *
 * If a write fails, contents stay where they are, and what is to be compressed
 * is skipped for the limit (-ENOSPC); of later attempts some are made without
 * the file, the more the longer it fails. If a read fails, so does the restore
 * (-EIO); the contents are kept for the next one. Both are reported
 * (file_failed).
 *
 * Returns: 0; -EBUSY if contents are in the file that is set.
 */
int virgl_reclaim_set_compress_file(struct virgl_reclaim *vr, int fd);

/**
 * virgl_reclaim_resource_compress: Compress contents and release the storage.
 * @vr: instance
 * @id: resource
 *
 * Reads back all levels, layers and faces and compresses them with zstd.
 * Lossless: virgl_reclaim_resource_restore() brings back the same bits.
 * Resources for which that cannot be guaranteed are skipped. Textures need GL
 * 4.5 on the host and must not be multisampled.
 *
 * Surfaces, sampler views and bindings leave the renderer with the storage, as
 * does backing. virgl_reclaim_submit() and virgl_reclaim_resource_transfer()
 * restore all of it before they use it.
 *
 * Waits until GL has drawn what was submitted, and takes milliseconds per
 * megabyte: virgl_reclaim_compress_begin() does the same in small steps. Freed
 * memory may stay in the heap: virgl_reclaim_trim().
 *
 * Returns: 0, also if it is compressed already. Else, with nothing changed but
 * the count of the reason: -ENOENT; -EBUSY if the storage cannot leave (see enum
 * virgl_reclaim_skipped); -ENODATA if it is purged or has no host storage (not
 * counted); -ECANCELED if it is needed (virgl_reclaim_restore_run(), not
 * counted); -ENOTSUP if there is no lossless readback; -EFBIG if it would save
 * less than an eighth; -ENOSPC if it would exceed the limit, and there is no
 * file or writing to it failed; -ENOMEM; -EALREADY
 * while virgl_reclaim_compress_begin() has one under way.
 */
int virgl_reclaim_resource_compress(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_compress_begin: Begin to compress a resource in steps.
 * @vr: instance
 * @id: resource
 *
 * As virgl_reclaim_resource_compress(), but zstd runs in a thread of the
 * library's own, and this thread does the rest in steps of at most half a
 * megabyte (or one row of pixels), by virgl_reclaim_compress_run(). One at a
 * time for each instance. What uses, purges or destroys the resource meanwhile
 * ends it.
 *
 * Returns: 0 if it has begun; -EALREADY if one is under way or the resource is
 * compressed; or an error of virgl_reclaim_resource_compress().
 */
int virgl_reclaim_compress_begin(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_compressing: Get the resource that is being compressed in steps.
 * @vr: instance
 *
 * Returns: the resource of virgl_reclaim_compress_begin(); 0 if there is none, or
 * if it was used, purged or destroyed meanwhile.
 */
uint32_t virgl_reclaim_compressing(const struct virgl_reclaim *vr);

/**
 * virgl_reclaim_compress_run: Do the next step.
 * @vr: instance
 *
 * Returns: -EAGAIN if it is to be called again, at once or later; 0 when the
 * resource is compressed; -ECANCELED if it was used, purged or destroyed, or
 * after a reset; -ENODATA if none was begun; or an error of
 * virgl_reclaim_resource_compress(). But for -EAGAIN none is under way then.
 */
int virgl_reclaim_compress_run(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_resource_restore: Make a resource resident.
 * @vr: instance
 * @id: resource
 *
 * Creates it again under its id, attached to its contexts: with its contents if
 * it was compressed (decompressed event), all zero if it was purged. Surfaces,
 * sampler views and bindings that left with the storage are back, and backing
 * that was attached to a compressed resource.
 *
 * Returns: 0, also if it is resident; -ENOENT; an error of
 * virgl_reclaim_resource_create(); -EIO if compressed contents cannot be
 * restored, or not be read from the file. After an error the resource is purged or compressed as before.
 */
int virgl_reclaim_resource_restore(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_restore_begin: Begin to make a resource resident in steps.
 * @vr: instance
 * @id: resource
 *
 * As virgl_reclaim_resource_restore(), but zstd runs in the library's thread, and
 * this thread does the rest in steps of at most half a megabyte (or one row of
 * pixels), by virgl_reclaim_restore_run(). A purged resource is restored at once.
 * Can be called again for the same resource, and for others.
 *
 * Returns: 0 if the resource is resident; -EAGAIN if it has begun; -ENOENT; or an
 * error of virgl_reclaim_resource_restore().
 */
int virgl_reclaim_restore_begin(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_restore_bytes: Get what the next step is going to allocate.
 * @vr: instance
 *
 * So that a VMM can make room for it before.
 *
 * Returns: bytes of storage of the resource that is restored next; 0 if there is
 * none, or if it has its storage already.
 */
uint64_t virgl_reclaim_restore_bytes(const struct virgl_reclaim *vr);

/**
 * virgl_reclaim_restore_run: Do the next step.
 * @vr: instance
 *
 * Restores, one after the other, what virgl_reclaim_try_submit() and
 * virgl_reclaim_restore_begin() have found absent. These resources, and all
 * others that the stream uses, are not compressed before
 * virgl_reclaim_restore_end() (-ECANCELED), so that others can be in their place.
 * Events are those of virgl_reclaim_submit().
 *
 * Returns: 0 when all are resident; 1 if it is to be called again, at once or
 * later; -EAGAIN if it is to be called again after the library's thread has
 * called what virgl_reclaim_set_wakeup() has set; or an error of
 * virgl_reclaim_resource_restore(), the resource as before.
 */
int virgl_reclaim_restore_run(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_restore_end: What was restored in steps has been used.
 * @vr: instance
 *
 * Or is not going to be: what is not resident yet stays as it was. Unlike
 * virgl_reclaim_reset() it calls the renderer.
 */
void virgl_reclaim_restore_end(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_set_wakeup: Set what the library's thread calls.
 * @vr: instance, without anything compressed or restored in steps so far
 * @wakeup: called after each piece of work: the next step can be done; must not
 *          call the library. NULL for none, as at the start
 * @opaque: passed to it
 */
void virgl_reclaim_set_wakeup(struct virgl_reclaim *vr,
                              void (*wakeup)(void *opaque), void *opaque);

/**
 * virgl_reclaim_resource_state: Get the state of a resource.
 * @vr: instance
 * @id: resource
 *
 * Returns: the state; VIRGL_RECLAIM_NONE if there is no such resource.
 */
enum virgl_reclaim_state virgl_reclaim_resource_state(
    const struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_attached: Whether a resource has backing attached.
 * @vr: instance
 * @id: resource
 *
 * Returns: true if it has; false if not, or if there is no such resource.
 */
bool virgl_reclaim_resource_attached(const struct virgl_reclaim *vr,
                                     uint32_t id);

/**
 * virgl_reclaim_resource_bytes: Get the size of a resource's storage.
 * @vr: instance
 * @id: resource, in any state
 *
 * Returns: bytes when resident, as virgl_reclaim_args_bytes() computes them; 0
 * if there is no such resource.
 */
uint64_t virgl_reclaim_resource_bytes(const struct virgl_reclaim *vr,
                                      uint32_t id);

/**
 * virgl_reclaim_get_stats: Get statistics.
 * @vr: instance
 * @stats: filled in, up to the size that it has; members that this version of
 *         the library does not know are 0
 *
 * A copy of running totals: calls neither GL nor the renderer.
 */
void virgl_reclaim_get_stats(const struct virgl_reclaim *vr,
                             struct virgl_reclaim_stats *stats);

/**
 * virgl_reclaim_collect: Have the GL driver release what has left.
 * @vr: instance
 *
 * Contexts that have used storage that was purged, compressed or destroyed can
 * keep its memory while they are idle: the GL driver (llvmpipe) refers to the
 * textures of the last rendering passes, and a deleted texture lives on where it
 * is bound. This visits such contexts, a few at a time so that no call takes
 * long. Call it from a timer soon after purges, unrefs, compressions and the
 * end of contexts, and virgl_reclaim_trim() after it. Can report storage_released. It also takes the
 * result of a write to the file that a resource was compressed for which was
 * used meanwhile, and can report written and file_failed.
 *
 * Returns: whether to call it again.
 */
bool virgl_reclaim_collect(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_trim: Return free heap memory to the operating system.
 *
 * Software GL drivers allocate textures with malloc(), which keeps freed
 * memory: on llvmpipe RSS was 339 MB after 256 MiB of 4 MiB textures had been
 * freed, and 77 MB after a trim. Walks the whole heap: call it once after a
 * burst of purges or unrefs. Only glibc; elsewhere it does nothing. Any
 * thread.
 */
void virgl_reclaim_trim(void);

#pragma GCC visibility pop

#endif
