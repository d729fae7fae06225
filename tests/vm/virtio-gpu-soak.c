/*
 * Soak test of the guest driver
 *
 * Usage: virtio-gpu-soak [--debug] SECONDS SEED RESULT.JSON
 *
 * Boots a guest on our GL device that runs all buffer operations concurrently
 * for SECONDS, see tests/guest/soak.h, and compares the guest's accounting with
 * the device's. Prints the guest's reports and, at the end, the outcome; writes
 * the result to RESULT.JSON (virtio-gpu-vm-result.h). The exit status is 0 if
 * the guest survived without errors.
 *
 *   --debug  use the debug kernel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "virtio-gpu-vm-program.h"

static void print_line(const VmConfig *config, const char *line)
{
    printf("%s\n", line);
    fflush(stdout);
}

static void print_outcome(const VmConfig *config, const VmResult *result)
{
    printf("%s: %" PRIu64 " operations, %" PRIu64 " pages verified, %" PRIu64
           " corrupt, %" PRIu64 " errors, %u kernel errors, %u OOM "
           "kills%s%s\n",
           vm_result_survives(config, result) ? "passed" : "FAILED",
           vm_result_soak_value(result, "operations"),
           vm_result_soak_value(result, "good_pages"),
           vm_result_soak_value(result, "corrupt_pages"),
           vm_result_soak_value(result, "errors"), result->kernel_complaints,
           result->oom_kills, result->problem ? ", " : "",
           result->problem ?: "");
}

int main(int argc, char **argv)
{
    bool debug = argc > 1 && !strcmp(argv[1], "--debug");
    char **args = argv + 1 + debug;
    VmConfig config = {
        .name = debug ? "soak-debug" : "soak", .scenario = VM_SCENARIO_SOAK,
        .our_driver = true, .our_device = true, .cpus = 2, .swap_mib = 512,
        .ram_mib = debug ? 288 : 224, .debug_kernel = debug,
        .handle_line = print_line,
    };
    g_autofree VmRun **runs = NULL;
    bool passed;

    if (argc != 4 + debug || qemu_strtoui(args[0], NULL, 10, &config.seconds) ||
        qemu_strtoui(args[1], NULL, 10, &config.seed)) {
        fprintf(stderr, "Usage: virtio-gpu-soak [--debug] SECONDS SEED "
                "RESULT.JSON\n");
        return EXIT_FAILURE;
    }
    if (!vm_program_can_run(&config)) {
        return EXIT_FAILURE;
    }
    runs = vm_run_all(&config, 1, 1, vm_program_progress);
    passed = vm_result_survives(&config, vm_run_result(runs[0]));
    if (!vm_runs_write(args[2], &config, runs, 1)) {
        fprintf(stderr, "%s: %s\n", args[2], strerror(errno));
        passed = false;
    }
    print_outcome(&config, vm_run_result(runs[0]));
    vm_run_free(runs[0]);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
