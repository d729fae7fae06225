/*
 * EGL display without a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EGL_SURFACELESS_H
#define EGL_SURFACELESS_H

#include "qapi/qapi-types-ui.h"

/**
 * egl_surfaceless_init: render in software, without a render node
 * @mode: the OpenGL variant that the user asked for
 *
 * Does what egl_rendernode_init() does, on EGL_PLATFORM_SURFACELESS_MESA: sets
 * qemu_egl_display, qemu_egl_config, qemu_egl_mode and qemu_egl_rn_ctx. Main
 * thread only.
 *
 * Returns: 0, or -1 if EGL has no such display.
 */
int egl_surfaceless_init(DisplayGLMode mode);

#endif /* EGL_SURFACELESS_H */
