/* SPDX-License-Identifier: MIT */
/* A real renderer for tests: surfaceless EGL, no window, no render node. */

#include "egl.h"
#include "renderer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include <epoxy/gl.h>

static EGLDisplay display;
static EGLConfig config;
static EGLContext root;
static bool gles;

static virgl_renderer_gl_context create_gl_context(
    void *cookie, int scanout, struct virgl_renderer_gl_ctx_param *param)
{
    EGLint attributes[] = {
        EGL_CONTEXT_MAJOR_VERSION, param->major_ver,
        EGL_CONTEXT_MINOR_VERSION, param->minor_ver,
        EGL_NONE,
    };

    (void)cookie;
    (void)scanout;
    return eglCreateContext(display, config, root, attributes);
}

static void destroy_gl_context(void *cookie, virgl_renderer_gl_context context)
{
    (void)cookie;
    eglDestroyContext(display, context);
}

static int make_current(void *cookie, int scanout,
                        virgl_renderer_gl_context context)
{
    (void)cookie;
    (void)scanout;
    return eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE,
                          context) ? 0 : -1;
}

static uint32_t last_fence;

static void write_fence(void *cookie, uint32_t fence)
{
    (void)cookie;
    last_fence = fence;
}

static struct virgl_renderer_callbacks callbacks = {
    .version = 1,
    .write_fence = write_fence,
    .create_gl_context = create_gl_context,
    .destroy_gl_context = destroy_gl_context,
    .make_current = make_current,
};

static void open_display(void)
{
    EGLint attributes[] = {
        EGL_SURFACE_TYPE, EGL_PBUFFER_BIT,
        EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT,
        EGL_NONE,
    };
    EGLint count = 0;

    gles = g_getenv("VIRGLRECLAIM_TEST_GLES") != NULL;
    if (gles) {
        attributes[3] = EGL_OPENGL_ES3_BIT;
    }

    display = egl_wanted_display();
    g_assert_true(display != EGL_NO_DISPLAY);
    g_assert_true(eglInitialize(display, NULL, NULL));
    g_assert_true(eglBindAPI(gles ? EGL_OPENGL_ES_API : EGL_OPENGL_API));
    g_assert_true(eglChooseConfig(display, attributes, &config, 1, &count));
    g_assert_cmpint(count, ==, 1);
    /* As in QEMU, GL objects outlive a reset: all contexts share with this. */
    root = eglCreateContext(display, config, EGL_NO_CONTEXT,
                            (EGLint[]) { EGL_CONTEXT_MAJOR_VERSION, 3,
                                         EGL_NONE });
    g_assert_true(root != EGL_NO_CONTEXT);
}

void wait_for_renderer(uint32_t ctx)
{
    static uint32_t fence;

    g_assert_cmpint(virgl_renderer_create_fence(++fence, ctx), ==, 0);
    while (last_fence != fence) {
        virgl_renderer_poll();
        g_usleep(50);
    }
}

void fixture_set_up(Fixture *f, gconstpointer data)
{
    static int cookie;

    (void)data;
    if (!display) {
        open_display();
        g_assert_cmpint(virgl_renderer_init(&cookie, 0, &callbacks), ==, 0);
    }
    f->vr = virgl_reclaim_new();
}

void fixture_tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    virgl_renderer_reset();
    virgl_reclaim_free(f->vr);
}

struct virgl_renderer_resource_create_args texture_args(uint32_t id,
                                                        uint32_t width,
                                                        uint32_t height)
{
    return (struct virgl_renderer_resource_create_args) {
        .handle = id,
        .target = VR_TARGET_2D,
        .format = FORMAT_BGRA8,
        .bind = VIRGL_RES_BIND_RENDER_TARGET | VIRGL_RES_BIND_SAMPLER_VIEW,
        .width = width,
        .height = height,
        .depth = 1,
        .array_size = 1,
    };
}

struct virgl_renderer_resource_create_args buffer_args(uint32_t id,
                                                       uint32_t size)
{
    return (struct virgl_renderer_resource_create_args) {
        .handle = id,
        .target = VR_TARGET_BUFFER,
        .format = FORMAT_R8,
        .bind = VIRGL_RES_BIND_VERTEX_BUFFER,
        .width = size,
        .height = 1,
        .depth = 1,
        .array_size = 1,
    };
}

int write_bytes(uint32_t id, uint32_t ctx, const void *data, size_t size,
                uint32_t width, uint32_t height)
{
    struct virgl_box box = { .w = width, .h = height, .d = 1 };
    struct iovec iov = { .iov_base = (void *)data, .iov_len = size };

    return virgl_renderer_transfer_write_iov(id, ctx, 0, 0, 0, &box, 0, &iov,
                                             1);
}

int read_bytes(uint32_t id, uint32_t ctx, void *data, size_t size,
               uint32_t width, uint32_t height)
{
    struct virgl_box box = { .w = width, .h = height, .d = 1 };
    struct iovec iov = { .iov_base = data, .iov_len = size };

    return virgl_renderer_transfer_read_iov(id, ctx, 0, 0, 0, &box, 0, &iov,
                                            1);
}

