/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client with a cache: it marks buffers as DONTNEED. A memory hog should
 * cost it those buffers, and not its life, and the result of WILLNEED must be
 * correct.
 */

#include <string.h>

#include <drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "client.h"
#include "report.h"

static void dontneed_all(Client *client)
{
    unsigned long dontneed = 0;
    int error = 0;
    size_t i;

    for (i = 0; i < client->count; i++) {
        bool retained;
        int ret = bo_madvise(client->gpu, &client->tbo[i].bo,
                             VIRTGPU_MADV_DONTNEED, &retained);

        /* The stock driver does not support the ioctl: report its error. */
        if (ret < 0) {
            error = ret;
        } else {
            dontneed++;
        }
    }
    report("advised bos=%lu refusal=%s", dontneed,
           error ? strerrorname_np(-error) : "none");
}

/* A retained buffer must be unchanged, in the guest and on the host. */
static void check_retained(Client *client, TestBo *tbo, PageCounts *pages)
{
    PageCounts found = { 0 };

    test_bo_check(tbo, &found);
    client_expect(client, "download",
                  test_bo_check_host(tbo, client->gpu, &found));
    pages->good += found.good;
    pages->corrupt += found.corrupt + found.zero + found.fault;
    if (found.zero || found.fault) {
        report("corrupt where=retained bo=%u zero=%lu fault=%lu",
               tbo->index, found.zero, found.fault);
    }
}

/* A purged buffer reads as zero; it must not hold anything else. */
static void check_purged(Client *client, TestBo *tbo, PageCounts *pages)
{
    PageCounts found = { 0 };
    PageCounts host = { 0 };

    test_bo_check(tbo, &found);
    if (!found.fault) {
        client_expect(client, "download",
                      test_bo_check_host(tbo, client->gpu, &host));
    }
    /* Old contents of a purged buffer would be a leak of data. */
    pages->corrupt += found.corrupt + found.good + host.corrupt + host.good;
    pages->zero += found.zero + host.zero;
    pages->fault += found.fault + host.fault;
    if (found.good || host.good) {
        report("corrupt where=purged bo=%u old-pages=%lu old-host-pages=%lu",
               tbo->index, found.good, host.good);
    }
}

/* Retained or purged, the buffer can be used again. */
static void use_again(Client *client, TestBo *tbo, PageCounts *pages)
{
    PageCounts found = { 0 };

    test_bo_fill(tbo, 1);
    if (client_expect(client, "upload",
                      bo_upload(client->gpu, &tbo->bo)) < 0 ||
        client_expect(client, "wait", bo_wait(client->gpu, &tbo->bo)) < 0) {
        return;
    }
    client_expect(client, "download",
                  test_bo_check_host(tbo, client->gpu, &found));
    pages->good += found.good;
    pages->corrupt += found.corrupt + found.zero + found.fault;
}

/*
 * Mark every buffer DONTNEED and WILLNEED again, without memory pressure: a
 * driver that purges without need would pass the test otherwise.
 */
static unsigned long mark_and_unmark(Client *client, PageCounts *pages)
{
    unsigned long retained_count = 0;
    size_t i;

    for (i = 0; i < client->count; i++) {
        TestBo *tbo = &client->tbo[i];
        bool retained = false;

        if (bo_madvise(client->gpu, &tbo->bo, VIRTGPU_MADV_DONTNEED,
                       &retained) < 0 ||
            client_expect(client, "madvise",
                          bo_madvise(client->gpu, &tbo->bo,
                                     VIRTGPU_MADV_WILLNEED, &retained)) < 0) {
            continue;
        }
        if (retained) {
            retained_count++;
            check_retained(client, tbo, pages);
        } else {
            check_purged(client, tbo, pages);
        }
    }
    return retained_count;
}

void scenario_cache(size_t mib, ClientState *state,
                    void (*pause_here)(const char *event))
{
    unsigned long retained_bos = 0, purged_bos = 0, kept_bos;
    PageCounts pages = { 0 };
    Client client;
    bool more;
    size_t i;

    client_init(&client, mib, state);
    do {
        more = client_add(&client);
    } while (more);
    client_wait_idle(&client);
    pause_here("loaded");

    dontneed_all(&client);
    pause_here("marked");

    for (i = 0; i < client.count; i++) {
        TestBo *tbo = &client.tbo[i];
        bool retained;
        int ret = bo_madvise(client.gpu, &tbo->bo, VIRTGPU_MADV_WILLNEED,
                             &retained);
        unsigned long faults = pages.fault;

        /* A driver without the ioctl has purged nothing. */
        if (ret < 0 || retained) {
            retained_bos++;
            check_retained(&client, tbo, &pages);
        } else {
            purged_bos++;
            check_purged(&client, tbo, &pages);
        }
        if (pages.fault == faults) {
            use_again(&client, tbo, &pages);
        }
    }
    kept_bos = mark_and_unmark(&client, &pages);
    report("result retained_bos=%lu purged_bos=%lu kept_bos=%lu "
           "good_pages=%lu zero_pages=%lu fault_pages=%lu corrupt_pages=%lu "
           "errors=%lu", retained_bos, purged_bos, kept_bos, pages.good,
           pages.zero, pages.fault, pages.corrupt, client.errors);
}
