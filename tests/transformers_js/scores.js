// Print the scores that transformers.js gives to one waveform.
//
//   node scores.js CHECKPOINT_FOLDER WAVEFORM_FILE DTYPE
//
// The waveform file holds float32 samples at 16 kHz; DTYPE is fp32 (onnx/model.onnx) or q8 (onnx/model_quantized.onnx).
import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [folder, waveformFile, dtype] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder));

const bytes = readFileSync(waveformFile);
const waveform = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const classifier = await pipeline("audio-classification", basename(resolve(folder)), { dtype, device: "cpu" });
const answers = await classifier(waveform, { top_k: null });
console.log(JSON.stringify(Object.fromEntries(answers.map(({ label, score }) => [label, score]))));
