/*
 * QTest testcase for virtio-gpu memory reclaim: when resources leave
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Idle times are those of qtest's clock, which only clock_step() advances: what
 * a case does not make old stays young, however long it takes.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* Of a backing of one mapping. */
#define IOV 16u

/* Resources 1 to @n, each used after the one before, and then idle. */
static void make_idle(QVirtioGPU *gpu, uint32_t n)
{
    uint32_t id;

    for (id = 1; id <= n; id++) {
        make_filled(gpu, id, RED + id);
        advance_ms(gpu, 100);
    }
    advance_ms(gpu, 2000);
}

/* What is over the target leaves, the least recently used first, no more. */
static void test_target(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint64_t used;
    QDict *resp;

    make_idle(gpu, 4);
    /* 1 becomes the most recently used. */
    g_assert_false(use(dev, gpu, 1, RED + 1));
    advance_ms(gpu, 2000);
    used = get_stat(gpu, "used-bytes");
    g_assert_cmpuint(used, ==, 4 * (BYTES + IOV + OVERHEAD(dev)));

    set_target(gpu, used - 1);
    wait_for(gpu, "compressed", "resources", 1);
    /* If more were to come they would come before what this makes leave. */
    set_target(gpu, get_stat(gpu, "used-bytes") - 1);
    wait_for(gpu, "compressed", "compressions", 2);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, 2 * BYTES);
    g_assert_cmpuint(get_in(gpu, "resident", "resources"), ==, 4);
    g_assert_cmpuint(get_in(gpu, "resident", "backing-bytes"), ==, 4 * BYTES);
    g_assert_cmpuint(get_in(gpu, "resident", "compressed-bytes"), ==,
                     get_in(gpu, "compressed", "compressed-bytes"));
    g_assert_cmpuint(get_stat(gpu, "target-bytes"), >, 0);

    set_target(gpu, 0);
    resp = qtest_qmp(gpu->qts, "{'execute': 'qom-get', 'arguments': {"
                     "'path': '/machine/peripheral/" QVIRTIO_GPU_ID "',"
                     "'property': 'hostmem-target'}}");
    g_assert_cmpint(qdict_get_int(resp, "return"), ==, 0);
    qobject_unref(resp);
    g_assert_true(use(dev, gpu, 2, RED + 2));
    g_assert_true(use(dev, gpu, 3, RED + 3));
    g_assert_false(use(dev, gpu, 4, RED + 4));
    g_assert_false(use(dev, gpu, 1, RED + 1));
    qvirtio_gpu_shutdown(gpu);
}

/* What was used within the last second stays, until it is older. */
static void test_recent(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",hostmem-target=1");

    make_filled(gpu, 1, RED);
    advance_ms(gpu, 900);
    make_filled(gpu, 2, GREEN);
    advance_ms(gpu, 900);
    wait_for(gpu, "compressed", "resources", 1);
    wait_for(gpu, "stays", "recently-used", BYTES);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, BYTES);
    g_assert_true(use(dev, gpu, 1, RED));
    g_assert_false(use(dev, gpu, 2, GREEN));

    advance_ms(gpu, 60000);
    wait_for(gpu, "compressed", "resources", 2);
    wait_for(gpu, "stays", "recently-used", 0);
    qvirtio_gpu_shutdown(gpu);
}

/* Restored soon after it left, a resource is protected for longer. */
static void test_thrash(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",hostmem-target=1");
    uint64_t ms;

    make_filled(gpu, 1, RED);
    for (ms = 1000; ms < 8000; ms *= 2) {
        g_assert_cmpuint(get_stat(gpu, "protect-ms"), ==, ms);
        advance_ms(gpu, ms + 1000);
        wait_for(gpu, "compressed", "resources", 1);
        g_assert_true(use(dev, gpu, 1, RED));
    }
    g_assert_cmpuint(get_stat(gpu, "protect-ms"), ==, 8000);
    advance_ms(gpu, 100000);
    g_assert_cmpuint(get_stat(gpu, "protect-ms"), ==, 1000);
    qvirtio_gpu_shutdown(gpu);
}

