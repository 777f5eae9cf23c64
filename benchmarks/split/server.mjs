// Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5. CPU time is the
// process's: helper threads of V8 take little of it here.
import { createServer } from 'node:http'

let sink = 0

function cpu () {
  const used = process.cpuUsage()
  return used.user + used.system
}

function burn_sixty (scale) {
  const end = cpu() + 8400 * scale
  while (cpu() < end) for (let i = 0; i < 50000; i++) sink = (sink * 1103515245 + 12345) | 0
}

function burn_thirty (scale) {
  const end = cpu() + 4200 * scale
  while (cpu() < end) for (let i = 0; i < 50000; i++) sink = (sink * 1103515245 + 12345) | 0
}

function burn_ten (scale) {
  const end = cpu() + 1400 * scale
  while (cpu() < end) for (let i = 0; i < 50000; i++) sink = (sink * 1103515245 + 12345) | 0
}

createServer((request, response) => {
  const scale = 0.5 + Math.random()
  burn_sixty(scale)
  burn_thirty(scale)
  burn_ten(scale)
  response.setHeader('content-type', 'text/plain')
  response.end('ok')
}).listen(Number(process.argv[2]), '127.0.0.1')
