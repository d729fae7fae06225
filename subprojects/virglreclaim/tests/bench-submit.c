/* SPDX-License-Identifier: MIT */
/*
 * Frames of a simple scene, to count the instructions of stream parsing:
 * scripts/bench runs this under callgrind and evaluates submit_frames().
 *
 * bench-submit [FRAMES]
 *
 * A frame is a stream like those of Mesa's virgl driver: a clear, then for
 * each draw constants, vertex and index buffers, every few draws another
 * texture, and the draw. First with all resources resident, then with
 * compressed ones. Prints the number of streams of each run, and their length
 * in words.
 */

#include "commands.h"
#include "renderer.h"

#include <stdio.h>
#include <string.h>

enum { CTX = 1, SIDE = 64, DRAWS = 50, CONSTANTS = 32, MAX_WORDS = 16384 };
enum { TARGET = 1, VERTICES, INDICES, TEXTURE_A, TEXTURE_B, STORED = 100 };
enum {
    SURFACE = 10, VIEW_A, VIEW_B, BLEND_STATE, RASTERIZER, DEPTH, ELEMENTS,
    VERTEX_SHADER, FRAGMENT_SHADER, SAMPLER,
};
/* Commands and types that the library does not handle. */
enum {
    BIND_OBJECT = 2, SET_VIEWPORT = 4, CLEAR = 7, DRAW_VBO = 8,
    SET_CONSTANTS = 12, BIND_SAMPLERS = 18, BIND_SHADER = 31,
    BLEND = 1, RASTER = 2, DSA = 3, SHADER = 4, VERTEX_ELEMENTS = 5,
    SAMPLER_STATE = 7,
    TRIANGLES = 4, COLORMASK = 0xf << 27, DEPTH_CLIP = 1 << 1,
    HALF_PIXEL = 1 << 29,
};

static const char vertex_text[] =
    "VERT\n"
    "DCL IN[0]\n"
    "DCL IN[1]\n"
    "DCL OUT[0], POSITION\n"
    "DCL OUT[1], GENERIC[0]\n"
    "DCL CONST[0..7]\n"
    "  0: MOV OUT[0], IN[0]\n"
    "  1: ADD OUT[1], IN[1], CONST[0]\n"
    "  2: END\n";

static const char fragment_text[] =
    "FRAG\n"
    "DCL IN[0], GENERIC[0], PERSPECTIVE\n"
    "DCL OUT[0], COLOR\n"
    "DCL SAMP[0]\n"
    "DCL SVIEW[0], 2D, FLOAT\n"
    "DCL TEMP[0]\n"
    "  0: TEX TEMP[0], IN[0], SAMP[0], 2D\n"
    "  1: MOV OUT[0], TEMP[0]\n"
    "  2: END\n";

static const float corners[3][8] = {
    { -1, -1, 0, 1, 0, 0, 0, 1 },
    {  3, -1, 0, 1, 2, 0, 0, 1 },
    { -1,  3, 0, 1, 0, 2, 0, 1 },
};

static const uint32_t triangle[] = { 0, 1, 2 };

#define ok(call) g_assert_cmpint(call, ==, 0)
#define RUN(code, type, ...) ok(COMMAND(f->vr, CTX, code, type, __VA_ARGS__))

static uint32_t bits(float value)
{
    uint32_t word;

    memcpy(&word, &value, sizeof(word));
    return word;
}

static void make_resource(Fixture *f,
                          struct virgl_renderer_resource_create_args args)
{
    ok(virgl_reclaim_resource_create(f->vr, &args));
    ok(virgl_reclaim_ctx_attach_resource(f->vr, CTX, args.handle));
}

static void make_shader(Fixture *f, uint32_t handle, uint32_t stage,
                        const char *text)
{
    uint32_t words[128] = { handle, stage, strlen(text) + 1, 300, 0 };
    uint32_t n = 5 + (strlen(text) + 4) / 4;

    g_assert_cmpuint(n, <, G_N_ELEMENTS(words));
    memcpy(words + 5, text, strlen(text));
    ok(submit(f->vr, CTX, VR_CREATE_OBJECT, SHADER, words, n));
    RUN(BIND_SHADER, 0, handle, stage);
}

static void make_resources(Fixture *f)
{
    uint8_t pixels[16 * 16 * 4];

    make_resource(f, texture_args(TARGET, SIDE, SIDE));
    make_resource(f, texture_args(TEXTURE_A, 16, 16));
    make_resource(f, texture_args(TEXTURE_B, 16, 16));
    make_resource(f, buffer_args(VERTICES, sizeof(corners)));
    make_resource(f, buffer_args(INDICES, sizeof(triangle)));
    fill(pixels, sizeof(pixels), 1);
    ok(write_bytes(TEXTURE_A, 0, pixels, sizeof(pixels), 16, 16));
    ok(write_bytes(TEXTURE_B, 0, pixels, sizeof(pixels), 16, 16));
    ok(write_bytes(VERTICES, 0, corners, sizeof(corners), sizeof(corners), 1));
    ok(write_bytes(INDICES, 0, triangle, sizeof(triangle), sizeof(triangle),
                   1));
}

