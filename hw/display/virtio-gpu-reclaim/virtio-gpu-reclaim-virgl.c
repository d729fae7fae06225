/*
 * Virtio GPU: storage of virglrenderer's resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The storage of a resource is the renderer's. How to release it and make it
 * again is known to subprojects/virglreclaim; this calls it for one device. To
 * the layers above a resource is its id. GL hosts are little-endian, as the
 * wire is: nothing is swapped here.
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-2d.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-file.h"
#include "virtio-gpu-reclaim-untracked.h"

#include <virglreclaim.h>

#define GALLIUM_BUFFER 0
#define GALLIUM_TEXTURE_2D 2
#define VIRGL_BIND_RENDER_TARGET (1 << 1)

/*
 * Contexts are visited so long after storage has left, and between steps: this
 * is before the heap is trimmed.
 */
#define COLLECT_MS 20
/* Host memory of a blob besides its storage, in bytes. */
#define BLOB_OVERHEAD 1024

/* The only size of cursors that the device model shows. */
#define CURSOR_SIDE 64

typedef struct VirtIOGPUReclaimVirgl {
    struct virgl_reclaim *vr;
    VirtIOGPUUntracked *untracked;
    QEMUBH *reset_bh;
    QEMUTimer *collect_timer;
} VirtIOGPUReclaimVirgl;

static VirtIOGPUReclaimVirgl *virtio_gpu_reclaim_virgl_data(VirtIOGPU *g)
{
    return g->reclaim->backend_data;
}

static struct virgl_reclaim *virtio_gpu_reclaim_virgl_vr(VirtIOGPU *g)
{
    return virtio_gpu_reclaim_virgl_data(g)->vr;
}

static VirtIOGPUUntracked *virtio_gpu_reclaim_virgl_untracked(VirtIOGPU *g)
{
    return virtio_gpu_reclaim_virgl_data(g)->untracked;
}

/* NULL if it is no blob. */
static VirtIOGPUBlob *virtio_gpu_reclaim_virgl_blob(VirtIOGPU *g, void *res)
{
    return virtio_gpu_untracked_blob(virtio_gpu_reclaim_virgl_untracked(g),
                                     GPOINTER_TO_UINT(res));
}

static void virtio_gpu_reclaim_virgl_schedule_collect(VirtIOGPU *g)
{
    QEMUTimer *timer = virtio_gpu_reclaim_virgl_data(g)->collect_timer;

    if (!timer_pending(timer)) {
        timer_mod(timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + COLLECT_MS);
    }
}

/* Resources. */

static struct virgl_renderer_resource_create_args
virtio_gpu_reclaim_virgl_args_2d(
    const struct virtio_gpu_resource_create_2d *c2d)
{
    return (struct virgl_renderer_resource_create_args) {
        .handle = c2d->resource_id,
        .target = GALLIUM_TEXTURE_2D,
        .format = c2d->format,
        .bind = VIRGL_BIND_RENDER_TARGET,
        .width = c2d->width,
        .height = c2d->height,
        .depth = 1,
        .array_size = 1,
        .flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
    };
}

static struct virgl_renderer_resource_create_args
virtio_gpu_reclaim_virgl_args_3d(
    const struct virtio_gpu_resource_create_3d *c3d)
{
    return (struct virgl_renderer_resource_create_args) {
        .handle = c3d->resource_id,
        .target = c3d->target,
        .format = c3d->format,
        .bind = c3d->bind,
        .width = c3d->width,
        .height = c3d->height,
        .depth = c3d->depth,
        .array_size = c3d->array_size,
        .last_level = c3d->last_level,
        .nr_samples = c3d->nr_samples,
        .flags = c3d->flags,
    };
}

static int virtio_gpu_reclaim_virgl_size(
    const struct virgl_renderer_resource_create_args *args, uint64_t *bytes,
    uint64_t *overhead)
{
    *bytes = virgl_reclaim_args_bytes(args);
    *overhead = virgl_reclaim_args_overhead(args);
    return *bytes == UINT64_MAX || *overhead == UINT64_MAX ? -EINVAL : 0;
}

static int virtio_gpu_reclaim_virgl_size_2d(
    const struct virtio_gpu_resource_create_2d *c2d, uint64_t *bytes,
    uint64_t *overhead)
{
    struct virgl_renderer_resource_create_args args =
        virtio_gpu_reclaim_virgl_args_2d(c2d);

    return virtio_gpu_reclaim_virgl_size(&args, bytes, overhead);
}

static int virtio_gpu_reclaim_virgl_size_3d(
    const struct virtio_gpu_resource_create_3d *c3d, uint64_t *bytes,
    uint64_t *overhead)
{
    struct virgl_renderer_resource_create_args args =
        virtio_gpu_reclaim_virgl_args_3d(c3d);

    return virtio_gpu_reclaim_virgl_size(&args, bytes, overhead);
}

