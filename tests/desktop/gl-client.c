/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Usage: gl-client [--textures N|--buffers N] [--mib N] [--random]
 *
 * A client of OpenGL ES 3 that verifies every pixel it draws: textures in use by
 * an unmodified Mesa, for the tests of guests with a desktop. Texels are hashes
 * of texture, generation and position. A frame draws a tile of each texture to a
 * small target and reads that back; one tile in eight is rewritten before.
 *
 *   --textures N  how many (default: 30)
 *   --buffers N   the same of buffers: a frame copies a tile of each
 *   --mib N       size of each in MiB (default: 4)
 *   --random      texels that do not compress
 *
 * It does what the lines on its standard input say, and answers each with a
 * line of totals: 'frames=N differ=N pixels=N wrong=N errors=N us=N', where
 * differ are the frames with a wrong pixel, and us is the time that drawing
 * took.
 *
 *   draw N   draw N frames
 *   go       draw frames until the next line
 *   stop     do not draw
 *   upload   rewrite every texture as a whole
 *   verify   draw every tile of every texture
 *
 * Details of the first few wrong pixels go to standard error. Ends with its
 * standard input; the exit status is not 0 if the GPU could not be used.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES3/gl3.h>
#include <gbm.h>

#define RENDER_NODE "/dev/dri/renderD128"

/* Textures are WIDTH pixels wide, so that a MiB has MIB_ROWS rows. */
#define WIDTH       1024
#define MIB_ROWS    256
#define PIXEL_BYTES 4

/* The edge of a tile, and tiles in a row of a texture and of the target. */
#define TILE        32
#define TILES       (WIDTH / TILE)
#define SLOTS       8

#define REWRITE_ONE_IN 8
#define SHOWN_WRONG 5

#define TILE_BYTES  (TILE * TILE * PIXEL_BYTES)

/* Odd, hence invertible modulo 2^32. */
#define SPREAD      0x9e3779b1u

typedef struct Texture {
    GLuint name;
    uint32_t *generations;  /* of its tiles, by rows */
} Texture;

typedef struct Totals {
    unsigned long frames;
    unsigned long differ;   /* frames */
    unsigned long pixels;
    unsigned long wrong;
    unsigned long errors;   /* GL */
    unsigned long us;
} Totals;

static unsigned texture_count = 30;
static unsigned texture_mib = 4;
static bool incompressible;
static bool use_buffers;    /* in place of textures */

static Texture *textures;
static unsigned rows;       /* of a texture, in tiles */
static uint32_t generation;
static uint32_t *pixels;    /* of the target */
static GLint from_uniform;
static Totals totals;

static void fail(const char *what)
{
    fprintf(stderr, "gl-client: %s failed (EGL 0x%x, errno %d: %s)\n", what,
            eglGetError(), errno, strerror(errno));
    exit(EXIT_FAILURE);
}

