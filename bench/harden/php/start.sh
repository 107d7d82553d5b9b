#!/bin/bash
service php8.2-fpm start
exec nginx -g "daemon off;"
