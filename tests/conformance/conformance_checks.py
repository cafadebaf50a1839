"""How numbers are held against each other."""

from __future__ import annotations

from collections.abc import Mapping

from scipy import stats

#: A correct simulator fails a statistical test this rarely; seeds are fixed,
#: so a test that has passed once passes always.
SIGNIFICANCE = 1e-6


def same_distribution(
    found: Mapping[str, float], expected: Mapping[str, float], tol: float
) -> None:
    """Holds two exact distributions against each other."""
    for key in {*found, *expected}:
        difference = abs(found.get(key, 0) - expected.get(key, 0))
        assert difference < tol, f"{key}: {found.get(key, 0)} instead of {expected.get(key, 0)}"


def drawn_from(counts: Mapping[str, int], expected: Mapping[str, float]) -> None:
    """Pearson's chi-squared test; outcomes expected less than 5 times share a bin."""
    shots = sum(counts.values())
    impossible = {key for key in counts if expected.get(key, 0) < 1e-9}
    assert not impossible, f"outcomes that cannot occur: {sorted(impossible)[:5]}"
    bins: list[tuple[float, float]] = []
    rest_seen = rest_expected = 0.0
    for key, probability in expected.items():
        seen = counts.get(key, 0)
        if probability * shots < 5:
            rest_seen += seen
            rest_expected += probability * shots
        else:
            bins.append((seen, probability * shots))
    if rest_expected:
        bins.append((rest_seen, rest_expected))
    if len(bins) > 1:
        seen_, expected_ = zip(*bins, strict=True)
        statistic = sum((a - b) ** 2 / b for a, b in zip(seen_, expected_, strict=True))
        assert stats.chi2.sf(statistic, len(bins) - 1) > SIGNIFICANCE, (counts, expected)


def same_source(first: Mapping[str, int], second: Mapping[str, int]) -> None:
    """Two-sample chi-squared test of counts; rare outcomes share a bin."""
    table: list[list[float]] = []
    rest = [0.0, 0.0]
    for key in {*first, *second}:
        pair = [float(first.get(key, 0)), float(second.get(key, 0))]
        if sum(pair) < 10:
            rest = [rest[0] + pair[0], rest[1] + pair[1]]
        else:
            table.append(pair)
    if sum(rest) >= 10:
        table.append(rest)
    if len(table) > 1:
        assert stats.chi2_contingency(table).pvalue > SIGNIFICANCE
