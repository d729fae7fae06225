/* SPDX-License-Identifier: MIT */
/*
 * Programs draw with Mesa's virgl driver (mesa-client.c), and after each of
 * their submissions every resource is compressed that can be. Their output must
 * be the same as without compression.
 */

#include "renderer.h"
#include "vtest.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77

/* What is done to each resource after each submission. */
enum mode {
    KEEP,
    USE,                        /* detached, compressed, restored on use */
    ATTACHED,                   /* compressed with backing attached */
    ATTACH,                     /* restored by attaching backing */
    PURGE,                      /* purged: contents lost */
};

enum set { IDLE, BOUND, SETS };

/* Arguments of mesa-client, and the least number of ... */
static const struct {
    const char *name;
    unsigned types;             /* ... types of resources, compressed */
    unsigned differ;            /* ... lines that differ without contents */
} sets[SETS] = {
    [IDLE] = { "idle", 30, 50 },
    [BOUND] = { "bound", 15, 50 },
};

struct run {
    enum mode mode;
    GHashTable *targets, *types;    /* of compressed ones */
    GHashTable *living;         /* id -> whether it has been compressed */
    unsigned resources;         /* that have been compressed, and ... */
    uint64_t bytes;             /* ... theirs */
    uint64_t all_bytes;         /* of all that have existed */
    char *seen;                 /* output of the program, or NULL */
};

/* Accounting of what has been compressed at least once */

static void count_created(struct vtest *v, uint32_t id)
{
    struct run *run = v->opaque;

    run->all_bytes += virgl_reclaim_resource_bytes(v->vr, id);
    g_hash_table_insert(run->living, GUINT_TO_POINTER(id), NULL);
}

static void count_compressed(struct vtest *v, uint32_t id)
{
    const vr_args *args = virgl_reclaim_resource_args(v->vr, id);
    struct run *run = v->opaque;

    g_hash_table_add(run->targets, GUINT_TO_POINTER(args->target));
    g_hash_table_add(run->types, g_strdup_printf("%u %u %x", args->target,
                                                 args->format, args->bind));
    if (!g_hash_table_lookup(run->living, GUINT_TO_POINTER(id))) {
        g_hash_table_insert(run->living, GUINT_TO_POINTER(id),
                            GINT_TO_POINTER(true));
        run->resources++;
        run->bytes += virgl_reclaim_resource_bytes(v->vr, id);
    }
}

static void show_never_compressed(struct vtest *v, uint32_t id)
{
    const struct run *run = v->opaque;
    const vr_args *args = virgl_reclaim_resource_args(v->vr, id);

    if (virgl_reclaim_resource_bytes(v->vr, id) && run->mode != KEEP &&
        !g_hash_table_lookup(run->living, GUINT_TO_POINTER(id))) {
        g_test_message("never compressed: target %u, format %u, bind %x, "
                       "%ux%u, %u samples", args->target, args->format,
                       args->bind, args->width, args->height,
                       args->nr_samples);
    }
}

/* Eviction */

static void evict(struct vtest *v, uint32_t id)
{
    const struct run *run = v->opaque;
    bool attached = run->mode != ATTACHED && vtest_detach(v, id);
    bool resident = virgl_reclaim_resource_state(v->vr, id) ==
                    VIRGL_RECLAIM_RESIDENT;
    int ret = virgl_reclaim_resource_compress(v->vr, id);

    if (ret == 0 && resident) {
        count_compressed(v, id);
    }
    if (ret == 0 && run->mode == PURGE) {
        virgl_reclaim_resource_purge(v->vr, id, NULL);
    }
    if (attached && (ret || run->mode != USE)) {
        vtest_attach(v, id);
    }
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    guint ids[] = { GPOINTER_TO_UINT(a), GPOINTER_TO_UINT(b) };

    return (ids[0] < ids[1]) - (ids[0] > ids[1]);
}

/* The newest first: GL may still be drawing to them. */
static void evict_all(struct vtest *v)
{
    g_autoptr(GList) ids = g_list_sort(g_hash_table_get_keys(v->memory),
                                       newest_first);
    const struct run *run = v->opaque;

    for (GList *l = ids; run->mode != KEEP && l; l = l->next) {
        evict(v, GPOINTER_TO_UINT(l->data));
    }
}

/* Start it with the socket as standard input and output to @output. */
static GPid start_client(const char *set, int *socket, int output)
{
    g_auto(GStrv) env = g_get_environ();
    g_autoptr(GError) error = NULL;
    char *argv[] = { MESA_CLIENT, (char *)set, NULL };
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
    g_test_message("%" PRIu64 " submissions; %u resources of %u types, %" PRIu64
                   " of %" PRIu64 " bytes, compressed %" PRIu64
                   " times, restored %" PRIu64 " times",
                   v->submissions, run->resources,
                   g_hash_table_size(run->types), run->bytes, run->all_bytes,
                   stats.compressions, stats.decompressions);
    for (int i = 0; i < VIRGL_RECLAIM_SKIPPED_REASONS; i++) {
        if (stats.skipped[i]) {
            g_test_message("skipped for reason %d: %" PRIu64, i,
                           stats.skipped[i]);
        }
    }
}

/* Returns the program's output, or NULL if this Mesa has no virpipe. */
static char *serve_client(struct vtest *v, const char *set)
{
    g_autofree char *path = NULL;
    int output = g_file_open_tmp("mesa-client-XXXXXX", &path, NULL);
    char *seen;
    GPid pid;

    g_assert_cmpint(output, >=, 0);
    unlink(path);
    pid = start_client(set, &v->fd, output);
    vtest_serve(v);
    close(v->fd);
    seen = wait_for_client(pid, output);
    close(output);
    if (!seen) {
        g_test_skip("Mesa has no virpipe driver here");
    }
    return seen;
}

