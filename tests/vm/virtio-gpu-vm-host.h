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
 * VM_HOST_CLIENT_BYTES of textures each, with @option of gl-client. In each of
 * @rounds one of them is idle, the device's target becomes half of what it uses
 * (a stock device has none), and when @done, which may be NULL, has returned
 * true the other one's frame rate is measured; as it is before and after, with
 * the idle client's textures in place. At the end both verify all of their
 * pixels.
 *
 * What was found is the member host of the result: memory of the last round,
 * frame rates of all. Returns false if something failed, which is the problem
 * of the result, or if @done did not return true.
 */
bool vm_host_take_back(VmRun *run, const char *option,
                       bool (*done)(VmRun *run, void *opaque), unsigned rounds);

/*
 * Let the gl-client @client draw for a while, at @rate. Returns false if it
 * failed.
 */
bool vm_host_measure(VmRun *run, const char *client, VmRate *rate);

/* Whether RssAnon of QEMU has fallen by 80 % of what idle clients hold. */
bool vm_host_has_given_back(VmRun *run, void *opaque);

/*
 * A number of the device's reclaim-stats: the member @name, of the member @in
 * if that is not NULL. 0 of a stock device.
 */
uint64_t vm_host_stat(VmRun *run, const char *in, const char *name);

#endif
