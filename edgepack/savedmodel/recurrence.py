"""Signs of a recurrent structure: fused ops, Keras' names for its own functions, lists in loops."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.savedmodel.ops import LOOPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FUSED = re.compile(r"Cudnn(RNN|LSTM|GRU)\w*|(Block)?LSTM(Block)?(Cell)?(V2)?|GRUBlockCell")
LISTS = re.compile(r"TensorList(Reserve|FromTensor|Stack|SetItem)|TensorArray(V2|V3)?")
# keras/layers/rnn: standard_lstm, gpu_gru_with_fallback, ...; as `__inference_standard_lstm_123`.
KERAS = re.compile(r"(?:standard|gpu|cudnn|defun)_(lstm|gru)(?=_|$)")


def recurrent(ops: Collection[str], functions: Collection[str]) -> tuple[str, ...]:
    """What says that a computation is recurrent, none of it where nothing does.

    Args:
        ops: names of the ops that it runs.
        functions: names of the functions that these stand in.
    """
    return tuple(sorted(set(_signs(ops, functions))))


def _signs(ops: Collection[str], functions: Collection[str]) -> Iterator[str]:
    yield from (op for op in ops if FUSED.fullmatch(op))
    yield from (found[1].upper() for name in functions if (found := KERAS.search(name)))
    loops = LOOPS & set(ops)
    lists = any(map(LISTS.fullmatch, ops))
    if loops and lists:
        yield f"lists in {', '.join(sorted(loops))}"
