/* SPDX-License-Identifier: MIT */
/*
 * Each resource type with contents: new, restored, or created with a reused id
 * it is zero, and does not leak old contents.
 */

#include "resource-types.h"

#include <string.h>

/* Small enough for many rounds; rows smaller than a page. */
static struct virgl_renderer_resource_create_args small_args(
    const struct resource_type *type, uint32_t id)
{
    struct virgl_renderer_resource_create_args args = type_args(type, id);

    if (args.target == VR_TARGET_BUFFER) {
        args.width = 100003;
        return args;
    }
    args.width = args.width < 60 ? args.width : 60;
    args.height = args.height < 60 ? args.height : 60;
    args.depth = args.depth < 12 ? args.depth : 12;
    args.array_size = args.array_size < 12 ? args.array_size : 12;
    args.last_level = args.last_level < 3 ? args.last_level : 3;
    return args;
}

/* Contents of a custom buffer are copied to attached backing. */
static bool each_byte(Fixture *f, const vr_args *args, bool write)
{
    g_autofree uint8_t *data = g_malloc(args->width);
    struct iovec iov = { data, args->width };
    bool zero;

    memset(data, 1, args->width);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, args->handle,
                                                      &iov, 1), ==, 0);
    zero = all_zero(data, args->width);
    if (write) {
        fill(data, args->width, 1);
    }
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, args->handle,
                                                      NULL, NULL), ==, 0);
    return zero;
}

static bool is_zero(Fixture *f, const struct resource_type *type,
                    const vr_args *args)
{
    return type->flags & TYPE_UNSEEN ? each_byte(f, args, false)
                                     : each_layer(args, false);
}

static void fill_all(Fixture *f, const struct resource_type *type,
                     const vr_args *args)
{
    if (type->flags & TYPE_UNSEEN) {
        each_byte(f, args, true);
    } else {
        each_layer(args, true);
    }
    g_assert_false(is_zero(f, type, args));
}

/* Fill free memory with a pattern. */
static void dirty_heap(uint64_t bytes)
{
    void *piece[16];

    for (size_t i = 0; i < G_N_ELEMENTS(piece); i++) {
        piece[i] = g_malloc(bytes);
        memset(piece[i], 0xa5, bytes);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(piece); i++) {
        g_free(piece[i]);
    }
}

/*
 * llvmpipe clears allocations, other drivers do not. So storage is filled and
 * cleared again, as new storage is.
 */
static void test_type(Fixture *f, gconstpointer data)
{
    const struct resource_type *type = data;
    struct virgl_renderer_resource_create_args args = small_args(type, 1);
    uint64_t bytes = virgl_reclaim_args_bytes(&args);

    if (type->flags & TYPE_GL_ONLY && g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("no such upload or readback with GLES");
        return;
    }
    for (int round = 0; round < 3; round++) {
        g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
        g_assert_true(is_zero(f, type, &args));
        fill_all(f, type, &args);

        if (gl_name(1)) {
            virgl_renderer_force_ctx_0();
            g_assert_cmpint(vr_zero(&vr_libc, &args, gl_name(1)), ==, 0);
            g_assert_true(is_zero(f, type, &args));
            fill_all(f, type, &args);
        }
        g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, NULL), ==, 0);
        dirty_heap(bytes);
        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
        g_assert_true(is_zero(f, type, &args));

        fill_all(f, type, &args);
        g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
        dirty_heap(bytes);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n_resource_types; i++) {
        g_autofree char *path = g_strdup_printf("/zero-types/%s",
                                                resource_types[i].name);

        /* Multisampled textures cannot be read like this: see test-zero. */
        if (!(resource_types[i].flags & (TYPE_NO_STORAGE | TYPE_NO_TRANSFER |
                                TYPE_VIEWED | TYPE_SMALL))) {
            g_test_add(path, Fixture, &resource_types[i], fixture_set_up,
                       test_type, fixture_tear_down);
        }
    }
    return g_test_run();
}
