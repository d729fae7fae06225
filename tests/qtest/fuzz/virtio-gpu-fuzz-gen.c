/*
 * virtio-gpu fuzzer: generator of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "virtio-gpu-fuzz-gen.h"

#define PAGE 4096

/* Resource ids 1 to IDS and contexts that most commands refer to. */
#define IDS 48
#define CONTEXTS 4

/* Size of the shortest command, also if truncated. */
#define SHORTEST 1

/* Expected states of resources, as a mask. */
enum {
    ABSENT = 1 << 0,
    BARE = 1 << 1,              /* resident, no backing */
    ATTACHED = 1 << 2,
    EVICTED = 1 << 3,
    PURGED = 1 << 4,
    LIVE = BARE | ATTACHED | EVICTED | PURGED,
};

struct FuzzGen {
    const FuzzModel *model;
    GRand *rand;
    GByteArray *out;
    uint32_t in_len;
    uint32_t fence;
    int state[IDS + 1];
    struct {
        uint32_t w, h;
    } size[IDS + 1];
};

FuzzGen *fuzz_gen_new(const FuzzModel *model)
{
    FuzzGen *gen = g_new0(FuzzGen, 1);

    gen->model = model;
    gen->out = g_byte_array_new();
    return gen;
}

void fuzz_gen_free(FuzzGen *gen)
{
    g_byte_array_free(gen->out, true);
    g_free(gen);
}

void fuzz_gen_start(FuzzGen *gen, GRand *rand)
{
    gen->rand = rand;
    memset(gen->size, 0, sizeof(gen->size));
}

void fuzz_gen_sync(FuzzGen *gen)
{
    uint32_t id;

    for (id = 1; id <= IDS; id++) {
        FuzzResource *res = fuzz_model_find(gen->model, id);

        gen->state[id] = !res ? ABSENT : res->state == FUZZ_PURGED ? PURGED :
            res->state == FUZZ_EVICTED ? EVICTED :
            res->backing ? ATTACHED : BARE;
        if (res) {
            gen->size[id].w = res->width;
            gen->size[id].h = res->height;
        }
    }
}

static uint32_t below(FuzzGen *gen, uint32_t n)
{
    return g_rand_int_range(gen->rand, 0, n);
}

/* True once in @n calls on average. */
static bool chance(FuzzGen *gen, uint32_t n)
{
    return below(gen, n) == 0;
}

static uint32_t edge_value(FuzzGen *gen)
{
    static const uint32_t values[] = {
        0, 1, 2, 3, 15, 16, 255, 256, 257, 4095, 4096, 4097, 16383, 16384,
        16385, 32767, 32768, 65535, 65536, 0x1000000, INT32_MAX,
        0x80000000, 0xfffff000, UINT32_MAX - 1, UINT32_MAX,
    };

    return chance(gen, 4) ? g_rand_int(gen->rand) :
                            values[below(gen, ARRAY_SIZE(values))];
}

/* Pick an id, mostly of a resource in one of @states. */
static uint32_t pick(FuzzGen *gen, int states)
{
    uint32_t id = 0;
    int i;

    if (chance(gen, 40)) {
        return chance(gen, 2) ? edge_value(gen) : below(gen, IDS + 10);
    }
    for (i = 0; i < 12; i++) {
        id = 1 + below(gen, IDS);
        if (gen->state[id] & states) {
            break;
        }
    }
    return id;
}

static void set_state(FuzzGen *gen, uint32_t id, int from, int to)
{
    if (id >= 1 && id <= IDS && (gen->state[id] & from)) {
        gen->state[id] = to;
    }
}

static void size_of(FuzzGen *gen, uint32_t id, uint32_t *w, uint32_t *h)
{
    bool known = id >= 1 && id <= IDS && gen->size[id].w;

    *w = known ? MIN(gen->size[id].w, 16384) : 64;
    *h = known ? MIN(gen->size[id].h, 16384) : 64;
}

/* Appending to the command */

static void put32(FuzzGen *gen, uint32_t value)
{
    uint8_t bytes[4];

    stl_le_p(bytes, value);
    g_byte_array_append(gen->out, bytes, sizeof(bytes));
}

