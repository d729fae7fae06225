/*
 * Guests with a virtio-gpu: what a host does to one that is busy
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qlist.h"
#include "virtio-gpu-vm-disturb.h"

/* Longer than the driver waits for a response at first. */
#define STOPPED_SECONDS 2

/* Of a job; a bound that only a hang exceeds. */
#define JOB_SECONDS 120
#define POLL_US     10000

/* The node of the file with the state. */
#define NODE "snapshot"

/* Wait until the job @id is over, which must be without an error. */
static void wait_for_job(QTestState *qts, const char *id)
{
    int64_t end = g_get_monotonic_time() + JOB_SECONDS * G_USEC_PER_SEC;
    bool concluded = false;

    while (!concluded && g_get_monotonic_time() < end) {
        QDict *response = qtest_qmp(qts, "{'execute': 'query-jobs'}");
        const QListEntry *entry;

        QLIST_FOREACH_ENTRY(qdict_get_qlist(response, "return"), entry) {
            QDict *job = qobject_to(QDict, qlist_entry_obj(entry));

            if (!strcmp(qdict_get_str(job, "id"), id) &&
                !strcmp(qdict_get_str(job, "status"), "concluded")) {
                g_assert_cmpstr(qdict_get_try_str(job, "error"), ==, NULL);
                concluded = true;
            }
        }
        qobject_unref(response);
        g_usleep(POLL_US);
    }
    g_assert_true(concluded);
    qtest_qmp_assert_success(qts, "{'execute': 'job-dismiss', 'arguments': "
                             "{'id': %s}}", id);
}

static void make_file(QTestState *qts, const char *file)
{
    unlink(file);
    qtest_qmp_assert_success(
        qts, "{'execute': 'blockdev-create', 'arguments': {'job-id': 'file', "
        "'options': {'driver': 'file', 'filename': %s, 'size': 0}}}", file);
    wait_for_job(qts, "file");
    qtest_qmp_assert_success(
        qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'file', "
        "'node-name': 'snapshot-file', 'filename': %s}}", file);
    qtest_qmp_assert_success(
        qts, "{'execute': 'blockdev-create', 'arguments': {'job-id': 'image', "
        "'options': {'driver': 'qcow2', 'file': 'snapshot-file', "
        "'size': 1048576}}}");
    wait_for_job(qts, "image");
    qtest_qmp_assert_success(
        qts, "{'execute': 'blockdev-add', 'arguments': {'driver': 'qcow2', "
        "'node-name': '" NODE "', 'file': 'snapshot-file'}}");
    /* It is gone with QEMU. */
    unlink(file);
}

/* Run the job @command: snapshot-save or snapshot-load. */
static void run_job(QTestState *qts, const char *command)
{
    qtest_qmp_assert_success(
        qts, "{'execute': %s, 'arguments': {'job-id': %s, 'tag': 'state', "
        "'vmstate': '" NODE "', 'devices': ['" NODE "']}}", command, command);
    wait_for_job(qts, command);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
}

const char *vm_disturb(QTestState *qts, const char *what, const char *file)
{
    if (!strcmp(what, "reset")) {
        qtest_qmp_assert_success(qts, "{'execute': 'set-action', 'arguments': "
                                 "{'reboot': 'reset'}}");
        qtest_qmp_assert_success(qts, "{'execute': 'system_reset'}");
        return NULL;
    }
    if (!strcmp(what, "stop")) {
        qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
        g_usleep(STOPPED_SECONDS * G_USEC_PER_SEC);
        qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
        return "continued\n";
    }
    if (!strcmp(what, "save")) {
        make_file(qts, file);
        run_job(qts, "snapshot-save");
        return "saved\n";
    }
    g_assert_cmpstr(what, ==, "load");
    run_job(qts, "snapshot-load");
    return "loaded\n";
}
