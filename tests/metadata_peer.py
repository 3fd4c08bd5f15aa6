"""Tells a .tflite file's metadata by tflite-support, in an environment that has it.

python metadata_peer.py FILE
"""

import json
import sys
from types import ModuleType

# Its native parts are needed for JSON and for writing only, and link to libraries for USB devices.
for name in ("cc.python._pywrap_metadata_version", "flatbuffers_lib._pywrap_flatbuffers"):
    sys.modules[f"tensorflow_lite_support.metadata.{name}"] = ModuleType(name)

from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema  # noqa: E402
from tensorflow_lite_support.metadata.python import metadata  # noqa: E402


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        told = {name: plain(item) for name, item in vars(value).items()}
        return {name: item for name, item in told.items() if item not in (None, 0)}
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.decode() if isinstance(value, bytes) else value


displayer = metadata.MetadataDisplayer.with_model_file(sys.argv[1])
table = schema.ModelMetadata.GetRootAsModelMetadata(displayer.get_metadata_buffer(), 0)
names = displayer.get_packed_associated_file_list()
files = {name: displayer.get_associated_file_buffer(name).decode() for name in names}
told = {"metadata": plain(schema.ModelMetadataT.InitFromObj(table)), "files": files}
sys.stdout.write(json.dumps(told))
