/* SPDX-License-Identifier: MIT */
/*
 * Streams that make the renderer access memory that it must not, or allocate
 * what nothing accounts: they are rejected, nothing is submitted, and the context goes on. Each case runs in a
 * process of its own, which a renderer that is given the stream may take with
 * it: that of 0.10.4 dies of most.
 */

#include "commands.h"
#include "renderer.h"

#include <errno.h>
#include <string.h>
#include <epoxy/gl.h>

/* Of the protocol. */
enum { BEGIN_QUERY = 19, END_QUERY = 20, GET_QUERY_RESULT = 21 };
enum { OCCLUSION_COUNTER = 0, TYPE_U32 = 1, WAIT = 1 };
enum { RESULT_BYTES = 16, INFO_BYTES = 24 };

enum { RES = 1, OTHER = 2, CTX = 1, OBJECT = 10, SIZE = 64, SIDE = 16 };

static void make(Fixture *f, uint32_t id, uint32_t bind, uint32_t size)
{
    struct virgl_renderer_resource_create_args args = buffer_args(id, size);

    args.bind = bind;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    virgl_reclaim_ctx_create(f->vr, CTX, 1, "1");
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==, 0);
}

static void attach(Fixture *f, uint32_t id, struct iovec *iov, int n)
{
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, id, iov, n), ==,
                    0);
}

static void detach(Fixture *f, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_resource_detach_iov(f->vr, id, NULL, NULL),
                    ==, 0);
}

static int memory_info(Fixture *f, uint32_t id)
{
    return COMMAND(f->vr, CTX, VR_GET_MEMORY_INFO, 0, id);
}

static int create_query(Fixture *f, uint32_t id)
{
    return COMMAND(f->vr, CTX, VR_CREATE_OBJECT, VR_OBJECT_QUERY, OBJECT,
                   OCCLUSION_COUNTER, 0, id);
}

/* Its result is there when the commands before it are done. */
static void end_query(Fixture *f)
{
    g_assert_cmpint(COMMAND(f->vr, CTX, BEGIN_QUERY, 0, OBJECT), ==, 0);
    g_assert_cmpint(COMMAND(f->vr, CTX, END_QUERY, 0, OBJECT), ==, 0);
}

static int query_result(Fixture *f)
{
    return COMMAND(f->vr, CTX, GET_QUERY_RESULT, 0, OBJECT, WAIT);
}

static int query_result_qbo(Fixture *f, uint32_t id)
{
    return COMMAND(f->vr, CTX, VR_GET_QUERY_RESULT_QBO, 0, OBJECT, id, WAIT,
                   TYPE_U32, 8, 0);
}

/* The context is as good as before. */
static void check_goes_on(Fixture *f)
{
    make(f, 9, VIRGL_RES_BIND_VERTEX_BUFFER, SIZE);
    g_assert_false(virgl_reclaim_resource_referenced(f->vr, 9));
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, 9), ==, 0);
    g_assert_true(virgl_reclaim_resource_referenced(f->vr, 9));
}

/* Memory information */

static void memory_info_no_backing(Fixture *f)
{
    make(f, RES, VR_BIND_STAGING, SIZE);
    g_assert_cmpint(memory_info(f, RES), ==, -EINVAL);
}

static void memory_info_detached(Fixture *f)
{
    uint8_t memory[SIZE] = { 0 };
    struct iovec iov = { memory, SIZE };

    make(f, RES, VR_BIND_STAGING, SIZE);
    attach(f, RES, &iov, 1);
    g_assert_cmpint(memory_info(f, RES), ==, 0);
    detach(f, RES);
    g_assert_cmpint(memory_info(f, RES), ==, -EINVAL);
}

