/*
 * The matrix: guests under memory pressure in all kinds of configurations
 *
 * Usage: virtio-gpu-matrix-test [PREFIX[,PREFIX...]]
 *
 * Boots a guest for each cell whose name begins with a PREFIX, and prints in
 * TAP format whether it found what the cell expects. Each value of each column
 * meets each value of each other column in a cell, unless that is impossible:
 * the first test. docs/devel/matrix.md says what is compared.
 *
 * The results are in build/vm/matrix.json; see scripts/steps/matrix-page.py.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "virtio-gpu-vm-run.h"

/* A GPU of more than the 2D device's default; MiB. */
#define HOSTMEM_MIB 2048

/* The console is a scattered blob, which the device cannot show. */
#define REJECTED_CONSOLE "*ERROR* response 0x12"

/* Linux selects shared memory, which QEMU's virtio-mmio does not know. */
#define UNKNOWN_REGISTER "virtio_mmio_write: bad register offset (0xac)"

/* A kernel that finds nobody to kill: objects are freed after their owner. */
#define PANIC "deadlocked on memory"

/* Swap on a disk; an idle client needs as much as the guest has memory. */
#define SWAP_MIB      256
#define IDLE_SWAP_MIB 512

/* Swap in memory: more than fits in it without being compressed. */
#define ZRAM_PART 2

enum { COLUMNS = 9 };

enum { STOCK_DRIVER, OURS_DRIVER };
enum { STOCK_DEVICE, DEVICE_OFF, DEVICE_ON };
enum { CACHE, IDLE, MIXED, CLIENTS, CHURN, LEAK };
enum { NO_SWAP, DISK, ZRAM };
enum { RAM_192, RAM_256, RAM_512 };
enum { BUFFERS, TEXTURES, DUMB, BLOBS, EXPORTED };
enum { NO_IOMMU, IOMMU, SWIOTLB };
enum { PCI, MMIO };
enum { GPU_2D, GPU_GL, VGA_GL };

/* The columns, in the order of a cell's values. */
enum { DRIVER, DEVICE, WORKLOAD, SWAP, RAM, OBJECTS, DMA, TRANSPORT, MODEL };

static const struct {
    const char *name;
    const char *values[8];
} columns[COLUMNS] = {
    [DRIVER] = { "driver", { "stock", "ours" } },
    [DEVICE] = { "device", { "stock", "off", "on" } },
    [WORKLOAD] = { "workload",
                   { "cache", "idle", "mixed", "clients", "churn", "leak" } },
    [SWAP] = { "swap", { "none", "disk", "zram" } },
    [RAM] = { "ram", { "192", "256", "512" } },
    [OBJECTS] = { "objects",
                  { "buffers", "textures", "dumb", "blobs", "exported" } },
    [DMA] = { "iommu", { "off", "on", "swiotlb" } },
    [TRANSPORT] = { "transport", { "pci", "mmio" } },
    [MODEL] = { "model",
                { "virtio-gpu", "virtio-gpu-gl", "virtio-vga-gl" } },
};

/* What happens in the middle: tests/guest/matrix.h. */
typedef enum Disturbance {
    UNDISTURBED, RESET, KILL, REBIND, STOP, SNAPSHOT, SWAPOFF, LATE, AWAY,
    DISTURBANCES,
} Disturbance;

static const char *const disturbances[DISTURBANCES] = {
    "none", "reset", "kill", "rebind", "stop", "snapshot", "swapoff", "late",
    "away",
};

/*
 * What a cell expects. In every cell all that a client has not marked DONTNEED
 * is intact, nobody is killed who is not named here, and nothing is purged or
 * evicted unless it says so.
 */
enum {
    HOG_LIVES   = 1 << 0,       /* a program that locks memory gets it */
    HOG_DIES    = 1 << 1,       /* ... is killed */
    LEAKER_DIES = 1 << 2,       /* a program that leaks is killed, alone */
    REACHES_ALL = 1 << 3,       /* objects for more than there is memory */
    STOPS       = 1 << 4,       /* there is an end to that */
    PURGES      = 1 << 5,       /* objects are purged */
    EVICTS      = 1 << 6,       /* objects are evicted */
    ANYBODY     = 1 << 7,       /* the kernel kills others as well */
    KILLS       = 1 << 8,       /* the kernel kills whom it likes */
};

