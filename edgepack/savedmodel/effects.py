"""Which of TensorFlow's ops do more than compute, and when a node of such an op really does.

Drawn from the 1910 ops that TensorFlow 2.21.0 registers: every stateful one, and every one with an
input or attribute that can name a file, an address, a function outside the graph or a program.
What needs a cluster or a TPU to reach anything (Send, Recv, Collective*, TPU*) is not here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.savedmodel.messages import Node
    from edgepack.savedmodel.reach import Place
    from edgepack.savedmodel.sources import Sources

_BY_EFFECT = {
    "reads files": (
        "CSVDataset CSVDatasetV2 DecodeProtoV2 DTensorRestoreV2 EncodeProto ExperimentalCSVDataset "
        "ExperimentalLMDBDataset FixedLengthRecordDataset FixedLengthRecordDatasetV2 "
        "FixedLengthRecordReader FixedLengthRecordReaderV2 FixedUnigramCandidateSampler "
        "GenerateVocabRemapping ImmutableConst InitializeTableFromTextFile "
        "InitializeTableFromTextFileV2 LMDBDataset LMDBReader ListSnapshotChunksDataset "
        "LoadAndRemapMatrix LoadDataset ReadFile RecordInput Restore RestoreSlice RestoreV2 "
        "Skipgram SnapshotChunkDataset SnapshotDatasetReader TFRecordDataset TFRecordDatasetV2 "
        "TFRecordReader TFRecordReaderV2 TextLineDataset TextLineReader TextLineReaderV2 "
        "WholeFileReader WholeFileReaderV2"
    ),
    "lists directories": "ExperimentalMatchingFilesDataset MatchingFiles MatchingFilesDataset",
    "writes files": (
        "CalibrationStatisticsSaver CreateSummaryFileWriter DatasetToTFRecord DumpTensor "
        "ExperimentalDatasetToTFRecord PrintV2 Save SaveDataset SaveDatasetV2 SaveSlices SaveV2 "
        "WriteFile"
    ),
    "reads and writes files": "CacheDataset CacheDatasetV2 SnapshotDataset SnapshotDatasetV2",
    "writes and deletes files": "MergeV2Checkpoints",
    "runs SQL on a database file": "CreateSummaryDbWriter ExperimentalSqlDataset SqlDataset",
    "runs Python": "EagerPyFunc PyFunc PyFuncStateless",
    "reaches the network": (
        "DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 "
        "RegisterDataset RegisterDatasetV2 RpcCall RpcClient"
    ),
    "opens a network server": "RpcServer RpcServerRegister RpcServerStart",
    "writes files on another machine": "DistributedSave",
    "runs a function on another device or machine": "RemoteCall",
    "sends tensors to a file or an address": (
        "DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary"
    ),
    "changes how a file system is reached": "FileSystemSetConfiguration",
    "calls native code by its name": "XlaCustomCall XlaCustomCallV2",
    "runs a program hidden in a string": "DatasetFromGraph MlirPassthroughOp _XlaHostComputeMlir",
    "ends the process": "Abort WorkerHeartbeat",
}
UNSAFE_OPS: Mapping[str, str] = MappingProxyType(
    {op: does for does, ops in _BY_EFFECT.items() for op in ops.split()}
)

TABLE_INITIALIZERS = frozenset(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"))
_RESTORES = frozenset(("Restore", "RestoreSlice", "RestoreV2"))
SAVER_OPS = _RESTORES | {"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"}
_CACHES = frozenset(("CacheDataset", "CacheDatasetV2"))
_DESCRIPTORS_INSIDE = ("", "local://")  # a message's description that is no file


def has_effect(place: Place, sources: Sources) -> bool:
    """Whether this node of an op of UNSAFE_OPS can do what the op is there for."""
    _, node = place
    if node.op in _CACHES:  # without a name in memory
        return sources.constant(place, 1) != ""
    return _asks(node)


def is_ordinary(place: Place, sources: Sources) -> bool:
    """Whether a node does what every SavedModel does while it is loaded or saved.

    It restores from the checkpoint that the loader names, or fills a table from a file of the
    model's own assets. In a signature neither is ordinary: there the loader names no file.
    """
    _, node = place
    if node.op in _RESTORES:
        return sources.from_saver(place, 0)
    return node.op in TABLE_INITIALIZERS and sources.from_own_assets(place, 1)


def _asks(node: Node) -> bool:
    """Whether attributes name a file or an address, where they may also name none."""
    if node.op == "PrintV2":
        return any(stream.startswith("file://") for stream in _texts(node, "output_stream"))
    if node.op.startswith("Debug"):
        return any(_texts(node, "debug_urls"))
    if node.op == "FixedUnigramCandidateSampler":
        return any(_texts(node, "vocab_file"))
    if node.op in {"DecodeProtoV2", "EncodeProto"}:
        described = "".join(_texts(node, "descriptor_source"))
        return described not in _DESCRIPTORS_INSIDE and not described.startswith("bytes://")
    return True


def _texts(node: Node, name: str) -> Iterator[str]:
    """A string attribute (2), or each of a list (1) of strings."""
    for key, value in node.message.entries(5):
        if key == name:
            yield from value.texts(2)
            for listed in value.messages(1):
                yield from listed.texts(2)