/* Only the first iovec is written. */
static void memory_info_short(Fixture *f)
{
    uint8_t memory[SIZE] = { 0 };
    struct iovec iov[] = { { memory, INFO_BYTES - 1 },
                           { memory + INFO_BYTES, INFO_BYTES } };

    make(f, RES, VR_BIND_STAGING, SIZE);
    attach(f, RES, iov, 2);
    g_assert_cmpint(memory_info(f, RES), ==, -EINVAL);
    g_assert_true(all_zero(memory, SIZE));
    detach(f, RES);
    iov[0].iov_len++;
    attach(f, RES, iov, 2);
    g_assert_cmpint(memory_info(f, RES), ==, 0);
    detach(f, RES);
}

/* An id that the context may not use, and none at all. */
static void memory_info_unknown(Fixture *f)
{
    uint32_t word = vr_header(VR_GET_MEMORY_INFO, 0, 0);
    uint8_t memory[SIZE] = { 0 };
    struct iovec iov = { memory, SIZE };

    make(f, RES, VR_BIND_STAGING, SIZE);
    attach(f, RES, &iov, 1);
    g_assert_cmpint(virgl_reclaim_ctx_detach_resource(f->vr, CTX, RES), ==, 0);
    g_assert_cmpint(memory_info(f, RES), ==, -EINVAL);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, &word, 1), ==, -EINVAL);
    detach(f, RES);
}

/* What comes before it in the stream is not carried out either. */
static void nothing_submitted(Fixture *f)
{
    uint32_t words[] = {
        vr_header(VR_SET_VERTEX_BUFFERS, 0, 3), 16, 0, OTHER,
        vr_header(VR_GET_MEMORY_INFO, 0, 1), RES,
    };

    make(f, RES, VR_BIND_STAGING, SIZE);
    make(f, OTHER, VIRGL_RES_BIND_VERTEX_BUFFER, SIZE);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, words, 6), ==, -EINVAL);
    g_assert_false(virgl_reclaim_resource_referenced(f->vr, OTHER));
}

/* Nor is anything restored for it. */
static void nothing_restored(Fixture *f)
{
    uint32_t words[] = {
        vr_header(VR_SET_VERTEX_BUFFERS, 0, 3), 16, 0, OTHER,
        vr_header(VR_GET_MEMORY_INFO, 0, 1), RES,
    };

    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make(f, RES, VR_BIND_STAGING, SIZE);
    make_small_buffer(f, OTHER, 1 << 20);
    virgl_reclaim_ctx_attach_resource(f->vr, CTX, OTHER);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, OTHER), ==, 0);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, words, 6), ==, -EINVAL);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, OTHER), ==,
                    VIRGL_RECLAIM_COMPRESSED);
}

/* Queries */

/*
 * Without backing the renderer writes to memory of its own, of the buffer's
 * size: too small it must not be.
 */
static void query_small(Fixture *f)
{
    make(f, RES, VIRGL_RES_BIND_CUSTOM, RESULT_BYTES - 1);
    g_assert_cmpint(create_query(f, RES), ==, -EINVAL);
    g_assert_false(virgl_reclaim_resource_referenced(f->vr, RES));
}

/* Large enough: with backing, without and after. */
static void query_backing(Fixture *f)
{
    uint8_t memory[RESULT_BYTES] = { 0 };
    struct iovec iov = { memory, RESULT_BYTES };

    make(f, RES, VIRGL_RES_BIND_CUSTOM, RESULT_BYTES);
    if (create_query(f, RES)) {
        g_test_skip("the renderer has no such query");
        return;
    }
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
    attach(f, RES, &iov, 1);
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
    detach(f, RES);
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
}

/* Backing that is shorter than the buffer is not written past its end. */
static void query_short_backing(Fixture *f)
{
    uint8_t memory[RESULT_BYTES];
    struct iovec iov = { memory, 3 };

    make(f, RES, VIRGL_RES_BIND_CUSTOM, RESULT_BYTES);
    memset(memory, 0x55, sizeof(memory));
    attach(f, RES, &iov, 1);
    g_assert_cmpint(create_query(f, RES), ==, 0);
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
    for (size_t i = iov.iov_len; i < sizeof(memory); i++) {
        g_assert_cmphex(memory[i], ==, 0x55);
    }
    detach(f, RES);
}

