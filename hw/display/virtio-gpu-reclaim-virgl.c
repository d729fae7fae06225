/*
 * Virtio GPU: reclaim of virglrenderer's resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The storage of a resource is the renderer's. How to drop it and make it
 * again is subprojects/virglreclaim's part; this translates commands.
 * GL hosts are little-endian, as the wire is: nothing is swapped here.
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "trace.h"
#include "virtio-gpu-reclaim-backend.h"

#include <virglreclaim.h>

#define GALLIUM_BUFFER 0
#define GALLIUM_TEXTURE_2D 2
#define VIRGL_BIND_RENDER_TARGET (1 << 1)

/* The only size of cursors that the device model shows. */
#define CURSOR_SIDE 64

typedef struct Renderer {
    struct virgl_reclaim *books;
    QEMUBH *reset_bh;
} Renderer;

static Renderer *renderer(VirtIOGPU *g)
{
    return g->reclaim->backend_data;
}

static struct virgl_reclaim *books(VirtIOGPU *g)
{
    return renderer(g)->books;
}

static void create(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                   const struct virgl_renderer_resource_create_args *args)
{
    uint64_t bytes = virgl_reclaim_args_bytes(args);
    int ret;

    if (bytes == UINT64_MAX) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u is larger than any can be",
                                  args->handle);
        return;
    }
    if (!virtio_gpu_reclaim_may_create(g, cmd, args->handle, bytes)) {
        return;
    }
    ret = virgl_reclaim_resource_create(books(g), args);
    if (ret < 0) {
        virtio_gpu_reclaim_refuse_errno(g, cmd, args->handle, ret);
        return;
    }
    virtio_gpu_ledger_add(g->reclaim->ledger, args->handle, bytes, NULL);
}

static void create_2d(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_create_2d c2d;

    if (virtio_gpu_reclaim_read(g, cmd, &c2d, sizeof(c2d))) {
        trace_virtio_gpu_cmd_res_create_2d(c2d.resource_id, c2d.format,
                                           c2d.width, c2d.height);
        create(g, cmd, &(struct virgl_renderer_resource_create_args) {
            .handle = c2d.resource_id,
            .target = GALLIUM_TEXTURE_2D,
            .format = c2d.format,
            .bind = VIRGL_BIND_RENDER_TARGET,
            .width = c2d.width,
            .height = c2d.height,
            .depth = 1,
            .array_size = 1,
            .flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
        });
    }
}

static void create_3d(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_create_3d c3d;

    if (virtio_gpu_reclaim_read(g, cmd, &c3d, sizeof(c3d))) {
        trace_virtio_gpu_cmd_res_create_3d(c3d.resource_id, c3d.format,
                                           c3d.width, c3d.height, c3d.depth);
        create(g, cmd, &(struct virgl_renderer_resource_create_args) {
            .handle = c3d.resource_id,
            .target = c3d.target,
            .format = c3d.format,
            .bind = c3d.bind,
            .width = c3d.width,
            .height = c3d.height,
            .depth = c3d.depth,
            .array_size = c3d.array_size,
            .last_level = c3d.last_level,
            .nr_samples = c3d.nr_samples,
            .flags = c3d.flags,
        });
    }
}

/* Refuse @cmd if it failed because of its context. */
static void check_ctx(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                      int ret)
{
    switch (ret) {
    case 0:
        break;
    case -ENOENT:
    case -EEXIST:
    case -EINVAL:
        virtio_gpu_reclaim_refuse(g, cmd,
                                  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
                                  "context %u: %s", cmd->cmd_hdr.ctx_id,
                                  strerror(-ret));
        break;
    default:
        virtio_gpu_reclaim_refuse(g, cmd, ret == -ENOMEM ?
                                  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY :
                                  VIRTIO_GPU_RESP_ERR_UNSPEC,
                                  "context %u: %s", cmd->cmd_hdr.ctx_id,
                                  strerror(-ret));
        break;
    }
}

/* The name has an end only if the driver has given it one. */
static void trace_ctx_create(const struct virtio_gpu_ctx_create *cc)
{
    if (trace_event_get_state_backends(TRACE_VIRTIO_GPU_CMD_CTX_CREATE)) {
        g_autofree char *name = g_strndup(cc->debug_name,
                                          sizeof(cc->debug_name));

        trace_virtio_gpu_cmd_ctx_create(cc->hdr.ctx_id, name);
    }
}

