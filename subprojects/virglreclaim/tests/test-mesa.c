/* SPDX-License-Identifier: MIT */
/*
 * A program draws with Mesa's virgl driver (mesa-client.c), and after each of
 * its submissions every resource is compressed that can be. Its output must be
 * the same as without compression.
 */

#include "renderer.h"
#include "vtest.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77

enum mode {
    KEEP,
    USE,                        /* restored on first use */
    ATTACH,                     /* restored by attaching backing */
    PURGE,                      /* purged: contents lost */
};

struct run {
    enum mode mode;
    GHashTable *ids, *targets, *types;  /* of compressed ones */
    char *seen;                 /* output of the program, or NULL */
};

static void count_compressed(const struct run *run, const vr_args *args)
{
    g_hash_table_add(run->ids, GUINT_TO_POINTER(args->handle));
    g_hash_table_add(run->targets, GUINT_TO_POINTER(args->target));
    g_hash_table_add(run->types, g_strdup_printf("%u %u %x", args->target,
                                                 args->format, args->bind));
}

static void evict(struct vtest *v, uint32_t id)
{
    const struct run *run = v->opaque;
    bool attached = vtest_detach(v, id);
    bool resident = virgl_reclaim_resource_state(v->vr, id) ==
                    VIRGL_RECLAIM_RESIDENT;
    int ret = virgl_reclaim_resource_compress(v->vr, id);

    if (ret == 0 && resident) {
        count_compressed(run, virgl_reclaim_resource_args(v->vr, id));
    }
    if (ret == 0 && run->mode == PURGE) {
        virgl_reclaim_resource_purge(v->vr, id, NULL);
    }
    if (attached && (ret || run->mode != USE)) {
        vtest_attach(v, id);
    }
}

static void evict_all(struct vtest *v)
{
    g_autoptr(GList) ids = g_hash_table_get_keys(v->memory);
    const struct run *run = v->opaque;

    for (GList *l = ids; run->mode != KEEP && l; l = l->next) {
        evict(v, GPOINTER_TO_UINT(l->data));
    }
}

/* Start it with the socket as standard input and output to @output. */
static GPid start_client(int *socket, int output)
{
    g_auto(GStrv) env = g_get_environ();
    g_autoptr(GError) error = NULL;
    char *argv[] = { MESA_CLIENT, NULL };
    int pair[2];
    GPid pid;

    env = g_environ_setenv(env, "LIBGL_ALWAYS_SOFTWARE", "1", TRUE);
    env = g_environ_setenv(env, "GALLIUM_DRIVER", "virpipe", TRUE);
    /* A shader cache on disk would make runs differ. */
    env = g_environ_setenv(env, "MESA_SHADER_CACHE_DISABLE", "1", TRUE);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                    ==, 0);
    g_spawn_async_with_fds(NULL, argv, env, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                           NULL, &pid, pair[1], output, -1, &error);
    g_assert_no_error(error);
    close(pair[1]);
    *socket = pair[0];
    return pid;
}

/* NULL if this Mesa has no virpipe. */
static char *wait_for_client(GPid pid, int output)
{
    char *seen;
    int status;
    off_t size;

    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
        return NULL;
    }
    g_assert_cmpint(status, ==, 0);
    size = lseek(output, 0, SEEK_END);
    seen = g_malloc0(size + 1);
    g_assert_cmpint(pread(output, seen, size, 0), ==, size);
    return seen;
}

static void print_stats(const struct run *run, const struct vtest *v)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(v->vr, &stats);
    g_test_message("%" PRIu64 " submissions; %u resources of %u types "
                   "compressed %" PRIu64 " times, restored %" PRIu64 " times",
                   v->submissions, g_hash_table_size(run->ids),
                   g_hash_table_size(run->types), stats.compressions,
                   stats.decompressions);
    g_test_message("skipped: %" PRIu64 " referenced, %" PRIu64
                   " format, %" PRIu64 " no gain",
                   stats.skipped[VIRGL_RECLAIM_SKIPPED_REFERENCED],
                   stats.skipped[VIRGL_RECLAIM_SKIPPED_FORMAT],
                   stats.skipped[VIRGL_RECLAIM_SKIPPED_NO_GAIN]);
}

static void run_client(Fixture *f, struct run *run, enum mode mode)
{
    struct vtest v = { .vr = f->vr, .submitted = evict_all, .opaque = run };
    g_autofree char *path = NULL;
    int output = g_file_open_tmp("mesa-client-XXXXXX", &path, NULL);
    GPid pid;

    *run = (struct run) {
        .mode = mode,
        .types = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .ids = g_hash_table_new(NULL, NULL),
        .targets = g_hash_table_new(NULL, NULL),
    };
    g_assert_cmpint(output, >=, 0);
    unlink(path);
    pid = start_client(&v.fd, output);
    vtest_serve(&v);
    close(v.fd);
    run->seen = wait_for_client(pid, output);
    close(output);

    print_stats(run, &v);
}

static void run_free(struct run *run)
{
    g_hash_table_destroy(run->types);
    g_hash_table_destroy(run->ids);
    g_hash_table_destroy(run->targets);
    g_free(run->seen);
}

/* Its output without compression, or NULL; computed once. */
static const char *seen_plainly(Fixture *f)
{
    static struct run run;
    static bool done;

    if (!done) {
        run_client(f, &run, KEEP);
        done = true;
    }
    if (!run.seen) {
        g_test_skip("Mesa has no virpipe driver here");
    }
    return run.seen;
}

static unsigned lines_that_differ(const char *a, const char *b)
{
    g_auto(GStrv) old = g_strsplit(a, "\n", -1);
    g_auto(GStrv) new = g_strsplit(b, "\n", -1);
    unsigned differ = 0;

    g_assert_cmpuint(g_strv_length(old), ==, g_strv_length(new));
    for (int i = 0; old[i]; i++) {
        if (strcmp(old[i], new[i])) {
            g_test_message("differs: %s", old[i]);
            differ++;
        }
    }
    return differ;
}

/*
 * The output changes when contents are lost, so it would change if they were
 * restored wrongly.
 */
static void test_mesa(Fixture *f, gconstpointer data)
{
    enum mode mode = GPOINTER_TO_INT(data);
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    const char *plain = seen_plainly(f);
    struct run run;

    if (!plain) {
        return;
    }
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    run_client(f, &run, mode);
    virgl_reclaim_get_stats(f->vr, &stats);
    for (uint32_t i = VR_TARGET_BUFFER; i <= VR_TARGET_CUBE_ARRAY; i++) {
        g_assert_true(g_hash_table_contains(run.targets, GUINT_TO_POINTER(i)));
    }
    g_assert_cmpuint(g_hash_table_size(run.types), >=, 30);
    if (mode == PURGE) {
        g_assert_cmpuint(lines_that_differ(plain, run.seen), >=, 50);
    } else {
        g_assert_cmpuint(lines_that_differ(plain, run.seen), ==, 0);
        g_assert_cmpuint(stats.decompressions, >=, 30);
    }
    run_free(&run);
}

#define add(path, mode) \
    g_test_add(path, Fixture, GINT_TO_POINTER(mode), fixture_set_up, \
               test_mesa, fixture_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/mesa/use", USE);
    add("/mesa/attach", ATTACH);
    add("/mesa/purge", PURGE);
    return g_test_run();
}
