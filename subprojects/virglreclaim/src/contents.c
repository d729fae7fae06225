/* SPDX-License-Identifier: MIT */
/* Compressed contents of a resource. */

#include "contents.h"
#include "readback.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/*
 * Higher levels take several times as long for little: measured by
 * tests/bench-levels, see docs/devel/host-reclaim.md.
 */
#define LEVEL 1

/* At most 64 KiB with its header: small enough for a fragmented heap. */
#define CHUNK_BYTES ((64u << 10) - sizeof(struct vr_chunk))

/* What both directions need. */
struct job {
    const struct virgl_reclaim_allocator *a;
    struct vr_readback rb;
    uint8_t *tile;              /* vr_readback_max_tile() bytes */
};

static bool begin(struct job *job, const struct virgl_reclaim_allocator *a)
{
    size_t size = vr_readback_max_tile(&job->rb);

    job->a = a;
    job->tile = vr_alloc0(a, size ? size : 1);
    return job->tile;
}

static void end(struct job *job)
{
    vr_free(job->a, job->tile);
    vr_readback_end(&job->rb);
}

/* Saving */

/*
 * A tile is read here, and compressed into @packed by the caller or by a thread.
 * Memory of the instance's allocator is taken by the caller only.
 */
struct vr_saver {
    struct job job;
    struct vr_tile at;          /* the last tile that was read */
    uint8_t *again;             /* as large as a tile, to verify it */
    uint8_t *packed;            /* room for a compressed tile ... */
    size_t packed_max;
    size_t packed_size;         /* ... and its size */
    ZSTD_CCtx *cctx;
    size_t left;                /* result of zstd */
    bool last;                  /* the tile is the last one */
    uint64_t max;
    struct vr_contents contents;
    struct vr_chunk **end;      /* of the list of chunks */

    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { IDLE, PACKING, QUIT } state;     /* protected by @lock */
};

/* Compress the tile. Of the saver's thread, if there is one. */
static void pack(struct vr_saver *s)
{
    ZSTD_inBuffer in = { s->job.tile, s->at.size, 0 };
    ZSTD_outBuffer out = { s->packed, s->packed_max, 0 };

    do {
        s->left = ZSTD_compressStream2(s->cctx, &out, &in, s->last ?
                                       ZSTD_e_end : ZSTD_e_continue);
    } while (!ZSTD_isError(s->left) && out.pos < out.size &&
             (s->last ? s->left : in.pos < in.size));
    s->packed_size = out.pos;
}

