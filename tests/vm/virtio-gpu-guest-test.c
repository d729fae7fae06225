/*
 * QTest testcase: the guest's driver, tested in guests
 *
 * Usage: virtio-gpu-guest-test [--debug] [DEVICE/][PREFIX]
 *
 * Boots a guest on each device that the driver may meet, or on DEVICE only, and
 * has it run the tests of tests/guest whose names begin with PREFIX; prints
 * their results as its own, each with the device before its name. That the
 * guest's kernel has nothing to complain of is one more test of each guest.
 *
 * With --debug the kernel is one that looks for mistakes, see
 * subprojects/linux/debug.config, and there are tests more. It is slow, so
 * there are two guests: one on our device, one on a stock one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-run.h"

#define ANY_GUEST .scenario = OOM_TESTS, .our_driver = true, .cpus = 2, \
    .test_line = handle_test_line

/*
 * What looks for mistakes takes memory, and makes everything slow: little is
 * left to fill, and to swap.
 */
#define GUEST       ANY_GUEST, .ram_mib = 224, .swap_mib = 512
#define DEBUG_GUEST ANY_GUEST, .ram_mib = 216, .swap_mib = 96, \
    .debug_kernel = true, .provoked = NO_LIST

/* RESOURCE_ATTACH_BACKING was answered with OUT_OF_MEMORY. */
#define REFUSED_ATTACH "response 0x1201 (command 0x106)"

/* An allocation was made to fail. */
#define NO_LIST "failed to allocate ent list"

/* As many guests at a time as a small machine has processors. */
#define JOBS 2

/* The guests that are to run, and what each of them has told. */
static OomConfig guests[16];
static struct {
    unsigned planned, results;
} told[G_N_ELEMENTS(guests)];
static size_t guest_count;

static unsigned results, failed;

static void print_result(bool ok, const OomConfig *config, const char *name)
{
    results++;
    failed += !ok;
    printf("%sok %u - %s/%s\n", ok ? "" : "not ", results, config->name, name);
    fflush(stdout);
}

static void show_progress(const OomConfig *config, const char *text)
{
    printf("# %s: %s\n", config->name, text);
    fflush(stdout);
}

static void handle_test_line(const OomConfig *config, const char *line)
{
    const char *name = strstr(line, "ok - ");
    size_t number = config - guests;

    if (g_str_has_prefix(line, "1..")) {
        told[number].planned += atoi(line + strlen("1.."));
    } else if (name) {
        told[number].results++;
        print_result(line == name, config, name + strlen("ok - "));
    } else {
        show_progress(config, line + strspn(line, "# "));
    }
}

/* libqtest tells how it starts QEMU: that is in the log. */
static void print_nothing(const char *text)
{
}

static void add_guest(const OomConfig *config)
{
    g_autofree char *missing = oom_missing(config);

    if (missing) {
        print_result(true, config, "boot # SKIP");
        show_progress(config, missing);
        return;
    }
    g_assert(guest_count < G_N_ELEMENTS(guests));
    guests[guest_count++] = *config;
}

static void print_end(size_t number, const OomRun *run)
{
    const OomConfig *config = &guests[number];
    const OomResult *result = oom_run_result(run);
    unsigned planned = told[number].planned;

    printf("# %s: log in %s\n", config->name, oom_run_log(run));
    print_result(!result->problem, config, "comes to its end");
    print_result(planned && told[number].results == planned, config,
                 "every test has a result");
    if (config->kexec) {
        print_result(result->boots == 2, config, "starts another kernel");
    }
    print_result(result->kernel_faults == 0, config,
                 "the kernel does not complain");
    print_result(result->oom_kills == 0, config, "nobody is killed");
}

static void run_guests(void)
{
    g_autofree OomRun **runs = oom_run_all(guests, guest_count, JOBS,
                                           show_progress);
    size_t i;

    for (i = 0; i < guest_count; i++) {
        print_end(i, runs[i]);
        oom_run_free(runs[i]);
    }
}

/* The console is a blob in many pieces: without udmabuf it cannot be shown. */
#define REFUSED_CONSOLE "*ERROR* response 0x12"

/* The 2D device has a limit of its own, the GL device if it is given one. */
static const OomConfig configs[] = {
    { "gl", GUEST, .our_device = true, .tests = "" },
    { "stock-gl", GUEST, .tests = "" },
    { "2d", GUEST, .our_device = true, .is_2d = true, .tests = "",
      .provoked = REFUSED_ATTACH },
    { "stock-2d", GUEST, .is_2d = true, .tests = "purge/" },
    { "gl-limited", GUEST, .our_device = true, .hostmem_mib = 64,
      .tests = "host/", .provoked = REFUSED_ATTACH },
    { "2d-blob", GUEST, .our_device = true, .is_2d = true, .blob = true,
      .tests = "blob/", .provoked = REFUSED_CONSOLE },
    { "gl-kexec", GUEST, .our_device = true, .tests = "evict/upload",
      .kexec = "evict/download" },
    { "debug-gl", DEBUG_GUEST, .our_device = true, .tests = "" },
    { "debug-2d", DEBUG_GUEST, .is_2d = true, .tests = "" },
};

/* Whether @wanted is of one device alone. */
static bool names_device(const char *wanted, const OomConfig *config)
{
    return g_str_has_prefix(wanted, config->name) &&
           wanted[strlen(config->name)] == '/';
}

/* The longer one of two prefixes; NULL if no name has both. */
static const char *both(const char *one, const char *other)
{
    return g_str_has_prefix(one, other) ? one :
           g_str_has_prefix(other, one) ? other : NULL;
}

int main(int argc, char **argv)
{
    bool debug = argc > 1 && !strcmp(argv[1], "--debug");
    const char *wanted = argc > 1 + debug ? argv[1 + debug] : "";
    bool named = false;
    size_t i;

    g_set_print_handler(print_nothing);
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        named |= names_device(wanted, &configs[i]);
    }
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        OomConfig config = configs[i];

        if (config.debug_kernel != debug ||
            (named && !names_device(wanted, &config))) {
            continue;
        }
        config.tests = both(config.tests,
                            named ? strchr(wanted, '/') + 1 : wanted);
        if (config.tests) {
            add_guest(&config);
        }
    }
    run_guests();
    printf("1..%u\n", results);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
