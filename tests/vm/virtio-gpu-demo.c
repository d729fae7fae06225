/*
 * Run guests whose GPU buffers exceed their memory, on the stock stack and ours
 *
 * Usage: virtio-gpu-demo [--quick] [--only SCENARIO] RESULT.JSON
 *
 * Runs four scenarios on the stock stack and on ours, and writes the results
 * to RESULT.JSON (virtio-gpu-vm-result.h), the input of
 * scripts/steps/demo-report.py. The exit status is 0 if all guests have run,
 * whatever the outcomes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-host.h"
#include "virtio-gpu-vm-program.h"
#include "virtio-gpu-vm-session.h"

#define CACHE .scenario = VM_SCENARIO_CACHE, .ram_mib = 256, .bo_mib = 128, \
    .hog_mib = 100
#define IDLE .scenario = VM_SCENARIO_IDLE, .ram_mib = 256, .swap_mib = 2048, \
    .bo_mib = 1024
#define HOST .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512
#define DESKTOP .scenario = VM_SCENARIO_DESKTOP, \
    .ram_mib = VM_SESSION_RAM_MIB, .zram_mib = VM_SESSION_ZRAM_MIB, \
    .kernel_options = VM_SESSION_KERNEL_OPTIONS, .cpus = 2
#define OURS .our_driver = true, .our_device = true

/* In which frame rates are compared. */
#define ROUNDS 3

/* Exceeds the guest's memory. */
#define QUICK_BO_MIB 384

/* What happens in a guest with a desktop is driven from here. */
static VmRun *run_desktop(const VmConfig *config)
{
    VmRun *run = vm_run_start_desktop(config, vm_program_progress);

    if (vm_run_result(run)->problem) {
        /* Nothing to do with it. */
    } else if (config->zram_mib) {
        vm_session_run(run);
    } else {
        vm_host_take_back(run, "",
                          config->our_device ? vm_host_has_given_back : NULL,
                          ROUNDS);
    }
    vm_run_stop(run);
    return run;
}

/* Longest runs first, to keep both jobs busy. */
static const VmConfig all[] = {
    { .name = "idle/reclaim", IDLE, OURS },
    { .name = "idle/stock", IDLE },
    { .name = "cache/reclaim", CACHE, OURS },
    { .name = "cache/stock", CACHE },
    { .name = "desktop/reclaim", DESKTOP, OURS },
    { .name = "desktop/stock", DESKTOP },
    { .name = "host/reclaim", HOST, .our_device = true },
    { .name = "host/stock", HOST },
};

/* Those that run side by side; the others are driven from here. */
#define CONCURRENT 4

/*
 * Copy those of the scenario @only to @configs, all if it is NULL. Returns how
 * many, and in @concurrent how many of these run side by side; 0 on failure.
 */
static size_t choose(VmConfig *configs, const char *only, bool quick,
                     size_t *concurrent)
{
    size_t n = 0, i;

    *concurrent = 0;
    for (i = 0; i < G_N_ELEMENTS(all); i++) {
        size_t len = strcspn(all[i].name, "/");

        if (only && (strncmp(all[i].name, only, len) || only[len])) {
            continue;
        }
        if (!vm_program_can_run(&all[i])) {
            /* The guest with a desktop need not be there. */
            return i < CONCURRENT ? 0 : n;
        }
        configs[n] = all[i];
        if (quick && all[i].scenario == VM_SCENARIO_IDLE) {
            configs[n].bo_mib = QUICK_BO_MIB;
        }
        n++;
        *concurrent += i < CONCURRENT;
    }
    return n;
}

int main(int argc, char **argv)
{
    VmConfig configs[G_N_ELEMENTS(all)];
    g_autofree VmRun **runs = NULL;
    const char *path, *only = NULL;
    size_t n, concurrent, i;
    bool quick, written;

    quick = argc > 1 && !strcmp(argv[1], "--quick");
    argc -= quick;
    argv += quick;
    if (argc > 2 && !strcmp(argv[1], "--only")) {
        only = argv[2];
        argc -= 2;
        argv += 2;
    }
    path = argv[1];
    if (argc != 2 || path[0] == '-') {
        fprintf(stderr, "Usage: virtio-gpu-demo [--quick] [--only SCENARIO] "
                "RESULT.JSON\n");
        return EXIT_FAILURE;
    }
    n = choose(configs, only, quick, &concurrent);
    if (!n) {
        fprintf(stderr, "no scenario%s%s can run\n", only ? " " : "",
                only ?: "");
        return EXIT_FAILURE;
    }

    runs = vm_run_all(configs, concurrent, VM_JOBS, vm_program_progress);
    runs = g_renew(VmRun *, runs, n);
    for (i = concurrent; i < n; i++) {
        runs[i] = run_desktop(&configs[i]);
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
