// Bundles the libraries of the HTML report, with the licenses of all that went in, into the package.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";

const OUT = "../diagnose/reports/templates/vendor";

const result = await build({
  entryPoints: ["entry.js"],
  bundle: true,
  minify: true,
  // d3-flame-graph asks whether a constructor is called "Node".
  keepNames: true,
  format: "iife",
  globalName: "vendor",
  target: "es2020",
  legalComments: "none",
  loader: { ".css": "empty" },
  metafile: true,
  write: false,
});

const used = new Set(
  Object.entries(Object.values(result.metafile.outputs)[0].inputs)
    .filter(([, input]) => input.bytesInOutput > 0)
    .map(([path]) => path.match(/^node_modules\/([^/]+)\//)?.[1])
    .filter(Boolean),
);
// Many packages have the same text but for the line of the copyright: that text is told once.
const texts = new Map();
for (const name of [...used].sort()) {
  const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const text = readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim();
  const body = text.replace(/^Copyright .*$/gm, "").trim();
  const copyright = body.startsWith("Apache") ? "" : (text.match(/^Copyright .*$/m)?.[0] ?? "");
  const entry = texts.get(body) ?? { text: body.startsWith("Apache") ? text : body, names: [] };
  entry.names.push(`${name} ${version} (${license}) ${copyright}`.trim());
  texts.set(body, entry);
}
const licenses = [...texts.values()]
  .map(({ names, text }) => `${names.join("\n")}\n\n${text}\n`)
  .join(`\n${"-".repeat(78)}\n\n`);

const code = result.outputFiles[0].text.trim();
if (/<\/script|<!--/i.test(code)) throw new Error("the bundle would end its own script element");
writeFileSync(`${OUT}/charts.js`, `/*!\n${licenses.replaceAll("*/", "* /")}*/\n${code}\n`);
writeFileSync(`${OUT}/LICENSES.txt`, licenses);
const sheets = ["uplot/dist/uPlot.min.css", "d3-flame-graph/dist/d3-flamegraph.css"];
const css = sheets.map((path) => readFileSync(`node_modules/${path}`, "utf8").trim()).join("\n");
writeFileSync(`${OUT}/charts.css`, `${css}\n`);
console.log(`${[...used].sort().join(" ")}: ${code.length} bytes, sha256 ${createHash("sha256").update(code).digest("hex")}`);
