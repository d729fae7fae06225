/* SPDX-License-Identifier: MIT */
/* Buffers that are written by shaders, queries and copies. */

#include "mesa-client.h"

#include <string.h>

enum { BYTES = 16384, WORDS = BYTES / 4 };

static uint32_t words[WORDS];

static GLuint make_buffer(GLenum target, uint32_t seed)
{
    GLuint buffer;

    fill(words, BYTES, seed);
    glGenBuffers(1, &buffer);
    glBindBuffer(target, buffer);
    glBufferData(target, BYTES, words, GL_DYNAMIC_COPY);
    return buffer;
}

static void tell_buffer(const char *what, GLuint buffer)
{
    memset(words, 0, BYTES);
    glBindBuffer(GL_COPY_READ_BUFFER, buffer);
    glGetBufferSubData(GL_COPY_READ_BUFFER, 0, BYTES, words);
    tell(what, words, BYTES);
    glBindBuffer(GL_COPY_READ_BUFFER, 0);
}

static void copy_buffers(void)
{
    GLuint from = make_buffer(GL_COPY_READ_BUFFER, 1);
    GLuint to = make_buffer(GL_COPY_WRITE_BUFFER, 2);

    submit();
    glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_COPY_WRITE_BUFFER, 64, 1024,
                        4096);
    submit();
    fill(words, BYTES, 3);
    glBufferSubData(GL_COPY_WRITE_BUFFER, 8192, 512, words);
    submit();
    tell_buffer("copied", to);
    glDeleteBuffers(1, &from);
    glDeleteBuffers(1, &to);
}

static const char compute_source[] =
    "#version 430\n"
    "layout(local_size_x = 64) in;\n"
    "layout(std430, binding = 0) buffer In { uint from[]; };\n"
    "layout(std430, binding = 1) buffer Out { uint to[]; };\n"
    "layout(r32ui, binding = 0) uniform uimage2D image;\n"
    "layout(binding = 0) uniform atomic_uint count;\n"
    "void main() {\n"
    "    uint i = gl_GlobalInvocationID.x;\n"
    "    to[i] = from[i] * 3u + to[i];\n"
    "    imageStore(image, ivec2(i % 64u, i / 64u), uvec4(from[i]));\n"
    "    atomicCounterIncrement(count);\n"
    "}\n";

/* Twice: the second run reads what the first one wrote. */
static void compute(void)
{
    GLuint from = make_buffer(GL_SHADER_STORAGE_BUFFER, 4);
    GLuint to = make_buffer(GL_SHADER_STORAGE_BUFFER, 5);
    GLuint count = make_buffer(GL_ATOMIC_COUNTER_BUFFER, 6);
    GLuint program = glCreateProgram(), image;

    glAttachShader(program, compile(GL_COMPUTE_SHADER, compute_source));
    link_program(program);
    glGenTextures(1, &image);
    glBindTexture(GL_TEXTURE_2D, image);
    glTexStorage2D(GL_TEXTURE_2D, 1, GL_R32UI, SIDE, SIDE);
    submit();
    for (int i = 0; i < 2; i++) {
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, from);
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 1, to);
        glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 0, count);
        glBindImageTexture(0, image, 0, GL_FALSE, 0, GL_WRITE_ONLY, GL_R32UI);
        glDispatchCompute(WORDS / 64, 1, 1);
        glMemoryBarrier(GL_ALL_BARRIER_BITS);
        submit();
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, 0);
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 1, 0);
        glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 0, 0);
        glBindImageTexture(0, 0, 0, GL_FALSE, 0, GL_WRITE_ONLY, GL_R32UI);
        glDispatchCompute(0, 1, 1);
        submit();
    }
    tell_buffer("computed", to);
    tell_buffer("counted", count);
    memset(words, 0, BYTES);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RED_INTEGER, GL_UNSIGNED_INT, words);
    tell("image", words, BYTES);
    glDeleteTextures(1, &image);
    glDeleteBuffers(1, &from);
    glDeleteBuffers(1, &to);
    glDeleteBuffers(1, &count);
    glDeleteProgram(program);
}

/* A buffer that a shader reads as a texture, and one with pixels. */
static void draw_from_buffers(void)
{
    GLuint buffer = make_buffer(GL_TEXTURE_BUFFER, 7);
    GLuint pixels = make_buffer(GL_PIXEL_UNPACK_BUFFER, 8);
    GLuint texture, frame;

    submit();
    make_program("uniform samplerBuffer tex;\n",
                 "texelFetch(tex, int(at.x * 4000.0))");
    frame = begin_frame();
    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_BUFFER, texture);
    glTexBuffer(GL_TEXTURE_BUFFER, GL_RGBA8, buffer);
    draw_shape(&shapes[0]);
    end_frame("texture buffer", frame);
    glDeleteTextures(1, &texture);
    submit();

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, SIDE, SIDE, 0, GL_RGBA,
                 GL_UNSIGNED_BYTE, NULL);
    glBindBuffer(GL_PIXEL_UNPACK_BUFFER, 0);
    submit();
    memset(words, 0, BYTES);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, words);
    tell("from pixel buffer", words, BYTES);
    glDeleteTextures(1, &texture);
    glDeleteBuffers(1, &buffer);
    glDeleteBuffers(1, &pixels);
}

static const char capture_source[] =
    "#version 430\n"
    "layout(location = 0) in vec3 position;\n"
    "out vec4 captured;\n"
    "void main() {\n"
    "    captured = vec4(position.zyx, float(gl_VertexID));\n"
    "    gl_Position = vec4(position, 1.0);\n"
    "}\n";

static void capture(void)
{
    static const char *const varying = "captured";
    GLuint buffer = make_buffer(GL_TRANSFORM_FEEDBACK_BUFFER, 9);
    GLuint program = glCreateProgram(), frame;

    glAttachShader(program, compile(GL_VERTEX_SHADER, capture_source));
    glTransformFeedbackVaryings(program, 1, &varying, GL_INTERLEAVED_ATTRIBS);
    link_program(program);
    frame = begin_frame();
    submit();
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer);
    glEnable(GL_RASTERIZER_DISCARD);
    glBeginTransformFeedback(GL_TRIANGLES);
    draw_shape(&shapes[1]);
    glEndTransformFeedback();
    glDisable(GL_RASTERIZER_DISCARD);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, 0);
    submit();
    tell_buffer("captured", buffer);
    end_frame("not drawn", frame);
    glDeleteBuffers(1, &buffer);
    glDeleteProgram(program);
}

static void query(void)
{
    GLuint frame = begin_frame(), samples = 0, id;

    make_program("", "vec4(at, 1.0)");
    glGenQueries(1, &id);
    glBeginQuery(GL_SAMPLES_PASSED, id);
    draw_shape(&shapes[2]);
    submit();
    draw_shape(&shapes[1]);
    glEndQuery(GL_SAMPLES_PASSED);
    submit();
    glGetQueryObjectuiv(id, GL_QUERY_RESULT, &samples);
    tell("samples", &samples, sizeof(samples));
    glDeleteQueries(1, &id);
    end_frame("counted", frame);
}

void use_buffers(void)
{
    copy_buffers();
    compute();
    draw_from_buffers();
    capture();
    query();
}
