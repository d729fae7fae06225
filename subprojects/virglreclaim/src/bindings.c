/* SPDX-License-Identifier: MIT */
/* Unbinding of storage in all contexts, by commands of the library's own. */

#include "instance.h"

#include <string.h>

/* Words in a stream; more than any of these commands takes. */
#define STREAM_WORDS 128

struct writer {
    struct virgl_reclaim *vr;
    struct vr_context *context;
    const struct vr_storage *storage;
    bool all;                   /* else what the renderer does not count */
    uint32_t words[STREAM_WORDS];
    uint32_t n;
};

static void flush(struct writer *w)
{
    if (virgl_renderer_submit_cmd(w->words, w->context->id, w->n)) {
        vr_references_set_error(w->vr, w->context);
    } else {
        vr_references_read(w->vr, w->context, w->words, w->n);
    }
    w->n = 0;
}

/* Append a command with @length arguments, all zero; returns these. */
static uint32_t *command(struct writer *w, uint32_t code, uint32_t length)
{
    uint32_t *args;

    if (w->n + 1 + length > STREAM_WORDS) {
        flush(w);
    }
    w->words[w->n] = vr_header(code, 0, length);
    args = &w->words[w->n + 1];
    memset(args, 0, length * sizeof(*args));
    w->n += 1 + length;
    return args;
}

/* Vertex buffers are set all at once: keep the others as they are. */
static void unbind_vertex_buffer(struct writer *w, const struct vr_sub *sub)
{
    uint32_t *args = command(w, VR_SET_VERTEX_BUFFERS, sub->n_vertex * 3);

    for (uint32_t i = 0; i < sub->n_vertex; i++, args += 3) {
        const struct vr_storage *bound = sub->slots[VR_SLOT_VERTEX + i];

        args[0] = sub->vertex[i].stride;
        args[1] = sub->vertex[i].offset;
        args[2] = bound && bound != w->storage ? bound->id : 0;
    }
}

static void unbind_staged(struct writer *w, uint32_t code, uint32_t slot,
                          uint32_t max, uint32_t length)
{
    uint32_t *args = command(w, code, length);

    args[0] = slot / max;
    args[1] = slot % max;
}

static void unbind_slot(struct writer *w, unsigned slot)
{
    if (slot >= VR_SLOT_ATOMIC) {
        command(w, VR_SET_ATOMIC_BUFFERS, 4)[0] = slot - VR_SLOT_ATOMIC;
    } else if (slot >= VR_SLOT_IMAGE) {
        unbind_staged(w, VR_SET_SHADER_IMAGES, slot - VR_SLOT_IMAGE,
                      VR_MAX_SHADER_IMAGES, 7);
    } else if (slot >= VR_SLOT_BUFFER) {
        unbind_staged(w, VR_SET_SHADER_BUFFERS, slot - VR_SLOT_BUFFER,
                      VR_MAX_SHADER_BUFFERS, 5);
    } else {
        unbind_staged(w, VR_SET_UNIFORM_BUFFER, slot - VR_SLOT_UNIFORM,
                      VR_MAX_UNIFORM_BUFFERS, 5);
    }
}

static bool is_bound(const struct writer *w, const struct vr_sub *sub,
                     unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        if (sub->slots[i] == w->storage) {
            return true;
        }
    }
    return false;
}

static void unbind_sub(struct writer *w, const struct vr_sub *sub)
{
    bool vertex = w->all && is_bound(w, sub, VR_SLOT_VERTEX, VR_SLOT_COLOR);
    bool index = w->all && sub->slots[VR_SLOT_INDEX] == w->storage;

    if (!vertex && !index &&
        !is_bound(w, sub, VR_SLOT_UNIFORM, VR_SLOT_VERTEX)) {
        return;
    }
    command(w, VR_SET_SUB_CTX, 1)[0] = sub->id;
    for (unsigned i = VR_SLOT_UNIFORM; i < VR_SLOT_VERTEX; i++) {
        if (sub->slots[i] == w->storage) {
            unbind_slot(w, i);
        }
    }
    if (vertex) {
        unbind_vertex_buffer(w, sub);
    }
    if (index) {
        command(w, VR_SET_INDEX_BUFFER, 1);
    }
}

static void unbind_ctx(struct writer *w)
{
    struct vr_references *refs = &w->context->references;
    uint32_t pos = 0, current = refs->current->id;
    const struct vr_entry *entry;

    while ((entry = vr_table_next(&refs->subs, &pos))) {
        unbind_sub(w, entry->value);
    }
    if (w->n) {
        command(w, VR_SET_SUB_CTX, 1)[0] = current;
        flush(w);
    }
}

void vr_bindings_unbind(struct virgl_reclaim *vr, struct vr_storage *storage,
                        bool all)
{
    struct writer w = { .vr = vr, .storage = storage, .all = all };
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while (storage->references &&
           (entry = vr_table_next(&vr->contexts, &pos))) {
        w.context = entry->value;
        if (!w.context->references.in_error) {
            unbind_ctx(&w);
        }
    }
}
