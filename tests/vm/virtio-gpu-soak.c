/*
 * Soak the guest's driver, and show what comes of it
 *
 * Usage: virtio-gpu-soak [--debug] SECONDS SEED RESULT.JSON
 *
 * Boots a guest on our GL device that does everything with buffers at once for
 * so long, see tests/guest/soak.h, and compares the guest's books with the
 * device's. Prints what was done so far now and then, and at the end a line
 * with the verdict; writes the numbers to RESULT.JSON. The exit status is 0 if
 * all was well.
 *
 *   --debug  on the kernel that looks for mistakes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "virtio-gpu-vm-run.h"

/* The values of the last report, which was 'soaked ...' at the end. */
static char *last_report;
static bool last_is_end;

static unsigned mistakes;

static void handle_line(const OomConfig *config, const char *line)
{
    if (g_str_has_prefix(line, "soak ") || g_str_has_prefix(line, "soaked ")) {
        g_free(last_report);
        last_report = g_strdup(strchr(line, ' ') + 1);
        last_is_end = g_str_has_prefix(line, "soaked ");
    }
    mistakes += line[0] == '#';
    printf("%s\n", line);
    fflush(stdout);
}

static void show_progress(const OomConfig *config, const char *text)
{
    printf("%s: %s\n", config->name, text);
    fflush(stdout);
}

/* libqtest tells how it starts QEMU: that is in the log. */
static void print_nothing(const char *text)
{
}

static uint64_t reported(const char *name)
{
    g_auto(GStrv) words = g_strsplit(last_report ?: "", " ", -1);
    const char *value;
    size_t i;

    for (i = 0; words[i]; i++) {
        if (strstart(words[i], name, &value) && *value == '=') {
            return g_ascii_strtoull(value + 1, NULL, 10);
        }
    }
    return 0;
}

static bool is_well(const OomResult *result)
{
    return !result->problem && last_is_end && !mistakes &&
           !reported("errors") && !reported("corrupt_pages") &&
           !result->kernel_faults && !result->oom_kills;
}

static void write_json(FILE *file, const OomConfig *config,
                       const OomResult *result)
{
    g_auto(GStrv) words = g_strsplit(last_report ?: "", " ", -1);
    size_t i;

    fprintf(file, "{\n  \"well\": %s,\n", is_well(result) ? "true" : "false");
    fprintf(file, "  \"problem\": %s%s%s,\n", result->problem ? "\"" : "",
            result->problem ?: "null", result->problem ? "\"" : "");
    fprintf(file, "  \"qemu\": \"%s\",\n", result->qemu);
    fprintf(file, "  \"kernel\": \"%s\",\n", result->kernel ?: "");
    fprintf(file, "  \"seconds\": %u,\n", config->seconds);
    fprintf(file, "  \"seed\": %u,\n", config->seed);
    fprintf(file, "  \"ram_mib\": %u,\n", config->ram_mib);
    fprintf(file, "  \"swap_mib\": %u,\n", config->swap_mib);
    fprintf(file, "  \"oom_kills\": %u,\n", result->oom_kills);
    fprintf(file, "  \"kernel_complaints\": %u,\n", result->kernel_faults);
    fprintf(file, "  \"mistakes\": %u,\n", mistakes);
    fprintf(file, "  \"guest\": {");
    for (i = 0; words[i] && strchr(words[i], '='); i++) {
        g_auto(GStrv) pair = g_strsplit(words[i], "=", 2);

        fprintf(file, "%s\n    \"%s\": %s", i ? "," : "", pair[0], pair[1]);
    }
    fprintf(file, "\n  }\n}\n");
}

int main(int argc, char **argv)
{
    bool debug = argc > 1 && !strcmp(argv[1], "--debug");
    char **args = argv + 1 + debug;
    OomConfig config = {
        .name = debug ? "soak-debug" : "soak", .scenario = OOM_SOAK,
        .our_driver = true, .our_device = true, .cpus = 2, .swap_mib = 512,
        .ram_mib = debug ? 288 : 224, .debug_kernel = debug,
        .test_line = handle_line,
    };
    g_autofree char *missing = NULL;
    g_autofree OomRun **runs = NULL;
    const OomResult *result;
    FILE *file;
    bool well;

    if (argc != 4 + debug || qemu_strtoui(args[0], NULL, 10, &config.seconds) ||
        qemu_strtoui(args[1], NULL, 10, &config.seed)) {
        fprintf(stderr, "Usage: virtio-gpu-soak [--debug] SECONDS SEED "
                "RESULT.JSON\n");
        return EXIT_FAILURE;
    }
    missing = oom_missing(&config);
    if (missing) {
        fprintf(stderr, "%s\n", missing);
        return EXIT_FAILURE;
    }

    g_set_print_handler(print_nothing);
    runs = oom_run_all(&config, 1, 1, show_progress);
    result = oom_run_result(runs[0]);
    well = is_well(result);
    file = fopen(args[2], "w");
    if (file) {
        write_json(file, &config, result);
    }
    if (!file || fclose(file)) {
        fprintf(stderr, "%s: %s\n", args[2], strerror(errno));
        well = false;
    }
    printf("%s: %" PRIu64 " operations, %" PRIu64 " pages checked, %" PRIu64
           " corrupt, %" PRIu64 " errors, %u complaints of the kernel, %u OOM "
           "kills%s%s\n", well ? "all is well" : "not well",
           reported("operations"), reported("good_pages"),
           reported("corrupt_pages"), reported("errors"), result->kernel_faults,
           result->oom_kills, result->problem ? ", " : "",
           result->problem ?: "");
    oom_run_free(runs[0]);
    g_free(last_report);
    return well ? EXIT_SUCCESS : EXIT_FAILURE;
}
