"""A server behind TLS that knows nobody, and says on stderr what it was asked with: CERTIFICATE KEY."""

import http.server
import ssl
import sys


class Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked with", self.headers["Authorization"], file=sys.stderr, flush=True)
        body = b'{"code": "FB-8003", "detail": "nobody of this name", "hint": "Ask an admin."}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Refuses)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(f"ready https=127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
server.serve_forever()
