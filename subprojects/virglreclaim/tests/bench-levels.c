/* SPDX-License-Identifier: MIT */
/*
 * Benchmark of zstd's levels on contents like those of a desktop's resources:
 * ratio and processor time. Prints a table in Markdown.
 */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <zstd.h>

enum { WIDTH = 2048, HEIGHT = 2048, SIZE = WIDTH * HEIGHT * 4 };

static uint32_t state = 1;

static uint32_t noise(void)
{
    state = state * 1664525 + 1013904223;
    return state >> 16;
}

/* Windows: flat areas, frames, and lines of small dark marks. */
static void draw_windows(uint8_t *data)
{
    uint32_t *pixel = (uint32_t *)data;

    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            bool frame = x % 683 < 2 || y % 512 < 24;
            bool text = y % 16 < 11 && x % 683 > 20 && x % 683 < 500 + y % 160;
            uint32_t white = 0xfff8f8f8;

            if (frame) {
                pixel[y * WIDTH + x] = 0xff3c5a8c;
            } else if (text && noise() % 5 == 0) {
                pixel[y * WIDTH + x] = white - 0x010101 * (noise() % 200);
            } else {
                pixel[y * WIDTH + x] = white;
            }
        }
    }
}

/* A photograph: smooth gradients, and sensor noise in the low bits. */
static void draw_photograph(uint8_t *data)
{
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *p = data + (y * WIDTH + x) * 4;

            p[0] = (x / 9 + y / 23) + noise() % 4;
            p[1] = (x / 17 + y / 11) + noise() % 4;
            p[2] = (x / 13 + 80) + noise() % 4;
            p[3] = 255;
        }
    }
}

/* Vertices of a terrain: positions and normals in floats. */
static void make_vertices(uint8_t *data)
{
    float *v = (float *)data, height = 0;

    for (int i = 0; i < SIZE / 32; i++) {
        height += ((int)(noise() % 64) - 32) / 1024.0;
        *v++ = i % 1024;
        *v++ = height;
        *v++ = i / 1024;
        *v++ = 0;
        *v++ = 1;
        *v++ = 0;
        *v++ = (i % 1024) / 1024.0;
        *v++ = (i / 1024) / 512.0;
    }
}

/* A depth buffer: planes under perspective, 24 bits and a stencil of 0. */
static void draw_depth(uint8_t *data)
{
    uint32_t *pixel = (uint32_t *)data;

    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            double z = y < HEIGHT / 2 ? 1.0 : 1.0 - 0.1 / (y - HEIGHT / 2 + 1);

            if (x / 256 % 3 == 1 && y > 300) {
                z = 0.9 + x % 256 / 10000.0;
            }
            pixel[y * WIDTH + x] = (uint32_t)(z * 0xffffff) << 8;
        }
    }
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void measure(const char *what, void (*make)(uint8_t *))
{
    static const int levels[] = { -5, -1, 1, 2, 3, 5, 9 };
    size_t bound = ZSTD_compressBound(SIZE);
    g_autofree uint8_t *data = g_malloc(SIZE), *out = g_malloc0(bound);
    g_autofree uint8_t *again = g_malloc0(SIZE);

    make(data);
    for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
        double start = seconds(), packed, unpacked;
        size_t size = ZSTD_compress(out, bound, data, SIZE, levels[i]);

        packed = seconds();
        g_assert_cmpuint(ZSTD_decompress(again, SIZE, out, size), ==, SIZE);
        unpacked = seconds();
        g_assert_cmpmem(data, SIZE, again, SIZE);
        printf("| %s | %d | %.1f %% | %.0f | %.0f |\n", what, levels[i],
               100.0 * size / SIZE, SIZE / 1048576.0 / (packed - start),
               SIZE / 1048576.0 / (unpacked - packed));
        fflush(stdout);
    }
}

int main(void)
{
    printf("| contents | level | left | MiB/s in | MiB/s out |\n"
           "|---|---|---|---|---|\n");
    measure("windows and text", draw_windows);
    measure("photograph", draw_photograph);
    measure("vertices", make_vertices);
    measure("depth", draw_depth);
    return 0;
}
