/*
 * Boot a guest that runs out of memory because of its GPU buffers
 *
 * The guest has two serial lines: one for its kernel's log, one for the
 * conversation with its workload (tests/guest/README.md). The guest's memory
 * is a memfd, so that QEMU's anonymous memory is what the host spends on its
 * own account, copies of GPU buffers included.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include "qemu/units.h"
#include "tests/qtest/libqtest.h"
#include "qapi/qmp/qdict.h"
#include "virtio-gpu-vm-run.h"

#define GPU_PATH        "/machine/peripheral/gpu0"
#define SAMPLE_MS       250

/*
 * Bounds that only a guest that hangs meets, not limits of what is good: it
 * reports five times a second, or says that one of its tests hangs, and whole
 * runs take a minute or two, or five where others want the processors, too.
 */
#define SILENCE_MS      150000
#define RUN_MS          900000
/* One that looks for mistakes takes so many times as long. */
#define DEBUG_SLOWER    4

/* So many complaints of the guest's kernel are shown; the log has them all. */
#define SHOWN_FAULTS    5

/* QEMU is at rest when its memory stays within so much for so long. */
#define REST_BYTES      (256 * KiB)
#define REST_SAMPLES    3
#define REST_MS         10000

typedef struct OomSample {
    double seconds;
    /* In bytes; not a number where this sample has none. */
    double mem_available;
    double swap_used;
    double bo;
    double resident;
    double evicted;
    double purged;
    double rss_anon;
} OomSample;

/* What is worth a mark on the time line. */
typedef struct OomEvent {
    double seconds;
    char *text;
} OomEvent;

/* One of the guest's serial lines. */
typedef struct OomLine {
    const char *tag;
    int fd;
    GString *text;          /* the beginning of a line that is not whole yet */
    void (*handle)(OomRun *run, const char *line);
} OomLine;

struct OomRun {
    const OomConfig *config;
    OomResult result;
    OomProgress *progress;
    QTestState *qts;
    OomLine console;
    OomLine guest;
    int pid;
    char *log_path;
    FILE *log;
    int64_t started;
    int64_t heard;          /* when the guest last said something */
    int64_t sampled;
    double work_started;    /* in seconds, like the times of samples */
    bool done;              /* the workload has told its result */
    bool ended;

    uint64_t rss_anon;
    uint64_t released_before;
    /* The event at which the guest waits until QEMU is at rest, or NULL. */
    char *pause;
    int64_t paused;
    unsigned rested;
    uint64_t rest_rss;

    GArray *samples;
    GArray *events;
};

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static double run_seconds(const OomRun *run)
{
    return (now_ms() - run->started) / 1000.0;
}

static char *build_path(const char *name)
{
    const char *build = g_getenv("VIRTIO_GPU_RECLAIM_BUILD") ?: "build";
    g_autofree char *cwd = g_get_current_dir();

    return g_path_is_absolute(build) ? g_build_filename(build, name, NULL)
                                     : g_build_filename(cwd, build, name, NULL);
}

static char *module_path(const OomConfig *config)
{
    return build_path(config->our_device ? "modules" : "modules-stock");
}

static char *shim_path(void)
{
    return build_path("meson/udmabuf-shim.so");
}

/* What scripts/steps/guest makes, @name, for the kernel that is to run. */
static char *guest_path(const OomConfig *config, const char *name)
{
    g_autofree char *path = g_build_filename(config->debug_kernel
                                             ? "guest-debug" : "guest",
                                             name, NULL);

    return build_path(path);
}

static char *kernel_path(const OomConfig *config)
{
    g_autofree char *dir = guest_path(config, "kernel");
    g_autofree char *file = g_build_filename(dir, "version", NULL);
    g_autofree char *version = NULL;

    if (!g_file_get_contents(file, &version, NULL, NULL)) {
        return g_steal_pointer(&file);
    }
    return g_strconcat(dir, "/image/boot/vmlinuz-", g_strstrip(version), NULL);
}

