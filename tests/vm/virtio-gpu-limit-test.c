/*
 * QTest testcase for virtio-gpu memory reclaim: guests under one memory limit
 *
 * Three guests that know nothing of it, with the distribution's kernel, driver
 * and Mesa, in a memory cgroup that is too small for what they hold. With the
 * stock device one is killed, or two. With ours, and a target for each, the two
 * that are idle give memory back and the third one goes on; then they do, in
 * turns.
 *
 * build/vm/limit-*.json are the results, for scripts/steps/plot.py, and the
 * guests' logs beside.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/qmp/qjson.h"
#include "virtio-gpu-vm-cgroup.h"
#include "virtio-gpu-vm-desktop.h"

#define GUESTS      3
#define BUSY        2

#define TEXTURE_MIB 4
#define IDLE_MIB    160
#define BUSY_MIB    240

/*
 * When the idle guests have their textures the limit is this above what is in
 * use: the busy one does not fit, and fits when they have given SHARE percent.
 */
#define ROOM_MIB    100
#define SHARE       80

/* Of each guest's device: more than it needs with no textures. */
#define TARGET_MIB  32

/* How long each state is shown. */
#define HOLD_MS     4000

/* Guests that differ in the device alone; RAM is in use from the start. */
#define GUEST(which, device, ours) \
    { .name = "limit/" device "/" which, .group = "limit/" device, \
      .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512, .prealloc = true, \
      .our_device = ours }
#define CASE(device, ours) \
    { GUEST("idle-1", device, ours), GUEST("idle-2", device, ours), \
      GUEST("busy", device, ours) }

static const VmConfig cases[][GUESTS] = {
    CASE("stock", false),
    CASE("reclaim", true),
};

