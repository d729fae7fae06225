/* SPDX-License-Identifier: MIT */
/*
 * List the EGL devices, with driver and version. Exit status: 0 if one of them
 * has a hardware driver, 77 (skip) if not.
 */

#include "egl.h"

#include <stdio.h>
#include <epoxy/gl.h>

/* The name of its driver; NULL if that fails to initialize. */
static const char *renderer(EGLDisplay display, const char **version)
{
    const char *name = NULL;
    EGLContext context;

    if (display == EGL_NO_DISPLAY || !eglInitialize(display, NULL, NULL)) {
        return NULL;
    }
    eglBindAPI(EGL_OPENGL_API);
    context = eglCreateContext(display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT,
                               NULL);
    if (context && eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE,
                                  context)) {
        name = (const char *)glGetString(GL_RENDERER);
        *version = (const char *)glGetString(GL_VERSION);
    }
    return name;
}

int main(void)
{
    EGLDeviceEXT devices[EGL_MAX_DEVICES];
    int count = egl_devices(devices), real = 0;

    for (int i = 0; i < count; i++) {
        bool software = egl_device_is_software(devices[i]);
        const char *version = "", *name;

        name = renderer(egl_device_display(devices[i]), &version);
        printf("EGL device %d: %s, %s %s\n", i, software ? "software" : "gpu",
               name ? name : "does not start", version);
        real += !software && name;
    }
    if (!real) {
        printf("there is no EGL device of a real driver among %d\n", count);
    }
    return real ? 0 : 77;
}
