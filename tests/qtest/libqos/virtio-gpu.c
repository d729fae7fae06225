/*
 * libqos driver for virtio-gpu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/pci/pci.h"
#include "libqos-pc.h"
#include "virtio-gpu.h"
#include "qapi/qmp/qdict.h"
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"

#define OUT_SIZE (4 * MiB)
#define IN_SIZE (64 * KiB)

/* Generous: software rendering on a busy machine. */
#define TIMEOUT_US (60 * G_USEC_PER_SEC)

/* Step of the virtual clock, whose timer polls pending fences. */
#define FENCE_NS (10 * 1000 * 1000)

/* Transports of a microvm, and registers that libqos does not define. */
#define MMIO_BASE 0xfeb00000
#define MMIO_SIZE 512
#define MMIO_COUNT 24
#define MMIO_QUEUE_READY 0x044
#define MMIO_QUEUE_DESC 0x080
#define MMIO_QUEUE_AVAIL 0x090
#define MMIO_QUEUE_USED 0x0a0

static void write_addr(QVirtioMMIODevice *mmio, uint64_t reg, uint64_t addr)
{
    qtest_writel(mmio->qts, mmio->addr + reg, addr);
    qtest_writel(mmio->qts, mmio->addr + reg + 4, addr >> 32);
}

/* libqos supports only legacy queues. */
static QVirtQueue *mmio_queue_setup(QVirtioDevice *vdev,
                                    QGuestAllocator *alloc, uint16_t index)
{
    QVirtioMMIODevice *mmio = container_of(vdev, QVirtioMMIODevice, vdev);
    QVirtQueue *vq = g_new0(QVirtQueue, 1);
    uint64_t addr;

    qtest_writel(mmio->qts, mmio->addr + QVIRTIO_MMIO_QUEUE_SEL, index);
    g_assert_cmpuint(qtest_readl(mmio->qts, mmio->addr + MMIO_QUEUE_READY), ==,
                     0);
    vq->vdev = vdev;
    vq->index = index;
    vq->size = vdev->bus->get_queue_size(vdev);
    g_assert_cmpuint(vq->size, >, 0);
    vq->num_free = vq->size;
    vq->align = mmio->page_size;
    addr = guest_alloc(alloc, qvring_size(vq->size, vq->align));
    qvring_init(mmio->qts, alloc, vq, addr);

    qtest_writel(mmio->qts, mmio->addr + QVIRTIO_MMIO_QUEUE_NUM, vq->size);
    write_addr(mmio, MMIO_QUEUE_DESC, vq->desc);
    write_addr(mmio, MMIO_QUEUE_AVAIL, vq->avail);
    write_addr(mmio, MMIO_QUEUE_USED, vq->used);
    qtest_writel(mmio->qts, mmio->addr + MMIO_QUEUE_READY, 1);
    return vq;
}

static QVirtQueue *queue_setup(QVirtioGPU *gpu, uint16_t index)
{
    return gpu->mmio ? mmio_queue_setup(gpu->vdev, gpu->alloc, index)
                     : qvirtqueue_setup(gpu->vdev, gpu->alloc, index);
}

static QVirtioGPU *boot(const char *args, bool mmio)
{
    const char *machine = mmio ? "microvm -global virtio-mmio.force-legacy=off"
                               : "q35";
    QVirtioGPU *gpu = g_new0(QVirtioGPU, 1);
    g_autofree char *path = NULL;
    g_autofree char *pidfile = NULL;
    g_autofree char *pid = NULL;
    g_autofree char *all = NULL;
    int fd;

    fd = g_file_open_tmp("qtest-virtio-gpu-XXXXXX", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, QVIRTIO_GPU_RAM), ==, 0);
    gpu->ram = mmap(NULL, QVIRTIO_GPU_RAM, PROT_READ | PROT_WRITE,
                    MAP_SHARED, fd, 0);
    g_assert(gpu->ram != MAP_FAILED);
    pidfile = g_strconcat(path, ".pid", NULL);

    all = g_strdup_printf("-M %s -machine memory-backend=ram -m %uM "
                          "-nodefaults -object memory-backend-file,id=ram,"
                          "share=on,size=%u,mem-path=%s -pidfile %s %s",
                          machine, QVIRTIO_GPU_RAM >> 20, QVIRTIO_GPU_RAM,
                          path, pidfile, args);
    if (mmio) {
        gpu->qts = qtest_init(all);
        gpu->alloc = g_new0(QGuestAllocator, 1);
        alloc_init(gpu->alloc, ALLOC_NO_FLAGS, 1 * MiB, QVIRTIO_GPU_HEAP,
                   4 * KiB);
    } else {
        gpu->qs = qtest_pc_boot("%s", all);
        gpu->qts = gpu->qs->qts;
        gpu->alloc = &gpu->qs->alloc;
    }
    g_assert_true(g_file_get_contents(pidfile, &pid, NULL, NULL));
    gpu->pid = g_ascii_strtoull(pid, NULL, 10);
    unlink(path);
    close(fd);

    gpu->id = QVIRTIO_GPU_ID;
    gpu->out = guest_alloc(gpu->alloc, OUT_SIZE);
    gpu->in = guest_alloc(gpu->alloc, IN_SIZE);
    return gpu;
}

