/*
 * Virtio GPU: reclaim of the 2D device's resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The storage of a resource is a pixman image, that of a guest blob is the
 * guest's own memory: there is nothing to release but the reference to it.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/iov.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "hw/virtio/virtio-gpu-pixman.h"
#include "virtio-gpu-reclaim-backend.h"

/*
 * Bytes of a pixman image: rows of whole 32-bit words. UINT64_MAX if there can
 * be no such image.
 */
static uint64_t image_bytes(pixman_format_code_t format, uint32_t width,
                            uint32_t height)
{
    uint64_t bits = (uint64_t)width * PIXMAN_FORMAT_BPP(format);
    uint64_t bytes;

    return umul64_overflow(DIV_ROUND_UP(bits, 32) * sizeof(uint32_t), height,
                           &bytes) ? UINT64_MAX : bytes;
}

static uint64_t backing_bytes(const struct virtio_gpu_simple_resource *res)
{
    return iov_size(res->iov, res->iov_cnt);
}

/* Enter a resource that the stock code has made. */
static void adopt(VirtIOGPU *g, struct virtio_gpu_simple_resource *res)
{
    VirtIOGPULedger *ledger = g->reclaim->ledger;
    VirtIOGPULedgerEntry *entry;
    uint64_t bytes = 0;

    if (res->image) {
        bytes = image_bytes(pixman_image_get_format(res->image),
                            res->width, res->height);
    }
    entry = virtio_gpu_ledger_add(ledger, res->resource_id, bytes, res);
    if (entry && res->iov) {
        virtio_gpu_ledger_attach(ledger, entry, backing_bytes(res),
                                 res->iov_cnt *
                                 virtio_gpu_reclaim_2d.array_bytes);
    }
}

bool
virtio_gpu_reclaim_2d_may_load(VirtIOGPU *g,
                               const struct virtio_gpu_simple_resource *res)
{
    uint64_t bytes, arrays, max;

    if (!g->reclaim) {
        return true;
    }
    bytes = image_bytes(virtio_gpu_get_pixman_format(res->format), res->width,
                        res->height);
    max = virtio_gpu_reclaim_max_entries(bytes);
    if (res->iov_cnt > max) {
        error_report("virtio-gpu: resource %u of the stream has %u pieces of "
                     "backing, and can have %" PRIu64, res->resource_id,
                     res->iov_cnt, max);
        return false;
    }
    arrays = res->iov_cnt * virtio_gpu_reclaim_2d.array_bytes;
    if (bytes > UINT64_MAX - arrays ||
        !virtio_gpu_reclaim_within_limit(g, bytes + arrays)) {
        error_report("virtio-gpu: resource %u of the stream, of %" PRIu64
                     " bytes, goes over max_hostmem, which is %" PRIu64 " here",
                     res->resource_id, bytes + arrays, g->conf_max_hostmem);
        return false;
    }
    return true;
}

void virtio_gpu_reclaim_2d_loaded(VirtIOGPU *g,
                                  struct virtio_gpu_simple_resource *res)
{
    if (g->reclaim) {
        adopt(g, res);
    }
}

VirtIOGPULedgerEntry *
virtio_gpu_reclaim_2d_load_purged(VirtIOGPU *g, uint32_t id, uint32_t width,
                                  uint32_t height, uint32_t format)
{
    pixman_format_code_t pformat = virtio_gpu_get_pixman_format(format);
    struct virtio_gpu_simple_resource *res;
    VirtIOGPULedgerEntry *entry;
    uint64_t bytes;

    if (!pformat) {
        return NULL;
    }
    bytes = image_bytes(pformat, width, height);
    if (bytes == UINT64_MAX) {
        return NULL;
    }
    res = g_new0(struct virtio_gpu_simple_resource, 1);
    res->resource_id = id;
    res->width = width;
    res->height = height;
    res->format = format;
    entry = virtio_gpu_ledger_add(g->reclaim->ledger, id, bytes, res);
    if (entry) {
        QTAILQ_INSERT_HEAD(&g->reslist, res, next);
    } else {
        g_free(res);
    }
    return entry;
}