/* What is scanned out or a cursor stays. */
static void test_scanned_out(const void *data)
{
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(2),
    };
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make_idle(gpu, 3);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    qvirtio_gpu_cursor(gpu, &cursor);
    advance_ms(gpu, 5000);
    g_assert_cmpuint(get_in(gpu, "stays", "scanned-out"), ==, 2 * BYTES);
    set_target(gpu, 1);
    wait_for(gpu, "compressed", "resources", 1);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, 2 * BYTES);
    g_assert_true(use(dev, gpu, 3, RED + 3));

    /* When they are no longer shown, they leave. */
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 3, SIDE, SIDE), ==, OK);
    cursor.resource_id = 0;
    qvirtio_gpu_cursor(gpu, &cursor);
    advance_ms(gpu, 60000);
    wait_for(gpu, "compressed", "resources", 2);
    g_assert_cmpuint(get_in(gpu, "stays", "scanned-out"), ==, BYTES);
    g_assert_true(use(dev, gpu, 1, RED + 1));
    g_assert_true(use(dev, gpu, 2, RED + 2));
    qvirtio_gpu_shutdown(gpu);
}

/* Storage that is there, and that compressed contents would take. */
static uint64_t uncompressed_bytes(QVirtioGPU *gpu)
{
    /* Read in one go: meanwhile a resource may be compressed. */
    QDict *resp = get_stats(gpu);
    QDict *all = qdict_get_qdict(resp, "return");
    uint64_t bytes =
        qdict_get_int(qdict_get_qdict(all, "resident"), "host-bytes") +
        qdict_get_int(qdict_get_qdict(all, "compressed"),
                      "uncompressed-bytes");

    qobject_unref(resp);
    return bytes;
}

/*
 * A create that would pass the limit makes room, which contents take twice the
 * limit of uncompressed, at most.
 */
static void test_limit(const void *data)
{
    const uint64_t limit = 256 * KiB;
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=262144");
    uint64_t each = BYTES + OVERHEAD(dev) + IOV;
    uint32_t n = 0, id;

    while (qvirtio_gpu_create_2d(gpu, n + 1, FORMAT, SIDE, SIDE) == OK) {
        n++;
        g_assert_cmphex(qvirtio_gpu_attach(gpu, n, backing(n), BYTES), ==, OK);
        set_contents(gpu, n, backing(n), RED + n);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, limit);
        advance_ms(gpu, 1);
    }
    g_assert_cmpuint(n, ==, (2 * limit - 1) / each);
    g_assert_cmpuint(uncompressed_bytes(gpu), ==, n * BYTES);
    /* All of it is there; what comes back makes room for itself. */
    for (id = 1; id <= n; id++) {
        g_assert_cmpint(use(dev, gpu, id, RED + id), ==, true);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, limit);
        advance_ms(gpu, 1);
    }
    qvirtio_gpu_shutdown(gpu);
}

/*
 * What was purged comes back when a command stream uses it, whatever the limit:
 * so that counts, too, for what can come back, and others leave afterwards.
 */
static void test_limit_purged(const void *data)
{
    const uint64_t limit = 100 * 1000;
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=100000");
    uint64_t overhead = OVERHEAD(dev) + SURFACE_OVERHEAD;
    uint64_t each = BYTES + overhead;
    /* SET_FRAMEBUFFER_STATE with 8 colour buffers and no other. */
    uint32_t bind[3 + 8] = { 5 | 10 << 16, 8, 0 };
    uint32_t n = 0, i;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    while (qvirtio_gpu_create_2d(gpu, n + 1, FORMAT, SIDE, SIDE) == OK) {
        uint32_t words[] = { CREATE_SURFACE, n + 1, n + 1, FORMAT, 0, 0 };

        n++;
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        1, n), ==, OK);
        g_assert_cmphex(submit(gpu, 1, words, ARRAY_SIZE(words),
                               sizeof(words)), ==, OK);
        g_assert_cmphex(purge_one(gpu, n), ==, PURGED);
    }
    g_assert_cmpuint(n, ==, (2 * limit - 1) / each);
    g_assert_cmpuint(n, >=, 8);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    for (i = 0; i < 8; i++) {
        bind[3 + i] = i + 1;
    }
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    g_assert_cmpuint(get_stat(gpu, "restores"), ==, 8);
    advance_ms(gpu, 2000);
    wait_for(gpu, "compressed", "resources",
             8 - (limit / 16 * 15 - n * overhead) / BYTES);
    g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, limit);
    qvirtio_gpu_shutdown(gpu);
}

