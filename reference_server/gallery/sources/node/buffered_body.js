'use strict';
// Uploads are kept in memory until they are answered, and joined then.
const {answer, handler} = require('./contract');
const {everyCore} = require('./serve');

function upload(request, response) {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => answer(response, String(Buffer.concat(pieces).length)));
}

everyCore(() => handler({'/upload': upload}));
