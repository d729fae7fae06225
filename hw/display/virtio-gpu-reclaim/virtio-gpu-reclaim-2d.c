/*
 * Virtio GPU: storage of the 2D device's resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The storage of a resource is a pixman image, that of a guest blob is the
 * guest's own memory: there is nothing to release but the reference to it.
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/iov.h"
#include "qemu/units.h"
#include "hw/virtio/virtio-gpu-pixman.h"
#include "virtio-gpu-reclaim-2d.h"

#ifdef CONFIG_MALLOC_TRIM
#include <malloc.h>
#endif

/*
 * Images of this size, in bytes, and more may be scanned out, and are files
 * where a display can map those. Smaller ones would use up descriptors.
 */
#define SHAREABLE_BYTES (256 * KiB)

int virtio_gpu_reclaim_2d_image_bytes(uint32_t format, uint32_t width,
                                      uint32_t height, uint64_t *bytes)
{
    pixman_format_code_t pformat = virtio_gpu_get_pixman_format(format);
    uint64_t bits = (uint64_t)width * PIXMAN_FORMAT_BPP(pformat);

    if (!pformat) {
        return -EINVAL;
    }
    /* Rows of whole 32-bit words, as pixman allocates them. */
    return umul64_overflow(DIV_ROUND_UP(bits, 32) * sizeof(uint32_t), height,
                           bytes) ? -ENOMEM : 0;
}

struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_2d_new(VirtIOGPU *g, uint32_t id, uint32_t width,
                          uint32_t height, uint32_t format)
{
    struct virtio_gpu_simple_resource *res =
        g_new0(struct virtio_gpu_simple_resource, 1);

    res->resource_id = id;
    res->width = width;
    res->height = height;
    res->format = format;
    QTAILQ_INSERT_HEAD(&g->reslist, res, next);
    return res;
}

static int
virtio_gpu_reclaim_2d_size(const struct virtio_gpu_resource_create_2d *c2d,
                           uint64_t *bytes, uint64_t *overhead)
{
    *overhead = VIRTIO_GPU_RECLAIM_2D_OVERHEAD;
    return virtio_gpu_reclaim_2d_image_bytes(c2d->format, c2d->width,
                                             c2d->height, bytes);
}

/* An image of @bytes, all zero; false if there is no memory. */
static bool
virtio_gpu_reclaim_2d_new_image(struct virtio_gpu_simple_resource *res,
                                uint64_t bytes)
{
    pixman_format_code_t format = virtio_gpu_get_pixman_format(res->format);

    if (COMPAT_SHAREABLE_IMAGES && bytes >= SHAREABLE_BYTES &&
        bytes / res->height <= INT_MAX &&
        compat_shareable_image(res, format, bytes / res->height)) {
        return true;
    }
    /* pixman clears what it allocates. */
    res->image = pixman_image_create_bits(format, res->width, res->height,
                                          NULL, 0);
    compat_forget_image(res);
    return res->image;
}

static int virtio_gpu_reclaim_2d_restore(VirtIOGPU *g, void *opaque)
{
    struct virtio_gpu_simple_resource *res = opaque;
    uint64_t bytes;
    int ret;

    ret = virtio_gpu_reclaim_2d_image_bytes(res->format, res->width,
                                            res->height, &bytes);
    if (ret < 0) {
        return ret;
    }
    if (!virtio_gpu_reclaim_2d_new_image(res, bytes)) {
        return -ENOMEM;
    }
    res->hostmem = bytes;
    g->hostmem += bytes;
    return 0;
}

static void virtio_gpu_reclaim_2d_destroy(VirtIOGPU *g, void *res)
{
    compat_resource_destroy(g, res);
}

static int
virtio_gpu_reclaim_2d_create(VirtIOGPU *g,
                             const struct virtio_gpu_resource_create_2d *c2d,
                             void **res)
{
    int ret;

    *res = virtio_gpu_reclaim_2d_new(g, c2d->resource_id, c2d->width,
                                     c2d->height, c2d->format);
    ret = virtio_gpu_reclaim_2d_restore(g, *res);
    if (ret < 0) {
        virtio_gpu_reclaim_2d_destroy(g, *res);
    }
    return ret;
}

static int virtio_gpu_reclaim_2d_create_blob(
    VirtIOGPU *g, const struct virtio_gpu_resource_create_blob *cblob,
    void **opaque)
{
    struct virtio_gpu_simple_resource *res;

    if (cblob->size == 0 ||
        (cblob->blob_mem != VIRTIO_GPU_BLOB_MEM_GUEST &&
         cblob->blob_flags != VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE)) {
        return -EINVAL;
    }
    res = virtio_gpu_reclaim_2d_new(g, cblob->resource_id, 0, 0, 0);
    res->blob_size = cblob->size;
    *opaque = res;
    return 0;
}

static int virtio_gpu_reclaim_2d_attach(VirtIOGPU *g, void *opaque,
                                        VirtIOGPUReclaimMapping *map)
{
    struct virtio_gpu_simple_resource *res = opaque;

    if (map->bytes < res->blob_size) {
        return -EINVAL;
    }
    res->iov = map->iov;
    res->iov_cnt = map->iov_cnt;
    res->addrs = map->addrs;
    if (res->blob_size) {
        virtio_gpu_init_udmabuf(res);
    }
    return 0;
}

