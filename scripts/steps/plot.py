#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/plot.py [--only NAME] RESULT.JSON... TITLE OUT

Runs in the build root: draw memory over time of the runs in RESULT.JSON, which
the programs of tests/vm write, as OUT.png and OUT.svg: a panel for each run or
group of runs, stock left of ours; with --only of those whose names begin with
NAME and a slash. As a module: gnuplot() and the common look of
all plots.
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
    'desktop': 'half of the clients stop, then guest and host need memory',
    'host': 'stock guest, one of two clients is idle: a target, and none',
    'soak': 'all operations on buffers at once',
    'limit': 'three VMs in a memory cgroup that is too small',
}
# Of the runs of a group, and how far apart their samples are taken to be.
LAYERS = ['#c6dbef', '#6baed6', '#7b3294']
STEP_MS = 250
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


def kind(run):
    """Return what @run shows: its scenario, or which of those with a desktop."""
    return run['name'].split('/')[0] if run['scenario'] == 'desktop' else run['scenario']


def level(run, ms):
    """Return QEMU's memory of @run at @ms, in MiB; 0 when it has ended."""
    last = 0
    for sample in (s for s in run['samples'] if 'rss_anon' in s):
        if sample['ms'] > ms:
            return last
        last = sample['rss_anon'] / MIB
    return last if ms < run['samples'][-1]['ms'] + 2 * STEP_MS else 0


def layers(group):
    """Return [[seconds, MiB of the first run, of the first two, ...]]."""
    end = max(run['samples'][-1]['ms'] for run in group)
    rows = []
    for ms in range(0, end, STEP_MS):
        row = [ms / 1000]
        for run in group:
            row.append((row[-1] if len(row) > 1 else 0) + level(run, ms))
        rows.append(row)
    return rows


def group_panel(group, directory):
    """Return the plot of runs that share a memory limit: QEMUs on one another."""
    rows = layers(group)
    path = os.path.join(directory, group[0]['group'].replace('/', '-'))
    with open(path, 'w', encoding='utf-8') as out:
        for row in rows:
            out.write('\t'.join('%.3f' % value for value in row) + '\n')
    limit = group[-1]['rss_anon_limit'] / MIB
    end = rows[-1][0]
    events = {'events': sorted(
        (dict(event, text=run['name'].split('/')[-1] + ': ' + event['text'])
         if event['severity'] == 'bad' else event
         for run in group for event in run['events']), key=lambda event: event['ms'])}
    lines = ['"%s" using 1:%s with filledcurves %s lc rgb "%s" title "%s"' % (
        path, number + 2 if not number else '%d:%d' % (number + 1, number + 2),
        '' if number else 'y1=0', LAYERS[number], run['name'].split('/')[-1])
        for number, run in enumerate(group)]
    return '''
set key at screen 0.5, 0.04 center Left reverse horizontal
set title "{/:Bold %s:} QEMU's own memory (RssAnon)"
set xrange [0:%s]
set yrange [0:%s]
%s
plot %s, %s with lines lw 2.5 dt 2 lc rgb "#c1121f" title "limit, less the guests' RAM"
unset arrow
unset label
''' % ('stock' if group[0]['device'] == 'stock' else 'virtio-gpu-reclaim', end * 1.03,
       limit * 1.6, marks(events, end), ', '.join(lines), limit)


def panel(run, scale, directory):
    """Return the plot of one run; @scale holds the ends of the axes."""
    end, top = scale[kind(run)]
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
''' % ('stock' if stock else 'virtio-gpu-reclaim', TITLES[kind(run)],
       end * 1.03, top * 1.35, marks(run, end), ', '.join(lines) or '0 lc rgb "#ffffff"')


def panels(runs):
    """Return the lists of runs that have a panel, stock before ours."""
    runs = sorted(runs, key=lambda run: (kind(run), run['device'] != 'stock'))
    alone = [[run] for run in runs if not run['group']]
    names = dict.fromkeys(run['group'] for run in runs if run['group'])
    return alone + [[run for run in runs if run['group'] == name] for name in names]


def scales(runs):
    """Return {scenario: (seconds, MiB)}, the same on either stack."""
    result = {}
    for run in runs:
        end, top = result.get(kind(run), (1, 1))
        for sample in run['samples']:
            end = max(end, sample['ms'] / 1000)
            top = max([top] + [sample[key] / MIB for key in
                               ('mem_available', 'bo', 'rss_anon') if key in sample])
        result[kind(run)] = (end, top)
    return result


# Pixels above, below and between the rows of panels, and of the legend below.
TOP, BOTTOM, BETWEEN, LEGEND_TOP = 84, 124, 116, 62

# Below the panels, in a plot of nothing.
LEGEND = '''
set lmargin screen 0.06
set rmargin screen 0.985
set bmargin screen 0.0
set tmargin screen %f
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
'''
COLOURS = (GUEST_AVAILABLE, GUEST_BUFFERS, QEMU, SWAP, ATTACHED, EVICTED, PURGED)


def timeline(runs, title, out):
    """Draw @runs as @out.png and @out.svg."""
    groups = panels(runs)
    columns = min(len(groups), 2)
    rows = (len(groups) + columns - 1) // columns
    height = 500 * rows if rows > 1 else 700
    scale = scales(runs)
    with tempfile.TemporaryDirectory() as data:
        script = '''
set style fill solid 1.0 noborder
set style textbox opaque fillcolor rgb "#ffffff" noborder margins 0.5, 0.3
set key off
set xlabel "seconds"
set ylabel "MiB"
set multiplot layout %d,%d margins 0.06, 0.985, %f, %f spacing 0.07, %f \\
    title "{/:Bold %s}" font "DejaVu Sans,17"
''' % (rows, columns, BOTTOM / height, 1 - TOP / height, BETWEEN / height, title)
        for group in groups:
            script += (group_panel(group, data) if group[0]['group'] else
                       panel(group[0], scale, data))
        script += ('unset multiplot\n' if all(g[0]['group'] for g in groups) else
                   LEGEND % ((LEGEND_TOP / height,) + COLOURS))
        for terminal, suffix in (('pngcairo', '.png'), ('svg', '.svg')):
            gnuplot(script, os.path.dirname(os.path.abspath(out)),
                    os.path.basename(out) + suffix,
                    '1600,%d' % height, terminal)


def main():
    args = sys.argv[1:]
    only = args[1] + '/' if args[:1] == ['--only'] else ''
    args = args[2:] if only else args
    if len(args) < 3:
        sys.exit(__doc__)
    runs = []
    for name in args[:-2]:
        with open(name, encoding='utf-8') as result:
            runs += json.load(result)['runs']
    timeline([run for run in runs if run['name'].startswith(only)], args[-2], args[-1])


if __name__ == '__main__':
    main()
