/* SPDX-License-Identifier: MIT */
/* Compressed contents of a resource. */

#ifndef VIRGLRECLAIM_CONTENTS_H
#define VIRGLRECLAIM_CONTENTS_H

#include "internal.h"

struct vr_chunk {
    struct vr_chunk *next;
    size_t size;                /* of data */
    uint8_t data[];
};

struct vr_contents {
    struct vr_chunk *chunks;    /* in memory, or else ... */
    struct vr_extent *extent;   /* ... in the file */
    uint64_t bytes;             /* memory that the chunks take */
    struct vr_write *write;     /* while chunks are written to the file */
};

/* A write of contents to the file. */
struct vr_write {
    struct vr_extent *extent;   /* NULL: there is none */
    struct vr_chunk *chunks;    /* this one's if there are no contents */
    struct vr_contents *contents;   /* NULL: freed meanwhile */
    struct vr_resource *res;    /* NULL: they do not count with it yet */
    uint32_t id;
};

struct vr_saver;
struct vr_worker;

/*
 * Begin to read the contents of resource args->handle, whose GL object is @name
 * or 0, and to compress them into @max bytes at most: in @worker, or in the
 * caller's thread if that is NULL. @args must stay. Context 0 is current.
 * Returns 0, -ENOTSUP if they cannot be read losslessly, or -ENOMEM.
 */
int vr_saver_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                 uint32_t name, uint64_t max, struct vr_worker *worker,
                 struct vr_saver **saver);
/*
 * Go on, context 0 current: read a tile, unless the last one is being
 * compressed. Returns -EAGAIN until it is done; then 0, -ENOTSUP, -ENOSPC if
 * they take more than the maximum, or -ENOMEM.
 */
int vr_saver_step(struct vr_saver *s);
/*
 * End, and move what was compressed to @contents, or free that if it is NULL.
 * Context 0 is current.
 */
void vr_saver_free(struct vr_saver *s, struct vr_contents *contents);
/* What was compressed so far. */
struct vr_contents *vr_saver_contents(struct vr_saver *s);
/* Before a reset of the renderer: delete its GL textures, context 0 current. */
void vr_saver_release(struct vr_saver *s);
/* End after the reset. */
void vr_saver_abandon(struct vr_saver *s);

struct vr_loader;

/*
 * Begin to decompress @contents, from the file or not, in @worker or in the
 * caller's thread if that is NULL, and to write them to resource args->handle,
 * whose GL object is @name or 0. @args and @contents must stay. Context 0 is
 * current. Returns 0, -ENOMEM or -EIO.
 */
int vr_loader_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                  uint32_t name, const struct vr_contents *contents,
                  struct vr_worker *worker, struct vr_loader **loader);
/*
 * Go on, context 0 current: write a tile, unless it is being decompressed.
 * Returns -EAGAIN until it is done; then 0, -ENOMEM or -EIO.
 */
int vr_loader_step(struct vr_loader *l);
/* Whether a step that is not the last leaves something to the worker. */
bool vr_loader_has_worker(const struct vr_loader *l);
/* End, also before it is done. Context 0 is current. */
void vr_loader_free(struct vr_loader *l);
/* Before a reset of the renderer: delete its GL textures, context 0 current. */
void vr_loader_release(struct vr_loader *l);
/* End after the reset. */
void vr_loader_abandon(struct vr_loader *l);

/* Free them, once they are not being written any more. */
void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents);
void vr_chunks_free(const struct virgl_reclaim_allocator *a,
                    struct vr_chunk *chunks);
/* Bytes of compressed data, wherever they are. */
uint64_t vr_contents_size(const struct vr_contents *contents);

static inline bool vr_contents_exist(const struct vr_contents *contents)
{
    return contents->chunks || contents->extent;
}

#endif
