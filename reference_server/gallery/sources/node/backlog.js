'use strict';
// An accept queue of one in front of processes that are busy with requests.
const {handler} = require('./contract');
const {everyCore} = require('./serve');

everyCore(() => handler(), {listen: {backlog: 1}});
