#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test of tests/bench: goals, and the page with pictures that is written."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../bench')
sys.path.insert(0, BENCH)
import bench  # noqa: E402
import result  # noqa: E402


def make(name, rows):
    """Return the result for the question @name."""
    _, question, unit, reference, goal = bench.QUESTIONS[name]
    return {'name': name, 'question': question, 'unit': unit, 'reference': reference,
            'goal': goal, 'rows': rows}


class BenchTest(unittest.TestCase):
    def report(self, *results):
        """Return the page, and the names of the pictures."""
        with tempfile.TemporaryDirectory() as directory:
            for entry in results:
                path = os.path.join(directory, entry['name'] + '.json')
                with open(path, 'w', encoding='utf-8') as out:
                    json.dump(entry, out)
            subprocess.run([os.path.join(BENCH, 'report.py'), directory], check=True)
            with open(os.path.join(directory, 'benchmarks.md'), encoding='utf-8') as page:
                return page.read(), sorted(os.listdir(os.path.join(directory, 'images')))

    def test_median(self):
        self.assertEqual(result.ratio(result.row('x', [1, 9, 2], [4, 400, 0])), 0.5)

    def test_no_reference(self):
        self.assertIsNone(result.ratio(result.row('x', [1], [])))
        self.assertIsNone(result.met(make('evict', [result.row('x', [1], [])])))

    def test_goals(self):
        for name, value, met in [('evict', 90, True), ('evict', 89, False),
                                 ('latency', 150, True), ('latency', 151, False),
                                 ('accounting', 98.5, True), ('accounting', 97.5, False),
                                 ('accounting', 101.5, True), ('accounting', 102.5, False),
                                 ('lookup', 1000, None)]:
            with self.subTest(name=name, value=value):
                rows = [result.row('good', [100], [100]), result.row('x', [value], [100])]
                self.assertIs(result.met(make(name, rows)), met)

    def test_plan(self):
        self.assertEqual(bench.plan(['refault', 'evict', 'accounting']), ['evict', 'return'])
        self.assertEqual(len(bench.plan([])),
                         len({entry[0] for entry in bench.QUESTIONS.values()}))
        with self.assertRaises(SystemExit):
            bench.plan(['nothing'])

    def test_page(self):
        page, images = self.report(
            make('evict', [result.row('bad', [10, 30, 20], [100]),
                           result.row('good', [100], [100])]),
            make('lookup', [result.row('create', [2], [4], 10),
                            result.row('create', [2], [400], 100)]))
        self.assertIn('| bad | 100 | 20 (10-30) | 0.200 **missed** |', page)
        self.assertIn('| good | 100 | 100 | 1.000 |', page)
        self.assertIn('| create, 100 | 400 | 2 | 0.005 |', page)
        self.assertEqual(images, ['bench-evict.png', 'bench-lookup.png'])


if __name__ == '__main__':
    unittest.main()
