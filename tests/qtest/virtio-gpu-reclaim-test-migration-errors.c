/*
 * QTest testcase for virtio-gpu memory reclaim: migration errors
 *
 * Incoming migration streams of the 2D device that the destination does not
 * support or that are corrupt: QEMU reports an error and exits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* Migration from @path to a guest with @args fails with the error @why. */
static void check_rejected(const char *args, const char *path, const char *why)
{
    g_autofree char *log = temp_file();
    g_autofree char *more = g_strdup_printf("%s 2>%s", args, log);
    g_autofree char *text = NULL;
    QVirtioGPU *gpu = load(more, path);

    qtest_set_expected_status(gpu->qts, EXIT_FAILURE);
    while (qtest_probe_child(gpu->qts)) {
        g_usleep(10000);
    }
    qvirtio_gpu_shutdown(gpu);
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    if (!strstr(text, why)) {
        g_error("no \"%s\" in:\n%s", why, text);
    }
    unlink(log);
}

/* Save a device with the resources of populate(). */
static char *save_populated(const Device *dev)
{
    QVirtioGPU *gpu = start(dev);
    char *path;

    populate(gpu);
    path = save(gpu);
    qvirtio_gpu_shutdown(gpu);
    return path;
}

/* Resident and evicted resources count against the limit, purged ones not. */
static void test_limit(const void *data)
{
    const Device *dev = data;
    const uint64_t bytes = 3 * BYTES + 2 * IOV_BYTES(dev);
    const uint64_t most = bytes + 3 * OVERHEAD(dev);
    g_autofree char *path = save_populated(dev);
    const struct {
        uint64_t limit;
        const char *why;
    } bad[] = {
        { BYTES, "migrated resource 3, of 16384 bytes, goes over "
                 "max_hostmem, which is 16384 here" },
        { 2 * BYTES, "migrated resource 2, of 16408 bytes, goes over "
                     "max_hostmem, which is 32768 here" },
        { most, "migrated resource 1, of 16408 bytes, goes over "
                "max_hostmem, which is 51120 here" },
    };
    g_autofree char *good = g_strdup_printf(
        "%s,x-reclaim=on,max_hostmem=%" PRIu64, dev->args, most + 1);
    QVirtioGPU *gpu;
    int i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *args = g_strdup_printf(
            "%s,x-reclaim=on,max_hostmem=%" PRIu64, dev->args, bad[i].limit);

        check_rejected(args, path, bad[i].why);
    }
    gpu = load(good, path);
    wait_for_migration(gpu->qts);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, bytes);
    qvirtio_gpu_shutdown(gpu);
    unlink(path);
}

/* A migration stream, and the resource records of the subsection in it. */
typedef struct Stream {
    char *bytes;
    size_t size;
    uint8_t *records;
} Stream;

/* Each record is a byte of 1 and these fields; a byte of 0 ends the list. */
enum { ID, STATE, WIDTH, HEIGHT, FORMAT_FIELD, FIELDS };
#define RECORD (1 + FIELDS * 4)

static uint8_t *find(const Stream *s, const void *pattern, size_t size)
{
    uint8_t *found = memmem(s->bytes, s->size, pattern, size);

    g_assert_nonnull(found);
    return found;
}

static void read_stream(Stream *s, const char *path)
{
    /* Header of the subsection: type 5, length of the name, name, version. */
    static const char head[] = "\x05\x12virtio-gpu/reclaim\0\0\0\1";

    g_assert_true(g_file_get_contents(path, &s->bytes, &s->size, NULL));
    s->records = find(s, head, sizeof(head) - 1) + sizeof(head) - 1;
}

static uint8_t *record(const Stream *s, uint32_t id)
{
    uint8_t *p = s->records;

    while (ldl_be_p(p + 1 + ID * 4) != id) {
        g_assert_cmpuint(*p, ==, 1);
        p += RECORD;
    }
    return p;
}

/*
 * A destination without reclaim rejects the negotiated feature, and if that is
 * not in the stream, the subsection.
 */
static void test_without_reclaim(const void *data)
{
    /*
     * The feature bit is in the stream twice, first before the 24 bytes of
     * configuration space.
     */
    static const uint8_t features[] = { 0, 0, 0x10, 0, 0, 0, 0, 24 };
    static const uint8_t features64[] = { 0, 0, 0, 1, 0, 0, 0x10, 0 };
    const Device *dev = data;
    g_autofree char *path = save_populated(dev);
    g_autofree char *bytes = NULL;
    Stream s;

    check_rejected(dev->args, path, "Features 0x100001000 unsupported");
    read_stream(&s, path);
    bytes = s.bytes;
    find(&s, features, sizeof(features))[2] = 0;
    find(&s, features64, sizeof(features64))[6] = 0;
    g_assert_true(g_file_set_contents(path, s.bytes, s.size, NULL));
    check_rejected(dev->args, path, "use x-reclaim=on here, too");
    unlink(path);
}

