/*
 * Show what GPU buffers do to a small guest, stock beside ours
 *
 * Usage: virtio-gpu-oom-demo [--quick] DIR
 *
 * Runs both scenarios of virtio-gpu-vm-run.h on the stock stack and on ours,
 * prints a table, and writes DIR/demo.json, DIR/timeline.tsv and
 * DIR/events.tsv. Exit status 0 if the guest lives with ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/qmp/qjson.h"
#include "qapi/qmp/qstring.h"
#include "virtio-gpu-vm-run.h"

/* As many guests at a time as a small machine has processors. */
#define JOBS 2

#define RUNS 4

static int64_t demo_started;

/* libqtest tells how it starts QEMU; that is in the logs, not shown. */
static void print_nothing(const char *text)
{
}

static void show_progress(const OomConfig *config, const char *text)
{
    fprintf(stderr, "  %5.1f s  %-14s %s\n",
            (g_get_monotonic_time() - demo_started) / 1e6, config->name, text);
}

static const char *stack_of(const OomConfig *config)
{
    return config->our_driver ? "reclaim" : "stock";
}

static const char *scenario_of(const OomConfig *config)
{
    return config->scenario == OOM_CACHE ? "cache" : "idle";
}

/* In the idle scenario the GPU client is the program that is to live. */
static bool app_survived(const OomConfig *config, const OomResult *result)
{
    return config->scenario == OOM_CACHE
           ? result->app_ran && result->app_survived
           : result->client_survived;
}

static bool lives(const OomConfig *config, const OomResult *result)
{
    return !result->problem && result->client_survived &&
           app_survived(config, result) && result->oom_kills == 0 &&
           result->corrupt_pages == 0 && result->errors == 0 &&
           result->bo_mib_reached == config->bo_mib;
}

/* What became of the program that was to live, in a word. */
static const char *fate(const OomConfig *config, const OomResult *result)
{
    if (!app_survived(config, result)) {
        return "killed";
    }
    return result->bo_mib_reached < config->bo_mib ? "stopped" : "lives";
}

static void print_row(const OomConfig *config, const OomResult *result)
{
    g_autofree char *got = g_strdup_printf("%u/%u", result->bo_mib_reached,
                                           config->bo_mib);
    g_autofree char *purged = g_strdup_printf("%u/%u", result->purged_bos,
                                              result->retained_bos);
    g_autofree char *rss = g_strdup_printf(
        "%" PRIu64 " -> %" PRIu64, result->rss_anon_before / MiB,
        result->rss_anon_after / MiB);

    printf("%-9s %-9s ", scenario_of(config), stack_of(config));
    if (result->problem) {
        puts(result->problem);
        return;
    }
    printf("%9s %9s %6u %8" PRIu64 " %12s %13s %8.0f\n", got,
           fate(config, result), result->oom_kills,
           result->corrupt_pages, purged, rss, result->seconds);
}

static void print_table(const OomConfig *configs, OomRun **runs)
{
    size_t i;

    puts("\n"
         "scenario  stack      buffers   program    OOM  corrupt      buffers"
         "  QEMU RssAnon  seconds\n"
         "                         MiB            kills    pages  purged/kept"
         "           MiB\n"
         "------------------------------------------------------------------"
         "------------------------");
    for (i = RUNS; i-- > 0;) {
        print_row(&configs[i], oom_run_result(runs[i]));
    }
    putchar('\n');
    fflush(stdout);
}

static char *quote(const char *text)
{
    QString *string = qstring_from_str(text ?: "unknown");
    GString *json = qobject_to_json(QOBJECT(string));

    qobject_unref(string);
    return g_string_free(json, false);
}

/* The version of the package that the library came with. */
static char *package_version(const char *package)
{
    const char *argv[] = { "dpkg-query", "-W", "-f", "${Version}", package,
                           NULL };
    char *version = NULL;
    int status;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                      NULL, &version, NULL, &status, NULL) || status != 0) {
        g_free(version);
        return NULL;
    }
    return version;
}

static void write_run(FILE *file, const OomConfig *config,
                      const OomResult *result)
{
    fprintf(file,
            "    {\n"
            "      \"stack\": \"%s\",\n"
            "      \"scenario\": \"%s\",\n"
            "      \"ram_mib\": %u,\n"
            "      \"swap_mib\": %u,\n"
            "      \"bo_mib_asked\": %u,\n"
            "      \"bo_mib_reached\": %u,\n"
            "      \"app_mib\": %u,\n"
            "      \"app_survived\": %s,\n",
            stack_of(config), scenario_of(config), config->ram_mib,
            config->swap_mib, config->bo_mib, result->bo_mib_reached,
            config->app_mib, app_survived(config, result) ? "true" : "false");
    fprintf(file,
            "      \"oom_kills\": %u,\n"
            "      \"corrupt_pages\": %" PRIu64 ",\n"
            "      \"purged_bos\": %u,\n"
            "      \"retained_bos\": %u,\n"
            "      \"host_purged_bytes\": %" PRIu64 ",\n"
            "      \"host_rss_anon_before_purge\": %" PRIu64 ",\n"
            "      \"host_rss_anon_after_purge\": %" PRIu64 ",\n"
            "      \"seconds\": %.1f\n"
            "    }",
            result->oom_kills, result->corrupt_pages, result->purged_bos,
            result->retained_bos, result->host_purged_bytes,
            result->rss_anon_before, result->rss_anon_after, result->seconds);
}

