/* SPDX-License-Identifier: MIT */
/*
 * Textures, views and framebuffers that stay bound over many submissions, in
 * all stages, while others are bound, change and are deleted.
 */

#include "mesa-client.h"

#include <string.h>

enum { UNITS = 4, TEXTURES = 9, STAGES = 5, COLORS = 4, LAYERS = 4 };

static uint8_t pixels[SIDE * SIDE * 16];

static GLuint make_storage(GLenum format, int levels)
{
    GLuint texture;

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D, texture);
    glTexStorage2D(GL_TEXTURE_2D, levels, format, SIDE, SIDE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, levels > 1 ?
                    GL_NEAREST_MIPMAP_NEAREST : GL_NEAREST);
    return texture;
}

static GLuint make_filled(GLenum format, int levels, int seed)
{
    GLuint texture = make_storage(format, levels);

    for (int level = 0; level < levels; level++) {
        fill(pixels, sizeof(pixels), seed + 3 * level);
        glTexSubImage2D(GL_TEXTURE_2D, level, 0, 0, SIDE >> level,
                        SIDE >> level, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    }
    return texture;
}

GLuint make_rgba8(int seed)
{
    return make_filled(GL_RGBA8, 1, seed);
}

void draw(int i)
{
    draw_shape(&shapes[i % SHAPES]);
}

void tell_frame(const char *what)
{
    submit();
    tell_pixels(what);
    submit();
}

static void draw_and_tell(int i, const char *what)
{
    draw(i);
    tell_frame(what);
}

static void bind_unit(int unit, GLuint texture)
{
    glActiveTexture(GL_TEXTURE0 + unit);
    glBindTexture(GL_TEXTURE_2D, texture);
}

/* Texture units */

static const char four_samplers[] =
    "uniform sampler2D tex0;\n"
    "uniform sampler2D tex1;\n"
    "uniform sampler2D tex2;\n"
    "uniform sampler2D tex3;\n";

static const char four_samples[] =
    "vec4(texture(tex0, at.xy).r, texture(tex1, at.yx).g,\n"
    "     texture(tex2, at.xy).b, texture(tex3, at.yx).a)";

static GLuint use_four_units(void)
{
    static const char *const names[] = { "tex0", "tex1", "tex2", "tex3" };
    GLuint program = make_program(four_samplers, four_samples);

    for (int i = 0; i < UNITS; i++) {
        glUniform1i(glGetUniformLocation(program, names[i]), i);
    }
    return program;
}

/* One of four changes, the others stay, with submissions in between. */
static void change_units(void)
{
    GLuint frame = begin_frame(), program = use_four_units();
    GLuint textures[TEXTURES];

    for (int i = 0; i < TEXTURES; i++) {
        textures[i] = make_rgba8(20 + i);
    }
    for (int i = 0; i < UNITS; i++) {
        bind_unit(i, textures[i]);
    }
    draw_and_tell(0, "four units");
    for (int i = 0; i < 8; i++) {
        bind_unit(i % UNITS, textures[(i + UNITS) % TEXTURES]);
        submit();
        glClear(GL_COLOR_BUFFER_BIT);
        submit();
        draw_and_tell(i, "one of four changed");
        draw_and_tell(i + 1, "none changed");
    }
    /* Deleted while they are bound; those of other units stay. */
    for (int i = 0; i < UNITS; i++) {
        glActiveTexture(GL_TEXTURE0 + i);
        glDeleteTextures(1, &textures[i]);
        draw_and_tell(i, "texture deleted");
    }
    glDeleteTextures(TEXTURES - UNITS, textures + UNITS);
    glActiveTexture(GL_TEXTURE0);
    end_frame("units", frame);
    glDeleteProgram(program);
}

/* Variants of views: levels, swizzle, sRGB, another format, a single level. */
static void use_variants(void)
{
    GLuint frame = begin_frame(), program = use_four_units();
    GLuint others[2] = { make_rgba8(62), make_rgba8(63) };
    GLuint levels, view, srgb;

    bind_unit(2, others[0]);
    bind_unit(3, others[1]);
    glActiveTexture(GL_TEXTURE0);
    levels = make_filled(GL_RGBA8, 5, 60);
    draw_and_tell(0, "all levels");
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_BASE_LEVEL, 2);
    draw_and_tell(0, "from level 2");
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SWIZZLE_R, GL_BLUE);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SWIZZLE_G, GL_ONE);
    draw_and_tell(0, "swizzled");
    draw_and_tell(1, "swizzled again");

    glGenTextures(1, &view);
    glTextureView(view, GL_TEXTURE_2D, levels, GL_SRGB8_ALPHA8, 1, 2, 0, 1);
    bind_unit(1, view);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    draw_and_tell(2, "view");
    draw_and_tell(1, "view again");

    srgb = make_filled(GL_SRGB8_ALPHA8, 1, 61);
    draw_and_tell(0, "srgb");
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SRGB_DECODE_EXT,
                    GL_SKIP_DECODE_EXT);
    draw_and_tell(0, "srgb not decoded");
    draw_and_tell(1, "srgb not decoded again");
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SRGB_DECODE_EXT, GL_DECODE_EXT);
    draw_and_tell(0, "srgb decoded");
    bind_unit(1, view);
    draw_and_tell(2, "view bound again");
    glDeleteTextures(1, &view);
    draw_and_tell(0, "view deleted");
    glDeleteTextures(1, &levels);
    draw_and_tell(0, "its texture deleted");
    glDeleteTextures(1, &srgb);
    glDeleteTextures(2, others);
    glActiveTexture(GL_TEXTURE0);
    end_frame("variants", frame);
    glDeleteProgram(program);
}