/* When a stream takes memory above the limit, idle ones leave at once. */
static void test_limit_restored(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=110000");
    /* SET_FRAMEBUFFER_STATE with 4 colour buffers and no other. */
    uint32_t bind[3 + 4] = { 5 | 6 << 16, 4, 0, 11, 12, 13, 14 };
    uint32_t id;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (id = 11; id <= 14; id++) {
        uint32_t words[] = { CREATE_SURFACE, id, id, FORMAT, 0, 0 };

        make(gpu, id);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        1, id), ==, OK);
        g_assert_cmphex(submit(gpu, 1, words, ARRAY_SIZE(words),
                               sizeof(words)), ==, OK);
        g_assert_cmphex(purge_one(gpu, id), ==, PURGED);
    }
    make_idle(gpu, 3);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 0);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    /* The clock stands still. */
    wait_for(gpu, "compressed", "resources", 3);
    g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, 110000);
    for (id = 1; id <= 3; id++) {
        g_assert_true(use(dev, gpu, id, RED + id));
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Below the limit some is kept free, of what is idle. */
static void test_headroom(const void *data)
{
    const uint64_t limit = 256 * KiB;
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=262144");
    uint64_t each = BYTES + OVERHEAD(dev) + IOV;
    uint32_t n = (limit - 1) / each;

    /* One more would be over it, and they take more than 15 of 16 parts. */
    g_assert_cmpuint(n * each, >, limit / 16 * 15);
    make_idle(gpu, n);
    wait_for(gpu, "compressed", "resources", 1);
    g_assert_true(use(dev, gpu, 1, RED + 1));
    qvirtio_gpu_shutdown(gpu);
}

/* What was not used for so long leaves, without any target. */
static void test_idle(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",x-idle-compress=5");

    make_filled(gpu, 1, RED);
    advance_ms(gpu, 4000);
    make_filled(gpu, 2, GREEN);
    advance_ms(gpu, 2000);
    wait_for(gpu, "compressed", "resources", 1);
    wait_for(gpu, "stays", "recently-used", BYTES);
    g_assert_true(use(dev, gpu, 1, RED));
    g_assert_false(use(dev, gpu, 2, GREEN));
    advance_ms(gpu, 6000);
    wait_for(gpu, "compressed", "resources", 2);
    qvirtio_gpu_shutdown(gpu);
}

static void compress_all(QVirtioGPU *gpu)
{
    advance_ms(gpu, 100000);
    wait_for(gpu, "resident", "host-bytes", 0);
}

/* Commands on what is compressed and attached find its contents. */
static void test_commands(const void *data)
{
    /* virglrenderer protocol: bind resource 1 as vertex buffer. */
    uint32_t bind[] = { 6 | 3 << 16, 16, 0, 7 };
    const struct virtio_gpu_resource_create_3d buffer = buffer_3d(7, PAGE);
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",hostmem-target=1");
    uint32_t id;

    for (id = 1; id <= 6; id++) {
        make_filled(gpu, id, RED + id);
    }
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &buffer), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 7, backing(7), PAGE), ==, OK);
    fill_ram(gpu, backing(7), PAGE, GREEN);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 7, PAGE, 1), ==, OK);
    compress_all(gpu);
    g_assert_cmpuint(get_in(gpu, "resident", "resources"), ==, 7);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 7);

    /* A transfer to a part of it keeps the rest. */
    fill_ram(gpu, backing(1), BYTES, GREEN);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE / 2, 0), ==, OK);
    fill_ram(gpu, backing(1), BYTES, 0);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, SIDE, SIDE), ==,
                    OK);
    check_ram(gpu, backing(1), BYTES / 2, GREEN);
    check_ram(gpu, backing(1) + BYTES / 2, BYTES / 2, RED + 1);

    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 2, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 5);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 2, SIDE, SIDE), ==, OK);
    g_assert_false(use(dev, gpu, 2, RED + 2));

    /* Evicted it stays compressed; attached to other pages it comes back. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);
    g_assert_cmpuint(get_in(gpu, "evicted", "host-bytes"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "evicted", "compressed-bytes"), >, 0);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 3, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, 3, THERE, RED + 3);

    g_assert_cmphex(purge_one(gpu, 4), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, backing(4), BYTES), ==, OK);
    check_contents(dev, gpu, 4, backing(4), 0);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 5), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 6, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 2);

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 7), ==, OK);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    fill_ram(gpu, backing(7), PAGE, 0);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 7, PAGE, 1), ==, OK);
    check_ram(gpu, backing(7), PAGE, GREEN);

    /* A reset frees what is compressed. */
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);
    make_filled(gpu, 6, GREEN);
    compress_all(gpu);
    g_assert_true(use(dev, gpu, 6, GREEN));
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Commands on a resource while it is being compressed, which takes many turns
 * of the main loop: after a turn, two, and so on.
 */
