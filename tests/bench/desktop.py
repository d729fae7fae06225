# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions about a desktop: virtio-gpu-desktop-bench measures, in rounds."""
from result import measure, row

SCENES = ('texture', 'shading', 'buffer')


def desktop(_):
    """Frames per second, and what an idle desktop takes."""
    lines = measure('virtio-gpu-desktop-bench')
    seconds = {(stack, what): [line['us'] / 1e6 for line in lines
                               if (line['stack'], line['what']) == (stack, what)]
               for stack in ('ours', 'stock') for what in SCENES + ('idle',)}

    def rates(stack, scene):
        return [1 / time for time in seconds[stack, scene]]

    return {'fps': [row('glmark2, ' + scene, rates('ours', scene), rates('stock', scene))
                    for scene in SCENES],
            'idle-cost': [row('weston, 8 s', seconds['ours', 'idle'],
                              seconds['stock', 'idle'])]}
