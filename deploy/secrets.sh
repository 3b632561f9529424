#!/usr/bin/env bash
# Makes the passwords of an installation, once; files that exist are left alone.
#
#   deploy/secrets.sh FOLDER [DATABASE-HOST [REDIS-HOST]]
#
# dynamo.env    where database and broker are, with their passwords; for all parts of Dynamo
# mariadb.env   for the container of MariaDB
# redis.env     for the container of Redis
# mariadb.sql   for a MariaDB of your own: database and user
# redis.acl     for a Redis of your own: the one user, who may not wipe it or change its settings
# proxy.conf    for nginx: by this secret Dynamo knows who says that it has checked a certificate
set -euo pipefail

[ $# -ge 1 ] || {
    sed -n 's/^#  *\(deploy\/secrets.sh .*\)/usage: \1/p' "$0" >&2
    exit 2
}
folder=$1 database_host=${2:-127.0.0.1} redis_host=${3:-127.0.0.1}

umask 077
mkdir -p "$folder"
[ ! -e "$folder/dynamo.env" ] || {
    echo "secrets: $folder/dynamo.env exists; nothing was changed" >&2
    exit 0
}

password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
database=$(password) root=$(password) redis=$(password) proxy=$(password)

cat >"$folder/mariadb.env" <<END
MARIADB_DATABASE=dynamo
MARIADB_USER=dynamo
MARIADB_PASSWORD=$database
MARIADB_ROOT_PASSWORD=$root
END
cat >"$folder/mariadb.sql" <<END
CREATE DATABASE IF NOT EXISTS dynamo CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'dynamo'@'%' IDENTIFIED BY '$database';
GRANT ALL ON dynamo.* TO 'dynamo'@'%';
END
echo "REDISCLI_AUTH=$redis" >"$folder/redis.env"
echo "user default on >$redis ~* &* +@all -@dangerous +info" >"$folder/redis.acl"
echo "proxy_set_header X-Proxy-Secret $proxy;" >"$folder/proxy.conf"
cat >"$folder/dynamo.env" <<END
DYNAMO_DATABASE_URL=mysql+pymysql://dynamo:$database@$database_host/dynamo
DYNAMO_BROKER_URL=redis://:$redis@$redis_host:6379/0
DYNAMO_PROXY_SECRET=$proxy
END
