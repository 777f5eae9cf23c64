'use strict';
// Each request blocks the event loop of its process for 20 ms, asleep: as a synchronous driver of a
// database does.
const {baseline, handler} = require('./contract');
const {everyCore} = require('./serve');

const never = new Int32Array(new SharedArrayBuffer(4));

function blocked(request, response) {
  Atomics.wait(never, 0, 0, 20);
  baseline(request, response);
}

everyCore(() => handler({'/baseline11': blocked}));