QVirtioGPU *qvirtio_gpu_boot(const char *args)
{
    return boot(args, false);
}

QVirtioGPU *qvirtio_gpu_boot_mmio(const char *args)
{
    QVirtioGPU *gpu = boot(args, true);
    uint64_t addr = MMIO_BASE;

    while (qtest_readl(gpu->qts, addr + QVIRTIO_MMIO_DEVICE_ID) !=
           VIRTIO_ID_GPU) {
        addr += MMIO_SIZE;
        g_assert_cmphex(addr, <, MMIO_BASE + MMIO_COUNT * MMIO_SIZE);
    }
    gpu->mmio = g_new0(QVirtioMMIODevice, 1);
    qvirtio_mmio_init_device(gpu->mmio, gpu->qts, addr, 4 * KiB);
    gpu->vdev = &gpu->mmio->vdev;
    return gpu;
}

QVirtioGPU *qvirtio_gpu_second(const QVirtioGPU *first, const char *id)
{
    QVirtioGPU *gpu = g_new0(QVirtioGPU, 1);

    gpu->id = id;
    gpu->nth = 1;
    gpu->qs = first->qs;
    gpu->alloc = first->alloc;
    gpu->qts = first->qts;
    gpu->pid = first->pid;
    gpu->ram = first->ram;
    gpu->out = guest_alloc(gpu->alloc, OUT_SIZE);
    gpu->in = guest_alloc(gpu->alloc, IN_SIZE);
    return gpu;
}

static void stop(QVirtioGPU *gpu)
{
    if (gpu->taken_over) {
        g_free(container_of(gpu->ctrl, QVirtQueuePCI, vq));
        g_free(container_of(gpu->cursor, QVirtQueuePCI, vq));
    } else if (gpu->ctrl) {
        qvirtqueue_cleanup(gpu->vdev->bus, gpu->ctrl, gpu->alloc);
        qvirtqueue_cleanup(gpu->vdev->bus, gpu->cursor, gpu->alloc);
    }
    gpu->ctrl = gpu->cursor = NULL;
    gpu->taken_over = false;
}

void qvirtio_gpu_shutdown(QVirtioGPU *gpu)
{
    stop(gpu);
    if (gpu->pci) {
        qvirtio_pci_device_disable(gpu->pci);
        g_free(gpu->pci->pdev);
        g_free(gpu->pci);
    }
    guest_free(gpu->alloc, gpu->out);
    guest_free(gpu->alloc, gpu->in);
    if (gpu->mmio) {
        alloc_destroy(gpu->alloc);
        g_free(gpu->alloc);
        g_free(gpu->mmio);
        qtest_quit(gpu->qts);
    } else if (gpu->nth == 0) {
        qtest_shutdown(gpu->qs);
    }
    if (gpu->nth == 0) {
        munmap(gpu->ram, QVIRTIO_GPU_RAM);
    }
    g_free(gpu);
}

typedef struct Found {
    QPCIDevice *pdev;
    int to_skip;
} Found;

static void find_gpu(QPCIDevice *pdev, int devfn, void *data)
{
    Found *found = data;

    if (found->pdev || found->to_skip--) {
        g_free(pdev);
    } else {
        found->pdev = pdev;
    }
}

static void find_device(QVirtioGPU *gpu)
{
    Found found = { .to_skip = gpu->nth };
    QPCIAddress addr;

    if (gpu->pci || gpu->mmio) {
        return;
    }
    qpci_device_foreach(gpu->qs->pcibus, PCI_VENDOR_ID_REDHAT_QUMRANET,
                        0x1040 + VIRTIO_ID_GPU, find_gpu, &found);
    g_assert_nonnull(found.pdev);
    addr = (QPCIAddress) { .devfn = found.pdev->devfn };
    g_free(found.pdev);
    gpu->pci = virtio_pci_new(gpu->qs->pcibus, &addr);
    gpu->vdev = &gpu->pci->vdev;
    qvirtio_pci_device_enable(gpu->pci);
}