/* Each of many is used once, then one at a time. */
static void use_many(void)
{
    enum { MANY = 64 };
    GLuint program = make_program("uniform sampler2D tex;\n",
                                  "texture(tex, at.xy)");
    GLuint frame = begin_frame(), textures[MANY];

    for (int i = 0; i < MANY; i++) {
        textures[i] = make_rgba8(i);
        draw(i);
    }
    tell_frame("many");
    for (int i = 0; i < 20; i++) {
        glBindTexture(GL_TEXTURE_2D, textures[i * 7 % MANY]);
        draw_and_tell(i, "one of many");
    }
    end_frame("many", frame);
    glDeleteTextures(MANY, textures);
    glDeleteProgram(program);
}

/* Stages */

static const char vertex_source[] =
    "#version 430\n"
    "layout(location = 0) in vec3 position;\n"
    "uniform sampler2D vertex_tex;\n"
    "out vec3 vertex_at;\n"
    "void main() {\n"
    "    vec4 shift = texelFetch(vertex_tex, ivec2(gl_VertexID, 3), 0);\n"
    "    vertex_at = position * 0.5 + 0.5;\n"
    "    gl_Position = vec4(position.xy + shift.xy * 0.3, position.z, 1.0);\n"
    "}\n";

static const char control_source[] =
    "#version 430\n"
    "layout(vertices = 3) out;\n"
    "in vec3 vertex_at[];\n"
    "out vec3 control_at[];\n"
    "uniform sampler2D control_tex;\n"
    "void main() {\n"
    "    float n = 1.0 + 4.0 * texelFetch(control_tex, ivec2(5, 5), 0).x;\n"
    "    control_at[gl_InvocationID] = vertex_at[gl_InvocationID];\n"
    "    gl_out[gl_InvocationID].gl_Position =\n"
    "        gl_in[gl_InvocationID].gl_Position;\n"
    "    gl_TessLevelOuter[0] = n;\n"
    "    gl_TessLevelOuter[1] = n;\n"
    "    gl_TessLevelOuter[2] = n;\n"
    "    gl_TessLevelInner[0] = n;\n"
    "}\n";

static const char evaluation_source[] =
    "#version 430\n"
    "layout(triangles) in;\n"
    "in vec3 control_at[];\n"
    "out vec3 evaluation_at;\n"
    "uniform sampler2D evaluation_tex;\n"
    "void main() {\n"
    "    vec3 c = gl_TessCoord;\n"
    "    evaluation_at = control_at[0] * c.x + control_at[1] * c.y +\n"
    "                    control_at[2] * c.z;\n"
    "    gl_Position = gl_in[0].gl_Position * c.x +\n"
    "                  gl_in[1].gl_Position * c.y +\n"
    "                  gl_in[2].gl_Position * c.z;\n"
    "    gl_Position.xy +=\n"
    "        texture(evaluation_tex, evaluation_at.xy).xy * 0.1;\n"
    "}\n";

