/*
 * QTest testcase: reclaim of virtio-gpu's resource memory: what the cases share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each file virtio-gpu-reclaim-test-*.c has the cases of one idea, and a table
 * of them at its end. What comes without a comment there says in
 * docs/specs/virtio-gpu-reclaim.rst why it has to be so: "spec: Device N" in
 * front of a case is the number of the requirement.
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

/* The usual resource: 4 bytes for each pixel. */
#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define SIDE 64
#define BYTES (SIDE * SIDE * 4)
#define PAGE 4096

/* Guest memory to attach: somewhere, and somewhere else. */
#define HERE QVIRTIO_GPU_HEAP
#define THERE (QVIRTIO_GPU_HEAP + 16 * MiB)

#define RED 0x00ff0000u
#define GREEN 0x0000ff00u

/* Gallium's targets, binds and formats, as they are on the wire. */
#define TARGET_BUFFER 0
#define TARGET_2D 2
#define TARGET_CUBE 4
#define BIND_RENDER_TARGET (1 << 1)
#define BIND_SAMPLER_VIEW (1 << 3)
#define BIND_VERTEX_BUFFER (1 << 4)
#define FORMAT_R8 64

/* virglrenderer's protocol: make, and destroy, a surface on resource 1. */
#define CREATE_SURFACE (1 | 8 << 8 | 5 << 16)
#define DESTROY_SURFACE (3 | 8 << 8 | 1 << 16)

typedef struct Device {
    const char *name;
    const char *args;
    bool gl;
    bool mmio;
} Device;

extern const Device dev_2d, dev_gl, dev_2d_mmio, dev_gl_mmio;

/* Host memory of each mapping: an iovec, in 2D an address, too. */
#define IOV_BYTES(dev) ((dev)->gl ? 16u : 24u)

/* The devices that a case runs on. */
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
 * A case: its path is /virtio-gpu/GROUP/DEVICE/@name for each device. The group
 * is "reclaim", or "rss" if the memory of QEMU's process is looked at, which
 * under a checker of memory is not as it would be.
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
void add_fences_cases(void);
void add_blob_cases(void);
void add_hostile_cases(void);

/* Boot a device with @args, or start it with @props besides x-reclaim=on. */
QVirtioGPU *boot(const Device *dev, const char *args);
QVirtioGPU *start_with(const Device *dev, const char *props);
QVirtioGPU *start(const Device *dev);

/*
 * What "reclaim-stats" has, without what is only compared on its own. @host is
 * what resources have; what is kept of mappings comes on top.
 */
typedef struct Stats {
    uint64_t resident, resident_host, resident_backing;
    uint64_t evicted, evicted_host;
    uint64_t purged, purged_released;
    uint64_t deferred, deferred_host;
    uint64_t host;
    uint64_t attaches, detaches, purges, restores, errors, released_total;
} Stats;

#define CHECK(dict, name, want) \
    g_assert_cmpuint(qdict_get_int(dict, name), ==, want)

/* All that the property has, or one number of its outermost level. */
QDict *get_stats(QVirtioGPU *gpu);
uint64_t get_stat(QVirtioGPU *gpu, const char *name);
void check_stats(QVirtioGPU *gpu, Stats want);

/* For CREATE_3D: a texture of SIDE x SIDE, and a buffer. */
struct virtio_gpu_resource_create_3d texture_3d(uint32_t id);
struct virtio_gpu_resource_create_3d buffer_3d(uint32_t id, uint32_t bytes);

/* Resource @id, the usual one, with its backing at HERE. */
void make(QVirtioGPU *gpu, uint32_t id);
uint32_t purge_one(QVirtioGPU *gpu, uint32_t id);

/* Resources 1 to 4: on the screen, the cursor, evicted, purged. */
void populate(QVirtioGPU *gpu);

/* Pages of which none follows the one in front of it: they are not joined. */
void backwards(struct virtio_gpu_mem_entry *entries, uint32_t n, uint64_t addr);

/* SUBMIT_3D of @n words, with a header that claims so many bytes. */
uint32_t submit(QVirtioGPU *gpu, uint32_t ctx, const uint32_t *words,
                uint32_t n, uint32_t claimed_size);

/*
 * Add a command to the control queue, with a page for its response; each
 * @slot is a page of @gpu->out and @gpu->in. Returns the descriptor to kick.
 */
uint32_t enqueue(QVirtioGPU *gpu, int slot, const void *cmd, size_t len);

void fill_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel);
void check_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel);

/*
 * All pixels of what is on the screen are @pixel. A texture on the screen of
 * the GL device cannot be dumped: there it is enough that nothing crashes.
 */
void check_screen(const Device *dev, QVirtioGPU *gpu, uint32_t pixel);

/*
 * Check the host's copy of a resource, which has @addr attached: through its
 * backing on the GL device, on the screen on the 2D device, which has no
 * other way out.
 */
void check_contents(const Device *dev, QVirtioGPU *gpu, uint32_t id,
                    uint64_t addr, uint32_t pixel);

/* Make the host's copy of a resource, which has @addr attached, @pixel. */
void set_contents(QVirtioGPU *gpu, uint32_t id, uint64_t addr, uint32_t pixel);

/*
 * A device with blobs of guest memory, and @options of the command line. QEMU
 * requires /dev/udmabuf for them; where there is none
 * tests/qtest/udmabuf-shim.c is preloaded. Without either the case is skipped,
 * and NULL returned.
 */
QVirtioGPU *start_with_blobs(const Device *dev, const char *options);

/* Blob @id of @size bytes; its entry, if any, has @bytes of memory at HERE. */
uint32_t create_blob(QVirtioGPU *gpu, uint32_t id, uint32_t entries,
                     uint32_t bytes, uint64_t size);

/* An image in blob 1, and the rectangle of it that is scanned out. */
typedef struct ScanoutBlob {
    uint32_t width, height, stride, offset;
    uint32_t x, y, r_width, r_height;
} ScanoutBlob;

uint32_t scanout_blob(QVirtioGPU *gpu, const ScanoutBlob *image);

/* virtio-gpu-reclaim-test-migration.c */

/* Save @gpu to a file, which the caller removes. */
char *save(QVirtioGPU *gpu);

/* Boot a device with @args, and start to load @path into it. */
QVirtioGPU *load(const char *args, const char *path);
void wait_for_migration(QTestState *qts);

/* QEMU's memory that is no file's and no guest's, in bytes. */
uint64_t rss_anon(QVirtioGPU *gpu);

/* An empty file, which the caller removes. */
char *temp_file(void);

#endif
