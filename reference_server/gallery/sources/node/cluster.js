'use strict';
// The healthy server: a process for each core.
const {handler} = require('./contract');
const {everyCore} = require('./serve');

everyCore(() => handler());
