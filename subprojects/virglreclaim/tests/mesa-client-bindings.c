/* SPDX-License-Identifier: MIT */
/*
 * Buffers and images that stay bound over many submissions, queries and
 * transform feedback that go on over several, and two contexts that share.
 */

#include "mesa-client.h"

#include <epoxy/egl.h>
#include <string.h>

enum { WORDS = SIDE * SIDE, INDICES = 186 };

static uint32_t words[4 * WORDS];

static GLuint make_buffer(GLenum target, size_t size, int seed)
{
    GLuint buffer;

    fill(words, size, seed);
    glGenBuffers(1, &buffer);
    glBindBuffer(target, buffer);
    glBufferData(target, size, words, GL_DYNAMIC_COPY);
    return buffer;
}

static void tell_buffer(const char *what, GLuint buffer, size_t size)
{
    memset(words, 0, size);
    glBindBuffer(GL_COPY_READ_BUFFER, buffer);
    glGetBufferSubData(GL_COPY_READ_BUFFER, 0, size, words);
    tell(what, words, size);
    glBindBuffer(GL_COPY_READ_BUFFER, 0);
    submit();
}

/* Draw with what is bound. */
static void draw_again(void)
{
    glDrawElements(GL_TRIANGLES, INDICES, GL_UNSIGNED_SHORT, NULL);
}

/* Buffers */

static const char buffers_source[] =
    "uniform samplerBuffer tex0;\n"
    "uniform samplerBuffer tex1;\n"
    "layout(rgba8, binding = 0) uniform image2D image;\n"
    "layout(std430, binding = 0) buffer Sums { uint sums[]; };\n"
    "layout(binding = 0) uniform atomic_uint count;\n";

static const char buffers_color[] =
    "texelFetch(tex0, int(at.x * 60.0)) + texelFetch(tex1, int(at.y * 60.0));\n"
    "ivec2 pixel = ivec2(gl_FragCoord.xy);\n"
    "imageStore(image, pixel,\n"
    "           color.zyxw * 0.5 + imageLoad(image, pixel) * 0.5);\n"
    "atomicAdd(sums[pixel.x + 64 * pixel.y], 3u);\n"
    "atomicCounterIncrement(count)";

/* Two texture buffers of ranges, an image, a shader and an atomic buffer. */
static void bind_buffers(void)
{
    GLuint program = make_program(buffers_source, buffers_color);
    GLuint frame = begin_frame(), buffers[2], textures[2];
    GLuint image = make_rgba8(88);
    GLuint sums = make_buffer(GL_SHADER_STORAGE_BUFFER, 4 * WORDS, 102);
    GLuint count = make_buffer(GL_ATOMIC_COUNTER_BUFFER, 4 * WORDS, 103);

    glGenTextures(2, textures);
    for (int i = 0; i < 2; i++) {
        buffers[i] = make_buffer(GL_TEXTURE_BUFFER, 4 * WORDS, 100 + i);
        glActiveTexture(GL_TEXTURE0 + i);
        glBindTexture(GL_TEXTURE_BUFFER, textures[i]);
        glTexBufferRange(GL_TEXTURE_BUFFER, GL_RGBA8, buffers[i], 4096 * i,
                         4096);
    }
    glActiveTexture(GL_TEXTURE0);
    glUniform1i(glGetUniformLocation(program, "tex1"), 1);
    glBindImageTexture(0, image, 0, GL_FALSE, 0, GL_READ_WRITE, GL_RGBA8);
    glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, sums);
    glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 0, count);
    draw(0);
    submit();
    for (int i = 0; i < 4; i++) {
        draw_again();
        glMemoryBarrier(GL_ALL_BARRIER_BITS);
        tell_frame("buffers");
    }
    tell_buffer("sums", sums, 4 * WORDS);
    tell_buffer("count", count, 4);
    glBindTexture(GL_TEXTURE_2D, image);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, words);
    tell("image", words, 4 * WORDS);
    glBindImageTexture(0, 0, 0, GL_FALSE, 0, GL_READ_WRITE, GL_RGBA8);
    end_frame("buffers", frame);
    glDeleteTextures(2, textures);
    glDeleteTextures(1, &image);
    glDeleteBuffers(2, buffers);
    glDeleteBuffers(1, &sums);
    glDeleteBuffers(1, &count);
    glDeleteProgram(program);
}

