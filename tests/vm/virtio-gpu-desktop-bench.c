/*
 * Benchmark of a desktop without memory pressure
 *
 * Usage: virtio-gpu-desktop-bench
 *
 * Boots two guests with weston, one with the stock driver and device, one with
 * ours, with the idle timer and the pressure watch. One of them runs at a time;
 * they take turns. Prints a line of scripts/bench for the time of a frame in
 * scenes of glmark2, and for the processor time that an idle desktop takes in
 * QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-program.h"

#define ROUNDS 5
#define SCENE_SECONDS 3
#define IDLE_MS 8000

/* Our driver evicts what was not used for so long. */
#define DRIVER_IDLE_MS 2000

/* Until what was drawn last has been evicted by the guest, and compressed. */
#define SETTLE_MS 15000

#define DESKTOP .scenario = VM_SCENARIO_DESKTOP, .cpus = 2, .ram_mib = 1024, \
                .zram_mib = 512

enum { STOCK, OURS, STACKS };

static const VmConfig configs[STACKS] = {
    [STOCK] = { .name = "desktop-stock", DESKTOP },
    [OURS] = { .name = "desktop-ours", DESKTOP, .our_driver = true,
               .our_device = true,
               .gpu_options = "x-reclaim-pressure=psi,x-idle-compress=10" },
};

static const char *const scenes[] = { "texture", "shading", "buffer" };

static void pause_guest(VmRun *run)
{
    qtest_qmp_assert_success(vm_run_qts(run), "{'execute': 'stop'}");
}

static void resume_guest(VmRun *run)
{
    qtest_qmp_assert_success(vm_run_qts(run), "{'execute': 'cont'}");
}

static void print_time(unsigned stack, const char *what, double seconds)
{
    printf("bench stack=%s what=%s us=%.0f\n", stack == OURS ? "ours" : "stock",
           what, seconds * 1e6);
    fflush(stdout);
}

static void measure_frames(VmRun *run, unsigned stack)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(scenes); i++) {
        double ms = vm_desktop_frame_ms(run, scenes[i], SCENE_SECONDS);

        if (ms) {
            print_time(stack, scenes[i], ms / 1e3);
        }
    }
}

static void measure_idle(VmRun *run, unsigned stack)
{
    double before = vm_run_cpu_seconds(run);

    /* vm_run_for() would ask the device for statistics all the time. */
    g_usleep(IDLE_MS * 1000);
    print_time(stack, "idle", vm_run_cpu_seconds(run) - before);
}

static void settle(VmRun *run, unsigned stack)
{
    vm_run_for(run, SETTLE_MS);
}

/* Do @work in each guest in turns, the other one being paused. */
static void take_turns(VmRun **runs, unsigned rounds,
                       void (*work)(VmRun *run, unsigned stack))
{
    unsigned i, turn;

    for (i = 0; i < rounds; i++) {
        for (turn = 0; turn < STACKS; turn++) {
            unsigned stack = (i + turn) % STACKS;

            resume_guest(runs[stack]);
            work(runs[stack], stack);
            pause_guest(runs[stack]);
        }
    }
}

static void measure(VmRun **runs)
{
    unsigned i;

    take_turns(runs, ROUNDS, measure_frames);
    take_turns(runs, 1, settle);
    take_turns(runs, ROUNDS, measure_idle);
    for (i = 0; i < STACKS; i++) {
        resume_guest(runs[i]);
    }
}

/* Boot the guest of @config, and leave it paused. */
static VmRun *start(const VmConfig *config)
{
    VmRun *run = vm_run_start_desktop(config, vm_program_progress);

    vm_desktop_start_weston(run);
    vm_desktop_set_idle_ms(run, DRIVER_IDLE_MS);
    if (!vm_run_result(run)->problem) {
        pause_guest(run);
    }
    return run;
}

int main(int argc, char **argv)
{
    VmRun *runs[STACKS];
    bool passed = true;
    unsigned i;

    if (argc != 1) {
        fprintf(stderr, "Usage: virtio-gpu-desktop-bench\n");
        return EXIT_FAILURE;
    }
    for (i = 0; i < STACKS; i++) {
        if (!vm_program_can_run(&configs[i])) {
            return EXIT_FAILURE;
        }
    }
    for (i = 0; i < STACKS; i++) {
        runs[i] = start(&configs[i]);
        passed = passed && !vm_run_result(runs[i])->problem;
    }
    if (passed) {
        measure(runs);
    }
    for (i = 0; i < STACKS; i++) {
        vm_run_stop(runs[i]);
        if (vm_run_result(runs[i])->problem) {
            fprintf(stderr, "%s (log: %s)\n", vm_run_result(runs[i])->problem,
                    vm_run_log(runs[i]));
            passed = false;
        }
        vm_run_free(runs[i]);
    }
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
