// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: commands that release objects, and their completion.
 *
 * This runs under memory pressure: commands are preallocated, and waiters take
 * the responses from the queue themselves.
 */

#include <linux/virtio_config.h>

#include "virtgpu_reclaim_internal.h"

/**
 * virtio_gpu_reclaim_cb - marks commands of reclaim
 * @vgdev: the device
 * @vbuf: the command
 *
 * It does nothing: see virtio_gpu_reclaim_put_vbuf().
 */
void virtio_gpu_reclaim_cb(struct virtio_gpu_device *vgdev,
			   struct virtio_gpu_vbuffer *vbuf)
{
}

/**
 * virtio_gpu_attach_cb - complete RESOURCE_ATTACH_BACKING
 * @vgdev: the device
 * @vbuf: the command, with its response, or zero if it was cancelled
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
	case VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID:
		/* It refused to create the resource: the next use tries again. */
		if (bo->reclaim.params)
			bo->created = false;
		bo->reclaim.error = -EIO;
		break;
	case VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY:
		bo->reclaim.error = -ENOMEM;
		break;
	case 0:
		/* None: it was cancelled. */
		bo->reclaim.error = -ENODEV;
		break;
	default:
		bo->reclaim.error = -EIO;
		break;
	}
	/* Publishes the error. Pairs with virtio_gpu_backing(). */
	smp_store_release(&bo->reclaim.backing, bo->reclaim.error ?
			  VIRTIO_GPU_BACKING_NONE :
			  VIRTIO_GPU_BACKING_ATTACHED);
	wake_up_all(&vgdev->reclaim->base.wait);
}

/* @result is that of drm_gem_shmem_reclaim_done(). */
static void virtio_gpu_reclaim_object_done(struct virtio_gpu_reclaim_request *req,
					   struct virtio_gpu_object *bo, int result)
{
	if (!result) {
		bo->reclaim.backing = VIRTIO_GPU_BACKING_NONE;
		if (req->base.op == DRM_GEM_SHMEM_RECLAIM_PURGE)
			bo->reclaim.purged_on_device = true;
	}
	drm_gem_shmem_reclaim_done(&req->base, &bo->reclaim.base, result);
}

static void virtio_gpu_reclaim_command_done(struct virtio_gpu_reclaim_request *req,
					    struct virtio_gpu_reclaim_command *command)
{
	struct virtio_gpu_object *bo = command->bo;
	bool ok = command->resp.type == cpu_to_le32(VIRTIO_GPU_RESP_OK_NODATA);
	bool unref = command->cmd.hdr.type ==
		     cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF);

	if (ok && unref)
		bo->created = false;
	virtio_gpu_reclaim_object_done(req, bo, ok ? 0 : -EIO);
}

static void virtio_gpu_reclaim_purge_done(struct virtio_gpu_reclaim_request *req)
{
	struct virtio_gpu_resp_purge *resp = (void *)req->resp;
	u32 i, count = req->count;
	bool ok = resp->hdr.type == cpu_to_le32(VIRTIO_GPU_RESP_OK_PURGE) &&
		  resp->count == cpu_to_le32(count);

	for (i = 0; i < count; i++) {
		int result = -EIO;

		if (ok) {
			switch (le32_to_cpu(resp->result[i])) {
			case VIRTIO_GPU_PURGE_PURGED:
			/* Its creation failed: there is nothing to purge. */
			case VIRTIO_GPU_PURGE_UNKNOWN_ID:
				result = 0;
				break;
			case VIRTIO_GPU_PURGE_BUSY:
				result = -EBUSY;
				break;
			case VIRTIO_GPU_PURGE_UNSUPPORTED:
				result = -EOPNOTSUPP;
				break;
			}
		}
		virtio_gpu_reclaim_object_done(req, req->bos[i], result);
	}
}

/**
 * virtio_gpu_reclaim_put_vbuf - complete a command of reclaim
 * @vgdev: the device
 * @vbuf: any command of the control queue that the device has completed
 *
 * Returns: whether it was a command of reclaim, which must not be freed.
 */
