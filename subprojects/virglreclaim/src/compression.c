/* SPDX-License-Identifier: MIT */
/* Resources with compressed contents. */

#include "compression.h"
#include "context.h"
#include "deferred.h"
#include "overflow.h"
#include "residency.h"
#include "resource.h"
#include "restore.h"

#include <errno.h>

/* Compression must save at least 1 / MIN_GAIN of the storage. */
#define MIN_GAIN 8

void virgl_reclaim_set_compress_max(struct virgl_reclaim *vr, uint64_t max)
{
    vr->compress_max = max;
}

int virgl_reclaim_set_compress_file(struct virgl_reclaim *vr, int fd)
{
    if (vr->file.contents || vr->write.extent) {
        return -EBUSY;
    }
    vr->file.fd = fd;
    return 0;
}

/* Accounting */

/* Add @n, 1 or -1, to the statistics of compressed resources. */
static void count_compressed(struct virgl_reclaim *vr,
                             const struct vr_resource *res, int n)
{
    vr->stats.compressed += n;
    vr->stats.compressed_bytes += n * res->contents.bytes;
    vr->stats.uncompressed_bytes += n * res->bytes;
}

void vr_compression_forget(struct virgl_reclaim *vr,
                           struct vr_resource *res)
{
    vr_overflow_remove(vr, res);
    count_compressed(vr, res, -1);
}

void vr_compression_discard(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_resource_set_absent(vr, res, false);
    vr_compression_forget(vr, res);
    vr_contents_free(&vr->allocator, &res->contents);
}

static void count_skipped(struct virgl_reclaim *vr, struct vr_resource *res,
                          int error)
{
    enum virgl_reclaim_skipped why;

    switch (error) {
    case -ENOTSUP:
        why = VIRGL_RECLAIM_SKIPPED_FORMAT;
        res->incompressible = true;
        break;
    case -EFBIG:
        why = VIRGL_RECLAIM_SKIPPED_NO_GAIN;
        res->incompressible = true;
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

/* Compress */

/*
 * Most bytes that contents of @res may take, and what it is to exceed them: if
 * there is a file, they have room there, or others have.
 */
static uint64_t limit(struct virgl_reclaim *vr, const struct vr_resource *res,
                      int *error)
{
    uint64_t gain = res->bytes - res->bytes / MIN_GAIN;
    uint64_t used = vr->stats.compressed_bytes;
    uint64_t left = used < vr->compress_max ? vr->compress_max - used : 0;

    if (vr->compress_max && gain >= left && vr_file_may_write(&vr->file)) {
        left = UINT64_MAX;
    }
    *error = gain < left ? -EFBIG : -ENOSPC;
    return gain < left ? gain : left;
}

/* A CUSTOM buffer with backing has its contents in the backing. */
static bool is_in_backing(const struct vr_resource *res)
{
    return res->attached && !res->storage->name;
}

static int can_compress(struct virgl_reclaim *vr, struct vr_resource *res)
{
    int busy;

    if (res->state == VIRGL_RECLAIM_PURGED || !res->bytes) {
        return -ENODATA;
    }
    if (vr_restore_keeps(res)) {
        return -ECANCELED;
    }
    if (is_in_backing(res)) {
        count_skipped(vr, res, -ENOTSUP);
        return -ENOTSUP;
    }
    busy = vr_residency_busy(vr, res, true);
    if (busy >= 0) {
        vr->stats.skipped[busy]++;
        res->notify = true;
        return -EBUSY;
    }
    return 0;
}

/*
 * First objects and bindings leave the renderer: so the contents cannot change,
 * and whatever uses the resource finds that it has to be restored.
 */
static int begin(struct virgl_reclaim *vr, struct vr_resource *res,
                 bool threaded)
{
    uint64_t max;
    int ret, over;

    if (vr->compressing) {
        return -EALREADY;
    }
    ret = can_compress(vr, res);
    if (ret) {
        return ret;
    }
    max = limit(vr, res, &over);
    virgl_renderer_force_ctx_0();
    ret = max ? vr_saver_new(&vr->allocator, &res->args, res->storage->name,
                             max, threaded ? &vr->worker : NULL, &vr->saver) :
                over;
    if (ret) {
        count_skipped(vr, res, ret);
        return ret;
    }
    vr->saver_over = over;
    vr->write_failed = false;
    vr->compressing = res;
    vr_resource_set_absent(vr, res, true);
    vr_residency_detach(vr, res);
    return 0;
}

/* End without contents: objects and bindings return to the renderer. */
static void cancel(struct virgl_reclaim *vr)
{
    struct vr_resource *res = vr->compressing;

    virgl_renderer_force_ctx_0();
    vr_saver_free(vr->saver, NULL);
    vr->saver = NULL;
    vr->compressing = NULL;
    vr_resource_set_absent(vr, res, false);
    vr_residency_attach(vr, res);
}

void vr_compression_cancel_if(struct virgl_reclaim *vr,
                              struct vr_resource *res)
{
    if (vr->compressing == res) {
        cancel(vr);
        vr->cancelled = true;
    }
}

void vr_compression_abandon(struct virgl_reclaim *vr)
{
    if (vr->compressing) {
        vr_saver_abandon(vr->saver);
        vr->saver = NULL;
        vr->compressing = NULL;
        vr->cancelled = true;
    }
}

static void finish(struct virgl_reclaim *vr)
{
    struct vr_resource *res = vr->compressing;

    vr_saver_free(vr->saver, &res->contents);
    vr->saver = NULL;
    vr->compressing = NULL;
    vr_resource_detach_backing(res);
    vr_deferred_retire(vr, res->storage);
    vr_resource_release_storage(vr, res, NULL);
    res->state = VIRGL_RECLAIM_COMPRESSED;
    res->notify = false;
    count_compressed(vr, res, 1);
    vr_overflow_add(vr, res);
    vr->stats.compressions++;
    vr_report(vr, compressed, res->args.handle, res->contents.bytes);
}

static int run(struct virgl_reclaim *vr)
{
    struct vr_resource *res = vr->compressing;
    int ret;

    virgl_renderer_force_ctx_0();
    ret = vr_saver_step(vr->saver);
    if (ret == -EAGAIN) {
        return ret;
    }
    if (ret == -ENOSPC) {
        ret = vr->saver_over;
    }
    if (!ret) {
        ret = vr_overflow_make_room(vr, res, vr_saver_contents(vr->saver));
        if (ret == -EAGAIN) {
            return ret;
        }
    }
    if (ret) {
        cancel(vr);
        count_skipped(vr, res, ret);
    } else {
        finish(vr);
    }
    return ret;
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
    ret = begin(vr, res, false);
    if (ret) {
        return ret;
    }
    do {
        vr_overflow_wait(vr);
        ret = run(vr);
    } while (ret == -EAGAIN);
    return ret;
}

int virgl_reclaim_compress_begin(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        return -EALREADY;
    }
    vr->cancelled = false;
    return begin(vr, res, true);
}

uint32_t virgl_reclaim_compressing(const struct virgl_reclaim *vr)
{
    return vr->compressing ? vr->compressing->args.handle : 0;
}

int virgl_reclaim_compress_run(struct virgl_reclaim *vr)
{
    if (!vr->compressing) {
        if (vr_overflow_is_writing(vr)) {
            return -EAGAIN;
        }
        return vr->cancelled ? -ECANCELED : -ENODATA;
    }
    return run(vr);
}
