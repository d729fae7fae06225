/* SPDX-License-Identifier: MIT */
/* Compressed contents in a file of the embedding program's. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* fallocate(), sync_file_range() */
#endif
#include "file.h"
#include "contents.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* At most this many attempts are left out after a failure. */
#define MAX_SKIP 64

void vr_file_init(struct vr_file *f, const struct virgl_reclaim_allocator *a)
{
    f->allocator = a;
    f->fd = -1;
    vr_worker_init(&f->worker);
}

/* Slots */

static bool grow(struct vr_file *f)
{
    uint32_t n = f->n_slots ? 2 * f->n_slots : 64;
    bool *used = n > f->n_slots ? vr_alloc0(f->allocator, n * sizeof(*used)) :
                 NULL;

    if (!used) {
        return false;
    }
    if (f->used) {
        memcpy(used, f->used, f->n_slots * sizeof(*used));
    }
    vr_free(f->allocator, f->used);
    f->used = used;
    f->n_slots = n;
    return true;
}

static bool take_slot(struct vr_file *f, uint32_t *slot)
{
    while (f->first_free < f->n_slots && f->used[f->first_free]) {
        f->first_free++;
    }
    if (f->first_free == f->n_slots && !grow(f)) {
        return false;
    }
    *slot = f->first_free;
    f->used[*slot] = true;
    return true;
}

static void put_slots(struct vr_file *f, const struct vr_extent *e)
{
    for (uint32_t i = 0; i < e->n; i++) {
        f->used[e->slots[i]] = false;
        if (e->slots[i] < f->first_free) {
            f->first_free = e->slots[i];
        }
    }
}

/* The bytes that follow @at in the same slot are @left. Returns the offset. */
static off_t offset(const struct vr_extent *e, uint64_t at, uint64_t *left)
{
    uint64_t in_slot = at % VR_FILE_SLOT;

    *left = VR_FILE_SLOT - in_slot;
    return (off_t)e->slots[at / VR_FILE_SLOT] * VR_FILE_SLOT + in_slot;
}

/* Freeing: a hole is punched by the worker, and then the slots are free. */

static void free_left(struct vr_file *f, bool wait)
{
    struct vr_extent *e;

    while ((e = f->first_left) &&
           (wait || !vr_worker_is_pending(&f->worker, &e->job))) {
        vr_worker_wait(&f->worker, &e->job);
        f->first_left = e->next;
        put_slots(f, e);
        vr_free(f->allocator, e);
    }
}

void vr_file_end(struct vr_file *f)
{
    free_left(f, true);
    vr_worker_end(&f->worker);
    vr_free(f->allocator, f->used);
}

/* A file system without holes keeps the space, for what is written next. */
static void punch(struct vr_job *job)
{
    struct vr_extent *e =
        (struct vr_extent *)((char *)job - offsetof(struct vr_extent, job));

    for (uint32_t i = 0, n; i < e->n; i += n) {
        for (n = 1; i + n < e->n && e->slots[i + n] == e->slots[i] + n; n++) {
            /* Slots side by side are one hole. */
        }
        fallocate(e->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)e->slots[i] * VR_FILE_SLOT,
                  (off_t)n * VR_FILE_SLOT);
    }
}

void vr_extent_free(struct vr_extent *e)
{
    struct vr_file *f = e->file;

    if (!e->chunks) {
        f->contents--;
        f->bytes -= vr_extent_bytes(e);
    }
    e->next = NULL;
    if (f->first_left) {
        f->last_left->next = e;
    } else {
        f->first_left = e;
    }
    f->last_left = e;
    e->job.run = punch;
    vr_worker_begin(&f->worker, &e->job);
    free_left(f, false);
}

/* Writing */

bool vr_file_may_write(struct vr_file *f)
{
    if (f->fd < 0) {
        return false;
    }
    if (f->skip) {
        f->skip--;
        return false;
    }
    return true;
}

