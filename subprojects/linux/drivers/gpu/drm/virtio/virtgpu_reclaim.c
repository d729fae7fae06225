// SPDX-License-Identifier: MIT
/*
 * Reclaim of the guest memory behind virtio-gpu objects.
 *
 * Classic resources get their pages when they are first used, and give them
 * back when memory is short and the device has let go of them; see
 * drm_gem_shmem_reclaim.c for when that is. Here is how the device is told:
 *
 * =======  ==========================  ====================================
 *          with VIRTIO_GPU_F_RECLAIM   without
 * =======  ==========================  ====================================
 * evict    RESOURCE_DETACH_BACKING     the same
 * purge    RESOURCE_PURGE, many at a   RESOURCE_UNREF
 *          time
 * use      RESOURCE_ATTACH_BACKING     if purged, first RESOURCE_CREATE_*
 *                                      and CTX_ATTACH_RESOURCE again
 * =======  ==========================  ====================================
 *
 * Blobs in guest memory have their pages from the beginning, because these are
 * named when the resource is created, and are evicted, but not purged, by a
 * device with the feature: another one would not show them again. Other blobs
 * and dumb buffers keep their pages for life and are not managed here.
 * Framebuffers and everything that was exported are pinned.
 *
 * The control queue is processed in order, and what a command does to an object
 * is decided by its place there. A command that needs the pages is queued under
 * the reservation lock of the object, after virtio_gpu_reclaim_use().
 *
 * Locks, within those that drm_gem_shmem_reclaim.c describes: reservation lock,
 * ctx_lock, qlock. Commands that ask the device to let go of pages are made of
 * reserved memory, and their answers are taken from the queue by whoever waits
 * for them, because the work item that normally does that may itself be waiting
 * for memory.
 */

#include <linux/dma-resv.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_managed.h>

#include "virtgpu_drv.h"
#include "virtgpu_reclaim_internal.h"

/*
 * Without VIRTIO_GPU_F_RECLAIM, QEMU takes 16384 pieces of memory for a
 * resource. After an eviction each page may be a piece.
 */
#define MAX_SIZE_WITHOUT_FEATURE SZ_64M

/* As for capsets and the like in the rest of the driver. */
#define ATTACH_TIMEOUT		(5 * HZ)

struct virtio_gpu_reclaim_context {
	struct list_head node;
	u32 ctx_id;
};

static struct virtio_gpu_object *
robj_to_bo(struct drm_gem_shmem_reclaim_object *robj)
{
	return container_of(robj, struct virtio_gpu_object, reclaim.base);
}

/* ------------------------------------------------------------------------ */
/* Letting go, during reclaim */

/* Only marks the commands that are ours; see virtio_gpu_reclaim_put_vbuf(). */
static void virtio_gpu_reclaim_cb(struct virtio_gpu_device *vgdev,
				  struct virtio_gpu_vbuffer *vbuf)
{
}