typedef struct Cell {
    const char *name;
    unsigned char values[COLUMNS];
    Disturbance disturbance;
    unsigned expects;
} Cell;

static const Cell cells[] = {
    { "cache/buffers", { OURS_DRIVER, DEVICE_ON, CACHE, NO_SWAP, RAM_512,
        BUFFERS, NO_IOMMU, PCI, VGA_GL },
      RESET, HOG_LIVES | PURGES },
    { "cache/textures", { OURS_DRIVER, DEVICE_ON, CACHE, ZRAM, RAM_256,
        TEXTURES, IOMMU, PCI, GPU_GL },
      REBIND, HOG_LIVES | PURGES },
    { "cache/textures-2", { OURS_DRIVER, DEVICE_ON, CACHE, DISK, RAM_512,
        TEXTURES, NO_IOMMU, PCI, GPU_2D },
      SNAPSHOT, HOG_LIVES | PURGES },
    { "cache/textures-3", { OURS_DRIVER, DEVICE_OFF, CACHE, DISK, RAM_256,
        TEXTURES, NO_IOMMU, PCI, VGA_GL },
      AWAY, HOG_DIES | PURGES },
    { "cache/dumb", { OURS_DRIVER, STOCK_DEVICE, CACHE, DISK, RAM_256, DUMB,
        SWIOTLB, MMIO, GPU_GL },
      SWAPOFF, HOG_DIES },
    { "cache/blobs", { OURS_DRIVER, DEVICE_ON, CACHE, NO_SWAP, RAM_192, BLOBS,
        IOMMU, PCI, GPU_2D },
      STOP, HOG_DIES | ANYBODY },
    { "cache/exported", { STOCK_DRIVER, DEVICE_OFF, CACHE, NO_SWAP, RAM_256,
        EXPORTED, NO_IOMMU, MMIO, GPU_2D },
      KILL, HOG_DIES },
    { "idle/buffers", { OURS_DRIVER, DEVICE_ON, IDLE, NO_SWAP, RAM_192,
        BUFFERS, NO_IOMMU, MMIO, GPU_GL },
      STOP, STOPS },
    { "idle/textures", { STOCK_DRIVER, STOCK_DEVICE, IDLE, NO_SWAP, RAM_192,
        TEXTURES, NO_IOMMU, MMIO, GPU_GL },
      UNDISTURBED, STOPS | ANYBODY },
    { "idle/textures-2", { OURS_DRIVER, DEVICE_OFF, IDLE, DISK, RAM_512,
        TEXTURES, SWIOTLB, PCI, VGA_GL },
      UNDISTURBED, STOPS },
    { "idle/dumb", { OURS_DRIVER, DEVICE_OFF, IDLE, DISK, RAM_192, DUMB, IOMMU,
        PCI, VGA_GL },
      UNDISTURBED, STOPS | ANYBODY },
    { "idle/blobs", { OURS_DRIVER, DEVICE_ON, IDLE, ZRAM, RAM_256, BLOBS,
        SWIOTLB, MMIO, GPU_2D },
      KILL, STOPS },
    { "idle/exported", { OURS_DRIVER, DEVICE_ON, IDLE, DISK, RAM_192, EXPORTED,
        NO_IOMMU, PCI, VGA_GL },
      STOP, REACHES_ALL | EVICTS },
    { "mixed/buffers", { OURS_DRIVER, DEVICE_OFF, MIXED, DISK, RAM_192,
        BUFFERS, NO_IOMMU, PCI, VGA_GL },
      KILL, HOG_LIVES | PURGES },
    { "mixed/textures", { OURS_DRIVER, DEVICE_ON, MIXED, DISK, RAM_192,
        TEXTURES, NO_IOMMU, PCI, GPU_GL },
      RESET, HOG_LIVES | PURGES },
    { "mixed/textures-2", { OURS_DRIVER, DEVICE_ON, MIXED, DISK, RAM_512,
        TEXTURES, NO_IOMMU, PCI, GPU_GL },
      AWAY, HOG_DIES | PURGES },
    { "mixed/dumb", { STOCK_DRIVER, DEVICE_ON, MIXED, NO_SWAP, RAM_512, DUMB,
        SWIOTLB, MMIO, GPU_GL },
      STOP, HOG_DIES | ANYBODY },
    { "mixed/blobs", { OURS_DRIVER, DEVICE_OFF, MIXED, DISK, RAM_256, BLOBS,
        SWIOTLB, PCI, GPU_2D },
      UNDISTURBED, HOG_DIES },
    { "mixed/exported", { OURS_DRIVER, STOCK_DEVICE, MIXED, ZRAM, RAM_512,
        EXPORTED, IOMMU, PCI, GPU_2D },
      KILL, HOG_DIES },
    { "clients/buffers", { OURS_DRIVER, DEVICE_ON, CLIENTS, ZRAM, RAM_192,
        BUFFERS, SWIOTLB, MMIO, GPU_GL },
      KILL, HOG_LIVES | PURGES },
    { "clients/textures", { OURS_DRIVER, DEVICE_ON, CLIENTS, DISK, RAM_256,
        TEXTURES, SWIOTLB, PCI, GPU_2D },
      LATE, HOG_LIVES | PURGES },
    { "clients/dumb", { STOCK_DRIVER, DEVICE_OFF, CLIENTS, ZRAM, RAM_256, DUMB,
        SWIOTLB, PCI, VGA_GL },
      UNDISTURBED, HOG_DIES | ANYBODY },
    { "clients/blobs", { STOCK_DRIVER, STOCK_DEVICE, CLIENTS, ZRAM, RAM_512,
        BLOBS, NO_IOMMU, MMIO, GPU_2D },
      UNDISTURBED, HOG_DIES },
    { "clients/exported", { OURS_DRIVER, DEVICE_ON, CLIENTS, NO_SWAP, RAM_192,
        EXPORTED, IOMMU, PCI, GPU_GL },
      REBIND, HOG_DIES | ANYBODY },
    { "churn/buffers", { STOCK_DRIVER, DEVICE_OFF, CHURN, NO_SWAP, RAM_192,
        BUFFERS, SWIOTLB, PCI, GPU_GL },
      UNDISTURBED, KILLS },
    { "churn/textures", { OURS_DRIVER, DEVICE_ON, CHURN, ZRAM, RAM_512,
        TEXTURES, NO_IOMMU, PCI, GPU_2D },
      SNAPSHOT, HOG_LIVES | PURGES },
    { "churn/dumb", { OURS_DRIVER, STOCK_DEVICE, CHURN, DISK, RAM_512, DUMB,
        NO_IOMMU, MMIO, GPU_GL },
      STOP, HOG_DIES },
    { "churn/blobs", { OURS_DRIVER, DEVICE_ON, CHURN, NO_SWAP, RAM_256, BLOBS,
        IOMMU, PCI, GPU_2D },
      STOP, HOG_DIES },
    { "churn/exported", { OURS_DRIVER, STOCK_DEVICE, CHURN, ZRAM, RAM_192,
        EXPORTED, SWIOTLB, PCI, VGA_GL },
      KILL, HOG_DIES | ANYBODY },
    { "churn/textures-2", { OURS_DRIVER, DEVICE_ON, CHURN, ZRAM, RAM_256,
        TEXTURES, NO_IOMMU, PCI, GPU_GL },
      LATE, HOG_LIVES | PURGES },
    { "leak/buffers", { STOCK_DRIVER, STOCK_DEVICE, LEAK, DISK, RAM_256,
        BUFFERS, IOMMU, PCI, GPU_GL },
      UNDISTURBED, LEAKER_DIES | ANYBODY },
    { "leak/textures", { OURS_DRIVER, DEVICE_ON, LEAK, NO_SWAP, RAM_256,
        TEXTURES, SWIOTLB, PCI, VGA_GL },
      STOP, LEAKER_DIES | PURGES },
    { "leak/dumb", { OURS_DRIVER, DEVICE_ON, LEAK, ZRAM, RAM_192, DUMB, IOMMU,
        PCI, GPU_2D },
      KILL, LEAKER_DIES | ANYBODY },
    { "leak/blobs", { OURS_DRIVER, DEVICE_OFF, LEAK, ZRAM, RAM_512, BLOBS,
        NO_IOMMU, MMIO, GPU_2D },
      RESET, LEAKER_DIES | ANYBODY },
    { "leak/exported", { OURS_DRIVER, DEVICE_ON, LEAK, DISK, RAM_256, EXPORTED,
        NO_IOMMU, PCI, GPU_GL },
      SWAPOFF, LEAKER_DIES },
};

