/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "matrix.h"
#include "pattern.h"
#include "process.h"
#include "report.h"
#include "stall.h"
#include "test.h"

#define OBJECT_BYTES MIB

/* Objects of all clients; less where each has a copy in bounce buffers. */
#define ALL_MIB      96
#define BOUNCED_MIB  40
/* What the hog leaves of their memory there; elsewhere half of it. */
#define BOUNCED_ROOM_MIB 12
/* With so little memory that a third of it is reserved for these. */
#define BOUNCED_LITTLE_MIB 32
#define BOUNCED_LITTLE_ROOM_MIB 24
#define LITTLE_MIB   80
/* And where objects that cannot be purged come and go: a third is gone. */
#define CHURNED_ROOM_MIB 4
/* An idle client has so much more than there is memory. */
#define BEYOND_MIB   32

/* Of each so many objects some are marked DONTNEED. */
#define OF_OBJECTS   4
/* A client that uses its objects in turns uses an old one after so many. */
#define REUSE_EVERY  4

#define HOG_HOLD_MS  500
/* Of what is free, when nothing has been reclaimed yet. */
#define BEFORE_MIB   16
#define LEAK_MIB     4

/* A device that answers late: the driver waits for a second at first. */
#define LATE_SECONDS 3
#define AWAY_SECONDS 60

/* Bounds that only a hang exceeds. */
#define WAIT_SECONDS 120
#define POLL_US      10000
#define CHURN_US     1000

/* Errors reported in detail; the rest are only counted. */
#define DETAILS      8

typedef struct Workload {
    const char *name;
    unsigned clients;
    unsigned marked;            /* of OF_OBJECTS */
    bool beyond;                /* more objects than memory, and no hog */
    bool churns;                /* objects come and go during the pressure */
    bool leaks;                 /* a program that never stops, and no hog */
} Workload;

static const Workload workloads[] = {
    { .name = "cache", .clients = 1, .marked = 4 },
    { .name = "idle", .clients = 1, .beyond = true },
    { .name = "mixed", .clients = 1, .marked = 3 },
    { .name = "clients", .clients = 8, .marked = 3 },
    { .name = "churn", .clients = 4, .marked = 3, .churns = true },
    { .name = "leak", .clients = 2, .marked = 3, .leaks = true },
};

typedef struct Objects {
    const char *name;
    BoKind kind;
    bool exported;
} Objects;

static const Objects all_objects[] = {
    { "buffers", BO_BUFFER, false }, { "textures", BO_TEXTURE, false },
    { "dumb", BO_DUMB, false }, { "blobs", BO_BLOB, false },
    { "exported", BO_TEXTURE, true },
};

typedef enum Phase {
    PHASE_LOAD,
    PHASE_PRESSURE,
    PHASE_UNBOUND,              /* there is no device: look at the mappings */
    PHASE_CHECK,
} Phase;

/* In memory shared by all processes. */
typedef struct Shared {
    ClientState state;
    _Atomic Phase phase;
    atomic_uint arrived;        /* clients that have all their objects */
    atomic_bool paused, resumed;    /* who presses, for the disturbance */
    atomic_bool stop;           /* the user has to end */
    atomic_ulong bytes;         /* created */
    atomic_ulong retained, purged;
    atomic_ulong good, zero, fault, corrupt;
    atomic_ulong denied;        /* objects refused for lack of memory */
    atomic_ulong errors;
    bool differed;              /* totals did: do not wait for that again */
} Shared;

typedef struct Cell {
    const Workload *workload;
    const Objects *objects;
    const char *disturbance;
    bool is_3d;
    bool reads_back;            /* what the host has can be verified */
    bool has_stats;             /* our driver */
    bool is_bounced;            /* -EIO: there are no more bounce buffers */
    size_t available_mib;       /* without objects */
    size_t bo_mib;
    Shared *shared;
} Cell;

typedef struct Object {
    TestBo tbo;
    bool exists;
    bool marked;
    int dmabuf;
} Object;

