/*
 * Guests with a virtio-gpu: programs that are no tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-program.h"

bool vm_program_can_run(const VmConfig *config)
{
    g_autofree char *missing = vm_config_missing(config);

    g_set_print_handler(vm_print_nothing);
    if (missing) {
        fprintf(stderr, "%s: %s\n", config->name, missing);
    }
    return !missing;
}

void vm_program_progress(const VmConfig *config, const char *text)
{
    static int64_t started;

    started = started ?: g_get_monotonic_time();
    fprintf(stderr, "  %5.1f s  %-14s %s\n",
            (g_get_monotonic_time() - started) / 1e6, config->name, text);
}
