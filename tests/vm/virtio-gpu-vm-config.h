/*
 * Guests with a virtio-gpu: configuration
 *
 * The guest is tests/guest with a distribution's kernel and either the stock
 * virtio-gpu driver or ours; the device is either the stock one or ours. In the
 * scenario DESKTOP the guest goes on in the distribution's root directory, see
 * docs/devel/desktop-guest.md.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_CONFIG_H
#define TESTS_VM_VIRTIO_GPU_VM_CONFIG_H

/* The QOM path of the device. */
#define VM_GPU_PATH "/machine/peripheral/gpu0"

typedef enum VmScenario {
    VM_SCENARIO_CACHE,  /* DONTNEED buffers and a memory hog */
    VM_SCENARIO_IDLE,   /* more buffers than memory, used in turns */
    VM_SCENARIO_TESTS,  /* the tests of the driver */
    VM_SCENARIO_SOAK,   /* all operations concurrently, for config.seconds */
    VM_SCENARIO_BENCH,  /* measurements: config.tests says which */
    VM_SCENARIO_MATRIX, /* a cell: docs/devel/matrix.md */
    VM_SCENARIO_DESKTOP, /* the distribution's programs, see vm_run_ask() */
} VmScenario;

typedef struct VmConfig VmConfig;
typedef struct VmResult VmResult;

struct VmConfig {
    const char *name;
    const char *group;      /* of guests that run together; may be NULL */
    VmScenario scenario;
    bool our_driver;
    bool vgem;              /* our vgem, and no driver of the device */
    bool our_device;
    bool reclaim_off;       /* our device without the feature: not our_device */
    bool is_2d;             /* the device without virglrenderer */
    bool vga;               /* virtio-vga, not virtio-gpu-pci */
    bool mmio;              /* a machine without PCI: virtio-mmio */
    bool blob;              /* with blobs, also on hosts without udmabuf */
    bool venus;             /* with Vulkan, and so with host blobs: QEMU 10.0 */
    bool debug_kernel;      /* KASAN, lockdep, ... */
    /*
     * May be NULL. In TESTS: called with each line of TAP, which has no
     * numbers. In SOAK and BENCH: with each line of its report.
     */
    void (*handle_line)(const VmConfig *config, const char *line);
    /* May be NULL. Called when the guest has ended. */
    void (*handle_end)(const VmConfig *config, const VmResult *result);
    const char *about;      /* name=value words for a page; may be NULL */
    const char *tests;      /* the prefix of their names; NULL: all */
    const char *kexec;      /* the prefix of those to run after a kexec */
    unsigned cpus;          /* 0: one */
    unsigned ram_mib;
    unsigned swap_mib;
    unsigned zram_mib;      /* swap in compressed memory */
    const char *devices;    /* before the GPU: QEMU's options; may be NULL */
    const char *devices_after; /* and after it */
    const char *gpu_options; /* further properties of the GPU; may be NULL */
    unsigned width, height; /* of the screen, in pixels; 0: the default */
    unsigned movable_mib;   /* memory for movable pages only */
    const char *kernel_options; /* for its command line; may be NULL */
    unsigned hostmem_mib;   /* limit of the device's memory; 0: its default */
    bool prealloc;          /* QEMU has RAM and code buffer from the start */
    const char *provoked;   /* a kernel message that the tests provoke */
    unsigned bo_mib;        /* size of the GPU client's buffers */
    unsigned hog_mib;       /* size of the memory hog */
    bool log_guest_errors;  /* in the file LOG.qemu.guest-errors */
    unsigned seconds;       /* duration of the workload, if it has one */
    unsigned seed;          /* of the workload's random numbers */
};

/* The name of @config's scenario, for the guest and in results. */
const char *vm_config_scenario(const VmConfig *config);

/*
 * A message about missing prerequisites of @config on this machine, in one
 * line; NULL if it can run. Free with g_free().
 */
char *vm_config_missing(const VmConfig *config);

/* The path of @name in the build directory. Free with g_free(). */
char *vm_build_path(const char *name);

/* QEMU_MODULE_DIR for @config. Free with g_free(). */
char *vm_config_modules(const VmConfig *config);

/* The library that stands in for /dev/udmabuf. Free with g_free(). */
char *vm_udmabuf_shim(void);

/*
 * QEMU's command line for @config, with its sockets, its swap and its pid file
 * in the directory @dir and stderr in the file @qemu_log. Free with g_free().
 */
char *vm_config_qemu_options(const VmConfig *config, const char *dir,
                             const char *qemu_log);

/*
 * Factor for the timeouts of @config, relative to a release kernel on an idle
 * machine. VIRTIO_GPU_TIMEOUT_MULTIPLIER in the environment accounts for the
 * load of the machine.
 */
unsigned vm_config_slowdown(const VmConfig *config);

#endif
