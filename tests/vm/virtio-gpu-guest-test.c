/*
 * QTest testcase: the guest driver, tested in guests
 *
 * Usage: virtio-gpu-guest-test [--debug] [DEVICE/][PREFIX]
 *
 * Boots a guest on each device that the driver may meet, or on DEVICE only, and
 * has it run the tests of tests/guest whose names begin with PREFIX; prints
 * their results as its own, each with the device before its name. That the
 * guest's kernel does not complain is one more test of each guest.
 *
 * With --debug the kernel is the debug kernel (KASAN, lockdep and the like, see
 * subprojects/linux/debug.config), and there are more tests. It is slow, so
 * there are two guests: one on our device, one on a stock one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-run.h"

#define ANY_GUEST \
    .scenario = VM_SCENARIO_TESTS, .our_driver = true, .cpus = 2, \
    .handle_line = handle_test_line

/*
 * The debug kernel takes memory, and is slow: less is left to fill and to swap.
 */
#define GUEST       ANY_GUEST, .ram_mib = 224, .swap_mib = 512
#define DEBUG_GUEST ANY_GUEST, .ram_mib = 216, .swap_mib = 96, \
    .debug_kernel = true, .provoked = NO_LIST

/* RESOURCE_ATTACH_BACKING was answered with OUT_OF_MEMORY. */
#define REJECTED_ATTACH "response 0x1201 (command 0x106)"

/* An allocation was made to fail. */
#define NO_LIST "failed to allocate ent list"

/* The guests to run, and how many tests each of them planned and reported. */
static VmConfig guests[16];
static struct {
    unsigned planned, results;
} reported[G_N_ELEMENTS(guests)];
static size_t guest_count;

static unsigned results, failed;

static void print_result(bool ok, const VmConfig *config, const char *name)
{
    results++;
    failed += !ok;
    printf("%sok %u - %s/%s\n", ok ? "" : "not ", results, config->name, name);
    fflush(stdout);
}

static void show_progress(const VmConfig *config, const char *text)
{
    printf("# %s: %s\n", config->name, text);
    fflush(stdout);
}

static void handle_test_line(const VmConfig *config, const char *line)
{
    const char *name = strstr(line, "ok - ");
    size_t number = config - guests;

    if (g_str_has_prefix(line, "1..")) {
        reported[number].planned += atoi(line + strlen("1.."));
    } else if (name) {
        reported[number].results++;
        print_result(line == name, config, name + strlen("ok - "));
    } else {
        show_progress(config, line + strspn(line, "# "));
    }
}

static void add_guest(const VmConfig *config)
{
    g_autofree char *missing = vm_config_missing(config);

    if (missing) {
        print_result(true, config, "boot # SKIP");
        show_progress(config, missing);
        return;
    }
    g_assert(guest_count < G_N_ELEMENTS(guests));
    guests[guest_count++] = *config;
}

static void print_end(size_t number, const VmRun *run)
{
    const VmConfig *config = &guests[number];
    const VmResult *result = vm_run_result(run);
    unsigned planned = reported[number].planned;

    printf("# %s: log in %s\n", config->name, vm_run_log(run));
    print_result(!result->problem, config, "comes to its end");
    print_result(planned && reported[number].results == planned, config,
                 "every test has a result");
    if (config->kexec) {
        print_result(result->boots == 2, config, "starts another kernel");
    }
    print_result(result->kernel_complaints == 0, config,
                 "the kernel does not complain");
    print_result(result->oom_kills == 0, config, "nobody is killed");
}

static void run_guests(void)
{
    g_autofree VmRun **runs = vm_run_all(guests, guest_count, VM_JOBS,
                                           show_progress);
    size_t i;

    for (i = 0; i < guest_count; i++) {
        print_end(i, runs[i]);
        vm_run_free(runs[i]);
    }
}

/* The console is a blob in many pieces: without udmabuf it cannot be shown. */
#define REJECTED_CONSOLE "*ERROR* response 0x12"

/* The 2D device has a limit of its own, the GL device if it is given one. */
static const VmConfig configs[] = {
    { .name = "gl", GUEST, .our_device = true, .tests = "" },
    { .name = "stock-gl", GUEST, .tests = "" },
    { .name = "2d", GUEST, .our_device = true, .is_2d = true, .tests = "",
      .provoked = REJECTED_ATTACH },
    { .name = "stock-2d", GUEST, .is_2d = true, .tests = "purge/" },
    { .name = "gl-limited", GUEST, .our_device = true, .hostmem_mib = 64,
      .tests = "host/", .provoked = REJECTED_ATTACH },
    { .name = "2d-blob", GUEST, .our_device = true, .is_2d = true, .blob = true,
      .tests = "blob/", .provoked = REJECTED_CONSOLE },
    { .name = "gl-kexec", GUEST, .our_device = true, .tests = "evict/upload",
      .kexec = "evict/download" },
    { .name = "debug-gl", DEBUG_GUEST, .our_device = true, .tests = "" },
    { .name = "debug-2d", DEBUG_GUEST, .is_2d = true, .tests = "" },
};

/* Whether @wanted is of one device alone. */
static bool names_device(const char *wanted, const VmConfig *config)
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

    g_set_print_handler(vm_print_nothing);
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        named |= names_device(wanted, &configs[i]);
    }
    for (i = 0; i < G_N_ELEMENTS(configs); i++) {
        VmConfig config = configs[i];

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
