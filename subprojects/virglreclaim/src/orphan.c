/* SPDX-License-Identifier: MIT */
/* Resources that were destroyed without storage, and whose objects can be used. */

#include "orphan.h"
#include "compression.h"
#include "decompression.h"
#include "residency.h"
#include "resource.h"

static void link_orphan(struct virgl_reclaim *vr, struct vr_resource *res)
{
    res->next_orphan = vr->orphans;
    res->orphan_link = &vr->orphans;
    if (res->next_orphan) {
        res->next_orphan->orphan_link = &res->next_orphan;
    }
    vr->orphans = res;
}

static void unlink_orphan(struct vr_resource *res)
{
    *res->orphan_link = res->next_orphan;
    if (res->next_orphan) {
        res->next_orphan->orphan_link = res->orphan_link;
    }
}

void vr_orphan_begin(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t bytes = res->contents.bytes;

    vr_resource_set_absent(vr, res, false);
    res->destroyed = true;
    vr_resource_set_absent(vr, res, true);
    link_orphan(vr, res);
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        vr_compression_forget(vr, res);
        vr->stats.deferred++;
        vr->stats.deferred_bytes += bytes;
        vr_report(vr, storage_deferred, res->args.handle, bytes, 0);
    }
}

void vr_orphan_end(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t bytes = res->contents.bytes;
    bool counted = vr_contents_exist(&res->contents);

    vr_decompression_cancel_if(vr, res);
    unlink_orphan(res);
    vr_resource_set_absent(vr, res, false);
    vr_resource_free(vr, res);
    if (counted) {
        vr->stats.deferred--;
        vr->stats.deferred_bytes -= bytes;
        vr_report(vr, storage_released, 0, bytes, 0, false);
    }
}

uint32_t vr_orphan_id(const struct virgl_reclaim *vr)
{
    uint32_t id = UINT32_MAX;

    while (vr_find(vr, id) ||
           (vr->load.res && vr->load.args.handle == id)) {
        id--;
    }
    return id;
}

void vr_orphan_restored(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_residency_attach(vr, res);
    vr_objects_orphan(res);
    vr_resource_release_storage(vr, res, NULL);
    vr_orphan_end(vr, res);
}

int vr_orphan_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    int ret;

    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        return vr_decompression_restore(vr, res);
    }
    ret = vr_resource_make_storage(vr, res, vr_orphan_id(vr), true);
    if (!ret) {
        vr_orphan_restored(vr, res);
    }
    return ret;
}
