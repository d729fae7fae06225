/*
 * QTest testcase for virtio-gpu memory reclaim: migration, snapshots
 *
 * The GL device does not support migration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

void wait_for_migration(QTestState *qts)
{
    bool done = false;

    while (!done) {
        QDict *resp = qtest_qmp(qts, "{'execute': 'query-migrate'}");
        QDict *info = qdict_get_qdict(resp, "return");
        const char *status = qdict_get_try_str(info, "status");

        g_assert_cmpstr(status, !=, "failed");
        done = !g_strcmp0(status, "completed");
        qobject_unref(resp);
        g_usleep(10000);
    }
}

char *save(QVirtioGPU *gpu)
{
    char *path = temp_file();
    g_autofree char *uri = g_strdup_printf("exec:cat >%s", path);

    qtest_qmp_assert_success(gpu->qts, "{'execute': 'migrate', 'arguments':"
                             " {'uri': %s}}", uri);
    wait_for_migration(gpu->qts);
    return path;
}

QVirtioGPU *load(const char *args, const char *path)
{
    g_autofree char *more = g_strconcat(args, " -incoming defer", NULL);
    g_autofree char *uri = g_strdup_printf("exec:cat %s", path);
    QVirtioGPU *gpu = qvirtio_gpu_boot(more);

    qtest_qmp_assert_success(gpu->qts, "{'execute': 'migrate-incoming',"
                             " 'arguments': {'uri': %s}}", uri);
    return gpu;
}

/* Create a resource in each state, with contents unless purged. */
static void populate_with_contents(QVirtioGPU *gpu)
{
    populate(gpu);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 3, HERE, BYTES), ==, OK);
    set_contents(gpu, 3, HERE, GREEN);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);
}

/* Check that the resources of populate_with_contents() are intact. */
static void check_populated(const Device *dev, QVirtioGPU *gpu)
{
    check_screen(dev, gpu, RED);
    g_assert_cmphex(purge_one(gpu, 1), ==, BUSY);
    g_assert_cmphex(purge_one(gpu, 2), ==, BUSY);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, UNSPEC);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 3, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, 3, THERE, GREEN);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 4, SIDE, SIDE, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, 4, THERE, 0);
    set_contents(gpu, 4, THERE, RED);
    check_contents(dev, gpu, 4, THERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
}

/* spec: Device 20. */
static void test_migrate(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    g_autofree char *path = NULL;
    QVirtioGPU *from = start(dev), *to;

    populate_with_contents(from);
    path = save(from);
    to = load(on, path);
    wait_for_migration(to->qts);
    /* Counters are not migrated; each migrated mapping counts as an attach. */
    check_stats(to, (Stats) { .resident = 2, .resident_host = 2 * BYTES,
                              .resident_backing = 2 * BYTES, .evicted = 1,
                              .evicted_host = BYTES, .purged = 1,
                              .purged_released = BYTES, .host = 3 * BYTES,
                              .attaches = 2 });
    qvirtio_gpu_take_over(to, from);
    qvirtio_gpu_shutdown(from);
    check_populated(dev, to);
    qvirtio_gpu_start(to, RECLAIM);
    g_assert_cmpuint(get_stat(to, "host-bytes"), ==, 0);
    qvirtio_gpu_shutdown(to);
    unlink(path);
}

/* With only evicted resources the stream is compatible with stock devices. */
static void test_migrate_evicted(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    const char *args[] = { on, dev->args };
    int i;

    for (i = 0; i < ARRAY_SIZE(args); i++) {
        g_autofree char *path = NULL;
        QVirtioGPU *from = start(dev), *to;

        qvirtio_gpu_start(from, 0);
        make(from, 1);
        set_contents(from, 1, HERE, GREEN);
        g_assert_cmphex(qvirtio_gpu_detach(from, 1), ==, OK);
        path = save(from);
        to = load(args[i], path);
        wait_for_migration(to->qts);
        qvirtio_gpu_take_over(to, from);
        qvirtio_gpu_shutdown(from);
        g_assert_cmphex(qvirtio_gpu_attach(to, 1, THERE, BYTES), ==, OK);
        check_contents(dev, to, 1, THERE, GREEN);
        qvirtio_gpu_shutdown(to);
        unlink(path);
    }
}

