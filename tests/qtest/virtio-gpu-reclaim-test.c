/*
 * QTest testcase for virtio-gpu memory reclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each file virtio-gpu-reclaim-test-*.c has the cases of one topic. A case runs
 * on the 2D and the GL device, on PCI and virtio-mmio, unless it depends on one
 * of them.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

void add_cases(const char *group, const Case *cases, size_t n)
{
    static const struct {
        unsigned on;
        const Device *dev;
    } devices[] = {
        { ON_2D_PCI, &dev_2d }, { ON_GL_PCI, &dev_gl },
        { ON_2D_MMIO, &dev_2d_mmio }, { ON_GL_MMIO, &dev_gl_mmio },
    };
    size_t i, j;

    for (i = 0; i < n; i++) {
        /* GLib's option -p GROUP/DEVICE does not match deeper paths. */
        g_assert_null(strchr(cases[i].name, '/'));
        for (j = 0; j < ARRAY_SIZE(devices); j++) {
            g_autofree char *path =
                g_strdup_printf("/virtio-gpu/%s/%s/%s", group,
                                devices[j].dev->name, cases[i].name);

            if (cases[i].on & devices[j].on) {
                qtest_add_data_func(path, devices[j].dev, cases[i].func);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_config_cases();
    add_accounting_cases();
    add_backing_cases();
    add_purge_cases();
    add_use_cases();
    add_fences_cases();
    add_errors_cases();
    add_regression_cases();
    add_lifecycle_cases();
    add_migration_cases();
    add_migration_error_cases();
    add_rss_cases();
    add_compress_cases();
    add_control_cases();
    add_file_cases();
    add_pressure_cases();
    add_blob_cases();
    add_hostile_cases();
    add_stall_cases();
    add_limit_cases();
    add_untracked_cases();
    add_slices_cases();
    return g_test_run();
}
