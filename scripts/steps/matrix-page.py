#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: scripts/steps/matrix-page.py RESULT.JSON TESTLOG.JSON|TAP OUT.HTML

Write a page about the matrix, in one file: for each cell that ran what it is, what it
expects, what TAP says of it, and its memory over time. RESULT.JSON and TAP are what
virtio-gpu-matrix-test writes and prints; TAP may be in Meson's log of a test run.
"""
import html
import json
import re
import sys

from plot import (ATTACHED, EVICTED, GUEST_AVAILABLE, GUEST_BUFFERS, MIB, PURGED, QEMU,
                  SEVERITIES, SWAP)

# Of a picture, in pixels, and what its axes leave of it.
WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 34, 6, 8, 18

# From the bottom: each is on top of those before it.
AREAS = [('resident', ATTACHED), ('evicted', EVICTED), ('purged', PURGED)]
LINES = [('mem_available', GUEST_AVAILABLE), ('bo', GUEST_BUFFERS), ('swap_used', SWAP),
         ('rss_anon', QEMU)]
LEGEND = [(ATTACHED, 'objects attached to the host'), (EVICTED, 'evicted'),
          (PURGED, 'purged'), (GUEST_AVAILABLE, 'memory available in the guest'),
          (GUEST_BUFFERS, 'objects of clients'), (SWAP, 'swap in use'),
          (QEMU, "QEMU's own memory (RssAnon)")]

HEAD = '''<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The matrix</title><style>
body { font: 14px sans-serif; margin: 24px; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 12px 0 24px; }
td, th { border: 1px solid #ddd; padding: 2px 7px; text-align: left; }
.cells { display: flex; flex-wrap: wrap; gap: 18px; }
.cell { border: 1px solid #ddd; padding: 8px; width: %dpx; }
.cell p, .cell pre { margin: 4px 0; color: #555; font-size: 12px; white-space: pre-wrap; }
h2 { font-size: 15px; margin: 0; } h2 a { color: inherit; text-decoration: none; }
.good { color: %s; } .bad { color: %s; } .key { margin-right: 14px; white-space: nowrap; }
.key i { display: inline-block; width: 14px; height: 10px; margin-right: 4px; }
</style></head><body>
''' % (WIDTH, SEVERITIES['good'], SEVERITIES['bad'])


def words(run):
    """Return {name: value} of what the cell of @run is."""
    return dict(word.split('=', 1) for word in run['about'].split())


def read_tap(path):
    """Return {name: passed} and {name: comments before it} of the TAP in @path."""
    verdicts, comments, about = {}, {}, []
    with open(path, encoding='utf-8', errors='replace') as log:
        text = log.read()
    if path.endswith('.json'):
        text = '\n'.join(json.loads(line).get('stdout', '') for line in text.splitlines())
    for line in text.splitlines():
        point = re.match(r'(not )?ok \d+ - (\S+)', line)
        if point:
            verdicts[point[2]] = not point[1]
            comments[point[2]] = about
            about = []
        elif line.startswith('# not as expected: '):
            about.append(line[2:])
    return verdicts, comments


class Axes:
    """Where the samples of @run are in its picture."""

    def __init__(self, run):
        samples = run['samples']
        self.end = max([1000] + [s['ms'] for s in samples])
        self.top = 1.08 * max([1] + [s[name] / MIB for s in samples
                                     for name, _ in LINES if name in s])

    def x(self, ms):
        return LEFT + max(ms, 0) / self.end * (WIDTH - LEFT - RIGHT)

    def y(self, mib):
        return HEIGHT - BOTTOM - mib / self.top * (HEIGHT - TOP - BOTTOM)

    def points(self, rows):
        return ' '.join('%.1f,%.1f' % (self.x(ms), self.y(mib)) for ms, mib in rows)


def areas(run, axes):
    """Return the states of objects, according to the guest's driver."""
    rows = [s for s in run['samples'] if 'resident' in s and s['ms'] >= 0]
    text, below = '', [0] * len(rows)
    for name, colour in AREAS:
        level = [under + s[name] / MIB for under, s in zip(below, rows)]
        outline = list(zip([s['ms'] for s in rows], level))
        outline += reversed(list(zip([s['ms'] for s in rows], below)))
        text += '<polygon fill="%s" points="%s"/>\n' % (colour, axes.points(outline))
        below = level
    return text


def lines(run, axes):
    text = ''
    for name, colour in LINES:
        rows = [(s['ms'], s[name] / MIB) for s in run['samples']
                if name in s and s['ms'] >= 0]
        if name == 'swap_used' and not any(mib for _, mib in rows):
            continue
        text += '<polyline fill="none" stroke="%s" stroke-width="1.6"%s points="%s"/>\n' % (
            colour, ' stroke-dasharray="4 2"' if name == 'swap_used' else '',
            axes.points(rows))
    return text


