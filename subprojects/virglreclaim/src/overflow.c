/* SPDX-License-Identifier: MIT */
/* Compressed contents that exceed the limit of memory move into the file. */

#include "overflow.h"
#include "resource.h"

#include <errno.h>

void vr_overflow_add(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (!res->destroyed && res->contents.chunks &&
        vr_contents_size(&res->contents) >= VR_FILE_MIN) {
        vr_lru_add(&vr->packed, res);
        res->packed = true;
    }
}

void vr_overflow_remove(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (res->packed) {
        vr_lru_remove(&vr->packed, res);
        res->packed = false;
    }
}

/* Contents that are used or freed while they are written stay until then. */
static void drop(struct virgl_reclaim *vr, struct vr_write *w)
{
    vr_extent_free(w->extent);
    if (w->contents) {
        w->contents->write = NULL;
    } else {
        vr_chunks_free(&vr->allocator, w->chunks);
    }
}

static void move(struct virgl_reclaim *vr, struct vr_write *w)
{
    struct vr_contents *contents = w->contents;
    struct vr_resource *res = w->res;

    if (res) {
        vr->stats.compressed_bytes -= contents->bytes;
        vr_overflow_remove(vr, res);
    }
    contents->write = NULL;
    vr_chunks_free(&vr->allocator, contents->chunks);
    contents->chunks = NULL;
    contents->bytes = 0;
    contents->extent = w->extent;
    if (res) {
        vr_report(vr, written, res->args.handle);
    }
}

bool vr_overflow_is_writing(struct virgl_reclaim *vr)
{
    struct vr_write w = vr->write;
    int ret = w.extent ? vr_file_written(w.extent) : 0;

    if (!w.extent || ret == -EAGAIN) {
        return w.extent;
    }
    vr->write = (struct vr_write) { 0 };
    /*
     * What a destroyed resource had does not count there any more, and what is
     * being decompressed leaves.
     */
    if (ret || !w.contents || (w.res && w.res->destroyed) ||
        (w.res && w.res == vr->load.res)) {
        drop(vr, &w);
    } else {
        move(vr, &w);
    }
    if (ret && w.contents) {
        vr_report(vr, file_failed, w.id, ret, true);
    }
    vr->write_failed = ret;
    return false;
}

void vr_overflow_wait(struct virgl_reclaim *vr)
{
    if (vr->write.extent) {
        vr_file_wait(vr->write.extent);
    }
}

/* @of has @contents; @res is NULL if it does not count with them yet. */
static int begin(struct virgl_reclaim *vr, const struct vr_resource *of,
                 struct vr_contents *contents, struct vr_resource *res)
{
    struct vr_write *w = &vr->write;
    int ret = vr_file_write(&vr->file, contents->chunks,
                            vr_contents_size(contents), &w->extent);

    if (ret) {
        return -ENOSPC;
    }
    w->id = of->args.handle;
    w->res = res;
    w->contents = contents;
    w->chunks = contents->chunks;
    contents->write = w;
    return -EAGAIN;
}

int vr_overflow_make_room(struct virgl_reclaim *vr,
                          const struct vr_resource *res,
                          struct vr_contents *contents)
{
    struct vr_resource *oldest;

    if (vr_overflow_is_writing(vr)) {
        return -EAGAIN;
    }
    if (vr->stats.compressed_bytes + contents->bytes <= vr->compress_max) {
        return 0;
    }
    if (vr->write_failed) {
        return -ENOSPC;
    }
    oldest = vr->packed.oldest;
    if (oldest && oldest->last_use <= res->last_use) {
        return begin(vr, oldest, &oldest->contents, oldest);
    }
    return vr_contents_size(contents) >= VR_FILE_MIN ?
           begin(vr, res, contents, NULL) : -ENOSPC;
}
