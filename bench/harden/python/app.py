"""Takes uploads (PUT /name) and gives them back (GET /name)."""
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPLOADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uploads")


class Handler(BaseHTTPRequestHandler):
    def place(self):
        name = self.path[1:]
        return os.path.join(UPLOADS, name) if re.fullmatch(r"[a-z0-9.-]{1,64}", name) else None

    def do_PUT(self):
        place = self.place()
        if place is None:
            return self.answer(400)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(place + ".part", "wb") as part:
            part.write(body)
        os.rename(place + ".part", place)
        self.answer(201)

    def do_GET(self):
        place = self.place()
        if place is None or not os.path.exists(place):
            return self.answer(404)
        with open(place, "rb") as upload:
            self.answer(200, upload.read())

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    os.makedirs(UPLOADS, exist_ok=True)
    ThreadingHTTPServer(("", 80), Handler).serve_forever()
