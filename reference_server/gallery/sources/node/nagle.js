'use strict';
// The head goes out in one write, the body in a second, with Nagle's algorithm on.
const {handler} = require('./contract');
const {everyCore} = require('./serve');

function pipeline(request, response) {
  response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': 2});
  response.flushHeaders();
  setImmediate(() => response.end('ok'));
}

everyCore(() => handler({'/pipeline': pipeline}), {options: {noDelay: false}});
