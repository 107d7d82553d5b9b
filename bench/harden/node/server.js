const fs = require('fs');
const http = require('http');
const path = require('path');

const logs = path.join(__dirname, 'logs');
fs.mkdirSync(logs, { recursive: true });
const log = fs.createWriteStream(path.join(logs, 'access.log'), { flags: 'a' });

const server = http.createServer((request, response) => {
  log.write(`${new Date().toISOString()} ${request.method} ${request.url}\n`);
  if (request.url !== '/time') {
    response.writeHead(404).end('not here\n');
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ now: Date.now(), pid: process.pid }));
});

server.listen(80, () => console.log('listening on 80'));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