static void virtio_gpu_attach_cb(struct virtio_gpu_device *vgdev,
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

static enum virtio_gpu_backing virtio_gpu_backing(struct virtio_gpu_object *bo)
{
	/* Pairs with the release in virtio_gpu_attach_cb(). */
	return smp_load_acquire(&bo->reclaim.backing);
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

static const struct drm_gem_shmem_reclaim_ops virtio_gpu_reclaim_ops = {
	.submit = virtio_gpu_reclaim_submit,
	.poll = virtio_gpu_reclaim_poll,
};

/* ------------------------------------------------------------------------ */
/* Use */

/* The resource was unreferenced to purge it: make another with its name. */
static int virtio_gpu_recreate(struct virtio_gpu_device *vgdev,
			       struct virtio_gpu_object *bo)
{
	struct virtio_gpu_object_params *params = bo->reclaim.params;
	struct virtio_gpu_reclaim_context *ctx;
	struct virtio_gpu_object_array *objs;
	int ret = 0;

	if (params->virgl)
		virtio_gpu_cmd_resource_create_3d(vgdev, bo, params, NULL, NULL);
	else
		virtio_gpu_cmd_create_resource(vgdev, bo, params, NULL, NULL);

	mutex_lock(&bo->reclaim.ctx_lock);
	list_for_each_entry(ctx, &bo->reclaim.contexts, node) {
		objs = virtio_gpu_array_alloc(1);
		if (!objs) {
			ret = -ENOMEM;
			break;
		}
		virtio_gpu_array_add_obj(objs, &bo->base.base);
		virtio_gpu_cmd_context_attach_resource(vgdev, ctx->ctx_id, objs);
	}
	mutex_unlock(&bo->reclaim.ctx_lock);
	return ret;
}

static int virtio_gpu_reattach(struct virtio_gpu_device *vgdev,
			       struct virtio_gpu_object *bo)
{
	struct virtio_gpu_resource_attach_backing *cmd;
	struct virtio_gpu_object_array *objs;
	struct virtio_gpu_mem_entry *ents;
	struct virtio_gpu_vbuffer *vbuf;
	unsigned int nents;
	int ret;

	if (!bo->created) {
		ret = virtio_gpu_recreate(vgdev, bo);
		if (ret)
			return ret;
	}

	objs = virtio_gpu_array_alloc(1);
	if (!objs)
		return -ENOMEM;
	ret = virtio_gpu_object_shmem_init(vgdev, bo, &ents, &nents);
	if (ret) {
		virtio_gpu_array_put_free(objs);
		return ret;
	}
	virtio_gpu_array_add_obj(objs, &bo->base.base);

	cmd = virtio_gpu_alloc_cmd_cb(vgdev, &vbuf, sizeof(*cmd),
				      virtio_gpu_attach_cb);
	cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING);
	cmd->resource_id = cpu_to_le32(bo->hw_res_handle);
	cmd->nr_entries = cpu_to_le32(nents);
	vbuf->data_buf = ents;
	vbuf->data_size = sizeof(*ents) * nents;
	vbuf->objs = objs;

	bo->reclaim.backing = VIRTIO_GPU_BACKING_SENT;
	ret = virtio_gpu_queue_ctrl_buffer(vgdev, vbuf);
	if (!ret)
		return 0;

	bo->reclaim.backing = VIRTIO_GPU_BACKING_NONE;
	if (ret != -ENODEV) {
		/* There was no memory to describe @ents to the device. */
		virtio_gpu_array_put_free(objs);
		kvfree(ents);
		kmem_cache_free(vgdev->vbufs, vbuf);
	}
	return ret;
}

/* *@wait is set if there is an answer to wait for. */
static int virtio_gpu_use_one(struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_object *bo, bool *wait)
{
	int ret;

	ret = drm_gem_shmem_reclaim_use(&bo->reclaim.base);
	if (ret)
		return ret;

	if (virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_NONE) {
		if (bo->reclaim.attached_before)
			atomic64_inc(&vgdev->reclaim->reattaches);
		ret = virtio_gpu_reattach(vgdev, bo);
		if (ret)
			return ret;
	}

	/*
	 * What is new is taken for granted, as everywhere in this driver. What
	 * comes back may fail for want of memory on the host.
	 */
	if (bo->reclaim.attached_before &&
	    virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_SENT)
		*wait = true;
	bo->reclaim.attached_before = true;
	return 0;
}

static bool virtio_gpu_all_answered(struct drm_gem_object **objs, u32 nents)
{
	u32 i;

	for (i = 0; i < nents; i++) {
		if (virtio_gpu_backing(gem_to_virtio_gpu_obj(objs[i])) ==
		    VIRTIO_GPU_BACKING_SENT)
			return false;
	}
	return true;
}

static int virtio_gpu_wait_attached(struct virtio_gpu_device *vgdev,
				    struct drm_gem_object **objs, u32 nents)
{
	long ret;
	u32 i;

	ret = wait_event_interruptible_timeout(vgdev->reclaim->attach_wait,
					       virtio_gpu_all_answered(objs,
								       nents),
					       ATTACH_TIMEOUT);
	if (ret <= 0)
		return ret ?: -ETIMEDOUT;

	for (i = 0; i < nents; i++) {
		struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(objs[i]);

		if (is_managed(bo) &&
		    virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_NONE)
			return bo->reclaim.error;
	}
	return 0;
}

/* One kick and one wait, however many of @objs come back. */
static int virtio_gpu_use(struct drm_gem_object **objs, u32 nents)
{
	struct virtio_gpu_device *vgdev = NULL;
	bool wait = false;
	int ret = 0;
	u32 i;

	for (i = 0; i < nents && !ret; i++) {
		struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(objs[i]);

		vgdev = objs[i]->dev->dev_private;
		if (is_managed(bo))
			ret = virtio_gpu_use_one(vgdev, bo, &wait);
	}
	if (!wait)
		return ret;

	/* Also if another failed: it is on the queue. */
	virtio_gpu_notify(vgdev);
	return ret ?: virtio_gpu_wait_attached(vgdev, objs, nents);
}

/**
 * virtio_gpu_reclaim_use - have objects there for the commands that follow
 * @objs: the objects, with their reservation locks held
 *
 * Whatever was given back is got again and the device is told, once for all
 * objects. The locks are released if that fails; an object whose pages the
 * device refused can be used again when the device has room for it.
 *
 * Returns: 0; -ENODATA if one was purged and not asked back; -ENOMEM if the
 * guest or the device has no memory for one; -ETIMEDOUT if the device does not
 * answer; another negative error code if it refused one.
 */
int virtio_gpu_reclaim_use(struct virtio_gpu_object_array *objs)
{
	int ret = virtio_gpu_use(objs->objs, objs->nents);

	if (ret)
		virtio_gpu_array_unlock_resv(objs);
	return ret;
}

/**
 * virtio_gpu_reclaim_begin - lock an object and have it there
 * @bo: the object
 *
 * For commands that have no fence: the object is only safe until
 * virtio_gpu_reclaim_end(), and after that by the order of commands. The caller
 * keeps a reference until then by way of this.
 *
 * Returns: as virtio_gpu_reclaim_use().
 */
int virtio_gpu_reclaim_begin(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	if (!is_managed(bo)) {
		drm_gem_object_get(obj);
		return 0;
	}

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	ret = virtio_gpu_use(&obj, 1);
	if (ret) {
		dma_resv_unlock(obj->resv);
		return ret;
	}
	drm_gem_object_get(obj);
	return 0;
}

/**
 * virtio_gpu_reclaim_end - undo virtio_gpu_reclaim_begin()
 * @bo: the object
 */
void virtio_gpu_reclaim_end(struct virtio_gpu_object *bo)
{
	if (is_managed(bo))
		dma_resv_unlock(bo->base.base.resv);
	drm_gem_object_put(&bo->base.base);
}

/**
 * virtio_gpu_reclaim_pin - have an object there until it is unpinned
 * @obj: the object
 *
 * Returns: as virtio_gpu_reclaim_use().
 */
int virtio_gpu_reclaim_pin(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (!is_managed(bo))
		return 0;

	ret = virtio_gpu_reclaim_begin(bo);
	if (ret)
		return ret;
	ret = drm_gem_shmem_reclaim_pin(&bo->reclaim.base);
	virtio_gpu_reclaim_end(bo);
	return ret;
}

/**
 * virtio_gpu_reclaim_unpin - undo virtio_gpu_reclaim_pin()
 * @obj: the object
 */
void virtio_gpu_reclaim_unpin(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	if (!is_managed(bo))
		return;

	dma_resv_lock(obj->resv, NULL);
	drm_gem_shmem_reclaim_unpin(&bo->reclaim.base);
	dma_resv_unlock(obj->resv);
}

/**
 * virtio_gpu_reclaim_fb_destroy - &drm_framebuffer_funcs.destroy
 * @fb: the framebuffer
 */
void virtio_gpu_reclaim_fb_destroy(struct drm_framebuffer *fb)
{
	virtio_gpu_reclaim_unpin(fb->obj[0]);
	drm_gem_fb_destroy(fb);
}

/**
 * virtio_gpu_reclaim_export - &drm_gem_object_funcs.export
 * @obj: the object
 * @flags: of the file
 *
 * Who has the dma-buf expects the pages to stay, and there is no telling when
 * the last of them is through, so the object is pinned for good.
 *
 * Returns: the dma-buf or an error pointer.
 */
struct dma_buf *virtio_gpu_reclaim_export(struct drm_gem_object *obj, int flags)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	/* Guarded by object_name_lock, which the caller holds. */
	if (!bo->reclaim.shared) {
		ret = virtio_gpu_reclaim_pin(obj);
		if (ret)
			return ERR_PTR(ret);
		bo->reclaim.shared = true;
	}
	return virtgpu_gem_prime_export(obj, flags);
}

