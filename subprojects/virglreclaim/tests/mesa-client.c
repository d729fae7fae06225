/* SPDX-License-Identifier: MIT */
/*
 * A program that draws with OpenGL, for test-mesa: run with Mesa's virpipe
 * driver, and the renderer at the other end of its standard input. It prints a
 * hash of everything that it reads back.
 *
 * mesa-client idle|bound|memory
 *
 *   idle    many types of textures and buffers, each with submissions between
 *           its uses
 *   bound   textures and buffers that stay bound, in use, over submissions
 *   memory  textures of 256 MiB in all, drawn to and sampled
 */

#include "mesa-client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SKIP 77                 /* as in test-mesa.c */

static EGLDisplay display;

/* Mesa's socket has a fixed path. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    (void)address;
    (void)length;
    return dup2(STDIN_FILENO, fd) < 0 ? -1 : 0;
}

void check(const char *what, bool ok)
{
    if (!ok) {
        g_printerr("mesa-client: %s does not work\n", what);
        exit(1);
    }
}

/* Output */

void tell(const char *what, const void *data, size_t size)
{
    g_autofree char *hash =
        g_compute_checksum_for_data(G_CHECKSUM_SHA1, data, size);

    check(what, glGetError() == GL_NO_ERROR);
    g_print("%s %s\n", what, hash);
}

void tell_pixels(const char *what)
{
    static float pixels[SIDE * SIDE * 4];

    memset(pixels, 0, sizeof(pixels));
    glReadPixels(0, 0, SIDE, SIDE, GL_RGBA, GL_FLOAT, pixels);
    tell(what, pixels, sizeof(pixels));
}

void fill(void *data, size_t size, uint32_t seed)
{
    uint8_t *byte = data;

    for (size_t i = 0; i < size; i++) {
        byte[i] = (i / 16 * (2 * seed + 1) + i % 4 * 37 + seed) & 0x7f;
    }
}

void submit(void)
{
    glFinish();
}

/* Programs */

GLuint compile(GLenum type, const char *source)
{
    GLuint shader = glCreateShader(type);
    GLint ok = 0;

    glShaderSource(shader, 1, &source, NULL);
    glCompileShader(shader);
    glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
    check(source, ok);
    return shader;
}

GLuint link_program(GLuint program)
{
    GLint ok = 0;

    glLinkProgram(program);
    glGetProgramiv(program, GL_LINK_STATUS, &ok);
    check("linking", ok);
    glUseProgram(program);
    return program;
}

static const char vertex_source[] =
    "#version 430\n"
    "layout(location = 0) in vec3 position;\n"
    "layout(std140) uniform Place { vec4 place; };\n"
    "out vec3 at;\n"
    "void main() {\n"
    "    at = position * place.w * 0.5 + 0.5;\n"
    "    gl_Position = vec4(position + place.xyz, 1.0);\n"
    "}\n";

static const char fragment_source[] =
    "#version 430\n"
    "%s"
    "in vec3 at;\n"
    "out vec4 color;\n"
    "void main() { color = %s; }\n";

GLuint make_program(const char *declarations, const char *color)
{
    g_autofree char *source =
        g_strdup_printf(fragment_source, declarations, color);
    GLuint program = glCreateProgram();

    glAttachShader(program, compile(GL_VERTEX_SHADER, vertex_source));
    glAttachShader(program, compile(GL_FRAGMENT_SHADER, source));
    return link_program(program);
}

/* Shapes: the buffers of each are idle while others are drawn. */

enum { CORNERS = 64 };

struct shape shapes[SHAPES];

/* A fan around the middle, nearer to the eye on one side. */
static void make_shape(struct shape *s, int seed)
{
    float corners[CORNERS * 3], place[4] = { seed * 0.1f, 0, 0, 1 };
    uint16_t indices[(CORNERS - 2) * 3];

    for (int i = 0; i < CORNERS; i++) {
        int x = i % 8, y = i / 8;

        corners[3 * i] = x / 3.5f - 1 + ((x * y + seed) % 3) * 0.05f;
        corners[3 * i + 1] = y / 3.5f - 1;
        corners[3 * i + 2] = (x + seed) % 8 / 8.0f - 0.5f;
    }
    for (int i = 0; i < CORNERS - 2; i++) {
        indices[3 * i] = i;
        indices[3 * i + 1] = (i * 5 + 1) % CORNERS;
        indices[3 * i + 2] = (i * 3 + 8) % CORNERS;
    }
    glGenBuffers(3, &s->vertices);
    glBindBuffer(GL_ARRAY_BUFFER, s->vertices);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corners), corners, GL_STATIC_DRAW);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, s->indices);
    glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(indices), indices,
                 GL_STATIC_DRAW);
    glBindBuffer(GL_UNIFORM_BUFFER, s->uniforms);
    glBufferData(GL_UNIFORM_BUFFER, sizeof(place), place, GL_DYNAMIC_DRAW);
}

