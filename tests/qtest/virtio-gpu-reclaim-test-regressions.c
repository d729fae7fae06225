/*
 * QTest testcase for virtio-gpu memory reclaim: regression tests
 *
 * Past bugs of virtio-gpu devices, listed in docs/devel/regressions.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"

static bool all_zero(const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size && !*p) {
        p++;
        size--;
    }
    return !size;
}

/* Unused parts of a response are zero, not the 0xee that the buffer had. */
static void test_responses(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
    }, hdr;
    struct virtio_gpu_resp_display_info info;
    struct virtio_gpu_get_capset_info get_info = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_CAPSET_INFO),
        .capset_index = cpu_to_le32(99),
    };
    struct virtio_gpu_resp_capset_info capset;
    struct virtio_gpu_cmd_get_edid get_edid = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_EDID),
    };
    struct virtio_gpu_resp_edid edid;
    struct {
        struct virtio_gpu_ctrl_hdr hdr;
        uint32_t count, padding, ids[1];
    } purge = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .count = cpu_to_le32(1),
        .padding = UINT32_MAX,
        .ids = { cpu_to_le32(1) },
    };

    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &info,
                                    sizeof(info)), ==,
                    VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    g_assert_true(all_zero(&info.hdr.flags, sizeof(info.hdr) - 4));
    g_assert_true(all_zero(info.pmodes + 1, sizeof(info) -
                           offsetof(struct virtio_gpu_resp_display_info,
                                    pmodes[1])));

    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &get_edid, sizeof(get_edid), &edid,
                                    sizeof(edid)), ==,
                    VIRTIO_GPU_RESP_OK_EDID);
    g_assert_true(all_zero(&edid.hdr.flags, sizeof(edid.hdr) - 4));
    g_assert_cmpuint(edid.padding, ==, 0);
    g_assert_cmpuint(le32_to_cpu(edid.size), <=, sizeof(edid.edid));

    cmd.type = 0;
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &hdr,
                                    sizeof(hdr)), ==, UNSPEC);
    g_assert_true(all_zero(&hdr.flags, sizeof(hdr) - 4));

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &purge, sizeof(purge), &purge,
                                    sizeof(purge)), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_true(all_zero(&purge.hdr.flags, sizeof(purge.hdr) - 4));
    g_assert_cmpuint(purge.padding, ==, 0);

    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &get_info, sizeof(get_info),
                                        &capset, sizeof(capset)), ==,
                        VIRTIO_GPU_RESP_OK_CAPSET_INFO);
        g_assert_true(all_zero(&capset.hdr.flags, sizeof(capset) - 4));
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Unknown capsets are rejected. The version of a known one is not checked. */
static void test_capset(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_get_capset cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_CAPSET),
    };
    static const uint32_t bad[] = { 0, 3, 99, UINT32_MAX };
    uint32_t version;
    int i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        cmd.capset_id = cpu_to_le32(bad[i]);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, 4096),
                        ==, BAD_PARAMETER);
    }
    cmd.capset_id = cpu_to_le32(1);
    for (version = 0; version < 4; version++) {
        cmd.capset_version = cpu_to_le32(version == 3 ? UINT32_MAX : version);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, 4096),
                        ==, VIRTIO_GPU_RESP_OK_CAPSET);
        /* A response buffer with the size of the header. */
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                        sizeof(cmd.hdr)), ==,
                        VIRTIO_GPU_RESP_OK_CAPSET);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* virgl_caps_v2 of virglrenderer's virgl_hw.h. */
#define CAPABILITY_BITS         392
#define CAP_ARB_BUFFER_STORAGE  (1u << 31)
#define MAX_VIDEO_MEMORY        692

typedef struct Capset {
    struct virtio_gpu_ctrl_hdr hdr;
    uint8_t data[4096];
} Capset;

static void read_capset(QVirtioGPU *gpu, Capset *capset)
{
    struct virtio_gpu_get_capset cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_CAPSET),
        .capset_id = cpu_to_le32(VIRTIO_GPU_CAPSET_VIRGL2),
        .capset_version = cpu_to_le32(2),
    };

    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), capset,
                                    sizeof(*capset)), ==,
                    VIRTIO_GPU_RESP_OK_CAPSET);
}

/*
 * A guest does not get persistent mappings, whose storage its streams would
 * create, and all else that the stock device has.
 */
