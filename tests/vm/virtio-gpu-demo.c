/*
 * Run guests whose GPU buffers exceed their memory, on the stock stack and ours
 *
 * Usage: virtio-gpu-demo [--quick] RESULT.JSON
 *
 * Runs three scenarios on the stock stack and on ours, and writes the results
 * to RESULT.JSON (virtio-gpu-vm-result.h), the input of
 * scripts/steps/demo-report.py. The exit status is 0 if all guests have run,
 * whatever the outcomes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-host.h"
#include "virtio-gpu-vm-program.h"

#define CACHE .scenario = VM_SCENARIO_CACHE, .ram_mib = 256, .bo_mib = 128, \
    .hog_mib = 100
#define IDLE .scenario = VM_SCENARIO_IDLE, .ram_mib = 256, .swap_mib = 2048, \
    .bo_mib = 1024
#define HOST .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512
#define OURS .our_driver = true, .our_device = true

/* How long what was returned, or not, is shown. */
#define HOLD_MS 3000

/* Exceeds the guest's memory. */
#define QUICK_BO_MIB 384

static VmRun *run_host(const VmConfig *config)
{
    VmRun *run = vm_run_start_desktop(config, vm_program_progress);

    if (!vm_run_result(run)->problem) {
        vm_host_take_back(run, "",
                          config->our_device ? vm_host_has_given_back : NULL,
                          NULL, HOLD_MS);
    }
    vm_run_stop(run);
    return run;
}

int main(int argc, char **argv)
{
    bool quick = argc == 3 && !strcmp(argv[1], "--quick");
    /* Longest runs first, to keep both jobs busy. */
    VmConfig configs[] = {
        { .name = "idle/reclaim", IDLE, OURS },
        { .name = "idle/stock", IDLE },
        { .name = "cache/reclaim", CACHE, OURS },
        { .name = "cache/stock", CACHE },
        /* Not of the others: what happens is driven from here. */
        { .name = "host/reclaim", HOST, .our_device = true },
        { .name = "host/stock", HOST },
    };
    const size_t concurrent = G_N_ELEMENTS(configs) - 2;
    size_t n = G_N_ELEMENTS(configs);
    g_autofree VmRun **runs = NULL;
    const char *path = argv[argc - 1];
    bool written;
    size_t i;

    if (argc < 2 || path[0] == '-' || argc > (quick ? 3 : 2)) {
        fprintf(stderr, "Usage: virtio-gpu-demo [--quick] RESULT.JSON\n");
        return EXIT_FAILURE;
    }
    for (i = 0; i < n; i++) {
        if (!vm_program_can_run(&configs[i])) {
            if (i < concurrent) {
                return EXIT_FAILURE;
            }
            n = concurrent;
            break;
        }
        if (quick && configs[i].scenario == VM_SCENARIO_IDLE) {
            configs[i].bo_mib = QUICK_BO_MIB;
        }
    }

    runs = vm_run_all(configs, concurrent, VM_JOBS, vm_program_progress);
    runs = g_renew(VmRun *, runs, n);
    for (i = concurrent; i < n; i++) {
        runs[i] = run_host(&configs[i]);
    }
    written = vm_runs_write(path, configs, runs, n);
    if (!written) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    for (i = 0; i < n; i++) {
        vm_run_free(runs[i]);
    }
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