bool virtio_gpu_reclaim_2d_is_purged(VirtIOGPU *g,
                                     struct virtio_gpu_simple_resource *res)
{
    return g->reclaim && !res->image;
}

struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_2d_find(VirtIOGPU *g, uint32_t resource_id)
{
    VirtIOGPULedgerEntry *entry =
        virtio_gpu_ledger_find(g->reclaim->ledger, resource_id);

    return entry ? entry->opaque : NULL;
}

static void create_2d(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_create_2d c2d;
    pixman_format_code_t format;

    if (!virtio_gpu_reclaim_read(g, cmd, &c2d, sizeof(c2d))) {
        return;
    }
    virtio_gpu_bswap_32(&c2d, sizeof(c2d));
    format = virtio_gpu_get_pixman_format(c2d.format);
    if (!format) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has unknown format %u",
                                  c2d.resource_id, c2d.format);
        return;
    }
    if (!virtio_gpu_reclaim_may_create(
            g, cmd, c2d.resource_id,
            image_bytes(format, c2d.width, c2d.height))) {
        return;
    }
    virtio_gpu_resource_create_2d(g, cmd);
    if (cmd->error) {
        return;
    }
    adopt(g, QTAILQ_FIRST(&g->reslist));
}

static void create_blob(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_create_blob cblob;
    struct virtio_gpu_simple_resource *res;

    if (!virtio_gpu_reclaim_read(g, cmd, &cblob, sizeof(cblob))) {
        return;
    }
    virtio_gpu_create_blob_bswap(&cblob);
    if (!virtio_gpu_reclaim_may_create(g, cmd, cblob.resource_id, 0)) {
        return;
    }
    virtio_gpu_resource_create_blob(g, cmd);
    if (cmd->error) {
        return;
    }
    res = QTAILQ_FIRST(&g->reslist);
    if (backing_bytes(res) < cblob.size) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "blob %u of %" PRIu64 " bytes has %" PRIu64
                                  " bytes of memory", cblob.resource_id,
                                  (uint64_t)cblob.size, backing_bytes(res));
        virtio_gpu_resource_destroy(g, res);
        return;
    }
    adopt(g, res);
}

/* The stock handler reads each row at its offset, which must exist. */
static bool check_transfer(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_simple_resource *res;
    struct virtio_gpu_transfer_to_host_2d t2d;
    VirtIOGPULedgerEntry *entry;
    uint64_t last_row;

    if (!virtio_gpu_reclaim_read(g, cmd, &t2d, sizeof(t2d))) {
        return false;
    }
    virtio_gpu_t2d_bswap(&t2d);
    entry = virtio_gpu_reclaim_find(g, cmd, t2d.resource_id);
    if (!entry) {
        return false;
    }
    if (!entry->backing_bytes) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no backing", entry->id);
        return false;
    }
    res = entry->opaque;
    if (!res->image || !t2d.r.height || t2d.r.height > res->height) {
        return true;
    }
    last_row = (uint64_t)pixman_image_get_stride(res->image) *
               (t2d.r.height - 1);
    if (last_row > entry->backing_bytes ||
        t2d.offset > entry->backing_bytes - last_row) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "%u rows at %" PRIu64
                                  " end behind the %" PRIu64
                                  " bytes of resource %u", t2d.r.height,
                                  (uint64_t)t2d.offset, entry->backing_bytes,
                                  entry->id);
        return false;
    }
    return true;
}

/*
 * The stock handler adds up the end of the image in 32 bits, and has pixman
 * make an image of any stride.
 */