static void make_state(Fixture *f)
{
    uint32_t half = bits(SIDE / 2), one = bits(1);

    ok(create_surface(f->vr, CTX, SURFACE, TARGET, FORMAT_BGRA8));
    ok(create_sampler_view(f->vr, CTX, VIEW_A, TEXTURE_A, FORMAT_BGRA8,
                           VR_TARGET_2D));
    ok(create_sampler_view(f->vr, CTX, VIEW_B, TEXTURE_B, FORMAT_BGRA8,
                           VR_TARGET_2D));
    RUN(VR_CREATE_OBJECT, BLEND, BLEND_STATE, 0, 0, COLORMASK, COLORMASK,
        COLORMASK, COLORMASK, COLORMASK, COLORMASK, COLORMASK, COLORMASK);
    RUN(BIND_OBJECT, BLEND, BLEND_STATE);
    RUN(VR_CREATE_OBJECT, RASTER, RASTERIZER, DEPTH_CLIP | HALF_PIXEL, one, 0,
        0, one, 0, 0, 0);
    RUN(BIND_OBJECT, RASTER, RASTERIZER);
    RUN(VR_CREATE_OBJECT, DSA, DEPTH, 0, 0, 0, 0);
    RUN(BIND_OBJECT, DSA, DEPTH);
    RUN(VR_CREATE_OBJECT, VERTEX_ELEMENTS, ELEMENTS, 0, 0, 0, FORMAT_RGBA32F,
        16, 0, 0, FORMAT_RGBA32F);
    RUN(BIND_OBJECT, VERTEX_ELEMENTS, ELEMENTS);
    RUN(VR_CREATE_OBJECT, SAMPLER_STATE, SAMPLER, 0, 0, 0, 0, 0, 0, 0, 0);
    RUN(BIND_SAMPLERS, 0, STAGE_FRAGMENT, 0, SAMPLER);
    make_shader(f, VERTEX_SHADER, STAGE_VERTEX, vertex_text);
    make_shader(f, FRAGMENT_SHADER, STAGE_FRAGMENT, fragment_text);
    RUN(SET_VIEWPORT, 0, 0, half, half, bits(0.5), half, half, bits(0.5));
}

struct frame {
    uint32_t words[MAX_WORDS];
    uint32_t n;
};

static void add(struct frame *frame, uint32_t code, const uint32_t *args,
                uint32_t n)
{
    g_assert_cmpuint(frame->n + 1 + n, <=, MAX_WORDS);
    frame->words[frame->n++] = vr_header(code, 0, n);
    memcpy(frame->words + frame->n, args, n * sizeof(*args));
    frame->n += n;
}

#define ADD(code, ...) \
    add(frame, code, (uint32_t[]) { __VA_ARGS__ }, \
        sizeof((uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

static void add_draw(struct frame *frame, int i)
{
    uint32_t constants[2 + CONSTANTS] = { STAGE_VERTEX, 0 };

    add(frame, SET_CONSTANTS, constants, G_N_ELEMENTS(constants));
    ADD(VR_SET_VERTEX_BUFFERS, sizeof(corners[0]), 0, VERTICES);
    ADD(VR_SET_INDEX_BUFFER, INDICES, sizeof(triangle[0]), 0);
    if (i % 4 == 0) {
        ADD(VR_SET_SAMPLER_VIEWS, STAGE_FRAGMENT, 0,
            i % 8 ? VIEW_A : VIEW_B);
    }
    ADD(DRAW_VBO, 0, G_N_ELEMENTS(triangle), TRIANGLES, true, 1, 0, 0, 0, 0, 0,
        2, 0);
}

static void make_frame(struct frame *frame)
{
    frame->n = 0;
    ADD(VR_SET_FRAMEBUFFER_STATE, 1, 0, SURFACE);
    ADD(CLEAR, 1 << 2, 0, 0, 0, 0, 0, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        add_draw(frame, i);
    }
}

/* Not inlined: callgrind toggles on the name. */
void submit_frames(Fixture *f, struct frame *frame, int n);

void __attribute__((noinline))
submit_frames(Fixture *f, struct frame *frame, int n)
{
    for (int i = 0; i < n; i++) {
        ok(virgl_reclaim_submit(f->vr, CTX, frame->words, frame->n));
    }
}

/* Make sure that something is drawn. */
static void check_drawn(void)
{
    uint8_t pixels[SIDE * SIDE * 4];

    ok(read_bytes(TARGET, 0, pixels, sizeof(pixels), SIDE, SIDE));
    for (size_t i = 0; i < sizeof(pixels); i++) {
        g_assert_cmpuint(pixels[i], >, 0);
    }
}

int main(int argc, char **argv)
{
    int frames = argc > 1 ? atoi(argv[1]) : 10;
    g_autofree struct frame *frame = g_new(struct frame, 1);
    Fixture fixture, *f = &fixture;

    fixture_set_up(f, NULL);
    ok(virgl_reclaim_ctx_create(f->vr, CTX, 5, "bench"));
    make_resources(f);
    make_state(f);
    make_frame(frame);

    /* The first frame compiles the shaders. */
    ok(virgl_reclaim_submit(f->vr, CTX, frame->words, frame->n));
    check_drawn();
    submit_frames(f, frame, frames);
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    for (int i = 0; i < 100; i++) {
        make_resource(f, texture_args(STORED + i, 16, 16));
        ok(virgl_reclaim_resource_compress(f->vr, STORED + i));
    }
    submit_frames(f, frame, frames);
    check_drawn();
    printf("%d\t%u\n", frames, frame->n);
    fixture_tear_down(f, NULL);
    return 0;
}
