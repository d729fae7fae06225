/*
 * EGL display without a device
 *
 * A machine without a GPU has no render node, but Mesa still renders in
 * software on a display that has no device and no surfaces
 * (EGL_MESA_platform_surfaceless), and a context is all that egl-headless
 * needs of a display.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/virtio-gpu-reclaim-compat.h"
#include "sysemu/sysemu.h"
#include "ui/egl-helpers.h"
#include "ui/egl-surfaceless.h"

int egl_surfaceless_init(DisplayGLMode mode)
{
    bool gles = mode == DISPLAYGL_MODE_ES;
    const EGLint attrs[] = {
        EGL_SURFACE_TYPE, EGL_PBUFFER_BIT,
        EGL_RENDERABLE_TYPE, gles ? EGL_OPENGL_ES2_BIT : EGL_OPENGL_BIT,
        EGL_RED_SIZE, 5,
        EGL_GREEN_SIZE, 5,
        EGL_BLUE_SIZE, 5,
        EGL_NONE,
    };
    EGLint n;

    if (!epoxy_has_egl_extension(NULL, "EGL_MESA_platform_surfaceless")) {
        return -1;
    }
    qemu_egl_display = eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA,
                                                EGL_DEFAULT_DISPLAY, NULL);
    if (qemu_egl_display == EGL_NO_DISPLAY ||
        !eglInitialize(qemu_egl_display, NULL, NULL) ||
        !eglBindAPI(gles ? EGL_OPENGL_ES_API : EGL_OPENGL_API) ||
        !eglChooseConfig(qemu_egl_display, attrs, &qemu_egl_config, 1, &n) ||
        n != 1) {
        return -1;
    }
    qemu_egl_mode = gles ? DISPLAYGL_MODE_ES : DISPLAYGL_MODE_CORE;
    qemu_egl_rn_ctx = qemu_egl_init_ctx();
    if (!qemu_egl_rn_ctx) {
        return -1;
    }
    display_opengl = 1;
    info_report("egl: rendering without a render node (%s)",
                glGetString(GL_RENDERER));
    return 0;
}
