"""Any folder of SavedModels, built by edgepack and by the stock converter: `make wild DIR=...`.

Each model runs in processes of its own, under a time limit. Samples are generated to suit the
graph, so accuracy means nothing here; agreement of the files with their source does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models import Model, find
from ours import build
from stock import Memory
from table import BROKEN, Row, render

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    wanted = _arguments()
    models = find(wanted.folder.resolve(), wanted.only)[: wanted.limit]
    if not models:
        sys.exit(f"{wanted.folder} holds no SavedModel")
    memory = Memory(wanted.out.with_suffix(".stock.json"), fresh=wanted.fresh)

    def one(numbered: tuple[int, Model]) -> Row:
        number, model = numbered
        with tempfile.TemporaryDirectory(prefix="edgepack-wild-") as scratch:
            row = Row(
                model=model.name,
                stock=memory.convert(model, wanted.timeout),
                ours=build(model, Path(scratch), wanted.timeout),
            )
        told = f"{number}/{len(models)} {model.name}: stock {row.stock.kind}, ours {row.ours.kind}"
        sys.stderr.write(f"{told} in {row.ours.seconds:.0f} s\n")
        return row

    rows: list[Row] = []
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(wanted.jobs) as pool:
        for row in pool.map(one, enumerate(models, 1)):
            rows.append(row)  # written each time: a folder may take hours
            wanted.out.write_text(json.dumps([row.plain() for row in rows], indent=1) + "\n")
    sys.stdout.write(render(rows))
    broken = [f"{row.model} ({row.ours.kind})" for row in rows if row.ours.kind in BROKEN]
    sys.exit(f"no typed end: {', '.join(broken)}" if broken else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make wild", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder below which SavedModels lie")
    parser.add_argument("--only", default="", help="models whose path holds this text")
    parser.add_argument("--limit", type=int, help="at most this many models, by path")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each side")
    parser.add_argument("--jobs", type=int, default=1, help="models side by side")
    parser.add_argument("--out", type=Path, default=ROOT / "dist/wild.json")
    parser.add_argument("--fresh", action="store_true", help="convert with the stock side anew")
    return parser.parse_args()


if __name__ == "__main__":
    main()
