/* SPDX-License-Identifier: MIT */
/* Clearing reaches every byte of each type of storage. */

#include "renderer.h"

#include <string.h>
#include <epoxy/gl.h>

/*
 * llvmpipe clears allocations, other drivers do not. So storage is filled with
 * a pattern and cleared again, as new storage is.
 */

enum { GL_ONLY = 1 };           /* GLES has no such upload or readback */

static const struct {
    const char *what;
    uint32_t target, format, width, height, depth, array_size, last_level;
    int flags;
} cases[] = {
    { "bgra8", VR_TARGET_2D, FORMAT_BGRA8, 65, 33, 1, 1, 0, 0 },
    { "mipmaps", VR_TARGET_2D, FORMAT_RGBA8, 64, 32, 1, 1, 6, 0 },
    { "r8", VR_TARGET_2D, FORMAT_R8, 64, 64, 1, 1, 0, 0 },
    { "rgba16f", VR_TARGET_2D, FORMAT_RGBA16F, 64, 64, 1, 1, 0, GL_ONLY },
    { "rgba32f", VR_TARGET_2D, FORMAT_RGBA32F, 64, 64, 1, 1, 2, 0 },
    { "rgba8ui", VR_TARGET_2D, FORMAT_RGBA8UI, 64, 64, 1, 1, 0, 0 },
    { "rgba16i", VR_TARGET_2D, FORMAT_RGBA16I, 64, 64, 1, 1, 0, 0 },
    { "r32ui", VR_TARGET_2D, FORMAT_R32UI, 64, 64, 1, 1, 1, 0 },
    { "dxt1", VR_TARGET_2D, FORMAT_DXT1, 64, 64, 1, 1, 2, GL_ONLY },
    { "dxt5", VR_TARGET_2D, FORMAT_DXT5, 30, 30, 1, 1, 0, GL_ONLY },
    { "dxt5 array", VR_TARGET_2D_ARRAY, FORMAT_DXT5, 32, 32, 1, 3, 0,
      GL_ONLY },
    { "dxt5 cube", VR_TARGET_CUBE, FORMAT_DXT5, 32, 32, 1, 6, 0, GL_ONLY },
    { "bptc, large", VR_TARGET_2D, FORMAT_BPTC, 1024, 1024, 1, 1, 0,
      GL_ONLY },
    { "z16", VR_TARGET_2D, FORMAT_Z16, 64, 64, 1, 1, 0, GL_ONLY },
    { "s8z24", VR_TARGET_2D, FORMAT_S8Z24, 64, 64, 1, 1, 1, GL_ONLY },
    { "z32f", VR_TARGET_2D, FORMAT_Z32F, 64, 64, 1, 1, 0, GL_ONLY },
    { "1d", VR_TARGET_1D, FORMAT_RGBA8, 64, 1, 1, 1, 0, GL_ONLY },
    { "1d array", VR_TARGET_1D_ARRAY, FORMAT_RGBA8, 64, 1, 1, 5, 0,
      GL_ONLY },
    { "2d array", VR_TARGET_2D_ARRAY, FORMAT_RGBA8, 32, 32, 1, 5, 1, 0 },
    { "3d", VR_TARGET_3D, FORMAT_RGBA8, 16, 16, 16, 1, 2, 0 },
    { "cube", VR_TARGET_CUBE, FORMAT_RGBA8, 32, 32, 1, 6, 2, 0 },
    { "cube array", VR_TARGET_CUBE_ARRAY, FORMAT_RGBA8, 32, 32, 1, 12, 0,
      GL_ONLY },
    { "rect", VR_TARGET_RECT, FORMAT_RGBA8, 33, 31, 1, 1, 0, 0 },
    { "buffer", VR_TARGET_BUFFER, FORMAT_R8, 100003, 1, 1, 1, 0, 0 },
};

/* Creation has cleared it already: reset the GL state first. */
static void unbind_all(void)
{
    glBindBuffer(GL_COPY_WRITE_BUFFER, 0);
    glBindTexture(GL_TEXTURE_2D, 0);
    glBindTexture(GL_TEXTURE_2D_ARRAY, 0);
    glBindTexture(GL_TEXTURE_3D, 0);
    glBindTexture(GL_TEXTURE_CUBE_MAP, 0);
}

/* GL state that clearing could change. */
static void get_state(GLint state[8])
{
    memset(state, 0, 8 * sizeof(state[0]));
    glGetIntegerv(GL_COPY_WRITE_BUFFER_BINDING, &state[0]);
    glGetIntegerv(GL_TEXTURE_BINDING_2D, &state[1]);
    glGetIntegerv(GL_TEXTURE_BINDING_2D_ARRAY, &state[2]);
    glGetIntegerv(GL_TEXTURE_BINDING_3D, &state[3]);
    glGetIntegerv(GL_TEXTURE_BINDING_CUBE_MAP, &state[4]);
    glGetIntegerv(GL_UNPACK_ALIGNMENT, &state[5]);
    glGetIntegerv(GL_UNPACK_ROW_LENGTH, &state[6]);
    state[7] = glGetError();
}

