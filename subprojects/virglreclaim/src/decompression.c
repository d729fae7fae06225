/* SPDX-License-Identifier: MIT */
/* Compressed contents return to the storage of their resource. */

#include "decompression.h"
#include "compression.h"
#include "context.h"
#include "orphan.h"
#include "overflow.h"
#include "residency.h"
#include "resource.h"

#include <errno.h>
#include <time.h>

/*
 * To decompress what is smaller takes no longer than to have the worker do it;
 * to read it from a file may.
 */
#define WORTH_WORKER_BYTES (64u << 10)

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

static void count_read(struct virgl_reclaim *vr, const struct vr_resource *res,
                       int ret)
{
    const struct vr_extent *extent = res->contents.extent;

    if (extent && ret == 0) {
        vr->file.reads++;
    } else if (extent && ret == -EIO) {
        vr->file.errors++;
        vr_report(vr, file_failed, res->args.handle,
                  extent->error ? extent->error : ret, false);
    }
}

/* Without success: the resource is as it was. */
static void end(struct virgl_reclaim *vr, struct vr_load *load, int ret)
{
    struct vr_resource *res = load->res;

    load->res = NULL;
    vr_resource_release_storage(vr, res, NULL);
    count_read(vr, res, ret);
    vr_overflow_add(vr, res);
}

/* The storage is there, and not yet the resource's for anybody else. */
static int begin(struct virgl_reclaim *vr, struct vr_resource *res,
                 struct vr_worker *worker, struct vr_load *load)
{
    uint32_t id = res->destroyed ? vr_orphan_id(vr) : res->args.handle;
    int ret;

    vr_overflow_remove(vr, res);
    ret = vr_resource_make_storage(vr, res, id, false);
    if (ret) {
        vr_overflow_add(vr, res);
        return ret;
    }
    res->state = VIRGL_RECLAIM_COMPRESSED;
    *load = (struct vr_load) { .res = res, .args = res->args, .us = now_us() };
    load->args.handle = id;
    ret = vr_loader_new(&vr->allocator, &load->args, res->storage->name,
                        &res->contents, worker, &load->loader);
    if (ret) {
        end(vr, load, ret);
    }
    return ret;
}

static void finish(struct virgl_reclaim *vr, struct vr_load *load)
{
    struct vr_resource *res = load->res;
    uint64_t us;

    vr_loader_free(load->loader);
    load->res = NULL;
    count_read(vr, res, 0);
    if (res->destroyed) {
        vr_orphan_restored(vr, res);
        return;
    }
    vr_compression_discard(vr, res);
    res->state = VIRGL_RECLAIM_RESIDENT;
    vr_resource_attach_backing(res);
    vr_contexts_attach(vr, res);
    vr_residency_attach(vr, res);
    us = now_us() - load->us;
    count_time(vr, us);
    vr_report(vr, decompressed, res->args.handle, us);
}

static void cancel(struct virgl_reclaim *vr, struct vr_load *load, int ret)
{
    virgl_renderer_force_ctx_0();
    vr_loader_free(load->loader);
    end(vr, load, ret);
}

static int step(struct virgl_reclaim *vr, struct vr_load *load)
{
    int ret;

    virgl_renderer_force_ctx_0();
    ret = vr_loader_step(load->loader);
    if (ret == 0) {
        finish(vr, load);
    } else if (ret != -EAGAIN) {
        cancel(vr, load, ret);
    }
    return ret;
}

int vr_decompression_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    struct vr_load load;
    int ret;

    /* What was begun would wait for the worker: begin again. */
    vr_decompression_cancel_if(vr, res);
    ret = begin(vr, res, NULL, &load);
    if (ret) {
        return ret;
    }
    do {
        ret = step(vr, &load);
    } while (ret == -EAGAIN);
    return ret;
}

int vr_decompression_step(struct virgl_reclaim *vr, struct vr_resource *res,
                          bool *waiting)
{
    struct vr_load *load = &vr->load;
    int ret;

    if (res->bytes <= WORTH_WORKER_BYTES && !res->contents.extent) {
        return vr_decompression_restore(vr, res);
    }
    if (load->res && load->res != res) {
        cancel(vr, load, -ECANCELED);
    }
    if (!load->res) {
        ret = begin(vr, res, &vr->worker, load);
        if (ret) {
            return ret;
        }
    }
    ret = step(vr, load);
    *waiting = ret == -EAGAIN && vr_loader_has_worker(load->loader);
    return ret;
}

void vr_decompression_cancel_if(struct virgl_reclaim *vr,
                                struct vr_resource *res)
{
    if (vr->load.res == res) {
        cancel(vr, &vr->load, -ECANCELED);
    }
}

void vr_decompression_yield_id(struct virgl_reclaim *vr, uint32_t id)
{
    if (vr->load.res && vr->load.args.handle == id) {
        cancel(vr, &vr->load, -ECANCELED);
    }
}

void vr_decompression_abandon(struct virgl_reclaim *vr)
{
    if (vr->load.res) {
        vr_loader_abandon(vr->load.loader);
        vr->load.res = NULL;
    }
}
