/* SPDX-License-Identifier: MIT */
/*
 * Compressed contents in a file of the embedding program's. It is written in
 * slots of one size, the lowest free one first, so that it does not grow beyond
 * what was in it at one time; what is freed is punched out.
 */

#ifndef VIRGLRECLAIM_FILE_H
#define VIRGLRECLAIM_FILE_H

#include "internal.h"
#include "worker.h"

struct vr_chunk;
struct vr_file;

/* Bytes of a slot, and that contents must have at the least to be worth one. */
#define VR_FILE_SLOT (64u << 10)
#define VR_FILE_MIN 4096u

/* Where the contents of a resource are in the file. */
struct vr_extent {
    struct vr_job job;          /* write or punch */
    struct vr_file *file;
    struct vr_extent *next;     /* of those that are freed */
    const struct vr_chunk *chunks;  /* to be written */
    int error;                  /* of the last write or read, or 0 */
    uint64_t bytes;             /* of data */
    uint32_t n;
    uint32_t slots[];
};

struct vr_file {
    const struct virgl_reclaim_allocator *allocator;
    int fd;                     /* the caller's; -1: none */
    struct vr_worker worker;    /* what waits for a disk keeps no other work */
    bool *used;                 /* for each slot whether it is */
    uint32_t n_slots;
    uint32_t first_free;        /* no slot before it is free */
    struct vr_extent *first_left, *last_left;   /* being punched out */
    unsigned failures;          /* of writes, since the last one succeeded */
    uint64_t skip;              /* attempts to be left out because of these */
    uint64_t contents;          /* number in the file */
    uint64_t bytes;             /* that they take there */
    uint64_t writes, reads, errors; /* totals */
};

void vr_file_init(struct vr_file *f, const struct virgl_reclaim_allocator *a);
/* No extent may be left. The file stays as it is. */
void vr_file_end(struct vr_file *f);

/*
 * Whether a write makes sense. After failures only one of 2, 4, 8 ... calls
 * says so: another program may have freed space.
 */
bool vr_file_may_write(struct vr_file *f);
/*
 * Begin to write @chunks, @bytes in all, which must stay until that is done.
 * Returns 0, -ENOMEM, or -EAGAIN if there can be no thread.
 */
int vr_file_write(struct vr_file *f, const struct vr_chunk *chunks,
                  uint64_t bytes, struct vr_extent **extent);
/* -EAGAIN while it is written, then 0 or an error; to be asked until then. */
int vr_file_written(struct vr_extent *e);
void vr_file_wait(struct vr_extent *e);
/*
 * Read @size bytes at @at; any thread. Returns 0 or -EIO, with the reason in
 * e->error.
 */
int vr_file_read(struct vr_extent *e, uint64_t at, void *data, size_t size);
/* Free @e, written or not but no longer being so, and its space. */
void vr_extent_free(struct vr_extent *e);
/* Bytes that @e takes in the file. */
uint64_t vr_extent_bytes(const struct vr_extent *e);

#endif