static void test_meanwhile(const void *data)
{
    QVirtioGPU *gpu = start(data);
    int turns;

    for (turns = 0; turns < 10; turns++) {
        int i;

        set_target(gpu, 0);
        make_large(gpu, 1, RED + turns);
        advance_ms(gpu, 2000);
        set_target(gpu, 1);
        for (i = 0; i < turns; i++) {
            get_stat(gpu, "host-bytes");
        }
        switch (turns % 5) {
        case 0:
            /* What is scanned out has to stay where the display looks. */
            g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, LARGE_SIDE,
                                                    LARGE_SIDE), ==, OK);
            g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==,
                             LARGE_BYTES);
            make_filled(gpu, 2, GREEN);
            advance_ms(gpu, 100000);
            wait_for(gpu, "resident", "host-bytes", LARGE_BYTES);
            g_assert_cmpuint(get_in(gpu, "stays", "scanned-out"), ==,
                             LARGE_BYTES);
            g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, LARGE_SIDE, LARGE_SIDE),
                            ==, OK);
            g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
            g_assert_cmphex(qvirtio_gpu_unref(gpu, 2), ==, OK);
            check_large(gpu, 1, RED + turns);
            break;
        case 1:
            check_large(gpu, 1, RED + turns);
            break;
        case 2:
            g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
            g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, LARGE_BYTES), ==,
                            OK);
            check_large(gpu, 1, RED + turns);
            break;
        case 3:
            g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
            g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, LARGE_BYTES), ==,
                            OK);
            check_large(gpu, 1, 0);
            break;
        case 4:
            /* All resources end, and the id is another one's. */
            qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
            make_large(gpu, 1, GREEN);
            check_large(gpu, 1, GREEN);
            break;
        }
        g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* A create makes room also while another resource is being compressed. */
static void test_limit_meanwhile(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",max_hostmem=40M,hostmem-target=1");

    make_large(gpu, 1, RED);
    make_large(gpu, 2, GREEN);
    advance_ms(gpu, 2000);
    get_stat(gpu, "host-bytes");
    make_large(gpu, 3, 0);
    g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, 40 * MiB);
    check_large(gpu, 1, RED);
    check_large(gpu, 2, GREEN);
    check_large(gpu, 3, 0);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * The memory of the process falls by what leaves. Textures have contents that
 * compress to little, and stay in use by a surface each.
 */
