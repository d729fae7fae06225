/* SPDX-License-Identifier: MIT */
/* Transfers: contents and validation; and totals of contexts. */

#include "renderer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { WIDTH = 16, HEIGHT = 8, ROW = WIDTH * 4, SIZE = ROW * HEIGHT };

static uint8_t memory[SIZE];
static struct iovec whole = { memory, SIZE };

static void make(Fixture *f, uint32_t id)
{
    struct virgl_renderer_resource_create_args args =
        texture_args(id, WIDTH, HEIGHT);

    args.last_level = 1;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, id, &whole, 1),
                    ==, 0);
}

static int transfer(Fixture *f, struct virgl_reclaim_transfer t)
{
    int ret, back;

    t.to_host = true;
    ret = virgl_reclaim_resource_transfer(f->vr, 1, &t);
    t.to_host = false;
    back = virgl_reclaim_resource_transfer(f->vr, 1, &t);
    g_assert_cmpint(ret, ==, back);
    return ret;
}

#define T(...) transfer(f, (struct virgl_reclaim_transfer) { __VA_ARGS__ })
#define WHOLE .w = WIDTH, .h = HEIGHT, .d = 1

static void test_copy(Fixture *f, gconstpointer data)
{
    struct virgl_reclaim_transfer t = { .to_host = true, WHOLE };
    uint8_t want[SIZE];

    (void)data;
    make(f, 1);
    fill(memory, SIZE, 1);
    memcpy(want, memory, SIZE);
    g_assert_cmpint(virgl_reclaim_resource_transfer(f->vr, 1, &t), ==, 0);
    memset(memory, 0, SIZE);
    t.to_host = false;
    g_assert_cmpint(virgl_reclaim_resource_transfer(f->vr, 1, &t), ==, 0);
    g_assert_cmpmem(memory, SIZE, want, SIZE);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(T(WHOLE), ==, -ENOENT);
    make(f, 1);
    g_assert_cmpint(T(WHOLE, .ctx = 7), ==, -ESRCH);
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, NULL, NULL),
                    ==, 0);
    g_assert_cmpint(T(WHOLE), ==, -ENODATA);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, NULL), ==, 0);
    g_assert_cmpint(T(WHOLE), ==, -ENODATA);
}

static void test_box(Fixture *f, gconstpointer data)
{
    (void)data;
    make(f, 1);
    g_assert_cmpint(T(WHOLE, .level = 2), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .level = UINT32_MAX), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .level = 1), ==, -EINVAL);
    g_assert_cmpint(T(.w = WIDTH / 2, .h = HEIGHT / 2, .d = 1, .level = 1),
                    ==, 0);
    g_assert_cmpint(T(.w = WIDTH + 1, .h = 1, .d = 1), ==, -EINVAL);
    g_assert_cmpint(T(.w = 1, .h = HEIGHT + 1, .d = 1), ==, -EINVAL);
    g_assert_cmpint(T(.w = 1, .h = 1, .d = 2), ==, -EINVAL);
    g_assert_cmpint(T(.x = 1, WHOLE), ==, -EINVAL);
    g_assert_cmpint(T(.y = 1, WHOLE), ==, -EINVAL);
    g_assert_cmpint(T(.z = 1, WHOLE), ==, -EINVAL);
    /* Integer overflow. */
    g_assert_cmpint(T(.x = UINT32_MAX, .w = 2, .h = 1, .d = 1), ==, -EINVAL);
    g_assert_cmpint(T(.x = 2, .w = UINT32_MAX, .h = 1, .d = 1), ==, -EINVAL);
    g_assert_cmpint(T(.y = UINT32_MAX, .w = 1, .h = 2, .d = 1), ==, -EINVAL);
    g_assert_cmpint(T(.x = 15, .y = 7, .w = 1, .h = 1, .d = 1), ==, 0);
}

static void test_backing(Fixture *f, gconstpointer data)
{
    struct iovec most = { memory, SIZE - 1 };

    (void)data;
    make(f, 1);
    g_assert_cmpint(T(WHOLE, .offset = 1), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .offset = SIZE), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .offset = 1ull << 32), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .offset = UINT64_MAX), ==, -EINVAL);
    g_assert_cmpint(T(.w = 1, .h = 1, .d = 1, .offset = SIZE - 4), ==, 0);
    g_assert_cmpint(T(.w = 1, .h = 1, .d = 1, .offset = SIZE - 3), ==,
                    -EINVAL);
    /* A stride below the width, one beyond the end, and both. */
    g_assert_cmpint(T(WHOLE, .stride = ROW - 1), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .stride = ROW + 4), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .stride = UINT32_MAX), ==, -EINVAL);
    g_assert_cmpint(T(WHOLE, .stride = ROW), ==, 0);

    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, 1, NULL, NULL),
                    ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &most, 1), ==,
                    0);
    g_assert_cmpint(T(WHOLE), ==, -EINVAL);
}