/* A sequence of random numbers that is the same in each run. */
static uint32_t next_random(void)
{
    static uint32_t state = 1;

    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static uint32_t spread(uint32_t value)
{
    value = (value ^ value >> 15) * SPREAD;
    value = (value ^ value >> 13) * SPREAD;
    return value ^ value >> 16;
}

/*
 * The texel at @x, @y of the texture with number @index. Those that compress
 * are equal in blocks of 8 by 4.
 */
static uint32_t texel(unsigned index, uint32_t of_generation, unsigned x,
                      unsigned y)
{
    uint32_t key = spread(index * SPREAD + of_generation);

    if (!incompressible) {
        x /= 8;
        y /= 4;
    }
    return spread(key + (y << 16 | x));
}

/* Where the tile at @column, @row is in a buffer. */
static size_t tile_offset(unsigned column, unsigned row)
{
    return (size_t)(row * TILES + column) * TILE_BYTES;
}

/* Write the texels of the tile at @column, @row to @to, of @stride texels. */
static void fill_tile(unsigned index, uint32_t of_generation, unsigned column,
                      unsigned row, uint32_t *to, size_t stride)
{
    unsigned x, y;

    for (y = 0; y < TILE; y++) {
        for (x = 0; x < TILE; x++) {
            to[y * stride + x] = texel(index, of_generation,
                                       column * TILE + x, row * TILE + y);
        }
    }
}

static void rewrite_tile(unsigned index, unsigned column, unsigned row)
{
    static uint32_t tile[TILE * TILE];

    generation++;
    textures[index].generations[row * TILES + column] = generation;
    fill_tile(index, generation, column, row, tile, TILE);
    if (use_buffers) {
        glBindBuffer(GL_COPY_READ_BUFFER, textures[index].name);
        glBufferSubData(GL_COPY_READ_BUFFER, tile_offset(column, row),
                        TILE_BYTES, tile);
        return;
    }
    glBindTexture(GL_TEXTURE_2D, textures[index].name);
    glTexSubImage2D(GL_TEXTURE_2D, 0, column * TILE, row * TILE, TILE, TILE,
                    GL_RGBA, GL_UNSIGNED_BYTE, tile);
}

static void rewrite_texture(unsigned index)
{
    static uint32_t *whole;
    unsigned column, row;

    if (!whole) {
        whole = malloc((size_t)rows * TILE * WIDTH * PIXEL_BYTES);
        if (!whole) {
            fail("allocating memory");
        }
    }
    generation++;
    for (row = 0; row < rows; row++) {
        for (column = 0; column < TILES; column++) {
            size_t offset = use_buffers ? tile_offset(column, row) / PIXEL_BYTES
                            : (size_t)row * TILE * WIDTH + column * TILE;

            textures[index].generations[row * TILES + column] = generation;
            fill_tile(index, generation, column, row, whole + offset,
                      use_buffers ? TILE : WIDTH);
        }
    }
    if (use_buffers) {
        glBindBuffer(GL_COPY_READ_BUFFER, textures[index].name);
        glBufferSubData(GL_COPY_READ_BUFFER, 0, tile_offset(0, rows), whole);
        return;
    }
    glBindTexture(GL_TEXTURE_2D, textures[index].name);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, WIDTH, rows * TILE, GL_RGBA,
                    GL_UNSIGNED_BYTE, whole);
}

static void check_pixel(unsigned index, unsigned x, unsigned y, uint32_t wanted,
                        uint32_t found)
{
    totals.pixels++;
    if (found == wanted) {
        return;
    }
    if (totals.wrong++ < SHOWN_WRONG) {
        fprintf(stderr, "gl-client: frame %lu, texture %u, %u,%u: %08x for "
                "%08x\n", totals.frames, index, x, y, found, wanted);
    }
}

/* A tile of a texture that is drawn in a slot of the target. */
typedef struct Draw {
    unsigned index, column, row;
} Draw;

static void draw_tile(unsigned slot, Draw draw)
{
    int x = slot % SLOTS * TILE, y = slot / SLOTS * TILE;

    if (use_buffers) {
        glBindBuffer(GL_COPY_READ_BUFFER, textures[draw.index].name);
        glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER,
                            tile_offset(draw.column, draw.row),
                            tile_offset(slot, 0), TILE_BYTES);
        return;
    }
    glViewport(x, y, TILE, TILE);
    glUniform2i(from_uniform, (int)draw.column * TILE - x,
                (int)draw.row * TILE - y);
    glBindTexture(GL_TEXTURE_2D, textures[draw.index].name);
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
}

static void check_tile(unsigned slot, Draw draw)
{
    uint32_t wanted[TILE * TILE];
    const uint32_t *found = use_buffers ? pixels + slot * TILE * TILE
        : pixels + slot / SLOTS * TILE * SLOTS * TILE + slot % SLOTS * TILE;
    size_t stride = use_buffers ? TILE : SLOTS * TILE;
    uint32_t of = textures[draw.index].generations[draw.row * TILES +
                                                   draw.column];
    unsigned x, y;

    fill_tile(draw.index, of, draw.column, draw.row, wanted, TILE);
    for (y = 0; y < TILE; y++) {
        for (x = 0; x < TILE; x++) {
            check_pixel(draw.index, draw.column * TILE + x, draw.row * TILE + y,
                        wanted[y * TILE + x], found[y * stride + x]);
        }
    }
}

static unsigned slot_rows(void)
{
    return (texture_count + SLOTS - 1) / SLOTS;
}

static size_t target_bytes(void)
{
    return (size_t)slot_rows() * SLOTS * TILE_BYTES;
}

/* Read the target to pixels, which keeps nothing of the frame before. */
static void read_target(void)
{
    memset(pixels, 0, target_bytes());
    if (use_buffers) {
        const void *from = glMapBufferRange(GL_COPY_WRITE_BUFFER, 0,
                                            target_bytes(), GL_MAP_READ_BIT);

        if (from) {
            memcpy(pixels, from, target_bytes());
        }
        glUnmapBuffer(GL_COPY_WRITE_BUFFER);
        return;
    }
    glReadPixels(0, 0, SLOTS * TILE, slot_rows() * TILE, GL_RGBA,
                 GL_UNSIGNED_BYTE, pixels);
}