/* Two values that cannot be in one cell. */
static const struct {
    unsigned char columns[2], values[2];
    const char *why;
} impossible[] = {
    { { OBJECTS, MODEL }, { BUFFERS, GPU_2D }, "a 2D device has textures" },
    { { OBJECTS, MODEL }, { BLOBS, GPU_GL },
      "QEMU 7.2 has no blobs with virglrenderer" },
    { { OBJECTS, MODEL }, { BLOBS, VGA_GL },
      "QEMU 7.2 has no blobs with virglrenderer" },
    { { TRANSPORT, MODEL }, { MMIO, VGA_GL }, "a VGA card is on PCI" },
    { { TRANSPORT, DMA }, { MMIO, IOMMU },
      "a machine without PCI has no IOMMU" },
};

static unsigned results, failed;

static void print_result(bool ok, const char *name, const char *after)
{
    results++;
    failed += !ok;
    printf("%sok %u - %s%s\n", ok ? "" : "not ", results, name, after);
    fflush(stdout);
}

static void show_progress(const VmConfig *config, const char *text)
{
    printf("# %s: %s\n", config->name, text);
    fflush(stdout);
}

/*
 * The table
 */

static bool has(const Cell *cell, unsigned column, unsigned value)
{
    return cell->values[column] == value;
}

