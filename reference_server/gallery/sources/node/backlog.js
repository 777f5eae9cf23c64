'use strict';
// Room for 8 in the accept queue, in front of processes that are busy with requests.
const {handler} = require('./contract');
const {everyCore} = require('./serve');

everyCore(() => handler(), {listen: {backlog: 8}});
