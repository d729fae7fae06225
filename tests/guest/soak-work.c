/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker process of the soak: threads, each with buffers of its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "report.h"
#include "soak.h"
#include "submit.h"
#include "test.h"

#define MIN_BYTES   (16 * KIB)
#define MAX_BYTES   (1024 * KIB)
#define MEAN_BYTES  (256 * KIB)

/* Longest memory shortage: 60 s. */
#define TRIES       3000
#define TRY_US      20000

typedef enum ItemState {
    ITEM_NONE,          /* no buffer */
    ITEM_WILLNEED,          /* every byte is needed, here and on the host */
    ITEM_DONTNEED,        /* may be purged */
    ITEM_EXPORTED,        /* exported: pinned for life */
} ItemState;

typedef struct Item {
    TestBo tbo;
    ItemState state;
} Item;

typedef struct Worker {
    SoakState *soak;
    unsigned driver;
    bool victim;
    pthread_t thread;
    uint64_t seed;
    unsigned id;
    unsigned count;
    Item *items;
} Worker;

/* Where exported buffers are imported; negative if there is no such driver. */
static int importer;

static void report_error(SoakState *soak, const char *what, int ret)
{
    soak_error(soak, "%s: %s", what, strerror(-ret));
}

/*
 * Whether a request completed. On -ENOMEM the caller repeats it and counts
 * @tries.
 */
static bool done(SoakState *soak, const char *what, int ret, unsigned *tries)
{
    if (ret == 0) {
        return true;
    }
    if (ret != -ENOMEM || ++*tries == TRIES) {
        report_error(soak, what, ret);
        return true;
    }
    soak->counts.denied++;
    usleep(TRY_US);
    return false;
}

/* Count the pages of a buffer, retrying while there is no memory for them. */
static PageCounts count_pages(SoakState *soak, const char *what,
                              const TestBo *tbo)
{
    unsigned tries = 0;
    PageCounts pages;

    do {
        pages = (PageCounts) { 0 };
        test_bo_check(tbo, &pages);
    } while (!done(soak, what, pages.fault ? -ENOMEM : 0, &tries));
    return pages;
}

/* Check all pages of a buffer that is needed. */
static void check_needed(SoakState *soak, const TestBo *tbo)
{
    PageCounts pages = count_pages(soak, "check", tbo);

    soak->counts.corrupt += pages.corrupt + pages.zero;
    soak->counts.good_pages += pages.good;
}

static void upload(SoakState *soak, const TestBo *tbo)
{
    unsigned tries = 0;

    while (!done(soak, "upload", bo_upload(env.gpu, &tbo->bo), &tries)) {
    }
    while (!done(soak, "wait", bo_wait(env.gpu, &tbo->bo), &tries)) {
    }
    soak->counts.uploads++;
}

static void fill(SoakState *soak, TestBo *tbo)
{
    unsigned tries = 0;

    while (!done(soak, "fill", test_bo_try_fill(tbo, tbo->generation + 1)
                               ? 0 : -ENOMEM, &tries)) {
    }
    upload(soak, tbo);
}

static void check_needed_host(SoakState *soak, const TestBo *tbo)
{
    unsigned tries = 0;
    PageCounts pages;
    int ret;

    if (!env.is_3d) {
        return;     /* no reading back on a 2D device */
    }
    do {
        pages = (PageCounts) { 0 };
        ret = test_bo_check_host(tbo, env.gpu, &pages);
    } while (!done(soak, "download", ret ?: pages.fault ? -ENOMEM : 0,
                   &tries));
    soak->counts.downloads++;
    soak->counts.corrupt += pages.corrupt + pages.zero;
    soak->counts.good_pages += pages.good;
}

