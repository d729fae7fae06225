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
 *
 * Then attaches 1 GiB to a resource, in growing parts; there a line has pages
 * in place of both numbers.
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

/* A resource of 1 GiB. The guest has fewer pages, which repeat. */
#define LARGE_SIDE 16384
#define PAGE 4096
#define PAGES (FUZZ_BACKING_SIZE / PAGE)
/* Entries that the stock device takes. */
#define STOCK_ENTRIES 16384

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

/* An empty phase measures the overhead of the mark itself. */
static void mark_start(unsigned live)
{
    mark("-", live, 0);
    mark("mark", live, 1);
}

static void create_sized(uint32_t id, uint32_t side)
{
    struct virtio_gpu_resource_create_2d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
        .resource_id = cpu_to_le32(id),
        .format = cpu_to_le32(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM),
        .width = cpu_to_le32(side),
        .height = cpu_to_le32(side),
    };

    put(&cmd, sizeof(cmd));
}

static void create(uint32_t id)
{
    create_sized(id, SIDE);
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

/* Attach @n single pages, none next to the one before, and detach them. */
static void measure_pages(uint32_t id, uint32_t n)
{
    size_t len = sizeof(struct virtio_gpu_resource_attach_backing) +
                 n * sizeof(struct virtio_gpu_mem_entry);
    g_autofree struct virtio_gpu_resource_attach_backing *cmd = g_malloc0(len);
    struct virtio_gpu_mem_entry *entries = (void *)(cmd + 1);
    uint32_t i;

    cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING);
    cmd->resource_id = cpu_to_le32(id);
    cmd->nr_entries = cpu_to_le32(n);
    for (i = 0; i < n; i++) {
        /* Up for a while, and down for a while, as Linux hands them out. */
        uint32_t page = (i & 512 ? ~i : i) * 5 % PAGES;

        entries[i].addr = cpu_to_le64(FUZZ_BACKING + (uint64_t)page * PAGE);
        entries[i].length = cpu_to_le32(PAGE);
    }
    mark_start(n);
    put(cmd, len);
    mark("attach-pages", n, n);
    detach(id);
    mark("detach-pages", n, n);
}

int main(int argc, char **argv)
{
    static const unsigned numbers[] = { 10, 100, 1000, 10000 };
    static const unsigned pages[] = { 1, 16, 256, 4096, 16384, 65536, 262144 };
    const bool is_ours = strstr(argv[argc - 1], "x-reclaim=on");
    g_autofree char *args = NULL;
    unsigned live = 0, i, id;
    QVirtioGPU *gpu;

    g_assert_cmpint(argc, ==, 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    args = g_strdup_printf("-device virtio-gpu-pci,id=" QVIRTIO_GPU_ID
                           ",max_hostmem=2G%s", argv[1]);
    gpu = qvirtio_gpu_boot(args);
    qvirtio_gpu_start(gpu, 0);
    queue = fuzz_queue_new(gpu, gpu->ctrl, 0, false);

    for (i = 0; i < ARRAY_SIZE(numbers); i++) {
        while (live < numbers[i]) {
            create(++live);
        }
        mark_start(live);
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
    create_sized(live + 1, LARGE_SIDE);
    for (i = 0; i < ARRAY_SIZE(pages); i++) {
        if (is_ours || pages[i] <= STOCK_ENTRIES) {
            measure_pages(live + 1, pages[i]);
        }
    }
    unref(live + 1);
    run_batch();
    fuzz_queue_free(queue);
    qvirtio_gpu_shutdown(gpu);
    return 0;
}