/* The validation alone: the renderer rejects most of this as well. */
static void test_check(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(1, WIDTH,
                                                                   HEIGHT);
    struct virgl_renderer_resource_create_args buffer = buffer_args(1, 100);
    struct virgl_reclaim_transfer t = { WHOLE };

    (void)f;
    (void)data;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, 0);
    g_assert_cmpint(vr_transfer_validate(&args, SIZE - 1, &t), ==, -EINVAL);
    /* More than 4 GiB of backing. */
    g_assert_cmpint(vr_transfer_validate(&args, 1ull << 32, &t), ==, 0);
    t.offset = 1ull << 32;
    g_assert_cmpint(vr_transfer_validate(&args, 1ull << 32, &t), ==, -EINVAL);
    g_assert_cmpint(vr_transfer_validate(&args, (1ull << 32) + SIZE, &t), ==,
                    0);
    t.offset = UINT64_MAX - 1;
    g_assert_cmpint(vr_transfer_validate(&args, UINT64_MAX, &t), ==, -EINVAL);
    t.offset = 0;
    t.stride = ROW - 4;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, -EINVAL);
    t.stride = UINT32_MAX;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, -EINVAL);
    t.stride = 0;
    t.level = 1;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, -EINVAL);
    t.level = 0;
    t.x = UINT32_MAX;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, -EINVAL);
    t.x = 0;
    t.z = 1;
    g_assert_cmpint(vr_transfer_validate(&args, SIZE, &t), ==, -EINVAL);

    /* A buffer has one row of bytes. */
    t = (struct virgl_reclaim_transfer) { .w = 100, .h = 1, .d = 1 };
    g_assert_cmpint(vr_transfer_validate(&buffer, 100, &t), ==, 0);
    t.w = 101;
    g_assert_cmpint(vr_transfer_validate(&buffer, 101, &t), ==, -EINVAL);
    t.w = 1;
    t.h = 2;
    g_assert_cmpint(vr_transfer_validate(&buffer, 101, &t), ==, -EINVAL);
    t.h = 0;
    t.offset = 101;
    g_assert_cmpint(vr_transfer_validate(&buffer, 100, &t), ==, -EINVAL);

    /* Compressed rows are rows of blocks. */
    args.format = FORMAT_DXT1;
    t = (struct virgl_reclaim_transfer) { WHOLE };
    g_assert_cmpint(vr_transfer_validate(&args, WIDTH * HEIGHT / 2, &t), ==, 0);
    g_assert_cmpint(vr_transfer_validate(&args, WIDTH * HEIGHT / 2 - 1, &t), ==,
                    -EINVAL);
}

static void test_args(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_null(virgl_reclaim_resource_args(f->vr, 1));
    make(f, 1);
    g_assert_cmpuint(virgl_reclaim_resource_args(f->vr, 1)->width, ==, WIDTH);
}

static void collect(const struct virgl_reclaim_ctx *ctx, void *opaque)
{
    g_string_append_printf(opaque,
                           "%u %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                           ctx->id, ctx->name, ctx->resources, ctx->bytes,
                           ctx->last_use);
}

static void test_contexts(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args buffer = buffer_args(2, 100);
    g_autoptr(GString) text = g_string_new(NULL);
    struct virgl_reclaim *vr = f->vr;

    (void)data;
    virgl_reclaim_ctx_foreach(vr, collect, text);
    g_assert_cmpstr(text->str, ==, "");

    virgl_reclaim_set_time(vr, 7);
    make(f, 1);
    g_assert_cmpint(virgl_reclaim_resource_create(vr, &buffer), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(vr, 9, 4, "nine"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(vr, 5, 3, "five"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(vr, 9, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(vr, 9, 2), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(vr, 5, 2), ==, 0);
    virgl_reclaim_ctx_foreach(vr, collect, text);
    g_assert_cmpstr(text->str, ==, "5 fiv 1 100 7\n9 nine 2 740 7\n");

    /* Purged resources are attached, but take no memory. */
    g_string_truncate(text, 0);
    g_assert_cmpint(virgl_reclaim_resource_purge(vr, 2, NULL), ==, 0);
    virgl_reclaim_ctx_foreach(vr, collect, text);
    g_assert_cmpstr(text->str, ==, "5 fiv 1 0 7\n9 nine 2 640 7\n");

    g_string_truncate(text, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(vr, 2), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(vr, 9), ==, 0);
    virgl_reclaim_ctx_foreach(vr, collect, text);
    g_assert_cmpstr(text->str, ==, "5 fiv 0 0 7\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/transfer/copy", test_copy);
    add_test("/transfer/errors", test_errors);
    add_test("/transfer/box", test_box);
    add_test("/transfer/backing", test_backing);
    add_test("/transfer/check", test_check);
    add_test("/transfer/args", test_args);
    add_test("/transfer/contexts", test_contexts);
    return g_test_run();
}
