/* SPDX-License-Identifier: MIT */
/* The EGL display of the tests: surfaceless, or a device. */

#include "egl.h"

#include <stdlib.h>
#include <string.h>

const char *egl_device_wanted(void)
{
    return getenv("VIRGLRECLAIM_TEST_EGL_DEVICE");
}

int egl_devices(EGLDeviceEXT devices[EGL_MAX_DEVICES])
{
    EGLint count = 0;

    if (!epoxy_has_egl_extension(EGL_NO_DISPLAY, "EGL_EXT_device_base") &&
        !epoxy_has_egl_extension(EGL_NO_DISPLAY,
                                 "EGL_EXT_device_enumeration")) {
        return 0;
    }
    return eglQueryDevicesEXT(EGL_MAX_DEVICES, devices, &count) ? count : 0;
}

bool egl_device_is_software(EGLDeviceEXT device)
{
    const char *extensions = eglQueryDeviceStringEXT(device, EGL_EXTENSIONS);

    return extensions && strstr(extensions, "EGL_MESA_device_software");
}

EGLDisplay egl_device_display(EGLDeviceEXT device)
{
    return eglGetPlatformDisplayEXT(EGL_PLATFORM_DEVICE_EXT, device, NULL);
}

EGLDisplay egl_wanted_display(void)
{
    EGLDeviceEXT devices[EGL_MAX_DEVICES];
    bool software;
    int count;

    if (!egl_device_wanted()) {
        return eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA,
                                        EGL_DEFAULT_DISPLAY, NULL);
    }
    /* Mesa would use software rendering on a GPU as well. */
    unsetenv("LIBGL_ALWAYS_SOFTWARE");
    software = !strcmp(egl_device_wanted(), "software");
    count = egl_devices(devices);
    for (int i = 0; i < count; i++) {
        if (egl_device_is_software(devices[i]) == software) {
            return egl_device_display(devices[i]);
        }
    }
    return EGL_NO_DISPLAY;
}