/* Draw a frame of @count tiles, at most one for each texture, and verify it. */
static void draw_frame(const Draw *draws, unsigned count)
{
    unsigned long wrong = totals.wrong;
    unsigned i;

    for (i = 0; i < count; i++) {
        draw_tile(i, draws[i]);
    }
    read_target();
    for (i = 0; i < count; i++) {
        check_tile(i, draws[i]);
    }
    while (glGetError() != GL_NO_ERROR) {
        totals.errors++;
    }
    totals.frames++;
    totals.differ += totals.wrong > wrong;
}

static void draw_random_frame(void)
{
    Draw draws[texture_count];
    unsigned i;

    for (i = 0; i < texture_count; i++) {
        draws[i] = (Draw) { i, next_random() % TILES, next_random() % rows };
        if (next_random() % REWRITE_ONE_IN == 0) {
            rewrite_tile(i, draws[i].column, draws[i].row);
        }
    }
    draw_frame(draws, texture_count);
}

static void verify(void)
{
    Draw draws[texture_count];
    unsigned i, column, row;

    for (row = 0; row < rows; row++) {
        for (column = 0; column < TILES; column++) {
            for (i = 0; i < texture_count; i++) {
                draws[i] = (Draw) { i, column, row };
            }
            draw_frame(draws, texture_count);
        }
    }
}

static unsigned long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ul + now.tv_nsec / 1000;
}

/*
 * Setup
 */

static void open_gpu(void)
{
    static const EGLint attributes[] = {
        EGL_CONTEXT_MAJOR_VERSION, 3, EGL_NONE
    };
    int fd = open(RENDER_NODE, O_RDWR | O_CLOEXEC);
    struct gbm_device *gbm = fd < 0 ? NULL : gbm_create_device(fd);
    EGLDisplay display;
    EGLContext context;

    if (!gbm) {
        fail("opening " RENDER_NODE);
    }
    display = eglGetPlatformDisplay(EGL_PLATFORM_GBM_KHR, gbm, NULL);
    if (!display || !eglInitialize(display, NULL, NULL)) {
        fail("eglInitialize");
    }
    eglBindAPI(EGL_OPENGL_ES_API);
    context = eglCreateContext(display, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT,
                               attributes);
    if (!context ||
        !eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context)) {
        fail("eglCreateContext");
    }
    fprintf(stderr, "gl-client: %s, %s\n", glGetString(GL_RENDERER),
            glGetString(GL_VERSION));
}

static GLuint compile(GLenum type, const char *source)
{
    GLuint shader = glCreateShader(type);
    GLint ok;

    glShaderSource(shader, 1, &source, NULL);
    glCompileShader(shader);
    glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
    if (!ok) {
        fail("compiling a shader");
    }
    return shader;
}

static void make_program(void)
{
    static const char vertex[] =
        "#version 300 es\n"
        "void main()\n"
        "{\n"
        "    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);\n"
        "    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);\n"
        "}\n";
    static const char fragment[] =
        "#version 300 es\n"
        "precision highp float;\n"
        "precision highp int;\n"
        "uniform highp sampler2D image;\n"
        "uniform ivec2 from;\n"
        "out vec4 color;\n"
        "void main()\n"
        "{\n"
        "    color = texelFetch(image, ivec2(gl_FragCoord.xy) + from, 0);\n"
        "}\n";
    GLuint program = glCreateProgram();
    GLint ok;

    glAttachShader(program, compile(GL_VERTEX_SHADER, vertex));
    glAttachShader(program, compile(GL_FRAGMENT_SHADER, fragment));
    glLinkProgram(program);
    glGetProgramiv(program, GL_LINK_STATUS, &ok);
    if (!ok) {
        fail("linking the program");
    }
    glUseProgram(program);
    from_uniform = glGetUniformLocation(program, "from");
}

