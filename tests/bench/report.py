#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tests/bench/report.py DIR

Runs in the build root: write DIR/benchmarks.md, a picture for each question in
DIR/images, and DIR/benchmarks.json, which has all results, of the results DIR/NAME.json
of tests/bench/bench.py.
"""
import json
import os
import statistics
import sys

from bench import QUESTIONS, plan
from result import is_met, met, ratio

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
sys.path.insert(0, os.path.join(TOP, 'scripts/steps'))
import plot  # noqa: E402

# Letters below a picture.
ROOM = 110
OURS, REFERENCE = '#2a9d3c', '#888888'
HEAD = '''# Benchmarks

Written by `./scripts/bench --out docs`; [benchmark.md](devel/benchmark.md) says how
each is measured. Medians, with the least and the most of the rounds in parentheses. A
ratio is ours divided by the reference of the same run.

'''
GOALS = {'at least': 'at least %g', 'at most': 'at most %g', 'within': 'within %g of 1'}


def number(value):
    """Return @value with three digits, or all before the point."""
    return '%d' % round(value) if value >= 100 else '%.3g' % value


def spread(values):
    """Return the median of @values, and its range if there are several."""
    if not values:
        return '-'
    text = number(statistics.median(values))
    if len(values) > 1:
        text += ' (%s-%s)' % (number(min(values)), number(max(values)))
    return text


def name_of(row):
    """Return what the table calls @row."""
    return row['label'] + (', %d' % row['x'] if 'x' in row else '')


def verdict(result, value):
    """Return the cell for the ratio @value."""
    if value is None:
        return '-'
    missed = result['goal'] and not is_met(result['goal'], value)
    digits = '%.3f' if 0.1 <= value < 10 else '%.3g'
    return digits % value + (' **missed**' if missed else '')


def section(result):
    """Return the part of the page about @result."""
    lines = ['## ' + result['name'], '', result['question'], '',
             'Unit: %s. Reference: %s.%s' % (
                 result['unit'], result['reference'],
                 ' Goal: %s.' % GOALS[result['goal'][0]] % result['goal'][1]
                 if result['goal'] else ''), '',
             '| | reference | ours | ratio |', '|---|---:|---:|---:|']
    lines += ['| %s | %s | %s | %s |' % (
        name_of(row), spread(row['reference']), spread(row['ours']),
        verdict(result, ratio(row))) for row in result['rows']]
    lines += ['', '![%s](images/bench-%s.png)' % (result['question'], result['name']),
              '', '    ./scripts/bench ' + command(result['name']), '']
    return '\n'.join(lines)


def command(name):
    """Return the name by which scripts/bench measures the question @name."""
    return plan([name])[0]


def summary(results):
    """Return the table of all questions."""
    lines = ['| | question | goal | |', '|---|---|---|---|']
    for result in results:
        goal = result['goal']
        lines.append('| [%s](#%s) | %s | %s | %s |' % (
            result['name'], result['name'], result['question'],
            GOALS[goal[0]] % goal[1] if goal else '-',
            {True: 'met', False: '**missed**', None: '-'}[met(result)]))
    return '\n'.join(lines) + '\n\n'


def error_bar(values):
    """Return median, least and most of @values as columns."""
    return '%g\t%g\t%g' % (statistics.median(values), min(values), max(values)) \
        if values else 'NaN\tNaN\tNaN'


def scale_y(result):
    """Return the scale of an axis for all of @result."""
    values = [value for row in result['rows'] for value in row['reference'] + row['ours']]
    smallest = min(filter(None, values), default=1)
    if max(values) > 50 * smallest:
        return 'set logscale y\nset yrange [%g:*]' % (smallest / 2)
    return 'set yrange [0:*]'


def is_crowded(result):
    """Return whether labels of bars have no room beside each other."""
    slots = len(result['rows']) + 1
    return max(len(row['label']) + 2 for row in result['rows']) > ROOM / slots


def bars(result, path):
    """Return the plot of rows without x: bars with their spread."""
    with open(path, 'w', encoding='utf-8') as out:
        for row in result['rows']:
            out.write('"%s"\t%s\t%s\n' % (row['label'], error_bar(row['reference']),
                                          error_bar(row['ours'])))
    return '''
set datafile separator "\\t"
set style data histogram
set style histogram errorbars gap 1 lw 1
set style fill solid 0.85 border lc rgb "#444444"
set boxwidth 0.9
set key top center outside horizontal
set xtics %s noenhanced
set ylabel "%s"
%s
plot "%s" using 2:3:4:xtic(1) lc rgb "%s" title "%s", \\
     "" using 5:6:7 lc rgb "%s" title "ours"
''' % ('rotate by 35 right' if is_crowded(result) else '', result['unit'],
       scale_y(result), path, REFERENCE, result['reference'], OURS)


def curves(result, path):
    """Return the plot of rows with x: a panel for each label."""
    labels = list(dict.fromkeys(row['label'] for row in result['rows']))
    script = '''
set logscale x
set format x "%%.0s%%c"
%s
set ylabel "%s"
set key off
set multiplot layout %d,%d title "grey: %s; green: ours" noenhanced
''' % (scale_y(result), result['unit'], (len(labels) + 2) // 3, min(len(labels), 3),
       result['reference'])
    for number_of, label in enumerate(labels):
        data = '%s-%d' % (path, number_of)
        with open(data, 'w', encoding='utf-8') as out:
            for row in result['rows']:
                if row['label'] == label:
                    out.write('%g\t%s\t%s\n' % (
                        row['x'], error_bar(row['reference']),
                        error_bar(row['ours'])))
        script += '''
set title "%s"
plot "%s" using 1:2 with linespoints lw 2 pt 7 lc rgb "%s", \\
     "" using 1:5 with linespoints lw 2 pt 7 lc rgb "%s"
''' % (label, data, REFERENCE, OURS)
    return script + 'unset multiplot\n'


def draw(result, directory):
    """Draw the picture of @result."""
    data = os.path.join(directory, result['name'] + '.data')
    has_x = 'x' in result['rows'][0]
    tall = len({row['label'] for row in result['rows']}) > 3 if has_x else \
        is_crowded(result)
    script = (curves if has_x else bars)(result, os.path.abspath(data))
    plot.gnuplot(script, os.path.join(directory, 'images'),
                 'bench-%s.png' % result['name'], '960,%d' % (640 if tall else 400))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    directory = sys.argv[1]
    os.makedirs(os.path.join(directory, 'images'), exist_ok=True)
    results = []
    for name in QUESTIONS:
        path = os.path.join(directory, name + '.json')
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                results.append(json.load(file))
    for result in results:
        draw(result, directory)
    with open(os.path.join(directory, 'benchmarks.json'), 'w', encoding='utf-8') as out:
        json.dump(results, out, indent=1)
        out.write('\n')
    with open(os.path.join(directory, 'benchmarks.md'), 'w', encoding='utf-8') as page:
        page.write(HEAD + summary(results) + '\n'.join(map(section, results)))


main()
