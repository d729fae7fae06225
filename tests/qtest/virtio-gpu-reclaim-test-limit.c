/*
 * QTest testcase: reclaim of virtio-gpu's memory: the limit holds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * However many resources or objects a guest tries to create, RssAnon of QEMU
 * rises by less than max_hostmem, one resource and SLACK, once freed memory has
 * been returned to the host.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"
#include "fuzz/virtio-gpu-fuzz-queue.h"

#define LIMIT (64 * MiB)
/*
 * What the heap, GL and the tables of the renderer may take besides: they grow
 * in steps.
 */
#define SLACK (8 * MiB)

typedef struct Limited {
    QVirtioGPU *gpu;
    FuzzQueue *queue;
    uint64_t before;            /* RssAnon */
} Limited;

/* Add to a batch; the response has room for a header only. */
static void add(const Limited *l, void *cmd, size_t len, uint32_t type,
                uint32_t ctx)
{
    struct virtio_gpu_ctrl_hdr *hdr = cmd;

    hdr->type = cpu_to_le32(type);
    hdr->ctx_id = cpu_to_le32(ctx);
    g_assert_true(fuzz_queue_add(l->queue, NULL, cmd, len, sizeof(*hdr)));
}

static void add_ctx_create(const Limited *l, uint32_t ctx)
{
    struct virtio_gpu_ctx_create create = { .nlen = 0 };

    add(l, &create, sizeof(create), VIRTIO_GPU_CMD_CTX_CREATE, ctx);
}

static void add_create(const Limited *l,
                       struct virtio_gpu_resource_create_3d res)
{
    add(l, &res, sizeof(res), VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0);
}

static void add_create_2d(const Limited *l, uint32_t id, uint32_t side)
{
    struct virtio_gpu_resource_create_2d res = {
        .resource_id = cpu_to_le32(id),
        .format = cpu_to_le32(FORMAT),
        .width = cpu_to_le32(side),
        .height = cpu_to_le32(side),
    };

    add(l, &res, sizeof(res), VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 0);
}

static void add_unref(const Limited *l, uint32_t id)
{
    struct virtio_gpu_resource_unref unref = {
        .resource_id = cpu_to_le32(id),
    };

    add(l, &unref, sizeof(unref), VIRTIO_GPU_CMD_RESOURCE_UNREF, 0);
}

static void add_ctx_attach(const Limited *l, uint32_t ctx, uint32_t id)
{
    struct virtio_gpu_ctx_resource attach = { .resource_id = cpu_to_le32(id) };

    add(l, &attach, sizeof(attach), VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx);
}

/* SUBMIT_3D of @n words, at most 16. */
static void add_submit(const Limited *l, uint32_t ctx, const uint32_t *words,
                       uint32_t n)
{
    struct {
        struct virtio_gpu_cmd_submit submit;
        uint32_t words[16];
    } cmd = { .submit.size = cpu_to_le32(n * sizeof(*words)) };

    g_assert_cmpuint(n, <=, ARRAY_SIZE(cmd.words));
    memcpy(cmd.words, words, n * sizeof(*words));
    add(l, &cmd, sizeof(cmd.submit) + n * sizeof(*words),
        VIRTIO_GPU_CMD_SUBMIT_3D, ctx);
}

/* Send the batch. Returns how many of its commands succeeded. */
static unsigned send_batch(const Limited *l)
{
    unsigned good = 0, i;

    fuzz_queue_kick(l->queue);
    g_assert_true(fuzz_queue_wait(l->queue));
    for (i = 0; i < fuzz_queue_count(l->queue); i++) {
        good += ldl_le_p(fuzz_queue_get(l->queue, i)->in) == OK;
    }
    fuzz_queue_clear(l->queue);
    return good;
}

