/* SPDX-License-Identifier: MIT */
/* Command streams of the library's own. */

#include "writer.h"
#include "context.h"

#include <string.h>

void vr_writer_begin(struct vr_writer *w, struct virgl_reclaim *vr,
                     struct vr_sub *sub)
{
    w->vr = vr;
    w->context = sub->context;
    w->n = 0;
    vr_writer_command(w, VR_SET_SUB_CTX, 0, 1)[0] = sub->id;
}

void vr_writer_flush(struct vr_writer *w)
{
    if (w->n && !w->context->in_error &&
        virgl_renderer_submit_cmd(w->words, w->context->id, w->n)) {
        vr_context_set_error(w->vr, w->context);
    }
    w->n = 0;
}

uint32_t *vr_writer_command(struct vr_writer *w, uint32_t code, uint32_t type,
                            uint32_t length)
{
    uint32_t *args;

    if (w->n + 1 + length > VR_WRITER_WORDS) {
        vr_writer_flush(w);
    }
    w->words[w->n] = vr_header(code, type, length);
    args = &w->words[w->n + 1];
    memset(args, 0, length * sizeof(*args));
    w->n += 1 + length;
    return args;
}

void vr_writer_create_object(struct vr_writer *w,
                             const struct vr_object *object, uint32_t handle,
                             uint32_t id)
{
    uint32_t *args = vr_writer_command(w, object->header & 0xff,
                                       object->header >> 8 & 0xff,
                                       object->header >> 16);

    memcpy(args, object->args, (object->header >> 16) * sizeof(*args));
    args[0] = handle;
    args[object->type == VR_OBJECT_QUERY ? 3 : 1] = id;
}

void vr_writer_destroy_object(struct vr_writer *w, uint32_t handle)
{
    vr_writer_command(w, VR_DESTROY_OBJECT, 0, 1)[0] = handle;
}

/* Lists of objects */

static struct vr_object *live_object(const struct vr_bindings *group,
                                     uint32_t i)
{
    struct vr_object *object = group->slots[i].object;

    return object && object->storage ? object : NULL;
}

/*
 * A list names objects by their handles, and unbinds what it does not name. An
 * object without a handle is made a second time, under a private one.
 */
static void make_nameless(struct vr_writer *w, const struct vr_bindings *group,
                          bool make)
{
    for (uint32_t i = 0; i < group->n; i++) {
        const struct vr_object *object = live_object(group, i);

        if (object && !object->handle && vr_object_is_current(object)) {
            if (make) {
                vr_writer_create_object(w, object, VR_PRIVATE_HANDLES + i,
                                        object->storage->id);
            } else {
                vr_writer_destroy_object(w, VR_PRIVATE_HANDLES + i);
            }
        }
    }
}

static uint32_t handle_of(const struct vr_bindings *group, uint32_t i)
{
    const struct vr_object *object = live_object(group, i);

    if (!object) {
        return 0;
    }
    return object->handle ? object->handle :
           vr_object_is_current(object) ? VR_PRIVATE_HANDLES + i : 0;
}

void vr_writer_set_views(struct vr_writer *w, struct vr_sub *sub,
                         unsigned stage)
{
    const struct vr_bindings *group = sub->groups[VR_GROUP_VIEW + stage];
    uint32_t *args;

    make_nameless(w, group, true);
    args = vr_writer_command(w, VR_SET_SAMPLER_VIEWS, 0, 2 + group->n);
    args[0] = stage;
    for (uint32_t i = 0; i < group->n; i++) {
        args[2 + i] = handle_of(group, i);
    }
    make_nameless(w, group, false);
}

/* The renderer rejects a list of colour buffers without any. */
void vr_writer_set_framebuffer(struct vr_writer *w, struct vr_sub *sub)
{
    const struct vr_bindings *group = sub->groups[VR_GROUP_FRAMEBUFFER];
    uint32_t n = group->n - 1, *args;

    while (n && !handle_of(group, n)) {
        n--;
    }
    n = n ? group->n - 1 : 0;
    make_nameless(w, group, true);
    args = vr_writer_command(w, VR_SET_FRAMEBUFFER_STATE, 0, 2 + n);
    args[0] = n;
    for (uint32_t i = 0; i <= n; i++) {
        args[1 + i] = handle_of(group, i);
    }
    make_nameless(w, group, false);
}

/* Buffers and images */

void vr_writer_set_vertex_buffers(struct vr_writer *w, struct vr_sub *sub)
{
    const struct vr_bindings *group = sub->groups[VR_GROUP_VERTEX];
    uint32_t *args = vr_writer_command(w, VR_SET_VERTEX_BUFFERS, 0,
                                       group->n * 3);

    for (uint32_t i = 0; i < group->n; i++, args += 3) {
        const struct vr_binding *b = &group->slots[i];

        args[0] = b->args[0];
        args[1] = b->args[1];
        args[2] = b->storage ? b->storage->id : 0;
    }
}

static void set_staged(struct vr_writer *w, const struct vr_binding *b,
                       uint32_t code, enum vr_group group, uint32_t n)
{
    uint32_t *args = vr_writer_command(w, code, 0, 2 + n + 1);

    args[0] = b->group - group;
    args[1] = b->index;
    if (b->storage) {
        memcpy(args + 2, b->args, n * sizeof(*args));
        args[2 + n] = b->storage->id;
    }
}

void vr_writer_set_binding(struct vr_writer *w, const struct vr_binding *b)
{
    uint32_t *args;

    if (b->group == VR_GROUP_INDEX) {
        args = vr_writer_command(w, VR_SET_INDEX_BUFFER, 0, b->storage ? 3 : 1);
        if (b->storage) {
            args[0] = b->storage->id;
            args[1] = b->args[0];
            args[2] = b->args[1];
        }
    } else if (b->group == VR_GROUP_ATOMIC) {
        args = vr_writer_command(w, VR_SET_ATOMIC_BUFFERS, 0, 4);
        args[0] = b->index;
        if (b->storage) {
            args[1] = b->args[0];
            args[2] = b->args[1];
            args[3] = b->storage->id;
        }
    } else if (b->group >= VR_GROUP_IMAGE) {
        set_staged(w, b, VR_SET_SHADER_IMAGES, VR_GROUP_IMAGE, 4);
    } else if (b->group >= VR_GROUP_BUFFER) {
        set_staged(w, b, VR_SET_SHADER_BUFFERS, VR_GROUP_BUFFER, 2);
    } else {
        set_staged(w, b, VR_SET_UNIFORM_BUFFER, VR_GROUP_UNIFORM, 2);
    }
}
