/*
 * Guests with a virtio-gpu: configuration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-config.h"

/* Factor by which the debug kernel is slower. */
#define DEBUG_SLOWDOWN 4

/* TCG's code buffer, which a guest with a desktop fills while it boots. */
#define TB_MIB 64

/* Venus runs in it. */
#define RENDER_SERVER "/usr/libexec/virgl_render_server"

/* One without PCI; it has one serial line of its own. */
#define MMIO_MACHINE "microvm,acpi=on"
#define MMIO_SECOND_SERIAL "-device isa-serial,chardev=guest,index=1 " \
    "-global virtio-mmio.force-legacy=false"

/* Root directory of the guest with a desktop: see scripts/chroot. */
#define DESKTOP_ROOT "/desktop"

const char *vm_config_scenario(const VmConfig *config)
{
    static const char *const names[] = {
        [VM_SCENARIO_CACHE] = "cache", [VM_SCENARIO_IDLE] = "idle",
        [VM_SCENARIO_TESTS] = "tests", [VM_SCENARIO_SOAK] = "soak",
        [VM_SCENARIO_BENCH] = "bench", [VM_SCENARIO_MATRIX] = "matrix",
        [VM_SCENARIO_DESKTOP] = "desktop",
    };

    return names[config->scenario];
}

char *vm_build_path(const char *name)
{
    const char *build = g_getenv("VIRTIO_GPU_RECLAIM_BUILD") ?: "build";
    g_autofree char *cwd = g_get_current_dir();

    return g_path_is_absolute(build) ? g_build_filename(build, name, NULL)
                                     : g_build_filename(cwd, build, name, NULL);
}

char *vm_config_modules(const VmConfig *config)
{
    return vm_build_path(config->our_device || config->reclaim_off ?
                         "modules" : "modules-stock");
}

char *vm_udmabuf_shim(void)
{
    return vm_build_path("meson/udmabuf-shim.so");
}

/*
 * Path of @name as built by scripts/steps/guest for the kernel of @config.
 * VIRTIO_GPU_GUEST in the environment names another directory, that of a guest
 * of another release.
 */
static char *guest_path(const VmConfig *config, const char *name)
{
    const char *guest = g_getenv("VIRTIO_GPU_GUEST") ?: "guest";
    g_autofree char *path = g_build_filename(config->debug_kernel
                                             ? "guest-debug" : guest,
                                             name, NULL);

    return vm_build_path(path);
}

static char *kernel_path(const VmConfig *config)
{
    g_autofree char *dir = guest_path(config, "kernel");
    g_autofree char *file = g_build_filename(dir, "version", NULL);
    g_autofree char *version = NULL;

    if (!g_file_get_contents(file, &version, NULL, NULL)) {
        return g_steal_pointer(&file);
    }
    return g_strconcat(dir, "/image/boot/vmlinuz-", g_strstrip(version), NULL);
}

static char *initramfs_path(const VmConfig *config)
{
    return guest_path(config, "initramfs.cpio.zst");
}

char *vm_config_missing(const VmConfig *config)
{
    bool desktop = config->scenario == VM_SCENARIO_DESKTOP;
    g_autofree char *modules = vm_config_modules(config);
    g_autofree char *driver = guest_path(config, "virtio-gpu.ko");
    g_autofree char *initramfs = initramfs_path(config);
    g_autofree char *kernel = kernel_path(config);
    g_autofree char *shim = vm_udmabuf_shim();
    const char *needed[] = {
        kernel, initramfs, modules, config->our_driver ? driver : modules,
        config->blob ? shim : modules,
        desktop ? DESKTOP_ROOT "/usr" : modules,
    };
    size_t i;

    if (!g_getenv("QTEST_QEMU_BINARY")) {
        return g_strdup("QTEST_QEMU_BINARY is not set");
    }
    if (config->venus && access(RENDER_SERVER, X_OK) < 0) {
        return g_strdup("this release has no " RENDER_SERVER);
    }
    for (i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (access(needed[i], R_OK) < 0) {
            return g_strdup_printf("there is no %s: run ./scripts/build, and "
                                   "this program with ./scripts/chroot",
                                   needed[i]);
        }
    }
    return NULL;
}

/* Disks: swap, and the kernel and initrd to boot with kexec. */
static void append_disks(GString *options, const VmConfig *config,
                         const char *dir)
{
    g_autofree char *kernel = kernel_path(config);
    g_autofree char *initramfs = initramfs_path(config);

    if (config->swap_mib) {
        g_string_append_printf(
            options, "-drive file=%s/swap,format=raw,if=none,id=swap,"
            "cache=unsafe,discard=unmap -device virtio-blk-%s,drive=swap ",
            dir, config->mmio ? "device" : "pci");
    }
    if (config->kexec) {
        g_string_append_printf(
            options, "-drive file=%s,format=raw,if=none,id=kernel,readonly=on "
            "-device virtio-blk-pci,drive=kernel "
            "-drive file=%s,format=raw,if=none,id=initrd,readonly=on "
            "-device virtio-blk-pci,drive=initrd ", kernel, initramfs);
    }
}

/* The guest's root directory, and this checkout. */
static void append_shares(GString *options, const VmConfig *config)
{
    g_autofree char *checkout = g_get_current_dir();
    const char *share[][2] = { { "root", DESKTOP_ROOT }, { "src", checkout } };
    size_t i;

    if (config->scenario != VM_SCENARIO_DESKTOP) {
        return;
    }
    for (i = 0; i < G_N_ELEMENTS(share); i++) {
        g_string_append_printf(
            options, "-fsdev local,id=%s,path=%s,security_model=none,"
            "readonly=on,multidevs=remap "
            "-device virtio-9p-pci,fsdev=%s,mount_tag=%s ",
            share[i][0], share[i][1], share[i][0], share[i][0]);
    }
}