/* A device that has created and destroyed a resource; GL: with context 1. */
static Limited start_limited(const Device *dev, const char *props)
{
    /* QEMU prints a line for each error. */
    g_autofree char *all = g_strdup_printf(",max_hostmem=64M%s 2>/dev/null",
                                           props);
    Limited l = { .gpu = start_with(dev, all) };

    l.queue = fuzz_queue_new(l.gpu, l.gpu->ctrl, 0, false);
    add_create_2d(&l, 1, SIDE);
    add_unref(&l, 1);
    if (dev->gl) {
        add_ctx_create(&l, 1);
    }
    g_assert_cmpuint(send_batch(&l), ==, dev->gl ? 3 : 2);
    l.before = rss_anon(l.gpu);
    return l;
}

static uint64_t rss_growth(const Limited *l)
{
    uint64_t rss = rss_anon(l->gpu);

    return rss > l->before ? rss - l->before : 0;
}

/*
 * @resource: bytes of the largest resource. Memory that was freed right before
 * is in the heap until the device trims it, which is waited for.
 */
static void check_limited(const Limited *l, uint64_t resource)
{
    gint64 start = g_get_monotonic_time();

    g_assert_cmpuint(get_stat(l->gpu, "host-bytes") +
                     get_stat(l->gpu, "overhead-bytes"), <, LIMIT);
    g_assert_cmpuint(get_stat(l->gpu, "host-bytes-peak"), <, LIMIT);
    while (rss_growth(l) >= LIMIT + resource + SLACK &&
           g_get_monotonic_time() - start < HANG) {
        g_usleep(10000);
    }
    g_test_message("RssAnon has grown by %" PRIu64 " KiB, host-bytes are %"
                   PRIu64 " KiB, overhead-bytes %" PRIu64 " KiB",
                   rss_growth(l) / KiB,
                   get_stat(l->gpu, "host-bytes") / KiB,
                   get_stat(l->gpu, "overhead-bytes") / KiB);
    g_assert_cmpuint(rss_growth(l), <, LIMIT + resource + SLACK);
}

static void stop_limited(Limited *l)
{
    fuzz_queue_free(l->queue);
    qvirtio_gpu_shutdown(l->gpu);
}

static struct virtio_gpu_resource_create_3d large_texture(uint32_t id)
{
    struct virtio_gpu_resource_create_3d res = texture_3d(id);

    res.bind = cpu_to_le32(BIND_RENDER_TARGET | BIND_SAMPLER_VIEW);
    res.width = cpu_to_le32(LARGE_SIDE);
    res.height = cpu_to_le32(LARGE_SIDE);
    return res;
}

/*
 * The storage of a resource that is destroyed stays as long as a context refers
 * to it: four commands for each, and no other in between that could find out.
 */
static void test_unref_with_view(const void *data)
{
    Limited l = start_limited(data, "");
    uint32_t id, batch;

    for (batch = 0; batch < 4; batch++) {
        for (id = 4 * batch + 1; id <= 4 * batch + 4; id++) {
            uint32_t words[] = { CREATE_SURFACE, id, id, FORMAT, 0, 0 };

            add_create(&l, large_texture(id));
            add_ctx_attach(&l, 1, id);
            add_submit(&l, 1, words, ARRAY_SIZE(words));
            add_unref(&l, id);
        }
        send_batch(&l);
    }
    check_limited(&l, LARGE_BYTES);
    /* All that it could hold, it does hold. */
    g_assert_cmpuint(get_stat(l.gpu, "host-bytes"), ==,
                     (LIMIT - 1) / LARGE_BYTES * LARGE_BYTES);
    stop_limited(&l);
}

/* Textures that a command stream creates, without a resource. */
static void test_create_in_stream(const void *data)
{
    /* PIPE_RESOURCE_CREATE: target, format, bind, size, ..., blob id. */
    uint32_t words[] = {
        48 | 11 << 16, TARGET_2D, FORMAT, BIND_SAMPLER_VIEW, LARGE_SIDE,
        LARGE_SIDE, 1, 1, 0, 0, 0, 1,
    };
    unsigned created;
    Limited l = start_limited(data, "");
    int i;

    for (i = 0; i < 16; i++) {
        add_submit(&l, 1, words, ARRAY_SIZE(words));
    }
    created = send_batch(&l);
    check_limited(&l, 0);
    g_assert_cmpuint(created, ==, 0);
    /* Nor does it prevent what counts. */
    for (i = 1; i <= 8; i++) {
        add_create(&l, large_texture(i));
    }
    /* Empty ones are compressed to make room, up to twice the limit. */
    g_assert_cmpuint(send_batch(&l), ==, (2 * LIMIT - 1) / LARGE_BYTES);
    check_limited(&l, LARGE_BYTES);
    stop_limited(&l);
}