/* Migration from a device without reclaim. */
static void test_migrate_old(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    g_autofree char *path = NULL;
    QVirtioGPU *from = qvirtio_gpu_boot(dev->args), *to;

    qvirtio_gpu_start(from, 0);
    make(from, 1);
    set_contents(from, 1, HERE, GREEN);
    make(from, 2);
    path = save(from);
    to = load(on, path);
    wait_for_migration(to->qts);
    check_stats(to, (Stats) { .resident = 2, .resident_host = 2 * BYTES,
                              .resident_backing = 2 * BYTES,
                              .host = 2 * BYTES, .attaches = 2 });
    qvirtio_gpu_take_over(to, from);
    qvirtio_gpu_shutdown(from);
    check_contents(dev, to, 1, HERE, GREEN);
    qvirtio_gpu_shutdown(to);
    unlink(path);
}

/* Since QEMU 8.2; before that migrating one fails, and the guest goes on. */
static bool can_migrate_blobs(QVirtioGPU *gpu)
{
    QDict *resp = qtest_qmp(gpu->qts, "{'execute': 'query-version'}");
    QDict *version = qdict_get_qdict(qdict_get_qdict(resp, "return"), "qemu");
    bool can = qdict_get_int(version, "major") > 8;

    qobject_unref(resp);
    return can;
}

static void check_not_migrated(QVirtioGPU *gpu)
{
    const char *status = "";

    qtest_qmp_assert_success(gpu->qts, "{'execute': 'migrate', 'arguments':"
                             " {'uri': 'exec:cat >/dev/null'}}");
    while (!g_str_equal(status, "failed")) {
        QDict *resp = qtest_qmp(gpu->qts, "{'execute': 'query-migrate'}");
        QDict *info = qdict_get_qdict(resp, "return");

        status = g_intern_string(qdict_get_try_str(info, "status") ?: "");
        g_assert_cmpstr(status, !=, "completed");
        qobject_unref(resp);
        g_usleep(10000);
    }
}

