/*
 * Fuzzer of the accounting and the validation of transfers in virglreclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compares them with the same computations in 128-bit integers.
 */

#include <assert.h>
#include <string.h>

#include "internal.h"

typedef unsigned __int128 Wide;

struct input {
    uint32_t args[10];
    uint8_t shift[16];
    uint32_t transfer[9];
    uint64_t offset, backing;
};

static Wide at_least_1(uint32_t value)
{
    return value ? value : 1;
}

static Wide divide_up(Wide a, Wide b)
{
    return (a + b - 1) / b;
}

static Wide layers(const vr_args *args, uint32_t level)
{
    switch (args->target) {
    case VR_TARGET_BUFFER:
    case VR_TARGET_1D:
        return 1;
    case VR_TARGET_3D:
        return at_least_1(args->depth >> level);
    case VR_TARGET_CUBE:
        return 6;
    default:
        return at_least_1(args->array_size);
    }
}

static bool flat(const vr_args *args)
{
    return args->target == VR_TARGET_BUFFER || args->target == VR_TARGET_1D ||
           args->target == VR_TARGET_1D_ARRAY;
}

/* 1, 4, 8, 16, ... */
static uint64_t stored_samples(uint32_t nr_samples)
{
    return !nr_samples ? 1 : nr_samples <= 4 ? 4 :
           1ull << (32 - __builtin_clz(nr_samples - 1));
}

static void check_bytes(const vr_args *args)
{
    struct vr_block block = vr_format_block(args->format);
    uint64_t bytes = virgl_reclaim_args_bytes(args);
    Wide samples = stored_samples(args->nr_samples), want = 0;

    assert(block.width && block.height && block.bytes);
    if (args->last_level >= 32) {
        assert(bytes == UINT64_MAX);
        return;
    }
    if (args->target == VR_TARGET_BUFFER && args->bind == VR_BIND_STAGING) {
        assert(bytes == 0);
        return;
    }
    for (uint32_t i = 0; i <= args->last_level; i++) {
        Wide w = at_least_1(args->width >> i);
        Wide h = flat(args) ? 1 : at_least_1(args->height >> i);
        Wide one = args->target == VR_TARGET_BUFFER ? args->width :
            divide_up(w, block.width) * divide_up(h, block.height) *
            block.bytes;

        /* The factors have at most 35 + 35 + 8 bits: no overflow in 128. */
        want += one * layers(args, i) * samples;
        if (want > UINT64_MAX) {
            want = UINT64_MAX;
        }
    }
    assert(bytes == (uint64_t)want);
}

/* A valid transfer stays within backing and level. */
static void check_transfer(const vr_args *args, uint64_t backing,
                           const struct virgl_reclaim_transfer *t)
{
    struct vr_block block = { 1, 1, 1 };
    Wide row, rows, stride, layer_stride;

    if (vr_transfer_validate(args, backing, t) != 0) {
        return;
    }
    assert(t->level <= args->last_level);
    if (args->target != VR_TARGET_BUFFER && vr_format_known(args->format)) {
        block = vr_format_block(args->format);
    }
    assert((Wide)t->x + t->w <= (args->target == VR_TARGET_BUFFER ?
           args->width : at_least_1(args->width >> t->level)));
    assert((Wide)t->y + t->h <= (flat(args) ? 1 :
           at_least_1(args->height >> t->level)));
    assert((Wide)t->z + t->d <= layers(args, t->level));
    if (!t->w || !t->h || !t->d) {
        return;
    }
    row = divide_up(t->w, block.width) * block.bytes;
    rows = divide_up(t->h, block.height);
    stride = t->stride ? t->stride : row;
    layer_stride = t->layer_stride ? t->layer_stride : rows * stride;
    assert(t->offset + (t->d - 1) * layer_stride + (rows - 1) * stride + row <=
           backing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { 0 };

    memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
    /* Generate small numbers as often as large ones. */
    for (int i = 0; i < 9; i++) {
        in.args[i] >>= in.shift[i] % 32;
        in.transfer[i] >>= (in.shift[i] / 32 * 5) % 32;
    }

    vr_args args = {
        .target = in.args[0], .format = in.args[1], .bind = in.args[2],
        .width = in.args[3], .height = in.args[4], .depth = in.args[5],
        .array_size = in.args[6], .last_level = in.args[7],
        .nr_samples = in.args[8], .flags = in.args[9],
    };
    struct virgl_reclaim_transfer t = {
        .level = in.transfer[0],
        .x = in.transfer[1], .y = in.transfer[2], .z = in.transfer[3],
        .w = in.transfer[4], .h = in.transfer[5], .d = in.transfer[6],
        .stride = in.transfer[7], .layer_stride = in.transfer[8],
        .offset = in.offset >> in.shift[10] % 64,
    };

    check_bytes(&args);
    if (args.last_level < 32) {
        check_transfer(&args, in.backing >> in.shift[11] % 64, &t);
    }
    return 0;
}