/**
 * virtio_gpu_reclaim_mmap - &drm_gem_object_funcs.mmap
 * @obj: the object
 * @vma: the mapping
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_reclaim_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return drm_gem_shmem_reclaim_mmap(&bo->reclaim.base, &bo->base, vma);
}

static vm_fault_t virtio_gpu_reclaim_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return drm_gem_shmem_reclaim_fault(&bo->reclaim.base, &bo->base, vmf);
}

const struct vm_operations_struct virtio_gpu_reclaim_vm_ops = {
	.fault = virtio_gpu_reclaim_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/**
 * virtio_gpu_madvise_ioctl - DRM_IOCTL_VIRTGPU_MADVISE
 * @dev: the device
 * @data: struct drm_virtgpu_madvise
 * @file: who asks
 *
 * Returns: 0 or a negative error code, see there.
 */
int virtio_gpu_madvise_ioctl(struct drm_device *dev, void *data,
			     struct drm_file *file)
{
	struct drm_virtgpu_madvise *args = data;
	struct drm_gem_object *obj;
	struct virtio_gpu_object *bo;
	bool retained = true;
	int ret;

	if (args->pad)
		return -EINVAL;
	if (args->madv != VIRTGPU_MADV_WILLNEED &&
	    args->madv != VIRTGPU_MADV_DONTNEED)
		return -EINVAL;

