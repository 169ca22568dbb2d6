'use strict' // A Node.js server as a worker of fugue-http, or alone without a master; see docs/apps.md. Node.js 18.2 on.
const [{ writeSync }, { STATUS_CODES }, net] = [require('fs'), require('http'), require('net')]
const { LISTEN_PID, LISTEN_FDS, FUGUE_PIPE_FD, FUGUE_SETTINGS, FUGUE_WORKER_ID } = process.env
const worker = LISTEN_PID === String(process.pid) && FUGUE_PIPE_FD !== undefined
const alone = { beat_every: 1e9, worker_kill_timeout: 30e9, watch: { timeout: 0 }, http: { linger: 2e9 } }
const { beat_every: every, worker_kill_timeout: drainLimit, watch, http } = worker ? JSON.parse(FUGUE_SETTINGS) : alone
const [ms, now, parent] = [(nanoseconds) => nanoseconds / 1e6, () => performance.now(), process.ppid]
const [servers, connections, running] = [[], new Map(), new Set()] // running: requests, those that are stuck too
let [last, beaten, draining, accepted, requests, timedOut] = [now(), 0, 0, 0, 0, 0]
function say (type, fields) { // never waits for the master: a full pipe takes none of a line of at most 4096 bytes
  const line = JSON.stringify({ type, ...fields }) + '\n'
  try { if (worker) writeSync(Number(FUGUE_PIPE_FD), line) } catch (err) { if (err.code !== 'EAGAIN') drain() } // it is gone
}
function onConnection (socket) { // only those of HTTP come to rest
  connections.set(socket, { since: this.closeIdleConnections ? now() : Infinity, read: 0, number: ++accepted })
  socket.on('close', () => connections.delete(socket))
}
function onRequest (req, res) {
  const r = res.fugue = { req, res, id: String(++requests), start: now(), age: 0, limit: ms(watch.timeout), stuck: false }
  running.add(r)
  if (draining) res.setHeader('Connection', 'close')
  res.on('close', () => {
    if (!r.stuck) running.delete(r)
    Object.assign(connections.get(req.socket) ?? {}, { since: now(), read: req.socket.bytesRead })
  })
}
const waits = ({ req, res }) => res.writableEnded || res.writableNeedDrain || (!req.complete && req.readableLength === 0)
function tick (since = last) {
  last = now()
  for (const r of running) {
    if (!r.stuck && !waits(r)) r.age += last - Math.max(since, r.start) // its clock stands while it waits for its client
    if (!r.stuck && r.limit > 0 && r.age >= r.limit) overdue(r)
    if (r.stuck && r.res.writableEnded && running.delete(r)) say('recovered', { id: r.id })
  }
  if (last - beaten < ms(every) - 1) return
  const [all, inFlight, stuck] = [[...running], running.size, [...running].filter((r) => r.stuck).length]
  const load = { in_flight: inFlight, oldest_ms: Math.round(last - (all[0]?.start ?? last)), stuck, timed_out: timedOut }
  say('beat', { ...load, requests: requests - inFlight, connections: connections.size })
  beaten = last
}
function overdue (r) { // answers in the place of a handler, which may go on to use res, to no effect
  const { id, age, res, req: { method, url, socket } } = r
  const [status, remote] = [res.socket && !res.headersSent ? watch.status : 0, `${socket.remoteAddress ?? 'unix socket'}:${socket.remotePort ?? 0}`]
  const text = `${status} ${STATUS_CODES[status]}`
  r.stuck = ++timedOut > 0
  say('overdue', { id, method, path: url.slice(0, 1000), remote, age_ms: Math.round(age), status })
  if (status) socket.end(`HTTP/1.1 ${text}\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`)
  setTimeout(() => socket.destroy(), status ? 1000 : 0) // a client that is still sending has read its answer by then
}
function drain () {
  if (draining) return
  draining = now()
  say('draining')
  for (const { res } of running) if (!res.headersSent) res.setHeader('Connection', 'close')
  setTimeout(() => process.exit(1), ms(drainLimit)) // nobody else may be there to do it
  setInterval(setImmediate, 50, sweep) // which then comes when all that has arrived is read
  shut(-1, 3)
}
function shut (before, turns) { // the queue comes first: until it has been empty for three turns of the loop
  if (turns > 0) return setImmediate(shut, accepted, accepted !== before && now() - draining < 1000 ? 3 : turns - 1)
  for (const server of servers.splice(0)) net.Server.prototype.close.call(server) // http's ends idle connections at once
}
function sweep () {
  const busy = new Set([...running].map((r) => r.req.socket))
  const idle = ([s, c]) => !busy.has(s) && s.bytesRead === c.read && now() - Math.max(c.since, draining) >= ms(http.linger)
  for (const [socket] of [...connections].filter(idle)) socket.destroy()
  if (servers.length === 0 && connections.size === 0) process.exit(0)
}
function start (server, port, host, workers, options = {}) { // all but server and started is the master's business
  server.on('connection', onConnection).prependListener('request', onRequest)
  const told = () => draining ? setTimeout(() => process.ppid === parent && process.exit(0), 1000) : drain() // see docs/apps.md
  for (const signal of ['SIGTERM', 'SIGQUIT', 'SIGINT']) process.on(signal, told)
  setInterval(tick, Math.max(10, Math.min(ms(every), ms(watch.timeout || 20 * every) / 20)))
  const [ready, half] = [() => { say('ready'); options.started?.() }, { allowHalfOpen: true, noDelay: true }]
  const more = (fd) => net.createServer(half, (socket) => server.emit('connection', socket)).listen({ fd }, 1024)
  for (let fd = 4; fd < 3 + Number(worker && LISTEN_FDS); fd++) servers.push(more(fd))
  servers.push(worker ? server.listen({ fd: 3 }, 1024, ready) : server.listen(port, host, ready))
}
module.exports = { start, isMaster: () => false, isWorker: () => true, workerId: () => Number(FUGUE_WORKER_ID ?? 0) }
say('hello') // the master waits for the ready
