/* SPDX-License-Identifier: MIT */
/* Resources are made resident: at once, or in steps for what is to use them. */

#include "restore.h"
#include "compression.h"
#include "decompression.h"
#include "orphan.h"
#include "purge.h"
#include "resource.h"

#include <errno.h>

/* At once */

int vr_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint32_t id;
    int ret;

    if (res->destroyed) {
        return vr_orphan_restore(vr, res);
    }
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        return vr_decompression_restore(vr, res);
    }
    if (res->state == VIRGL_RECLAIM_PURGED) {
        id = res->args.handle;
        ret = vr_purge_restore(vr, res);
        if (!ret) {
            vr_report(vr, restored, id);
        }
        return ret;
    }
    vr_compression_cancel_if(vr, res);
    return 0;
}

int virgl_reclaim_resource_restore(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);
    int ret = 0;

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_PURGED) {
        /* The caller knows: there is no event. */
        ret = vr_purge_restore(vr, res);
    } else {
        ret = vr_restore(vr, res);
    }
    if (!ret) {
        vr_resource_use(vr, res);
    }
    return ret;
}

/* In steps */

static void link_used(struct vr_resource *res, struct vr_resource **list)
{
    res->next_used = *list;
    res->used_link = list;
    if (res->next_used) {
        res->next_used->used_link = &res->next_used;
    }
    *list = res;
}

void vr_restore_forget(struct vr_resource *res)
{
    if (res->used_link) {
        *res->used_link = res->next_used;
        if (res->next_used) {
            res->next_used->used_link = res->used_link;
        }
        res->next_used = NULL;
        res->used_link = NULL;
    }
}

void vr_restore_need(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_restore_forget(res);
    link_used(res, res->absent ? &vr->needed : &vr->kept);
}

void vr_restore_end(struct virgl_reclaim *vr)
{
    while (vr->needed) {
        vr_restore_forget(vr->needed);
    }
    while (vr->kept) {
        vr_restore_forget(vr->kept);
    }
}

int virgl_reclaim_restore_begin(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_PURGED || !res->absent) {
        return virgl_reclaim_resource_restore(vr, id);
    }
    vr_restore_need(vr, res);
    return -EAGAIN;
}

uint64_t virgl_reclaim_restore_bytes(const struct virgl_reclaim *vr)
{
    const struct vr_resource *res = vr->needed;

    return res && !res->storage ? res->bytes : 0;
}

int virgl_reclaim_restore_run(struct virgl_reclaim *vr)
{
    struct vr_resource *res = vr->needed;
    bool destroyed, waiting = false;
    int ret;

    if (!res) {
        return 0;
    }
    destroyed = res->destroyed;
    ret = res->state == VIRGL_RECLAIM_COMPRESSED ?
          vr_decompression_step(vr, res, &waiting) : vr_restore(vr, res);
    if (ret == -EAGAIN) {
        return waiting ? ret : 1;
    }
    if (ret) {
        return ret;
    }
    /* A destroyed one is freed. */
    if (!destroyed) {
        vr_resource_use(vr, res);
        vr_restore_need(vr, res);
    }
    return vr->needed ? 1 : 0;
}

void virgl_reclaim_restore_end(struct virgl_reclaim *vr)
{
    if (vr->load.res) {
        vr_decompression_cancel_if(vr, vr->load.res);
    }
    vr_restore_end(vr);
}