bool virtio_gpu_reclaim_put_vbuf(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_reclaim_command *command;
	struct virtio_gpu_reclaim_request *req;

	if (vbuf->resp_cb != virtio_gpu_reclaim_cb)
		return false;
	if (vbuf == &vgdev->reclaim->target.vbuf) {
		virtio_gpu_reclaim_target_done(vgdev->reclaim);
		return true;
	}

	req = vbuf->resp_cb_data;
	if (vbuf == &req->vbuf) {
		virtio_gpu_reclaim_purge_done(req);
	} else {
		command = container_of(vbuf, struct virtio_gpu_reclaim_command,
				       vbuf);
		virtio_gpu_reclaim_command_done(req, command);
	}
	return true;
}

/*
 * Signal the fence that the work item would signal: an object is idle once the
 * device has completed its commands, even if the worker has no memory to run.
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
 * Process the used ring. Commands of reclaim are completed here. Others may need
 * locks and memory, so they are left to the work item.
 */
static void virtio_gpu_reclaim_poll(struct drm_gem_shmem_reclaim *base)
{
	struct virtio_gpu_reclaim *reclaim =
		container_of(base, struct virtio_gpu_reclaim, base);
	struct virtio_gpu_device *vgdev = reclaim->vgdev;
	struct virtio_gpu_vbuffer *vbuf, *next;
	bool defer = false;
	unsigned int len;
	LIST_HEAD(completed);

	spin_lock(&vgdev->ctrlq.qlock);
	while ((vbuf = virtqueue_get_buf(vgdev->ctrlq.vq, &len))) {
		if (vbuf->resp_cb == virtio_gpu_reclaim_cb) {
			list_add_tail(&vbuf->list, &completed);
			continue;
		}
		/* The scan may be about to reclaim its object. */
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
	if (defer || !list_empty(&completed))
		wake_up(&vgdev->ctrlq.ack_queue);

	list_for_each_entry_safe(vbuf, next, &completed, list) {
		list_del(&vbuf->list);
		virtio_gpu_reclaim_put_vbuf(vgdev, vbuf);
	}
}

/**
 * virtio_gpu_reclaim_splice_deferred - get responses that a scan has dequeued
 * @vgdev: the device
 * @list: list to append them to; they precede those still in the queue
 *
 * To be called with qlock of the control queue held.
 */
void virtio_gpu_reclaim_splice_deferred(struct virtio_gpu_device *vgdev,
					struct list_head *list)
{
	if (vgdev->reclaim)
		list_splice_tail_init(&vgdev->reclaim->deferred, list);
}

/**
 * virtio_gpu_reclaim_ack - wake scans that wait for responses
 * @vgdev: the device
 *
 * Called from the interrupt handler of the control queue.
 */
void virtio_gpu_reclaim_ack(struct virtio_gpu_device *vgdev)
{
	if (vgdev->reclaim)
		wake_up_all(&vgdev->reclaim->base.wait);
}

/**
 * virtio_gpu_reclaim_queue - queue a preallocated command
 * @vgdev: the device
 * @vbuf: the command, whose callback is virtio_gpu_reclaim_cb()
 *
 * Neither allocates nor sleeps.
 *
 * Returns: false if the queue is full.
 */
bool virtio_gpu_reclaim_queue(struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_vbuffer *vbuf)
{
	struct scatterlist cmd, resp, *sgs[] = { &cmd, &resp };
	struct virtqueue *vq = vgdev->ctrlq.vq;
	int ret = -ENOSPC;

	sg_init_one(&cmd, vbuf->buf, vbuf->size);
	sg_init_one(&resp, vbuf->resp_buf, vbuf->resp_size);

	spin_lock(&vgdev->ctrlq.qlock);
	/*
	 * Indirect descriptors are allocated: with these flags that fails rather
	 * than sleeps or uses reserves, and descriptors of the ring are used.
	 */
	if (vq->num_free >= ARRAY_SIZE(sgs))
		ret = virtqueue_add_sgs(vq, sgs, 1, 1, vbuf,
					__GFP_NOWARN | __GFP_NOMEMALLOC);
	if (!ret)
		atomic_inc(&vgdev->pending_commands);
	spin_unlock(&vgdev->ctrlq.qlock);
	return !ret;
}

static bool virtio_gpu_reclaim_send_command(struct virtio_gpu_reclaim *reclaim,
					    struct virtio_gpu_reclaim_request *req,
					 struct virtio_gpu_reclaim_command *command,
					 struct virtio_gpu_object *bo, u32 type)
{
	memset(command, 0, sizeof(*command));
	command->bo = bo;
	command->cmd.hdr.type = cpu_to_le32(type);
	command->cmd.resource_id = cpu_to_le32(bo->hw_res_handle);
	command->vbuf.buf = (void *)&command->cmd;
	command->vbuf.size = sizeof(command->cmd);
	command->vbuf.resp_buf = (void *)&command->resp;
	command->vbuf.resp_size = sizeof(command->resp);
	command->vbuf.resp_cb = virtio_gpu_reclaim_cb;
	command->vbuf.resp_cb_data = req;

	return virtio_gpu_reclaim_queue(reclaim->vgdev, &command->vbuf);
}

static void virtio_gpu_reclaim_send_commands(struct virtio_gpu_reclaim *reclaim,
					     struct virtio_gpu_reclaim_request *req)
{
	bool purge = req->base.op == DRM_GEM_SHMEM_RECLAIM_PURGE;
	u32 type = purge ? VIRTIO_GPU_CMD_RESOURCE_UNREF :
			   VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING;
	unsigned int i;

	for (i = 0; i < req->base.count; i++) {
		struct virtio_gpu_object *bo = to_virtio_gpu_bo(req->base.objs[i]);
		enum virtio_gpu_backing backing = virtio_gpu_backing(bo);

		if (backing == VIRTIO_GPU_BACKING_SENT)
			virtio_gpu_reclaim_object_done(req, bo, -EAGAIN);
		else if (purge && !bo->created)
			virtio_gpu_reclaim_object_done(req, bo, 0);
		else if (purge && !bo->reclaim.params)
			virtio_gpu_reclaim_object_done(req, bo, -EOPNOTSUPP);
		else if (!purge && backing == VIRTIO_GPU_BACKING_NONE)
			virtio_gpu_reclaim_object_done(req, bo, 0);
		else if (!virtio_gpu_reclaim_send_command(reclaim, req,
							  &req->commands[i], bo,
						       type))
			virtio_gpu_reclaim_object_done(req, bo, -EAGAIN);
	}
}

static void virtio_gpu_reclaim_send_purge(struct virtio_gpu_reclaim *reclaim,
					  struct virtio_gpu_reclaim_request *req)
{
	struct virtio_gpu_resource_purge *cmd = (void *)req->purge;
	struct virtio_gpu_resp_purge *resp = (void *)req->resp;
	u32 i, count = 0;

	memset(&req->vbuf, 0, sizeof(req->vbuf));
	memset(req->purge, 0, sizeof(req->purge));
	memset(req->resp, 0, sizeof(req->resp));

	for (i = 0; i < req->base.count; i++) {
		struct virtio_gpu_object *bo = to_virtio_gpu_bo(req->base.objs[i]);

		/*
		 * A pending ATTACH response would overwrite the state that
		 * results from the purge.
		 */
		if (virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_SENT) {
			virtio_gpu_reclaim_object_done(req, bo, -EAGAIN);
			continue;
		}
		cmd->ids[count] = cpu_to_le32(bo->hw_res_handle);
		req->bos[count++] = bo;
	}
	if (!count)
		return;

	/*
	 * Never with VIRTIO_GPU_FLAG_FENCE: the response comes early, and a
	 * fence in it would signal all earlier fences of the context.
	 */
	cmd->hdr.flags = 0;
	cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE);
	cmd->count = cpu_to_le32(count);

	req->count = count;
	req->vbuf.buf = (void *)cmd;
	req->vbuf.size = struct_size(cmd, ids, count);
	req->vbuf.resp_buf = (void *)resp;
	req->vbuf.resp_size = struct_size(resp, result, count);
	req->vbuf.resp_cb = virtio_gpu_reclaim_cb;
	req->vbuf.resp_cb_data = req;

	if (virtio_gpu_reclaim_queue(reclaim->vgdev, &req->vbuf))
		return;

	for (i = 0; i < count; i++)
		virtio_gpu_reclaim_object_done(req, req->bos[i], -EAGAIN);
}