static const char geometry_source[] =
    "#version 430\n"
    "layout(triangles) in;\n"
    "layout(triangle_strip, max_vertices = 3) out;\n"
    "in vec3 evaluation_at[];\n"
    "out vec3 at;\n"
    "uniform sampler2D geometry_tex;\n"
    "void main() {\n"
    "    for (int i = 0; i < 3; i++) {\n"
    "        at = evaluation_at[i];\n"
    "        gl_Position = gl_in[i].gl_Position;\n"
    "        gl_Position.x += texture(geometry_tex, at.xy).z * 0.2;\n"
    "        EmitVertex();\n"
    "    }\n"
    "    EndPrimitive();\n"
    "}\n";

static const char fragment_source[] =
    "#version 430\n"
    "in vec3 at;\n"
    "out vec4 color;\n"
    "uniform sampler2D fragment_tex;\n"
    "void main() { color = texture(fragment_tex, at.xy); }\n";

static const struct stage {
    GLenum type;
    const char *source, *sampler;
} stages[STAGES] = {
    { GL_VERTEX_SHADER, vertex_source, "vertex_tex" },
    { GL_TESS_CONTROL_SHADER, control_source, "control_tex" },
    { GL_TESS_EVALUATION_SHADER, evaluation_source, "evaluation_tex" },
    { GL_GEOMETRY_SHADER, geometry_source, "geometry_tex" },
    { GL_FRAGMENT_SHADER, fragment_source, "fragment_tex" },
};

/* Draws with nothing bound again since the last submission. */
static void use_stages(void)
{
    GLuint program = glCreateProgram(), frame = begin_frame();
    GLuint textures[STAGES];

    for (int i = 0; i < STAGES; i++) {
        glAttachShader(program, compile(stages[i].type, stages[i].source));
    }
    link_program(program);
    for (int i = 0; i < STAGES; i++) {
        glActiveTexture(GL_TEXTURE0 + i);
        textures[i] = make_rgba8(40 + 5 * i);
        glUniform1i(glGetUniformLocation(program, stages[i].sampler), i);
    }
    glBindBuffer(GL_ARRAY_BUFFER, shapes[0].vertices);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, shapes[0].indices);
    glEnableVertexAttribArray(0);
    glVertexAttribPointer(0, 3, GL_FLOAT, GL_FALSE, 0, NULL);
    glPatchParameteri(GL_PATCH_VERTICES, 3);
    for (int i = 0; i < STAGES; i++) {
        submit();
        glDrawElements(GL_PATCHES, 60, GL_UNSIGNED_SHORT, NULL);
        tell_frame("stages");
        bind_unit(i, textures[STAGES - 1 - i]);
    }
    glActiveTexture(GL_TEXTURE0);
    end_frame("stages", frame);
    glDeleteTextures(STAGES, textures);
    glDeleteProgram(program);
}

/* Framebuffers */

static const GLenum attachments[COLORS] = {
    GL_COLOR_ATTACHMENT0, GL_COLOR_ATTACHMENT1, GL_COLOR_ATTACHMENT2,
    GL_COLOR_ATTACHMENT3,
};

static const char four_colors[] =
    "layout(location = 1) out vec4 color1;\n"
    "layout(location = 2) out vec4 color2;\n"
    "layout(location = 3) out vec4 color3;\n";

static const char four_values[] =
    "vec4(at, 0.5);\n"
    "color1 = color.zyxw;\n"
    "color2 = color.yzxw;\n"
    "color3 = color * 0.5";

