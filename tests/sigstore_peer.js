// Parses a Sigstore bundle and verifies it by a public key: node sigstore_peer.js BUNDLE KEY
const fs = require("node:fs");
const { createPublicKey } = require("node:crypto");
const { createRequire } = require("node:module");

const from = createRequire(`${process.cwd()}/`);
const { bundleFromJSON } = from("@sigstore/bundle");
const { toSignedEntity, Verifier } = from("@sigstore/verify");

const [path, pem] = process.argv.slice(2);
const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(path, "utf8")));
const publicKey = createPublicKey(fs.readFileSync(pem));
const trust = {
  certificateAuthorities: [],
  ctlogs: [],
  timestampAuthorities: [],
  tlogs: [],
  publicKey: () => ({ publicKey, validFor: () => true }),
};
const none = { ctlogThreshold: 0, tlogThreshold: 0, tsaThreshold: 0 };
try {
  new Verifier(trust, none).verify(toSignedEntity(bundle));
} catch (error) {
  console.error(`refused: ${error.code}`);
  process.exit(1);
}
const { content, verificationMaterial } = bundle;
console.log(
  JSON.stringify({
    type: content.dsseEnvelope.payloadType,
    payload: content.dsseEnvelope.payload.toString("base64"),
    hint: verificationMaterial.content.publicKey.hint,
  }),
);