static void make_target(void)
{
    GLuint target, framebuffer;

    pixels = malloc(target_bytes());
    if (!pixels) {
        fail("allocating memory");
    }
    if (use_buffers) {
        glGenBuffers(1, &target);
        glBindBuffer(GL_COPY_WRITE_BUFFER, target);
        glBufferData(GL_COPY_WRITE_BUFFER, target_bytes(), NULL,
                     GL_STREAM_READ);
        return;
    }
    glGenRenderbuffers(1, &target);
    glBindRenderbuffer(GL_RENDERBUFFER, target);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, SLOTS * TILE,
                          slot_rows() * TILE);
    glGenFramebuffers(1, &framebuffer);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                              GL_RENDERBUFFER, target);
    if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE) {
        fail("making the target");
    }
}

/* Without contents. */
static void make_storage(Texture *texture)
{
    if (use_buffers) {
        glGenBuffers(1, &texture->name);
        glBindBuffer(GL_COPY_READ_BUFFER, texture->name);
        glBufferData(GL_COPY_READ_BUFFER, tile_offset(0, rows), NULL,
                     GL_STATIC_DRAW);
        return;
    }
    glGenTextures(1, &texture->name);
    glBindTexture(GL_TEXTURE_2D, texture->name);
    glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, WIDTH, rows * TILE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
}

static void make_textures(void)
{
    unsigned i;

    rows = texture_mib * MIB_ROWS / TILE;
    textures = calloc(texture_count, sizeof(*textures));
    if (!textures) {
        fail("allocating memory");
    }
    for (i = 0; i < texture_count; i++) {
        textures[i].generations = calloc((size_t)rows * TILES,
                                         sizeof(*textures[i].generations));
        if (!textures[i].generations) {
            fail("allocating memory");
        }
        make_storage(&textures[i]);
        rewrite_texture(i);
    }
    if (glGetError() != GL_NO_ERROR) {
        fail("making the textures");
    }
}

/*
 * Commands
 */

static void draw_timed(void (*draw)(void))
{
    unsigned long start = now_us();

    draw();
    totals.us += now_us() - start;
}

/* Do what @line says. Returns whether to draw frames until the next line. */
static bool obey(const char *line)
{
    unsigned long frames = 0;
    unsigned i;

    if (sscanf(line, "draw %lu", &frames) == 1) {
        while (frames--) {
            draw_timed(draw_random_frame);
        }
    } else if (!strcmp(line, "upload")) {
        for (i = 0; i < texture_count; i++) {
            rewrite_texture(i);
        }
        glFinish();
    } else if (!strcmp(line, "verify")) {
        draw_timed(verify);
    } else if (strcmp(line, "go") && strcmp(line, "stop")) {
        printf("unknown command %s\n", line);
        return false;
    }
    printf("frames=%lu differ=%lu pixels=%lu wrong=%lu errors=%lu us=%lu\n",
           totals.frames, totals.differ, totals.pixels, totals.wrong,
           totals.errors, totals.us);
    return !strcmp(line, "go");
}

/* Whether there is a line to read, at once or, if @wait, at some time. */
static bool line_waits(bool wait)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&input, 1, wait ? -1 : 0) == 1;
}

static unsigned number(const char *text)
{
    unsigned value;
    char rest;

    if (sscanf(text, "%u%c", &value, &rest) != 1 || value < 1 || value > 4096) {
        fprintf(stderr, "gl-client: '%s' is not a number from 1 to 4096\n",
                text);
        exit(EXIT_FAILURE);
    }
    return value;
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        { "textures", required_argument, NULL, 't' },
        { "buffers", required_argument, NULL, 'b' },
        { "mib", required_argument, NULL, 'm' },
        { "random", no_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { }
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 'b':
        case 't':
            texture_count = number(optarg);
            use_buffers = option == 'b';
            break;
        case 'm':
            texture_mib = number(optarg);
            break;
        case 'r':
            incompressible = true;
            break;
        default:
            fputs("Usage: gl-client [--textures N|--buffers N] [--mib N] "
                  "[--random]\n", option == 'h' ? stdout : stderr);
            exit(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
}

int main(int argc, char **argv)
{
    char line[128];
    bool drawing = false;

    parse(argc, argv);
    setlinebuf(stdout);
    /* No line is left in a buffer that poll() does not know of. */
    setvbuf(stdin, NULL, _IONBF, 0);
    open_gpu();
    make_program();
    make_target();
    make_textures();
    glFinish();
    for (;;) {
        if (!line_waits(!drawing)) {
            draw_timed(draw_random_frame);
        } else if (fgets(line, sizeof(line), stdin)) {
            line[strcspn(line, "\n")] = '\0';
            drawing = obey(line);
        } else {
            return EXIT_SUCCESS;
        }
    }
}