static void draw_to_four(const GLuint *textures, GLuint depth)
{
    static const float clear[] = { 0.1f, 0.2f, 0.3f, 0.4f };
    GLuint program = make_program(four_colors, four_values);
    GLuint framebuffer;

    glGenFramebuffers(1, &framebuffer);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    for (int i = 0; i < COLORS; i++) {
        glFramebufferTexture(GL_FRAMEBUFFER, attachments[i], textures[i], 0);
    }
    glFramebufferTexture(GL_FRAMEBUFFER, GL_DEPTH_STENCIL_ATTACHMENT, depth, 0);
    glDrawBuffers(COLORS, attachments);
    glEnable(GL_DEPTH_TEST);
    glEnable(GL_STENCIL_TEST);
    glStencilFunc(GL_ALWAYS, 1, 0xff);
    glStencilOp(GL_KEEP, GL_INCR, GL_INCR);
    glEnable(GL_BLEND);
    glBlendFunc(GL_ONE, GL_SRC_ALPHA);
    glEnable(GL_FRAMEBUFFER_SRGB);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
    for (int i = 0; i < 6; i++) {
        submit();
        draw(i);
        submit();
        if (i == 3) {
            glClear(GL_DEPTH_BUFFER_BIT);
            submit();
            glClearBufferfv(GL_COLOR, 2, clear);
        }
    }
    for (int i = 0; i < COLORS; i++) {
        glReadBuffer(attachments[i]);
        tell_frame("four targets");
    }
    glDisable(GL_FRAMEBUFFER_SRGB);
    glDisable(GL_BLEND);
    glDisable(GL_STENCIL_TEST);
    glDisable(GL_DEPTH_TEST);
    glDeleteFramebuffers(1, &framebuffer);
    glDeleteProgram(program);
}

static void sample(GLuint texture, const char *what)
{
    glBindTexture(GL_TEXTURE_2D, texture);
    draw_and_tell(1, what);
    draw_and_tell(2, what);
}

static void sample_drawn(const GLuint *textures, GLuint depth)
{
    GLuint program = make_program("uniform sampler2D tex;\n",
                                  "texture(tex, at.xy)");
    GLuint frame = begin_frame();

    sample(textures[1], "target sampled");
    sample(textures[2], "srgb target sampled");
    sample(depth, "depth sampled");
    glDeleteProgram(program);
    program = make_program("uniform usampler2D tex;\n",
                           "vec4(texture(tex, at.xy)) / 4.0");
    glTexParameteri(GL_TEXTURE_2D, GL_DEPTH_STENCIL_TEXTURE_MODE,
                    GL_STENCIL_INDEX);
    sample(depth, "stencil sampled");
    glTexParameteri(GL_TEXTURE_2D, GL_DEPTH_STENCIL_TEXTURE_MODE,
                    GL_DEPTH_COMPONENT);
    end_frame("sampled", frame);
    glDeleteProgram(program);
}

static void use_targets(void)
{
    static const GLenum formats[COLORS] = {
        GL_RGBA8, GL_RGBA16F, GL_SRGB8_ALPHA8, GL_RGBA8,
    };
    GLuint textures[COLORS], depth;

    for (int i = 0; i < COLORS; i++) {
        textures[i] = make_storage(formats[i], 3);
        glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    }
    depth = make_storage(GL_DEPTH24_STENCIL8, 1);
    draw_to_four(textures, depth);
    sample_drawn(textures, depth);
    glDeleteTextures(COLORS, textures);
    glDeleteTextures(1, &depth);
}

static void draw_to_layers(GLuint array, GLuint cube, GLuint volume)
{
    for (int i = 0; i < LAYERS; i++) {
        glFramebufferTextureLayer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, array,
                                  0, i);
        submit();
        draw_and_tell(i, "layer");
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                               GL_TEXTURE_CUBE_MAP_POSITIVE_X + i, cube, i % 2);
        submit();
        draw_and_tell(i, "face");
        glFramebufferTextureLayer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, volume,
                                  0, i);
        submit();
        draw_and_tell(i, "slice");
    }
    glFramebufferTexture(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, array, 0);
    submit();
    draw_and_tell(2, "layered");
    glClear(GL_COLOR_BUFFER_BIT);
    submit();
    glGetTexImage(GL_TEXTURE_2D_ARRAY, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
    tell("layers", pixels, sizeof(pixels));
}

