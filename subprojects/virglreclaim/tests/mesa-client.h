/* SPDX-License-Identifier: MIT */
/* Shared by the files of mesa-client. */

#ifndef MESA_CLIENT_H
#define MESA_CLIENT_H

#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SIDE 64

/* Exit with a message about @what if @ok is false. */
void check(const char *what, bool ok);

/* Print a line with a label and a hash of the data. */
void tell(const char *what, const void *data, size_t size);
/* The same for the pixels of the bound framebuffer. */
void tell_pixels(const char *what);

/* Compressible bytes that differ for each seed. */
void fill(void *data, size_t size, uint32_t seed);

/* Flush, and wait until the host has executed everything. */
void submit(void);

/* Compile a shader; link and use a program. */
GLuint compile(GLenum type, const char *source);
GLuint link_program(GLuint program);
/* A program for shapes: color is an expression, with its declarations. */
GLuint make_program(const char *declarations, const char *color);

/* Each has buffers of its own, idle while others are drawn. */
struct shape {
    GLuint vertices, indices, uniforms;
};

enum { SHAPES = 3 };
extern struct shape shapes[SHAPES];

void draw_shape(const struct shape *s);

/* Create, clear and bind a framebuffer. */
GLuint begin_frame(void);
/* Print a hash of its pixels, and delete it. */
void end_frame(const char *what, GLuint color);

/* A context that shares with @share, unless that is EGL_NO_CONTEXT. */
EGLContext create_context(EGLContext share);
/* Make it current, with the state that all drawing here expects. */
void make_current(EGLContext context);

/* mesa-client-textures.c, mesa-client-buffers.c: idle between uses */
void make_textures(void);
void use_textures(void);
void use_buffers(void);

/* mesa-client-views.c, mesa-client-bindings.c: bound over submissions */
GLuint make_rgba8(int seed);
/* Draw one of the shapes. */
void draw(int i);
/* Submit, print a hash of the bound framebuffer's pixels, and submit. */
void tell_frame(const char *what);
void use_views(void);
void use_bindings(void);
/* Leaves 256 MiB of textures. */
void use_memory(void);

#endif
