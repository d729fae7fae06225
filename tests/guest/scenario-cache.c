/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client with a cache: it keeps buffers that it could do without and says
 * so. Another program's need for memory should cost it those, not its life,
 * and what it is told about them afterwards should be the truth.
 */

#include <string.h>

#include <drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "client.h"
#include "report.h"

static void mark_all(Client *client)
{
    unsigned long marked = 0;
    int refusal = 0;
    size_t i;

    for (i = 0; i < client->count; i++) {
        bool retained;
        int ret = bo_madvise(client->gpu, &client->held[i].bo,
                             VIRTGPU_MADV_DONTNEED, &retained);

        /* A stock driver does not know the request: that is its answer. */
        if (ret < 0) {
            refusal = ret;
        } else {
            marked++;
        }
    }
    report("advised bos=%lu refusal=%s", marked,
           refusal ? strerrorname_np(-refusal) : "none");
}

/* A buffer that was kept must be as it was, here and on the host. */
static void check_retained(Client *client, Held *held, Tally *pages)
{
    Tally found = { 0 };

    held_check(held, &found);
    client_expect(client, "download",
                  held_check_host(held, client->gpu, &found));
    pages->good += found.good;
    pages->corrupt += found.corrupt + found.zero + found.fault;
    if (found.zero || found.fault) {
        report("corrupt where=retained bo=%u zero=%lu fault=%lu",
               held->index, found.zero, found.fault);
    }
}

/* A buffer that was purged may be empty; it must not hold anything else. */
static void check_purged(Client *client, Held *held, Tally *pages)
{
    Tally found = { 0 };
    Tally host = { 0 };

    held_check(held, &found);
    if (!found.fault) {
        client_expect(client, "download",
                      held_check_host(held, client->gpu, &host));
    }
    /* Old contents that were said to be gone are somebody's leak. */
    pages->corrupt += found.corrupt + found.good + host.corrupt + host.good;
    pages->zero += found.zero + host.zero;
    pages->fault += found.fault + host.fault;
    if (found.good || host.good) {
        report("corrupt where=purged bo=%u old-pages=%lu old-host-pages=%lu",
               held->index, found.good, host.good);
    }
}

/* Whatever became of a buffer, it can be used again. */
static void use_again(Client *client, Held *held, Tally *pages)
{
    Tally found = { 0 };

    held_fill(held, 1);
    if (client_expect(client, "upload",
                      bo_upload(client->gpu, &held->bo)) < 0 ||
        client_expect(client, "wait", bo_wait(client->gpu, &held->bo)) < 0) {
        return;
    }
    client_expect(client, "download",
                  held_check_host(held, client->gpu, &found));
    pages->good += found.good;
    pages->corrupt += found.corrupt + found.zero + found.fault;
}

/*
 * Mark every buffer and ask it back at once, when there is memory enough: a
 * driver that says it has purged them all is no better than one that has none.
 */
static unsigned long give_and_take(Client *client, Tally *pages)
{
    unsigned long kept = 0;
    size_t i;

    for (i = 0; i < client->count; i++) {
        Held *held = &client->held[i];
        bool retained = false;

        if (bo_madvise(client->gpu, &held->bo, VIRTGPU_MADV_DONTNEED,
                       &retained) < 0 ||
            client_expect(client, "madvise",
                          bo_madvise(client->gpu, &held->bo,
                                     VIRTGPU_MADV_WILLNEED, &retained)) < 0) {
            continue;
        }
        if (retained) {
            kept++;
            check_retained(client, held, pages);
        } else {
            check_purged(client, held, pages);
        }
    }
    return kept;
}

void scenario_cache(size_t mib, ClientState *state,
                    void (*pause_here)(const char *event))
{
    unsigned long retained_bos = 0, purged_bos = 0, kept_bos;
    Tally pages = { 0 };
    Client client;
    bool more;
    size_t i;

    client_init(&client, mib, state);
    do {
        more = client_add(&client);
    } while (more);
    client_settle(&client);
    pause_here("loaded");

    mark_all(&client);
    pause_here("marked");

    for (i = 0; i < client.count; i++) {
        Held *held = &client.held[i];
        bool retained;
        int ret = bo_madvise(client.gpu, &held->bo, VIRTGPU_MADV_WILLNEED,
                             &retained);
        unsigned long faults = pages.fault;

        /* Who does not know the request has not thrown anything away. */
        if (ret < 0 || retained) {
            retained_bos++;
            check_retained(&client, held, &pages);
        } else {
            purged_bos++;
            check_purged(&client, held, &pages);
        }
        if (pages.fault == faults) {
            use_again(&client, held, &pages);
        }
    }
    kept_bos = give_and_take(&client, &pages);
    report("result retained_bos=%lu purged_bos=%lu kept_bos=%lu "
           "good_pages=%lu zero_pages=%lu fault_pages=%lu corrupt_pages=%lu "
           "errors=%lu", retained_bos, purged_bos, kept_bos, pages.good,
           pages.zero, pages.fault, pages.corrupt, client.errors);
}
