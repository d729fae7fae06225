/*
 * Fuzzer of the tracking of command streams in virglreclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The input is a list of operations on a few resources and contexts, including
 * streams. The library must report storage as referenced whenever the renderer
 * of stream-renderer.c references it, for any stream, rejected at any command.
 * As long as no context has lost tracking, it must report it only then.
 * Deferred storage must be reported by the operation that releases it.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "stream-renderer.h"

#define IDS 12
#define CTXS 3
#define MAX_WORDS 256
#define BYTES 64
#define OPERATIONS 60

static struct {
    const uint8_t *at, *end;
    uint32_t rest;              /* state of the generator after the end */
} in;

static unsigned allocations, fail_at, out;
static bool tracking_lost;      /* for any context, since the start */

/* Bytes of the input, then pseudo-random ones derived from it. */
static uint8_t byte(void)
{
    uint8_t next = in.at < in.end ? *in.at++ : in.rest >> 24;

    in.rest = (in.rest ^ next) * 1664525 + 1013904223;
    return next;
}

static void *alloc(size_t size, void *opaque)
{
    (void)opaque;
    if (++allocations == fail_at) {
        return NULL;
    }
    out++;
    return malloc(size);
}

static void release(void *memory, void *opaque)
{
    (void)opaque;
    out--;
    free(memory);
}

static void create(struct virgl_reclaim *vr, uint32_t id, uint8_t type)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = id, .format = 1, .width = 4, .height = 4, .depth = 1,
        .array_size = 1, .target = VR_TARGET_2D,
    };

    if (type % 4 != 0) {
        args.target = VR_TARGET_BUFFER;
        args.width = BYTES;
        args.bind = type % 4 == 1 ? VIRGL_RES_BIND_CUSTOM : 0;
    }
    virgl_reclaim_resource_create(vr, &args);
}

/* Released storage must be unreferenced, or truncated. */
static void purge(struct virgl_reclaim *vr, uint32_t id)
{
    unsigned storage = fake_storage(id);
    uint64_t released = 0;
    const vr_args *args = virgl_reclaim_resource_args(vr, id);

    virgl_reclaim_resource_purge(vr, id, &released);
    if (released && (args->target != VR_TARGET_BUFFER ||
                     args->bind == VIRGL_RES_BIND_CUSTOM)) {
        assert(!fake_ref_held(storage));
    }
}

typedef struct Stream {
    uint32_t words[MAX_WORDS];
    unsigned n, start;
    uint32_t ctx;
} Stream;

static void begin(Stream *s, uint32_t code, uint32_t type)
{
    s->start = s->n++;
    s->words[s->start] = vr_header(code, type, 0);
}

static void add(Stream *s, uint32_t word)
{
    s->words[s->n++] = word;
    s->words[s->start] += 1 << 16;
}

static void add_zeroes(Stream *s, unsigned n)
{
    while (n--) {
        add(s, 0);
    }
}

/* Returns 0 in one of four cases. */
static uint32_t id(Stream *s)
{
    uint8_t b = byte();

    return b % 4 ? fake_attached(s->ctx, false, b / 4 % IDS) : 0;
}

static uint32_t object(Stream *s, uint32_t type)
{
    uint8_t b = byte();

    return b % 4 ? fake_object(s->ctx, type, b / 4 % 16) : 0;
}

/* Id 0 makes the renderer reject the command. */
static void create_one(Stream *s)
{
    static const uint8_t types[] = {
        VR_OBJECT_SAMPLER_VIEW, VR_OBJECT_SURFACE, VR_OBJECT_MSAA_SURFACE,
        VR_OBJECT_STREAMOUT_TARGET, VR_OBJECT_QUERY, 1,
    };
    static const uint8_t lengths[] = { 6, 5, 6, 4, 4, 11 };
    uint8_t b = byte();
    unsigned type = b % 6;
    uint32_t res = fake_attached(s->ctx, type == 4, b / 16);

    begin(s, VR_CREATE_OBJECT, types[type]);
    add(s, 1 + byte() % 20);
    add(s, type == 4 ? 0 : res);
    if (type == 4) {
        add_zeroes(s, 1);
        add(s, res);
    } else {
        add_zeroes(s, lengths[type] - 2);
    }
}

