// What a browser is told to do: run a file in LiteRT.js on recorded inputs (`ReplayJob`), and post
// what happened (`PageAnswer`). Of the runtime only what all its releases have is used.

import {Tensor, loadAndCompile, loadLiteRt} from "@litertjs/core";

const ARRAYS = {
  bool: Uint8Array,
  float32: Float32Array,
  float64: Float64Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int8: Int8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  uint8: Uint8Array,
};

// The runtime throws that something failed, and says what on the console.
const ERROR = "ERROR: ";
const said = [];
console.error = console.warn = console.info = console.log = (...words) => {
  const text = words.join(" ");
  if (text.startsWith(ERROR)) said.push(text.slice(ERROR.length).trim());
};

const get = async (path) => (await fetch(path)).arrayBuffer();
const post = (path, body) => fetch(path, {method: "POST", body});
const length = (shape) => shape.reduce((product, size) => product * size, 1);

async function browser() {
  const {fullVersionList} = await navigator.userAgentData.getHighEntropyValues(["fullVersionList"]);
  return fullVersionList.find(({brand}) => brand === "Chromium").version;
}

// A recorded tensor: an array of each invocation.
async function recorded(tensor, number, count) {
  const Values = ARRAYS[tensor.dtype];
  if (!Values) throw new TypeError(`no typed array holds ${tensor.dtype}`);
  const all = await get(`input/${number}`);
  const size = length(tensor.shape);
  const row = (_, at) => new Values(all, at * size * Values.BYTES_PER_ELEMENT, size);
  return Array.from({length: count}, row);
}

// Where tensors stand among the model's, which are in the signature's order: the name is the
// signature's, before 2.0 the graph's. Else as the interpreter counts.
function places(details, tensors) {
  const names = details.map(({name}) => name);
  const key = ["name", "tensor"].find((own) => tensors.every((one) => names.includes(one[own])));
  return tensors.map((one) => (key ? names.indexOf(one[key]) : one.place));
}

// Seconds of one invocation, and the outputs, which are the caller's to delete.
async function invoked(model, job, inputs, row) {
  const fed = [];
  places(model.getInputDetails(), job.inputs).forEach((place, number) => {
    fed[place] = new Tensor(inputs[number][row], job.inputs[number].shape);
  });
  const start = performance.now();
  const given = await model.run(fed);
  const seconds = (performance.now() - start) / 1000;
  fed.forEach((tensor) => tensor.delete());
  return {seconds, given};
}

// What one invocation answers, by a model without memory of another: there is no way to reset one.
async function answer(compile, job, inputs, row) {
  const model = await compile();
  const {given} = await invoked(model, job, inputs, row);
  const outputs = places(model.getOutputDetails(), job.outputs).map((place) => ({
    dtype: given[place].type.dtype,
    shape: Array.from(given[place].type.layout.dimensions),
    values: given[place].toTypedArray().slice(),
  }));
  given.forEach((tensor) => tensor.delete());
  model.delete();
  return outputs;
}

// Seconds of each invocation, after a first round.
async function timed(model, job, inputs) {
  const all = [];
  for (let round = 0; round <= job.rounds; round++) {
    for (let row = 0; row < job.count; row++) {
      const {seconds, given} = await invoked(model, job, inputs, row);
      given.forEach((tensor) => tensor.delete());
      if (round) all.push(seconds);
    }
  }
  return all;
}

// Post an output of all invocations; gives its type and the shape of one.
async function posted(number, each) {
  const {dtype, shape} = each[0];
  if (each.some((one) => String(one.shape) !== String(shape))) {
    throw new RangeError("an output changes its shape between invocations");
  }
  await post(`output/${number}`, new Blob(each.map(({values}) => values)));
  return {dtype, shape};
}

async function run(job, report) {
  report.browser = await browser();
  await loadLiteRt("./core/wasm/", {threads: job.threads > 1});
  const file = new Uint8Array(await get("model"));
  const options = {accelerator: "wasm"};
  if (job.threads > 1) options.cpuOptions = {numThreads: job.threads};
  const compile = () => loadAndCompile(file, options);
  const model = await compile();
  report.loaded = true;
  const reading = job.inputs.map((tensor, number) => recorded(tensor, number, job.count));
  const inputs = await Promise.all(reading);
  const answers = [];
  for (let row = 0; row < job.count; row++) answers.push(await answer(compile, job, inputs, row));
  report.seconds = await timed(model, job, inputs);
  report.outputs = [];
  for (const number of job.outputs.keys()) {
    report.outputs.push(await posted(number, answers.map((outputs) => outputs[number])));
  }
}

const alive = new EventSource("alive"); // ends with this page, however that ends
const job = await (await fetch("job.json")).json();
const report = {loaded: false};
try {
  await run(job, report);
} catch (error) {
  const thrown = `${error.name ?? "Error"}: ${error.message ?? error}`;
  report.reason = [thrown, ...said].join("; ").replace(/\s+/g, " ");
}
await post("answer", JSON.stringify(report));
alive.close();