static int virtio_gpu_reclaim_virgl_create(
    VirtIOGPU *g, const struct virgl_renderer_resource_create_args *args,
    void **res)
{
    *res = GUINT_TO_POINTER(args->handle);
    return virgl_reclaim_resource_create(virtio_gpu_reclaim_virgl_vr(g), args);
}

static int virtio_gpu_reclaim_virgl_create_2d(
    VirtIOGPU *g, const struct virtio_gpu_resource_create_2d *c2d, void **res)
{
    struct virgl_renderer_resource_create_args args =
        virtio_gpu_reclaim_virgl_args_2d(c2d);

    return virtio_gpu_reclaim_virgl_create(g, &args, res);
}

static int virtio_gpu_reclaim_virgl_create_3d(
    VirtIOGPU *g, const struct virtio_gpu_resource_create_3d *c3d, void **res)
{
    struct virgl_renderer_resource_create_args args =
        virtio_gpu_reclaim_virgl_args_3d(c3d);

    return virtio_gpu_reclaim_virgl_create(g, &args, res);
}

static void virtio_gpu_reclaim_virgl_destroy(VirtIOGPU *g, void *res)
{
    virtio_gpu_untracked_forget(virtio_gpu_reclaim_virgl_untracked(g),
                                GPOINTER_TO_UINT(res));
    virgl_reclaim_resource_unref(virtio_gpu_reclaim_virgl_vr(g),
                                 GPOINTER_TO_UINT(res));
}

static int virtio_gpu_reclaim_virgl_attach(VirtIOGPU *g, void *res,
                                           VirtIOGPUReclaimMapping *map)
{
    const VirtIOGPUBlob *blob = virtio_gpu_reclaim_virgl_blob(g, res);
    int ret;

    if (!blob) {
        ret = virgl_reclaim_resource_attach_iov(virtio_gpu_reclaim_virgl_vr(g),
                                                GPOINTER_TO_UINT(res),
                                                map->iov, map->iov_cnt);
    } else if (!blob->has_backing || map->bytes < blob->size ||
               virgl_renderer_resource_attach_iov(GPOINTER_TO_UINT(res),
                                                  map->iov, map->iov_cnt)) {
        ret = -EINVAL;
    } else {
        ret = 0;
    }
    if (ret == 0) {
        /* Only the 2D device is migrated, and needs the addresses for that. */
        g_free(map->addrs);
    }
    return ret;
}

static void virtio_gpu_reclaim_virgl_detach(VirtIOGPU *g, void *res)
{
    VirtIOGPUReclaimMapping map = { };
    int n = 0;

    if (virtio_gpu_reclaim_virgl_blob(g, res)) {
        virgl_renderer_resource_detach_iov(GPOINTER_TO_UINT(res), &map.iov, &n);
    } else {
        virgl_reclaim_resource_detach_iov(virtio_gpu_reclaim_virgl_vr(g),
                                          GPOINTER_TO_UINT(res), &map.iov, &n);
    }
    if (map.iov) {
        map.iov_cnt = n;
        virtio_gpu_reclaim_unmap(g, &map);
    }
}

/* What an untracked context refers to is unknown. */
static int virtio_gpu_reclaim_virgl_can_purge(VirtIOGPU *g, void *res)
{
    return virtio_gpu_reclaim_virgl_blob(g, res) ||
           virtio_gpu_untracked_is_shared(virtio_gpu_reclaim_virgl_untracked(g),
                                          GPOINTER_TO_UINT(res)) ? -ENOTSUP : 0;
}

static uint64_t virtio_gpu_reclaim_virgl_purge(VirtIOGPU *g, void *res)
{
    uint64_t released;

    virgl_reclaim_resource_purge(virtio_gpu_reclaim_virgl_vr(g),
                                 GPOINTER_TO_UINT(res), &released);
    virtio_gpu_reclaim_virgl_schedule_collect(g);
    return released;
}

static int virtio_gpu_reclaim_virgl_restore(VirtIOGPU *g, void *res)
{
    return virgl_reclaim_resource_restore(virtio_gpu_reclaim_virgl_vr(g),
                                          GPOINTER_TO_UINT(res));
}

static int virtio_gpu_reclaim_virgl_compress(VirtIOGPU *g, void *res)
{
    int ret = virtio_gpu_reclaim_virgl_can_purge(g, res);

    return ret ? ret :
           virgl_reclaim_resource_compress(virtio_gpu_reclaim_virgl_vr(g),
                                           GPOINTER_TO_UINT(res));
}

