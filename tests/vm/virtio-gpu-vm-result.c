/*
 * Guests with a virtio-gpu: results
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <math.h>
#include "qapi/qmp/json-writer.h"
#include "qemu/units.h"
#include "virtio-gpu-vm-result.h"

/* QEMU's memory must fall by this percentage of the purged bytes. */
#define RETURNED_PERCENT 95

/*
 * After clients have ended, this part of what they had may be left: what the
 * renderer and malloc() keep.
 */
#define KEPT_PART 4

static void clear_event(void *data)
{
    VmEvent *event = data;

    g_free(event->text);
}

void vm_result_init(VmResult *result)
{
    *result = (VmResult) {
        .client_survived = true,
        .samples = g_array_new(false, false, sizeof(VmSample)),
        .events = g_array_new(false, false, sizeof(VmEvent)),
    };
    g_array_set_clear_func(result->events, clear_event);
}

void vm_result_destroy(VmResult *result)
{
    g_array_free(result->samples, true);
    g_array_free(result->events, true);
    g_free(result->problem);
    g_free(result->qemu);
    g_free(result->kernel);
    g_free(result->renderer);
    g_free(result->soak_report);
    g_free(result->oom_killed);
}

void vm_result_fail(VmResult *result, const char *format, ...)
{
    va_list ap;

    if (!result->problem) {
        va_start(ap, format);
        result->problem = g_strdup_vprintf(format, ap);
        va_end(ap);
    }
}

/*
 * Parsing
 */

/* The value of @name=value in @line or NULL. Free with g_free(). */
static char *value_of(const char *line, const char *name)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    size_t len = strlen(name);
    size_t i;

    for (i = 0; words[i]; i++) {
        if (g_str_has_prefix(words[i], name) && words[i][len] == '=') {
            return g_strdup(words[i] + len + 1);
        }
    }
    return NULL;
}

uint64_t vm_number_of(const char *line, const char *name)
{
    g_autofree char *value = line ? value_of(line, name) : NULL;

    return value ? g_ascii_strtoull(value, NULL, 10) : 0;
}

static double measure_of(const char *line, const char *name)
{
    g_autofree char *value = value_of(line, name);

    return value ? g_ascii_strtod(value, NULL) : NAN;
}

static uint64_t stat_of(QDict *stats, const char *group, const char *name)
{
    QDict *dict = group ? qdict_get_qdict(stats, group) : stats;

    g_assert(dict);
    g_assert(qdict_haskey(dict, name));
    return qdict_get_int(dict, name);
}

void vm_result_set_stats(VmResult *result, QDict *stats)
{
    if (!stats) {
        return;
    }
    result->stats = (VmStats) {
        .known = true,
        .host_bytes = stat_of(stats, NULL, "host-bytes"),
        .host_bytes_limit = stat_of(stats, NULL, "host-bytes-limit"),
        .resident = stat_of(stats, "resident", "resources"),
        .evicted = stat_of(stats, "evicted", "resources"),
        .purged = stat_of(stats, "purged", "resources"),
        .backing_bytes = stat_of(stats, "resident", "backing-bytes"),
        .released_bytes = stat_of(stats, "purged", "released-bytes"),
        .attaches = stat_of(stats, NULL, "attaches"),
        .detaches = stat_of(stats, NULL, "detaches"),
        .purges = stat_of(stats, NULL, "purges"),
    };
}

void vm_result_add_sample(VmResult *result, VmSample sample)
{
    if (!result->work_done) {
        g_array_append_val(result->samples, sample);
    }
}

void vm_result_add_event(VmResult *result, double seconds, VmSeverity severity,
                         char *text)
{
    VmEvent event = { seconds, severity, text };

    g_array_append_val(result->events, event);
}

static bool is_complaint(const VmConfig *config, const char *line)
{
    static const char *const complaints[] = {
        "BUG: ", "WARNING: ", "Oops: ", "list_add corruption",
        "list_del corruption", "blocked for more than", "soft lockup",
        "general protection fault", "*ERROR*", "detected stalls",
        "INFO: trying to register non-static key", "BUG kmalloc",
        "is not a head!",       /* a response to no command */
    };
    size_t i;

    if (config->provoked && strstr(line, config->provoked)) {
        return false;
    }
    for (i = 0; i < G_N_ELEMENTS(complaints); i++) {
        if (strstr(line, complaints[i])) {
            return true;
        }
    }
    return false;
}

