/* SPDX-License-Identifier: MIT */
/* Compression of resources like those of a program that draws with Mesa. */

#include "commands.h"
#include "resource-types.h"

#include <string.h>

enum { CTX = 1, OBJECT = 100 };

/*
 * Resources that Mesa's virgl driver creates for a program with a window: a
 * mipmapped texture, vertex, index and constant buffers, a depth buffer and the
 * window's buffers, of which the first is drawn to, the others are uploaded.
 */
enum {
    DISPLAY_TARGET = 1 << 7,
    WINDOW = VIRGL_RES_BIND_RENDER_TARGET | VIRGL_RES_BIND_SAMPLER_VIEW |
             DISPLAY_TARGET | VIRGL_RES_BIND_SCANOUT | VIRGL_RES_BIND_SHARED,
};

static const struct resource_type mesa[] = {
    { "front", VR_TARGET_2D, FORMAT_BGRA8, WINDOW, 800, 600, 1, 1, 0, 0, 0 },
    { "back", VR_TARGET_2D, FORMAT_BGRX8, WINDOW, 800, 600, 1, 1, 0, 0, 0 },
    { "depth", VR_TARGET_2D, FORMAT_S8Z24, VIRGL_RES_BIND_DEPTH_STENCIL,
      800, 600, 1, 1, 0, 0, 0 },
    { "texture", VR_TARGET_2D, FORMAT_RGBA8,
      VIRGL_RES_BIND_SAMPLER_VIEW | VIRGL_RES_BIND_RENDER_TARGET,
      1024, 512, 1, 1, 10, 0, 0 },
    { "glyphs", VR_TARGET_2D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
      512, 512, 1, 1, 0, 0, 0 },
    { "vertices", VR_TARGET_BUFFER, FORMAT_R8, VIRGL_RES_BIND_VERTEX_BUFFER,
      1 << 20, 1, 1, 1, 0, 0, 0 },
    { "indices", VR_TARGET_BUFFER, FORMAT_R8, VIRGL_RES_BIND_INDEX_BUFFER,
      65536, 1, 1, 1, 0, 0, 0 },
    { "constants", VR_TARGET_BUFFER, FORMAT_R8,
      VIRGL_RES_BIND_CONSTANT_BUFFER, 65536, 1, 1, 1, 0, 0, 0 },
    { "query", VR_TARGET_BUFFER, FORMAT_R8, VIRGL_RES_BIND_CUSTOM,
      4096, 1, 1, 1, 0, 0, TYPE_UNSEEN },
};

/* Fill a resource, or return a checksum of its contents. */
static char *visit(const vr_args *args, bool write)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

    for (uint32_t i = 0; i <= args->last_level; i++) {
        struct vr_level level = vr_args_level(args, i);
        g_autofree uint8_t *data = g_malloc(level.layer_bytes);

        fill_small(data, level.layer_bytes, args->handle * 100 + i);
        transfer_layer(write, args->handle, i, 0, &level, data);
        g_checksum_update(sum, data, level.layer_bytes);
    }
    return g_strdup(g_checksum_get_string(sum));
}

static void test_mesa(Fixture *f, gconstpointer data)
{
    char *written[G_N_ELEMENTS(mesa)], *before[G_N_ELEMENTS(mesa)];

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t i = 0; i < G_N_ELEMENTS(mesa); i++) {
        struct virgl_renderer_resource_create_args args =
            type_args(&mesa[i], 1 + i);

        g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, 1 + i),
                        ==, 0);
        written[i] = visit(&args, true);
    }
    g_assert_cmpint(create_surface(f->vr, CTX, OBJECT, 1, FORMAT_BGRA8), ==,
                    0);
    g_assert_cmpint(clear_surface(f->vr, CTX, OBJECT), ==, 0);
    g_assert_cmpint(set_framebuffer(f->vr, CTX, 0), ==, 0);
    g_assert_cmpint(destroy_object(f->vr, CTX, OBJECT), ==, 0);

    for (uint32_t i = 0; i < G_N_ELEMENTS(mesa); i++) {
        before[i] = visit(virgl_reclaim_resource_args(f->vr, 1 + i), false);
        /* The front buffer was cleared, the rest is as it was uploaded. */
        if (mesa[i].format != FORMAT_BGRX8) {
            g_assert_cmpint(!strcmp(before[i], written[i]), ==, i != 0);
        }
        g_free(written[i]);
        g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1 + i), ==, 0);
    }
    for (uint32_t i = 0; i < G_N_ELEMENTS(mesa); i++) {
        g_autofree char *after = NULL;

        g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1 + i), ==, 0);
        after = visit(virgl_reclaim_resource_args(f->vr, 1 + i), false);
        g_assert_cmpstr(before[i], ==, after);
        g_free(before[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/compress-mesa/window", test_mesa);
    return g_test_run();
}
