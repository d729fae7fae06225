/* SPDX-License-Identifier: MIT */
/* Compressed contents of a resource. */

#include "contents.h"
#include "file.h"
#include "readback.h"
#include "worker.h"

#include <errno.h>
#include <stddef.h>
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
struct tiles {
    const struct virgl_reclaim_allocator *a;
    struct vr_readback rb;
    uint8_t *tile;              /* vr_readback_max_tile() bytes */
};

static bool begin(struct tiles *t, const struct virgl_reclaim_allocator *a)
{
    size_t size = vr_readback_max_tile(&t->rb);

    t->a = a;
    t->tile = vr_alloc0(a, size ? size : 1);
    return t->tile;
}

/* Saving */

/* A tile is read here, and compressed into @packed by the caller or a worker. */
struct vr_saver {
    struct tiles tiles;
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

    struct vr_worker *worker;   /* or NULL */
    struct vr_job job;
};

/* Compress the tile: in the worker, if there is one. */
static void pack(struct vr_saver *s)
{
    ZSTD_inBuffer in = { s->tiles.tile, s->at.size, 0 };
    ZSTD_outBuffer out = { s->packed, s->packed_max, 0 };

    do {
        s->left = ZSTD_compressStream2(s->cctx, &out, &in, s->last ?
                                       ZSTD_e_end : ZSTD_e_continue);
    } while (!ZSTD_isError(s->left) && out.pos < out.size &&
             (s->last ? s->left : in.pos < in.size));
    s->packed_size = out.pos;
}

static void pack_job(struct vr_job *job)
{
    pack((struct vr_saver *)((char *)job - offsetof(struct vr_saver, job)));
}

static void begin_pack(struct vr_saver *s)
{
    if (!s->worker || !vr_worker_begin(s->worker, &s->job)) {
        pack(s);
    }
}

static bool is_packing(struct vr_saver *s)
{
    return s->worker && vr_worker_is_pending(s->worker, &s->job);
}

static void end_pack(struct vr_saver *s)
{
    if (s->worker) {
        vr_worker_wait(s->worker, &s->job);
    }
}

/* Append a chunk of @size bytes at @data to the list. */
static int add_chunk(struct vr_saver *s, const uint8_t *data, size_t size)
{
    size_t total = sizeof(struct vr_chunk) + size;
    struct vr_chunk *chunk;

    if (total > s->max - s->contents.bytes) {
        return -ENOSPC;
    }
    chunk = vr_alloc0(s->tiles.a, total);
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

    vr_readback_resume(&s->tiles.rb);
    ret = vr_readback_read(&s->tiles.rb, &s->at, s->tiles.tile);
    if (!ret) {
        ret = vr_readback_verify(&s->tiles.rb, &s->at, s->tiles.tile, s->again);
    }
    vr_readback_suspend(&s->tiles.rb);
    next = s->at;
    s->last = !vr_readback_next(&s->tiles.rb, &next);
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
    if (!vr_readback_next(&s->tiles.rb, &s->at)) {
        /* There is no tile: nothing but the end of the compressed data. */
        s->at.size = 0;
        s->last = true;
    } else {
        ret = read_tile(s);
    }
    if (ret) {
        return ret;
    }
    begin_pack(s);
    return -EAGAIN;
}

static bool begin_saver(struct vr_saver *s,
                        const struct virgl_reclaim_allocator *a)
{
    size_t size = vr_readback_max_tile(&s->tiles.rb);

    /* zstd may add up to a block that it has buffered. */
    s->packed_max = ZSTD_compressBound(size) + ZSTD_CStreamOutSize();
    s->packed = vr_alloc0(a, s->packed_max);
    s->again = s->tiles.rb.lossless ? NULL : vr_alloc0(a, size);
    s->cctx = ZSTD_createCCtx();
    return begin(&s->tiles, a) && s->packed && s->cctx &&
           (s->tiles.rb.lossless || s->again);
}

int vr_saver_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                 uint32_t name, uint64_t max, struct vr_worker *worker,
                 struct vr_saver **saver)
{
    struct vr_saver *s = vr_alloc0(a, sizeof(*s));
    int ret;

