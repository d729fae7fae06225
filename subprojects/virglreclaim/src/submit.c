/* SPDX-License-Identifier: MIT */
/* Submission of command streams. */

#include "context.h"
#include "deferred.h"
#include "tracking.h"
#include "use.h"

#include <errno.h>
#include <limits.h>

static int submit(struct virgl_reclaim *vr, uint32_t ctx, void *commands,
                  uint32_t words, bool try)
{
    struct vr_context *context = vr_find_ctx(vr, ctx);
    struct vr_found found;
    int ret;

    if (!context) {
        return -ENOENT;
    }
    if (words > INT_MAX) {
        return -EINVAL;
    }
    ret = vr_stream_validate(vr, context, commands, words,
                             VR_TRACKED | vr_use_codes(vr), &found);
    if (!ret) {
        ret = (try ? vr_use_try : vr_use_restore)(vr, context, &found);
    }
    if (ret) {
        return ret;
    }
    ret = virgl_renderer_submit_cmd(commands, ctx, words);
    if (ret) {
        /* It has made some of them, at worst all. */
        context->lost_object_bytes += found.object_bytes;
        vr->object_bytes += found.object_bytes;
        vr_context_set_error(vr, context);
    } else {
        vr_tracking_read(vr, context, &found);
    }
    /*
     * With tracking lost any command may drop the last reference. The renderer
     * creates a fence in the GL context that is current: let it be this one's.
     */
    if (context->tracking_lost ? vr_deferred_check_some(vr) :
                                 vr_deferred_check(vr)) {
        vr_context_leave(vr, context);
    }
    return !ret ? 0 : ret == ENOMEM ? -ENOMEM : -EINVAL;
}

int virgl_reclaim_submit(struct virgl_reclaim *vr, uint32_t ctx,
                         void *commands, uint32_t words)
{
    return submit(vr, ctx, commands, words, false);
}

int virgl_reclaim_try_submit(struct virgl_reclaim *vr, uint32_t ctx,
                             void *commands, uint32_t words)
{
    return submit(vr, ctx, commands, words, true);
}