	obj = drm_gem_object_lookup(file, args->bo_handle);
	if (!obj)
		return -ENOENT;
	bo = gem_to_virtio_gpu_obj(obj);

	ret = -EOPNOTSUPP;
	if (bo->guest_blob && args->madv == VIRTGPU_MADV_DONTNEED)
		goto out_put;
	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		goto out_put;
	ret = drm_gem_shmem_reclaim_madvise(&bo->reclaim.base,
					    args->madv == VIRTGPU_MADV_DONTNEED,
					    &retained);
	dma_resv_unlock(obj->resv);
	args->retained = retained;
out_put:
	drm_gem_object_put(obj);
	return ret;
}

/* ------------------------------------------------------------------------ */
/* Life cycle of an object */

static bool virtio_gpu_reclaim_may_manage(struct virtio_gpu_device *vgdev,
					  struct virtio_gpu_object_params *params)
{
	if (!vgdev->reclaim || params->dumb)
		return false;
	/* Of any other blob the host has a part of its own. */
	if (params->blob)
		return vgdev->reclaim->has_feature &&
		       params->blob_mem == VIRTGPU_BLOB_MEM_GUEST;
	return vgdev->reclaim->has_feature ||
	       params->size <= MAX_SIZE_WITHOUT_FEATURE;
}