char *oom_missing(const OomConfig *config)
{
    g_autofree char *modules = module_path(config);
    g_autofree char *driver = guest_path(config, "virtio-gpu.ko");
    g_autofree char *initramfs = guest_path(config, "initramfs.cpio.zst");
    g_autofree char *kernel = kernel_path(config);
    g_autofree char *shim = shim_path();
    const char *needed[] = {
        kernel, initramfs, modules, config->our_driver ? driver : modules,
        config->blob ? shim : modules,
    };
    size_t i;

    if (!g_getenv("QTEST_QEMU_BINARY")) {
        return g_strdup("QTEST_QEMU_BINARY is not set");
    }
    for (i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (access(needed[i], R_OK) < 0) {
            return g_strdup_printf("there is no %s: run ./scripts/build, and "
                                   "this program in the world", needed[i]);
        }
    }
    return NULL;
}

static void G_GNUC_PRINTF(2, 3) tell(const OomRun *run, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    if (run->progress) {
        run->progress(run->config, text);
    }
}

/* The first problem is the one that counts: what follows comes of it. */
static void G_GNUC_PRINTF(2, 3) give_up(OomRun *run, const char *format, ...)
{
    va_list ap;

    if (!run->result.problem) {
        va_start(ap, format);
        run->result.problem = g_strdup_vprintf(format, ap);
        va_end(ap);
    }
    run->ended = true;
}

/*
 * The value of name=value in @line, NULL if there is none. To be freed.
 */
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

static uint64_t number_of(const char *line, const char *name)
{
    g_autofree char *value = value_of(line, name);

    return value ? g_ascii_strtoull(value, NULL, 10) : 0;
}

static double measure_of(const char *line, const char *name)
{
    g_autofree char *value = value_of(line, name);

    return value ? g_ascii_strtod(value, NULL) : NAN;
}

/*
 * What the host knows
 */

static uint64_t read_rss_anon(const OomRun *run)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", run->pid);
    g_autofree char *status = NULL;
    const char *field;

    if (!g_file_get_contents(path, &status, NULL, NULL)) {
        return 0;
    }
    field = strstr(status, "RssAnon:");
    return field ? g_ascii_strtoull(field + strlen("RssAnon:"), NULL, 10) * KiB
                 : 0;
}

static uint64_t stat_of(QDict *stats, const char *group, const char *name)
{
    QDict *dict = group ? qdict_get_qdict(stats, group) : stats;

    g_assert(dict);
    g_assert(qdict_haskey(dict, name));
    return qdict_get_int(dict, name);
}

static void read_stats(OomRun *run)
{
    QDict *response, *stats;

    response = qtest_qmp(run->qts, "{'execute': 'qom-get', 'arguments': "
                         "{'path': %s, 'property': 'reclaim-stats'}}",
                         GPU_PATH);
    stats = qdict_get_qdict(response, "return");
    if (stats) {
        run->result.stats = (OomStats) {
            .known = true,
            .host_bytes = stat_of(stats, NULL, "host-bytes"),
            .host_bytes_limit = stat_of(stats, NULL, "host-bytes-limit"),
            .resident = stat_of(stats, "resident", "resources"),
            .evicted = stat_of(stats, "evicted", "resources"),
            .purged = stat_of(stats, "purged", "resources"),
            .backing_bytes = stat_of(stats, "resident", "backing-bytes"),
            .resident_bytes = stat_of(stats, "resident", "host-bytes"),
            .evicted_bytes = stat_of(stats, "evicted", "host-bytes"),
            .released_bytes = stat_of(stats, "purged", "released-bytes"),
            .attaches = stat_of(stats, NULL, "attaches"),
            .detaches = stat_of(stats, NULL, "detaches"),
            .purges = stat_of(stats, NULL, "purges"),
        };
    }
    qobject_unref(response);
}

static void add_sample(OomRun *run, OomSample sample)
{
    /* After its result the client ends, which is of no interest here. */
    if (!run->done) {
        sample.seconds = run_seconds(run);
        g_array_append_val(run->samples, sample);
    }
}

static void add_event(OomRun *run, const char *text)
{
    OomEvent event = { run_seconds(run), g_strdup(text) };

    g_array_append_val(run->events, event);
}

static void clear_event(void *data)
{
    OomEvent *event = data;

    g_free(event->text);
}

static void sample_host(OomRun *run)
{
    run->rss_anon = read_rss_anon(run);
    read_stats(run);
    add_sample(run, (OomSample) {
        .mem_available = NAN, .swap_used = NAN, .bo = NAN,
        .resident = NAN, .evicted = NAN, .purged = NAN,
        .rss_anon = run->rss_anon,
    });
}