def events(run, axes):
    """Return a line for each event, whose text is shown below the pointer."""
    return ''.join(
        '<line x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" stroke="{3}" stroke-width="1.6" '
        'stroke-dasharray="2 2"><title>{4}</title></line>\n'.format(
            axes.x(event['ms']), TOP, HEIGHT - BOTTOM, SEVERITIES[event['severity']],
            html.escape('%.1f s: %s' % (event['ms'] / 1000, event['text'])))
        for event in run['events'] if event['ms'] >= 0)


def picture(run):
    axes = Axes(run)
    step = next(s for s in (25, 50, 100, 200, 500, 1000) if axes.top / s <= 5 or s == 1000)
    text = '<svg width="%d" height="%d" role="img">\n' % (WIDTH, HEIGHT)
    text += areas(run, axes)
    for mib in range(0, int(axes.top) + 1, step):
        text += ('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>'
                 '<text x="%d" y="%.1f" font-size="10" text-anchor="end">%d</text>\n' % (
                     LEFT, WIDTH - RIGHT, axes.y(mib), axes.y(mib), LEFT - 4,
                     axes.y(mib) + 3, mib))
    text += lines(run, axes) + events(run, axes)
    for second in range(0, int(axes.end / 1000) + 1, max(1, int(axes.end / 8000))):
        text += '<text x="%.1f" y="%d" font-size="10" text-anchor="middle">%d</text>\n' % (
            axes.x(second * 1000), HEIGHT - 5, second)
    return text + '</svg>\n'


def verdict(verdicts, name):
    ok = verdicts.get(name)
    return '<span class="%s">%s</span>' % (
        'good' if ok else 'bad', 'ok' if ok else 'not ok' if ok is False else 'no result')


def cell(run, verdicts, comments):
    name = html.escape(run['name'])
    about = words(run)
    expects = about.pop('expects').replace(',', ', ')
    return '''<div class="cell" id="%s"><h2>%s: %s</h2>
<p>%s</p><p>expects: %s</p>%s
<p>%s</p><pre class="bad">%s</pre></div>
''' % (name, name, verdict(verdicts, run['name']),
       html.escape(', '.join('%s %s' % item for item in about.items())), expects,
       picture(run),
       html.escape('%d of objects purged, %d kept, %d evictions; killed: %s; RssAnon %d, '
                   '%d, %d MiB before, with and after clients; %d s' % (
                       run['purged_bos'], run['retained_bos'], run['evictions'],
                       run['oom_killed'] or 'nobody', run['rss_anon_idle'] // MIB,
                       run['host_rss_anon_before_purge'] // MIB,
                       run['rss_anon_released'] // MIB, run['duration_ms'] // 1000)),
       html.escape('\n'.join(comments.get(run['name'], []))))


def table(runs, verdicts):
    names = list(words(runs[0]))
    text = '<table><tr><th>cell</th>%s<th></th></tr>\n' % ''.join(
        '<th>%s</th>' % name for name in names)
    for run in runs:
        about = words(run)
        text += '<tr><td><a href="#{0}">{0}</a></td>{1}<td>{2}</td></tr>\n'.format(
            html.escape(run['name']),
            ''.join('<td>%s</td>' % html.escape(about[name]) for name in names),
            verdict(verdicts, run['name']))
    return text + '</table>\n'


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding='utf-8') as result:
        found = json.load(result)
    runs = found['runs']
    verdicts, comments = read_tap(sys.argv[2])
    failed = sorted(name for name, ok in verdicts.items() if not ok)
    with open(sys.argv[3], 'w', encoding='utf-8') as out:
        out.write(HEAD)
        out.write('<h1>The matrix: %d of %d cells as expected</h1>\n' % (
            sum(verdicts.get(run['name'], False) for run in runs), len(runs)))
        out.write('<p>QEMU %s, guest Linux %s.%s</p>\n' % (
            html.escape(found['host']['qemu']), html.escape(found['guest']['kernel'] or '?'),
            html.escape(' Failed: ' + ', '.join(failed)) if failed else ''))
        out.write('<p>%s</p>\n' % ''.join(
            '<span class="key"><i style="background:%s"></i>%s</span>' % (
                colour, html.escape(text)) for colour, text in LEGEND))
        out.write('<p>MiB over seconds. Dashed lines are events: point at one.</p>\n')
        out.write(table(runs, verdicts) + '<div class="cells">\n')
        for run in runs:
            out.write(cell(run, verdicts, comments))
        out.write('</div></body></html>\n')


main()