static void test_rss(const void *data)
{
    const uint32_t n = 8;
    QVirtioGPU *gpu = start(data);
    gint64 start;
    uint64_t before;
    uint32_t id;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (id = 1; id <= n; id++) {
        uint32_t words[] = { CREATE_SURFACE, id, id, FORMAT, 0, 0 };

        make_large(gpu, id, RED + id);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        1, id), ==, OK);
        g_assert_cmphex(submit(gpu, 1, words, ARRAY_SIZE(words),
                               sizeof(words)), ==, OK);
    }
    before = rss_anon(gpu);
    g_assert_cmpuint(before, >, n * LARGE_BYTES);
    advance_ms(gpu, 2000);
    set_target(gpu, n * LARGE_BYTES / 4);
    wait_for(gpu, "compressed", "resources", n * 3 / 4 + 1);
    start = g_get_monotonic_time();
    while (rss_anon(gpu) > before - n * LARGE_BYTES / 4 * 3 / 100 * 95) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, HANG);
        g_usleep(10000);
    }
    for (id = 1; id <= n; id++) {
        check_large(gpu, id, RED + id);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Noise does not get smaller: it stays, and the statistics say why. */
static void test_no_gain(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    g_autofree uint32_t *noise = g_new(uint32_t, BYTES / 4);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    int i;

    make_filled(gpu, 1, 0);
    make_filled(gpu, 2, RED);
    for (i = 0; i < BYTES / 4; i++) {
        noise[i] = g_rand_int(rand);
    }
    memcpy(gpu->ram + backing(1), noise, BYTES);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, 0), ==, OK);
    advance_ms(gpu, 5000);
    set_target(gpu, 1);
    wait_for(gpu, "compressed", "resources", 1);
    wait_for(gpu, "stays", "no-gain", BYTES);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, BYTES);
    memset(gpu->ram + backing(1), 0, BYTES);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, SIDE, SIDE), ==,
                    OK);
    for (i = 0; i < BYTES / 4; i++) {
        /* The X of BGRX is undefined. */
        g_assert_cmphex(((uint32_t *)(gpu->ram + backing(1)))[i] & 0xffffff,
                        ==, noise[i] & 0xffffff);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Contexts are active or idle. */
static void test_contexts(const void *data)
{
    uint32_t nop[] = { 0 };
    QVirtioGPU *gpu = start(data);
    const QListEntry *entry;
    QDict *resp;
    uint32_t ctx;

    advance_ms(gpu, 10000);
    for (ctx = 1; ctx <= 2; ctx++) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, ctx,
                                        0), ==, OK);
        g_assert_cmphex(submit(gpu, ctx, nop, 1, sizeof(nop)), ==, OK);
        advance_ms(gpu, 5000 / ctx / ctx / ctx);
    }
    resp = get_stats(gpu);
    entry = qlist_first(qdict_get_qlist(qdict_get_qdict(resp, "return"),
                                        "contexts"));
    for (ctx = 1; ctx <= 2; ctx++) {
        QDict *in = qobject_to(QDict, qlist_entry_obj(entry));

        CHECK(in, "id", ctx);
        /* To a tenth of a second. */
        g_assert_cmpuint(qdict_get_int(in, "idle-ms") / 1000, ==,
                         ctx == 1 ? 5 : 0);
        g_assert_true(qdict_get_bool(in, "active") == (ctx == 2));
        CHECK(in, "compressed-bytes", 0);
        CHECK(in, "deferred-bytes", 0);
        entry = qlist_next(entry);
    }
    qobject_unref(resp);
    qvirtio_gpu_shutdown(gpu);
}

/* A number of context @ctx, of which there are as many. */
static uint64_t get_in_last_ctx(QVirtioGPU *gpu, uint32_t ctx,
                                const char *name)
{
    QDict *resp = get_stats(gpu);
    QList *contexts = qdict_get_qlist(qdict_get_qdict(resp, "return"),
                                      "contexts");
    const QListEntry *entry;
    uint64_t value = 0;
    QDict *in = NULL;

    QLIST_FOREACH_ENTRY(contexts, entry) {
        in = qobject_to(QDict, qlist_entry_obj(entry));
        value = qdict_get_int(in, name);
    }
    CHECK(in, "id", ctx);
    qobject_unref(resp);
    return value;
}

/* What a context keeps of a resource that is destroyed. */
static void test_contexts_deferred(const void *data)
{
    uint32_t create[] = { CREATE_SURFACE, 77, 1, FORMAT, 0, 0 };
    uint32_t destroy[] = { DESTROY_SURFACE, 77 };
    QVirtioGPU *gpu = start(data);
    uint32_t ctx;

    make(gpu, 1);
    for (ctx = 1; ctx <= 2; ctx++) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, ctx,
                                        0), ==, OK);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        ctx, 1), ==, OK);
        g_assert_cmphex(submit(gpu, ctx, create, ARRAY_SIZE(create),
                               sizeof(create)), ==, OK);
        g_assert_cmpuint(get_in_last_ctx(gpu, ctx, "host-bytes"), ==, BYTES);
        g_assert_cmpuint(get_in_last_ctx(gpu, ctx, "deferred-bytes"), ==, 0);
    }
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    g_assert_cmpuint(get_in(gpu, "deferred", "host-bytes"), ==, BYTES);
    g_assert_cmpuint(get_in_last_ctx(gpu, 2, "host-bytes"), ==, 0);
    g_assert_cmpuint(get_in_last_ctx(gpu, 2, "deferred-bytes"), ==, BYTES);
    g_assert_cmphex(submit(gpu, 2, destroy, ARRAY_SIZE(destroy),
                           sizeof(destroy)), ==, OK);
    g_assert_cmpuint(get_in(gpu, "deferred", "host-bytes"), ==, BYTES);
    g_assert_cmpuint(get_in_last_ctx(gpu, 2, "deferred-bytes"), ==, 0);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 2, 0), ==,
                    OK);
    g_assert_cmpuint(get_in_last_ctx(gpu, 1, "deferred-bytes"), ==, BYTES);
    qvirtio_gpu_shutdown(gpu);
}

