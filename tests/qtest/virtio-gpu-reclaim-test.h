/*
 * QTest testcase for virtio-gpu memory reclaim: common definitions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each file virtio-gpu-reclaim-test-*.c has the cases of one topic, and a table
 * of them at its end. "spec: Device N" or "spec: Errors N" in front of a case
 * cites the requirement of docs/specs/virtio-gpu-reclaim.rst that it tests.
 */

#ifndef TESTS_VIRTIO_GPU_RECLAIM_TEST_H
#define TESTS_VIRTIO_GPU_RECLAIM_TEST_H

#include "qemu/bswap.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/virtio-gpu.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qlist.h"

#define RECLAIM (1ull << VIRTIO_GPU_F_RECLAIM)
#define VIRGL (1ull << VIRTIO_GPU_F_VIRGL)

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define BAD_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define BAD_CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define BAD_PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER

#define PURGED VIRTIO_GPU_PURGE_PURGED
#define BUSY VIRTIO_GPU_PURGE_BUSY
#define UNKNOWN VIRTIO_GPU_PURGE_UNKNOWN_ID
#define UNSUPPORTED VIRTIO_GPU_PURGE_UNSUPPORTED

/* The default resource has 4 bytes per pixel. */
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SIDE 64
#define BYTES (SIDE * SIDE * 4)
#define PAGE 4096

/* Guest addresses of two backings. */
#define HERE QVIRTIO_GPU_HEAP
#define THERE (QVIRTIO_GPU_HEAP + 16 * MiB)

#define RED 0x00ff0000u
#define GREEN 0x0000ff00u

/* Gallium's targets, binds and formats, as encoded in commands. */
#define TARGET_BUFFER 0
#define TARGET_2D 2
#define TARGET_CUBE 4
#define TARGET_2D_ARRAY 7
#define BIND_RENDER_TARGET (1 << 1)
#define BIND_SAMPLER_VIEW (1 << 3)
#define BIND_VERTEX_BUFFER (1 << 4)
#define BIND_STAGING (1 << 19)
#define FORMAT_R8 64

/* virglrenderer protocol: create and destroy a surface. */
#define CREATE_SURFACE (1 | 8 << 8 | 5 << 16)
#define DESTROY_SURFACE (3 | 8 << 8 | 1 << 16)
#define SET_FRAMEBUFFER (5 | 3 << 16) /* one colour buffer */

typedef struct Device {
    const char *name;
    const char *args;
    bool gl;
    bool mmio;
} Device;

extern const Device dev_2d, dev_gl, dev_2d_mmio, dev_gl_mmio;

/* Host memory per mapping: an iovec and, on the 2D device, an address. */
#define IOV_BYTES(dev) ((dev)->gl ? 16u : 24u)

/* Overhead of a texture of SIDE x SIDE: host memory besides its storage. */
#define OVERHEAD(dev) ((dev)->gl ? 3072u + 128u : 640u)

/* The same for a surface or view in a context. */
#define SURFACE_OVERHEAD 4096u

/* Devices that a case runs on. */
enum {
    ON_2D_PCI = 1 << 0,
    ON_GL_PCI = 1 << 1,
    ON_2D_MMIO = 1 << 2,
    ON_GL_MMIO = 1 << 3,
    ON_2D = ON_2D_PCI | ON_2D_MMIO,
    ON_GL = ON_GL_PCI | ON_GL_MMIO,
    ON_PCI = ON_2D_PCI | ON_GL_PCI,
    ON_ALL = ON_2D | ON_GL,
};

/*
 * A test case, with the path /virtio-gpu/GROUP/DEVICE/@name for each device.
 * The group is "reclaim" in general. It is "rss" if the case depends on QEMU's
 * memory usage, which sanitizers and valgrind change.
 */
typedef struct Case {
    const char *name;
    void (*func)(const void *dev);
    unsigned on;
} Case;

void add_cases(const char *group, const Case *cases, size_t n);

void add_config_cases(void);
void add_backing_cases(void);
void add_purge_cases(void);
void add_use_cases(void);
void add_errors_cases(void);
void add_regression_cases(void);
void add_accounting_cases(void);
void add_lifecycle_cases(void);
void add_migration_cases(void);
void add_migration_error_cases(void);
void add_rss_cases(void);
void add_compress_cases(void);
void add_control_cases(void);
void add_file_cases(void);
void add_pressure_cases(void);
void add_fences_cases(void);
void add_blob_cases(void);
void add_hostile_cases(void);
void add_untracked_cases(void);
void add_slices_cases(void);
void add_limit_cases(void);
void add_stall_cases(void);

/*
 * Boot a guest with the options @args. start() boots @dev with x-reclaim=on and
 * starts its driver; start_with() appends @props to the device's options.
 */
QVirtioGPU *boot(const Device *dev, const char *args);
QVirtioGPU *start_with(const Device *dev, const char *props);
QVirtioGPU *start(const Device *dev);

/*
 * Expected values of the property "reclaim-stats". @host excludes the iovecs of
 * mappings, which check_stats() adds.
 */
typedef struct Stats {
    uint64_t resident, resident_host, resident_backing;
    uint64_t evicted, evicted_host;
    uint64_t purged, purged_released;
    uint64_t deferred, deferred_host;
    uint64_t host;
    uint64_t blobs, blob_host, blob_backing;
    uint64_t attaches, detaches, purges, restores, errors, released_total;
} Stats;

#define CHECK(dict, name, want) \
    g_assert_cmpuint(qdict_get_int(dict, name), ==, want)

/* Longer than anything but a hang takes. */
#define HANG (60 * G_USEC_PER_SEC)

/*
 * The response to reading the property; one of its top-level numbers, or one of
 * a group, which can be waited for.
 */