static bool is_impossible(unsigned a, unsigned x, unsigned b, unsigned y)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(impossible); i++) {
        const unsigned char *c = impossible[i].columns;
        const unsigned char *v = impossible[i].values;

        if ((c[0] == a && v[0] == x && c[1] == b && v[1] == y) ||
            (c[1] == a && v[1] == x && c[0] == b && v[0] == y)) {
            return true;
        }
    }
    return false;
}

/* Whether value @x of column @a and value @y of column @b are in a cell. */
static bool is_paired(unsigned a, unsigned x, unsigned b, unsigned y)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        if (has(&cells[i], a, x) && has(&cells[i], b, y)) {
            return true;
        }
    }
    return false;
}

/* The number of pairs of two columns that are wrong; @count all of them. */
static unsigned check_columns(unsigned a, unsigned b, unsigned *count)
{
    unsigned x, y, wrong = 0;

    for (x = 0; columns[a].values[x]; x++) {
        for (y = 0; columns[b].values[y]; y++) {
            bool ok = is_paired(a, x, b, y) != is_impossible(a, x, b, y);

            (*count)++;
            wrong += !ok;
            if (!ok) {
                printf("# %s %s and %s %s: %s\n", columns[a].name,
                       columns[a].values[x], columns[b].name,
                       columns[b].values[y], is_paired(a, x, b, y) ?
                       "impossible, and in a cell" : "in no cell");
            }
        }
    }
    return wrong;
}

