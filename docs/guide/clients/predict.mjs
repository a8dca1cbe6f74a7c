// Print the emotion of a recording: node predict.mjs utterance.wav
import { readFile } from "node:fs/promises";

const address = process.env.SER_HF_ADDRESS ?? "http://127.0.0.1:8000";
const headers = { Authorization: `Bearer ${process.env.SER_HF_TOKEN ?? ""}` };
const body = await readFile(process.argv[2]);
const response = await fetch(`${address}/predict`, { method: "POST", headers, body });
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
console.log(answer.prediction, answer.scores);