/* The buffer of a query that is purged or destroyed stays with the query. */
static void query_purged(Fixture *f)
{
    make(f, RES, VIRGL_RES_BIND_CUSTOM, RESULT_BYTES);
    g_assert_cmpint(create_query(f, RES), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, RES, NULL), ==, 0);
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, RES), ==, 0);
    end_query(f);
    g_assert_cmpint(query_result(f), ==, 0);
}

static void make_query(Fixture *f)
{
    make(f, OTHER, VIRGL_RES_BIND_CUSTOM, RESULT_BYTES);
    g_assert_cmpint(create_query(f, OTHER), ==, 0);
    end_query(f);
}

/* Neither has a GL buffer: the offset would be taken for an address. */
static void qbo_custom(Fixture *f)
{
    make(f, RES, VIRGL_RES_BIND_CUSTOM, SIZE);
    make_query(f);
    g_assert_cmpint(query_result_qbo(f, RES), ==, -EINVAL);
}

static void qbo_staging(Fixture *f)
{
    make(f, RES, VR_BIND_STAGING, SIZE);
    make_query(f);
    g_assert_cmpint(query_result_qbo(f, RES), ==, -EINVAL);
}

static void qbo_texture(Fixture *f)
{
    struct virgl_renderer_resource_create_args args = texture_args(RES, SIDE,
                                                                   SIDE);

    make_query(f);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    virgl_reclaim_ctx_attach_resource(f->vr, CTX, RES);
    g_assert_cmpint(query_result_qbo(f, RES), ==, -EINVAL);
}

static void qbo_buffer(Fixture *f)
{
    make(f, RES, VIRGL_RES_BIND_VERTEX_BUFFER, SIZE);
    make_query(f);
    if (!epoxy_is_desktop_gl()) {
        /* GLES has no query buffers: virglrenderer 1.1 rejects the command. */
        return;
    }
    g_assert_cmpint(query_result_qbo(f, RES), ==, 0);

    /* Compressed it still is one. */
    make_small_buffer(f, 3, 1 << 20);
    virgl_reclaim_ctx_attach_resource(f->vr, CTX, 3);
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 3), ==, 0);
    g_assert_cmpint(query_result_qbo(f, 3), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 3), ==,
                    VIRGL_RECLAIM_RESIDENT);
}

/* The result goes over the end of the buffer: GL has an error for that. */
static void qbo_short_buffer(Fixture *f)
{
    make(f, RES, VIRGL_RES_BIND_VERTEX_BUFFER, 10);
    make_query(f);
    query_result_qbo(f, RES);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, CTX), ==, 0);
}

/* Storage without a resource */

static int pipe_resource_create(Fixture *f, uint32_t target, uint32_t bind,
                                uint32_t width, uint32_t height)
{
    return COMMAND(f->vr, CTX, VR_PIPE_RESOURCE_CREATE, 0, target,
                   FORMAT_BGRA8, bind, width, height, 1, 1, 0, 0, 0, 1);
}

static void pipe_resource_texture(Fixture *f)
{
    make(f, RES, VR_BIND_STAGING, SIZE);
    g_assert_cmpint(pipe_resource_create(f, VR_TARGET_2D,
                                         VIRGL_RES_BIND_SAMPLER_VIEW, SIDE,
                                         SIDE), ==, -EINVAL);
}

static void pipe_resource_buffer(Fixture *f)
{
    make(f, RES, VR_BIND_STAGING, SIZE);
    g_assert_cmpint(pipe_resource_create(f, VR_TARGET_BUFFER,
                                         VIRGL_RES_BIND_VERTEX_BUFFER, SIZE,
                                         1), ==, -EINVAL);
}

/* Behind other commands, whatever its length. */
static void pipe_resource_last(Fixture *f)
{
    uint32_t words[] = {
        vr_header(VR_SET_VERTEX_BUFFERS, 0, 3), 16, 0, OTHER,
        vr_header(VR_PIPE_RESOURCE_CREATE, 0, 0),
    };

    make(f, OTHER, VIRGL_RES_BIND_VERTEX_BUFFER, SIZE);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, CTX, words, 5), ==, -EINVAL);
    g_assert_false(virgl_reclaim_resource_referenced(f->vr, OTHER));
}