static void run_client(Fixture *f, struct run *run, const char *set,
                       enum mode mode)
{
    struct vtest v = {
        .vr = f->vr,
        .created = count_created,
        .destroyed = show_never_compressed,
        .submitted = evict_all,
        .opaque = run,
    };

    *run = (struct run) {
        .mode = mode,
        .types = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .targets = g_hash_table_new(NULL, NULL),
        .living = g_hash_table_new(NULL, NULL),
    };
    run->seen = serve_client(&v, set);
    print_stats(run, &v);
}

static void run_free(struct run *run)
{
    g_hash_table_destroy(run->types);
    g_hash_table_destroy(run->targets);
    g_hash_table_destroy(run->living);
    g_free(run->seen);
}

/* Its output without compression, or NULL; computed once. */
static const char *seen_plainly(Fixture *f, enum set set)
{
    static struct run runs[SETS];

    if (!runs[set].types) {
        run_client(f, &runs[set], sets[set].name, KEEP);
    }
    return runs[set].seen;
}

static unsigned lines_that_differ(const char *a, const char *b)
{
    g_auto(GStrv) old = g_strsplit(a, "\n", -1);
    g_auto(GStrv) new = g_strsplit(b, "\n", -1);
    unsigned differ = 0;

    g_assert_cmpuint(g_strv_length(old), ==, g_strv_length(new));
    for (int i = 0; old[i]; i++) {
        if (strcmp(old[i], new[i])) {
            g_test_message("line %d differs: %s", i + 1, old[i]);
            differ++;
        }
    }
    return differ;
}

/* Targets that the set uses. */
static void check_targets(const struct run *run, enum set set)
{
    static const uint32_t bound[] = {
        VR_TARGET_BUFFER, VR_TARGET_2D, VR_TARGET_3D, VR_TARGET_CUBE,
        VR_TARGET_2D_ARRAY,
    };

    for (uint32_t i = VR_TARGET_BUFFER; i <= VR_TARGET_CUBE_ARRAY; i++) {
        if (set == IDLE) {
            g_assert_true(g_hash_table_contains(run->targets,
                                                GUINT_TO_POINTER(i)));
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bound); i++) {
        g_assert_true(g_hash_table_contains(run->targets,
                                            GUINT_TO_POINTER(bound[i])));
    }
}

struct mesa_case {
    enum set set;
    enum mode mode;
};

/*
 * The output changes when contents are lost, so it would change if they were
 * restored wrongly.
 */
static void test_mesa(Fixture *f, gconstpointer data)
{
    const struct mesa_case *c = data;
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    const char *plain = seen_plainly(f, c->set);
    struct run run;

    if (!plain) {
        return;
    }
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    run_client(f, &run, sets[c->set].name, c->mode);
    virgl_reclaim_get_stats(f->vr, &stats);
    check_targets(&run, c->set);
    g_assert_cmpuint(g_hash_table_size(run.types), >=, sets[c->set].types);
    g_assert_cmpfloat(run.bytes, >=, 0.95 * run.all_bytes);
    if (c->mode == PURGE) {
        g_assert_cmpuint(lines_that_differ(plain, run.seen), >=,
                         sets[c->set].differ);
    } else {
        g_assert_cmpuint(lines_that_differ(plain, run.seen), ==, 0);
        g_assert_cmpuint(stats.decompressions, >=, 30);
    }
    run_free(&run);
}

/* Memory */

static void compress_all(struct vtest *v)
{
    g_autoptr(GList) ids = g_hash_table_get_keys(v->memory);
    struct virgl_reclaim_stats before = { .size = sizeof(before) };
    struct virgl_reclaim_stats after = { .size = sizeof(after) };
    uint64_t used, fell;

    virgl_reclaim_get_stats(v->vr, &before);
    virgl_reclaim_trim();
    used = memory_used();
    for (GList *l = ids; l; l = l->next) {
        virgl_reclaim_resource_compress(v->vr, GPOINTER_TO_UINT(l->data));
    }
    virgl_reclaim_trim();
    fell = used - memory_used();
    virgl_reclaim_get_stats(v->vr, &after);
    g_test_message("%" PRIu64 " of %" PRIu64 " bytes became %" PRIu64
                   ", RSS fell by %" PRIu64, after.uncompressed_bytes,
                   before.resident_bytes, after.compressed_bytes, fell);
    g_assert_cmpuint(before.resident_bytes, >=, 256 << 20);
    g_assert_cmpfloat(after.uncompressed_bytes, >=,
                      0.98 * before.resident_bytes);
    g_assert_cmpuint(after.deferred, ==, 0);
    g_assert_cmpfloat(fell, >=, 0.95 * (after.uncompressed_bytes -
                                        after.compressed_bytes));
}

/* Drawn-to and sampled textures, one of them bound. */
static void test_memory(Fixture *f, gconstpointer data)
{
    struct vtest v = { .vr = f->vr, .disconnected = compress_all };

    (void)data;
    if (memory_is_seen()) {
        virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
        g_free(serve_client(&v, "memory"));
    }
}

static void add(const char *path, enum set set, enum mode mode)
{
    g_autofree char *name = g_strdup_printf("/mesa/%s/%s", sets[set].name,
                                            path);
    struct mesa_case *c = g_new(struct mesa_case, 1);

    *c = (struct mesa_case) { set, mode };
    g_test_add(name, Fixture, c, fixture_set_up, test_mesa, fixture_tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/mesa/memory", test_memory);
    for (enum set set = 0; set < SETS; set++) {
        add("use", set, USE);
        add("attached", set, ATTACHED);
        add("attach", set, ATTACH);
        add("purge", set, PURGE);
    }
    return g_test_run();
}
