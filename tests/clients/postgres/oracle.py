"""Makes a real PostgreSQL the oracle of the clients in this folder: the tables of data/, a role that may only read.

    oracle.py HOST:PORT        as its superuser: PGUSER (postgres), PGPASSWORD

Makes the role `forebay` and the database `forebay` anew, whatever is there.
"""

import json
import os

import psycopg
from shared import DATA, TABLES, address, rows

host, port = address()
admin = {"host": host, "port": port, "user": os.environ.get("PGUSER", "postgres")}
with psycopg.connect(dbname="postgres", autocommit=True, **admin) as connection:
    connection.execute("DROP DATABASE IF EXISTS forebay WITH (FORCE)")
    connection.execute("DROP ROLE IF EXISTS forebay")
    connection.execute("CREATE ROLE forebay LOGIN")
    connection.execute("ALTER ROLE forebay SET default_transaction_read_only = on")
    connection.execute("ALTER ROLE forebay SET timezone = 'UTC'")
    connection.execute("ALTER ROLE forebay SET search_path = public")  # else a schema of the role's own name comes first
    connection.execute("CREATE DATABASE forebay ENCODING 'UTF8' TEMPLATE template0")
with psycopg.connect(dbname="forebay", **admin) as connection:
    connection.execute((DATA / "tables.sql").read_text(encoding="utf-8"))
    for table in TABLES:
        for row in rows(table):
            names = ", ".join(f'"{name}"' for name in row)
            holes = ", ".join(["%s"] * len(row))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({holes})", list(row.values()))
    connection.execute("GRANT USAGE ON SCHEMA late, forebay TO forebay")
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public, late, forebay TO forebay")
print(json.dumps({"database": "forebay", "user": "forebay"}))