static void test_capset_mappings(const void *data)
{
    const Device *dev = data;
    g_autofree Capset *stock = g_new0(Capset, 1);
    g_autofree Capset *ours = g_new0(Capset, 1);
    QVirtioGPU *gpu = boot(dev, dev->args);
    uint32_t bits;

    qvirtio_gpu_start(gpu, VIRGL);
    read_capset(gpu, stock);
    qvirtio_gpu_shutdown(gpu);
    bits = ldl_le_p(stock->data + CAPABILITY_BITS);
    g_assert_cmphex(bits & CAP_ARB_BUFFER_STORAGE, !=, 0);
    stl_le_p(stock->data + CAPABILITY_BITS, bits & ~CAP_ARB_BUFFER_STORAGE);

    gpu = start(dev);
    read_capset(gpu, ours);
    /* Of virglrenderer 1.1, and what is free at the moment. */
    stl_le_p(stock->data + MAX_VIDEO_MEMORY, 0);
    stl_le_p(ours->data + MAX_VIDEO_MEMORY, 0);
    g_assert_cmpmem(ours->data, sizeof(ours->data), stock->data,
                    sizeof(stock->data));
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. Invalid scanout ids. */
static void test_scanout_index(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_set_scanout set = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SET_SCANOUT),
        .resource_id = cpu_to_le32(1),
        .r.width = cpu_to_le32(SIDE),
        .r.height = cpu_to_le32(SIDE),
    };
    struct virtio_gpu_cmd_get_edid edid = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_GET_EDID),
    };
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(1),
    };
    static const uint32_t bad[] = { 1, 15, 16, 1 << 30, UINT32_MAX };
    int i;

    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        set.scanout_id = cpu_to_le32(bad[i]);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &set, sizeof(set), NULL,
                                        sizeof(set.hdr)), ==,
                        VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
        edid.scanout = cpu_to_le32(bad[i]);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &edid, sizeof(edid), NULL,
                                        sizeof(edid.hdr)), ==, BAD_PARAMETER);
        cursor.pos.scanout_id = cpu_to_le32(bad[i]);
        qvirtio_gpu_cursor(gpu, &cursor);
    }
    /* Rejected commands do not restore the resource. */
    g_assert_cmpuint(get_stat(gpu, "restores"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* Sizes that overflow 32 bits to small values. */
static void test_hostmem_overflow(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",max_hostmem=256M");
    static const uint32_t bad[][2] = {
        { 65536, 16384 }, { 16384, 65536 }, { 0x40000001, 1 },
        { 1, 0x40000001 }, { 0x80000000, 2 }, { UINT32_MAX, 1 },
        { UINT32_MAX, UINT32_MAX }, { 65536, 65537 },
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        uint32_t ret = qvirtio_gpu_create_2d(gpu, 1, FORMAT, bad[i][0],
                                             bad[i][1]);

        if (ret != BAD_PARAMETER) {
            g_assert_cmphex(ret, ==, NO_MEMORY);
        }
    }
    check_stats(gpu, (Stats) { .errors = ARRAY_SIZE(bad) });
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * DMA to the device itself. Its registers are rejected as backing. A response
 * or a used ring at its doorbell notifies the device within a command.
 */
static void test_reentrancy(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint64_t bar = qpci_config_readl(gpu->pci->pdev, PCI_BASE_ADDRESS_4);
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
    };
    uint64_t doorbell;
    uint32_t head;
    int i;

    bar &= PCI_BASE_ADDRESS_MEM_MASK;
    bar |= (uint64_t)qpci_config_readl(gpu->pci->pdev,
                                       PCI_BASE_ADDRESS_5) << 32;
    g_assert_cmphex(bar, !=, 0);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, bar, 2 * PAGE), ==,
                    BAD_PARAMETER);
    doorbell = bar +
               container_of(gpu->ctrl, QVirtQueuePCI, vq)->notify_offset;

    /* A response at the doorbell, ... */
    memcpy(gpu->ram + gpu->out, &cmd, sizeof(cmd));
    gpu->ctrl->free_head = 0;
    head = qvirtqueue_add(gpu->qts, gpu->ctrl, gpu->out, sizeof(cmd), false,
                          true);
    qvirtqueue_add(gpu->qts, gpu->ctrl, doorbell, 4, true, false);
    qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, head);

    /* ... and, after a reset, a used ring at the doorbell. */
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    qvirtio_start_device(gpu->vdev);
    qvirtio_set_features(gpu->vdev, RECLAIM | (1ull << VIRTIO_F_VERSION_1));
    gpu->vdev->bus->queue_select(gpu->vdev, 0);
    gpu->ctrl->used = doorbell;
    gpu->vdev->bus->set_queue_address(gpu->vdev, gpu->ctrl);
    qpci_io_writew(gpu->pci->pdev, gpu->pci->bar,
                   gpu->pci->common_cfg_offset +
                   offsetof(struct virtio_pci_common_cfg, queue_enable), 1);
    /* Later versions of QEMU find such a ring bad: they want a reset. */
    gpu->vdev->bus->set_status(gpu->vdev,
                               gpu->vdev->bus->get_status(gpu->vdev) |
                               VIRTIO_CONFIG_S_DRIVER_OK);
    for (i = 0; i < 10; i++) {
        memcpy(gpu->ram + gpu->out, &cmd, sizeof(cmd));
        gpu->ctrl->free_head = 0;
        head = qvirtqueue_add(gpu->qts, gpu->ctrl, gpu->out, sizeof(cmd),
                              false, true);
        qvirtqueue_add(gpu->qts, gpu->ctrl, gpu->in, 1024, true, false);
        qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, head);
        qtest_clock_step(gpu->qts, 1000000);
    }

    /* After a reset the device works. */
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