void draw_shape(const struct shape *s)
{
    glBindBuffer(GL_ARRAY_BUFFER, s->vertices);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, s->indices);
    glBindBufferBase(GL_UNIFORM_BUFFER, 0, s->uniforms);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 3, GL_FLOAT, GL_FALSE, 0, NULL);
    glDrawElements(GL_TRIANGLES, (CORNERS - 2) * 3, GL_UNSIGNED_SHORT, NULL);
}

/* Targets */

struct target {
    const char *name;
    GLenum color, depth;
    GLuint texture, buffer, fbo;
};

static struct target targets[] = {
    { .name = "rgba8", GL_RGBA8, GL_DEPTH24_STENCIL8 },
    { .name = "srgb", GL_SRGB8_ALPHA8, GL_DEPTH_COMPONENT16 },
    { .name = "rgba16f", GL_RGBA16F, GL_DEPTH_COMPONENT32F },
    { .name = "rgba32f", GL_RGBA32F, GL_DEPTH32F_STENCIL8 },
    { .name = "rgb10a2", GL_RGB10_A2, GL_DEPTH_COMPONENT24 },
    { .name = "r11g11b10f", GL_R11F_G11F_B10F, GL_DEPTH_COMPONENT16 },
};

static GLuint make_texture(GLenum format)
{
    GLuint texture;

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexStorage2D(GL_TEXTURE_2D, 1, format, SIDE, SIDE);
    return texture;
}

static void make_target(struct target *t)
{
    t->texture = make_texture(t->color);
    t->buffer = make_texture(t->depth);
}

static bool has_stencil(const struct target *t)
{
    return t->depth == GL_DEPTH24_STENCIL8 || t->depth == GL_DEPTH32F_STENCIL8;
}

static void enter(struct target *t)
{
    glGenFramebuffers(1, &t->fbo);
    glBindFramebuffer(GL_FRAMEBUFFER, t->fbo);
    glFramebufferTexture(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, t->texture, 0);
    glFramebufferTexture(GL_FRAMEBUFFER, has_stencil(t) ?
                         GL_DEPTH_STENCIL_ATTACHMENT : GL_DEPTH_ATTACHMENT,
                         t->buffer, 0);
    check(t->name, glCheckFramebufferStatus(GL_FRAMEBUFFER) ==
          GL_FRAMEBUFFER_COMPLETE);
}

/* Surfaces are destroyed with the framebuffer, when another is bound. */
static void leave(struct target *t)
{
    glDeleteFramebuffers(1, &t->fbo);
}

/* In two passes, the second with the depth of the first. */
static void draw_targets(void)
{
    GLuint program = make_program("", "vec4(at, 0.7)");

    glEnable(GL_DEPTH_TEST);
    glEnable(GL_STENCIL_TEST);
    glStencilFunc(GL_ALWAYS, 1, 0xff);
    glStencilOp(GL_KEEP, GL_INCR, GL_INVERT);
    glClearStencil(3);
    for (int pass = 0; pass < SHAPES; pass++) {
        for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
            enter(&targets[i]);
            if (pass == 0) {
                glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT |
                        GL_STENCIL_BUFFER_BIT);
            }
            draw_shape(&shapes[(pass + i) % SHAPES]);
            leave(&targets[i]);
            submit();
        }
    }
    glDisable(GL_DEPTH_TEST);
    glDisable(GL_STENCIL_TEST);
    glDeleteProgram(program);
}

static void tell_targets(void)
{
    static uint8_t stencil[SIDE * SIDE];
    static float depth[SIDE * SIDE];

    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        enter(&targets[i]);
        tell_pixels(targets[i].name);
        glReadPixels(0, 0, SIDE, SIDE, GL_DEPTH_COMPONENT, GL_FLOAT, depth);
        tell("its depth", depth, sizeof(depth));
        if (has_stencil(&targets[i])) {
            glReadPixels(0, 0, SIDE, SIDE, GL_STENCIL_INDEX, GL_UNSIGNED_BYTE,
                         stencil);
            tell("its stencil", stencil, sizeof(stencil));
        }
        leave(&targets[i]);
        submit();
    }
}

