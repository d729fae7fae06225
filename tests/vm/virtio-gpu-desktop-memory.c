/*
 * Memory of a desktop: weston and four windows
 *
 * Usage: virtio-gpu-desktop-memory SECONDS WIDTH HEIGHT IDLE_MS PAIRS
 *        virtio-gpu-desktop-memory SECONDS WIDTH HEIGHT stock
 *
 * Boots a guest with our driver on our device and a screen of WIDTH x HEIGHT,
 * and prints the buffers in the guest and on the host, in MiB, of weston alone,
 * with four windows of 800 x 600 that glmark2 draws in for SECONDS, and
 * SECONDS after those have stopped. Then the frame rates. IDLE_MS is the
 * parameter of the driver, 0 for none. The stock driver has no statistics, but
 * what is attached to the device: that is all of its buffers, and is pinned.
 *
 * After that PAIRS pairs of windows draw for SECONDS each, one after the other,
 * one with pages on demand and the idle timer, the other one without. The order
 * alternates. Prints the times of a frame, and the median of their ratios with
 * the least and the largest: other load of the machine affects both the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-program.h"

#define WINDOWS 4

/* Columns of the driver's statistics. */
static const char *const names[] = {
    "bo", "resident", "pinned", "willneed", "dontneed", "unpopulated",
    "evicted",
};

static void print_head(bool stock)
{
    size_t i;

    printf("%-13s", "MiB");
    for (i = 0; !stock && i < G_N_ELEMENTS(names); i++) {
        printf(" %11s", names[i]);
    }
    printf(" %11s %11s %11s\n", "attached", "host", "RssAnon");
}

static void print_row(VmRun *run, bool stock, const char *what)
{
    g_autofree char *stats = stock ? NULL : vm_desktop_driver_stats(run);
    size_t i;

    printf("%-13s", what);
    for (i = 0; stats && i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_strconcat(names[i], "_bytes", NULL);

        printf(" %11.1f", vm_number_of(stats, name) / (double)MiB);
    }
    printf(" %11.1f %11.1f %11.1f\n",
           vm_run_result(run)->stats.backing_bytes / (double)MiB,
           vm_run_result(run)->stats.host_bytes / (double)MiB,
           vm_run_rss_anon(run) / (double)MiB);
    fflush(stdout);
}

static void run_windows(VmRun *run, unsigned seconds)
{
    unsigned i;

    for (i = 0; i < WINDOWS; i++) {
        g_free(vm_desktop_shell(
            run, "WAYLAND_DISPLAY=wayland-1 glmark2-es2-wayland -s 800x600 "
            "-b texture:duration=%u >/tmp/window%u 2>/dev/console & "
            "echo $! >>/run/windows.pids", 2 * seconds, i));
    }
}

static void set_parameters(VmRun *run, bool on_demand, unsigned idle_ms)
{
    vm_desktop_set_idle_ms(run, idle_ms);
    g_free(vm_desktop_shell(
        run, "echo %u >/sys/module/virtio_gpu/parameters/pages_on_demand",
        on_demand));
}

static int compare_doubles(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static void measure_pairs(VmRun *run, unsigned seconds, unsigned idle_ms,
                          unsigned pairs)
{
    g_autofree double *ratios = g_new(double, pairs);
    unsigned i, turn;

    printf("%-13s %11s %11s %11s\n", "ms per frame", "off", "on", "on/off");
    for (i = 0; i < pairs; i++) {
        double ms[2];

        for (turn = 0; turn < 2; turn++) {
            bool on = (turn + i) % 2;

            set_parameters(run, on, on ? idle_ms : 0);
            ms[on] = vm_desktop_frame_ms(run, "texture", seconds);
        }
        ratios[i] = ms[0] ? ms[1] / ms[0] : 0;
        printf("pair %-8u %11.3f %11.3f %11.3f\n", i + 1, ms[0], ms[1],
               ratios[i]);
        fflush(stdout);
    }
    qsort(ratios, pairs, sizeof(*ratios), compare_doubles);
    printf("%-13s %23s %11.3f (%.3f to %.3f)\n", "median", "",
           (ratios[pairs / 2] + ratios[(pairs - 1) / 2]) / 2, ratios[0],
           ratios[pairs - 1]);
}

static void measure(VmRun *run, bool stock, unsigned seconds, unsigned idle_ms)
{
    g_autofree char *rates = NULL;

    if (!stock) {
        set_parameters(run, true, idle_ms);
    }
    print_head(stock);
    vm_desktop_start_weston(run);
    print_row(run, stock, "weston");
    run_windows(run, seconds);
    vm_run_for(run, 1000 * seconds);
    print_row(run, stock, "four windows");
    g_free(vm_desktop_shell(run, "kill -STOP $(cat /run/windows.pids)"));
    vm_run_for(run, 1000 * seconds);
    print_row(run, stock, "stopped");
    g_free(vm_desktop_shell(run, "kill -CONT $(cat /run/windows.pids)"));
    g_free(vm_desktop_shell(run, "while pidof glmark2-es2-wayland >/dev/null; "
                            "do sleep 1; done"));
    rates = vm_desktop_shell(run, "grep -ho 'FPS: [0-9]*' /tmp/window*");
    print_row(run, stock, "closed");
    printf("%s\n", rates ?: "");
}

int main(int argc, char **argv)
{
    VmConfig config = {
        .name = "desktop-memory", .scenario = VM_SCENARIO_DESKTOP,
        .our_driver = true, .our_device = true, .cpus = 2, .ram_mib = 1024,
        .zram_mib = 512,
    };
    unsigned seconds, idle_ms = 0, pairs = 0;
    bool stock = argc == 5 && !strcmp(argv[4], "stock");
    VmRun *run;
    bool passed;

    if ((argc != 6 && !stock) ||
        qemu_strtoui(argv[1], NULL, 10, &seconds) ||
        qemu_strtoui(argv[2], NULL, 10, &config.width) ||
        qemu_strtoui(argv[3], NULL, 10, &config.height) ||
        (!stock && (qemu_strtoui(argv[4], NULL, 10, &idle_ms) ||
                    qemu_strtoui(argv[5], NULL, 10, &pairs)))) {
        fprintf(stderr, "Usage: virtio-gpu-desktop-memory SECONDS WIDTH "
                "HEIGHT {IDLE_MS PAIRS|stock}\n");
        return EXIT_FAILURE;
    }
    config.our_driver = !stock;
    if (!vm_program_can_run(&config)) {
        return EXIT_FAILURE;
    }
    run = vm_run_start_desktop(&config, vm_program_progress);
    if (!vm_run_result(run)->problem) {
        measure(run, stock, seconds, idle_ms);
    }
    if (pairs && !vm_run_result(run)->problem) {
        measure_pairs(run, seconds, idle_ms, pairs);
    }
    vm_run_stop(run);
    passed = !vm_run_result(run)->problem;
    if (!passed) {
        fprintf(stderr, "%s (log: %s)\n", vm_run_result(run)->problem,
                vm_run_log(run));
    }
    vm_run_free(run);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