#define CONFIG(field) offsetof(struct virtio_gpu_config, field)

static bool is_asked(QVirtioGPU *gpu)
{
    return qvirtio_config_readl(gpu->vdev, CONFIG(events_read)) &
           VIRTIO_GPU_EVENT_RECLAIM;
}

static void clear_event(QVirtioGPU *gpu)
{
    qpci_io_writel(gpu->pci->pdev, gpu->pci->bar,
                   gpu->pci->device_cfg_offset + CONFIG(events_clear),
                   VIRTIO_GPU_EVENT_RECLAIM);
}

static uint32_t get_target(QVirtioGPU *gpu, uint64_t *bytes, size_t resp_len)
{
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_RECLAIM_TARGET),
    };
    struct virtio_gpu_resp_reclaim_target resp = { };
    uint32_t type = qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp, resp_len);

    *bytes = le64_to_cpu(resp.bytes);
    return type;
}

#define TARGET_BYTES sizeof(struct virtio_gpu_resp_reclaim_target)

/* The guest is asked while something is wanted. spec: Device 23, 24, 26. */
static void test_ask(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint64_t used, bytes;

    make(gpu, 1);
    used = get_stat(gpu, "used-bytes");
    g_assert_false(is_asked(gpu));
    g_assert_cmphex(get_target(gpu, &bytes, TARGET_BYTES), ==,
                    VIRTIO_GPU_RESP_OK_RECLAIM_TARGET);
    g_assert_cmpuint(bytes, ==, 0);

    set_target(gpu, used - 100);
    g_assert_true(is_asked(gpu));
    g_assert_cmphex(get_target(gpu, &bytes, TARGET_BYTES), ==,
                    VIRTIO_GPU_RESP_OK_RECLAIM_TARGET);
    g_assert_cmpuint(bytes, ==, 100);
    g_assert_cmpuint(get_stat(gpu, "asked-bytes"), ==, 100);

    /* Again, if that was not enough. */
    clear_event(gpu);
    g_assert_false(is_asked(gpu));
    advance_ms(gpu, 500);
    g_assert_false(is_asked(gpu));
    advance_ms(gpu, 500);
    g_assert_true(is_asked(gpu));

    clear_event(gpu);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(get_target(gpu, &bytes, TARGET_BYTES), ==,
                    VIRTIO_GPU_RESP_OK_RECLAIM_TARGET);
    g_assert_cmpuint(bytes, ==, 0);
    advance_ms(gpu, 5000);
    g_assert_false(is_asked(gpu));

    /* A reset ends it. */
    make(gpu, 2);
    set_target(gpu, 1);
    g_assert_true(is_asked(gpu));
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    g_assert_false(is_asked(gpu));
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 23, 25. */
static void test_ask_errors(const void *data)
{
    struct virtio_gpu_ctrl_hdr fenced = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_RECLAIM_TARGET),
        .flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
    };
    struct virtio_gpu_ctrl_hdr resp;
    QVirtioGPU *gpu = start(data);
    uint64_t bytes;

    g_assert_cmphex(get_target(gpu, &bytes, TARGET_BYTES - 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &fenced, sizeof(fenced), &resp,
                                    sizeof(resp)), ==, BAD_PARAMETER);
    g_assert_cmphex(le32_to_cpu(resp.flags) & VIRTIO_GPU_FLAG_FENCE, ==, 0);

    /* A driver that has not negotiated the feature is not asked. */
    qvirtio_gpu_start(gpu, VIRGL);
    make(gpu, 1);
    set_target(gpu, 1);
    g_assert_cmpuint(get_stat(gpu, "asked-bytes"), >, 1);
    g_assert_false(is_asked(gpu));
    g_assert_cmphex(get_target(gpu, &bytes, TARGET_BYTES), ==, UNSPEC);
    qvirtio_gpu_shutdown(gpu);
}

/* With the stock driver and without the feature, memory is reclaimed too. */
static void test_no_feature(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",hostmem-target=1");

    qvirtio_gpu_start(gpu, VIRGL);
    make_filled(gpu, 1, RED);
    compress_all(gpu);
    g_assert_true(use(dev, gpu, 1, RED));
    qvirtio_gpu_shutdown(gpu);
}