/* Each pair of values is in a cell, and each disturbance in two workloads. */
static void check_table(void)
{
    unsigned a, b, wrong = 0, count = 0;
    unsigned seen[DISTURBANCES] = { 0 };
    size_t i;

    for (a = 0; a < COLUMNS; a++) {
        for (b = a + 1; b < COLUMNS; b++) {
            wrong += check_columns(a, b, &count);
        }
    }
    print_result(wrong == 0, "table/pairs", "");
    printf("# %zu cells, %u pairs, %zu of them impossible\n",
           G_N_ELEMENTS(cells), count, G_N_ELEMENTS(impossible));
    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        seen[cells[i].disturbance] |= 1u << cells[i].values[WORKLOAD];
    }
    for (i = wrong = 0; i < DISTURBANCES; i++) {
        bool ok = ctpop32(seen[i]) > 1;

        wrong += !ok;
        if (!ok) {
            printf("# disturbance %s: in no two workloads\n",
                   disturbances[i]);
        }
    }
    print_result(wrong == 0, "table/disturbances", "");
}

/*
 * Guests
 */

static const unsigned ram_mib[] = { 192, 256, 512 };

static const char *value_of(const Cell *cell, unsigned column)
{
    return columns[column].values[cell->values[column]];
}

/* The words about a cell, for the page. Free with g_free(). */
static char *describe(const Cell *cell)
{
    static const char *const expectations[] = {
        "hog-lives", "hog-dies", "leaker-dies", "reaches-all", "stops",
        "purges", "evicts", "anybody-dies", "somebody-dies",
    };
    GString *text = g_string_new(NULL);
    const char *comma = "";
    unsigned i;

    for (i = 0; i < COLUMNS; i++) {
        g_string_append_printf(text, "%s=%s ", columns[i].name,
                               value_of(cell, i));
    }
    g_string_append_printf(text, "disturbance=%s expects=",
                           disturbances[cell->disturbance]);
    for (i = 0; i < G_N_ELEMENTS(expectations); i++) {
        if (cell->expects & 1 << i) {
            g_string_append_printf(text, "%s%s", comma, expectations[i]);
            comma = ",";
        }
    }
    return g_string_free(text, false);
}

static VmConfig config_of(const Cell *cell)
{
    unsigned ram = ram_mib[cell->values[RAM]];
    bool bounced = has(cell, DMA, SWIOTLB);

    return (VmConfig) {
        .name = cell->name, .scenario = VM_SCENARIO_MATRIX,
        .our_driver = has(cell, DRIVER, OURS_DRIVER),
        .our_device = has(cell, DEVICE, DEVICE_ON),
        .reclaim_off = has(cell, DEVICE, DEVICE_OFF),
        .is_2d = has(cell, MODEL, GPU_2D), .vga = has(cell, MODEL, VGA_GL),
        .mmio = has(cell, TRANSPORT, MMIO),
        .blob = has(cell, OBJECTS, BLOBS), .ram_mib = ram,
        .swap_mib = !has(cell, SWAP, DISK) ? 0 :
                    has(cell, WORKLOAD, IDLE) ? IDLE_SWAP_MIB : SWAP_MIB,
        .zram_mib = has(cell, SWAP, ZRAM) ? ram * ZRAM_PART : 0,
        .hostmem_mib = has(cell, MODEL, GPU_2D) ? HOSTMEM_MIB : 0,
        .devices = has(cell, DMA, IOMMU) ?
                   "-device intel-iommu,intremap=off" : NULL,
        .gpu_options = has(cell, DMA, NO_IOMMU) ? NULL : "iommu_platform=on",
        .kernel_options = g_strdup_printf(
            "workload=%s objects=%s disturbance=%s %s",
            value_of(cell, WORKLOAD), value_of(cell, OBJECTS),
            disturbances[cell->disturbance],
            /* 64 MiB, in slots of 2 KiB: the objects, and all else. */
            bounced ? "bounced=yes swiotlb=32768,force" :
            has(cell, DMA, IOMMU) ? "intel_iommu=on iommu=nopt" : ""),
        .log_guest_errors = true,
        .provoked = has(cell, OBJECTS, BLOBS) ? REJECTED_CONSOLE : NULL,
        .about = describe(cell),
    };
}

/*
 * Outcome
 */

static bool G_GNUC_PRINTF(2, 3) expect(bool ok, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (!ok) {
        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        printf("# not as expected: %s\n", text);
    }
    return ok;
}

