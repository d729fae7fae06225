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
 * The renderer has no call that gives the storage of a resource back and
 * keeps the resource. This library adds one: it remembers how each resource
 * was made and who may use it, so that the storage can be dropped (purge)
 * and made again under the same id, all zero (restore).
 *
 * All resources and contexts that a VMM hands to this library must be
 * created, attached and destroyed through it, and all command streams go
 * through it: the books are only right when nobody goes past them. Blobs and
 * resources made of an EGL image are not handled; keep them with the renderer,
 * under ids of their own.
 *
 * Threads: every function with a struct virgl_reclaim argument must be called
 * on the renderer's thread, virgl_renderer_init() done. Those that reach the
 * renderer leave its context 0 current (virgl_renderer_force_ctx_0()).
 *
 * Errors: negative errno values. Sizes: bytes.
 */

struct virgl_reclaim;

enum virgl_reclaim_state {
    VIRGL_RECLAIM_NONE,         /* no such resource */
    VIRGL_RECLAIM_RESIDENT,     /* the renderer holds its storage */
    VIRGL_RECLAIM_PURGED,       /* contents lost, storage released */
    VIRGL_RECLAIM_COMPRESSED,   /* contents compressed, storage released */
};

/* Why virgl_reclaim_resource_compress() left a resource as it was. */
enum virgl_reclaim_skipped {
    VIRGL_RECLAIM_SKIPPED_REFERENCED,  /* something in a context refers to them */
    VIRGL_RECLAIM_SKIPPED_FORMAT,      /* they cannot be read back exactly */
    VIRGL_RECLAIM_SKIPPED_NO_GAIN,     /* compressed they are hardly smaller */
    VIRGL_RECLAIM_SKIPPED_LIMIT,       /* there was no room for them */
    VIRGL_RECLAIM_SKIPPED_NO_MEMORY,
    VIRGL_RECLAIM_SKIPPED_REASONS,
};

/* Bucket i counts what took less than 2^(i+1) us, and the last the rest. */
#define VIRGL_RECLAIM_TIME_BUCKETS 24

/*
 * Storage that was given up is "deferred" for as long as something in a
 * context (a surface, a sampler view, a query) keeps it alive: the renderer
 * frees it with the last such reference.
 */
struct virgl_reclaim_stats {
    uint64_t resources;         /* all, in any state */
    uint64_t resident_bytes;    /* of resources that are resident */
    uint64_t purged;            /* resources that are purged now */
    uint64_t released_bytes;    /* of those, storage known to be gone */
    uint64_t deferred;          /* storages given up by purge or unref ... */
    uint64_t deferred_bytes;    /* ... that the renderer still holds */
    uint64_t purges;            /* since the start, repeated ones not counted */
    uint64_t restores;          /* since the start */
    uint64_t released_total;    /* released by purges since the start */
    uint64_t compressed;        /* resources that are compressed now */
    uint64_t compressed_bytes;  /* memory that their contents take ... */
    uint64_t uncompressed_bytes;    /* ... and that their storage took */
    uint64_t compressions;      /* since the start */
    uint64_t decompressions;    /* since the start */
    uint64_t skipped[VIRGL_RECLAIM_SKIPPED_REASONS];    /* since the start */
    uint64_t decompress_us[VIRGL_RECLAIM_TIME_BUCKETS]; /* since the start */
};

/* Bytes from the backing of a resource to its storage, or the other way. */
struct virgl_reclaim_transfer {
    bool to_host;
    uint32_t ctx;               /* on behalf of it; 0 for none */
    uint32_t level;
    uint32_t x, y, z, w, h, d;
    uint64_t offset;            /* of the first byte, in the backing */
    uint32_t stride;            /* of rows and layers there; 0: packed */
    uint32_t layer_stride;
};

/*
 * What happens to storage, reported when it happens: with the results of the
 * calls that it makes, a VMM that counts these knows at any time what
 * virgl_reclaim_get_stats() would say.
 *
 * Any member may be NULL. They are called on the thread of the call that they
 * happen in, before it returns, with context 0 or any other current. They must
 * not call the library, and virgl_reclaim_reset() and virgl_reclaim_free() call
 * none of them: there everything ends.
 */
