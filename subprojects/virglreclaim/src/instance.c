/* SPDX-License-Identifier: MIT */
/* Instances: creation, reset, statistics. */

#include "compression.h"
#include "contents.h"
#include "context.h"
#include "decompression.h"
#include "deferred.h"
#include "overflow.h"
#include "resource.h"
#include "restore.h"

#include <string.h>

static bool is_complete(const struct virgl_reclaim_allocator *allocator)
{
    return allocator->alloc && allocator->free;
}

struct virgl_reclaim *virgl_reclaim_new_with_allocator(
    const struct virgl_reclaim_allocator *allocator)
{
    struct virgl_reclaim *vr;

    if (!is_complete(allocator)) {
        return NULL;
    }
    vr = vr_alloc0(allocator, sizeof(*vr));
    if (vr) {
        vr->allocator = *allocator;
        vr->max_object_bytes = UINT64_MAX;
        vr->resources.allocator = &vr->allocator;
        vr->contexts.allocator = &vr->allocator;
        vr->subs.allocator = &vr->allocator;
        vr->buffers.allocator = &vr->allocator;
        vr->textures.allocator = &vr->allocator;
        vr->resource_pool.allocator = &vr->allocator;
        vr->resource_pool.size = sizeof(struct vr_resource);
        vr->storage_pool.allocator = &vr->allocator;
        vr->storage_pool.size = sizeof(struct vr_storage);
        vr->object_pool.allocator = &vr->allocator;
        vr->object_pool.size = sizeof(struct vr_object);
        vr_worker_init(&vr->worker);
        vr_file_init(&vr->file, &vr->allocator);
    }
    return vr;
}

struct virgl_reclaim *virgl_reclaim_new(void)
{
    return virgl_reclaim_new_with_allocator(&vr_libc);
}

void virgl_reclaim_free(struct virgl_reclaim *vr)
{
    struct virgl_reclaim_allocator allocator;

    if (vr) {
        allocator = vr->allocator;
        vr->events = (struct virgl_reclaim_events) { NULL };
        virgl_reclaim_reset(vr);
        vr_overflow_wait(vr);
        vr_overflow_is_writing(vr);
        vr_file_end(&vr->file);
        vr_worker_end(&vr->worker);
        vr_free(&allocator, vr);
    }
}

void virgl_reclaim_reset_begin(struct virgl_reclaim *vr)
{
    if (vr->saver) {
        virgl_renderer_force_ctx_0();
        vr_saver_release(vr->saver);
    }
    if (vr->load.res) {
        virgl_renderer_force_ctx_0();
        vr_loader_release(vr->load.loader);
    }
}

void virgl_reclaim_reset(struct virgl_reclaim *vr)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    vr_compression_abandon(vr);
    vr_decompression_abandon(vr);
    vr_restore_end(vr);
    /* Contexts last: they drop references to storage. No events. */
    vr_deferred_reset(vr);
    while ((entry = vr_table_next(&vr->resources, &pos))) {
        vr_resource_free(vr, entry->value);
    }
    vr_table_clear(&vr->resources);
    while (vr->orphans) {
        struct vr_resource *res = vr->orphans;

        vr->orphans = res->next_orphan;
        vr_resource_free(vr, res);
    }
    vr_contexts_reset(vr);
    vr_table_clear(&vr->subs);
    vr_table_clear(&vr->buffers);
    vr_table_clear(&vr->textures);
    vr->resident = (struct vr_lru) { NULL, NULL };
    vr->packed = (struct vr_lru) { NULL, NULL };
    vr->stats.resident_bytes = 0;
    vr->stats.purged = 0;
    vr->stats.released_bytes = 0;
    vr->stats.deferred = 0;
    vr->stats.deferred_bytes = 0;
    vr->stats.compressed = 0;
    vr->stats.compressed_bytes = 0;
    vr->stats.uncompressed_bytes = 0;
    memset(vr->absent_ids, 0, sizeof(vr->absent_ids));
    vr->absent = 0;
}

void virgl_reclaim_set_events(struct virgl_reclaim *vr,
                              const struct virgl_reclaim_events *events,
                              void *opaque)
{
    vr->events = events ? *events : (struct virgl_reclaim_events) { NULL };
    vr->events_opaque = opaque;
}

void virgl_reclaim_set_wakeup(struct virgl_reclaim *vr,
                              void (*wakeup)(void *opaque), void *opaque)
{
    vr_worker_set_done(&vr->worker, wakeup, opaque);
}

void virgl_reclaim_get_stats(const struct virgl_reclaim *vr,
                             struct virgl_reclaim_stats *stats)
{
    struct virgl_reclaim_stats all = vr->stats;
    size_t size = stats->size < sizeof(all) ? stats->size : sizeof(all);

    all.size = stats->size;
    all.resources = vr->resources.used;
    all.file = vr->file.contents;
    all.file_bytes = vr->file.bytes;
    all.file_writes = vr->file.writes;
    all.file_reads = vr->file.reads;
    all.file_errors = vr->file.errors;
    memset(stats, 0, stats->size);
    memcpy(stats, &all, size);
}
