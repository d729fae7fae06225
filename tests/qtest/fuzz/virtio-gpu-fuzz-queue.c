/*
 * virtio-gpu fuzzer: batches of commands on a virtqueue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "tests/qtest/libqtest.h"
#include "virtio-gpu-fuzz-queue.h"

/* After the backing, for each queue: commands, responses, indirect tables. */
#define AREA (FUZZ_BACKING + FUZZ_BACKING_SIZE)
#define OUT_SIZE (16 * MiB)
#define IN_SIZE (8 * MiB)
#define TABLES_SIZE (8 * MiB)
#define AREA_SIZE (OUT_SIZE + IN_SIZE + TABLES_SIZE)

#define PAGE 4096
#define MAX_COMMANDS 1024
#define MAX_BUFFERS 6

/* Generous: software rendering of arbitrary streams on a busy machine. */
#define TIMEOUT_US (40 * G_USEC_PER_SEC)
/* The virtual clock is stopped; its steps let the device poll fences. */
#define STEP_US 2000
#define STEP_NS (10 * 1000 * 1000)

struct FuzzQueue {
    QVirtioGPU *gpu;
    QVirtQueue *vq;
    bool indirect;
    uint64_t area;
    uint32_t out_used, in_used, tables_used, desc_used;
    uint16_t avail_idx, seen_idx;
    unsigned n;
    FuzzCommand commands[MAX_COMMANDS];
    /* Descriptor index -> command. */
    uint16_t by_head[MAX_COMMANDS];
};

FuzzQueue *fuzz_queue_new(QVirtioGPU *gpu, QVirtQueue *vq, unsigned area,
                          bool indirect)
{
    FuzzQueue *q = g_new0(FuzzQueue, 1);

    g_assert_cmpuint(vq->size, <=, MAX_COMMANDS);
    g_assert_cmpuint(AREA + 2 * AREA_SIZE, <=, QVIRTIO_GPU_RAM);
    q->gpu = gpu;
    q->vq = vq;
    q->indirect = indirect;
    q->area = AREA + area * AREA_SIZE;
    return q;
}

void fuzz_queue_free(FuzzQueue *q)
{
    g_free(q);
}

static void *ram(FuzzQueue *q, uint64_t addr)
{
    return q->gpu->ram + addr;
}

static void put_desc(FuzzQueue *q, uint64_t table, uint32_t i, uint64_t addr,
                     uint32_t len, uint16_t flags)
{
    struct vring_desc *desc = ram(q, table);

    desc[i].addr = cpu_to_le64(addr);
    desc[i].len = cpu_to_le32(len);
    desc[i].flags = cpu_to_le16(flags);
    desc[i].next = cpu_to_le16(i + 1);
}

static void make_available(FuzzQueue *q, uint16_t head)
{
    *(uint16_t *)ram(q, q->vq->avail + offsetof(struct vring_avail, ring) +
                     q->avail_idx % q->vq->size * sizeof(uint16_t)) =
        cpu_to_le16(head);
    q->avail_idx++;
}

/* Split @len bytes into up to @max parts at random. Returns the count. */
static unsigned split(GRand *rand, uint32_t len, unsigned max,
                      uint32_t *parts)
{
    unsigned n = 0;

    while (rand && n + 1 < max && len > 1 &&
           g_rand_int_range(rand, 0, 8) == 0) {
        parts[n] = g_rand_int_range(rand, 1, MIN(len, 128));
        len -= parts[n++];
    }
    if (len) {
        parts[n++] = len;
    }
    return n;
}

bool fuzz_queue_add(FuzzQueue *q, GRand *rand, const void *cmd, uint32_t len,
                    uint32_t in_len)
{
    uint32_t parts[2 * MAX_BUFFERS];
    uint64_t out = q->area + q->out_used;
    uint64_t in = q->area + OUT_SIZE + q->in_used;
    uint64_t table = q->vq->desc, addr;
    FuzzCommand *c = &q->commands[q->n];
    unsigned n_out, n, i;
    uint32_t head, first;

    g_assert_cmpuint(len, >, 0);
    g_assert_cmpuint(len, <=, OUT_SIZE);
    n_out = split(rand, len, MAX_BUFFERS, parts);
    n = n_out + split(rand, in_len, MAX_BUFFERS, parts + n_out);
    if (q->n == MAX_COMMANDS || q->out_used + len > OUT_SIZE ||
        q->in_used + in_len > IN_SIZE || q->desc_used + n > q->vq->size) {
        return false;
    }

    head = first = q->desc_used;
    if (q->indirect && rand && g_rand_int_range(rand, 0, 2)) {
        table = q->area + OUT_SIZE + IN_SIZE + q->tables_used;
        q->tables_used += n * sizeof(struct vring_desc);
        put_desc(q, q->vq->desc, head, table, n * sizeof(struct vring_desc),
                 VRING_DESC_F_INDIRECT);
        q->desc_used++;
        first = 0;
    } else {
        q->desc_used += n;
    }
    for (i = 0, addr = out; i < n; i++) {
        if (i == n_out) {
            addr = in;
        }
        put_desc(q, table, first + i, addr, parts[i],
                 (i < n_out ? 0 : VRING_DESC_F_WRITE) |
                 (i + 1 < n ? VRING_DESC_F_NEXT : 0));
        addr += parts[i];
    }

    memcpy(ram(q, out), cmd, len);
    memset(ram(q, in), 0xee, in_len);
    *c = (FuzzCommand) {
        .out = ram(q, out), .out_len = len, .in = ram(q, in), .in_len = in_len,
    };
    q->by_head[head] = q->n++;
    q->out_used = ROUND_UP(q->out_used + len, 8);
    q->in_used = ROUND_UP(q->in_used + in_len, 8);

    make_available(q, head);
    return true;
}