/* GL stores 4 samples of each pixel for any number below. */
static void test_samples(const void *data)
{
    Limited l = start_limited(data, "");
    uint32_t samples, id;

    for (samples = 1; samples <= 4; samples++) {
        for (id = 1; id <= 24; id++) {
            struct virtio_gpu_resource_create_3d res = large_texture(id);

            res.width = cpu_to_le32(LARGE_SIDE / 2);
            res.height = cpu_to_le32(LARGE_SIDE / 2);
            res.nr_samples = cpu_to_le32(samples);
            add_create(&l, res);
        }
        if (send_batch(&l)) {
            check_limited(&l, LARGE_BYTES);
        } else {
            /* virglrenderer 1.1 rejects single samples. */
            g_assert_cmpuint(samples, ==, 1);
        }
        for (id = 1; id <= 24; id++) {
            add_unref(&l, id);
        }
        send_batch(&l);
        g_assert_cmpuint(get_stat(l.gpu, "host-bytes"), ==, 0);
    }
    stop_limited(&l);
}

/*
 * Create as many as can be, up to @n, like @res or, without, of one pixel.
 * Returns how many there are.
 */
static uint32_t create_many(const Limited *l,
                            struct virtio_gpu_resource_create_3d *res,
                            uint32_t n)
{
    uint32_t good = 0, sent = 0, batch;

    while (good == sent && good < n) {
        for (batch = 0; batch < 32; batch++) {
            sent++;
            if (res) {
                res->resource_id = cpu_to_le32(sent);
                add_create(l, *res);
            } else {
                add_create_2d(l, sent, 1);
            }
        }
        good += send_batch(l);
    }
    return good;
}

static void check_many(const Device *dev,
                       struct virtio_gpu_resource_create_3d *res)
{
    Limited l = start_limited(dev, "");
    uint32_t n = 200000, good = create_many(&l, res, n);

    g_test_message("%u resources", good);
    check_limited(&l, 0);
    /* The limit has stopped it, and not something else. */
    g_assert_cmpuint(good, <, n);
    g_assert_cmpuint(get_stat(l.gpu, "host-bytes") +
                     get_stat(l.gpu, "overhead-bytes"), >, LIMIT / 100 * 99);
    stop_limited(&l);
}

/* Buffers that have guest memory only. */
static void test_staging(const void *data)
{
    struct virtio_gpu_resource_create_3d res = buffer_3d(0, MiB);

    res.bind = cpu_to_le32(BIND_STAGING);
    check_many(data, &res);
}

static void test_tiny(const void *data)
{
    const Device *dev = data;
    struct virtio_gpu_resource_create_3d res = buffer_3d(0, 1);

    check_many(dev, NULL);
    if (!dev->gl) {
        return;
    }
    check_many(dev, &res);
    res = texture_3d(0);
    res.width = cpu_to_le32(1);
    /* GL pads rows. */
    res.format = cpu_to_le32(FORMAT_R8);
    res.bind = cpu_to_le32(BIND_SAMPLER_VIEW);
    res.height = cpu_to_le32(4096);
    check_many(dev, &res);
}

#define MAX_CONTEXTS 8
/* A GL context of llvmpipe takes 2.3 MiB in Mesa 22.3, up to 26 in 25.0. */
#define CONTEXT_BYTES (32 * MiB)

