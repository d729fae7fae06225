/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio GPU: reclaim of resource memory
 *
 * What VIRTIO_GPU_F_RECLAIM adds to virtio_gpu.h. The numbers are provisional:
 * they keep clear of those the virtio specification assigns and of those
 * proposed for it. See docs/specs/virtio-gpu-reclaim.rst.
 */

#ifndef VIRTIO_GPU_RECLAIM_H
#define VIRTIO_GPU_RECLAIM_H

#include "standard-headers/linux/types.h"
#include "standard-headers/linux/virtio_gpu.h"

/* Feature bit: the device does all that is in this file. */
#define VIRTIO_GPU_F_RECLAIM            12

/* Control queue: struct virtio_gpu_resource_purge ... */
#define VIRTIO_GPU_CMD_RESOURCE_PURGE   0x01f0
/* ... is answered by struct virtio_gpu_resp_purge. */
#define VIRTIO_GPU_RESP_OK_PURGE        0x11f0

/* Most resources in one VIRTIO_GPU_CMD_RESOURCE_PURGE. */
#define VIRTIO_GPU_PURGE_MAX            256

/* What became of one resource of a purge. */
enum virtio_gpu_purge_result {
	/* detached, and its contents are lost */
	VIRTIO_GPU_PURGE_PURGED = 0,
	/* shown on a scanout or as cursor, or mapped: nothing was done */
	VIRTIO_GPU_PURGE_BUSY = 1,
	/* no such resource */
	VIRTIO_GPU_PURGE_UNKNOWN_ID = 2,
};

struct virtio_gpu_resource_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	uint32_t count;			/* 1 ... VIRTIO_GPU_PURGE_MAX */
	uint32_t padding;
	uint32_t ids[];			/* count resource ids */
};

struct virtio_gpu_resp_purge {
	struct virtio_gpu_ctrl_hdr hdr;
	uint32_t count;			/* as in the request */
	uint32_t padding;
	uint32_t result[];		/* enum virtio_gpu_purge_result */
};

#endif /* VIRTIO_GPU_RECLAIM_H */