/*
 * The library records a use once for each of its times, so these are tenths of
 * a second: with milliseconds it would move resources in its list all the time.
 * What counts for the layers above is the end of that tenth.
 */
static uint64_t virtio_gpu_reclaim_virgl_ms(uint64_t tenths)
{
    return tenths ? tenths * 100 - 1 : 0;
}

static void virtio_gpu_reclaim_virgl_set_time(VirtIOGPU *g, uint64_t now)
{
    virgl_reclaim_set_time(virtio_gpu_reclaim_virgl_vr(g), now / 100 + 1);
}

static uint32_t virtio_gpu_reclaim_virgl_lru_next(VirtIOGPU *g, uint32_t after,
                                                  uint64_t *last_use)
{
    uint32_t id = 0;

    /* After a reset of the device there are none; the renderer's is due. */
    if (!compat_renderer_reset_is_due(VIRTIO_GPU_GL(g))) {
        id = virgl_reclaim_lru_next(virtio_gpu_reclaim_virgl_vr(g), after,
                                    last_use);
        *last_use = virtio_gpu_reclaim_virgl_ms(*last_use);
    }
    return id;
}

static int virtio_gpu_reclaim_virgl_compress_begin(VirtIOGPU *g, void *res)
{
    int ret = virtio_gpu_reclaim_virgl_can_purge(g, res);

    return ret ? ret :
           virgl_reclaim_compress_begin(virtio_gpu_reclaim_virgl_vr(g),
                                        GPOINTER_TO_UINT(res));
}

static int virtio_gpu_reclaim_virgl_compress_run(VirtIOGPU *g)
{
    return virgl_reclaim_compress_run(virtio_gpu_reclaim_virgl_vr(g));
}

static VirtIOGPUReclaimFileStats virtio_gpu_reclaim_virgl_file_stats(
    VirtIOGPU *g)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(virtio_gpu_reclaim_virgl_vr(g), &stats);
    return (VirtIOGPUReclaimFileStats) {
        .resources = stats.file,
        .bytes = stats.file_bytes,
        .writes = stats.file_writes,
        .reads = stats.file_reads,
        .errors = stats.file_errors,
    };
}

static uint32_t virtio_gpu_reclaim_virgl_compressing(VirtIOGPU *g)
{
    /* After a reset of the device there is none; the renderer's is due. */
    return compat_renderer_reset_is_due(VIRTIO_GPU_GL(g)) ? 0 :
           virgl_reclaim_compressing(virtio_gpu_reclaim_virgl_vr(g));
}

static int virtio_gpu_reclaim_virgl_restore_begin(VirtIOGPU *g, void *res)
{
    return virgl_reclaim_restore_begin(virtio_gpu_reclaim_virgl_vr(g),
                                       GPOINTER_TO_UINT(res));
}

static uint64_t virtio_gpu_reclaim_virgl_restore_bytes(VirtIOGPU *g)
{
    return virgl_reclaim_restore_bytes(virtio_gpu_reclaim_virgl_vr(g));
}

static int virtio_gpu_reclaim_virgl_restore_run(VirtIOGPU *g)
{
    return virgl_reclaim_restore_run(virtio_gpu_reclaim_virgl_vr(g));
}

static void virtio_gpu_reclaim_virgl_restore_end(VirtIOGPU *g)
{
    virgl_reclaim_restore_end(virtio_gpu_reclaim_virgl_vr(g));
}

/* Blobs. */

/*
 * The renderer has the mapping, and gives it back: the stock device must not
 * unmap it once more. It has no use for the addresses.
 */
static void *virtio_gpu_reclaim_virgl_blob_created(
    VirtIOGPU *g, const struct virtio_gpu_resource_create_blob *cblob,
    uint64_t *backing_bytes, uint32_t *iov_cnt)
{
    struct virtio_gpu_simple_resource *res;

    /* It is the first one. */
    QTAILQ_FOREACH(res, &g->reslist, next) {
        if (res->resource_id == cblob->resource_id) {
            break;
        }
    }
    *iov_cnt = res->iov_cnt;
    *backing_bytes = iov_size(res->iov, res->iov_cnt);
    g_clear_pointer(&res->addrs, g_free);
    res->iov = NULL;
    res->iov_cnt = 0;
    virtio_gpu_untracked_add_blob(virtio_gpu_reclaim_virgl_untracked(g), cblob);
    return GUINT_TO_POINTER(cblob->resource_id);
}

static bool virtio_gpu_reclaim_virgl_is_blob(VirtIOGPU *g, void *res)
{
    return virtio_gpu_reclaim_virgl_blob(g, res);
}

static void virtio_gpu_reclaim_virgl_blob_mapped(VirtIOGPU *g, void *res)
{
    virtio_gpu_reclaim_virgl_blob(g, res)->mapped = true;
}