struct virgl_reclaim_events {
    /*
     * The storage of resource @id was detached from it, by purge or unref (or
     * by compress, if GL still has the object then): a context refers to it, or
     * may do so, and its @bytes stay allocated. When purge or unref return
     * without this event, the storage is gone.
     */
    void (*storage_deferred)(uint32_t id, uint64_t bytes, void *opaque);
    /*
     * Such storage of @bytes is gone. @purged: it was deferred by a purge. @id:
     * its resource if that is still purged since then; 0 if it has been restored
     * or destroyed meanwhile, or was not purged.
     */
    void (*storage_released)(uint32_t id, uint64_t bytes, bool purged,
                             void *opaque);
    /*
     * Resource @id is compressed now: its contents are in @compressed_bytes of
     * memory.
     */
    void (*compressed)(uint32_t id, uint64_t compressed_bytes, void *opaque);
    /*
     * Resource @id, which was compressed, is resident again with its contents,
     * by restore, attach or submit. That took @us microseconds.
     */
    void (*decompressed)(uint32_t id, uint64_t us, void *opaque);
    /*
     * The last reference is gone that made virgl_reclaim_resource_compress()
     * fail with -EBUSY for resource @id: it may be compressed after all. Once
     * for each resource, however often compress failed; not for one that is
     * purged or destroyed meanwhile, nor when only a context refers to it that
     * is not tracked any more (virgl_reclaim_submit()).
     */
    void (*unreferenced)(uint32_t id, void *opaque);
};

/* What a context may use. */
struct virgl_reclaim_ctx {
    uint32_t id;
    const char *name;
    uint64_t resources;
    uint64_t bytes;             /* storage of those that are resident */
};

/* Where the books get their memory. */
struct virgl_reclaim_allocator {
    void *(*alloc)(size_t size, void *opaque);  /* NULL if there is none */
    void (*free)(void *memory, void *opaque);   /* of what alloc() gave */
    void *opaque;
};

/**
 * virgl_reclaim_new: Make empty books.
 *
 * Does not call the renderer. Memory comes from malloc().
 *
 * Returns: the books, owned by the caller; NULL if there is no memory.
 */
struct virgl_reclaim *virgl_reclaim_new(void);

/**
 * virgl_reclaim_new_with_allocator: Make empty books with memory of one's own.
 * @allocator: both functions must be set; copied
 *
 * All memory that the library itself takes comes from there, which tests use
 * to let each allocation fail: the function that made it then returns -ENOMEM
 * and changes nothing. The renderer and GL have memory of their own.
 *
 * Returns: the books, owned by the caller; NULL if there is no memory, or no
 * function to get it with.
 */
struct virgl_reclaim *virgl_reclaim_new_with_allocator(
    const struct virgl_reclaim_allocator *allocator);

/**
 * virgl_reclaim_free: Throw the books away.
 * @vr: the books, or NULL
 *
 * Does not call the renderer: resources and contexts stay in it.
 */
