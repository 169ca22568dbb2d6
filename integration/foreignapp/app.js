// The test app in Node.js. Its routes are those of app.py.
'use strict'
const http = require('http')
const fugue = require('../../examples/node/fugue')

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const routes = {
  '/pid': (req, res) => res.end(String(process.pid)),
  '/stuck': () => {}, // never answers
  '/busy': () => { for (;;); }, // nothing else runs in this process any more
  '/block': (req, res, ms) => { // the same for a while
    for (const end = Date.now() + ms; Date.now() < end;);
    res.end('blocked')
  },
  '/slow': async (req, res, ms) => { await sleep(ms); res.end('slow') },
  '/begun': (req, res) => res.write('some'), // and never the rest
  '/upload': async (req, res) => {
    let n = 0
    for await (const part of req) n += part.length
    res.end(String(n))
  },
  '/events': async (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.fugue.limit = 0
    for (let n = 0; n < 5; n++) { res.write(`data: ${n}\n\n`); await sleep(100) }
    res.end()
  },
  '/late': async (req, res, ms) => { // uses its response long after somebody else has answered
    await sleep(ms)
    res.writeHead(200, { 'X-Late': 'yes' })
    res.write('x'.repeat(1 << 20))
    res.end('late')
  },
  '/': (req, res) => res.end(process.env.VERSION ?? 'hello')
}

const server = http.createServer((req, res) => {
  const [path, query] = req.url.split('?')
  routes[path](req, res, Number(query))
})
fugue.start(server, Number(process.env.ALONE), '127.0.0.1', 2, { started: () => console.log(`started ${fugue.workerId()}`) })