/* The pages stay until the device was told of them; see add_object. */
static int virtio_gpu_reclaim_init_blob(struct virtio_gpu_device *vgdev,
					struct virtio_gpu_object *bo,
					struct virtio_gpu_mem_entry **ents,
					unsigned int *nents)
{
	struct drm_gem_shmem_reclaim_object *robj = &bo->reclaim.base;
	struct dma_resv *resv = bo->base.base.resv;
	int ret;

	drm_gem_shmem_reclaim_add(&vgdev->reclaim->base, robj, &bo->base);
	dma_resv_lock(resv, NULL);
	ret = drm_gem_shmem_reclaim_pin(robj);
	dma_resv_unlock(resv);
	if (!ret)
		ret = virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (ret)
		drm_gem_shmem_reclaim_remove(robj);
	return ret;
}

static void virtio_gpu_reclaim_add_blob(struct virtio_gpu_object *bo)
{
	struct dma_resv *resv = bo->base.base.resv;

	dma_resv_lock(resv, NULL);
	bo->reclaim.backing = VIRTIO_GPU_BACKING_ATTACHED;
	bo->reclaim.attached_before = true;
	drm_gem_shmem_reclaim_unpin(&bo->reclaim.base);
	dma_resv_unlock(resv);
}

/**
 * virtio_gpu_reclaim_init_object - get pages for a new object, if not later
 * @vgdev: the device
 * @bo: the object
 * @params: what it is to be
 * @ents: where the pages are, left alone if they are to be got when used
 * @nents: how many of @ents there are
 *
 * Returns: 0, or -ENOMEM also if there is little hope for memory later.
 */
int virtio_gpu_reclaim_init_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params,
				   struct virtio_gpu_mem_entry **ents,
				   unsigned int *nents)
{
	if (!virtio_gpu_reclaim_may_manage(vgdev, params))
		return virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (!drm_gem_shmem_reclaim_may_add(&vgdev->reclaim->base, params->size))
		return -ENOMEM;
	if (params->blob)
		return virtio_gpu_reclaim_init_blob(vgdev, bo, ents, nents);
	return 0;
}

/**
 * virtio_gpu_reclaim_add_object - begin with an object that was created
 * @vgdev: the device, which was told of it
 * @bo: the object
 * @params: what it is
 */
void virtio_gpu_reclaim_add_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params)
{
	struct virtio_gpu_reclaim *reclaim = vgdev->reclaim;

	mutex_init(&bo->reclaim.ctx_lock);
	INIT_LIST_HEAD(&bo->reclaim.contexts);
	if (!reclaim)
		return;

	atomic64_inc(&reclaim->objects);
	atomic64_add(bo->base.base.size, &reclaim->bytes);
	if (is_managed(bo)) {
		virtio_gpu_reclaim_add_blob(bo);
		return;
	}
	if (!virtio_gpu_reclaim_may_manage(vgdev, params)) {
		atomic64_inc(&reclaim->unmanaged_objects);
		atomic64_add(bo->base.base.size, &reclaim->unmanaged_bytes);
		return;
	}
	if (!reclaim->has_feature)
		bo->reclaim.params = kmemdup(params, sizeof(*params),
					     GFP_KERNEL);
	drm_gem_shmem_reclaim_add(&reclaim->base, &bo->reclaim.base, &bo->base);
}

/**
 * virtio_gpu_reclaim_free_object - forget an object that is being freed
 * @bo: the object, of which add_object may not have been told
 */
void virtio_gpu_reclaim_free_object(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo->base.base.dev->dev_private;
	struct virtio_gpu_reclaim_context *ctx, *next;

	if (!bo->reclaim.contexts.next)
		return;

	if (vgdev->reclaim) {
		s64 size = bo->base.base.size;

		atomic64_dec(&vgdev->reclaim->objects);
		atomic64_sub(size, &vgdev->reclaim->bytes);
		if (!is_managed(bo)) {
			atomic64_dec(&vgdev->reclaim->unmanaged_objects);
			atomic64_sub(size, &vgdev->reclaim->unmanaged_bytes);
		}
	}
	drm_gem_shmem_reclaim_remove(&bo->reclaim.base);
	list_for_each_entry_safe(ctx, next, &bo->reclaim.contexts, node)
		kfree(ctx);
	kfree(bo->reclaim.params);
	mutex_destroy(&bo->reclaim.ctx_lock);
}

