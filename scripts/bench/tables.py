"""Tables of the page, figures in them, and the floors that they are judged by."""

from statistics import median


def spread(values, form):
    """Median and, if there is more than one value, the range."""
    text = form.format(median(values))
    return text if len(values) == 1 else f"{text} ({form.format(min(values))}–{form.format(max(values))})"


def rows(header, lines):
    out = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return out + ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def of(runs, key, scale=1.0):
    return [run[key] * scale for run in runs]


class Floors:
    """Name, floor, measured, met; in the order in which they were judged."""

    def __init__(self):
        self.found = []

    def add(self, name, floor, value, met):
        self.found.append((name, floor, value, met))

    def at_least(self, name, floor, value):
        self.add(name, f"≥ {floor:g}×", f"{value:.1f}×" if value >= 2 else f"{value:.3f}×", value >= floor)

    def at_most(self, name, floor, value):
        self.add(name, f"≤ 1/{floor:g}", f"1/{1 / value:.1f}", value <= 1 / floor)
