// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: statistics and the trigger in debugfs.
 */

#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "drm_gem_shmem_reclaim_internal.h"

/* In the order of the states, cheapest to reclaim first. */
static const char *const reclaim_state_names[] = {
	[DRM_GEM_SHMEM_RECLAIM_DONTNEED] = "dontneed",
	[DRM_GEM_SHMEM_RECLAIM_WILLNEED] = "willneed",
	[DRM_GEM_SHMEM_RECLAIM_PINNED] = "pinned",
	[DRM_GEM_SHMEM_RECLAIM_UNPOPULATED] = "unpopulated",
	[DRM_GEM_SHMEM_RECLAIM_EVICTED] = "evicted",
	[DRM_GEM_SHMEM_RECLAIM_PURGED] = "purged",
	[DRM_GEM_SHMEM_RECLAIM_UNBACKED] = "unbacked",
};

/**
 * drm_gem_shmem_reclaim_show_stats - print statistics
 * @m: output: a name and a value on each line
 * @stats: the statistics; a driver may add objects that are not shrinkable
 */
void drm_gem_shmem_reclaim_show_stats(struct seq_file *m,
				      const struct drm_gem_shmem_reclaim_stats *stats)
{
	int i;

	seq_printf(m, "bo_objects %llu\n", stats->total_objects);
	seq_printf(m, "bo_bytes %llu\n", stats->total_bytes);
	seq_printf(m, "resident_bytes %llu\n", stats->resident);
	for (i = 0; i < ARRAY_SIZE(reclaim_state_names); i++) {
		if (!reclaim_state_names[i])
			continue;
		seq_printf(m, "%s_objects %llu\n", reclaim_state_names[i],
			   stats->objects[i]);
		seq_printf(m, "%s_bytes %llu\n", reclaim_state_names[i],
			   stats->bytes[i]);
	}
	seq_printf(m, "purges %llu\n", stats->purges);
	seq_printf(m, "evictions %llu\n", stats->evictions);
	seq_printf(m, "refaults %llu\n", stats->refaults);
	seq_printf(m, "willneed_retained %llu\n", stats->willneed_retained);
	seq_printf(m, "willneed_purged %llu\n", stats->willneed_purged);
	seq_printf(m, "busy %llu\n", stats->busy);
	seq_printf(m, "waits %llu\n", stats->waits);
	seq_printf(m, "timeouts %llu\n", stats->timeouts);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_show_stats);

static int reclaim_shrink(void *data, u64 nr)
{
	struct drm_gem_shmem_reclaim *reclaim = data;

	reclaim->shrunk = drm_gem_shmem_reclaim_shrink(reclaim, nr);
	return 0;
}

static int reclaim_shrunk(void *data, u64 *nr)
{
	struct drm_gem_shmem_reclaim *reclaim = data;

	*nr = reclaim->shrunk;
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(reclaim_shrink_fops, reclaim_shrunk, reclaim_shrink,
			 "%llu\n");

/**
 * drm_gem_shmem_reclaim_debugfs_init - add the trigger
 * @reclaim: the device instance
 * @name: name of the file; a number of pages written to it is scanned, and it
 *	reads as the number that the last write reclaimed
 * @dir: the directory; removed before the device instance is freed
 */
void drm_gem_shmem_reclaim_debugfs_init(struct drm_gem_shmem_reclaim *reclaim,
					const char *name, struct dentry *dir)
{
	debugfs_create_file(name, 0600, dir, reclaim, &reclaim_shrink_fops);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_debugfs_init);
