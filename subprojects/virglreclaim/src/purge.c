/* SPDX-License-Identifier: MIT */
/* Purged resources: contents lost, storage released. */

#include "compression.h"
#include "context.h"
#include "decompression.h"
#include "deferred.h"
#include "purge.h"
#include "residency.h"
#include "resource.h"

#include <errno.h>

/* Returns the bytes released at once. */
static uint64_t purge(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        vr_decompression_cancel_if(vr, res);
        vr_compression_discard(vr, res);
        return res->bytes;
    }
    vr_compression_cancel_if(vr, res);
    if (vr_residency_busy(vr, res, false) < 0) {
        vr_residency_detach(vr, res);
    } else {
        vr_residency_unbind(vr, res);
    }
    vr_deferred_retire(vr, res->storage);
    return vr_resource_release_storage(vr, res, res) ? res->bytes : 0;
}

/* Drawing without what is bound could be an error of the context. */
static bool is_referred_to(const struct vr_resource *res)
{
    return res->objects || res->bindings;
}

int virgl_reclaim_resource_purge(struct virgl_reclaim *vr, uint32_t id,
                                 uint64_t *released)
{
    struct vr_resource *res = vr_find(vr, id);
    uint64_t gone = 0;
    int ret = 0;

    if (!res) {
        ret = -ENOENT;
    } else if (res->attached) {
        ret = -EBUSY;
    } else if (res->state != VIRGL_RECLAIM_PURGED) {
        gone = purge(vr, res);
        res->state = VIRGL_RECLAIM_PURGED;
        vr_resource_set_absent(vr, res, is_referred_to(res));
        res->notify = false;
        res->released = gone;
        vr->stats.purged++;
        vr->stats.purges++;
        vr->stats.released_bytes += gone;
        vr->stats.released_total += gone;
    }

    if (released) {
        *released = gone;
    }
    return ret;
}

int vr_purge_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    int ret = vr_resource_make_storage(vr, res, res->args.handle, true);

    if (ret) {
        return ret;
    }
    /* The state is another already: it was not counted by id. */
    vr->absent -= res->absent;
    res->absent = false;
    vr->stats.purged--;
    vr->stats.restores++;
    vr->stats.released_bytes -= res->released;
    res->released = 0;
    vr_contexts_attach(vr, res);
    vr_residency_attach(vr, res);
    return 0;
}
