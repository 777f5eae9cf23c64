'use strict';
// Express as its documentation begins: one process.
const express = require('express');

const app = express();
app.get('/pipeline', (request, response) => response.type('text/plain').send('ok'));
app.listen(process.env.PORT, '127.0.0.1');