static bool virtio_gpu_reclaim_virgl_blob_unmap(VirtIOGPU *g, void *res)
{
    VirtIOGPUBlob *blob = virtio_gpu_reclaim_virgl_blob(g, res);
    bool mapped = blob->mapped;

    blob->mapped = false;
    return mapped;
}

static void virtio_gpu_reclaim_virgl_blob_destroyed(VirtIOGPU *g, void *res)
{
    virtio_gpu_untracked_remove_blob(virtio_gpu_reclaim_virgl_untracked(g),
                                     GPOINTER_TO_UINT(res));
}

static bool virtio_gpu_reclaim_virgl_can_scanout_blob(
    VirtIOGPU *g, void *res, const struct virtio_gpu_set_scanout_blob *ss)
{
    const VirtIOGPUBlob *blob = virtio_gpu_reclaim_virgl_blob(g, res);

    return blob && virtio_gpu_reclaim_2d_image_fits(ss, blob->size);
}

/* Scanouts and cursors. */

/*
 * The stock handler asks the console for a surface of any size it is told,
 * and QEMU aborts when there is no memory for that.
 */
static bool virtio_gpu_reclaim_virgl_can_scanout(
    VirtIOGPU *g, void *res, const struct virtio_gpu_rect *r)
{
    const struct virgl_renderer_resource_create_args *args =
        virgl_reclaim_resource_args(virtio_gpu_reclaim_virgl_vr(g),
                                    GPOINTER_TO_UINT(res));

    /* Blobs have none: there is SET_SCANOUT_BLOB. */
    return args && args->target != GALLIUM_BUFFER &&
           r->x <= args->width && r->width <= args->width - r->x &&
           r->y <= args->height && r->height <= args->height - r->y;
}

/*
 * The renderer flips the image of a cursor row by row, as if all formats had
 * blocks of one pixel, and so writes past the end of compressed ones. And the
 * device model copies 4 bytes for each pixel, whatever the format.
 */
static bool virtio_gpu_reclaim_virgl_can_cursor(VirtIOGPU *g, void *res)
{
    const struct virgl_renderer_resource_create_args *args =
        virgl_reclaim_resource_args(virtio_gpu_reclaim_virgl_vr(g),
                                    GPOINTER_TO_UINT(res));

    return args && args->target == GALLIUM_TEXTURE_2D &&
           args->width == CURSOR_SIDE && args->height == CURSOR_SIDE &&
           virgl_reclaim_args_bytes(args) ==
           CURSOR_SIDE * CURSOR_SIDE * sizeof(uint32_t);
}

static void virtio_gpu_reclaim_virgl_disable_scanout(VirtIOGPU *g,
                                                     int scanout_id)
{
    struct virtio_gpu_scanout *scanout = &g->parent_obj.scanout[scanout_id];

    dpy_gfx_replace_surface(scanout->con, NULL);
    dpy_gl_scanout_disable(scanout->con);
    scanout->resource_id = 0;
}

/* Transfers: the stock handlers ignore what the renderer says of them. */

/* The contents of a blob are its own memory: there is nothing to transfer. */
static int virtio_gpu_reclaim_virgl_transfer(
    VirtIOGPU *g, void *res, const struct virgl_reclaim_transfer *transfer)
{
    return virtio_gpu_reclaim_virgl_blob(g, res) ? -EINVAL :
           virgl_reclaim_resource_transfer(virtio_gpu_reclaim_virgl_vr(g),
                                           GPOINTER_TO_UINT(res), transfer);
}

static int virtio_gpu_reclaim_virgl_transfer_2d(
    VirtIOGPU *g, void *res, const struct virtio_gpu_transfer_to_host_2d *t2d)
{
    struct virgl_reclaim_transfer transfer = {
        .to_host = true,
        .x = t2d->r.x,
        .y = t2d->r.y,
        .w = t2d->r.width,
        .h = t2d->r.height,
        .d = 1,
        .offset = t2d->offset,
    };

    return virtio_gpu_reclaim_virgl_transfer(g, res, &transfer);
}

static int virtio_gpu_reclaim_virgl_transfer_3d(
    VirtIOGPU *g, void *res, const struct virtio_gpu_transfer_host_3d *t3d,
    bool to_host)
{
    struct virgl_reclaim_transfer transfer = {
        .to_host = to_host,
        .ctx = t3d->hdr.ctx_id,
        .level = t3d->level,
        .x = t3d->box.x,
        .y = t3d->box.y,
        .z = t3d->box.z,
        .w = t3d->box.w,
        .h = t3d->box.h,
        .d = t3d->box.d,
        .offset = t3d->offset,
        .stride = t3d->stride,
        .layer_stride = t3d->layer_stride,
    };

    return virtio_gpu_reclaim_virgl_transfer(g, res, &transfer);
}