/* Who was killed. */
static bool check_fates(const Cell *cell, const VmResult *r)
{
    const char *victim = cell->expects & LEAKER_DIES ? "leaker" :
                         cell->expects & HOG_DIES ? "memory-hog" : NULL;
    bool hog = cell->expects & (HOG_LIVES | HOG_DIES | KILLS);
    bool ok = true;

    ok &= expect(r->hog_ran == hog, "the memory hog %s",
                 hog ? "did not run" : "ran");
    if (cell->expects & KILLS) {
        return ok & expect(r->oom_killed, "nobody was killed");
    }
    if (hog) {
        ok &= expect(r->hog_survived == !!(cell->expects & HOG_LIVES),
                     "the memory hog %s", r->hog_survived ? "survived" :
                     "was killed");
    }
    if (cell->expects & ANYBODY) {
        return ok & expect(!victim || strstr(r->oom_killed ?: "", victim),
                           "killed: %s, not %s", r->oom_killed ?: "nobody",
                           victim);
    }
    ok &= expect(!g_strcmp0(r->oom_killed, victim), "killed: %s, not %s",
                 r->oom_killed ?: "nobody", victim ?: "nobody");
    ok &= expect(r->client_survived, "a client died");
    if (!(cell->expects & (STOPS | LEAKER_DIES)) &&
        !has(cell, WORKLOAD, CHURN)) {
        ok &= expect(r->denied == 0, "%u requests were refused", r->denied);
    }
    if (!(cell->expects & STOPS)) {
        ok &= expect(r->bo_mib_reached >= r->bo_mib_wanted,
                     "%u of %u MiB of objects", r->bo_mib_reached,
                     r->bo_mib_wanted);
    }
    return ok;
}

/* What became of the objects. */
static bool check_objects(const Cell *cell, const VmResult *r)
{
    bool purges = cell->expects & PURGES, evicts = cell->expects & EVICTS;
    bool ok = true;

    ok &= expect(r->corrupt_pages == 0, "%" PRIu64 " pages are not what they "
                 "should be", r->corrupt_pages);
    ok &= expect(r->errors == 0, "%u requests failed, or totals differ",
                 r->errors);
    ok &= expect(r->purged_bos > 0 || !purges, "nothing was purged");
    ok &= expect(r->purged_bos == 0 || purges, "%u objects were purged",
                 r->purged_bos);
    ok &= expect(r->evictions > 0 || !evicts, "nothing was evicted");
    if (r->client_survived) {
        ok &= expect(r->good_pages > 0, "no page was verified");
    }
    if (cell->expects & STOPS) {
        ok &= expect(r->bo_mib_reached < r->bo_mib_wanted,
                     "there was no end to objects");
    }
    return ok;
}

/* The guest errors in the log of @config that count. Free with g_free(). */
static char *guest_errors(const Cell *cell, const VmConfig *config)
{
    g_autofree char *name = g_strdelimit(g_strdup(config->name), "/", '-');
    g_autofree char *log = g_strdup_printf("vm/%s.log.qemu.guest-errors", name);
    g_autofree char *path = vm_build_path(log);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GString *errors = g_string_new(NULL);
    size_t i;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        g_string_append(errors, "no log");
    }
    lines = g_strsplit(text ?: "", "\n", -1);
    for (i = 0; lines[i]; i++) {
        if (lines[i][0] && !has(cell, OBJECTS, BLOBS) &&
            !strstr(lines[i], UNKNOWN_REGISTER)) {
            g_string_append_printf(errors, "%s; ", lines[i]);
        }
    }
    return g_string_free(errors, false);
}

