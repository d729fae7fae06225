/* SPDX-License-Identifier: MIT */
/* Each allocation fails once: error returned, state unchanged, no leak. */

#include "allocator.h"
#include "commands.h"
#include "renderer.h"

#include <errno.h>

enum { RES = 1, BUFFER = 2, COMPRESSED = 3, CTX = 1 };
enum { SIDE = 64, SIZE = SIDE * SIDE * 4 };

struct step {
    const char *what;
    int (*run)(struct virgl_reclaim *vr);
};

static struct iovec backing;

static int create(struct virgl_reclaim *vr)
{
    struct virgl_renderer_resource_create_args args = texture_args(RES, SIDE,
                                                                   SIDE);

    return virgl_reclaim_resource_create(vr, &args);
}

/* Cleared by an upload with GLES. */
static int create_buffer(struct virgl_reclaim *vr)
{
    struct virgl_renderer_resource_create_args args = buffer_args(BUFFER,
                                                                  SIZE);

    return virgl_reclaim_resource_create(vr, &args);
}

/* Cleared by an upload with GL. */
static int create_compressed(struct virgl_reclaim *vr)
{
    struct virgl_renderer_resource_create_args args = texture_args(COMPRESSED,
                                                                   SIDE, SIDE);

    args.format = FORMAT_DXT1;
    args.bind = VIRGL_RES_BIND_SAMPLER_VIEW;
    return virgl_reclaim_resource_create(vr, &args);
}

static int compress_buffer(struct virgl_reclaim *vr)
{
    virgl_reclaim_set_compress_max(vr, UINT64_MAX);
    return virgl_reclaim_resource_compress(vr, BUFFER);
}

static int compress_texture(struct virgl_reclaim *vr)
{
    /* With GLES textures are not compressed. */
    return g_getenv("VIRGLRECLAIM_TEST_GLES") ? 0 :
           virgl_reclaim_resource_compress(vr, COMPRESSED);
}

static int restore_buffer(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_restore(vr, BUFFER);
}

static int restore_compressed(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_restore(vr, COMPRESSED);
}

static int unref_others(struct virgl_reclaim *vr)
{
    virgl_reclaim_resource_unref(vr, COMPRESSED);
    return virgl_reclaim_resource_unref(vr, BUFFER);
}

static int ctx_create(struct virgl_reclaim *vr)
{
    return virgl_reclaim_ctx_create(vr, CTX, 4, "name");
}

static int ctx_attach(struct virgl_reclaim *vr)
{
    return virgl_reclaim_ctx_attach_resource(vr, CTX, RES);
}

static int attach(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_attach_iov(vr, RES, &backing, 1);
}

static int transfer(struct virgl_reclaim *vr)
{
    struct virgl_reclaim_transfer t = {
        .to_host = true, .w = SIDE, .h = SIDE, .d = 1,
    };

    return virgl_reclaim_resource_transfer(vr, RES, &t);
}

static int detach(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_detach_iov(vr, RES, NULL, NULL);
}

static int purge(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_purge(vr, RES, NULL);
}

static int restore(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_restore(vr, RES);
}

static int ctx_detach(struct virgl_reclaim *vr)
{
    return virgl_reclaim_ctx_detach_resource(vr, CTX, RES);
}

static int ctx_destroy(struct virgl_reclaim *vr)
{
    return virgl_reclaim_ctx_destroy(vr, CTX);
}

static int unref(struct virgl_reclaim *vr)
{
    return virgl_reclaim_resource_unref(vr, RES);
}

/* All calls, in an order in which each succeeds. */
static const struct step steps[] = {
    { "create", create },
    { "create buffer", create_buffer },
    { "create compressed", create_compressed },
    { "compress buffer", compress_buffer },
    { "compress texture", compress_texture },
    { "restore buffer", restore_buffer },
    { "restore compressed", restore_compressed },
    { "unref others", unref_others },
    { "ctx create", ctx_create },
    { "ctx attach", ctx_attach },
    { "attach", attach },
    { "transfer", transfer },
    { "detach", detach },
    { "purge", purge },
    { "restore", restore },
    { "attach again", attach },
    { "detach again", detach },
    { "ctx detach", ctx_detach },
    { "ctx attach again", ctx_attach },
    { "purge again", purge },
    { "attach restores", attach },
    { "last detach", detach },
    { "ctx destroy", ctx_destroy },
    { "unref", unref },
};

/* Statistics that a failure must not change. */
static struct virgl_reclaim_stats stats_of(struct virgl_reclaim *vr)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(vr, &stats);
    stats.skipped[VIRGL_RECLAIM_SKIPPED_NO_MEMORY] = 0;
    return stats;
}

/* Whether the step failed because allocation @n did. */
static bool fails(struct virgl_reclaim *vr, struct failing *f,
                  const struct step *step, unsigned n)
{
    struct virgl_reclaim_stats before = stats_of(vr);
    struct virgl_reclaim_stats after = { .size = sizeof(after) };
    unsigned out = f->out;
    bool failed;
    int ret;

    f->fail_at = f->asked + n;
    ret = step->run(vr);
    failed = f->asked >= f->fail_at;
    f->fail_at = 0;
    if (!failed) {
        g_assert_cmpint(ret, ==, 0);
        return false;
    }
    g_test_message("%s: failure %u gives %d", step->what, n, ret);
    g_assert_cmpint(ret, ==, -ENOMEM);
    after = stats_of(vr);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
    /* A table that has grown is not shrunk. */
    g_assert_cmpuint(f->out, <=, out + 1);
    return true;
}

/*
 * Let each allocation of a step fail, until the step succeeds. Each number
 * twice: once a table has grown, it is that of another allocation.
 */
static unsigned run_step(struct virgl_reclaim *vr, struct failing *f,
                         const struct step *step)
{
    unsigned failures = 0;

    while (fails(vr, f, step, 1 + failures / 2)) {
        failures++;
    }
    return failures;
}

static void test_each(Fixture *f, gconstpointer data)
{
    struct failing failing = { 0 };
    struct virgl_reclaim_allocator allocator = failing_allocator(&failing);
    g_autofree uint8_t *memory = g_malloc(SIZE);
    struct virgl_reclaim *vr;
    unsigned failures = 0;

    (void)f;
    (void)data;
    backing = (struct iovec) { memory, SIZE };
    fill(memory, SIZE, 1);

    failing.fail_at = 1;
    g_assert_null(virgl_reclaim_new_with_allocator(&allocator));
    failing.fail_at = 0;
    vr = virgl_reclaim_new_with_allocator(&allocator);
    g_assert_nonnull(vr);

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        failures += run_step(vr, &failing, &steps[i]);
    }
    g_test_message("%u failures", failures);
    g_assert_cmpuint(failures, >, 20);
    virgl_reclaim_free(vr);
    g_assert_cmpuint(failing.out, ==, 0);
}

static void test_no_allocator(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_allocator none = { 0 };

    (void)f;
    (void)data;
    g_assert_null(virgl_reclaim_new_with_allocator(&none));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/memory/each", test_each);
    add_test("/memory/no-allocator", test_no_allocator);
    return g_test_run();
}
