/*
 * Measurements in a guest
 *
 * Usage: virtio-gpu-vm-bench QUESTION
 *
 * Boots a guest on our GL device that measures what QUESTION asks, see
 * tests/guest/bench.c, and prints its lines 'bench name=value ...'. The exit
 * status is 0 if it came to its end without errors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-program.h"

static void print_line(const VmConfig *config, const char *line);

/* Bounds that only a hang exceeds. */
#define BENCH .scenario = VM_SCENARIO_BENCH, .our_device = true, \
              .handle_line = print_line, .seconds = 1200

static const VmConfig configs[] = {
    { .name = "bench-capacity", .tests = "capacity", BENCH,
      .our_driver = true, .ram_mib = 256, .swap_mib = 1024 },
    { .name = "bench-evict", .tests = "evict", BENCH,
      .our_driver = true, .ram_mib = 256, .swap_mib = 512 },
    { .name = "bench-latency", .tests = "latency", BENCH,
      .our_driver = true, .ram_mib = 1280, .swap_mib = 1024 },
    { .name = "bench-purge", .tests = "purge", BENCH,
      .our_driver = true, .ram_mib = 1536 },
    { .name = "bench-close", .tests = "close", BENCH, .ram_mib = 1536 },
};

static bool benched;

static void print_line(const VmConfig *config, const char *line)
{
    benched |= !strcmp(line, "benched");
    printf("%s\n", line);
    fflush(stdout);
}

static bool run(const VmConfig *config)
{
    g_autofree VmRun **runs = NULL;
    const VmResult *result;
    bool done;

    if (!vm_program_can_run(config)) {
        return false;
    }
    runs = vm_run_all(config, 1, 1, vm_program_progress);
    result = vm_run_result(runs[0]);
    done = benched && !result->problem && !result->errors &&
           !result->kernel_complaints;
    if (!done) {
        fprintf(stderr, "%s: %s, %u errors, %u kernel errors (log: %s)\n",
                config->name, result->problem ?: "not finished",
                result->errors, result->kernel_complaints,
                vm_run_log(runs[0]));
    }
    vm_run_free(runs[0]);
    return done;
}

int main(int argc, char **argv)
{
    size_t i;

    for (i = 0; argc == 2 && i < G_N_ELEMENTS(configs); i++) {
        if (!strcmp(configs[i].tests, argv[1])) {
            return run(&configs[i]) ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    fprintf(stderr, "Usage: virtio-gpu-vm-bench capacity|evict|latency|purge|"
            "close\n");
    return EXIT_FAILURE;
}