static void put64(FuzzGen *gen, uint64_t value)
{
    put32(gen, value);
    put32(gen, value >> 32);
}

static void put_header(FuzzGen *gen, uint32_t type, uint32_t ctx)
{
    bool fence = chance(gen, 50);

    g_byte_array_set_size(gen->out, 0);
    put32(gen, type);
    put32(gen, fence ? VIRTIO_GPU_FLAG_FENCE : 0);
    put64(gen, fence ? ++gen->fence : 0);
    put32(gen, ctx);
    put32(gen, 0);
    gen->in_len = sizeof(struct virtio_gpu_ctrl_hdr);
}

/* Commands */

static uint32_t dimension(FuzzGen *gen)
{
    switch (below(gen, 100)) {
    case 0 ... 79:
        return 1 + below(gen, 64);
    case 80 ... 93:
        return 1 + below(gen, 256);
    case 94 ... 97:
        return 1 + below(gen, 1024);
    default:
        return edge_value(gen);
    }
}

static void make_create_2d(FuzzGen *gen)
{
    static const uint32_t formats[] = { 1, 2, 3, 4, 67, 68, 121, 134 };
    uint32_t id = pick(gen, ABSENT);
    uint32_t w = dimension(gen), h = dimension(gen);

    put_header(gen, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 0);
    put32(gen, id);
    put32(gen, chance(gen, 50) ? edge_value(gen) :
          formats[below(gen, ARRAY_SIZE(formats))]);
    put32(gen, w);
    put32(gen, h);
    if (id <= IDS && gen->state[id] == ABSENT) {
        gen->size[id].w = w;
        gen->size[id].h = h;
    }
    set_state(gen, id, ABSENT, BARE);
}

static void make_create_3d(FuzzGen *gen)
{
    uint32_t id = pick(gen, ABSENT);
    uint32_t target = chance(gen, 4) ? below(gen, 10) : chance(gen, 3) ? 0 : 2;
    uint32_t w = dimension(gen), h = target == 0 ? 1 : dimension(gen);
    bool array = target == 3 || target >= 6;

    put_header(gen, VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0);
    put32(gen, id);
    put32(gen, target);
    /* Formats: mostly color, buffer and depth formats. */
    put32(gen, target == 0 ? 64 : chance(gen, 8) ? below(gen, 320) :
          chance(gen, 8) ? 16 + below(gen, 6) : 1 + below(gen, 4));
    /* Binds: depth, render target, sampler view, vertex buffer, ... */
    put32(gen, chance(gen, 20) ? edge_value(gen) :
          target == 0 ? 1u << (4 + below(gen, 3)) : 1u << below(gen, 4));
    put32(gen, w);
    put32(gen, h);
    put32(gen, chance(gen, 30) ? edge_value(gen) :
          target == 3 ? 1 + below(gen, 8) : 1);
    put32(gen, chance(gen, 30) ? edge_value(gen) :
          target == 4 ? 6 : array ? 1 + below(gen, 6) : 1);
    put32(gen, chance(gen, 30) ? edge_value(gen) :
          chance(gen, 4) ? below(gen, 6) : 0);
    put32(gen, chance(gen, 30) ? below(gen, 9) : 0);
    put32(gen, chance(gen, 30) ? edge_value(gen) : below(gen, 2));
    put32(gen, 0);
    if (id <= IDS && gen->state[id] == ABSENT) {
        gen->size[id].w = w;
        gen->size[id].h = h;
    }
    set_state(gen, id, ABSENT, BARE);
}

static void make_id(FuzzGen *gen, uint32_t type, int from, int to)
{
    uint32_t id = pick(gen, from);

    put_header(gen, type, 0);
    put32(gen, id);
    put32(gen, chance(gen, 50) ? edge_value(gen) : 0);
    set_state(gen, id, from, to);
}

