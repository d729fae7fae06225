/*
 * QTest testcase for virtio-gpu memory reclaim: fuzzer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sends rounds of some thousand random and mutated commands. A round starts
 * with a reset of the device and has its own seed, that of the previous round
 * plus one, so that it can be reproduced alone:
 *
 *     virtio-gpu-reclaim-fuzz [--seed SEED] [--commands N] [GTest options]
 *
 * Environment:
 *
 *     VIRTIO_GPU_FUZZ_SEED     the same as --seed
 *     VIRTIO_GPU_FUZZ_SECONDS  duration; overrides --commands
 *     VIRTIO_GPU_FUZZ_LOG      prefix of log files with a line per second:
 *                              seconds, commands, rounds, and QEMU's VmRSS and
 *                              RssAnon in kB after a reset
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/qmp/qdict.h"
#include "standard-headers/linux/virtio_ring.h"
#include "tests/qtest/libqtest.h"
#include "tests/qtest/libqos/virtio-gpu.h"
#include "virtio-gpu-fuzz-gen.h"

#define LIMIT_MB 256
#define ROUND 4000
/* Time for the device to release deferred storage after a reset. */
#define QUIET_US (5 * G_USEC_PER_SEC)
/* Time for the device to trim its heap after that. */
#define TRIM_US (60 * 1000)

static uint64_t option_seed;
static uint64_t option_commands = 200000;
static uint64_t option_seconds;

typedef struct Fuzz {
    const char *name;
    bool gl;
    QVirtioGPU *gpu;
    GRand *rand;
    FuzzModel *model;
    FuzzGen *gen;
    FuzzQueue *ctrl;
    FuzzQueue *cursor;
    uint32_t seed;
    uint64_t commands;
    uint64_t rounds;
    uint32_t in_round;
    char *stderr_path;
    FILE *log;
    gint64 start;
    gint64 logged;
    bool failed;
} Fuzz;

static void print_tail(const char *path)
{
    g_autofree char *text = NULL;
    char *line;
    size_t len;

    if (g_file_get_contents(path, &text, &len, NULL)) {
        line = text + (len > 3000 ? len - 3000 : 0);
        fprintf(stderr, "end of QEMU's output:\n%s\n", line);
    }
}

/* Called by abort(), also if QEMU has exited. */
static void print_reproducer(void *opaque)
{
    Fuzz *f = opaque;

    /* A failure during the exit calls this again. */
    if (f->failed) {
        return;
    }
    f->failed = true;
    fprintf(stderr, "%s: failed in round %" PRIu64 " at command %u; reproduce: "
            "scripts/chroot scripts/steps/qtest virtio-gpu-reclaim-fuzz "
            "-p /x86_64/virtio-gpu/fuzz/%s --seed %u --commands 1\n",
            f->name, f->rounds, f->in_round, f->name, f->seed);
    print_tail(f->stderr_path);
}

static void G_GNUC_NORETURN fail(Fuzz *f, const FuzzCommand *c,
                                 const char *why)
{
    uint32_t i;

    fprintf(stderr, "%s: %s\n", f->name, why);
    if (c) {
        fprintf(stderr, "command of %u bytes, response buffer of %u, of which "
                "%u written:", c->out_len, c->in_len, c->used_len);
        for (i = 0; i < MIN(c->out_len, 160); i++) {
            fprintf(stderr, "%s%02x", i % 4 ? "" : " ", c->out[i]);
        }
        fprintf(stderr, "\n");
    }
    abort();
}

static QDict *get_stats(Fuzz *f)
{
    return qtest_qmp(f->gpu->qts, "{'execute': 'qom-get', 'arguments': {"
                     "'path': '/machine/peripheral/" QVIRTIO_GPU_ID "',"
                     "'property': 'reclaim-stats'}}");
}

static void check_stats(Fuzz *f)
{
    QDict *resp, *stats;
    char *why;

    if (f->model->uncertain) {
        return;
    }
    resp = get_stats(f);
    stats = qdict_get_qdict(resp, "return");
    fuzz_model_resolve(f->model, stats);
    if (!f->model->uncertain) {
        why = fuzz_model_compare(f->model, stats);
        if (why) {
            fail(f, NULL, why);
        }
    }
    qobject_unref(resp);
}

/* Return a number of a group of the statistics. */
static int64_t get_number(Fuzz *f, const char *group, const char *name)
{
    QDict *resp = get_stats(f);
    int64_t number = qdict_get_int(
        qdict_get_qdict(qdict_get_qdict(resp, "return"), group), name);

    qobject_unref(resp);
    return number;
}

/* Check that the device releases all memory soon after a reset. */
static void check_empty(Fuzz *f)
{
    gint64 start = g_get_monotonic_time();
    uint64_t host;
    QDict *resp, *stats;

    do {
        resp = get_stats(f);
        stats = qdict_get_qdict(resp, "return");
        host = qdict_get_int(stats, "host-bytes");
        f->model->counters = (FuzzCounters) {
            .attaches = qdict_get_int(stats, "attaches"),
            .detaches = qdict_get_int(stats, "detaches"),
            .purges = qdict_get_int(stats, "purges"),
            .restores = qdict_get_int(stats, "restores"),
            .errors = qdict_get_int(stats, "errors"),
        };
        qobject_unref(resp);
    } while (host && g_get_monotonic_time() - start < QUIET_US);
    if (host) {
        fail(f, NULL, "host memory is in use after a reset");
    }
    check_stats(f);
}

