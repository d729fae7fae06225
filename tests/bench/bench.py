#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tests/bench/bench.py --plan [NAME...] | DIR NAME

Runs in the build root: answer the question NAME, and those that are measured with
it, and write DIR/NAME.json for each; see result.py. --plan prints which to ask for
to answer all NAMEs, or else all questions.
"""
import json
import os
import sys

import commands
import contents
import desktop
import device
import guest
import ledger
import slices
import streams

# Name: who measures it, the question, its unit, the reference, and the goal.
QUESTIONS = {
    'capacity': (guest.capacity, 'How much fits into 256 MiB of RAM and 1 GiB of swap?',
                 'MiB', 'anonymous memory', ('at least', 0.95)),
    'evict': (guest.evict, 'How fast do idle BOs leave when memory is needed?',
              'MiB/s', 'anonymous memory', ('at least', 0.9)),
    'refault': (guest.evict, 'How fast do they come back?',
                'MiB/s', 'anonymous memory, swapped in', ('at least', 0.8)),
    'purge': (guest.purge, 'What does it take to purge 1 GiB of BOs?',
              'number', 'the stock driver, closing each and waiting for it',
              ('at most', 1 / 50)),
    'purge-time': (guest.purge, 'How long does it take to purge 1 GiB of BOs?',
                   's', 'the stock driver, closing each', None),
    'latency': (guest.latency, 'What is the longest that a program waits for a page?',
                'ms', '1 GiB of page cache, or anonymous memory, instead',
                ('at most', 1.5)),
    'fps': (desktop.desktop, 'How fast does a desktop draw without memory pressure?',
            'frames/s', 'the stock stack', ('at least', 0.99)),
    'idle-cost': (desktop.desktop, 'What does an idle desktop take?',
                  's of processor time', 'the stock stack', None),
    'return': (device.memory, 'How much of what is given back does RSS fall by?',
               'MiB', 'what the device counts as released', ('at least', 0.98)),
    'accounting': (device.memory, 'How much of what is held is counted?',
                   'MiB', 'the rise of RSS', ('within', 0.02)),
    'lookup': (commands.lookup, 'What does a command of the 2D device take?',
               'instructions', 'the stock modules', None),
    'attach': (commands.lookup, 'What does it take to attach a page?',
               'instructions', 'the stock modules', ('at most', 0.5)),
    'detach': (commands.lookup, 'What does it take to detach a page?',
               'instructions', 'the stock modules', None),
    'create': (slices.slices, 'What does it take to create a texture?',
               'instructions', 'the stock modules', ('at most', 1.2)),
    'unref': (slices.slices, 'What does it take to unref a texture?',
              'instructions', 'the stock modules', ('at most', 1.2)),
    'stall': (slices.slices, 'How long may the main loop be busy at once?',
              'instructions', 'the stock modules', None),
    'scale': (ledger.scale, 'What does one of many resources take?', 'instructions',
              'one of 1000', ('at most', 1.5)),
    'scale-bytes': (ledger.scale, 'How large is one of many resources in the ledger?',
                    'bytes', '128 bytes', ('at most', 1)),
    'overhead': (streams.overhead, 'What does a command stream take?',
                 'instructions', 'the renderer alone', ('at most', 1.01)),
    'reading': (streams.overhead, 'What does reading a command stream take?',
                'instructions', 'the renderer alone', ('at most', 1.015)),
    'compress': (contents.compress, 'How fast is what programs hold compressed?',
                 'MiB/s', 'the same bytes in zram', ('at least', 0.7)),
    'compress-factor': (contents.compress, 'How much smaller does it get?',
                        'times', 'the same bytes in zram', ('at least', 0.7)),
}


def answer(directory, name):
    """Measure @name and write the results."""
    measure = QUESTIONS[name][0]
    for what, rows in measure(os.path.join(directory, name)).items():
        _, question, unit, reference, goal = QUESTIONS[what]
        result = {'name': what, 'question': question, 'unit': unit,
                  'reference': reference, 'goal': goal, 'rows': rows}
        with open(os.path.join(directory, what + '.json'), 'w', encoding='utf-8') as out:
            json.dump(result, out, indent=1)
            out.write('\n')


def plan(names):
    """Return the first question of each measurement that @names need."""
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        sys.exit("no question '%s'; there are: %s" % (unknown[0], ' '.join(QUESTIONS)))
    wanted = {QUESTIONS[name][0] for name in names or QUESTIONS}
    firsts = {}
    for name, entry in QUESTIONS.items():
        firsts.setdefault(entry[0], name)
    return [first for measure, first in firsts.items() if measure in wanted]


def main():
    if sys.argv[1:2] == ['--plan']:
        print('\n'.join(plan(sys.argv[2:])))
    elif len(sys.argv) == 3 and sys.argv[2] in QUESTIONS:
        os.makedirs(sys.argv[1], exist_ok=True)
        answer(*sys.argv[1:])
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main()
