"""What a worker inherits of the environment: what libraries need, and no secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Where things are, how to speak, and the switches of the libraries that workers import.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|TMP|TEMP|LANG|LANGUAGE|LC_\w+|TZ|SOURCE_DATE_EPOCH"
    r"|VIRTUAL_ENV|LD_LIBRARY_PATH|COVERAGE_(PROCESS_START|PROCESS_CONFIG|FILE|RCFILE)"
    r"|(PYTHON|DYLD|XDG|TF|TF2|XLA|ABSL|OMP|KMP|MKL|OPENBLAS|ONEDNN|DNNL|MALLOC|KERAS|EDGEPACK)\w+"
)
# Among those, what tools of the same prefix keep secrets in: TF_ is Terraform's too.
SECRET = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|KEY|AUTH|^TF_(VAR|CLI)_")
LOGGED = {  # warnings say which op failed; what is said at every step would bury them
    "TF_CPP_MIN_LOG_LEVEL": "1",
    "ABSL_MIN_LOG_LEVEL": "1",
    "TF_ENABLE_DEPRECATION_WARNINGS": "0",
}
ALWAYS = {"CUDA_VISIBLE_DEVICES": "-1"}  # evidence is CPU evidence; a GPU would slow the import


def inherited(environment: Mapping[str, str], passed: Iterable[str]) -> dict[str, str]:
    """The part of an environment that a worker gets.

    Args:
        environment: the parent's.
        passed: names that the user lets through (limits.pass_environment).
    """
    asked = set(passed)
    return {
        name: value
        for name, value in environment.items()
        if name in asked or (KEPT.fullmatch(name) and not SECRET.search(name))
    }
