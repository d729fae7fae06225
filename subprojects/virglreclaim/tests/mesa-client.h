/* SPDX-License-Identifier: MIT */
/* What the parts of mesa-client share. */

#ifndef MESA_CLIENT_H
#define MESA_CLIENT_H

#include <epoxy/gl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SIDE 64

/* Exit if @ok is false: @what does not work. */
void check(const char *what, bool ok);

/* Print a line: what it is, and a hash of it. */
void tell(const char *what, const void *data, size_t size);
/* The same of the pixels of the framebuffer that is bound. */
void tell_pixels(const char *what);

/* Bytes that differ for each seed, and not so much that they do not shrink. */
void fill(void *data, size_t size, uint32_t seed);

/* Mesa sends what it has, and waits until it has been carried out. */
void submit(void);

/* A shader, and a program that is in use. */
GLuint compile(GLenum type, const char *source);
GLuint link_program(GLuint program);
/* One that draws shapes in a color: an expression, with its declarations. */
GLuint make_program(const char *declarations, const char *color);

/* Each has buffers of its own, that lie about while others are drawn. */
struct shape {
    GLuint vertices, indices, uniforms;
};

enum { SHAPES = 3 };
extern struct shape shapes[SHAPES];

void draw_shape(const struct shape *s);

/* A framebuffer of a color, which is drawn to from here on. */
GLuint begin_frame(void);
/* Print what was drawn, and delete it. */
void end_frame(const char *what, GLuint color);

/* mesa-client-textures.c, mesa-client-buffers.c */
void make_textures(void);
void use_textures(void);
void use_buffers(void);

#endif
