/* SPDX-License-Identifier: MIT */
/*
 * Stubs of renderer and GL functions and of compression, for tests of the library's
 * state: they do nothing.
 */

#include "instance.h"
#include "contents.h"
#include "gl-context.h"

#include <errno.h>

void virgl_renderer_force_ctx_0(void)
{
}

int virgl_renderer_resource_attach_iov(int id, struct iovec *iov, int n)
{
    (void)id, (void)iov, (void)n;
    return 0;
}

void virgl_renderer_resource_detach_iov(int id, struct iovec **iov, int *n)
{
    (void)id, (void)iov, (void)n;
}

int virgl_renderer_transfer_write_iov(uint32_t id, uint32_t ctx, int level,
                                      uint32_t stride, uint32_t layer_stride,
                                      struct virgl_box *box, uint64_t offset,
                                      struct iovec *iov, unsigned int n)
{
    (void)id, (void)ctx, (void)level, (void)stride, (void)layer_stride;
    (void)box, (void)offset, (void)iov, (void)n;
    return 0;
}

int virgl_renderer_transfer_read_iov(uint32_t id, uint32_t ctx, uint32_t level,
                                     uint32_t stride, uint32_t layer_stride,
                                     struct virgl_box *box, uint64_t offset,
                                     struct iovec *iov, int n)
{
    (void)id, (void)ctx, (void)level, (void)stride, (void)layer_stride;
    (void)box, (void)offset, (void)iov, (void)n;
    return 0;
}

void vr_gl_finish(void)
{
}

uint32_t vr_gl_select_last_unit(void)
{
    return 0;
}

void vr_gl_select_unit(uint32_t unit)
{
    (void)unit;
}

void vr_gl_unbind_texture(uint32_t target, uint32_t binding, uint32_t name)
{
    (void)target, (void)binding, (void)name;
}

void vr_gl_unbind_deleted(void)
{
}

void vr_gl_retire(void)
{
}

void vr_gl_rebind_indirect(void)
{
}

int vr_saver_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                 uint32_t name, uint64_t max, struct vr_worker *worker,
                 struct vr_saver **saver)
{
    (void)a, (void)args, (void)name, (void)max, (void)worker, (void)saver;
    return -ENOTSUP;
}

int vr_saver_step(struct vr_saver *s)
{
    (void)s;
    return -ENOTSUP;
}

void vr_saver_free(struct vr_saver *s, struct vr_contents *contents)
{
    (void)s, (void)contents;
}

void vr_saver_abandon(struct vr_saver *s)
{
    (void)s;
}

int vr_contents_load(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name,
                     const struct vr_contents *contents)
{
    (void)a, (void)args, (void)name, (void)contents;
    return -EIO;
}

struct vr_contents *vr_saver_contents(struct vr_saver *s)
{
    (void)s;
    return NULL;
}

uint64_t vr_contents_size(const struct vr_contents *contents)
{
    (void)contents;
    return 0;
}

void vr_chunks_free(const struct virgl_reclaim_allocator *a,
                    struct vr_chunk *chunks)
{
    (void)a, (void)chunks;
}

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents)
{
    (void)a, (void)contents;
}
