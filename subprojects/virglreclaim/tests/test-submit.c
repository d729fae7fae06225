/* SPDX-License-Identifier: MIT */
/* Compressed resources are restored when a command stream may name them. */

#include "instance.h"
#include "commands.h"
#include "renderer.h"

#include <string.h>

/* Of the protocol. */
enum {
    DRAW_VBO = 8, RESOURCE_INLINE_WRITE = 9, SET_CONSTANT_BUFFER = 12,
    RESOURCE_COPY_REGION = 17, END_TRANSFERS = 44,
};

enum { SIZE = 256 << 10, RES = 1, CTX = 1 };

static void compress(Fixture *f, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, id), ==, 0);
}

static int copy_buffer(Fixture *f, uint32_t to, uint32_t from, uint32_t size)
{
    return COMMAND(f->vr, CTX, RESOURCE_COPY_REGION, 0,
                   to, 0, 0, 0, 0, from, 0, 0, 0, 0, size, 1, 1);
}

/* A command that names a compressed resource sees its contents. */
static void test_copy(Fixture *f, gconstpointer data)
{
    g_autofree uint8_t *in = g_malloc(SIZE), *out = g_malloc0(SIZE);

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        make_small_buffer(f, id, SIZE);
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==,
                        0);
        compress(f, id);
    }

    /* These words are no ids. */
    g_assert_cmpint(COMMAND(f->vr, CTX, SET_CONSTANT_BUFFER, 0,
                            STAGE_FRAGMENT, 0, 1, 2, 3), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, END_TRANSFERS, 0, 1, 2, 3), ==, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                        VIRGL_RECLAIM_COMPRESSED);
    }

    g_assert_cmpint(copy_buffer(f, 2, 3, SIZE), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 2), ==,
                    VIRGL_RECLAIM_RESIDENT);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 3), ==,
                    VIRGL_RECLAIM_RESIDENT);
    check_small_buffer(3, CTX, SIZE);
    fill_small(in, SIZE, 3);
    g_assert_cmpint(read_bytes(2, CTX, out, SIZE, SIZE, 1), ==, 0);
    g_assert_cmpmem(in, SIZE, out, SIZE);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    check_small_buffer(1, CTX, SIZE);
}

/* Each command that may name a buffer, valid for the renderer or not. */
static void test_each(Fixture *f, gconstpointer data)
{
    static const struct {
        uint32_t code, type, length;
        uint32_t args[17];
    } commands[] = {
        { VR_CREATE_OBJECT, VR_OBJECT_STREAMOUT_TARGET, 4, { 9, RES, 0, 64 } },
        { VR_CREATE_OBJECT, VR_OBJECT_QUERY, 4, { 9, 0, 0, RES } },
        { VR_SET_VERTEX_BUFFERS, 0, 6, { 4, 0, 0, 4, 0, RES } },
        { VR_SET_INDEX_BUFFER, 0, 3, { RES, 2, 0 } },
        { VR_SET_UNIFORM_BUFFER, 0, 5, { STAGE_VERTEX, 0, 0, 64, RES } },
        { VR_SET_SHADER_BUFFERS, 0, 5, { STAGE_VERTEX, 0, 0, 64, RES } },
        { VR_SET_SHADER_IMAGES, 0, 7,
          { STAGE_VERTEX, 0, FORMAT_R8, 0, 0, 64, RES } },
        { VR_SET_ATOMIC_BUFFERS, 0, 4, { 0, 0, 64, RES } },
        { RESOURCE_INLINE_WRITE, 0, 12,
          { RES, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 0x01010101 } },
        { RESOURCE_COPY_REGION, 0, 13, { 7, 0, 0, 0, 0, RES, 0, 0, 0, 0, 1, 1,
                                         1 } },
        { DRAW_VBO, 0, 17, { [14] = RES } },
    };

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, RES, SIZE);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES), ==,
                        0);
        compress(f, RES);
        submit(f->vr, CTX, commands[i].code, commands[i].type,
               commands[i].args, commands[i].length);
        g_test_message("command %u", commands[i].code);
        g_assert_cmpint(virgl_reclaim_resource_state(f->vr, RES), ==,
                        VIRGL_RECLAIM_RESIDENT);
        g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
    }
}

