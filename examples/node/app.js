// A small server to copy from: fugue-http -c unicorn.toml, or alone: node app.js
'use strict'
const http = require('http')
const fugue = require('./fugue')

const server = http.createServer((req, res) => {
  switch (req.url) {
    case '/stuck': return // a bug: no answer, ever
    case '/busy': for (;;); // a worse one: nothing else runs in this process any more
    case '/slow': return setTimeout(() => res.end('That took a while\n'), 3000)
    default: res.end(`Hello from worker ${fugue.workerId()}\n`)
  }
})

fugue.start(server, 8080, '127.0.0.1', 2, { started: () => console.log(`worker ${fugue.workerId()} is ready`) })