/* @line is '... Out of memory: Killed process PID (NAME) ...'. */
static void handle_oom_kill(VmResult *result, double seconds, const char *line)
{
    g_auto(GStrv) words = g_strsplit_set(line, "()", 3);
    const char *name = words[0] && words[1] ? words[1] : "?";
    char *names = result->oom_killed;

    result->oom_kills++;
    result->oom_killed = g_strdup_printf("%s%s%s", names ?: "",
                                         names ? " " : "", name);
    g_free(names);
    vm_result_add_event(result, seconds, VM_EVENT_BAD,
                        g_strdup_printf("OOM kill: %s", name));
}

void vm_result_handle_console(VmResult *result, const VmConfig *config,
                              double seconds, const char *line)
{
    if (strstr(line, "Out of memory: Killed process")) {
        handle_oom_kill(result, seconds, line);
    }
    if (is_complaint(config, line)) {
        result->kernel_complaints++;
    }
    if (strstr(line, "Kernel panic")) {
        vm_result_fail(result, "the guest's kernel panicked: %s", line);
    }
}

static void handle_result(VmResult *result, const VmConfig *config,
                          double seconds, const char *values)
{
    result->work_done = true;
    result->good_pages = vm_number_of(values, "good_pages");
    result->zero_pages = vm_number_of(values, "zero_pages");
    result->corrupt_pages = vm_number_of(values, "corrupt_pages");
    result->purged_bos = vm_number_of(values, "purged_bos");
    result->retained_bos = vm_number_of(values, "retained_bos");
    result->unpressured_bos = vm_number_of(values, "kept_bos");
    result->errors = vm_number_of(values, "errors");
    result->denied = vm_number_of(values, "denied");
    result->evictions = vm_number_of(values, "evictions");
    result->timeouts = vm_number_of(values, "timeouts");
    if (result->corrupt_pages || result->errors) {
        vm_result_add_event(result, seconds, VM_EVENT_BAD,
                            g_strdup("corrupt pages or errors"));
    } else if (vm_result_survives(config, result)) {
        vm_result_add_event(result, seconds, VM_EVENT_GOOD,
                            g_strdup("every byte verified"));
    }
}

static void handle_hog_end(VmResult *result, double seconds,
                           const char *values)
{
    result->hog_ran = true;
    result->hog_survived = vm_number_of(values, "survived");
    vm_result_add_event(result, seconds,
                        result->hog_survived ? VM_EVENT_GOOD : VM_EVENT_BAD,
                        g_strdup_printf("memory hog %s",
                                        result->hog_survived ? "survives"
                                                             : "is killed"));
}

static void handle_sample(VmResult *result, double seconds, const char *values)
{
    vm_result_add_sample(result, (VmSample) {
        .seconds = seconds,
        .mem_available = measure_of(values, "mem_available"),
        .swap_used = measure_of(values, "swap_used"),
        .bo = measure_of(values, "bo_bytes"),
        .resident = measure_of(values, "resident"),
        .evicted = measure_of(values, "evicted"),
        .purged = measure_of(values, "purged"),
        .rss_anon = NAN,
    });
}

void vm_result_handle_report(VmResult *result, const VmConfig *config,
                             double seconds, const char *event,
                             const char *values)
{
    if (!strcmp(event, "sample")) {
        handle_sample(result, seconds, values);
    } else if (!strcmp(event, "bo")) {
        result->bo_mib_reached = vm_number_of(values, "mib");
    } else if (!strcmp(event, "hello")) {
        g_free(result->kernel);
        result->kernel = value_of(values, "kernel");
        result->boots++;
    } else if (!strcmp(event, "renderer")) {
        g_free(result->renderer);
        result->renderer = g_strdup(values);
    } else if (!strcmp(event, "start")) {
        result->work_started = seconds;
        result->bo_mib_wanted = vm_number_of(values, "bo_mib");
    } else if (!strcmp(event, "totals")) {
        result->counted++;
    } else if (!strcmp(event, "stopped")) {
        vm_result_add_event(result, seconds, VM_EVENT_BAD,
                            g_strdup("no more buffers"));
    } else if (!strcmp(event, "app_start")) {
        vm_result_add_event(result, seconds, VM_EVENT_INFO,
                            g_strdup("memory hog starts"));
    } else if (!strcmp(event, "app_end")) {
        handle_hog_end(result, seconds, values);
    } else if (!strcmp(event, "client_died")) {
        result->client_survived = false;
        vm_result_add_event(
            result, seconds, VM_EVENT_BAD,
            g_strdup_printf("GPU client ended by signal %u",
                            (unsigned)vm_number_of(values, "signal")));
    } else if (!strcmp(event, "result")) {
        handle_result(result, config, seconds, values);
    } else if (!strcmp(event, "soak") || !strcmp(event, "soaked")) {
        g_free(result->soak_report);
        result->soak_report = g_strdup(values);
        result->soak_finished = !strcmp(event, "soaked");
    } else if (event[0] == '#' && config->scenario == VM_SCENARIO_SOAK) {
        result->soak_findings++;
    }
}

