"""Graphs of small nodes as files, and the pieces that an interpreter made of one."""

import tflite_models as made
from ai_edge_litert.interpreter import Interpreter

# Of one or two float inputs and a result of their shape. XNNPACK in ai-edge-litert 2.3 takes all
# but SIGN, which the tests hold it to.
TAKEN, LEFT = ("ABS", "NEG", "ADD"), "SIGN"


def file(operators, tensors=None, inputs=(0,), outputs=None):
    """A file of version 1 operators; unread results are its outputs where none are named."""
    count = 1 + max(index for _, i, o in operators for index in (*i, *o))
    tensors = tensors or [made.tensor(f"t{index}") for index in range(count)]
    read = {index for _, reading, _ in operators for index in reading}
    given = [index for _, _, giving in operators for index in giving]
    ends = [index for index in given if index not in read] if outputs is None else outputs
    model = made.unpack(made.build(tensors, operators, list(inputs), ends))
    for code in model.operatorCodes:
        code.version = 1
    return made.pack(model)


def chain(*names, dtype="float32", **fields):
    """A file of nodes one after another, all of one type."""
    tensors = [made.tensor(f"t{n}", dtype=dtype, **fields) for n in range(len(names) + 1)]
    return file([(name, [n], [n + 1]) for n, name in enumerate(names)], tensors)


def versions(data, **newer):
    """The same file with other versions of some operators."""
    from edgepack.tflite.schema import OPERATORS

    model = made.unpack(data)
    for code in model.operatorCodes:
        code.version = newer.get(OPERATORS[code.builtinCode], code.version)
    return made.pack(model)


def delegated(data):
    """What each DELEGATE node of the interpreter's own delegate, XNNPACK, reads and gives."""
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()
    pieces = (node for node in nodes if node["op_name"] == "DELEGATE")
    return [(sorted(map(int, n["inputs"])), sorted(map(int, n["outputs"]))) for n in pieces]


def members(graph, piece):
    """The nodes that give what a piece gives, back to what it reads."""
    reads, todo = piece
    makers = {index: place for place, n in enumerate(graph.operators) for index in n.outputs}
    found = set()
    while todo:
        index, *todo = todo
        maker = makers.get(index)
        if index in reads or maker is None or maker in found:
            continue
        found.add(maker)
        todo += [i for i in graph.operators[maker].inputs if i >= 0]
    return found
