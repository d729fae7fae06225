/*
 * QTest testcase: the guest's driver, tested in guests
 *
 * Usage: virtio-gpu-guest-test [PREFIX]
 *
 * Boots a guest on each device that the driver may meet and has it run the
 * tests of tests/guest whose names begin with PREFIX; prints their results as
 * its own, each with the device before its name. That the guest's kernel has
 * nothing to complain of is one more test of each guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-oom.h"

#define GUEST .scenario = OOM_TESTS, .our_driver = true, .cpus = 2, \
    .ram_mib = 224, .swap_mib = 512, .test_line = handle_test_line

/* Results so far, of all guests and of the one that runs. */
static unsigned results, failed, guest_planned, guest_results;

static void print_result(bool ok, const OomConfig *config, const char *name)
{
    results++;
    failed += !ok;
    printf("%sok %u - %s/%s\n", ok ? "" : "not ", results, config->name, name);
    fflush(stdout);
}

static void handle_test_line(const OomConfig *config, const char *line)
{
    const char *name = strstr(line, "ok - ");

    if (g_str_has_prefix(line, "1..")) {
        guest_planned = atoi(line + strlen("1.."));
    } else if (name) {
        guest_results++;
        print_result(line == name, config, name + strlen("ok - "));
    } else {
        printf("%s\n", line);
    }
}

static void show_progress(const OomConfig *config, const char *text)
{
    printf("# %s: %s\n", config->name, text);
    fflush(stdout);
}

/* libqtest tells how it starts QEMU: that is in the log. */
static void print_nothing(const char *text)
{
}

static void run_guest(const OomConfig *config)
{
    g_autofree char *missing = oom_missing(config);
    g_autofree OomRun **runs = NULL;
    const OomResult *result;

    if (missing) {
        print_result(true, config, "boot # SKIP");
        printf("# %s\n", missing);
        return;
    }
    guest_planned = guest_results = 0;
    runs = oom_run_all(config, 1, 1, show_progress);
    result = oom_run_result(runs[0]);
    printf("# %s: log in %s\n", config->name, oom_run_log(runs[0]));
    print_result(!result->problem, config, "comes to its end");
    print_result(guest_planned && guest_results == guest_planned, config,
                 "every test has a result");
    print_result(result->kernel_faults == 0, config,
                 "the kernel does not complain");
    print_result(result->oom_kills == 0, config, "nobody is killed");
    oom_run_free(runs[0]);
}

int main(int argc, char **argv)
{
    const char *prefix = argc > 1 ? argv[1] : NULL;
    const OomConfig configs[] = {
        { "gl", GUEST, .our_device = true, .tests = prefix },
        { "stock-gl", GUEST, .tests = prefix },
        { "2d", GUEST, .our_device = true, .is_2d = true, .tests = prefix },
    };
    size_t i;

    g_set_print_handler(print_nothing);
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        run_guest(&configs[i]);
    }
    printf("1..%u\n", results);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