static const char grid_source[] =
    "#version 430\n"
    "layout(local_size_x = 64) in;\n"
    "layout(std430, binding = 0) buffer Out { vec4 to[]; };\n"
    "uniform sampler2D tex0;\n"
    "uniform sampler2D tex1;\n"
    "void main() {\n"
    "    uint i = gl_GlobalInvocationID.x;\n"
    "    ivec2 at = ivec2(i & 63u, i >> 6);\n"
    "    to[i] = to[i] * 0.5 + texelFetch(tex0, at, 0) +\n"
    "            texelFetch(tex1, at.yx, 0);\n"
    "}\n";

/* Direct and indirect dispatches with two textures bound. */
static void dispatch(void)
{
    static const uint32_t groups[] = { WORDS / 64, 1, 1 };
    GLuint program = glCreateProgram(), textures[2], arguments;
    GLuint to = make_buffer(GL_SHADER_STORAGE_BUFFER, sizeof(words), 0);

    glAttachShader(program, compile(GL_COMPUTE_SHADER, grid_source));
    link_program(program);
    memset(words, 0, sizeof(words));
    glBufferData(GL_SHADER_STORAGE_BUFFER, sizeof(words), words,
                 GL_DYNAMIC_COPY);
    glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, to);
    arguments = make_buffer(GL_DISPATCH_INDIRECT_BUFFER, 4 * WORDS, 1);
    glBufferSubData(GL_DISPATCH_INDIRECT_BUFFER, 64, sizeof(groups), groups);
    glUniform1i(glGetUniformLocation(program, "tex1"), 1);
    textures[0] = make_rgba8(1);
    glActiveTexture(GL_TEXTURE1);
    textures[1] = make_rgba8(2);
    glActiveTexture(GL_TEXTURE0);
    for (int i = 0; i < 6; i++) {
        submit();
        if (i % 2) {
            glDispatchComputeIndirect(64);
        } else {
            glDispatchCompute(WORDS / 64, 1, 1);
        }
        glMemoryBarrier(GL_ALL_BARRIER_BITS);
        submit();
    }
    tell_buffer("dispatched", to, sizeof(words));
    glBindBuffer(GL_DISPATCH_INDIRECT_BUFFER, 0);
    glDeleteBuffers(1, &to);
    glDeleteBuffers(1, &arguments);
    glDeleteTextures(2, textures);
    glDeleteProgram(program);
}

/*
 * The arguments stay bound, and change: by a copy, because Mesa would replace a
 * busy buffer that is written, and renderer 0.10 not bind the new one if GL
 * gives that the same name.
 */
static void draw_indirect(void)
{
    struct { uint32_t count, instances, first, base, base_instance; } args =
        { 60, 1, 0, 0, 0 };
    GLuint program = make_program("", "vec4(at, 1.0)"), frame = begin_frame();
    GLuint buffer = make_buffer(GL_DRAW_INDIRECT_BUFFER, 4 * WORDS, 2), next;

    glBufferSubData(GL_DRAW_INDIRECT_BUFFER, 32, sizeof(args), &args);
    draw(0);
    submit();
    for (int i = 0; i < 4; i++) {
        glClear(GL_COLOR_BUFFER_BIT);
        glDrawElementsIndirect(GL_TRIANGLES, GL_UNSIGNED_SHORT, (void *)32);
        tell_frame("indirect");
        glDrawElementsIndirect(GL_TRIANGLES, GL_UNSIGNED_SHORT, (void *)32);
        tell_frame("indirect again");
        args.count += 30;
        args.first = 3 * i;
        next = make_buffer(GL_COPY_READ_BUFFER, 4 * WORDS, 3);
        glBufferSubData(GL_COPY_READ_BUFFER, 0, sizeof(args), &args);
        glCopyBufferSubData(GL_COPY_READ_BUFFER, GL_DRAW_INDIRECT_BUFFER, 0, 32,
                            sizeof(args));
        glDeleteBuffers(1, &next);
        submit();
    }
    glBindBuffer(GL_DRAW_INDIRECT_BUFFER, 0);
    end_frame("indirect", frame);
    glDeleteBuffers(1, &buffer);
    glDeleteProgram(program);
}

static const char slow_source[] =
    "layout(std430, binding = 0) buffer Sums { uint sums[]; };\n"
    "layout(binding = 0) uniform atomic_uint count;\n";

