'use strict';
// Serves on $PORT, with one process or with one for each core.
const cluster = require('node:cluster');
const http = require('node:http');
const os = require('node:os');

const address = {host: '127.0.0.1', port: process.env.PORT};

function single(listener, {options = {}, listen = {}} = {}) {
  http.createServer(options, listener).listen({...address, ...listen});
}

function everyCore(makeListener, settings) {
  if (!cluster.isPrimary) return single(makeListener(), settings);
  for (let core = 0; core < os.availableParallelism(); core++) cluster.fork();
}

module.exports = {everyCore, single};