static void test_case(Fixture *f, gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    struct virgl_renderer_resource_create_args args = texture_args(1, 1, 1);
    GLint before[8], after[8];

    if (cases[i].flags & GL_ONLY && g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("no such upload or readback with GLES");
        return;
    }
    if (cases[i].target == VR_TARGET_BUFFER) {
        args.bind = VIRGL_RES_BIND_VERTEX_BUFFER;
    } else if (cases[i].format == FORMAT_Z16 ||
               cases[i].format == FORMAT_S8Z24 ||
               cases[i].format == FORMAT_Z32F) {
        args.bind = VIRGL_RES_BIND_DEPTH_STENCIL;
    } else {
        args.bind = VIRGL_RES_BIND_SAMPLER_VIEW;
    }
    args.target = cases[i].target;
    args.format = cases[i].format;
    args.width = cases[i].width;
    args.height = cases[i].height;
    args.depth = cases[i].depth;
    args.array_size = cases[i].array_size;
    args.last_level = cases[i].last_level;

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_true(each_layer(&args, false));
    each_layer(&args, true);
    g_assert_false(each_layer(&args, false));

    virgl_renderer_force_ctx_0();
    unbind_all();
    get_state(before);
    g_assert_cmpint(vr_zero(&vr_libc, &args, gl_name(1)), ==, 0);
    get_state(after);
    for (size_t j = 0; j < G_N_ELEMENTS(before); j++) {
        g_assert_cmpint(before[j], ==, after[j]);
    }
    g_assert_true(each_layer(&args, false));
}

/* Multisampled storage: read by GL, as the renderer cannot transfer it. */

static uint32_t resolve(uint32_t name, bool layered, uint32_t layer, int size,
                        bool clear)
{
    GLuint fb[2], texture, pixel = 0x01010101;

    glGenFramebuffers(2, fb);
    glBindFramebuffer(GL_FRAMEBUFFER, fb[0]);
    if (layered) {
        glFramebufferTextureLayer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, name,
                                  0, layer);
    } else {
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                               GL_TEXTURE_2D_MULTISAMPLE, name, 0);
    }
    g_assert_cmpint(glCheckFramebufferStatus(GL_FRAMEBUFFER), ==,
                    GL_FRAMEBUFFER_COMPLETE);
    if (clear) {
        glClearColor(1.0, 1.0, 1.0, 1.0);
        glClear(GL_COLOR_BUFFER_BIT);
    }

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, size, size, 0, GL_RGBA,
                 GL_UNSIGNED_BYTE, NULL);
    glBindTexture(GL_TEXTURE_2D, 0);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, fb[1]);
    glFramebufferTexture2D(GL_DRAW_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                           GL_TEXTURE_2D, texture, 0);
    glBlitFramebuffer(0, 0, size, size, 0, 0, size, size, GL_COLOR_BUFFER_BIT,
                      GL_NEAREST);
    glBindFramebuffer(GL_FRAMEBUFFER, fb[1]);
    glReadPixels(size / 2, size / 2, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, &pixel);

    glBindFramebuffer(GL_FRAMEBUFFER, 0);
    glDeleteFramebuffers(2, fb);
    glDeleteTextures(1, &texture);
    g_assert_cmpint(glGetError(), ==, GL_NO_ERROR);
    return pixel;
}

static void multisample(Fixture *f, uint32_t layers)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, 32, 32);
    bool layered = layers > 1;
    uint32_t name;

    args.format = FORMAT_RGBA8;
    args.nr_samples = 4;
    if (layered) {
        args.target = VR_TARGET_2D_ARRAY;
        args.array_size = layers;
    }
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    name = gl_name(1);

    virgl_renderer_force_ctx_0();
    for (uint32_t i = 0; i < layers; i++) {
        g_assert_cmphex(resolve(name, layered, i, 32, false), ==, 0);
        g_assert_cmphex(resolve(name, layered, i, 32, true), ==, 0xffffffff);
    }
    g_assert_cmpint(vr_zero(&vr_libc, &args, name), ==, 0);
    for (uint32_t i = 0; i < layers; i++) {
        g_assert_cmphex(resolve(name, layered, i, 32, false), ==, 0);
    }
}

static void test_multisample(Fixture *f, gconstpointer data)
{
    (void)data;
    multisample(f, 1);
}

static void test_multisample_array(Fixture *f, gconstpointer data)
{
    (void)data;
    multisample(f, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/zero/%s", cases[i].what);

        g_test_add(path, Fixture, GSIZE_TO_POINTER(i), fixture_set_up,
                   test_case, fixture_tear_down);
    }
    add_test("/zero/multisample", test_multisample);
    add_test("/zero/multisample-array", test_multisample_array);
    return g_test_run();
}