/* Slots at both ends of the range. */
static uint32_t slot(uint32_t max, unsigned n)
{
    uint8_t b = byte();

    return b % 2 ? b / 2 % 4 : max - n - b / 2 % 4;
}

static void bind_range(Stream *s, uint32_t code, bool staged, unsigned each)
{
    unsigned n = 1 + byte() % 3, i;

    begin(s, code, 0);
    if (staged) {
        add(s, byte() % VR_STAGES);
    }
    add(s, slot(32, n));
    for (i = 0; i < n; i++) {
        add_zeroes(s, each - 1);
        add(s, id(s));
    }
}

static void bind_one(Stream *s)
{
    unsigned n = byte() % 4, i;

    switch (byte() % 8) {
    case 0:
        begin(s, VR_SET_SAMPLER_VIEWS, 0);
        add(s, byte() % VR_STAGES);
        add(s, slot(VR_MAX_VIEWS, n));
        for (i = 0; i < n; i++) {
            add(s, object(s, VR_OBJECT_SAMPLER_VIEW));
        }
        break;
    case 1:
        begin(s, VR_SET_FRAMEBUFFER_STATE, 0);
        add(s, n);
        for (i = 0; i < n + 1; i++) {
            add(s, object(s, VR_OBJECT_SURFACE));
        }
        break;
    case 2:
        begin(s, VR_SET_VERTEX_BUFFERS, 0);
        for (i = 0; i < n; i++) {
            add_zeroes(s, 2);
            add(s, id(s));
        }
        break;
    case 3:
        begin(s, VR_SET_INDEX_BUFFER, 0);
        add(s, id(s));
        add_zeroes(s, 2);
        break;
    case 4:
        begin(s, VR_SET_UNIFORM_BUFFER, 0);
        add(s, byte() % VR_STAGES);
        add(s, slot(32, 1));
        add_zeroes(s, 2);
        add(s, id(s));
        break;
    case 5:
        bind_range(s, VR_SET_SHADER_BUFFERS, true, 3);
        break;
    case 6:
        bind_range(s, VR_SET_SHADER_IMAGES, true, 5);
        break;
    default:
        bind_range(s, VR_SET_ATOMIC_BUFFERS, false, 3);
        break;
    }
}

/* Add an arbitrary command, with mostly small numbers. */
static void add_garbage(Stream *s)
{
    uint8_t code = byte(), length = byte() % 36, i;

    begin(s, code, byte());
    for (i = 0; i < length; i++) {
        uint8_t b = byte();

        add(s, b == 255 ? (uint32_t)byte() << 24 | byte() : b);
    }
}

/* Add a command that the renderer asserts to be valid. */
static void add_result(Stream *s, bool query)
{
    if (query) {
        begin(s, VR_GET_QUERY_RESULT_QBO, 0);
        add(s, object(s, VR_OBJECT_QUERY));
        add(s, fake_attached(s->ctx, byte() % 2, byte() % IDS));
        add_zeroes(s, 4);
    } else {
        begin(s, VR_GET_MEMORY_INFO, 0);
        add(s, id(s));
    }
}

static void add_command(Stream *s)
{
    static const uint8_t sub_codes[] = {
        VR_SET_SUB_CTX, VR_SET_SUB_CTX, VR_CREATE_SUB_CTX, VR_DESTROY_SUB_CTX,
    };
    uint8_t b = byte();

    if (b >= 252) {
        add_garbage(s);
    } else if (b >= 250) {
        add_result(s, b == 250);
    } else if (b < 90) {
        create_one(s);
    } else if (b < 120) {
        begin(s, VR_DESTROY_OBJECT, 0);
        add(s, 1 + byte() % 20);
    } else if (b < 140) {
        begin(s, sub_codes[b % 4], 0);
        add(s, byte() % 5);
    } else if (b < 150) {
        begin(s, VR_SET_STREAMOUT_TARGETS, 0);
        add(s, 0);
        add(s, object(s, VR_OBJECT_STREAMOUT_TARGET));
    } else {
        bind_one(s);
    }
}

