/* SPDX-License-Identifier: MIT */
/* A minimal VMM: create, use, purge and restore a texture. */

#include <epoxy/egl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virglreclaim.h>
enum { CTX = 1, RES = 1, SIDE = 4096, BYTES = SIDE * SIDE * 4 };
static EGLDisplay display;
static EGLContext first;

/* GL contexts for the renderer: all share with the first. */
static virgl_renderer_gl_context create_context(
    void *cookie, int scanout, struct virgl_renderer_gl_ctx_param *param)
{
    EGLint version[] = { EGL_CONTEXT_MAJOR_VERSION, param->major_ver,
                         EGL_CONTEXT_MINOR_VERSION, param->minor_ver,
                         EGL_NONE };
    EGLContext context = eglCreateContext(display, NULL, first, version);

    first = first ? first : context;
    return context;
}

static void destroy_context(void *cookie, virgl_renderer_gl_context context)
{
    first = context == first ? EGL_NO_CONTEXT : first;
    eglDestroyContext(display, context);
}

static int make_current(void *cookie, int scanout,
                        virgl_renderer_gl_context context)
{
    return eglMakeCurrent(display, NULL, NULL, context) ? 0 : -1;
}

static struct virgl_renderer_callbacks callbacks = {
    .version = 1,
    .create_gl_context = create_context,
    .destroy_gl_context = destroy_context,
    .make_current = make_current,
};

static void check(const char *what, int ret)
{
    if (ret) {
        fprintf(stderr, "minimal: %s: %s\n", what, strerror(abs(ret)));
        exit(1);
    }
}

static void print_stats(struct virgl_reclaim *vr, const char *when)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(vr, &stats);
    printf("%s: %llu bytes resident, %llu released\n", when,
           (unsigned long long)stats.resident_bytes,
           (unsigned long long)stats.released_bytes);
}

int main(void)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = RES, .target = 2, .format = 1, .width = SIDE, .height = SIDE,
        .bind = VIRGL_RES_BIND_SAMPLER_VIEW, .depth = 1, .array_size = 1,
    };
    struct virgl_reclaim_transfer upload = { .to_host = true, .ctx = CTX,
                                             .w = SIDE, .h = SIDE, .d = 1 };
    struct iovec guest = { calloc(1, BYTES), BYTES };
    uint32_t nop = 0;
    struct virgl_reclaim *vr = virgl_reclaim_new();

    check("memory", !vr || !guest.iov_base ? ENOMEM : 0);
    display = eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA, 0, NULL);
    check("EGL", !eglInitialize(display, NULL, NULL) ||
          !eglBindAPI(EGL_OPENGL_API));
    check("renderer", virgl_renderer_init(&display, 0, &callbacks));
    check("create", virgl_reclaim_resource_create(vr, &args));
    check("context", virgl_reclaim_ctx_create(vr, CTX, 3, "app"));
    check("use", virgl_reclaim_ctx_attach_resource(vr, CTX, RES));
    check("attach", virgl_reclaim_resource_attach_iov(vr, RES, &guest, 1));
    check("upload", virgl_reclaim_resource_transfer(vr, RES, &upload));
    check("submit", virgl_reclaim_submit(vr, CTX, &nop, 1));
    print_stats(vr, "in use");
    check("detach", virgl_reclaim_resource_detach_iov(vr, RES, NULL, NULL));
    check("purge", virgl_reclaim_resource_purge(vr, RES, NULL));
    virgl_reclaim_trim();
    print_stats(vr, "purged");
    check("attach", virgl_reclaim_resource_attach_iov(vr, RES, &guest, 1));
    print_stats(vr, "back, all zero");
    virgl_reclaim_free(vr);
    virgl_renderer_cleanup(&display);
    free(guest.iov_base);
    return 0;
}