/*
 * What the guest says
 */

static void answer(OomRun *run, const char *line)
{
    if (send(run->guest.fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        give_up(run, "the guest does not listen any more");
    }
}

static void let_go_on(OomRun *run)
{
    if (!strcmp(run->pause, "loaded")) {
        run->result.rss_anon_before = run->rss_anon;
        run->released_before = run->result.stats.released_bytes;
    } else if (!strcmp(run->pause, "marked")) {
        run->result.rss_anon_after = run->rss_anon;
        run->result.host_purged_bytes =
            run->result.stats.released_bytes - run->released_before;
    }
    g_clear_pointer(&run->pause, g_free);
    answer(run, "\n");
}

static void wait_for_rest(OomRun *run)
{
    uint64_t moved = MAX(run->rss_anon, run->rest_rss) -
                     MIN(run->rss_anon, run->rest_rss);

    if (moved > REST_BYTES) {
        run->rest_rss = run->rss_anon;
        run->rested = 0;
    } else {
        run->rested++;
    }
    if (run->rested >= REST_SAMPLES || now_ms() - run->paused > REST_MS) {
        let_go_on(run);
    }
}

static void handle_console(OomRun *run, const char *line)
{
    static const char *const complaints[] = {
        "BUG: ", "WARNING: ", "Oops: ", "list_add corruption",
        "list_del corruption", "blocked for more than", "soft lockup",
        "general protection fault", "*ERROR*", "detected stalls",
        "INFO: trying to register non-static key", "BUG kmalloc",
    };
    size_t i;

    if (strstr(line, "Out of memory: Killed process")) {
        run->result.oom_kills++;
        add_event(run, "OOM kill");
        tell(run, "%s", strstr(line, "Out of memory"));
    }
    for (i = 0; i < G_N_ELEMENTS(complaints); i++) {
        if (strstr(line, complaints[i]) &&
            !(run->config->provoked &&
              strstr(line, run->config->provoked))) {
            if (run->result.kernel_faults++ < SHOWN_FAULTS) {
                tell(run, "the guest's kernel: %s", line);
            }
            break;
        }
    }
    if (strstr(line, "Kernel panic")) {
        give_up(run, "the guest's kernel panicked: %s", line);
    }
}

static void handle_result(OomRun *run, const char *line)
{
    OomResult *result = &run->result;

    run->done = true;
    result->good_pages = number_of(line, "good_pages");
    result->zero_pages = number_of(line, "zero_pages");
    result->corrupt_pages = number_of(line, "corrupt_pages");
    result->purged_bos = number_of(line, "purged_bos");
    result->retained_bos = number_of(line, "retained_bos");
    result->kept_bos = number_of(line, "kept_bos");
    result->errors = number_of(line, "errors");
    if (result->corrupt_pages || result->errors) {
        add_event(run, "corrupt pages or errors");
    } else if (result->bo_mib_reached == run->config->bo_mib &&
               (result->app_survived || !result->app_ran)) {
        add_event(run, "every byte verified");
    }
}

/* Tell the guest what is on its display: a checksum of the screenshot. */
static void answer_with_screen(OomRun *run)
{
    g_autofree char *path = g_strconcat(run->log_path, ".ppm", NULL);
    g_autofree char *picture = NULL;
    g_autofree char *sum = NULL;
    g_autofree char *line = NULL;
    QDict *response;
    gsize size = 0;

    response = qtest_qmp(run->qts, "{'execute': 'screendump', 'arguments': "
                         "{'filename': %s}}", path);
    if (qdict_haskey(response, "return")) {
        g_file_get_contents(path, &picture, &size, NULL);
    }
    qobject_unref(response);
    sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256,
                                      (const guchar *)picture, size);
    line = g_strdup_printf("%zu %s\n", (size_t)size, sum);
    answer(run, line);
}

/* Tell the guest what the device's host memory is, and its limit; 0: none. */
static void answer_with_hostmem(OomRun *run)
{
    g_autofree char *line = NULL;

    read_stats(run);
    line = g_strdup_printf("%" PRIu64 " %" PRIu64 "\n",
                           run->result.stats.host_bytes,
                           run->result.stats.host_bytes_limit);
    answer(run, line);
}

