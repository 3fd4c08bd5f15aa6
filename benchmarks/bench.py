"""Speed and memory that a release is held to, as ratios: `make bench`.

Both sides of a ratio run in turn (A B A B ...), and medians are compared, so that
drift of the machine hits both alike. The other side is `../shared/peers/stock_build.py`, the script
that an engineer would write by hand with the stock TensorFlow tools; where it or its data is
absent, those lines say so and the rest runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    Command = Sequence[str | Path]

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
PEER = SHARED / "peers" / "stock_build.py"
IC = SHARED / "data" / "ic"
EDGEPACK = Path(sys.executable).with_name("edgepack")
SAMPLE_SECONDS = 0.05
WIDTH = 1600  # a square float32 matrix of this width is 10.2 MB

MEGABYTE = 1e6

CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]
CLASSES += ["dog", "frog", "horse", "ship", "truck"]
DATASET = """\
name = "cifar-10"
kind = "image-folder"
path = "{calibration}"
classes = {classes}
on_overlap = "drop"
[inputs."*"]
color = "rgb"
[splits.calibrate]
samples = 100
[splits.evaluate]
path = "{evaluation}"
"""
CONFIG = """\
dataset = "dataset.toml"
variants = {variants}
output = "out"
[model]
path = "{model}"
name = "{name}"
version = "1.0.0"
[budgets.all]
{budgets}
"""
WIDE_DATASET = """\
name = "noise"
kind = "arrays"
path = "noise.npz"
task = "none"
[inputs.x]
array = "x"
[splits.calibrate]
samples = 20
"""
MAKE_WIDE = f"""\
import numpy as np, tensorflow as tf
random = np.random.default_rng(0)
class Wide(tf.Module):
    def __init__(self):
        self.w = tf.Variable(random.normal(0, 0.02, ({WIDTH}, {WIDTH})).astype("float32"))
    @tf.function(input_signature=[tf.TensorSpec([None, {WIDTH}], tf.float32, name="x")])
    def serve(self, x):
        return {{"y": tf.nn.relu(x @ self.w)}}
