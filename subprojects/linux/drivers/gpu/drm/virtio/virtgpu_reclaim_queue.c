// SPDX-License-Identifier: MIT
/*
 * How the device is asked to let go of objects, and what becomes of the answers.
 *
 * This runs when there is no memory: commands are made of what was reserved, and
 * answers are taken from the queue by whoever waits for them.
 */

#include <linux/virtio_config.h>

#include "virtgpu_reclaim_internal.h"

static struct virtio_gpu_object *
robj_to_bo(struct drm_gem_shmem_reclaim_object *robj)
{
	return container_of(robj, struct virtio_gpu_object, reclaim.base);
}

/* Only marks the commands that are ours; see virtio_gpu_reclaim_put_vbuf(). */
static void virtio_gpu_reclaim_cb(struct virtio_gpu_device *vgdev,
				  struct virtio_gpu_vbuffer *vbuf)
{
}

/**
 * virtio_gpu_attach_cb - learn whether the device has an object's pages
 * @vgdev: the device
 * @vbuf: a RESOURCE_ATTACH_BACKING that was answered
 */
void virtio_gpu_attach_cb(struct virtio_gpu_device *vgdev,
			  struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_object *bo =
		gem_to_virtio_gpu_obj(vbuf->objs->objs[0]);
	struct virtio_gpu_ctrl_hdr *resp = (void *)vbuf->resp_buf;

	switch (le32_to_cpu(resp->type)) {
	case VIRTIO_GPU_RESP_OK_NODATA:
		bo->reclaim.error = 0;
		break;
	case VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY:
		bo->reclaim.error = -ENOMEM;
		break;
	default:
		bo->reclaim.error = -EIO;
		break;
	}
	/* The error first. Pairs with virtio_gpu_backing(). */
	smp_store_release(&bo->reclaim.backing, bo->reclaim.error ?
			  VIRTIO_GPU_BACKING_NONE :
			  VIRTIO_GPU_BACKING_ATTACHED);
	wake_up_all(&vgdev->reclaim->attach_wait);
}

/* @result is for the generic part: 0 if the device has let go. */
static void virtio_gpu_reclaim_answer(struct virtio_gpu_reclaim_batch *batch,
				      struct virtio_gpu_object *bo, int result)
{
	if (!result)
		bo->reclaim.backing = VIRTIO_GPU_BACKING_NONE;
	drm_gem_shmem_reclaim_done(&batch->base, &bo->reclaim.base, result);
}

static void virtio_gpu_reclaim_slot_done(struct virtio_gpu_reclaim_batch *batch,
					 struct virtio_gpu_reclaim_slot *slot)
{
	struct virtio_gpu_object *bo = slot->bo;
	bool ok = slot->resp.type == cpu_to_le32(VIRTIO_GPU_RESP_OK_NODATA);
	bool unref = slot->cmd.hdr.type ==
		     cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF);

	if (ok && unref)
		bo->created = false;
	virtio_gpu_reclaim_answer(batch, bo, ok ? 0 : -EIO);
}

static void virtio_gpu_reclaim_purge_done(struct virtio_gpu_reclaim_batch *batch)
{
	struct virtio_gpu_resp_purge *resp = (void *)batch->resp;
	u32 i, count = batch->count;
	bool ok = resp->hdr.type == cpu_to_le32(VIRTIO_GPU_RESP_OK_PURGE) &&
		  resp->count == cpu_to_le32(count);

	for (i = 0; i < count; i++) {
		int result = -EIO;

		if (ok) {
			switch (le32_to_cpu(resp->result[i])) {
			case VIRTIO_GPU_PURGE_PURGED:
			/* Its creation failed: there is nothing to let go. */
			case VIRTIO_GPU_PURGE_UNKNOWN_ID:
				result = 0;
				break;
			case VIRTIO_GPU_PURGE_BUSY:
				result = -EBUSY;
				break;
			}
		}
		virtio_gpu_reclaim_answer(batch, batch->bos[i], result);
	}
}