static void test_properties(const void *data)
{
    static const BadOptions bad[] = {
        { "virtio-gpu-gl-pci,hostmem-target=1M",
          "hostmem-target needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-idle-compress=1",
          "x-idle-compress needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-reclaim-pressure=psi",
          "x-reclaim-pressure=psi needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-reclaim-pressure=maybe", "maybe" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-reclaim-pressure=psi,"
          "x-reclaim-pressure-file=/nonexistent",
          "cannot read /nonexistent: No such file or directory" },
        { "virtio-gpu-gl-pci,x-reclaim=on,hostmem-target=-1",
          "hostmem-target" },
    };
    QVirtioGPU *gpu;
    QDict *resp;

    check_bad_options(bad, ARRAY_SIZE(bad));
    /* At run time, too; what is no number changes nothing. */
    gpu = boot(data, ((const Device *)data)->args);
    resp = try_target(gpu, 1);
    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(resp, "error"),
                                          "desc"), "x-reclaim=on"));
    qobject_unref(resp);
    qvirtio_gpu_shutdown(gpu);
}

/* Run tools/vgpu-memtop with @args. Returns what it prints. */
static char *memtop(const char *args, const char *socket)
{
    g_autofree char *line = g_strdup_printf("tools/vgpu-memtop %s %s", args,
                                            socket);
    g_autofree char *error = NULL;
    char *out;
    int status;

    g_assert_true(g_spawn_command_line_sync(line, &out, &error, &status,
                                            NULL));
    g_assert_cmpstr(error, ==, "");
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return out;
}

/* The tool reads the statistics of this QEMU and sets its target. */
static void test_memtop(const void *data)
{
    g_autofree char *dir = g_dir_make_tmp("memtop-XXXXXX", NULL);
    g_autofree char *socket = g_build_filename(dir, "qmp", NULL);
    g_autofree char *props = g_strdup_printf(
        " -name vm1 -qmp unix:%s,server=on,wait=off", socket);
    QVirtioGPU *gpu = start_with(data, props);
    g_autofree char *set = NULL, *once = NULL, *prometheus = NULL;

    make_filled(gpu, 1, RED);
    advance_ms(gpu, 2000);
    set = memtop("--set-target 1K", socket);
    g_assert_cmpstr(set, ==, "");
    wait_for(gpu, "compressed", "resources", 1);
    g_assert_cmpuint(get_stat(gpu, "target-bytes"), ==, KiB);
    once = memtop("--once", socket);
    g_assert_nonnull(strstr(once, "vm1\n"));
    g_assert_nonnull(strstr(once, "target 1.0K"));
    prometheus = memtop("--prometheus", socket);
    g_assert_nonnull(strstr(prometheus, "vgpu_compressions_total{vm=\"vm1\","
                            "device=\"/machine/peripheral/gpu0\"} 1\n"));
    qvirtio_gpu_shutdown(gpu);
    unlink(socket);
    rmdir(dir);
}

static const Case cases[] = {
    { "control-target", test_target, ON_GL },
    { "control-recent", test_recent, ON_GL_PCI },
    { "control-thrash", test_thrash, ON_GL_PCI },
    { "control-scanned-out", test_scanned_out, ON_GL_PCI },
    { "control-limit", test_limit, ON_GL_PCI },
    { "control-limit-purged", test_limit_purged, ON_GL_PCI },
    { "control-limit-restored", test_limit_restored, ON_GL_PCI },
    { "control-headroom", test_headroom, ON_GL_PCI },
    { "control-idle", test_idle, ON_GL_PCI },
    { "control-commands", test_commands, ON_GL },
    { "control-meanwhile", test_meanwhile, ON_GL_PCI },
    { "control-limit-meanwhile", test_limit_meanwhile, ON_GL_PCI },
    { "control-no-gain", test_no_gain, ON_GL_PCI },
    { "control-contexts", test_contexts, ON_GL_PCI },
    { "control-contexts-deferred", test_contexts_deferred, ON_GL_PCI },
    { "control-ask", test_ask, ON_PCI },
    { "control-ask-errors", test_ask_errors, ON_PCI },
    { "control-no-feature", test_no_feature, ON_GL_PCI },
    { "control-properties", test_properties, ON_GL_PCI },
    { "control-memtop", test_memtop, ON_GL_PCI },
};

static const Case rss_cases[] = {
    { "control-rss", test_rss, ON_GL_PCI },
};

void add_control_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
    add_cases("rss", rss_cases, ARRAY_SIZE(rss_cases));
}