static void virtio_gpu_reclaim_submit(struct drm_gem_shmem_reclaim_request *base)
{
	struct virtio_gpu_reclaim_request *req =
		container_of(base, struct virtio_gpu_reclaim_request, base);
	struct virtio_gpu_reclaim *reclaim =
		container_of(base->reclaim, struct virtio_gpu_reclaim, base);

	/* Frees descriptors and completes pending ATTACH commands. */
	virtio_gpu_reclaim_poll(&reclaim->base);

	if (base->op == DRM_GEM_SHMEM_RECLAIM_PURGE && reclaim->has_feature)
		virtio_gpu_reclaim_send_purge(reclaim, req);
	else
		virtio_gpu_reclaim_send_commands(reclaim, req);
	virtio_gpu_notify(reclaim->vgdev);
}

const struct drm_gem_shmem_reclaim_ops virtio_gpu_reclaim_ops = {
	.submit = virtio_gpu_reclaim_submit,
	.poll = virtio_gpu_reclaim_poll,
};

/* Release a command that the device will not complete, and its references. */
static void virtio_gpu_release_vbuf(struct virtio_gpu_device *vgdev,
				    struct virtio_gpu_vbuffer *vbuf)
{
	struct virtio_gpu_ctrl_hdr *hdr = (void *)vbuf->buf;

