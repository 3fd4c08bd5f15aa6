"""Package URLs of the tools that made a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from edgepack.records.manifest import ToolVersions


def versions(tools: ToolVersions) -> dict[str, str]:
    """Versions by distribution name, sorted by name."""
    named = {"edgepack": tools.edgepack, "tensorflow": tools.tensorflow}
    for said in (tools.quantizer, tools.runtime):  # "litert-quantizer 0.11.0"
        name, _, version = said.rpartition(" ")
        if name:
            named[name] = version
    return dict(sorted(named.items()))


def purl(name: str, version: str) -> str:
    """The package URL of a distribution on PyPI; of Python itself, the generic one."""
    kind = "generic" if name == "python" else "pypi"
    return f"pkg:{kind}/{quote(name.lower().replace('_', '-'))}@{quote(version, safe='.')}"