void transfer_layer(bool write, uint32_t id, uint32_t i, uint32_t z,
                    const struct vr_level *level, void *data)
{
    struct virgl_box box = {
        .z = z, .w = level->width, .h = level->height, .d = 1,
    };
    /*
     * To read a layer of a compressed array virglrenderer 1.1 wants room for
     * all of them. Only the first is written to.
     */
    size_t room = write ? 0 : (level->layers - 1) * level->layer_bytes;
    g_autofree uint8_t *rest = g_malloc(room);
    struct iovec iov[] = {
        { data, level->layer_bytes }, { rest, room },
    };
    int ret;

    if (write) {
        ret = virgl_renderer_transfer_write_iov(id, 0, i, 0, 0, &box, 0, iov,
                                                1);
    } else {
        ret = virgl_renderer_transfer_read_iov(id, 0, i, 0, 0, &box, 0, iov,
                                               room ? 2 : 1);
    }
    g_assert_cmpint(ret, ==, 0);
}

void fill_small(uint8_t *data, size_t size, uint32_t seed)
{
    uint8_t bytes[251];

    fill(bytes, sizeof(bytes), seed);
    for (size_t i = 0; i < size; i++) {
        data[i] = bytes[i % sizeof(bytes)];
    }
}

void make_small_buffer(Fixture *f, uint32_t id, uint32_t size)
{
    struct virgl_renderer_resource_create_args args = buffer_args(id, size);
    g_autofree uint8_t *data = g_malloc(size);

    fill_small(data, size, id);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(write_bytes(id, 0, data, size, size, 1), ==, 0);
}

void check_small_buffer(uint32_t id, uint32_t ctx, uint32_t size)
{
    g_autofree uint8_t *data = g_malloc(size), *out = g_malloc0(size);

    fill_small(data, size, id);
    g_assert_cmpint(read_bytes(id, ctx, out, size, size, 1), ==, 0);
    g_assert_cmpmem(data, size, out, size);
}

bool each_layer(const vr_args *args, bool write)
{
    bool zero = true;

    for (uint32_t i = 0; i <= args->last_level; i++) {
        struct vr_level level = vr_args_level(args, i);
        g_autofree uint8_t *data = g_malloc(level.layer_bytes);

        for (uint32_t z = 0; z < level.layers; z++) {
            if (write) {
                fill(data, level.layer_bytes, i * 1000 + z);
            } else {
                memset(data, 1, level.layer_bytes);
            }
            transfer_layer(write, args->handle, i, z, &level, data);
            zero = zero && all_zero(data, level.layer_bytes);
        }
    }
    return zero;
}

unsigned count_textures(void)
{
    unsigned count = 0;

    virgl_renderer_force_ctx_0();
    for (GLuint name = 1; name < 10000; name++) {
        count += glIsTexture(name);
    }
    return count;
}

uint32_t gl_name(uint32_t id)
{
    struct virgl_renderer_resource_info info = { 0 };

    virgl_renderer_resource_get_info(id, &info);
    return info.tex_id;
}

void fill(void *data, size_t size, uint32_t seed)
{
    uint8_t *byte = data;
    uint32_t state = seed * 2654435761u + 1;

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        byte[i] = (state >> 24) | 1;
    }
}

void limit_memory(size_t room)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
    unsigned long pages;
    FILE *file;

    if (room) {
        file = fopen("/proc/self/statm", "r");
        g_assert_nonnull(file);
        g_assert_cmpint(fscanf(file, "%lu", &pages), ==, 1);
        fclose(file);
        limit.rlim_cur = pages * sysconf(_SC_PAGESIZE) + room;
    }
    g_assert_cmpint(setrlimit(RLIMIT_AS, &limit), ==, 0);
}

bool all_zero(const void *data, size_t size)
{
    const uint8_t *byte = data;

    return !size || (!byte[0] && !memcmp(byte, byte + 1, size - 1));
}

static uint64_t rss_anon(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    unsigned long long kib = 0;
    char line[256];

    g_assert_nonnull(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "RssAnon: %llu kB", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    g_assert_cmpuint(kib, >, 0);
    return kib * 1024;
}

/* Of GL_NVX_gpu_memory_info and GL_ATI_meminfo, in KiB. */
#define GPU_MEMORY_INFO_CURRENT_AVAILABLE_VIDMEM_NVX 0x9049
#define TEXTURE_FREE_MEMORY_ATI 0x87FC

/* Free memory in KiB, or 0 if the driver does not report it. */
static uint64_t gpu_memory_free(void)
{
    GLint kib[4] = { 0 };

    virgl_renderer_force_ctx_0();
    glFinish();
    if (epoxy_has_gl_extension("GL_NVX_gpu_memory_info")) {
        glGetIntegerv(GPU_MEMORY_INFO_CURRENT_AVAILABLE_VIDMEM_NVX, kib);
    } else if (epoxy_has_gl_extension("GL_ATI_meminfo")) {
        glGetIntegerv(TEXTURE_FREE_MEMORY_ATI, kib);
    }
    return kib[0];
}

static bool on_gpu(void)
{
    return egl_device_wanted() && !strcmp(egl_device_wanted(), "gpu");
}

uint64_t memory_used(void)
{
    return on_gpu() ? (UINT32_MAX - gpu_memory_free()) * 1024 : rss_anon();
}

bool memory_is_freed(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    if (preloaded && strstr(preloaded, "vgpreload")) {
        g_test_skip("valgrind keeps what is freed, and gives that out again");
        return false;
    }
    return true;
}

bool memory_is_seen(void)
{
    if (!memory_is_freed()) {
        return false;
    }
    if (on_gpu() && !gpu_memory_free()) {
        g_test_skip("the driver does not tell how much memory is in use");
        return false;
    }
    return true;
}
