/*
 * Virtio GPU: commands of blobs of GL devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The stock handlers create, map, unmap and destroy blobs. Before that, the
 * request is validated and the limit asked; after that, what was done is
 * entered in the ledger. To unmap a blob a command is suspended, and it comes
 * here again.
 */

#include "qemu/osdep.h"
#include "hw/virtio/virtio-gpu-bswap.h"
#include "virtio-gpu-reclaim-backend.h"
#include "virtio-gpu-reclaim-cmd.h"
#include "virtio-gpu-reclaim-cmd-blob.h"
#include "virtio-gpu-reclaim-request.h"
#include "virtio-gpu-reclaim-residency.h"

/* Most memory entries that the stock handler takes. */
#define MAX_ENTRIES 16384

static uint64_t
virtio_gpu_blob_host_bytes(const struct virtio_gpu_resource_create_blob *cblob)
{
    return cblob->blob_mem == VIRTIO_GPU_BLOB_MEM_GUEST ? 0 : cblob->size;
}

static void
virtio_gpu_blob_prepare_create(VirtIOGPU *g,
                               struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    struct virtio_gpu_resource_create_blob cblob;
    bool has_backing;
    uint64_t max;

    virtio_gpu_reclaim_request_read(cmd, &cblob, sizeof(cblob));
    virtio_gpu_create_blob_bswap(&cblob);
    has_backing = cblob.blob_mem != VIRTIO_GPU_BLOB_MEM_HOST3D;
    max = has_backing ? MIN(virtio_gpu_reclaim_max_entries(cblob.size),
                            MAX_ENTRIES) : 0;
    if (cblob.size == 0 || cblob.blob_mem < VIRTIO_GPU_BLOB_MEM_GUEST ||
        cblob.blob_mem > VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST ||
        cblob.nr_entries > max || (has_backing && cblob.nr_entries == 0)) {
        virtio_gpu_reclaim_reject(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
                                  "there is no blob of memory type %u with "
                                  "%" PRIu64 " bytes and %u memory entries",
                                  cblob.blob_mem, (uint64_t)cblob.size,
                                  cblob.nr_entries);
        return;
    }
    if (virtio_gpu_reclaim_may_create(
            g, cmd, cblob.resource_id, virtio_gpu_blob_host_bytes(&cblob),
            backend->blob_overhead + cblob.nr_entries * backend->iov_bytes) &&
        has_backing) {
        virtio_gpu_reclaim_request_fetch_tail(
            cmd, (size_t)cblob.nr_entries *
                 sizeof(struct virtio_gpu_mem_entry));
    }
}

static void virtio_gpu_blob_created(VirtIOGPU *g,
                                    struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPUReclaim *r = g->reclaim;
    struct virtio_gpu_resource_create_blob cblob;
    VirtIOGPULedgerEntry *entry;
    uint64_t backing_bytes;
    uint32_t iov_cnt;
    void *res;

    virtio_gpu_reclaim_request_read(cmd, &cblob, sizeof(cblob));
    virtio_gpu_create_blob_bswap(&cblob);
    res = r->backend->blob_created(g, &cblob, &backing_bytes, &iov_cnt);
    entry = virtio_gpu_ledger_add(r->ledger, cblob.resource_id,
                                  virtio_gpu_blob_host_bytes(&cblob),
                                  r->backend->blob_overhead, res);
    virtio_gpu_ledger_mark_blob(r->ledger, entry);
    if (iov_cnt) {
        virtio_gpu_ledger_attach(r->ledger, entry, backing_bytes,
                                 iov_cnt * r->backend->iov_bytes);
    }
}

/* The blob that @cmd, which has just an id, is about; NULL if there is none. */
static VirtIOGPULedgerEntry *
virtio_gpu_blob_find(VirtIOGPU *g, const struct virtio_gpu_ctrl_command *cmd)
{
    struct virtio_gpu_resource_unref request;
    VirtIOGPULedgerEntry *entry;

    virtio_gpu_reclaim_request_read(cmd, &request, sizeof(request));
    entry = virtio_gpu_ledger_find(g->reclaim->ledger,
                                   le32_to_cpu(request.resource_id));
    return entry && g->reclaim->backend->is_blob(g, entry->opaque) ? entry :
                                                                     NULL;
}

/*
 * A command that is suspended must not have a fence: the stock device would
 * take it for carried out and waiting for that. When it comes again, it has.
 */
static void virtio_gpu_blob_unmap(VirtIOGPU *g,
                                  struct virtio_gpu_ctrl_command *cmd,
                                  VirtIOGPULedgerEntry *entry)
{
    if (g->reclaim->backend->blob_unmap(g, entry->opaque)) {
        cmd->cmd_hdr.flags &= ~VIRTIO_GPU_FLAG_FENCE;
    }
}

static void virtio_gpu_blob_prepare_unref(VirtIOGPU *g,
                                          struct virtio_gpu_ctrl_command *cmd,
                                          VirtIOGPULedgerEntry *entry)
{
    virtio_gpu_reclaim_disable_scanouts(g, entry->id);
    if (entry->backing_bytes) {
        g->reclaim->backend->detach(g, entry->opaque);
    }
    virtio_gpu_blob_unmap(g, cmd, entry);
}

bool virtio_gpu_reclaim_cmd_blob(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd)
{
    VirtIOGPULedgerEntry *entry;

    if (!virtio_gpu_blob_enabled(g->parent_obj.conf)) {
        return false;
    }
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        virtio_gpu_blob_prepare_create(g, cmd);
        return true;
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        entry = virtio_gpu_blob_find(g, cmd);
        if (entry) {
            virtio_gpu_blob_prepare_unref(g, cmd, entry);
        }
        return entry;
    case VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB:
        entry = virtio_gpu_blob_find(g, cmd);
        if (entry) {
            virtio_gpu_blob_unmap(g, cmd, entry);
        }
        return entry;
    default:
        return false;
    }
}

void virtio_gpu_reclaim_cmd_blob_done(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd)
{
    const VirtIOGPUReclaimBackend *backend = g->reclaim->backend;
    VirtIOGPULedgerEntry *entry;

    if (cmd->error || !virtio_gpu_blob_enabled(g->parent_obj.conf)) {
        return;
    }
    switch (cmd->cmd_hdr.type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        virtio_gpu_blob_created(g, cmd);
        break;
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        entry = virtio_gpu_blob_find(g, cmd);
        if (entry) {
            backend->blob_destroyed(g, entry->opaque);
            virtio_gpu_ledger_remove(g->reclaim->ledger, entry);
        }
        break;
    case VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
        entry = virtio_gpu_blob_find(g, cmd);
        if (entry) {
            backend->blob_mapped(g, entry->opaque);
        }
        break;
    default:
        break;
    }
}