wide = Wide()
tf.saved_model.save(wide, "wide", signatures=wide.serve)
np.savez("noise.npz", x=random.normal(size=(60, {WIDTH})).astype("float32"))
"""


@dataclass
class Run:
    """One finished process."""

    seconds: float
    peak_anonymous: int = 0  # bytes of private anonymous memory, of the process itself


@dataclass
class Series:
    """Walls of one side, in seconds, and the most memory seen."""

    runs: list[Run] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median of the runs' walls, in seconds."""
        return median(run.seconds for run in self.runs)

    @property
    def memory(self) -> int:
        """Most bytes that any run held."""
        return max(run.peak_anonymous for run in self.runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds of each pair (default 3)")
    parser.add_argument("--quick", action="store_true", help="leave the 10,000 images out")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {options.runs} runs")
    with tempfile.TemporaryDirectory(prefix="edgepack-bench-") as folder:
        bench_commands(Path(folder), options.runs)
        bench_embedded(Path(folder), options.runs)
        bench_against_peer(Path(folder), options.runs, quick=options.quick)


def bench_commands(folder: Path, runs: int) -> None:
    """`--help`, and `verify` of a bundle of 10 MB."""
    started = Series([run([EDGEPACK, "--help"]) for _ in range(runs + 2)])
    line("edgepack --help", f"{started.wall:.2f} s", started.wall, 0.25)
    wide = folder / "wide"
    wide.mkdir()
    run([sys.executable, "-c", MAKE_WIDE], cwd=wide)
    (wide / "dataset.toml").write_text(WIDE_DATASET)
    write_config(wide, "wide", ["float32"], wide / "wide", "min_agreement = 0.9")
    run(build(wide, wide / "cache"), cwd=wide)
    bundle = next((wide / "out").glob("wide-*.zip"))
    verified = Series([run([EDGEPACK, "verify", bundle]) for _ in range(runs + 2)])
    size = f"{bundle.stat().st_size / 1e6:.1f} MB"
    line(f"edgepack verify, {size}", f"{verified.wall:.2f} s", verified.wall, 0.5)


def bench_embedded(folder: Path, runs: int) -> None:
    """The embedded example, cold."""
    series = Series()
    for index in range(runs):
        out, cache = folder / f"demo{index}", folder / f"demo-cache{index}"
        command: Command = [EDGEPACK, "build", "--demo", "--output", out, "--cache-dir", cache]
        series.runs.append(run(command, cwd=folder))
    line("build --demo, cold", f"{series.wall:.1f} s", series.wall, 60)
    line("  its parent's anonymous memory", megabytes(series.memory), series.memory, 200e6)


def bench_against_peer(folder: Path, runs: int, *, quick: bool) -> None:
    """Cold and repeated builds of ResNet8 against the script's wall time."""
    for needed in (PEER, IC):
        if not needed.exists():
            print(f"skipped: the builds against the stock script ({needed} is not there)")
            return
    compare(folder / "small", IC / "evaluation", "1,000 images", runs, target=None)
    if quick:
        print("skipped: 10,000 images (--quick)")
        return
    with tarfile.open(IC / "speed.tar") as tar:
        tar.extractall(folder / "speed", filter="data")
    compare(folder / "large", folder / "speed" / "train", "10,000 images", runs, target=0.75)


def compare(work: Path, images: Path, what: str, runs: int, target: float | None) -> None:
    """One evaluation set, both sides in turn."""
    work.mkdir()
    script, cold, again, budget = Series(), Series(), Series(), Series()
    (work / "dataset.toml").write_text(
        DATASET.format(calibration=IC / "calibration", evaluation=images, classes=CLASSES)
    )
    for index in range(runs):
        cache = work / f"cache{index}"
        script.runs.append(run(peer(images, work / f"peer{index}.zip"), cwd=work))
        resnet8(work, drop=0.05)
        cold.runs.append(run(build(work, cache), cwd=work))
        again.runs.append(run(build(work, cache), cwd=work))
        resnet8(work, drop=0.04)
        budget.runs.append(run(build(work, cache), cwd=work))
    print(f"{what}: the stock script takes {script.wall:.1f} s")
    for name, series, most in (
        ("cold build", cold, target),
        ("again, nothing changed", again, 0.1),
        ("again, another budget", budget, 0.1),
    ):
        ratio = series.wall / script.wall
        line(f"  {name}, {series.wall:.2f} s", f"{ratio:.3f} of it", ratio, most)
    line("  parent's anonymous memory", megabytes(cold.memory), cold.memory, 200e6)


def resnet8(work: Path, drop: float) -> None:
    """The settings of both variants that the script makes, with one budget."""
    budgets = f"max_accuracy_drop = {drop}"
    write_config(work, "resnet8", ["float16", "int8"], IC / "saved_model", budgets)


def write_config(work: Path, name: str, variants: list[str], model: Path, budgets: str) -> None:
    text = CONFIG.format(name=name, variants=variants, model=model, budgets=budgets)
    (work / "edgepack.toml").write_text(text)


def build(work: Path, cache: Path) -> Command:
    return [EDGEPACK, "build", work / "edgepack.toml", "--cache-dir", cache]


def peer(images: Path, out: Path) -> Command:
    return [sys.executable, PEER, IC / "saved_model", IC / "calibration", images, out]


def run(command: Command, cwd: Path | None = None) -> Run:
    """Run a command to its end, watching its memory; its output is shown only if it fails."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        with Watch(process.pid) as watch:
            process.wait()
            seconds = time.perf_counter() - start
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(map(str, command))}\n{output.read().decode(errors='replace')}")
    return Run(seconds, watch.peak)


class Watch(threading.Thread):
    """Samples the private anonymous memory of one process, from beside the waiting thread."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self._done = threading.Event()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, anonymous(self.pid))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


def anonymous(pid: int) -> int:
    """Bytes of private anonymous memory of one process now; 0 once it is gone, or not on Linux."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    found = [entry.split() for entry in text.splitlines() if entry.startswith("Anonymous:")]
    return int(found[0][1]) * 1024 if found else 0


def line(what: str, value: str, figure: float, target: float | None) -> None:
    """Print one figure and whether it holds."""
    verdict = ""
    if target is not None:
        shown = megabytes(target) if target > MEGABYTE else f"{target:g}"
        verdict = f"at most {shown}: {'met' if figure <= target else 'NOT MET'}"
    print(f"{what:<42} {value:>14}   {verdict}".rstrip(), flush=True)


def megabytes(count: float) -> str:
    return f"{count / MEGABYTE:.0f} MB"


if __name__ == "__main__":
    main()
