/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio GPU: reclaim of resource memory. Additions to <linux/virtio_gpu.h>;
 * the numbers are provisional: they keep clear of those that the virtio
 * specification assigns and of those proposed for it. The protocol is
 * described in docs/specs/virtio-gpu-reclaim.rst.
 *
 * This is the only definition. QEMU's copy in include/standard-headers/linux is
 * generated from it when QEMU's modules are built.
 */

#ifndef _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H
#define _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H

#include <linux/types.h>
#include <linux/virtio_gpu.h>

/* Feature bit: the device implements all that is in this file. */
#define VIRTIO_GPU_F_RECLAIM 12

/* Control queue: struct virtio_gpu_resource_purge, no fence. */
#define VIRTIO_GPU_CMD_RESOURCE_PURGE 0x01f0
/* Its response: struct virtio_gpu_resp_purge. */
#define VIRTIO_GPU_RESP_OK_PURGE 0x11f0

/* Control queue: struct virtio_gpu_ctrl_hdr alone, no fence. */
#define VIRTIO_GPU_CMD_GET_RECLAIM_TARGET 0x01f1
/* Its response: struct virtio_gpu_resp_reclaim_target. */
#define VIRTIO_GPU_RESP_OK_RECLAIM_TARGET 0x11f1

/*
 * In events_read of the configuration space: the device wants memory back, and
 * VIRTIO_GPU_CMD_GET_RECLAIM_TARGET says how much.
 */
#define VIRTIO_GPU_EVENT_RECLAIM (1 << 8)

/*
 * With the feature, the configuration space has one more field at this offset
 * (16 to 19 are left to other features): __le32, the most resources in one
 * VIRTIO_GPU_CMD_RESOURCE_PURGE. At least 1.
 */
#define VIRTIO_GPU_CONFIG_MAX_PURGE 20

/* Result for one resource of a purge. */
enum virtio_gpu_purge_result {
	/* detached, and its contents are lost */
	VIRTIO_GPU_PURGE_PURGED = 0,
	/* on a scanout, used as cursor or mapped: nothing was done */
	VIRTIO_GPU_PURGE_BUSY = 1,
	/* no such resource */
	VIRTIO_GPU_PURGE_UNKNOWN_ID = 2,
	/* cannot be purged, now or later (a blob): nothing was done */
	VIRTIO_GPU_PURGE_UNSUPPORTED = 3,
};

/* VIRTIO_GPU_CMD_RESOURCE_PURGE */
struct virtio_gpu_resource_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 count;			/* 1 to max_purge */
	__le32 padding;
	__le32 ids[];			/* count resource ids */
};

/* VIRTIO_GPU_RESP_OK_PURGE */
struct virtio_gpu_resp_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 count;			/* as in the request */
	__le32 padding;
	__le32 result[];		/* enum virtio_gpu_purge_result */
};

/* VIRTIO_GPU_RESP_OK_RECLAIM_TARGET */
struct virtio_gpu_resp_reclaim_target {
	struct virtio_gpu_ctrl_hdr hdr;
	__le64 bytes;			/* of host memory; 0: none any more */
};

#endif /* _UAPI_LINUX_VIRTIO_GPU_RECLAIM_H */