/* Tell the guest what the device has, if it keeps books. */
static void answer_with_books(OomRun *run)
{
    const OomStats *stats = &run->result.stats;
    g_autofree char *line = NULL;

    read_stats(run);
    if (stats->known) {
        line = g_strdup_printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                               "\n", stats->resident, stats->evicted,
                               stats->purged, stats->backing_bytes);
    }
    answer(run, line ?: "none\n");
}

static bool is_test_line(const char *event)
{
    return !strcmp(event, "ok") || !strcmp(event, "not") || event[0] == '#' ||
           g_str_has_prefix(event, "1..") || g_str_has_prefix(event, "soak");
}

static void handle_guest(OomRun *run, const char *line)
{
    OomResult *result = &run->result;
    g_auto(GStrv) words = g_strsplit(line, " ", 2);
    const char *event = words[0] ?: "";
    const char *rest = event[0] && words[1] ? words[1] : "";

    if (!strcmp(event, "sample")) {
        add_sample(run, (OomSample) {
            .mem_available = measure_of(rest, "mem_available"),
            .swap_used = measure_of(rest, "swap_used"),
            .bo = measure_of(rest, "bo_bytes"),
            .resident = measure_of(rest, "resident"),
            .evicted = measure_of(rest, "evicted"),
            .purged = measure_of(rest, "purged"),
            .rss_anon = NAN,
        });
        return;
    }
    if (!strcmp(event, "bo")) {
        result->bo_mib_reached = number_of(rest, "mib");
        return;
    }

    if (!strcmp(event, "screen")) {
        answer_with_screen(run);
        return;
    }
    if (!strcmp(event, "hostmem")) {
        answer_with_hostmem(run);
        return;
    }
    if (!strcmp(event, "books")) {
        answer_with_books(run);
        return;
    }
    if (run->config->test_line && is_test_line(event)) {
        run->config->test_line(run->config, line);
        return;
    }

    if (!strcmp(event, "hello")) {
        g_free(result->kernel);
        result->kernel = value_of(rest, "kernel");
        result->boots++;
        tell(run, "booted");
    } else if (!strcmp(event, "renderer")) {
        result->renderer = g_strdup(rest);
    } else if (!strcmp(event, "start")) {
        run->work_started = run_seconds(run);
    } else if (!strcmp(event, "loaded") || !strcmp(event, "marked")) {
        if (!strcmp(event, "loaded")) {
            tell(run, "%u MiB of buffers are on the host",
                 result->bo_mib_reached);
        }
        run->pause = g_strdup(event);
        run->paused = now_ms();
        run->rested = 0;
        run->rest_rss = run->rss_anon;
    } else if (!strcmp(event, "app_end")) {
        result->app_ran = true;
        result->app_survived = number_of(rest, "survived");
        if (result->app_survived) {
            add_event(run, "program ends well");
        }
        tell(run, "the program that needs %u MiB %s", run->config->app_mib,
             result->app_survived ? "lived" : "was killed");
    } else if (!strcmp(event, "client_died")) {
        result->client_survived = false;
        tell(run, "the GPU client was ended by signal %u",
             (unsigned)number_of(rest, "signal"));
    } else if (!strcmp(event, "result")) {
        handle_result(run, rest);
    } else if (!strcmp(event, "end")) {
        run->ended = true;
    } else if (!strcmp(event, "setup_failed")) {
        give_up(run, "the guest could not be set up: %s", rest);
    } else if (!strcmp(event, "stopped")) {
        add_event(run, "no more buffers");
        tell(run, "no more buffers: %s", rest);
    } else if (!strcmp(event, "app_start")) {
        add_event(run, "program starts");
    } else if (!strcmp(event, "corrupt") || !strcmp(event, "error")) {
        tell(run, "%s", line);
    }
}

static void receive(OomRun *run, OomLine *from)
{
    char buffer[4096];
    ssize_t len = recv(from->fd, buffer, sizeof(buffer), 0);
    char *end;

    if (len < 0 && errno == EINTR) {
        return;
    }
    if (len <= 0) {
        give_up(run, "QEMU ended before the guest did");
        return;
    }
    run->heard = now_ms();
    g_string_append_len(from->text, buffer, len);
    while ((end = strchr(from->text->str, '\n'))) {
        g_autofree char *line = g_strndup(from->text->str,
                                          end - from->text->str);

        g_string_erase(from->text, 0, end + 1 - from->text->str);
        g_strchomp(line);
        fprintf(run->log, "%8.3f %s %s\n", run_seconds(run), from->tag, line);
        from->handle(run, line);
    }
}

