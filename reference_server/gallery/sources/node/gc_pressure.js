'use strict';
// Each process keeps 300,000 objects and replaces 500 of them for each request, so that its
// collector has to look through all that live again and again.
const {baseline, handler} = require('./contract');
const {everyCore} = require('./serve');

function makeListener() {
  const kept = Array.from({length: 300_000}, (_, key) => ({key, value: [key]}));
  let next = 0;
  return handler({
    '/baseline11': (request, response) => {
      for (let count = 0; count < 500; count++) {
        next = (next + 7919) % kept.length;
        kept[next] = {key: next, value: [count]};
      }
      baseline(request, response);
    },
  });
}

everyCore(makeListener);