/* Frames */

static GLuint frame_fbo;

GLuint begin_frame(void)
{
    GLuint color = make_texture(GL_RGBA8);

    glGenFramebuffers(1, &frame_fbo);
    glBindFramebuffer(GL_FRAMEBUFFER, frame_fbo);
    glFramebufferTexture(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, color, 0);
    glClear(GL_COLOR_BUFFER_BIT);
    return color;
}

void end_frame(const char *what, GLuint color)
{
    tell_pixels(what);
    glDeleteFramebuffers(1, &frame_fbo);
    glDeleteTextures(1, &color);
}

/* Multisampled textures are drawn to and resolved. */
static void draw_multisampled(void)
{
    GLuint program = make_program("", "vec4(at.zyx, 1.0)");
    GLuint buffer, fbo, frame;

    glGenRenderbuffers(1, &buffer);
    glBindRenderbuffer(GL_RENDERBUFFER, buffer);
    glRenderbufferStorageMultisample(GL_RENDERBUFFER, 4, GL_RGBA8, SIDE, SIDE);
    glGenFramebuffers(1, &fbo);
    glBindFramebuffer(GL_FRAMEBUFFER, fbo);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                              GL_RENDERBUFFER, buffer);
    glClear(GL_COLOR_BUFFER_BIT);
    draw_shape(&shapes[2]);
    submit();
    frame = begin_frame();
    glBindFramebuffer(GL_READ_FRAMEBUFFER, fbo);
    glBlitFramebuffer(0, 0, SIDE, SIDE, 0, 0, SIDE, SIDE, GL_COLOR_BUFFER_BIT,
                      GL_NEAREST);
    glBindFramebuffer(GL_FRAMEBUFFER, frame_fbo);
    end_frame("multisampled", frame);
    glDeleteFramebuffers(1, &fbo);
    glDeleteRenderbuffers(1, &buffer);
    glDeleteProgram(program);
}

/* Setup */

EGLContext create_context(EGLContext share)
{
    static const EGLint attributes[] = {
        EGL_CONTEXT_MAJOR_VERSION, 4,
        EGL_CONTEXT_MINOR_VERSION, 3,
        EGL_CONTEXT_OPENGL_PROFILE_MASK, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
        EGL_NONE,
    };
    EGLContext context = eglCreateContext(display, NULL, share, attributes);

    check("OpenGL 4.3", context);
    return context;
}

void make_current(EGLContext context)
{
    GLint array = 0;

    check("context", eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE,
                                    context));
    glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &array);
    if (!array) {
        GLuint name;

        glGenVertexArrays(1, &name);
        glBindVertexArray(name);
        glViewport(0, 0, SIDE, SIDE);
        glPixelStorei(GL_PACK_ALIGNMENT, 1);
        glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    }
}

static void begin(void)
{
    display = eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS_MESA,
                                       EGL_DEFAULT_DISPLAY, NULL);
    if (!eglInitialize(display, NULL, NULL)) {
        /* This Mesa has no virpipe. */
        exit(SKIP);
    }
    check("OpenGL", eglBindAPI(EGL_OPENGL_API));
    make_current(create_context(EGL_NO_CONTEXT));
    check("virgl", strstr((const char *)glGetString(GL_RENDERER), "virgl"));
    for (int i = 0; i < SHAPES; i++) {
        make_shape(&shapes[i], i);
    }
}

static void draw_idle(void)
{
    make_textures();
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        make_target(&targets[i]);
    }
    draw_targets();
    use_textures();
    use_buffers();
    draw_multisampled();
    tell_targets();
}

static void draw_bound(void)
{
    use_views();
    use_bindings();
}

int main(int argc, char **argv)
{
    const char *set = argc > 1 ? argv[1] : "";

    begin();
    if (!strcmp(set, "idle")) {
        draw_idle();
    } else if (!strcmp(set, "bound")) {
        draw_bound();
    } else if (!strcmp(set, "memory")) {
        use_memory();
    } else {
        g_printerr("usage: mesa-client idle|bound|memory\n");
        return 2;
    }
    return 0;
}