/* Contexts. */

/*
 * The capability bits of a capset VIRGL2, and that of persistent mappings: see
 * virgl_caps_v2 in virglrenderer's virgl_hw.h, which is not installed.
 */
#define CAPABILITY_BITS         392
#define CAP_ARB_BUFFER_STORAGE  (1u << 31)

/*
 * Guests do not get persistent mappings: their storage is created by a command
 * in a stream, which virgl_reclaim_submit() rejects.
 */
static void *virtio_gpu_reclaim_virgl_get_capset(VirtIOGPU *g, uint32_t id,
                                                 uint32_t version,
                                                 uint32_t *size)
{
    uint32_t max_version, bits;
    uint8_t *capset;

    virgl_renderer_get_cap_set(id, &max_version, size);
    if (!*size) {
        return NULL;
    }
    capset = g_malloc0(*size);
    virgl_renderer_fill_caps(id, version, capset);
    if (id == VIRTIO_GPU_CAPSET_VIRGL2 &&
        *size >= CAPABILITY_BITS + sizeof(bits)) {
        memcpy(&bits, capset + CAPABILITY_BITS, sizeof(bits));
        bits &= ~CAP_ARB_BUFFER_STORAGE;
        memcpy(capset + CAPABILITY_BITS, &bits, sizeof(bits));
    }
    return capset;
}

/* The library does not say of which of the two there is none. */
static int virtio_gpu_reclaim_virgl_ctx_errno(int ret)
{
    return ret == -ENOENT || ret == -EEXIST || ret == -EINVAL ? -ESRCH : ret;
}

static int virtio_gpu_reclaim_virgl_ctx_create(VirtIOGPU *g, uint32_t ctx,
                                               uint32_t context_init,
                                               const char *name, uint32_t len)
{
    VirtIOGPUUntracked *u = virtio_gpu_reclaim_virgl_untracked(g);
    int ret;

    if ((context_init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK) >
        VIRTIO_GPU_CAPSET_VIRGL2) {
        ret = virtio_gpu_untracked_ctx_create(u, ctx, context_init, name, len,
                                              g->reclaim_conf.max_contexts);
    } else if (virtio_gpu_untracked_has_ctx(u, ctx)) {
        ret = -EEXIST;
    } else {
        ret = virgl_reclaim_ctx_create(virtio_gpu_reclaim_virgl_vr(g), ctx, len,
                                       name);
    }
    return virtio_gpu_reclaim_virgl_ctx_errno(ret);
}

static int virtio_gpu_reclaim_virgl_ctx_destroy(VirtIOGPU *g, uint32_t ctx)
{
    VirtIOGPUUntracked *u = virtio_gpu_reclaim_virgl_untracked(g);

    if (virtio_gpu_untracked_has_ctx(u, ctx)) {
        virtio_gpu_untracked_ctx_destroy(u, ctx);
        return 0;
    }
    virtio_gpu_reclaim_virgl_schedule_collect(g);
    return virtio_gpu_reclaim_virgl_ctx_errno(
        virgl_reclaim_ctx_destroy(virtio_gpu_reclaim_virgl_vr(g), ctx));
}

static int virtio_gpu_reclaim_virgl_ctx_attach(VirtIOGPU *g, uint32_t ctx,
                                               void *res)
{
    VirtIOGPUUntracked *u = virtio_gpu_reclaim_virgl_untracked(g);

    if (virtio_gpu_untracked_has_ctx(u, ctx) ||
        virtio_gpu_reclaim_virgl_blob(g, res)) {
        virtio_gpu_untracked_attach(u, ctx, GPOINTER_TO_UINT(res));
        return 0;
    }
    return virtio_gpu_reclaim_virgl_ctx_errno(
        virgl_reclaim_ctx_attach_resource(virtio_gpu_reclaim_virgl_vr(g), ctx,
                                          GPOINTER_TO_UINT(res)));
}

static int virtio_gpu_reclaim_virgl_ctx_detach(VirtIOGPU *g, uint32_t ctx,
                                               void *res)
{
    if (virtio_gpu_untracked_has_ctx(virtio_gpu_reclaim_virgl_untracked(g),
                                     ctx) ||
        virtio_gpu_reclaim_virgl_blob(g, res)) {
        virgl_renderer_ctx_detach_resource(ctx, GPOINTER_TO_UINT(res));
        return 0;
    }
    return virtio_gpu_reclaim_virgl_ctx_errno(
        virgl_reclaim_ctx_detach_resource(virtio_gpu_reclaim_virgl_vr(g), ctx,
                                          GPOINTER_TO_UINT(res)));
}