static const char slow_color[] =
    "vec4(1.0);\n"
    "float x = at.x;\n"
    "for (int i = 0; i < 3000; i++) { x = fract(x * 1.7 + 0.1); }\n"
    "atomicAdd(sums[int(gl_FragCoord.x) + 64 * int(gl_FragCoord.y)],\n"
    "          uint(x * 100.0) + 1u);\n"
    "atomicCounterIncrement(count)";

/*
 * GL still draws when a submission has been executed, and what it draws with is
 * bound no more: nothing but waiting makes the contents right.
 */
static void draw_slowly(void)
{
    GLuint slow = make_program(slow_source, slow_color);
    GLuint quick = make_program("", "vec4(at, 1.0)"), frame = begin_frame();
    GLuint sums = make_buffer(GL_SHADER_STORAGE_BUFFER, 4 * WORDS, 0);
    GLuint count = make_buffer(GL_ATOMIC_COUNTER_BUFFER, 4 * WORDS, 0);

    draw(0);
    submit();
    for (int i = 0; i < 20; i++) {
        glUseProgram(slow);
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, sums);
        glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 0, count);
        draw_again();
        /* A barrier would wait; atomic operations need none. */
        glUseProgram(quick);
        glBindBufferBase(GL_SHADER_STORAGE_BUFFER, 0, 0);
        glBindBufferBase(GL_ATOMIC_COUNTER_BUFFER, 0, 0);
        draw_again();
        submit();
    }
    glMemoryBarrier(GL_ALL_BARRIER_BITS);
    tell_buffer("slow sums", sums, 4 * WORDS);
    tell_buffer("slow count", count, 4);
    end_frame("slow", frame);
    glDeleteBuffers(1, &sums);
    glDeleteBuffers(1, &count);
    glDeleteProgram(slow);
    glDeleteProgram(quick);
}

/* Queries */

static void tell_query(const char *what, GLuint query)
{
    GLuint result = 0;

    glGetQueryObjectuiv(query, GL_QUERY_RESULT, &result);
    tell(what, &result, sizeof(result));
}

static void draw_and_submit(int n)
{
    for (int i = 0; i < n; i++) {
        draw(i);
        submit();
    }
}

static void use_queries(void)
{
    GLuint program = make_program("uniform sampler2D tex;\n",
                                  "texture(tex, at.xy)");
    GLuint frame = begin_frame(), queries[3], depth, texture;

    glGenTextures(1, &depth);
    glBindTexture(GL_TEXTURE_2D, depth);
    glTexStorage2D(GL_TEXTURE_2D, 1, GL_DEPTH_COMPONENT16, SIDE, SIDE);
    glFramebufferTexture(GL_FRAMEBUFFER, GL_DEPTH_ATTACHMENT, depth, 0);
    texture = make_rgba8(7);
    glEnable(GL_DEPTH_TEST);
    glClear(GL_DEPTH_BUFFER_BIT);
    glGenQueries(3, queries);
    glBeginQuery(GL_SAMPLES_PASSED, queries[0]);
    draw_and_submit(4);
    glEndQuery(GL_SAMPLES_PASSED);
    submit();
    tell_query("samples passed", queries[0]);

    /* A query of nothing, then drawing on the condition of either. */
    glBeginQuery(GL_ANY_SAMPLES_PASSED, queries[1]);
    submit();
    glEndQuery(GL_ANY_SAMPLES_PASSED);
    glDepthFunc(GL_ALWAYS);
    glBeginConditionalRender(queries[1], GL_QUERY_WAIT);
    draw_and_submit(3);
    glClearColor(1, 1, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    submit();
    glEndConditionalRender();
    glClearColor(0, 0, 0, 0);
    tell_frame("condition false");
    glBeginConditionalRender(queries[0], GL_QUERY_WAIT);
    draw_and_submit(3);
    glEndConditionalRender();
    tell_frame("condition true");

    glBeginQuery(GL_PRIMITIVES_GENERATED, queries[2]);
    draw_and_submit(4);
    glEndQuery(GL_PRIMITIVES_GENERATED);
    submit();
    tell_query("primitives", queries[2]);
    glDepthFunc(GL_LESS);
    glDisable(GL_DEPTH_TEST);
    glDeleteQueries(3, queries);
    end_frame("queries", frame);
    glDeleteTextures(1, &texture);
    glDeleteTextures(1, &depth);
    glDeleteProgram(program);
}

/* Transform feedback */

static const char capture_source[] =
    "#version 430\n"
    "layout(location = 0) in vec3 position;\n"
    "uniform sampler2D tex;\n"
    "out vec4 captured;\n"
    "void main() {\n"
    "    captured = vec4(position.zyx, float(gl_VertexID)) +\n"
    "               texelFetch(tex, ivec2(gl_VertexID, 1), 0);\n"
    "    gl_Position = vec4(position, 1.0);\n"
    "}\n";

static GLuint capture(GLuint buffer)
{
    static const char *const varying = "captured";
    GLuint program = glCreateProgram(), feedback;

    glAttachShader(program, compile(GL_VERTEX_SHADER, capture_source));
    glTransformFeedbackVaryings(program, 1, &varying, GL_INTERLEAVED_ATTRIBS);
    link_program(program);
    glGenTransformFeedbacks(1, &feedback);
    glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, feedback);
    glBindBufferBase(GL_TRANSFORM_FEEDBACK_BUFFER, 0, buffer);
    glEnable(GL_RASTERIZER_DISCARD);
    glBeginTransformFeedback(GL_TRIANGLES);
    draw_and_submit(4);
    glPauseTransformFeedback();
    submit();
    glResumeTransformFeedback();
    draw_and_submit(2);
    glEndTransformFeedback();
    submit();
    glDisable(GL_RASTERIZER_DISCARD);
    glBindTransformFeedback(GL_TRANSFORM_FEEDBACK, 0);
    glDeleteProgram(program);
    return feedback;
}

