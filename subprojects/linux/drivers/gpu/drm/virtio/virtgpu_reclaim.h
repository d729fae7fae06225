/* SPDX-License-Identifier: MIT */
#ifndef VIRTGPU_RECLAIM_H
#define VIRTGPU_RECLAIM_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <drm/drm_gem_shmem_reclaim.h>

#include <uapi/drm/virtgpu_reclaim_drm.h>
#include <uapi/linux/virtio_gpu_reclaim.h>

struct dma_buf;
struct drm_device;
struct drm_file;
struct drm_framebuffer;
struct drm_gem_object;
struct drm_minor;
struct file;
struct iosys_map;
struct seq_file;
struct virtio_gpu_device;
struct virtio_gpu_mem_entry;
struct virtio_gpu_object;
struct virtio_gpu_object_array;
struct virtio_gpu_object_params;
struct virtio_gpu_reclaim;
struct virtio_gpu_vbuffer;

/**
 * enum virtio_gpu_backing - state of an object's backing on the device
 */
enum virtio_gpu_backing {
	/** @VIRTIO_GPU_BACKING_NONE: not attached */
	VIRTIO_GPU_BACKING_NONE,
	/** @VIRTIO_GPU_BACKING_SENT: RESOURCE_ATTACH_BACKING is in flight */
	VIRTIO_GPU_BACKING_SENT,
	/** @VIRTIO_GPU_BACKING_ATTACHED: attached */
	VIRTIO_GPU_BACKING_ATTACHED,
};

/**
 * struct virtio_gpu_object_reclaim - reclaim state of an object
 *
 * Unless stated otherwise, fields are protected by the reservation lock.
 */
struct virtio_gpu_object_reclaim {
	/** @base: the generic part */
	struct drm_gem_shmem_reclaim_object base;
	/**
	 * @backing: set to SENT under the reservation lock and changed from
	 * there by the completion of the command, and set to NONE by the
	 * completion of a reclaim request; the two are never in flight at the
	 * same time
	 */
	enum virtio_gpu_backing backing;
	/** @error: why the last RESOURCE_ATTACH_BACKING failed */
	int error;
	/** @attached_before: attaching is a reattach, not the first one */
	bool attached_before;
	/**
	 * @purged_on_device: the device restores its storage when backing is
	 * attached; set with @backing by a purge, never cleared
	 */
	bool purged_on_device;
	/** @has_host_image: the device scans out storage of its own; constant */
	bool has_host_image;
	/**
	 * @params: parameters to recreate the resource after a purge by
	 * RESOURCE_UNREF; constant, NULL with VIRTIO_GPU_F_RECLAIM or if the
	 * allocation failed
	 */
	struct virtio_gpu_object_params *params;
	/** @ctx_lock: protects @contexts; nests inside the reservation lock */
	struct mutex ctx_lock;
	/** @contexts: contexts to attach a recreated resource to */
	struct list_head contexts;
};

/* virtgpu_reclaim.c: lifecycle of the device */
void virtio_gpu_reclaim_init(struct virtio_gpu_device *vgdev);
void virtio_gpu_reclaim_fini(struct virtio_gpu_device *vgdev);

/* virtgpu_reclaim.c: lifecycle of an object */
int virtio_gpu_reclaim_init_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params,
				   struct virtio_gpu_mem_entry **ents,
				   unsigned int *nents);
void virtio_gpu_reclaim_add_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params);
void virtio_gpu_reclaim_free_object(struct virtio_gpu_object *bo);
int virtio_gpu_reclaim_open(struct drm_gem_object *obj, u32 ctx_id);
void virtio_gpu_reclaim_close(struct drm_gem_object *obj, u32 ctx_id);

/* virtgpu_reclaim_on_demand.c */
bool virtio_gpu_reclaim_is_unbacked(const struct virtio_gpu_object_params *params);
int virtio_gpu_reclaim_require(struct virtio_gpu_object_array *objs);
int virtio_gpu_reclaim_require_submit(struct virtio_gpu_object_array *objs,
				      u32 context_init, const u32 *commands,
				      u32 size);

/* virtgpu_reclaim_prepare.c */
int virtio_gpu_reclaim_prepare(struct virtio_gpu_object_array *objs);
int virtio_gpu_reclaim_begin_access(struct virtio_gpu_object *bo);
void virtio_gpu_reclaim_end_access(struct virtio_gpu_object *bo);
int virtio_gpu_reclaim_pin(struct drm_gem_object *obj);
void virtio_gpu_reclaim_unpin(struct drm_gem_object *obj);
int virtio_gpu_reclaim_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void virtio_gpu_reclaim_vunmap(struct drm_gem_object *obj,
			       struct iosys_map *map);
int virtio_gpu_reclaim_fb_init(struct drm_gem_object *obj);
void virtio_gpu_reclaim_fb_fini(struct drm_gem_object *obj);
void virtio_gpu_reclaim_fb_destroy(struct drm_framebuffer *fb);
int virtio_gpu_reclaim_handle_to_fd(struct drm_device *dev,
				    struct drm_file *file, u32 handle, u32 flags,
				    int *fd);
struct dma_buf *virtio_gpu_reclaim_export(struct drm_gem_object *obj, int flags);
int virtio_gpu_reclaim_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma);
extern const struct vm_operations_struct virtio_gpu_reclaim_vm_ops;

/* virtgpu_reclaim_ioctl.c */
bool virtio_gpu_reclaim_getparam(struct virtio_gpu_device *vgdev, u64 param,
				 int *value);
int virtio_gpu_madvise_ioctl(struct drm_device *dev, void *data,
			     struct drm_file *file);

/* virtgpu_reclaim_debugfs.c */
void virtio_gpu_reclaim_show_fdinfo(struct seq_file *m, struct file *f);
void virtio_gpu_reclaim_debugfs_init(struct drm_minor *minor);

/* virtgpu_reclaim_target.c */
u32 virtio_gpu_reclaim_config_changed(struct virtio_gpu_device *vgdev,
				      u32 events);

/* virtgpu_reclaim_queue.c */
void virtio_gpu_reclaim_ack(struct virtio_gpu_device *vgdev);
void virtio_gpu_reclaim_splice_deferred(struct virtio_gpu_device *vgdev,
					struct list_head *list);
bool virtio_gpu_reclaim_put_vbuf(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf);
void virtio_gpu_reclaim_abort(struct virtio_gpu_device *vgdev);

/* virtgpu_object.c */
int virtio_gpu_object_shmem_init(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_object *bo,
				 struct virtio_gpu_mem_entry **ents,
				 unsigned int *nents);

/* virtgpu_vq.c */
void free_vbuf(struct virtio_gpu_device *vgdev,
	       struct virtio_gpu_vbuffer *vbuf);
void *virtio_gpu_alloc_cmd_cb(struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_vbuffer **vbuffer_p, int size,
			      void (*cb)(struct virtio_gpu_device *vgdev,
					 struct virtio_gpu_vbuffer *vbuf));
int virtio_gpu_queue_ctrl_buffer(struct virtio_gpu_device *vgdev,
				 struct virtio_gpu_vbuffer *vbuf);

#endif /* VIRTGPU_RECLAIM_H */