static uint64_t from_status(Fuzz *f, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status",
                                            (int)f->gpu->pid);
    g_autofree char *text = NULL;
    char *line;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    line = strstr(text, name);
    return line ? g_ascii_strtoull(line + strlen(name), NULL, 10) : 0;
}

static void log_line(Fuzz *f)
{
    gint64 now = g_get_monotonic_time();

    if (f->log && now - f->logged >= G_USEC_PER_SEC) {
        f->logged = now;
        g_usleep(TRIM_US);
        fprintf(f->log, "%.1f\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                "\n", (now - f->start) / 1e6, f->commands, f->rounds,
                from_status(f, "VmRSS:"), from_status(f, "RssAnon:"));
        fflush(f->log);
    }
}

/* Wait for the responses to a batch and check them with the model. */
static void check_batch(Fuzz *f)
{
    unsigned i;
    char *why;

    if (!fuzz_queue_wait(f->ctrl)) {
        for (i = 0; fuzz_queue_get(f->ctrl, i)->completed; i++) {
            /* find the first pending command */
        }
        fail(f, fuzz_queue_get(f->ctrl, i), "no response");
    }
    for (i = 0; i < fuzz_queue_count(f->ctrl); i++) {
        const FuzzCommand *c = fuzz_queue_get(f->ctrl, i);

        why = fuzz_model_control(f->model, c);
        if (why) {
            fail(f, c, why);
        }
        f->in_round++;
    }
    f->commands += i;
}

static void fill_batch(Fuzz *f)
{
    unsigned n = 1 + g_rand_int_range(f->rand, 0, 100);
    const GByteArray *cmd;
    uint32_t in_len;

    fuzz_queue_clear(f->ctrl);
    fuzz_gen_sync(f->gen);
    do {
        cmd = fuzz_gen_control(f->gen, &in_len);
    } while (fuzz_queue_add(f->ctrl, f->rand, cmd->data, cmd->len, in_len) &&
             --n);
}

static void cursor_command(Fuzz *f)
{
    const GByteArray *cmd;
    QDict *resp;

    fuzz_queue_clear(f->cursor);
    fuzz_gen_sync(f->gen);
    cmd = fuzz_gen_cursor(f->gen);
    fuzz_queue_add(f->cursor, f->rand, cmd->data, cmd->len, 0);
    fuzz_queue_kick(f->cursor);
    if (!fuzz_queue_wait(f->cursor)) {
        fail(f, fuzz_queue_get(f->cursor, 0), "cursor command not completed");
    }
    fuzz_model_cursor(f->model, fuzz_queue_get(f->cursor, 0));
    if (f->model->maybe_restored) {
        resp = get_stats(f);
        fuzz_model_resolve(f->model, qdict_get_qdict(resp, "return"));
        qobject_unref(resp);
    }
    f->commands++;
    f->in_round++;
}

static void run_round(Fuzz *f)
{
    uint64_t features = 0;
    unsigned batch = 0;
    bool negotiated;

    f->in_round = 0;
    f->rand = g_rand_new_with_seed(f->seed);
    fuzz_gen_start(f->gen, f->rand);
    negotiated = g_rand_int_range(f->rand, 0, 5);
    if (negotiated) {
        features |= 1ull << VIRTIO_GPU_F_RECLAIM;
    }
    if (g_rand_int_range(f->rand, 0, 8)) {
        features |= 1ull << VIRTIO_GPU_F_VIRGL;
    }
    if (g_rand_int_range(f->rand, 0, 2)) {
        features |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    }
    qvirtio_gpu_start(f->gpu, features);
    fuzz_model_reset(f->model, negotiated);
    check_empty(f);
    log_line(f);

    f->ctrl = fuzz_queue_new(f->gpu, f->gpu->ctrl, 0,
                             features & (1ull << VIRTIO_RING_F_INDIRECT_DESC));
    f->cursor = fuzz_queue_new(f->gpu, f->gpu->cursor, 1, false);
    while (f->in_round < ROUND && !f->model->uncertain) {
        fill_batch(f);
        fuzz_queue_kick(f->ctrl);
        check_batch(f);
        if (g_rand_int_range(f->rand, 0, 4) == 0) {
            cursor_command(f);
        }
        if (++batch % 8 == 0) {
            check_stats(f);
            /* What has not been used since leaves, little by little. */
            qtest_clock_step(f->gpu->qts, 2000000000);
        }
    }
    check_stats(f);
    switch (g_rand_int_range(f->rand, 0, 4)) {
    case 0:
        /* Reset while the device processes a batch. */
        fill_batch(f);
        fuzz_queue_kick(f->ctrl);
        break;
    case 1:
        /* Reset after a broken virtqueue. */
        fuzz_queue_clear(f->ctrl);
        fuzz_queue_add_broken(f->ctrl,
                              g_rand_int_range(f->rand, 0, FUZZ_BROKEN_TYPES));
        fuzz_queue_kick(f->ctrl);
        if (!fuzz_queue_wait_broken(f->ctrl)) {
            fail(f, NULL, "broken chain neither completed nor rejected");
        }
        check_stats(f);
        break;
    }
    fuzz_queue_free(f->ctrl);
    fuzz_queue_free(f->cursor);
    g_rand_free(f->rand);

    f->rounds++;
    f->seed++;
    if (truncate(f->stderr_path, 0) < 0) {
        fail(f, NULL, "cannot truncate QEMU's output");
    }
}