/* Generate a stream; sometimes drop the last word. */
static void make_stream(Stream *s)
{
    unsigned commands = 1 + byte() % 4;

    while (commands-- && s->n < MAX_WORDS - 40) {
        add_command(s);
    }
    s->n -= byte() == 255;
}

static void submit(struct virgl_reclaim *vr, uint32_t ctx)
{
    Stream s = { .ctx = ctx };
    uint32_t copy[MAX_WORDS];
    uint8_t reject;

    make_stream(&s);
    reject = byte();
    memcpy(copy, s.words, sizeof(copy));
    fake_reject_after(reject >= 248 ? reject - 248u : UINT32_MAX);
    virgl_reclaim_submit(vr, ctx, s.words, s.n);
    fake_reject_after(UINT32_MAX);
    assert(!memcmp(copy, s.words, sizeof(copy)));
}

static void check(struct virgl_reclaim *vr)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    uint32_t id;

    tracking_lost |= vr->untracked != 0;
    for (id = 1; id < IDS; id++) {
        unsigned storage = fake_storage(id);
        bool referenced = virgl_reclaim_resource_referenced(vr, id);

        if (storage && !tracking_lost) {
            assert(referenced == fake_referenced(storage));
        } else if (storage) {
            assert(referenced || !fake_referenced(storage));
        }
    }
    virgl_reclaim_get_stats(vr, &stats);
    assert(stats.deferred >= fake_count_deferred());
    assert(tracking_lost || stats.deferred == fake_count_deferred());
}

static void operate(struct virgl_reclaim *vr)
{
    uint8_t op = byte(), a = byte();
    uint32_t id = 1 + a % (IDS - 1), ctx = 1 + a / 16 % CTXS;

    switch (op % 16) {
    case 0:
        create(vr, id, byte());
        break;
    case 1:
        virgl_reclaim_resource_unref(vr, id);
        break;
    case 2:
    case 3:
        purge(vr, id);
        break;
    case 4:
        virgl_reclaim_resource_restore(vr, id);
        break;
    case 5:
        virgl_reclaim_ctx_create(vr, ctx, 1, "c");
        break;
    case 6:
        virgl_reclaim_ctx_destroy(vr, ctx);
        break;
    case 7:
        virgl_reclaim_ctx_attach_resource(vr, ctx, id);
        break;
    case 8:
        virgl_reclaim_ctx_detach_resource(vr, ctx, id);
        break;
    default:
        submit(vr, ctx);
        break;
    }
}

/* Initial resources and contexts. */
static void prepare(struct virgl_reclaim *vr)
{
    uint32_t id, ctx;

    for (ctx = 1; ctx <= CTXS; ctx++) {
        virgl_reclaim_ctx_create(vr, ctx, 1, "c");
    }
    for (id = 1; id < IDS - 3; id++) {
        create(vr, id, id);
        for (ctx = 1; ctx <= CTXS; ctx++) {
            virgl_reclaim_ctx_attach_resource(vr, ctx, id);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virgl_reclaim_allocator allocator = { alloc, release, NULL };
    struct virgl_reclaim *vr;
    uint8_t fail;
    int i;

    in.at = data;
    in.end = data + size;
    in.rest = size;
    fake_reset();
    tracking_lost = false;
    allocations = fail_at = out = 0;
    fail = byte();

    vr = virgl_reclaim_new_with_allocator(&allocator);
    prepare(vr);
    fail_at = fail >= 192 ? allocations + fail - 191u : 0;
    for (i = 0; i < OPERATIONS; i++) {
        operate(vr);
        check(vr);
    }
    virgl_reclaim_free(vr);
    assert(!out);
    return 0;
}
