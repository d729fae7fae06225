/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of the soak: threads that each have buffers of their own.
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

/* Memory is short, but not for longer than this: 20 s. */
#define TRIES       1000
#define TRY_US      20000

typedef enum ItemState {
    ITEM_NONE,          /* there is no buffer */
    ITEM_KEPT,          /* every byte counts, here and on the host */
    ITEM_MARKED,        /* not needed */
    ITEM_SHARED,        /* exported: kept for good */
} ItemState;

typedef struct Item {
    Held held;
    ItemState state;
} Item;

typedef struct Worker {
    SoakState *soak;
    bool victim;
    pthread_t thread;
    uint64_t seed;
    unsigned id;
    unsigned count;
    Item *items;
} Worker;

static void wrong(SoakState *soak, const char *what, int ret)
{
    soak_wrong(soak, "%s: %s", what, strerror(-ret));
}

/*
 * Whether a request did what it should. One for which there is no memory is
 * made again by the caller, who counts @tries.
 */
static bool done(SoakState *soak, const char *what, int ret, unsigned *tries)
{
    if (ret == 0) {
        return true;
    }
    if (ret != -ENOMEM || ++*tries == TRIES) {
        wrong(soak, what, ret);
        return true;
    }
    soak->counts.denied++;
    usleep(TRY_US);
    return false;
}

/* Look at all pages, when there is memory for them. */
static Tally look(SoakState *soak, const char *what, const Held *held)
{
    unsigned tries = 0;
    Tally tally;

    do {
        tally = (Tally) { 0 };
        held_check(held, &tally);
    } while (!done(soak, what, tally.fault ? -ENOMEM : 0, &tries));
    return tally;
}

/* All pages of a buffer that is kept. */
static void check_kept(SoakState *soak, const Held *held)
{
    Tally tally = look(soak, "look", held);

    soak->counts.corrupt += tally.corrupt + tally.zero;
    soak->counts.good_pages += tally.good;
}

static void upload(SoakState *soak, const Held *held)
{
    unsigned tries = 0;

    while (!done(soak, "upload", bo_upload(env.gpu, &held->bo), &tries)) {
    }
    while (!done(soak, "wait", bo_wait(env.gpu, &held->bo), &tries)) {
    }
    soak->counts.uploads++;
}

static void fill(SoakState *soak, Held *held)
{
    unsigned tries = 0;

    while (!done(soak, "fill", held_try_fill(held, held->generation + 1)
                               ? 0 : -ENOMEM, &tries)) {
    }
    upload(soak, held);
}

static void check_kept_host(SoakState *soak, const Held *held)
{
    unsigned tries = 0;
    Tally tally;
    int ret;

    if (!env.is_3d) {
        return;     /* there is no reading back on a 2D device */
    }
    do {
        tally = (Tally) { 0 };
        ret = held_check_host(held, env.gpu, &tally);
    } while (!done(soak, "download", ret ?: tally.fault ? -ENOMEM : 0,
                   &tries));
    soak->counts.downloads++;
    soak->counts.corrupt += tally.corrupt + tally.zero;
    soak->counts.good_pages += tally.good;
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
    item->held = (Held) { .index = worker->id << 14 | (next++ & 0x3fff) };
    ret = bo_create(env.gpu, kind, bytes, &item->held.bo);
    if (ret == -ENOMEM) {
        soak->counts.denied++;      /* no more than there is room for */
        return;
    }
    if (ret < 0) {
        wrong(soak, "create", ret);
        return;
    }
    soak->counts.created++;
    item->state = ITEM_KEPT;
    fill(soak, &item->held);
}

static void destroy(SoakState *soak, Item *item)
{
    drop(&item->held);
    item->state = ITEM_NONE;
    soak->counts.freed++;
}

static void set_marked(SoakState *soak, Item *item)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &item->held.bo, VIRTGPU_MADV_DONTNEED,
                         &retained);

    if (ret < 0) {
        wrong(soak, "mark", ret);
        return;
    }
    soak->counts.marked++;
    item->state = ITEM_MARKED;
}

/* Every page is zero, or there is none. */
static void check_lost(SoakState *soak, const Held *held)
{
    Tally tally = look(soak, "look at zeroes", held);

    soak->counts.corrupt += tally.corrupt + tally.good;
}

static bool take_back(SoakState *soak, Item *item)
{
    bool retained = true;
    int ret = bo_madvise(env.gpu, &item->held.bo, VIRTGPU_MADV_WILLNEED,
                         &retained);

    if (ret < 0) {
        wrong(soak, "ask back", ret);
        return true;
    }
    item->state = ITEM_KEPT;
    if (retained) {
        soak->counts.retained++;
        check_kept(soak, &item->held);
    } else {
        soak->counts.purged++;
        check_lost(soak, &item->held);
        fill(soak, &item->held);
    }
    return retained;
}

/* While it is marked there are bytes or a fault, and never anything else. */
static void look_at_marked(SoakState *soak, const Held *held)
{
    Tally tally = { 0 };

    held_check(held, &tally);
    soak->counts.corrupt += tally.corrupt + tally.zero;
}

static void upload_marked(SoakState *soak, const Held *held)
{
    int ret = bo_upload(env.gpu, &held->bo);

    if (ret == 0) {
        /* What is written to it before the device is done is uploaded, too. */
        ret = bo_wait(env.gpu, &held->bo);
    }
    if (ret == -ENOMEM) {
        soak->counts.denied++;
    } else if (ret < 0 && ret != -ENODATA) {
        wrong(soak, "upload of what is marked", ret);
    }
}

