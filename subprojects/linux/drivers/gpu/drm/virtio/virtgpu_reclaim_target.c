// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: the device wants memory of its own back.
 *
 * It sets VIRTIO_GPU_EVENT_RECLAIM and says with GET_RECLAIM_TARGET how much.
 * Objects that are DONTNEED are purged for that, others are left alone: to evict
 * one frees nothing on the host. Nobody waits for the response: the device sets
 * the event again as long as it wants memory.
 */

#include "virtgpu_reclaim_internal.h"

static void virtio_gpu_reclaim_get_target(struct virtio_gpu_reclaim *reclaim)
{
	struct virtio_gpu_reclaim_target *target = &reclaim->target;
	int idx;

	if (atomic_xchg(&target->inflight, 1))
		return;

	memset(&target->vbuf, 0, sizeof(target->vbuf));
	memset(&target->cmd, 0, sizeof(target->cmd));
	memset(&target->resp, 0, sizeof(target->resp));
	target->cmd.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_RECLAIM_TARGET);
	target->vbuf.buf = (void *)&target->cmd;
	target->vbuf.size = sizeof(target->cmd);
	target->vbuf.resp_buf = (void *)&target->resp;
	target->vbuf.resp_size = sizeof(target->resp);
	target->vbuf.resp_cb = virtio_gpu_reclaim_cb;

	if (!drm_dev_enter(reclaim->vgdev->ddev, &idx)) {
		atomic_set(&target->inflight, 0);
		return;
	}
	if (virtio_gpu_reclaim_queue(reclaim->vgdev, &target->vbuf))
		virtio_gpu_notify(reclaim->vgdev);
	else
		atomic_set(&target->inflight, 0);
	drm_dev_exit(idx);
}

/**
 * virtio_gpu_reclaim_target_done - complete GET_RECLAIM_TARGET
 * @reclaim: reclaim state of the device
 */
void virtio_gpu_reclaim_target_done(struct virtio_gpu_reclaim *reclaim)
{
	struct virtio_gpu_reclaim_target *target = &reclaim->target;
	bool ok = target->resp.hdr.type ==
		  cpu_to_le32(VIRTIO_GPU_RESP_OK_RECLAIM_TARGET);
	u64 bytes = le64_to_cpu(target->resp.bytes);

	/* From here on it may be queued again. */
	atomic_set_release(&target->inflight, 0);
	if (!ok || !bytes)
		return;

	atomic64_inc(&target->requests);
	atomic64_set(&target->bytes, bytes);
	drm_gem_shmem_reclaim_purge(&reclaim->base, bytes);
}

/**
 * virtio_gpu_reclaim_config_changed - handle events of the device
 * @vgdev: the device
 * @events: events_read of its configuration space
 *
 * Returns: the events to clear.
 */
u32 virtio_gpu_reclaim_config_changed(struct virtio_gpu_device *vgdev,
				      u32 events)
{
	if (!(events & VIRTIO_GPU_EVENT_RECLAIM))
		return 0;
	if (vgdev->reclaim && vgdev->reclaim->has_feature)
		virtio_gpu_reclaim_get_target(vgdev->reclaim);
	return VIRTIO_GPU_EVENT_RECLAIM;
}