static void create(Worker *worker, Item *item)
{
    static atomic_uint next;
    SoakState *soak = worker->soak;
    size_t bytes = MIN_BYTES + (soak_random(&worker->seed, MEAN_BYTES) &
                                ~(PAGE_BYTES - 1));
    BoKind kind = env.is_3d && soak_random(&worker->seed, 2) ? BO_BUFFER
                                                             : BO_TEXTURE;
    int ret;

    if (soak_random(&worker->seed, 8) == 0) {
        bytes = MAX_BYTES;
    }
    item->tbo = (TestBo) { .index = worker->id << 14 | (next++ & 0x3fff) };
    ret = bo_create(env.gpu, kind, bytes, &item->tbo.bo);
    if (ret == -ENOMEM) {
        soak->counts.denied++;      /* there is no memory for it */
        return;
    }
    if (ret < 0) {
        report_error(soak, "create", ret);
        return;
    }
    soak->counts.created++;
    item->state = ITEM_WILLNEED;
    fill(soak, &item->tbo);
}

static void destroy(SoakState *soak, Item *item)
{
    release(&item->tbo);
    item->state = ITEM_NONE;
    soak->counts.freed++;
}

static void set_dontneed(SoakState *soak, Item *item)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &item->tbo.bo, VIRTGPU_MADV_DONTNEED,
                         &retained);

    if (ret < 0) {
        report_error(soak, "DONTNEED", ret);
        return;
    }
    soak->counts.marked++;
    item->state = ITEM_DONTNEED;
}

/* Every page is zero. */
static void check_purged_pages(SoakState *soak, const TestBo *tbo)
{
    PageCounts pages = count_pages(soak, "check zeroes", tbo);

    soak->counts.corrupt += pages.corrupt + pages.good;
}

static bool set_willneed(SoakState *soak, Item *item)
{
    bool retained = true;
    int ret = bo_madvise(env.gpu, &item->tbo.bo, VIRTGPU_MADV_WILLNEED,
                         &retained);

    if (ret < 0) {
        report_error(soak, "WILLNEED", ret);
        return true;
    }
    item->state = ITEM_WILLNEED;
    if (retained) {
        soak->counts.retained++;
        check_needed(soak, &item->tbo);
    } else {
        soak->counts.purged++;
        check_purged_pages(soak, &item->tbo);
        fill(soak, &item->tbo);
    }
    return retained;
}

/* While DONTNEED, a page is intact or the access faults. */
static void check_dontneed(SoakState *soak, const TestBo *tbo)
{
    PageCounts pages = { 0 };

    test_bo_check(tbo, &pages);
    soak->counts.corrupt += pages.corrupt + pages.zero;
}

static void upload_dontneed(SoakState *soak, const TestBo *tbo)
{
    int ret = bo_upload(env.gpu, &tbo->bo);

    if (ret == 0) {
        /* A write before the upload is complete would be uploaded as well. */
        ret = bo_wait(env.gpu, &tbo->bo);
    }
    if (ret == -ENOMEM) {
        soak->counts.denied++;
    } else if (ret < 0 && ret != -ENODATA) {
        report_error(soak, "upload while DONTNEED", ret);
    }
}

static void rewrite(SoakState *soak, TestBo *tbo)
{
    check_needed(soak, tbo);
    fill(soak, tbo);
}

static void remap(SoakState *soak, TestBo *tbo)
{
    void *other = map_anew(tbo, tbo->bo.bytes, PROT_READ | PROT_WRITE,
                           MAP_SHARED);

    if (other == MAP_FAILED) {
        report_error(soak, "mmap", -errno);
        return;
    }
    munmap(tbo->bo.map, tbo->bo.bytes);
    tbo->bo.map = other;
    soak->counts.maps++;
    check_needed(soak, tbo);
}

/* The same pages, through a mapping of the dma-buf. */
static void check_dmabuf(SoakState *soak, const TestBo *tbo, int fd)
{
    TestBo through = *tbo;

    through.bo.map = mmap(NULL, tbo->bo.bytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED, fd, 0);
    if (through.bo.map == MAP_FAILED) {
        report_error(soak, "mmap of a dma-buf", -errno);
        return;
    }
    check_needed(soak, &through);
    munmap(through.bo.map, tbo->bo.bytes);
}