void fuzz_queue_add_broken(FuzzQueue *q, FuzzBroken type)
{
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
    };
    uint64_t out = q->area, in = q->area + OUT_SIZE;
    uint64_t table = q->area + OUT_SIZE + IN_SIZE;
    struct vring_desc *desc = ram(q, q->vq->desc);
    struct vring_desc *inner = ram(q, table);
    uint32_t head = 0, size = 2 * sizeof(*desc);

    q->commands[q->n] = (FuzzCommand) {
        .out = ram(q, out), .out_len = sizeof(cmd),
        .in = ram(q, in), .in_len = PAGE,
    };
    q->by_head[0] = q->n++;
    memcpy(ram(q, out), &cmd, sizeof(cmd));
    put_desc(q, q->vq->desc, 0, out, sizeof(cmd), VRING_DESC_F_NEXT);
    put_desc(q, q->vq->desc, 1, in, PAGE, VRING_DESC_F_WRITE);
    switch (type) {
    case FUZZ_LOOP:
        desc[0].next = 0;
        break;
    case FUZZ_NEXT:
        desc[0].next = cpu_to_le16(q->vq->size);
        break;
    case FUZZ_HEAD:
        head = q->vq->size;
        break;
    case FUZZ_NO_RAM:
        desc[1].addr = cpu_to_le64(1ull << 45);
        break;
    case FUZZ_TOO_LONG:
        desc[1].len = cpu_to_le32(UINT32_MAX);
        break;
    case FUZZ_EMPTY:
        desc[1].len = 0;
        break;
    case FUZZ_ORDER:
        desc[0].flags = cpu_to_le16(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
        desc[1].flags = 0;
        break;
    default:
        /* The same chain in an indirect table. */
        memcpy(inner, desc, size);
        put_desc(q, q->vq->desc, 0, table, size, VRING_DESC_F_INDIRECT);
        break;
    }
    switch (type) {
    case FUZZ_INDIRECT_SIZE:
        desc[0].len = cpu_to_le32(size - sizeof(*desc) / 2);
        break;
    case FUZZ_INDIRECT_NO_RAM:
        desc[0].addr = cpu_to_le64(1ull << 45);
        break;
    case FUZZ_INDIRECT_NESTED:
        inner[1].flags = cpu_to_le16(VRING_DESC_F_INDIRECT);
        break;
    case FUZZ_INDIRECT_NEXT:
        inner[1].flags = cpu_to_le16(VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
        break;
    default:
        break;
    }
    make_available(q, head);
}

void fuzz_queue_kick(FuzzQueue *q)
{
    uint16_t *idx = ram(q, q->vq->avail + offsetof(struct vring_avail, idx));

    /* Make the ring entries visible before the index. */
    smp_wmb();
    qatomic_set(idx, cpu_to_le16(q->avail_idx));
    q->gpu->vdev->bus->virtqueue_kick(q->gpu->vdev, q->vq);
}

static void reap(FuzzQueue *q)
{
    uint16_t *idx = ram(q, q->vq->used + offsetof(struct vring_used, idx));
    uint16_t until = le16_to_cpu(qatomic_read(idx));
    struct vring_used_elem *ring =
        ram(q, q->vq->used + offsetof(struct vring_used, ring));

    /* Read the index before the ring entries. */
    smp_rmb();
    for (; q->seen_idx != until; q->seen_idx++) {
        struct vring_used_elem *elem = &ring[q->seen_idx % q->vq->size];
        uint32_t head = le32_to_cpu(elem->id);
        FuzzCommand *c;

        g_assert_cmpuint(head, <, q->vq->size);
        c = &q->commands[q->by_head[head]];
        g_assert_false(c->completed);
        c->completed = true;
        c->used_len = le32_to_cpu(elem->len);
        g_assert_cmpuint(c->used_len, <=, c->in_len);
    }
}

static bool wait_for_used(FuzzQueue *q, bool or_broken)
{
    gint64 start = g_get_monotonic_time(), step = start;
    QVirtioDevice *vdev = q->gpu->vdev;

    while (reap(q), q->seen_idx != q->avail_idx) {
        gint64 now = g_get_monotonic_time();

        if (or_broken &&
            vdev->bus->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
            return true;
        }
        if (now - start > TIMEOUT_US) {
            return false;
        }
        if (now - step > STEP_US) {
            /* Fails if QEMU has exited. */
            qtest_clock_step(q->gpu->qts, STEP_NS);
            step = g_get_monotonic_time();
        }
        g_usleep(20);
    }
    return true;
}

bool fuzz_queue_wait(FuzzQueue *q)
{
    return wait_for_used(q, false);
}

bool fuzz_queue_wait_broken(FuzzQueue *q)
{
    return wait_for_used(q, true);
}

unsigned fuzz_queue_count(const FuzzQueue *q)
{
    return q->n;
}

const FuzzCommand *fuzz_queue_get(const FuzzQueue *q, unsigned i)
{
    return &q->commands[i];
}

void fuzz_queue_clear(FuzzQueue *q)
{
    q->n = 0;
    q->out_used = q->in_used = q->tables_used = q->desc_used = 0;
}