static void check_contexts(const Limited *l)
{
    uint64_t rss = rss_anon(l->gpu);

    g_test_message("RssAnon has grown by %" PRIu64 " KiB",
                   (rss - MIN(rss, l->before)) / KiB);
    g_assert_cmpuint(rss, <, l->before + MAX_CONTEXTS * CONTEXT_BYTES + SLACK);
}

/* Contexts, and those within them, are limited together. */
static void test_contexts(const void *data)
{
    uint32_t words[] = { 29 | 1 << 16, 0 };     /* CREATE_SUB_CTX */
    Limited l = start_limited(data, ",x-max-contexts=8");
    struct virtio_gpu_ctrl_hdr destroy = { 0 };
    uint32_t i;

    for (i = 2; i <= 33; i++) {
        add_ctx_create(&l, i);
    }
    g_assert_cmpuint(send_batch(&l), ==, MAX_CONTEXTS - 1);
    check_contexts(&l);
    for (i = 4; i <= MAX_CONTEXTS; i++) {
        add(&l, &destroy, sizeof(destroy), VIRTIO_GPU_CMD_CTX_DESTROY, i);
    }
    g_assert_cmpuint(send_batch(&l), ==, MAX_CONTEXTS - 3);

    /* 3 are left. */
    for (i = 1; i <= 32; i++) {
        words[1] = i;
        add_submit(&l, 1 + i % 3, words, ARRAY_SIZE(words));
    }
    g_assert_cmpuint(send_batch(&l), ==, MAX_CONTEXTS - 3);
    check_contexts(&l);

    /* They go with their contexts. */
    add(&l, &destroy, sizeof(destroy), VIRTIO_GPU_CMD_CTX_DESTROY, 2);
    add_ctx_create(&l, 2);
    g_assert_cmpuint(send_batch(&l), ==, 2);
    stop_limited(&l);
}

/* Words that create one object with the handle @handle, of each kind. */
typedef struct Kind {
    const char *name;
    unsigned n;
    uint32_t words[14];         /* without the header; [0] is the handle */
    uint32_t type;
    const char *text;           /* what follows the words */
} Kind;

/* Eight instructions of a shader. */
#define ADD "ADD TEMP[0], TEMP[0], IN[0]\n"
#define ADD_8(n) \
    #n "1: " ADD #n "2: " ADD #n "3: " ADD #n "4: " ADD \
    #n "5: " ADD #n "6: " ADD #n "7: " ADD #n "8: " ADD

static const Kind kinds[] = {
    { "blend", 11, { 0 }, 1 },
    { "rasterizer", 9, { 0 }, 2 },
    { "depth-stencil-alpha", 5, { 0 }, 3 },
    /* For vertices, so many bytes of text, 1000 tokens, no stream-out. */
    { "shader", 5, { 0, 0, 0, 1000, 0 }, 4,
      "VERT\nDCL OUT[0], POSITION\n0: END\n" },
    { "long shader", 5, { 0, 0, 0, 1000, 0 }, 4,
      "VERT\nDCL IN[0]\nDCL OUT[0], POSITION\nDCL TEMP[0]\n"
      "0: MOV TEMP[0], IN[0]\n"
      ADD_8(1) ADD_8(2) ADD_8(3) ADD_8(4) ADD_8(5) ADD_8(6) ADD_8(7) ADD_8(8)
      "90: MOV OUT[0], TEMP[0]\n91: END\n" },
    /* One element: offset, divisor, buffer, format. */
    { "vertex-elements", 5, { 0, 0, 0, 0, 31 }, 5 },
    { "sampler-view", 6, { 0, 1, FORMAT | TARGET_2D << 24, 0, 0, 0x688 }, 6 },
    { "sampler-view of another format", 6,
      { 0, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM | TARGET_2D << 24, 0, 0, 0x688 },
      6 },
    { "sampler-state", 9, { 0 }, 7 },
    { "surface", 5, { 0, 1, FORMAT, 0, 0 }, 8 },
    { "surface of another format", 5,
      { 0, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 0, 0 }, 8 },
    { "query", 4, { 0, 0, 0, 2 }, 9 },
    { "stream-out-target", 4, { 0, 3, 0, 16 }, 10 },
};

