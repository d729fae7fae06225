/*
 * Guests with a virtio-gpu: programs of a guest with a desktop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-desktop.h"

static void show_progress(const VmConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

static void run_case(const void *data)
{
    const VmDesktopCase *test = data;
    g_autofree char *missing = vm_config_missing(&test->config);
    VmRun *run;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    run = vm_run_start_desktop(&test->config, show_progress);
    g_test_message("%s: log in %s", test->config.name, vm_run_log(run));
    test->run(run);
    vm_run_stop(run);
    g_assert_cmpstr(vm_run_result(run)->problem, ==, NULL);
    g_assert_cmpuint(vm_run_result(run)->kernel_complaints, ==, 0);
    g_assert_cmpint(vm_run_result(run)->oom_kills > 0, ==, test->kills);
    vm_run_free(run);
}

int vm_desktop_run_tests(int argc, char **argv, const VmDesktopCase *cases,
                         size_t count)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    /* Run the other guests after a failure, too. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/%s",
                                                cases[i].config.name);

        qtest_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}

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
        /* Later versions do not know --tty any more. */
        "LIBSEAT_BACKEND=builtin weston --backend=drm-backend.so "
        "$(weston --help | grep -q -e --tty && echo --tty=1) "
        "--config=/tmp/weston.ini >/dev/console 2>&1 &",
        "until [ -S $XDG_RUNTIME_DIR/wayland-1 ]; do sleep 0.2; done",
    };
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_free(vm_desktop_shell(run, "%s", commands[i]));
    }
}

double vm_desktop_frame_ms(VmRun *run, const char *scene, unsigned seconds)
{
    g_autofree char *answer = vm_desktop_shell(
        run, "WAYLAND_DISPLAY=wayland-1 glmark2-es2-wayland -s 800x600 "
        "-b %s:duration=%u 2>/dev/console | "
        "sed -n 's/.*FrameTime: \\([0-9.]*\\) ms.*/\\1/p'", scene, seconds);

    return answer ? g_ascii_strtod(answer, NULL) : 0;
}

void vm_desktop_set_idle_ms(VmRun *run, unsigned ms)
{
    static const char module[] = "/sys/module/drm_gem_shmem_reclaim";

    g_free(vm_desktop_shell(
        run, "[ ! -d %s ] || echo %u >%s/parameters/idle_ms", module, ms,
        module));
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
