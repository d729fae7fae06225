#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/fuzz-report.py DIR SEED

Evaluate a run of tools/fuzz: DIR has DEVICE.tsv, DEVICE.log and DEVICE.status of
the devices 2d and gl. Writes DIR/result.json and DIR/rss.png and prints a line
for each device; exit status 1 if one failed.

The lines of a .tsv are seconds, commands, rounds, VmRSS and RssAnon (kB), taken
while the device was empty. The first tenth of a run, a minute at least, is the
warm-up: heaps and caches of GL get their size. A leak goes on growing. So
the lines after that are halved, and the median of the second half may be above
that of the first by BOUND_KB and a twentieth, no more.
"""
import json
import os
import statistics
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, os.path.join(TOP, 'scripts/steps'))
import plot  # noqa: E402

BOUND_KB = 4096
DEVICES = ('2d', 'gl')


def read(path):
    """Return the lines of a .tsv as tuples of numbers."""
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as tsv:
        rows = [line.split('\t') for line in tsv if line.endswith('\n')]
    return [tuple(float(field) for field in row) for row in rows]


def judge(directory, device):
    """Return the result of one device."""
    rows = read(os.path.join(directory, device + '.tsv'))
    with open(os.path.join(directory, device + '.status'),
              encoding='utf-8') as status:
        failed = int(status.read()) != 0
    result = {'device': device, 'failed': failed, 'commands': 0,
              'seconds': 0, 'rounds': 0}
    if rows:
        result['seconds'] = rows[-1][0]
        result['commands'] = int(rows[-1][1])
        result['rounds'] = int(rows[-1][2])
        result['commands_per_second'] = round(rows[-1][1] / max(rows[-1][0], 1))
        warm_up = max(60, rows[-1][0] / 10)
        warm = [row[4] for row in rows if row[0] >= warm_up]
        if len(warm) >= 10:
            first = statistics.median(warm[:len(warm) // 2])
            second = statistics.median(warm[len(warm) // 2:])
            bound = BOUND_KB + first / 20
            result.update(rss_anon_kb_first_half=int(first),
                          rss_anon_kb_second_half=int(second),
                          rss_anon_kb_max=int(max(warm)),
                          growth_bound_kb=int(bound),
                          leaks=second - first > bound)
    return result


def describe(result):
    """Return the line that is printed."""
    line = '%(device)s: %(commands)d commands in %(seconds)d s' % result
    if result['failed']:
        return line + ': FAILED, see build/fuzz/%(device)s.log' % result
    line += ' (%(commands_per_second)d a second), %(rounds)d resets' % result
    if 'leaks' not in result:
        return line + '; too short to tell whether anything leaks'
    line += ('; RssAnon when empty %.1f MiB, then %.1f MiB' %
             (result['rss_anon_kb_first_half'] / 1024,
              result['rss_anon_kb_second_half'] / 1024))
    return line + (': IT LEAKS' if result['leaks'] else ': no leak')


def draw(directory):
    """Draw the memory of both devices over time."""
    script = '''
set datafile separator "\\t"
set title "QEMU's memory under random commands, each time the device is empty"
set xlabel "minutes"
set ylabel "MiB"
set yrange [0:]
set key outside bottom center horizontal
plot "2d.tsv" using ($1 / 60):($5 / 1024) with lines lw 2 lc rgb "#2a9d3c" \
         title "2D, RssAnon", \
     "gl.tsv" using ($1 / 60):($5 / 1024) with lines lw 2 lc rgb "#7b3294" \
         title "GL, RssAnon"
'''
    plot.gnuplot(script, directory, 'rss.png', '1200,600')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    directory, seed = sys.argv[1], int(sys.argv[2])
    results = [judge(directory, device) for device in DEVICES]
    with open(os.path.join(directory, 'result.json'), 'w',
              encoding='utf-8') as out:
        json.dump({'seed': seed, 'devices': results}, out, indent=2)
        out.write('\n')
    if all(os.path.exists(os.path.join(directory, d + '.tsv'))
           for d in DEVICES):
        draw(directory)
    for result in results:
        print(describe(result))
    sys.exit(any(r['failed'] or r.get('leaks') for r in results))


main()
