# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions for each command of the 2D device, by the number of resources, and for
each page that is attached, by their number.

QEMU runs under callgrind. A phase ends when callgrind dumps count.N, which is when
the command that marks its end is being carried out: the instructions of that are
counted by themselves, as 'mark', and subtracted.
"""
import os
import subprocess

from callgrind import total
from result import row

COMMANDS = ('create', 'unref', 'attach', 'detach', 'transfer', 'flush')


def count(directory, modules, properties):
    """Run virtio-gpu-bench; return {(number, command): instructions for one}."""
    os.makedirs(directory, exist_ok=True)
    env = dict(os.environ, QEMU_MODULE_DIR=os.path.abspath(modules),
               QTEST_QEMU_BINARY='valgrind --tool=callgrind '
               '--callgrind-out-file=%s/count '
               '--toggle-collect=virtio_gpu_process_cmdq '
               '--dump-before=virtio_gpu_get_display_info '
               '/usr/bin/qemu-system-x86_64' % os.path.abspath(directory))
    run = subprocess.run(['scripts/steps/qtest', 'virtio-gpu-bench', properties], env=env,
                         stdout=subprocess.PIPE, text=True, check=True)
    phases = [line.split('\t') for line in run.stdout.splitlines()]
    marks, result = {}, {}
    for number, (live, command, sent) in enumerate(
            (phase for phase in phases if len(phase) == 3), 1):
        taken = total('%s/count.%d' % (directory, number))
        if command == 'mark':
            marks[live] = taken
        elif command != '-':
            result[int(live), command] = (taken - marks[live]) / int(sent)
    return result


def lookup(directory):
    """Count on the stock modules and on ours."""
    stock = count(directory + '/stock', 'build/modules-stock', '')
    ours = count(directory + '/ours', 'build/modules', ',x-reclaim=on')

    def rows(command, label):
        # What the stock device rejects has no reference.
        return [row(label, [ours[number, command]],
                    [stock[number, command]] if (number, command) in stock else [],
                    number)
                for number in sorted(n for n, name in ours if name == command)]

    return {'lookup': sum((rows(command, command) for command in COMMANDS), []),
            'attach': rows('attach-pages', 'single pages'),
            'detach': rows('detach-pages', 'single pages')}
