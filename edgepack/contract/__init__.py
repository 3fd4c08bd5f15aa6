"""What an app expects of a model's signatures: written down, read back, held against a model."""

from edgepack.contract.breaches import breaches, speaks_for
from edgepack.contract.changes import changes
from edgepack.contract.choice import Choice, contract_of
from edgepack.contract.document import agree, read, text, write

__all__ = [
    "Choice",
    "agree",
    "breaches",
    "changes",
    "contract_of",
    "read",
    "speaks_for",
    "text",
    "write",
]