/**
 * virtio_gpu_reclaim_put_vbuf - take back a command that is done
 * @vgdev: the device
 * @vbuf: the command
 *
 * Returns: whether it is one of those made here of reserved memory.
 */
bool virtio_gpu_reclaim_put_vbuf(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_reclaim_batch *batch;

	if (vbuf->resp_cb != virtio_gpu_reclaim_cb)
		return false;

	batch = vbuf->resp_cb_data;
	if (vbuf == &batch->vbuf)
		virtio_gpu_reclaim_purge_done(batch);
	else
		virtio_gpu_reclaim_slot_done(batch,
					     container_of(vbuf, struct virtio_gpu_reclaim_slot,
							  vbuf));
	return true;
}

/*
 * Signal the fence now that the work item would signal: an object is idle as
 * soon as the device is done with it, even if there is no memory for a worker.
 */
static void virtio_gpu_reclaim_signal(struct virtio_gpu_device *vgdev,
				      struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_ctrl_hdr *resp = (void *)vbuf->resp_buf;

	if (!(resp->flags & cpu_to_le32(VIRTIO_GPU_FLAG_FENCE)))
		return;
	virtio_gpu_fence_event_process(vgdev, le64_to_cpu(resp->fence_id));
	resp->flags &= ~cpu_to_le32(VIRTIO_GPU_FLAG_FENCE);
}

/*
 * Take what is on the used ring. Answers that are ours are dealt with here; the
 * others may need locks and memory, so they are left to the work item.
 */
static void virtio_gpu_reclaim_poll(struct drm_gem_shmem_reclaim *base)
{
	struct virtio_gpu_reclaim *reclaim =
		container_of(base, struct virtio_gpu_reclaim, base);
	struct virtio_gpu_device *vgdev = reclaim->vgdev;
	struct virtio_gpu_vbuffer *vbuf, *next;
	bool defer = false;
	unsigned int len;
	LIST_HEAD(mine);

	spin_lock(&vgdev->ctrlq.qlock);
	while ((vbuf = virtqueue_get_buf(vgdev->ctrlq.vq, &len))) {
		if (vbuf->resp_cb == virtio_gpu_reclaim_cb) {
			list_add_tail(&vbuf->list, &mine);
			continue;
		}
		/* Its object may be next to be taken from. */
		if (vbuf->resp_cb == virtio_gpu_attach_cb) {
			virtio_gpu_attach_cb(vgdev, vbuf);
			vbuf->resp_cb = NULL;
		}
		virtio_gpu_reclaim_signal(vgdev, vbuf);
		list_add_tail(&vbuf->list, &reclaim->deferred);
		defer = true;
	}
	spin_unlock(&vgdev->ctrlq.qlock);

	if (defer)
		schedule_work(&vgdev->ctrlq.dequeue_work);
	if (defer || !list_empty(&mine))
		wake_up(&vgdev->ctrlq.ack_queue);

	list_for_each_entry_safe(vbuf, next, &mine, list) {
		list_del(&vbuf->list);
		virtio_gpu_reclaim_put_vbuf(vgdev, vbuf);
	}
}

/**
 * virtio_gpu_reclaim_take_deferred - take answers that came before those queued
 * @vgdev: the device
 * @list: where to add them
 *
 * To be called with qlock of the control queue held.
 */
void virtio_gpu_reclaim_take_deferred(struct virtio_gpu_device *vgdev,
				      struct list_head *list)
{
	if (vgdev->reclaim)
		list_splice_tail_init(&vgdev->reclaim->deferred, list);
}

/**
 * virtio_gpu_reclaim_ack - tell scans that there may be answers
 * @vgdev: the device
 */
void virtio_gpu_reclaim_ack(struct virtio_gpu_device *vgdev)
{
	if (vgdev->reclaim)
		wake_up_all(&vgdev->reclaim->base.wait);
}

