/*
 * Virtio GPU: the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads what Linux reports as pressure stall information (PSI; format:
 * Documentation/accounting/psi.rst): the share of the last ten seconds in which
 * some task, or all tasks at once, waited for memory. Needs only GLib.
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_PRESSURE_H
#define HW_DISPLAY_VIRTIO_GPU_PRESSURE_H

#include "virtio-gpu-policy.h"

/*
 * The level rises when a share, in percent, reaches the first of two numbers,
 * and falls when it is below the second: near one number it does not flap.
 * Services that kill or trim programs act on about 10 % too.
 */
#define VIRTIO_GPU_PRESSURE_SOME_RISE 10
#define VIRTIO_GPU_PRESSURE_SOME_FALL 5
#define VIRTIO_GPU_PRESSURE_FULL_RISE 5
#define VIRTIO_GPU_PRESSURE_FULL_FALL 2

/**
 * virtio_gpu_pressure_level: The level that PSI means.
 * @before: the level so far
 * @text: contents of a memory.pressure file
 *
 * Returns: the level; @before if @text is not such a file's.
 */
VirtIOGPUPressure virtio_gpu_pressure_level(VirtIOGPUPressure before,
                                            const char *text);

/**
 * virtio_gpu_pressure_name: The name of a level, for users.
 * @level: the level
 */
const char *virtio_gpu_pressure_name(VirtIOGPUPressure level);

/**
 * virtio_gpu_pressure_cgroup_file: Find the PSI file of a process's cgroup.
 * @cgroup: contents of /proc/PID/cgroup
 * @mountinfo: contents of /proc/PID/mountinfo
 *
 * Of the unified hierarchy (version 2), which may be mounted beside those of
 * version 1. The file need not exist.
 *
 * Returns: its path, to be freed by g_free(); NULL if there is no such
 * hierarchy, or if the cgroup is outside of what is mounted.
 */
char *virtio_gpu_pressure_cgroup_file(const char *cgroup,
                                      const char *mountinfo);

#endif /* HW_DISPLAY_VIRTIO_GPU_PRESSURE_H */
