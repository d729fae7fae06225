/* SPDX-License-Identifier: MIT */
/* Compressed contents of a resource. */

#include "contents.h"
#include "readback.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/*
 * Higher levels take several times as long for little: measured by
 * tests/bench-levels, see docs/devel/host-reclaim.md.
 */
#define LEVEL 1

/* 64 KiB with its header: small enough for a fragmented heap. */
#define CHUNK_BYTES ((64u << 10) - sizeof(struct vr_chunk))

/* State of a compression or decompression. */
struct job {
    const struct virgl_reclaim_allocator *a;
    struct vr_readback rb;
    uint8_t *tile, *again;     /* vr_readback_max_tile() bytes each */
    ZSTD_CCtx *cctx;
    ZSTD_DCtx *dctx;
    /* Saving: the chunk being written, and the list of those before. */
    struct vr_contents *contents;
    struct vr_chunk **end;
    struct vr_chunk *chunk;
    ZSTD_outBuffer out;
    uint64_t max;
    /* Loading: the chunk being read. */
    const struct vr_chunk *from;
    ZSTD_inBuffer in;
    bool complete;              /* the end of the compressed data was read */
};

static bool begin(struct job *job, const struct virgl_reclaim_allocator *a)
{
    size_t size = vr_readback_max_tile(&job->rb);

    job->a = a;
    job->tile = vr_alloc0(a, size ? size : 1);
    job->again = job->rb.lossless ? NULL : vr_alloc0(a, size);
    return job->tile && (job->rb.lossless || job->again);
}

static void end(struct job *job)
{
    vr_free(job->a, job->tile);
    vr_free(job->a, job->again);
    vr_free(job->a, job->chunk);
    ZSTD_freeCCtx(job->cctx);
    ZSTD_freeDCtx(job->dctx);
    vr_readback_end(&job->rb);
}

/* Saving */

/* Append the current chunk to the list, cut to its size. */
static int finish_chunk(struct job *job)
{
    size_t size = job->out.pos, total = sizeof(struct vr_chunk) + size;
    struct vr_chunk *chunk;

    if (!size) {
        return 0;
    }
    if (total > job->max - job->contents->bytes) {
        return -ENOSPC;
    }
    if (size == CHUNK_BYTES) {
        chunk = job->chunk;
        job->chunk = NULL;
    } else {
        chunk = vr_alloc0(job->a, total);
        if (!chunk) {
            return -ENOMEM;
        }
        memcpy(chunk->data, job->chunk->data, size);
    }
    chunk->size = size;
    chunk->next = NULL;
    *job->end = chunk;
    job->end = &chunk->next;
    job->contents->bytes += total;
    return 0;
}

static int begin_chunk(struct job *job)
{
    if (!job->chunk) {
        job->chunk = vr_alloc0(job->a, sizeof(struct vr_chunk) + CHUNK_BYTES);
        if (!job->chunk) {
            return -ENOMEM;
        }
    }
    job->out = (ZSTD_outBuffer) { job->chunk->data, CHUNK_BYTES, 0 };
    return 0;
}

static int compress(struct job *job, const void *data, size_t size,
                    ZSTD_EndDirective directive)
{
    ZSTD_inBuffer in = { data, size, 0 };
    size_t left;
    int ret;

    do {
        if (job->out.pos == job->out.size) {
            ret = finish_chunk(job);
            ret = ret ? ret : begin_chunk(job);
            if (ret) {
                return ret;
            }
        }
        left = ZSTD_compressStream2(job->cctx, &job->out, &in, directive);
        if (ZSTD_isError(left)) {
            return -ENOMEM;
        }
    } while (directive == ZSTD_e_end ? left : in.pos < in.size);
    return 0;
}

static int save_tiles(struct job *job)
{
    struct vr_tile tile = { 0 };
    int ret = 0;

    while (!ret && vr_readback_next(&job->rb, &tile)) {
        ret = vr_readback_read(&job->rb, &tile, job->tile);
        if (!ret) {
            ret = vr_readback_verify(&job->rb, &tile, job->tile, job->again);
        }
        if (!ret) {
            ret = compress(job, job->tile, tile.size, ZSTD_e_continue);
        }
    }
    if (!ret) {
        ret = compress(job, NULL, 0, ZSTD_e_end);
    }
    return ret ? ret : finish_chunk(job);
}

int vr_contents_save(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name, uint64_t max,
                     struct vr_contents *contents)
{
    struct job job = { .contents = contents, .max = max };
    int ret = vr_readback_begin(&job.rb, args, name);

    *contents = (struct vr_contents) { 0 };
    if (ret) {
        return ret;
    }
    job.end = &contents->chunks;
    job.cctx = ZSTD_createCCtx();
    if (begin(&job, a) && job.cctx) {
        ZSTD_CCtx_setParameter(job.cctx, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(job.cctx, ZSTD_c_checksumFlag, 1);
        ret = save_tiles(&job);
    } else {
        ret = -ENOMEM;
    }
    end(&job);
    if (ret) {
        vr_contents_free(a, contents);
    }
    return ret;
}

/* Loading */

/* One step; fails at the end of the compressed data. */
static int step(struct job *job, ZSTD_outBuffer *out)
{
    size_t ret;

    if (job->in.pos == job->in.size && job->from) {
        job->in = (ZSTD_inBuffer) { job->from->data, job->from->size, 0 };
        job->from = job->from->next;
    }
    ret = ZSTD_decompressStream(job->dctx, out, &job->in);
    if (ZSTD_isError(ret)) {
        return ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation ?
               -ENOMEM : -EIO;
    }
    job->complete = ret == 0;
    return 0;
}

static int decompress(struct job *job, void *data, size_t size)
{
    ZSTD_outBuffer out = { data, size, 0 };
    int ret = 0;

    while (!ret && out.pos < out.size) {
        ret = job->complete ? -EIO : step(job, &out);
    }
    return ret;
}

/* Read and verify the checksum that follows the last byte. */
static int decompress_end(struct job *job)
{
    ZSTD_outBuffer out = { job->tile, 0, 0 };
    int ret = 0;

    while (!ret && !job->complete) {
        ret = step(job, &out);
    }
    return ret;
}

static int load_tiles(struct job *job)
{
    struct vr_tile tile = { 0 };
    int ret = 0;

    while (!ret && vr_readback_next(&job->rb, &tile)) {
        ret = decompress(job, job->tile, tile.size);
        if (!ret) {
            ret = vr_readback_write(&job->rb, &tile, job->tile);
        }
    }
    return ret ? ret : decompress_end(job);
}

int vr_contents_load(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name,
                     const struct vr_contents *contents)
{
    struct job job = { .from = contents->chunks };
    int ret = vr_readback_begin(&job.rb, args, name);

    if (ret) {
        return ret == -ENOMEM ? ret : -EIO;
    }
    job.dctx = ZSTD_createDCtx();
    ret = begin(&job, a) && job.dctx ? load_tiles(&job) : -ENOMEM;
    end(&job);
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