typedef int VirtIOGPUReclaimVirglSubmit(struct virgl_reclaim *vr, uint32_t ctx,
                                        void *commands, uint32_t words);

static int virtio_gpu_reclaim_virgl_submit_by(
    VirtIOGPU *g, uint32_t ctx, void *commands, size_t words,
    VirtIOGPUReclaimVirglSubmit *submit)
{
    int ret;

    if (virtio_gpu_untracked_has_ctx(virtio_gpu_reclaim_virgl_untracked(g),
                                     ctx)) {
        return virgl_renderer_submit_cmd(commands, ctx, words) ? -EINVAL : 0;
    }
    ret = submit(virtio_gpu_reclaim_virgl_vr(g), ctx, commands, words);
    return ret == -ENOENT ? -ESRCH : ret;
}

static int virtio_gpu_reclaim_virgl_submit(VirtIOGPU *g, uint32_t ctx,
                                           void *commands, size_t words)
{
    return virtio_gpu_reclaim_virgl_submit_by(g, ctx, commands, words,
                                              virgl_reclaim_submit);
}

static int virtio_gpu_reclaim_virgl_try_submit(VirtIOGPU *g, uint32_t ctx,
                                               void *commands, size_t words)
{
    return virtio_gpu_reclaim_virgl_submit_by(g, ctx, commands, words,
                                              virgl_reclaim_try_submit);
}

static void virtio_gpu_reclaim_virgl_set_object_room(VirtIOGPU *g,
                                                     uint64_t bytes)
{
    struct virgl_reclaim *vr = virtio_gpu_reclaim_virgl_vr(g);
    uint64_t used = virgl_reclaim_object_bytes(vr);

    virgl_reclaim_set_max_object_bytes(vr, bytes > UINT64_MAX - used ?
                                           UINT64_MAX : used + bytes);
}

static uint64_t virtio_gpu_reclaim_virgl_object_bytes(VirtIOGPU *g)
{
    return virgl_reclaim_object_bytes(virtio_gpu_reclaim_virgl_vr(g));
}

typedef struct VirtIOGPUReclaimVirglCtx {
    VirtIOGPUReclaimCtxFunc func;
    void *opaque;
} VirtIOGPUReclaimVirglCtx;

static void
virtio_gpu_reclaim_virgl_ctx_call(const struct virgl_reclaim_ctx *ctx,
                                  void *opaque)
{
    VirtIOGPUReclaimVirglCtx *call = opaque;

    call->func(&(VirtIOGPUReclaimCtx) {
        .id = ctx->id,
        .name = ctx->name,
        .resources = ctx->resources,
        .host_bytes = ctx->bytes,
        .compressed_bytes = ctx->compressed_bytes,
        .deferred_bytes = ctx->deferred_bytes,
        .last_use = virtio_gpu_reclaim_virgl_ms(ctx->last_use),
    }, call->opaque);
}

static void virtio_gpu_reclaim_virgl_ctx_foreach(VirtIOGPU *g,
                                                 VirtIOGPUReclaimCtxFunc func,
                                                 void *opaque)
{
    VirtIOGPUReclaimVirglCtx call = { func, opaque };

    /* After a reset of the device there are none; the renderer's is due. */
    if (!compat_renderer_reset_is_due(VIRTIO_GPU_GL(g))) {
        virgl_reclaim_ctx_foreach(virtio_gpu_reclaim_virgl_vr(g),
                                  virtio_gpu_reclaim_virgl_ctx_call, &call);
        virtio_gpu_untracked_ctx_foreach(virtio_gpu_reclaim_virgl_untracked(g),
                                         func, opaque);
    }
}

/* Events of the library are passed on. */

static void virtio_gpu_reclaim_virgl_storage_deferred(uint32_t id,
                                                      uint64_t bytes,
                                                      uint64_t overhead,
                                                      void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->storage_deferred(g, bytes, overhead);
    virtio_gpu_reclaim_virgl_schedule_collect(g);
}

static void virtio_gpu_reclaim_virgl_storage_released(uint32_t id,
                                                      uint64_t bytes,
                                                      uint64_t overhead,
                                                      bool purged,
                                                      void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->storage_released(g, id, bytes, overhead,
                                          purged);
}

static void virtio_gpu_reclaim_virgl_compressed(uint32_t id, uint64_t bytes,
                                                void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->compressed(g, id, bytes);
    virtio_gpu_reclaim_virgl_schedule_collect(g);
}

static void virtio_gpu_reclaim_virgl_written(uint32_t id, void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->written(g, id);
}

static void virtio_gpu_reclaim_virgl_file_failed(uint32_t id, int error,
                                                 bool write, void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->file_failed(g, id, error, write);
}

static void virtio_gpu_reclaim_virgl_decompressed(uint32_t id, uint64_t us,
                                                  void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->decompressed(g, id, us);
}

