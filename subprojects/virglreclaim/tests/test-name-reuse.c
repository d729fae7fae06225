/* SPDX-License-Identifier: MIT */
/* Deferred storage when GL reuses a name. */

#include "instance.h"

#include <glib.h>

/*
 * Whether and when that happens depends on the GL driver (Mesa's uses up all
 * names first), so the test has storage of its own, without GL: it sets which
 * name is next, and which names are alive.
 */

static uint32_t next_name;
static bool referenced;         /* by a context: stays alive */
static bool alive[16];
static uint32_t name_of[16];

int vr_storage_create(const vr_args *args, struct vr_storage *storage)
{
    storage->buffer = args->target == VR_TARGET_BUFFER;
    storage->name = next_name;
    alive[next_name] = true;
    name_of[args->handle] = next_name;
    return 0;
}

void vr_storage_unref(uint32_t id)
{
    alive[name_of[id]] = referenced;
}

bool vr_storage_alive(const struct vr_storage *storage)
{
    return alive[storage->name];
}

bool vr_storage_truncate(const struct vr_storage *storage)
{
    (void)storage;
    return false;
}

/* Stub of the renderer. */

int virgl_renderer_submit_cmd(void *buffer, int ctx, int words)
{
    (void)buffer;
    (void)ctx;
    (void)words;
    return 0;
}

enum { SIZE = 16 * 16 * 4 };

static void make(struct virgl_reclaim *vr, uint32_t id, uint32_t target,
                 uint32_t name)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = id, .target = target, .format = 1,
        .width = target == VR_TARGET_BUFFER ? SIZE : 16, .height = 16,
        .depth = 1, .array_size = 1,
    };

    next_name = name;
    g_assert_cmpint(virgl_reclaim_resource_create(vr, &args), ==, 0);
}

static void check(struct virgl_reclaim *vr, uint64_t deferred,
                  uint64_t released, uint64_t total)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(vr, &stats);
    g_assert_cmpuint(stats.deferred, ==, deferred);
    g_assert_cmpuint(stats.deferred_bytes, ==, deferred * SIZE);
    g_assert_cmpuint(stats.released_bytes, ==, released);
    g_assert_cmpuint(stats.released_total, ==, total);
}

/* Delete the GL object; destroying a context makes the library check. */
static void delete_name(struct virgl_reclaim *vr, uint32_t name)
{
    alive[name] = false;
    g_assert_cmpint(virgl_reclaim_ctx_create(vr, 1, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(vr, 1), ==, 0);
}

static struct virgl_reclaim *deferred_instance(void)
{
    struct virgl_reclaim *vr = virgl_reclaim_new();
    uint64_t released;

    referenced = true;
    make(vr, 1, VR_TARGET_2D, 5);
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, 1, &released), ==, 0);
    g_assert_cmpuint(released, ==, 0);
    check(vr, 1, 0, 0);
    return vr;
}

/* The name is reused by a new resource before a check. */
static void test_new_resource(void)
{
    struct virgl_reclaim *vr = deferred_instance();

    make(vr, 2, VR_TARGET_2D, 5);
    check(vr, 0, SIZE, SIZE);
    virgl_reclaim_free(vr);
}

/* The name is reused by the same resource. */
static void test_own_name(void)
{
    struct virgl_reclaim *vr = deferred_instance();

    next_name = 5;
    g_assert_cmpint(virgl_reclaim_resource_restore(vr, 1), ==, 0);
    check(vr, 0, 0, SIZE);

    /* It can be purged again. */
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, 1, NULL), ==, 0);
    check(vr, 1, 0, SIZE);
    delete_name(vr, 5);
    check(vr, 0, SIZE, 2 * SIZE);
    virgl_reclaim_free(vr);
}

/* Buffers have a name space of their own. */
static void test_other_type(void)
{
    struct virgl_reclaim *vr = deferred_instance();

    make(vr, 2, VR_TARGET_BUFFER, 5);
    check(vr, 1, 0, 0);
    virgl_reclaim_free(vr);
}

/* Reuse by an object of the renderer's own: deferred for too long. */
static void test_renderer_object(void)
{
    struct virgl_reclaim *vr = deferred_instance();

    /* The view was destroyed, and another object got the name. */
    check(vr, 1, 0, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(vr, 1), ==, 0);
    delete_name(vr, 5);
    check(vr, 0, 0, SIZE);
    virgl_reclaim_free(vr);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/name-reuse/new-resource", test_new_resource);
    g_test_add_func("/name-reuse/own-name", test_own_name);
    g_test_add_func("/name-reuse/other-type", test_other_type);
    g_test_add_func("/name-reuse/renderer-object", test_renderer_object);
    return g_test_run();
}
