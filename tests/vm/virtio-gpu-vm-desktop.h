/*
 * Guests with a virtio-gpu: programs of a guest with a desktop
 *
 * What scenarios do with a guest of vm_run_start_desktop(). If something fails
 * in the guest, that is the problem of the run's result.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_DESKTOP_H
#define TESTS_VM_VIRTIO_GPU_VM_DESKTOP_H

#include "virtio-gpu-vm-run.h"

/* A test: @run gets a guest of @config that has booted. */
typedef struct VmDesktopCase {
    VmConfig config;
    void (*run)(VmRun *run);
    bool kills;             /* the guest's OOM killer has to end somebody */
} VmDesktopCase;

/*
 * What main() of a test program does: the @count @cases are the tests
 * virtio-gpu/NAME, where NAME is that of the configuration. In each the run
 * must have no problem, the kernel no complaint, and nobody be killed, unless
 * the case says so. A case whose guest has not been built is skipped. Returns
 * the exit status.
 */
int vm_desktop_run_tests(int argc, char **argv, const VmDesktopCase *cases,
                         size_t count);

/*
 * Run @format in the guest's shell. Returns what it prints, in one line, to be
 * freed with g_free(); NULL if it failed.
 */
char *vm_desktop_shell(VmRun *run, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/*
 * Start gl-client (tests/desktop/gl-client.c) as @name with @options.
 * @environment has assignments such as "LIBGL_DRIVERS_PATH=/src/x", or is "".
 */
void vm_desktop_start_client(VmRun *run, const char *name,
                             const char *environment, const char *options);

/*
 * Ask the gl-client @name to do what @line says, see there. Returns its totals,
 * for vm_number_of(), to be freed with g_free(); NULL if it failed.
 */
char *vm_desktop_ask_client(VmRun *run, const char *name, const char *line);

/* Start weston on the GPU's screen; its socket is wayland-1. */
void vm_desktop_start_weston(VmRun *run);

/*
 * Have our driver evict what was not used for @ms milliseconds, 0 for never.
 * With the stock driver, which has no such timer, nothing is done.
 */
void vm_desktop_set_idle_ms(VmRun *run, unsigned ms);

/*
 * Draw @scene of glmark2 in a window of 800 x 600 for @seconds. Returns the
 * milliseconds that a frame has taken; 0 if it failed.
 */
double vm_desktop_frame_ms(VmRun *run, const char *scene, unsigned seconds);

/*
 * The statistics of our driver (docs/devel/guest-driver.rst), for
 * vm_number_of(), to be freed with g_free(); NULL if there are none.
 */
char *vm_desktop_driver_stats(VmRun *run);

/* One of them, or 0. */
uint64_t vm_desktop_driver_stat(VmRun *run, const char *name);

#endif