uint64_t vm_result_soak_value(const VmResult *result, const char *name)
{
    return vm_number_of(result->soak_report ?: "", name);
}

/*
 * Outcome
 */

bool vm_result_purge_returned(const VmResult *result)
{
    int64_t fall = result->rss_anon_before - result->rss_anon_after;

    return !result->host_purged_bytes ||
           fall >= (int64_t)(result->host_purged_bytes / 100 *
                             RETURNED_PERCENT);
}

bool vm_result_all_returned(const VmResult *result)
{
    uint64_t kept = result->bo_mib_reached * MiB / KEPT_PART;

    return result->rss_anon_released <= result->rss_anon_idle + kept;
}

static const char *soak_outcome(const VmResult *result)
{
    if (!result->soak_finished || result->soak_findings ||
        vm_result_soak_value(result, "errors") || result->kernel_complaints) {
        return "stopped";
    }
    return vm_result_soak_value(result, "corrupt_pages") ? "corrupt"
                                                         : "survives";
}

const char *vm_result_outcome(const VmConfig *config, const VmResult *result)
{
    if (result->problem) {
        return "void";
    }
    if (result->oom_kills || !result->client_survived ||
        (result->hog_ran && !result->hog_survived)) {
        return "killed";
    }
    if (config->scenario == VM_SCENARIO_SOAK) {
        return soak_outcome(result);
    }
    if (result->corrupt_pages || result->errors) {
        return "corrupt";
    }
    return result->bo_mib_reached < config->bo_mib ? "stopped" : "survives";
}

bool vm_result_survives(const VmConfig *config, const VmResult *result)
{
    return !strcmp(vm_result_outcome(config, result), "survives");
}

static int compare_doubles(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;

    return (one > other) - (one < other);
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof(values[0]), compare_doubles);
    return n ? (values[(n - 1) / 2] + values[n / 2]) / 2 : 0;
}

VmRate vm_host_ratio(const VmHostResult *host, const VmRate *rates)
{
    double fps[VM_HOST_ROUNDS], cpu[VM_HOST_ROUNDS];
    unsigned i;

    for (i = 0; i < host->rounds; i++) {
        const VmRate *before = &host->without[i], *after = before + 1;

        fps[i] = 2 * rates[i].fps / (before->fps + after->fps);
        cpu[i] = 2 * rates[i].per_cpu_second /
                 (before->per_cpu_second + after->per_cpu_second);
    }
    return (VmRate) { median(fps, host->rounds), median(cpu, host->rounds) };
}

double vm_host_share(const VmHostResult *host)
{
    double fall = (double)host->rss_anon_before - host->rss_anon_after;

    return host->idle_bytes ? MIN(fall / host->idle_bytes, 1) : 0;
}

double vm_guest_share(const VmHostResult *host)
{
    double left = (double)host->guest_after - host->guest_without;

    return host->idle_bytes ? MIN(1 - left / host->idle_bytes, 1) : 0;
}

/*
 * JSON
 */

/* The version of the installed @package, NULL if unknown. */
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

static void write_text(JSONWriter *json, const char *name, const char *text)
{
    if (text) {
        json_writer_str(json, name, text);
    } else {
        json_writer_null(json, name);
    }
}

static void write_bytes(JSONWriter *json, const char *name, double bytes)
{
    if (!isnan(bytes)) {
        json_writer_int64(json, name, bytes);
    }
}