/* Sub-contexts */

static int create_sub(Fixture *f, uint32_t ctx, uint32_t sub)
{
    return COMMAND(f->vr, ctx, VR_CREATE_SUB_CTX, 0, sub);
}

static int create_ctx(Fixture *f, uint32_t ctx)
{
    return virgl_reclaim_ctx_create(f->vr, ctx, 1, "1");
}

/* Those of all contexts count, and contexts themselves. */
static void sub_contexts(Fixture *f)
{
    uint32_t words[] = {
        vr_header(VR_CREATE_SUB_CTX, 0, 1), 3,
        vr_header(VR_CREATE_SUB_CTX, 0, 1), 4,
    };

    virgl_reclaim_set_max_contexts(f->vr, 4);
    g_assert_cmpint(create_ctx(f, 1), ==, 0);
    g_assert_cmpint(create_sub(f, 1, 1), ==, 0);
    g_assert_cmpint(create_ctx(f, 2), ==, 0);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, 2, words, 4), ==, -ENOSPC);
    g_assert_cmpint(create_sub(f, 2, 1), ==, 0);
    g_assert_cmpint(create_sub(f, 2, 2), ==, -ENOSPC);
    g_assert_cmpint(create_ctx(f, 3), ==, -ENOSPC);
    /* There is one already. */
    g_assert_cmpint(create_sub(f, 2, 0), ==, 0);
    g_assert_cmpint(create_sub(f, 2, 1), ==, 0);

    g_assert_cmpint(COMMAND(f->vr, 1, VR_DESTROY_SUB_CTX, 0, 1), ==, 0);
    g_assert_cmpint(create_ctx(f, 3), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_destroy(f->vr, 2), ==, 0);
    g_assert_cmpint(virgl_reclaim_submit(f->vr, 3, words, 4), ==, 0);
    g_assert_cmpint(create_sub(f, 1, 1), ==, -ENOSPC);
    virgl_reclaim_set_max_contexts(f->vr, 0);
    g_assert_cmpint(create_sub(f, 1, 1), ==, 0);
}

static const struct {
    const char *path;
    void (*func)(Fixture *f);
} cases[] = {
    { "/stream-safety/memory-info/no-backing", memory_info_no_backing },
    { "/stream-safety/memory-info/detached", memory_info_detached },
    { "/stream-safety/memory-info/short", memory_info_short },
    { "/stream-safety/memory-info/unknown", memory_info_unknown },
    { "/stream-safety/nothing-submitted", nothing_submitted },
    { "/stream-safety/nothing-restored", nothing_restored },
    { "/stream-safety/query/small", query_small },
    { "/stream-safety/query/backing", query_backing },
    { "/stream-safety/query/short-backing", query_short_backing },
    { "/stream-safety/query/purged", query_purged },
    { "/stream-safety/query-buffer/custom", qbo_custom },
    { "/stream-safety/query-buffer/staging", qbo_staging },
    { "/stream-safety/query-buffer/texture", qbo_texture },
    { "/stream-safety/query-buffer/buffer", qbo_buffer },
    { "/stream-safety/query-buffer/short", qbo_short_buffer },
    { "/stream-safety/pipe-resource/texture", pipe_resource_texture },
    { "/stream-safety/pipe-resource/buffer", pipe_resource_buffer },
    { "/stream-safety/pipe-resource/last", pipe_resource_last },
    { "/stream-safety/sub-contexts", sub_contexts },
};

/* The parent must not have a renderer: its threads are not in the child. */
static void run_case(gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);

    if (g_test_subprocess()) {
        Fixture f;

        fixture_set_up(&f, NULL);
        cases[i].func(&f);
        check_goes_on(&f);
        fixture_tear_down(&f, NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_add_data_func(cases[i].path, GSIZE_TO_POINTER(i), run_case);
    }
    return g_test_run();
}