static bool check_scanout_blob(VirtIOGPU *g,
                               struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_set_scanout_blob ss;
    struct virtio_gpu_simple_resource *res;
    VirtIOGPULedgerEntry *entry;
    uint64_t end, row;
    int bpp;

    if (!virtio_gpu_reclaim_read(g, cmd, &ss, sizeof(ss))) {
        return false;
    }
    virtio_gpu_scanout_blob_bswap(&ss);
    if (ss.resource_id == 0 ||
        ss.scanout_id >= g->parent_obj.conf.max_outputs) {
        return true;
    }
    entry = virtio_gpu_reclaim_find(g, cmd, ss.resource_id);
    if (!entry) {
        return false;
    }
    res = entry->opaque;
    /* An unknown format is the stock handler's to refuse. */
    bpp = PIXMAN_FORMAT_BPP(virtio_gpu_get_pixman_format(ss.format)) / 8;
    row = (uint64_t)ss.width * bpp;
    /* Factors of 32 bits: this fits in 64, the offset included. */
    end = (uint64_t)ss.r.y + ss.r.height;
    end = end ? (end - 1) * ss.strides[0] : 0;
    if (!res->blob || ss.strides[0] % sizeof(uint32_t) ||
        ss.strides[0] < row || end > res->blob_size ||
        ((uint64_t)ss.r.x + ss.r.width) * bpp + ss.offsets[0] >
        res->blob_size - end) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u of %" PRIu64 " bytes has no "
                                  "image of %ux%u at %u, %u with stride %u",
                                  entry->id, res->blob_size, ss.r.width,
                                  ss.r.height, ss.r.x, ss.r.y, ss.strides[0]);
        return false;
    }
    return true;
}

static bool command(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        create_2d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        if (!virtio_gpu_blob_enabled(g->parent_obj.conf)) {
            return false;
        }
        create_blob(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        return !check_transfer(g, cmd);
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return virtio_gpu_blob_enabled(g->parent_obj.conf) &&
               !check_scanout_blob(g, cmd);
    default:
        return false;
    }
}

/* The stock handlers look at the rectangle themselves. */
static bool check_show(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                       const struct virtio_gpu_rect *r)
{
    struct virtio_gpu_simple_resource *res = entry->opaque;

    return res->image;
}

static int attach(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                  VirtIOGPUReclaimMapping *map)
{
    struct virtio_gpu_simple_resource *res = entry->opaque;

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

static void detach(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    struct virtio_gpu_simple_resource *res = entry->opaque;
    int i;

    if (res->blob_size) {
        /* What a blob shows is the memory that goes away here. */
        for (i = 0; i < g->parent_obj.conf.max_outputs; i++) {
            if (g->parent_obj.scanout[i].resource_id == entry->id) {
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

static void destroy(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    virtio_gpu_resource_destroy(g, entry->opaque);
}

static int purge(VirtIOGPU *g, VirtIOGPULedgerEntry *entry, uint64_t *released)
{
    struct virtio_gpu_simple_resource *res = entry->opaque;

    if (res->image) {
        qemu_pixman_image_unref(res->image);
        res->image = NULL;
        g->hostmem -= res->hostmem;
        res->hostmem = 0;
    }
    *released = entry->size;
    return 0;
}

static int restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    struct virtio_gpu_simple_resource *res = entry->opaque;

    if (res->blob_size) {
        return 0;
    }
    /* pixman clears what it allocates. */
    res->image = pixman_image_create_bits(
        virtio_gpu_get_pixman_format(res->format), res->width, res->height,
        NULL, 0);
    if (!res->image) {
        return -ENOMEM;
    }
    res->hostmem = entry->size;
    g->hostmem += res->hostmem;
    return 0;
}

const VirtIOGPUReclaimBackend virtio_gpu_reclaim_2d = {
    .array_bytes = sizeof(struct iovec) + sizeof(uint64_t),
    .command = command,
    .check_show = check_show,
    .attach = attach,
    .detach = detach,
    .destroy = destroy,
    .purge = purge,
    .restore = restore,
    .disable_scanout = virtio_gpu_disable_scanout,
};