static void *pack_tiles(void *opaque)
{
    struct vr_saver *s = opaque;

    pthread_mutex_lock(&s->lock);
    while (s->state != QUIT) {
        if (s->state == PACKING) {
            pthread_mutex_unlock(&s->lock);
            pack(s);
            pthread_mutex_lock(&s->lock);
            if (s->state == PACKING) {
                s->state = IDLE;
            }
            pthread_cond_broadcast(&s->changed);
        } else {
            pthread_cond_wait(&s->changed, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void start_thread(struct vr_saver *s)
{
    sigset_t all, old;

    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    /* Signals are for the threads of the program. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    s->threaded = pthread_create(&s->thread, NULL, pack_tiles, s) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stop_thread(struct vr_saver *s)
{
    if (s->threaded) {
        pthread_mutex_lock(&s->lock);
        s->state = QUIT;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
    }
}

static void set_state(struct vr_saver *s, int state)
{
    pthread_mutex_lock(&s->lock);
    s->state = state;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static bool is_packing(struct vr_saver *s)
{
    bool packing = false;

    if (s->threaded) {
        pthread_mutex_lock(&s->lock);
        packing = s->state == PACKING;
        pthread_mutex_unlock(&s->lock);
    }
    return packing;
}

/* Append a chunk of @size bytes at @data to the list. */
static int add_chunk(struct vr_saver *s, const uint8_t *data, size_t size)
{
    size_t total = sizeof(struct vr_chunk) + size;
    struct vr_chunk *chunk;

    if (total > s->max - s->contents.bytes) {
        return -ENOSPC;
    }
    chunk = vr_alloc0(s->job.a, total);
    if (!chunk) {
        return -ENOMEM;
    }
    memcpy(chunk->data, data, size);
    chunk->size = size;
    *s->end = chunk;
    s->end = &chunk->next;
    s->contents.bytes += total;
    return 0;
}

/* Keep what was packed. */
static int collect(struct vr_saver *s)
{
    int ret = ZSTD_isError(s->left) ? -ENOMEM : 0;

    for (size_t at = 0; !ret && at < s->packed_size; at += CHUNK_BYTES) {
        size_t left = s->packed_size - at;

        ret = add_chunk(s, s->packed + at,
                        left < CHUNK_BYTES ? left : CHUNK_BYTES);
    }
    s->packed_size = 0;
    return ret;
}

static int read_tile(struct vr_saver *s)
{
    struct vr_tile next;
    int ret;

    vr_readback_resume(&s->job.rb);
    ret = vr_readback_read(&s->job.rb, &s->at, s->job.tile);
    if (!ret) {
        ret = vr_readback_verify(&s->job.rb, &s->at, s->job.tile, s->again);
    }
    vr_readback_suspend(&s->job.rb);
    next = s->at;
    s->last = !vr_readback_next(&s->job.rb, &next);
    return ret;
}

int vr_saver_step(struct vr_saver *s)
{
    int ret;

    if (is_packing(s)) {
        return -EAGAIN;
    }
    ret = collect(s);
    if (ret || s->last) {
        return ret;
    }
    if (!vr_readback_next(&s->job.rb, &s->at)) {
        /* There is no tile: nothing but the end of the compressed data. */
        s->at.size = 0;
        s->last = true;
    } else {
        ret = read_tile(s);
    }
    if (ret) {
        return ret;
    }
    if (s->threaded) {
        set_state(s, PACKING);
    } else {
        pack(s);
    }
    return -EAGAIN;
}

static bool begin_saver(struct vr_saver *s,
                        const struct virgl_reclaim_allocator *a)
{
    size_t size = vr_readback_max_tile(&s->job.rb);

    /* zstd may add up to a block that it has buffered. */
    s->packed_max = ZSTD_compressBound(size) + ZSTD_CStreamOutSize();
    s->packed = vr_alloc0(a, s->packed_max);
    s->again = s->job.rb.lossless ? NULL : vr_alloc0(a, size);
    s->cctx = ZSTD_createCCtx();
    return begin(&s->job, a) && s->packed && s->cctx &&
           (s->job.rb.lossless || s->again);
}

int vr_saver_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                 uint32_t name, uint64_t max, bool threaded,
                 struct vr_saver **saver)
{
    struct vr_saver *s = vr_alloc0(a, sizeof(*s));
    int ret;

    if (!s) {
        return -ENOMEM;
    }
    s->job.a = a;
    s->max = max;
    s->end = &s->contents.chunks;
    ret = vr_readback_begin(&s->job.rb, args, name);
    if (ret) {
        vr_free(a, s);
        return ret;
    }
    vr_readback_suspend(&s->job.rb);
    if (!begin_saver(s, a)) {
        vr_saver_free(s, NULL);
        return -ENOMEM;
    }
    ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_checksumFlag, 1);
    if (threaded) {
        start_thread(s);
    }
    *saver = s;
    return 0;
}

static void free_saver(struct vr_saver *s)
{
    const struct virgl_reclaim_allocator *a = s->job.a;

    vr_contents_free(a, &s->contents);
    ZSTD_freeCCtx(s->cctx);
    vr_free(a, s->packed);
    vr_free(a, s->again);
    vr_free(a, s->job.tile);
    vr_free(a, s);
}

void vr_saver_free(struct vr_saver *s, struct vr_contents *contents)
{
    stop_thread(s);
    if (contents) {
        *contents = s->contents;
        s->contents = (struct vr_contents) { 0 };
    }
    vr_readback_resume(&s->job.rb);
    vr_readback_end(&s->job.rb);
    free_saver(s);
}

void vr_saver_abandon(struct vr_saver *s)
{
    stop_thread(s);
    free_saver(s);
}

/* Loading */

struct loader {
    struct job job;
    ZSTD_DCtx *dctx;
    const struct vr_chunk *from;    /* the next chunk */
    ZSTD_inBuffer in;
    bool complete;              /* the end of the compressed data was read */
};

/* One step; fails at the end of the compressed data. */
static int step(struct loader *l, ZSTD_outBuffer *out)
{
    size_t ret;

    if (l->in.pos == l->in.size && l->from) {
        l->in = (ZSTD_inBuffer) { l->from->data, l->from->size, 0 };
        l->from = l->from->next;
    }
    ret = ZSTD_decompressStream(l->dctx, out, &l->in);
    if (ZSTD_isError(ret)) {
        return ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation ?
               -ENOMEM : -EIO;
    }
    l->complete = ret == 0;
    return 0;
}

static int decompress(struct loader *l, void *data, size_t size)
{
    ZSTD_outBuffer out = { data, size, 0 };
    int ret = 0;

    while (!ret && out.pos < out.size) {
        ret = l->complete ? -EIO : step(l, &out);
    }
    return ret;
}

/* Read and verify the checksum that follows the last byte. */
static int decompress_end(struct loader *l)
{
    ZSTD_outBuffer out = { l->job.tile, 0, 0 };
    int ret = 0;

    while (!ret && !l->complete) {
        ret = step(l, &out);
    }
    return ret;
}

static int load_tiles(struct loader *l)
{
    struct vr_tile tile = { 0 };
    int ret = 0;

    while (!ret && vr_readback_next(&l->job.rb, &tile)) {
        ret = decompress(l, l->job.tile, tile.size);
        if (!ret) {
            ret = vr_readback_write(&l->job.rb, &tile, l->job.tile);
        }
    }
    return ret ? ret : decompress_end(l);
}

int vr_contents_load(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name,
                     const struct vr_contents *contents)
{
    struct loader l = { .from = contents->chunks };
    int ret = vr_readback_begin(&l.job.rb, args, name);

    if (ret) {
        return ret == -ENOMEM ? ret : -EIO;
    }
    l.dctx = ZSTD_createDCtx();
    ret = begin(&l.job, a) && l.dctx ? load_tiles(&l) : -ENOMEM;
    ZSTD_freeDCtx(l.dctx);
    end(&l.job);
    return ret == 0 || ret == -ENOMEM ? ret : -EIO;
}

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents)
{
    while (contents->chunks) {
        struct vr_chunk *chunk = contents->chunks;

        contents->chunks = chunk->next;
        vr_free(a, chunk);
    }
    contents->bytes = 0;
}
