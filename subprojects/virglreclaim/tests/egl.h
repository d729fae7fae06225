/* SPDX-License-Identifier: MIT */
/* The EGL display of the tests: surfaceless, or a device. */

#ifndef EGL_H
#define EGL_H

#include <stdbool.h>
#include <epoxy/egl.h>

/*
 * The environment variable VIRGLRECLAIM_TEST_EGL_DEVICE: "gpu" for the first
 * EGL device with a hardware driver, "software" for a software device. If unset
 * the display is surfaceless, and software with LIBGL_ALWAYS_SOFTWARE.
 */
const char *egl_device_wanted(void);

#define EGL_MAX_DEVICES 16

/* Fills in all EGL devices; returns their number. */
int egl_devices(EGLDeviceEXT devices[EGL_MAX_DEVICES]);
bool egl_device_is_software(EGLDeviceEXT device);

/* Not initialized; EGL_NO_DISPLAY if there is no such device. */
EGLDisplay egl_device_display(EGLDeviceEXT device);
EGLDisplay egl_wanted_display(void);

#endif
