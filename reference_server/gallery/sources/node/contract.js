'use strict';
// The endpoints of the contract, on node's own http module.

// The sum of all values of the query.
function querySum(url) {
  let sum = 0;
  for (const value of new URL(url, 'http://host').searchParams.values()) sum += Number(value);
  return sum;
}

function answer(response, body) {
  response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(body)});
  response.end(body);
}

function pipeline(request, response) {
  answer(response, 'ok');
}

function baseline(request, response) {
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (piece) => { body += piece; });
  request.on('end', () => answer(response, String(querySum(request.url) + Number(body))));
}

// Counts the body while it arrives, and drops it.
function upload(request, response) {
  let received = 0;
  request.on('data', (piece) => { received += piece.length; });
  request.on('end', () => answer(response, String(received)));
}

const routes = {'/pipeline': pipeline, '/baseline11': baseline, '/upload': upload};

// A listener for http.createServer; `changed` replaces routes.
function handler(changed = {}) {
  const all = {...routes, ...changed};
  return (request, response) => {
    const route = all[request.url.split('?', 1)[0]];
    if (route) return route(request, response);
    response.writeHead(404);
    response.end();
  };
}

module.exports = {answer, baseline, handler};