static QVirtQueue *copy_queue(const QVirtioGPU *gpu, const QVirtQueue *vq)
{
    QVirtQueuePCI *copy = g_new(QVirtQueuePCI, 1);

    *copy = *container_of(vq, QVirtQueuePCI, vq);
    copy->vq.vdev = gpu->vdev;
    return &copy->vq;
}

void qvirtio_gpu_take_over(QVirtioGPU *gpu, const QVirtioGPU *from)
{
    stop(gpu);
    find_device(gpu);
    g_assert_cmpuint(gpu->out, ==, from->out);
    g_assert_cmpuint(gpu->in, ==, from->in);
    gpu->vdev->features = from->vdev->features;
    gpu->vdev->features_negotiated = true;
    gpu->ctrl = copy_queue(gpu, from->ctrl);
    gpu->cursor = copy_queue(gpu, from->cursor);
    gpu->taken_over = true;
}

uint64_t qvirtio_gpu_start(QVirtioGPU *gpu, uint64_t features)
{
    uint64_t offered;

    stop(gpu);
    find_device(gpu);
    qvirtio_start_device(gpu->vdev);
    offered = qvirtio_get_features(gpu->vdev);
    qvirtio_set_features(gpu->vdev,
                         offered & (features | (1ull << VIRTIO_F_VERSION_1)));
    gpu->ctrl = queue_setup(gpu, 0);
    gpu->cursor = queue_setup(gpu, 1);
    qvirtio_set_driver_ok(gpu->vdev);
    return offered;
}

static void transmit(QVirtioGPU *gpu, QVirtQueue *vq, const void *cmd,
                     size_t len, size_t resp_len)
{
    gint64 start = g_get_monotonic_time();
    uint32_t head;

    g_assert_cmpuint(len, <=, OUT_SIZE);
    g_assert_cmpuint(resp_len, <=, IN_SIZE);
    memcpy(gpu->ram + gpu->out, cmd, len);
    memset(gpu->ram + gpu->in, 0xee, resp_len);

    /* Only one command is in flight: reuse the descriptors. */
    vq->free_head = 0;
    head = qvirtqueue_add(gpu->qts, vq, gpu->out, len, false, resp_len > 0);
    if (resp_len) {
        qvirtqueue_add(gpu->qts, vq, gpu->in, resp_len, true, false);
    }
    qvirtqueue_kick(gpu->qts, gpu->vdev, vq, head);
    while (!qvirtqueue_get_buf(gpu->qts, vq, NULL, NULL)) {
        qtest_clock_step(gpu->qts, FENCE_NS);
        g_assert_cmpint(g_get_monotonic_time() - start, <, TIMEOUT_US);
    }
}

uint32_t qvirtio_gpu_cmd(QVirtioGPU *gpu, const void *cmd, size_t len,
                         void *resp, size_t resp_len)
{
    const struct virtio_gpu_ctrl_hdr *hdr =
        (const void *)(gpu->ram + gpu->in);

    transmit(gpu, gpu->ctrl, cmd, len, resp_len);
    if (resp) {
        memcpy(resp, hdr, resp_len);
    }
    return resp_len < sizeof(*hdr) ? 0 : le32_to_cpu(hdr->type);
}

void qvirtio_gpu_cursor(QVirtioGPU *gpu,
                        const struct virtio_gpu_update_cursor *cursor)
{
    transmit(gpu, gpu->cursor, cursor, sizeof(*cursor), 0);
}

/* A command whose response is only a header. */
#define CMD(gpu, cmd) \
    qvirtio_gpu_cmd(gpu, &(cmd), sizeof(cmd), NULL, \
                    sizeof(struct virtio_gpu_ctrl_hdr))

uint32_t qvirtio_gpu_create_2d(QVirtioGPU *gpu, uint32_t id, uint32_t format,
                               uint32_t width, uint32_t height)
{
    struct virtio_gpu_resource_create_2d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
        .resource_id = cpu_to_le32(id),
        .format = cpu_to_le32(format),
        .width = cpu_to_le32(width),
        .height = cpu_to_le32(height),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_create_3d(QVirtioGPU *gpu,
                               const struct virtio_gpu_resource_create_3d *res)
{
    struct virtio_gpu_resource_create_3d cmd = *res;

    cmd.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D);
    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_unref(QVirtioGPU *gpu, uint32_t id)
{
    struct virtio_gpu_resource_unref cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF),
        .resource_id = cpu_to_le32(id),
    };

    return CMD(gpu, cmd);
}

QVirtioGPUAttach qvirtio_gpu_make_attach(uint32_t id, uint64_t addr,
                                         uint32_t len)
{
    return (QVirtioGPUAttach) {
        .head.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
        .head.resource_id = cpu_to_le32(id),
        .head.nr_entries = cpu_to_le32(1),
        .entry.addr = cpu_to_le64(addr),
        .entry.length = cpu_to_le32(len),
    };
}

