/*
 * Guests with a virtio-gpu: runner
 *
 * A guest has two serial ports: one for its kernel log, one for the protocol
 * with its workload (tests/guest/README.md).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <math.h>
#include <poll.h>
#include <sys/socket.h>
#include "qemu/units.h"
#include "tests/qtest/libqtest.h"
#include "virtio-gpu-vm-disturb.h"
#include "virtio-gpu-vm-run.h"

#define SAMPLE_MS       250

/* Interval of samples of QEMU's memory during a purge. */
#define PURGE_SAMPLE_MS 50

/*
 * Timeouts, only for guests that hang: a guest reports five times a second or
 * reports that a test hangs, and a run takes one or two minutes, up to five on
 * a loaded machine. All are multiplied by vm_config_slowdown().
 */
#define SILENCE_MS      150000
#define RUN_MS          900000
/* Timeout until purged memory has been returned to the host. */
#define RETURN_MS       60000

/* Number of kernel errors to print; the log has all. */
#define SHOWN_COMPLAINTS 5

/*
 * QEMU's memory counts as stable when REST_SAMPLES samples are within
 * REST_BYTES. The guest continues after REST_MS anyway: this only reduces noise
 * in results.
 */
#define REST_BYTES      (256 * KiB)
#define REST_SAMPLES    3
#define REST_MS         10000

/* A serial port of the guest. */
typedef struct VmLine {
    const char *tag;
    int fd;
    GString *text;          /* the beginning of an incomplete line */
    void (*handle)(VmRun *run, const char *line);
} VmLine;

struct VmRun {
    const VmConfig *config;
    VmResult result;
    VmProgress *progress;
    QTestState *qts;
    VmLine console;
    VmLine guest;
    int pid;
    char *log_path;
    FILE *log;
    int64_t started;
    int64_t heard;          /* time of the guest's last output */
    int64_t sampled;
    unsigned events_shown;  /* index in result.events */
    bool ended;
    bool asked;             /* a guest with a desktop has to answer */

    uint64_t rss_anon;
    uint64_t rss_anon_working;  /* last sample of the workload */
    uint64_t released_before;
    bool purging;           /* buffers are uploaded, the purge is not over */
    /* The event after which the guest waits for stable memory, or NULL. */
    char *pause;
    int64_t paused;
    unsigned rested;
    uint64_t rest_rss;
    char *answer;           /* of a guest with a desktop, not read yet */
};

/* Those that have started and not been stopped. */
static GPtrArray *active;

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static double run_seconds(const VmRun *run)
{
    return (now_ms() - run->started) / 1000.0;
}

static void G_GNUC_PRINTF(2, 3) show(const VmRun *run, const char *format, ...)
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

/*
 * Sampling of the host
 */

static uint64_t read_rss_anon(const VmRun *run)
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

QDict *vm_run_device_stats(VmRun *run)
{
    QDict *response, *stats;

    if (!run->config->our_device) {
        return NULL;
    }
    response = qtest_qmp(run->qts, "{'execute': 'qom-get', 'arguments': "
                         "{'path': %s, 'property': 'reclaim-stats'}}",
                         VM_GPU_PATH);
    stats = qdict_get_qdict(response, "return");
    g_assert(stats);
    qobject_ref(stats);
    qobject_unref(response);
    return stats;
}

void vm_run_set_target(VmRun *run, uint64_t bytes)
{
    QDict *response;

    if (!run->config->our_device) {
        return;
    }
    response = qtest_qmp(run->qts, "{'execute': 'qom-set', 'arguments': "
                         "{'path': %s, 'property': 'hostmem-target', "
                         "'value': %" PRIu64 "}}", VM_GPU_PATH, bytes);
    g_assert_true(qdict_haskey(response, "return"));
    qobject_unref(response);
}

static void read_stats(VmRun *run)
{
    QDict *stats = vm_run_device_stats(run);

    vm_result_set_stats(&run->result, stats);
    qobject_unref(stats);
}

