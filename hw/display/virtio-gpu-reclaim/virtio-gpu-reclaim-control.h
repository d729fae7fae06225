/*
 * Virtio GPU: when resources leave host memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_CONTROL_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_CONTROL_H

#include "virtio-gpu-ledger.h"
#include "virtio-gpu-policy.h"
#include "virtio-gpu-reclaim-backend.h"

/* For the statistics. */
typedef struct VirtIOGPUReclaimControlStatus {
    uint64_t now;               /* ms of the device's clock */
    uint64_t protect_ms;        /* what was used since does not leave */
    VirtIOGPUPressure pressure;
    uint64_t ask_bytes;         /* that the guest is asked for */
    /* Storage that would leave if it had not been used within @protect_ms. */
    uint64_t recent_bytes;
    uint64_t scanned_out_bytes;
} VirtIOGPUReclaimControlStatus;

/**
 * virtio_gpu_reclaim_control_check: Whether the host's pressure can be read.
 * @conf: properties of a device
 * @errp: why not
 */
bool virtio_gpu_reclaim_control_check(const VirtIOGPUReclaimConf *conf,
                                      Error **errp);

void virtio_gpu_reclaim_control_init(VirtIOGPU *g);
void virtio_gpu_reclaim_control_free(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_control_reset: All resources end.
 * @g: the device
 */
void virtio_gpu_reclaim_control_reset(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_control_begin_cmd: A command is going to be carried out.
 * @g: the device, which has a backend
 */
void virtio_gpu_reclaim_control_begin_cmd(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_control_end_cmd: A command has been carried out.
 * @g: the device, which has a backend
 */
void virtio_gpu_reclaim_control_end_cmd(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_control_evicted: The guest has evicted a resource.
 * @g: the device
 * @id: resource id
 *
 * With x-evicted-compress=on it is compressed some time later, if it is
 * EVICTED then.
 */
void virtio_gpu_reclaim_control_evicted(VirtIOGPU *g, uint32_t id);

/**
 * virtio_gpu_reclaim_control_compressed: Account compressed contents.
 * @g: the device
 * @entry: the resource
 * @bytes: that they take
 */
void virtio_gpu_reclaim_control_compressed(VirtIOGPU *g,
                                           VirtIOGPULedgerEntry *entry,
                                           uint64_t bytes);

/**
 * virtio_gpu_reclaim_control_decompressed: Account restored contents.
 * @g: the device
 * @entry: the resource
 * @us: microseconds that it took
 */
void virtio_gpu_reclaim_control_decompressed(VirtIOGPU *g,
                                             VirtIOGPULedgerEntry *entry,
                                             uint64_t us);

/**
 * virtio_gpu_reclaim_control_restored: Account a purged resource that is back.
 * @g: the device
 * @entry: the resource
 */
void virtio_gpu_reclaim_control_restored(VirtIOGPU *g,
                                         VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_reclaim_control_ask: Bytes that the guest should give back.
 * @g: the device
 */
uint64_t virtio_gpu_reclaim_control_ask(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_control_status: What is wanted, and what stays.
 * @g: the device
 */
VirtIOGPUReclaimControlStatus virtio_gpu_reclaim_control_status(VirtIOGPU *g);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_CONTROL_H */
