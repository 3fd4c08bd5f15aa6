"""Signs a bundle, or writes another in its place, once told to: for tests that stop it midway.

python interrupted.py BUNDLE KEY sign|write
"""

import sys
from pathlib import Path

from bundle_samples import EPOCH, manifest_of, tiny_model

from edgepack.bundle import keys
from edgepack.bundle.contents import add_signatures, write_bundle
from edgepack.errors import EdgepackError

MODELS = {"float32": tiny_model(), "int8": tiny_model("other" * 30_000)}


def main(bundle: Path, key: Path, action: str) -> None:
    """The models lie beside the key, as `write_models` leaves them."""
    signer = keys.signer(str(key), None, lambda _: None)
    models = {variant: key.parent / f"{variant}.in" for variant in MODELS}
    manifest = manifest_of(MODELS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if action == "sign":
        add_signatures(bundle, bundle, [signer])
    else:
        write_bundle(manifest, models, bundle, epoch=EPOCH, signers=[signer])


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    except EdgepackError as error:
        sys.exit(f"{error}")