static bool keep_running(Fuzz *f)
{
    if (option_seconds) {
        return g_get_monotonic_time() - f->start <
               option_seconds * G_USEC_PER_SEC;
    }
    return f->commands < option_commands;
}

static void test_fuzz(const void *data)
{
    const char *prefix = g_getenv("VIRTIO_GPU_FUZZ_LOG");
    g_autofree char *args = NULL;
    Fuzz f = {
        .name = data,
        .gl = g_str_equal(data, "gl"),
        .seed = option_seed,
        .start = g_get_monotonic_time(),
    };
    int fd;

    fd = g_file_open_tmp("virtio-gpu-fuzz-XXXXXX", &f.stderr_path, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    if (prefix) {
        g_autofree char *path = g_strdup_printf("%s%s.tsv", prefix, f.name);

        f.log = fopen(path, "w");
        g_assert_nonnull(f.log);
    }
    args = g_strdup_printf("%s -device %s,id=" QVIRTIO_GPU_ID ",x-reclaim=on,"
                           "max_hostmem=%dM,max_outputs=%d 2>>%s",
                           f.gl ? "-display egl-headless" : "",
                           f.gl ? "virtio-gpu-gl-pci,x-evicted-compress=on,"
                                  "hostmem-target=1,x-compressed-max=64K,"
                                  "x-compressed-file=/tmp"
                                : "virtio-gpu-pci",
                           LIMIT_MB, FUZZ_SCANOUTS, f.stderr_path);
    f.gpu = qvirtio_gpu_boot(args);
    f.model = fuzz_model_new(f.gl, (uint64_t)LIMIT_MB << 20);
    f.gen = fuzz_gen_new(f.model);
    qtest_add_abrt_handler(print_reproducer, &f);

    while (keep_running(&f)) {
        run_round(&f);
    }
    qvirtio_gpu_start(f.gpu, 0);
    fuzz_model_reset(f.model, false);
    check_empty(&f);

    g_test_message("%s: %" PRIu64 " commands in %" PRIu64 " rounds, %.0f a "
                   "second; %" PRIu64 " successes, %" PRIu64 " errors, "
                   "%" PRIu64 " resources purged, %" PRIi64 " compressed, "
                   "%" PRIi64 " of them written to a file",
                   f.name, f.commands, f.rounds,
                   f.commands * 1e6 / (g_get_monotonic_time() - f.start),
                   f.model->ok, f.model->errors, f.model->purged,
                   get_number(&f, "compressed", "compressions"),
                   get_number(&f, "file", "writes"));
    qtest_remove_abrt_handler(&f);
    qvirtio_gpu_shutdown(f.gpu);
    fuzz_gen_free(f.gen);
    fuzz_model_free(f.model);
    if (f.log) {
        fclose(f.log);
    }
    unlink(f.stderr_path);
    g_free(f.stderr_path);
}

static bool number(const char *text, uint64_t *value)
{
    return text && qemu_strtou64(text, NULL, 0, value) == 0;
}

/* Parse and remove this program's options; the others are GTest's. */
static void parse_options(int *argc, char **argv)
{
    bool seeded = false;
    int in, out = 1;

    option_seed = g_random_int();
    if (g_getenv("VIRTIO_GPU_FUZZ_SEED")) {
        seeded = number(g_getenv("VIRTIO_GPU_FUZZ_SEED"), &option_seed);
        g_assert_true(seeded);
    }
    if (g_getenv("VIRTIO_GPU_FUZZ_SECONDS")) {
        g_assert_true(number(g_getenv("VIRTIO_GPU_FUZZ_SECONDS"),
                             &option_seconds));
    }
    for (in = 1; in < *argc; in++) {
        if (g_str_equal(argv[in], "--seed")) {
            g_assert_true(number(argv[++in], &option_seed));
        } else if (g_str_equal(argv[in], "--commands")) {
            g_assert_true(number(argv[++in], &option_commands));
        } else {
            argv[out++] = argv[in];
        }
    }
    argv[out] = NULL;
    *argc = out;
}

int main(int argc, char **argv)
{
    parse_options(&argc, argv);
    g_test_init(&argc, &argv, NULL);
    g_test_message("seed %" PRIu64, option_seed);
    qtest_add_data_func("/virtio-gpu/fuzz/2d", "2d", test_fuzz);
    qtest_add_data_func("/virtio-gpu/fuzz/gl", "gl", test_fuzz);
    return g_test_run();
}