/*
 * Runs
 */

static int accept_line(int server)
{
    struct pollfd fd = { .fd = server, .events = POLLIN };
    int line = -1;

    if (poll(&fd, 1, SILENCE_MS) == 1) {
        line = accept(server, NULL, NULL);
    }
    close(server);
    return line;
}

static char *qemu_options(const OomRun *run, const char *dir,
                          const char *qemu_log)
{
    const OomConfig *config = run->config;
    g_autofree char *kernel = kernel_path(config);
    g_autofree char *initramfs = guest_path(config, "initramfs.cpio.zst");
    g_autofree char *swap = g_strdup("");
    g_autofree char *limit = g_strdup("");
    g_autofree char *kexec = g_strdup("");
    static const char *const scenarios[] = {
        [OOM_CACHE] = "cache", [OOM_IDLE] = "idle", [OOM_TESTS] = "tests",
        [OOM_SOAK] = "soak",
    };

    if (config->hostmem_mib) {
        g_free(limit);
        limit = g_strdup_printf(",max_hostmem=%uM", config->hostmem_mib);
    }

    if (config->swap_mib) {
        g_free(swap);
        swap = g_strdup_printf("-drive file=%s/swap,format=raw,if=none,"
                               "id=swap,cache=unsafe,discard=unmap "
                               "-device virtio-blk-pci,drive=swap", dir);
    }
    if (config->kexec) {
        g_free(kexec);
        kexec = g_strdup_printf(
            "-drive file=%s,format=raw,if=none,id=kernel,readonly=on "
            "-device virtio-blk-pci,drive=kernel "
            "-drive file=%s,format=raw,if=none,id=initrd,readonly=on "
            "-device virtio-blk-pci,drive=initrd", kernel, initramfs);
    }
    /*
     * With split-wx the code that TCG translates is in a memfd as well, and
     * does not count as the host's own.
     *
     * The default CPU is quicker than a newer one: with the string instructions
     * of those the guest's kernel copies memory in a way that TCG is slow at.
     *
     * TCG's time stamps are those of the host and the same on all processors,
     * which a guest does not believe by itself: it would use a timer, which is
     * slow to read. And for each blink of the console's cursor it would map the
     * whole console.
     */
    return g_strdup_printf(
        "-nodefaults -no-user-config -accel tcg,split-wx=on "
        "-M q35,memory-backend=ram -m %u -smp %u "
        "-object memory-backend-memfd,id=ram,size=%uM "
        "-display egl-headless -no-reboot -no-shutdown -pidfile %s/pid "
        "-chardev socket,id=console,path=%s/console -serial chardev:console "
        "-chardev socket,id=guest,path=%s/guest -serial chardev:guest "
        "-device virtio-gpu%s-pci,id=gpu0%s%s%s %s %s "
        "-kernel %s -initrd %s "
        "-append 'console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off "
        "tsc=reliable vt.global_cursor_default=0 "
        "driver=%s scenario=%s bo_mib=%u app_mib=%u tests=%s %s%s kernel=%s "
        "seconds=%u seed=%u %s' 2>%s",
        config->ram_mib, MAX(config->cpus, 1), config->ram_mib, dir, dir, dir,
        config->is_2d ? "" : "-gl", config->our_device ? ",x-reclaim=on" : "",
        config->blob ? ",blob=on" : "", limit, swap, kexec, kernel, initramfs,
        config->our_driver ? "reclaim" : "stock", scenarios[config->scenario],
        config->bo_mib, config->app_mib, config->tests ?: "",
        config->kexec ? "kexec=" : "", config->kexec ?: "",
        config->debug_kernel ? "debug" : "release", config->seconds,
        config->seed, config->swap_mib ? "swap" : "", qemu_log);
}

static void make_swap(const OomRun *run, const char *path)
{
    int fd;

    if (!run->config->swap_mib) {
        return;
    }
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    g_assert(fd >= 0);
    g_assert(ftruncate(fd, run->config->swap_mib * MiB) == 0);
    close(fd);
}

static int read_pid(const char *path)
{
    g_autofree char *text = NULL;

    g_assert(g_file_get_contents(path, &text, NULL, NULL));
    return atoi(text);
}

