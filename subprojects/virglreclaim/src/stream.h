/* SPDX-License-Identifier: MIT */
/*
 * Command streams of SUBMIT_3D: 32-bit words in host order. A command is a
 * header (code in bits 0 to 7, object type in 8 to 15, number of argument words
 * in 16 to 31) and its arguments. The numbers are those of virglrenderer 1.3,
 * src/virgl_protocol.h, which is not installed.
 */

#ifndef VIRGLRECLAIM_STREAM_H
#define VIRGLRECLAIM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Commands that are tracked or validated. */
enum vr_code {
    VR_CREATE_OBJECT = 1,
    VR_DESTROY_OBJECT = 3,
    VR_SET_FRAMEBUFFER_STATE = 5,
    VR_SET_VERTEX_BUFFERS = 6,
    VR_CLEAR = 7,
    VR_DRAW_VBO = 8,
    VR_RESOURCE_INLINE_WRITE = 9,
    VR_SET_SAMPLER_VIEWS = 10,
    VR_SET_INDEX_BUFFER = 11,
    VR_BLIT = 16,
    VR_RESOURCE_COPY_REGION = 17,
    VR_SET_STREAMOUT_TARGETS = 25,
    VR_SET_UNIFORM_BUFFER = 27,
    VR_SET_SUB_CTX = 28,
    VR_CREATE_SUB_CTX = 29,
    VR_DESTROY_SUB_CTX = 30,
    VR_SET_MIN_SAMPLES = 33,
    VR_SET_SHADER_BUFFERS = 34,
    VR_SET_SHADER_IMAGES = 35,
    VR_LAUNCH_GRID = 37,
    VR_SET_ATOMIC_BUFFERS = 40,
    VR_GET_QUERY_RESULT_QBO = 42,
    VR_TRANSFER3D = 43,
    VR_COPY_TRANSFER3D = 45,
    VR_CLEAR_TEXTURE = 47,
    VR_PIPE_RESOURCE_CREATE = 48,
    VR_GET_MEMORY_INFO = 50,
    VR_CREATE_VIDEO_BUFFER = 55,
    VR_UNKNOWN_CODES = 62,      /* the first of those that are unknown here */
};

/* Arguments of an indirect draw that name buffers; no others follow the first. */
enum { VR_DRAW_INDIRECT = 14, VR_DRAW_INDIRECT_COUNT = 19 };

enum vr_object_type {
    VR_OBJECT_SHADER = 4,
    VR_OBJECT_VERTEX_ELEMENTS = 5,
    VR_OBJECT_SAMPLER_VIEW = 6,
    VR_OBJECT_SAMPLER_STATE = 7,
    VR_OBJECT_SURFACE = 8,
    VR_OBJECT_QUERY = 9,
    VR_OBJECT_STREAMOUT_TARGET = 10,
    VR_OBJECT_MSAA_SURFACE = 11,
};

/* Limits of the renderer. */
enum {
    VR_STAGES = 6,              /* shader stages */
    VR_MAX_VIEWS = 128,         /* per stage, as the next three */
    VR_USED_VIEWS = 32,         /* those that a draw binds */
    VR_MAX_UNIFORM_BUFFERS = 32,
    VR_MAX_SHADER_BUFFERS = 32,
    VR_MAX_SHADER_IMAGES = 32,
    VR_MAX_ATOMIC_BUFFERS = 32,
    VR_MAX_VERTEX_BUFFERS = 32,
    VR_MAX_COLOR_SURFACES = 8,
};

struct vr_command {
    uint8_t code;
    uint8_t type;               /* object type */
    uint16_t length;            /* words in args */
    const uint32_t *args;
};

struct vr_stream {
    const uint32_t *next;
    size_t left;                /* words */
};

struct virgl_reclaim;
struct vr_context;

/*
 * Commands of a stream, found in one pass over it: it is walked once, and what
 * was found is read before and after it is submitted. Those that a long stream
 * has more of are found again in its rest.
 */
#define VR_MAX_FOUND 256

struct vr_found {
    uint32_t n;
    const uint32_t *headers[VR_MAX_FOUND];
    struct vr_stream rest;      /* what follows them, or empty */
    uint64_t object_bytes;      /* vr_object_bytes() of all that are created */
};

struct vr_found_pos {
    uint32_t i;
    struct vr_stream rest;      /* at first that of struct vr_found */
};

#define VR_BIT(code) (1ull << (code))

/*
 * Find the commands in the @n words of a stream whose code is set in @codes, or
 * unknown. Returns -EINVAL if one would make the renderer access invalid memory or
 * leak some, -ENOSPC if there would be too many sub-contexts, -EDQUOT if objects
 * would take too much, else 0.
 */
int vr_stream_validate(const struct virgl_reclaim *vr,
                       const struct vr_context *context, const uint32_t *words,
                       size_t n, uint64_t codes, struct vr_found *found);

/* accounting.c: estimate what the object takes that a command creates. */
uint64_t vr_object_bytes(const struct vr_command *cmd);

/* Whether a code is one of @codes, or unknown. */
static inline bool vr_code_in(uint64_t codes, uint32_t code)
{
    return code >= VR_UNKNOWN_CODES || codes >> code & 1;
}

static inline uint32_t vr_header(uint32_t code, uint32_t type, uint32_t length)
{
    return code | type << 8 | length << 16;
}

/* The command with this header. */
static inline void vr_command_at(const uint32_t *header, struct vr_command *cmd)
{
    cmd->code = *header;
    cmd->type = *header >> 8;
    cmd->length = *header >> 16;
    cmd->args = header + 1;
}

/*
 * Advance to the next command whose code is set in @codes, or unknown.
 * Returns false at the end, and at a command that exceeds the stream, where
 * the renderer stops, too, without executing it.
 */
static inline bool vr_stream_next(struct vr_stream *s, uint64_t codes,
                                  struct vr_command *cmd)
{
    const uint32_t *at = s->next;
    size_t left = s->left;

    while (left) {
        uint32_t header = *at, length = header >> 16, code = header & 0xff;
        const uint32_t *args = at + 1;

        if (--left < length) {
            break;
        }
        left -= length;
        at = args + length;
        if (vr_code_in(codes, code)) {
            s->next = at;
            s->left = left;
            vr_command_at(args - 1, cmd);
            return true;
        }
    }
    return false;
}

/* The same with commands of @found, which were found with @codes among others. */
static inline bool vr_found_next(const struct vr_found *found,
                                 struct vr_found_pos *pos, uint64_t codes,
                                 struct vr_command *cmd)
{
    while (pos->i < found->n) {
        const uint32_t *header = found->headers[pos->i++];

        if (vr_code_in(codes, *header & 0xff)) {
            vr_command_at(header, cmd);
            return true;
        }
    }
    return vr_stream_next(&pos->rest, codes, cmd);
}

#endif
