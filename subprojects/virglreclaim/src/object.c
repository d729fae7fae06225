/* SPDX-License-Identifier: MIT */
/* Objects of sub-contexts that refer to a resource. */

#include "deferred.h"
#include "resource.h"

#include <string.h>

static void link_object(struct vr_object *object, struct vr_resource *res)
{
    object->res = res;
    object->next = res->objects;
    object->link = &res->objects;
    if (object->next) {
        object->next->link = &object->next;
    }
    res->objects = object;
}

static void unlink_object(struct vr_object *object)
{
    if (object->link) {
        *object->link = object->next;
        if (object->next) {
            object->next->link = object->link;
        }
        object->next = NULL;
        object->link = NULL;
    }
    object->res = NULL;
}

struct vr_object *vr_object_new(struct virgl_reclaim *vr, struct vr_sub *sub,
                                const struct vr_command *cmd,
                                struct vr_resource *res)
{
    struct vr_object *object = vr_pool_alloc0(&vr->object_pool);

    if (!object) {
        return NULL;
    }
    object->sub = sub;
    object->handle = cmd->args[0];
    object->type = cmd->type == VR_OBJECT_MSAA_SURFACE ? VR_OBJECT_SURFACE :
                   cmd->type;
    object->header = vr_header(cmd->code, cmd->type, cmd->length);
    memcpy(object->args, cmd->args, cmd->length * sizeof(*cmd->args));
    if (!vr_table_insert(&sub->objects, object->handle, object)) {
        vr_pool_free(&vr->object_pool, object);
        return NULL;
    }
    link_object(object, res);
    object->storage = vr_storage_get(res->storage);
    object->bytes = vr_object_bytes(cmd);
    vr->object_bytes += object->bytes;
    return object;
}

bool vr_object_add_other(struct virgl_reclaim *vr, struct vr_sub *sub,
                         const struct vr_command *cmd)
{
    uint64_t bytes = vr_object_bytes(cmd);

    if (!vr_table_insert(&sub->others, cmd->args[0], (void *)bytes)) {
        return false;
    }
    vr->object_bytes += bytes;
    return true;
}

void vr_objects_forget_others(struct virgl_reclaim *vr, struct vr_sub *sub)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&sub->others, &pos))) {
        vr->object_bytes -= (uintptr_t)entry->value;
    }
    vr_table_clear(&sub->others);
}

void vr_object_release(struct virgl_reclaim *vr, struct vr_object *object)
{
    struct vr_storage *storage = object->storage;
    struct vr_resource *res = object->res;

    if (object->handle || object->bindings) {
        return;
    }
    vr->object_bytes -= object->bytes;
    unlink_object(object);
    vr_pool_free(&vr->object_pool, object);
    vr_storage_put(vr, storage);
    if (res) {
        vr_resource_object_gone(vr, res);
    }
}

/* Of those that a command can name. */
static void count_absent(const struct vr_object *object, int n)
{
    if (object->handle) {
        object->sub->absent_handles[object->handle % VR_ABSENT_HANDLES] += n;
    }
}

void vr_object_destroy(struct virgl_reclaim *vr, struct vr_sub *sub,
                       uint32_t handle)
{
    struct vr_object *object = vr_table_remove(&sub->objects, handle);

    vr->object_bytes -= (uintptr_t)vr_table_remove(&sub->others, handle);
    if (object) {
        count_absent(object, -!object->storage);
        object->handle = 0;
        vr_object_release(vr, object);
    }
}

void vr_object_set_storage(struct virgl_reclaim *vr, struct vr_object *object,
                           struct vr_storage *storage)
{
    struct vr_storage *old = object->storage;

    count_absent(object, !storage - !old);
    object->storage = vr_storage_get(storage);
    vr_storage_put(vr, old);
}

void vr_objects_orphan(struct vr_resource *res)
{
    while (res->objects) {
        unlink_object(res->objects);
    }
}