static void ctx_create(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_ctx_create cc;

    if (virtio_gpu_reclaim_read(g, cmd, &cc, sizeof(cc))) {
        trace_ctx_create(&cc);
        /* The renderer copies nlen bytes. */
        check_ctx(g, cmd, virgl_reclaim_ctx_create(
            books(g), cc.hdr.ctx_id, MIN(cc.nlen, sizeof(cc.debug_name)),
            cc.debug_name));
    }
}

static void ctx_destroy(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    trace_virtio_gpu_cmd_ctx_destroy(cmd->cmd_hdr.ctx_id);
    check_ctx(g, cmd, virgl_reclaim_ctx_destroy(books(g),
                                                cmd->cmd_hdr.ctx_id));
}

static void ctx_resource(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                         int (*func)(struct virgl_reclaim *, uint32_t ctx,
                                     uint32_t id))
{
    struct virtio_gpu_ctx_resource cr;

    if (!virtio_gpu_reclaim_read(g, cmd, &cr, sizeof(cr))) {
        return;
    }
    if (cmd->cmd_hdr.type == VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE) {
        trace_virtio_gpu_cmd_ctx_res_attach(cr.hdr.ctx_id, cr.resource_id);
    } else {
        trace_virtio_gpu_cmd_ctx_res_detach(cr.hdr.ctx_id, cr.resource_id);
    }
    if (!virtio_gpu_ledger_find(g->reclaim->ledger, cr.resource_id)) {
        virtio_gpu_reclaim_refuse_errno(g, cmd, cr.resource_id, -ENOENT);
        return;
    }
    check_ctx(g, cmd, func(books(g), cr.hdr.ctx_id, cr.resource_id));
}

/*
 * Transfers pass by the stock handlers, which do not look at what the
 * renderer says of them.
 */
static void transfer(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                     uint32_t id, const struct virgl_reclaim_transfer *t)
{
    int ret = virgl_reclaim_resource_transfer(books(g), id, t);

    switch (ret) {
    case 0:
        break;
    case -ESRCH:
        check_ctx(g, cmd, -ENOENT);
        break;
    case -ENODATA:
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u has no backing", id);
        break;
    case -EINVAL:
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "resource %u: level %u, box %u,%u,%u+%u,%u,%u"
                                  ", offset %" PRIu64 ", strides %u and %u "
                                  "do not fit", id, t->level, t->x, t->y, t->z,
                                  t->w, t->h, t->d, t->offset, t->stride,
                                  t->layer_stride);
        break;
    default:
        virtio_gpu_reclaim_refuse_errno(g, cmd, id, ret);
        break;
    }
}

static void transfer_2d(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_transfer_to_host_2d t2d;

    if (virtio_gpu_reclaim_read(g, cmd, &t2d, sizeof(t2d))) {
        trace_virtio_gpu_cmd_res_xfer_toh_2d(t2d.resource_id);
        transfer(g, cmd, t2d.resource_id, &(struct virgl_reclaim_transfer) {
            .to_host = true,
            .x = t2d.r.x,
            .y = t2d.r.y,
            .w = t2d.r.width,
            .h = t2d.r.height,
            .d = 1,
            .offset = t2d.offset,
        });
    }
}

static void transfer_3d(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                        bool to_host)
{
    struct virtio_gpu_transfer_host_3d t3d;

    if (virtio_gpu_reclaim_read(g, cmd, &t3d, sizeof(t3d))) {
        if (to_host) {
            trace_virtio_gpu_cmd_res_xfer_toh_3d(t3d.resource_id);
        } else {
            trace_virtio_gpu_cmd_res_xfer_fromh_3d(t3d.resource_id);
        }
        transfer(g, cmd, t3d.resource_id, &(struct virgl_reclaim_transfer) {
            .to_host = to_host,
            .ctx = t3d.hdr.ctx_id,
            .level = t3d.level,
            .x = t3d.box.x,
            .y = t3d.box.y,
            .z = t3d.box.z,
            .w = t3d.box.w,
            .h = t3d.box.h,
            .d = t3d.box.d,
            .offset = t3d.offset,
            .stride = t3d.stride,
            .layer_stride = t3d.layer_stride,
        });
    }
}

