'use strict';
// Fastify as its documentation begins: one process.
const fastify = require('fastify')();

fastify.get('/pipeline', async (request, reply) => reply.type('text/plain').send('ok'));
fastify.listen({port: Number(process.env.PORT), host: '127.0.0.1'});