typedef struct GpuClient {
    const Cell *cell;
    int gpu;
    unsigned number;
    unsigned generation;        /* of what is written next */
    Object *objects;
    size_t count, wanted;
} GpuClient;

static int expect(const Cell *cell, const char *what, int ret)
{
    if (ret < 0 && cell->shared->errors++ < DETAILS) {
        report("error what=%s error=%s", what, strerrorname_np(-ret));
    }
    return ret;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void add_bytes(const Cell *cell, long bytes)
{
    cell->shared->state.bo_bytes =
        atomic_fetch_add(&cell->shared->bytes, bytes) + bytes;
}

/*
 * Clients
 */

static int open_gpu(const Cell *cell)
{
    return cell->objects->kind == BO_DUMB ? gpu_open_card() : gpu_open();
}

/* Fill and upload it; -ENOMEM if there is no memory for its pages. */
static int fill(const GpuClient *client, Object *object, unsigned generation)
{
    int ret;

    if (!test_bo_try_fill(&object->tbo, generation)) {
        return -ENOMEM;
    }
    if (object->tbo.bo.kind == BO_BLOB) {
        return 0;
    }
    ret = bo_upload(client->gpu, &object->tbo.bo);
    return ret < 0 ? ret : bo_wait(client->gpu, &object->tbo.bo);
}

static int export_object(const GpuClient *client, Object *object)
{
    struct drm_prime_handle prime = {
        .handle = object->tbo.bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };
    int ret = drm_request(client->gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

    object->dmabuf = prime.fd;
    return ret;
}

static void free_object(GpuClient *client, Object *object)
{
    struct drm_gem_close close_handle = { .handle = object->tbo.bo.handle };

    munmap(object->tbo.bo.map, object->tbo.bo.bytes);
    expect(client->cell, "close",
           drm_request(client->gpu, DRM_IOCTL_GEM_CLOSE, &close_handle));
    if (object->dmabuf >= 0) {
        close(object->dmabuf);
    }
    object->exists = object->marked = false;
    add_bytes(client->cell, -(long)OBJECT_BYTES);
}

/* False if there is no memory for it. */
static bool add_object(GpuClient *client, Object *object)
{
    const Cell *cell = client->cell;
    int ret;

    *object = (Object) {
        .tbo.index = client->number << 12 | (object - client->objects),
        .dmabuf = -1,
    };
    ret = bo_create(client->gpu, cell->objects->kind, OBJECT_BYTES,
                    &object->tbo.bo);
    if (ret == 0) {
        object->exists = true;
        add_bytes(cell, OBJECT_BYTES);
        ret = fill(client, object, client->generation++);
        if (ret == 0 && cell->objects->exported) {
            ret = export_object(client, object);
        }
        if (ret < 0) {
            free_object(client, object);
        }
    }
    if (ret == -ENOMEM || (cell->is_bounced && ret == -EIO)) {
        cell->shared->denied++;
    } else {
        expect(cell, "create", ret);
    }
    return ret == 0;
}

/* What cannot be marked, by the stock driver or because others use it, is not. */
static void mark(GpuClient *client, Object *object)
{
    bool retained;

    object->marked = bo_madvise(client->gpu, &object->tbo.bo,
                                VIRTGPU_MADV_DONTNEED, &retained) == 0;
}

static bool may_mark(const GpuClient *client, size_t i)
{
    return i % OF_OBJECTS < client->cell->workload->marked;
}

static void load(GpuClient *client)
{
    size_t i, old = 0;

    for (i = 0; i < client->wanted && add_object(client, &client->objects[i]);
         i++) {
        if (client->cell->workload->beyond && i % REUSE_EVERY == 3) {
            expect(client->cell, "use",
                   fill(client, &client->objects[old++],
                        client->generation++));
        }
    }
    client->count = i;
    for (i = 0; i < client->count; i++) {
        if (may_mark(client, i)) {
            mark(client, &client->objects[i]);
        }
    }
}

static void count(const Cell *cell, const PageCounts *pages)
{
    cell->shared->good += pages->good;
    cell->shared->zero += pages->zero;
    cell->shared->fault += pages->fault;
    cell->shared->corrupt += pages->corrupt;
}

/* All of it is what was written last, in the guest and on the host. */
static void check_kept(GpuClient *client, Object *object)
{
    const Cell *cell = client->cell;
    PageCounts pages = { 0 };

    test_bo_check(&object->tbo, &pages);
    if (cell->reads_back) {
        expect(cell, "download", test_bo_check_host(&object->tbo, client->gpu,
                                                    &pages));
    }
    pages.corrupt += pages.zero + pages.fault;
    pages.zero = pages.fault = 0;
    count(cell, &pages);
}

/* Nothing of it is left, and it can be used again if there is memory for it. */
static void check_purged(GpuClient *client, Object *object)
{
    PageCounts pages = { 0 };
    int ret;

    test_bo_check(&object->tbo, &pages);
    pages.corrupt += pages.good + pages.fault;
    pages.good = pages.fault = 0;
    count(client->cell, &pages);
    ret = fill(client, object, client->generation++);
    if (ret == -ENOMEM) {
        client->cell->shared->denied++;
    } else {
        expect(client->cell, "reuse", ret);
        check_kept(client, object);
    }
}

static void check(GpuClient *client, Object *object)
{
    bool retained = true;

    if (object->marked) {
        expect(client->cell, "willneed",
               bo_madvise(client->gpu, &object->tbo.bo, VIRTGPU_MADV_WILLNEED,
                          &retained));
        object->marked = false;
    }
    if (retained) {
        client->cell->shared->retained++;
        check_kept(client, object);
    } else {
        client->cell->shared->purged++;
        check_purged(client, object);
    }
}

/* Without a device: purged pages fault, and no other ones. */
static void check_unbound(GpuClient *client, Object *object)
{
    PageCounts pages = { 0 };
    bool purged;

    test_bo_check(&object->tbo, &pages);
    purged = object->marked && pages.good == 0;
    client->cell->shared->purged += purged;
    client->cell->shared->retained += !purged;
    pages.corrupt += pages.zero;
    if (!purged) {
        pages.corrupt += pages.fault;
        pages.fault = 0;
    }
    pages.zero = 0;
    count(client->cell, &pages);
}

static void churn(GpuClient *client, size_t step)
{
    Object *object = &client->objects[step * 7 % client->count];

    if (!object->exists) {
        add_object(client, object);
    } else {
        check(client, object);
        if (step % 3 == 0) {
            free_object(client, object);
            return;
        }
    }
    if (object->exists && may_mark(client, object - client->objects)) {
        mark(client, object);
    }
}

static void client_main(const Cell *cell, unsigned number)
{
    Shared *shared = cell->shared;
    GpuClient client = {
        .cell = cell, .number = number,
        .wanted = cell->bo_mib * MIB / OBJECT_BYTES / cell->workload->clients,
    };
    size_t i, step = 0;

    process_protect(0);
    prctl(PR_SET_NAME, "gpu-client");
    test_bo_catch_faults();
    client.gpu = open_gpu(cell);
    client.objects = calloc(client.wanted, sizeof(*client.objects));
    if (!client.objects || expect(cell, "open", client.gpu) < 0) {
        _exit(EXIT_FAILURE);
    }
    load(&client);
    shared->arrived++;
    while (shared->phase <= PHASE_PRESSURE) {
        if (cell->workload->churns && client.count &&
            shared->phase == PHASE_PRESSURE) {
            churn(&client, step++);
            usleep(CHURN_US);
        } else {
            usleep(POLL_US);
        }
    }
    for (i = 0; i < client.count; i++) {
        if (!client.objects[i].exists) {
            continue;
        }
        if (shared->phase == PHASE_UNBOUND) {
            check_unbound(&client, &client.objects[i]);
        } else {
            /* There may be no room for all that was purged. */
            check(&client, &client.objects[i]);
            free_object(&client, &client.objects[i]);
        }
    }
    _exit(EXIT_SUCCESS);
}

static bool disturbed_by(const Cell *cell, const char *name)
{
    return !strcmp(cell->disturbance, name);
}

/* One that is never idle, while the disturbance happens. */
static void user_main(const Cell *cell)
{
    GpuClient user = { .cell = cell, .number = 100 };
    Object object;
    int ret = 0;

    process_protect(0);
    prctl(PR_SET_NAME, "gpu-user");
    test_bo_catch_faults();
    user.gpu = open_gpu(cell);
    user.objects = &object;
    if (expect(cell, "open", user.gpu) < 0) {
        _exit(EXIT_FAILURE);
    }
    if (!add_object(&user, &object)) {
        _exit(EXIT_SUCCESS);    /* idle clients may have all there is */
    }
    while (!cell->shared->stop && ret != -ENODEV) {
        ret = fill(&user, &object, user.generation++);
        if (ret == 0) {
            /* What is on its way when the driver is unbound does not arrive. */
            if (!disturbed_by(cell, "rebind")) {
                check_kept(&user, &object);
            }
        } else if (ret != -ENODEV) {
            expect(cell, "use", ret);
        }
        usleep(POLL_US);
    }
    add_bytes(cell, -(long)OBJECT_BYTES);
    _exit(ret == -ENODEV && !disturbed_by(cell, "rebind"));
}

/* What the hog leaves; the programs themselves take about 8 MiB of that. */
static size_t room_mib(const Cell *cell)
{
    if (!cell->is_bounced) {
        return cell->bo_mib / 2;
    }
    if (cell->workload->churns) {
        return CHURNED_ROOM_MIB;
    }
    return cell->bo_mib == BOUNCED_MIB ? BOUNCED_ROOM_MIB
                                       : BOUNCED_LITTLE_ROOM_MIB;
}

/* The device answers nothing for so long. */
static unsigned away_seconds(const Cell *cell)
{
    return disturbed_by(cell, "late") ? LATE_SECONDS :
           disturbed_by(cell, "away") ? AWAY_SECONDS : 0;
}

/* In the middle of the pressure: wait until the disturbance has begun. */
static void pause_pressure(void *opaque)
{
    const Cell *cell = opaque;

    cell->shared->paused = true;
    while (!cell->shared->resumed) {
        usleep(POLL_US);
    }
}

static size_t hog_mib(const Cell *cell)
{
    return cell->available_mib - room_mib(cell);
}

/*
 * When it pauses, others have given half of what they have to, and nothing yet
 * to a device that is going to be away.
 */
static void hog_main(const Cell *cell)
{
    size_t wanted = cell->bo_mib - room_mib(cell);

    process_protect(0);
    memory_hog_main(&(MemoryHog) {
        .mib = hog_mib(cell), .hold_ms = HOG_HOLD_MS, .locked = true,
        .pause = pause_pressure, .arg = (void *)cell,
        .left_mib = away_seconds(cell) ? wanted + BEFORE_MIB : wanted / 2,
    });
}

/* First objects, then, when there are no more, ordinary memory. */
static void leaker_main(const Cell *cell)
{
    GpuClient leaker = { .cell = cell, .number = 200, .gpu = open_gpu(cell) };
    size_t pages = LEAK_MIB * MIB / PAGE_BYTES, i, n;
    Object object = { .exists = true };

    process_protect(0);
    prctl(PR_SET_NAME, "leaker");
    test_bo_catch_faults();
    leaker.objects = &object;
    for (n = 0; n < cell->available_mib && add_object(&leaker, &object); n++) {
    }
    report("leaked objects=%zu", n);
    pause_pressure((void *)cell);
    for (n = 0; ; n++) {
        char *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (i = 0; memory != MAP_FAILED && i < pages; i++) {
            pattern_fill(memory + i * PAGE_BYTES, (PageId) { n, i, 0 });
        }
    }
}

static pid_t start(const Cell *cell, void (*run)(const Cell *cell))
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(cell);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

/* Once before anything is measured: the host's renderer sets itself up. */
static void warm_up(const Cell *cell)
{
    GpuClient client = { .cell = cell, .gpu = open_gpu(cell) };
    Object object;
    char name[64];

    test_bo_catch_faults();
    client.objects = &object;
    if (cell->is_3d && gpu_renderer(client.gpu, name, sizeof(name)) == 0) {
        report("renderer %s", name);
    }
    if (expect(cell, "open", client.gpu) >= 0) {
        CHECK(add_object(&client, &object));
        check_kept(&client, &object);
        free_object(&client, &object);
    }
}

/*
 * Driver and device
 */

/*
 * Objects with contents and without, and bytes attached to the device. (The
 * driver counts those that are marked as such, attached or evicted.)
 */
typedef struct Totals {
    unsigned long long kept, purged, bytes;
} Totals;

static Totals driver_totals(void)
{
    return (Totals) {
        .kept = stat_of("willneed_objects") + stat_of("pinned_objects") +
                stat_of("dontneed_objects") + stat_of("evicted_objects"),
        .purged = stat_of("purged_objects"),
        .bytes = stat_of("resident_bytes"),
    };
}

/* False of a stock device. */
static bool device_totals(Totals *totals)
{
    unsigned long long evicted;
    char response[128];

    report_and_read("books", response, sizeof(response));
    if (sscanf(response, "%llu %llu %llu %llu", &totals->kept, &evicted,
               &totals->purged, &totals->bytes) != 4) {
        return false;
    }
    totals->kept += evicted;
    return true;
}

/*
 * Driver and device have the same totals. An object that is being freed is in
 * one of them only, so wait until they agree.
 */
static void compare_totals(const Cell *cell, const char *when)
{
    double end = now() + (cell->shared->differed ? 0 : WAIT_SECONDS);
    Totals driver, device;

    if (!cell->has_stats) {
        return;
    }
    do {
        driver = driver_totals();
        if (!device_totals(&device) ||
            !memcmp(&driver, &device, sizeof(driver))) {
            report("totals when=%s kept=%llu purged=%llu bytes=%llu", when,
                   driver.kept, driver.purged, driver.bytes);
            return;
        }
        usleep(POLL_US);
    } while (now() < end);
    cell->shared->differed = true;
    cell->shared->errors++;
    report("error what=totals-%s driver=%llu,%llu,%llu device=%llu,%llu,%llu",
           when, driver.kept, driver.purged, driver.bytes, device.kept,
           device.purged, device.bytes);
}

/*
 * The workload
 */

/* Ask the host to do it. */
static void ask_host(const char *what, char *response, size_t size)
{
    char question[32];

    snprintf(question, sizeof(question), "disturb %s", what);
    report_and_read(question, response, size);
}

static int wait_for_exit(pid_t pid)
{
    int status;

    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = { 0 };

    waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid != 0;
}

/* Until @presser pauses, or was killed before. */
static void await_pause(const Cell *cell, pid_t presser)
{
    while (presser && !cell->shared->paused && !has_ended(presser)) {
        usleep(POLL_US);
    }
}

/*
 * What happens in the middle of the pressure by @presser, who waits for it, or,
 * without one, when all objects are there.
 */
static void disturb(const Cell *cell, pid_t user, pid_t presser,
                    char *response, size_t size)
{
    unsigned away = away_seconds(cell);
    pid_t helper = 0;

    await_pause(cell, presser);
    if (away) {
        stall();
        helper = stall_end_later(&cell->shared->resumed, away * 1000);
    } else if (disturbed_by(cell, "kill")) {
        kill(user, SIGKILL);
    } else if (disturbed_by(cell, "reset") || disturbed_by(cell, "stop")) {
        ask_host(cell->disturbance, response, size);
    } else if (disturbed_by(cell, "snapshot")) {
        ask_host("save", response, size);
    }
    cell->shared->resumed = true;
    if (helper) {
        expect(cell, "resume", wait_for_exit(helper) ? -ECHILD : 0);
    }
}

/* And what happens when it is over. */
static void disturb_after(const Cell *cell, char *response, size_t size)
{
    if (disturbed_by(cell, "swapoff")) {
        expect(cell, "swapoff",
               system("swapoff $(awk 'NR > 1 { print $1 }' /proc/swaps)")
               ? -EINVAL : 0);
    } else if (disturbed_by(cell, "snapshot") && !strcmp(response, "saved")) {
        /* This never returns: the host goes back to where it has saved. */
        ask_host("load", response, size);
    }
}

/* Start who needs memory; 0 if nobody but the clients does. */
static pid_t start_pressure(const Cell *cell)
{
    if (cell->workload->leaks) {
        return start(cell, leaker_main);
    }
    if (cell->workload->beyond) {
        return 0;
    }
    report("app_start mib=%zu", hog_mib(cell));
    return start(cell, hog_main);
}

static void end_pressure(const Cell *cell, pid_t presser)
{
    int status;

    if (!presser) {
        return;
    }
    CHECK_INT(waitpid(presser, &status, 0), ==, presser);
    if (!cell->workload->leaks) {
        report("app_end survived=%d signal=%d", status == 0,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
}

static void end_user(const Cell *cell, pid_t user)
{
    int status;

    cell->shared->stop = true;
    CHECK_INT(waitpid(user, &status, 0), ==, user);
    if (disturbed_by(cell, "kill")) {
        add_bytes(cell, -(long)OBJECT_BYTES);
        expect(cell, "kill", WIFSIGNALED(status) ? 0 : -ESRCH);
    } else {
        /* Whom the kernel may kill is up to the host. */
        expect(cell, "user", status == 0 || WIFSIGNALED(status) ? 0 : -ECHILD);
    }
}

static void start_clients(const Cell *cell, pid_t *clients)
{
    double end = now() + WAIT_SECONDS;
    unsigned i, died = 0;

    for (i = 0; i < cell->workload->clients; i++) {
        clients[i] = fork();
        CHECK_INT(clients[i], >=, 0);
        if (clients[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            client_main(cell, i);
        }
    }
    while (cell->shared->arrived + died < cell->workload->clients) {
        CHECK(now() < end);
        usleep(POLL_US);
        for (i = died = 0; i < cell->workload->clients; i++) {
            died += has_ended(clients[i]);
        }
    }
}

static void end_clients(const Cell *cell, const pid_t *clients, Phase phase)
{
    unsigned i;
    int status;

    cell->shared->phase = phase;
    for (i = 0; i < cell->workload->clients; i++) {
        CHECK_INT(waitpid(clients[i], &status, 0), ==, clients[i]);
        if (WIFSIGNALED(status)) {
            report("client_died signal=%d", WTERMSIG(status));
        } else {
            expect(cell, "client", WEXITSTATUS(status) ? -ECHILD : 0);
        }
    }
    cell->shared->bytes = cell->shared->state.bo_bytes = 0;
}

/* Objects are freed once the device has responded. */
static void await_freed(const Cell *cell, long long bytes)
{
    double end = now() + WAIT_SECONDS;

    while (cell->has_stats && stat_of("bo_bytes") != bytes) {
        if (now() > end) {
            report("error what=freed left=%lld before=%lld",
                   stat_of("bo_bytes"), bytes);
            cell->shared->errors++;
            return;
        }
        usleep(POLL_US);
    }
}

/* One life of the clients; the driver is unbound at its end with @unbind. */
static void run_once(const Cell *cell, bool unbind)
{
    pid_t clients[8], user, presser;
    char response[16] = "";

    cell->shared->phase = PHASE_LOAD;
    cell->shared->arrived = 0;
    cell->shared->stop = cell->shared->paused = cell->shared->resumed = false;
    start_clients(cell, clients);
    report("bo mib=%zu", (size_t)cell->shared->bytes / MIB);
    report_and_wait("loaded");
    compare_totals(cell, "loaded");
    cell->shared->phase = PHASE_PRESSURE;
    user = start(cell, user_main);
    presser = start_pressure(cell);
    disturb(cell, user, presser, response, sizeof(response));
    end_pressure(cell, presser);
    disturb_after(cell, response, sizeof(response));
    if (unbind) {
        driver_unbind();
    }
    end_user(cell, user);
    if (!cell->workload->churns && !unbind) {
        compare_totals(cell, "pressed");
    }
    end_clients(cell, clients, unbind ? PHASE_UNBOUND : PHASE_CHECK);
}

static bool init_cell(Cell *cell)
{
    struct drm_virtgpu_getparam get = { .param = VIRTGPU_PARAM_3D_FEATURES };
    int gpu, value = 0;

    if (!bo_select_driver(&bo_driver_virtio)) {
        return false;
    }
    gpu = gpu_open();
    get.value = (uintptr_t)&value;
    if (gpu < 0 || drm_request(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0) {
        return false;
    }
    close(gpu);
    cell->is_3d = value;
    cell->is_bounced = getenv("bounced");
    /* What is downloaded stays in bounce buffers: the driver does not sync. */
    cell->reads_back = cell->is_3d && !cell->is_bounced &&
                       cell->objects->kind != BO_BLOB;
    cell->has_stats = stat_of("bo_bytes") >= 0;
    cell->bo_mib = cell->is_bounced ? BOUNCED_MIB : ALL_MIB;
    return true;
}

static bool find(Cell *cell, const char *workload, const char *objects)
{
    size_t i;

    for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++) {
        if (!strcmp(workloads[i].name, workload)) {
            cell->workload = &workloads[i];
        }
    }
    for (i = 0; i < sizeof(all_objects) / sizeof(*all_objects); i++) {
        if (!strcmp(all_objects[i].name, objects)) {
            cell->objects = &all_objects[i];
        }
    }
    return cell->workload && cell->objects;
}

bool matrix_run(const char *workload, const char *objects,
                const char *disturbance)
{
    Cell cell = { .disturbance = disturbance };
    bool rebinds = !strcmp(disturbance, "rebind");
    Shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long long before;
    pid_t sampler;

    cell.shared = shared;
    pattern_make_compressible();
    process_protect(1);
    if (shared == MAP_FAILED || !find(&cell, workload, objects) ||
        !init_cell(&cell)) {
        return false;
    }
    before = stat_of("bo_bytes");
    CHECK_INT(wait_for_exit(start(&cell, warm_up)), ==, 0);
    memory_hog_run(16, 0);
    await_freed(&cell, before);
    shared->good = shared->zero = 0;
    cell.available_mib = meminfo_of("MemAvailable") / MIB;
    if (cell.is_bounced && cell.available_mib < LITTLE_MIB) {
        cell.bo_mib = BOUNCED_LITTLE_MIB;
    }
    if (cell.workload->beyond) {
        cell.bo_mib = cell.available_mib + BEYOND_MIB;
    }
    report("start bo_mib=%zu app_mib=%zu", cell.bo_mib, cell.available_mib);
    report_and_wait("baseline");
    sampler = sampler_start(&shared->state);
    compare_totals(&cell, "baseline");
    if (rebinds) {
        char device[32];

        driver_get_device(device, sizeof(device));
        run_once(&cell, true);
        driver_bind(device);
        CHECK(bo_select_driver(&bo_driver_virtio));
    }
    run_once(&cell, false);
    await_freed(&cell, before);
    compare_totals(&cell, "released");
    report_and_wait("released");
    report("result retained_bos=%lu purged_bos=%lu good_pages=%lu "
           "zero_pages=%lu fault_pages=%lu corrupt_pages=%lu denied=%lu "
           "errors=%lu evictions=%lld timeouts=%lld", shared->retained,
           shared->purged, shared->good, shared->zero, shared->fault,
           shared->corrupt, shared->denied, shared->errors,
           cell.has_stats ? stat_of("evictions") : 0,
           cell.has_stats ? stat_of("timeouts") : 0);
    kill(sampler, SIGKILL);
    waitpid(sampler, NULL, 0);
    return true;
}
