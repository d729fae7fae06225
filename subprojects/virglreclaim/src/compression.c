/* SPDX-License-Identifier: MIT */
/* Resources with compressed contents. */

#include "instance.h"

#include <errno.h>
#include <time.h>

/* Compression must save at least 1 / MIN_GAIN of the storage. */
#define MIN_GAIN 8

void virgl_reclaim_set_compress_max(struct virgl_reclaim *vr, uint64_t max)
{
    vr->compress_max = max;
}

/* Add @n, 1 or -1, to the statistics of compressed resources. */
static void count_compressed(struct virgl_reclaim *vr,
                         const struct vr_resource *res, int n)
{
    vr->compressed_ids[res->args.handle % VR_COMPRESSED_IDS] += n;
    vr->stats.compressed += n;
    vr->stats.compressed_bytes += n * res->contents.bytes;
    vr->stats.uncompressed_bytes += n * res->bytes;
}

void vr_compression_discard(struct virgl_reclaim *vr, struct vr_resource *res)
{
    count_compressed(vr, res, -1);
    vr_contents_free(&vr->allocator, &res->contents);
}

/* Compress */

static int save(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t gain_max = res->bytes - res->bytes / MIN_GAIN;
    uint64_t used = vr->stats.compressed_bytes;
    uint64_t left = used < vr->compress_max ? vr->compress_max - used : 0;
    int ret;

    if (vr_references_exist(vr, res->storage)) {
        res->storage->notify_unref = true;
        return -EBUSY;
    }
    virgl_renderer_force_ctx_0();
    ret = vr_contents_save(&vr->allocator, &res->args, res->storage->name,
                           gain_max < left ? gain_max : left, &res->contents);
    return ret == -ENOSPC && gain_max < left ? -EFBIG : ret;
}

static void count_skipped(struct virgl_reclaim *vr, int error)
{
    enum virgl_reclaim_skipped why;

    switch (error) {
    case -EBUSY:
        why = VIRGL_RECLAIM_SKIPPED_REFERENCED;
        break;
    case -ENOTSUP:
        why = VIRGL_RECLAIM_SKIPPED_FORMAT;
        break;
    case -EFBIG:
        why = VIRGL_RECLAIM_SKIPPED_NO_GAIN;
        break;
    case -ENOSPC:
        why = VIRGL_RECLAIM_SKIPPED_LIMIT;
        break;
    default:
        why = VIRGL_RECLAIM_SKIPPED_NO_MEMORY;
        break;
    }
    vr->stats.skipped[why]++;
}

int virgl_reclaim_resource_compress(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        return 0;
    }
    if (res->attached) {
        return -EBUSY;
    }
    if (res->state == VIRGL_RECLAIM_PURGED || !res->bytes) {
        return -ENODATA;
    }

    ret = save(vr, res);
    if (ret) {
        count_skipped(vr, ret);
        return ret;
    }
    vr_release_storage(vr, res, NULL);
    res->state = VIRGL_RECLAIM_COMPRESSED;
    count_compressed(vr, res, 1);
    vr->stats.compressions++;
    vr_report(vr, compressed, id, res->contents.bytes);
    return 0;
}

/* Decompress */

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void count_time(struct virgl_reclaim *vr, uint64_t us)
{
    int bucket = 0;

    while (us >> (bucket + 1) && bucket < VIRGL_RECLAIM_TIME_BUCKETS - 1) {
        bucket++;
    }
    vr->stats.decompress_us[bucket]++;
    vr->stats.decompressions++;
}

int vr_compression_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t start = now_us(), us;
    int ret = vr_make_resident(vr, res);

    if (ret) {
        return ret;
    }
    ret = vr_contents_load(&vr->allocator, &res->args, res->storage->name,
                           &res->contents);
    if (ret) {
        vr_release_storage(vr, res, NULL);
        res->state = VIRGL_RECLAIM_COMPRESSED;
        return ret;
    }
    vr_compression_discard(vr, res);
    vr_contexts_attach(vr, res);
    us = now_us() - start;
    count_time(vr, us);
    vr_report(vr, decompressed, res->args.handle, us);
    return 0;
}