QDict *get_stats(QVirtioGPU *gpu);
uint64_t get_stat(QVirtioGPU *gpu, const char *name);
uint64_t get_in(QVirtioGPU *gpu, const char *group, const char *name);
void wait_for(QVirtioGPU *gpu, const char *group, const char *name,
              uint64_t value);
void check_stats(QVirtioGPU *gpu, Stats want);

/* Arguments of CREATE_3D: a texture of SIDE x SIDE pixels, and a buffer. */
struct virtio_gpu_resource_create_3d texture_3d(uint32_t id);
struct virtio_gpu_resource_create_3d buffer_3d(uint32_t id, uint32_t bytes);

/* Create the default resource as @id and attach backing at HERE. */
void make(QVirtioGPU *gpu, uint32_t id);
uint32_t purge_one(QVirtioGPU *gpu, uint32_t id);

/* Advance qtest's clock, which idle times are counted by. */
void advance_ms(QVirtioGPU *gpu, int64_t ms);

/* Set hostmem-target; the first returns the response. */
QDict *try_target(QVirtioGPU *gpu, uint64_t bytes);
void set_target(QVirtioGPU *gpu, uint64_t bytes);

/* Options of -device that QEMU must not start with, and what it says. */
typedef struct BadOptions {
    const char *device, *error;
} BadOptions;

void check_bad_options(const BadOptions *bad, size_t n);

/*
 * A default resource with backing of its own, all @pixel; and use it as such,
 * which returns whether it had to be decompressed.
 */
uint64_t backing(uint32_t id);
void make_filled(QVirtioGPU *gpu, uint32_t id, uint32_t pixel);
bool use(const Device *dev, QVirtioGPU *gpu, uint32_t id, uint32_t pixel);

/* A large resource with backing at THERE. */
#define LARGE_SIDE 2048
#define LARGE_BYTES (LARGE_SIDE * LARGE_SIDE * 4)
void make_large(QVirtioGPU *gpu, uint32_t id, uint32_t pixel);
void check_large(QVirtioGPU *gpu, uint32_t id, uint32_t pixel);

/* Create resources 1 to 4: scanned out, cursor, evicted, purged. */
void populate(QVirtioGPU *gpu);

/* Fill @entries with pages in descending order, which cannot be merged. */
void reverse_pages(struct virtio_gpu_mem_entry *entries, uint32_t n,
                   uint64_t addr);

/* SUBMIT_3D of @n words with @claimed_size bytes in its header. */
uint32_t submit(QVirtioGPU *gpu, uint32_t ctx, const uint32_t *words,
                uint32_t n, uint32_t claimed_size);

/*
 * Add a command to the control queue, with a page for its response. @slot is
 * the index of the page in @gpu->out and @gpu->in. Returns the head descriptor.
 */
uint32_t enqueue(QVirtioGPU *gpu, int slot, const void *cmd, size_t len);

void fill_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel);
void check_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel);

/* What is scanned out, as PPM of @len bytes. The caller frees it. */
char *screendump(QVirtioGPU *gpu, size_t *len);

/*
 * Check that all scanned out pixels are @pixel. Does nothing on the GL device,
 * where QEMU's screendump does not support textures.
 */
void check_screen(const Device *dev, QVirtioGPU *gpu, uint32_t pixel);

/*
 * Check that all pixels in the host storage of a resource with backing at @addr
 * are @pixel. The GL device transfers them to the backing. The 2D device has no
 * such command: there the resource is scanned out.
 */
void check_contents(const Device *dev, QVirtioGPU *gpu, uint32_t id,
                    uint64_t addr, uint32_t pixel);

/* Fill the host storage of a resource with backing at @addr with @pixel. */
void set_contents(QVirtioGPU *gpu, uint32_t id, uint64_t addr, uint32_t pixel);

/* What follows the device's properties for it to have blobs. */
#define WITH_BLOBS ",blob=on -object memory-backend-memfd,id=sealed,size=1M"
/*
 * Have QEMU loaded with a stand-in for /dev/udmabuf, if there is none, until
 * LD_PRELOAD is unset. Returns false, and skips the test, if there is no
 * stand-in.
 */
bool preload_udmabuf(void);
/*
 * Start a device with blob resources, with @options appended to its options.
 * QEMU requires /dev/udmabuf for blobs; on hosts without it
 * tests/qtest/udmabuf-shim.c is preloaded. If neither is available, skips the
 * case and returns NULL.
 */
QVirtioGPU *start_with_blobs(const Device *dev, const char *options);

/* Create blob @id of @size bytes with 0 or 1 @entries, @bytes bytes at HERE. */
uint32_t create_blob(QVirtioGPU *gpu, uint32_t id, uint32_t entries,
                     uint32_t bytes, uint64_t size);

/* The layout of an image in blob 1, and the rectangle to scan out. */
typedef struct ScanoutBlob {
    uint32_t width, height, stride, offset;
    uint32_t x, y, r_width, r_height;
} ScanoutBlob;

uint32_t scanout_blob(QVirtioGPU *gpu, const ScanoutBlob *image);

/* virtio-gpu-reclaim-test-migration.c */

/* Save the state of @gpu to a file, which the caller removes. */
char *save(QVirtioGPU *gpu);

/* Boot a guest with @args and start an incoming migration from @path. */
QVirtioGPU *load(const char *args, const char *path);
void wait_for_migration(QTestState *qts);

/*
 * RssAnon of QEMU in bytes, and what it has of 2D images in files of their own;
 * without guest RAM, which is mapped from another file.
 */
uint64_t rss_anon(QVirtioGPU *gpu);

/* Create an empty file, which the caller removes. */
char *temp_file(void);

#endif
