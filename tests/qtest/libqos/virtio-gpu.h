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

/* The id of the device. */
#define QVIRTIO_GPU_ID "gpu0"
#define QVIRTIO_GPU_RAM (256u << 20)

/* The limit of resources per purge in QEMU's device. */
#define QVIRTIO_GPU_MAX_PURGE 256

/*
 * A guest with a virtio-gpu. Its RAM is mapped into the test at @ram, which is
 * guest address 0. The test may use guest memory from QVIRTIO_GPU_HEAP on.
 */
#define QVIRTIO_GPU_HEAP (64 * 1024 * 1024)

typedef struct QVirtioGPU {
    const char *id;
    /* Index of the device in the order of the bus. */
    int nth;
    QOSState *qs;
    QTestState *qts;
    QGuestAllocator *alloc;
    /* The transport: one of these is set. */
    QVirtioPCIDevice *pci;
    QVirtioMMIODevice *mmio;
    QVirtioDevice *vdev;
    QVirtQueue *ctrl;
    QVirtQueue *cursor;
    pid_t pid;
    uint8_t *ram;
    /* Guest addresses of the buffers for commands and responses. */
    uint64_t out;
    uint64_t in;
    /* Whether the queues were set up through another instance. */
    bool taken_over;
} QVirtioGPU;

/* Boot with @args, which must create a PCI device with QVIRTIO_GPU_ID. */
QVirtioGPU *qvirtio_gpu_boot(const char *args);

/* The same with a device on a virtio-mmio transport. */
QVirtioGPU *qvirtio_gpu_boot_mmio(const char *args);

void qvirtio_gpu_shutdown(QVirtioGPU *gpu);

/*
 * The second device, with the id @id, of the guest of @first. Free it with
 * qvirtio_gpu_shutdown() before @first.
 */
QVirtioGPU *qvirtio_gpu_second(const QVirtioGPU *first, const char *id);

/*
 * Reset the device and negotiate VIRTIO_F_VERSION_1 and those of @features that
 * it offers. Returns all offered features.
 */
uint64_t qvirtio_gpu_start(QVirtioGPU *gpu, uint64_t features);

/*
 * Use the device without a reset, with the queues and features of @from, from
 * which @gpu has been migrated.
 */
void qvirtio_gpu_take_over(QVirtioGPU *gpu, const QVirtioGPU *from);

/*
 * Send a command of @len bytes with a response buffer of @resp_len bytes, and
 * wait until it completes. The response is copied to @resp unless that is NULL.
 * Returns its type, or 0 if the buffer is smaller than a header.
 */
uint32_t qvirtio_gpu_cmd(QVirtioGPU *gpu, const void *cmd, size_t len,
                         void *resp, size_t resp_len);

/* Send a command on the cursor queue, which has no responses. */
void qvirtio_gpu_cursor(QVirtioGPU *gpu,
                        const struct virtio_gpu_update_cursor *cursor);

/* Send one command. Returns the type of the response. */
uint32_t qvirtio_gpu_create_2d(QVirtioGPU *gpu, uint32_t id, uint32_t format,
                               uint32_t width, uint32_t height);
uint32_t qvirtio_gpu_create_3d(QVirtioGPU *gpu,
                               const struct virtio_gpu_resource_create_3d *res);
uint32_t qvirtio_gpu_unref(QVirtioGPU *gpu, uint32_t id);

/* ATTACH_BACKING with one entry. */
typedef struct QVirtioGPUAttach {
    struct virtio_gpu_resource_attach_backing head;
    struct virtio_gpu_mem_entry entry;
} QVirtioGPUAttach;

/* The command that attaches @len bytes at guest address @addr to @id. */
QVirtioGPUAttach qvirtio_gpu_make_attach(uint32_t id, uint64_t addr,
                                         uint32_t len);
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
 * Purge @n resources. If the response is VIRTIO_GPU_RESP_OK_PURGE, stores the
 * result of each in @result unless that is NULL.
 */
uint32_t qvirtio_gpu_purge(QVirtioGPU *gpu, const uint32_t *ids, uint32_t n,
                           uint32_t *result);

#endif
