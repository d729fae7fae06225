/*
 * Guests with a virtio-gpu: the host takes idle memory back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_HOST_H
#define TESTS_VM_VIRTIO_GPU_VM_HOST_H

#include "virtio-gpu-vm-run.h"

/* Textures of each client. */
#define VM_HOST_TEXTURES    30
#define VM_HOST_TEXTURE_MIB 4
#define VM_HOST_CLIENT_BYTES \
    ((uint64_t)VM_HOST_TEXTURES * VM_HOST_TEXTURE_MIB << 20)

/*
 * In the guest @run, of vm_run_start_desktop(), start two clients that have
 * VM_HOST_CLIENT_BYTES of textures each, with @option of gl-client. One stops
 * drawing, and the device's target becomes half of what it uses; a stock device
 * has none. @wait_ms milliseconds after @done, which may be NULL, has returned
 * true the other client stops, too, and both verify all of their pixels.
 *
 * What was found is the member host of the result. Returns false if something
 * failed, which is the problem of the result.
 */
bool vm_host_take_back(VmRun *run, const char *option,
                       bool (*done)(VmRun *run, void *opaque), void *opaque,
                       unsigned wait_ms);

/* Whether RssAnon of QEMU has fallen by 80 % of what the idle client holds. */
bool vm_host_has_given_back(VmRun *run, void *opaque);

/*
 * A number of the device's reclaim-stats: the member @name, of the member @in
 * if that is not NULL. 0 of a stock device.
 */
uint64_t vm_host_stat(VmRun *run, const char *in, const char *name);

#endif
