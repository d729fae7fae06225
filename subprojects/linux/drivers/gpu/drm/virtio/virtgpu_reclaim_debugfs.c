// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: statistics in debugfs and fdinfo, and the debugfs trigger.
 */

#include <linux/debugfs.h>
#include <linux/dma-resv.h>
#include <linux/pci.h>
#include <linux/seq_file.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_file.h>

#include "virtgpu_reclaim_internal.h"

/* The keys of Documentation/gpu/drm-usage-stats.rst, and evicted memory. */
struct virtio_gpu_memory_stats {
	u64 total, shared, resident, purgeable, active, evicted;
	/* Blobs in host memory only. */
	u64 host;
};

static void virtio_gpu_add_memory_stats(struct virtio_gpu_object *bo,
					struct virtio_gpu_memory_stats *stats)
{
	struct drm_gem_shmem_reclaim_object *sobj = &bo->reclaim.base;
	struct drm_gem_object *obj = &bo->base.base;
	bool resident = true;

	stats->total += obj->size;
	if (obj->handle_count > 1 || obj->dma_buf)
		stats->shared += obj->size;
	if (is_shrinkable(bo)) {
		/* A snapshot without the reservation lock. */
		enum drm_gem_shmem_reclaim_state state = READ_ONCE(sobj->state);

		resident = READ_ONCE(sobj->resident);
		if (state == DRM_GEM_SHMEM_RECLAIM_EVICTED)
			stats->evicted += obj->size;
		if (state == DRM_GEM_SHMEM_RECLAIM_DONTNEED && resident)
			stats->purgeable += obj->size;
	}
	if (!resident)
		return;
	stats->resident += obj->size;
	if (!dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP))
		stats->active += obj->size;
}

/**
 * virtio_gpu_reclaim_show_fdinfo - &file_operations.show_fdinfo
 * @m: output
 * @f: an open file of the device
 *
 * Shows guest memory, and blobs in host memory only as a region of their own.
 * The host's storage of classic resources is not included.
 */
void virtio_gpu_reclaim_show_fdinfo(struct seq_file *m, struct file *f)
{
	struct drm_file *file = f->private_data;
	struct drm_device *dev = file->minor->dev;
	struct virtio_gpu_memory_stats stats = { 0 };
	struct virtio_gpu_fpriv *vfpriv = file->driver_priv;
	struct drm_gem_object *obj;
	int id;

	spin_lock(&file->table_lock);
	idr_for_each_entry(&file->object_idr, obj, id) {
		struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

		if (virtio_gpu_is_shmem(bo))
			virtio_gpu_add_memory_stats(bo, &stats);
		else
			stats.host += obj->size;
	}
	spin_unlock(&file->table_lock);

	seq_printf(m, "drm-driver:\t%s\n", dev->driver->name);
	seq_printf(m, "drm-client-id:\t%u\n", vfpriv->ctx_id);
	if (dev_is_pci(dev->dev))
		seq_printf(m, "drm-pdev:\t%s\n", pci_name(to_pci_dev(dev->dev)));
	seq_printf(m, "drm-total-memory:\t%llu KiB\n", stats.total >> 10);
	seq_printf(m, "drm-shared-memory:\t%llu KiB\n", stats.shared >> 10);
	seq_printf(m, "drm-resident-memory:\t%llu KiB\n",
		   stats.resident >> 10);
	seq_printf(m, "drm-purgeable-memory:\t%llu KiB\n",
		   stats.purgeable >> 10);
	seq_printf(m, "drm-active-memory:\t%llu KiB\n", stats.active >> 10);
	seq_printf(m, "drm-total-host:\t%llu KiB\n", stats.host >> 10);
	seq_printf(m, "virtio_gpu-evicted-memory:\t%llu KiB\n",
		   stats.evicted >> 10);
}

/* In the order of the states, cheapest to reclaim first. */
static const char *const virtio_gpu_state_names[] = {
	[DRM_GEM_SHMEM_RECLAIM_DONTNEED] = "dontneed",
	[DRM_GEM_SHMEM_RECLAIM_WILLNEED] = "willneed",
	[DRM_GEM_SHMEM_RECLAIM_PINNED] = "pinned",
	[DRM_GEM_SHMEM_RECLAIM_UNPOPULATED] = "unpopulated",
	[DRM_GEM_SHMEM_RECLAIM_EVICTED] = "evicted",
	[DRM_GEM_SHMEM_RECLAIM_PURGED] = "purged",
	[DRM_GEM_SHMEM_RECLAIM_UNBACKED] = "unbacked",
};

