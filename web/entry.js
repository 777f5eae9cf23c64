// The whole interface between the libraries and report.js.
export { default as uPlot } from "uplot";
export { default as flamegraph } from "d3-flame-graph";
export { select } from "d3-selection";
