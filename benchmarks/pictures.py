"""Pictures for the documentation, light and dark: the same figures as in the tables, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

THEMES = {
    "light": {"ink": "#1f2328", "faint": "#d1d9e0", "ground": "#ffffff"},
    "dark": {"ink": "#f0f6fc", "faint": "#3d444d", "ground": "#0d1117"},
}
COLOURS = {"local": "#2f81f7", "memory": "#8957e5"}


def _plot(theme: str, width: float, height: float, rows: int = 1, columns: int = 1) -> Any:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    colours = THEMES[theme]
    pyplot.rcParams.update(
        {
            "svg.hashsalt": "fk_kazoo",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": colours["ink"],
            "axes.labelcolor": colours["ink"],
            "axes.edgecolor": colours["faint"],
            "xtick.color": colours["ink"],
            "ytick.color": colours["ink"],
            "grid.color": colours["faint"],
            "figure.facecolor": colours["ground"],
            "axes.facecolor": colours["ground"],
        }
    )
    return pyplot.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)


def _save(figure: Any, directory: Path, name: str, theme: str) -> None:
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / ("%s-%s.svg" % (name, theme)), metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def comparison(results: Dict[str, Any], directory: Path) -> None:
    """How many times better than ZooKeeper each row is, on a logarithmic axis, with the bar that is meant."""
    rows = [row for row in results["rows"] if row["ratios"]]
    if not rows:
        return
    for theme, colours in THEMES.items():
        figure, axes = _plot(theme, 9.0, 0.8 + 0.3 * len(rows))
        axis = axes[0][0]
        names = [name for name in COLOURS if any(name in row["ratios"] for row in rows)]
        for offset, name in enumerate(names):
            for place, row in enumerate(rows):
                found = row["ratios"].get(name)
                if found is None:
                    continue
                y = place + (offset - (len(names) - 1) / 2) * 0.38
                label = name + "://" if not any(row["ratios"].get(name) for row in rows[:place]) else None
                axis.barh(y, found["median"] - 1, 0.34, left=1, color=COLOURS[name], label=label)
                axis.plot([found["low"], found["high"]], [y, y], color=colours["ink"], linewidth=0.8)
                if "bar" in found:
                    axis.plot([found["bar"]] * 2, [y - 0.2, y + 0.2], color="#d29922", linewidth=2)
        axis.set_xscale("log")
        ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
        axis.set_xticks(ticks, ["%g×" % tick for tick in ticks])
        axis.minorticks_off()
        axis.set_yticks(range(len(rows)), [row["row"] for row in rows])
        axis.invert_yaxis()
        axis.axvline(1, color=colours["ink"], linewidth=1)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
        axis.set_xlabel("times better than ZooKeeper (line: all rounds; yellow: the bar)")
        axis.legend(loc="lower right", facecolor=colours["ground"], edgecolor=colours["faint"])
        _save(figure, directory, "local", theme)


def growth(results: Dict[str, Any], directory: Path) -> None:
    """Cost over size, one picture in each case, beside the bound that is meant."""
    rows: List[Any] = results["rows"]
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    for theme, colours in THEMES.items():
        figure, axes = _plot(theme, 2.9 * columns, 2.3 * lines, lines, columns)
        for axis in [each for line in axes for each in line][len(rows) :]:
            axis.set_visible(False)
        for place, row in enumerate(rows):
            axis = axes[place // columns][place % columns]
            xs = [max(each["size"], 1) for each in row["sizes"]]
            for unit, name in (("ms", "memory"), ("processor_ms", "local")):
                ys = [each[unit]["median"] for each in row["sizes"]]
                spread = ([each[unit][key] for each in row["sizes"]] for key in ("low", "high"))
                axis.fill_between(xs, *spread, alpha=0.25, color=COLOURS[name], linewidth=0)
                axis.plot(xs, ys, marker="o", markersize=3, color=COLOURS[name])
            axis.axhline(ys[0] * 1.5, color="#d29922", linewidth=1)
            axis.set_xscale("log")
            axis.set_ylim(bottom=0)
            axis.set_title(row["row"], fontsize=8, color=colours["ink"])
            axis.set_ylabel("ms", fontsize=8)
        _save(figure, directory, "growth", theme)