void virgl_reclaim_free(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_reset: Forget every resource and context.
 * @vr: the books
 *
 * To be called after virgl_renderer_reset(), which destroyed them all. Backing
 * that was attached is the caller's again: detach it before the reset, or keep
 * your own list. Totals since the start are kept.
 */
void virgl_reclaim_reset(struct virgl_reclaim *vr);

/**
 * virgl_reclaim_set_events: Have what happens to storage reported.
 * @vr: the books
 * @events: functions to call, any of them NULL; copied. NULL for none
 * @opaque: passed to each
 */
void virgl_reclaim_set_events(struct virgl_reclaim *vr,
                              const struct virgl_reclaim_events *events,
                              void *opaque);

/**
 * virgl_reclaim_args_bytes: Host memory that a resource takes.
 * @args: what it would be created with
 *
 * Computed from block size, mip levels, layers and samples; a driver's own
 * alignment comes on top. A format this library does not know counts 4 bytes a
 * pixel. A staging buffer has no host storage: 0. May be called anywhere.
 *
 * Returns: bytes; UINT64_MAX if they do not fit, or for more mip levels than
 * any texture can have.
 */
uint64_t virgl_reclaim_args_bytes(
    const struct virgl_renderer_resource_create_args *args);

/**
 * virgl_reclaim_resource_create: Create a resource, all of it zero.
 * @vr: the books
 * @args: as for virgl_renderer_resource_create(); copied
 *
 * The renderer leaves new storage as the GL driver hands it out, which is as a
 * rule memory that was in use before. Here it is cleared: buffers, and textures
 * of every target, format and sample count. For multisampled ones and, on GLES,
 * depth and stencil that needs GL 4.4, ARB_clear_texture or EXT_clear_texture.
 *
 * Returns: 0, -EEXIST if the id is taken (its resource is left as it is),
 * -EINVAL for id 0 or what the renderer refuses, -ENOMEM, -ENOTSUP if
 * the storage cannot be cleared. After an error there is no new resource.
 */
int virgl_reclaim_resource_create(
    struct virgl_reclaim *vr,
    const struct virgl_renderer_resource_create_args *args);

/**
 * virgl_reclaim_resource_unref: Destroy a resource, resident or purged.
 * @vr: the books
 * @id: resource
 *
 * Its backing must have been detached: the renderer would drop the only
 * pointer to the caller's iovec.
 *
 * Returns: 0, -ENOENT, -EBUSY if backing is attached (nothing changed).
 */
int virgl_reclaim_resource_unref(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_attach_iov: Give a resource its guest memory.
 * @vr: the books
 * @id: resource; restored first if it is purged
 * @iov: memory; the array stays the caller's but must live until detached
 * @n: entries in @iov, at least 1
 *
 * Returns: 0, -ENOENT, -EINVAL for no memory, -EEXIST if there is backing
 * already, or an error of virgl_reclaim_resource_restore().
 */
int virgl_reclaim_resource_attach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec *iov, int n);

/**
 * virgl_reclaim_resource_detach_iov: Take the guest memory back.
 * @vr: the books
 * @id: resource
 * @iov: where to put the array that was attached, or NULL
 * @n: where to put its length, or NULL
 *
 * Returns: 0; -ENOENT for an unknown id and -ENODATA if nothing is attached,
 * with *@iov NULL and *@n 0.
 */
int virgl_reclaim_resource_detach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec **iov, int *n);

/**
 * virgl_reclaim_resource_transfer: Copy between backing and storage.
 * @vr: the books
 * @id: resource
 * @t: what to copy
 *
 * Level, box, strides and offset are checked, in 64 bits, before the renderer
 * hears of them: all of the box must be in the level, and its bytes in the
 * backing.
 *
 * Returns: 0, -ENOENT, -ENODATA if there is no backing, -ESRCH if there is no
 * such context, -EINVAL for what does not fit or the renderer refuses.
 */
int virgl_reclaim_resource_transfer(struct virgl_reclaim *vr, uint32_t id,
                                    const struct virgl_reclaim_transfer *t);

/**
 * virgl_reclaim_resource_args: What a resource was created with.
 * @vr: the books
 * @id: resource
 *
 * Returns: the arguments, which live as long as the resource, or NULL.
 */
const struct virgl_renderer_resource_create_args *virgl_reclaim_resource_args(
    const struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_ctx_create: Create a context.
 * @vr: the books
 * @ctx: its id
 * @nlen: length of @name
 * @name: for debugging
 *
 * Returns: 0, -EEXIST, -EINVAL for id 0, -ENOMEM, or the renderer's error.
 */
int virgl_reclaim_ctx_create(struct virgl_reclaim *vr, uint32_t ctx,
                             uint32_t nlen, const char *name);

/**
 * virgl_reclaim_ctx_destroy: Destroy a context and its attachments.
 * @vr: the books
 * @ctx: its id
 *
 * Returns: 0 or -ENOENT.
 */
int virgl_reclaim_ctx_destroy(struct virgl_reclaim *vr, uint32_t ctx);

/**
 * virgl_reclaim_ctx_attach_resource: Let a context use a resource.
 * @vr: the books
 * @ctx: context
 * @id: resource; if it is purged it stays so, and restore does the rest
 *
 * Returns: 0, also if it was attached before; -ENOENT if either is unknown,
 * -ENOMEM.
 */
int virgl_reclaim_ctx_attach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id);