/* Two ids that share a counter. */
static void test_one(Fixture *f, gconstpointer data)
{
    enum { OTHER = RES + VR_ABSENT_IDS };

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = RES; id <= OTHER; id += VR_ABSENT_IDS) {
        make_small_buffer(f, id, SIZE);
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==,
                        0);
        compress(f, id);
    }
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, OTHER), ==, 0);
    check_small_buffer(OTHER, CTX, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, RES), ==,
                    VIRGL_RECLAIM_COMPRESSED);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, RES), ==, 0);
    check_small_buffer(RES, CTX, SIZE);
}

/* Resources that are not attached to the context are not restored. */
static void test_others(Fixture *f, gconstpointer data)
{
    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    make_small_buffer(f, RES, SIZE);
    compress(f, RES);
    set_vertex_buffer(f->vr, CTX, RES);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, RES), ==,
                    VIRGL_RECLAIM_COMPRESSED);
}

/* A blend state; @handle 0 is an error of the renderer's. */
static int create_blend(Fixture *f, uint32_t ctx, uint32_t handle)
{
    return COMMAND(f->vr, ctx, VR_CREATE_OBJECT, 1, handle, 0, 0, 0, 0, 0, 0, 0,
                   0, 0, 0);
}

/* Objects of all kinds count until they end, and are limited. */
static void test_objects(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, 64, 64);
    uint64_t one, view;

    (void)data;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    for (uint32_t ctx = 1; ctx <= 2; ctx++) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, ctx, 1, "1"), ==, 0);
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, ctx, 1), ==,
                        0);
    }
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 0);
    g_assert_cmpint(create_blend(f, 1, 5), ==, 0);
    one = virgl_reclaim_object_bytes(f->vr);
    g_assert_cmpuint(one, >, 0);
    g_assert_cmpint(create_blend(f, 1, 6), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one);
    /* One of the same handle replaces it, also one of another kind. */
    g_assert_cmpint(create_blend(f, 1, 6), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one);
    g_assert_cmpint(create_surface(f->vr, 1, 6, 1, FORMAT_BGRA8), ==, 0);
    view = virgl_reclaim_object_bytes(f->vr) - one;
    g_assert_cmpuint(view, >, one);
    /* Bound, it exists without its handle. */
    g_assert_cmpint(set_framebuffer(f->vr, 1, 6), ==, 0);
    g_assert_cmpint(create_blend(f, 1, 6), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one + view);
    g_assert_cmpint(set_framebuffer(f->vr, 1, 0), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one);
    g_assert_cmpint(destroy_object(f->vr, 1, 6), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, one);

    /* Over the limit nothing is submitted, and the context goes on. */
    virgl_reclaim_set_max_object_bytes(f->vr, 2 * one - 1);
    g_assert_cmpint(create_blend(f, 1, 6), ==, -EDQUOT);
    g_assert_cmpint(create_blend(f, 2, 6), ==, -EDQUOT);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, one);
    virgl_reclaim_set_max_object_bytes(f->vr, 2 * one);
    g_assert_cmpint(create_blend(f, 1, 6), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, 1, 6), ==, 0);

    /* They end with their sub-context, and with their context. */
    virgl_reclaim_set_max_object_bytes(f->vr, UINT64_MAX);
    g_assert_cmpint(COMMAND(f->vr, 1, VR_CREATE_SUB_CTX, 0, 3), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, 1, VR_SET_SUB_CTX, 0, 3), ==, 0);
    g_assert_cmpint(create_blend(f, 1, 5), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one);
    g_assert_cmpint(COMMAND(f->vr, 1, VR_DESTROY_SUB_CTX, 0, 3), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, one);
    /* A stream with an error counts as if it had created them all. */
    g_assert_cmpint(create_blend(f, 2, 0), ==, -EINVAL);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 2 * one);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 2), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, one);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 1), ==, 0);
    g_assert_cmpuint(virgl_reclaim_object_bytes(f->vr), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/submit/copy", test_copy);
    add_test("/submit/each", test_each);
    add_test("/submit/one", test_one);
    add_test("/submit/others", test_others);
    add_test("/submit/objects", test_objects);
    return g_test_run();
}