static void put_entry(FuzzGen *gen, uint64_t addr, uint32_t len)
{
    if (chance(gen, 1500)) {
        static const uint64_t bad[] = {
            QVIRTIO_GPU_RAM, QVIRTIO_GPU_RAM - 16, 0xfee00000, 0xfffc0000,
            0xa0000, 0xc0000, 0xe0000000, 1ull << 45, UINT64_MAX - 100,
            UINT64_MAX,
        };

        addr = bad[below(gen, ARRAY_SIZE(bad))];
    }
    if (chance(gen, 1500)) {
        len = edge_value(gen);
    }
    put64(gen, addr);
    put32(gen, len);
    put32(gen, 0);
}

/* Append entries for about @bytes, of random layout. Returns nr_entries. */
static uint32_t put_entries(FuzzGen *gen, uint64_t bytes)
{
    uint64_t pages = MAX(1, MIN(DIV_ROUND_UP(bytes, PAGE), 4096)), i;
    uint64_t start = FUZZ_BACKING +
        PAGE * (uint64_t)below(gen, FUZZ_BACKING_SIZE / PAGE - pages);
    uint32_t n = 0, len;

    switch (below(gen, 64)) {
    case 0 ... 19:                      /* one entry */
        put_entry(gen, start, pages * PAGE);
        return 1;
    case 20 ... 34:                     /* pages that can be merged */
        for (i = 0; i < pages; i++) {
            put_entry(gen, start + i * PAGE, PAGE);
        }
        return pages;
    case 35 ... 49:                     /* pages that cannot */
        for (i = 0; i < pages; i++) {
            put_entry(gen, start + (pages - 1 - i) * PAGE, PAGE);
        }
        return pages;
    case 50 ... 55:                     /* one page, repeated */
        for (i = 0; i < pages; i++) {
            put_entry(gen, start, PAGE);
        }
        return pages;
    case 56 ... 59:                     /* short, unaligned entries */
        n = below(gen, 300);
        for (i = 0; i < n; i++) {
            len = 1 + below(gen, 200);
            put_entry(gen, start + below(gen, PAGE), len);
        }
        return n;
    case 60:                            /* too small */
        put_entry(gen, start, 1 + below(gen, PAGE));
        return 1;
    case 61:                            /* up to or beyond the end of RAM */
        put_entry(gen, start, QVIRTIO_GPU_RAM - start + below(gen, 2));
        return 1;
    case 62:                            /* about the largest count */
        if (!chance(gen, 8)) {
            return 0;
        }
        n = 16384 + below(gen, 4 + pages);
        for (i = 0; i < n; i++) {
            put_entry(gen, FUZZ_BACKING + (n - i) * PAGE, PAGE);
        }
        return n;
    default:                            /* wrong count */
        put_entry(gen, start, pages * PAGE);
        return chance(gen, 2) ? edge_value(gen) : below(gen, 4);
    }
}

static void make_attach(FuzzGen *gen)
{
    int states = chance(gen, 12) ? LIVE : BARE | EVICTED | PURGED;
    uint32_t id = pick(gen, states), w, h, n;

    size_of(gen, id, &w, &h);
    put_header(gen, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 0);
    put32(gen, id);
    put32(gen, 0);
    n = put_entries(gen, (uint64_t)w * h * 4);
    stl_le_p(gen->out->data + offsetof(
        struct virtio_gpu_resource_attach_backing, nr_entries), n);
    set_state(gen, id, BARE | EVICTED | PURGED, ATTACHED);
}

static void make_purge(FuzzGen *gen)
{
    uint32_t n = chance(gen, 4) ? 1 + below(gen, 40) : 1 + below(gen, 3), i;

    if (chance(gen, 60)) {
        n = 250 + below(gen, 10);
    }
    put_header(gen, VIRTIO_GPU_CMD_RESOURCE_PURGE, 0);
    put32(gen, chance(gen, 40) ? edge_value(gen) : n);
    put32(gen, 0);
    for (i = 0; i < n; i++) {
        uint32_t id = pick(gen, chance(gen, 10) ? ABSENT | LIVE :
                           BARE | ATTACHED | EVICTED);

        put32(gen, id);
        set_state(gen, id, LIVE, PURGED);
    }
    gen->in_len = sizeof(struct virtio_gpu_resp_purge) + n * 4;
}