static void rewrite(SoakState *soak, Held *held)
{
    check_kept(soak, held);
    fill(soak, held);
}

static void remap(SoakState *soak, Held *held)
{
    struct drm_virtgpu_map map = { .handle = held->bo.handle };
    int ret = drm_request(env.gpu, DRM_IOCTL_VIRTGPU_MAP, &map);
    void *other;

    if (ret < 0) {
        wrong(soak, "map", ret);
        return;
    }
    other = mmap(NULL, held->bo.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                 env.gpu, map.offset);
    if (other == MAP_FAILED) {
        wrong(soak, "mmap", -errno);
        return;
    }
    munmap(held->bo.map, held->bo.bytes);
    held->bo.map = other;
    soak->counts.maps++;
    check_kept(soak, held);
}

static void share(SoakState *soak, Item *item)
{
    struct drm_prime_handle prime = {
        .handle = item->held.bo.handle, .flags = O_CLOEXEC,
    };
    unsigned tries = 0;

    while (!done(soak, "export",
                 drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime),
                 &tries)) {
    }
    close(prime.fd);
    item->state = ITEM_SHARED;
    soak->counts.exports++;
}

/* Another one that is kept, of the same kind and size. */
static Item *partner(Worker *worker, const Item *item)
{
    unsigned i, first = soak_random(&worker->seed, worker->count);

    for (i = 0; i < worker->count; i++) {
        Item *other = &worker->items[(first + i) % worker->count];

        if (other != item && other->state == ITEM_KEPT &&
            other->held.bo.kind == item->held.bo.kind &&
            other->held.bo.bytes == item->held.bo.bytes) {
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

    if (!env.is_3d || !other || item->held.bo.kind != BO_TEXTURE) {
        return;
    }
    while (!done(soak, "copy", submit_copy(env.gpu, &item->held, &other->held),
                 &tries)) {
    }
    other->held.index = item->held.index;
    other->held.generation = item->held.generation;
    other->held.rewritten = item->held.rewritten;
    soak->counts.copies++;
    check_kept_host(soak, &other->held);
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
    } else if (item->state == ITEM_MARKED) {
        if (choice < 6) {
            look_at_marked(soak, &item->held);
        } else if (choice < 8) {
            upload_marked(soak, &item->held);
        } else if (choice < 14) {
            take_back(soak, item);
        }
    } else if (choice < 4) {
        rewrite(soak, &item->held);
    } else if (choice < 7) {
        check_kept_host(soak, &item->held);
    } else if (choice < 9) {
        remap(soak, &item->held);
    } else if (choice < 11) {
        copy(worker, item);
    } else if (choice == 11 && soak_random(&worker->seed, 8) == 0) {
        share(soak, item);
    } else if (choice < 16) {
        check_kept(soak, &item->held);
    } else if (item->state == ITEM_KEPT) {
        set_marked(soak, item);
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
    check_kept(soak, &item->held);
    check_kept_host(soak, &item->held);
}

static void mark_third(Worker *worker)
{
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_MARKED) {
            take_back(worker->soak, item);
        }
        if (item->state != ITEM_NONE) {
            verify(worker->soak, item);
        }
        if (item->state == ITEM_KEPT && i % 3 == 0) {
            set_marked(worker->soak, item);
        }
    }
}

static void use_third(Worker *worker)
{
    SoakBooks *books = &worker->soak->books;
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_MARKED) {
            books->purged++;
            books->purged_bytes += item->held.bo.bytes;
        } else if (item->state == ITEM_KEPT && i % 3 == 1) {
            books->evicted++;
            books->evicted_bytes += item->held.bo.bytes;
        } else if (item->state != ITEM_NONE) {
            upload(worker->soak, &item->held);
            books->resident++;
            books->resident_bytes += item->held.bo.bytes;
        }
    }
}

static void verify_all(Worker *worker)
{
    SoakState *soak = worker->soak;
    unsigned i;

    for (i = 0; i < worker->count; i++) {
        Item *item = &worker->items[i];

        if (item->state == ITEM_MARKED && take_back(soak, item)) {
            soak_wrong(soak, "retained, though it was purged");
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

void soak_work(SoakState *soak, unsigned number, uint64_t seed,
               unsigned threads, size_t bytes, bool victim)
{
    Worker *workers = calloc(threads, sizeof(*workers));
    unsigned i;

    held_catch_faults();
    env.gpu = gpu_open();
    if (!workers || env.gpu < 0) {
        wrong(soak, "open", env.gpu);
        _exit(EXIT_FAILURE);
    }
    for (i = 0; i < threads; i++) {
        Worker *worker = &workers[i];

        worker->soak = soak;
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
        mark_third(&workers[i]);
    }
    soak->arrived++;
    await_phase(soak, SOAK_USE);
    for (i = 0; i < threads; i++) {
        use_third(&workers[i]);
    }
    soak->books.fdinfo_total += fdinfo_of("drm-total-memory");
    soak->books.fdinfo_resident += fdinfo_of("drm-resident-memory");
    soak->books.fdinfo_evicted += fdinfo_of("virtio_gpu-evicted-memory");
    soak->arrived++;
    await_phase(soak, SOAK_END);
    for (i = 0; i < threads; i++) {
        verify_all(&workers[i]);
    }
    _exit(EXIT_SUCCESS);
}