	/* Its completion would have freed the object. */
	if (hdr->type == cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF) &&
	    vbuf->resp_cb != virtio_gpu_reclaim_cb)
		virtio_gpu_cleanup_object(vbuf->resp_cb_data);
	if (vbuf->resp_cb == virtio_gpu_attach_cb)
		virtio_gpu_attach_cb(vgdev, vbuf);
	if (vbuf->objs)
		virtio_gpu_array_put_free(vbuf->objs);
	free_vbuf(vgdev, vbuf);
}

static void virtio_gpu_signal_all_fences(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_fence_driver *drv = &vgdev->fence_drv;
	struct virtio_gpu_fence *fence;
	u64 id = 0;

	do {
		spin_lock_irq(&drv->lock);
		fence = list_first_entry_or_null(&drv->fences,
						 struct virtio_gpu_fence, node);
		if (fence) {
			id = fence->fence_id;
			dma_fence_set_error(&fence->f, -ENODEV);
		}
		spin_unlock_irq(&drv->lock);
		if (fence)
			virtio_gpu_fence_event_process(vgdev, id);
	} while (fence);
}

/**
 * virtio_gpu_reclaim_abort - cancel commands that the device did not complete
 * @vgdev: the device, which was reset and still has its queues
 *
 * Pending operations of reclaim fail, so that no page is released. All other
 * commands are released with their references, and all fences are signaled with
 * -ENODEV.
 */
void virtio_gpu_reclaim_abort(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_vbuffer *vbuf;

	/* The last interrupts before the reset may have started these. */
	flush_work(&vgdev->ctrlq.dequeue_work);
	flush_work(&vgdev->cursorq.dequeue_work);

	while ((vbuf = virtqueue_detach_unused_buf(vgdev->ctrlq.vq)))
		virtio_gpu_release_vbuf(vgdev, vbuf);
	while ((vbuf = virtqueue_detach_unused_buf(vgdev->cursorq.vq)))
		virtio_gpu_release_vbuf(vgdev, vbuf);
	virtio_gpu_signal_all_fences(vgdev);
	flush_work(&vgdev->obj_free_work);
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_flush(&vgdev->reclaim->base);
}
