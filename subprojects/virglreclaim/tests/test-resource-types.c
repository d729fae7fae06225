/* SPDX-License-Identifier: MIT */
/*
 * Memory of each resource type: what the library accounts, by how much RSS
 * rises, and by how much it falls with a purge.
 *
 * With --table it prints the results in Markdown, for
 * docs/devel/host-reclaim.md, instead of TAP.
 */

#include "commands.h"
#include "resource-types.h"

#include <stdio.h>
#include <string.h>

enum { TOTAL = 256 << 20, CTX = 1 };

struct measured {
    uint32_t resources;
    uint64_t accounted;         /* bytes accounted */
    int64_t rise, fall;         /* bytes of RSS: creation and upload, purge */
    uint64_t deferred;          /* resources still referenced when purged */
};

static uint64_t rss_trimmed(void)
{
    virgl_reclaim_trim();
    return memory_used();
}

/* Written completely, so that all pages are populated. */
static void upload(const struct virgl_renderer_resource_create_args *args,
                   void *data)
{
    for (uint32_t i = 0; i <= args->last_level; i++) {
        struct vr_level level = vr_args_level(args, i);

        for (uint32_t z = 0; z < level.layers; z++) {
            transfer_layer(true, args->handle, i, z, &level, data);
        }
    }
}

static void *pattern(const struct resource_type *type)
{
    struct virgl_renderer_resource_create_args args = type_args(type, 1);
    struct vr_level level = vr_args_level(&args, 0);
    void *data = g_malloc(level.layer_bytes);

    fill(data, level.layer_bytes, 1);
    return data;
}

/* A custom buffer is written through its backing. */
static void upload_custom(Fixture *f, uint32_t id, void *data, size_t size)
{
    struct iovec iov = { data, size };

    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, id, &iov, 1), ==,
                    0);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, id, NULL, NULL),
                    ==, 0);
}

static void view(Fixture *f, const struct resource_type *type, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==, 0);
    g_assert_cmpint(create_sampler_view(f->vr, CTX, 1000 + id, id,
                                        type->format, type->target), ==, 0);
}

static uint32_t create_all(Fixture *f, const struct resource_type *type)
{
    g_autofree void *data = pattern(type);
    uint64_t bytes = 0;
    uint32_t id = 0;

    while (bytes < TOTAL) {
        struct virgl_renderer_resource_create_args args = type_args(type,
                                                                    ++id);

        g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
        if (type->flags & TYPE_NO_STORAGE) {
            bytes += args.width;
        } else {
            bytes += virgl_reclaim_resource_bytes(f->vr, id);
        }
        if (type->flags & TYPE_UNSEEN) {
            upload_custom(f, id, data, args.width);
        } else if (!(type->flags & (TYPE_NO_STORAGE | TYPE_NO_TRANSFER))) {
            upload(&args, data);
        }
        if (type->flags & TYPE_VIEWED) {
            view(f, type, id);
        }
    }
    return id;
}

static struct measured measure(Fixture *f, const struct resource_type *type)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };
    struct measured m = { 0 };
    uint64_t before;

    if (type->flags & TYPE_VIEWED) {
        g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    }
    before = rss_trimmed();
    m.resources = create_all(f, type);
    m.rise = rss_trimmed() - before;
    virgl_reclaim_get_stats(f->vr, &stats);
    m.accounted = stats.resident_bytes;

    before = rss_trimmed();
    for (uint32_t id = 1; id <= m.resources; id++) {
        g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, id, NULL), ==, 0);
    }
    m.fall = before - rss_trimmed();
    virgl_reclaim_get_stats(f->vr, &stats);
    m.deferred = stats.deferred;
    return m;
}

/* Rounded to a tenth, towards zero. */
static double mib(int64_t bytes)
{
    return bytes * 10 / (1 << 20) / 10.0;
}

static void test_type(Fixture *f, gconstpointer data)
{
    const struct resource_type *type = data;
    struct measured m;

    if (!memory_is_seen()) {
        return;
    }
    m = measure(f, type);
    g_test_message("%u resources: ledger %.1f MiB, RSS rose by %.1f, "
                   "fell by %.1f", m.resources, mib(m.accounted), mib(m.rise),
                   mib(m.fall));
    g_assert_cmpuint(m.deferred, ==, 0);
    if (type->flags & TYPE_NO_STORAGE) {
        g_assert_cmpuint(m.accounted, ==, 0);
        g_assert_cmpint(m.rise, <, TOTAL / 100);
        return;
    }
    g_assert_cmpuint(m.accounted, >=, TOTAL);
    g_assert_cmpfloat(m.fall, >=, 0.98 * m.accounted);
    g_assert_cmpfloat(m.accounted, >=,
                      (type->flags & TYPE_SMALL ? 0.67 : 0.95) * m.rise);
    g_assert_cmpfloat(m.accounted, <=, 1.05 * m.rise);
}

