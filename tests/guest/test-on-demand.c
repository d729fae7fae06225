/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Textures have no pages until somebody uses them: for a mapping, a transfer or
 * another device.
 */

#include <errno.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/* A texture that is not mapped. */
static TestBo make_unmapped(size_t bytes)
{
    TestBo tbo = { .index = 7 };

    CHECK_INT(bo_create_unmapped(env.gpu, BO_TEXTURE, bytes, &tbo.bo), ==, 0);
    return tbo;
}

/* The same, with contents on the host that are copied from @source. */
static TestBo make_drawn(TestBo *source)
{
    TestBo tbo = make_unmapped(BYTES);

    make_from(env.gpu, source, tbo.index, BYTES, BO_TEXTURE);
    CHECK_INT(submit_copy(env.gpu, source, &tbo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    return tbo;
}

/* Its contents on the host, which is where they were drawn. */
static void check_drawn(TestBo *tbo)
{
    CHECK_INT(bo_map(env.gpu, &tbo->bo), ==, 0);
    check_host(tbo);
}

static void check_zero_on_host(const TestBo *tbo)
{
    PageCounts counts = { 0 };

    CHECK_INT(test_bo_check_host(tbo, env.gpu, &counts), ==, 0);
    CHECK_INT(counts.zero, ==, tbo->bo.bytes / PAGE_BYTES);
}

static void test_drawn_has_no_pages(void)
{
    TestBo source, tbo = make_drawn(&source);
    long long pinned = stat_of("pinned_bytes");

    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned + BYTES);   /* @source */
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, BYTES);
    shrink_all();
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned);
    check_drawn(&tbo);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned + BYTES);
    check_host(&source);
}

static void test_mapped_has_pages(void)
{
    TestBo tbo = make_unmapped(BYTES);

    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(stat_of("unpopulated_bytes"), ==, BYTES);
    check_zero(&tbo);
    CHECK_INT(stat_of("willneed_bytes"), ==, BYTES);
    test_bo_fill(&tbo, 1);
    check_upload(&tbo);
}

/* Without a mapping the pages are zero. */
static void test_upload_unmapped(void)
{
    TestBo source, tbo = make_drawn(&source);

    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    check_zero_on_host(&tbo);
}

