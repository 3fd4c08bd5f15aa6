"""SavedModels written byte by byte: the wire format a second time, from its description."""

FLOAT32, STRING, FLOAT64 = 1, 7, 2


def varint(value):
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def field(number, kind, value):
    key = varint(number << 3 | kind)
    if kind == 0:
        return key + varint(value & (1 << 64) - 1)
    if kind == 2:
        return key + varint(len(value)) + value
    return key + value.to_bytes(8 if kind == 1 else 4, "little")


def text(number, value):
    return field(number, 2, value.encode())


def entry(number, key, value):
    """One entry of a map whose values are messages."""
    return field(number, 2, text(1, key) + field(2, 2, value))


def shape(dims):
    return b"".join(field(2, 2, field(1, 0, size)) for size in dims)


def node(name, op, inputs=(), function="", *, device="", dims=None, dtype=None):
    """A NodeDef; `function` becomes an attribute that names a function."""
    data = text(1, name) + text(2, op) + b"".join(text(3, one) for one in inputs)
    data += text(4, device) if device else b""
    data += entry(5, "f", field(10, 2, text(1, function))) if function else b""
    data += entry(5, "shape", field(7, 2, shape(dims))) if dims is not None else b""
    return data + (entry(5, "dtype", field(6, 0, dtype)) if dtype is not None else b"")


def signature(output="out", inputs=()):
    """A SignatureDef that fetches one tensor; inputs are (name, dtype, dims), dims None for any."""
    data = entry(2, "y", text(1, f"{output}:0") + field(2, 0, FLOAT32))
    for name, dtype, dims in inputs:
        form = field(3, 0, 1) if dims is None else shape(dims)
        data += entry(1, name, text(1, f"{name}:0") + field(2, 0, dtype) + field(3, 2, form))
    return data


def saved(nodes, functions=(), *, signatures=None, objects=b"", tags=("serve",)):
    """A SavedModel; by default its only signature fetches the node `out` and takes nothing."""
    bodies = b""
    for name, body in dict(functions).items():
        inner = b"".join(field(3, 2, one) for one in body)
        bodies += field(1, 2, field(1, 2, text(1, name)) + inner)
    graph = b"".join(field(1, 2, one) for one in nodes) + field(2, 2, bodies)
    named = {"serving_default": signature()} if signatures is None else signatures
    meta = field(1, 2, b"".join(text(4, tag) for tag in tags)) + field(2, 2, graph)
    meta += b"".join(entry(5, name, one) for name, one in named.items())
    meta += field(7, 2, objects) if objects else b""
    return field(2, 2, meta)