/* vgem uses the pages for a moment. */
static void attach(SoakState *soak, const TestBo *tbo, int fd)
{
    struct drm_prime_handle prime = { .fd = fd };
    unsigned tries = 0;

    while (!done(soak, "import to vgem",
                 drm_request(importer, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime),
                 &tries)) {
    }
    check_dmabuf(soak, tbo, fd);
    gem_close(importer, prime.handle);
    soak->counts.attached++;
}

static void export_item(SoakState *soak, Item *item)
{
    struct drm_prime_handle prime = {
        .handle = item->tbo.bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };
    unsigned tries = 0;

    while (!done(soak, "export",
                 drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime),
                 &tries)) {
    }
    if (importer >= 0) {
        attach(soak, &item->tbo, prime.fd);
    } else {
        check_dmabuf(soak, &item->tbo, prime.fd);
    }
    close(prime.fd);
    item->state = ITEM_EXPORTED;
    soak->counts.exports++;
}

/* Another buffer that is needed, of the same type and size. */
static Item *partner(Worker *worker, const Item *item)
{
    unsigned i, first = soak_random(&worker->seed, worker->count);

    for (i = 0; i < worker->count; i++) {
        Item *other = &worker->items[(first + i) % worker->count];

        if (other != item && other->state == ITEM_WILLNEED &&
            other->tbo.bo.kind == item->tbo.bo.kind &&
            other->tbo.bo.bytes == item->tbo.bo.bytes) {
            return other;
        }
    }
    return NULL;
}

static void copy(Worker *worker, const Item *item)
{
    SoakState *soak = worker->soak;
    Item *other = partner(worker, item);
    unsigned tries = 0;

    if (!env.is_3d || !other || item->tbo.bo.kind != BO_TEXTURE) {
        return;
    }
    while (!done(soak, "copy", submit_copy(env.gpu, &item->tbo, &other->tbo),
                 &tries)) {
    }
    other->tbo.index = item->tbo.index;
    other->tbo.generation = item->tbo.generation;
    other->tbo.rewritten = item->tbo.rewritten;
    soak->counts.copies++;
    check_needed_host(soak, &other->tbo);
}

/* A texture has no pages until somebody maps it, here to read it back. */
static void copy_to_unbacked(SoakState *soak, const TestBo *from)
{
    TestBo to = *from;
    unsigned tries = 0;
    int ret;

    if (!env.is_3d || from->bo.kind != BO_TEXTURE) {
        return;
    }
    ret = bo_create_unmapped(env.gpu, BO_TEXTURE, from->bo.bytes, &to.bo);
    if (ret < 0) {
        report_error(soak, "create a texture", ret);
        return;
    }
    while (!done(soak, "copy to a texture",
                 submit_copy(env.gpu, from, &to), &tries)) {
    }
    do {
        ret = bo_map(env.gpu, &to.bo);
    } while (!done(soak, "map a texture", ret, &tries));
    if (ret == 0) {
        check_needed_host(soak, &to);
        release(&to);
    }
    soak->counts.unbacked++;
}

static void step(Worker *worker)
{
    SoakState *soak = worker->soak;
    Item *item = &worker->items[soak_random(&worker->seed, worker->count)];
    unsigned choice = soak_random(&worker->seed, 20);

    soak->counts.operations++;
    if (item->state == ITEM_NONE) {
        create(worker, item);
    } else if (choice == 0) {
        destroy(soak, item);
    } else if (item->state == ITEM_DONTNEED) {
        if (choice < 6) {
            check_dontneed(soak, &item->tbo);
        } else if (choice < 8) {
            upload_dontneed(soak, &item->tbo);
        } else if (choice < 14) {
            set_willneed(soak, item);
        }
    } else if (choice < 4) {
        rewrite(soak, &item->tbo);
    } else if (choice < 7) {
        check_needed_host(soak, &item->tbo);
    } else if (choice < 9) {
        remap(soak, &item->tbo);
    } else if (choice == 9) {
        copy(worker, item);
    } else if (choice == 10) {
        copy_to_unbacked(soak, &item->tbo);
    } else if (choice == 11 && soak_random(&worker->seed, 8) == 0) {
        export_item(soak, item);
    } else if (choice < 16) {
        check_needed(soak, &item->tbo);
    } else if (item->state == ITEM_WILLNEED) {
        set_dontneed(soak, item);
    }
}

