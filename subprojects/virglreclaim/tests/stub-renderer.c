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

void vr_gl_unbind_active(uint32_t target, uint32_t binding, uint32_t name)
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

int vr_storage_zero(const struct virgl_reclaim_allocator *a,
                    const vr_args *args, struct vr_storage *storage)
{
    (void)a, (void)args, (void)storage;
    return 0;
}

/* Steps that contents take to be saved and loaded; 0: they cannot be. */
unsigned stub_tiles;

struct vr_saver {
    const struct virgl_reclaim_allocator *a;
    unsigned left;              /* steps */
    struct vr_contents contents;
};

int vr_saver_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                 uint32_t name, uint64_t max, struct vr_worker *worker,
                 struct vr_saver **saver)
{
    struct vr_saver *s = stub_tiles ? vr_alloc0(a, sizeof(*s)) : NULL;

    (void)args, (void)name, (void)max, (void)worker;
    if (!s) {
        return -ENOTSUP;
    }
    s->a = a;
    s->left = stub_tiles;
    s->contents.chunks = vr_alloc0(a, sizeof(struct vr_chunk));
    s->contents.bytes = sizeof(struct vr_chunk);
    *saver = s;
    return 0;
}

int vr_saver_step(struct vr_saver *s)
{
    return s->left-- ? -EAGAIN : 0;
}

void vr_saver_free(struct vr_saver *s, struct vr_contents *contents)
{
    if (contents) {
        *contents = s->contents;
    } else {
        vr_contents_free(s->a, &s->contents);
    }
    vr_free(s->a, s);
}

void vr_saver_release(struct vr_saver *s)
{
    (void)s;
}

void vr_saver_abandon(struct vr_saver *s)
{
    vr_saver_free(s, NULL);
}

struct vr_contents *vr_saver_contents(struct vr_saver *s)
{
    return &s->contents;
}

uint64_t vr_contents_size(const struct vr_contents *contents)
{
    return contents->bytes;
}

void vr_chunks_free(const struct virgl_reclaim_allocator *a,
                    struct vr_chunk *chunks)
{
    vr_free(a, chunks);
}

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents)
{
    vr_chunks_free(a, contents->chunks);
    contents->chunks = NULL;
    contents->bytes = 0;
}

struct vr_loader {
    const struct virgl_reclaim_allocator *a;
    unsigned left;              /* steps */
};

int vr_loader_new(const struct virgl_reclaim_allocator *a, const vr_args *args,
                  uint32_t name, const struct vr_contents *contents,
                  struct vr_worker *worker, struct vr_loader **loader)
{
    struct vr_loader *l = vr_alloc0(a, sizeof(*l));

    (void)args, (void)name, (void)contents, (void)worker;
    if (!l) {
        return -ENOMEM;
    }
    l->a = a;
    l->left = stub_tiles;
    *loader = l;
    return 0;
}

int vr_loader_step(struct vr_loader *l)
{
    return l->left-- ? -EAGAIN : 0;
}

bool vr_loader_has_worker(const struct vr_loader *l)
{
    (void)l;
    return false;
}

void vr_loader_free(struct vr_loader *l)
{
    vr_free(l->a, l);
}

void vr_loader_release(struct vr_loader *l)
{
    (void)l;
}

void vr_loader_abandon(struct vr_loader *l)
{
    vr_loader_free(l);
}