static void show_progress(const VmConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

/* Every pixel so far must be right; the guest may have been killed. */
static bool ask(VmRun *run, const char *line)
{
    g_autofree char *totals = vm_desktop_ask_client(run, "client", line);

    if (!totals) {
        return false;
    }
    g_assert_cmpuint(vm_number_of(totals, "wrong"), ==, 0);
    g_assert_cmpuint(vm_number_of(totals, "errors"), ==, 0);
    return true;
}

static void start_client(VmRun *run, unsigned mib)
{
    g_autofree char *options = g_strdup_printf("--textures %u --mib %u",
                                               mib / TEXTURE_MIB, TEXTURE_MIB);

    vm_desktop_start_client(run, "client", "", options);
}

static bool has_fallen(VmRun *run, void *opaque)
{
    return vm_run_rss_anon(run) <= *(uint64_t *)opaque;
}

/* Wait until @run has given @mib back, of @before bytes. */
static bool wait_for_fall(VmRun *run, uint64_t before, unsigned mib)
{
    uint64_t wanted = before - mib * MiB / 100 * SHARE;
    bool fallen = vm_run_until(run, has_fallen, &wanted);

    if (!fallen) {
        QDict *stats = vm_run_device_stats(run);
        g_autoptr(GString) json = qobject_to_json(QOBJECT(stats));

        g_test_message("RssAnon is %" PRIu64 " MiB and not below %" PRIu64
                       ": %s", vm_run_rss_anon(run) / MiB, wanted / MiB,
                       json->str);
        qobject_unref(stats);
    }
    g_assert_true(fallen);
    return fallen;
}

/* Fill the idle guests, and set the limit. */
static void begin(VmRun **runs, VmCgroup *cgroup)
{
    uint64_t limit, rss_anon = ROOM_MIB * MiB;
    unsigned i;

    for (i = 0; i < GUESTS; i++) {
        vm_run_begin_timeline(runs[i]);
    }
    for (i = 0; i < BUSY; i++) {
        start_client(runs[i], IDLE_MIB);
        g_assert_true(ask(runs[i], "draw 10"));
    }
    vm_run_for(runs[BUSY], HOLD_MS);
    limit = vm_cgroup_used(cgroup) + ROOM_MIB * MiB;
    vm_cgroup_set_limit(cgroup, limit);
    for (i = 0; i < GUESTS; i++) {
        rss_anon += vm_run_rss_anon(runs[i]);
    }
    vm_run_set_rss_anon_limit(runs[BUSY], rss_anon);
    vm_run_mark(runs[BUSY], VM_EVENT_INFO,
                "limit: " stringify(ROOM_MIB) " MiB more");
    g_test_message("limit: %" PRIu64 " MiB", limit / MiB);
}

/* Set the targets, and wait until the idle guests have come near theirs. */
static bool shrink_idle(VmRun **runs)
{
    uint64_t before[BUSY];
    bool fallen = true;
    unsigned i;

    for (i = 0; i < BUSY; i++) {
        before[i] = vm_run_rss_anon(runs[i]);
    }
    for (i = 0; i < GUESTS; i++) {
        vm_run_set_target(runs[i], TARGET_MIB * MiB);
    }
    vm_run_mark(runs[BUSY], VM_EVENT_INFO, "targets are set");
    for (i = 0; i < BUSY; i++) {
        fallen &= wait_for_fall(runs[i], before[i], IDLE_MIB);
    }
    return fallen;
}

/* The busy guest goes on, stops, and the others take turns. */
static void take_turns(VmRun **runs)
{
    uint64_t before;
    unsigned i;

    g_assert_true(ask(runs[BUSY], "go"));
    vm_run_for(runs[BUSY], HOLD_MS);
    g_assert_true(ask(runs[BUSY], "stop"));
    for (i = 0; i < BUSY; i++) {
        VmRun *last = i ? runs[i - 1] : runs[BUSY];

        before = vm_run_rss_anon(last);
        if (!wait_for_fall(last, before, i ? IDLE_MIB : BUSY_MIB)) {
            return;
        }
        vm_run_mark(runs[BUSY], VM_EVENT_INFO, i ? "second idle VM goes on"
                                                 : "first idle VM goes on");
        g_assert_true(ask(runs[i], "verify"));
    }
    vm_run_mark(runs[BUSY], VM_EVENT_GOOD, "every pixel is right");
}

static void run_guests(VmRun **runs, VmCgroup *cgroup, bool ours)
{
    begin(runs, cgroup);
    if (ours && !shrink_idle(runs)) {
        return;
    }
    vm_run_for(runs[BUSY], HOLD_MS);
    vm_run_mark(runs[BUSY], VM_EVENT_INFO, "busy VM needs "
                stringify(BUSY_MIB) " MiB");
    start_client(runs[BUSY], BUSY_MIB);
    if (ask(runs[BUSY], "draw 20") && ours) {
        take_turns(runs);
    }
    vm_run_for(runs[0], HOLD_MS);
    vm_run_for(runs[1], HOLD_MS);
}

/* Stop @runs. Returns how many were killed. */
static unsigned stop(VmRun **runs)
{
    unsigned killed = 0, i;

    for (i = 0; i < GUESTS; i++) {
        vm_run_stop(runs[i]);
        killed += vm_run_result(runs[i])->killed;
    }
    return killed;
}

static void check(VmRun *run, bool ours)
{
    const VmResult *result = vm_run_result(run);

    if (ours || !result->killed) {
        g_assert_cmpstr(result->problem, ==, NULL);
    }
    g_assert_cmpuint(result->kernel_complaints, ==, 0);
    g_assert_cmpuint(result->oom_kills, ==, 0);
}

static void run_case(const void *data)
{
    const VmConfig *configs = data;
    g_autofree char *missing = vm_config_missing(&configs[0]);
    g_autofree char *json = vm_build_path("vm");
    g_autofree char *path = NULL;
    bool ours = configs[0].our_device;
    VmCgroup *cgroup = missing ? NULL
                               : vm_cgroup_new("virtio-gpu-limit", &missing);
    VmRun *runs[GUESTS];
    unsigned killed, i;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    for (i = 0; i < GUESTS; i++) {
        vm_cgroup_enter(cgroup);
        runs[i] = vm_run_start_desktop(&configs[i], show_progress);
        vm_cgroup_leave(cgroup);
        g_test_message("%s: log in %s", configs[i].name, vm_run_log(runs[i]));
    }
    run_guests(runs, cgroup, ours);
    killed = stop(runs);
    g_test_message("%u OOM kills in the cgroup, %u guests killed",
                   vm_cgroup_oom_kills(cgroup), killed);
    g_assert_cmpuint(vm_cgroup_oom_kills(cgroup), ==, killed);
    /* A second one may be killed before the first one's memory is free. */
    g_assert_cmpint(killed > 0, ==, !ours);
    path = g_strdup_printf("%s/limit-%s.json", json,
                           ours ? "reclaim" : "stock");
    g_assert_true(vm_runs_write(path, configs, runs, GUESTS));
    for (i = 0; i < GUESTS; i++) {
        check(runs[i], ours);
        vm_run_free(runs[i]);
    }
    vm_cgroup_free(cgroup);
}

int main(int argc, char **argv)
{
    size_t i;

    g_test_init(&argc, &argv, NULL);
    /* Run the other case after a failure, too. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/%s",
                                                cases[i][0].group);

        qtest_add_data_func(path, cases[i], run_case);
    }
    return g_test_run();
}
