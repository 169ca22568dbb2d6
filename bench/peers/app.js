// node app.js ADDRESS WORKERS
const cluster = require("node:cluster");
const http = require("node:http");

const [address, workers] = process.argv.slice(2);
if (cluster.isPrimary) {
  for (let i = 0; i < Number(workers); i++) cluster.fork();
  process.on("SIGTERM", () => process.exit(0));
} else {
  const big = Buffer.alloc(1 << 20);
  const hello = Buffer.from(`hello from ${process.pid}\n`);
  const server = http.createServer((req, res) => {
    const body = req.url === "/big" ? big : hello;
    res.writeHead(200, { "Content-Type": "text/plain", "Content-Length": body.length });
    res.end(body);
  });
  server.keepAliveTimeout = 60000;
  if (address.startsWith("unix:")) server.listen(address.slice(5));
  else server.listen(Number(address.split(":")[1]), address.split(":")[0]);
}