static OomRun *run_new(const OomConfig *config, OomProgress *progress)
{
    OomRun *run = g_new0(OomRun, 1);
    g_autofree char *logs = build_path("oom");
    g_autofree char *name = g_strdup(config->name);
    g_autofree char *file = NULL;

    file = g_strconcat(g_strdelimit(name, "/", '-'), ".log", NULL);
    g_mkdir_with_parents(logs, 0755);
    run->log_path = g_build_filename(logs, file, NULL);
    run->log = fopen(run->log_path, "w");
    if (!run->log) {
        g_error("%s: %s", run->log_path, strerror(errno));
    }
    run->config = config;
    run->progress = progress;
    run->result.client_survived = true;
    run->console = (OomLine) {
        .tag = "kernel", .fd = -1, .text = g_string_new(NULL),
        .handle = handle_console,
    };
    run->guest = (OomLine) {
        .tag = "guest ", .fd = -1, .text = g_string_new(NULL),
        .handle = handle_guest,
    };
    run->samples = g_array_new(false, false, sizeof(OomSample));
    run->events = g_array_new(false, false, sizeof(OomEvent));
    g_array_set_clear_func(run->events, clear_event);
    return run;
}

static char *qemu_version(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{'execute': 'query-version'}");
    QDict *version = qdict_get_qdict(response, "return");
    QDict *triple = qdict_get_qdict(version, "qemu");
    char *text;

    text = g_strdup_printf("%" PRId64 ".%" PRId64 ".%" PRId64 " (%s)",
                           qdict_get_int(triple, "major"),
                           qdict_get_int(triple, "minor"),
                           qdict_get_int(triple, "micro"),
                           qdict_get_str(version, "package"));
    qobject_unref(response);
    return text;
}

static OomRun *run_start(const OomConfig *config, OomProgress *progress)
{
    OomRun *run = run_new(config, progress);
    g_autofree char *dir = build_path("oom/run-XXXXXX");
    g_autofree char *modules = module_path(config);
    g_autofree char *shim = shim_path();
    g_autofree char *qemu_log = g_strconcat(run->log_path, ".qemu", NULL);
    g_autofree char *options = NULL;
    static const char *const files[] = { "console", "guest", "swap", "pid" };
    int console, guest;
    size_t i;

    g_assert(g_mkdtemp(dir));
    g_autofree char *console_path = g_build_filename(dir, "console", NULL);
    g_autofree char *guest_path = g_build_filename(dir, "guest", NULL);
    g_autofree char *swap_path = g_build_filename(dir, "swap", NULL);
    g_autofree char *pid_path = g_build_filename(dir, "pid", NULL);

    console = qtest_socket_server(console_path);
    guest = qtest_socket_server(guest_path);
    make_swap(run, swap_path);
    options = qemu_options(run, dir, qemu_log);
    tell(run, "booting: %s driver, %s device, %u MiB RAM, %u MiB swap",
         config->our_driver ? "our" : "stock",
         config->our_device ? "our" : "stock",
         config->ram_mib, config->swap_mib);

    run->started = run->heard = run->sampled = now_ms();
    g_setenv("QEMU_MODULE_DIR", modules, true);
    if (config->blob && access("/dev/udmabuf", R_OK | W_OK) < 0) {
        g_setenv("LD_PRELOAD", shim, true);
    }
    run->qts = qtest_init(options);
    g_unsetenv("LD_PRELOAD");
    run->console.fd = accept_line(console);
    run->guest.fd = accept_line(guest);
    run->pid = read_pid(pid_path);
    run->result.qemu = qemu_version(run->qts);

    /* QEMU has them all open: nothing is left behind, however this ends. */
    for (i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(dir, files[i], NULL);

        unlink(path);
    }
    rmdir(dir);
    return run;
}

static void run_stop(OomRun *run)
{
    run->result.seconds = run_seconds(run);
    /* Who was killed before or did not purge: what it was at the end. */
    run->result.rss_anon_before = run->result.rss_anon_before ?: run->rss_anon;
    run->result.rss_anon_after = run->result.rss_anon_after ?: run->rss_anon;
    qtest_quit(run->qts);
    run->qts = NULL;
    close(run->console.fd);
    close(run->guest.fd);
    if (run->result.problem) {
        fprintf(run->log, "%8.3f test   %s\n", run->result.seconds,
                run->result.problem);
    }
    fclose(run->log);
    run->log = NULL;
    tell(run, "%s after %.0f s", run->result.problem ?: "done",
         run->result.seconds);
}