/**
 * virgl_reclaim_ctx_detach_resource: Undo virgl_reclaim_ctx_attach_resource().
 * @vr: the books
 * @ctx: context
 * @id: resource
 *
 * Returns: 0, -ENOENT if either is unknown, -ENODATA if not attached.
 */
int virgl_reclaim_ctx_detach_resource(struct virgl_reclaim *vr, uint32_t ctx,
                                      uint32_t id);

/**
 * virgl_reclaim_ctx_foreach: Call a function for each context.
 * @vr: the books
 * @func: function; it must not change the books
 * @opaque: for it
 *
 * A resource counts in each context that it is attached to. The order is that
 * of the ids.
 */
void virgl_reclaim_ctx_foreach(
    const struct virgl_reclaim *vr,
    void (*func)(const struct virgl_reclaim_ctx *ctx, void *opaque),
    void *opaque);

/**
 * virgl_reclaim_submit: Have a context carry commands out.
 * @vr: the books
 * @ctx: context
 * @commands: the body of a SUBMIT_3D; the caller's, not changed
 * @words: its length, in 32-bit words
 *
 * Submits them to the renderer, and then reads which resources the objects and
 * bindings of the context refer to. If the renderer refuses some of them, or
 * for a command that this library does not know, the context is from then on
 * taken to refer to every resource that it is attached to.
 *
 * Commands that would make the renderer access memory that it must not are
 * rejected before anything is submitted or changed, and the context goes on: a
 * GET_MEMORY_INFO whose resource has no backing, or less than 24 bytes in its
 * first iovec; a query whose result, of 16 bytes, does not fit in its buffer; a
 * GET_QUERY_RESULT_QBO to a resource that is no GL buffer.
 *
 * What is compressed and may be named by them is restored first.
 *
 * Returns: 0, -ENOENT, -EINVAL for such commands or if the renderer refuses it,
 * -ENOMEM if it says so; or an error of virgl_reclaim_resource_restore(), and
 * then nothing was submitted.
 */
int virgl_reclaim_submit(struct virgl_reclaim *vr, uint32_t ctx,
                         void *commands, uint32_t words);

/**
 * virgl_reclaim_resource_referenced: Whether a context refers to the storage.
 * @vr: the books
 * @id: resource
 *
 * Objects that refer to it (surfaces, sampler views, stream-out targets,
 * queries) and what is bound or set, in any sub-context of any context. It errs
 * on the side of true.
 *
 * Returns: true if something may refer to it; false if nothing does, if it is
 * purged, or if there is no such resource.
 */
bool virgl_reclaim_resource_referenced(const struct virgl_reclaim *vr,
                                       uint32_t id);

/**
 * virgl_reclaim_resource_purge: Give up the storage of a resource.
 * @vr: the books
 * @id: resource, without backing
 * @released: where to put the bytes that are gone now, or NULL
 *
 * The contents are lost; id, arguments and context attachments are kept.
 * Where it is bound as a buffer or an image it is unbound. If a context still
 * refers to the storage (by a surface, a sampler view, a stream-out target, a
 * query) that lives on, *@released is 0 and it counts as deferred.
 * Gone means that the renderer has deleted the GL object, and that no GL context
 * has it bound: those of contexts that may use it are entered for that, and a
 * texture counts as deferred while one cannot be (it is in error). What a GL
 * driver keeps by itself is not seen.
 * A purged resource stays purged, with *@released 0. What was stored away is
 * thrown away, and *@released is what its storage took. Whether the resource is
 * displayed is for the caller to check.
 *
 * Freed memory may stay in the heap: call virgl_reclaim_trim() after a batch.
 *
 * Returns: 0, -ENOENT, -EBUSY if backing is attached.
 */