static void virtio_gpu_reclaim_2d_detach(VirtIOGPU *g, void *opaque)
{
    struct virtio_gpu_simple_resource *res = opaque;
    int i;

    if (res->blob_size) {
        /* What a blob shows is the memory that is unmapped here. */
        for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
            if (g->parent_obj.scanout[i].resource_id == res->resource_id) {
                virtio_gpu_disable_scanout(g, i);
            }
        }
        virtio_gpu_fini_udmabuf(res);
        res->blob = NULL;
    }
    virtio_gpu_cleanup_mapping_iov(g, res->iov, res->iov_cnt);
    g_free(res->addrs);
    res->iov = NULL;
    res->iov_cnt = 0;
    res->addrs = NULL;
}

/*
 * The contents of a blob are the guest's own memory: RESOURCE_DETACH_BACKING
 * returns all of it already.
 */
static int virtio_gpu_reclaim_2d_can_purge(VirtIOGPU *g, void *opaque)
{
    struct virtio_gpu_simple_resource *res = opaque;

    return res->blob_size ? -ENOTSUP : 0;
}

static uint64_t virtio_gpu_reclaim_2d_purge(VirtIOGPU *g, void *opaque)
{
    struct virtio_gpu_simple_resource *res = opaque;
    uint64_t released = res->hostmem;

    qemu_pixman_image_unref(res->image);
    res->image = NULL;
    compat_forget_image(res);
    g->hostmem -= res->hostmem;
    res->hostmem = 0;
    return released;
}

/* The stock handler checks the rectangle. Without backing it shows nothing. */
static bool virtio_gpu_reclaim_2d_can_scanout(VirtIOGPU *g, void *opaque,
                                              const struct virtio_gpu_rect *r)
{
    struct virtio_gpu_simple_resource *res = opaque;

    return res->image;
}

/*
 * As pixman reads it: rows are whole 32-bit words, and a stride is an int. The
 * stock handler adds and multiplies in 32 bits.
 */
bool virtio_gpu_reclaim_2d_image_fits(
    const struct virtio_gpu_set_scanout_blob *ss, uint64_t size)
{
    /* An unknown format, with 0 bytes per pixel, is left to the handler. */
    uint32_t bpp = PIXMAN_FORMAT_BPP(virtio_gpu_get_pixman_format(ss->format)) /
                   8;
    uint64_t right = (uint64_t)ss->r.x + ss->r.width;
    uint64_t bottom = (uint64_t)ss->r.y + ss->r.height;
    uint32_t stride = ss->strides[0];
    uint64_t end;

    if (!bottom || right > ss->width || bottom > ss->height ||
        stride > INT_MAX || stride % sizeof(uint32_t) ||
        ss->width > stride / MAX(bpp, 1)) {
        return false;
    }
    /* Less than 2^63 + 2^31: @bottom has 32 bits, stride and row have 31. */
    end = (bottom - 1) * stride + right * bpp;
    return ss->offsets[0] <= size && end <= size - ss->offsets[0];
}

static bool virtio_gpu_reclaim_2d_can_scanout_blob(
    VirtIOGPU *g, void *opaque, const struct virtio_gpu_set_scanout_blob *ss)
{
    struct virtio_gpu_simple_resource *res = opaque;

    return res->blob && virtio_gpu_reclaim_2d_image_fits(ss, res->blob_size);
}

/* A blob is read where it is mapped: in one piece, or by udmabuf. */
static bool virtio_gpu_reclaim_2d_can_cursor(VirtIOGPU *g, void *opaque)
{
    struct virtio_gpu_simple_resource *res = opaque;

    return !res->blob_size || res->blob;
}

/*
 * The stock handler reads each row at its offset in the backing, without
 * asking whether the backing is that long.
 */
static bool virtio_gpu_reclaim_2d_can_transfer(
    VirtIOGPU *g, void *opaque,
    const struct virtio_gpu_transfer_to_host_2d *t2d)
{
    struct virtio_gpu_simple_resource *res = opaque;
    uint64_t backing = iov_size(res->iov, res->iov_cnt), last_row;

    if (!res->iov) {
        return false;
    }
    if (!res->image || !t2d->r.height || t2d->r.height > res->height) {
        return true;
    }
    last_row = (uint64_t)pixman_image_get_stride(res->image) *
               (t2d->r.height - 1);
    return last_row <= backing && t2d->offset <= backing - last_row;
}

static void virtio_gpu_reclaim_2d_trim(void)
{
#ifdef CONFIG_MALLOC_TRIM
    malloc_trim(0);
#endif
}

const VirtIOGPUReclaimBackend virtio_gpu_reclaim_2d = {
    .iov_bytes = sizeof(struct iovec) + sizeof(uint64_t),
    .size_2d = virtio_gpu_reclaim_2d_size,
    .create_2d = virtio_gpu_reclaim_2d_create,
    .blob_overhead = VIRTIO_GPU_RECLAIM_2D_OVERHEAD,
    .create_blob = virtio_gpu_reclaim_2d_create_blob,
    .destroy = virtio_gpu_reclaim_2d_destroy,
    .attach = virtio_gpu_reclaim_2d_attach,
    .detach = virtio_gpu_reclaim_2d_detach,
    .can_purge = virtio_gpu_reclaim_2d_can_purge,
    .purge = virtio_gpu_reclaim_2d_purge,
    .restore = virtio_gpu_reclaim_2d_restore,
    .can_scanout = virtio_gpu_reclaim_2d_can_scanout,
    .can_scanout_blob = virtio_gpu_reclaim_2d_can_scanout_blob,
    .can_cursor = virtio_gpu_reclaim_2d_can_cursor,
    .can_transfer_2d = virtio_gpu_reclaim_2d_can_transfer,
    .disable_scanout = virtio_gpu_disable_scanout,
    .trim = virtio_gpu_reclaim_2d_trim,
};