static void virtio_gpu_reclaim_virgl_restored(uint32_t id, void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->restored(g, id);
}

static void virtio_gpu_reclaim_virgl_unreferenced(uint32_t id, void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->unreferenced(g, id);
}

/* In the library's thread. */
static void virtio_gpu_reclaim_virgl_wakeup(void *opaque)
{
    VirtIOGPU *g = opaque;

    g->reclaim->events->progress(g);
}

static const struct virgl_reclaim_events virtio_gpu_reclaim_virgl_events = {
    .storage_deferred = virtio_gpu_reclaim_virgl_storage_deferred,
    .storage_released = virtio_gpu_reclaim_virgl_storage_released,
    .compressed = virtio_gpu_reclaim_virgl_compressed,
    .decompressed = virtio_gpu_reclaim_virgl_decompressed,
    .restored = virtio_gpu_reclaim_virgl_restored,
    .unreferenced = virtio_gpu_reclaim_virgl_unreferenced,
    .written = virtio_gpu_reclaim_virgl_written,
    .file_failed = virtio_gpu_reclaim_virgl_file_failed,
};

/* Life cycle. */

static void virtio_gpu_reclaim_virgl_collect(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUReclaimVirgl *data = virtio_gpu_reclaim_virgl_data(g);

    if (virgl_reclaim_collect(data->vr)) {
        timer_mod(data->collect_timer,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + COLLECT_MS);
    }
}

/*
 * The renderer is reset in the main loop, where its GL contexts are, and by
 * the stock device not before the next driver sends a command. Until then it
 * would keep all that it has.
 */
static void virtio_gpu_reclaim_virgl_reset_bh(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUGL *gl = VIRTIO_GPU_GL(g);

    if (!compat_renderer_reset_is_due(gl)) {
        return;
    }
    if (g->parent_obj.renderer_blocked) {
        qemu_bh_schedule_idle(virtio_gpu_reclaim_virgl_data(g)->reset_bh);
        return;
    }
    compat_renderer_reset_done(gl);
    virtio_gpu_virgl_reset(g);
    /* For commands that have come meanwhile. */
    qemu_bh_schedule(g->ctrl_bh);
}

bool virtio_gpu_reclaim_virgl_is_blocked(VirtIOGPU *g)
{
    return g->reclaim && g->reclaim->backend &&
           compat_renderer_reset_is_due(VIRTIO_GPU_GL(g)) &&
           g->parent_obj.renderer_blocked;
}

static void virtio_gpu_reclaim_virgl_reset(VirtIOGPU *g)
{
    virtio_gpu_untracked_unmap_all(virtio_gpu_reclaim_virgl_untracked(g), g);
    qemu_bh_schedule(virtio_gpu_reclaim_virgl_data(g)->reset_bh);
}

static void virtio_gpu_reclaim_virgl_free(VirtIOGPU *g)
{
    VirtIOGPUReclaimVirgl *data = virtio_gpu_reclaim_virgl_data(g);

    virgl_reclaim_free(data->vr);
    virtio_gpu_untracked_free(data->untracked);
    qemu_bh_delete(data->reset_bh);
    timer_free(data->collect_timer);
    g_free(data);
}

