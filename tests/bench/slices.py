# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions about QEMU's main loop: the tests hostile-stall count, under callgrind."""
from result import measure, row


def slices(_):
    """Instructions to create and to unref a texture, and of the longest slices."""
    counts = {}
    for line in measure('virtio-gpu-reclaim-test',
                        '-p', '/x86_64/virtio-gpu/hostile-stall/gl'):
        # What is counted twice is done for the first time before.
        counts.setdefault(line['what'], {})[line['modules']] = line['instructions']

    result = {'create': [], 'unref': [], 'stall': []}
    for what, count in counts.items():
        command, _, beside = what.partition(':')
        name = command if command in result else 'stall'
        label = beside if command in result else what
        result[name].append(row(label.replace('_', ' ').replace(':', ', '),
                                [count['ours']],
                                [count['stock']] if 'stock' in count else []))
    return result
