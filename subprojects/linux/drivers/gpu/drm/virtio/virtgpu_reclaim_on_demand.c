// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: textures without pages.
 *
 * A device that renders has storage of its own for a texture. The guest's pages
 * are only used by transfers, mappings and other devices, so a texture is
 * unbacked until the first of these: it has no pages, is not attached and is not
 * charged. The driver sees all of them but those in command streams, which it
 * inspects for that.
 */

#include <linux/dma-resv.h>
#include <linux/module.h>

#include "virtgpu_reclaim_internal.h"

static bool pages_on_demand = true;
module_param(pages_on_demand, bool, 0644);
MODULE_PARM_DESC(pages_on_demand,
		 "Populate textures when their pages are used, not when they are drawn (default: true)");

/* Of the virgl protocol. */
#define VIRGL_TARGET_BUFFER		0
#define VIRGL_BIND_CUSTOM		BIT(17)
#define VIRGL_BIND_STAGING		BIT(19)
#define VIRGL_RESOURCE_COPY_REGION	17
#define VIRGL_TRANSFER3D		43
#define VIRGL_COPY_TRANSFER3D		45
#define VIRGL_COPY_TRANSFER3D_FLAGS_READ_FROM_HOST BIT(1)
#define VIRGL_CAPSET_MAX		2

/*
 * Comparisons of a resource id in a stream with an object. Far beyond the
 * largest stream of Mesa; what is not found within is taken for used.
 */
#define MAX_STEPS 0x80000

/**
 * virtio_gpu_reclaim_is_unbacked - whether a new object needs no pages yet
 * @params: parameters of a resource that is shrinkable
 *
 * The contents of buffers, and of resources that are bound as staging memory
 * or for queries, may be in the guest's pages only.
 *
 * Returns: whether it does not.
 */
bool virtio_gpu_reclaim_is_unbacked(const struct virtio_gpu_object_params *params)
{
	return READ_ONCE(pages_on_demand) && params->virgl && !params->blob &&
	       params->target != VIRGL_TARGET_BUFFER &&
	       !(params->bind & (VIRGL_BIND_CUSTOM | VIRGL_BIND_STAGING));
}

/* A snapshot: once cleared it stays so. */
static bool is_unbacked(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return is_shrinkable(bo) && READ_ONCE(bo->reclaim.base.unbacked);
}

static int virtio_gpu_require_one(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (!is_unbacked(obj))
		return 0;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	ret = drm_gem_shmem_reclaim_require(&bo->reclaim.base);
	dma_resv_unlock(obj->resv);
	return ret;
}

/**
 * virtio_gpu_reclaim_require - have objects populated for a command
 * @objs: the objects, whose reservation locks are not held
 *
 * To be called before virtio_gpu_array_lock_resv() for a command that uses the
 * pages.
 *
 * Returns: 0; -ENODATA if an object is purged; -ENOMEM if memory is unlikely to
 * suffice; -EINTR.
 */
int virtio_gpu_reclaim_require(struct virtio_gpu_object_array *objs)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < objs->nents && !ret; i++)
		ret = virtio_gpu_require_one(objs->objs[i]);
	return ret;
}

/*
 * Require the object of the resource @id. *@steps is the number of comparisons
 * left; returns -E2BIG if there are none.
 */
static int virtio_gpu_require_id(struct virtio_gpu_object_array *objs, u32 id,
				 u32 *steps)
{
	u32 i;

	for (i = 0; i < objs->nents; i++) {
		if (!(*steps)--)
			return -E2BIG;
		if (gem_to_virtio_gpu_obj(objs->objs[i])->hw_res_handle == id)
			return virtio_gpu_require_one(objs->objs[i]);
	}
	return 0;
}

/*
 * A transfer between a texture and the pages of another resource. To read back,
 * virglrenderer 1.1 wants the texture to have pages, too, of which it uses none.
 */
static int virtio_gpu_require_copy_transfer(struct virtio_gpu_object_array *objs,
					    const u32 *command, u32 *steps)
{
	int ret = virtio_gpu_require_id(objs, command[12], steps);

	if (!ret && (command[14] & VIRGL_COPY_TRANSFER3D_FLAGS_READ_FROM_HOST))
		ret = virtio_gpu_require_id(objs, command[1], steps);
	return ret;
}

/*
 * The commands of a stream that use the pages of a texture: a transfer, one
 * between a texture and the pages of another, and a copy from it, for which a
 * renderer on OpenGL ES may take the contents from there. All others name
 * buffers, or carry their data.
 */
static int virtio_gpu_require_stream(struct virtio_gpu_object_array *objs,
				     const u32 *commands, u32 count)
{
	u32 steps = MAX_STEPS;
	u32 at, length;
	int ret = 0;

	/* A command is a header and as many words as its upper half says. */
	for (at = 0; at < count && !ret; at += 1 + length) {
		length = commands[at] >> 16;
		if (length >= count - at)
			break;
		if (!steps--)
			return -E2BIG;
		switch (commands[at] & 0xff) {
		case VIRGL_TRANSFER3D:
			if (length >= 1)
				ret = virtio_gpu_require_id(objs,
							    commands[at + 1],
							    &steps);
			break;
		case VIRGL_COPY_TRANSFER3D:
			if (length >= 14)
				ret = virtio_gpu_require_copy_transfer(objs,
								       commands + at,
								       &steps);
			break;
		case VIRGL_RESOURCE_COPY_REGION:
			if (length >= 6)
				ret = virtio_gpu_require_id(objs,
							    commands[at + 6],
							    &steps);
			break;
		}
	}
	return ret;
}

/**
 * virtio_gpu_reclaim_require_submit - have objects populated for a submission
 * @objs: the objects that user space lists for it, whose reservation locks are
 *	not held; may be NULL
 * @context_init: &virtio_gpu_fpriv.context_init
 * @commands: the command stream
 * @size: its size in bytes
 *
 * Textures that the stream only draws to or samples from stay unbacked. All are
 * populated if it cannot be read: one of another context type, or far too long.
 *
 * Returns: as virtio_gpu_reclaim_require().
 */
int virtio_gpu_reclaim_require_submit(struct virtio_gpu_object_array *objs,
				      u32 context_init, const u32 *commands,
				      u32 size)
{
	u32 capset = context_init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK;
	int ret = -E2BIG;
	u32 i;

	for (i = 0; objs && i < objs->nents && !is_unbacked(objs->objs[i]); i++)
		;
	if (!objs || i == objs->nents)
		return 0;

	if (capset <= VIRGL_CAPSET_MAX)
		ret = virtio_gpu_require_stream(objs, commands,
						size / sizeof(*commands));
	return ret == -E2BIG ? virtio_gpu_reclaim_require(objs) : ret;
}