/* Blobs, resident and evicted. */
static void test_migrate_blob(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on" WITH_BLOBS,
                                      NULL);
    g_autofree char *path = NULL;
    QVirtioGPU *from = start_with_blobs(dev, ""), *to;
    ScanoutBlob image = {
        .width = SIDE, .height = SIDE, .stride = SIDE * 4,
        .r_width = SIDE, .r_height = SIDE,
    };

    if (!from) {
        return;
    }
    g_assert_cmphex(create_blob(from, 1, 1, BYTES, BYTES), ==, OK);
    g_assert_cmphex(create_blob(from, 2, 1, BYTES, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(from, 2), ==, OK);
    fill_ram(from, HERE, BYTES, RED);
    if (!can_migrate_blobs(from)) {
        check_not_migrated(from);
        g_assert_cmphex(scanout_blob(from, &image), ==, OK);
        qvirtio_gpu_shutdown(from);
        return;
    }
    g_assert_cmphex(scanout_blob(from, &image), ==, OK);
    path = save(from);
    preload_udmabuf();
    to = load(on, path);
    g_unsetenv("LD_PRELOAD");
    wait_for_migration(to->qts);
    check_stats(to, (Stats) { .resident = 1, .resident_backing = BYTES,
                              .evicted = 1, .blobs = 2, .blob_backing = BYTES,
                              .attaches = 1 });
    qvirtio_gpu_take_over(to, from);
    qvirtio_gpu_shutdown(from);
    g_assert_cmphex(purge_one(to, 1), ==, UNSUPPORTED);
    g_assert_cmphex(qvirtio_gpu_flush(to, 1, SIDE, SIDE), ==, OK);
    check_screen(dev, to, RED);
    g_assert_cmphex(qvirtio_gpu_detach(to, 2), ==, UNSPEC);
    g_assert_cmphex(qvirtio_gpu_attach(to, 2, HERE, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(to, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(to, 2), ==, OK);
    check_stats(to, (Stats) { .attaches = 2, .errors = 2 });
    qvirtio_gpu_shutdown(to);
    unlink(path);
}

static void run_job(QTestState *qts, const char *id)
{
    bool done = false;

    while (!done) {
        QDict *resp = qtest_qmp(qts, "{'execute': 'query-jobs'}");
        const QListEntry *e;

        QLIST_FOREACH_ENTRY(qdict_get_qlist(resp, "return"), e) {
            QDict *job = qobject_to(QDict, qlist_entry_obj(e));

            if (g_str_equal(qdict_get_str(job, "id"), id) &&
                g_str_equal(qdict_get_str(job, "status"), "concluded")) {
                g_assert_cmpstr(qdict_get_try_str(job, "error"), ==, NULL);
                done = true;
            }
        }
        qobject_unref(resp);
        g_usleep(10000);
    }
    qtest_qmp_assert_success(qts, "{'execute': 'job-dismiss', 'arguments':"
                             " {'id': %s}}", id);
}

static void snapshot(QVirtioGPU *gpu, const char *command)
{
    qtest_qmp_assert_success(gpu->qts, "{'execute': %s, 'arguments': {"
                             "'job-id': 'snap', 'tag': 'now', 'vmstate': "
                             "'disk', 'devices': ['disk']}}", command);
    run_job(gpu->qts, "snap");
}

/* spec: Device 20. */
static void test_snapshot(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    g_autofree char *path = temp_file();
    QVirtQueue ctrl, cursor;

    qtest_qmp_assert_success(gpu->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': {'driver': 'file', 'node-name':"
                             " 'file', 'filename': %s}}", path);
    qtest_qmp_assert_success(gpu->qts, "{'execute': 'blockdev-create',"
                             " 'arguments': {'job-id': 'make', 'options': {"
                             "'driver': 'qcow2', 'file': 'file', 'size':"
                             " 1048576}}}");
    run_job(gpu->qts, "make");
    qtest_qmp_assert_success(gpu->qts, "{'execute': 'blockdev-add',"
                             " 'arguments': {'driver': 'qcow2', 'node-name':"
                             " 'disk', 'file': 'file'}}");

    populate_with_contents(gpu);
    snapshot(gpu, "snapshot-save");
    ctrl = *gpu->ctrl;
    cursor = *gpu->cursor;

    /* Change all resources ... */
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, HERE, BYTES), ==, OK);
    g_assert_cmphex(purge_one(gpu, 3), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    make(gpu, 5);
    /* ... and restore them. */
    snapshot(gpu, "snapshot-load");
    *gpu->ctrl = ctrl;
    *gpu->cursor = cursor;
    g_assert_cmphex(purge_one(gpu, 5), ==, UNKNOWN);
    check_populated(dev, gpu);
    qvirtio_gpu_shutdown(gpu);
    unlink(path);
}

/* spec: Device 20. */
static void test_migrate_blocked(const void *data)
{
    QVirtioGPU *gpu = start(data);
    QDict *resp = qtest_qmp(gpu->qts, "{'execute': 'migrate', 'arguments':"
                            " {'uri': 'exec:cat >/dev/null'}}");

    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(resp, "error"),
                                          "desc"), "virgl"));
    qobject_unref(resp);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "migrate", test_migrate, ON_2D_PCI },
    { "migrate-evicted", test_migrate_evicted, ON_2D_PCI },
    { "migrate-old", test_migrate_old, ON_2D_PCI },
    { "migrate-blob", test_migrate_blob, ON_2D_PCI },
    { "snapshot", test_snapshot, ON_2D_PCI },
    { "migrate-blocked", test_migrate_blocked, ON_GL_PCI },
};

void add_migration_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