/* Generate a range, mostly within @size. */
static void part(FuzzGen *gen, uint32_t size, uint32_t *start, uint32_t *len)
{
    size = MAX(size, 1);
    *start = chance(gen, 2) ? 0 : below(gen, size);
    *len = chance(gen, 2) ? size - *start : 1 + below(gen, size - *start);
    if (chance(gen, 40)) {
        *start = edge_value(gen);
    }
    if (chance(gen, 40)) {
        *len = edge_value(gen);
    }
}

static uint64_t offset(FuzzGen *gen)
{
    return !chance(gen, 8) ? 0 : !chance(gen, 8) ? below(gen, 65536) :
           (uint64_t)edge_value(gen) << (32 * below(gen, 2));
}

static void put_rect(FuzzGen *gen, uint32_t id)
{
    uint32_t w, h, x, y;

    size_of(gen, id, &w, &h);
    part(gen, w, &x, &w);
    part(gen, h, &y, &h);
    put32(gen, x);
    put32(gen, y);
    put32(gen, w);
    put32(gen, h);
}

static void make_to_host_2d(FuzzGen *gen)
{
    uint32_t id = pick(gen, chance(gen, 12) ? LIVE : ATTACHED);

    put_header(gen, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 0);
    put_rect(gen, id);
    put64(gen, offset(gen));
    put32(gen, id);
    put32(gen, 0);
}

static void make_transfer_3d(FuzzGen *gen)
{
    uint32_t id = pick(gen, chance(gen, 12) ? LIVE : ATTACHED);
    uint32_t w, h, x, y, z = 0, d = 1;

    size_of(gen, id, &w, &h);
    part(gen, w, &x, &w);
    part(gen, h, &y, &h);
    if (chance(gen, 6)) {
        part(gen, 6, &z, &d);
    }
    put_header(gen, chance(gen, 3) ? VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D :
               VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, below(gen, CONTEXTS + 1));
    put32(gen, x);
    put32(gen, y);
    put32(gen, z);
    put32(gen, w);
    put32(gen, h);
    put32(gen, d);
    put64(gen, offset(gen));
    put32(gen, id);
    put32(gen, chance(gen, 20) ? edge_value(gen) :
          chance(gen, 10) ? below(gen, 4) : 0);
    put32(gen, chance(gen, 20) ? edge_value(gen) : 0);
    put32(gen, chance(gen, 20) ? edge_value(gen) : 0);
}

static void make_flush(FuzzGen *gen)
{
    uint32_t id = pick(gen, LIVE);

    put_header(gen, VIRTIO_GPU_CMD_RESOURCE_FLUSH, 0);
    put_rect(gen, id);
    put32(gen, id);
    put32(gen, 0);
}

static uint32_t scanout(FuzzGen *gen)
{
    return chance(gen, 20) ? edge_value(gen) : below(gen, FUZZ_SCANOUTS);
}

static void make_set_scanout(FuzzGen *gen)
{
    uint32_t id = chance(gen, 3) ? 0 : pick(gen, ATTACHED);

    put_header(gen, VIRTIO_GPU_CMD_SET_SCANOUT, 0);
    put_rect(gen, id);
    put32(gen, scanout(gen));
    put32(gen, id);
}

static void make_ctx(FuzzGen *gen, uint32_t type)
{
    uint32_t ctx = chance(gen, 40) ? edge_value(gen) : below(gen, CONTEXTS + 1);
    int i;

    if (type == VIRTIO_GPU_CMD_CTX_CREATE) {
        put_header(gen, type, ctx);
        put32(gen, chance(gen, 10) ? edge_value(gen) : below(gen, 65));
        put32(gen, chance(gen, 10) ? edge_value(gen) : 0);
        for (i = 0; i < 16; i++) {
            put32(gen, 0x61626364);
        }
    } else {
        make_id(gen, type, LIVE, 0);
        stl_le_p(gen->out->data +
                 offsetof(struct virtio_gpu_ctrl_hdr, ctx_id), ctx);
        if (type == VIRTIO_GPU_CMD_CTX_DESTROY) {
            g_byte_array_set_size(gen->out,
                                  sizeof(struct virtio_gpu_ctx_destroy));
        }
    }
}