    if (!s) {
        return -ENOMEM;
    }
    s->tiles.a = a;
    s->max = max;
    s->end = &s->contents.chunks;
    ret = vr_readback_begin(&s->tiles.rb, args, name);
    if (ret) {
        vr_free(a, s);
        return ret;
    }
    vr_readback_suspend(&s->tiles.rb);
    if (!begin_saver(s, a)) {
        vr_saver_free(s, NULL);
        return -ENOMEM;
    }
    ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(s->cctx, ZSTD_c_checksumFlag, 1);
    s->worker = worker;
    s->job.run = pack_job;
    *saver = s;
    return 0;
}

static void free_saver(struct vr_saver *s)
{
    const struct virgl_reclaim_allocator *a = s->tiles.a;

    vr_contents_free(a, &s->contents);
    ZSTD_freeCCtx(s->cctx);
    vr_free(a, s->packed);
    vr_free(a, s->again);
    vr_free(a, s->tiles.tile);
    vr_free(a, s);
}

void vr_saver_free(struct vr_saver *s, struct vr_contents *contents)
{
    end_pack(s);
    if (contents) {
        *contents = s->contents;
        s->contents = (struct vr_contents) { 0 };
    }
    vr_readback_resume(&s->tiles.rb);
    vr_readback_end(&s->tiles.rb);
    free_saver(s);
}

struct vr_contents *vr_saver_contents(struct vr_saver *s)
{
    return &s->contents;
}

void vr_saver_release(struct vr_saver *s)
{
    vr_readback_release(&s->tiles.rb);
}

void vr_saver_abandon(struct vr_saver *s)
{
    end_pack(s);
    free_saver(s);
}

/* Loading */

/* A tile is decompressed by the caller or a worker, and written here. */
struct vr_loader {
    struct tiles tiles;
    struct vr_tile at;          /* the tile that is being decompressed */
    bool begun;                 /* there is one */
    bool last;                  /* it is the last one */
    ZSTD_DCtx *dctx;
    const struct vr_chunk *from;    /* the next chunk, or ... */
    struct vr_extent *extent;   /* ... the file to be read, ... */
    uint64_t pos;               /* ... at this byte, ... */
    uint8_t *slot;              /* ... into this memory */
    ZSTD_inBuffer in;
    bool complete;              /* the end of the compressed data was read */
    int result;                 /* of decompressing the tile */

    struct vr_worker *worker;   /* or NULL */
    struct vr_job job;
};

/* The next compressed data, if there are any. */
static int next_data(struct vr_loader *l)
{
    uint64_t left = l->extent ? l->extent->bytes - l->pos : 0;
    size_t size = left < VR_FILE_SLOT ? left : VR_FILE_SLOT;

    if (l->from) {
        l->in = (ZSTD_inBuffer) { l->from->data, l->from->size, 0 };
        l->from = l->from->next;
    } else if (size) {
        if (vr_file_read(l->extent, l->pos, l->slot, size)) {
            return -EIO;
        }
        l->in = (ZSTD_inBuffer) { l->slot, size, 0 };
        l->pos += size;
    }
    return 0;
}

/* One step; fails at the end of the compressed data. */
static int step(struct vr_loader *l, ZSTD_outBuffer *out)
{
    size_t ret;

    if (l->in.pos == l->in.size && next_data(l)) {
        return -EIO;
    }
    ret = ZSTD_decompressStream(l->dctx, out, &l->in);
    if (ZSTD_isError(ret)) {
        return ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation ?
               -ENOMEM : -EIO;
    }
    l->complete = ret == 0;
    return 0;
}

static int decompress(struct vr_loader *l, void *data, size_t size)
{
    ZSTD_outBuffer out = { data, size, 0 };
    int ret = 0;

    while (!ret && out.pos < out.size) {
        ret = l->complete ? -EIO : step(l, &out);
    }
    return ret;
}

/* Read and verify the checksum that follows the last byte. */
static int decompress_end(struct vr_loader *l)
{
    ZSTD_outBuffer out = { l->tiles.tile, 0, 0 };
    int ret = 0;

    while (!ret && !l->complete) {
        ret = step(l, &out);
    }
    return ret;
}