static void virtio_gpu_print(struct seq_file *m, const char *name,
			     const char *unit, u64 value)
{
	seq_printf(m, "%s%s %llu\n", name, unit, value);
}

static int virtio_gpu_reclaim_debugfs(struct seq_file *m, void *data)
{
	struct drm_info_node *node = m->private;
	struct virtio_gpu_device *vgdev = node->minor->dev->dev_private;
	struct virtio_gpu_reclaim *reclaim = vgdev->reclaim;
	struct virtqueue *vq = vgdev->ctrlq.vq;
	struct drm_gem_shmem_reclaim_stats stats;
	u64 unshrinkable;
	int i;

	if (!reclaim)
		return -ENODEV;

	drm_gem_shmem_reclaim_get_stats(&reclaim->base, &stats);
	unshrinkable = atomic64_read(&reclaim->unshrinkable_bytes);
	/* The pages of these do not move, either. */
	stats.bytes[DRM_GEM_SHMEM_RECLAIM_PINNED] += unshrinkable;
	stats.objects[DRM_GEM_SHMEM_RECLAIM_PINNED] +=
		atomic64_read(&reclaim->unshrinkable_objects);

	virtio_gpu_print(m, "bo", "_objects", atomic64_read(&reclaim->objects));
	virtio_gpu_print(m, "bo", "_bytes", atomic64_read(&reclaim->bytes));
	virtio_gpu_print(m, "resident", "_bytes", stats.resident + unshrinkable);
	for (i = 0; i < ARRAY_SIZE(virtio_gpu_state_names); i++) {
		const char *name = virtio_gpu_state_names[i];

		if (!name)
			continue;
		virtio_gpu_print(m, name, "_objects", stats.objects[i]);
		virtio_gpu_print(m, name, "_bytes", stats.bytes[i]);
	}
	virtio_gpu_print(m, "purges", "", stats.purges);
	virtio_gpu_print(m, "evictions", "", stats.evictions);
	virtio_gpu_print(m, "refaults", "", stats.refaults);
	virtio_gpu_print(m, "reattaches", "",
			 atomic64_read(&reclaim->reattaches));
	virtio_gpu_print(m, "willneed", "_retained", stats.willneed_retained);
	virtio_gpu_print(m, "willneed", "_purged", stats.willneed_purged);
	virtio_gpu_print(m, "device", "_requests",
			 atomic64_read(&reclaim->target.requests));
	virtio_gpu_print(m, "device", "_wanted_bytes",
			 atomic64_read(&reclaim->target.bytes));
	virtio_gpu_print(m, "busy", "", stats.busy);
	virtio_gpu_print(m, "waits", "", stats.waits);
	virtio_gpu_print(m, "timeouts", "", stats.timeouts);
	virtio_gpu_print(m, "queued", "", virtqueue_get_vring_size(vq) -
			 vq->num_free);
	return 0;
}

static int virtio_gpu_reclaim_shrink(void *data, u64 nr)
{
	struct virtio_gpu_device *vgdev = data;

	if (!vgdev->reclaim)
		return -ENODEV;
	vgdev->reclaim->shrunk =
		drm_gem_shmem_reclaim_shrink(&vgdev->reclaim->base, nr);
	return 0;
}

static int virtio_gpu_reclaim_shrunk(void *data, u64 *nr)
{
	struct virtio_gpu_device *vgdev = data;

	if (!vgdev->reclaim)
		return -ENODEV;
	*nr = vgdev->reclaim->shrunk;
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(virtio_gpu_reclaim_shrink_fops,
			 virtio_gpu_reclaim_shrunk, virtio_gpu_reclaim_shrink,
			 "%llu\n");

static const struct drm_info_list virtio_gpu_reclaim_debugfs_list[] = {
	{ "virtio-gpu-reclaim", virtio_gpu_reclaim_debugfs },
};

/**
 * virtio_gpu_reclaim_debugfs_init - add the statistics and the trigger
 * @minor: the DRM minor
 */
void virtio_gpu_reclaim_debugfs_init(struct drm_minor *minor)
{
	drm_debugfs_create_files(virtio_gpu_reclaim_debugfs_list,
				 ARRAY_SIZE(virtio_gpu_reclaim_debugfs_list),
				 minor->debugfs_root, minor);
	debugfs_create_file("virtio-gpu-shrink", 0600, minor->debugfs_root,
			    minor->dev->dev_private,
			    &virtio_gpu_reclaim_shrink_fops);
}
