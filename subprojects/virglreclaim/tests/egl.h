/* SPDX-License-Identifier: MIT */
/* Where tests render: without a window, and without a GPU unless told so. */

#ifndef EGL_H
#define EGL_H

#include <stdbool.h>
#include <epoxy/egl.h>

/*
 * The environment variable VIRGLRECLAIM_TEST_EGL_DEVICE: "gpu" for the first
 * EGL device of a real driver, "software" for one that is none. If it is not
 * set there is a surfaceless display, of software with LIBGL_ALWAYS_SOFTWARE.
 */
const char *egl_device_wanted(void);

#define EGL_MAX_DEVICES 16

/* All EGL devices; returns how many. */
int egl_devices(EGLDeviceEXT devices[EGL_MAX_DEVICES]);
bool egl_device_is_software(EGLDeviceEXT device);

/* Not initialized; EGL_NO_DISPLAY if there is none that is wanted. */
EGLDisplay egl_device_display(EGLDeviceEXT device);
EGLDisplay egl_wanted_display(void);

#endif
