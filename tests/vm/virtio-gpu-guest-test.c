/*
 * QTest testcase for virtio-gpu memory reclaim: guest driver
 *
 * Usage: virtio-gpu-guest-test [--debug] [DEVICE/][PREFIX]
 *
 * Boots a guest on each supported device, or on DEVICE only, runs the tests of
 * tests/guest whose names begin with PREFIX, and prints their results in TAP
 * format with the device as prefix. Further tests of each guest are that it
 * finishes, and that its kernel log has no errors and no OOM kills.
 *
 * With --debug the guests run the debug kernel (KASAN, lockdep, ..., see
 * subprojects/linux/debug.config) and more tests. It is slow, so there are only
 * three guests: one on our device, one on a stock 2D device, and one on a stock
 * GL device for contexts and purges by RESOURCE_UNREF.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-run.h"

#define ANY_GUEST \
    .scenario = VM_SCENARIO_TESTS, .our_driver = true, .cpus = 2, \
    .handle_line = handle_test_line

/*
 * The debug kernel uses more memory and is slow, so swap less there.
 */
#define GUEST       ANY_GUEST, .ram_mib = 224, .swap_mib = 512
#define DEBUG_GUEST ANY_GUEST, .ram_mib = 216, .swap_mib = 96, \
    .debug_kernel = true, .provoked = NO_LIST

/* RESOURCE_ATTACH_BACKING failed with OUT_OF_MEMORY. */
#define REJECTED_ATTACH "response 0x1201 (command 0x106)"

/* The same, and commands with the ids of resources that were not created. */
#define REJECTED "*ERROR* response 0x12"

/* An injected allocation failure. */
#define NO_LIST "failed to allocate ent list"

/* Guests to run, and numbers of tests that each has planned and reported. */
static VmConfig guests[32];
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
    if (result->problem) {
        show_progress(config, result->problem);
    }
    print_result(!result->problem, config, "guest finishes");
    print_result(planned && reported[number].results == planned, config,
                 "all planned tests have results");
    if (config->kexec) {
        print_result(result->boots == 2, config, "kexec boots another kernel");
    }
    print_result(result->kernel_complaints == 0, config,
                 "no errors in the kernel log");
    print_result(result->oom_kills == 0, config, "no OOM kills");
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

/* The console is a scattered blob: its scanout fails without udmabuf. */
#define REJECTED_CONSOLE REJECTED

/* Some of each group that uses the device. */
#define MMIO_TESTS \
    "madvise/,create/beside-untouched,purge/zero-on-host," \
    "purge/use-after-willneed,purge/more-than-one-request,evict/upload," \
    "evict/download,evict/submit,evict/more-than-one-request,queue/," \
    "lifecycle/exit"

/* The 2D device has a memory limit by default, the GL device does not. */
static const VmConfig configs[] = {
    { .name = "gl", GUEST, .our_device = true, .tests = "" },
    { .name = "stock-gl", GUEST, .tests = "" },
    { .name = "2d", GUEST, .our_device = true, .is_2d = true, .tests = "",
      .provoked = REJECTED_ATTACH },
    { .name = "stock-2d", GUEST, .is_2d = true, .tests = "purge/" },
    { .name = "gl-limited", GUEST, .our_device = true, .hostmem_mib = 64,
      .tests = "host/", .provoked = REJECTED_ATTACH },
    { .name = "stock-2d-limited", GUEST, .is_2d = true, .hostmem_mib = 64,
      .tests = "host/", .provoked = REJECTED },
    { .name = "2d-blob", GUEST, .our_device = true, .is_2d = true, .blob = true,
      .tests = "blob/", .provoked = REJECTED_CONSOLE },
    /* A block of movable memory, with nothing of the kernel's in it. */
    { .name = "gl-movable", ANY_GUEST, .ram_mib = 512, .swap_mib = 512,
      .kernel_options = "nokaslr movablecore=300M", .our_device = true,
      .tests = "idle/" },
    /* Bounce buffers, of which 64 MiB are reserved. */
    { .name = "gl-swiotlb", ANY_GUEST, .ram_mib = 288, .swap_mib = 512,
      .kernel_options = "swiotlb=force", .our_device = true,
      .tests = "mapping/" },
    /*
     * The other driver that has reclaim; the device is not used. A screen for
     * buffers of it.
     */
    { .name = "vgem", GUEST, .vgem = true, .devices = "-device cirrus-vga",
      .tests = "" },
    /* Pages reach the device through an IOMMU: addresses are not physical. */
    { .name = "gl-iommu", GUEST, .our_device = true,
      .devices = "-device intel-iommu,intremap=off",
      .gpu_options = "iommu_platform=on",
      .kernel_options = "intel_iommu=on iommu=nopt",
      .tests = "config/,evict/" },
    /* Bounce buffers that the device reads and writes in place of the pages. */
    { .name = "gl-bounced", ANY_GUEST, .ram_mib = 320, .swap_mib = 512,
      .kernel_options = "swiotlb=force", .our_device = true,
      .gpu_options = "iommu_platform=on", .tests = "config/" },
    /* Another transport, on a machine without PCI. */
    { .name = "gl-mmio", GUEST, .our_device = true, .mmio = true,
      .tests = MMIO_TESTS },
    { .name = "2d-mmio", GUEST, .our_device = true, .is_2d = true,
      .mmio = true, .tests = MMIO_TESTS },
    { .name = "two", GUEST, .our_device = true,
      .devices_after = "-device virtio-gpu-pci,x-reclaim=on",
      .tests = "config/" },
    { .name = "gl-zram", ANY_GUEST, .ram_mib = 224, .zram_mib = 160,
      .our_device = true, .tests = "config/" },
    { .name = "gl-kexec", GUEST, .our_device = true, .tests = "evict/upload",
      .kexec = "evict/download" },
    { .name = "debug-gl", DEBUG_GUEST, .our_device = true, .tests = "" },
    { .name = "debug-stock-gl", DEBUG_GUEST,
      .tests = "inject/upload-purged" },
    { .name = "debug-2d", DEBUG_GUEST, .is_2d = true, .tests = "" },
};

/* Whether @wanted begins with the name of a device. */
static bool names_device(const char *wanted, const VmConfig *config)
{
    return g_str_has_prefix(wanted, config->name) &&
           wanted[strlen(config->name)] == '/';
}

/*
 * The longer of @wanted and each of @prefixes, which commas separate; NULL if
 * all exclude it. Free with g_free().
 */
static char *both(const char *prefixes, const char *wanted)
{
    g_auto(GStrv) each = g_strsplit(prefixes, ",", -1);
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    size_t i;

    if (!each[0]) {
        return g_strdup(wanted);
    }
    for (i = 0; each[i]; i++) {
        if (g_str_has_prefix(each[i], wanted)) {
            g_ptr_array_add(found, each[i]);
        } else if (g_str_has_prefix(wanted, each[i])) {
            g_ptr_array_add(found, (char *)wanted);
        }
    }
    g_ptr_array_add(found, NULL);
    return found->len > 1 ? g_strjoinv(",", (char **)found->pdata) : NULL;
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