int virgl_reclaim_resource_purge(struct virgl_reclaim *vr, uint32_t id,
                                 uint64_t *released);

/**
 * virgl_reclaim_set_compress_max: How much may be stored away.
 * @vr: the books
 * @max: bytes that compressed contents may take together; 0, as at the start,
 *       for none
 *
 * What is stored already stays.
 */
void virgl_reclaim_set_compress_max(struct virgl_reclaim *vr, uint64_t max);

/**
 * virgl_reclaim_resource_compress: Compress the contents of a resource.
 * @vr: the books
 * @id: resource, without backing
 *
 * Reads the contents back (all levels, layers, faces), keeps them compressed by
 * zstd, and gives up the storage. They are the same, bit by bit, after
 * virgl_reclaim_resource_restore(); what cannot promise that is left as it is,
 * and so is what something in a context refers to. Textures need GL 4.5 on the
 * host, and one sample a pixel. Takes milliseconds for each megabyte: not for
 * when somebody waits. Freed memory may stay in the heap: virgl_reclaim_trim().
 *
 * Memory comes from the allocator of the books, but for what zstd works with
 * (about one megabyte, until the function returns).
 *
 * Returns: 0, also if it was stored before. Otherwise nothing changed but the
 * count of the reason: -ENOENT, -EBUSY if backing is attached or it is referred
 * to, -ENODATA if it is purged or has its contents in the guest's memory,
 * -ENOTSUP if they cannot be read back exactly, -EFBIG if it would save less
 * than an eighth, -ENOSPC if they are over the limit, -ENOMEM.
 */
int virgl_reclaim_resource_compress(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_restore: Make a resource usable again.
 * @vr: the books
 * @id: resource
 *
 * Creates it again under its id, attached to the contexts it belongs to: with
 * its contents if they were stored, all zero if it was purged. Surfaces and
 * sampler views that a context made before the purge still refer to the old
 * storage, and bindings are to be made again.
 *
 * Returns: 0, also if it is resident; -ENOENT, or an error of
 * virgl_reclaim_resource_create(), or -EIO for contents that do not come back.
 * After an error it is purged or stored as before, and nothing is lost.
 */
int virgl_reclaim_resource_restore(struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_state: State of a resource.
 * @vr: the books
 * @id: resource
 *
 * Returns: the state, VIRGL_RECLAIM_NONE if there is no such resource.
 */
enum virgl_reclaim_state virgl_reclaim_resource_state(
    const struct virgl_reclaim *vr, uint32_t id);

/**
 * virgl_reclaim_resource_attached: Whether a resource has backing.
 * @vr: the books
 * @id: resource
 *
 * Returns: true if it has; false if not or if there is no such resource.
 */
bool virgl_reclaim_resource_attached(const struct virgl_reclaim *vr,
                                     uint32_t id);

/**
 * virgl_reclaim_resource_bytes: Host memory of a resource when resident.
 * @vr: the books
 * @id: resource
 *
 * Returns: bytes as of virgl_reclaim_args_bytes(), whatever the state; 0 if
 * there is no such resource.
 */
uint64_t virgl_reclaim_resource_bytes(const struct virgl_reclaim *vr,
                                      uint32_t id);

/**
 * virgl_reclaim_get_stats: Current numbers.
 * @vr: the books
 * @stats: where to put them
 *
 * Copies them: no call of GL or of the renderer, whatever is deferred.
 */
void virgl_reclaim_get_stats(const struct virgl_reclaim *vr,
                             struct virgl_reclaim_stats *stats);

/**
 * virgl_reclaim_trim: Return freed heap memory to the operating system.
 *
 * What is freed is not returned: a software GL driver allocates textures with
 * malloc, and on llvmpipe 256 MiB of 4 MiB textures left RSS at 339 MB when
 * freed, 77 MB when trimmed. Walks the whole heap: call it once after a burst
 * of purges or unrefs, not for each. May be called on any thread.
 */
void virgl_reclaim_trim(void);

#endif
