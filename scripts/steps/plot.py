#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/plot.py RESULT.JSON TITLE OUT

Runs in the build root: draw memory over time of the runs in RESULT.JSON, which
the programs of tests/vm write, as OUT.png and OUT.svg: a panel for each run,
stock left of ours. As a module: gnuplot() and the common look of all plots.
"""
import json
import os
import subprocess
import sys
import tempfile

MIB = 1 << 20
GUEST_AVAILABLE, GUEST_BUFFERS, QEMU, SWAP = '#2a9d3c', '#08519c', '#7b3294', '#b15928'
ATTACHED, EVICTED, PURGED = '#a6cee3', '#fdd49e', '#dddddd'
SEVERITIES = {'info': '#555555', 'good': '#1b7837', 'bad': '#c1121f'}
TITLES = {
    'cache': '128 MiB of buffers nobody needs, then a program needs 100 MiB',
    'idle': 'a client fills and uses buffers in turns, with 2 GiB of swap',
    'desktop': 'a stock guest: one of two clients stops, the host lowers its target',
    'soak': 'all operations on buffers at once',
}
LOOK = '''
set grid ytics lc rgb "#e5e5e5" lw 1
set border 3 lc rgb "#444444"
set tics nomirror textcolor rgb "#444444"
'''


def gnuplot(script, directory, name, size, terminal='pngcairo', font_size=12):
    """Draw @script, of @size pixels 'WIDTH,HEIGHT', into @directory/@name."""
    head = 'set terminal %s size %s enhanced font "DejaVu Sans,%d" ' \
           'background rgb "#ffffff"\nset output "%s"\n' % (
               terminal, size, font_size, name)
    subprocess.run(['gnuplot'], input=head + LOOK + script, text=True,
                   cwd=directory, check=True)


def write_data(directory, name, samples, columns):
    """Write those of @samples that have all @columns; return the file's name."""
    path = os.path.join(directory, name)
    rows = [[s['ms'] / 1000] + [s[c] / MIB for c in columns]
            for s in samples if all(c in s for c in columns)]
    with open(path, 'w', encoding='utf-8') as out:
        for row in rows:
            out.write('\t'.join('%.3f' % value for value in row) + '\n')
    return path if rows else None


def marks(run, end):
    """Return a line and a label for each event, on an axis that ends at @end."""
    text = ''
    for number, event in enumerate(run['events']):
        seconds, colour = event['ms'] / 1000, SEVERITIES[event['severity']]
        side, shift = ('right', -0.7) if seconds > end * 0.7 else ('left', 0.7)
        text += '''
set arrow from {0}, graph 0 to {0}, graph 1 nohead front dt 2 lw 1.6 lc rgb "{1}"
set label "{2}" at {0}, graph {3} offset {4}, 0 {5} front boxed textcolor rgb "{1}"
'''.format(seconds, colour, event['text'], 0.965 - number % 12 * 0.075, shift, side)
    return text


def panel(run, scale, directory):
    """Return the plot of one run; @scale holds the ends of the axes."""
    end, top = scale[run['scenario']]
    name, samples = run['name'].replace('/', '-'), run['samples']
    stock = run['device'] == 'stock'
    guest = write_data(directory, name + '.guest', samples,
                       ('mem_available', 'swap_used'))
    buffers = write_data(directory, name + '.bo', samples, ('bo',))
    driver = write_data(directory, name + '.driver', samples,
                        ('resident', 'evicted', 'purged'))
    host = write_data(directory, name + '.host', samples, ('rss_anon',))
    lines = []
    if driver:
        lines += [
            '"%s" using 1:2 with filledcurves y1=0 lc rgb "%s"' % (driver, ATTACHED),
            '"%s" using 1:2:($2 + $3) with filledcurves lc rgb "%s"' % (driver, EVICTED),
            '"%s" using 1:($2 + $3):($2 + $3 + $4) with filledcurves lc rgb "%s"' %
            (driver, PURGED)]
    if guest and run['swap_mib']:
        lines.append('"%s" using 1:3 with lines lw 2.5 dt 4 lc rgb "%s"' % (guest, SWAP))
    for path, colour in ((host, QEMU), (buffers, GUEST_BUFFERS),
                         (guest, GUEST_AVAILABLE)):
        if path:
            lines.append('"%s" using 1:2 with lines lw 2.5 lc rgb "%s"' % (path, colour))
    return '''
set title "{/:Bold %s:} %s"
set xrange [0:%s]
set yrange [0:%s]
%s
plot %s
unset arrow
unset label
''' % ('stock' if stock else 'virtio-gpu-reclaim', TITLES[run['scenario']],
       end * 1.03, top * 1.35, marks(run, end), ', '.join(lines) or '0 lc rgb "#ffffff"')


def scales(runs):
    """Return {scenario: (seconds, MiB)}, the same on either stack."""
    result = {}
    for run in runs:
        end, top = result.get(run['scenario'], (1, 1))
        for sample in run['samples']:
            end = max(end, sample['ms'] / 1000)
            top = max([top] + [sample[key] / MIB for key in
                               ('mem_available', 'bo', 'rss_anon') if key in sample])
        result[run['scenario']] = (end, top)
    return result


# Below the panels, in a plot of nothing.
LEGEND = '''
set lmargin screen 0.06
set rmargin screen 0.985
set bmargin screen 0.0
set tmargin screen 0.08
unset title
unset xlabel
unset ylabel
unset border
unset tics
unset grid
set xrange [0:1]
set yrange [0:1]
set key center center Left reverse maxrows 2 samplen 2.5 spacing 1.4 width -1
plot 2 with lines lw 3 lc rgb "%s" title "memory available in the guest", \\
     2 with lines lw 3 lc rgb "%s" title "buffers the client holds", \\
     2 with lines lw 3 lc rgb "%s" title "QEMU's own memory (RssAnon)", \\
     2 with lines lw 3 dt 4 lc rgb "%s" title "swap in use", \\
     2 with filledcurves y1=2 lc rgb "%s" title "buffers attached to the host", \\
     2 with filledcurves y1=2 lc rgb "%s" title "buffers evicted", \\
     2 with filledcurves y1=2 lc rgb "%s" title "buffers purged"
unset multiplot
''' % (GUEST_AVAILABLE, GUEST_BUFFERS, QEMU, SWAP, ATTACHED, EVICTED, PURGED)


def timeline(runs, title, out):
    """Draw @runs as @out.png and @out.svg."""
    runs = sorted(runs, key=lambda run: (run['scenario'], run['device'] != 'stock'))
    columns = min(len(runs), 2)
    rows = (len(runs) + columns - 1) // columns
    scale = scales(runs)
    with tempfile.TemporaryDirectory() as data:
        script = '''
set style fill solid 1.0 noborder
set style textbox opaque fillcolor rgb "#ffffff" noborder margins 0.5, 0.3
set key off
set xlabel "seconds"
set ylabel "MiB"
set multiplot layout %d,%d margins 0.06, 0.985, 0.16, 0.88 spacing 0.07, 0.13 \\
    title "{/:Bold %s}" font "DejaVu Sans,17"
''' % (rows, columns, title) + ''.join(panel(run, scale, data) for run in runs) + LEGEND
        for terminal, suffix in (('pngcairo', '.png'), ('svg', '.svg')):
            gnuplot(script, os.path.dirname(os.path.abspath(out)),
                    os.path.basename(out) + suffix,
                    '1600,%d' % (500 * rows if rows > 1 else 700), terminal)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding='utf-8') as result:
        timeline(json.load(result)['runs'], sys.argv[2], sys.argv[3])


if __name__ == '__main__':
    main()
