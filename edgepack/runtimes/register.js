// What a browser is told to do: ask LiteRT.js which versions of which operators it registers, by a
// file of each, and post the numbers of those files that it loads.

import {loadAndCompile, loadLiteRt, unloadLiteRt} from "@litertjs/core";

console.error = console.warn = console.info = console.log = () => {}; // it says why, each time

const get = async (path) => (await fetch(path)).arrayBuffer();
const post = (path, body) => fetch(path, {method: "POST", body});

async function loads(file) {
  try {
    (await loadAndCompile(file, {accelerator: "wasm"})).delete();
    return true;
  } catch {
    return false;
  }
}

const alive = new EventSource("alive"); // ends with this page, however that ends
const {size, lifetime} = JSON.parse(new TextDecoder().decode(await get("job.json")));
const files = new Uint8Array(await get("files"));
const report = {loaded: []};
for (let number = 0; number * size < files.length; number++) {
  // Files that it refuses cost memory that it never frees; after some hundred it hangs or fails.
  if (number % lifetime === 0) {
    if (number) unloadLiteRt();
    await loadLiteRt("./core/wasm/");
  }
  if (await loads(files.slice(number * size, (number + 1) * size))) report.loaded.push(number);
}
await post("answer", JSON.stringify(report));
alive.close();
