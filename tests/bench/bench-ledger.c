/*
 * Benchmark of the ledger: what a resource takes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *     bench-ledger N
 *
 * Adds N resources, finds each and removes each, in measure(), which callgrind
 * counts. Prints the bytes that the N resources took.
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtio-gpu-ledger.h"

/* Not static, so that callgrind knows it. */
size_t measure(VirtIOGPULedger *ledger, guint32 n);

size_t measure(VirtIOGPULedger *ledger, guint32 n)
{
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, bytes;
    guint32 id;

    for (id = 1; id <= n; id++) {
        g_assert_nonnull(virtio_gpu_ledger_add(ledger, id, 4096, 0, NULL));
    }
    bytes = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    for (id = 1; id <= n; id++) {
        g_assert_nonnull(virtio_gpu_ledger_find(ledger, id));
    }
    for (id = 1; id <= n; id++) {
        virtio_gpu_ledger_remove(ledger, virtio_gpu_ledger_find(ledger, id));
    }
    return bytes;
}

int main(int argc, char **argv)
{
    guint32 n = argc == 2 ? atoi(argv[1]) : 0;
    VirtIOGPULedger *ledger;

    if (!n) {
        fprintf(stderr, "Usage: bench-ledger N\n");
        return EXIT_FAILURE;
    }
    ledger = virtio_gpu_ledger_new(0);
    printf("%zu\n", measure(ledger, n));
    virtio_gpu_ledger_free(ledger);
    return EXIT_SUCCESS;
}