static void sample_host(VmRun *run)
{
    run->rss_anon = read_rss_anon(run);
    if (!run->result.work_done) {
        run->rss_anon_working = run->rss_anon;
    }
    read_stats(run);
    vm_result_add_sample(&run->result, (VmSample) {
        .seconds = run_seconds(run),
        .mem_available = NAN, .swap_used = NAN, .bo = NAN,
        .resident = NAN, .evicted = NAN, .purged = NAN,
        .rss_anon = run->rss_anon,
    });
}

/*
 * Reports of the guest
 */

static void answer(VmRun *run, const char *line)
{
    if (send(run->guest.fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        vm_result_fail(&run->result, "the guest has closed its serial port");
    }
}

static void end_pause(VmRun *run)
{
    run->purging = run->config->scenario == VM_SCENARIO_CACHE &&
                   !strcmp(run->pause, "loaded");
    g_clear_pointer(&run->pause, g_free);
    answer(run, "\n");
}

/*
 * The guest waits after uploading all buffers and after the purge, until QEMU's
 * memory is stable; after the purge also until the memory is returned to the
 * host or RETURN_MS have passed.
 */
static void step_pause(VmRun *run)
{
    uint64_t moved = MAX(run->rss_anon, run->rest_rss) -
                     MIN(run->rss_anon, run->rest_rss);
    int64_t waited = now_ms() - run->paused;
    VmResult *result = &run->result;
    bool ready = true;

    if (moved > REST_BYTES) {
        run->rest_rss = run->rss_anon;
        run->rested = 0;
    } else {
        run->rested++;
    }
    if (!strcmp(run->pause, "baseline")) {
        result->rss_anon_idle = run->rss_anon;
        result->host_bytes_idle = result->stats.host_bytes;
    } else if (!strcmp(run->pause, "released")) {
        result->rss_anon_released = run->rss_anon;
        result->host_bytes_released = result->stats.host_bytes;
        ready = !run->config->our_device || vm_result_all_returned(result) ||
                waited > RETURN_MS * vm_config_slowdown(run->config);
    } else if (!strcmp(run->pause, "loaded")) {
        result->rss_anon_before = run->rss_anon;
        result->rss_anon_after = run->rss_anon;
        run->released_before = result->stats.released_bytes;
    } else {
        result->host_purged_bytes =
            result->stats.released_bytes - run->released_before;
        ready = vm_result_purge_returned(result) ||
                waited > RETURN_MS * vm_config_slowdown(run->config);
    }
    if (ready && (run->rested >= REST_SAMPLES || waited > REST_MS)) {
        end_pause(run);
    }
}

static void begin_pause(VmRun *run, const char *event)
{
    g_free(run->pause);
    run->pause = g_strdup(event);
    run->paused = now_ms();
    run->rested = 0;
    run->rest_rss = run->rss_anon;
}

/* Print new events of the result. */
static void show_events(VmRun *run)
{
    GArray *events = run->result.events;

    for (; run->events_shown < events->len; run->events_shown++) {
        show(run, "%s",
             g_array_index(events, VmEvent, run->events_shown).text);
    }
}

static void handle_console(VmRun *run, const char *line)
{
    VmResult *result = &run->result;
    unsigned complaints = result->kernel_complaints;

    vm_result_handle_console(result, run->config, run_seconds(run), line);
    if (result->kernel_complaints > complaints &&
        complaints < SHOWN_COMPLAINTS) {
        show(run, "the guest's kernel: %s", line);
    }
    show_events(run);
}

/* Send the guest a checksum of a screenshot. */
static void answer_with_screen(VmRun *run, const char *values)
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

/*
 * Send the guest the device's host memory and its limit; 0: none. A stock
 * device has no accounting: its host memory is unknown, and sent as 0.
 */
static void answer_with_hostmem(VmRun *run, const char *values)
{
    uint64_t limit = run->config->hostmem_mib * MiB;
    g_autofree char *line = NULL;

    read_stats(run);
    if (run->result.stats.known) {
        limit = run->result.stats.host_bytes_limit;
    }
    line = g_strdup_printf("%" PRIu64 " %" PRIu64 "\n",
                           run->result.stats.host_bytes, limit);
    answer(run, line);
}

/* Send the guest the device's accounting, if any. */
static void answer_with_accounting(VmRun *run, const char *values)
{
    const VmStats *stats = &run->result.stats;
    g_autofree char *line = NULL;

    read_stats(run);
    if (stats->known) {
        line = g_strdup_printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                               "\n", stats->resident, stats->evicted,
                               stats->purged, stats->backing_bytes);
    }
    answer(run, line ?: "none\n");
}