static void make_submit(FuzzGen *gen)
{
    size_t head = sizeof(struct virtio_gpu_cmd_submit);
    uint32_t ids[4];
    int i;

    for (i = 0; i < ARRAY_SIZE(ids); i++) {
        ids[i] = pick(gen, BARE | ATTACHED | EVICTED);
    }
    put_header(gen, VIRTIO_GPU_CMD_SUBMIT_3D, below(gen, CONTEXTS + 1));
    put32(gen, 0);
    put32(gen, 0);
    fuzz_stream(gen->rand, ids, ARRAY_SIZE(ids), gen->out);
    stl_le_p(gen->out->data + offsetof(struct virtio_gpu_cmd_submit, size),
             chance(gen, 40) ? edge_value(gen) : gen->out->len - head);
}

static void make_query(FuzzGen *gen)
{
    static const uint32_t types[] = {
        VIRTIO_GPU_CMD_GET_DISPLAY_INFO, VIRTIO_GPU_CMD_GET_EDID,
        VIRTIO_GPU_CMD_GET_CAPSET_INFO, VIRTIO_GPU_CMD_GET_CAPSET,
    };
    uint32_t type = types[below(gen, ARRAY_SIZE(types))];

    put_header(gen, type, 0);
    if (type != VIRTIO_GPU_CMD_GET_DISPLAY_INFO) {
        put32(gen, chance(gen, 10) ? edge_value(gen) : below(gen, 4));
        put32(gen, below(gen, 3));
    }
    gen->in_len = 4096;
}

/* Types that are unknown, not of this queue, or of features not offered. */
static void make_other(FuzzGen *gen)
{
    static const uint32_t types[] = {
        0, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
        VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
        VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB,
        VIRTIO_GPU_CMD_UPDATE_CURSOR, VIRTIO_GPU_CMD_GET_RECLAIM_TARGET,
        VIRTIO_GPU_CMD_GET_RECLAIM_TARGET + 1,
        VIRTIO_GPU_RESP_OK_NODATA, VIRTIO_GPU_RESP_OK_PURGE, UINT32_MAX,
    };
    int n = below(gen, 24);

    put_header(gen, types[below(gen, ARRAY_SIZE(types))], below(gen, 3));
    while (n--) {
        put32(gen, chance(gen, 2) ? pick(gen, LIVE) : edge_value(gen));
    }
}

/* Truncate, extend or modify the command. */
static void mutate(FuzzGen *gen)
{
    uint32_t at;

    switch (below(gen, 8)) {
    case 0:
        at = 1 + below(gen, gen->out->len);
        g_byte_array_set_size(gen->out, MAX(at, SHORTEST));
        break;
    case 1:
        for (at = below(gen, 40); at; at--) {
            put32(gen, edge_value(gen));
        }
        break;
    case 2 ... 4:
        at = below(gen, gen->out->len);
        gen->out->data[at] ^= 1 << below(gen, 8);
        break;
    default:
        if (gen->out->len > 4) {
            at = ROUND_DOWN(below(gen, MIN(gen->out->len - 3, 96)), 4);
            stl_le_p(gen->out->data + at,
                     chance(gen, 3) ? below(gen, IDS) : edge_value(gen));
        }
        break;
    }
}

/* Restore the order of fence ids: others may never be signalled. */
static void fix_fence(FuzzGen *gen)
{
    uint8_t *flags = gen->out->data + offsetof(struct virtio_gpu_ctrl_hdr,
                                               flags);

    if (gen->out->len >= sizeof(struct virtio_gpu_ctrl_hdr) &&
        (*flags & VIRTIO_GPU_FLAG_FENCE)) {
        stq_le_p(gen->out->data + offsetof(struct virtio_gpu_ctrl_hdr,
                                           fence_id), ++gen->fence);
    }
}

