# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that callgrind writes."""
import re


def total(path):
    """Return the instructions counted in the file @path."""
    with open(path, encoding='utf-8') as file:
        return int(re.search(r'^(?:totals|summary): (\d+)', file.read(), re.M)[1])