static void check_corrupt(const Device *dev, const char *bytes, size_t size,
                          const char *why)
{
    g_autofree char *args = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    g_autofree char *path = temp_file();

    g_assert_true(g_file_set_contents(path, bytes, size, NULL));
    check_rejected(args, path, why);
    unlink(path);
}

/* Invalid states, ids and formats. Resource 3 is evicted, 4 is purged. */
static void test_corrupt_record(const void *data)
{
    static const struct {
        uint32_t id;
        int field;
        uint32_t value;
        const char *why;
    } changes[] = {
        { 3, STATE, 0, "migrated resource 3 cannot be in state 0" },
        { 3, STATE, 2, "migrated resource 3 cannot be in state 2" },
        { 3, STATE, 3, "migrated resource 3 cannot be in state 3" },
        { 3, STATE, UINT32_MAX, "migrated resource 3 cannot be in state" },
        { 3, ID, 0, "migrated resource 0 cannot be in state 1" },
        { 3, ID, 1, "migrated resource 1 cannot be in state 1" },
        { 3, ID, 99, "migrated resource 99 cannot be in state 1" },
        { 3, ID, 4, "migrated resource 4 cannot be in state" },
        { 4, STATE, 1, "migrated resource 4 cannot be in state 1" },
        { 4, ID, 0, "migrated resource 0 cannot be in state 2" },
        { 4, ID, 1, "migrated resource 1 cannot be in state 2" },
        { 4, FORMAT_FIELD, 0x7777,
          "migrated resource 4 cannot be in state 2" },
    };
    const Device *dev = data;
    g_autofree char *path = save_populated(dev);
    int i;

    for (i = 0; i < ARRAY_SIZE(changes); i++) {
        g_autofree char *bytes = NULL;
        Stream s;

        read_stream(&s, path);
        bytes = s.bytes;
        stl_be_p(record(&s, changes[i].id) + 1 + changes[i].field * 4,
                 changes[i].value);
        check_corrupt(dev, s.bytes, s.size, changes[i].why);
    }
    unlink(path);
}

/* Duplicate resources. */
static void test_corrupt_twice(const void *data)
{
    static const struct {
        uint32_t id, over;
        const char *why;
    } copies[] = {
        { 3, 4, "migrated resource 3 cannot be in state 1" },
        { 4, 3, "migrated resource 4 cannot be in state 2" },
    };
    const Device *dev = data;
    g_autofree char *path = save_populated(dev);
    int i;

    for (i = 0; i < ARRAY_SIZE(copies); i++) {
        g_autofree char *bytes = NULL;
        Stream s;

        read_stream(&s, path);
        bytes = s.bytes;
        memcpy(record(&s, copies[i].over), record(&s, copies[i].id), RECORD);
        check_corrupt(dev, s.bytes, s.size, copies[i].why);
    }
    unlink(path);
}

/* Truncated streams, a missing end marker, an excessive count. */
static void test_corrupt_length(const void *data)
{
    const Device *dev = data;
    g_autofree char *path = save_populated(dev);
    g_autofree char *bytes = NULL;
    uint8_t resource[5 * 4];
    uint8_t *end, *mappings;
    Stream s;

    read_stream(&s, path);
    bytes = s.bytes;
    end = s.records + 2 * RECORD;
    g_assert_cmpuint(*end, ==, 0);
    check_corrupt(dev, s.bytes, (char *)s.records - s.bytes + RECORD / 2,
                  "load of migration failed");
    check_corrupt(dev, s.bytes, (char *)end - s.bytes,
                  "load of migration failed");
    *end = 1;
    check_corrupt(dev, s.bytes, s.size, "load of migration failed");
    *end = 0;

    /* Resource 1 has one mapping. */
    stl_be_p(resource, 1);
    stl_be_p(resource + 4, SIDE);
    stl_be_p(resource + 8, SIDE);
    stl_be_p(resource + 12, FORMAT);
    stl_be_p(resource + 16, 1);
    mappings = find(&s, resource, sizeof(resource)) + 16;
    stl_be_p(mappings, UINT32_MAX);
    check_corrupt(dev, s.bytes, s.size,
                  "migrated resource 1 has 4294967295 mappings, and can have "
                  "16388");
    unlink(path);
}

static const Case cases[] = {
    { "migrate-without-reclaim", test_without_reclaim, ON_2D_PCI },
    { "migrate-limit", test_limit, ON_2D_PCI },
    { "migrate-corrupt-record", test_corrupt_record, ON_2D_PCI },
    { "migrate-corrupt-twice", test_corrupt_twice, ON_2D_PCI },
    { "migrate-corrupt-length", test_corrupt_length, ON_2D_PCI },
};

void add_migration_error_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
