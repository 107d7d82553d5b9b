#!/bin/bash
mkdir -p /var/lib/web /var/log/web
chown web /var/lib/web /var/log/web
exec su -s /bin/sh web -c "exec python3 /opt/web/app.py >>/var/log/web/web.log 2>&1"