static void use_layers(void)
{
    GLuint program = make_program("", "vec4(at, 1.0)");
    GLuint array, cube, volume, framebuffer;

    glGenTextures(1, &cube);
    glBindTexture(GL_TEXTURE_CUBE_MAP, cube);
    glTexStorage2D(GL_TEXTURE_CUBE_MAP, 2, GL_RGBA8, SIDE, SIDE);
    glGenTextures(1, &volume);
    glBindTexture(GL_TEXTURE_3D, volume);
    glTexStorage3D(GL_TEXTURE_3D, 1, GL_RGBA8, SIDE, SIDE, LAYERS);
    glGenTextures(1, &array);
    glBindTexture(GL_TEXTURE_2D_ARRAY, array);
    glTexStorage3D(GL_TEXTURE_2D_ARRAY, 2, GL_RGBA8, SIDE, SIDE, LAYERS);
    glGenFramebuffers(1, &framebuffer);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    draw_to_layers(array, cube, volume);
    glDeleteFramebuffers(1, &framebuffer);
    glDeleteTextures(1, &array);
    glDeleteTextures(1, &cube);
    glDeleteTextures(1, &volume);
    glDeleteProgram(program);
}

/* The contents of a multisampled texture cannot be compressed. */
static void use_samples(void)
{
    GLuint draws = make_program(
        "", "vec4(at.zyx * fract(float(gl_SampleID) * 0.3 + 0.2), 1.0)");
    GLuint texture, framebuffer, samples, frame;

    glGenTextures(1, &texture);
    glBindTexture(GL_TEXTURE_2D_MULTISAMPLE, texture);
    glTexStorage2DMultisample(GL_TEXTURE_2D_MULTISAMPLE, 4, GL_RGBA8, SIDE,
                              SIDE, GL_TRUE);
    glGenFramebuffers(1, &framebuffer);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    glFramebufferTexture(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, texture, 0);
    glClear(GL_COLOR_BUFFER_BIT);
    submit();
    draw(0);
    submit();
    glEnable(GL_SAMPLE_SHADING);
    glMinSampleShading(1.0);
    submit();
    draw(1);
    submit();
    glDisable(GL_SAMPLE_SHADING);
    samples = make_program("uniform sampler2DMS tex;\n",
                           "texelFetch(tex, ivec2(at.xy * 64.0), 1) +\n"
                           "texelFetch(tex, ivec2(at.xy * 64.0), 2)");
    frame = begin_frame();
    draw_and_tell(2, "samples");
    draw_and_tell(1, "samples again");
    end_frame("samples", frame);
    glDeleteFramebuffers(1, &framebuffer);
    glDeleteTextures(1, &texture);
    glDeleteProgram(draws);
    glDeleteProgram(samples);
}

void use_views(void)
{
    change_units();
    use_variants();
    use_many();
    use_stages();
    use_targets();
    use_layers();
    use_samples();
}

/* Memory */

/* Textures of 4 MiB that are drawn to and sampled; the last one stays bound. */
void use_memory(void)
{
    enum { COUNT = 64, LARGE = 1024 };
    GLuint textures[COUNT], framebuffer, frame;

    make_program("uniform sampler2D tex;\n",
                 "texture(tex, at.xy * 0.9) + vec4(at, 0.1)");
    glGenTextures(COUNT, textures);
    glGenFramebuffers(1, &framebuffer);
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
    glViewport(0, 0, LARGE, LARGE);
    for (int i = 0; i < COUNT; i++) {
        glBindTexture(GL_TEXTURE_2D, textures[i]);
        glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, LARGE, LARGE);
        glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    }
    /* Each twice: the first ones sample the last ones. */
    for (int i = 0; i < 2 * COUNT; i++) {
        glBindTexture(GL_TEXTURE_2D, textures[i % COUNT]);
        glFramebufferTexture(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                             textures[(i + 1) % COUNT], 0);
        draw(i);
        submit();
    }
    /* llvmpipe retains textures that it has drawn to for some passes. */
    glViewport(0, 0, SIDE, SIDE);
    frame = begin_frame();
    for (int i = 0; i < 8; i++) {
        draw(i);
        submit();
    }
    end_frame("last", frame);
}