/* GL rounds the number of samples up, and all that it stores is accounted. */
static void test_samples(Fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!memory_is_seen()) {
        return;
    }
    for (uint32_t samples = 1; samples <= 4; samples++) {
        struct resource_type type = {
            "", VR_TARGET_2D, FORMAT_RGBA8, VIRGL_RES_BIND_RENDER_TARGET,
            1024, 1024, 1, 1, 0, samples, TYPE_NO_TRANSFER,
        };
        struct virgl_renderer_resource_create_args args = type_args(&type, 1);
        struct measured m;

        if (virgl_reclaim_resource_create(f->vr, &args) < 0) {
            /* virglrenderer 1.1 rejects single samples. */
            g_assert_cmpuint(samples, ==, 1);
            continue;
        }
        virgl_reclaim_resource_unref(f->vr, 1);
        m = measure(f, &type);

        g_test_message("%u samples: accounted %.1f MiB, RSS rose by %.1f",
                       samples, mib(m.accounted), mib(m.rise));
        g_assert_cmpfloat(m.accounted, >=, 0.95 * m.rise);
        for (uint32_t id = 1; id <= m.resources; id++) {
            virgl_reclaim_resource_unref(f->vr, id);
        }
    }
}

/*
 * Resources that take more than their storage: tiny ones, short rows, many
 * levels. What is accounted for them covers that, and is not twice as much.
 */
static void test_overhead(Fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct resource_type types[] = {
        { "staging", VR_TARGET_BUFFER, FORMAT_R8, VR_BIND_STAGING,
          4096, 1, 1, 1, 0, 0, 0 },
        { "buffer of a byte", VR_TARGET_BUFFER, FORMAT_R8,
          VIRGL_RES_BIND_VERTEX_BUFFER, 1, 1, 1, 1, 0, 0, 0 },
        { "a pixel", VR_TARGET_2D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
          1, 1, 1, 1, 0, 0, 0 },
        { "a pixel, multisampled", VR_TARGET_2D, FORMAT_RGBA8,
          VIRGL_RES_BIND_RENDER_TARGET, 1, 1, 1, 1, 0, 4, 0 },
        { "5 levels", VR_TARGET_2D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
          16, 16, 1, 1, 4, 0, 0 },
        { "column", VR_TARGET_2D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
          1, 4096, 1, 1, 0, 0, 0 },
        { "row", VR_TARGET_2D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
          4096, 1, 1, 1, 0, 0, 0 },
        { "layers", VR_TARGET_2D_ARRAY, FORMAT_R8,
          VIRGL_RES_BIND_SAMPLER_VIEW, 1, 1, 1, 512, 0, 0, 0 },
        { "1D layers", VR_TARGET_1D_ARRAY, FORMAT_R8,
          VIRGL_RES_BIND_SAMPLER_VIEW, 1, 1, 1, 512, 0, 0, 0 },
        { "slices", VR_TARGET_3D, FORMAT_R8, VIRGL_RES_BIND_SAMPLER_VIEW,
          1, 1, 512, 1, 0, 0, 0 },
        { "cube, 3 levels", VR_TARGET_CUBE, FORMAT_R8,
          VIRGL_RES_BIND_SAMPLER_VIEW, 4, 4, 1, 6, 2, 0, 0 },
        { "cube, 7 levels", VR_TARGET_CUBE, FORMAT_R8,
          VIRGL_RES_BIND_SAMPLER_VIEW, 64, 64, 1, 6, 6, 0, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(types) && memory_is_seen(); i++) {
        struct virgl_renderer_resource_create_args args = type_args(&types[i],
                                                                    1);
        uint64_t each = virgl_reclaim_args_bytes(&args) +
                        virgl_reclaim_args_overhead(&args);
        uint32_t n = (32 << 20) / each;
        uint64_t before = rss_trimmed();
        int64_t rise;

        for (; args.handle <= n; args.handle++) {
            g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
        }
        rise = rss_trimmed() - before;
        g_test_message("%s: accounted %" G_GUINT64_FORMAT
                       " bytes, RSS rose by %" G_GINT64_FORMAT " each",
                       types[i].name, each, rise / n);
        g_assert_cmpint(rise, <=, n * each);
        g_assert_cmpint(rise, >=, n * each / 2);
        for (uint32_t id = 1; id <= n; id++) {
            virgl_reclaim_resource_unref(f->vr, id);
        }
    }
}

static void print_type(const struct resource_type *type)
{
    struct measured m;
    Fixture f;

    fixture_set_up(&f, NULL);
    m = measure(&f, type);
    fixture_tear_down(&f, NULL);
    printf("| %s | %u | %.1f | %.1f | %.1f | %s |\n", type->name, m.resources,
           mib(m.accounted), mib(m.rise), mib(m.fall),
           m.deferred ? "yes" : "no");
    fflush(stdout);
}

static void print_table(void)
{
    printf("| type | resources | accounted | RSS rose by | RSS fell by | "
           "still referenced |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n_resource_types; i++) {
        print_type(&resource_types[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--table")) {
        print_table();
        return 0;
    }

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n_resource_types; i++) {
        g_autofree char *path = g_strdup_printf("/resource-types/%s",
                                                resource_types[i].name);

        g_test_add(path, Fixture, &resource_types[i], fixture_set_up, test_type,
                   fixture_tear_down);
    }
    add_test("/resource-types/samples", test_samples);
    add_test("/resource-types/overhead", test_overhead);
    return g_test_run();
}