/* The stock handler allocates what the command claims to carry. */
static bool check_submit(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_cmd_submit cs;
    size_t size = iov_size(cmd->elem.out_sg, cmd->elem.out_num);

    if (!virtio_gpu_reclaim_read(g, cmd, &cs, sizeof(cs))) {
        return false;
    }
    if (cs.size > size - sizeof(cs)) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "%u bytes do not fit in %zu", cs.size, size);
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
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
        create_3d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_CREATE:
        ctx_create(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_DESTROY:
        ctx_destroy(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE:
        ctx_resource(g, cmd, virgl_reclaim_ctx_attach_resource);
        return true;
    case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
        ctx_resource(g, cmd, virgl_reclaim_ctx_detach_resource);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        transfer_2d(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
        transfer_3d(g, cmd, true);
        return true;
    case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
        transfer_3d(g, cmd, false);
        return true;
    case VIRTIO_GPU_CMD_SUBMIT_3D:
        return !check_submit(g, cmd);
    default:
        return false;
    }
}

/*
 * The stock handler asks the console for a surface of any size it is told,
 * and QEMU ends when there is no memory for that.
 */
static bool check_show(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                       const struct virtio_gpu_rect *r)
{
    const struct virgl_renderer_resource_create_args *args =
        virgl_reclaim_resource_args(books(g), entry->id);

    return args->target != GALLIUM_BUFFER &&
           r->x <= args->width && r->width <= args->width - r->x &&
           r->y <= args->height && r->height <= args->height - r->y;
}

/*
 * The renderer turns the image of a cursor over row by row, as if all formats
 * had blocks of one pixel, and so writes past the end of compressed ones. And
 * the device model copies 4 bytes for each pixel, however many there are.
 */
static bool check_cursor(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    const struct virgl_renderer_resource_create_args *args =
        virgl_reclaim_resource_args(books(g), entry->id);

    return args->target == GALLIUM_TEXTURE_2D &&
           args->width == CURSOR_SIDE && args->height == CURSOR_SIDE &&
           entry->size == CURSOR_SIDE * CURSOR_SIDE * sizeof(uint32_t);
}

static int attach(VirtIOGPU *g, VirtIOGPULedgerEntry *entry,
                  VirtIOGPUReclaimMapping *map)
{
    int ret = virgl_reclaim_resource_attach_iov(books(g), entry->id, map->iov,
                                                map->iov_cnt);

    if (ret == 0) {
        /* Only the 2D device is saved, and needs the addresses for that. */
        g_free(map->addrs);
    }
    return ret;
}

static void detach(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    VirtIOGPUReclaimMapping map = { };
    int n;

    if (virgl_reclaim_resource_detach_iov(books(g), entry->id, &map.iov,
                                          &n) == 0) {
        map.iov_cnt = n;
        virtio_gpu_reclaim_unmap(g, &map);
    }
}

static void destroy(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    virgl_reclaim_resource_unref(books(g), entry->id);
}

static int purge(VirtIOGPU *g, VirtIOGPULedgerEntry *entry, uint64_t *released)
{
    return virgl_reclaim_resource_purge(books(g), entry->id, released);
}

static int restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    return virgl_reclaim_resource_restore(books(g), entry->id);
}

static int store(VirtIOGPU *g, VirtIOGPULedgerEntry *entry)
{
    return virgl_reclaim_resource_compress(books(g), entry->id);
}

/* It was evicted and referred to. What became of it is looked at then. */
static void unreferenced(uint32_t id, void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPULedgerEntry *entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                                         id);

    if (entry) {
        virtio_gpu_reclaim_store_evicted(g, entry);
    }
}

static void disable_scanout(VirtIOGPU *g, int scanout_id)
{
    struct virtio_gpu_scanout *scanout = &g->parent_obj.scanout[scanout_id];

    dpy_gfx_replace_surface(scanout->con, NULL);
    dpy_gl_scanout_disable(scanout->con);
    scanout->resource_id = 0;
}

static void audit_stored(VirtIOGPUReclaimStored *stored,
                         const struct virgl_reclaim_stats *stats)
{
    stored->resources = stats->compressed;
    stored->bytes = stats->compressed_bytes;
    stored->of_bytes = stats->uncompressed_bytes;
    stored->stores = stats->compressions;
    stored->restores = stats->decompressions;
    QEMU_BUILD_BUG_ON(sizeof(stored->kept) != sizeof(stats->skipped));
    memcpy(stored->kept, stats->skipped, sizeof(stored->kept));
    QEMU_BUILD_BUG_ON(sizeof(stored->restore_us) !=
                      sizeof(stats->decompress_us));
    memcpy(stored->restore_us, stats->decompress_us,
           sizeof(stored->restore_us));
}

