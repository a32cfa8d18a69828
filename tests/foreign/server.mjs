// An HTTP/2 server on Node's own http2 (nghttp2). The one argument is JSON:
// {certificate, key, log, settings, early, hints, long, goaway, idle, reset, refuse}
// goaway, reset and refuse are "every so many requests"; idle is in milliseconds, long in bytes. Prints its port.
// A request is written down when its head has arrived, unless it is refused.
import fs from "node:fs";
import http2 from "node:http2";

const how = JSON.parse(process.argv[2]);
const log = fs.openSync(how.log, "a");
const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;
const body = Buffer.alloc(how.long ?? 20, "x");
let requests = 0;

const server = http2.createSecureServer({
  cert: fs.readFileSync(how.certificate),
  key: fs.readFileSync(how.key),
  settings: how.settings ?? {},
});

server.on("session", (session) => {
  session.served = 0;
  session.on("error", () => {});
  if (how.idle) session.setTimeout(how.idle, () => session.close());
});

server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  requests += 1;
  if (how.refuse && requests % how.refuse === 0) {
    stream.close(NGHTTP2_REFUSED_STREAM);
    return;
  }
  fs.writeSync(log, `${headers[":path"]}\n`);
  if (how.reset && requests % how.reset === 0) {
    stream.close(NGHTTP2_INTERNAL_ERROR);
    return;
  }
  const answer = () => {
    if (stream.destroyed || stream.closed) return;
    if (how.hints) stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    stream.end(body);
  };
  stream.resume();
  if (how.early) answer();
  else stream.on("end", answer);
  const { session } = stream;
  session.served += 1;
  if (how.goaway && session.served === how.goaway) session.close();
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
