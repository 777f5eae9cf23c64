// The contract's minimal app on node's http: `node server.mjs HOST PORT FILE_OF_ITEMS`.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [host, port, file] = process.argv.slice(2);
const items = JSON.parse(readFileSync(file));
const INTEGER = /^[+-]?\d+$/;

class BadNumber extends Error {}

function integer(text) {
  if (!INTEGER.test(text)) throw new BadNumber();
  return Number(text);
}

function querySum(query) {
  let total = 0;
  if (query) for (const pair of query.split("&")) total += integer(pair.slice(pair.indexOf("=") + 1));
  return total;
}

function jsonItems(count, query) {
  const asked = new URLSearchParams(query).get("m");
  const multiplier = asked === null ? 1 : integer(asked);
  const chosen = items.slice(0, count);
  const withTotals = chosen.map((item) => ({ ...item, total: item.price * item.quantity * multiplier }));
  return JSON.stringify({ items: withTotals, count: withTotals.length });
}

function reply(response, status, type, body) {
  response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

function answer(request, response, path, query, body) {
  try {
    if (path === "/baseline11") {
      const total = querySum(query) + (request.method === "POST" ? integer(body) : 0);
      reply(response, 200, "text/plain", String(total));
    } else if (path === "/pipeline") {
      reply(response, 200, "text/plain", "ok");
    } else if (path.startsWith("/json/")) {
      reply(response, 200, "application/json", jsonItems(integer(path.slice(6)), query));
    } else {
      reply(response, 404, "text/plain", "not found");
    }
  } catch (error) {
    if (!(error instanceof BadNumber)) throw error;
    reply(response, 400, "text/plain", "bad number");
  }
}

createServer((request, response) => {
  const [path, query] = request.url.split("?", 2);
  if (request.method !== "POST") {
    answer(request, response, path, query, "");
  } else if (path === "/upload") {
    let received = 0;
    request.on("data", (part) => (received += part.length));
    request.on("end", () => reply(response, 200, "text/plain", String(received)));
  } else {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => answer(request, response, path, query, Buffer.concat(parts).toString()));
  }
}).listen(Number(port), host, 511);