uint32_t qvirtio_gpu_attach_entries(QVirtioGPU *gpu, uint32_t id,
                                    const struct virtio_gpu_mem_entry *entries,
                                    uint32_t n)
{
    size_t size = sizeof(struct virtio_gpu_resource_attach_backing) +
                  n * sizeof(*entries);
    g_autofree struct virtio_gpu_resource_attach_backing *cmd = g_malloc0(size);

    cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING);
    cmd->resource_id = cpu_to_le32(id);
    cmd->nr_entries = cpu_to_le32(n);
    memcpy(cmd + 1, entries, n * sizeof(*entries));
    return qvirtio_gpu_cmd(gpu, cmd, size, NULL,
                           sizeof(struct virtio_gpu_ctrl_hdr));
}

uint32_t qvirtio_gpu_attach(QVirtioGPU *gpu, uint32_t id, uint64_t addr,
                            uint32_t len)
{
    QVirtioGPUAttach cmd = qvirtio_gpu_make_attach(id, addr, len);

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.head.hdr));
}

uint32_t qvirtio_gpu_detach(QVirtioGPU *gpu, uint32_t id)
{
    struct virtio_gpu_resource_detach_backing cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .resource_id = cpu_to_le32(id),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_set_scanout(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                                 uint32_t height)
{
    struct virtio_gpu_set_scanout cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SET_SCANOUT),
        .resource_id = cpu_to_le32(id),
        .r.width = cpu_to_le32(width),
        .r.height = cpu_to_le32(height),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_flush(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                           uint32_t height)
{
    struct virtio_gpu_resource_flush cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
        .resource_id = cpu_to_le32(id),
        .r.width = cpu_to_le32(width),
        .r.height = cpu_to_le32(height),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_to_host_2d(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                                uint32_t height, uint64_t offset)
{
    struct virtio_gpu_transfer_to_host_2d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
        .resource_id = cpu_to_le32(id),
        .r.width = cpu_to_le32(width),
        .r.height = cpu_to_le32(height),
        .offset = cpu_to_le64(offset),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_transfer_3d(QVirtioGPU *gpu, bool to_host, uint32_t ctx,
                                 uint32_t id, uint32_t width, uint32_t height)
{
    struct virtio_gpu_transfer_host_3d cmd = {
        .hdr.type = cpu_to_le32(to_host ? VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D :
                                VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D),
        .hdr.ctx_id = cpu_to_le32(ctx),
        .resource_id = cpu_to_le32(id),
        .box.w = cpu_to_le32(width),
        .box.h = cpu_to_le32(height),
        .box.d = cpu_to_le32(1),
    };

    return CMD(gpu, cmd);
}

uint32_t qvirtio_gpu_ctx(QVirtioGPU *gpu, uint32_t type, uint32_t ctx,
                         uint32_t id)
{
    struct virtio_gpu_ctx_resource res = {
        .hdr.type = cpu_to_le32(type),
        .hdr.ctx_id = cpu_to_le32(ctx),
        .resource_id = cpu_to_le32(id),
    };
    struct virtio_gpu_ctx_create create = {
        .hdr.type = cpu_to_le32(type),
        .hdr.ctx_id = cpu_to_le32(ctx),
    };

    return type == VIRTIO_GPU_CMD_CTX_CREATE ? CMD(gpu, create) : CMD(gpu, res);
}

uint32_t qvirtio_gpu_purge(QVirtioGPU *gpu, const uint32_t *ids, uint32_t n,
                           uint32_t *result)
{
    size_t size = sizeof(struct virtio_gpu_resource_purge) + n * sizeof(*ids);
    size_t resp_size = sizeof(struct virtio_gpu_resp_purge) +
                       n * sizeof(*result);
    g_autofree struct virtio_gpu_resource_purge *cmd = g_malloc0(size);
    g_autofree struct virtio_gpu_resp_purge *resp = g_malloc0(resp_size);
    uint32_t type, i;

    cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE);
    cmd->count = cpu_to_le32(n);
    for (i = 0; i < n; i++) {
        cmd->ids[i] = cpu_to_le32(ids[i]);
    }
    type = qvirtio_gpu_cmd(gpu, cmd, size, resp, resp_size);
    if (type == VIRTIO_GPU_RESP_OK_PURGE) {
        g_assert_cmpuint(le32_to_cpu(resp->count), ==, n);
        for (i = 0; result && i < n; i++) {
            result[i] = le32_to_cpu(resp->result[i]);
        }
    }
    return type;
}