/* The stock handler aborts in its iovec code at such offsets. */
static void test_transfer_offset(const void *data)
{
    QVirtioGPU *gpu = start(data);
    static const uint64_t bad[] = { BYTES, 1 << 30, 1ull << 32, UINT64_MAX };
    int i;

    make(gpu, 1);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, bad[i]), ==,
                        BAD_PARAMETER);
    }
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, 1, BYTES - 1), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Cursors of formats whose blocks are not 4 bytes, and of other targets than
 * 2D, are ignored. The renderer would treat them as pixels of 4 bytes and write
 * beyond the end of the buffer. Found by fuzzing.
 */
static void test_cursor_format(const void *data)
{
    static const uint32_t formats[] = {
        9, 28, 64, 94, 105, 106, 107, 108, 143, 145, 255, 256, 257, 258,
    };
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = {
        .bind = cpu_to_le32(BIND_SAMPLER_VIEW),
        .width = cpu_to_le32(SIDE),
        .height = cpu_to_le32(SIDE),
        .depth = cpu_to_le32(1),
    };
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
    };
    int i, created = 0;

    for (i = 0; i < 4 * ARRAY_SIZE(formats); i++) {
        bool cube = i >= 2 * ARRAY_SIZE(formats);

        res.resource_id = cpu_to_le32(i + 1);
        res.format = cpu_to_le32(formats[i % ARRAY_SIZE(formats)]);
        res.target = cpu_to_le32(cube ? TARGET_CUBE : TARGET_2D);
        res.array_size = cpu_to_le32(cube ? 6 : 1);
        /* Formats that the GL driver does not support are rejected. */
        if (qvirtio_gpu_create_3d(gpu, &res) == OK) {
            cursor.resource_id = res.resource_id;
            qvirtio_gpu_cursor(gpu, &cursor);
            created++;
        }
    }
    g_assert_cmpint(created, >, 0);
    for (i = 0; i < 4 * ARRAY_SIZE(formats); i++) {
        qvirtio_gpu_unref(gpu, i + 1);
    }
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* The stock device aborts on rectangles larger than the resource. */
static void test_scanout_rect(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = buffer_3d(2, SIDE);

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, UINT32_MAX, UINT32_MAX),
                    ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE + 1, 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, 1, SIDE + 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 2, SIDE, 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, UINT32_MAX, UINT32_MAX), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "responses", test_responses, ON_ALL },
    { "capset", test_capset, ON_GL },
    { "capset-mappings", test_capset_mappings, ON_GL_PCI },
    { "scanout-index", test_scanout_index, ON_ALL },
    { "hostmem-overflow", test_hostmem_overflow, ON_ALL },
    { "reentrancy", test_reentrancy, ON_PCI },
    { "transfer-offset", test_transfer_offset, ON_2D },
    { "cursor-format", test_cursor_format, ON_GL },
    { "scanout-rect", test_scanout_rect, ON_GL },
};

void add_regression_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
