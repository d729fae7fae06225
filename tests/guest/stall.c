/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdint.h>
#include <unistd.h>

#include "stall.h"
#include "test.h"

#define CONFIG "/sys/class/drm/card0/device/config"

static int open_config(void)
{
    return open(CONFIG, O_RDWR | O_CLOEXEC);
}

static uint32_t get(int config, unsigned offset, unsigned bytes)
{
    uint32_t value = 0;

    CHECK_INT(pread(config, &value, bytes, offset), ==, bytes);
    return value;
}

static void set(int config, unsigned offset, unsigned bytes, uint32_t value)
{
    CHECK_INT(pwrite(config, &value, bytes, offset), ==, bytes);
}

/* Where the virtio capability of @type is. */
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
 * Tell the device that there is something in its first queue. The driver did so
 * while it was stalled and thinks that the device knows.
 */
static void kick(int config)
{
    unsigned window = capability(config, VIRTIO_PCI_CAP_PCI_CFG);
    unsigned notify = capability(config, VIRTIO_PCI_CAP_NOTIFY_CFG);

    set(config, window + VIRTIO_PCI_CAP_BAR, 1,
        get(config, notify + VIRTIO_PCI_CAP_BAR, 1));
    set(config, window + VIRTIO_PCI_CAP_OFFSET, 4,
        get(config, notify + VIRTIO_PCI_CAP_OFFSET, 4));
    set(config, window + VIRTIO_PCI_CAP_LENGTH, 4, 2);
    set(config, window + sizeof(struct virtio_pci_cap), 2, 0);
}

void stall(void)
{
    int config = open_config();

    CHECK_INT(config, >=, 0);
    set(config, PCI_COMMAND, 2,
        get(config, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
    close(config);
}

void stall_end(void)
{
    int config = open_config();
    uint32_t command;

    if (config < 0) {
        return;     /* the driver is not bound to it */
    }
    command = get(config, PCI_COMMAND, 2);
    if (!(command & PCI_COMMAND_MASTER)) {
        set(config, PCI_COMMAND, 2, command | PCI_COMMAND_MASTER);
        kick(config);
    }
    close(config);
}
