// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: statistics in debugfs and fdinfo, and the debugfs trigger.
 */

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

static int virtio_gpu_reclaim_debugfs(struct seq_file *m, void *data)
{
	struct drm_info_node *node = m->private;
	struct virtio_gpu_device *vgdev = node->minor->dev->dev_private;
	struct virtio_gpu_reclaim *reclaim = vgdev->reclaim;
	struct virtqueue *vq = vgdev->ctrlq.vq;
	struct drm_gem_shmem_reclaim_stats stats;
	u64 objects, bytes;

	if (!reclaim)
		return -ENODEV;

	drm_gem_shmem_reclaim_get_stats(&reclaim->base, &stats);
	/* The pages of these do not move, either. */
	objects = atomic64_read(&reclaim->unshrinkable_objects);
	bytes = atomic64_read(&reclaim->unshrinkable_bytes);
	stats.objects[DRM_GEM_SHMEM_RECLAIM_PINNED] += objects;
	stats.bytes[DRM_GEM_SHMEM_RECLAIM_PINNED] += bytes;
	stats.total_objects += objects;
	stats.total_bytes += bytes;
	stats.resident += bytes;

	drm_gem_shmem_reclaim_show_stats(m, &stats);
	seq_printf(m, "reattaches %lld\n", atomic64_read(&reclaim->reattaches));
	seq_printf(m, "device_requests %lld\n",
		   atomic64_read(&reclaim->target.requests));
	seq_printf(m, "device_wanted_bytes %lld\n",
		   atomic64_read(&reclaim->target.bytes));
	seq_printf(m, "queued %u\n", virtqueue_get_vring_size(vq) -
		   vq->num_free);
	return 0;
}

static const struct drm_info_list virtio_gpu_reclaim_debugfs_list[] = {
	{ "virtio-gpu-reclaim", virtio_gpu_reclaim_debugfs },
};

/**
 * virtio_gpu_reclaim_debugfs_init - add the statistics and the trigger
 * @minor: the DRM minor
 */
void virtio_gpu_reclaim_debugfs_init(struct drm_minor *minor)
{
	struct virtio_gpu_device *vgdev = minor->dev->dev_private;

	drm_debugfs_create_files(virtio_gpu_reclaim_debugfs_list,
				 ARRAY_SIZE(virtio_gpu_reclaim_debugfs_list),
				 minor->debugfs_root, minor);
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_debugfs_init(&vgdev->reclaim->base,
						   "virtio-gpu-shrink",
						   minor->debugfs_root);
}