static const VirtIOGPUReclaimBackend virtio_gpu_reclaim_virgl = {
    .iov_bytes = sizeof(struct iovec),
    .has_fences = true,
    .size_2d = virtio_gpu_reclaim_virgl_size_2d,
    .create_2d = virtio_gpu_reclaim_virgl_create_2d,
    .size_3d = virtio_gpu_reclaim_virgl_size_3d,
    .create_3d = virtio_gpu_reclaim_virgl_create_3d,
    .destroy = virtio_gpu_reclaim_virgl_destroy,
    .blob_overhead = BLOB_OVERHEAD,
    .blob_created = virtio_gpu_reclaim_virgl_blob_created,
    .is_blob = virtio_gpu_reclaim_virgl_is_blob,
    .blob_mapped = virtio_gpu_reclaim_virgl_blob_mapped,
    .blob_unmap = virtio_gpu_reclaim_virgl_blob_unmap,
    .blob_destroyed = virtio_gpu_reclaim_virgl_blob_destroyed,
    .attach = virtio_gpu_reclaim_virgl_attach,
    .detach = virtio_gpu_reclaim_virgl_detach,
    .can_purge = virtio_gpu_reclaim_virgl_can_purge,
    .purge = virtio_gpu_reclaim_virgl_purge,
    .restore = virtio_gpu_reclaim_virgl_restore,
    .set_time = virtio_gpu_reclaim_virgl_set_time,
    .lru_next = virtio_gpu_reclaim_virgl_lru_next,
    .compress = virtio_gpu_reclaim_virgl_compress,
    .compress_begin = virtio_gpu_reclaim_virgl_compress_begin,
    .compress_run = virtio_gpu_reclaim_virgl_compress_run,
    .file_stats = virtio_gpu_reclaim_virgl_file_stats,
    .compressing = virtio_gpu_reclaim_virgl_compressing,
    .try_submit = virtio_gpu_reclaim_virgl_try_submit,
    .restore_begin = virtio_gpu_reclaim_virgl_restore_begin,
    .restore_bytes = virtio_gpu_reclaim_virgl_restore_bytes,
    .restore_run = virtio_gpu_reclaim_virgl_restore_run,
    .restore_end = virtio_gpu_reclaim_virgl_restore_end,
    .can_scanout = virtio_gpu_reclaim_virgl_can_scanout,
    .can_scanout_blob = virtio_gpu_reclaim_virgl_can_scanout_blob,
    .can_cursor = virtio_gpu_reclaim_virgl_can_cursor,
    .disable_scanout = virtio_gpu_reclaim_virgl_disable_scanout,
    .transfer_2d = virtio_gpu_reclaim_virgl_transfer_2d,
    .transfer_3d = virtio_gpu_reclaim_virgl_transfer_3d,
    .get_capset = virtio_gpu_reclaim_virgl_get_capset,
    .ctx_create = virtio_gpu_reclaim_virgl_ctx_create,
    .ctx_destroy = virtio_gpu_reclaim_virgl_ctx_destroy,
    .ctx_attach = virtio_gpu_reclaim_virgl_ctx_attach,
    .ctx_detach = virtio_gpu_reclaim_virgl_ctx_detach,
    .submit = virtio_gpu_reclaim_virgl_submit,
    .set_object_room = virtio_gpu_reclaim_virgl_set_object_room,
    .object_bytes = virtio_gpu_reclaim_virgl_object_bytes,
    .ctx_foreach = virtio_gpu_reclaim_virgl_ctx_foreach,
    .trim = virgl_reclaim_trim,
    .reset = virtio_gpu_reclaim_virgl_reset,
    .free = virtio_gpu_reclaim_virgl_free,
};

/*
 * The stock GL device has max_hostmem, with a default, and ignores it. With
 * x-reclaim=on it is enforced, so the default must be no limit.
 */
void virtio_gpu_reclaim_virgl_instance_init(Object *obj)
{
    VIRTIO_GPU(obj)->conf_max_hostmem = 0;
}

void virtio_gpu_reclaim_virgl_init(VirtIOGPU *g)
{
    const VirtIOGPUReclaimConf *conf = &g->reclaim_conf;
    VirtIOGPUReclaimVirgl *data;

    /* Some versions initialize the renderer again after each reset. */
    if (!g->reclaim || g->reclaim->backend) {
        return;
    }
    data = g_new0(VirtIOGPUReclaimVirgl, 1);
    data->vr = virgl_reclaim_new();
    /* As without memory for the rest of a device. */
    g_assert(data->vr);
    virgl_reclaim_set_events(data->vr, &virtio_gpu_reclaim_virgl_events, g);
    virgl_reclaim_set_wakeup(data->vr, virtio_gpu_reclaim_virgl_wakeup, g);
    virgl_reclaim_set_max_contexts(data->vr, conf->max_contexts);
    virgl_reclaim_set_compress_max(data->vr,
                                   conf->compressed_max ?: UINT64_MAX);
    virgl_reclaim_set_compress_file(data->vr, virtio_gpu_reclaim_file_fd(conf));
    data->untracked = virtio_gpu_untracked_new();
    data->reset_bh = qemu_bh_new_guarded(virtio_gpu_reclaim_virgl_reset_bh, g,
                                         &DEVICE(g)->mem_reentrancy_guard);
    data->collect_timer = timer_new_ms(QEMU_CLOCK_REALTIME,
                                       virtio_gpu_reclaim_virgl_collect, g);
    g->reclaim->backend_data = data;
    g->reclaim->backend = &virtio_gpu_reclaim_virgl;
}

void virtio_gpu_reclaim_virgl_reset_begin(VirtIOGPU *g)
{
    if (g->reclaim && g->reclaim->backend) {
        virgl_reclaim_reset_begin(virtio_gpu_reclaim_virgl_vr(g));
    }
}

void virtio_gpu_reclaim_virgl_reset_done(VirtIOGPU *g)
{
    if (g->reclaim && g->reclaim->backend) {
        virgl_reclaim_reset(virtio_gpu_reclaim_virgl_vr(g));
        virtio_gpu_untracked_reset(virtio_gpu_reclaim_virgl_untracked(g));
        g->reclaim->events->renderer_reset(g);
    }
}
