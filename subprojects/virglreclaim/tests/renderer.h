/* SPDX-License-Identifier: MIT */
/* A real renderer for tests: surfaceless EGL, no window, no render node. */

#ifndef RENDERER_H
#define RENDERER_H

#include <glib.h>

#include "internal.h"

/* Protocol values that the renderer's installed header lacks. */
enum {
    FORMAT_BGRA8 = 1,
    FORMAT_BGRX8 = 2,
    FORMAT_Z16 = 16,
    FORMAT_Z32F = 18,
    FORMAT_S8Z24 = 20,
    FORMAT_S8 = 23,
    FORMAT_RGBA32F = 31,
    FORMAT_R8 = 64,
    FORMAT_RGBA8 = 67,
    FORMAT_RGBA16F = 94,
    FORMAT_BGRA8_SRGB = 100,
    FORMAT_RGBA8_SRGB = 104,
    FORMAT_DXT1 = 105,
    FORMAT_DXT5 = 108,
    FORMAT_RGTC2 = 115,
    FORMAT_Z32F_S8X24 = 126,
    FORMAT_RGBA8UI = 180,
    FORMAT_RGBA16I = 192,
    FORMAT_R32UI = 193,
    FORMAT_BPTC = 255,
};

/* Each test has an instance of its own and a renderer without resources. */
typedef struct Fixture {
    struct virgl_reclaim *vr;
} Fixture;

void fixture_set_up(Fixture *f, gconstpointer data);
void fixture_tear_down(Fixture *f, gconstpointer data);

#define add_test(path, function) \
    g_test_add(path, Fixture, NULL, fixture_set_up, function, \
               fixture_tear_down)

struct virgl_renderer_resource_create_args texture_args(uint32_t id,
                                                        uint32_t width,
                                                        uint32_t height);
struct virgl_renderer_resource_create_args buffer_args(uint32_t id,
                                                       uint32_t size);

/* Wait for a fence, and so until GL has drawn what @ctx has submitted. */
void wait_for_renderer(uint32_t ctx);

/* Transfer one layer of one level, in context ctx or 0 for none. */
int write_bytes(uint32_t id, uint32_t ctx, const void *data, size_t size,
                uint32_t width, uint32_t height);
int read_bytes(uint32_t id, uint32_t ctx, void *data, size_t size,
               uint32_t width, uint32_t height);

/* Transfer a whole layer of a level, packed, to or from data. */
void transfer_layer(bool write, uint32_t id, uint32_t i, uint32_t z,
                    const struct vr_level *level, void *data);

/* For each layer: fill it, or check it; returns whether all are zero. */
bool each_layer(const vr_args *args, bool write);

/* The name of the GL object of a resource, or 0. */
uint32_t gl_name(uint32_t id);

/* The number of GL textures, of those with names below 10000. */
unsigned count_textures(void);

/* A pattern without zeroes that differs for each seed. */
void fill(void *data, size_t size, uint32_t seed);

/* The same, compressible. */
void fill_small(uint8_t *data, size_t size, uint32_t seed);

/*
 * Create a buffer with that pattern, which can be compressed with GL and with
 * GLES; and check its contents.
 */
void make_small_buffer(Fixture *f, uint32_t id, uint32_t size);
void check_small_buffer(uint32_t id, uint32_t ctx, uint32_t size);

bool all_zero(const void *data, size_t size);

/* Limit the address space to room more bytes; 0: no limit. */
void limit_memory(size_t room);

/*
 * Memory in use, in bytes, for comparisons: RssAnon of this process, or with a
 * GPU the memory of the device.
 */
uint64_t memory_used(void);

/*
 * Skip the test and return false if freed memory does not leave the process, or
 * if the driver of a GPU does not report its use.
 */
bool memory_is_freed(void);
bool memory_is_seen(void);

#endif
