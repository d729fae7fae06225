/*
 * Guests with a virtio-gpu: programs of a guest with a desktop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-desktop.h"

char *vm_desktop_shell(VmRun *run, const char *format, ...)
{
    g_autofree char *command = NULL;
    va_list ap;

    va_start(ap, format);
    command = g_strdup_vprintf(format, ap);
    va_end(ap);
    return vm_run_ask(run, "sh %s", command);
}

void vm_desktop_start_client(VmRun *run, const char *name,
                             const char *environment, const char *options)
{
    g_autofree char *program = vm_build_path("meson/tests/desktop/gl-client");

    g_free(vm_run_ask(run, "start %s env %s %s %s", name, environment, program,
                      options));
}

char *vm_desktop_ask_client(VmRun *run, const char *name, const char *line)
{
    return vm_run_ask(run, "ask %s %s", name, line);
}

void vm_desktop_start_weston(VmRun *run)
{
    static const char *const commands[] = {
        "/lib/systemd/systemd-udevd --daemon",
        "udevadm trigger --subsystem-match=drm",
        "udevadm settle",
        "printf '[core]\\nrequire-input=false\\nidle-time=0\\n' "
        ">/tmp/weston.ini",
        "LIBSEAT_BACKEND=builtin weston --backend=drm-backend.so --tty=1 "
        "--config=/tmp/weston.ini >/dev/console 2>&1 &",
        "until [ -S $XDG_RUNTIME_DIR/wayland-1 ]; do sleep 0.2; done",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_free(vm_desktop_shell(run, "%s", commands[i]));
    }
}

char *vm_desktop_driver_stats(VmRun *run)
{
    return vm_desktop_shell(
        run, "awk '{ print $1 \"=\" $2 }' "
        "/sys/kernel/debug/dri/0/virtio-gpu-reclaim");
}

uint64_t vm_desktop_driver_stat(VmRun *run, const char *name)
{
    g_autofree char *stats = vm_desktop_driver_stats(run);

    return vm_number_of(stats, name);
}
