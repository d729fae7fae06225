/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H
#define _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H

/*
 * Virtio GPU: reclaim of resource memory. Additions to <linux/virtio_gpu.h>;
 * the numbers are provisional.
 *
 * With the feature, a RESOURCE_DETACH_BACKING or RESOURCE_PURGE that came back
 * on the used ring means that the device holds no reference to the pages any
 * more, without any fence.
 */

#include <linux/types.h>
#include <linux/virtio_gpu.h>

#define VIRTIO_GPU_F_RECLAIM 12

#define VIRTIO_GPU_CMD_RESOURCE_PURGE 0x01f0
#define VIRTIO_GPU_RESP_OK_PURGE 0x11f0

/* Most resources in one VIRTIO_GPU_CMD_RESOURCE_PURGE. */
#define VIRTIO_GPU_PURGE_MAX 256

/* What became of a resource that was to be purged. */
enum virtio_gpu_purge_result {
	VIRTIO_GPU_PURGE_PURGED = 0,
	VIRTIO_GPU_PURGE_BUSY = 1,
	VIRTIO_GPU_PURGE_UNKNOWN_ID = 2,
};

/* VIRTIO_GPU_CMD_RESOURCE_PURGE */
struct virtio_gpu_resource_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 count;
	__le32 padding;
	__le32 ids[];
};

/* VIRTIO_GPU_RESP_OK_PURGE */
struct virtio_gpu_resp_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 count;
	__le32 padding;
	__le32 result[];
};

#endif /* _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H */
