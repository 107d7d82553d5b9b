#!/bin/bash
set -e
data=/var/lib/mysql

mkdir -p /run/mysqld
chown -R mysql:mysql /run/mysqld "$data"

if [ ! -d "$data/mysql" ]; then
	mariadb-install-db --user=mysql --datadir="$data" >/dev/null
fi
if [ ! -d "$data/app" ]; then
	mariadbd --user=mysql --bootstrap <<-SQL
		FLUSH PRIVILEGES;
		CREATE DATABASE app;
		CREATE USER 'app'@'%' IDENTIFIED BY 'secret';
		GRANT ALL ON app.* TO 'app'@'%';
	SQL
fi

exec mariadbd --user=mysql --bind-address=0.0.0.0
