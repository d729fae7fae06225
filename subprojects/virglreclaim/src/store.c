/* SPDX-License-Identifier: MIT */
/* Resources whose contents are stored away. */

#include "books.h"

#include <errno.h>
#include <time.h>

/* What saves less than this share of its storage is not worth the while. */
#define LEAST_GAIN 8

void virgl_reclaim_set_store(struct virgl_reclaim *vr, uint64_t max)
{
    vr->store_max = max;
}

void virgl_reclaim_set_unreferenced(struct virgl_reclaim *vr,
                                    void (*func)(uint32_t id, void *opaque),
                                    void *opaque)
{
    vr->unreferenced = func;
    vr->unreferenced_opaque = opaque;
}

/* One more is stored, or one less. */
static void count_stored(struct virgl_reclaim *vr,
                         const struct vr_resource *res, int n)
{
    vr->stored_ids[res->args.handle % VR_STORED_IDS] += n;
    vr->stats.stored += n;
    vr->stats.stored_bytes += n * res->contents.bytes;
    vr->stats.stored_of_bytes += n * res->bytes;
}

void vr_store_forget(struct virgl_reclaim *vr, struct vr_resource *res)
{
    count_stored(vr, res, -1);
    vr_contents_free(&vr->allocator, &res->contents);
}

/* Store */

static int save(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t worth = res->bytes - res->bytes / LEAST_GAIN;
    uint64_t used = vr->stats.stored_bytes;
    uint64_t room = used < vr->store_max ? vr->store_max - used : 0;
    int ret;

    if (vr_storage_referenced(vr, res->storage)) {
        res->storage->wanted = true;
        return -EBUSY;
    }
    virgl_renderer_force_ctx_0();
    ret = vr_contents_save(&vr->allocator, &res->args, res->storage->name,
                           worth < room ? worth : room, &res->contents);
    return ret == -ENOSPC && worth < room ? -EFBIG : ret;
}

static void count_kept(struct virgl_reclaim *vr, int error)
{
    enum virgl_reclaim_kept why;

    switch (error) {
    case -EBUSY:
        why = VIRGL_RECLAIM_KEPT_REFERENCED;
        break;
    case -ENOTSUP:
        why = VIRGL_RECLAIM_KEPT_FORMAT;
        break;
    case -EFBIG:
        why = VIRGL_RECLAIM_KEPT_NO_GAIN;
        break;
    case -ENOSPC:
        why = VIRGL_RECLAIM_KEPT_LIMIT;
        break;
    default:
        why = VIRGL_RECLAIM_KEPT_NO_MEMORY;
        break;
    }
    vr->stats.kept[why]++;
}

int virgl_reclaim_resource_store(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_STORED) {
        return 0;
    }
    if (res->attached) {
        return -EBUSY;
    }
    if (res->state == VIRGL_RECLAIM_PURGED || !res->bytes) {
        return -ENODATA;
    }

    ret = save(vr, res);
    if (ret) {
        count_kept(vr, ret);
        return ret;
    }
    vr_make_homeless(vr, res, NULL);
    res->state = VIRGL_RECLAIM_STORED;
    count_stored(vr, res, 1);
    vr->stats.stores++;
    return 0;
}

/* Restore */

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void count_time(struct virgl_reclaim *vr, uint64_t us)
{
    int bucket = 0;

    while (us >> (bucket + 1) && bucket < VIRGL_RECLAIM_TIME_BUCKETS - 1) {
        bucket++;
    }
    vr->stats.restore_us[bucket]++;
    vr->stats.store_restores++;
}

int vr_store_restore(struct virgl_reclaim *vr, struct vr_resource *res)
{
    uint64_t start = now_us();
    int ret = vr_make_resident(vr, res);

    if (ret) {
        return ret;
    }
    ret = vr_contents_load(&vr->allocator, &res->args, res->storage->name,
                           &res->contents);
    if (ret) {
        vr_make_homeless(vr, res, NULL);
        res->state = VIRGL_RECLAIM_STORED;
        return ret;
    }
    vr_store_forget(vr, res);
    vr_contexts_attach(vr, res);
    count_time(vr, now_us() - start);
    return 0;
}