static void *work(void *arg)
{
    Worker *worker = arg;

    while (worker->victim || worker->soak->phase == SOAK_WORK) {
        step(worker);
    }
    return NULL;
}

static void verify(SoakState *soak, const Item *item)
{
    check_needed(soak, &item->tbo);
    check_needed_host(soak, &item->tbo);
}

static void dontneed_third(Worker *worker)
{
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_DONTNEED) {
            set_willneed(worker->soak, item);
        }
        if (item->state != ITEM_NONE) {
            verify(worker->soak, item);
        }
        if (item->state == ITEM_WILLNEED && i % 3 == 0) {
            set_dontneed(worker->soak, item);
        }
    }
}

static void use_third(Worker *worker)
{
    SoakTotals *totals = &worker->soak->totals[worker->driver];
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_DONTNEED) {
            totals->purged++;
            totals->purged_bytes += item->tbo.bo.bytes;
        } else if (item->state == ITEM_WILLNEED && i % 3 == 1) {
            totals->evicted++;
            totals->evicted_bytes += item->tbo.bo.bytes;
        } else if (item->state != ITEM_NONE) {
            check_needed(worker->soak, &item->tbo);
            upload(worker->soak, &item->tbo);
            totals->resident++;
            totals->resident_bytes += item->tbo.bo.bytes;
        }
    }
}

static void verify_all(Worker *worker)
{
    SoakState *soak = worker->soak;
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_DONTNEED && set_willneed(soak, item)) {
            soak_error(soak, "retained, but was purged");
        }
        if (item->state != ITEM_NONE) {
            verify(soak, item);
        }
    }
}

static void await_phase(SoakState *soak, SoakPhase phase)
{
    while (soak->phase < phase) {
        usleep(10000);
    }
}

/* vgem, if there is another driver to import from, and an error otherwise. */
static int open_importer(unsigned driver)
{
    int vgem = -ENODEV;

    if (driver != SOAK_VGEM && soak_select_driver(SOAK_VGEM)) {
        vgem = gpu_open();
    }
    return vgem;
}

void soak_work(SoakState *soak, unsigned number, unsigned driver,
               uint64_t seed, unsigned threads, size_t bytes, bool victim)
{
    SoakTotals *totals = &soak->totals[driver];
    Worker *workers = calloc(threads, sizeof(*workers));
    unsigned i;

    test_bo_catch_faults();
    importer = open_importer(driver);
    CHECK(soak_select_driver(driver));
    env.gpu = gpu_open();
    if (!workers || env.gpu < 0) {
        report_error(soak, "open", env.gpu);
        _exit(EXIT_FAILURE);
    }
    for (i = 0; i < threads; i++) {
        Worker *worker = &workers[i];

        worker->soak = soak;
        worker->driver = driver;
        worker->victim = victim;
        worker->id = number * threads + i;
        worker->seed = soak_stream(seed, worker->id);
        worker->count = bytes / threads / MEAN_BYTES + 1;
        worker->items = calloc(worker->count, sizeof(*worker->items));
        CHECK(worker->items);
        CHECK_INT(pthread_create(&worker->thread, NULL, work, worker), ==, 0);
    }
    for (i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    for (i = 0; i < threads; i++) {
        dontneed_third(&workers[i]);
    }
    soak->arrived++;
    await_phase(soak, SOAK_USE);
    for (i = 0; i < threads; i++) {
        use_third(&workers[i]);
    }
    if (driver == SOAK_VIRTIO) {
        totals->fdinfo_total += fdinfo_of("drm-total-memory");
        totals->fdinfo_resident += fdinfo_of("drm-resident-memory");
        totals->fdinfo_evicted += fdinfo_of("virtio_gpu-evicted-memory");
    }
    soak->arrived++;
    await_phase(soak, SOAK_END);
    for (i = 0; i < threads; i++) {
        verify_all(&workers[i]);
    }
    _exit(EXIT_SUCCESS);
}
