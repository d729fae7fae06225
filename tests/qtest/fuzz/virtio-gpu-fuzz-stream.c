/*
 * virtio-gpu fuzzer: generator of command streams
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The streams make contexts reference resources that are then evicted, purged
 * and destroyed, and cause errors in the renderer.
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "virtio-gpu-fuzz-gen.h"

/* Commands of virglrenderer's protocol. */
enum {
    CREATE_OBJECT = 1,
    DESTROY_OBJECT = 3,
    SET_FRAMEBUFFER_STATE = 5,
    SET_VERTEX_BUFFERS = 6,
    CLEAR = 7,
    RESOURCE_INLINE_WRITE = 9,
    SET_SAMPLER_VIEWS = 10,
    RESOURCE_COPY_REGION = 17,
    SET_UNIFORM_BUFFER = 27,
    COMMANDS = 60,
};

enum { SAMPLER_VIEW = 6, SURFACE = 8, OBJECTS = 12 };

/* Objects 1 to 8 are surfaces, 9 to 16 views. */
#define EACH 8

typedef struct Stream {
    GRand *rand;
    const uint32_t *ids;
    unsigned n_ids;
    uint32_t words[64];
    unsigned n;
} Stream;

static uint32_t below(Stream *s, uint32_t n)
{
    return g_rand_int_range(s->rand, 0, n);
}

static uint32_t id(Stream *s)
{
    return s->ids[below(s, s->n_ids)];
}

static void add(Stream *s, uint32_t command, uint32_t object, unsigned n, ...)
{
    va_list ap;
    unsigned i;

    s->n = 0;
    s->words[s->n++] = command | object << 8 | n << 16;
    va_start(ap, n);
    for (i = 0; i < n; i++) {
        s->words[s->n++] = va_arg(ap, uint32_t);
    }
    va_end(ap);
}

static void add_sound(Stream *s)
{
    uint32_t format = 1 + below(s, 4);
    uint32_t surface = 1 + below(s, EACH), view = 1 + EACH + below(s, EACH);

    switch (below(s, 10)) {
    case 0:
    case 1:
        add(s, CREATE_OBJECT, SURFACE, 5, surface, id(s), format, 0, 0);
        break;
    case 2:
        add(s, CREATE_OBJECT, SAMPLER_VIEW, 6, view, id(s),
            format | 2 << 24, 0, 0, 0 | 1 << 3 | 2 << 6 | 3 << 9);
        break;
    case 3:
        if (below(s, 2)) {
            add(s, DESTROY_OBJECT, SURFACE, 1, surface);
        } else {
            add(s, DESTROY_OBJECT, SAMPLER_VIEW, 1, view);
        }
        break;
    case 4:
        add(s, SET_FRAMEBUFFER_STATE, 0, 3, 1, 0, surface);
        break;
    case 5:
        add(s, CLEAR, 0, 8, 1 << 2, 0x3f800000, 0, 0x3f000000, 0, 0, 0, 0);
        break;
    case 6:
        add(s, SET_SAMPLER_VIEWS, 0, 3, below(s, 2), 0, below(s, 3) ? view : 0);
        break;
    case 7:
        add(s, SET_VERTEX_BUFFERS, 0, 3, 16, 0, below(s, 3) ? id(s) : 0);
        break;
    case 8:
        add(s, SET_UNIFORM_BUFFER, 0, 5, below(s, 2), below(s, 4), 0, 64,
            below(s, 3) ? id(s) : 0);
        break;
    default:
        add(s, RESOURCE_COPY_REGION, 0, 13, id(s), 0, 0, 0, 0, id(s), 0, 0, 0,
            0, 1 + below(s, 32), 1 + below(s, 32), 1);
        break;
    }
}

static void add_garbage(Stream *s)
{
    unsigned n = below(s, 20), i;

    s->n = 0;
    s->words[s->n++] = below(s, COMMANDS) | below(s, OBJECTS) << 8 | n << 16;
    for (i = 0; i < n; i++) {
        s->words[s->n++] = below(s, 3) == 0 ? g_rand_int(s->rand) :
                           below(s, 3) == 0 ? id(s) : below(s, 40);
    }
}

void fuzz_stream(GRand *rand, const uint32_t *ids, unsigned n, GByteArray *out)
{
    Stream s = { .rand = rand, .ids = ids, .n_ids = n };
    unsigned commands = 1 + below(&s, 6), i;

    while (commands--) {
        if (below(&s, 6)) {
            add_sound(&s);
        } else {
            add_garbage(&s);
        }
        if (below(&s, 12) == 0) {
            s.words[below(&s, s.n)] ^= 1u << below(&s, 32);
        }
        for (i = 0; i < s.n; i++) {
            uint8_t bytes[4];

            stl_le_p(bytes, s.words[i]);
            g_byte_array_append(out, bytes, sizeof(bytes));
        }
    }
}
