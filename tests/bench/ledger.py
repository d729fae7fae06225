# SPDX-License-Identifier: GPL-2.0-or-later
"""What each of many resources takes in the ledger: bench-ledger under callgrind."""
import os
import subprocess

from callgrind import total
from result import row

PROGRAM = 'build/meson/tests/unit/bench-ledger'
NUMBERS = (1000, 10000, 100000, 1000000)
GOAL_BYTES = 128


def count(directory, number):
    """Return instructions and bytes for each of @number resources."""
    path = os.path.join(directory, 'count-%d' % number)
    subprocess.run(['valgrind', '-q', '--tool=callgrind', '--toggle-collect=measure',
                    '--callgrind-out-file=' + path, PROGRAM, str(number)],
                   stdout=subprocess.DEVNULL, check=True)
    run = subprocess.run([PROGRAM, str(number)], stdout=subprocess.PIPE, text=True,
                         check=True)
    return total(path) / number, int(run.stdout) / number


def scale(directory):
    """Count both for numbers of resources that grow."""
    os.makedirs(directory, exist_ok=True)
    counts = {number: count(directory, number) for number in NUMBERS}
    few = counts[NUMBERS[0]][0]
    return {'scale': [row('instructions to add, find and remove one', [counts[n][0]],
                          [few], n) for n in NUMBERS],
            # The allocator's slabs are larger than the fewest.
            'scale-bytes': [row('bytes of one', [counts[n][1]], [GOAL_BYTES], n)
                            for n in NUMBERS[1:]]}