/* Queue a reserved command, or not: there is no waiting for room. */
static bool virtio_gpu_reclaim_queue(struct virtio_gpu_device *vgdev,
				     struct virtio_gpu_vbuffer *vbuf)
{
	struct scatterlist cmd, resp, *sgs[] = { &cmd, &resp };
	struct virtqueue *vq = vgdev->ctrlq.vq;
	int ret = -ENOSPC;

	sg_init_one(&cmd, vbuf->buf, vbuf->size);
	sg_init_one(&resp, vbuf->resp_buf, vbuf->resp_size);

	spin_lock(&vgdev->ctrlq.qlock);
	/*
	 * Indirect descriptors are allocated; with such flags only if that is
	 * free of charge. If not, the ring's own are used.
	 */
	if (vq->num_free >= ARRAY_SIZE(sgs))
		ret = virtqueue_add_sgs(vq, sgs, 1, 1, vbuf,
					__GFP_NOWARN | __GFP_NOMEMALLOC);
	if (!ret)
		atomic_inc(&vgdev->pending_commands);
	spin_unlock(&vgdev->ctrlq.qlock);
	return !ret;
}

static bool virtio_gpu_reclaim_send_slot(struct virtio_gpu_reclaim *reclaim,
					 struct virtio_gpu_reclaim_batch *batch,
					 struct virtio_gpu_reclaim_slot *slot,
					 struct virtio_gpu_object *bo, u32 type)
{
	memset(slot, 0, sizeof(*slot));
	slot->bo = bo;
	slot->cmd.hdr.type = cpu_to_le32(type);
	slot->cmd.resource_id = cpu_to_le32(bo->hw_res_handle);
	slot->vbuf.buf = (void *)&slot->cmd;
	slot->vbuf.size = sizeof(slot->cmd);
	slot->vbuf.resp_buf = (void *)&slot->resp;
	slot->vbuf.resp_size = sizeof(slot->resp);
	slot->vbuf.resp_cb = virtio_gpu_reclaim_cb;
	slot->vbuf.resp_cb_data = batch;

	return virtio_gpu_reclaim_queue(reclaim->vgdev, &slot->vbuf);
}

static void virtio_gpu_reclaim_send_each(struct virtio_gpu_reclaim *reclaim,
					 struct virtio_gpu_reclaim_batch *batch)
{
	bool purge = batch->base.op == DRM_GEM_SHMEM_RECLAIM_PURGE;
	u32 type = purge ? VIRTIO_GPU_CMD_RESOURCE_UNREF :
			   VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING;
	unsigned int i;

	for (i = 0; i < batch->base.count; i++) {
		struct virtio_gpu_object *bo = robj_to_bo(batch->base.objs[i]);
		enum virtio_gpu_backing backing = virtio_gpu_backing(bo);

		if (backing == VIRTIO_GPU_BACKING_SENT)
			virtio_gpu_reclaim_answer(batch, bo, -EAGAIN);
		else if (purge && !bo->created)
			virtio_gpu_reclaim_answer(batch, bo, 0);
		else if (purge && !bo->reclaim.params)
			virtio_gpu_reclaim_answer(batch, bo, -EOPNOTSUPP);
		else if (!purge && backing == VIRTIO_GPU_BACKING_NONE)
			virtio_gpu_reclaim_answer(batch, bo, 0);
		else if (!virtio_gpu_reclaim_send_slot(reclaim, batch,
						       &batch->slots[i], bo,
						       type))
			virtio_gpu_reclaim_answer(batch, bo, -EAGAIN);
	}
}

static void virtio_gpu_reclaim_send_purge(struct virtio_gpu_reclaim *reclaim,
					  struct virtio_gpu_reclaim_batch *batch)
{
	struct virtio_gpu_resource_purge *cmd = (void *)batch->purge;
	struct virtio_gpu_resp_purge *resp = (void *)batch->resp;
	u32 i, count = 0;

	memset(&batch->vbuf, 0, sizeof(batch->vbuf));
	memset(batch->purge, 0, sizeof(batch->purge));
	memset(batch->resp, 0, sizeof(batch->resp));

