# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions about QEMU's memory: virtio-gpu-bench-memory measures, in rounds."""
from result import measure, row

MIB = 1 << 20
KINDS = ('image', 'texture', 'texture-with-views', 'cube', 'buffer')


def memory(_):
    """What is counted, and what comes back."""
    lines = measure('virtio-gpu-bench-memory')

    def rows(ours, reference):
        return [row(kind.replace('-', ' '),
                    [line[ours] / MIB for line in lines if line['kind'] == kind],
                    [line[reference] / MIB for line in lines if line['kind'] == kind])
                for kind in KINDS]

    return {'return': rows('fall', 'released'), 'accounting': rows('counted', 'rise')}