/* Times are in milliseconds since the start of the workload. */
static void write_time(JSONWriter *json, const VmResult *result, double seconds)
{
    json_writer_int64(json, "ms", 1000 * (seconds - result->work_started));
}

static void write_samples(JSONWriter *json, const VmResult *result)
{
    unsigned i;

    json_writer_start_array(json, "samples");
    for (i = 0; i < result->samples->len; i++) {
        const VmSample *s = &g_array_index(result->samples, VmSample, i);

        json_writer_start_object(json, NULL);
        write_time(json, result, s->seconds);
        write_bytes(json, "mem_available", s->mem_available);
        write_bytes(json, "swap_used", s->swap_used);
        write_bytes(json, "bo", s->bo);
        write_bytes(json, "resident", s->resident);
        write_bytes(json, "evicted", s->evicted);
        write_bytes(json, "purged", s->purged);
        write_bytes(json, "rss_anon", s->rss_anon);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

static void write_events(JSONWriter *json, const VmResult *result)
{
    static const char *const severities[] = {
        [VM_EVENT_INFO] = "info", [VM_EVENT_GOOD] = "good",
        [VM_EVENT_BAD] = "bad",
    };
    unsigned i;

    json_writer_start_array(json, "events");
    for (i = 0; i < result->events->len; i++) {
        const VmEvent *e = &g_array_index(result->events, VmEvent, i);

        json_writer_start_object(json, NULL);
        write_time(json, result, e->seconds);
        json_writer_str(json, "severity", severities[e->severity]);
        json_writer_str(json, "text", e->text);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

static void write_config(JSONWriter *json, const VmConfig *config)
{
    json_writer_str(json, "name", config->name);
    write_text(json, "group", config->group);
    json_writer_str(json, "scenario", vm_config_scenario(config));
    json_writer_str(json, "driver", config->our_driver ? "reclaim" : "stock");
    json_writer_str(json, "device", config->our_device ? "reclaim" : "stock");
    json_writer_uint64(json, "ram_mib", config->ram_mib);
    json_writer_uint64(json, "swap_mib", config->swap_mib);
    json_writer_uint64(json, "bo_mib", config->bo_mib);
    json_writer_uint64(json, "hog_mib", config->hog_mib);
    json_writer_uint64(json, "workload_seconds", config->seconds);
    json_writer_uint64(json, "seed", config->seed);
    if (config->about) {
        json_writer_str(json, "about", config->about);
    }
}

static void write_soak(JSONWriter *json, const VmResult *result)
{
    g_auto(GStrv) words = g_strsplit(result->soak_report ?: "", " ", -1);
    size_t i;

    json_writer_start_object(json, "soak");
    json_writer_bool(json, "finished", result->soak_finished);
    json_writer_uint64(json, "findings", result->soak_findings);
    for (i = 0; words[i]; i++) {
        char *value = strchr(words[i], '=');

        if (value) {
            *value++ = '\0';
            json_writer_uint64(json, words[i],
                               g_ascii_strtoull(value, NULL, 10));
        }
    }
    json_writer_end_object(json);
}

/* The @count @rates as @name, and for each second of QEMU as cpu_@name. */
static void write_rates(JSONWriter *json, const char *name, const VmRate *rates,
                        unsigned count)
{
    g_autofree char *cpu = g_strconcat("cpu_", name, NULL);
    unsigned i;

    json_writer_start_array(json, name);
    for (i = 0; i < count; i++) {
        json_writer_double(json, NULL, rates[i].fps);
    }
    json_writer_end_array(json);
    json_writer_start_array(json, cpu);
    for (i = 0; i < count; i++) {
        json_writer_double(json, NULL, rates[i].per_cpu_second);
    }
    json_writer_end_array(json);
}

static void write_ratio(JSONWriter *json, const char *name, VmRate ratio)
{
    g_autofree char *cpu = g_strconcat("cpu_", name, NULL);

    json_writer_double(json, name, ratio.fps);
    json_writer_double(json, cpu, ratio.per_cpu_second);
}

static void write_host(JSONWriter *json, const VmHostResult *host)
{
    json_writer_uint64(json, "idle_bytes", host->idle_bytes);
    json_writer_uint64(json, "rss_anon_before", host->rss_anon_before);
    json_writer_uint64(json, "rss_anon_after", host->rss_anon_after);
    json_writer_double(json, "host_share", vm_host_share(host));
    if (host->needed_bytes) {
        json_writer_uint64(json, "guest_without", host->guest_without);
        json_writer_uint64(json, "guest_after", host->guest_after);
        json_writer_double(json, "guest_share", vm_guest_share(host));
        json_writer_uint64(json, "needed_bytes", host->needed_bytes);
        json_writer_bool(json, "need_met", host->need_met);
        json_writer_uint64(json, "frames", host->frames);
        json_writer_uint64(json, "frames_differ", host->frames_differ);
    }
    json_writer_uint64(json, "wrong_pixels", host->wrong_pixels);
    write_ratio(json, "fps_ratio", vm_host_ratio(host, host->with));
    write_ratio(json, "fps_taking_ratio", vm_host_ratio(host, host->taking));
    write_rates(json, "fps_without", host->without,
                host->rounds ? host->rounds + 1 : 0);
    write_rates(json, "fps_taking", host->taking, host->rounds);
    write_rates(json, "fps_with", host->with, host->rounds);
}

static void write_result(JSONWriter *json, const VmConfig *config,
                         const VmResult *result)
{
    json_writer_start_object(json, NULL);
    write_config(json, config);
    json_writer_str(json, "outcome", vm_result_outcome(config, result));
    write_text(json, "problem", result->problem);
    json_writer_uint64(json, "bo_mib_reached", result->bo_mib_reached);
    json_writer_bool(json, "client_survived", result->client_survived);
    json_writer_bool(json, "hog_survived", result->hog_survived);
    json_writer_uint64(json, "oom_kills", result->oom_kills);
    write_text(json, "oom_killed", result->oom_killed);
    json_writer_uint64(json, "kernel_complaints", result->kernel_complaints);
    json_writer_uint64(json, "errors", result->errors);
    json_writer_uint64(json, "corrupt_pages", result->corrupt_pages);
    json_writer_uint64(json, "purged_bos", result->purged_bos);
    json_writer_uint64(json, "retained_bos", result->retained_bos);
    if (config->scenario == VM_SCENARIO_MATRIX) {
        json_writer_uint64(json, "rss_anon_idle", result->rss_anon_idle);
        json_writer_uint64(json, "rss_anon_released",
                           result->rss_anon_released);
        json_writer_uint64(json, "evictions", result->evictions);
        json_writer_uint64(json, "good_pages", result->good_pages);
        json_writer_uint64(json, "zero_pages", result->zero_pages);
    }
    json_writer_uint64(json, "host_purged_bytes", result->host_purged_bytes);
    json_writer_uint64(json, "host_rss_anon_before_purge",
                       result->rss_anon_before);
    json_writer_uint64(json, "host_rss_anon_after_purge",
                       result->rss_anon_after);
    if (config->group) {
        json_writer_uint64(json, "rss_anon_limit", result->rss_anon_limit);
    }
    if (result->host.idle_bytes) {
        write_host(json, &result->host);
    }
    json_writer_int64(json, "duration_ms", 1000 * result->seconds);
    if (config->scenario == VM_SCENARIO_SOAK) {
        write_soak(json, result);
    }
    write_events(json, result);
    write_samples(json, result);
    json_writer_end_object(json);
}

bool vm_results_write(const char *path, const VmConfig *configs,
                      const VmResult *const *results, size_t count)
{
    g_autofree char *virgl = package_version("libvirglrenderer1");
    JSONWriter *json = json_writer_new(true);
    g_autoptr(GString) text = NULL;
    FILE *file;
    bool ok;
    size_t i;

    json_writer_start_object(json, NULL);
    json_writer_start_object(json, "host");
    write_text(json, "qemu", results[0]->qemu);
    write_text(json, "virglrenderer", virgl);
    write_text(json, "renderer", results[0]->renderer);
    json_writer_end_object(json);
    json_writer_start_object(json, "guest");
    write_text(json, "kernel", results[0]->kernel);
    json_writer_end_object(json);
    json_writer_start_array(json, "runs");
    for (i = 0; i < count; i++) {
        write_result(json, &configs[i], results[i]);
    }
    json_writer_end_array(json);
    json_writer_end_object(json);

    text = json_writer_get_and_free(json);
    g_string_append_c(text, '\n');
    file = fopen(path, "w");
    ok = file && fwrite(text->str, text->len, 1, file) == 1;
    return file && !fclose(file) && ok;
}
