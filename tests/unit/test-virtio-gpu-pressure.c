/*
 * Unit tests of reading the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <glib.h>

#include "virtio-gpu-pressure.h"

#define NONE VIRTIO_GPU_PRESSURE_NONE
#define SOME VIRTIO_GPU_PRESSURE_SOME
#define FULL VIRTIO_GPU_PRESSURE_FULL

static VirtIOGPUPressure level(VirtIOGPUPressure before, const char *some,
                               const char *full)
{
    g_autofree char *text = g_strdup_printf(
        "some avg10=%s avg60=99.00 avg300=99.00 total=123456\n"
        "full avg10=%s avg60=99.00 avg300=99.00 total=12345\n", some, full);

    return virtio_gpu_pressure_level(before, text);
}

/* It rises at one share and falls at a lower one. */
static void test_level(void)
{
    g_assert_cmpint(level(NONE, "0.00", "0.00"), ==, NONE);
    g_assert_cmpint(level(NONE, "9.99", "4.99"), ==, NONE);
    g_assert_cmpint(level(NONE, "10.00", "0.00"), ==, SOME);
    g_assert_cmpint(level(SOME, "5.00", "0.00"), ==, SOME);
    g_assert_cmpint(level(SOME, "4.99", "0.00"), ==, NONE);
    g_assert_cmpint(level(SOME, "9.00", "4.99"), ==, SOME);
    g_assert_cmpint(level(NONE, "9.00", "5.00"), ==, FULL);
    g_assert_cmpint(level(FULL, "9.00", "2.00"), ==, FULL);
    g_assert_cmpint(level(FULL, "9.00", "1.99"), ==, SOME);
    g_assert_cmpint(level(FULL, "4.99", "1.99"), ==, NONE);
    g_assert_cmpint(level(NONE, "100.00", "100.00"), ==, FULL);
}

/* What is no PSI file changes nothing. */
static void test_no_psi(void)
{
    static const char *const bad[] = {
        "", "some", "some avg10=50.00 avg60=0.00 avg300=0.00 total=0\n",
        "full avg10=50.00 avg60=0.00 avg300=0.00 total=0\n",
        "some avg10= avg60=0\nfull avg10= avg60=0\n",
        "some avg10=50.00x avg60=0\nfull avg10=50.00 avg60=0\n",
        "some avg10=-1 avg60=0\nfull avg10=-1 avg60=0\n",
        "some avg10=nan avg60=0\nfull avg10=nan avg60=0\n",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(virtio_gpu_pressure_level(NONE, bad[i]), ==, NONE);
        g_assert_cmpint(virtio_gpu_pressure_level(FULL, bad[i]), ==, FULL);
    }
}

#define V1_MOUNT "30 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup " \
    "cgroup rw,memory\n"
#define V2_MOUNT "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 " \
    "cgroup2 rw,nsdelegate\n"

static void test_cgroup(void)
{
    static const struct {
        const char *cgroup, *mountinfo, *file;
    } cases[] = {
        /* The unified hierarchy alone. */
        { "0::/machine.slice/vm.scope/libvirt/emulator\n", V1_MOUNT V2_MOUNT,
          "/sys/fs/cgroup/machine.slice/vm.scope/libvirt/emulator/"
          "memory.pressure" },
        { "0::/\n", V2_MOUNT, "/sys/fs/cgroup/memory.pressure" },
        /* Beside version 1. */
        { "4:memory:/a\n1:cpu:/b\n0::/user.slice\n",
          V1_MOUNT "31 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n",
          "/sys/fs/cgroup/unified/user.slice/memory.pressure" },
        /* A part of it, in a container, at a path with a space. */
        { "0::/pod/a/vm\n",
          "31 24 0:28 /pod/a /my\\040cgroup rw a:1 b:2 - cgroup2 c rw\n",
          "/my cgroup/vm/memory.pressure" },
        { "0::/pod/a\n", "31 24 0:28 /pod/a /cg rw - cgroup2 c rw\n",
          "/cg/memory.pressure" },
        { "0::/pod/ab\n", "31 24 0:28 /pod/a /cg rw - cgroup2 c rw\n", NULL },
        /* Version 1 only, nothing, nonsense. */
        { "4:memory:/a\n", V1_MOUNT, NULL },
        { "4:memory:/a\n", V2_MOUNT, NULL },
        { "0::/a\n", V1_MOUNT, NULL },
        { "", "", NULL },
        { "0::/a\n", "29 23 0:26 / -\n - cgroup2\n\n", NULL },
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *file = virtio_gpu_pressure_cgroup_file(
            cases[i].cgroup, cases[i].mountinfo);

        g_assert_cmpstr(file, ==, cases[i].file);
    }
}

static void test_name(void)
{
    g_assert_cmpstr(virtio_gpu_pressure_name(NONE), ==, "none");
    g_assert_cmpstr(virtio_gpu_pressure_name(SOME), ==, "some");
    g_assert_cmpstr(virtio_gpu_pressure_name(FULL), ==, "full");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-gpu/pressure/level", test_level);
    g_test_add_func("/virtio-gpu/pressure/no-psi", test_no_psi);
    g_test_add_func("/virtio-gpu/pressure/cgroup", test_cgroup);
    g_test_add_func("/virtio-gpu/pressure/name", test_name);
    return g_test_run();
}
