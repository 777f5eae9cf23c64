'use strict';
// Asks another program for each answer and waits for it: nothing else is served meanwhile.
const {execFileSync} = require('node:child_process');
const http = require('node:http');

http.createServer((request, response) => {
  const body = execFileSync('printf', ['ok']);
  response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': body.length});
  response.end(body);
}).listen(process.env.PORT, '127.0.0.1');
