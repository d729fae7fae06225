/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "stall.h"
#include "test.h"

#define POLL_US 1000

#define DEVICES "/sys/bus/pci/devices/"

/* PCI ids of virtio-gpu. */
#define VENDOR  0x1af4
#define DEVICE  0x1050

/* Open while it is stalled: to open it may take memory. */
static int device = -1;

static uint32_t get(int config, unsigned offset, unsigned bytes)
{
    uint32_t value = 0;

    CHECK_INT(pread(config, &value, bytes, offset), ==, bytes);
    return value;
}

/*
 * Open the PCI configuration space of the GPU, bound to a driver or not; -1 if
 * it is not on a PCI bus.
 */
static int open_config(void)
{
    glob_t found;
    int config = -1;
    size_t i;

    if (glob(DEVICES "*/config", 0, NULL, &found) != 0) {
        return -1;
    }
    for (i = 0; i < found.gl_pathc && config < 0; i++) {
        config = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        CHECK_INT(config, >=, 0);
        if (get(config, PCI_VENDOR_ID, 2) != VENDOR ||
            get(config, PCI_DEVICE_ID, 2) != DEVICE) {
            close(config);
            config = -1;
        }
    }
    globfree(&found);
    return config;
}

static void set(int config, unsigned offset, unsigned bytes, uint32_t value)
{
    CHECK_INT(pwrite(config, &value, bytes, offset), ==, bytes);
}

/* Offset of the virtio capability of @type. */
static unsigned capability(int config, unsigned type)
{
    unsigned at = get(config, PCI_CAPABILITY_LIST, 1);

    while (at && (get(config, at, 1) != PCI_CAP_ID_VNDR ||
                  get(config, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) != type)) {
        at = get(config, at + PCI_CAP_LIST_NEXT, 1);
    }
    CHECK_INT(at, >, 0);
    return at;
}

/*
 * Have the window of the configuration space show @bytes at @offset of what the
 * capability of @type is about. Returns where.
 */
static unsigned show(int config, unsigned type, unsigned offset, unsigned bytes)
{
    unsigned window = capability(config, VIRTIO_PCI_CAP_PCI_CFG);
    unsigned target = capability(config, type);

    set(config, window + VIRTIO_PCI_CAP_BAR, 1,
        get(config, target + VIRTIO_PCI_CAP_BAR, 1));
    set(config, window + VIRTIO_PCI_CAP_OFFSET, 4,
        get(config, target + VIRTIO_PCI_CAP_OFFSET, 4) + offset);
    set(config, window + VIRTIO_PCI_CAP_LENGTH, 4, bytes);
    return window + sizeof(struct virtio_pci_cap);
}

/*
 * Notify the device of its first queue. The driver did so while it was
 * stalled, and does not again.
 */
static void kick(int config)
{
    set(config, show(config, VIRTIO_PCI_CAP_NOTIFY_CFG, 0, 2), 2, 0);
}

/*
 * QEMU clears DRIVER_OK of a device without bus mastering, and sends no event
 * without it.
 */
static void restore_driver_ok(int config)
{
    unsigned status = show(config, VIRTIO_PCI_CAP_COMMON_CFG,
                           VIRTIO_PCI_COMMON_STATUS, 1);
    uint32_t value = get(config, status, 1);

    if (value & VIRTIO_CONFIG_S_DRIVER) {
        set(config, status, 1, value | VIRTIO_CONFIG_S_DRIVER_OK);
    }
}

static void open_device(void)
{
    if (device < 0) {
        device = open_config();
    }
    if (device < 0) {
        test_skip("needs a device on a PCI bus");
    }
}

void stall(void)
{
    open_device();
    set(device, PCI_COMMAND, 2,
        get(device, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
}

void stall_end(void)
{
    int config = device < 0 ? open_config() : device;
    uint32_t command;

    if (config < 0) {
        return;
    }
    command = get(config, PCI_COMMAND, 2);
    if (!(command & PCI_COMMAND_MASTER)) {
        set(config, PCI_COMMAND, 2, command | PCI_COMMAND_MASTER);
        restore_driver_ok(config);
        kick(config);
    }
    close(config);
    device = -1;
}

pid_t stall_end_later(const atomic_bool *begin, unsigned ms)
{
    int line[2];
    pid_t pid;
    char byte;

    open_device();
    CHECK_INT(pipe2(line, O_CLOEXEC), ==, 0);
    pid = fork();
    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CHECK_INT(mlockall(MCL_CURRENT), ==, 0);
        CHECK_INT(write(line[1], "", 1), ==, 1);
        while (!*begin) {
            usleep(POLL_US);
        }
        usleep(ms * 1000);
        stall_end();
        _exit(EXIT_SUCCESS);
    }
    close(line[1]);
    CHECK_INT(read(line[0], &byte, 1), ==, 1);
    close(line[0]);
    return pid;
}
