"""Signs or verifies a directory by OpenSSF's model-signing, in an environment that has it.

python model_signing_peer.py sign|verify DIRECTORY SIGNATURE KEY
"""

import sys

from model_signing import signing, verifying

action, directory, signature, key = sys.argv[1:]
if action == "sign":
    signing.Config().use_elliptic_key_signer(private_key=key).sign(directory, signature)
else:
    config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    try:
        config.verify(directory, signature)
    except ValueError as error:
        sys.exit(f"refused: {error}")
sys.stdout.write("done\n")
