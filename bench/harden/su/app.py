"""Counts visits (POST) and tells how many there were (GET), from a database that is kept in /var/lib/web."""
import sqlite3
from wsgiref.simple_server import make_server

db = sqlite3.connect("/var/lib/web/visits.db")
db.execute("create table if not exists visits (path text primary key, n integer)")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        with db:
            db.execute("insert into visits values (?, 1) on conflict do update set n = n + 1", (path,))
    row = db.execute("select n from visits where path = ?", (path,)).fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{row[0] if row else 0} visits".encode()]


make_server("", 8000, app).serve_forever()