	for (i = 0; i < batch->base.count; i++) {
		struct virtio_gpu_object *bo = robj_to_bo(batch->base.objs[i]);

		/* An answer in the making would have the last word. */
		if (virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_SENT) {
			virtio_gpu_reclaim_answer(batch, bo, -EAGAIN);
			continue;
		}
		cmd->ids[count] = cpu_to_le32(bo->hw_res_handle);
		batch->bos[count++] = bo;
	}
	if (!count)
		return;

	cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE);
	cmd->count = cpu_to_le32(count);

	batch->count = count;
	batch->vbuf.buf = (void *)cmd;
	batch->vbuf.size = struct_size(cmd, ids, count);
	batch->vbuf.resp_buf = (void *)resp;
	batch->vbuf.resp_size = struct_size(resp, result, count);
	batch->vbuf.resp_cb = virtio_gpu_reclaim_cb;
	batch->vbuf.resp_cb_data = batch;

	if (virtio_gpu_reclaim_queue(reclaim->vgdev, &batch->vbuf))
		return;

	for (i = 0; i < count; i++)
		virtio_gpu_reclaim_answer(batch, batch->bos[i], -EAGAIN);
}

static void virtio_gpu_reclaim_submit(struct drm_gem_shmem_reclaim_batch *base)
{
	struct virtio_gpu_reclaim_batch *batch =
		container_of(base, struct virtio_gpu_reclaim_batch, base);
	struct virtio_gpu_reclaim *reclaim =
		container_of(base->reclaim, struct virtio_gpu_reclaim, base);

	/* Makes room, and learns what has been attached meanwhile. */
	virtio_gpu_reclaim_poll(&reclaim->base);

	if (base->op == DRM_GEM_SHMEM_RECLAIM_PURGE && reclaim->has_feature)
		virtio_gpu_reclaim_send_purge(reclaim, batch);
	else
		virtio_gpu_reclaim_send_each(reclaim, batch);
	virtio_gpu_notify(reclaim->vgdev);
}

const struct drm_gem_shmem_reclaim_ops virtio_gpu_reclaim_ops = {
	.submit = virtio_gpu_reclaim_submit,
	.poll = virtio_gpu_reclaim_poll,
};

/* Nobody answers to @vbuf any more: drop it and what it holds. */
static void virtio_gpu_drop(struct virtio_gpu_device *vgdev,
			    struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_ctrl_hdr *hdr = (void *)vbuf->buf;

	/* The answer would have freed the object. */
	if (hdr->type == cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF) &&
	    vbuf->resp_cb != virtio_gpu_reclaim_cb)
		virtio_gpu_cleanup_object(vbuf->resp_cb_data);
	if (vbuf->objs)
		virtio_gpu_array_put_free(vbuf->objs);
	free_vbuf(vgdev, vbuf);
}

static void virtio_gpu_signal_all(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_fence_driver *drv = &vgdev->fence_drv;
	struct virtio_gpu_fence *fence;
	u64 id = 0;

	do {
		spin_lock_irq(&drv->lock);
		fence = list_first_entry_or_null(&drv->fences,
						 struct virtio_gpu_fence, node);
		if (fence)
			id = fence->fence_id;
		spin_unlock_irq(&drv->lock);
		if (fence)
			virtio_gpu_fence_event_process(vgdev, id);
	} while (fence);
}

/**
 * virtio_gpu_reclaim_abort - give up what the device did not answer
 * @vgdev: the device, which was reset and still has its queues
 *
 * Operations of reclaim fail, and all other commands are dropped with the
 * references they have.
 */
void virtio_gpu_reclaim_abort(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_vbuffer *vbuf;

	while ((vbuf = virtqueue_detach_unused_buf(vgdev->ctrlq.vq)))
		virtio_gpu_drop(vgdev, vbuf);
	while ((vbuf = virtqueue_detach_unused_buf(vgdev->cursorq.vq)))
		virtio_gpu_drop(vgdev, vbuf);
	virtio_gpu_signal_all(vgdev);
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_flush(&vgdev->reclaim->base);
}