/* Set what the device's host memory is to stay below, in bytes. */
static void answer_with_target(VmRun *run, const char *values)
{
    uint64_t bytes = g_ascii_strtoull(values, NULL, 10);
    QDict *response;
    bool ok;

    response = qtest_qmp(run->qts,
                         "{'execute': 'qom-set', 'arguments': {'path': %s, "
                         "'property': 'hostmem-target', 'value': %" PRIu64
                         "}}", VM_GPU_PATH, bytes);
    ok = qdict_haskey(response, "return");
    qobject_unref(response);
    answer(run, ok ? "ok\n" : "none\n");
}

/* Do what the matrix asks for; without an answer the guest does not go on. */
static void answer_with_disturbance(VmRun *run, const char *values)
{
    g_autofree char *text = g_strdup_printf("disturbance: %s", values);
    g_autofree char *file = g_strconcat(run->log_path, ".snapshot", NULL);
    const char *response;

    vm_run_mark(run, VM_EVENT_INFO, text);
    if (!strcmp(values, "reset") && run->result.boots > 1) {
        response = "done\n";
    } else {
        response = vm_disturb(run->qts, values, file);
    }
    if (response) {
        answer(run, response);
    }
}

static bool is_test_line(const char *event)
{
    return !strcmp(event, "ok") || !strcmp(event, "not") || event[0] == '#' ||
           g_str_has_prefix(event, "1..") || g_str_has_prefix(event, "soak") ||
           g_str_has_prefix(event, "bench");
}

/* Requests of the guest. The response to each is a line. */
static const struct {
    const char *event;
    void (*answer)(VmRun *run, const char *values);
} questions[] = {
    { "screen", answer_with_screen },
    { "hostmem", answer_with_hostmem },
    { "books", answer_with_accounting },
    { "hostmem_target", answer_with_target },
    { "disturb", answer_with_disturbance },
};

static bool handle_question(VmRun *run, const char *event, const char *values)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(questions); i++) {
        if (!strcmp(event, questions[i].event)) {
            questions[i].answer(run, values);
            return true;
        }
    }
    return false;
}

/* A guest with a desktop says nothing but answers. */
static void handle_desktop(VmRun *run, const char *event, const char *values)
{
    if (!strcmp(event, "answer") || !strcmp(event, "ready")) {
        g_free(run->answer);
        run->answer = g_strdup(values);
    } else if (!strcmp(event, "failed")) {
        vm_result_fail(&run->result, "the guest failed: %s", values);
    }
}

static void handle_guest(VmRun *run, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 2);
    const char *event = words[0] ?: "";
    const char *values = event[0] && words[1] ? words[1] : "";

    if (handle_question(run, event, values)) {
        return;
    }
    if (!strcmp(event, "result")) {
        sample_host(run);
    }
    if (run->config->scenario == VM_SCENARIO_DESKTOP) {
        handle_desktop(run, event, values);
    }
    vm_result_handle_report(&run->result, run->config, run_seconds(run), event,
                            values);
    if (run->config->handle_line && is_test_line(event)) {
        run->config->handle_line(run->config, line);
    } else if (!strcmp(event, "hello")) {
        show(run, "booted");
    } else if (!strcmp(event, "loaded") || !strcmp(event, "marked") ||
               !strcmp(event, "baseline") || !strcmp(event, "released")) {
        if (!strcmp(event, "loaded")) {
            show(run, "%u MiB of buffers uploaded",
                 run->result.bo_mib_reached);
        }
        begin_pause(run, event);
    } else if (!strcmp(event, "end")) {
        run->ended = true;
    } else if (!strcmp(event, "setup_failed")) {
        vm_result_fail(&run->result, "setup in the guest failed: %s",
                       values);
    } else if (!strcmp(event, "corrupt") || !strcmp(event, "error")) {
        show(run, "%s", line);
    }
    show_events(run);
}