static void audit(VirtIOGPU *g, VirtIOGPUReclaimAudit *audit)
{
    struct virgl_reclaim_stats stats;

    virgl_reclaim_get_stats(books(g), &stats);
    audit->deferred = stats.deferred;
    audit->deferred_bytes = stats.deferred_bytes;
    audit_stored(&audit->stored, &stats);
    if (VIRTIO_GPU_GL(g)->renderer_reset) {
        /* The device has been reset, and the renderer not yet. */
        audit->deferred += stats.resources - stats.purged;
        audit->deferred_bytes += stats.resident_bytes + stats.compressed_bytes;
        audit->stored.resources = 0;
        audit->stored.bytes = 0;
        audit->stored.of_bytes = 0;
    }
    audit->purged_released_bytes = stats.released_bytes;
    audit->released_bytes_total = stats.released_total;
}

typedef struct CtxCall {
    VirtIOGPUReclaimCtxFunc func;
    void *opaque;
} CtxCall;

static void call_ctx(const struct virgl_reclaim_ctx *ctx, void *opaque)
{
    CtxCall *call = opaque;

    call->func(ctx->id, ctx->name, ctx->resources, ctx->bytes, call->opaque);
}

static void contexts(VirtIOGPU *g, VirtIOGPUReclaimCtxFunc func, void *opaque)
{
    CtxCall call = { func, opaque };

    /* None is left when the device has been reset, and the renderer not yet. */
    if (!VIRTIO_GPU_GL(g)->renderer_reset) {
        virgl_reclaim_ctx_foreach(books(g), call_ctx, &call);
    }
}

/*
 * The renderer is reset in the main loop, where its GL contexts are, and by
 * the stock device not before the next driver sends a command. Until then it
 * would keep all that it has.
 */
static void reset_bh(void *opaque)
{
    VirtIOGPU *g = opaque;
    VirtIOGPUGL *gl = VIRTIO_GPU_GL(g);

    if (gl->renderer_reset) {
        gl->renderer_reset = false;
        virtio_gpu_virgl_reset(g);
    }
}

static void reset(VirtIOGPU *g)
{
    qemu_bh_schedule(renderer(g)->reset_bh);
}

static void free_renderer(VirtIOGPU *g)
{
    virgl_reclaim_free(books(g));
    qemu_bh_delete(renderer(g)->reset_bh);
    g_free(renderer(g));
}

static const VirtIOGPUReclaimBackend virtio_gpu_reclaim_virgl = {
    .array_bytes = sizeof(struct iovec),
    .command = command,
    .check_show = check_show,
    .check_cursor = check_cursor,
    .attach = attach,
    .detach = detach,
    .destroy = destroy,
    .purge = purge,
    .restore = restore,
    .store = store,
    .disable_scanout = disable_scanout,
    .audit = audit,
    .contexts = contexts,
    .reset = reset,
    .free = free_renderer,
};

/*
 * The stock handler does not say to the guest what the renderer refuses. But
 * for what is not there for want of memory, nothing has been carried out.
 */
void virtio_gpu_reclaim_virgl_submit(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd,
                                     void *buf, uint32_t words)
{
    uint32_t ctx = cmd->cmd_hdr.ctx_id;
    int ret;

    if (!g->reclaim) {
        virgl_renderer_submit_cmd(buf, ctx, words);
        return;
    }
    ret = virgl_reclaim_submit(books(g), ctx, buf, words);
    if (ret == -ENOMEM) {
        virtio_gpu_reclaim_refuse(g, cmd, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
                                  "context %u: no memory for its commands",
                                  ctx);
    }
}

/*
 * The stock GL device has max_hostmem, with a default, and does not heed it.
 * With x-reclaim=on it holds, so the default must not limit anything.
 */
void virtio_gpu_reclaim_virgl_instance_init(Object *obj)
{
    VIRTIO_GPU(obj)->conf_max_hostmem = 0;
}

void virtio_gpu_reclaim_virgl_init(VirtIOGPU *g)
{
    if (g->reclaim) {
        Renderer *r = g_new0(Renderer, 1);

        r->books = virgl_reclaim_new();
        /* As without memory for the rest of a device. */
        g_assert(r->books);
        if (g->reclaim_conf.evicted_store) {
            static const struct virgl_reclaim_events events = {
                .unreferenced = unreferenced,
            };

            virgl_reclaim_set_compress_max(
                r->books, g->reclaim_conf.evicted_store_max ?: UINT64_MAX);
            virgl_reclaim_set_events(r->books, &events, g);
        }
        r->reset_bh = qemu_bh_new_guarded(reset_bh, g,
                                          &DEVICE(g)->mem_reentrancy_guard);
        g->reclaim->backend_data = r;
        g->reclaim->backend = &virtio_gpu_reclaim_virgl;
    }
}

void virtio_gpu_reclaim_virgl_reset(VirtIOGPU *g)
{
    if (g->reclaim && g->reclaim->backend) {
        virgl_reclaim_reset(books(g));
    }
}
