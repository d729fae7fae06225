#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tools/bench-report.py DIR

Make DIR/bench.tsv, bench.md and bench.png of the counts of tools/bench-run in
DIR/stock and DIR/ours.

A phase ends when callgrind dumps count.N, which is when the command that marks
its end is being carried out: the instructions of that are counted by themselves,
as 'mark', and subtracted.
"""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
sys.path.insert(0, os.path.join(TOP, 'scripts/steps'))
import plot  # noqa: E402

COMMANDS = ('create', 'unref', 'attach', 'detach', 'transfer', 'flush')
STACKS = ('stock', 'ours')


def counts(directory):
    """Return {(live, command): instructions for one}."""
    with open(os.path.join(directory, 'phases.tsv'), encoding='utf-8') as tsv:
        phases = [line.rstrip('\n').split('\t') for line in tsv]
    phases = [phase for phase in phases if len(phase) == 3]
    marks, result = {}, {}
    for number, (live, command, sent) in enumerate(phases, 1):
        path = os.path.join(directory, 'count.%d' % number)
        with open(path, encoding='utf-8') as part:
            total = int(re.search(r'^totals: (\d+)', part.read(), re.M)[1])
        if command == 'mark':
            marks[live] = total
        elif command in COMMANDS:
            result[int(live), command] = (total - marks[live]) / int(sent)
    return result


def table(all_counts):
    """Return the table as Markdown."""
    numbers = sorted({live for live, _ in all_counts['stock']})
    lines = ['| command | modules | ' + ' | '.join(map(str, numbers)) + ' |',
             '|---|---|' + '---:|' * len(numbers)]
    for command in COMMANDS:
        for stack in STACKS:
            cells = ['%d' % round(all_counts[stack][live, command])
                     for live in numbers]
            lines.append('| %s | %s | %s |' %
                         (command, stack, ' | '.join(cells)))
    return '\n'.join(lines) + '\n'


def draw(directory):
    """Draw bench.tsv: live, command, stock, ours."""
    script = '''
set datafile separator "\\t"
set logscale xy
set xrange [7:14000]
set yrange [100:*]
set key off
set multiplot layout 2,3 margins 0.07,0.985,0.14,0.86 spacing 0.06,0.14 \
    title "{/:Bold Instructions for one command of the 2D device, by the number of live resources}"
'''
    for command in COMMANDS:
        script += '''
set title "%s"
plot "< grep '\\t%s\\t' bench.tsv" using 1:3 with linespoints lw 2 pt 7 \
         lc rgb "#c1121f", \
     "< grep '\\t%s\\t' bench.tsv" using 1:4 with linespoints lw 2 pt 7 \
         lc rgb "#2a9d3c"
''' % ((command,) * 3)
    script += '''
unset title
unset tics
unset border
unset logscale
unset grid
set lmargin screen 0
set rmargin screen 1
set bmargin screen 0
set tmargin screen 0.08
set xrange [0:1]
set yrange [0:1]
set key center center horizontal
plot 2 with linespoints lw 2 pt 7 lc rgb "#c1121f" title "stock modules", \
     2 with linespoints lw 2 pt 7 lc rgb "#2a9d3c" title "ours, x-reclaim=on"
unset multiplot
'''
    plot.gnuplot(script, directory, 'bench.png', '1200,600', font_size=11)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = sys.argv[1]
    all_counts = {stack: counts(os.path.join(directory, stack))
                  for stack in STACKS}
    with open(os.path.join(directory, 'bench.md'), 'w', encoding='utf-8') as out:
        out.write(table(all_counts))
    with open(os.path.join(directory, 'bench.tsv'), 'w',
              encoding='utf-8') as out:
        for live, command in sorted(all_counts['stock']):
            out.write('%d\t%s\t%.0f\t%.0f\n' % (
                live, command, all_counts['stock'][live, command],
                all_counts['ours'][live, command]))
    draw(directory)


main()