static void use_feedback(void)
{
    GLuint frame = begin_frame(), texture = make_rgba8(3), program, feedback;
    GLuint buffer = make_buffer(GL_TRANSFORM_FEEDBACK_BUFFER, sizeof(words), 4);

    feedback = capture(buffer);
    tell_buffer("captured", buffer, sizeof(words));
    program = make_program("", "vec4(at, 1.0)");
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glVertexAttribPointer(0, 3, GL_FLOAT, GL_FALSE, 16, NULL);
    glDrawTransformFeedback(GL_TRIANGLES, feedback);
    tell_frame("drawn from captured");
    glDeleteTransformFeedbacks(1, &feedback);
    end_frame("captured", frame);
    glDeleteBuffers(1, &buffer);
    glDeleteTextures(1, &texture);
    glDeleteProgram(program);
}

/* Two contexts that share, each with bindings of its own. */
static void share(void)
{
    EGLDisplay display = eglGetCurrentDisplay();
    EGLContext a = eglGetCurrentContext(), b = create_context(a);
    GLuint program = make_program("uniform sampler2D tex;\n",
                                  "texture(tex, at.xy)");
    GLuint textures[2] = { make_rgba8(70), make_rgba8(71) }, frames[2];

    submit();
    make_current(b);
    frames[1] = begin_frame();
    glUseProgram(program);
    glBindTexture(GL_TEXTURE_2D, textures[0]);
    draw(0);
    submit();
    make_current(a);
    frames[0] = begin_frame();
    glBindTexture(GL_TEXTURE_2D, textures[0]);
    for (int i = 0; i < 4; i++) {
        make_current(a);
        draw(i);
        tell_frame("first context");
        fill(words, 4 * WORDS, i);
        glTexSubImage2D(GL_TEXTURE_2D, 0, i, i, 10, 10, GL_RGBA,
                        GL_UNSIGNED_BYTE, words);
        submit();
        make_current(b);
        if (i == 2) {
            glBindTexture(GL_TEXTURE_2D, textures[1]);
        }
        draw(i + 1);
        tell_frame("second context");
        draw(i);
        tell_frame("second context again");
    }
    /* Deleted in one, bound in the other. */
    make_current(a);
    glDeleteTextures(1, &textures[1]);
    submit();
    make_current(b);
    draw(2);
    end_frame("second context", frames[1]);
    make_current(a);
    eglDestroyContext(display, b);
    submit();
    draw(1);
    tell_pixels("first context");
    glDeleteTextures(1, &frames[0]);
    glDeleteTextures(1, &textures[0]);
    glDeleteProgram(program);
}

void use_bindings(void)
{
    bind_buffers();
    dispatch();
    draw_indirect();
    draw_slowly();
    use_queries();
    use_feedback();
    share();
}