/* QEMU has closed a serial port: it has ended, or is about to. */
static void handle_exit(VmRun *run)
{
    siginfo_t info = { 0 };

    vm_result_fail(&run->result, "QEMU exited before the guest finished");
    run->result.killed =
        !waitid(P_PID, run->pid, &info, WEXITED | WNOWAIT) &&
        info.si_code == CLD_KILLED && info.si_status == SIGKILL;
    if (run->result.killed) {
        vm_run_mark(run, VM_EVENT_BAD, "VM is killed");
    }
}

static void receive(VmRun *run, VmLine *from)
{
    char buffer[4096];
    ssize_t len = recv(from->fd, buffer, sizeof(buffer), 0);
    char *end;

    if (len < 0 && errno == EINTR) {
        return;
    }
    if (len <= 0) {
        handle_exit(run);
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

static int accept_line(const VmConfig *config, int server)
{
    struct pollfd fd = { .fd = server, .events = POLLIN };
    int line = -1;

    if (poll(&fd, 1, SILENCE_MS * vm_config_slowdown(config)) == 1) {
        line = accept(server, NULL, NULL);
    }
    close(server);
    return line;
}

static void make_swap(const VmRun *run, const char *path)
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

static VmRun *run_new(const VmConfig *config, VmProgress *progress)
{
    VmRun *run = g_new0(VmRun, 1);
    const char *guest = g_getenv("VIRTIO_GPU_GUEST");
    g_autofree char *dir = g_strconcat("vm", guest ? "-" : "", guest, NULL);
    g_autofree char *logs = vm_build_path(dir);
    g_autofree char *name = g_strdup(config->name);
    g_autofree char *file = NULL;

    file = g_strconcat(g_strdelimit(name, "/", '-'), ".log", NULL);
    g_mkdir_with_parents(logs, 0755);
    run->log_path = g_build_filename(logs, file, NULL);
    run->log = fopen(run->log_path, "w");
    if (!run->log) {
        g_error("%s: %s", run->log_path, strerror(errno));
    }
    /* Complete even if a check ends the program. */
    setlinebuf(run->log);
    run->config = config;
    run->progress = progress;
    vm_result_init(&run->result);
    run->console = (VmLine) {
        .tag = "kernel", .fd = -1, .text = g_string_new(NULL),
        .handle = handle_console,
    };
    run->guest = (VmLine) {
        .tag = "guest ", .fd = -1, .text = g_string_new(NULL),
        .handle = handle_guest,
    };
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

static VmRun *run_start(const VmConfig *config, VmProgress *progress)
{
    VmRun *run = run_new(config, progress);
    g_autofree char *logs = g_path_get_dirname(run->log_path);
    g_autofree char *dir = g_build_filename(logs, "run-XXXXXX", NULL);
    g_autofree char *modules = vm_config_modules(config);
    g_autofree char *shim = vm_udmabuf_shim();
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
    options = vm_config_qemu_options(config, dir, qemu_log);
    show(run, "booting: %s driver, %s device, %u MiB RAM, %u MiB swap",
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
    run->console.fd = accept_line(config, console);
    run->guest.fd = accept_line(config, guest);
    run->pid = read_pid(pid_path);
    run->result.qemu = qemu_version(run->qts);

    /* QEMU has opened all files: unlink them so that none can be left over. */
    for (i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(dir, files[i], NULL);

        unlink(path);
    }
    rmdir(dir);
    active = active ?: g_ptr_array_new();
    g_ptr_array_add(active, run);
    return run;
}

void vm_run_stop(VmRun *run)
{
    VmResult *result = &run->result;

    result->seconds = run_seconds(run);
    result->rss_anon_before = result->rss_anon_before ?: run->rss_anon_working;
    result->rss_anon_after = result->rss_anon_after ?: run->rss_anon_working;
    if (result->killed) {
        /* libqtest would abort: leave it the connection, which is lost. */
        qtest_probe_child(run->qts);
        qtest_remove_abrt_handler(run->qts);
    } else {
        qtest_quit(run->qts);
    }
    run->qts = NULL;
    g_ptr_array_remove(active, run);
    close(run->console.fd);
    close(run->guest.fd);
    if (result->problem) {
        fprintf(run->log, "%8.3f test   %s\n", result->seconds,
                result->problem);
    }
    fclose(run->log);
    run->log = NULL;
    show(run, "%s after %.0f s", result->problem ?: "done",
         result->seconds);
}

static int64_t longest_ms(const VmConfig *config)
{
    return (RUN_MS + config->seconds * 1000ll) * vm_config_slowdown(config);
}

/*
 * Record the minimum of QEMU's memory: after a purge QEMU allocates memory for
 * other purposes, which hides how much was returned to the host.
 */
static void sample_purge(VmRun *run)
{
    run->result.rss_anon_after = MIN(run->result.rss_anon_after,
                                     read_rss_anon(run));
}

static bool is_over(const VmRun *run)
{
    return run->ended || run->result.problem;
}

/* Log what the processors of a guest that hangs are doing. */
static void log_processors(VmRun *run)
{
    g_autofree char *text = qtest_hmp(run->qts, "info registers -a");
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    size_t i;

    for (i = 0; lines[i]; i++) {
        fprintf(run->log, "%8.3f test   %s\n", run_seconds(run),
                g_strchomp(lines[i]));
    }
}

/* Process pending events of @run. */
static void run_step(VmRun *run, const struct pollfd *fds)
{
    int64_t silence = (int64_t)SILENCE_MS * vm_config_slowdown(run->config);
    VmResult *result = &run->result;
    int64_t now;

    if (fds[0].revents) {
        receive(run, &run->console);
    }
    if (fds[1].revents && !is_over(run)) {
        receive(run, &run->guest);
    }
    if (run->purging && !is_over(run)) {
        sample_purge(run);
    }
    now = now_ms();
    if (!is_over(run) && now - run->sampled >= SAMPLE_MS) {
        run->sampled = now;
        sample_host(run);
        if (run->pause) {
            step_pause(run);
        }
    }
    /* A guest that waits is silent, and one that has nothing to answer. */
    if (run->pause ||
        (run->config->scenario == VM_SCENARIO_DESKTOP && !run->asked)) {
        run->heard = now;
    }
    if (now - run->heard > silence) {
        log_processors(run);
        vm_result_fail(result, "no output of the guest for %" PRId64
                       " s (see %s)", silence / 1000, run->log_path);
    } else if (now - run->started > longest_ms(run->config)) {
        vm_result_fail(result, "the guest did not finish within %"
                       PRId64 " s (see %s)", longest_ms(run->config) / 1000,
                       run->log_path);
    }
}

/* Process what all active runs have to say, after at most @ms. */
static void step_all(int ms)
{
    g_autofree struct pollfd *fds = g_new0(struct pollfd, 2 * active->len);
    unsigned i;

    for (i = 0; i < active->len; i++) {
        const VmRun *run = g_ptr_array_index(active, i);

        fds[2 * i].fd = is_over(run) ? -1 : run->console.fd;
        fds[2 * i + 1].fd = is_over(run) ? -1 : run->guest.fd;
        fds[2 * i].events = fds[2 * i + 1].events = POLLIN;
    }
    poll(fds, 2 * active->len, ms);
    for (i = 0; i < active->len; i++) {
        VmRun *run = g_ptr_array_index(active, i);

        if (!is_over(run)) {
            run_step(run, &fds[2 * i]);
        }
    }
}

VmRun **vm_run_all(const VmConfig *configs, size_t count, unsigned jobs,
                     VmProgress *progress)
{
    VmRun **runs = g_new0(VmRun *, count);
    size_t next = 0, running = 0, i;

    while (next < count || running > 0) {
        for (; next < count && running < jobs; next++, running++) {
            runs[next] = run_start(&configs[next], progress);
        }
        step_all(PURGE_SAMPLE_MS);
        for (i = 0; i < next; i++) {
            if (runs[i]->qts && is_over(runs[i])) {
                vm_run_stop(runs[i]);
                running--;
                if (configs[i].handle_end) {
                    configs[i].handle_end(&configs[i], &runs[i]->result);
                }
            }
        }
    }
    return runs;
}

/* Wait for an answer. run_step() ends the run of a guest that is silent. */
static char *next_answer(VmRun *run)
{
    run->asked = true;
    while (!is_over(run) && !run->answer) {
        step_all(SAMPLE_MS);
    }
    run->asked = false;
    return run->result.problem ? NULL : g_steal_pointer(&run->answer);
}

VmRun *vm_run_start_desktop(const VmConfig *config, VmProgress *progress)
{
    VmRun *run = run_start(config, progress);

    g_free(next_answer(run));
    return run;
}

char *vm_run_ask(VmRun *run, const char *format, ...)
{
    g_autofree char *line = NULL;
    g_autofree char *text = NULL;
    va_list ap;

    if (is_over(run)) {
        return NULL;
    }
    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    line = g_strconcat(text, "\n", NULL);
    fprintf(run->log, "%8.3f test   %s", run_seconds(run), line);
    run->heard = now_ms();
    answer(run, line);
    return next_answer(run);
}

bool vm_run_until(VmRun *run, bool (*ready)(VmRun *run, void *opaque),
                  void *opaque)
{
    int64_t started = now_ms();
    int64_t sampled;

    do {
        sampled = run->sampled;
        while (run->sampled == sampled) {
            if (is_over(run)) {
                return false;
            }
            step_all(PURGE_SAMPLE_MS);
        }
        if (ready(run, opaque)) {
            return true;
        }
    } while (now_ms() - started <
             (int64_t)SILENCE_MS * vm_config_slowdown(run->config));
    return false;
}

static bool has_passed(VmRun *run, void *opaque)
{
    return now_ms() >= *(int64_t *)opaque;
}

void vm_run_for(VmRun *run, unsigned ms)
{
    int64_t end = now_ms() + ms;

    vm_run_until(run, has_passed, &end);
}

void vm_run_begin_timeline(VmRun *run)
{
    run->result.work_started = run_seconds(run);
}

void vm_run_set_rss_anon_limit(VmRun *run, uint64_t bytes)
{
    run->result.rss_anon_limit = bytes;
}

void vm_run_mark(VmRun *run, VmSeverity severity, const char *text)
{
    vm_result_add_event(&run->result, run_seconds(run), severity,
                        g_strdup(text));
    show_events(run);
}

double vm_run_cpu_seconds(const VmRun *run)
{
    struct timespec used = { 0 };
    clockid_t clock;

    if (clock_getcpuclockid(run->pid, &clock) ||
        clock_gettime(clock, &used)) {
        return 0;
    }
    return used.tv_sec + used.tv_nsec / 1e9;
}

uint64_t vm_run_rss_anon(const VmRun *run)
{
    return read_rss_anon(run);
}

QTestState *vm_run_qts(const VmRun *run)
{
    return run->qts;
}

const VmResult *vm_run_result(const VmRun *run)
{
    return &run->result;
}

VmHostResult *vm_run_host(VmRun *run)
{
    return &run->result.host;
}

const char *vm_run_log(const VmRun *run)
{
    return run->log_path;
}

bool vm_runs_write(const char *path, const VmConfig *configs, VmRun **runs,
                   size_t count)
{
    g_autofree const VmResult **results = g_new(const VmResult *, count);
    size_t i;

    for (i = 0; i < count; i++) {
        results[i] = &runs[i]->result;
    }
    return vm_results_write(path, configs, results, count);
}

void vm_run_free(VmRun *run)
{
    g_string_free(run->console.text, true);
    g_string_free(run->guest.text, true);
    vm_result_destroy(&run->result);
    g_free(run->log_path);
    g_free(run->pause);
    g_free(run->answer);
    g_free(run);
}

void vm_print_nothing(const char *text)
{
}