static void write_json(FILE *file, const OomConfig *configs, OomRun **runs)
{
    const OomResult *first = oom_run_result(runs[0]);
    g_autofree char *virgl = package_version("libvirglrenderer1");
    g_autofree char *qemu_json = quote(first->qemu);
    g_autofree char *virgl_json = quote(virgl);
    g_autofree char *renderer_json = quote(first->renderer);
    g_autofree char *kernel_json = quote(first->kernel);
    size_t i;

    fprintf(file,
            "{\n"
            "  \"host\": {\n"
            "    \"qemu\": %s,\n"
            "    \"virglrenderer\": %s,\n"
            "    \"renderer\": %s\n"
            "  },\n"
            "  \"guest\": {\n"
            "    \"kernel\": %s\n"
            "  },\n"
            "  \"runs\": [\n",
            qemu_json, virgl_json, renderer_json, kernel_json);
    for (i = RUNS; i-- > 0;) {
        write_run(file, &configs[i], oom_run_result(runs[i]));
        fputs(i > 0 ? ",\n" : "\n", file);
    }
    fputs("  ]\n}\n", file);
}

static void write_timeline(FILE *file, const OomConfig *configs, OomRun **runs)
{
    size_t i;

    for (i = 0; i < RUNS; i++) {
        fprintf(file, "# %s-%s\n"
                "# seconds\tavailable\tswap\tbuffers\tresident\tevicted\t"
                "purged\trss_anon (MiB)\n",
                stack_of(&configs[i]), scenario_of(&configs[i]));
        oom_run_write_timeline(runs[i], file);
        fputs("\n\n", file);
    }
}

static void write_events(FILE *file, const OomConfig *configs, OomRun **runs)
{
    size_t i;

    for (i = 0; i < RUNS; i++) {
        g_autofree char *name = g_strconcat(stack_of(&configs[i]), "-",
                                            scenario_of(&configs[i]), NULL);

        oom_run_write_events(runs[i], name, file);
    }
}

static void write_file(const char *dir, const char *name,
                       void (*write)(FILE *, const OomConfig *, OomRun **),
                       const OomConfig *configs, OomRun **runs)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    FILE *file = fopen(path, "w");

    if (file) {
        write(file, configs, runs);
    }
    if (!file || fclose(file)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    bool quick = argc == 3 && !strcmp(argv[1], "--quick");
    /* The longest first, to be done the sooner; shown the other way round. */
    OomConfig configs[RUNS] = {
        { "idle/reclaim", OOM_IDLE, true, true },
        { "idle/stock", OOM_IDLE, false, false },
        { "cache/reclaim", OOM_CACHE, true, true },
        { "cache/stock", OOM_CACHE, false, false },
    };
    g_autofree OomRun **runs = NULL;
    const char *dir = argv[argc - 1];
    int status = EXIT_SUCCESS;
    size_t i;

    if (argc < 2 || dir[0] == '-' || argc > (quick ? 3 : 2)) {
        fprintf(stderr, "Usage: virtio-gpu-oom-demo [--quick] DIR\n");
        return EXIT_FAILURE;
    }
    for (i = 0; i < RUNS; i++) {
        g_autofree char *missing = NULL;
        bool idle = configs[i].scenario == OOM_IDLE;

        configs[i].ram_mib = 256;
        configs[i].swap_mib = idle ? 2048 : 0;
        configs[i].bo_mib = !idle ? 128 : quick ? 384 : 1024;
        configs[i].app_mib = idle ? 0 : 100;
        missing = oom_missing(&configs[i]);
        if (missing) {
            fprintf(stderr, "%s\n", missing);
            return EXIT_FAILURE;
        }
    }

    g_set_print_handler(print_nothing);
    demo_started = g_get_monotonic_time();
    runs = oom_run_all(configs, RUNS, JOBS, show_progress);
    print_table(configs, runs);
    write_file(dir, "demo.json", write_json, configs, runs);
    write_file(dir, "timeline.tsv", write_timeline, configs, runs);
    write_file(dir, "events.tsv", write_events, configs, runs);

    for (i = 0; i < RUNS; i++) {
        const OomResult *result = oom_run_result(runs[i]);

        if (configs[i].our_driver && !lives(&configs[i], result)) {
            fprintf(stderr, "%s does not live; see %s\n", configs[i].name,
                    oom_run_log(runs[i]));
            status = EXIT_FAILURE;
        } else if (!configs[i].our_driver && lives(&configs[i], result)) {
            fprintf(stderr, "%s lives, which was not expected; see %s\n",
                    configs[i].name, oom_run_log(runs[i]));
        }
        oom_run_free(runs[i]);
    }
    return status;
}