static bool begin_loader(struct vr_loader *l,
                         const struct virgl_reclaim_allocator *a)
{
    l->dctx = ZSTD_createDCtx();
    l->slot = l->extent ? vr_alloc0(a, VR_FILE_SLOT) : NULL;
    return begin(&l->tiles, a) && l->dctx && (l->slot || !l->extent);
}

static void unpack_job(struct vr_job *job)
{
    struct vr_loader *l =
        (struct vr_loader *)((char *)job - offsetof(struct vr_loader, job));

    l->result = decompress(l, l->tiles.tile, l->at.size);
    if (!l->result && l->last) {
        l->result = decompress_end(l);
    }
}

static void begin_unpack(struct vr_loader *l)
{
    if (!l->worker || !vr_worker_begin(l->worker, &l->job)) {
        l->worker = NULL;
        unpack_job(&l->job);
    }
}

bool vr_loader_has_worker(const struct vr_loader *l)
{
    return l->worker;
}

static void end_unpack(struct vr_loader *l)
{
    if (l->worker) {
        vr_worker_wait(l->worker, &l->job);
    }
}

static int write_tile(struct vr_loader *l)
{
    int ret = l->result;

    if (!ret) {
        vr_readback_resume(&l->tiles.rb);
        ret = vr_readback_write(&l->tiles.rb, &l->at, l->tiles.tile);
        vr_readback_suspend(&l->tiles.rb);
    }
    return ret;
}

int vr_loader_step(struct vr_loader *l)
{
    struct vr_tile next;
    int ret = 0;

    if (l->worker && vr_worker_is_pending(l->worker, &l->job)) {
        return -EAGAIN;
    }
    if (l->begun) {
        ret = write_tile(l);
    }
    l->begun = !ret && vr_readback_next(&l->tiles.rb, &l->at);
    if (l->begun) {
        next = l->at;
        l->last = !vr_readback_next(&l->tiles.rb, &next);
        begin_unpack(l);
        return -EAGAIN;
    }
    return ret == 0 || ret == -ENOMEM ? ret : -EIO;
}

int vr_loader_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                  uint32_t name, const struct vr_contents *contents,
                  struct vr_worker *worker, struct vr_loader **loader)
{
    struct vr_loader *l = vr_alloc0(a, sizeof(*l));
    int ret;

    if (!l) {
        return -ENOMEM;
    }
    l->tiles.a = a;
    ret = vr_readback_begin(&l->tiles.rb, args, name);
    if (ret) {
        vr_free(a, l);
        return ret == -ENOMEM ? ret : -EIO;
    }
    vr_readback_suspend(&l->tiles.rb);
    l->from = contents->chunks;
    l->extent = contents->extent;
    l->worker = worker;
    l->job.run = unpack_job;
    if (!begin_loader(l, a)) {
        vr_loader_free(l);
        return -ENOMEM;
    }
    *loader = l;
    return 0;
}

void vr_loader_release(struct vr_loader *l)
{
    vr_readback_release(&l->tiles.rb);
}

void vr_loader_abandon(struct vr_loader *l)
{
    const struct virgl_reclaim_allocator *a = l->tiles.a;

    end_unpack(l);
    ZSTD_freeDCtx(l->dctx);
    vr_free(a, l->slot);
    vr_free(a, l->tiles.tile);
    vr_free(a, l);
}

void vr_loader_free(struct vr_loader *l)
{
    end_unpack(l);
    vr_readback_resume(&l->tiles.rb);
    vr_readback_end(&l->tiles.rb);
    vr_loader_abandon(l);
}

void vr_chunks_free(const struct virgl_reclaim_allocator *a,
                    struct vr_chunk *chunks)
{
    while (chunks) {
        struct vr_chunk *chunk = chunks;

        chunks = chunk->next;
        vr_free(a, chunk);
    }
}

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents)
{
    if (contents->extent) {
        vr_extent_free(contents->extent);
    }
    if (contents->write) {
        contents->write->contents = NULL;
    } else {
        vr_chunks_free(a, contents->chunks);
    }
    *contents = (struct vr_contents) { 0 };
}

uint64_t vr_contents_size(const struct vr_contents *contents)
{
    uint64_t size = contents->extent ? contents->extent->bytes : 0;

    for (const struct vr_chunk *c = contents->chunks; c; c = c->next) {
        size += c->size;
    }
    return size;
}