/* The frequency of this machine's TSC in kHz, which is that of TCG's. */
static unsigned tsc_khz(void)
{
    g_autofree char *text = NULL;
    const char *field;

    g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL);
    field = text ? strstr(text, "cpu MHz") : NULL;
    field = field ? strchr(field, ':') : NULL;
    return field ? g_ascii_strtod(field + 1, NULL) * 1000 : 1000000;
}

/*
 * On a machine whose ACPI tables describe reduced hardware Linux uses no PIT:
 * it has to be told the frequency of the TSC.
 */
static char *machine_kernel_options(const VmConfig *config)
{
    return config->mmio ? g_strdup_printf("tsc_early_khz=%u", tsc_khz())
                        : g_strdup("");
}

/*
 * Trust the TSC: TCG's is synchronised, but a guest does not detect that and
 * uses a timer that is slow to read. Do not check that timer interrupts come:
 * on a busy host they may be late, and the kernel panics. Disable the blinking
 * cursor: each blink would map the whole console.
 */
static void append_kernel(GString *options, const VmConfig *config)
{
    g_autofree char *kernel = kernel_path(config);
    g_autofree char *initramfs = initramfs_path(config);
    g_autofree char *machine = machine_kernel_options(config);

    g_string_append_printf(
        options, "-kernel %s -initrd %s -append 'console=ttyS0 loglevel=5 "
        "panic=-1 oops=panic mitigations=off tsc=reliable no_timer_check "
        "vt.global_cursor_default=0 driver=%s scenario=%s bo_mib=%u app_mib=%u "
        "tests=%s %s%s kernel=%s seconds=%u seed=%u zram_mib=%u %s %s %s' ",
        kernel, initramfs, config->vgem ? "vgem" :
        config->our_driver ? "reclaim" : "stock",
        vm_config_scenario(config), config->bo_mib, config->hog_mib,
        config->tests ?: "", config->kexec ? "kexec=" : "",
        config->kexec ?: "", config->debug_kernel ? "debug" : "release",
        config->seconds, config->seed, config->zram_mib,
        config->swap_mib ? "swap" : "", machine,
        config->kernel_options ?: "");
}

static void append_gpu(GString *options, const VmConfig *config)
{
    g_string_append_printf(
        options, "%s -device virtio-%s%s%s,id=gpu0%s%s",
        config->devices ?: "", config->vga ? "vga" : "gpu",
        config->is_2d ? "" : "-gl",
        config->vga ? "" : config->mmio ? "-device" : "-pci",
        config->our_device ? ",x-reclaim=on" : "",
        config->blob ? ",blob=on" : "");
    if (config->gpu_options) {
        g_string_append_printf(options, ",%s", config->gpu_options);
    }
    if (config->venus) {
        g_string_append(options, ",blob=on,venus=on,hostmem=1G");
    }
    if (config->hostmem_mib) {
        /* Of the resources themselves: nothing is compressed to make room. */
        g_string_append_printf(options, ",max_hostmem=%uM%s",
                               config->hostmem_mib,
                               config->our_device && !config->is_2d ?
                               ",x-compressed-max=1" : "");
    }
    if (config->width) {
        g_string_append_printf(options, ",xres=%u,yres=%u", config->width,
                               config->height);
    }
    g_string_append_printf(options, " %s ", config->devices_after ?: "");
}

/*
 * Guest memory and, with split-wx, TCG's code buffer are memfds, so that QEMU's
 * anonymous memory consists of host copies of GPU buffers and QEMU's own data.
 *
 * The default CPU is faster under TCG than newer models, on which the guest's
 * kernel copies memory with string instructions.
 */
char *vm_config_qemu_options(const VmConfig *config, const char *dir,
                             const char *qemu_log)
{
    GString *options = g_string_new(NULL);

    g_string_printf(
        options,
        "-nodefaults -no-user-config -accel tcg,split-wx=on%s "
        "-M %s,memory-backend=ram -m %u -smp %u "
        "-object memory-backend-memfd,id=ram,size=%uM%s "
        "-display egl-headless -no-reboot -no-shutdown -pidfile %s/pid "
        "-chardev socket,id=console,path=%s/console -serial chardev:console "
        "-chardev socket,id=guest,path=%s/guest %s ",
        config->prealloc ? ",tb-size=" stringify(TB_MIB) : "",
        config->mmio ? MMIO_MACHINE : "q35", config->ram_mib,
        MAX(config->cpus, 1), config->ram_mib,
        config->prealloc ? ",prealloc=on" : "", dir, dir, dir,
        config->mmio ? MMIO_SECOND_SERIAL : "-serial chardev:guest");
    append_gpu(options, config);
    append_disks(options, config, dir);
    append_shares(options, config);
    append_kernel(options, config);
    if (config->log_guest_errors) {
        g_string_append_printf(options, "-d guest_errors -D %s.guest-errors ",
                               qemu_log);
    }
    g_string_append_printf(options, "2>%s", qemu_log);
    return g_string_free(options, false);
}

unsigned vm_config_slowdown(const VmConfig *config)
{
    const char *text = g_getenv("VIRTIO_GPU_TIMEOUT_MULTIPLIER") ?: "1";
    unsigned multiplier = MAX(atoi(text), 1);

    return config->debug_kernel ? multiplier * DEBUG_SLOWDOWN : multiplier;
}