static void test_download_unmapped(void)
{
    TestBo source, tbo = make_drawn(&source);

    CHECK_INT(bo_download(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    check_intact(&tbo);
}

/*
 * A transfer in a command stream. Without pages the host would put the context
 * in an error state, and carry out nothing more.
 */
static void test_upload_in_stream(void)
{
    TestBo source, tbo = make_drawn(&source);

    CHECK_INT(submit_upload(env.gpu, &tbo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    check_zero_on_host(&tbo);

    /* The context still works. */
    CHECK_INT(submit_copy(env.gpu, &source, &tbo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_host(&tbo);
}

/* A transfer from the pages of another texture, which are zero. */
static void test_upload_from_in_stream(void)
{
    TestBo source, tbo = make_drawn(&source), pages = make_unmapped(BYTES);

    CHECK_INT(submit_upload_from(env.gpu, &pages, &tbo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);    /* @tbo */
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    check_zero_on_host(&tbo);
}

/*
 * A transfer to the pages of a buffer, by which Mesa 25 reads textures back.
 * virglrenderer 1.1 rejects it for a texture without pages of its own.
 */
static void test_download_to_in_stream(void)
{
    TestBo source, tbo = make_drawn(&source), staging;

    make_from(env.gpu, &staging, tbo.index, BYTES, BO_BUFFER);
    test_bo_fill(&staging, 1);
    CHECK_INT(submit_download_to(env.gpu, &tbo, &staging), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &staging.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    tbo.bo = staging.bo;    /* has its contents now */
    check_intact(&tbo);
}

/* A renderer on OpenGL ES may read the pages of a copy's source. */
static void test_copy_source_has_pages(void)
{
    TestBo source, tbo = make_drawn(&source), last = make_unmapped(BYTES);

    CHECK_INT(submit_copy(env.gpu, &tbo, &last), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &last.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);    /* @last */
    check_drawn(&last);
    check_drawn(&tbo);
}

/* A stream of which the commands cannot be read populates all. */
static void test_long_stream(void)
{
    TestBo tbo = make_unmapped(BYTES);

    CHECK_INT(submit_many_nothing(env.gpu, &tbo, 1 << 19), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    CHECK_INT(submit_many_nothing(env.gpu, &tbo, (1 << 19) + 1), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
}

/*
 * A purge releases the host's storage. Without the feature the resource is
 * created again.
 */
static void test_purged(void)
{
    TestBo source, tbo = make_drawn(&source);
    const TestBo *it = &tbo;
    long long purges;

    dontneed(&tbo);
    purges = stat_of("purges");
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + 1);
    CHECK_INT(submit_nothing(env.gpu, &it, 1), ==, -ENODATA);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK(willneed(&tbo));
    CHECK_INT(submit_copy(env.gpu, &source, &tbo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_drawn(&tbo);
}

static void test_purged_reads_zero(void)
{
    TestBo source, tbo = make_drawn(&source);

    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    check_zero_on_host(&tbo);
}

/* It is not memory to reclaim for the guest. */
static void test_dontneed_is_not_counted(void)
{
    long long purgeable = fdinfo_of("drm-purgeable-memory");
    TestBo source, tbo = make_drawn(&source);

    dontneed(&tbo);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, purgeable);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    CHECK(willneed(&tbo));
    check_drawn(&tbo);
}

/* Creating one costs no memory, and populating it may fail. */
static void test_charged_when_mapped(void)
{
    size_t total = meminfo_of("MemTotal") + meminfo_of("SwapTotal");
    struct drm_virtgpu_resource_create create = {
        .target = 2, .format = 1, .bind = 1 << 3,   /* as in test-create.c */
        .width = 1, .height = 1, .depth = 1, .array_size = 1,
        .size = total,
    };
    TestBo tbo = { .bo = { .kind = BO_TEXTURE, .bytes = PAGE_BYTES } };
    const TestBo *it = &tbo;

    if (!env.has_feature) {
        test_skip("devices without the feature populate large textures");
    }
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create),
              ==, 0);
    tbo.bo.handle = create.bo_handle;
    CHECK_INT(submit_nothing(env.gpu, &it, 1), ==, 0);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, -ENOMEM);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENOMEM);
    CHECK_INT(submit_upload(env.gpu, &tbo), ==, -ENOMEM);
    CHECK_INT(stat_of("unbacked_bytes"), >=, total);
    CHECK_INT(submit_nothing(env.gpu, &it, 1), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
}

/* The parameter of the module turns it off for new textures. */
static void test_parameter(void)
{
    TestBo source, tbo;

    CHECK(write_file(ON_DEMAND, "0"));
    tbo = make_drawn(&source);
    CHECK(write_file(ON_DEMAND, "1"));
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(stat_of("willneed_bytes"), ==, 2 * BYTES);
    check_drawn(&tbo);
}

const TestCase tests_on_demand[] = {
    { "on-demand/drawn-has-no-pages", test_drawn_has_no_pages, NEEDS_3D },
    { "on-demand/mapped-has-pages", test_mapped_has_pages, NEEDS_3D },
    { "on-demand/upload-unmapped", test_upload_unmapped, NEEDS_3D },
    { "on-demand/download-unmapped", test_download_unmapped, NEEDS_3D },
    { "on-demand/upload-in-stream", test_upload_in_stream, NEEDS_3D },
    { "on-demand/upload-from-in-stream", test_upload_from_in_stream, NEEDS_3D },
    { "on-demand/download-to-in-stream", test_download_to_in_stream, NEEDS_3D },
    { "on-demand/copy-source-has-pages", test_copy_source_has_pages,
      NEEDS_3D },
    { "on-demand/long-stream", test_long_stream, NEEDS_3D },
    { "on-demand/purged", test_purged, NEEDS_3D },
    { "on-demand/purged-reads-zero", test_purged_reads_zero, NEEDS_3D },
    { "on-demand/dontneed-is-not-counted", test_dontneed_is_not_counted,
      NEEDS_3D },
    { "on-demand/charged-when-mapped", test_charged_when_mapped, NEEDS_3D },
    { "on-demand/parameter", test_parameter, NEEDS_3D },
    { NULL, NULL, 0 },
};
