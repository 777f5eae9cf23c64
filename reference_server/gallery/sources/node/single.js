'use strict';
// One process, and so one thread, does all the serving.
const {handler} = require('./contract');
const {single} = require('./serve');

single(handler());
