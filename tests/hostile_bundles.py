"""Mutants of a small signed bundle, drawn at random: of its bytes, its framing, its members."""

from __future__ import annotations

import json
from dataclasses import replace

import forged_bundles as forge
from mutations import mutate

from edgepack.bundle import framing, parts, verify
from edgepack.files import canonical_json

MODEL = "models/int8.tflite"
NUMBERS = (0, 1, 2, 21, 22, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
VALUES = (
    *(None, True, False, 0, -1, 1.5, 2**53 - 1, 2**64, -(2**63), 1e300, "", "x", "\0", "../x"),
    *("é" * 99, "models/int8.tflite", "9" * 5000, [], {}, [[]], [None], {"a": 1}, {"": {}}),
)


class Mutants:
    """Draws mutants of a bundle.

    Args:
        whole: a bundle as edgepack writes it, signed.
    """

    def __init__(self, whole):
        self.whole = whole
        self.members = forge.members(whole)
        self.signature = next(name for name in self.members if name.startswith("signatures/"))
        model = next(i for i in framing_spans(whole) if i[0] == MODEL)
        self.padding = model[1:]

    def raw(self, random):
        """Bytes of the file; mostly not those that align the model."""
        start, end = self.padding
        if random.random() < 0.1:
            return mutate(random, self.whole)
        if random.random() < 0.5:
            return mutate(random, self.whole[:start]) + self.whole[start:]
        return self.whole[:end] + mutate(random, self.whole[end:], self.whole[:start])

    def framing(self, random):
        """Fields of headers, records added, lost, doubled and out of order."""
        records = forge.records(self.members)
        for _ in range(random.choice((1, 1, 2))):
            at = random.randrange(len(records))
            records[at] = _hurt(random, records[at])
        if random.random() < 0.3:
            records = random.choices(records, k=random.randrange(9))
        end = {}
        if random.random() < 0.3:
            names = ("disk", "first disk", "entries here", "entries", "size", "start", "comment")
            end = {random.choice(names): random.choice(NUMBERS[:7])}
        return _packed(records, end)

    def text(self, random):
        """The bytes of manifest.json, under digests that fit."""
        text = mutate(random, self.members[parts.MANIFEST], self.members[self.signature])
        return self._sealed({parts.MANIFEST: text})

    def values(self, random):
        """Values within manifest.json, in canonical JSON wherever that is possible."""
        value = json.loads(self.members[parts.MANIFEST])
        for _ in range(random.choice((1, 1, 2, 4))):
            value = _changed(random, value)
        return self._sealed({parts.MANIFEST: _json(value)})

    def model(self, random):
        """The model's bytes, under digests that fit."""
        return self._sealed({MODEL: mutate(random, self.members[MODEL])})

    def texts(self, random):
        """SHA256SUMS, labels and signature, each in its place."""
        name = random.choice((parts.SUMS, parts.LABELS, self.signature))
        data = mutate(random, self.members[name], self.members[parts.SUMS])
        if name == self.signature and random.random() < 0.7:
            data = _json(_changed(random, json.loads(self.members[name])))
        return forge.zipped({**self.members, name: data})

    def _sealed(self, changes):
        kept = {self.signature: self.members[self.signature]}
        return forge.zipped({**forge.summed({**self.members, **changes}), **kept})


KINDS = ("raw", "framing", "text", "values", "model", "texts")


def framing_spans(whole):
    """Name of each model, and where its padding starts and ends."""
    start = 0
    for name, data in forge.members(whole).items():
        entry = framing.Entry(name, start, len(data), 0)
        if entry.extra:
            yield name, entry.offset - len(entry.extra) + 6, entry.offset
        start = entry.end


def _hurt(random, record):
    kind = random.randrange(4)
    if kind == 0:
        return replace(record, name=mutate(random, record.name)[:60_000])
    if kind == 1:
        return replace(record, local_name=mutate(random, record.name)[:60_000])
    side = random.choice(("local", "central"))
    fields = framing.LOCAL_FIELDS if side == "local" else framing.CENTRAL_FIELDS
    field = random.choice(fields[1:])
    return replace(record, **{side: {field: random.choice(NUMBERS)}})


def _packed(records, end):
    wide = {"CRC", "stored size", "size", "attributes", "start"}

    def fit(fields):
        return {name: v if name in wide else v & 0xFFFF for name, v in fields.items()}

    fitted = [replace(one, local=fit(one.local), central=fit(one.central)) for one in records]
    return forge.forged(fitted, {name: v & 0xFFFF for name, v in end.items()})


def _changed(random, value):
    """A JSON value with one place in it changed, lost or taken from another."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        what = random.random()
        if what < 0.08:
            return {name: one for name, one in value.items() if name != key}
        if what < 0.16:
            return {**value, random.choice(("", "x", "schema_version", key + "x")): value[key]}
        return {**value, key: _changed(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        times = random.choice((0, 2, 50))
        some = [_changed(random, value[at])] if random.random() < 0.8 else [value[at]] * times
        return [*value[:at], *some, *value[at + 1 :]]
    if isinstance(value, str) and value and random.random() < 0.5:
        return mutate(random, value.encode()).decode(errors="replace")
    return random.choice(VALUES)


def _json(value):
    def plain(one):
        if isinstance(one, dict):
            return all(map(plain, one.values()))
        if isinstance(one, list):
            return all(map(plain, one))
        return not isinstance(one, int) or abs(one) < 2**53

    if plain(value):
        return canonical_json(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def huge(members):
    """Bundles that declare or hold far more than a bundle does, by name."""
    size = {"size": 2**32 - 1, "stored size": 2**32 - 1}
    both = {"local": size, "central": size}
    text = verify.MAX_TEXT
    manifest = members[parts.MANIFEST]
    filler = {
        "zeros": b"0," * (text // 2 - 4000) + b"0",
        "objects": b"{}," * (text // 3 - 4000) + b"{}",
        "texts": b'"",' * (text // 3 - 4000) + b'""',
        "brackets": b"[" * 300 + b"]" * 300,
    }
    sealed = {
        **{f"manifest of {n}": manifest[:-1] + b',"zz":[' + d + b"]}" for n, d in filler.items()},
        "manifest of brackets alone": b"[" * text,
        "manifest of digits": b"1" * text,
        "manifest of one text": b'"' + b"a" * (text - 2) + b'"',
        "manifest of floats": b"[" + b"1e9," * (text // 4 - 1) + b"1]",
    }
    made = {
        name: forge.zipped({**forge.summed({**members, parts.MANIFEST: data})})
        for name, data in sealed.items()
    }
    for name in (parts.SUMS, parts.LABELS, parts.MANIFEST):
        for said, unit in (("line ends", b"\n"), ("zeros", b"\0"), ("bytes", b"\xff")):
            made[f"{name} of {said}"] = forge.zipped({**members, name: unit * text})
    line = b"a" * 64 + b"  x%06d\n"
    lines = b"".join(line % n for n in range(text // (len(line) + 3) - 1))
    made["SHA256SUMS of names"] = forge.zipped({**members, parts.SUMS: lines})
    for name in members:
        made[f"{name} declared huge"] = forge.forged(forge.changed(members, name, **both))
    return made