static int write_all(const struct vr_extent *e, uint64_t at,
                     const uint8_t *data, size_t size)
{
    while (size) {
        uint64_t left;
        off_t pos = offset(e, at, &left);
        ssize_t n = pwrite(e->file->fd, data, size < left ? size : left, pos);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        at += n;
        data += n;
        size -= n;
    }
    return 0;
}

/*
 * Wait until slot @i, which has been written, is on the disk, so that an error
 * is known while the contents are in memory; and have its pages, which nobody
 * needs soon, leave the page cache.
 */
static int flush(const struct vr_extent *e, uint32_t i)
{
    off_t pos = (off_t)e->slots[i] * VR_FILE_SLOT;
    int fd = e->file->fd;

    if (sync_file_range(fd, pos, VR_FILE_SLOT,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                        SYNC_FILE_RANGE_WAIT_AFTER) &&
        (errno == EIO || errno == ENOSPC || errno == EDQUOT ||
         fdatasync(fd))) {
        return -errno;
    }
    posix_fadvise(fd, pos, VR_FILE_SLOT, POSIX_FADV_DONTNEED);
    return 0;
}

static void write_chunks(struct vr_job *job)
{
    struct vr_extent *e =
        (struct vr_extent *)((char *)job - offsetof(struct vr_extent, job));
    const struct vr_chunk *chunk = e->chunks;
    uint64_t at = 0;

    e->error = 0;
    for (; chunk && !e->error; chunk = chunk->next) {
        e->error = write_all(e, at, chunk->data, chunk->size);
        at += chunk->size;
    }
    for (uint32_t i = 0; i < e->n && !e->error; i++) {
        e->error = flush(e, i);
    }
}

int vr_file_write(struct vr_file *f, const struct vr_chunk *chunks,
                  uint64_t bytes, struct vr_extent **extent)
{
    uint32_t n = (bytes + VR_FILE_SLOT - 1) / VR_FILE_SLOT;
    struct vr_extent *e = vr_alloc0(f->allocator,
                                    sizeof(*e) + n * sizeof(*e->slots));

    if (!e) {
        return -ENOMEM;
    }
    free_left(f, false);
    e->file = f;
    e->bytes = bytes;
    while (e->n < n && take_slot(f, &e->slots[e->n])) {
        e->n++;
    }
    e->chunks = chunks;
    e->job.run = write_chunks;
    if (e->n < n || !vr_worker_begin(&f->worker, &e->job)) {
        int ret = e->n < n ? -ENOMEM : -EAGAIN;

        put_slots(f, e);
        vr_free(f->allocator, e);
        return ret;
    }
    *extent = e;
    return 0;
}

int vr_file_written(struct vr_extent *e)
{
    struct vr_file *f = e->file;

    if (vr_worker_is_pending(&f->worker, &e->job)) {
        return -EAGAIN;
    }
    if (e->error) {
        f->errors++;
        f->failures++;
        f->skip = f->failures < 6 ? (1u << f->failures) - 1 : MAX_SKIP - 1;
        return e->error;
    }
    e->chunks = NULL;
    f->failures = 0;
    f->skip = 0;
    f->contents++;
    f->bytes += vr_extent_bytes(e);
    f->writes++;
    return 0;
}

void vr_file_wait(struct vr_extent *e)
{
    vr_worker_wait(&e->file->worker, &e->job);
}

/* Reading */

int vr_file_read(struct vr_extent *e, uint64_t at, void *data, size_t size)
{
    uint8_t *to = data;

    e->error = 0;
    while (size) {
        uint64_t left;
        off_t pos = offset(e, at, &left);
        ssize_t n = pread(e->file->fd, to, size < left ? size : left, pos);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            e->error = n < 0 ? -errno : -EIO;
            return -EIO;
        }
        at += n;
        to += n;
        size -= n;
    }
    return 0;
}

uint64_t vr_extent_bytes(const struct vr_extent *e)
{
    return (e->bytes + VR_FILE_MIN - 1) / VR_FILE_MIN * VR_FILE_MIN;
}
