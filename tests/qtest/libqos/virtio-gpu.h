/*
 * libqos driver for virtio-gpu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_VIRTIO_GPU_H
#define TESTS_LIBQOS_VIRTIO_GPU_H

#include "libqos.h"
#include "virtio.h"
#include "virtio-mmio.h"
#include "virtio-pci.h"
#include "standard-headers/linux/virtio_gpu.h"
#include "standard-headers/linux/virtio_gpu_reclaim.h"

/* The id of the device that qvirtio_gpu_start() expects. */
#define QVIRTIO_GPU_ID "gpu0"
#define QVIRTIO_GPU_RAM (256u << 20)

/* The most resources that QEMU's device takes in one purge. */
#define QVIRTIO_GPU_MAX_PURGE 256

/*
 * A guest with a virtio-gpu and nothing else. Its RAM is mapped here: what
 * is at @ram is at guest address 0. From QVIRTIO_GPU_HEAP on it is free for
 * the test to use.
 */
#define QVIRTIO_GPU_HEAP (64 * 1024 * 1024)

typedef struct QVirtioGPU {
    const char *id;
    /* Which of the devices it is, in the order of the bus. */
    int nth;
    QOSState *qs;
    QTestState *qts;
    QGuestAllocator *alloc;
    /* One of these is its transport. */
    QVirtioPCIDevice *pci;
    QVirtioMMIODevice *mmio;
    QVirtioDevice *vdev;
    QVirtQueue *ctrl;
    QVirtQueue *cursor;
    pid_t pid;
    uint8_t *ram;
    /* Where commands and responses are put together. */
    uint64_t out;
    uint64_t in;
    /* The queues were set up by somebody else. */
    bool taken_over;
} QVirtioGPU;

/* Boot with @args, which have to make a PCI device with QVIRTIO_GPU_ID. */
QVirtioGPU *qvirtio_gpu_boot(const char *args);

/* The same with a device on a virtio-mmio transport. */
QVirtioGPU *qvirtio_gpu_boot_mmio(const char *args);

void qvirtio_gpu_shutdown(QVirtioGPU *gpu);

/*
 * The second device, called @id, of a guest that was booted with one more. It
 * goes with the same function, before the first one.
 */
QVirtioGPU *qvirtio_gpu_second(const QVirtioGPU *first, const char *id);

/*
 * Reset the device and start it with those of @features that it offers, and
 * VIRTIO_F_VERSION_1. Returns all that it offers.
 */
uint64_t qvirtio_gpu_start(QVirtioGPU *gpu, uint64_t features);

/*
 * Go on, without a reset, where the driver of @from has stopped: @gpu is a
 * device that has been migrated, or the same one as of a snapshot.
 */
void qvirtio_gpu_take_over(QVirtioGPU *gpu, const QVirtioGPU *from);

/*
 * Send @len bytes of command and wait for the response, of which at most
 * @resp_len bytes are offered room. Returns the response's type, 0 if there
 * was no room for that.
 */
uint32_t qvirtio_gpu_cmd(QVirtioGPU *gpu, const void *cmd, size_t len,
                         void *resp, size_t resp_len);

/* Send a command on the cursor queue, which has no responses. */
void qvirtio_gpu_cursor(QVirtioGPU *gpu,
                        const struct virtio_gpu_update_cursor *cursor);

/* Single commands. They return the type of the response. */
uint32_t qvirtio_gpu_create_2d(QVirtioGPU *gpu, uint32_t id, uint32_t format,
                               uint32_t width, uint32_t height);
uint32_t qvirtio_gpu_create_3d(QVirtioGPU *gpu,
                               const struct virtio_gpu_resource_create_3d *res);
uint32_t qvirtio_gpu_unref(QVirtioGPU *gpu, uint32_t id);
uint32_t qvirtio_gpu_attach_entries(QVirtioGPU *gpu, uint32_t id,
                                    const struct virtio_gpu_mem_entry *entries,
                                    uint32_t n);
uint32_t qvirtio_gpu_attach(QVirtioGPU *gpu, uint32_t id, uint64_t addr,
                            uint32_t len);
uint32_t qvirtio_gpu_detach(QVirtioGPU *gpu, uint32_t id);
uint32_t qvirtio_gpu_set_scanout(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                                 uint32_t height);
uint32_t qvirtio_gpu_flush(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                           uint32_t height);
uint32_t qvirtio_gpu_to_host_2d(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                                uint32_t height, uint64_t offset);
uint32_t qvirtio_gpu_transfer_3d(QVirtioGPU *gpu, bool to_host, uint32_t ctx,
                                 uint32_t id, uint32_t width, uint32_t height);
uint32_t qvirtio_gpu_ctx(QVirtioGPU *gpu, uint32_t type, uint32_t ctx,
                         uint32_t id);

/*
 * Purge @n resources. The results are in @result, if the response is
 * VIRTIO_GPU_RESP_OK_PURGE.
 */
uint32_t qvirtio_gpu_purge(QVirtioGPU *gpu, const uint32_t *ids, uint32_t n,
                           uint32_t *result);

#endif