/**
 * virtio_gpu_reclaim_open - note that a context gets an object
 * @obj: the object
 * @ctx_id: the context
 *
 * To be called before the device is told.
 *
 * Returns: 0 or -ENOMEM.
 */
int virtio_gpu_reclaim_open(struct drm_gem_object *obj, u32 ctx_id)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_reclaim_context *ctx;

	if (!bo->reclaim.params)
		return 0;

	ctx = kmalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	ctx->ctx_id = ctx_id;
	mutex_lock(&bo->reclaim.ctx_lock);
	list_add_tail(&ctx->node, &bo->reclaim.contexts);
	mutex_unlock(&bo->reclaim.ctx_lock);
	return 0;
}

/**
 * virtio_gpu_reclaim_close - note that a context loses an object
 * @obj: the object
 * @ctx_id: the context
 *
 * To be called before the device is told.
 */
void virtio_gpu_reclaim_close(struct drm_gem_object *obj, u32 ctx_id)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_reclaim_context *ctx;

	if (!bo->reclaim.params)
		return;

	mutex_lock(&bo->reclaim.ctx_lock);
	list_for_each_entry(ctx, &bo->reclaim.contexts, node) {
		if (ctx->ctx_id == ctx_id) {
			list_del(&ctx->node);
			kfree(ctx);
			break;
		}
	}
	mutex_unlock(&bo->reclaim.ctx_lock);
}

/* ------------------------------------------------------------------------ */
/* Life cycle of the device */

/**
 * virtio_gpu_reclaim_init - start reclaiming
 * @vgdev: the device, which answers to commands already
 *
 * If that fails the device works as it does without, and objects keep their
 * pages.
 */
void virtio_gpu_reclaim_init(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_reclaim *reclaim;
	int i, ret;

	reclaim = drmm_kzalloc(vgdev->ddev, sizeof(*reclaim), GFP_KERNEL);
	if (!reclaim)
		goto err;
	reclaim->vgdev = vgdev;
	reclaim->has_feature = virtio_has_feature(vgdev->vdev,
						  VIRTIO_GPU_F_RECLAIM);
	INIT_LIST_HEAD(&reclaim->deferred);
	init_waitqueue_head(&reclaim->attach_wait);
	for (i = 0; i < NR_BATCHES; i++) {
		reclaim->batches[i] = drmm_kzalloc(vgdev->ddev,
						   sizeof(*reclaim->batches[i]),
						   GFP_KERNEL);
		if (!reclaim->batches[i])
			goto err;
	}
	ret = drm_gem_shmem_reclaim_init(&reclaim->base, vgdev->ddev,
					 &virtio_gpu_reclaim_ops);
	if (ret)
		goto err;
	for (i = 0; i < NR_BATCHES; i++)
		drm_gem_shmem_reclaim_add_batch(&reclaim->base,
						&reclaim->batches[i]->base);
	/* Interrupts look at it. */
	smp_store_release(&vgdev->reclaim, reclaim);
	drm_info(vgdev->ddev, "reclaim: %s\n", reclaim->has_feature ?
		 "device can purge" : "by standard commands");
	return;

err:
	drm_warn(vgdev->ddev, "no memory to reclaim memory with\n");
}

/**
 * virtio_gpu_reclaim_fini - stop reclaiming
 * @vgdev: the device, which still answers to commands
 */
void virtio_gpu_reclaim_fini(struct virtio_gpu_device *vgdev)
{
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_fini(&vgdev->reclaim->base);
}

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