#define STREAMS 32

/* A stream of @n objects of a kind with handles from @first on. */
static void add_objects(const Limited *l, uint32_t ctx, const Kind *kind,
                        uint32_t first, uint32_t n)
{
    size_t text = kind->text ? strlen(kind->text) + 1 : 0;
    size_t words = kind->n + DIV_ROUND_UP(text, 4);
    size_t bytes = n * (1 + words) * 4;
    g_autofree uint8_t *cmd =
        g_malloc0(sizeof(struct virtio_gpu_cmd_submit) + bytes);
    struct virtio_gpu_cmd_submit *header = (void *)cmd;
    uint32_t *at = (uint32_t *)(header + 1);
    uint32_t i;

    header->size = cpu_to_le32(bytes);
    for (i = 0; i < n; i++, at += 1 + words) {
        at[0] = 1 | kind->type << 8 | words << 16;
        memcpy(at + 1, kind->words, kind->n * 4);
        at[1] = first + i;
        if (text) {
            at[3] = text;
            memcpy(at + 1 + kind->n, kind->text, text);
        }
    }
    add(l, cmd, sizeof(*header) + bytes, VIRTIO_GPU_CMD_SUBMIT_3D, ctx);
}

/* Objects of contexts, which streams create: however many are tried. */
static void check_objects(const Device *dev, const Kind *kind)
{
    Limited l = start_limited(dev, "");
    struct virtio_gpu_ctrl_hdr destroy = { 0 };
    struct virtio_gpu_resource_create_3d query = buffer_3d(2, 16);
    struct virtio_gpu_resource_create_3d target = buffer_3d(3, 16);
    const uint32_t each = kind->text ? 16 : 128;
    uint32_t good = 0, handle = 1, i;
    unsigned n;

    query.bind = cpu_to_le32(1 << 17);          /* CUSTOM */
    target.bind = cpu_to_le32(1 << 11);         /* STREAM_OUTPUT */
    add_create(&l, texture_3d(1));
    add_create(&l, query);
    add_create(&l, target);
    for (i = 1; i <= 3; i++) {
        add_ctx_attach(&l, 1, i);
    }
    g_assert_cmpuint(send_batch(&l), ==, 6);
    do {
        for (i = 0; i < STREAMS; i++, handle += each) {
            add_objects(&l, 1, kind, handle, each);
        }
        n = send_batch(&l);
        good += n;
    } while (n == STREAMS);
    g_test_message("%s: %u objects, RssAnon %" PRIu64 " bytes each", kind->name,
                   good * each, rss_growth(&l) / MAX(good * each, 1));
    check_limited(&l, 0);
    g_assert_cmpuint(good, >, 0);
    g_assert_cmpuint(get_stat(l.gpu, "object-bytes"), >, LIMIT / 10 * 9);

    /* The context goes on, and its objects end with it. */
    add_objects(&l, 1, kind, 1, 1);
    g_assert_cmpuint(send_batch(&l), ==, 1);
    add(&l, &destroy, sizeof(destroy), VIRTIO_GPU_CMD_CTX_DESTROY, 1);
    g_assert_cmpuint(send_batch(&l), ==, 1);
    g_assert_cmpuint(get_stat(l.gpu, "object-bytes"), ==, 0);
    stop_limited(&l);
}

static void test_objects(const void *data)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        check_objects(data, &kinds[i]);
    }
}

static const Case cases[] = {
    { "unref-with-view", test_unref_with_view, ON_GL_PCI },
    { "create-in-stream", test_create_in_stream, ON_GL_PCI },
    { "samples", test_samples, ON_GL_PCI },
    { "staging", test_staging, ON_GL_PCI },
    { "tiny", test_tiny, ON_PCI },
    { "contexts", test_contexts, ON_GL_PCI },
    { "objects", test_objects, ON_GL_PCI },
};

void add_limit_cases(void)
{
    add_cases("limit", cases, ARRAY_SIZE(cases));
}
