# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of questions.

A result is an object: name, question, reference, unit, goal ('at least' or 'at
most' and the ratio to the reference, or 'within' and how far it may be from 1; None
if there is none), and rows. A row has a
label and two lists of measurements, ours and reference, and perhaps x, what it
varies with. What the reference cannot do has no measurements.
"""
import re
import statistics
import subprocess


def row(label, ours, reference, x=None):
    """Return a row; @ours and @reference are lists of numbers."""
    result = {'label': label, 'ours': list(ours), 'reference': list(reference)}
    if x is not None:
        result['x'] = x
    return result


def ratio(entry):
    """Return ours by the reference, of medians; None without a reference."""
    if not entry['ours'] or not entry['reference']:
        return None
    reference = statistics.median(entry['reference'])
    return statistics.median(entry['ours']) / reference if reference else None


def is_met(goal, value):
    """Return whether the ratio @value meets @goal."""
    kind, bound = goal
    return {'at least': value >= bound, 'at most': value <= bound,
            'within': abs(value - 1) <= bound}[kind]


def met(result):
    """Return whether all rows of @result meet its goal; None without a goal."""
    ratios = [r for r in map(ratio, result['rows']) if r is not None]
    if not ratios or not result['goal']:
        return None
    return all(is_met(result['goal'], value) for value in ratios)


def measure(*command):
    """Run @command, a test program; return the fields of each line 'bench ...'."""
    run = subprocess.run(['scripts/steps/qtest', *command], stdout=subprocess.PIPE,
                         text=True, check=True)
    return [fields(line) for line in run.stdout.splitlines()
            if re.match('(# )?bench ', line)]


def fields(line):
    """Return the name=value words of @line; numbers are numbers."""
    result = {}
    for word in line.split():
        name, sep, value = word.partition('=')
        if sep:
            result[name] = int(value) if value.isdigit() else value
    return result
