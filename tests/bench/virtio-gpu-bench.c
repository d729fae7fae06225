/*
 * Benchmark of commands with many live 2D resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *     virtio-gpu-bench DEVICE-PROPERTIES
 *
 * Run by scripts/bench, with QEMU under callgrind. Creates a growing number of
 * resources, and at each size sends commands of each type. A GET_DISPLAY_INFO
 * before and after makes callgrind dump its counters. Prints a line per phase:
 * the number of live resources, the command, and the number of commands sent.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "tests/qtest/libqtest.h"
#include "tests/qtest/fuzz/virtio-gpu-fuzz-queue.h"

#define SIDE 16
#define BYTES (SIDE * SIDE * 4)
#define SENT 100
/* Commands per batch; must fit into the queue of the 2D device. */
#define BATCH 16

static FuzzQueue *queue;

static void run_batch(void)
{
    unsigned i;

    fuzz_queue_kick(queue);
    g_assert_true(fuzz_queue_wait(queue));
    for (i = 0; i < fuzz_queue_count(queue); i++) {
        uint32_t type = ldl_le_p(fuzz_queue_get(queue, i)->in);

        g_assert_cmphex(type, <, VIRTIO_GPU_RESP_ERR_UNSPEC);
    }
    fuzz_queue_clear(queue);
}

static void put(const void *cmd, size_t len)
{
    g_assert_true(fuzz_queue_add(queue, NULL, cmd, len, 512));
    if (fuzz_queue_count(queue) == BATCH) {
        run_batch();
    }
}

static void mark(const char *label, unsigned live, unsigned sent)
{
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
    };

    run_batch();
    put(&cmd, sizeof(cmd));
    run_batch();
    printf("%u\t%s\t%u\n", live, label, sent);
}

static void create(uint32_t id)
{
    struct virtio_gpu_resource_create_2d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
        .resource_id = cpu_to_le32(id),
        .format = cpu_to_le32(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM),
        .width = cpu_to_le32(SIDE),
        .height = cpu_to_le32(SIDE),
    };

    put(&cmd, sizeof(cmd));
}

static void unref(uint32_t id)
{
    struct virtio_gpu_resource_unref cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF),
        .resource_id = cpu_to_le32(id),
    };

    put(&cmd, sizeof(cmd));
}

static void attach(uint32_t id)
{
    QVirtioGPUAttach cmd = qvirtio_gpu_make_attach(id, FUZZ_BACKING, BYTES);

    put(&cmd, sizeof(cmd));
}

static void detach(uint32_t id)
{
    struct virtio_gpu_resource_detach_backing cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .resource_id = cpu_to_le32(id),
    };

    put(&cmd, sizeof(cmd));
}

static void transfer(uint32_t id)
{
    struct virtio_gpu_transfer_to_host_2d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
        .resource_id = cpu_to_le32(id),
        .r.width = cpu_to_le32(SIDE),
        .r.height = cpu_to_le32(SIDE),
    };

    put(&cmd, sizeof(cmd));
}

static void flush(uint32_t id)
{
    struct virtio_gpu_resource_flush cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
        .resource_id = cpu_to_le32(id),
        .r.width = cpu_to_le32(SIDE),
        .r.height = cpu_to_le32(SIDE),
    };

    put(&cmd, sizeof(cmd));
}

/*
 * Send @command for up to SENT resources, spread over the @n resources from
 * @first on.
 */
static void measure(const char *label, unsigned live, unsigned first,
                    unsigned n, void (*command)(uint32_t))
{
    unsigned sent = MIN(n, SENT), i;

    for (i = 0; i < sent; i++) {
        command(first + (uint64_t)i * n / sent);
    }
    mark(label, live, sent);
}

int main(int argc, char **argv)
{
    static const unsigned numbers[] = { 10, 100, 1000, 10000 };
    g_autofree char *args = NULL;
    unsigned live = 0, i, id;
    QVirtioGPU *gpu;

    g_assert_cmpint(argc, ==, 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    args = g_strdup_printf("-device virtio-gpu-pci,id=" QVIRTIO_GPU_ID "%s",
                           argv[1]);
    gpu = qvirtio_gpu_boot(args);
    qvirtio_gpu_start(gpu, 0);
    queue = fuzz_queue_new(gpu, gpu->ctrl, 0, false);

    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        while (live < numbers[i]) {
            create(++live);
        }
        mark("-", live, 0);
        /* An empty phase measures the overhead of the mark itself. */
        mark("mark", live, 1);
        measure("attach", live, 1, live, attach);
        measure("transfer", live, 1, live, transfer);
        measure("flush", live, 1, live, flush);
        measure("detach", live, 1, live, detach);
        measure("create", live, live + 1, MIN(live, SENT), create);
        measure("unref", live, live + 1, MIN(live, SENT), unref);
    }
    for (id = 1; id <= live; id++) {
        unref(id);
    }
    run_batch();
    fuzz_queue_free(queue);
    qvirtio_gpu_shutdown(gpu);
    return 0;
}