static int slowness(const OomConfig *config)
{
    return config->debug_kernel ? DEBUG_SLOWER : 1;
}

static int64_t longest_ms(const OomConfig *config)
{
    return (RUN_MS + config->seconds * 1000) * slowness(config);
}

/* Do what is to be done for @run now; false when it has ended. */
static bool run_step(OomRun *run, const struct pollfd *fds)
{
    int64_t now;

    if (fds[0].revents) {
        receive(run, &run->console);
    }
    if (fds[1].revents && !run->ended) {
        receive(run, &run->guest);
    }
    now = now_ms();
    if (!run->ended && now - run->sampled >= SAMPLE_MS) {
        run->sampled = now;
        sample_host(run);
        if (run->pause) {
            wait_for_rest(run);
        }
    }
    if (now - run->heard > SILENCE_MS * slowness(run->config)) {
        give_up(run, "the guest has been silent for %d s (see %s)",
                SILENCE_MS * slowness(run->config) / 1000, run->log_path);
    } else if (now - run->started > longest_ms(run->config)) {
        give_up(run, "the guest did not come to an end within %" PRId64
                " s (see %s)", longest_ms(run->config) / 1000, run->log_path);
    }
    return !run->ended;
}

OomRun **oom_run_all(const OomConfig *configs, size_t count, unsigned jobs,
                     OomProgress *progress)
{
    OomRun **runs = g_new0(OomRun *, count);
    size_t next = 0, active = 0, i;

    while (next < count || active > 0) {
        g_autofree struct pollfd *fds = g_new0(struct pollfd, 2 * count);

        for (; next < count && active < jobs; next++, active++) {
            runs[next] = run_start(&configs[next], progress);
        }
        for (i = 0; i < count; i++) {
            bool open = runs[i] && runs[i]->qts;

            fds[2 * i].fd = open ? runs[i]->console.fd : -1;
            fds[2 * i + 1].fd = open ? runs[i]->guest.fd : -1;
            fds[2 * i].events = fds[2 * i + 1].events = POLLIN;
        }
        poll(fds, 2 * count, SAMPLE_MS);
        for (i = 0; i < count; i++) {
            if (runs[i] && runs[i]->qts && !run_step(runs[i], &fds[2 * i])) {
                run_stop(runs[i]);
                active--;
            }
        }
    }
    return runs;
}

const OomResult *oom_run_result(const OomRun *run)
{
    return &run->result;
}

const char *oom_run_log(const OomRun *run)
{
    return run->log_path;
}

static void write_mib(FILE *file, double bytes)
{
    if (isnan(bytes)) {
        fputs("\t-", file);
    } else {
        fprintf(file, "\t%.2f", bytes / MiB);
    }
}

void oom_run_write_timeline(const OomRun *run, FILE *file)
{
    unsigned i;

    for (i = 0; i < run->samples->len; i++) {
        const OomSample *s = &g_array_index(run->samples, OomSample, i);

        fprintf(file, "%.3f", s->seconds - run->work_started);
        write_mib(file, s->mem_available);
        write_mib(file, s->swap_used);
        write_mib(file, s->bo);
        write_mib(file, s->resident);
        write_mib(file, s->evicted);
        write_mib(file, s->purged);
        write_mib(file, s->rss_anon);
        fputc('\n', file);
    }
}

void oom_run_write_events(const OomRun *run, const char *prefix, FILE *file)
{
    unsigned i;

    for (i = 0; i < run->events->len; i++) {
        const OomEvent *e = &g_array_index(run->events, OomEvent, i);

        fprintf(file, "%s\t%.3f\t%s\n", prefix, e->seconds - run->work_started,
                e->text);
    }
}

void oom_run_free(OomRun *run)
{
    g_string_free(run->console.text, true);
    g_string_free(run->guest.text, true);
    g_array_free(run->samples, true);
    g_array_free(run->events, true);
    g_free(run->result.problem);
    g_free(run->result.qemu);
    g_free(run->result.kernel);
    g_free(run->result.renderer);
    g_free(run->log_path);
    g_free(run->pause);
    g_free(run);
}
