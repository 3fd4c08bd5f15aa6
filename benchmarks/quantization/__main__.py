"""The search beside both stock int8 files, on models that int8 ruins and on published ones.

`make bench-quantization`, ARGS="[--sweep] [--keep DIR] [NAME ...]".
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

import stock
from models import MODELS
from published import PUBLISHED
from stock import Figures, figures
from sweep import sweep

from edgepack.quantize import front
from edgepack.records.search import SearchResult

if TYPE_CHECKING:
    from edgepack.records.search import Trial

EDGEPACK = Path(sys.executable).with_name("edgepack")
ALL = MODELS | PUBLISHED
POINT, RATIO, AGREEMENT = 0.01, 0.7, 0.98  # the goal where stock int8 collapses
HEADINGS = ("model", "file", "top-1", "drop", "agrees", "latency", "size", "seconds")
ROW = "{:<14}{:<22}{:>8}{:>9}{:>8}{:>9}{:>10}{:>9}"


@dataclass(frozen=True)
class Ours:
    """What the search built, how long all of it took, and its log."""

    figures: Figures
    search: SearchResult

    @property
    def chosen(self) -> Trial:
        """The trial that was built."""
        return next(one for one in self.search.trials if one.number == self.search.chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(ALL)}; all by default")
    parser.add_argument("--sweep", action="store_true", help="also try every choice of layers")
    parser.add_argument("--keep", type=Path, help="where models stay, and are taken from again")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as scratch:
        print(ROW.format(*HEADINGS))
        held = [
            _one((wanted.keep or Path(scratch)) / name, Path(scratch, "cache", name), wanted.sweep)
            for name in wanted.names or ALL
        ]
    sys.exit(0 if all(held) else "the goal is not held everywhere")


def _one(folder: Path, cache: Path, sweeping: bool) -> bool:
    """All lines of one model; whether the goal holds."""
    if not (folder / "edgepack.toml").exists():
        _make(folder)
    theirs = stock.measure(folder)
    for way, found in theirs.items():
        _print(folder.name, f"stock {way}", found)
    ours = _search(folder, cache)
    _print(folder.name, f"edgepack ({ours.chosen.precision})", ours.figures)
    log = ours.search
    kept = [log.groups[index].name for index in ours.chosen.candidate.kept]
    told = f"{len(log.trials)} trials in {log.seconds:.0f} s, {len(kept)} of {len(log.groups)} "
    print(f"{'':14}{told}groups kept{': ' if kept else ''}{', '.join(kept)}")
    if sweeping:
        _sweep(folder, cache, log)
    return _held(theirs, ours.figures)


def _make(folder: Path) -> None:
    """In a process of its own: TensorFlow's memory and threads would disturb what is timed."""
    script = "published.py" if folder.name in PUBLISHED else "models.py"
    command = [sys.executable, Path(__file__).with_name(script), folder.parent, folder.name]
    subprocess.run(command, check=True, capture_output=True)


def _search(folder: Path, cache: Path) -> Ours:
    shutil.rmtree(folder / "out", ignore_errors=True)
    start = perf_counter()
    command = [EDGEPACK, "build", folder, "--cache-dir", cache, "--allow-failed", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = perf_counter() - start
    if done.returncode not in {0, 3}:
        sys.exit(f"{folder.name}: {done.stderr}")
    with zipfile.ZipFile(next((folder / "out").glob("*.zip"))) as bundle:
        auto, reference = (bundle.read(_member(bundle, name)) for name in ("auto", "float32"))
    found = figures(auto, reference, folder, seconds=seconds)
    log = SearchResult.model_validate_json((folder / "out/search.json").read_bytes())
    return Ours(found, log)


def _member(bundle: zipfile.ZipFile, variant: str) -> str:
    """Where a variant lies: files of the same bytes share one member."""
    models = json.loads(bundle.read("manifest.json"))["models"]
    return str(next(model["path"] for model in models if model["variant"] == variant))


def _sweep(folder: Path, cache: Path, log: SearchResult) -> None:
    """The best of all choices of layers, beside the best such one that the search tried."""
    mixed = [
        one
        for one in log.trials
        if one.candidate.mode == "int8" and one.candidate.rest == "float32"
        if front.counts(one, log.samples)
    ]
    found = front.best(mixed, log.goal)
    if found is None:
        print(f"{'':14}no sweep: no int8 file ran")
        return
    start = perf_counter()
    every = sweep(folder, cache, found.candidate.model_copy(update={"kept": ()}))
    if every is None:
        print(f"{'':14}no sweep: {len(log.groups)} groups are too many")
        return
    best = front.best(every, log.goal)
    assert best is not None
    seconds = perf_counter() - start
    print(f"{'':14}sweep of {len(every)} files in {seconds:.0f} s: {_point(best)}")
    print(f"{'':14}the search, of the same kind of files: {_point(found)}")


def _point(trial: Trial) -> str:
    return f"{trial.latency_ratio:.3f}x, harm {trial.harm:.4f}, {list(trial.candidate.kept)} kept"


def _held(theirs: dict[str, Figures], ours: Figures) -> bool:
    """Whether it is accurate and quick where stock int8 collapses, else no worse than that."""
    ran = [one for one in theirs.values() if not one.failure]
    near = ours.float_top1 - ours.top1 <= POINT or ours.agreement >= AGREEMENT
    if all(one.collapses for one in theirs.values()):
        good = near and ours.latency_ratio <= RATIO
        print(f"{'':14}stock int8 collapses: {'met' if good else 'NOT MET'}")
        return good
    best = max(ran, key=lambda one: one.top1)
    good = near and ours.latency_ratio <= best.latency_ratio * 1.1
    told = f"top-1 {ours.top1 - best.top1:+.4f}, {ours.latency_ratio / best.latency_ratio:.2f} of "
    print(f"{'':14}beside the better stock file: {told}its time: {'met' if good else 'NOT MET'}")
    return good


def _print(name: str, what: str, found: Figures) -> None:
    if found.failure:
        print(f"{name:<14}{what:<22}  {found.failure[:90]}", flush=True)
        return
    figures_ = (
        f"{found.top1:.3f}",
        f"{100 * (found.float_top1 - found.top1):+.1f} pt",
        f"{found.agreement:.3f}",
        f"{found.latency_ratio:.2f}x",
        f"{found.size_bytes / 1000:.0f} kB",
        f"{found.seconds:.0f}",
    )
    print(ROW.format(name, what, *figures_), flush=True)


if __name__ == "__main__":
    main()
