"""Damaged copies of bytes, drawn at random: what disks, networks and attackers make of files."""

from edgepack.savedmodel.wire import BYTES, WireError, fields


def mutate(random, data, other=b""):
    """One damage out of many, sometimes two or three."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(KINDS)(random, data, other)
    return data


def span(random, data, longest=2000):
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randrange(1, random.choice((4, 64, longest))))


def flip(random, data, _):
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncate(random, data, _):
    return data[: random.randrange(len(data) + 1)]


def cut(random, data, _):
    start, end = span(random, data)
    return data[:start] + data[end:]


def repeat(random, data, _):
    start, end = span(random, data)
    return data[:start] + data[start:end] * random.choice((2, 3, 50)) + data[end:]


def splice(random, data, other):
    """A span of another file, or of another place, over or between what is there."""
    start, end = span(random, data)
    first, last = span(random, other or data)
    return data[:start] + (other or data)[first:last] + data[random.choice((start, end)) :]


def lengthen(random, data, _):
    """A number or length becomes huge, or never ends."""
    at = random.randrange(len(data) + 1)
    size = random.choice((1, 2, 4, 5, 9, 11, 40))
    huge = b"\xff" * size + random.choice((b"", b"\x01", b"\x7f"))
    return data[:at] + huge + data[at + random.choice((0, 1, len(huge))) :]


def zero(random, data, _):
    start, end = span(random, data)
    return data[:start] + bytes(end - start) + data[end:]


def swap(random, data, _):
    """A name takes the place of another of its length."""
    start, end = span(random, data, 64)
    first = random.randrange(len(data) + 1)
    taken = data[first : first + end - start]
    return data[:start] + taken + data[start + len(taken) :]


KINDS = (flip, truncate, cut, repeat, splice, lengthen, zero, swap)


def mutate_message(random, data, depth=12):
    """A change to one field somewhere in a message, all lengths put right: it reads well."""
    found = _fields(data)
    if not found:
        return mutate(random, data)
    place = random.randrange(len(found))
    number, kind, start, end = found[place]
    inner = data[start:end]
    if kind == BYTES and depth and random.random() < 0.85:
        changed = [text(number, mutate_message(random, inner, depth - 1))]
    else:
        other = random.choice(found)
        written = _written(data, found[place])
        changed = random.choice(
            (
                [],
                [written] * random.choice((2, 3, 40)),
                [written, _written(data, other)],
                [_written(data, (number, *other[1:]))],
                [text(number, mutate(random, inner))],
                [varint(number << 3) + varint(random.choice((0, 1, 7, 1 << 31, (1 << 64) - 1)))],
            )
        )
    kept = [_written(data, one) for one in found]
    return b"".join([*kept[:place], *changed, *kept[place + 1 :]])


def _fields(data):
    """Number, kind, and span of each field; nothing where the bytes are no message."""
    found, at = [], 0
    try:
        for one in fields(data):
            found.append((one.number, data[at] & 7, one.start, one.end))
            at = one.end
    except WireError:
        return []
    return found


def _written(data, field):
    number, kind, start, end = field
    value = data[start:end]
    return text(number, value) if kind == BYTES else varint(number << 3 | kind) + value


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def text(number, value):
    """A field of bytes."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def nested(depth, *numbers):
    """A message in a message in a message, down a path of field numbers over and over."""
    parts, size = [], 0
    for level in range(depth):
        head = varint(numbers[(depth - 1 - level) % len(numbers)] << 3 | 2) + varint(size)
        parts.append(head)
        size += len(head)
    return b"".join(reversed(parts))