/*
 * Keep entries within FUZZ_BACKING: the GL device writes to backing, which must
 * not overwrite queues and commands.
 */
static void fix_entries(FuzzGen *gen)
{
    size_t at = sizeof(struct virtio_gpu_resource_attach_backing);

    if (gen->out->len < at ||
        ldl_le_p(gen->out->data) != VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING) {
        return;
    }
    for (; at + sizeof(struct virtio_gpu_mem_entry) <= gen->out->len;
         at += sizeof(struct virtio_gpu_mem_entry)) {
        uint8_t *entry = gen->out->data + at;
        uint64_t addr = ldq_le_p(entry);
        uint32_t len = ldl_le_p(entry + 8);

        if (addr < QVIRTIO_GPU_RAM && len <= QVIRTIO_GPU_RAM - addr &&
            (addr < FUZZ_BACKING ||
             addr + len > FUZZ_BACKING + FUZZ_BACKING_SIZE)) {
            stq_le_p(entry, FUZZ_BACKING);
            stl_le_p(entry + 8, MIN(len, FUZZ_BACKING_SIZE));
        }
    }
}

static void make_common(FuzzGen *gen, uint32_t dice)
{
    switch (dice) {
    case 0 ... 9:
        make_id(gen, VIRTIO_GPU_CMD_RESOURCE_UNREF, LIVE, ABSENT);
        break;
    case 10 ... 31:
        make_attach(gen);
        break;
    case 32 ... 45:
        make_id(gen, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
                ATTACHED, EVICTED);
        break;
    case 46 ... 57:
        make_purge(gen);
        break;
    case 58 ... 69:
        make_to_host_2d(gen);
        break;
    case 70 ... 77:
        make_flush(gen);
        break;
    case 78 ... 83:
        make_set_scanout(gen);
        break;
    case 84 ... 85:
        make_query(gen);
        break;
    case 86 ... 87:
        make_other(gen);
        break;
    default:
        make_create_2d(gen);
        break;
    }
}

static void make_gl(FuzzGen *gen)
{
    switch (below(gen, 40)) {
    case 0:
        make_ctx(gen, chance(gen, 3) ? VIRTIO_GPU_CMD_CTX_DESTROY :
                 VIRTIO_GPU_CMD_CTX_CREATE);
        break;
    case 1 ... 6:
        make_ctx(gen, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE);
        break;
    case 7 ... 9:
        make_ctx(gen, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE);
        break;
    case 10 ... 19:
        make_submit(gen);
        break;
    case 20 ... 29:
        make_transfer_3d(gen);
        break;
    default:
        make_create_3d(gen);
        break;
    }
}

const GByteArray *fuzz_gen_control(FuzzGen *gen, uint32_t *in_len)
{
    /* The 2D device gets a few GL commands, too. */
    if (gen->model->gl ? chance(gen, 3) : chance(gen, 60)) {
        make_gl(gen);
    } else {
        make_common(gen, below(gen, 100));
    }
    while (chance(gen, 10)) {
        mutate(gen);
    }
    fix_fence(gen);
    if (gen->model->gl) {
        fix_entries(gen);
    }
    if (chance(gen, 100)) {
        gen->in_len = below(gen, 64);
    }
    *in_len = gen->in_len;
    return gen->out;
}

const GByteArray *fuzz_gen_cursor(FuzzGen *gen)
{
    uint32_t id = chance(gen, 3) ? 0 : pick(gen, LIVE);
    int i;

    put_header(gen, chance(gen, 3) ? VIRTIO_GPU_CMD_MOVE_CURSOR :
               VIRTIO_GPU_CMD_UPDATE_CURSOR, 0);
    put32(gen, scanout(gen));
    for (i = 0; i < 3; i++) {
        put32(gen, chance(gen, 10) ? edge_value(gen) : below(gen, 64));
    }
    put32(gen, id);
    for (i = 0; i < 3; i++) {
        put32(gen, chance(gen, 10) ? edge_value(gen) : below(gen, 64));
    }
    while (chance(gen, 10)) {
        mutate(gen);
    }
    return gen->out;
}