/* Driver, device, QEMU and kernel. */
static bool check_sides(const Cell *cell, const VmConfig *config,
                        const VmResult *r)
{
    g_autofree char *errors = guest_errors(cell, config);
    bool ok = true;

    ok &= expect(r->kernel_complaints == 0, "the kernel complained");
    ok &= expect(r->boots == 1 + (cell->disturbance == RESET), "%u boots",
                 r->boots);
    if (config->our_device) {
        /* A stock device leaves it to malloc(), which keeps it. */
        ok &= expect(vm_result_all_returned(r), "RssAnon of QEMU was %" PRIu64
                     " MiB and is %" PRIu64, r->rss_anon_idle >> 20,
                     r->rss_anon_released >> 20);
    }
    ok &= expect(r->host_bytes_idle == r->host_bytes_released,
                 "the device counted %" PRIu64 " bytes and counts %" PRIu64,
                 r->host_bytes_idle, r->host_bytes_released);
    if (config->our_driver && config->our_device) {
        ok &= expect(r->counted > 0, "totals were not compared");
    }
    if (cell->disturbance == LATE || cell->disturbance == AWAY) {
        ok &= expect(r->timeouts > 0, "nobody waited for the device");
    }
    ok &= expect(!errors[0], "guest errors: %s", errors);
    return ok;
}

static const Cell *cell_of(const VmConfig *config)
{
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        if (!strcmp(cells[i].name, config->name)) {
            return &cells[i];
        }
    }
    g_assert_not_reached();
}

static void handle_end(const VmConfig *config, const VmResult *r)
{
    const Cell *cell = cell_of(config);
    /* Dumb buffers are reclaimed by neither driver. */
    bool stock = has(cell, DRIVER, STOCK_DRIVER) || has(cell, OBJECTS, DUMB);
    bool died = r->problem && (cell->expects & ANYBODY) && stock &&
                strstr(r->problem, PANIC);
    bool ok = died || expect(!r->problem, "%s", r->problem);

    if (ok && !died) {
        ok &= check_fates(cell, r);
        ok &= check_objects(cell, r);
        ok &= check_sides(cell, config, r);
    }
    printf("# %s: %s\n", config->name, config->about);
    printf("# %s: %u of %u MiB, %u objects purged, %u kept, %" PRIu64
           " evictions, %" PRIu64 " good pages; killed: %s; RssAnon %" PRIu64
           " -> %" PRIu64 " -> %" PRIu64 " MiB; %.0f s\n", config->name,
           r->bo_mib_reached, r->bo_mib_wanted, r->purged_bos, r->retained_bos,
           r->evictions, r->good_pages, r->oom_killed ?: "nobody",
           r->rss_anon_idle >> 20, r->rss_anon_before >> 20,
           r->rss_anon_released >> 20, r->seconds);
    print_result(ok, config->name, "");
}

static bool is_wanted(const char *name, char **prefixes)
{
    size_t i;

    for (i = 0; prefixes[i]; i++) {
        if (g_str_has_prefix(name, prefixes[i])) {
            return true;
        }
    }
    return !prefixes[0];
}

int main(int argc, char **argv)
{
    g_auto(GStrv) prefixes = g_strsplit(argc > 1 ? argv[1] : "", ",", -1);
    g_autofree VmConfig *configs = g_new0(VmConfig, G_N_ELEMENTS(cells));
    g_autofree char *json = vm_build_path("vm/matrix.json");
    g_autofree VmRun **runs = NULL;
    size_t i, count = 0;

    g_set_print_handler(vm_print_nothing);
    check_table();
    for (i = 0; i < G_N_ELEMENTS(cells); i++) {
        g_autofree char *missing = NULL;
        VmConfig *config = &configs[count];

        if (!is_wanted(cells[i].name, prefixes)) {
            continue;
        }
        *config = config_of(&cells[i]);
        config->handle_end = handle_end;
        missing = vm_config_missing(config);
        if (missing) {
            show_progress(config, missing);
            print_result(true, config->name, " # SKIP");
        } else {
            count++;
        }
    }
    if (count) {
        runs = vm_run_all(configs, count, VM_JOBS, show_progress);
        if (!vm_runs_write(json, configs, runs, count)) {
            printf("# %s: %s\n", json, strerror(errno));
            failed++;
        }
    }
    for (i = 0; i < count; i++) {
        vm_run_free(runs[i]);
        g_free((char *)configs[i].kernel_options);
        g_free((char *)configs[i].about);
    }
    printf("1..%u\n", results);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
