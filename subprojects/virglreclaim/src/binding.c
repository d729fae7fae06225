/* SPDX-License-Identifier: MIT */
/* Binding points of sub-contexts, as the guest has set them. */

#include "deferred.h"

static uint32_t group_size(enum vr_group group)
{
    if (group < VR_GROUP_UNIFORM) {
        return VR_MAX_VIEWS;
    }
    if (group < VR_GROUP_BUFFER) {
        return VR_MAX_UNIFORM_BUFFERS;
    }
    if (group < VR_GROUP_IMAGE) {
        return VR_MAX_SHADER_BUFFERS;
    }
    if (group < VR_GROUP_ATOMIC) {
        return VR_MAX_SHADER_IMAGES;
    }
    switch (group) {
    case VR_GROUP_ATOMIC:
        return VR_MAX_ATOMIC_BUFFERS;
    case VR_GROUP_VERTEX:
        return VR_MAX_VERTEX_BUFFERS;
    case VR_GROUP_FRAMEBUFFER:
        return 1 + VR_MAX_COLOR_SURFACES;
    default:
        return 1;
    }
}

struct vr_bindings *vr_bindings_get(struct virgl_reclaim *vr,
                                    struct vr_sub *sub, enum vr_group group)
{
    struct vr_bindings *bindings = sub->groups[group];
    uint32_t size = group_size(group);

    if (bindings) {
        return bindings;
    }
    bindings = vr_alloc0(&vr->allocator, sizeof(*bindings) +
                                         size * sizeof(bindings->slots[0]));
    for (uint32_t i = 0; bindings && i < size; i++) {
        bindings->slots[i].sub = sub;
        bindings->slots[i].group = group;
        bindings->slots[i].index = i;
    }
    sub->groups[group] = bindings;
    return bindings;
}

static void link_binding(struct vr_binding *b, struct vr_binding **list)
{
    b->next = *list;
    b->link = list;
    if (b->next) {
        b->next->link = &b->next;
    }
    *list = b;
}

static void unlink_binding(struct vr_binding *b)
{
    if (b->link) {
        *b->link = b->next;
        if (b->next) {
            b->next->link = b->link;
        }
        b->next = NULL;
        b->link = NULL;
    }
}

void vr_binding_set_object(struct virgl_reclaim *vr, struct vr_binding *b,
                           struct vr_object *object)
{
    struct vr_object *old = b->object;

    if (old == object) {
        return;
    }
    unlink_binding(b);
    b->object = object;
    if (object) {
        link_binding(b, &object->bindings);
        object->last_set = ++vr->sequence;
    }
    if (old && !old->handle) {
        vr_object_release(vr, old);
    }
}

void vr_binding_set_storage(struct virgl_reclaim *vr, struct vr_binding *b,
                            struct vr_storage *storage)
{
    struct vr_storage *old = b->storage;

    if (old != storage) {
        b->storage = vr_storage_get(storage);
        vr_storage_put(vr, old);
    }
}

void vr_binding_set_resource(struct virgl_reclaim *vr, struct vr_binding *b,
                             struct vr_resource *res)
{
    if (b->res != res) {
        unlink_binding(b);
        b->res = res;
        if (res) {
            link_binding(b, &res->bindings);
        }
    }
    vr_binding_set_storage(vr, b, res ? res->storage : NULL);
}

void vr_bindings_orphan(struct vr_resource *res)
{
    while (res->bindings) {
        struct vr_binding *b = res->bindings;

        unlink_binding(b);
        b->res = NULL;
    }
}

void vr_bindings_free(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    for (unsigned g = 0; g < VR_GROUPS; g++) {
        struct vr_bindings *bindings = sub->groups[g];
        uint32_t size = bindings ? group_size(g) : 0;

        for (uint32_t i = 0; i < size; i++) {
            vr_binding_set_object(vr, &bindings->slots[i], NULL);
            vr_binding_set_resource(vr, &bindings->slots[i], NULL);
        }
        vr_free(&vr->allocator, bindings);
        sub->groups[g] = NULL;
    }
}
