/* SPDX-License-Identifier: MIT */
/* Resources that were destroyed without storage, and whose objects can be used. */

#include "orphan.h"
#include "compression.h"
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

    unlink_orphan(res);
    vr_resource_set_absent(vr, res, false);
    vr_resource_free(vr, res);
    if (counted) {
        vr->stats.deferred--;
        vr->stats.deferred_bytes -= bytes;
        vr_report(vr, storage_released, 0, bytes, 0, false);
    }
}

/* An id for the time that objects are made. Guests use the lowest ones. */
static uint32_t private_id(const struct virgl_reclaim *vr)
{
    uint32_t id = UINT32_MAX;

    while (vr_find(vr, id)) {
        id--;
    }
    return id;
}

int vr_orphan_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    int ret = res->state == VIRGL_RECLAIM_COMPRESSED ?
              vr_compression_load(vr, res, private_id(vr)) :
              vr_resource_make_storage(vr, res, private_id(vr));

    if (ret) {
        return ret;
    }
    vr_residency_attach(vr, res);
    vr_objects_orphan(res);
    vr_resource_release_storage(vr, res, NULL);
    vr_orphan_end(vr, res);
    return 0;
}
